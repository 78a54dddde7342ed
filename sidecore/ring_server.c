// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/ring_server.h"

#include <errno.h>
#include <inttypes.h>

void sx_ring_server_refuse(struct sx_ring_server *s)
{
	s->bad_turn = sx_load_relaxed(&sx_consumer_cell(&s->consumer)->turn);
	s->bad_message = s->consumer.next;
	/* Pairs with the acquire of whoever reports it. */
	sx_store_release(&s->refused, true);
	sx_consumer_close(&s->consumer, SX_RING_REFUSED);
}

static __attribute__((noinline)) unsigned serve_by_calls(struct sx_ring_server *s)
{
	return sx_ring_server_poll_with(s, s->handler.handle);
}

static unsigned poll_by_calls(void *server)
{
	return sx_ring_server_idle(server) ? 0 : serve_by_calls(server);
}

static unsigned ring_sleep(void *ctx)
{
	struct sx_ring_server *s = ctx;

	sx_consumer_arm(&s->consumer);
	return !s->refused && sx_consumer_peek(&s->consumer) == SX_PEEK_MESSAGE;
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
		.poller = {.name = name,
			   .poll = handler->poll ? handler->poll : poll_by_calls,
			   .ctx = s},
	};
	if (flags & SX_RING_KICK) {
		s->poller.sleep = ring_sleep;
		s->poller.awake = ring_awake;
	}
	sx_ring_format(ring, order, flags);
	sx_consumer_init(&s->consumer, ring, order);
	return 0;
}
