// SPDX-License-Identifier: BSD-3-Clause
/*
 * From the driver to the back end (virtio 1.2, 5.1.6.2).
 */
#include <string.h>

#include "sidecore/virtio/net_internal.h"

/* Cut the header off the chain's segments, wherever the driver put it; it is read once. */
static void split_header(const struct sx_vq_chain *c, struct sx_net_frame *f)
{
	unsigned left = SX_NET_HEADER;

	sx_vq_read(c, 0, &f->hdr, SX_NET_HEADER);
	f->seg = c->seg;
	f->segs = c->readable;
	f->len = c->readable_len - SX_NET_HEADER;
	while (left && f->seg->iov_len <= left) {
		left -= (unsigned)f->seg->iov_len;
		f->seg++;
		f->segs--;
	}
	if (left) {
		f->seg->iov_base = (uint8_t *)f->seg->iov_base + left;
		f->seg->iov_len -= left;
	}
}

/* The same where all of it lies in one or two segments, as it nearly always does. */
static inline void split(const struct sx_vq_chain *c, struct sx_net_frame *f)
{
	struct iovec *seg = c->seg;

	if (seg->iov_len < SX_NET_HEADER) {
		split_header(c, f);
		return;
	}
	memcpy(&f->hdr, seg->iov_base, sizeof(f->hdr));
	f->len = c->readable_len - SX_NET_HEADER;
	f->seg = seg;
	f->segs = c->readable;
	if (seg->iov_len == SX_NET_HEADER) {
		f->seg++;
		f->segs--;
		return;
	}
	seg->iov_base = (uint8_t *)seg->iov_base + SX_NET_HEADER;
	seg->iov_len -= SX_NET_HEADER;
}

/* With an MTU the driver sends no more than that, but for segmentation (5.1.4.2). */
static bool has_length(const struct sx_virtio_net *net, const struct sx_net_frame *f)
{
	if (f->len < SX_NET_MIN_FRAME || f->len > SX_NET_MAX_FRAME)
		return false;
	return f->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE ||
	       !sx_virtio_has(&net->dev, VIRTIO_NET_F_MTU) ||
	       f->len <= (uint32_t)net->backend->mtu + SX_NET_HEAD;
}

static bool is_chain(struct sx_virtqueue *vq, const struct sx_vq_chain *c)
{
	if (c->writable)
		sx_virtqueue_fail(vq, "a frame to be sent has a writable buffer");
	else if (c->readable_len < SX_NET_HEADER)
		sx_virtqueue_fail(vq, "a frame to be sent has no header");
	else
		return true;
	return false;
}

/*
 * Make frames of the first @count chains, up to a turn's bytes. Returns how many frames; @*taken
 * chains were looked at, those of no frame are malformed.
 */
static unsigned make_frames(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq, unsigned count,
			    unsigned *taken)
{
	const uint64_t features = p->net->dev.features;
	uint64_t bytes = 0;
	unsigned frames = 0;
	unsigned i;

	for (i = 0; i < count && bytes < SX_NET_TURN_BYTES; i++) {
		struct sx_net_frame *f = &p->frame[frames];

		if (!is_chain(vq, &p->chain[i]))
			break;
		split(&p->chain[i], f);
		f->chain = (uint16_t)i;
		bytes += f->len;
		if (has_length(p->net, f) && sx_net_header_check(&f->hdr, f->len, features))
			frames++;
	}
	*taken = i;
	return frames;
}

/* Chains up to @end are done: the frames in them were sent, the rest dropped. */
static void finish(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq, unsigned end,
		   unsigned sent)
{
	struct sx_virtio_net_stats *s = &p->stats;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < end; i++)
		sx_virtqueue_push(vq, &p->chain[i], 0);
	for (unsigned i = 0; i < sent; i++)
		bytes += p->frame[i].len;
	sx_count(&s->tx_frames, sent);
	sx_count(&s->tx_bytes, bytes);
}

static bool may_send(const struct sx_virtio_net_pair *p)
{
	return p->index < sx_load_relaxed(&p->net->active) && sx_net_is_up(p->net);
}

unsigned sx_net_transmit(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq)
{
	struct sx_net_backend *b = p->net->backend;
	unsigned count = sx_virtqueue_pop(vq, p->chain, SX_NET_BATCH, p->pool, SX_NET_POOL);
	unsigned frames, sent, taken, end;

	if (!count)
		return 0;
	/* A small frame with its header lies in two lines. */
	for (unsigned i = 0; i < count; i++) {
		__builtin_prefetch(p->chain[i].seg->iov_base);
		__builtin_prefetch((char *)p->chain[i].seg->iov_base + SX_CACHE_LINE);
	}
	frames = make_frames(p, vq, count, &taken);
	if (!may_send(p)) {
		finish(p, vq, taken, 0);
		sx_count(&p->stats.tx_refused, taken);
		sx_virtqueue_unpop(vq, &p->chain[taken], count - taken);
		return taken;
	}
	sent = frames ? b->ops->send(b, p->index, p->frame, frames) : 0;
	end = sent < frames ? p->frame[sent].chain : taken;
	finish(p, vq, end, sent);
	sx_count(&p->stats.tx_malformed, end - sent);
	if (sent < frames)
		sx_count(&p->stats.tx_full, 1);
	sx_virtqueue_unpop(vq, &p->chain[end], count - end);
	return end;
}
