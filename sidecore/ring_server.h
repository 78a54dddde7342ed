// SPDX-License-Identifier: BSD-3-Clause
/*
 * Serves one ring whose producer is a guest (ipc/wire/ring.h).
 *
 * The guest is hostile: each message is snapshot once, and the handler sees the copy only. A turn
 * word that no honest producer writes closes this ring, and nothing else.
 */
#ifndef SX_SIDECORE_RING_SERVER_H
#define SX_SIDECORE_RING_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/memmap.h"
#include "ipc/wire/ring.h"
#include "sidecore/poller.h"

enum sx_ring_verdict {
	SX_RING_POSTED,  /* it was a post: nothing to say */
	SX_RING_REPLIED, /* @reply is filled */
};

/*
 * @msg is a snapshot. @reply is the cell itself, in the guest's memory: the handler writes `arg`
 * and w[] of its reply there, once, and never reads it; of a post it touches nothing.
 */
struct sx_ring_handler {
	enum sx_ring_verdict (*handle)(void *ctx, const struct sx_cell *msg, struct sx_cell *reply);
	void *ctx;
	/*
	 * Optional, for a device that takes streams: sx_ring_server_poll_with() in a function of
	 * the device's own, so that handle() is compiled into the loop. NULL: a call each.
	 */
	unsigned (*poll)(void *server);
};

struct sx_ring_server {
	struct sx_consumer consumer;
	struct sx_ring_handler handler;
	bool refused; /* the producer broke the protocol; the ring is closed */
	/* What it wrote, at which message: there once `refused`, loaded with acquire, is true. */
	uint32_t bad_turn;
	uint32_t bad_message;
	uint64_t messages; /* written by the owner; relaxed */
	struct sx_poller poller;
};

/*
 * Lay a ring of 1 << @order cells out in guest memory at @gpa (64-byte aligned) and serve it.
 * @flags: SX_RING_KICK when whoever polls it may sleep. The memory must stay mapped while it is
 * served. -EINVAL with a sentence when it does not fit.
 */
int sx_ring_server_init(struct sx_ring_server *s, const char *name, const struct sx_memmap *memory,
			sx_gpa gpa, uint32_t order, uint32_t flags,
			const struct sx_ring_handler *handler, struct sx_error *err);

/* Serve what is there, at most a lap or so. Owner thread only; returns how many messages. */
static inline unsigned sx_ring_server_poll(struct sx_ring_server *s)
{
	return s->poller.poll(s);
}

/* ---- for a handler's own poll() ---- */

/*
 * Is there nothing to serve? A poll() asks this first and calls another function if there is:
 * most polls find nothing, and should not save registers for what they do not do.
 */
static inline bool sx_ring_server_idle(const struct sx_ring_server *s)
{
	return sx_consumer_peek(&s->consumer) == SX_PEEK_NONE;
}

/* Messages served in one go: enough to amortise the loop, few enough to be fair to the others. */
#define SX_RING_BUDGET 256

/*
 * In a large ring a stream's producer runs well ahead, and its lines are asked for this many cells
 * before their turn. In a small one they would be taken from it while it still writes them, and
 * most messages are requests.
 */
#define SX_RING_STREAM_CELLS   1024u
#define SX_RING_PREFETCH_AHEAD 24u

/* The producer broke the protocol at the message that is next: close the ring for good. */
void sx_ring_server_refuse(struct sx_ring_server *s);

static inline __attribute__((always_inline)) unsigned sx_ring_server_poll_with(
	struct sx_ring_server *s,
	enum sx_ring_verdict (*handle)(void *, const struct sx_cell *, struct sx_cell *))
{
	/* A copy that the handler cannot touch, so that it stays in registers. */
	struct sx_consumer c = s->consumer;
	enum sx_peek peek;
	unsigned served;

	/* A refused ring stays empty for us, whatever the guest writes there later. */
	if (__builtin_expect(s->refused, 0))
		return 0;
	peek = sx_consumer_peek(&c);
	for (served = 0; peek == SX_PEEK_MESSAGE && served < SX_RING_BUDGET; served++) {
		struct sx_cell *cell = sx_consumer_cell(&c);
		struct sx_cell msg;

		if (c.mask >= SX_RING_STREAM_CELLS)
			__builtin_prefetch(sx_consumer_cell_ahead(&c, SX_RING_PREFETCH_AHEAD));
		sx_cell_snapshot(&msg, cell);
		if (handle(s->handler.ctx, &msg, cell) == SX_RING_REPLIED)
			sx_consumer_reply(&c);
		else
			sx_consumer_done(&c);
		peek = sx_consumer_peek(&c);
	}
	if (served) {
		sx_count(&s->messages, served);
		/* What a quarter lap has not given back yet. */
		if (peek != SX_PEEK_MESSAGE)
			sx_consumer_idle(&c);
		s->consumer = c;
	}
	if (__builtin_expect(peek == SX_PEEK_GARBAGE, 0))
		sx_ring_server_refuse(s);
	return served;
}

#endif
