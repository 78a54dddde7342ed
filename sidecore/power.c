// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/power.h"

enum reg {
	REG_SLEEP = 0,
	REG_STATUS = 1,
	REG_RESET = 2,
	REGS,
};

#define KEYBOARD_RESET 0xfe

#define SLEEP_TYPE(VALUE) ((VALUE) >> 2 & 7)
#define SLEEP_ENABLE      (1u << 5)

/* Nothing sleeps, so nothing has woken: the status is 0; the others are for writing. */
static int port_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	struct sx_power *p = dev;

	(void)offset;
	*value = 0;
	if (size != 1) {
		p->refused++;
		*value = sx_bus_all_ones(size);
	}
	return SX_EXIT_CONTINUE;
}

static int end(struct sx_power *p, enum sx_power_end how)
{
	if (p->end == SX_POWER_ON)
		p->end = how;
	return SX_EXIT_STOP;
}

static int port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct sx_power *p = dev;

	if (size == 1 && offset == REG_SLEEP && (value & SLEEP_ENABLE) &&
	    SLEEP_TYPE(value) == p->off_type)
		return end(p, SX_POWER_OFF);
	if (size == 1 && offset == REG_RESET && value == p->reset_value)
		return end(p, SX_POWER_RESET);
	/* The status is cleared by writing to it before a sleep. */
	if (size != 1 || offset != REG_STATUS)
		p->refused++;
	return SX_EXIT_CONTINUE;
}

static const struct sx_bus_ops ops = {.read = port_read, .write = port_write};

/* A controller whose buffers are empty, and which ignores all else. */
static int keyboard_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct sx_power *p = dev;

	(void)offset;
	if (size == 1 && value == KEYBOARD_RESET)
		return end(p, SX_POWER_RESET);
	p->refused++;
	return SX_EXIT_CONTINUE;
}

static const struct sx_bus_ops keyboard_ops = {.read = port_read, .write = keyboard_write};

void sx_power_init(struct sx_power *p, uint64_t port, uint64_t keyboard, uint8_t off_type,
		   uint8_t reset_value)
{
	*p = (struct sx_power){
		.range = {.name = "power",
			  .space = SX_BUS_PIO,
			  .base = port,
			  .size = REGS,
			  .ops = &ops,
			  .dev = p},
		.keyboard = {.name = "keyboard-reset",
			     .space = SX_BUS_PIO,
			     .base = keyboard,
			     .size = 1,
			     .ops = &keyboard_ops,
			     .dev = p},
		.off_type = off_type,
		.reset_value = reset_value,
	};
}
