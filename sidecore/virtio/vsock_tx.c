// SPDX-License-Identifier: BSD-3-Clause
/*
 * Packets from the guest (virtio 1.2, 5.10.6). What belongs to no connection and is no request for
 * one is answered by RST; what no honest driver sends on a connection ends it.
 */
#include "sidecore/virtio/vsock_internal.h"

#define REQUEST_COST (16u << 10)  /* a request takes as long as so many bytes */
#define PACKETS      64           /* in a turn */
#define TURN_BYTES   (256u << 10) /* and bytes, but at least one packet */

/* ---- answers to packets of no connection ---- */

static void refuse(struct sx_virtio_vsock *v, const struct virtio_vsock_hdr *h)
{
	struct sx_vsock_reply *r = &v->reply[v->replies_in % SX_VSOCK_REPLIES];

	/* RST is not answered, or two peers would go on for ever. */
	if (h->op == VIRTIO_VSOCK_OP_RST)
		return;
	*r = (struct sx_vsock_reply){h->dst_cid, h->dst_port, h->src_port, h->type};
	v->replies_in++;
}

static void refuse_malformed(struct sx_virtio_vsock *v, const struct virtio_vsock_hdr *h)
{
	sx_count(&v->stats.malformed, 1);
	refuse(v, h);
}

/* ---- a connection is asked for ---- */

static void open_connection(struct sx_virtio_vsock *v, const struct virtio_vsock_hdr *h)
{
	int fd = sx_vsock_connect(v, h->dst_port);
	struct sx_vsock_connection *c = fd < 0 ? NULL : sx_vsock_new(v, fd, SX_VSOCK_OPEN);

	if (c && !sx_vsock_watch(v, c)) {
		sx_vsock_drop(v, c);
		c = NULL;
	}
	if (!c) {
		sx_count(&v->stats.refused, 1);
		refuse(v, h);
		return;
	}
	sx_vsock_hash(v, c, h->dst_port, h->src_port);
	c->guest_room = h->buf_alloc;
	sx_count(&v->stats.from_guest, 1);
	sx_vsock_want(v, c, SX_VSOCK_RESPONSE);
}

/* ---- packets of a connection; false: it is malformed ---- */

static bool take_credit(struct sx_virtio_vsock *v, struct sx_vsock_connection *c,
			const struct virtio_vsock_hdr *h)
{
	if (c->sent - h->fwd_cnt > SX_VSOCK_WINDOW)
		return false;
	c->guest_room = h->buf_alloc;
	c->guest_taken = h->fwd_cnt;
	if (sx_vsock_credit(c)) {
		c->asked = false;
		sx_vsock_want(v, c, 0);
	}
	return true;
}

/* The guest accepts what the host's program asked for. */
static bool on_response(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	if (c->state != SX_VSOCK_REQUESTED)
		return false;
	sx_vsock_set_state(v, c, SX_VSOCK_OPEN);
	sx_count(&v->stats.from_host, 1);
	sx_vsock_say_ok(v, c);
	sx_vsock_want(v, c, 0);
	return true;
}

static bool on_data(struct sx_virtio_vsock *v, struct sx_vsock_connection *c,
		    const struct sx_vq_chain *chain, uint32_t len)
{
	if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)
		return false;
	if (len > SX_VSOCK_BUFFER - (c->received - c->forwarded))
		return false; /* more than we said there was room for (5.10.6.3.1) */
	sx_vsock_send(v, c, chain, len);
	return true;
}

static bool on_open(struct sx_virtio_vsock *v, struct sx_vsock_connection *c,
		    const struct virtio_vsock_hdr *h, const struct sx_vq_chain *chain)
{
	switch (h->op) {
	case VIRTIO_VSOCK_OP_RW:
		return on_data(v, c, chain, h->len);
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		sx_vsock_guest_shut(v, c, h->flags & SX_VSOCK_SHUT);
		return true;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		return true;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		sx_vsock_want(v, c, SX_VSOCK_UPDATE);
		return true;
	default:
		return false;
	}
}

