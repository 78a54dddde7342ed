// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sidecores for tests, and a poller that counts for itself.
 */
#ifndef SX_TESTS_SUPPORT_WORKER_H
#define SX_TESTS_SUPPORT_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "ipc/wire/types.h"
#include "sidecore/sidecore.h"

/* Wait for another thread to get somewhere; the runner's time limit ends a wait in vain. */
#define SX_WAIT_UNTIL(cond)         \
	do {                        \
		while (!(cond))     \
			usleep(20); \
	} while (0)

/* Sleeps as soon as it may: the hard case, and kind to a machine with few cores. */
#define SX_TEST_SLEEPY \
	((struct sx_sidecore_config){.cpu = -1, .wait = {SX_SPIN_PAUSE, 1}, .nap_ns = 50000})

/* A sidecore that runs; the test fails if it does not start. */
struct sx_sidecore *sx_test_sidecore(struct sx_sidecore_config config);
struct sx_sidecore_stats sx_test_stats(const struct sx_sidecore *sc);

/* For sx_sidecore_call(): store the thread's id in the pid_t at @ctx. */
void sx_test_note_tid(void *ctx);
/* Is the thread blocked in the kernel? */
bool sx_test_asleep(pid_t tid);

struct sx_worker {
	struct sx_poller poller;
	/* Counted by its sidecore; relaxed. */
	uint64_t calls;
	uint64_t hits;
	uint64_t done;
	uint64_t sleeps; /* calls of sleep() and awake() */
	uint64_t awakes;
	uint32_t held; /* it is in poll(), which does not return */
	/* Written by the test. */
	uint32_t todo;       /* items that the next poll finds */
	uint32_t hold;       /* poll() does not return while this is set */
	unsigned sleep_says; /* nonzero: sleep() finds work, though poll() does not */
};

void sx_worker_init(struct sx_worker *w, const char *name);
/* One that cannot be woken. */
void sx_worker_init_sleepless(struct sx_worker *w, const char *name);

static inline uint64_t sx_worker_calls(const struct sx_worker *w)
{
	return sx_load_relaxed(&w->calls);
}

/* The sidecore's counters are the worker's own. It runs nowhere. */
void sx_worker_want_counters(const struct sx_worker *w);

#endif
