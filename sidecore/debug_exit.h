// SPDX-License-Identifier: BSD-3-Clause
/*
 * The debug-exit port (0xf4): a write ends the guest, and the value is its exit code.
 */
#ifndef SX_SIDECORE_DEBUG_EXIT_H
#define SX_SIDECORE_DEBUG_EXIT_H

#include <stdbool.h>
#include <stdint.h>

#include "sidecore/bus.h"

struct sx_debug_exit {
	struct sx_bus_range range;
	bool ended; /* the guest wrote */
	uint32_t code;
};

/* Fills @d->range, for sx_bus_add(). */
void sx_debug_exit_init(struct sx_debug_exit *d);

#endif
