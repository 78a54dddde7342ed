// SPDX-License-Identifier: BSD-3-Clause
/* One L1 processor that enters L2 and leaves it: what tests of entries and exits share. */
#ifndef SX_TEST_VMX_RUN_H
#define SX_TEST_VMX_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_vmx_world.h"

static struct world w;

static inline void start(void)
{
	world_init_current(&w);
}

static inline struct sx_vmx_result launch(void)
{
	return sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2);
}

static inline void enter(void)
{
	struct sx_vmx_result result = launch();

	if (result.outcome != SX_VMX_ENTERED)
		fail_msg("%s", w.vmx.why ? w.vmx.why : "no reason");
}

static inline struct sx_vmx_result leave(uint32_t reason)
{
	struct sx_vmx_exit exit = {.reason = reason};

	return sx_vmx_exit(&w.vmx, &w.l2, &exit, &w.l1);
}

#endif
