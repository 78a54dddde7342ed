// SPDX-License-Identifier: BSD-3-Clause
/*
 * From a port to the device: mbufs are shown as they are, and freed when they are done with.
 */
#include <rte_cycles.h>

#include "sidecore/backend/dpdk/port.h"

/* ---- frames ---- */

/* Show @m, with its pieces in @iov if there are several. Returns how many went there. */
static unsigned show(struct rte_mbuf *m, struct sx_net_frame *f, struct iovec *iov)
{
	const uint64_t sum = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	unsigned n = 0;

	f->hdr = (struct virtio_net_hdr_v1){0};
	if (sum == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		f->hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	f->len = rte_pktmbuf_pkt_len(m);
	f->segs = m->nb_segs;
	if (m->nb_segs == 1) {
		f->own = (struct iovec){rte_pktmbuf_mtod(m, void *), rte_pktmbuf_data_len(m)};
		f->seg = &f->own;
		return 0;
	}
	f->seg = iov;
	for (; m; m = m->next)
		iov[n++] = (struct iovec){rte_pktmbuf_mtod(m, void *), rte_pktmbuf_data_len(m)};
	return n;
}

/* ---- receiving ---- */

/*
 * Where a port spreads its frames over all queues in a way that cannot be changed, the first
 * queue's thread also receives on those that the guest does not use. The thread of such a queue may
 * not know yet: the second of two that meet leaves the queue to the first.
 */
static unsigned receive_burst(struct sx_port *p, unsigned queue, struct rte_mbuf **m)
{
	struct sx_port_queue *q = &p->queue[queue];
	unsigned n;

	if (p->table || p->b.queues == 1)
		return rte_eth_rx_burst(p->id, (uint16_t)queue, m, SX_PORT_BURST);
	/* Acquire pairs with the release below: what the other thread did to the queue is done. */
	if (__atomic_exchange_n(&q->busy, 1, __ATOMIC_ACQUIRE))
		return 0;
	n = rte_eth_rx_burst(p->id, (uint16_t)queue, m, SX_PORT_BURST);
	sx_store_release(&q->busy, 0u);
	return n;
}

static unsigned receive_unused(struct sx_port *p, struct rte_mbuf **m)
{
	unsigned n = 0;

	for (unsigned i = sx_load_relaxed(&p->active); !n && i < p->b.queues; i++)
		n = receive_burst(p, i, m);
	return n;
}

/* Not every port tells when its link changes. */
static void ask_for_link(struct sx_port *p, struct sx_port_queue *q)
{
	uint64_t now = rte_rdtsc();

	if (now < q->link_at)
		return;
	q->link_at = now + p->link_pause;
	sx_port_look_at_link(p);
}

/* What comes in more pieces than the device takes is dropped. Returns how many are left. */
static unsigned drop_pieces(struct sx_port *p, struct rte_mbuf **m, unsigned count)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < count; i++) {
		if (m[i]->nb_segs <= SX_NET_MAX_SEGS) {
			m[kept++] = m[i];
			continue;
		}
		rte_pktmbuf_free(m[i]);
		sx_net_drop(&p->b, 1);
	}
	return kept;
}

static void refill(struct sx_port *p, unsigned queue)
{
	struct sx_port_queue *q = &p->queue[queue];

	q->first = 0;
	q->count = receive_burst(p, queue, q->held);
	if (!queue && !q->count && !p->table)
		q->count = receive_unused(p, q->held);
	q->count = drop_pieces(p, q->held, q->count);
	if (!queue)
		ask_for_link(p, q);
}

unsigned sx_port_peek(struct sx_net_backend *b, unsigned queue, struct sx_net_frame *frame,
		      unsigned max)
{
	struct sx_port *p = sx_port_of(b);
	struct sx_port_queue *q = &p->queue[queue];
	unsigned used = 0, n;

	if (sx_load_relaxed(&b->gone))
		return 0;
	if (q->first == q->count)
		refill(p, queue);
	for (n = 0; n < max && q->first + n < q->count; n++) {
		struct rte_mbuf *m = q->held[q->first + n];

		if (m->nb_segs > 1 && used + m->nb_segs > SX_PORT_IOVECS)
			break;
		used += show(m, &frame[n], &q->iov[used]);
	}
	return n;
}

void sx_port_release(struct sx_net_backend *b, unsigned queue, unsigned count)
{
	struct sx_port_queue *q = &sx_port_of(b)->queue[queue];

	rte_pktmbuf_free_bulk(&q->held[q->first], count);
	q->first += count;
}

void sx_port_forget(struct sx_port *p)
{
	for (unsigned i = 0; p->queue && i < p->b.queues; i++) {
		struct sx_port_queue *q = &p->queue[i];

		rte_pktmbuf_free_bulk(&q->held[q->first], q->count - q->first);
	}
}
