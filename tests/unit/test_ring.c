// SPDX-License-Identifier: BSD-3-Clause
/*
 * ipc/wire/ring.h, one thread playing both sides: every branch, every wrap, every refusal.
 * What only two threads can show is in test_ring_stress.c and in tests/model/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/wire/ring.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { POST = 7, REQUEST = 8 };

struct pair {
	struct sx_ring *ring;
	struct sx_producer p;
	struct sx_consumer c;
	uint32_t size;
};

/* Both sides of a new ring, as if @start messages had been answered on it. */
static struct pair pair_open(uint32_t order, uint32_t start)
{
	struct pair r = {.size = 1u << order};

	r.ring = aligned_alloc(SX_CACHE_LINE, sx_ring_bytes(order));
	assert_non_null(r.ring);
	memset(r.ring, 0xa5, sx_ring_bytes(order));
	sx_ring_format(r.ring, order, SX_RING_KICK);
	sx_producer_init(&r.p, r.ring, order);
	sx_consumer_init(&r.c, r.ring, order);
	r.p.next = r.p.finished = start;
	r.c.next = r.c.credited = start;
	r.ring->credit = start;
	for (uint32_t i = 0; i < r.size; i++)
		sx_producer_cell(&r.p, start + i)->turn = sx_turn_reply(start + i - r.size);
	return r;
}

static void pair_close(struct pair *r)
{
	free(r->ring);
}

static uint64_t word(uint32_t n, int i)
{
	return (n + 1ull) * 0x9e3779b97f4a7c15ull + (uint64_t)i;
}

static void fill(struct pair *r, uint32_t n, uint16_t op)
{
	struct sx_cell *cell = sx_producer_cell(&r->p, n);

	cell->op = op;
	cell->arg = (uint16_t)~n;
	for (int i = 0; i < SX_CELL_WORDS; i++)
		cell->w[i] = word(n, i);
}

static uint32_t send(struct pair *r, uint16_t op)
{
	fill(r, r->p.next, op);
	return sx_producer_publish(&r->p);
}

/* The consumer takes message @n, which must be there whole, and finishes it by its kind. */
static void take(struct pair *r, uint32_t n)
{
	struct sx_cell *cell = sx_consumer_cell(&r->c);
	struct sx_cell got;

	assert_int_equal(sx_consumer_peek(&r->c), SX_PEEK_MESSAGE);
	sx_cell_snapshot(&got, cell);
	assert_int_equal(got.turn, sx_turn_request(n));
	assert_int_equal(got.arg, (uint16_t)~n);
	for (int i = 0; i < SX_CELL_WORDS; i++)
		assert_true(got.w[i] == word(n, i));
	if (got.op == POST) {
		sx_consumer_done(&r->c);
		return;
	}
	assert_int_equal(got.op, REQUEST);
	for (int i = 0; i < SX_CELL_WORDS; i++)
		cell->w[i] = ~got.w[i];
	sx_consumer_reply(&r->c);
}

static void check_reply(struct pair *r, uint32_t n)
{
	assert_true(sx_producer_replied(&r->p, n));
	for (int i = 0; i < SX_CELL_WORDS; i++)
		assert_true(sx_producer_cell(&r->p, n)->w[i] == ~word(n, i));
}

/* ---- layout ---- */

static void the_layout_is_the_wire_format(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct sx_cell), 64);
	assert_int_equal(offsetof(struct sx_cell, op), 4);
	assert_int_equal(offsetof(struct sx_cell, arg), 6);
	assert_int_equal(offsetof(struct sx_cell, w), 8);
	assert_int_equal(offsetof(struct sx_ring, magic), 0);
	assert_int_equal(offsetof(struct sx_ring, version), 4);
	assert_int_equal(offsetof(struct sx_ring, order), 8);
	assert_int_equal(offsetof(struct sx_ring, flags), 12);
	assert_int_equal(offsetof(struct sx_ring, credit), 128);
	assert_int_equal(offsetof(struct sx_ring, state), 132);
	assert_int_equal(offsetof(struct sx_ring, asleep), 136);
	assert_int_equal(offsetof(struct sx_ring, cell), 256);
	assert_true(sx_ring_bytes(0) == 256 + 64);
	assert_true(sx_ring_bytes(SX_RING_MAX_ORDER) == 256 + (64ull << 16));
}

