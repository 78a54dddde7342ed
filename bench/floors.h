// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the machine itself costs: nothing that splitx does can be cheaper than these.
 *
 * All are taken on the rig's two cores, by the same two threads that the measurements run on.
 */
#ifndef SX_BENCH_FLOORS_H
#define SX_BENCH_FLOORS_H

#include "bench/rig.h"

/*
 * A cache line that the guest core's thread and the sidecore's write in turn, waiting with nothing
 * but loads: cycles of each round trip.
 */
void sx_floor_pingpong(struct sx_rig *rig, uint32_t rounds, struct sx_samples *s);

/* KVM_RUN that is told to come back at once (immediate_exit). */
int sx_floor_kvm_run(struct sx_rig *rig, uint32_t rounds, struct sx_samples *s,
		     struct sx_error *err);

/* A write to an eventfd that nobody waits for. */
int sx_floor_eventfd(uint32_t rounds, struct sx_samples *s, struct sx_error *err);

/*
 * Take the sidecore off its core: it sleeps until sx_unpark(). For a peer that is to have the
 * same two cores.
 */
struct sx_parking {
	struct sx_mail mail;
	struct sx_waiter waiter;
	uint32_t go;
};

void sx_park(struct sx_rig *rig, struct sx_parking *p);
void sx_unpark(struct sx_parking *p);

#endif
