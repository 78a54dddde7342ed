// SPDX-License-Identifier: BSD-3-Clause
/* Faults of the L2 of test_l2_world.h, and what is expected of them. */
#ifndef SX_TEST_L2_RUN_H
#define SX_TEST_L2_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_l2_world.h"

/* Exit qualification: table 28-7. */
#define R          SX_ACCESS_READ
#define W          SX_ACCESS_WRITE
#define X          SX_ACCESS_FETCH
#define HAS_LINEAR 0x80
#define FINAL      0x180
#define MAY_RX     (5u << 3)

static struct world w;
static struct sx_l2_vm vm;
static struct sx_vmx_exit x;

static inline void start(void)
{
	assert_true(start_l2(&w, &vm));
}

static inline void code(const uint8_t *bytes, size_t len)
{
	memcpy(w.mem + L2_IN_L1 + w.l2.cpu.rip, bytes, len);
}

#define CODE(...) code((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static inline enum sx_l2_fault_outcome fault(void)
{
	return sx_l2_fault(&w.vmx, &vm, l2_decoder(), &w.l2, NULL, &x);
}

static inline void violates(uint64_t linear, uint64_t qualification)
{
	assert_int_equal(fault(), SX_L2_FAULT_EXIT);
	assert_int_equal(x.reason, SX_VMEXIT_EPT_VIOLATION);
	assert_int_equal(x.linear, linear);
	assert_int_equal(x.physical, linear);
	assert_int_equal(x.qualification, qualification);
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

#endif
