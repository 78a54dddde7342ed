// SPDX-License-Identifier: BSD-3-Clause
/*
 * The bus: which device answers at an address, in the memory and the port space of one VM.
 *
 * The table is RCU-protected: any RCU reader looks up without a lock, ranges come and go while
 * guests run. A device's functions are called by its one owner at a time (trap mode: the thread
 * that holds the VM's device lock; split mode: the sidecore of the range's exit server).
 */
#ifndef SX_SIDECORE_BUS_H
#define SX_SIDECORE_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"
#include "ipc/exit.h"

struct sx_exit_server;

/*
 * @offset is within the range, the access does not cross its end; @size is 1 to 8 bytes, not
 * always a power of two (KVM splits accesses at page ends). A device answers an access that its
 * registers do not allow as hardware does: it ignores the write, reads all ones, and counts it.
 * Returns an enum sx_exit_action, or a negative errno that stops the guest.
 */
struct sx_bus_ops {
	int (*read)(void *dev, uint64_t offset, unsigned size, uint64_t *value);
	int (*write)(void *dev, uint64_t offset, unsigned size, uint64_t value);
};

enum sx_bus_space {
	SX_BUS_MMIO,
	SX_BUS_PIO,
};

/* Belongs to the device; stays where it is from sx_bus_add() to sx_bus_remove(). */
struct sx_bus_range {
	const char *name;
	enum sx_bus_space space;
	uint64_t base;
	uint64_t size;
	const struct sx_bus_ops *ops;
	void *dev;
	struct sx_exit_server *owner; /* who serves it in split mode; NULL: the VM's first */
	uint64_t reads;               /* counted by the owner; relaxed */
	uint64_t writes;
};

#define SX_BUS_MAX_RANGES 256

struct sx_bus_table {
	unsigned count;
	struct sx_bus_range *range[SX_BUS_MAX_RANGES]; /* sorted by space, then base; disjoint */
};

struct sx_bus {
	struct sx_bus_table *table;    /* RCU-protected; one of the two below */
	struct sx_bus_table tables[2]; /* the other is the writer's, so removing cannot fail */
	pthread_mutex_t writers;
	bool strict;      /* an access to nowhere is -ENXIO; else reads are all ones */
	uint64_t nowhere; /* accesses to nowhere when not strict; relaxed, any thread */
};

void sx_bus_init(struct sx_bus *bus, bool strict);
/* No reader may be left. */
void sx_bus_destroy(struct sx_bus *bus);

/*
 * -EEXIST when the range overlaps one that is there, -EINVAL when it is empty or wraps round,
 * -ENOSPC when there are SX_BUS_MAX_RANGES. Not from an online RCU reader.
 */
int sx_bus_add(struct sx_bus *bus, struct sx_bus_range *r, struct sx_error *err);
/* On return nobody uses it. The calling thread must not be an online RCU reader. */
void sx_bus_remove(struct sx_bus *bus, struct sx_bus_range *r);

/*
 * Call @visit for each range, in their order. None comes or goes meanwhile; it must not take long.
 * Not from an online RCU reader.
 */
void sx_bus_each(struct sx_bus *bus, void (*visit)(void *ctx, const struct sx_bus_range *r),
		 void *ctx);

/* The range that holds all @size bytes at @addr, or NULL. RCU readers only. */
struct sx_bus_range *sx_bus_find(const struct sx_bus *bus, enum sx_bus_space space, uint64_t addr,
				 unsigned size);

/* Answer an access that no range holds; any thread. */
int sx_bus_nowhere(struct sx_bus *bus, struct sx_exit *x);

/* Let the device at x->addr handle the access. Owner of the device only. */
int sx_bus_access(struct sx_bus *bus, struct sx_exit *x);

static inline enum sx_bus_space sx_exit_space(enum sx_exit_kind kind)
{
	return kind == SX_EXIT_PIO_IN || kind == SX_EXIT_PIO_OUT ? SX_BUS_PIO : SX_BUS_MMIO;
}

/* What a read of @size bytes gives where nothing answers. */
static inline uint64_t sx_bus_all_ones(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;
}

#endif
