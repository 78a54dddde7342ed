// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/virtio_driver.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ipc/wire/types.h"

#define PACKED_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED  (1u << VRING_PACKED_DESC_F_USED)

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static bool has(const struct vd_queue *q, unsigned bit)
{
	return q->features & 1ull << bit;
}

/* ---- memory ---- */

void vd_memory_init(struct vd_memory *m, sx_gpa gpa, size_t size)
{
	*m = (struct vd_memory){.gpa = gpa, .size = size};
	m->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->base == MAP_FAILED || sx_memmap_init(&m->map) < 0 ||
	    sx_memmap_add(&m->map, gpa, size, m->base, 0, NULL) < 0)
		abort();
}

void vd_memory_destroy(struct vd_memory *m)
{
	sx_memmap_destroy(&m->map);
	munmap(m->base, m->size);
}

sx_gpa vd_alloc(struct vd_memory *m, size_t len, size_t align)
{
	size_t at = (m->used + align - 1) / align * align;

	if (len > m->size || at > m->size - len)
		abort();
	m->used = at + len;
	memset(m->base + at, 0, len);
	return m->gpa + at;
}

void *vd_at(const struct vd_memory *m, sx_gpa gpa)
{
	return gpa - m->gpa < m->size ? m->base + (gpa - m->gpa) : NULL;
}

/* ---- life ---- */

static void lay_out(struct vd_queue *q)
{
	struct vd_memory *m = q->memory;
	size_t n = q->size;

	/* Both kinds of descriptor have 16 bytes. */
	q->desc_gpa = vd_alloc(m, n * sizeof(struct vring_desc), 16);
	q->driver_gpa = vd_alloc(m, q->packed ? 4 : 6 + 2 * n, 4);
	q->device_gpa = vd_alloc(m, q->packed ? 4 : 6 + 8 * n, 4);
	q->tables_gpa = vd_alloc(m, n * VD_MAX_TABLE * sizeof(struct vring_desc), 16);
	if (q->packed) {
		q->ring = vd_at(m, q->desc_gpa);
		q->driver_event = vd_at(m, q->driver_gpa);
		q->device_event = vd_at(m, q->device_gpa);
	} else {
		q->desc = vd_at(m, q->desc_gpa);
		q->avail = vd_at(m, q->driver_gpa);
		q->used = vd_at(m, q->device_gpa);
	}
}

void vd_queue_init(struct vd_queue *q, struct vd_memory *m, uint16_t size, uint64_t features)
{
	*q = (struct vd_queue){.memory = m, .features = features, .size = size, .room = size};
	q->packed = has(q, VIRTIO_F_RING_PACKED);
	q->indirect = has(q, VIRTIO_RING_F_INDIRECT_DESC);
	q->avail_wrap = q->used_wrap = true;
	lay_out(q);
	q->slot = must(calloc(size, sizeof(*q->slot)));
	q->free_id = must(calloc(size, sizeof(*q->free_id)));
	q->fifo = must(calloc(size, sizeof(*q->fifo)));
	for (q->free_ids = 0; q->free_ids < size; q->free_ids++)
		q->free_id[q->free_ids] = (uint16_t)(size - 1 - q->free_ids);
}

void vd_queue_destroy(struct vd_queue *q)
{
	free(q->slot);
	free(q->free_id);
	free(q->fifo);
	memset(q, 0, sizeof(*q));
}

struct sx_vq_setup vd_queue_setup(const struct vd_queue *q)
{
	return (struct sx_vq_setup){
		.desc = q->desc_gpa,
		.driver = q->driver_gpa,
		.device = q->device_gpa,
		.features = q->features,
		.size = q->size,
	};
}

/* ---- making available ---- */

static uint16_t flags_of(unsigned i, unsigned out, unsigned count)
{
	return (uint16_t)((i + 1 < count ? VRING_DESC_F_NEXT : 0) |
			  (i >= out ? VRING_DESC_F_WRITE : 0));
}

static bool use_table(const struct vd_queue *q, unsigned count)
{
	return q->indirect && count > 1 && count <= VD_MAX_TABLE;
}

/* The indirect table of chain @id, filled. */
static sx_gpa fill_table(struct vd_queue *q, uint16_t id, const struct vd_buffer *b, unsigned out,
			 unsigned count)
{
	sx_gpa gpa = q->tables_gpa + (uint64_t)id * VD_MAX_TABLE * sizeof(struct vring_desc);
	struct vring_packed_desc *packed = vd_at(q->memory, gpa);
	struct vring_desc *split = vd_at(q->memory, gpa);

	for (unsigned i = 0; i < count; i++) {
		uint16_t flags = flags_of(i, out, count);

		if (q->packed)
			packed[i] = (struct vring_packed_desc){.addr = b[i].gpa,
							       .len = b[i].len,
							       .flags = flags & VRING_DESC_F_WRITE};
		else
			split[i] =
				(struct vring_desc){b[i].gpa, b[i].len, flags, (uint16_t)(i + 1)};
	}
	return gpa;
}

