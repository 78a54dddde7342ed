// SPDX-License-Identifier: BSD-3-Clause
/*
 * Waiting is a policy, not a loop copied around.
 *
 * Two users: a thread that waits for one word to change (a vCPU thread for its reply), and a
 * sidecore that has nothing to do. Both spin first, in the way the policy names, and after a set
 * idle time sleep in the kernel until somebody wakes them.
 */
#ifndef SX_IPC_WAIT_H
#define SX_IPC_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"

enum sx_spin {
	SX_SPIN_HOT,    /* load, compare, load: lowest latency */
	SX_SPIN_PAUSE,  /* PAUSE between loads: leaves an SMT sibling its share */
	SX_SPIN_UMWAIT, /* UMONITOR/UMWAIT, where CPUID.7:ECX.WAITPKG[5] is set */
};

struct sx_wait_policy {
	enum sx_spin spin;
	uint64_t idle_ns; /* sleep in the kernel after spinning this long; 0: never sleep */
};

/* Never sleeps. What a dedicated core wants. */
#define SX_WAIT_POLL ((struct sx_wait_policy){SX_SPIN_HOT, 0})

/*
 * From text: "hot", "pause" or "umwait", and optionally ":MICROSECONDS" of spinning before sleep.
 * -EINVAL with a sentence for anything else; -ENOTSUP for umwait on a processor without WAITPKG.
 */
int sx_wait_policy_parse(struct sx_wait_policy *p, const char *text, struct sx_error *err);

/* Can this processor UMWAIT? */
bool sx_have_waitpkg(void);

/* One breath of a spin loop by policy, watching the line at @word (for UMWAIT). Any thread. */
void sx_wait_breath(const struct sx_wait_policy *p, const void *word);

/*
 * A thread that may sleep until another wakes it. The two use it so:
 *   sleeper: sx_waiter_arm(); look for work again; if none, sx_waiter_sleep(); sx_waiter_disarm()
 *   waker:   publish work; sx_waiter_wake()
 * The waker pays one fence and one load while the sleeper is awake.
 */
struct sx_waiter {
	uint32_t asleep; /* futex word: 1 while armed. Written by both; own cache line */
	uint8_t pad[60];
} __attribute__((aligned(64)));

void sx_waiter_arm(struct sx_waiter *w);
/* Sleeps until woken, or @timeout_ns passed (0: no limit), or a signal came. */
void sx_waiter_sleep(struct sx_waiter *w, uint64_t timeout_ns);
void sx_waiter_disarm(struct sx_waiter *w);
void sx_waiter_wake(struct sx_waiter *w);

/*
 * Wait until *@word, loaded with acquire, is @want. Sleeps on @waiter by @policy; whoever stores
 * @want then calls sx_waiter_wake(). @waiter may be NULL when the policy never sleeps.
 */
void sx_wait_until(const struct sx_wait_policy *policy, struct sx_waiter *waiter,
		   const uint32_t *word, uint32_t want);

/* CLOCK_MONOTONIC in ns. */
uint64_t sx_now_ns(void);

#endif
