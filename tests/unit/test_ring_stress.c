// SPDX-License-Identifier: BSD-3-Clause
/*
 * ipc/wire/ring.h between two threads: millions of posts, requests and bursts, each word of each
 * message checked on arrival, each word of each reply too. Also with a consumer that sleeps, and
 * under ThreadSanitizer.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/wait.h"
#include "ipc/wire/ring.h"

/* Each run ends after so many messages or so long, whichever is first. */
#define MESSAGES 2000000u
#define RUN_NS   200000000u

#define MAX_BURST 16u
#define PATIENCE  50    /* looks in vain before the processor is left to the other thread */
#define LOST_MS   20000 /* a consumer that sleeps so long was not woken */

/* op: what a message is. */
enum { POST = 1, REQUEST = 2, LAST = 3, KIND = 3, FIRST_OF_BURST = 4 };

struct link {
	struct sx_ring *ring;
	uint32_t order;
	uint32_t start; /* number of the first message */
	bool sleeps;
	int doorbell;
};

struct sent {
	uint64_t messages;
	uint64_t replies;
	uint64_t bad_replies;
	uint64_t kicks;
	bool undrained;
};

struct received {
	uint64_t messages;
	uint64_t bad;     /* a word that is not the sender's, or out of sequence */
	uint64_t torn;    /* bursts seen before they were whole */
	uint64_t bursts;  /* ... and those looked at */
	uint64_t garbage; /* turns refused */
	uint64_t sleeps;
	bool lost_wakeup;
};

static uint64_t word(uint32_t n, int i)
{
	uint64_t x = ((uint64_t)n << 3 | (uint64_t)i) * 0x9e3779b97f4a7c15ull;

	return x ^ x >> 29;
}

static void breathe(unsigned *looks)
{
	if (++*looks % PATIENCE)
		sx_pause();
	else
		sched_yield();
}

/* ---- producer ---- */

struct sender {
	struct link *link;
	struct sx_producer p;
	struct sent sent;
	bool *awaits; /* by cell: it holds a request whose reply is to be read */
	uint64_t random;
};

static uint32_t draw(struct sender *s, uint32_t below)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (uint32_t)(s->random >> 33) % below;
}

