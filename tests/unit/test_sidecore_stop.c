// SPDX-License-Identifier: BSD-3-Clause
/*
 * Mail for a sidecore that stops: what is taken is run, what is not taken is refused, and nobody
 * waits for ever.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/worker.h"

static unsigned busy_until_let_go(void *let_go)
{
	return !sx_load_acquire((uint32_t *)let_go);
}

static void *stop(void *sidecore)
{
	sx_sidecore_stop(sidecore);
	return NULL;
}

/* A letter that sends another one. */
struct letter {
	struct sx_sidecore *sc;
	struct sx_mail mail, next;
	uint32_t runs, next_runs; /* atomic */
	int rc;                   /* of sending the other */
};

static void count(void *runs)
{
	sx_store_release((uint32_t *)runs, *(uint32_t *)runs + 1);
}

static void run_letter(void *ctx)
{
	struct letter *l = ctx;

	l->rc = sx_sidecore_send(l->sc, &l->next, count, &l->next_runs);
	count(&l->runs);
}

/* Send it; true if it is run before many turns have passed. */
static bool is_answered(struct letter *l)
{
	uint32_t runs = l->runs;
	uint64_t turns;

	assert_int_equal(sx_sidecore_send(l->sc, &l->mail, run_letter, l), 0);
	turns = sx_test_stats(l->sc).turns;
	SX_WAIT_UNTIL(sx_load_acquire(&l->runs) > runs || sx_test_stats(l->sc).turns > turns + 100);
	if (sx_load_acquire(&l->runs) == runs)
		return false;
	sx_mail_wait(&l->mail);
	assert_int_equal(l->rc, 0);
	sx_mail_wait(&l->next);
	return true;
}

static void mail_that_comes_while_it_drains_is_run_and_what_it_sends_refused(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct letter l = {.sc = sc};
	uint32_t let_go = 0;
	struct sx_poller p = {.name = "busy", .poll = busy_until_let_go, .ctx = &let_go};
	uint32_t answered = 0;
	pthread_t stopper;

	(void)state;
	assert_int_equal(sx_sidecore_add(sc, &p), 0);
	assert_true(is_answered(&l));
	assert_int_equal(pthread_create(&stopper, NULL, stop, sc), 0);
	/* The last of them is not: the loop drains, and reads no mail meanwhile. */
	do
		answered++;
	while (is_answered(&l));
	sx_store_release(&let_go, 1u);
	pthread_join(stopper, NULL);
	sx_mail_wait(&l.mail);
	assert_int_equal(l.runs, answered + 1);
	assert_int_equal(l.rc, -ESHUTDOWN);
	assert_int_equal(l.next_runs, answered);
	assert_null(p.sidecore);
}

static void mail_from_before_the_stop_is_run(void **state)
{
	struct sx_sidecore *sc = sx_test_sidecore(SX_TEST_SLEEPY);
	struct sx_mail mail[20];
	uint32_t runs = 0;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(sx_sidecore_send(sc, &mail[i], count, &runs), 0);
	sx_sidecore_stop(sc);
	for (unsigned i = 0; i < 20; i++)
		sx_mail_wait(&mail[i]);
	assert_int_equal(runs, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_that_comes_while_it_drains_is_run_and_what_it_sends_refused),
		cmocka_unit_test(mail_from_before_the_stop_is_run),
	};

	alarm(100); /* somebody waits for ever */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
