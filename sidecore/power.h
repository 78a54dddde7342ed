// SPDX-License-Identifier: BSD-3-Clause
/*
 * ACPI's sleep control, sleep status and reset registers of a hardware-reduced machine (ACPI
 * Specification 6.4, 4.8.3.6 and 4.8.3.7), a byte each: how a guest switches itself off or resets.
 * And the command port of an 8042 keyboard controller, of which only the command 0xfe does
 * something: it resets too, as old kernels do.
 */
#ifndef SX_SIDECORE_POWER_H
#define SX_SIDECORE_POWER_H

#include "sidecore/bus.h"

enum sx_power_end {
	SX_POWER_ON, /* it has not ended */
	SX_POWER_OFF,
	SX_POWER_RESET,
};

struct sx_power {
	struct sx_bus_range range;
	struct sx_bus_range keyboard;
	uint8_t off_type;      /* SLP_TYPx that means off; others are not supported, and ignored */
	uint8_t reset_value;   /* what resets */
	enum sx_power_end end; /* the first one wins */
	uint64_t refused;
};

/* Three ports at @port, and one at @keyboard; both ranges are for sx_bus_add(). */
void sx_power_init(struct sx_power *p, uint64_t port, uint64_t keyboard, uint8_t off_type,
		   uint8_t reset_value);

#endif
