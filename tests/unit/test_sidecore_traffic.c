// SPDX-License-Identifier: BSD-3-Clause
/*
 * Rings under traffic while their pollers move, sidecores sleep, stop and start: no request is
 * lost, and none is served twice.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/rcu.h"
#include "sidecore/ring_server.h"
#include "sidecore/testdev.h"
#include "tests/support/worker.h"

#define RINGS 2
#define ORDER 9 /* more cells than a ring server empties in one poll */

static uint8_t ring_memory[RINGS][0x9000] __attribute__((aligned(4096)));

/* A ring that a testdev serves, and its producer. */
struct line {
	struct sx_testdev dev;
	struct sx_ring_server server;
	struct sx_producer producer;
	struct sx_memmap map;
};

static void line_init(struct line *l, unsigned n, uint32_t flags)
{
	struct sx_ring_handler handler;

	sx_testdev_init(&l->dev, NULL);
	handler = sx_testdev_ring_handler(&l->dev);
	assert_int_equal(sx_memmap_init(&l->map), 0);
	assert_int_equal(sx_memmap_add(&l->map, 0, sizeof(ring_memory[n]), ring_memory[n], 0, NULL),
			 0);
	assert_int_equal(
		sx_ring_server_init(&l->server, "line", &l->map, 0, ORDER, flags, &handler, NULL),
		0);
	sx_producer_init(&l->producer, l->server.consumer.ring, ORDER);
}

static void publish(struct line *l)
{
	sx_producer_publish(&l->producer);
	if (sx_producer_must_kick(&l->producer))
		sx_poller_kick(&l->server.poller);
}

static void post(struct line *l, uint64_t number)
{
	struct sx_cell *cell;

	while (!sx_producer_room(&l->producer, 1))
		sched_yield();
	cell = sx_producer_cell(&l->producer, l->producer.next);
	cell->op = SX_TESTDEV_POST;
	memset(cell->w, 0, sizeof(cell->w));
	cell->w[0] = number;
	cell->w[1] = number;
	publish(l);
}

/* A request, sent and waited for; returns 1 if its reply was wrong. */
static unsigned echo(struct line *l, uint64_t value)
{
	uint32_t n = l->producer.next;
	struct sx_cell *cell;

	while (!sx_producer_room(&l->producer, 1))
		sched_yield();
	cell = sx_producer_cell(&l->producer, n);
	cell->op = SX_TESTDEV_ECHO;
	memset(cell->w, 0, sizeof(cell->w));
	cell->w[0] = value;
	publish(l);
	while (!sx_producer_replied(&l->producer, n))
		sched_yield();
	return sx_producer_cell(&l->producer, n)->w[0] != ~value;
}

struct traffic {
	struct line *line;
	uint32_t stop;  /* written by the test */
	uint64_t posts; /* sent, when the thread has ended */
	uint64_t echoes;
	unsigned wrong;
	pthread_t thread;
};

/* Posts for ever, and now and then a request, on all lines in turn. */
static void *make_traffic(void *arg)
{
	struct traffic *t = arg;

	sx_rcu_register();
	/* Pairs with the release in end_traffic(). */
	while (!sx_load_acquire(&t->stop)) {
		for (unsigned i = 0; i < RINGS; i++)
			post(&t->line[i], t->posts);
		t->posts++;
		if (t->posts % 16 == 0) {
			t->wrong += echo(&t->line[t->echoes % RINGS], t->echoes);
			t->echoes++;
		}
		rcu_quiescent_state();
	}
	sx_rcu_unregister();
	return NULL;
}

static void begin_traffic(struct traffic *t, struct line *line)
{
	*t = (struct traffic){.line = line};
	assert_int_equal(pthread_create(&t->thread, NULL, make_traffic, t), 0);
}

static void end_traffic(struct traffic *t)
{
	sx_store_release(&t->stop, 1);
	pthread_join(t->thread, NULL);
	assert_true(t->posts > 0);
}

/* Each ring was served completely, in order, and once. */
static void want_all_served(struct traffic *t)
{
	assert_int_equal(t->wrong, 0);
	for (unsigned i = 0; i < RINGS; i++) {
		struct line *l = &t->line[i];

		assert_int_equal(l->dev.posts, t->posts);
		assert_int_equal(l->dev.out_of_sequence, 0);
		assert_int_equal(l->dev.post_sum, t->posts * (t->posts - 1) / 2);
		assert_int_equal(l->dev.requests, (t->echoes + RINGS - 1 - i) / RINGS);
		assert_int_equal(l->server.messages, l->producer.next);
		assert_false(l->server.refused);
		assert_int_equal(l->server.poller.work, l->server.messages);
		sx_memmap_destroy(&l->map);
	}
}

