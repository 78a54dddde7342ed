/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/*
 * A ring: an array of cells with one producer and one consumer, in memory both can reach.
 *
 * Two kinds of message share it, in order:
 *  - a request: the consumer overwrites it with its reply. Request and reply are one cache line
 *    that moves there and back, which is the physical floor of a round trip.
 *  - a post: the consumer leaves the cell alone. That it is done with it, it says in `credit`,
 *    a word on its own line that the producer reads only when it has run out of room; so a
 *    stream of posts moves each line once, in one direction.
 *
 * There is no shared head or tail: the consumer looks at the turn word of the next cell. Every
 * word has one writer at a time: cells as their turn word says, `credit`, `state` and `asleep`
 * always the consumer.
 *
 * A consumer that polls for ever never sleeps, and a producer never has to wake it. One that may
 * sleep says so in `flags` (SX_RING_KICK); then the producer asks sx_producer_must_kick() after
 * each publish and, if told so, reaches the consumer by a doorbell agreed on elsewhere.
 *
 * The consumer finishes messages in order: it replies to, or is done with, message n before it
 * takes n+1. So a reply to n also tells that all before n are finished.
 *
 * The producer trusts the consumer (a guest trusts its hypervisor). The consumer does not trust
 * the producer: it keeps its position and the ring's size in private memory, and any turn value
 * that an honest producer could not have written makes it refuse the ring.
 */
#ifndef SX_WIRE_RING_H
#define SX_WIRE_RING_H

#include "ipc/wire/cell.h"

#define SX_RING_MAGIC     0x52587853u /* "SxXR" as it lies in memory */
#define SX_RING_MAX_ORDER 16

#define SX_RING_KICK 1u /* flags: the consumer may sleep */

enum sx_ring_state {
	SX_RING_OPEN = 0,
	SX_RING_STOPPED = 1, /* by agreement; messages posted later are not taken */
	SX_RING_REFUSED = 2, /* the producer broke the protocol */
};

struct sx_ring {
	/* Written once by whoever lays the ring out. */
	uint32_t magic;
	uint32_t version;
	uint32_t order; /* the ring has 1 << order cells */
	uint32_t flags; /* SX_RING_KICK */
	/* Two lines apart: adjacent-line prefetch would pull the pair over together. */
	uint8_t pad0[112];
	/* Written by the consumer. */
	uint32_t credit; /* number of messages finished, modulo 2^32 */
	uint32_t state;  /* enum sx_ring_state */
	uint32_t asleep; /* 1: the consumer sleeps, or is about to */
	uint8_t pad1[116];
	struct sx_cell cell[];
};

_Static_assert(__builtin_offsetof(struct sx_ring, credit) == 128, "ring layout is wire format");
_Static_assert(__builtin_offsetof(struct sx_ring, cell) == 256, "ring layout is wire format");

/* Bytes that a ring of 1 << order cells needs. */
static inline uint64_t sx_ring_bytes(uint32_t order)
{
	return sizeof(struct sx_ring) + ((uint64_t)sizeof(struct sx_cell) << order);
}

/*
 * Lay out an empty ring in cache-line aligned memory of sx_ring_bytes(order). Before either side
 * uses it; the caller publishes the ring to the other side with release.
 */
static inline void sx_ring_format(struct sx_ring *r, uint32_t order, uint32_t flags)
{
	uint32_t size = 1u << order;

	r->magic = SX_RING_MAGIC;
	r->version = SX_WIRE_VERSION;
	r->order = order;
	r->flags = flags;
	r->credit = 0;
	r->state = SX_RING_OPEN;
	r->asleep = 0;
	/* As if message i - size had been answered: the first lap needs no special case. */
	for (uint32_t i = 0; i < size; i++)
		r->cell[i].turn = sx_turn_reply(i - size);
}

/* ---- producer ---- */

struct sx_producer {
	struct sx_ring *ring;
	uint32_t mask;
	uint32_t next;     /* number of the next message */
	uint32_t finished; /* messages known to be finished; room is size - (next - finished) */
};

