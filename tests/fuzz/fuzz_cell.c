// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: a producer that writes anything anywhere into a ring, at any moment, against the consumer
 * side of ipc/wire/ring.h.
 *
 * Input: 1 byte, the ring's order; 4 bytes, the number of the first message; then a list of
 * steps, each an enum step and what it wants. The consumer must judge each turn word as the
 * protocol says, keep its own count whatever it is shown, and write nothing but what is its own:
 * a snapshot of the ring is compared after each step, and the heap around it is ASan's.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/wire/ring.h"

#define MAX_ORDER 5
#define MAX_STEPS 256

/* Honest things to do, without which little would be reached; and the others. */
enum step {
	SEND,       /* 2 bytes: op and arg; publish the next message as one should */
	SEND_AHEAD, /* 1 byte: how far; a message before its turn */
	WRITE_TURN, /* 5 bytes: which cell from the next on, and its turn word */
	NUDGE_TURN, /* 2 bytes: which cell from the next on, and what to add to its turn word */
	WRITE_BYTE, /* 3 bytes: where, what */
	WRITE_WORD, /* 10 bytes: where (8-byte aligned), what */
	FLOOD,      /* 1 byte: all of the ring's memory becomes this */
	LAP,        /* 1 byte: that many honest messages, each taken at once */
	LOOK,       /* the consumer looks, and takes one message if there is any */
	LOOK_TWICE, /* 10 bytes: as WRITE_WORD, between the consumer's snapshot and its answer */
	SLEEP,      /* the consumer arms, looks, disarms */
	STEPS,
};

struct input {
	const uint8_t *at;
	size_t left;
};

struct arena {
	struct sx_ring *ring;
	uint8_t *shadow; /* the ring's memory, as it should be */
	size_t bytes;
	uint32_t size;
	struct sx_consumer c;
	uint32_t next;     /* number of the message to be taken, counted here */
	uint32_t credited; /* the last credit that the consumer gave */
	bool refused;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Little endian; zeroes where the input has ended. */
static uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && in->left; i++, in->left--)
		value |= (uint64_t)*in->at++ << 8 * i;
	return value;
}

static bool arena_open(struct arena *a, struct input *in)
{
	uint32_t order = (uint32_t)take(in, 1) % (MAX_ORDER + 1);
	uint32_t start = (uint32_t)take(in, 4);

	*a = (struct arena){.size = 1u << order, .next = start, .credited = start};
	a->bytes = sx_ring_bytes(order);
	a->ring = aligned_alloc(SX_CACHE_LINE, a->bytes);
	a->shadow = malloc(a->bytes);
	if (!a->ring || !a->shadow)
		return false;
	memset(a->ring, 0, a->bytes);
	sx_ring_format(a->ring, order, SX_RING_KICK);
	for (uint32_t n = start; n != start + a->size; n++)
		a->ring->cell[n % a->size].turn = sx_turn_reply(n - a->size);
	sx_consumer_init(&a->c, a->ring, order);
	a->c.next = a->c.credited = start;
	return true;
}

static void arena_close(struct arena *a)
{
	free(a->ring);
	free(a->shadow);
}

/* ---- the producer ---- */

static struct sx_cell *cell_of(struct arena *a, uint32_t n)
{
	return &a->ring->cell[n % a->size];
}

static void send(struct arena *a, uint32_t n, uint16_t op, uint16_t arg)
{
	struct sx_cell *cell = cell_of(a, n);

	cell->op = op;
	cell->arg = arg;
	cell->w[0] = n;
	cell->turn = sx_turn_request(n);
}

static void write_word(struct arena *a, struct input *in)
{
	size_t at = take(in, 2) % (a->bytes / 8);
	uint64_t value = take(in, 8);

	memcpy((uint8_t *)a->ring + 8 * at, &value, sizeof(value));
}

/* ---- the consumer, watched ---- */

static void remember(struct arena *a)
{
	memcpy(a->shadow, a->ring, a->bytes);
}

/* The consumer was to store @value at @field, and so it did, and nothing else. */
static void expect(struct arena *a, const void *field, uint32_t value)
{
	memcpy(a->shadow + ((const uint8_t *)field - (const uint8_t *)a->ring), &value,
	       sizeof(value));
}

static void check(struct arena *a)
{
	require(!memcmp(a->shadow, a->ring, a->bytes));
	require(a->c.ring == a->ring);
	require(a->c.mask == a->size - 1);
	require(a->c.next == a->next);
	require(a->c.credited == a->credited);
	/* What is owed never exceeds a quarter lap. */
	require(a->next - a->credited <= (a->size - 1) / 4);
}

