// SPDX-License-Identifier: BSD-3-Clause
/*
 * From the back end to the driver (virtio 1.2, 5.1.6.3 and 5.1.6.4).
 *
 * A back end that has its frames in memory shows them, and they are copied into the driver's
 * buffers. One that is read (a tap) is read into private memory, since most frames are small and
 * most looks find none; but while large frames come it is read straight into the buffers.
 *
 * A look at a back end may be a system call. After one that found nothing the next comes only
 * when as much time has passed as it took, so that the sidecore keeps half of its time at least;
 * but soon, for it may have taken long because the host ran something else. Of looks that take
 * less than to read the clock, only one in some is timed.
 */
#include <string.h>
#include <x86intrin.h>

#include "sidecore/virtio/net_internal.h"

#define LARGE_FRAME 4096u
#define LARGE_LOOKS 64u        /* how long a large frame makes us expect others */
#define MAX_PAUSE   (1u << 15) /* TSC cycles, some 10 us */
#define QUICK       200u       /* TSC cycles: a look without a system call */
#define QUICK_LOOKS 64u        /* not timed after one of those */
#define SOME_CHAINS 8u         /* taken at a time when nobody knows how many it will be */

enum verdict {
	DONE,  /* with one frame */
	WAIT,  /* for the driver's buffers, or the next turn */
	EMPTY, /* no frame has come */
};

static bool is_mergeable(const struct sx_virtio_net_pair *p)
{
	return sx_virtio_has(&p->net->dev, VIRTIO_NET_F_MRG_RXBUF);
}

/* ---- the driver's buffers ---- */

static bool is_buffer(struct sx_virtqueue *vq, const struct sx_vq_chain *c)
{
	if (c->readable)
		sx_virtqueue_fail(vq, "a buffer for received frames cannot be written");
	else if (c->writable_len < SX_NET_HEADER)
		sx_virtqueue_fail(vq, "a buffer for received frames has no room for a header");
	else
		return true;
	return false;
}

static bool has_scratch(const struct sx_virtio_net_pair *p)
{
	return p->chains < SX_NET_RX_CHAINS && SX_NET_POOL - p->segs >= SX_NET_MAX_SEGS;
}

/* Take up to @ahead more buffers; false if there are none, or no room to note them. */
static bool take_more(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq, unsigned ahead)
{
	struct sx_vq_chain *c = &p->chain[p->chains];
	unsigned n;

	if (!has_scratch(p))
		return false;
	if (ahead > SX_NET_RX_CHAINS - p->chains)
		ahead = SX_NET_RX_CHAINS - p->chains;
	n = sx_virtqueue_pop(vq, c, ahead, &p->pool[p->segs], SX_NET_POOL - p->segs);
	for (unsigned i = 0; i < n; i++) {
		if (!is_buffer(vq, &c[i]))
			return false;
		sx_prefetch_to_write(c[i].seg->iov_base);
		sx_prefetch_to_write((char *)c[i].seg->iov_base + SX_CACHE_LINE);
		p->segs += c[i].writable;
	}
	p->chains += n;
	return n;
}

/*
 * So many buffers from p->next on hold @bytes, or as much as they can: @*got. One when they cannot
 * be merged; 0 when there is none.
 */
static unsigned gather(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq, uint64_t bytes,
		       unsigned ahead, uint64_t *got)
{
	unsigned n = 0;

	*got = 0;
	do {
		if (p->next + n == p->chains && !take_more(p, vq, ahead))
			return n;
		*got += p->chain[p->next + n++].writable_len;
	} while (*got < bytes && is_mergeable(p));
	return n;
}

/* We have all buffers that there can be, or that we can note, and they are too few. */
static bool is_hopeless(const struct sx_virtio_net_pair *p, const struct sx_virtqueue *vq)
{
	unsigned entries = 0;

	if (p->next || vq->broken)
		return false;
	for (unsigned i = 0; i < p->chains; i++)
		entries += p->chain[i].descs;
	return !has_scratch(p) || entries == vq->size;
}

/* The frame of @len bytes with its header is in the next @n buffers. */
static void give(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq,
		 const struct virtio_net_hdr_v1 *hdr, uint32_t len, unsigned n)
{
	struct virtio_net_hdr_v1 head = *hdr;
	uint32_t left = SX_NET_HEADER + len;

	head.num_buffers = (uint16_t)n;
	sx_vq_write(&p->chain[p->next], 0, &head, sizeof(head));
	for (; n; n--, p->next++) {
		const struct sx_vq_chain *c = &p->chain[p->next];
		uint32_t written = left < c->writable_len ? left : c->writable_len;

		sx_virtqueue_push(vq, c, written);
		left -= written;
		p->next_seg += c->writable;
	}
	sx_count(&p->stats.rx_frames, 1);
	sx_count(&p->stats.rx_bytes, len);
}

/* ---- copying ---- */

