// SPDX-License-Identifier: BSD-3-Clause
/* ipc/wait.h: what a policy may be called, and that nobody who sleeps is forgotten. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/wait.h"
#include "ipc/wire/types.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- policies ---- */

static void policies_are_parsed(void **state)
{
	static const struct {
		const char *text;
		struct sx_wait_policy policy;
	} good[] = {
		{"hot", {SX_SPIN_HOT, 0}},
		{"pause", {SX_SPIN_PAUSE, 0}},
		{"hot:1", {SX_SPIN_HOT, 1000}},
		{"pause:50", {SX_SPIN_PAUSE, 50000}},
		{"pause:007", {SX_SPIN_PAUSE, 7000}},
		{"hot:1000000000", {SX_SPIN_HOT, 1000000000000}},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(good); i++) {
		struct sx_wait_policy p = {SX_SPIN_UMWAIT, 99};
		struct sx_error err = {""};

		assert_int_equal(sx_wait_policy_parse(&p, good[i].text, &err), 0);
		assert_int_equal(p.spin, good[i].policy.spin);
		assert_true(p.idle_ns == good[i].policy.idle_ns);
		assert_string_equal(err.text, "");
	}
}

static void what_is_no_policy_is_refused_with_a_sentence(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"ho",
		"hott",
		"HOT",
		"hot ",
		" hot",
		"spin",
		"pauses",
		"umwai",
		":",
		":5",
		"hot:",
		"hot: 5",
		"hot:-1",
		"hot:+1",
		"hot:0",
		"hot:000",
		"hot:5x",
		"hot:5 ",
		"hot:5:5",
		"hot::5",
		"pause:0x10",
		"pause:1e3",
		"hot:1.5",
		"hot,5",
		"pause:1000000001",
		"pause:18446744073709551616",
		"pause:99999999999999999999999999999999",
		"\xff\xfe",
		"hot\n",
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(bad); i++) {
		struct sx_wait_policy p = {SX_SPIN_PAUSE, 99};
		struct sx_error err = {""};

		assert_int_equal(sx_wait_policy_parse(&p, bad[i], &err), -EINVAL);
		assert_non_null(strstr(err.text, "hot, pause or umwait"));
		assert_int_equal(p.spin, SX_SPIN_PAUSE);
		assert_true(p.idle_ns == 99);
		assert_int_equal(sx_wait_policy_parse(&p, bad[i], NULL), -EINVAL);
	}
}

static void umwait_is_taken_where_the_processor_has_it(void **state)
{
	struct sx_wait_policy p = {SX_SPIN_HOT, 1};
	struct sx_error err = {""};
	int rc = sx_wait_policy_parse(&p, "umwait:3", &err);

	(void)state;
	if (sx_have_waitpkg()) {
		assert_int_equal(rc, 0);
		assert_int_equal(p.spin, SX_SPIN_UMWAIT);
		assert_true(p.idle_ns == 3000);
	} else {
		assert_int_equal(rc, -ENOTSUP);
		assert_non_null(strstr(err.text, "WAITPKG"));
		assert_int_equal(p.spin, SX_SPIN_HOT);
	}
}

static void every_breath_ends(void **state)
{
	const uint32_t word = 0;
	struct sx_wait_policy p = {SX_SPIN_HOT, 0};

	(void)state;
	sx_wait_breath(&p, &word);
	p.spin = SX_SPIN_PAUSE;
	sx_wait_breath(&p, &word);
	p.spin = SX_SPIN_UMWAIT;
	if (sx_have_waitpkg())
		sx_wait_breath(&p, &word);
}

static void the_clock_does_not_go_back(void **state)
{
	uint64_t last = sx_now_ns();

	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint64_t now = sx_now_ns();

		assert_true(now >= last);
		last = now;
	}
}

/* ---- one thread ---- */

static void a_waiter_is_a_cache_line(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct sx_waiter), SX_CACHE_LINE);
	assert_int_equal(_Alignof(struct sx_waiter), SX_CACHE_LINE);
}

