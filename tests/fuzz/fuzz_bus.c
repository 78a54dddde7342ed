// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: any ranges on a bus with all the simple devices, and any accesses to it.
 *
 * Input: 1 byte, whether the bus is strict; then a list of steps, each an enum step and what it
 * wants. A second, simple table says who must answer, in numbers that cannot wrap round.
 */
#include <errno.h>
#include <string.h>

#include "ipc/rcu.h"
#include "sidecore/debug_exit.h"
#include "sidecore/testdev.h"
#include "sidecore/uart16550.h"
#include "tests/support/fuzz_input.h"

#define MAX_STEPS   256
#define PROBES      300 /* more than there is room for */
#define TESTDEV_GPA 0xfe000000ull

enum step {
	ADD,    /* 19 bytes: which probe, space, base, size */
	FILL,   /* 10 bytes: how many probes, space, base; a page each, side by side */
	REMOVE, /* 2 bytes: which probe */
	ACCESS, /* 18 bytes: kind, size, address, value */
	NEAR,   /* 13 bytes: which probe, kind, size, distance from its base or its end, value */
	DEVICE, /* 12 bytes: which device, kind, size, offset, value */
	STEPS,
};

/* A range that checks what reaches it. */
struct probe {
	struct sx_bus_range range;
	bool there;
	uint64_t value; /* last written */
};

struct world {
	struct sx_bus bus;
	struct sx_byte_queue out, in;
	struct sx_debug_exit debug_exit;
	struct sx_testdev testdev;
	struct sx_bus_range testdev_range;
	struct sx_uart uart;
	struct probe probe[PROBES];
	const struct sx_bus_range *device[3];
	unsigned there; /* ranges on the bus */
	uint64_t nowhere;
};

/* No sum of two addresses wraps round in here. */
typedef unsigned __int128 wide;

static int probe_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	struct probe *p = dev;

	fuzz_require(p->there && (wide)offset + size <= p->range.size);
	*value = p->value;
	return SX_EXIT_CONTINUE;
}

static int probe_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct probe *p = dev;

	fuzz_require(p->there && (wide)offset + size <= p->range.size);
	p->value = value;
	return SX_EXIT_CONTINUE;
}

static const struct sx_bus_ops probe_ops = {.read = probe_read, .write = probe_write};

/* ---- the model ---- */

static bool holds(const struct sx_bus_range *r, enum sx_bus_space space, uint64_t addr,
		  unsigned size)
{
	return r->space == space && addr >= r->base && (wide)addr + size <= (wide)r->base + r->size;
}

static bool overlap(const struct sx_bus_range *a, const struct sx_bus_range *b)
{
	return a->space == b->space && a->base < (wide)b->base + b->size &&
	       b->base < (wide)a->base + a->size;
}

static const struct sx_bus_range *owner(const struct world *w, enum sx_bus_space space,
					uint64_t addr, unsigned size)
{
	for (unsigned i = 0; i < 3; i++)
		if (holds(w->device[i], space, addr, size))
			return w->device[i];
	for (unsigned i = 0; i < PROBES; i++)
		if (w->probe[i].there && holds(&w->probe[i].range, space, addr, size))
			return &w->probe[i].range;
	return NULL;
}

static bool taken(const struct world *w, const struct sx_bus_range *r)
{
	for (unsigned i = 0; i < 3; i++)
		if (overlap(w->device[i], r))
			return true;
	for (unsigned i = 0; i < PROBES; i++)
		if (w->probe[i].there && overlap(&w->probe[i].range, r))
			return true;
	return false;
}

static int expected_add(const struct world *w, const struct sx_bus_range *r)
{
	if (!r->size || (wide)r->base + r->size > UINT64_MAX)
		return -EINVAL;
	if (taken(w, r))
		return -EEXIST;
	return w->there == SX_BUS_MAX_RANGES ? -ENOSPC : 0;
}

/* ---- steps ---- */

static void add(struct world *w, unsigned i, enum sx_bus_space space, uint64_t base, uint64_t size)
{
	struct probe *p = &w->probe[i % PROBES];
	struct sx_error err = {""};
	int expected;

	/* One that is there may not be touched. */
	if (p->there)
		return;
	p->range = (struct sx_bus_range){.name = "probe",
					 .space = space,
					 .base = base,
					 .size = size,
					 .ops = &probe_ops,
					 .dev = p};
	expected = expected_add(w, &p->range);
	fuzz_require(sx_bus_add(&w->bus, &p->range, &err) == expected);
	fuzz_require((expected == 0) == (err.text[0] == '\0'));
	p->there = expected == 0;
	w->there += p->there;
}

static void fill(struct world *w, struct fuzz_input *in)
{
	unsigned count = 2 * (unsigned)fuzz_take(in, 1);
	enum sx_bus_space space = fuzz_take(in, 1) % 2 ? SX_BUS_PIO : SX_BUS_MMIO;
	uint64_t base = fuzz_take(in, 8);

	for (unsigned i = 0; i < count; i++)
		add(w, i, space, base + i * 0x1000ull, 0x1000);
}

