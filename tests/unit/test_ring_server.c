// SPDX-License-Identifier: BSD-3-Clause
/*
 * The ring server: honest producers get each message served once and in order; the others lose
 * their ring, and nothing but that.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/rcu.h"
#include "sidecore/ring_server.h"

#define GPA   0x10000ull
#define BYTES 0x40000u
#define ORDER 4
#define SIZE  (1u << ORDER)

enum op {
	OP_ASK = 1, /* request: w[0] + 1 comes back */
	OP_TELL,    /* post: w[0] counts from 0 */
};

/* A ring, both its ends, and a handler that keeps account. */
struct line {
	struct sx_ring_server server;
	struct sx_producer producer;
	struct sx_ring *ring;
	uint64_t asked;
	uint64_t told;
	uint64_t out_of_order;
	struct sx_producer *feed; /* the handler itself posts one more for each it takes */
	struct sx_cell *spoil;    /* the handler overwrites this cell before it looks at @msg */
};

static uint8_t memory[BYTES] __attribute__((aligned(4096)));
static struct sx_memmap map;

static void tell(struct sx_producer *p)
{
	struct sx_cell *cell = sx_producer_cell(p, p->next);

	cell->op = OP_TELL;
	cell->w[0] = p->next;
	sx_producer_publish(p);
}

static uint32_t ask(struct sx_producer *p, uint64_t value)
{
	struct sx_cell *cell = sx_producer_cell(p, p->next);

	cell->op = OP_ASK;
	cell->arg = 7;
	cell->w[0] = value;
	return sx_producer_publish(p);
}

static enum sx_ring_verdict handle(void *ctx, const struct sx_cell *msg, struct sx_cell *reply)
{
	struct line *l = ctx;

	if (l->spoil)
		memset(l->spoil->w, 0xee, sizeof(l->spoil->w));
	if (l->feed)
		tell(l->feed);
	if (msg->op == OP_TELL) {
		l->out_of_order += msg->w[0] != l->told + l->asked;
		l->told++;
		return SX_RING_POSTED;
	}
	l->asked++;
	reply->arg = 0;
	reply->w[0] = msg->w[0] + 1;
	return SX_RING_REPLIED;
}

static int try_init(struct line *l, sx_gpa gpa, uint32_t order, uint32_t flags,
		    struct sx_error *err)
{
	const struct sx_ring_handler handler = {.handle = handle, .ctx = l};

	return sx_ring_server_init(&l->server, "test", &map, gpa, order, flags, &handler, err);
}

static void open_line(struct line *l, sx_gpa gpa, uint32_t order, uint32_t flags)
{
	memset(l, 0, sizeof(*l));
	assert_int_equal(try_init(l, gpa, order, flags, NULL), 0);
	l->ring = sx_memmap_at(&map, gpa, sx_ring_bytes(order), SX_WRITE);
	assert_non_null(l->ring);
	sx_producer_init(&l->producer, l->ring, order);
}

static unsigned serve(struct line *l)
{
	return l->server.poller.poll(l->server.poller.ctx);
}

static int set_up(void **state)
{
	static struct line line;

	sx_rcu_register();
	if (sx_memmap_init(&map) || sx_memmap_add(&map, GPA, BYTES, memory, 0, NULL))
		return -1;
	open_line(&line, GPA, ORDER, 0);
	*state = &line;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sx_memmap_destroy(&map);
	sx_rcu_unregister();
	return 0;
}

/* ---- service ---- */

static void an_empty_ring_is_no_work(void **state)
{
	struct line *l = *state;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(serve(l), 0);
	assert_int_equal(l->server.messages, 0);
	assert_false(l->server.refused);
}