static void format_writes_the_header_and_a_lap_of_replies(void **state)
{
	struct pair r = pair_open(2, 0);

	(void)state;
	memset(r.ring, 0xa5, sx_ring_bytes(2));
	sx_ring_format(r.ring, 2, SX_RING_KICK);
	assert_memory_equal(r.ring, "SxXR", 4);
	assert_int_equal(r.ring->version, SX_WIRE_VERSION);
	assert_int_equal(r.ring->order, 2);
	assert_int_equal(r.ring->flags, SX_RING_KICK);
	assert_int_equal(r.ring->credit, 0);
	assert_int_equal(r.ring->state, SX_RING_OPEN);
	assert_int_equal(r.ring->asleep, 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(r.ring->cell[i].turn, 2 * (i - 4) + 2);
	pair_close(&r);
}

static void a_snapshot_takes_every_bit(void **state)
{
	struct sx_cell from, to;

	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof(from); bit++) {
		memset(&from, 0, sizeof(from));
		((uint8_t *)&from)[bit / 8] = (uint8_t)(1u << bit % 8);
		memset(&to, 0xff, sizeof(to));
		sx_cell_snapshot(&to, &from);
		assert_memory_equal(&to, &from, sizeof(to));
	}
}

/* ---- messages ---- */

static void an_empty_ring_of_any_size_has_no_message(void **state)
{
	(void)state;
	for (uint32_t order = 0; order <= SX_RING_MAX_ORDER; order++) {
		struct pair r = pair_open(order, 0);

		for (uint32_t i = 0; i < r.size; i++) {
			assert_int_equal(sx_consumer_peek(&r.c), SX_PEEK_NONE);
			r.c.next++;
		}
		pair_close(&r);
	}
}

static void a_post_arrives_whole_and_is_left_alone(void **state)
{
	struct pair r = pair_open(3, 0);
	uint32_t n = send(&r, POST);
	struct sx_cell before = *sx_producer_cell(&r.p, n);

	(void)state;
	assert_int_equal(n, 0);
	take(&r, n);
	assert_memory_equal(sx_producer_cell(&r.p, n), &before, sizeof(before));
	assert_int_equal(sx_consumer_peek(&r.c), SX_PEEK_NONE);
	pair_close(&r);
}

static void a_reply_comes_in_place(void **state)
{
	struct pair r = pair_open(3, 0);
	uint32_t n = send(&r, REQUEST);

	(void)state;
	assert_false(sx_producer_replied(&r.p, n));
	take(&r, n);
	check_reply(&r, n);
	assert_int_equal(r.p.finished, 1);
	pair_close(&r);
}

static void a_reply_finishes_all_posts_before_it(void **state)
{
	struct pair r = pair_open(5, 0);
	uint32_t n;

	(void)state;
	for (int i = 0; i < 5; i++)
		send(&r, POST);
	n = send(&r, REQUEST);
	send(&r, POST);
	for (uint32_t i = 0; i <= n; i++)
		take(&r, i);
	assert_int_equal(r.ring->credit, 0); /* so it is the reply that tells */
	check_reply(&r, n);
	assert_int_equal(r.p.finished, n + 1);
	assert_int_equal(sx_producer_room(&r.p, 1), r.size - 1);
	pair_close(&r);
}

static void a_reply_to_another_lap_is_no_reply(void **state)
{
	struct pair r = pair_open(1, 0);
	uint32_t n = send(&r, REQUEST);

	(void)state;
	take(&r, n);
	assert_false(sx_producer_replied(&r.p, n + r.size));
	assert_false(sx_producer_replied(&r.p, n - r.size));
	assert_int_equal(r.p.finished, 0);
	pair_close(&r);
}

