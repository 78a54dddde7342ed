// SPDX-License-Identifier: BSD-3-Clause
/* What the engine takes for a VM entry: by the VMCS12 that is current in a benchmark's L1. */
#ifndef SX_BENCH_ENTRY_COST_H
#define SX_BENCH_ENTRY_COST_H

#include "bench/rig.h"

/*
 * Enter @rounds times, as whoever owns the engine does for VMRESUME, but for running L2: all checks
 * and the state for the back end. Each one's TSC cycles are added to @s. L1 has a current VMCS12,
 * and is not running.
 */
int sx_entry_cost(const struct sx_rig *rig, uint32_t rounds, struct sx_samples *s,
		  struct sx_error *err);

#endif