static void a_request_gets_its_reply_in_its_cell(void **state)
{
	struct line *l = *state;

	/* Several laps. */
	for (uint32_t i = 0; i < 5 * SIZE; i++) {
		uint64_t value = (uint64_t)i << 40;
		uint32_t n = ask(&l->producer, value);

		assert_false(sx_producer_replied(&l->producer, n));
		assert_int_equal(serve(l), 1);
		assert_true(sx_producer_replied(&l->producer, n));
		assert_int_equal(sx_producer_cell(&l->producer, n)->w[0], value + 1);
		assert_int_equal(sx_producer_cell(&l->producer, n)->arg, 0);
	}
	assert_int_equal(l->asked, 5 * SIZE);
	assert_int_equal(l->server.messages, 5 * SIZE);
}

static void posts_are_taken_in_order_and_make_room_again(void **state)
{
	struct line *l = *state;

	for (unsigned lap = 0; lap < 10; lap++) {
		assert_int_equal(sx_producer_room(&l->producer, SIZE), SIZE);
		for (unsigned i = 0; i < SIZE; i++)
			tell(&l->producer);
		assert_int_equal(sx_producer_room(&l->producer, 1), 0);
		while (serve(l))
			;
		assert_true(sx_producer_drained(&l->producer));
	}
	assert_int_equal(l->told, 10 * SIZE);
	assert_int_equal(l->out_of_order, 0);
}

static void posts_and_requests_share_a_ring(void **state)
{
	struct line *l = *state;
	uint32_t n;

	tell(&l->producer);
	tell(&l->producer);
	n = ask(&l->producer, 41);
	tell(&l->producer);
	assert_int_equal(serve(l), 4);
	assert_true(sx_producer_replied(&l->producer, n));
	assert_int_equal(sx_producer_cell(&l->producer, n)->w[0], 42);
	assert_int_equal(l->told, 3);
	assert_int_equal(l->asked, 1);
	assert_int_equal(l->out_of_order, 0);
}

static void one_poll_ends_even_if_the_producer_never_does(void **state)
{
	struct line *l = *state;
	unsigned served;

	l->feed = &l->producer;
	tell(&l->producer);
	served = serve(l);
	assert_in_range(served, 1, 1000);
	assert_in_range(serve(l), 1, 1000);
	/* What it left is still there. */
	l->feed = NULL;
	assert_int_equal(serve(l), 1);
	assert_int_equal(serve(l), 0);
	assert_int_equal(l->out_of_order, 0);
	assert_int_equal(l->told, l->producer.next);
}

static void the_handler_sees_a_snapshot(void **state)
{
	struct line *l = *state;
	uint32_t n = ask(&l->producer, 1000);

	/* The guest changes the message while it is handled. */
	l->spoil = sx_producer_cell(&l->producer, n);
	assert_int_equal(serve(l), 1);
	assert_int_equal(sx_producer_cell(&l->producer, n)->w[0], 1001);
}

static void what_the_guest_writes_over_the_layout_does_not_matter(void **state)
{
	struct line *l = *state;
	uint32_t n;

	tell(&l->producer);
	serve(l);
	/* Everything in the header; the server has its own. */
	memset(l->ring, 0xff, offsetof(struct sx_ring, cell));
	l->producer.finished = l->producer.next;
	for (unsigned i = 0; i < 3 * SIZE; i++) {
		n = ask(&l->producer, i);
		assert_int_equal(serve(l), 1);
		assert_true(sx_producer_replied(&l->producer, n));
	}
	assert_false(l->server.refused);
	assert_int_equal(l->server.messages, 3 * SIZE + 1);
}

/* ---- garbage ---- */

static void a_turn_that_no_honest_producer_writes_closes_the_ring(void **state)
{
	/* Added to the turn of the next request. */
	static const uint32_t wrong[] = {1,
					 2,
					 3,
					 2 * SIZE - 1,
					 2 * SIZE,
					 0x40,
					 1u << 31,
					 (uint32_t)-1,
					 (uint32_t)-2,
					 1u - 2 * SIZE + 1,
					 -2u * SIZE - 1,
					 -2u * SIZE - 2,
					 -4u * SIZE};
	struct line *l = *state;

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint32_t turn;

		open_line(l, GPA, ORDER, 0);
		tell(&l->producer);
		tell(&l->producer);
		turn = sx_turn_request(l->producer.next) + wrong[i];
		sx_producer_cell(&l->producer, l->producer.next)->turn = turn;
		/* What came before it is still served. */
		assert_int_equal(serve(l), 2);
		assert_true(l->server.refused);
		assert_int_equal(l->server.bad_turn, turn);
		assert_int_equal(l->server.bad_message, 2);
		assert_int_equal(l->ring->state, SX_RING_REFUSED);
		assert_int_equal(l->ring->credit, 2);
	}
}

