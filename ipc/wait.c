// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/wait.h"

#include <cpuid.h>
#include <errno.h>
#include <immintrin.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ipc/wire/types.h"

/*
 * UMWAIT wakes at this many TSC cycles at the latest: the word may have changed between our load
 * and UMONITOR, and a sidecore has other words to look at.
 */
#define UMWAIT_CYCLES 2000

/* How many breaths between two looks at the clock. */
#define BREATHS_PER_CLOCK 256

uint64_t sx_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool sx_have_waitpkg(void)
{
	unsigned a, b, c, d;

	/* SDM Vol. 2A, CPUID leaf 7 subleaf 0: ECX bit 5, WAITPKG. */
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & (1u << 5));
}

int sx_wait_policy_parse(struct sx_wait_policy *p, const char *text, struct sx_error *err)
{
	static const struct {
		const char *name;
		enum sx_spin spin;
	} names[] = {{"hot", SX_SPIN_HOT}, {"pause", SX_SPIN_PAUSE}, {"umwait", SX_SPIN_UMWAIT}};
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	char *end;

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		unsigned long long us = 0;

		if (strlen(names[i].name) != len || strncmp(names[i].name, text, len) != 0)
			continue;
		if (names[i].spin == SX_SPIN_UMWAIT && !sx_have_waitpkg())
			return sx_fail(err, -ENOTSUP,
				       "this processor has no UMWAIT (CPUID WAITPKG); use 'pause'");
		if (colon) {
			errno = 0;
			us = strtoull(colon + 1, &end, 10);
			if (colon[1] < '0' || colon[1] > '9' || *end || errno || !us ||
			    us > 1000000000u)
				break;
		}
		*p = (struct sx_wait_policy){names[i].spin, us * 1000};
		return 0;
	}
	return sx_fail(err, -EINVAL,
		       "'%s' is no wait policy; use hot, pause or umwait, optionally followed by "
		       ":MICROSECONDS after which to sleep",
		       text);
}

__attribute__((target("waitpkg"))) static void umwait(const void *word)
{
	_umonitor((void *)(uintptr_t)word);
	/* Control bit 0 set is C0.1, the faster wake-up (SDM Vol. 2B, UMWAIT). */
	_umwait(1, __rdtsc() + UMWAIT_CYCLES);
}

void sx_wait_breath(const struct sx_wait_policy *p, const void *word)
{
	if (p->spin == SX_SPIN_PAUSE)
		sx_pause();
	else if (p->spin == SX_SPIN_UMWAIT)
		umwait(word);
}

static long futex(uint32_t *word, int op, uint32_t val, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, val, timeout, NULL, 0);
}

void sx_waiter_arm(struct sx_waiter *w)
{
	sx_store_relaxed(&w->asleep, 1u);
	/* `asleep` before the second look for work; pairs with the fence in sx_waiter_wake(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void sx_waiter_sleep(struct sx_waiter *w, uint64_t timeout_ns)
{
	struct timespec t = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
			     .tv_nsec = (long)(timeout_ns % 1000000000u)};

	/* Returns at once if the waker has already cleared the word. */
	futex(&w->asleep, FUTEX_WAIT_PRIVATE, 1, timeout_ns ? &t : NULL);
}

void sx_waiter_disarm(struct sx_waiter *w)
{
	sx_store_relaxed(&w->asleep, 0u);
}

void sx_waiter_wake(struct sx_waiter *w)
{
	/* The published work before `asleep`; pairs with the fence in sx_waiter_arm(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!sx_load_relaxed(&w->asleep))
		return;
	sx_store_relaxed(&w->asleep, 0u);
	futex(&w->asleep, FUTEX_WAKE_PRIVATE, 1, NULL);
}

static void sleep_until(struct sx_waiter *waiter, const uint32_t *word, uint32_t want)
{
	/* Each acquire of *word in this file pairs with the caller's peer, who stores it. */
	while (sx_load_acquire(word) != want) {
		sx_waiter_arm(waiter);
		if (sx_load_acquire(word) != want)
			sx_waiter_sleep(waiter, 0);
		sx_waiter_disarm(waiter);
	}
}

void sx_wait_until(const struct sx_wait_policy *policy, struct sx_waiter *waiter,
		   const uint32_t *word, uint32_t want)
{
	uint64_t deadline = 0;

	for (unsigned n = 1; sx_load_acquire(word) != want; n++) {
		sx_wait_breath(policy, word);
		if (!policy->idle_ns || n % BREATHS_PER_CLOCK)
			continue;
		if (!deadline)
			deadline = sx_now_ns() + policy->idle_ns;
		else if (sx_now_ns() >= deadline) {
			sleep_until(waiter, word, want);
			return;
		}
	}
}
