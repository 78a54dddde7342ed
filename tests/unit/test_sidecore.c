// SPDX-License-Identifier: BSD-3-Clause
/*
 * The sidecore's loop: who runs in it and when, how it starts and stops, and that its counters
 * and its watchdog tell the truth.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/worker.h"

/* ---- add, remove, move ---- */

static void a_poller_runs_until_it_is_removed(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_worker w;
	uint64_t last;

	(void)state;
	sx_worker_init_sleepless(&w, "w");
	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = sx_worker_calls(&w);

		assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
		assert_ptr_equal(w.poller.sidecore, sc);
		assert_int_equal(sx_test_stats(sc).pollers, 1);
		SX_WAIT_UNTIL(sx_worker_calls(&w) > before);
		sx_sidecore_remove(&w.poller);
		assert_null(w.poller.sidecore);
		assert_int_equal(sx_test_stats(sc).pollers, 0);
		last = sx_worker_calls(&w);
		/* The loop goes on without it. */
		sx_sidecore_sync(sc);
		assert_int_equal(sx_worker_calls(&w), last);
	}
	sx_sidecore_stop(sc);
}

static void a_poller_cannot_be_in_two_loops(void **state)
{
	struct sx_sidecore *a = sx_test_sidecore(SX_TEST_SLEEPY),
			   *b = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_worker w;

	(void)state;
	sx_worker_init(&w, "w");
	assert_int_equal(sx_sidecore_add(a, &w.poller), 0);
	assert_int_equal(sx_sidecore_add(a, &w.poller), -EBUSY);
	assert_int_equal(sx_sidecore_add(b, &w.poller), -EBUSY);
	assert_ptr_equal(w.poller.sidecore, a);
	assert_int_equal(sx_test_stats(a).pollers, 1);
	assert_int_equal(sx_test_stats(b).pollers, 0);
	sx_sidecore_stop(a);
	sx_sidecore_stop(b);
}

static void removing_what_does_not_run_does_nothing(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_worker w;

	(void)state;
	sx_worker_init(&w, "w");
	sx_sidecore_remove(&w.poller);
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	sx_sidecore_remove(&w.poller);
	sx_sidecore_remove(&w.poller);
	assert_int_equal(sx_test_stats(sc).pollers, 0);
	/* Nor does a kick. */
	sx_poller_kick(&w.poller);
	sx_sidecore_stop(sc);
}

static void a_full_sidecore_takes_no_more(void **state)
{
	static struct sx_worker w[SX_SIDECORE_MAX_POLLERS + 1];
	struct sx_worker *late = &w[SX_SIDECORE_MAX_POLLERS];
	struct sx_sidecore *full = sx_test_sidecore(SX_TEST_SLEEPY),
			   *other = sx_test_sidecore(SX_TEST_SLEEPY);
	uint64_t before;

	(void)state;
	for (unsigned i = 0; i <= SX_SIDECORE_MAX_POLLERS; i++)
		sx_worker_init_sleepless(&w[i], "w");
	for (unsigned i = 0; i < SX_SIDECORE_MAX_POLLERS; i++)
		assert_int_equal(sx_sidecore_add(full, &w[i].poller), 0);
	assert_int_equal(sx_sidecore_add(full, &late->poller), -ENOSPC);
	assert_null(late->poller.sidecore);
	/* One that should move there stays where it is, and runs on. */
	assert_int_equal(sx_sidecore_add(other, &late->poller), 0);
	assert_int_equal(sx_sidecore_move(full, &late->poller), -ENOSPC);
	assert_ptr_equal(late->poller.sidecore, other);
	before = sx_worker_calls(late);
	SX_WAIT_UNTIL(sx_worker_calls(late) > before);
	/* With one less there is room. */
	sx_sidecore_remove(&w[100].poller);
	assert_int_equal(sx_sidecore_move(full, &late->poller), 0);
	assert_int_equal(sx_test_stats(full).pollers, SX_SIDECORE_MAX_POLLERS);
	sx_sidecore_stop(full);
	sx_sidecore_stop(other);
	for (unsigned i = 0; i <= SX_SIDECORE_MAX_POLLERS; i++) {
		assert_null(w[i].poller.sidecore);
		sx_worker_want_counters(&w[i]);
	}
}

/* Three pollers note when in the turn they were asked. */
struct queue {
	struct sx_poller poller;
	uint64_t *clock;
	uint64_t at;
};

static unsigned take_number(void *ctx)
{
	struct queue *q = ctx;

	q->at = ++*q->clock;
	return 0;
}

static void check_order(void *ctx)
{
	struct queue *q = ctx;

	/* Between turns: the last turn's numbers follow each other. */
	if (q[0].at + 1 != q[1].at || q[1].at + 1 != q[2].at)
		q[0].clock = NULL;
}