static void an_unpublished_cell_is_not_taken(void **state)
{
	struct pair r = pair_open(2, 0);

	(void)state;
	fill(&r, 0, POST);
	assert_int_equal(sx_consumer_peek(&r.c), SX_PEEK_NONE);
	/* Nor is a later one before its turn. */
	fill(&r, 1, POST);
	sx_producer_cell(&r.p, 1)->turn = sx_turn_request(1);
	assert_int_equal(sx_consumer_peek(&r.c), SX_PEEK_NONE);
	pair_close(&r);
}

static void a_burst_goes_round_the_end_of_the_ring(void **state)
{
	struct pair r = pair_open(3, 0);

	(void)state;
	for (uint32_t i = 0; i < 5; i++) {
		send(&r, POST);
		take(&r, i);
	}
	assert_int_equal(sx_producer_room(&r.p, 8), 7); /* one is owed: mask / 4 */
	sx_consumer_idle(&r.c);
	assert_int_equal(sx_producer_room(&r.p, 8), 8);
	for (uint32_t i = 0; i < 8; i++)
		fill(&r, r.p.next + i, i % 3 ? POST : REQUEST);
	sx_producer_publish_burst(&r.p, 8);
	assert_int_equal(r.p.next, 13);
	for (uint32_t n = 5; n < 13; n++)
		take(&r, n);
	for (uint32_t n = 5; n < 13; n += 3)
		check_reply(&r, n);
	assert_int_equal(sx_consumer_peek(&r.c), SX_PEEK_NONE);
	pair_close(&r);
}

static void a_burst_of_none_changes_nothing(void **state)
{
	struct pair r = pair_open(1, 0);

	(void)state;
	sx_producer_publish_burst(&r.p, 0);
	assert_int_equal(r.p.next, 0);
	assert_int_equal(sx_consumer_peek(&r.c), SX_PEEK_NONE);
	pair_close(&r);
}

/* ---- room and credit ---- */

static void a_full_ring_has_no_room(void **state)
{
	(void)state;
	for (uint32_t order = 0; order <= 6; order++) {
		struct pair r = pair_open(order, 0);

		for (uint32_t left = r.size; left; left--) {
			assert_int_equal(sx_producer_room(&r.p, 1), left);
			send(&r, POST);
		}
		assert_int_equal(sx_producer_room(&r.p, 1), 0);
		take(&r, 0);
		sx_consumer_idle(&r.c);
		assert_int_equal(sx_producer_room(&r.p, 1), 1);
		assert_int_equal(sx_producer_room(&r.p, 2), 1);
		pair_close(&r);
	}
}

static void credit_is_looked_at_only_when_room_is_short(void **state)
{
	struct pair r = pair_open(3, 0);

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		send(&r, POST);
		take(&r, i);
	}
	assert_int_equal(r.ring->credit, 4);
	assert_int_equal(sx_producer_room(&r.p, 4), 4);
	assert_int_equal(r.p.finished, 0);
	assert_int_equal(sx_producer_room(&r.p, 5), 8);
	assert_int_equal(r.p.finished, 4);
	pair_close(&r);
}

static void credit_goes_back_once_in_a_quarter_lap(void **state)
{
	static const uint16_t ops[] = {POST, REQUEST};

	(void)state;
	for (uint32_t order = 0; order <= 8; order++) {
		for (unsigned k = 0; k < COUNT(ops); k++) {
			struct pair r = pair_open(order, 0);
			uint32_t quarter = r.size > 4 ? r.size / 4 : 1;

			for (uint32_t n = 0; n < 3 * r.size; n++) {
				send(&r, ops[k]);
				take(&r, n);
				assert_int_equal(r.ring->credit, (n + 1) / quarter * quarter);
			}
			pair_close(&r);
		}
	}
}

