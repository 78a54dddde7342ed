// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ipc/rcu.h"
#include "ipc/wire/types.h"

void sx_bus_init(struct sx_bus *bus, bool strict)
{
	memset(bus, 0, sizeof(*bus));
	bus->table = &bus->tables[0];
	bus->strict = strict;
	pthread_mutex_init(&bus->writers, NULL);
}

void sx_bus_destroy(struct sx_bus *bus)
{
	pthread_mutex_destroy(&bus->writers);
}

/* Index of the first range of @space that ends after @addr, or of what follows the space. */
static unsigned search(const struct sx_bus_table *t, enum sx_bus_space space, uint64_t addr)
{
	unsigned lo = 0, hi = t->count;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		const struct sx_bus_range *r = t->range[mid];

		if (r->space > space || (r->space == space && addr < r->base + r->size))
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* The table that readers do not see; called with the writers' lock held. */
static struct sx_bus_table *spare(struct sx_bus *bus)
{
	return bus->table == &bus->tables[0] ? &bus->tables[1] : &bus->tables[0];
}

/* Show readers the table; on return none of them uses the other. */
static void publish(struct sx_bus *bus, struct sx_bus_table *fresh)
{
	rcu_assign_pointer(bus->table, fresh);
	synchronize_rcu();
}

static int add_locked(struct sx_bus *bus, struct sx_bus_range *r, struct sx_error *err)
{
	const struct sx_bus_table *old = bus->table;
	struct sx_bus_table *fresh = spare(bus);
	unsigned at = search(old, r->space, r->base);

	if (at < old->count && old->range[at]->space == r->space &&
	    old->range[at]->base < r->base + r->size)
		return sx_fail(err, -EEXIST,
			       "device range '%s' at 0x%" PRIx64 " overlaps '%s'; move one of them",
			       r->name, r->base, old->range[at]->name);
	if (old->count == SX_BUS_MAX_RANGES)
		return sx_fail(err, -ENOSPC, "a VM has at most %d device ranges",
			       SX_BUS_MAX_RANGES);
	memcpy(fresh->range, old->range, at * sizeof(old->range[0]));
	fresh->range[at] = r;
	memcpy(&fresh->range[at + 1], &old->range[at], (old->count - at) * sizeof(old->range[0]));
	fresh->count = old->count + 1;
	publish(bus, fresh);
	return 0;
}

int sx_bus_add(struct sx_bus *bus, struct sx_bus_range *r, struct sx_error *err)
{
	int rc;

	if (!r->size || r->base + r->size < r->base)
		return sx_fail(err, -EINVAL, "device range '%s' is empty or wraps round", r->name);
	pthread_mutex_lock(&bus->writers);
	rc = add_locked(bus, r, err);
	pthread_mutex_unlock(&bus->writers);
	return rc;
}

void sx_bus_remove(struct sx_bus *bus, struct sx_bus_range *r)
{
	struct sx_bus_table *fresh;
	unsigned kept = 0;

	pthread_mutex_lock(&bus->writers);
	fresh = spare(bus);
	for (unsigned i = 0; i < bus->table->count; i++)
		if (bus->table->range[i] != r)
			fresh->range[kept++] = bus->table->range[i];
	fresh->count = kept;
	publish(bus, fresh);
	pthread_mutex_unlock(&bus->writers);
}

void sx_bus_each(struct sx_bus *bus, void (*visit)(void *ctx, const struct sx_bus_range *r),
		 void *ctx)
{
	pthread_mutex_lock(&bus->writers);
	for (unsigned i = 0; i < bus->table->count; i++)
		visit(ctx, bus->table->range[i]);
	pthread_mutex_unlock(&bus->writers);
}

struct sx_bus_range *sx_bus_find(const struct sx_bus *bus, enum sx_bus_space space, uint64_t addr,
				 unsigned size)
{
	const struct sx_bus_table *t = rcu_dereference(bus->table);
	unsigned at = search(t, space, addr);
	struct sx_bus_range *r;

	if (at == t->count)
		return NULL;
	r = t->range[at];
	if (r->space != space || addr < r->base || r->size - (addr - r->base) < size)
		return NULL;
	return r;
}

int sx_bus_nowhere(struct sx_bus *bus, struct sx_exit *x)
{
	if (bus->strict)
		return -ENXIO;
	__atomic_fetch_add(&bus->nowhere, 1, __ATOMIC_RELAXED); /* a statistic: no pair */
	x->value = sx_bus_all_ones(x->size);
	return SX_EXIT_CONTINUE;
}

int sx_bus_access(struct sx_bus *bus, struct sx_exit *x)
{
	struct sx_bus_range *r = sx_bus_find(bus, sx_exit_space(x->kind), x->addr, x->size);

	if (!r)
		return sx_bus_nowhere(bus, x);
	if (sx_exit_is_read(x->kind)) {
		sx_count(&r->reads, 1);
		return r->ops->read(r->dev, x->addr - r->base, x->size, &x->value);
	}
	sx_count(&r->writes, 1);
	return r->ops->write(r->dev, x->addr - r->base, x->size, x->value);
}