static void every_turn_but_three_is_garbage(void **state)
{
	struct line *l = *state;
	unsigned honest = 0;

	/* All 2^16 turns around the next one. */
	for (uint32_t d = 0; d < 0x10000; d++) {
		open_line(l, GPA, ORDER, 0);
		l->ring->cell[0].turn = sx_turn_request(0) + d - 0x8000;
		serve(l);
		honest += !l->server.refused;
	}
	/* The next message, and what the lap before leaves: a reply or a post. */
	assert_int_equal(honest, 3);
}

static void a_refused_ring_stays_refused(void **state)
{
	struct line *l = *state;
	struct sx_cell *cell = sx_producer_cell(&l->producer, 0);

	cell->turn = 77;
	assert_int_equal(serve(l), 0);
	assert_true(l->server.refused);
	/* The guest mends its turn word, and its view of the ring's state. */
	l->ring->state = SX_RING_OPEN;
	tell(&l->producer);
	assert_int_equal(serve(l), 0);
	assert_int_equal(l->told, 0);
	assert_int_equal(l->server.messages, 0);
	/* Other garbage is not reported again. */
	cell->turn = 99;
	serve(l);
	assert_int_equal(l->server.bad_turn, 77);
}

static void the_other_rings_do_not_notice(void **state)
{
	struct line *bad = *state;
	struct line good;

	open_line(&good, GPA + 0x20000, ORDER, 0);
	bad->ring->cell[0].turn = 0xdeadbeef;
	for (unsigned i = 0; i < 100; i++) {
		uint32_t n = ask(&good.producer, i);

		assert_int_equal(serve(bad), 0);
		assert_int_equal(serve(&good), 1);
		assert_true(sx_producer_replied(&good.producer, n));
	}
	assert_true(bad->server.refused);
	assert_false(good.server.refused);
	assert_int_equal(good.asked, 100);
}

/* ---- sleep ---- */

static void only_a_ring_with_kicks_lets_its_server_sleep(void **state)
{
	struct line *l = *state;

	assert_null(l->server.poller.sleep);
	assert_null(l->server.poller.awake);
	open_line(l, GPA, ORDER, SX_RING_KICK);
	assert_non_null(l->server.poller.sleep);
	assert_non_null(l->server.poller.awake);
}

static void a_sleeping_server_asks_to_be_kicked(void **state)
{
	struct line *l = *state;
	void *ctx;

	open_line(l, GPA, ORDER, SX_RING_KICK);
	ctx = l->server.poller.ctx;
	assert_false(sx_producer_must_kick(&l->producer));
	assert_int_equal(l->server.poller.sleep(ctx), 0);
	assert_true(sx_producer_must_kick(&l->producer));
	l->server.poller.awake(ctx);
	assert_false(sx_producer_must_kick(&l->producer));
	/* A message that came meanwhile is work already. */
	tell(&l->producer);
	assert_int_equal(l->server.poller.sleep(ctx), 1);
	l->server.poller.awake(ctx);
	assert_int_equal(serve(l), 1);
}

static void a_refused_ring_does_not_keep_its_server_awake(void **state)
{
	struct line *l = *state;

	open_line(l, GPA, ORDER, SX_RING_KICK);
	l->ring->cell[0].turn = 77;
	serve(l);
	tell(&l->producer);
	assert_int_equal(l->server.poller.sleep(l->server.poller.ctx), 0);
}