static void remove_probe(struct world *w, unsigned i)
{
	struct probe *p = &w->probe[i % PROBES];

	/* One that is not there may be removed all the same. */
	sx_bus_remove(&w->bus, &p->range);
	w->there -= p->there;
	p->there = false;
}

static void access_bus(struct world *w, unsigned kind, unsigned size, uint64_t addr, uint64_t value)
{
	struct sx_exit x = {.kind = SX_EXIT_PIO_IN + kind % 4,
			    .size = 1 + size % 8,
			    .addr = addr,
			    .value = value};
	enum sx_bus_space space = sx_exit_space(x.kind);
	const struct sx_bus_range *r = owner(w, space, x.addr, x.size);
	uint64_t counted = r ? r->reads + r->writes : 0;
	int rc;

	fuzz_require(sx_bus_find(&w->bus, space, x.addr, x.size) == r);
	rc = sx_bus_access(&w->bus, &x);
	if (r) {
		bool ends = r == &w->debug_exit.range && x.kind == SX_EXIT_PIO_OUT;

		fuzz_require(rc == (ends ? SX_EXIT_STOP : SX_EXIT_CONTINUE));
		fuzz_require(r->reads + r->writes == counted + 1);
	} else if (w->bus.strict) {
		fuzz_require(rc == -ENXIO && x.value == value);
	} else {
		fuzz_require(rc == SX_EXIT_CONTINUE && x.value == sx_bus_all_ones(x.size));
		w->nowhere++;
	}
	fuzz_require(w->bus.nowhere == w->nowhere);
}

static void access_near(struct world *w, struct fuzz_input *in)
{
	const struct sx_bus_range *r = &w->probe[fuzz_take(in, 2) % PROBES].range;
	unsigned kind = (unsigned)fuzz_take(in, 1), size = (unsigned)fuzz_take(in, 1);
	int8_t distance = (int8_t)fuzz_take(in, 1);
	/* Its lowest bit says from where. */
	uint64_t from = distance & 1 ? r->base + r->size : r->base;

	/* The sum may wrap round. */
	access_bus(w, kind, size, from + (uint64_t)(int64_t)(distance / 2), fuzz_take(in, 8));
}

static void access_device(struct world *w, struct fuzz_input *in)
{
	const struct sx_bus_range *r = w->device[fuzz_take(in, 1) % 3];
	unsigned kind = (unsigned)fuzz_take(in, 1) % 2, size = (unsigned)fuzz_take(in, 1);
	uint64_t offset = fuzz_take(in, 1);

	access_bus(w, r->space == SX_BUS_PIO ? kind : kind + 2, size, r->base + offset,
		   fuzz_take(in, 8));
}

static void step(struct world *w, struct fuzz_input *in)
{
	unsigned a, b;
	uint64_t base;

	switch (fuzz_take(in, 1) % STEPS) {
	case ADD:
		a = (unsigned)fuzz_take(in, 2);
		b = (unsigned)fuzz_take(in, 1);
		base = fuzz_take(in, 8);
		add(w, a, b % 2 ? SX_BUS_PIO : SX_BUS_MMIO, base, fuzz_take(in, 8));
		break;
	case FILL:
		fill(w, in);
		break;
	case REMOVE:
		remove_probe(w, (unsigned)fuzz_take(in, 2));
		break;
	case ACCESS:
		a = (unsigned)fuzz_take(in, 1);
		b = (unsigned)fuzz_take(in, 1);
		base = fuzz_take(in, 8);
		access_bus(w, a, b, base, fuzz_take(in, 8));
		break;
	case NEAR:
		access_near(w, in);
		break;
	case DEVICE:
		access_device(w, in);
	}
}

static void open_world(struct world *w, bool strict)
{
	memset(w, 0, sizeof(*w));
	sx_bus_init(&w->bus, strict);
	if (sx_byte_queue_init(&w->out, NULL) || sx_byte_queue_init(&w->in, NULL))
		abort();
	sx_debug_exit_init(&w->debug_exit);
	sx_uart_init(&w->uart, &w->out, &w->in, NULL);
	sx_testdev_init(&w->testdev, NULL);
	w->testdev_range = (struct sx_bus_range){.name = "testdev",
						 .space = SX_BUS_MMIO,
						 .base = TESTDEV_GPA,
						 .size = SX_TESTDEV_SIZE,
						 .ops = &sx_testdev_bus_ops,
						 .dev = &w->testdev};
	w->device[0] = &w->debug_exit.range;
	w->device[1] = &w->uart.range;
	w->device[2] = &w->testdev_range;
	if (sx_bus_add(&w->bus, &w->debug_exit.range, NULL) ||
	    sx_bus_add(&w->bus, &w->uart.range, NULL) ||
	    sx_bus_add(&w->bus, &w->testdev_range, NULL))
		abort();
	w->there = 3;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct fuzz_input in = {data, length};
	static struct world w;

	sx_rcu_register();
	open_world(&w, fuzz_take(&in, 1) & 1);
	for (unsigned i = 0; i < MAX_STEPS && in.left; i++)
		step(&w, &in);
	sx_bus_destroy(&w.bus);
	sx_byte_queue_destroy(&w.out);
	sx_byte_queue_destroy(&w.in);
	sx_rcu_unregister();
	return 0;
}