static inline void sx_producer_init(struct sx_producer *p, struct sx_ring *r, uint32_t order)
{
	p->ring = r;
	p->mask = (1u << order) - 1;
	p->next = 0;
	p->finished = 0;
}

/*
 * A stream's producer asks to own cells this many ahead: the consumer has them, and waiting for one
 * after the other would be the stream's pace.
 */
#define SX_RING_OWN_AHEAD 16u

static inline struct sx_cell *sx_producer_cell(const struct sx_producer *p, uint32_t n)
{
	return &p->ring->cell[n & p->mask];
}

/*
 * Learn that @finished messages are done with. What is no news is passed over: a reply tells of
 * its message before `credit` does, which may then lie behind.
 */
static inline void sx_producer_learn(struct sx_producer *p, uint32_t finished)
{
	if (finished - p->finished <= p->next - p->finished)
		p->finished = finished;
}

/*
 * How many messages can be published now. Looks at the consumer's line only when the room known
 * of is less than @want. A cell whose reply has come counts as room, read or not: whoever has
 * more than one request on the way reads reply n before filling the cell of n + size.
 */
static inline uint32_t sx_producer_room(struct sx_producer *p, uint32_t want)
{
	uint32_t size = p->mask + 1;

	if (size - (p->next - p->finished) < want) {
		/* Pairs with sx_consumer_credit(): it has read the cells before we write them. */
		sx_producer_learn(p, sx_load_acquire(&p->ring->credit));
	}
	return size - (p->next - p->finished);
}

/*
 * Publish the cell that the caller filled at sx_producer_cell(p, p->next); returns its number.
 * The caller has made sure of room.
 */
static inline uint32_t sx_producer_publish(struct sx_producer *p)
{
	uint32_t n = p->next++;

	/* Pairs with the acquire in sx_consumer_peek(): the payload is visible before the turn. */
	sx_store_release(&sx_producer_cell(p, n)->turn, sx_turn_request(n));
	return n;
}

/*
 * Publish the @count cells filled from p->next on, the first one last: the consumer sees the
 * burst whole and runs through it without waiting for each line to be finished.
 */
static inline void sx_producer_publish_burst(struct sx_producer *p, uint32_t count)
{
	uint32_t n = p->next;

	p->next += count;
	/* Each pairs with the acquire in sx_consumer_peek(). */
	for (uint32_t i = count; i-- > 0;)
		sx_store_release(&sx_producer_cell(p, n + i)->turn, sx_turn_request(n + i));
}

/* Has request @n been answered? Then its cell holds the reply, and is the producer's. */
static inline int sx_producer_replied(struct sx_producer *p, uint32_t n)
{
	/* Pairs with the release in sx_consumer_reply(). */
	if (sx_load_acquire(&sx_producer_cell(p, n)->turn) != sx_turn_reply(n))
		return 0;
	/* In order: with n, everything before it is finished. */
	sx_producer_learn(p, n + 1);
	return 1;
}

