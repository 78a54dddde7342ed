// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/virtio/queue.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>

#include "sidecore/virtio/queue_internal.h"

/* ---- translation ---- */

/* Make vq->span[access] the stretch of memory around @addr; -EFAULT when there is none. */
static int find_span(struct sx_virtqueue *vq, uint64_t addr, enum sx_access access)
{
	struct sx_memmap_span *span = &vq->span[access];
	int rc = vq->dma.translate ? vq->dma.translate(vq->dma.ctx, addr, access, span)
				   : sx_memmap_span(vq->dma.memory, addr, span);

	if (rc == 0 && access == SX_WRITE && (span->flags & SX_MEMMAP_READONLY))
		rc = -EFAULT;
	if (rc < 0)
		span->size = 0;
	return rc;
}

static void forget_spans(struct sx_virtqueue *vq)
{
	vq->span[SX_READ].size = 0;
	vq->span[SX_WRITE].size = 0;
}

/* @len bytes at @addr in one piece, or NULL. */
void *sx_vq_at(struct sx_virtqueue *vq, uint64_t addr, uint64_t len, enum sx_access access)
{
	const struct sx_memmap_span *span = &vq->span[access];

	if (addr - span->gpa >= span->size && find_span(vq, addr, access) < 0)
		return NULL;
	if (len > span->size - (addr - span->gpa))
		return NULL;
	return span->hva + (addr - span->gpa);
}

/* A buffer elsewhere than the last one, or in more than one piece. */
enum sx_vq_verdict sx_vq_add_long(struct sx_virtqueue *vq, struct sx_vq_chain *c,
				  const struct iovec *end, const struct sx_vq_desc *d)
{
	enum sx_access access = d->flags & VRING_DESC_F_WRITE ? SX_WRITE : SX_READ;
	const struct sx_memmap_span *span = &vq->span[access];
	uint64_t addr = d->addr;
	uint32_t left = d->len;

	if (!left)
		return sx_vq_refuse(vq, "a descriptor is empty");
	while (left) {
		uint64_t offset = addr - span->gpa;
		enum sx_vq_verdict verdict;
		uint32_t n;

		if (offset >= span->size) {
			if (find_span(vq, addr, access) < 0)
				return sx_vq_refuse(vq, "a buffer is not in guest memory");
			offset = addr - span->gpa;
		}
		n = left < span->size - offset ? left : (uint32_t)(span->size - offset);
		verdict = sx_vq_append(vq, c, end, span->hva + offset, n, access == SX_WRITE);
		if (verdict != SX_VQ_TAKEN)
			return verdict;
		addr += n;
		left -= n;
	}
	return SX_VQ_TAKEN;
}

/* ---- life ---- */

static bool is_power_of_two(unsigned n)
{
	return n && !(n & (n - 1));
}

int sx_virtqueue_init(struct sx_virtqueue *vq, uint16_t index, uint16_t max_size, uint16_t max_segs,
		      const struct sx_dma *dma, struct sx_error *err)
{
	memset(vq, 0, sizeof(*vq));
	if (!is_power_of_two(max_size) || max_size > SX_VQ_MAX_SIZE || !max_segs ||
	    max_segs > SX_VQ_MAX_SEGS)
		return sx_fail(err, -EINVAL,
			       "a virtqueue of %u entries with chains of %u segments cannot be; "
			       "entries are a power of two up to %d, segments 1 to %d",
			       max_size, max_segs, SX_VQ_MAX_SIZE, SX_VQ_MAX_SEGS);
	vq->done = calloc(max_size, sizeof(*vq->done));
	if (!vq->done)
		return sx_fail(err, -ENOMEM, "no memory for a virtqueue of %u entries", max_size);
	vq->index = index;
	vq->max_size = max_size;
	vq->max_segs = max_segs;
	vq->dma = *dma;
	return 0;
}

void sx_virtqueue_destroy(struct sx_virtqueue *vq)
{
	free(vq->done);
	vq->done = NULL;
	vq->running = false;
}

static void forget_ring(struct sx_virtqueue *vq)
{
	vq->running = vq->broken = false;
	vq->fault = NULL;
	vq->avail_wrap = vq->used_wrap = true; /* virtio 1.2, 2.8.1 */
	vq->next_avail = vq->next_used = vq->shown = 0;
	vq->staged = vq->inflight = 0;
	vq->order = vq->order_shown = 0;
	memset(vq->done, 0, vq->max_size * sizeof(*vq->done));
}

static bool has(const struct sx_vq_setup *setup, unsigned bit)
{
	return setup->features & 1ull << bit;
}

int sx_virtqueue_start(struct sx_virtqueue *vq, const struct sx_vq_setup *setup)
{
	int rc;

	forget_ring(vq);
	forget_spans(vq);
	vq->size = setup->size;
	vq->packed = has(setup, VIRTIO_F_RING_PACKED);
	vq->event_idx = has(setup, VIRTIO_RING_F_EVENT_IDX);
	vq->in_order = has(setup, VIRTIO_F_IN_ORDER);
	vq->indirect = has(setup, VIRTIO_RING_F_INDIRECT_DESC);
	if (!setup->size || setup->size > vq->max_size ||
	    (!vq->packed && !is_power_of_two(setup->size))) {
		sx_virtqueue_fail(vq, "the queue's size is not allowed");
		return -EINVAL;
	}
	rc = vq->packed ? sx_vq_packed_start(vq, setup) : sx_vq_split_start(vq, setup);
	if (rc < 0) {
		sx_virtqueue_fail(vq, rc == -EFAULT ? "a ring is not in guest memory"
						    : "a ring is not aligned");
		return rc;
	}
	vq->running = true;
	sx_virtqueue_enable_notify(vq);
	return 0;
}

