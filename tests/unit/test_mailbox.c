// SPDX-License-Identifier: BSD-3-Clause
/* ipc/mailbox.h: every letter is run once, in its sender's order, and not touched afterwards. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/mailbox.h"
#include "ipc/wire/types.h"

#define SENDERS 4
#define LETTERS 1500 /* of each sender */
#define BATCH   5    /* sent before the first of them is waited for */

/* What run() is told: a number to append to a list. */
struct note {
	struct list *list;
	uint32_t number;
};

struct list {
	uint32_t number[16];
	unsigned count;
};

static void append(void *ctx)
{
	struct note *n = ctx;

	if (n->list->count < 16)
		n->list->number[n->list->count] = n->number;
	n->list->count++;
}

static void an_empty_mailbox_has_nothing_to_run(void **state)
{
	struct sx_mailbox mb;

	(void)state;
	sx_mailbox_init(&mb, NULL, NULL);
	assert_false(sx_mailbox_pending(&mb));
	assert_int_equal(sx_mailbox_run(&mb), 0);
	sx_mailbox_destroy(&mb);
}

static void letters_are_run_in_order_and_once(void **state)
{
	struct sx_mailbox mb;
	struct sx_mail mail[5];
	struct list list = {.count = 0};
	struct note note[5];

	(void)state;
	sx_mailbox_init(&mb, NULL, NULL);
	for (unsigned i = 0; i < 5; i++) {
		note[i] = (struct note){&list, 10 + i};
		sx_mailbox_send(&mb, &mail[i], append, &note[i]);
		assert_true(sx_mailbox_pending(&mb));
	}
	assert_int_equal(list.count, 0); /* only the owner runs them, when it wants to */
	assert_int_equal(sx_mailbox_run(&mb), 5);
	assert_int_equal(list.count, 5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(list.number[i], 10 + i);
	assert_false(sx_mailbox_pending(&mb));
	assert_int_equal(sx_mailbox_run(&mb), 0);
	for (unsigned i = 0; i < 5; i++)
		sx_mail_wait(&mail[i]); /* all done: returns at once */
	sx_mailbox_destroy(&mb);
}

/* A sender that loses its core half-way through must not hold the owner up. */
static void a_letter_half_sent_is_not_waited_for(void **state)
{
	struct sx_mailbox mb;
	struct sx_mail whole, half = {.run = append};
	struct list list = {.count = 0};
	struct note note = {&list, 1};
	struct cds_wfcq_node *before;

	(void)state;
	sx_mailbox_init(&mb, NULL, NULL);
	half.ctx = &note;
	sx_mailbox_send(&mb, &whole, append, &note);
	/* The two steps of liburcu's enqueue. */
	cds_wfcq_node_init(&half.node);
	before = __atomic_exchange_n(&mb.tail.p, &half.node, __ATOMIC_SEQ_CST);
	assert_true(sx_mailbox_run(&mb) <= 1);
	assert_true(sx_mailbox_pending(&mb));
	assert_int_equal(sx_mailbox_run(&mb), 0);
	__atomic_store_n(&before->next, &half.node, __ATOMIC_RELEASE);
	while (list.count < 2)
		assert_true(sx_mailbox_run(&mb) > 0);
	assert_false(sx_mailbox_pending(&mb));
	sx_mailbox_destroy(&mb);
}

static void a_letter_can_be_sent_again(void **state)
{
	struct sx_mailbox mb;
	struct sx_mail mail;
	struct list list = {.count = 0};
	struct note note = {&list, 1};

	(void)state;
	memset(&mail, 0xff, sizeof(mail)); /* as a stack may be */
	sx_mailbox_init(&mb, NULL, NULL);
	for (unsigned i = 1; i <= 10; i++) {
		sx_mailbox_send(&mb, &mail, append, &note);
		assert_int_equal(mail.done, 0);
		assert_int_equal(sx_mailbox_run(&mb), 1);
		sx_mail_wait(&mail);
		assert_int_equal(list.count, i);
	}
	sx_mailbox_destroy(&mb);
}

struct chain {
	struct sx_mailbox *mb;
	struct sx_mail mail;
	struct note note;
	int rc; /* of the one that it sends */
};

static void send_another(void *ctx)
{
	struct chain *c = ctx;

	c->rc = sx_mailbox_send(c->mb, &c->mail, append, &c->note);
}

static void mail_sent_by_mail_is_run_too(void **state)
{
	struct sx_mailbox mb;
	struct sx_mail first;
	struct list list = {.count = 0};
	struct chain chain = {.mb = &mb, .note = {&list, 3}};

	(void)state;
	sx_mailbox_init(&mb, NULL, NULL);
	sx_mailbox_send(&mb, &first, send_another, &chain);
	assert_int_equal(sx_mailbox_run(&mb), 2);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.number[0], 3);
	sx_mailbox_destroy(&mb);
}