/* After publishing on a ring with SX_RING_KICK: does the consumer have to be woken? */
static inline int sx_producer_must_kick(const struct sx_producer *p)
{
	/* Our turn word before their `asleep`; pairs with the fence in sx_consumer_arm(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return sx_load_relaxed(&p->ring->asleep) != 0;
}

/* Has the consumer finished every message published so far? */
static inline int sx_producer_drained(struct sx_producer *p)
{
	/* Pairs with sx_consumer_credit(). */
	if (p->finished != p->next)
		sx_producer_learn(p, sx_load_acquire(&p->ring->credit));
	return p->finished == p->next;
}

/*
 * Is the consumer still there? Whoever waits for it looks now and then. Once this is not
 * SX_RING_OPEN, sx_producer_drained() has the last word: what is not finished never will be.
 */
static inline enum sx_ring_state sx_producer_state(const struct sx_producer *p)
{
	/* Pairs with the release in sx_consumer_close(). */
	return (enum sx_ring_state)sx_load_acquire(&p->ring->state);
}

/* ---- consumer ---- */

struct sx_consumer {
	struct sx_ring *ring;
	uint32_t mask;
	uint32_t next;     /* number of the next message to take */
	uint32_t credited; /* what `credit` in the ring says */
};

enum sx_peek {
	SX_PEEK_NONE,
	SX_PEEK_MESSAGE,
	SX_PEEK_GARBAGE, /* a turn that no honest producer writes */
};

static inline void sx_consumer_init(struct sx_consumer *c, struct sx_ring *r, uint32_t order)
{
	c->ring = r;
	c->mask = (1u << order) - 1;
	c->next = 0;
	c->credited = 0;
}

static inline struct sx_cell *sx_consumer_cell(const struct sx_consumer *c)
{
	return &c->ring->cell[c->next & c->mask];
}

/* The cell that will be next after @ahead more messages: to prefetch, not to look at. */
static inline struct sx_cell *sx_consumer_cell_ahead(const struct sx_consumer *c, uint32_t ahead)
{
	return &c->ring->cell[(c->next + ahead) & c->mask];
}

/* Is there a message? One load of a line that stays in our cache until the producer writes. */
static inline enum sx_peek sx_consumer_peek(const struct sx_consumer *c)
{
	uint32_t want = sx_turn_request(c->next);
	/* Pairs with the release in sx_producer_publish(). */
	uint32_t behind = want - sx_load_acquire(&sx_consumer_cell(c)->turn);

	if (__builtin_expect(behind == 0, 0))
		return SX_PEEK_MESSAGE;
	/* The lap before left either its reply (2 * size - 1 behind) or its post (2 * size). */
	if (__builtin_expect(behind - (2 * c->mask + 1) <= 1, 1))
		return SX_PEEK_NONE;
	return SX_PEEK_GARBAGE;
}

/* Tell the producer how far we are. Called by the functions below. */
static inline void sx_consumer_credit(struct sx_consumer *c)
{
	c->credited = c->next;
	/* Pairs with the acquires in sx_producer_room() and sx_producer_drained(). */
	sx_store_release(&c->ring->credit, c->next);
}

/* Finish a post. The credit goes back once in a quarter lap, or when the ring runs empty. */
static inline void sx_consumer_done(struct sx_consumer *c)
{
	c->next++;
	if (c->next - c->credited > c->mask / 4)
		sx_consumer_credit(c);
}

/*
 * Finish a request: the caller has written the reply's words into sx_consumer_cell(). The credit
 * goes back as for a post: for a producer that waits for room and not for this reply, and so that
 * `credit` never lies a lap behind, however long the ring does not run empty.
 */
static inline void sx_consumer_reply(struct sx_consumer *c)
{
	/* Pairs with the acquire in sx_producer_replied(). */
	sx_store_release(&sx_consumer_cell(c)->turn, sx_turn_reply(c->next));
	sx_consumer_done(c);
}

/* The ring ran empty: give back what is owed. Cheap when nothing is. */
static inline void sx_consumer_idle(struct sx_consumer *c)
{
	if (c->credited != c->next)
		sx_consumer_credit(c);
}

/*
 * Announce that the consumer is about to sleep. Afterwards it must peek once more, and sleep only
 * if there is nothing; sx_consumer_disarm() when it is awake.
 */
static inline void sx_consumer_arm(struct sx_consumer *c)
{
	sx_store_relaxed(&c->ring->asleep, 1u);
	/* `asleep` before the turn word; pairs with the fence in sx_producer_must_kick(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void sx_consumer_disarm(struct sx_consumer *c)
{
	sx_store_relaxed(&c->ring->asleep, 0u);
}

/*
 * Close the ring: no message is taken any more. The producer finds out when it looks at `state`,
 * and then reads in `credit` how many were finished.
 */
static inline void sx_consumer_close(struct sx_consumer *c, enum sx_ring_state why)
{
	sx_consumer_idle(c);
	/* Pairs with the acquire in sx_producer_state(). */
	sx_store_release(&c->ring->state, (uint32_t)why);
}

#endif