/* Copy all of @from into @to from @skip on; there is room. */
static void scatter(const struct iovec *to, size_t skip, const struct iovec *from, unsigned count)
{
	for (; count; count--, from++) {
		const uint8_t *bytes = from->iov_base;
		size_t left = from->iov_len;

		while (left) {
			size_t n;

			while (skip >= to->iov_len)
				skip -= to++->iov_len;
			n = to->iov_len - skip < left ? to->iov_len - skip : left;
			memcpy((uint8_t *)to->iov_base + skip, bytes, n);
			skip += n;
			bytes += n;
			left -= n;
		}
	}
}

/* Copy the first @len bytes of @from, fewer if it ends. */
static void collect(uint8_t *to, size_t len, const struct iovec *from, unsigned count)
{
	for (; count && len; count--, from++) {
		size_t n = from->iov_len < len ? from->iov_len : len;

		memcpy(to, from->iov_base, n);
		to += n;
		len -= n;
	}
}

/* ---- frames ---- */

/* Is this a frame, and does the driver want it? */
static bool admit(struct sx_virtio_net_pair *p, struct virtio_net_hdr_v1 *hdr,
		  const struct iovec *seg, unsigned segs, uint64_t len)
{
	uint8_t head[SX_NET_HEAD] = {0};

	if (len < SX_NET_MIN_FRAME || len > SX_NET_MAX_FRAME) {
		sx_count(&p->stats.rx_too_long, 1);
		return false;
	}
	if (!sx_net_header_allowed(hdr, sx_load_relaxed(&p->net->offloads))) {
		sx_count(&p->stats.rx_offload, 1);
		return false;
	}
	collect(head, len < sizeof(head) ? len : sizeof(head), seg, segs);
	if (!sx_net_filter_takes(&p->net->filter, head)) {
		sx_count(&p->stats.rx_filtered, 1);
		return false;
	}
	return true;
}

/*
 * A frame does not fit into the buffers that there are. Should it wait for more? In trap mode only
 * for the first one: the driver notifies us of those that follow none, and of no others.
 */
static bool may_wait(const struct sx_virtio_net_pair *p, const struct sx_virtqueue *vq, unsigned n)
{
	if (n && !is_mergeable(p))
		return false;
	if (n && !p->net->dev.env.polled && has_scratch(p))
		return false;
	return !is_hopeless(p, vq);
}

/* Copy a frame to the driver; @ahead: so many frames are there. */
static enum verdict deliver(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq,
			    const struct sx_net_frame *f, unsigned ahead)
{
	uint64_t got;
	unsigned n = gather(p, vq, SX_NET_HEADER + f->len, ahead, &got);

	if (got >= SX_NET_HEADER + f->len) {
		scatter(&p->pool[p->next_seg], SX_NET_HEADER, f->seg, f->segs);
		give(p, vq, &f->hdr, f->len, n);
		return DONE;
	}
	if (may_wait(p, vq, n)) {
		sx_count(&p->stats.rx_starved, 1);
		return WAIT;
	}
	sx_count(&p->stats.rx_too_long, 1);
	return DONE;
}

/* ---- back ends that show frames ---- */

static unsigned receive_shown(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq)
{
	struct sx_net_backend *b = p->net->backend;
	unsigned n = b->ops->peek(b, p->index, p->frame, SX_NET_BATCH);
	uint64_t bytes = 0;
	unsigned i;

	for (i = 0; i < n && bytes < SX_NET_TURN_BYTES; i++) {
		struct sx_net_frame *f = &p->frame[i];

		if (!admit(p, &f->hdr, f->seg, f->segs, f->len))
			continue;
		if (deliver(p, vq, f, n - i) == WAIT)
			break;
		bytes += f->len;
	}
	if (i)
		b->ops->release(b, p->index, i);
	return i;
}

/* ---- back ends that are read ---- */

static enum verdict deliver_held(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq)
{
	struct sx_net_frame f = {.hdr = p->held_hdr, .len = p->held_len, .segs = 1};
	enum verdict verdict;

	f.own = (struct iovec){.iov_base = p->bounce, .iov_len = p->held_len};
	f.seg = &f.own;
	verdict = deliver(p, vq, &f, SOME_CHAINS);
	if (verdict == DONE)
		p->held_len = 0;
	return verdict;
}

/* Read the next frame; seg[0] is for its header. Returns its length, or 0. */
static uint64_t read_frame(struct sx_virtio_net_pair *p, const struct iovec *seg, unsigned segs)
{
	struct sx_net_backend *b = p->net->backend;
	ssize_t n = b->ops->read(b, p->index, seg, segs);

	if (n <= (ssize_t)SX_NET_HEADER)
		return 0;
	n -= SX_NET_HEADER;
	if (n > LARGE_FRAME)
		p->large = LARGE_LOOKS;
	return (uint64_t)n;
}

static enum verdict read_aside(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq)
{
	const struct iovec seg[2] = {{&p->held_hdr, SX_NET_HEADER},
				     {p->bounce, SX_NET_MAX_FRAME + 1}};
	uint64_t len = read_frame(p, seg, 2);

