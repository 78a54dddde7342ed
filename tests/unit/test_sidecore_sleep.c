// SPDX-License-Identifier: BSD-3-Clause
/*
 * A sidecore sleeps when it has nothing to do, and no longer than that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/rcu.h"
#include "tests/support/worker.h"

static void its_eventfd_wakes_as_a_kick_does(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	const uint64_t one = 1;
	struct sx_worker w;
	pid_t tid;

	(void)state;
	sx_worker_init(&w, "w");
	sx_sidecore_call(sc, sx_test_note_tid, &tid);
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	for (unsigned i = 1; i <= 100; i++) {
		SX_WAIT_UNTIL(sx_test_asleep(tid));
		sx_store_release(&w.todo, 1);
		/* As KVM_IOEVENTFD does. */
		assert_int_equal(write(sx_sidecore_kick_fd(sc), &one, sizeof(one)), sizeof(one));
		SX_WAIT_UNTIL(sx_load_relaxed(&w.done) == i);
	}
	sx_sidecore_stop(sc);
	sx_worker_want_counters(&w);
	assert_int_equal(w.sleeps, w.awakes);
}

static void with_a_poller_that_cannot_be_woken_it_only_naps(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_worker can, cannot;
	uint64_t sleeps;

	(void)state;
	sx_worker_init(&can, "can");
	sx_worker_init_sleepless(&cannot, "cannot");
	assert_int_equal(sx_sidecore_add(sc, &can.poller), 0);
	assert_int_equal(sx_sidecore_add(sc, &cannot.poller), 0);
	for (unsigned i = 1; i <= 100; i++) {
		/* It naps again and again by itself. */
		sleeps = sx_test_stats(sc).sleeps;
		SX_WAIT_UNTIL(sx_test_stats(sc).sleeps > sleeps + 1);
		/* And finds work that nobody told it of. */
		sx_store_release(&cannot.todo, 1);
		SX_WAIT_UNTIL(sx_load_relaxed(&cannot.done) == i);
	}
	/* Without the sleepless one it sleeps until it is kicked. */
	sx_sidecore_remove(&cannot.poller);
	sx_store_release(&can.todo, 1);
	sx_poller_kick(&can.poller);
	SX_WAIT_UNTIL(sx_load_relaxed(&can.done) == 1);
	sx_sidecore_stop(sc);
	sx_worker_want_counters(&cannot);
}

static void between_two_naps_it_looks_once(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_sidecore_stats first, last;
	struct sx_worker w;

	(void)state;
	sx_worker_init_sleepless(&w, "w");
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	SX_WAIT_UNTIL(sx_test_stats(sc).sleeps > 10);
	first = sx_test_stats(sc);
	SX_WAIT_UNTIL(sx_test_stats(sc).sleeps > first.sleeps + 100);
	last = sx_test_stats(sc);
	/* Counters are read one by one while they grow. */
	assert_in_range(last.turns - first.turns, last.sleeps - first.sleeps - 2,
			last.sleeps - first.sleeps + 2);
	sx_sidecore_stop(sc);
	sx_worker_want_counters(&w);
}

static void a_nap_may_be_longer_than_a_second(void **state)
{
	struct sx_sidecore_config config = SX_TEST_SLEEPY;
	struct sx_sidecore *sc;
	struct sx_worker w;
	pid_t tid;

	(void)state;
	config.nap_ns = 3600ull * 1000000000u;
	sc = sx_test_sidecore(config);
	sx_worker_init_sleepless(&w, "w");
	sx_sidecore_call(sc, sx_test_note_tid, &tid);
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	SX_WAIT_UNTIL(sx_test_asleep(tid));
	sx_store_release(&w.todo, 1);
	sx_sidecore_kick(sc);
	SX_WAIT_UNTIL(sx_load_relaxed(&w.done) == 1);
	sx_sidecore_stop(sc);
}

static void a_poller_that_has_work_already_prevents_sleep(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_worker first, busy, last;
	uint64_t naps;

	(void)state;
	sx_worker_init(&first, "first");
	sx_worker_init(&busy, "busy");
	sx_worker_init(&last, "last");
	busy.sleep_says = 1;
	assert_int_equal(sx_sidecore_add(sc, &first.poller), 0);
	assert_int_equal(sx_sidecore_add(sc, &busy.poller), 0);
	assert_int_equal(sx_sidecore_add(sc, &last.poller), 0);
	naps = sx_test_stats(sc).sleeps;
	SX_WAIT_UNTIL(sx_load_relaxed(&busy.sleeps) >= 10);
	assert_int_equal(sx_test_stats(sc).sleeps, naps);
	sx_sidecore_stop(sc);
	/* Who was asked to sleep is told that it is awake, and nobody else. */
	assert_int_equal(first.sleeps, first.awakes);
	assert_int_equal(busy.sleeps, busy.awakes);
	assert_int_equal(last.sleeps, 0);
	assert_int_equal(last.awakes, 0);
}

static void a_sidecore_that_polls_sleeps_only_without_pollers(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_SIDECORE_POLL(-1));
	struct sx_worker w;
	uint64_t naps;
	pid_t tid;

	(void)state;
	sx_worker_init(&w, "w");
	sx_sidecore_call(sc, sx_test_note_tid, &tid);
	SX_WAIT_UNTIL(sx_test_asleep(tid));
	assert_int_equal(sx_sidecore_add(sc, &w.poller), 0);
	naps = sx_test_stats(sc).sleeps;
	SX_WAIT_UNTIL(sx_worker_calls(&w) > 100000);
	assert_int_equal(sx_test_stats(sc).sleeps, naps);
	sx_sidecore_remove(&w.poller);
	SX_WAIT_UNTIL(sx_test_asleep(tid));
	sx_sidecore_stop(sc);
	assert_int_equal(w.sleeps, 0);
	sx_worker_want_counters(&w);
}

static void a_sidecore_holds_up_no_grace_period(void **state)
{
	struct sx_sidecore *sleeps = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_sidecore *polls = sx_test_sidecore(SX_SIDECORE_POLL(-1));
	struct sx_worker w[2];
	pid_t tid;

	(void)state;
	sx_sidecore_call(sleeps, sx_test_note_tid, &tid);
	sx_worker_init(&w[0], "w");
	sx_worker_init(&w[1], "w");
	assert_int_equal(sx_sidecore_add(sleeps, &w[0].poller), 0);
	assert_int_equal(sx_sidecore_add(polls, &w[1].poller), 0);
	for (unsigned i = 0; i < 20; i++) {
		SX_WAIT_UNTIL(sx_test_asleep(tid));
		synchronize_rcu();
	}
	sx_sidecore_stop(sleeps);
	sx_sidecore_stop(polls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_eventfd_wakes_as_a_kick_does),
		cmocka_unit_test(with_a_poller_that_cannot_be_woken_it_only_naps),
		cmocka_unit_test(between_two_naps_it_looks_once),
		cmocka_unit_test(a_nap_may_be_longer_than_a_second),
		cmocka_unit_test(a_poller_that_has_work_already_prevents_sleep),
		cmocka_unit_test(a_sidecore_that_polls_sleeps_only_without_pollers),
		cmocka_unit_test(a_sidecore_holds_up_no_grace_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