/* ---- set-up that is refused ---- */

static void rings_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		sx_gpa gpa;
		uint32_t order;
	} bad[] = {
		{GPA + 32, ORDER},            /* not aligned to a line */
		{GPA + 1, 0},                 /* likewise */
		{GPA - SX_CACHE_LINE, ORDER}, /* begins before the memory */
		{GPA + BYTES - 64, 0},        /* ends behind it */
		{GPA, 13},                    /* too large for it */
		{GPA, SX_RING_MAX_ORDER + 1}, /* too large at all */
		{GPA, 32},                    /* an order that no shift takes */
		{GPA, UINT32_MAX},            /* likewise */
		{UINT64_MAX - 63, 0},         /* wraps round */
		{0, ORDER},                   /* no memory there */
	};
	struct line l = {.server = {.messages = 5}};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sx_error err = {""};

		assert_int_equal(try_init(&l, bad[i].gpa, bad[i].order, 0, &err), -EINVAL);
		assert_non_null(strstr(err.text, "'test'"));
		assert_non_null(strstr(err.text, "does not fit"));
	}
	/* Nothing was touched. */
	assert_int_equal(l.server.messages, 5);
}

static void a_ring_in_read_only_memory_is_refused(void **state)
{
	static uint8_t rom[4096] __attribute__((aligned(4096)));
	struct line l;

	(void)state;
	assert_int_equal(sx_memmap_add(&map, 0x100000, sizeof(rom), rom, SX_MEMMAP_READONLY, NULL),
			 0);
	assert_int_equal(try_init(&l, 0x100000, 0, 0, NULL), -EINVAL);
}

/* ---- two threads ---- */

#define MESSAGES 300000u

static void *produce(void *arg)
{
	struct line *l = arg;
	struct sx_producer *p = &l->producer;
	uint64_t wrong = 0;

	while (p->next < MESSAGES) {
		uint32_t n;

		while (!sx_producer_room(p, 1))
			sched_yield();
		if (p->next % 7) {
			tell(p);
			continue;
		}
		n = ask(p, p->next);
		while (!sx_producer_replied(p, n))
			sched_yield();
		wrong += sx_producer_cell(p, n)->w[0] != n + 1ull;
	}
	return (void *)(uintptr_t)wrong;
}

static void a_producer_on_another_core_loses_and_doubles_nothing(void **state)
{
	struct line *l = *state;
	pthread_t producer;
	void *wrong;

	assert_int_equal(pthread_create(&producer, NULL, produce, l), 0);
	while (l->told + l->asked < MESSAGES)
		if (!serve(l))
			sched_yield();
	pthread_join(producer, &wrong);
	assert_null(wrong);
	assert_int_equal(serve(l), 0);
	assert_int_equal(l->asked, (MESSAGES + 6) / 7);
	assert_int_equal(l->out_of_order, 0);
	assert_false(l->server.refused);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_empty_ring_is_no_work),
		CASE(a_request_gets_its_reply_in_its_cell),
		CASE(posts_are_taken_in_order_and_make_room_again),
		CASE(posts_and_requests_share_a_ring),
		CASE(one_poll_ends_even_if_the_producer_never_does),
		CASE(the_handler_sees_a_snapshot),
		CASE(what_the_guest_writes_over_the_layout_does_not_matter),
		CASE(a_turn_that_no_honest_producer_writes_closes_the_ring),
		CASE(every_turn_but_three_is_garbage),
		CASE(a_refused_ring_stays_refused),
		CASE(the_other_rings_do_not_notice),
		CASE(only_a_ring_with_kicks_lets_its_server_sleep),
		CASE(a_sleeping_server_asks_to_be_kicked),
		CASE(a_refused_ring_does_not_keep_its_server_awake),
		CASE(rings_that_do_not_fit_are_refused),
		CASE(a_ring_in_read_only_memory_is_refused),
		CASE(a_producer_on_another_core_loses_and_doubles_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
