// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/ring_server.h"

#include <errno.h>
#include <inttypes.h>

/* Messages served in one go: enough to amortise the loop, few enough to be fair to the others. */
#define BUDGET 64

static void refuse(struct sx_ring_server *s)
{
	s->bad_turn = sx_load_relaxed(&sx_consumer_cell(&s->consumer)->turn);
	s->refused = true;
	sx_consumer_close(&s->consumer, SX_RING_REFUSED);
}

/* A refused ring stays empty for us, whatever the guest writes there later. */
static enum sx_peek look(const struct sx_ring_server *s)
{
	return s->refused ? SX_PEEK_NONE : sx_consumer_peek(&s->consumer);
}

static void serve(struct sx_ring_server *s)
{
	struct sx_cell *cell = sx_consumer_cell(&s->consumer);
	struct sx_cell msg;

	/* Own the line while the handler works: a reply will be written to it. */
	__builtin_prefetch(cell, 1);
	sx_cell_snapshot(&msg, cell);
	if (s->handler.handle(s->handler.ctx, &msg, cell) == SX_RING_REPLIED)
		sx_consumer_reply(&s->consumer);
	else
		sx_consumer_done(&s->consumer);
}

unsigned sx_ring_server_poll(void *server)
{
	struct sx_ring_server *s = server;
	unsigned served = 0;

	while (served < BUDGET) {
		enum sx_peek peek = look(s);

		if (__builtin_expect(peek == SX_PEEK_MESSAGE, 0)) {
			serve(s);
			served++;
			continue;
		}
		if (__builtin_expect(peek == SX_PEEK_GARBAGE, 0))
			refuse(s);
		sx_consumer_idle(&s->consumer);
		break;
	}
	s->messages += served;
	return served;
}

static unsigned ring_sleep(void *ctx)
{
	struct sx_ring_server *s = ctx;

	sx_consumer_arm(&s->consumer);
	return look(s) == SX_PEEK_MESSAGE;
}

static void ring_awake(void *ctx)
{
	struct sx_ring_server *s = ctx;

	sx_consumer_disarm(&s->consumer);
}

int sx_ring_server_init(struct sx_ring_server *s, const char *name, const struct sx_memmap *memory,
			sx_gpa gpa, uint32_t order, uint32_t flags,
			const struct sx_ring_handler *handler, struct sx_error *err)
{
	struct sx_ring *ring = NULL;

	if (order <= SX_RING_MAX_ORDER && gpa % SX_CACHE_LINE == 0)
		ring = sx_memmap_at(memory, gpa, sx_ring_bytes(order), SX_WRITE);
	if (!ring)
		return sx_fail(err, -EINVAL,
			       "ring '%s' of %u cells does not fit at guest address 0x%" PRIx64
			       "; give the guest more memory",
			       name, 1u << (order & 31), gpa);
	*s = (struct sx_ring_server){
		.handler = *handler,
		.poller = {.name = name, .poll = sx_ring_server_poll, .ctx = s},
	};
	if (flags & SX_RING_KICK) {
		s->poller.sleep = ring_sleep;
		s->poller.awake = ring_awake;
	}
	sx_ring_format(ring, order, flags);
	sx_consumer_init(&s->consumer, ring, order);
	return 0;
}