void sx_virtqueue_stop(struct sx_virtqueue *vq)
{
	forget_ring(vq);
}

void sx_virtqueue_fail(struct sx_virtqueue *vq, const char *why)
{
	if (vq->broken)
		return;
	vq->broken = true;
	vq->running = false;
	vq->fault = why;
}

/* ---- taking ---- */

unsigned sx_virtqueue_pop(struct sx_virtqueue *vq, struct sx_vq_chain *chain, unsigned max,
			  struct iovec *pool, unsigned pool_size)
{
	struct sx_vq_stats *s = &vq->stats;
	unsigned n;

	if (!sx_virtqueue_ready(vq))
		return 0;
	forget_spans(vq);
	n = vq->packed ? sx_vq_packed_pop(vq, chain, max, pool, pool + pool_size)
		       : sx_vq_split_pop(vq, chain, max, pool, pool + pool_size);
	if (!n)
		return 0;
	sx_count(&s->requests, n);
	sx_count(&s->batches, 1);
	if (vq->polled)
		sx_count(&s->absorbed, 1);
	return n;
}

void sx_virtqueue_unpop(struct sx_virtqueue *vq, const struct sx_vq_chain *chain, unsigned count)
{
	unsigned entries = 0;

	if (!vq->running)
		return;
	for (unsigned i = 0; i < count; i++)
		entries += chain[i].descs;
	vq->inflight = (uint16_t)(vq->inflight - entries);
	vq->order -= count;
	if (vq->packed)
		sx_vq_packed_unpop(vq, entries);
	else
		vq->next_avail = (uint16_t)(vq->next_avail - entries);
	sx_store_relaxed(&vq->stats.requests, vq->stats.requests - count);
}

/* ---- giving back ---- */

static void use(struct sx_virtqueue *vq, uint16_t id, uint32_t written, uint16_t entries)
{
	if (vq->packed)
		sx_vq_packed_use(vq, id, written, entries);
	else
		sx_vq_split_use(vq, id, written, entries);
	vq->staged = (uint16_t)(vq->staged + entries);
}

void sx_virtqueue_push(struct sx_virtqueue *vq, const struct sx_vq_chain *chain, uint32_t written)
{
	if (sx_unlikely(!vq->running))
		return;
	if (sx_likely(!vq->in_order)) {
		use(vq, chain->id, written, chain->descs);
		return;
	}
	vq->done[chain->order & (vq->max_size - 1u)] = (struct sx_vq_done){
		.written = written,
		.id = chain->id,
		.descs = chain->descs,
		.pushed = true,
		.full = written == chain->writable_len,
	};
}

/*
 * In-order: stage what was pushed and has no unpushed chain before it. One used entry stands for a
 * run of buffers of which all but the last were filled to their end (virtio 1.2, 2.7.9).
 */
static void stage_in_order(struct sx_virtqueue *vq)
{
	unsigned mask = vq->max_size - 1u;
	struct sx_vq_done *d;

	while ((d = &vq->done[vq->order_shown & mask])->pushed) {
		uint16_t entries = d->descs;

		while (d->full && vq->done[(vq->order_shown + 1) & mask].pushed) {
			d->pushed = false;
			d = &vq->done[++vq->order_shown & mask];
			entries = (uint16_t)(entries + d->descs);
		}
		d->pushed = false;
		vq->order_shown++;
		use(vq, d->id, d->written, entries);
	}
}

static bool wants_interrupt(const struct sx_virtqueue *vq)
{
	/*
	 * What was shown must be visible before we look at whether the driver wants to be told. The
	 * driver's half: it asks for interrupts, then a full fence, then looks at the ring.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return vq->packed ? sx_vq_packed_wants_interrupt(vq) : sx_vq_split_wants_interrupt(vq);
}

void sx_virtqueue_flush(struct sx_virtqueue *vq)
{
	struct sx_vq_stats *s = &vq->stats;

	if (!vq->running)
		return;
	if (vq->in_order)
		stage_in_order(vq);
	if (!vq->staged)
		return;
	if (vq->packed)
		sx_vq_packed_show(vq);
	else
		sx_vq_split_show(vq);
	vq->inflight = (uint16_t)(vq->inflight - vq->staged);
	vq->staged = 0;
	if (wants_interrupt(vq)) {
		sx_count(&s->interrupts, 1);
		if (vq->interrupt)
			vq->interrupt(vq->interrupt_ctx, vq);
	} else {
		sx_count(&s->suppressed, 1);
	}
	vq->shown = vq->next_used;
}

/* ---- notifications ---- */

static void notify(struct sx_virtqueue *vq, bool on)
{
	vq->notify_on = on;
	if (vq->packed)
		sx_vq_packed_notify(vq, on);
	else
		sx_vq_split_notify(vq, on);
}

void sx_virtqueue_disable_notify(struct sx_virtqueue *vq)
{
	if (vq->running && vq->notify_on)
		notify(vq, false);
}

bool sx_virtqueue_enable_notify(struct sx_virtqueue *vq)
{
	if (!vq->running)
		return false;
	notify(vq, true);
	/* Pairs with the driver's fence between making available and reading what notify() wrote.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return sx_virtqueue_ready(vq);
}
