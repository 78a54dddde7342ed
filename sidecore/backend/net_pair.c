// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/backend/net_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sidecore/backend/net_fifo.h"

struct end {
	struct sx_net_backend b;
	struct link *link;
	struct sx_net_fifo *to; /* one for each queue */
	struct sx_net_fifo *from;
	uint64_t offloads; /* atomic */
	uint32_t active;   /* queues; atomic */
};

/* What both ends share; the last one to go frees it. */
struct link {
	struct end end[2];
	uint32_t open; /* ends; atomic */
	unsigned queues;
	struct sx_net_fifo fifo[]; /* one direction's, then the other's */
};

static struct end *end_of(struct sx_net_backend *b)
{
	return (struct end *)b;
}

static unsigned pair_send(struct sx_net_backend *b, unsigned queue,
			  const struct sx_net_frame *frame, unsigned count)
{
	struct end *e = end_of(b);
	struct sx_net_fifo *f = &e->to[queue];
	unsigned n;

	/* Nobody would ever make room. Relaxed: noticed a little later is as good. */
	if (sx_load_relaxed(&e->link->open) < 2) {
		sx_net_drop(b, count);
		return count;
	}
	for (n = 0; n < count && sx_net_fifo_push(f, &frame[n]); n++)
		;
	sx_net_fifo_show(f);
	return n;
}

static unsigned pair_peek(struct sx_net_backend *b, unsigned queue, struct sx_net_frame *frame,
			  unsigned max)
{
	return sx_net_fifo_peek(&end_of(b)->from[queue], frame, max);
}

static void pair_release(struct sx_net_backend *b, unsigned queue, unsigned count)
{
	sx_net_fifo_release(&end_of(b)->from[queue], count);
}

static int pair_wake_fd(struct sx_net_backend *b, unsigned queue)
{
	(void)b;
	(void)queue;
	return -1;
}

static int pair_set_offloads(struct sx_net_backend *b, uint64_t offloads)
{
	sx_store_relaxed(&end_of(b)->offloads, offloads);
	return 0;
}

static int pair_set_queues(struct sx_net_backend *b, unsigned queues)
{
	sx_store_relaxed(&end_of(b)->active, queues);
	return 0;
}

static void free_link(struct link *l)
{
	for (unsigned i = 0; i < 2 * l->queues; i++)
		sx_net_fifo_destroy(&l->fifo[i]);
	free(l);
}

static void pair_destroy(struct sx_net_backend *b)
{
	struct link *l = end_of(b)->link;

	/* Both: the last one comes after all that the other did. */
	if (__atomic_sub_fetch(&l->open, 1, __ATOMIC_ACQ_REL) == 0)
		free_link(l);
}

static const struct sx_net_ops ops = {
	.name = "pair",
	.send = pair_send,
	.peek = pair_peek,
	.release = pair_release,
	.wake_fd = pair_wake_fd,
	.set_offloads = pair_set_offloads,
	.set_queues = pair_set_queues,
	.destroy = pair_destroy,
};

int sx_net_pair_open(struct sx_net_backend *end[2], unsigned queues, uint64_t bytes,
		     struct sx_error *err)
{
	const size_t size = sizeof(struct link) + 2ul * queues * sizeof(struct sx_net_fifo);
	const size_t mask = SX_CACHE_LINE - 1;
	struct link *l;
	int rc = 0;

	if (!queues || queues > UINT16_MAX)
		return sx_fail(err, -EINVAL, "a pair of ports has at least one queue");
	l = aligned_alloc(SX_CACHE_LINE, (size + mask) & ~mask);
	if (!l)
		return sx_fail(err, -ENOMEM, "no memory for a pair of ports");
	memset(l, 0, size);
	l->open = 2;
	l->queues = queues;
	for (unsigned i = 0; rc == 0 && i < 2 * queues; i++)
		rc = sx_net_fifo_init(&l->fifo[i], bytes);
	if (rc < 0) {
		free_link(l);
		return sx_fail(err, rc, "a pair of ports cannot have queues of %llu bytes",
			       (unsigned long long)bytes);
	}
	for (unsigned i = 0; i < 2; i++) {
		l->end[i] = (struct end){
			.b = {.ops = &ops,
			      .features = SX_NET_GUEST_OFFLOADS | SX_NET_HOST_OFFLOADS,
			      .queues = (uint16_t)queues},
			.link = l,
			.to = i ? l->fifo + queues : l->fifo,
			.from = i ? l->fifo : l->fifo + queues,
			.active = 1,
		};
		end[i] = &l->end[i].b;
	}
	return 0;
}

void sx_net_pair_break(struct sx_net_backend *end)
{
	sx_store_relaxed(&end->gone, 1u);
}

uint64_t sx_net_pair_offloads(const struct sx_net_backend *end)
{
	return sx_load_relaxed(&((const struct end *)end)->offloads);
}

unsigned sx_net_pair_queues(const struct sx_net_backend *end)
{
	return sx_load_relaxed(&((const struct end *)end)->active);
}
