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
};

struct sx_ring_server {
	struct sx_consumer consumer;
	struct sx_ring_handler handler;
	bool refused;      /* the producer broke the protocol; the ring is closed */
	uint32_t bad_turn; /* what it wrote */
	uint64_t messages;
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
unsigned sx_ring_server_poll(void *server);

#endif