	if (!len)
		return EMPTY;
	if (!admit(p, &p->held_hdr, &seg[1], 1, len))
		return DONE;
	p->held_len = (uint32_t)len;
	return deliver_held(p, vq);
}

/* How many of the next buffers a frame of @len bytes fills. */
static unsigned buffers_of(const struct sx_virtio_net_pair *p, uint64_t len)
{
	uint64_t room = 0;
	unsigned n = 0;

	while (room < SX_NET_HEADER + len)
		room += p->chain[p->next + n++].writable_len;
	return n;
}

/*
 * Read straight into the buffers that there are. What does not fit goes where it would lie if all
 * of the frame were read aside.
 */
static enum verdict read_in_place(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq)
{
	struct iovec seg[SX_NET_POOL + 2];
	uint64_t got, room, len;
	unsigned n, segs = 0;

	n = gather(p, vq, SX_NET_HEADER + SX_NET_MAX_FRAME, SOME_CHAINS, &got);
	if (!n)
		return WAIT;
	room = got - SX_NET_HEADER < SX_NET_MAX_FRAME ? got - SX_NET_HEADER : SX_NET_MAX_FRAME;
	for (unsigned i = 0; i < n; i++)
		segs += p->chain[p->next + i].writable;
	seg[0] = (struct iovec){&p->held_hdr, SX_NET_HEADER};
	segs = 1 + sx_iov_slice(&p->pool[p->next_seg], segs, SX_NET_HEADER, room, &seg[1]);
	seg[segs++] = (struct iovec){p->bounce + room, SX_NET_MAX_FRAME + 1 - room};
	len = read_frame(p, seg, segs);
	if (!len)
		return EMPTY;
	if (!admit(p, &p->held_hdr, &seg[1], segs - 1, len))
		return DONE;
	if (len <= room) {
		give(p, vq, &p->held_hdr, (uint32_t)len, buffers_of(p, len));
		return DONE;
	}
	collect(p->bounce, room, &seg[1], segs - 2);
	p->held_len = (uint32_t)len;
	return deliver_held(p, vq);
}

static enum verdict read_one(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq)
{
	if (p->held_len)
		return deliver_held(p, vq);
	if (!p->large)
		return read_aside(p, vq);
	p->large--;
	return read_in_place(p, vq);
}

static unsigned receive_read(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq)
{
	const uint64_t enough = p->stats.rx_bytes + SX_NET_TURN_BYTES;
	unsigned n;

	for (n = 0; n < SX_NET_BATCH && p->stats.rx_bytes < enough; n++) {
		/* What is not read waits where it is, and its sender may notice. */
		if (!sx_virtqueue_ready(vq) && p->next == p->chains)
			break;
		if (read_one(p, vq) != DONE)
			break;
	}
	return n;
}

/* ---- a turn ---- */

/* No cable: what comes is lost. */
static unsigned discard(struct sx_virtio_net_pair *p)
{
	struct sx_net_backend *b = p->net->backend;
	const struct iovec seg[2] = {{&p->held_hdr, SX_NET_HEADER},
				     {p->bounce, SX_NET_MAX_FRAME + 1}};
	unsigned n;

	p->held_len = 0;
	if (b->ops->peek) {
		n = b->ops->peek(b, p->index, p->frame, SX_NET_BATCH);
		b->ops->release(b, p->index, n);
		return n;
	}
	for (n = 0; n < SX_NET_BATCH && read_frame(p, seg, 2); n++)
		;
	return n;
}

static unsigned receive(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq)
{
	unsigned n;

	p->chains = p->next = p->segs = p->next_seg = 0;
	n = p->net->backend->ops->peek ? receive_shown(p, vq) : receive_read(p, vq);
	if (p->next < p->chains)
		sx_virtqueue_unpop(vq, &p->chain[p->next], p->chains - p->next);
	return n;
}

/* An empty look began at @before: when is the next? */
static void note_look(struct sx_virtio_net_pair *p, uint64_t before)
{
	uint64_t now = __rdtsc();
	uint64_t took = now - before;

	p->look_at = now + (took < MAX_PAUSE ? took : MAX_PAUSE);
	p->untimed = took < QUICK ? QUICK_LOOKS : 0;
}

unsigned sx_net_receive(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq)
{
	const bool polled = p->net->dev.env.polled;
	const bool timed = polled && !p->untimed;
	uint64_t before = timed ? __rdtsc() : 0;
	unsigned n;

	if (timed && (int64_t)(before - p->look_at) < 0)
		return 0;
	p->starved = sx_net_is_up(p->net) && !sx_virtqueue_ready(vq);
	if (p->starved)
		return 0;
	n = sx_net_is_up(p->net) ? receive(p, vq) : discard(p);
	if (n)
		return n;
	if (timed)
		note_look(p, before);
	else if (polled)
		p->untimed--;
	else
		p->starved = p->held_len || !sx_virtqueue_ready(vq);
	return 0;
}