static void pollers_are_served_in_the_order_of_their_coming(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	uint64_t clock = 0;
	struct queue q[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		q[i] = (struct queue){{.name = "q", .poll = take_number, .ctx = &q[i]}, &clock, 0};
	/* The one in front goes; the order of the others stays. */
	assert_int_equal(sx_sidecore_add(sc, &q[3].poller), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sx_sidecore_add(sc, &q[i].poller), 0);
	sx_sidecore_sync(sc);
	sx_sidecore_remove(&q[3].poller);
	/* A few turns pass before the loop reads its mail again. */
	sx_sidecore_sync(sc);
	for (unsigned i = 0; i < 100; i++)
		sx_sidecore_call(sc, check_order, q);
	sx_sidecore_stop(sc);
	assert_ptr_equal(q[0].clock, &clock);
}

/* ---- calls ---- */

struct call {
	pthread_t thread;
	const struct sx_worker *during; /* a poller that must not be in its poll() */
	unsigned *order;
	unsigned number; /* its place in the order */
	unsigned bad;
};

static void note_call(void *ctx)
{
	struct call *c = ctx;

	c->thread = pthread_self();
	c->bad += c->during && sx_load_relaxed(&c->during->held);
	c->number = c->order ? ++*c->order : 0;
}

static void calls_run_on_the_sidecores_thread(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct call a = {0}, b = {0};

	(void)state;
	sx_sidecore_call(sc, note_call, &a);
	sx_sidecore_call(sc, note_call, &b);
	assert_true(pthread_equal(a.thread, b.thread));
	assert_false(pthread_equal(a.thread, pthread_self()));
	sx_sidecore_stop(sc);
}

static void mail_is_read_between_turns_and_in_order(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_mail mail[50];
	struct call call[50];
	unsigned order = 0;
	struct sx_worker w;

	(void)state;
	sx_worker_init_sleepless(&w, "w");
	sx_store_release(&w.hold, 1);
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	SX_WAIT_UNTIL(sx_load_relaxed(&w.held));
	for (unsigned i = 0; i < 50; i++) {
		call[i] = (struct call){.during = &w, .order = &order};
		sx_sidecore_send(sc, &mail[i], note_call, &call[i]);
	}
	/* The poller is in the middle of its poll: nothing is read. */
	usleep(1000);
	assert_int_equal(sx_load_relaxed(&order), 0);
	sx_store_release(&w.hold, 0);
	for (unsigned i = 0; i < 50; i++) {
		sx_mail_wait(&mail[i]);
		assert_int_equal(call[i].number, i + 1);
		assert_int_equal(call[i].bad, 0);
	}
	sx_sidecore_stop(sc);
}

static void *call_often(void *arg)
{
	struct sx_sidecore *sc = arg;
	struct call c = {0};

	for (unsigned i = 0; i < 3000; i++)
		sx_sidecore_call(sc, note_call, &c);
	return NULL;
}

static void a_sleeping_sidecore_answers_every_call(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_worker w;
	pthread_t other;

	(void)state;
	sx_worker_init(&w, "w");
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	assert_int_equal(pthread_create(&other, NULL, call_often, sc), 0);
	call_often(sc);
	pthread_join(other, NULL);
	sx_sidecore_stop(sc);
	assert_int_equal(w.sleeps, w.awakes);
}

/* ---- stop ---- */

static unsigned one_at_a_time(void *ctx)
{
	uint64_t *left = ctx;

	if (!*left)
		return 0;
	--*left;
	return 1;
}

static void stop_takes_what_was_there_before(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	/* Far more turns than pass until the loop reads that it shall stop. */
	uint64_t left = 500000;
	struct sx_poller p = {.name = "slow", .poll = one_at_a_time, .ctx = &left};

	(void)state;
	assert_int_equal(sx_sidecore_add(sc, &p), 0);
	sx_sidecore_stop(sc);
	assert_int_equal(left, 0);
	assert_int_equal(p.work, 500000);
	assert_null(p.sidecore);
}

static unsigned never_idle(void *ctx)
{
	(*(uint64_t *)ctx)++;
	return 1;
}

static void stop_ends_even_if_the_work_never_does(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	uint64_t polled = 0;
	struct sx_poller p = {.name = "busy", .poll = never_idle, .ctx = &polled};

	(void)state;
	assert_int_equal(sx_sidecore_add(sc, &p), 0);
	sx_sidecore_stop(sc);
	assert_int_equal(p.polls, polled);
	assert_int_equal(p.hits, polled);
	assert_int_equal(p.work, polled);
	assert_null(p.sidecore);
}

static void stopping_no_sidecore_is_allowed(void **state)
{
	(void)state;
	sx_sidecore_stop(NULL);
}

static void a_stopped_sidecores_pollers_can_run_elsewhere(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_worker w;
	uint64_t before;

	(void)state;
	sx_worker_init(&w, "w");
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	sx_sidecore_stop(sc);
	assert_null(w.poller.sidecore);
	before = w.calls;
	sc = sx_test_sidecore(SX_TEST_SLEEPY);
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	SX_WAIT_UNTIL(sx_worker_calls(&w) > before);
	sx_sidecore_stop(sc);
	sx_worker_want_counters(&w);
}

/* ---- start ---- */

static void a_cpu_that_is_not_there_is_refused(void **state)
{
	static const int cpus[] = {100000, 1 << 20};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct sx_sidecore_config config = SX_SIDECORE_POLL(cpus[i]);
		struct sx_sidecore *sc = NULL;
		struct sx_error err = {""};

		assert_int_equal(sx_sidecore_start(&sc, &config, &err), -EINVAL);
		assert_null(sc);
		assert_non_null(strstr(err.text, "--sidecores"));
	}
}

