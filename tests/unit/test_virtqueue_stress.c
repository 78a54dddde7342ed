// SPDX-License-Identifier: BSD-3-Clause
/*
 * A driver and a device on two threads, each at its own pace, through small rings so that both
 * often find nothing: every request comes back with its bytes, and nobody is left asleep. Both
 * sleep in earnest: a side that finds nothing waits until it is notified, so a notification that
 * is not sent when it should be is a hang.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/virtio_config.h>
#include <pthread.h>
#include <sched.h>

#include "ipc/rcu.h"
#include "ipc/wire/types.h"
#include "tests/support/virtio_pair.h"

#define BIT(f)    (1ull << (f))
#define REQUESTS  20000u
#define MAX_RING  64
#define MAX_BATCH 16
#define MAX_SEGS  4
#define WORDS     4ul /* of a buffer */
#define BASE      0x100000

struct both {
	struct vd_memory memory;
	struct vd_queue driver;
	struct sx_virtqueue device;
	sx_gpa buffers; /* for each entry one to read and one to write */
	uint32_t kicked __attribute__((aligned(SX_CACHE_LINE)));
	uint32_t interrupted __attribute__((aligned(SX_CACHE_LINE)));
	uint64_t wrong; /* the device's count of what it should not have seen */
};

/* ---- notifications: a counter each way ---- */

static void ring_bell(uint32_t *bell)
{
	__atomic_fetch_add(bell, 1, __ATOMIC_RELEASE); /* pairs with the acquire in wait_for() */
}

static void wait_for(const uint32_t *bell, uint32_t *seen)
{
	uint32_t now;

	while ((now = sx_load_acquire(bell)) == *seen) /* pairs with ring_bell() */
		sched_yield();
	*seen = now;
}

static void interrupt(void *ctx, struct sx_virtqueue *vq)
{
	struct both *p = ctx;

	(void)vq;
	ring_bell(&p->interrupted);
}

/* ---- the device's thread ---- */

/* The answer to a request is each of its words turned over. */
static void answer(struct both *p, const struct sx_vq_chain *c, uint64_t expect)
{
	uint64_t words[WORDS] = {0};

	p->wrong += sx_vq_read(c, 0, words, sizeof(words)) != sizeof(words);
	for (unsigned i = 0; i < WORDS; i++) {
		p->wrong += words[i] != expect * WORDS + i;
		words[i] = ~words[i];
	}
	p->wrong += sx_vq_write(c, 0, words, sizeof(words)) != sizeof(words);
	sx_virtqueue_push(&p->device, c, sizeof(words));
}

static void *run_device(void *arg)
{
	struct both *p = arg;
	struct sx_vq_chain chain[MAX_BATCH];
	struct iovec pool[MAX_BATCH * MAX_SEGS];
	uint64_t done = 0;
	uint32_t seen = 0;

	sx_rcu_register();
	while (done < REQUESTS && !p->device.broken) {
		unsigned n = sx_virtqueue_pop(&p->device, chain, 1 + done % MAX_BATCH, pool,
					      MAX_BATCH * MAX_SEGS);

		for (unsigned i = 0; i < n; i++)
			answer(p, &chain[i], done++);
		sx_virtqueue_flush(&p->device);
		if (n || done == REQUESTS)
			continue;
		if (!sx_virtqueue_enable_notify(&p->device)) {
			rcu_thread_offline();
			wait_for(&p->kicked, &seen);
			rcu_thread_online();
		}
		sx_virtqueue_disable_notify(&p->device);
	}
	sx_rcu_unregister();
	return NULL;
}

/* ---- the driver's thread ---- */

/* Request number @n uses the buffers of entry n modulo the ring's size. */
static uint64_t *buffer(struct both *p, uint64_t n, bool answer_half)
{
	return vd_at(&p->memory, p->buffers + (n % p->driver.size * 2 + answer_half) * WORDS *
						      sizeof(uint64_t));
}

static void add(struct both *p, uint64_t n)
{
	uint64_t *words = buffer(p, n, false);
	sx_gpa gpa = p->buffers + n % p->driver.size * 2 * WORDS * sizeof(uint64_t);
	/* One half in two pieces, so that indirect tables and chains have something to do. */
	const struct vd_buffer b[] = {
		{gpa, 8}, {gpa + 8, WORDS * 8 - 8}, {gpa + WORDS * 8, WORDS * 8}};

	for (unsigned i = 0; i < WORDS; i++)
		words[i] = n * WORDS + i;
	assert_int_equal(vd_add(&p->driver, b, 2, 1, words), 0);
}