static void who_may_sleep_is_woken_by_each_letter(void **state)
{
	struct sx_mailbox mb;
	struct sx_mail mail[3];
	struct list woken = {.count = 0}, list = {.count = 0};
	struct note wake = {&woken, 7}, note = {&list, 1};

	(void)state;
	sx_mailbox_init(&mb, append, &wake);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(sx_mailbox_send(&mb, &mail[i], append, &note), 0);
		assert_int_equal(woken.count, i + 1);
	}
	sx_mailbox_close(&mb);
	assert_int_equal(sx_mailbox_send(&mb, &mail[0], append, &note), -ESHUTDOWN);
	assert_int_equal(woken.count, 3);
	sx_mailbox_destroy(&mb);
}

static void a_closed_mailbox_has_run_all_and_takes_no_more(void **state)
{
	struct sx_mailbox mb;
	struct sx_mail mail[4];
	struct list list = {.count = 0};
	struct note note = {&list, 1};

	(void)state;
	sx_mailbox_init(&mb, NULL, NULL);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sx_mailbox_send(&mb, &mail[i], append, &note), 0);
	assert_int_equal(sx_mailbox_close(&mb), 3);
	assert_int_equal(list.count, 3);
	for (unsigned i = 0; i < 3; i++)
		sx_mail_wait(&mail[i]);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sx_mailbox_send(&mb, &mail[3], append, &note), -ESHUTDOWN);
	assert_false(sx_mailbox_pending(&mb));
	assert_int_equal(sx_mailbox_run(&mb), 0);
	assert_int_equal(list.count, 3);
	sx_mailbox_destroy(&mb);
}

/* What the last letters send comes too late. */
static void a_letter_from_the_last_ones_is_refused(void **state)
{
	struct sx_mailbox mb;
	struct sx_mail last;
	struct list list = {.count = 0};
	struct chain chain = {.mb = &mb, .note = {&list, 3}};

	(void)state;
	sx_mailbox_init(&mb, NULL, NULL);
	sx_mailbox_send(&mb, &last, send_another, &chain);
	assert_int_equal(sx_mailbox_close(&mb), 1);
	sx_mail_wait(&last);
	assert_int_equal(chain.rc, -ESHUTDOWN);
	assert_int_equal(list.count, 0);
	sx_mailbox_destroy(&mb);
}

/* ---- several threads ---- */

struct owner {
	struct sx_mailbox mb;
	uint32_t stop;
	uint64_t run;
	unsigned lag_ns; /* before each look into the mailbox */
};

static void *own(void *arg)
{
	struct owner *o = arg;
	const struct timespec lag = {.tv_nsec = o->lag_ns};

	while (!sx_load_acquire(&o->stop)) {
		if (!sx_mailbox_pending(&o->mb)) {
			sx_pause();
			continue;
		}
		if (o->lag_ns)
			nanosleep(&lag, NULL);
		o->run += sx_mailbox_run(&o->mb);
	}
	o->run += sx_mailbox_run(&o->mb);
	return NULL;
}

struct sender {
	struct owner *owner;
	uint32_t last;        /* written by the owner: number of the letter run last */
	uint32_t out_of_turn; /* ... and how often it was not the next */
	uint32_t undone;      /* waits that returned before the letter was run */
};

struct letter {
	struct sx_mail mail;
	struct sender *sender;
	uint32_t number;
	bool ran;
};

static void run_letter(void *ctx)
{
	struct letter *l = ctx;

	l->sender->out_of_turn += l->number != l->sender->last + 1;
	l->sender->last = l->number;
	l->ran = true;
}

static void post(struct sender *s, struct letter *l, uint32_t number)
{
	l->sender = s;
	l->number = number;
	l->ran = false;
	sx_mailbox_send(&s->owner->mb, &l->mail, run_letter, l);
}

static void await_letter(struct sender *s, struct letter *l)
{
	sx_mail_wait(&l->mail);
	s->undone += !l->ran;
}

/* From the stack, from the heap, and several at a time; each gone as soon as it is done. */
static void *keep_sending(void *arg)
{
	struct sender *s = arg;
	uint32_t number = 0;

	while (number < LETTERS) {
		struct letter batch[BATCH];
		struct letter *heap = malloc(sizeof(*heap));

		if (!heap)
			abort();
		post(s, heap, ++number);
		await_letter(s, heap);
		memset(heap, 0xee, sizeof(*heap));
		free(heap);
		for (unsigned i = 0; i < BATCH; i++)
			post(s, &batch[i], ++number);
		/* Last first: waiting is in no order. */
		for (unsigned i = BATCH; i-- > 0;)
			await_letter(s, &batch[i]);
		memset(batch, 0xee, sizeof(batch));
	}
	return NULL;
}