/*
 * Descriptors come from the stack; in-order ones in ring order (virtio 1.2, 2.7.5), where the
 * stack only counts.
 */
static uint16_t take_desc(struct vd_queue *q)
{
	q->free_ids--;
	if (has(q, VIRTIO_F_IN_ORDER) && !q->packed)
		return (uint16_t)(q->next_desc++ & (q->size - 1));
	return q->free_id[q->free_ids];
}

static uint16_t add_split(struct vd_queue *q, const struct vd_buffer *b, unsigned out,
			  unsigned count, unsigned descs)
{
	uint16_t head = take_desc(q);
	uint16_t at = head;

	if (use_table(q, count)) {
		q->desc[head] = (struct vring_desc){
			.addr = fill_table(q, head, b, out, count),
			.len = (uint32_t)(count * sizeof(struct vring_desc)),
			.flags = VRING_DESC_F_INDIRECT,
		};
	} else {
		for (unsigned i = 0; i < descs; i++) {
			uint16_t next = i + 1 < descs ? take_desc(q) : 0;

			q->desc[at] = (struct vring_desc){b[i].gpa, b[i].len,
							  flags_of(i, out, count), next};
			at = next;
		}
	}
	/* Relaxed: shown by the release of the index. */
	sx_store_relaxed(&q->avail->ring[q->next_avail & (q->size - 1)], head);
	q->next_avail++;
	return head;
}

static void put_packed(struct vd_queue *q, bool first, uint64_t addr, uint32_t len, uint16_t id,
		       uint16_t flags)
{
	struct vring_packed_desc *d = &q->ring[q->next_avail];

	flags |= q->avail_wrap ? PACKED_AVAIL : PACKED_USED;
	sx_store_relaxed(&d->addr, addr);
	sx_store_relaxed(&d->len, len);
	sx_store_relaxed(&d->id, id);
	if (first && !q->held) {
		q->held = true;
		q->held_at = q->next_avail;
		q->held_flags = flags;
	} else {
		sx_store_release(&d->flags, flags); /* pairs with the device's acquire */
	}
	if (++q->next_avail == q->size) {
		q->next_avail = 0;
		q->avail_wrap = !q->avail_wrap;
	}
}

static uint16_t add_packed(struct vd_queue *q, const struct vd_buffer *b, unsigned out,
			   unsigned count)
{
	uint16_t id = take_desc(q);

	if (use_table(q, count)) {
		put_packed(q, true, fill_table(q, id, b, out, count),
			   (uint32_t)(count * sizeof(struct vring_packed_desc)), id,
			   VRING_DESC_F_INDIRECT);
		return id;
	}
	for (unsigned i = 0; i < count; i++)
		put_packed(q, i == 0, b[i].gpa, b[i].len, id, flags_of(i, out, count));
	return id;
}

int vd_add(struct vd_queue *q, const struct vd_buffer *b, unsigned out, unsigned in, void *token)
{
	unsigned count = out + in;
	unsigned descs = use_table(q, count) ? 1 : count;
	struct vd_slot *slot;
	uint16_t id;

	if (descs > q->room || !descs)
		return -ENOSPC;
	id = q->packed ? add_packed(q, b, out, count) : add_split(q, b, out, count, descs);
	slot = &q->slot[id];
	*slot = (struct vd_slot){.token = token, .descs = (uint16_t)descs, .out = true};
	for (unsigned i = out; i < count; i++)
		slot->writable += b[i].len;
	q->fifo[q->fifo_in++ % q->size] = id;
	q->room = (uint16_t)(q->room - descs);
	q->added++;
	return 0;
}

static bool wants_kick_split(const struct vd_queue *q, uint16_t before)
{
	uint16_t event = sx_load_relaxed((uint16_t *)&q->used->ring[q->size]);

	if (has(q, VIRTIO_RING_F_EVENT_IDX))
		return vring_need_event(event, q->next_avail, before);
	return !(sx_load_relaxed(&q->used->flags) & VRING_USED_F_NO_NOTIFY);
}

static bool wants_kick_packed(const struct vd_queue *q, uint16_t before)
{
	/* Acquire pairs with the device's release of the flags: then the offset is the right one.
	 */
	uint16_t flags = sx_load_acquire(&q->device_event->flags);
	uint16_t event = sx_load_relaxed(&q->device_event->off_wrap);
	uint16_t at = event & 0x7fff;

	if (flags != 2)
		return flags == 0;
	if ((event >> 15) != q->avail_wrap)
		at = (uint16_t)(at - q->size);
	if (before >= q->next_avail)
		before = (uint16_t)(before - q->size);
	return vring_need_event(at, q->next_avail, before);
}

