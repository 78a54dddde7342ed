// SPDX-License-Identifier: BSD-3-Clause
/*
 * Packets to the guest (virtio 1.2, 5.10.6). Connections take turns; what a host's program sends
 * is read straight into the driver's buffers, several packets by one system call.
 */
#include <errno.h>
#include <sys/uio.h>

#include "sidecore/virtio/vsock_internal.h"

#define PACKETS    64           /* in a turn */
#define TURN_BYTES (256u << 10) /* and bytes, but at least one packet */
#define CHAINS     16u          /* read into at once */
#define POOL       (2 * SX_VSOCK_SEGS)

/* The driver's buffers for one read, and the room for data in them. */
struct room {
	unsigned count;
	struct sx_vq_chain chain[CHAINS];
	struct iovec pool[POOL];
};

static bool is_buffer(struct sx_virtqueue *vq, const struct sx_vq_chain *chain)
{
	if (chain->readable)
		sx_virtqueue_fail(vq, "a buffer for received packets cannot be written");
	else if (chain->writable_len <= SX_VSOCK_HDR)
		sx_virtqueue_fail(vq, "a buffer for received packets has no room for data");
	else
		return true;
	return false;
}

static bool take_room(struct sx_virtqueue *vq, struct room *r, unsigned max)
{
	r->count = sx_virtqueue_pop(vq, r->chain, max, r->pool, POOL);
	for (unsigned i = 0; i < r->count; i++)
		if (!is_buffer(vq, &r->chain[i]))
			return false;
	return r->count;
}

/* ---- one packet ---- */

static void put(struct sx_virtqueue *vq, const struct sx_vq_chain *chain,
		const struct virtio_vsock_hdr *h)
{
	sx_vq_write(chain, 0, h, sizeof(*h));
	sx_virtqueue_push(vq, chain, SX_VSOCK_HDR + h->len);
}

/* A connection's packet; each says what the guest may send (5.10.6.3). */
static void put_own(struct sx_virtio_vsock *v, struct sx_vsock_connection *c,
		    struct sx_virtqueue *vq, const struct sx_vq_chain *chain, uint16_t op,
		    uint32_t value)
{
	const struct virtio_vsock_hdr h = {
		.src_cid = SX_VSOCK_HOST_CID,
		.dst_cid = v->cid,
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.len = op == VIRTIO_VSOCK_OP_RW ? value : 0,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? value : 0,
		.buf_alloc = SX_VSOCK_BUFFER,
		.fwd_cnt = c->forwarded,
	};

	c->told = c->forwarded;
	c->pending &= (uint8_t)~SX_VSOCK_UPDATE;
	put(vq, chain, &h);
}

static bool reply(struct sx_virtio_vsock *v, struct sx_virtqueue *vq, struct room *r)
{
	const struct sx_vsock_reply *to = &v->reply[v->replies_out % SX_VSOCK_REPLIES];
	const struct virtio_vsock_hdr h = {
		.src_cid = to->src_cid,
		.dst_cid = v->cid,
		.src_port = to->src_port,
		.dst_port = to->dst_port,
		.type = to->type,
		.op = VIRTIO_VSOCK_OP_RST,
	};

	if (!take_room(vq, r, 1))
		return false;
	put(vq, r->chain, &h);
	v->replies_out++;
	return true;
}

/* ---- what a connection has to say ---- */

