// SPDX-License-Identifier: BSD-3-Clause
/*
 * What of a plan the guest is told: which of its vCPUs share a core, a cache, a package.
 */
#ifndef SX_GUESTCORE_PLACEMENT_GUEST_H
#define SX_GUESTCORE_PLACEMENT_GUEST_H

#include "guestcore/placement.h"

/*
 * So many vCPUs with consecutive numbers, from 0 on, are threads of one core, share their last
 * cache, lie in one package. Each is a power of two or all vCPUs, and a multiple of the one before:
 * APIC IDs can tell nothing else (SDM Vol. 3A 9.9).
 */
struct sx_cpu_shape {
	unsigned vcpus;
	unsigned per_core;
	unsigned per_cache;
	unsigned per_package;
};

/*
 * The shape of @p, or where the vCPUs' numbers do not follow the cores' places the nearest that can
 * be told: single threads in one package.
 */
struct sx_cpu_shape sx_placement_shape(const struct sx_placement *p);

#endif
