// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/debug_exit.h"

#include "ipc/wire/boot.h"

static int port_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	(void)dev;
	(void)offset;
	*value = sx_bus_all_ones(size);
	return SX_EXIT_CONTINUE;
}

static int port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct sx_debug_exit *d = dev;

	(void)offset;
	(void)size;
	/* The first vCPU that ends the guest decides its code. */
	if (!d->ended)
		d->code = (uint32_t)value;
	d->ended = true;
	return SX_EXIT_STOP;
}

static const struct sx_bus_ops ops = {.read = port_read, .write = port_write};

void sx_debug_exit_init(struct sx_debug_exit *d)
{
	*d = (struct sx_debug_exit){
		.range = {.name = "debug-exit",
			  .space = SX_BUS_PIO,
			  .base = SX_PORT_DEBUG_EXIT,
			  .size = 4,
			  .ops = &ops,
			  .dev = d},
	};
}
