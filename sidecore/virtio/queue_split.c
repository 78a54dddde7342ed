// SPDX-License-Identifier: BSD-3-Clause
/*
 * Split virtqueues (virtio 1.2, 2.7).
 */
#include <errno.h>

#include "sidecore/virtio/queue_internal.h"

/* used_event and avail_event are the word after the last entry of their ring (2.7.6, 2.7.8). */
static uint16_t *used_event(const struct sx_virtqueue *vq)
{
	return &vq->avail->ring[vq->size];
}

static uint16_t *avail_event(const struct sx_virtqueue *vq)
{
	return (uint16_t *)&vq->used->ring[vq->size];
}

int sx_vq_split_start(struct sx_virtqueue *vq, const struct sx_vq_setup *setup)
{
	uint64_t event = vq->event_idx ? sizeof(uint16_t) : 0;
	uint64_t avail_bytes = sizeof(*vq->avail) + setup->size * sizeof(uint16_t) + event;
	uint64_t used_bytes =
		sizeof(*vq->used) + setup->size * sizeof(struct vring_used_elem) + event;

	/* Alignments: virtio 1.2, 2.7. */
	if (setup->desc % 16 || setup->driver % 2 || setup->device % 4)
		return -EINVAL;
	vq->desc = sx_vq_at(vq, setup->desc, setup->size * sizeof(struct vring_desc), SX_READ);
	vq->avail = sx_vq_at(vq, setup->driver, avail_bytes, SX_READ);
	vq->used = sx_vq_at(vq, setup->device, used_bytes, SX_WRITE);
	return vq->desc && vq->avail && vq->used ? 0 : -EFAULT;
}

/* ---- taking ---- */

/* The chain in an indirect table (2.7.5.3); each descriptor adds a segment, so a loop ends. */
static enum sx_vq_verdict take_indirect(struct sx_virtqueue *vq, struct sx_vq_chain *c,
					const struct iovec *end, const struct sx_vq_desc *d)
{
	const unsigned entries = d->len / sizeof(struct vring_desc);
	struct sx_vq_desc each = {.flags = VRING_DESC_F_NEXT};
	const void *table;

	if (!vq->indirect)
		return sx_vq_refuse(vq, "an indirect descriptor, which was not negotiated");
	if (d->flags & VRING_DESC_F_NEXT)
		return sx_vq_refuse(vq, "a descriptor follows an indirect one");
	if (!entries || d->len % sizeof(struct vring_desc))
		return sx_vq_refuse(vq, "an indirect table is not made of descriptors");
	table = sx_vq_at(vq, d->addr, d->len, SX_READ);
	if (!table)
		return sx_vq_refuse(vq, "an indirect table is not in guest memory");
	while (each.flags & VRING_DESC_F_NEXT) {
		enum sx_vq_verdict verdict;

		if (each.next >= entries)
			return sx_vq_refuse(vq, "an index leaves its indirect table");
		each = sx_vq_split_desc(table, each.next);
		if (each.flags & VRING_DESC_F_INDIRECT)
			return sx_vq_refuse(vq, "an indirect table within another");
		verdict = sx_vq_add(vq, c, end, &each);
		if (verdict != SX_VQ_TAKEN)
			return verdict;
	}
	return SX_VQ_TAKEN;
}

static inline enum sx_vq_verdict take(struct sx_virtqueue *vq, struct sx_vq_chain *c,
				      const struct iovec *end)
{
	struct sx_vq_desc d = {.flags = VRING_DESC_F_NEXT, .next = c->id};

	for (unsigned n = 0; d.flags & VRING_DESC_F_NEXT; n++) {
		enum sx_vq_verdict verdict;

		if (sx_unlikely(d.next >= vq->size))
			return sx_vq_refuse(vq, "an index leaves the descriptor table");
		if (sx_unlikely(n == vq->size))
			return sx_vq_refuse(vq, "a chain of descriptors is a loop");
		d = sx_vq_split_desc(vq->desc, d.next);
		if (d.flags & VRING_DESC_F_INDIRECT)
			return take_indirect(vq, c, end, &d);
		verdict = sx_vq_add(vq, c, end, &d);
		if (sx_unlikely(verdict != SX_VQ_TAKEN))
			return verdict;
	}
	return SX_VQ_TAKEN;
}

static inline uint16_t head_at(const struct sx_virtqueue *vq, unsigned index)
{
	/* Relaxed: ordered after the index by the acquire in pop. */
	return sx_load_relaxed(&vq->avail->ring[index & (vq->size - 1u)]);
}

unsigned sx_vq_split_pop(struct sx_virtqueue *vq, struct sx_vq_chain *chain, unsigned max,
			 struct iovec *pool, const struct iovec *end)
{
	/* Acquire pairs with the driver's release of the index: entries and descriptors are there.
	 */
	uint16_t waiting = (uint16_t)(sx_load_acquire(&vq->avail->idx) - vq->next_avail);
	unsigned n = waiting < max ? waiting : max;
	unsigned i;

	/* An honest driver has at most `size` chains with us at any time. */
	if (waiting > vq->size - vq->inflight) {
		sx_virtqueue_fail(vq, "the available index jumps");
		return 0;
	}
	for (i = 0; i < n && i < SX_VQ_AHEAD; i++)
		__builtin_prefetch(&vq->desc[head_at(vq, vq->next_avail + i) & (vq->size - 1u)]);
	for (i = 0; i < n; i++) {
		struct sx_vq_chain *c = &chain[i];

		if (i + SX_VQ_AHEAD < n)
			__builtin_prefetch(&vq->desc[head_at(vq, vq->next_avail + SX_VQ_AHEAD) &
						     (vq->size - 1u)]);
		*c = (struct sx_vq_chain){
			.seg = pool,
			.id = head_at(vq, vq->next_avail),
			.descs = 1,
			.order = vq->order,
		};
		if (sx_unlikely(take(vq, c, end) != SX_VQ_TAKEN))
			break;
		pool += c->readable + c->writable;
		vq->next_avail++;
		vq->inflight++;
		vq->order++;
	}
	/* Most drivers go through their table in order. */
	if (i)
		vq->likely =
			(uint16_t)(chain[i - 1].id + chain[i - 1].readable + chain[i - 1].writable);
	return i;
}

/* ---- giving back ---- */

void sx_vq_split_use(struct sx_virtqueue *vq, uint16_t id, uint32_t written, uint16_t entries)
{
	struct vring_used_elem *e = &vq->used->ring[vq->next_used & (vq->size - 1u)];

	sx_store_relaxed(&e->id, id);
	sx_store_relaxed(&e->len, written);
	vq->next_used = (uint16_t)(vq->next_used + entries);
}

void sx_vq_split_show(struct sx_virtqueue *vq)
{
	/* Pairs with the driver's acquire of the index: it then sees the entries and the buffers.
	 */
	sx_store_release(&vq->used->idx, vq->next_used);
}

bool sx_vq_split_wants_interrupt(const struct sx_virtqueue *vq)
{
	if (vq->event_idx)
		return vring_need_event(sx_load_relaxed(used_event(vq)), vq->next_used, vq->shown);
	return !(sx_load_relaxed(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

/* With an event index, "off" is the index that comes round last. */
void sx_vq_split_notify(struct sx_virtqueue *vq, bool on)
{
	if (vq->event_idx)
		sx_store_relaxed(avail_event(vq), (uint16_t)(vq->next_avail - !on));
	sx_store_relaxed(&vq->used->flags, on || vq->event_idx ? 0 : VRING_USED_F_NO_NOTIFY);
}
