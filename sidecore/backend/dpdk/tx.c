// SPDX-License-Identifier: BSD-3-Clause
/*
 * From guest memory to a port.
 */
#include "sidecore/backend/dpdk/port.h"

/* Where the next bytes of a frame are copied from. */
struct cursor {
	const struct iovec *seg;
	size_t skip; /* bytes of *seg that are done */
};

static void copy(struct cursor *from, uint8_t *to, size_t len)
{
	while (len) {
		size_t n = from->seg->iov_len - from->skip;

		if (n > len)
			n = len;
		memcpy(to, (const uint8_t *)from->seg->iov_base + from->skip, n);
		to += n;
		len -= n;
		from->skip += n;
		if (from->skip == from->seg->iov_len) {
			from->seg++;
			from->skip = 0;
		}
	}
}

/* Copy a frame into @m and, when it is long, into mbufs behind it; false when there are none. */
static bool fill(const struct sx_port *p, struct rte_mbuf *m, const struct sx_net_frame *f)
{
	struct cursor from = {.seg = f->seg};
	struct rte_mbuf *last = m;
	uint32_t left = f->len;

	for (;;) {
		uint32_t n = left < p->room ? left : p->room;

		copy(&from, rte_pktmbuf_mtod(last, uint8_t *), n);
		last->data_len = (uint16_t)n;
		left -= n;
		if (!left)
			break;
		last->next = rte_pktmbuf_alloc(p->pool);
		if (!last->next)
			return false;
		last = last->next;
		m->nb_segs++;
	}
	m->pkt_len = f->len;
	return true;
}

/* Frames on their way: m[i] holds the frame with index of[i]. */
struct batch {
	struct rte_mbuf *m[SX_PORT_BURST];
	uint16_t of[SX_PORT_BURST];
	uint16_t count;
};

/* Longer than one mbuf holds, by an offload or MTU that the port has not? */
static bool is_too_long(const struct sx_port *p, const struct sx_net_frame *f)
{
	return f->len > p->room && !(p->tx & RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
}

/* False: the frame cannot be sent at all. */
static bool prepare(const struct sx_port *p, unsigned queue, struct rte_mbuf **m,
		    const struct sx_net_frame *f)
{
	if (!sx_port_offload(p, *m, &f->hdr))
		return false;
	return !(*m)->ol_flags || rte_eth_tx_prepare(p->id, (uint16_t)queue, m, 1) == 1;
}

/*
 * Put @count frames into @batch, less those that cannot be sent, which are left out of it. Returns
 * for how many there were mbufs.
 */
static unsigned load(struct sx_port *p, unsigned queue, const struct sx_net_frame *frame,
		     unsigned count, struct batch *batch)
{
	struct rte_mbuf *fresh[SX_PORT_BURST];
	unsigned i;

	batch->count = 0;
	if (rte_pktmbuf_alloc_bulk(p->pool, fresh, count) < 0)
		return 0;
	for (i = 0; i < count; i++) {
		bool fits = !is_too_long(p, &frame[i]);

		if (fits && !fill(p, fresh[i], &frame[i]))
			break;
		if (fits && prepare(p, queue, &fresh[i], &frame[i])) {
			batch->of[batch->count] = (uint16_t)i;
			batch->m[batch->count++] = fresh[i];
		} else {
			rte_pktmbuf_free(fresh[i]);
		}
	}
	if (i < count)
		rte_pktmbuf_free_bulk(&fresh[i], count - i);
	return i;
}

unsigned sx_port_send(struct sx_net_backend *b, unsigned queue, const struct sx_net_frame *frame,
		      unsigned count)
{
	struct sx_port *p = sx_port_of(b);
	struct batch batch;
	unsigned taken;
	uint16_t sent;

	if (sx_load_relaxed(&b->gone)) {
		sx_net_drop(b, count);
		return count;
	}
	if (count > SX_PORT_BURST)
		count = SX_PORT_BURST;
	taken = load(p, queue, frame, count, &batch);
	sent = rte_eth_tx_burst(p->id, (uint16_t)queue, batch.m, batch.count);
	if (sent < batch.count) {
		taken = batch.of[sent];
		rte_pktmbuf_free_bulk(&batch.m[sent], batch.count - sent);
	}
	if (taken > sent)
		sx_net_drop(b, taken - sent);
	return taken;
}
