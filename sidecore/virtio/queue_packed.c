// SPDX-License-Identifier: BSD-3-Clause
/*
 * Packed virtqueues (virtio 1.2, 2.8).
 */
#include <errno.h>

#include "sidecore/virtio/queue_internal.h"

#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1u << VRING_PACKED_DESC_F_USED)

/* Values of an event suppression structure's flags (2.8.10). */
enum event_flags {
	EVENT_ENABLE = 0,
	EVENT_DISABLE = 1,
	EVENT_DESC = 2,
	EVENT_MASK = 3,
};

#define EVENT_WRAP (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

int sx_vq_packed_start(struct sx_virtqueue *vq, const struct sx_vq_setup *setup)
{
	/* Alignments: virtio 1.2, 2.8. */
	if (setup->desc % 16 || setup->driver % 4 || setup->device % 4)
		return -EINVAL;
	vq->ring = sx_vq_at(vq, setup->desc, setup->size * sizeof(*vq->ring), SX_WRITE);
	vq->driver_event = sx_vq_at(vq, setup->driver, sizeof(*vq->driver_event), SX_READ);
	vq->device_event = sx_vq_at(vq, setup->device, sizeof(*vq->device_event), SX_WRITE);
	return vq->ring && vq->driver_event && vq->device_event ? 0 : -EFAULT;
}

/* ---- taking ---- */

/* An indirect table (2.8.7): all its entries, one after the other. */
static enum sx_vq_verdict take_indirect(struct sx_virtqueue *vq, struct sx_vq_chain *c,
					const struct iovec *end, const struct sx_vq_desc *d)
{
	const unsigned entries = d->len / sizeof(struct vring_packed_desc);
	const void *table;

	if (!vq->indirect)
		return sx_vq_refuse(vq, "an indirect descriptor, which was not negotiated");
	if (c->descs > 1 || (d->flags & VRING_DESC_F_NEXT))
		return sx_vq_refuse(vq, "an indirect descriptor in a chain");
	if (!entries || d->len % sizeof(struct vring_packed_desc))
		return sx_vq_refuse(vq, "an indirect table is not made of descriptors");
	table = sx_vq_at(vq, d->addr, d->len, SX_READ);
	if (!table)
		return sx_vq_refuse(vq, "an indirect table is not in guest memory");
	for (unsigned i = 0; i < entries; i++) {
		struct sx_vq_desc each = sx_vq_packed_desc(table, i);
		enum sx_vq_verdict verdict = sx_vq_add(vq, c, end, &each);

		if (verdict != SX_VQ_TAKEN)
			return verdict;
	}
	return SX_VQ_TAKEN;
}

/* Fills @c from the entry at @at on; the buffer's ID is that of its last entry (2.8.6). */
static inline enum sx_vq_verdict take(struct sx_virtqueue *vq, struct sx_vq_chain *c,
				      const struct iovec *end, unsigned at)
{
	const unsigned room = vq->size - vq->inflight;
	struct sx_vq_desc d;

	do {
		enum sx_vq_verdict verdict;

		if (sx_unlikely(c->descs == room))
			return sx_vq_refuse(vq, "more entries are available than the ring has");
		d = sx_vq_packed_desc(vq->ring, at);
		c->descs++;
		c->id = d.next;
		if (d.flags & VRING_DESC_F_INDIRECT)
			return take_indirect(vq, c, end, &d);
		verdict = sx_vq_add(vq, c, end, &d);
		if (sx_unlikely(verdict != SX_VQ_TAKEN))
			return verdict;
		at = at + 1 == vq->size ? 0 : at + 1;
	} while (d.flags & VRING_DESC_F_NEXT);
	return SX_VQ_TAKEN;
}

/* Move @*position of @*wrap on by @entries, at most a lap. */
static inline void advance(const struct sx_virtqueue *vq, uint16_t *position, bool *wrap,
			   unsigned entries)
{
	unsigned to = *position + entries;

	if (to >= vq->size) {
		to -= vq->size;
		*wrap = !*wrap;
	}
	*position = (uint16_t)to;
}

