// SPDX-License-Identifier: BSD-3-Clause
/*
 * A poller: a function that looks for work, and its context. It runs on one sidecore at a time,
 * and everything it owns (a ring's consumer, a device) belongs to that thread meanwhile.
 */
#ifndef SX_SIDECORE_POLLER_H
#define SX_SIDECORE_POLLER_H

#include <stdint.h>

struct sx_poller {
	const char *name; /* shown in statistics; lives as long as the poller */

	/* Look once; do a bounded amount of work. Returns how many items were done, 0 if none. */
	unsigned (*poll)(void *ctx);
	/*
	 * Optional, both or neither: the sidecore is about to sleep. sleep() makes the other side
	 * wake it from now on (ipc/wire/ring.h, `asleep`) and returns nonzero if there is work
	 * already. With a poller that has no sleep(), the sidecore only naps (sx_sidecore_config).
	 */
	unsigned (*sleep)(void *ctx);
	void (*awake)(void *ctx);
	void *ctx;

	/* Counters, written by the sidecore that runs it; others look by sx_poller_stats(). */
	uint64_t polls;    /* times it was asked; brought up to date by sx_sidecore_sync() */
	uint64_t hits;     /* times it had work */
	uint64_t work;     /* items done */
	uint64_t busy_tsc; /* TSC cycles of the turns' parts that ended with a hit; an estimate */

	/* Where it runs; the sidecore's business. */
	struct sx_sidecore *sidecore;
	uint64_t turn_joined;
};

#endif