/* How many requests the ring holds at once. */
static unsigned capacity(const struct both *p)
{
	return p->driver.indirect ? p->driver.size : p->driver.size / 3;
}

static unsigned take(struct both *p, uint64_t *next)
{
	unsigned n = 0;
	uint32_t len;
	void *token;
	int rc;

	while ((rc = vd_take(&p->driver, &token, &len)) == 1) {
		uint64_t number = *next + n++;
		const uint64_t *words = buffer(p, number, true);

		assert_ptr_equal(token, buffer(p, number, false));
		assert_int_equal(len, WORDS * sizeof(uint64_t));
		for (unsigned i = 0; i < WORDS; i++)
			assert_int_equal(words[i], ~(number * WORDS + i));
	}
	assert_int_equal(rc, 0);
	*next += n;
	return n;
}

static void run_driver(struct both *p)
{
	uint64_t added = 0, taken = 0;
	uint32_t seen = 0;

	vd_want_interrupt(&p->driver, false);
	while (taken < REQUESTS) {
		unsigned burst = 1 + (unsigned)(added * 7 % capacity(p));

		while (added < REQUESTS && added - taken < capacity(p) && burst--)
			add(p, added++);
		if (vd_publish(&p->driver))
			ring_bell(&p->kicked);
		if (take(p, &taken) || taken == REQUESTS)
			continue;
		if (added < REQUESTS && added - taken < capacity(p))
			continue;
		if (!vd_want_interrupt(&p->driver, true))
			wait_for(&p->interrupted, &seen);
		vd_want_interrupt(&p->driver, false);
	}
}

static void run_both(uint16_t size, uint64_t features)
{
	struct both *p = aligned_alloc(SX_CACHE_LINE, sizeof(*p));
	struct sx_vq_setup setup;
	struct sx_dma dma;
	pthread_t thread;

	assert_non_null(p);
	memset(p, 0, sizeof(*p));
	vd_memory_init(&p->memory, BASE, 1 << 20);
	vd_queue_init(&p->driver, &p->memory, size, features);
	p->buffers = vd_alloc(&p->memory, 2ull * size * WORDS * sizeof(uint64_t), 64);
	dma = (struct sx_dma){.memory = &p->memory.map};
	assert_int_equal(sx_virtqueue_init(&p->device, 0, MAX_RING, MAX_SEGS, &dma, NULL), 0);
	p->device.interrupt = interrupt;
	p->device.interrupt_ctx = p;
	setup = vd_queue_setup(&p->driver);
	assert_int_equal(sx_virtqueue_start(&p->device, &setup), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_device, p), 0);
	run_driver(p);
	pthread_join(thread, NULL);
	assert_null(p->device.fault);
	assert_int_equal(p->wrong, 0);
	assert_int_equal(p->device.stats.requests, REQUESTS);
	assert_int_equal(p->device.stats.interrupts, sx_load_relaxed(&p->interrupted));
	assert_int_equal(p->driver.kicks, p->kicked);
	sx_virtqueue_destroy(&p->device);
	vd_queue_destroy(&p->driver);
	vd_memory_destroy(&p->memory);
	free(p);
}

static void run_all(uint64_t format, const uint16_t *sizes, unsigned count)
{
	const uint64_t choice[] = {BIT(VIRTIO_RING_F_INDIRECT_DESC), BIT(VIRTIO_RING_F_EVENT_IDX),
				   BIT(VIRTIO_F_IN_ORDER)};

	rcu_thread_offline();
	for (unsigned pick = 0; pick < 8; pick++) {
		uint64_t features = format;

		for (unsigned i = 0; i < 3; i++)
			features |= pick >> i & 1 ? choice[i] : 0;
		for (unsigned i = 0; i < count; i++)
			run_both(sizes[i], features);
	}
	rcu_thread_online();
}

static void split_rings_between_two_threads(void **state)
{
	const uint16_t sizes[] = {4, 64};

	(void)state;
	run_all(0, sizes, 2);
}

static void packed_rings_between_two_threads(void **state)
{
	const uint16_t sizes[] = {3, 61};

	(void)state;
	run_all(BIT(VIRTIO_F_RING_PACKED), sizes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_rings_between_two_threads),
		cmocka_unit_test(packed_rings_between_two_threads),
	};

	return cmocka_run_group_tests(tests, pair_set_up, pair_tear_down);
}