static void who_is_awake_is_not_woken(void **state)
{
	struct sx_waiter w = {.asleep = 0};

	(void)state;
	sx_waiter_wake(&w);
	assert_int_equal(w.asleep, 0);
	sx_waiter_arm(&w);
	assert_int_equal(w.asleep, 1);
	sx_waiter_disarm(&w);
	assert_int_equal(w.asleep, 0);
}

static void woken_between_arm_and_sleep_it_does_not_sleep(void **state)
{
	struct sx_waiter w = {.asleep = 0};

	(void)state;
	sx_waiter_arm(&w);
	sx_waiter_wake(&w);
	sx_waiter_sleep(&w, 0); /* for ever, had the wake-up not been kept */
	sx_waiter_disarm(&w);
}

static void a_sleep_ends_at_its_timeout(void **state)
{
	struct sx_waiter w = {.asleep = 0};
	uint64_t before = sx_now_ns();

	(void)state;
	sx_waiter_arm(&w);
	sx_waiter_sleep(&w, 2000000);
	assert_int_equal(w.asleep, 1);   /* nobody woke it */
	sx_waiter_sleep(&w, 1000000001); /* more than a second is said in seconds */
	sx_waiter_disarm(&w);
	assert_true(sx_now_ns() - before >= 1002000001); /* CLOCK_MONOTONIC, as the futex */
}

static void what_is_already_so_is_not_waited_for(void **state)
{
	const struct sx_wait_policy sleepy = {SX_SPIN_PAUSE, 1};
	struct sx_waiter w = {.asleep = 0};
	uint32_t word = 7;

	(void)state;
	sx_wait_until(&SX_WAIT_POLL, NULL, &word, 7);
	sx_wait_until(&sleepy, &w, &word, 7);
	assert_int_equal(w.asleep, 0);
}

/* ---- two threads and more ---- */

#define ROUNDS      5000u
#define POLL_ROUNDS 300u /* on a shared processor each takes a time slice */

/* Two threads take turns: each waits until the other's word says the round. */
struct side {
	struct sx_wait_policy policy;
	struct sx_waiter waiter;
	uint32_t word __attribute__((aligned(64))); /* written by the other side */
	struct side *other;
	uint32_t asleep; /* times the other side was found asleep */
	bool first;
	uint32_t rounds;
};

static void tell(struct side *me, uint32_t round)
{
	struct sx_waiter *waiter = &me->other->waiter;

	/* Let the other fall asleep first, or be about to, which takes it some 512 breaths. */
	while (me->policy.idle_ns && round % 4 == 0 && !sx_load_relaxed(&waiter->asleep))
		sched_yield();
	for (uint32_t i = round * 2654435761u >> 22; me->policy.idle_ns && i; i--)
		sx_wait_breath(&me->policy, &me->word);
	sx_store_release(&me->other->word, round);
	me->asleep += sx_load_relaxed(&waiter->asleep);
	if (me->policy.idle_ns)
		sx_waiter_wake(waiter);
}

static void *take_turns(void *arg)
{
	struct side *me = arg;
	struct sx_waiter *waiter = me->policy.idle_ns ? &me->waiter : NULL;

	for (uint32_t round = 1; round <= me->rounds; round++) {
		if (me->first)
			tell(me, round);
		sx_wait_until(&me->policy, waiter, &me->word, round);
		if (!me->first)
			tell(me, round);
	}
	return NULL;
}