static void kick(struct sender *s)
{
	const uint64_t one = 1;

	if (!s->link->sleeps || !sx_producer_must_kick(&s->p))
		return;
	s->sent.kicks++;
	if (write(s->link->doorbell, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void read_reply(struct sender *s, uint32_t n)
{
	struct sx_cell *cell = sx_producer_cell(&s->p, n);
	unsigned looks = 0;
	bool good = true;

	while (!sx_producer_replied(&s->p, n))
		breathe(&looks);
	good = cell->arg == (uint16_t)(n ^ 0x5555);
	for (int i = 0; i < SX_CELL_WORDS; i++)
		good &= cell->w[i] == ~word(n, i);
	s->sent.replies++;
	s->sent.bad_replies += !good;
	s->awaits[n & s->p.mask] = false;
}

static void fill(struct sender *s, uint32_t n, unsigned op, uint32_t left)
{
	struct sx_cell *cell = sx_producer_cell(&s->p, n);

	/* The reply of the lap before: read it, or never mind it. */
	if (s->awaits[n & s->p.mask] && draw(s, 4))
		read_reply(s, n - s->p.mask - 1);
	s->awaits[n & s->p.mask] = (op & KIND) == REQUEST;
	cell->op = (uint16_t)op;
	cell->arg = (uint16_t)left;
	for (int i = 0; i < SX_CELL_WORDS; i++)
		cell->w[i] = word(n, i);
}

static void await_room(struct sender *s, uint32_t want)
{
	unsigned looks = 0;

	while (sx_producer_room(&s->p, want) < want)
		breathe(&looks);
}

static void send_one(struct sender *s, unsigned op)
{
	uint32_t n;

	await_room(s, 1);
	fill(s, s->p.next, op, 1);
	n = sx_producer_publish(&s->p);
	kick(s);
	/* Sometimes a call, sometimes left on its way. */
	if (op == REQUEST && draw(s, 2))
		read_reply(s, n);
	s->sent.messages++;
}

static void send_burst(struct sender *s)
{
	uint32_t most = s->p.mask + 1 < MAX_BURST ? s->p.mask + 1 : MAX_BURST;
	uint32_t count = 1 + draw(s, most);

	await_room(s, count);
	for (uint32_t i = 0; i < count; i++)
		fill(s, s->p.next + i, (draw(s, 8) ? POST : REQUEST) | (i ? 0 : FIRST_OF_BURST),
		     count - i);
	sx_producer_publish_burst(&s->p, count);
	kick(s);
	s->sent.messages += count;
}

static void await_drained(struct sender *s)
{
	unsigned looks = 0;

	while (!sx_producer_drained(&s->p))
		breathe(&looks);
}

static void await_sleep(struct sender *s)
{
	unsigned looks = 0;

	while (!sx_load_relaxed(&s->link->ring->asleep))
		breathe(&looks);
}

static void send_some(struct sender *s)
{
	switch (draw(s, 8)) {
	case 0:
		send_one(s, REQUEST);
		break;
	case 1:
	case 2:
		send_one(s, POST);
		break;
	default:
		send_burst(s);
	}
}

/* The next kick is to meet a consumer that sleeps, or is about to: it does so when it idles. */
static void dawdle(struct sender *s)
{
	await_drained(s);
	if (!draw(s, 8))
		await_sleep(s);
	for (uint32_t i = draw(s, 64); i; i--)
		sx_pause();
}

static void *produce(void *arg)
{
	struct sender *s = arg;
	uint64_t end = sx_now_ns() + RUN_NS;

	while (s->sent.messages < MESSAGES && sx_now_ns() < end) {
		for (int i = s->link->sleeps ? 1 : 64; i; i--)
			send_some(s);
		if (s->link->sleeps)
			dawdle(s);
		else if (!draw(s, 4))
			await_drained(s);
	}
	send_one(s, LAST);
	await_drained(s);
	s->sent.undrained = !sx_producer_drained(&s->p);
	return NULL;
}

/* ---- consumer ---- */

struct receiver {
	struct link *link;
	struct sx_consumer c;
	struct received got;
};

/* Whoever sees the first of a burst sees the others. */
static void look_through_burst(struct receiver *r, uint32_t count)
{
	r->got.bursts++;
	for (uint32_t i = 1; i < count; i++) {
		uint32_t n = r->c.next + i;

		/* Pairs with the release in sx_producer_publish_burst(). */
		if (sx_load_acquire(&r->link->ring->cell[n & r->c.mask].turn) !=
		    sx_turn_request(n)) {
			r->got.torn++;
			return;
		}
	}
}

/* Take the message that is there and finish it; was it the last? */
static bool serve(struct receiver *r)
{
	struct sx_cell *cell = sx_consumer_cell(&r->c);
	uint32_t n = r->c.next;
	struct sx_cell m;
	bool good;

	sx_cell_snapshot(&m, cell);
	good = m.turn == sx_turn_request(n) && (m.op & KIND) && m.arg >= 1 && m.arg <= MAX_BURST;
	for (int i = 0; i < SX_CELL_WORDS; i++)
		good &= m.w[i] == word(n, i);
	r->got.bad += !good;
	r->got.messages++;
	if (good && (m.op & FIRST_OF_BURST))
		look_through_burst(r, m.arg);
	if ((m.op & KIND) == REQUEST) {
		cell->arg = (uint16_t)(n ^ 0x5555);
		for (int i = 0; i < SX_CELL_WORDS; i++)
			cell->w[i] = ~m.w[i];
		sx_consumer_reply(&r->c);
	} else {
		sx_consumer_done(&r->c);
	}
	return (m.op & KIND) == LAST;
}

static void take_nap(struct receiver *r)
{
	struct pollfd fd = {.fd = r->link->doorbell, .events = POLLIN};
	uint64_t rings;

	sx_consumer_arm(&r->c);
	if (sx_consumer_peek(&r->c) == SX_PEEK_NONE) {
		r->got.sleeps++;
		r->got.lost_wakeup |= poll(&fd, 1, LOST_MS) != 1;
		if (read(r->link->doorbell, &rings, sizeof(rings)) < 0)
			r->got.lost_wakeup = true;
	}
	sx_consumer_disarm(&r->c);
}

static void *consume(void *arg)
{
	struct receiver *r = arg;
	unsigned looks = 0;

	for (;;) {
		enum sx_peek peek = sx_consumer_peek(&r->c);

		if (peek == SX_PEEK_MESSAGE) {
			looks = 0;
			if (serve(r))
				break;
		} else if (peek == SX_PEEK_NONE) {
			sx_consumer_idle(&r->c);
			if (r->link->sleeps && looks >= r->got.messages % 32)
				take_nap(r);
			else
				breathe(&looks);
		} else {
			r->got.garbage++;
			break;
		}
	}
	sx_consumer_close(&r->c, r->got.garbage ? SX_RING_REFUSED : SX_RING_STOPPED);
	return NULL;
}

/* ---- runs ---- */

static void link_open(struct link *l)
{
	size_t bytes = sx_ring_bytes(l->order);

	l->ring = aligned_alloc(SX_CACHE_LINE, bytes);
	assert_non_null(l->ring);
	memset(l->ring, 0, bytes);
	sx_ring_format(l->ring, l->order, l->sleeps ? SX_RING_KICK : 0);
	l->ring->credit = l->start;
	for (uint32_t n = l->start; n != l->start + (1u << l->order); n++)
		l->ring->cell[n & ((1u << l->order) - 1)].turn =
			sx_turn_reply(n - (1u << l->order));
	l->doorbell = eventfd(0, EFD_CLOEXEC);
	assert_true(l->doorbell >= 0);
}

static void run(struct link *l)
{
	struct sender s = {.link = l, .random = 88172645463325252ull + l->order};
	struct receiver r = {.link = l};
	pthread_t producer, consumer;

	link_open(l);
	s.awaits = calloc(1u << l->order, sizeof(bool));
	assert_non_null(s.awaits);
	sx_producer_init(&s.p, l->ring, l->order);
	sx_consumer_init(&r.c, l->ring, l->order);
	s.p.next = s.p.finished = r.c.next = r.c.credited = l->start;

	assert_int_equal(pthread_create(&consumer, NULL, consume, &r), 0);
	assert_int_equal(pthread_create(&producer, NULL, produce, &s), 0);
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	print_message("# order %u: %lu messages, %lu replies, %lu bursts, %lu sleeps, %lu kicks\n",
		      l->order, r.got.messages, s.sent.replies, r.got.bursts, r.got.sleeps,
		      s.sent.kicks);

	assert_int_equal(r.got.garbage, 0);
	assert_int_equal(r.got.bad, 0);
	assert_int_equal(r.got.torn, 0);
	assert_false(r.got.lost_wakeup);
	assert_int_equal(r.got.messages, s.sent.messages);
	assert_int_equal(s.sent.bad_replies, 0);
	assert_false(s.sent.undrained);
	assert_true(s.sent.replies > 0);
	assert_true(r.got.bursts > 0);
	if (l->sleeps)
		assert_true(r.got.sleeps > 0 && s.sent.kicks > 0);
	assert_int_equal(sx_producer_state(&s.p), SX_RING_STOPPED);
	assert_int_equal(l->ring->credit, l->start + (uint32_t)s.sent.messages);

	close(l->doorbell);
	free(s.awaits);
	free(l->ring);
}

static void nothing_is_lost_in_a_ring_of_one(void **state)
{
	(void)state;
	run(&(struct link){.order = 0});
}

static void nothing_is_lost_in_small_rings(void **state)
{
	(void)state;
	run(&(struct link){.order = 1});
	run(&(struct link){.order = 3});
}

static void nothing_is_lost_in_large_rings(void **state)
{
	(void)state;
	run(&(struct link){.order = 6});
	run(&(struct link){.order = 10});
}

static void nothing_is_lost_when_numbers_wrap(void **state)
{
	(void)state;
	run(&(struct link){.order = 2, .start = (1u << 31) - 1000});
	run(&(struct link){.order = 5, .start = -1000u});
}

static void a_sleeping_consumer_is_always_woken(void **state)
{
	(void)state;
	run(&(struct link){.order = 0, .sleeps = true});
	run(&(struct link){.order = 4, .sleeps = true});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_in_a_ring_of_one),
		cmocka_unit_test(nothing_is_lost_in_small_rings),
		cmocka_unit_test(nothing_is_lost_in_large_rings),
		cmocka_unit_test(nothing_is_lost_when_numbers_wrap),
		cmocka_unit_test(a_sleeping_consumer_is_always_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