static bool say(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, struct sx_virtqueue *vq,
		struct room *r)
{
	static const struct {
		uint8_t pending;
		uint8_t op;
	} order[] = {
		{SX_VSOCK_RST, VIRTIO_VSOCK_OP_RST},
		{SX_VSOCK_REQUEST, VIRTIO_VSOCK_OP_REQUEST},
		{SX_VSOCK_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
		{SX_VSOCK_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN},
		{SX_VSOCK_UPDATE, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
		{SX_VSOCK_ASK, VIRTIO_VSOCK_OP_CREDIT_REQUEST},
	};
	unsigned i = 0;

	if (!take_room(vq, r, 1))
		return false;
	while (!(c->pending & order[i].pending))
		i++;
	c->pending &= (uint8_t)~order[i].pending;
	put_own(v, c, vq, r->chain, order[i].op, c->host_shut);
	sx_vsock_requeue(v, c);
	if (c->state == SX_VSOCK_ENDING) {
		sx_vsock_unhash(v, c);
		sx_vsock_try_drop(v, c);
	}
	return true;
}

/* ---- data ---- */

static uint32_t room_in(const struct sx_vq_chain *chain)
{
	return chain->writable_len - SX_VSOCK_HDR;
}

/* Read into the room behind the headers, as much as the guest has credit for. */
static ssize_t read_into(const struct sx_vsock_connection *c, const struct room *r)
{
	uint32_t left = sx_vsock_credit(c);
	struct iovec seg[POOL];
	unsigned segs = 0;
	ssize_t n;

	for (unsigned i = 0; i < r->count && left; i++) {
		const struct sx_vq_chain *chain = &r->chain[i];
		uint32_t len = room_in(chain) < left ? room_in(chain) : left;

		segs += sx_iov_slice(chain->seg, chain->writable, SX_VSOCK_HDR, len, &seg[segs]);
		left -= len;
	}
	do
		n = readv(c->fd, seg, (int)segs);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* @len bytes were read; returns how many packets they are. */
static unsigned pack(struct sx_virtio_vsock *v, struct sx_vsock_connection *c,
		     struct sx_virtqueue *vq, const struct room *r, uint32_t len)
{
	unsigned n = 0;

	c->sent += len;
	sx_count(&v->stats.to_guest_bytes, len);
	for (; len; n++) {
		const struct sx_vq_chain *chain = &r->chain[n];
		uint32_t part = room_in(chain) < len ? room_in(chain) : len;

		put_own(v, c, vq, chain, VIRTIO_VSOCK_OP_RW, part);
		len -= part;
	}
	return n;
}

/* Returns how many packets were made of what has come, and adds to @*bytes. */
static unsigned move(struct sx_virtio_vsock *v, struct sx_vsock_connection *c,
		     struct sx_virtqueue *vq, struct room *r, uint64_t *bytes)
{
	unsigned packets = 0;
	ssize_t n;

	/* Credit may have been taken back, or a direction ended, since it was listed. */
	if (!sx_vsock_has_data(c) || !sx_vsock_credit(c)) {
		sx_vsock_requeue(v, c);
		return 0;
	}
	if (!take_room(vq, r, CHAINS))
		return 0;
	n = read_into(c, r);
	if (n > 0) {
		packets = pack(v, c, vq, r, (uint32_t)n);
		*bytes += (uint64_t)n;
	}
	sx_virtqueue_unpop(vq, &r->chain[packets], r->count - packets);
	if (n == -EAGAIN)
		c->readable = false;
	else if (n == 0)
		sx_vsock_host_shut(v, c, VIRTIO_VSOCK_SHUTDOWN_SEND);
	else if (n < 0)
		sx_vsock_host_shut(v, c, SX_VSOCK_SHUT);
	sx_vsock_requeue(v, c);
	return packets;
}

/* ---- a turn ---- */

static unsigned serve(struct sx_virtio_vsock *v, struct sx_vsock_connection *c,
		      struct sx_virtqueue *vq, struct room *r, uint64_t *bytes)
{
	return c->pending ? say(v, c, vq, r) : move(v, c, vq, r, bytes);
}

static bool has_any(const struct sx_virtio_vsock *v)
{
	return v->replies_in != v->replies_out || v->first != SX_VSOCK_NONE;
}

unsigned sx_vsock_receive(struct sx_virtio_vsock *v, struct sx_virtqueue *vq)
{
	uint64_t bytes = 0;
	unsigned n = 0;
	struct room r;

	while (has_any(v) && n < PACKETS && bytes < TURN_BYTES && sx_virtqueue_ready(vq)) {
		if (v->replies_in != v->replies_out)
			n += reply(v, vq, &r);
		else
			n += serve(v, &v->connection[v->first], vq, &r, &bytes);
	}
	return n;
}
