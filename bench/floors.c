// SPDX-License-Identifier: BSD-3-Clause
#include "bench/floors.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <x86intrin.h>

#include "ipc/rcu.h"
#include "ipc/wire/types.h"

/* As the guest's tsc_begin() and tsc_end(), so that floor and measurement carry the same clock. */
static uint64_t tsc_begin(void)
{
	_mm_lfence();
	return __rdtsc();
}

static uint64_t tsc_end(void)
{
	uint64_t t;

	_mm_lfence();
	t = __rdtsc();
	_mm_lfence();
	return t;
}

/*
 * As many lines as testdev's ring for requests has cells: how far a line is depends on the slice of
 * the last-level cache that its address falls to, so one line alone would make the floor a lottery.
 */
#define LINES 64u

struct pingpong {
	struct {
		uint64_t word;
		uint8_t pad[56];
	} line[LINES] __attribute__((aligned(SX_CACHE_LINE)));
	uint64_t rounds;
};

/* Round i is on line i mod LINES: we write 2i + 1, the other side overwrites it with 2i + 2. */
static void answer(void *ctx)
{
	struct pingpong *p = ctx;

	for (uint64_t i = 0; i < p->rounds; i++) {
		uint64_t *word = &p->line[i % LINES].word;

		/* Acquire and release pair with those in sx_floor_pingpong(). */
		while (sx_load_acquire(word) != 2 * i + 1)
			;
		sx_store_release(word, 2 * i + 2);
	}
}

void sx_floor_pingpong(struct sx_rig *rig, uint32_t rounds, struct sx_samples *s)
{
	struct pingpong p = {.rounds = rounds};
	struct sx_mail mail;

	sx_sidecore_send(rig->sidecore, &mail, answer, &p);
	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t *word = &p.line[i % LINES].word;
		uint64_t t = tsc_begin();

		sx_store_release(word, 2 * i + 1);
		while (sx_load_acquire(word) != 2 * i + 2)
			;
		sx_samples_add(s, tsc_end() - t);
	}
	sx_mail_wait(&mail);
}

int sx_floor_kvm_run(struct sx_rig *rig, uint32_t rounds, struct sx_samples *s,
		     struct sx_error *err)
{
	struct sx_vcpu *v = &rig->machine.vcpu[0];
	int rc = 0;

	v->run->immediate_exit = 1;
	for (uint32_t i = 0; i < rounds && rc == 0; i++) {
		uint64_t t = tsc_begin();
		int r = ioctl(v->fd, KVM_RUN, 0);

		sx_samples_add(s, tsc_end() - t);
		if (r == 0 || errno != EINTR)
			rc = sx_fail(err, -EIO, "KVM_RUN did not come back at once");
	}
	v->run->immediate_exit = 0;
	return rc;
}

int sx_floor_eventfd(uint32_t rounds, struct sx_samples *s, struct sx_error *err)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const uint64_t one = 1;
	int rc = 0;

	if (fd < 0)
		return sx_fail(err, -errno, "cannot create an eventfd: %s", strerror(errno));
	for (uint32_t i = 0; i < rounds && rc == 0; i++) {
		uint64_t t = tsc_begin();
		ssize_t n = write(fd, &one, sizeof(one));

		sx_samples_add(s, tsc_end() - t);
		if (n != sizeof(one))
			rc = sx_fail(err, -EIO, "cannot write an eventfd: %s", strerror(errno));
	}
	close(fd);
	return rc;
}

static void park(void *ctx)
{
	static const struct sx_wait_policy sleep_soon = {SX_SPIN_PAUSE, 1000};
	struct sx_parking *p = ctx;

	rcu_thread_offline();
	/* Pairs with the release in sx_unpark(). */
	sx_wait_until(&sleep_soon, &p->waiter, &p->go, 1);
	rcu_thread_online();
}

void sx_park(struct sx_rig *rig, struct sx_parking *p)
{
	memset(p, 0, sizeof(*p));
	sx_sidecore_send(rig->sidecore, &p->mail, park, p);
}

void sx_unpark(struct sx_parking *p)
{
	sx_store_release(&p->go, 1u);
	sx_waiter_wake(&p->waiter);
	sx_mail_wait(&p->mail);
}
