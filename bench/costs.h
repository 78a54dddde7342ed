// SPDX-License-Identifier: BSD-3-Clause
/*
 * What having splitx costs, besides the time of an operation: idle pollers, memory, start-up.
 */
#ifndef SX_BENCH_COSTS_H
#define SX_BENCH_COSTS_H

#include "bench/rig.h"

/*
 * ns that one idle poller adds to a turn of the loop, with @count ring pollers (each watches a
 * ring of its own) on the rig's sidecore.
 */
int sx_cost_idle_poller(struct sx_rig *rig, unsigned count, double *ns, struct sx_error *err);

/* A `splitx run` in split mode as a user starts it, on the rig's cores. */
struct sx_cost_process {
	double private_kib;   /* private memory, the guest's own left out */
	double resident_kib;  /* the same with the pages of programs and libraries, shared or not */
	double first_exit_ms; /* exec until the guest's first exit; median */
	unsigned starts;      /* how often that was taken */
};

int sx_cost_process(const struct sx_rig *rig, unsigned starts, struct sx_cost_process *cost,
		    struct sx_error *err);

#endif