/* The credit once fell behind for ever when there were only requests and never an empty ring. */
static void a_busy_ring_of_requests_gives_credit(void **state)
{
	struct pair r = pair_open(4, UINT32_MAX - 40);

	(void)state;
	for (uint32_t n = r.p.next, i = 0; i < 1000; i++, n++) {
		send(&r, REQUEST);
		take(&r, n);
		check_reply(&r, n);
		assert_true(n + 1 - r.ring->credit < r.size);
	}
	pair_close(&r);
}

static void idle_gives_back_what_is_owed_and_else_writes_nothing(void **state)
{
	struct pair r = pair_open(6, 0);

	(void)state;
	send(&r, POST);
	take(&r, 0);
	assert_int_equal(r.ring->credit, 0);
	sx_consumer_idle(&r.c);
	assert_int_equal(r.ring->credit, 1);
	r.ring->credit = 12345;
	sx_consumer_idle(&r.c);
	assert_int_equal(r.ring->credit, 12345);
	pair_close(&r);
}

static void a_stale_credit_is_passed_over(void **state)
{
	struct pair r = pair_open(6, 0);
	uint32_t n;

	(void)state;
	send(&r, POST);
	n = send(&r, REQUEST);
	send(&r, POST);
	take(&r, 0);
	take(&r, n);
	check_reply(&r, n);
	assert_int_equal(r.p.finished, 2);
	assert_int_equal(r.ring->credit, 0);
	assert_false(sx_producer_drained(&r.p));
	assert_int_equal(r.p.finished, 2);
	assert_int_equal(sx_producer_room(&r.p, r.size), r.size - 1);
	pair_close(&r);
}

static void credit_for_what_was_never_sent_is_passed_over(void **state)
{
	static const uint32_t lies[] = {4, 5, 100, 1u << 31, (1u << 31) + 3, UINT32_MAX};
	struct pair r = pair_open(3, 0);

	(void)state;
	for (int i = 0; i < 3; i++)
		send(&r, POST);
	for (unsigned i = 0; i < COUNT(lies); i++) {
		r.ring->credit = lies[i];
		assert_int_equal(sx_producer_room(&r.p, 8), 5);
		assert_false(sx_producer_drained(&r.p));
		assert_int_equal(r.p.finished, 0);
	}
	pair_close(&r);
}

static void drained_means_every_message_is_finished(void **state)
{
	struct pair r = pair_open(4, 0);

	(void)state;
	assert_true(sx_producer_drained(&r.p));
	send(&r, POST);
	send(&r, POST);
	assert_false(sx_producer_drained(&r.p));
	take(&r, 0);
	sx_consumer_idle(&r.c);
	assert_false(sx_producer_drained(&r.p));
	take(&r, 1);
	assert_false(sx_producer_drained(&r.p));
	sx_consumer_idle(&r.c);
	assert_true(sx_producer_drained(&r.p));
	pair_close(&r);
}

/* ---- sleeping and closing ---- */

static void a_consumer_is_kicked_only_between_arm_and_disarm(void **state)
{
	struct pair r = pair_open(0, 0);

	(void)state;
	assert_false(sx_producer_must_kick(&r.p));
	sx_consumer_arm(&r.c);
	assert_int_equal(r.ring->asleep, 1);
	assert_true(sx_producer_must_kick(&r.p));
	sx_consumer_disarm(&r.c);
	assert_int_equal(r.ring->asleep, 0);
	assert_false(sx_producer_must_kick(&r.p));
	pair_close(&r);
}

static void a_closed_ring_says_how_far_it_got(void **state)
{
	static const enum sx_ring_state whys[] = {SX_RING_STOPPED, SX_RING_REFUSED};

	(void)state;
	for (unsigned i = 0; i < COUNT(whys); i++) {
		struct pair r = pair_open(6, 0);

		for (int n = 0; n < 5; n++)
			send(&r, POST);
		take(&r, 0);
		take(&r, 1);
		assert_int_equal(sx_producer_state(&r.p), SX_RING_OPEN);
		assert_int_equal(r.ring->credit, 0);
		sx_consumer_close(&r.c, whys[i]);
		assert_int_equal(sx_producer_state(&r.p), whys[i]);
		assert_false(sx_producer_drained(&r.p));
		assert_int_equal(r.p.finished, 2);
		pair_close(&r);
	}
}