static void exchange(unsigned lag_ns)
{
	struct owner owner = {.lag_ns = lag_ns};
	struct sender sender[SENDERS];
	pthread_t owning, sending[SENDERS];
	uint64_t sent = 0;

	sx_mailbox_init(&owner.mb, NULL, NULL);
	assert_int_equal(pthread_create(&owning, NULL, own, &owner), 0);
	for (unsigned i = 0; i < SENDERS; i++) {
		sender[i] = (struct sender){.owner = &owner};
		assert_int_equal(pthread_create(&sending[i], NULL, keep_sending, &sender[i]), 0);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(sending[i], NULL);
	sx_store_release(&owner.stop, 1u);
	pthread_join(owning, NULL);
	for (unsigned i = 0; i < SENDERS; i++) {
		assert_int_equal(sender[i].undone, 0);
		assert_int_equal(sender[i].out_of_turn, 0);
		assert_true(sender[i].last >= LETTERS);
		sent += sender[i].last;
	}
	assert_true(owner.run == sent);
	sx_mailbox_destroy(&owner.mb);
}

static void many_senders_each_keep_their_order(void **state)
{
	(void)state;
	exchange(0);
}

/* The owner lets them wait for longer than they spin. */
static void many_senders_that_fall_asleep_are_woken(void **state)
{
	(void)state;
	exchange(30000);
}

/* ---- closing while others send ---- */

struct late {
	struct sx_mailbox *mb;
	uint64_t taken;   /* letters that were not refused */
	uint64_t undone;  /* ... and had not run when the wait for them was over */
	uint32_t started; /* atomic */
};

static void mark(void *ran)
{
	*(bool *)ran = true;
}

static void *send_until_refused(void *arg)
{
	struct late *l = arg;
	struct sx_mail mail;
	bool ran = false;

	while (sx_mailbox_send(l->mb, &mail, mark, &ran) == 0) {
		sx_mail_wait(&mail);
		l->taken++;
		l->undone += !ran;
		ran = false;
		sx_store_release(&l->started, 1u);
	}
	l->undone += ran; /* refused, and run all the same */
	return NULL;
}

/* The owner closes in the midst of it; nobody is left waiting, which the alarm would tell. */
static void who_sends_to_one_that_closes_is_heard_or_refused(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		struct sx_mailbox mb;
		struct late late[SENDERS];
		pthread_t thread[SENDERS];
		uint64_t run = 0, taken = 0;

		sx_mailbox_init(&mb, NULL, NULL);
		for (unsigned i = 0; i < SENDERS; i++) {
			late[i] = (struct late){.mb = &mb};
			assert_int_equal(
				pthread_create(&thread[i], NULL, send_until_refused, &late[i]), 0);
		}
		while (!sx_load_acquire(&late[round % SENDERS].started))
			run += sx_mailbox_run(&mb);
		run += sx_mailbox_close(&mb);
		for (unsigned i = 0; i < SENDERS; i++) {
			pthread_join(thread[i], NULL);
			assert_int_equal(late[i].undone, 0);
			taken += late[i].taken;
		}
		assert_true(run == taken && taken > 0);
		sx_mailbox_destroy(&mb);
	}
}

struct slow {
	bool entered;
	bool left;
};

static void run_slowly(void *ctx)
{
	struct slow *s = ctx;
	const struct timespec t = {.tv_nsec = 20000000};

	s->entered = true;
	nanosleep(&t, NULL);
	s->left = true;
}

static void done_means_that_run_has_returned(void **state)
{
	struct owner owner = {.run = 0};
	struct slow slow = {false, false};
	struct sx_mail mail;
	pthread_t owning;

	(void)state;
	sx_mailbox_init(&owner.mb, NULL, NULL);
	assert_int_equal(pthread_create(&owning, NULL, own, &owner), 0);
	sx_mailbox_send(&owner.mb, &mail, run_slowly, &slow);
	sx_mail_wait(&mail);
	assert_true(slow.entered && slow.left);
	sx_store_release(&owner.stop, 1u);
	pthread_join(owning, NULL);
	assert_int_equal(owner.run, 1);
	sx_mailbox_destroy(&owner.mb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_mailbox_has_nothing_to_run),
		cmocka_unit_test(letters_are_run_in_order_and_once),
		cmocka_unit_test(a_letter_half_sent_is_not_waited_for),
		cmocka_unit_test(a_letter_can_be_sent_again),
		cmocka_unit_test(mail_sent_by_mail_is_run_too),
		cmocka_unit_test(who_may_sleep_is_woken_by_each_letter),
		cmocka_unit_test(a_closed_mailbox_has_run_all_and_takes_no_more),
		cmocka_unit_test(a_letter_from_the_last_ones_is_refused),
		cmocka_unit_test(who_sends_to_one_that_closes_is_heard_or_refused),
		cmocka_unit_test(many_senders_each_keep_their_order),
		cmocka_unit_test(many_senders_that_fall_asleep_are_woken),
		cmocka_unit_test(done_means_that_run_has_returned),
	};

	alarm(100); /* a wake-up that is lost */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