/* It knows, or ends it. */
static void on_reset(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	if (c->state == SX_VSOCK_REQUESTED)
		sx_count(&v->stats.refused, 1);
	if (c->state != SX_VSOCK_ENDING) {
		sx_vsock_drop(v, c);
		return;
	}
	c->pending = 0;
	sx_vsock_unhash(v, c);
	sx_vsock_requeue(v, c);
	sx_vsock_try_drop(v, c);
}

static void on_packet(struct sx_virtio_vsock *v, struct sx_vsock_connection *c,
		      const struct virtio_vsock_hdr *h, const struct sx_vq_chain *chain)
{
	bool well;

	if (h->op == VIRTIO_VSOCK_OP_RST) {
		on_reset(v, c);
		return;
	}
	/* Sent before our RST came there. */
	if (c->state == SX_VSOCK_ENDING)
		return;
	/* It cannot answer what it was not sent yet. */
	well = !(c->pending & SX_VSOCK_REQUEST) && take_credit(v, c, h);
	if (well)
		well = h->op == VIRTIO_VSOCK_OP_RESPONSE ? on_response(v, c)
		       : c->state == SX_VSOCK_OPEN       ? on_open(v, c, h, chain)
							 : false;
	if (!well) {
		sx_count(&v->stats.malformed, 1);
		sx_vsock_reset(v, c);
	}
}

/* ---- a turn ---- */

static void dispatch(struct sx_virtio_vsock *v, const struct virtio_vsock_hdr *h,
		     const struct sx_vq_chain *chain)
{
	struct sx_vsock_connection *c = sx_vsock_find(v, h->dst_port, h->src_port);

	if (h->src_cid != v->cid) {
		/* It is not from our guest, and there is nobody to be answered. */
		sx_count(&v->stats.malformed, 1);
	} else if (h->dst_cid != SX_VSOCK_HOST_CID || h->type != VIRTIO_VSOCK_TYPE_STREAM) {
		refuse_malformed(v, h);
	} else if (h->len > chain->readable_len - SX_VSOCK_HDR) {
		sx_count(&v->stats.malformed, 1);
		if (c && c->state != SX_VSOCK_ENDING)
			sx_vsock_reset(v, c);
		else if (!c)
			refuse(v, h);
	} else if (c) {
		on_packet(v, c, h, chain);
	} else if (h->op == VIRTIO_VSOCK_OP_REQUEST) {
		open_connection(v, h);
	} else {
		refuse(v, h);
	}
}

static bool is_packet(struct sx_virtqueue *vq, const struct sx_vq_chain *chain)
{
	if (chain->writable)
		sx_virtqueue_fail(vq, "a packet to be sent has a writable buffer");
	else if (chain->readable_len < SX_VSOCK_HDR)
		sx_virtqueue_fail(vq, "a packet to be sent has no header");
	else
		return true;
	return false;
}

unsigned sx_vsock_transmit(struct sx_virtio_vsock *v, struct sx_virtqueue *vq)
{
	struct iovec pool[SX_VSOCK_SEGS];
	struct virtio_vsock_hdr h;
	struct sx_vq_chain chain;
	uint64_t bytes = 0;
	unsigned n;

	for (n = 0; n < PACKETS && bytes < TURN_BYTES; n++) {
		/* The guest is to take what it has caused before it causes more (5.10.6.2). */
		if (v->replies_in - v->replies_out == SX_VSOCK_REPLIES)
			break;
		if (!sx_virtqueue_pop(vq, &chain, 1, pool, SX_VSOCK_SEGS) || !is_packet(vq, &chain))
			break;
		sx_vq_read(&chain, 0, &h, sizeof(h));
		bytes += chain.readable_len + (h.op == VIRTIO_VSOCK_OP_REQUEST ? REQUEST_COST : 0);
		dispatch(v, &h, &chain);
		sx_virtqueue_push(vq, &chain, 0);
	}
	return n;
}