bool vd_publish(struct vd_queue *q)
{
	uint64_t fresh = q->added - q->published;
	uint16_t before = q->shown_avail;
	bool kick;

	if (!fresh)
		return false;
	if (q->packed)
		/* Pairs with the device's acquire of the flags. */
		sx_store_release(&q->ring[q->held_at].flags, q->held_flags);
	else
		/* Pairs with the device's acquire of the index. */
		sx_store_release(&q->avail->idx, q->next_avail);
	q->held = false;
	q->published = q->added;
	q->shown_avail = q->next_avail;
	/* Pairs with the fence in sx_virtqueue_enable_notify(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	kick = q->packed ? wants_kick_packed(q, before) : wants_kick_split(q, before);
	q->kicks += kick;
	return kick;
}

/* ---- taking back ---- */

static void free_slot(struct vd_queue *q, uint16_t id)
{
	struct vd_slot *slot = &q->slot[id];

	if (q->packed) {
		q->free_id[q->free_ids++] = id;
	} else {
		uint16_t at = id;

		for (unsigned i = 0; i < slot->descs; i++) {
			q->free_id[q->free_ids++] = at;
			at = q->desc[at].next;
		}
	}
	q->room = (uint16_t)(q->room + slot->descs);
	slot->out = false;
	q->taken++;
}

/* The used entry at next_used, if there is one. */
static bool peek(struct vd_queue *q, uint32_t *id, uint32_t *len)
{
	if (q->packed) {
		const struct vring_packed_desc *d = &q->ring[q->next_used];
		/* Pairs with the device's release of the flags. */
		uint16_t flags = sx_load_acquire(&d->flags);

		if (!!(flags & PACKED_AVAIL) != q->used_wrap ||
		    !!(flags & PACKED_USED) != q->used_wrap)
			return false;
		*id = sx_load_relaxed(&d->id);
		*len = flags & VRING_DESC_F_WRITE ? sx_load_relaxed(&d->len) : 0;
		return true;
	}
	/* Pairs with the device's release of the index. */
	if (sx_load_acquire(&q->used->idx) == q->next_used)
		return false;
	*id = sx_load_relaxed(&q->used->ring[q->next_used & (q->size - 1)].id);
	*len = sx_load_relaxed(&q->used->ring[q->next_used & (q->size - 1)].len);
	return true;
}

static void advance_used(struct vd_queue *q, unsigned entries)
{
	unsigned to = q->next_used + entries;

	if (q->packed && to >= q->size) {
		to -= q->size;
		q->used_wrap = !q->used_wrap;
	}
	q->next_used = (uint16_t)to;
}

/*
 * In-order: an entry may stand for a batch, of which it names the last; the others were used to
 * their ends (2.7.9). Chains come in the order they were made available.
 */
static int take_in_order(struct vd_queue *q, uint32_t *id, uint32_t *len)
{
	if (!q->in_batch) {
		if (!peek(q, id, len))
			return 0;
		q->batch_id = *id;
		q->batch_len = *len;
		q->in_batch = true;
	}
	if (q->fifo_out == q->fifo_in)
		return -EPROTO;
	*id = q->fifo[q->fifo_out++ % q->size];
	*len = q->slot[*id].writable;
	if (*id == q->batch_id) {
		*len = q->batch_len;
		q->in_batch = false;
	}
	return 1;
}

int vd_take(struct vd_queue *q, void **token, uint32_t *len)
{
	bool in_order = has(q, VIRTIO_F_IN_ORDER);
	uint32_t id = 0;
	int rc = in_order ? take_in_order(q, &id, len) : peek(q, &id, len);

	if (rc != 1)
		return rc;
	if (id >= q->size || !q->slot[id].out || *len > q->slot[id].writable)
		return -EPROTO;
	*token = q->slot[id].token;
	advance_used(q, q->packed ? q->slot[id].descs : 1);
	free_slot(q, (uint16_t)id);
	return 1;
}

/* ---- interrupts ---- */

bool vd_want_interrupt(struct vd_queue *q, bool on)
{
	bool event = has(q, VIRTIO_RING_F_EVENT_IDX);
	uint32_t id, len;

	if (q->packed) {
		sx_store_relaxed(&q->driver_event->off_wrap,
				 (uint16_t)(q->next_used | (q->used_wrap ? 1 << 15 : 0)));
		/* Release: see wants_kick_packed(). */
		sx_store_release(&q->driver_event->flags, (uint16_t)(!on ? 1 : event ? 2 : 0));
	} else if (event) {
		sx_store_relaxed(&q->avail->ring[q->size], (uint16_t)(q->next_used - !on));
	} else {
		sx_store_relaxed(&q->avail->flags, on ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
	}
	/* Pairs with the fence in the device's flush. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return on && (q->in_batch || peek(q, &id, &len));
}

void vd_want_interrupt_after(struct vd_queue *q, uint16_t after)
{
	sx_store_relaxed(&q->avail->ring[q->size], (uint16_t)(q->next_used + after - 1));
}
