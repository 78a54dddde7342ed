// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/placement_guest.h"

#include <stdbool.h>

#include "guestcore/placement_internal.h"

enum level {
	CORE,
	CACHE,
	PACKAGE,
};

static const void *place_of(const struct sx_placement *p, unsigned vcpu, enum level level)
{
	const struct sx_place_cpu *cpu = &p->cpu[p->guest[vcpu]];

	switch (level) {
	case CORE:
		return cpu->core;
	case CACHE:
		return cpu->cache;
	case PACKAGE:
		return cpu->package;
	}
	return NULL;
}

/* Do vCPUs @first and up, at most @size, share one place that no vCPU behind them has? */
static bool is_group(const struct sx_placement *p, unsigned first, unsigned size, enum level level)
{
	const void *place = place_of(p, first, level);

	for (unsigned i = first + 1; i < p->vcpus; i++)
		if ((place_of(p, i, level) == place) != (i < first + size))
			return false;
	return true;
}

/* How many vCPUs each place of @level has, in order; 0 if that is not regular. */
static unsigned group_size(const struct sx_placement *p, enum level level)
{
	unsigned size = 1;

	while (size < p->vcpus && place_of(p, size, level) == place_of(p, 0, level))
		size++;
	if (size < p->vcpus && (size & (size - 1)))
		return 0;
	for (unsigned first = 0; first < p->vcpus; first += size)
		if (!is_group(p, first, size, level))
			return 0;
	return size;
}

struct sx_cpu_shape sx_placement_shape(const struct sx_placement *p)
{
	struct sx_cpu_shape plain = {p->vcpus, 1, p->vcpus, p->vcpus};
	struct sx_cpu_shape s = {.vcpus = p->vcpus};

	/* vCPUs that take turns on a core share nothing that the guest could use. */
	if (p->vcpus > p->n_guest)
		return plain;
	s.per_core = group_size(p, CORE);
	s.per_cache = group_size(p, CACHE);
	s.per_package = group_size(p, PACKAGE);
	if (!s.per_core || !s.per_cache || !s.per_package || s.per_core > s.per_cache ||
	    s.per_cache > s.per_package)
		return plain;
	return s;
}