static enum sx_peek judge(const struct arena *a, uint32_t turn)
{
	if (turn == sx_turn_request(a->next))
		return SX_PEEK_MESSAGE;
	if (turn == sx_turn_request(a->next - a->size) || turn == sx_turn_reply(a->next - a->size))
		return SX_PEEK_NONE;
	return SX_PEEK_GARBAGE;
}

static enum sx_peek peek(struct arena *a)
{
	enum sx_peek told;

	remember(a);
	told = sx_consumer_peek(&a->c);
	require(told == judge(a, cell_of(a, a->next)->turn));
	check(a);
	return told;
}

static void finished(struct arena *a)
{
	a->next++;
	if (a->next - a->credited > (a->size - 1) / 4) {
		a->credited = a->next;
		expect(a, &a->ring->credit, a->next);
	}
}

/* Odd ops are requests. @meddle: what the producer writes meanwhile, NULL for nothing. */
static void serve(struct arena *a, struct input *meddle)
{
	struct sx_cell *cell = sx_consumer_cell(&a->c);
	struct sx_cell copy, kept;

	require(cell == cell_of(a, a->next));
	sx_cell_snapshot(&copy, cell);
	require(!memcmp(&copy, cell, sizeof(copy)));
	kept = copy;
	if (meddle)
		write_word(a, meddle);
	require(!memcmp(&copy, &kept, sizeof(copy)));
	if (copy.op & 1)
		for (int i = 0; i < SX_CELL_WORDS; i++)
			cell->w[i] = ~copy.w[i];
	remember(a);
	if (copy.op & 1) {
		expect(a, &cell->turn, sx_turn_reply(a->next));
		finished(a);
		sx_consumer_reply(&a->c);
	} else {
		finished(a);
		sx_consumer_done(&a->c);
	}
	check(a);
}

static void idle(struct arena *a)
{
	remember(a);
	if (a->credited != a->next)
		expect(a, &a->ring->credit, a->next);
	a->credited = a->next;
	sx_consumer_idle(&a->c);
	check(a);
}

static void refuse(struct arena *a)
{
	remember(a);
	if (a->credited != a->next)
		expect(a, &a->ring->credit, a->next);
	a->credited = a->next;
	expect(a, &a->ring->state, SX_RING_REFUSED);
	a->refused = true;
	sx_consumer_close(&a->c, SX_RING_REFUSED);
	check(a);
}

static void look(struct arena *a, struct input *meddle)
{
	switch (peek(a)) {
	case SX_PEEK_MESSAGE:
		serve(a, meddle);
		break;
	case SX_PEEK_NONE:
		idle(a);
		break;
	case SX_PEEK_GARBAGE:
		refuse(a);
	}
}

static void sleep_and_wake(struct arena *a)
{
	idle(a);
	remember(a);
	expect(a, &a->ring->asleep, 1);
	sx_consumer_arm(&a->c);
	check(a);
	peek(a);
	remember(a);
	expect(a, &a->ring->asleep, 0);
	sx_consumer_disarm(&a->c);
	check(a);
}

/* ---- steps ---- */

static void lap(struct arena *a, unsigned count)
{
	for (unsigned i = 0; i < count && !a->refused; i++) {
		send(a, a->next, (uint16_t)i, 0);
		look(a, NULL);
	}
}

static void step(struct arena *a, struct input *in)
{
	struct sx_cell *cell;

	switch ((enum step)(take(in, 1) % STEPS)) {
	case SEND:
		send(a, a->next, (uint16_t)take(in, 1), (uint16_t)take(in, 1));
		break;
	case SEND_AHEAD:
		send(a, a->next + (uint32_t)take(in, 1), 0, 0);
		break;
	case WRITE_TURN:
		cell = cell_of(a, a->next + (uint32_t)take(in, 1));
		cell->turn = (uint32_t)take(in, 4);
		break;
	case NUDGE_TURN:
		cell = cell_of(a, a->next + (uint32_t)take(in, 1));
		cell->turn += (uint32_t)(int8_t)take(in, 1);
		break;
	case WRITE_BYTE: {
		size_t at = take(in, 2) % a->bytes;

		((uint8_t *)a->ring)[at] = (uint8_t)take(in, 1);
		break;
	}
	case WRITE_WORD:
		write_word(a, in);
		break;
	case FLOOD:
		memset(a->ring, (int)take(in, 1), a->bytes);
		break;
	case LAP:
		lap(a, (unsigned)take(in, 1));
		break;
	case LOOK:
		look(a, NULL);
		break;
	case LOOK_TWICE:
		look(a, in);
		break;
	case SLEEP:
		sleep_and_wake(a);
		break;
	case STEPS:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct input in = {data, length};
	struct arena a;

	if (arena_open(&a, &in))
		for (unsigned i = 0; i < MAX_STEPS && in.left && !a.refused; i++)
			step(&a, &in);
	arena_close(&a);
	return 0;
}