static void note_cpus(void *ctx)
{
	sched_getaffinity(0, sizeof(cpu_set_t), ctx);
}

static void a_sidecore_keeps_to_its_cpu(void **state)
{
	struct sx_sidecore_config config = SX_TEST_SLEEPY;
	struct sx_sidecore *sc;
	cpu_set_t mine, its;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(mine), &mine), 0);
	for (config.cpu = 0; !CPU_ISSET(config.cpu, &mine); config.cpu++)
		;
	sc = sx_test_sidecore(config);
	sx_sidecore_call(sc, note_cpus, &its);
	assert_int_equal(CPU_COUNT(&its), 1);
	assert_true(CPU_ISSET(config.cpu, &its));
	assert_int_equal(sx_test_stats(sc).cpu, config.cpu);
	sx_sidecore_stop(sc);
}

/* ---- watchdog ---- */

static void the_watchdog_names_who_holds_the_loop_once(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_watchdog dog = {0};
	struct sx_worker good, slow;
	uint64_t held_ns = 0;
	char name[32] = "";

	(void)state;
	sx_worker_init_sleepless(&good, "good");
	sx_worker_init_sleepless(&slow, "slow-device");
	assert_int_equal(sx_sidecore_add(sc, &good.poller), 0);
	assert_int_equal(sx_sidecore_add(sc, &slow.poller), 0);
	for (unsigned round = 0; round < 5; round++) {
		sx_store_release(&slow.hold, 1);
		SX_WAIT_UNTIL(sx_load_relaxed(&slow.held));
		/* The first look only learns which turn it is. */
		sx_sidecore_watch(sc, &dog, UINT64_MAX, name, sizeof(name), &held_ns);
		assert_false(sx_sidecore_watch(sc, &dog, UINT64_MAX, name, sizeof(name), &held_ns));
		strcpy(name, "");
		assert_true(sx_sidecore_watch(sc, &dog, 1, name, sizeof(name), &held_ns));
		assert_string_equal(name, "slow-device");
		assert_true(held_ns >= 1);
		/* Once for each turn. */
		assert_false(sx_sidecore_watch(sc, &dog, 1, name, sizeof(name), &held_ns));
		sx_store_release(&slow.hold, 0);
		SX_WAIT_UNTIL(!sx_load_relaxed(&slow.held));
	}
	sx_sidecore_stop(sc);
}

static void a_short_buffer_takes_a_short_name(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_watchdog dog = {0};
	char name[5] = "....";
	struct sx_worker w;
	uint64_t held_ns;

	(void)state;
	sx_worker_init_sleepless(&w, "a-name-that-is-longer-than-any-that-a-sidecore-keeps");
	sx_store_release(&w.hold, 1);
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	SX_WAIT_UNTIL(sx_load_relaxed(&w.held));
	sx_sidecore_watch(sc, &dog, 1, name, sizeof(name), &held_ns);
	SX_WAIT_UNTIL(sx_sidecore_watch(sc, &dog, 1, name, sizeof(name), &held_ns));
	assert_string_equal(name, "a-na");
	sx_store_release(&w.hold, 0);
	sx_sidecore_stop(sc);
}

static void a_loop_that_turns_is_not_accused(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_SIDECORE_POLL(-1));
	struct sx_watchdog dog = {0};
	uint64_t held_ns, before;
	struct sx_worker w;
	char name[32];

	(void)state;
	sx_worker_init_sleepless(&w, "w");
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	for (unsigned i = 0; i < 1000; i++) {
		before = sx_worker_calls(&w);
		SX_WAIT_UNTIL(sx_worker_calls(&w) > before + 1);
		assert_false(sx_sidecore_watch(sc, &dog, 0, name, sizeof(name), &held_ns));
	}
	sx_sidecore_stop(sc);
}