/* Returns how often one found the other asleep. */
static uint32_t play(struct sx_wait_policy policy, uint32_t rounds)
{
	struct side side[2] = {{.policy = policy, .rounds = rounds, .first = true},
			       {.policy = policy, .rounds = rounds}};
	pthread_t thread[2];

	side[0].other = &side[1];
	side[1].other = &side[0];
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, take_turns, &side[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(side[0].word, rounds);
	assert_int_equal(side[1].word, rounds);
	assert_int_equal(side[0].waiter.asleep, 0);
	assert_int_equal(side[1].waiter.asleep, 0);
	return side[0].asleep + side[1].asleep;
}

static void two_that_sleep_wake_each_other(void **state)
{
	static const struct sx_wait_policy policies[] = {
		{SX_SPIN_PAUSE, 1}, {SX_SPIN_HOT, 20000}, {SX_SPIN_UMWAIT, 1}};

	(void)state;
	for (unsigned i = 0; i < COUNT(policies); i++)
		if (policies[i].spin != SX_SPIN_UMWAIT || sx_have_waitpkg())
			assert_true(play(policies[i], ROUNDS) >= 2 * (ROUNDS / 4));
}

/* One sleeper that sleeps as soon as it finds nothing; two that give it work. tests/model/wait.pml
 */
struct giver {
	uint32_t work __attribute__((aligned(64)));
	uint32_t answer __attribute__((aligned(64)));
	struct sx_waiter *sleeper;
};

static void *keep_giving(void *arg)
{
	struct giver *g = arg;

	for (uint32_t n = 1; n <= ROUNDS; n++) {
		sx_store_release(&g->work, n);
		sx_waiter_wake(g->sleeper);
		sx_wait_until(&(struct sx_wait_policy){SX_SPIN_PAUSE, 0}, NULL, &g->answer, n);
		for (uint32_t i = n * 7 % 64; i; i--)
			sx_pause();
	}
	return NULL;
}

/* Answer what is new; how much was there? */
static unsigned look(struct giver *g, unsigned count)
{
	unsigned found = 0;

	for (unsigned i = 0; i < count; i++) {
		uint32_t work = sx_load_acquire(&g[i].work);

		if (work != g[i].answer) {
			sx_store_release(&g[i].answer, work);
			found++;
		}
	}
	return found;
}

static void one_that_sleeps_is_woken_by_either_of_two(void **state)
{
	struct sx_waiter w = {.asleep = 0};
	struct giver g[2] = {{.sleeper = &w}, {.sleeper = &w}};
	pthread_t thread[2];
	unsigned done = 0, sleeps = 0;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, keep_giving, &g[i]), 0);
	while (done < 2 * ROUNDS) {
		unsigned found;

		done += look(g, 2);
		sx_waiter_arm(&w);
		found = look(g, 2);
		if (!found && done < 2 * ROUNDS) {
			sleeps++;
			sx_waiter_sleep(&w, 0);
		}
		sx_waiter_disarm(&w);
		done += found;
	}
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(g[i].work, ROUNDS);
		assert_int_equal(g[i].answer, ROUNDS);
	}
	assert_true(sleeps > 0);
	print_message("# %u pieces of work, %u sleeps\n", done, sleeps);
}

static void those_that_never_sleep_need_no_waking(void **state)
{
	(void)state;
	assert_int_equal(play((struct sx_wait_policy){SX_SPIN_PAUSE, 0}, POLL_ROUNDS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_are_parsed),
		cmocka_unit_test(what_is_no_policy_is_refused_with_a_sentence),
		cmocka_unit_test(umwait_is_taken_where_the_processor_has_it),
		cmocka_unit_test(every_breath_ends),
		cmocka_unit_test(the_clock_does_not_go_back),
		cmocka_unit_test(a_waiter_is_a_cache_line),
		cmocka_unit_test(who_is_awake_is_not_woken),
		cmocka_unit_test(woken_between_arm_and_sleep_it_does_not_sleep),
		cmocka_unit_test(a_sleep_ends_at_its_timeout),
		cmocka_unit_test(what_is_already_so_is_not_waited_for),
		cmocka_unit_test(two_that_sleep_wake_each_other),
		cmocka_unit_test(one_that_sleeps_is_woken_by_either_of_two),
		cmocka_unit_test(those_that_never_sleep_need_no_waking),
	};

	alarm(100); /* a wake-up that is lost */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
