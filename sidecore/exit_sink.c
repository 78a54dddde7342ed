// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/exit_sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/rcu.h"
#include "ipc/wire/ring.h"
#include "sidecore/sidecore.h"

/* ---- trap ---- */

static int trap_handle(void *ctx, struct sx_exit *x)
{
	struct sx_trap_sink *t = ctx;
	int rc;

	/* Who holds the lock may be changing the bus, and wait for a grace period: not for us. */
	rcu_thread_offline();
	pthread_mutex_lock(&t->lock);
	rcu_thread_online();
	rc = sx_bus_access(t->bus, x);
	pthread_mutex_unlock(&t->lock);
	return rc;
}

void sx_trap_sink_init(struct sx_trap_sink *t, struct sx_bus *bus)
{
	t->bus = bus;
	pthread_mutex_init(&t->lock, NULL);
}

void sx_trap_sink_destroy(struct sx_trap_sink *t)
{
	pthread_mutex_destroy(&t->lock);
}

struct sx_exit_sink sx_trap_sink(struct sx_trap_sink *t)
{
	return (struct sx_exit_sink){.handle = trap_handle, .ctx = t};
}

/* ---- split ---- */

/* The words of an exit's cell; `op` is the kind and `arg` the size. */
enum exit_word {
	WORD_ADDR,
	WORD_VALUE,  /* written value; in the reply what was read */
	WORD_RESULT, /* reply: enum sx_exit_action or a negative errno */
};

struct sx_exit_lane {
	struct sx_producer producer; /* the vCPU's thread */
	struct sx_waiter waiter;     /* where that thread sleeps */
	struct sx_consumer consumer __attribute__((aligned(SX_CACHE_LINE))); /* the sidecore */
	struct sx_ring *ring;
};

static int split_handle(void *ctx, struct sx_exit *x)
{
	struct sx_split_sink *sink = ctx;
	struct sx_bus_range *r = sx_bus_find(sink->bus, sx_exit_space(x->kind), x->addr, x->size);
	struct sx_exit_server *s = r && r->owner ? r->owner : sink->first;
	struct sx_exit_lane *lane = &s->lane[x->vcpu];
	struct sx_cell *cell = sx_producer_cell(&lane->producer, lane->producer.next);
	uint32_t n;

	if (!r)
		return sx_bus_nowhere(sink->bus, x);
	cell->op = (uint16_t)x->kind;
	cell->arg = (uint16_t)x->size;
	cell->w[WORD_ADDR] = x->addr;
	cell->w[WORD_VALUE] = x->value;
	n = sx_producer_publish(&lane->producer);
	if (s->wait.idle_ns && sx_producer_must_kick(&lane->producer))
		sx_poller_kick(&s->poller);
	/* The reply may be long in coming: hold no grace period up meanwhile. */
	rcu_thread_offline();
	sx_wait_until(&s->wait, &lane->waiter, &cell->turn, sx_turn_reply(n));
	rcu_thread_online();
	x->value = cell->w[WORD_VALUE];
	return (int)(int64_t)cell->w[WORD_RESULT];
}

struct sx_exit_sink sx_split_sink(struct sx_split_sink *s)
{
	return (struct sx_exit_sink){.handle = split_handle, .ctx = s};
}

/* Not inlined: a poll that finds nothing has no use for its frame. */
static __attribute__((noinline)) void serve(struct sx_exit_server *s, unsigned vcpu)
{
	struct sx_exit_lane *lane = &s->lane[vcpu];
	struct sx_cell *cell = sx_consumer_cell(&lane->consumer);
	struct sx_exit x = {
		.kind = (enum sx_exit_kind)cell->op,
		.size = cell->arg,
		.vcpu = vcpu,
		.addr = cell->w[WORD_ADDR],
		.value = cell->w[WORD_VALUE],
	};
	int rc = sx_bus_access(s->bus, &x);

	cell->w[WORD_VALUE] = x.value;
	cell->w[WORD_RESULT] = (uint64_t)(int64_t)rc;
	sx_consumer_reply(&lane->consumer);
	if (s->wait.idle_ns)
		sx_waiter_wake(&lane->waiter);
}

static unsigned poll_lanes(void *ctx)
{
	struct sx_exit_server *s = ctx;
	unsigned served = 0;

	for (unsigned i = 0; i < s->vcpus; i++) {
		if (sx_consumer_peek(&s->lane[i].consumer) != SX_PEEK_MESSAGE)
			continue;
		serve(s, i);
		served++;
	}
	if (served)
		sx_count(&s->served, served);
	return served;
}

static unsigned lanes_sleep(void *ctx)
{
	struct sx_exit_server *s = ctx;

	for (unsigned i = 0; i < s->vcpus; i++)
		sx_consumer_arm(&s->lane[i].consumer);
	for (unsigned i = 0; i < s->vcpus; i++)
		if (sx_consumer_peek(&s->lane[i].consumer) == SX_PEEK_MESSAGE)
			return 1;
	return 0;
}

static void lanes_awake(void *ctx)
{
	struct sx_exit_server *s = ctx;

	for (unsigned i = 0; i < s->vcpus; i++)
		sx_consumer_disarm(&s->lane[i].consumer);
}

static int lane_init(struct sx_exit_lane *lane)
{
	const uint32_t order = 0; /* a vCPU has one exit at a time */
	size_t bytes = (sx_ring_bytes(order) + SX_CACHE_LINE - 1) & ~(size_t)(SX_CACHE_LINE - 1);

	lane->ring = aligned_alloc(SX_CACHE_LINE, bytes);
	if (!lane->ring)
		return -ENOMEM;
	memset(lane->ring, 0, bytes);
	sx_ring_format(lane->ring, order, SX_RING_KICK);
	sx_producer_init(&lane->producer, lane->ring, order);
	sx_consumer_init(&lane->consumer, lane->ring, order);
	return 0;
}

int sx_exit_server_init(struct sx_exit_server *s, struct sx_bus *bus, unsigned vcpus,
			const struct sx_wait_policy *wait, struct sx_error *err)
{
	memset(s, 0, sizeof(*s));
	s->bus = bus;
	s->wait = *wait;
	s->lane = aligned_alloc(SX_CACHE_LINE, vcpus * sizeof(*s->lane));
	if (!s->lane)
		return sx_fail(err, -ENOMEM, "no memory for the exits of %u vCPUs", vcpus);
	memset(s->lane, 0, vcpus * sizeof(*s->lane));
	for (; s->vcpus < vcpus; s->vcpus++)
		if (lane_init(&s->lane[s->vcpus]) < 0) {
			sx_exit_server_destroy(s);
			return sx_fail(err, -ENOMEM, "no memory for the exits of %u vCPUs", vcpus);
		}
	s->poller = (struct sx_poller){.name = "exits", .poll = poll_lanes, .ctx = s};
	if (wait->idle_ns) {
		s->poller.sleep = lanes_sleep;
		s->poller.awake = lanes_awake;
	}
	return 0;
}

void sx_exit_server_destroy(struct sx_exit_server *s)
{
	for (unsigned i = 0; i < s->vcpus; i++)
		free(s->lane[i].ring);
	free(s->lane);
	s->lane = NULL;
	s->vcpus = 0;
}