/* ---- refusals ---- */

/* What the consumer must make of a turn word, said in another way than ring.h does. */
static enum sx_peek judge(uint32_t turn, uint32_t next, uint32_t size)
{
	if (turn == sx_turn_request(next))
		return SX_PEEK_MESSAGE;
	if (turn == sx_turn_request(next - size) || turn == sx_turn_reply(next - size))
		return SX_PEEK_NONE;
	return SX_PEEK_GARBAGE;
}

static void sweep_turns(struct pair *r, uint32_t around)
{
	unsigned seen[3] = {0};

	for (uint32_t i = 0; i < 8 * r->size + 16; i++) {
		uint32_t turn = around - 4 * r->size - 8 + i;

		sx_consumer_cell(&r->c)->turn = turn;
		assert_int_equal(sx_consumer_peek(&r->c), judge(turn, r->c.next, r->size));
		seen[sx_consumer_peek(&r->c)]++;
	}
	/* Each sweep around the wanted turn meets the one message and both of the lap before. */
	if (around == sx_turn_request(r->c.next)) {
		assert_int_equal(seen[SX_PEEK_MESSAGE], 1);
		assert_int_equal(seen[SX_PEEK_NONE], 2);
	} else {
		assert_int_equal(seen[SX_PEEK_GARBAGE], 8 * r->size + 16);
	}
}

static void a_turn_no_honest_producer_writes_is_garbage(void **state)
{
	static const uint32_t starts[] = {0, 1000, (1u << 31) - 1, 1u << 31, UINT32_MAX};

	(void)state;
	for (uint32_t order = 0; order <= 5; order++) {
		for (unsigned i = 0; i < COUNT(starts); i++) {
			struct pair r = pair_open(order, starts[i]);
			uint32_t want = sx_turn_request(starts[i]);

			sweep_turns(&r, want);
			sweep_turns(&r, want + (1u << 31));
			sweep_turns(&r, want + (1u << 30));
			pair_close(&r);
		}
	}
}

static void garbage_in_the_largest_ring_is_found_too(void **state)
{
	struct pair r = pair_open(SX_RING_MAX_ORDER, 77);

	(void)state;
	sweep_turns(&r, sx_turn_request(77));
	pair_close(&r);
}

static void garbage_moves_nothing(void **state)
{
	struct pair r = pair_open(2, 9);
	struct sx_consumer before = r.c;

	(void)state;
	sx_consumer_cell(&r.c)->turn = 3; /* a request of laps ago */
	r.ring->credit = 0xdead;
	r.ring->order = 31;
	r.ring->asleep = 99;
	assert_int_equal(sx_consumer_peek(&r.c), SX_PEEK_GARBAGE);
	sx_consumer_close(&r.c, SX_RING_REFUSED);
	assert_memory_equal(&r.c, &before, sizeof(before));
	assert_int_equal(r.ring->state, SX_RING_REFUSED);
	pair_close(&r);
}

/* A hostile producer may take a message back or change it; the consumer goes by its own count. */
static void a_turn_rewritten_under_the_consumer_does_not_move_it(void **state)
{
	struct pair r = pair_open(1, 0);
	uint32_t n = send(&r, REQUEST);

	(void)state;
	assert_int_equal(sx_consumer_peek(&r.c), SX_PEEK_MESSAGE);
	sx_consumer_cell(&r.c)->turn = 0xffffffff;
	sx_consumer_reply(&r.c);
	assert_int_equal(sx_producer_cell(&r.p, n)->turn, sx_turn_reply(n));
	assert_int_equal(r.c.next, 1);
	assert_int_equal(r.ring->credit, 1);
	assert_int_equal(sx_consumer_peek(&r.c), SX_PEEK_NONE);
	pair_close(&r);
}

/* ---- wraps ---- */