unsigned sx_vq_packed_pop(struct sx_virtqueue *vq, struct sx_vq_chain *chain, unsigned max,
			  struct iovec *pool, const struct iovec *end)
{
	unsigned i;

	/* The acquire in ready() pairs with the driver's release of the first entry's flags. */
	for (i = 0; i < max && sx_virtqueue_ready(vq); i++) {
		struct sx_vq_chain *c = &chain[i];

		__builtin_prefetch(&vq->ring[vq->next_avail + SX_VQ_AHEAD]);
		*c = (struct sx_vq_chain){.seg = pool, .order = vq->order};
		if (sx_unlikely(take(vq, c, end, vq->next_avail) != SX_VQ_TAKEN))
			break;
		pool += c->readable + c->writable;
		advance(vq, &vq->next_avail, &vq->avail_wrap, c->descs);
		vq->inflight = (uint16_t)(vq->inflight + c->descs);
		vq->order++;
	}
	return i;
}

void sx_vq_packed_unpop(struct sx_virtqueue *vq, unsigned entries)
{
	/* A lap less what we go back, and the lap undone. */
	if (!entries)
		return;
	advance(vq, &vq->next_avail, &vq->avail_wrap, vq->size - entries);
	vq->avail_wrap = !vq->avail_wrap;
}

/* ---- giving back ---- */

/*
 * The driver looks at the entry of the first staged buffer, so that one's flags are written last
 * and show all others; theirs are released too, for a driver that looks further ahead.
 */
void sx_vq_packed_use(struct sx_virtqueue *vq, uint16_t id, uint32_t written, uint16_t entries)
{
	struct vring_packed_desc *d = &vq->ring[vq->next_used];
	uint16_t flags =
		(uint16_t)((vq->used_wrap ? AVAIL | USED : 0) | (written ? VRING_DESC_F_WRITE : 0));

	sx_store_relaxed(&d->id, id);
	sx_store_relaxed(&d->len, written);
	if (!vq->staged) {
		vq->held_at = vq->next_used;
		vq->held_flags = flags;
	} else {
		/* Pairs with the driver's acquire of the flags. */
		sx_store_release(&d->flags, flags);
	}
	advance(vq, &vq->next_used, &vq->used_wrap, entries);
}

void sx_vq_packed_show(struct sx_virtqueue *vq)
{
	/* Pairs with the driver's acquire of the flags: it then sees ID, length and buffer. */
	sx_store_release(&vq->ring[vq->held_at].flags, vq->held_flags);
}

bool sx_vq_packed_wants_interrupt(const struct sx_virtqueue *vq)
{
	/* One load of both halves: offset and wrap counter, flags. */
	uint32_t event = sx_load_relaxed((const uint32_t *)vq->driver_event);
	uint16_t at = event & 0x7fff;
	uint16_t from = vq->shown;

	switch (event >> 16 & EVENT_MASK) {
	case EVENT_DISABLE:
		return false;
	case EVENT_DESC:
		break;
	default:
		return true;
	}
	if (!vq->event_idx)
		return true;
	/* Positions of this lap as they are, of the lap before below zero. */
	if (!!(event & EVENT_WRAP) != vq->used_wrap)
		at = (uint16_t)(at - vq->size);
	if (from >= vq->next_used)
		from = (uint16_t)(from - vq->size);
	return vring_need_event(at, vq->next_used, from);
}

void sx_vq_packed_notify(struct sx_virtqueue *vq, bool on)
{
	struct vring_packed_desc_event *e = vq->device_event;
	uint16_t flags = EVENT_DISABLE;

	if (on && vq->event_idx) {
		sx_store_relaxed(&e->off_wrap,
				 (uint16_t)(vq->next_avail | (vq->avail_wrap ? EVENT_WRAP : 0)));
		flags = EVENT_DESC;
	} else if (on) {
		flags = EVENT_ENABLE;
	}
	/* Release: who sees "for this entry" sees which. Pairs with the driver's load. */
	sx_store_release(&e->flags, flags);
}
