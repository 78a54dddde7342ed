// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the files of the queue engine share. Not for device models.
 */
#ifndef SX_SIDECORE_VIRTIO_QUEUE_INTERNAL_H
#define SX_SIDECORE_VIRTIO_QUEUE_INTERNAL_H

#include "sidecore/virtio/queue.h"

#define sx_likely(x)   __builtin_expect(!!(x), 1)
#define sx_unlikely(x) __builtin_expect(!!(x), 0)

/* In-order: a chain that was pushed, and waits for those popped before it. */
struct sx_vq_done {
	uint32_t written;
	uint16_t id;
	uint16_t descs;
	bool pushed;
	bool full; /* its writable part was filled to the end */
};

enum sx_vq_verdict {
	SX_VQ_TAKEN,
	SX_VQ_NO_ROOM, /* the pool is full: leave the chain for the next pop */
	SX_VQ_BROKEN,
};

static inline enum sx_vq_verdict sx_vq_refuse(struct sx_virtqueue *vq, const char *why)
{
	sx_virtqueue_fail(vq, why);
	return SX_VQ_BROKEN;
}

/* A descriptor as it was read, once. */
struct sx_vq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next; /* packed: buffer ID is where `flags` is not; see sx_vq_packed_desc() */
};

/* Tables in guest memory may lie at any address. */
struct sx_vq_word {
	uint64_t v;
} __attribute__((packed));

static inline uint64_t sx_vq_load(const void *p)
{
	return ((const volatile struct sx_vq_word *)p)->v;
}

/* Descriptor @i of a table at @table: two loads, and what they gave is all that is used. */
static inline struct sx_vq_desc sx_vq_split_desc(const void *table, unsigned i)
{
	const char *d = (const char *)table + i * sizeof(struct vring_desc);
	uint64_t rest = sx_vq_load(d + 8);

	return (struct sx_vq_desc){
		.addr = sx_vq_load(d),
		.len = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48),
	};
}

/* The same of a packed ring or table, where the ID comes before the flags. */
static inline struct sx_vq_desc sx_vq_packed_desc(const void *table, unsigned i)
{
	const char *d = (const char *)table + i * sizeof(struct vring_packed_desc);
	uint64_t rest = sx_vq_load(d + 8);

	return (struct sx_vq_desc){
		.addr = sx_vq_load(d),
		.len = (uint32_t)rest,
		.next = (uint16_t)(rest >> 32),
		.flags = (uint16_t)(rest >> 48),
	};
}

/* The pieces of queue.c that take what the short way below does not. */
enum sx_vq_verdict sx_vq_add_long(struct sx_virtqueue *vq, struct sx_vq_chain *c,
				  const struct iovec *end, const struct sx_vq_desc *d);
void *sx_vq_at(struct sx_virtqueue *vq, uint64_t addr, uint64_t len, enum sx_access access);

/* Add one piece to the chain; @end is the end of the pool. */
static inline enum sx_vq_verdict sx_vq_append(struct sx_virtqueue *vq, struct sx_vq_chain *c,
					      const struct iovec *end, void *base, uint32_t len,
					      bool write)
{
	unsigned n = c->readable + c->writable;

	if (sx_unlikely(n == vq->max_segs))
		return sx_vq_refuse(vq, "a chain is longer than the device takes");
	if (sx_unlikely(&c->seg[n] == end))
		return SX_VQ_NO_ROOM;
	c->seg[n] = (struct iovec){.iov_base = base, .iov_len = len};
	if (write) {
		c->writable++;
		c->writable_len += len;
	} else {
		c->readable++;
		c->readable_len += len;
	}
	return SX_VQ_TAKEN;
}

/* Add what a descriptor points to. The short way: it lies where the last one of its kind did. */
static inline enum sx_vq_verdict sx_vq_add(struct sx_virtqueue *vq, struct sx_vq_chain *c,
					   const struct iovec *end, const struct sx_vq_desc *d)
{
	bool write = d->flags & VRING_DESC_F_WRITE;
	const struct sx_memmap_span *span = &vq->span[write];
	uint64_t offset = d->addr - span->gpa;

	if (sx_unlikely(!write && c->writable))
		return sx_vq_refuse(vq, "a readable descriptor follows a writable one");
	if (sx_unlikely(d->len > UINT32_MAX - c->readable_len - c->writable_len))
		return sx_vq_refuse(vq, "a chain is longer than 4 GiB");
	if (sx_unlikely(!d->len || offset >= span->size || d->len > span->size - offset))
		return sx_vq_add_long(vq, c, end, d);
	return sx_vq_append(vq, c, end, span->hva + offset, d->len, write);
}

/* What there is of each kind of ring. */
int sx_vq_split_start(struct sx_virtqueue *vq, const struct sx_vq_setup *setup);
unsigned sx_vq_split_pop(struct sx_virtqueue *vq, struct sx_vq_chain *chain, unsigned max,
			 struct iovec *pool, const struct iovec *end);
/* Write one used entry that stands for @entries of them; not shown yet. */
void sx_vq_split_use(struct sx_virtqueue *vq, uint16_t id, uint32_t written, uint16_t entries);
void sx_vq_split_show(struct sx_virtqueue *vq);
bool sx_vq_split_wants_interrupt(const struct sx_virtqueue *vq);
void sx_vq_split_notify(struct sx_virtqueue *vq, bool on);

int sx_vq_packed_start(struct sx_virtqueue *vq, const struct sx_vq_setup *setup);
unsigned sx_vq_packed_pop(struct sx_virtqueue *vq, struct sx_vq_chain *chain, unsigned max,
			  struct iovec *pool, const struct iovec *end);
void sx_vq_packed_unpop(struct sx_virtqueue *vq, unsigned entries);
void sx_vq_packed_use(struct sx_virtqueue *vq, uint16_t id, uint32_t written, uint16_t entries);
void sx_vq_packed_show(struct sx_virtqueue *vq);
bool sx_vq_packed_wants_interrupt(const struct sx_virtqueue *vq);
void sx_vq_packed_notify(struct sx_virtqueue *vq, bool on);

/* How far ahead descriptors are prefetched. */
#define SX_VQ_AHEAD 8

#endif