static void a_sidecore_that_never_had_a_poller_is_not_accused(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_watchdog dog = {0};
	uint64_t held_ns;
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_false(sx_sidecore_watch(sc, &dog, 0, name, sizeof(name), &held_ns));
	sx_sidecore_stop(sc);
}

static void a_sleeping_sidecore_is_not_accused(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_watchdog dog = {0};
	struct sx_worker w;
	uint64_t held_ns;
	unsigned sure = 0;
	char name[32];

	(void)state;
	sx_worker_init(&w, "w");
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	while (sure < 1000) {
		/* Between sleep() and awake() of its poller it sleeps, or is about to. */
		uint64_t naps = sx_load_relaxed(&w.sleeps);
		bool accused;

		if (sx_load_acquire(&w.awakes) != naps - 1)
			continue;
		accused = sx_sidecore_watch(sc, &dog, 0, name, sizeof(name), &held_ns);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (sx_load_relaxed(&w.awakes) != naps - 1)
			continue;
		assert_false(accused);
		sure++;
	}
	sx_sidecore_stop(sc);
}

/* ---- counters ---- */

static void counters_are_exact_after_moves_and_stops(void **state)
{
	struct sx_sidecore *a = sx_test_sidecore(SX_TEST_SLEEPY),
			   *b = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_worker w;

	(void)state;
	sx_worker_init_sleepless(&w, "w");
	assert_int_equal(sx_sidecore_add(a, &w.poller), 0);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t done = sx_load_relaxed(&w.done);

		sx_store_release(&w.todo, 3);
		SX_WAIT_UNTIL(sx_load_relaxed(&w.done) == done + 3);
		assert_int_equal(sx_sidecore_move(i % 2 ? a : b, &w.poller), 0);
		if (i % 50 == 0) {
			sx_sidecore_remove(&w.poller);
			sx_worker_want_counters(&w);
			assert_int_equal(sx_sidecore_add(a, &w.poller), 0);
		}
	}
	sx_sidecore_stop(a);
	sx_sidecore_stop(b);
	assert_int_equal(w.done, 600);
	assert_int_equal(w.hits, 200);
	sx_worker_want_counters(&w);
}

struct sync {
	struct sx_worker *w;
	uint64_t calls;
};

static void note_calls(void *ctx)
{
	struct sync *s = ctx;

	s->calls = s->w->calls;
}

static void sync_brings_polls_up_to_date(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_worker w;
	struct sync before = {&w, 0}, after = {&w, 0};

	(void)state;
	sx_worker_init_sleepless(&w, "w");
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	for (unsigned i = 0; i < 100; i++) {
		sx_sidecore_call(sc, note_calls, &before);
		sx_sidecore_sync(sc);
		sx_sidecore_call(sc, note_calls, &after);
		assert_in_range(w.poller.polls, before.calls, after.calls);
	}
	sx_sidecore_stop(sc);
	sx_worker_want_counters(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_poller_runs_until_it_is_removed),
		cmocka_unit_test(a_poller_cannot_be_in_two_loops),
		cmocka_unit_test(removing_what_does_not_run_does_nothing),
		cmocka_unit_test(a_full_sidecore_takes_no_more),
		cmocka_unit_test(pollers_are_served_in_the_order_of_their_coming),
		cmocka_unit_test(calls_run_on_the_sidecores_thread),
		cmocka_unit_test(mail_is_read_between_turns_and_in_order),
		cmocka_unit_test(a_sleeping_sidecore_answers_every_call),
		cmocka_unit_test(stop_takes_what_was_there_before),
		cmocka_unit_test(stop_ends_even_if_the_work_never_does),
		cmocka_unit_test(stopping_no_sidecore_is_allowed),
		cmocka_unit_test(a_stopped_sidecores_pollers_can_run_elsewhere),
		cmocka_unit_test(a_cpu_that_is_not_there_is_refused),
		cmocka_unit_test(a_sidecore_keeps_to_its_cpu),
		cmocka_unit_test(the_watchdog_names_who_holds_the_loop_once),
		cmocka_unit_test(a_short_buffer_takes_a_short_name),
		cmocka_unit_test(a_loop_that_turns_is_not_accused),
		cmocka_unit_test(a_sidecore_that_never_had_a_poller_is_not_accused),
		cmocka_unit_test(a_sleeping_sidecore_is_not_accused),
		cmocka_unit_test(counters_are_exact_after_moves_and_stops),
		cmocka_unit_test(sync_brings_polls_up_to_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