/* Messages of both kinds, in lots of up to a ringful, past number @start. */
static void pass(uint32_t order, uint32_t start)
{
	struct pair r = pair_open(order, start);
	uint32_t n = start, lot = 0;

	while (n - start < 5 * r.size + 64) {
		uint32_t first = n, count = lot++ % r.size + 1;

		assert_true(sx_producer_room(&r.p, count) >= count);
		for (uint32_t i = 0; i < count; i++)
			fill(&r, r.p.next + i, (n + i) % 3 ? POST : REQUEST);
		sx_producer_publish_burst(&r.p, count);
		for (; n != first + count; n++)
			take(&r, n);
		assert_int_equal(sx_consumer_peek(&r.c), SX_PEEK_NONE);
		sx_consumer_idle(&r.c);
		for (uint32_t m = first; m != n; m++)
			if (m % 3 == 0)
				check_reply(&r, m);
		assert_true(sx_producer_drained(&r.p));
	}
	pair_close(&r);
}

static void numbers_wrap_at_every_power_that_matters(void **state)
{
	static const uint32_t wraps[] = {0, 1u << 30, 1u << 31, 3u << 30};

	(void)state;
	for (uint32_t order = 0; order <= 6; order++)
		for (unsigned i = 0; i < COUNT(wraps); i++)
			for (uint32_t before = 0; before < 40; before += 13)
				pass(order, wraps[i] - before);
}

static void a_full_ring_is_full_across_the_wrap(void **state)
{
	(void)state;
	for (uint32_t before = 0; before <= 16; before++) {
		struct pair r = pair_open(4, -before);

		for (uint32_t i = 0; i < 16; i++)
			send(&r, POST);
		assert_int_equal(sx_producer_room(&r.p, 1), 0);
		assert_false(sx_producer_drained(&r.p));
		for (uint32_t i = 0; i < 16; i++)
			take(&r, i - before);
		sx_consumer_idle(&r.c);
		assert_int_equal(sx_producer_room(&r.p, 16), 16);
		pair_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_layout_is_the_wire_format),
		cmocka_unit_test(format_writes_the_header_and_a_lap_of_replies),
		cmocka_unit_test(a_snapshot_takes_every_bit),
		cmocka_unit_test(an_empty_ring_of_any_size_has_no_message),
		cmocka_unit_test(a_post_arrives_whole_and_is_left_alone),
		cmocka_unit_test(a_reply_comes_in_place),
		cmocka_unit_test(a_reply_finishes_all_posts_before_it),
		cmocka_unit_test(a_reply_to_another_lap_is_no_reply),
		cmocka_unit_test(an_unpublished_cell_is_not_taken),
		cmocka_unit_test(a_burst_goes_round_the_end_of_the_ring),
		cmocka_unit_test(a_burst_of_none_changes_nothing),
		cmocka_unit_test(a_full_ring_has_no_room),
		cmocka_unit_test(credit_is_looked_at_only_when_room_is_short),
		cmocka_unit_test(credit_goes_back_once_in_a_quarter_lap),
		cmocka_unit_test(a_busy_ring_of_requests_gives_credit),
		cmocka_unit_test(idle_gives_back_what_is_owed_and_else_writes_nothing),
		cmocka_unit_test(a_stale_credit_is_passed_over),
		cmocka_unit_test(credit_for_what_was_never_sent_is_passed_over),
		cmocka_unit_test(drained_means_every_message_is_finished),
		cmocka_unit_test(a_consumer_is_kicked_only_between_arm_and_disarm),
		cmocka_unit_test(a_closed_ring_says_how_far_it_got),
		cmocka_unit_test(a_turn_no_honest_producer_writes_is_garbage),
		cmocka_unit_test(garbage_in_the_largest_ring_is_found_too),
		cmocka_unit_test(garbage_moves_nothing),
		cmocka_unit_test(a_turn_rewritten_under_the_consumer_does_not_move_it),
		cmocka_unit_test(numbers_wrap_at_every_power_that_matters),
		cmocka_unit_test(a_full_ring_is_full_across_the_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