struct mover {
	struct sx_poller *poller;
	struct sx_sidecore *sc[2];
	unsigned moves;
	bool by_hand; /* remove, and add later, instead of a move */
	int failures;
};

static void *hand_over(void *arg)
{
	struct mover *m = arg;

	for (unsigned i = 0; i < m->moves; i++) {
		struct sx_sidecore *to = m->sc[~i & 1];

		if (!m->by_hand) {
			m->failures += sx_sidecore_move(to, m->poller) != 0;
			continue;
		}
		sx_sidecore_remove(m->poller);
		if (i % 8 == 0)
			sched_yield();
		m->failures += sx_sidecore_add(to, m->poller) != 0;
	}
	return NULL;
}

/* Two rings are handed to and fro by two threads, in opposite directions, under traffic. */
static void run_hand_over(bool by_hand, unsigned moves)
{
	static struct line line[RINGS];
	struct sx_sidecore *a = sx_test_sidecore(SX_TEST_SLEEPY),
			   *b = sx_test_sidecore(SX_TEST_SLEEPY);
	struct mover m[RINGS] = {
		{&line[0].server.poller, {a, b}, moves, by_hand, 0},
		{&line[1].server.poller, {b, a}, moves, by_hand, 0},
	};
	struct traffic t;
	pthread_t mover;

	for (unsigned i = 0; i < RINGS; i++) {
		line_init(&line[i], i, SX_RING_KICK);
		assert_int_equal(sx_sidecore_add(m[i].sc[0], m[i].poller), 0);
	}
	begin_traffic(&t, line);
	assert_int_equal(pthread_create(&mover, NULL, hand_over, &m[0]), 0);
	hand_over(&m[1]);
	pthread_join(mover, NULL);
	end_traffic(&t);
	sx_sidecore_stop(a);
	sx_sidecore_stop(b);
	assert_int_equal(m[0].failures + m[1].failures, 0);
	want_all_served(&t);
}

static void no_request_is_lost_or_doubled_in_thousands_of_moves(void **state)
{
	(void)state;
	run_hand_over(false, 3000);
}

static void nor_while_pollers_are_removed_and_added(void **state)
{
	(void)state;
	run_hand_over(true, 3000);
}

/* A sidecore that is given back: its pollers move away, it stops, a new one takes its place. */
static void nor_while_sidecores_come_and_go(void **state)
{
	static struct line line[RINGS];
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct traffic t;

	(void)state;
	for (unsigned i = 0; i < RINGS; i++) {
		line_init(&line[i], i, SX_RING_KICK);
		assert_int_equal(sx_sidecore_add(sc, &line[i].server.poller), 0);
	}
	begin_traffic(&t, line);
	for (unsigned turn = 0; turn < 200; turn++) {
		struct sx_sidecore *next = sx_test_sidecore(SX_TEST_SLEEPY);

		for (unsigned i = 0; i < RINGS; i++)
			assert_int_equal(sx_sidecore_move(next, &line[i].server.poller), 0);
		sx_sidecore_stop(sc);
		sc = next;
	}
	end_traffic(&t);
	sx_sidecore_stop(sc);
	want_all_served(&t);
}

static void stop_empties_a_ring(void **state)
{
	struct line l;

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);

		line_init(&l, 0, SX_RING_KICK);
		for (unsigned i = 0; i < (1u << ORDER); i++)
			post(&l, i);
		assert_int_equal(sx_sidecore_add(sc, &l.server.poller), 0);
		sx_sidecore_stop(sc);
		assert_int_equal(l.dev.posts, 1u << ORDER);
		assert_true(sx_producer_drained(&l.producer));
		assert_null(l.server.poller.sidecore);
		sx_memmap_destroy(&l.map);
	}
}

static void every_kick_wakes(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct line l;

	(void)state;
	sx_rcu_register();
	rcu_thread_offline();
	line_init(&l, 0, SX_RING_KICK);
	assert_int_equal(sx_sidecore_add(sc, &l.server.poller), 0);
	/* Each round begins at another point of the way to sleep. */
	for (unsigned i = 0; i < 20000; i++) {
		for (volatile unsigned pause = i * 7 % 10000; pause; pause--)
			;
		rcu_thread_online();
		assert_int_equal(echo(&l, i), 0);
		rcu_thread_offline();
	}
	sx_rcu_unregister();
	assert_true(sx_test_stats(sc).sleeps > 0);
	sx_sidecore_stop(sc);
	assert_int_equal(l.dev.requests, 20000);
	sx_memmap_destroy(&l.map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_request_is_lost_or_doubled_in_thousands_of_moves),
		cmocka_unit_test(nor_while_pollers_are_removed_and_added),
		cmocka_unit_test(nor_while_sidecores_come_and_go),
		cmocka_unit_test(stop_empties_a_ring),
		cmocka_unit_test(every_kick_wakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
