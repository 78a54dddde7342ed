/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small virtio driver (virtio 1.2): devices on PCI without the legacy interface, and split (2.7)
 * and packed rings (2.8) whose chains stay where they were laid: the caller fills descriptors, side
 * by side for each chain, and from then on a chain is named by its head. Used entries are polled
 * for, or an interrupt tells of them.
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include <stdbool.h>

#include "bench/guests/lib/guest.h"

#define GUEST_VQ_SIZE 256

/* A descriptor, 2.7.5. */
struct guest_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* One of a packed ring, 2.8.13: the device gets a copy of the chain's. */
struct guest_packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};

enum {
	GUEST_DESC_NEXT = 1,
	GUEST_DESC_WRITE = 2, /* the device writes */
	GUEST_DESC_AVAIL = 1 << 7,
	GUEST_DESC_USED = 1 << 15,
};

/* What the device is done with, 2.7.8: a chain by its head, and bytes that it wrote. */
struct guest_used {
	uint32_t id, len;
};

/* In the flags of a ring's or an event suppression structure: do not tell me (2.7.6, 2.8.10). */
#define GUEST_QUIET 1

/* A queue's memory, each part in cache lines of its own. A queue has one of the two rings. */
struct guest_vring {
	struct guest_desc desc[GUEST_VQ_SIZE];
	struct {
		uint16_t flags, idx;
		uint16_t ring[GUEST_VQ_SIZE];
	} avail __attribute__((aligned(SX_CACHE_LINE)));
	struct {
		uint16_t flags, idx;
		struct guest_used ring[GUEST_VQ_SIZE];
	} used __attribute__((aligned(SX_CACHE_LINE)));
	struct guest_packed_desc packed[GUEST_VQ_SIZE] __attribute__((aligned(SX_CACHE_LINE)));
	struct guest_event {
		uint16_t descriptor, flags;
	} driver_event __attribute__((aligned(SX_CACHE_LINE)));
	struct guest_event device_event __attribute__((aligned(SX_CACHE_LINE)));
} __attribute__((aligned(4096)));

struct guest_vq {
	struct guest_vring *ring;
	uint16_t index;
	bool packed;
	uint16_t chain;       /* packed: descriptors in each */
	uint16_t offered;     /* chains, modulo 2^16; packed: descriptors. Shown by _publish() */
	uint16_t taken;       /* used entries, likewise */
	uint16_t shown;       /* packed: of `offered` */
	uint16_t first_flags; /* packed: of the first that is not shown yet */
	uint16_t *notify;     /* NULL: the device looks by itself */
	struct guest_used last;
};

/* Empty, and told of nothing: guest_vq_listen(). @chain: descriptors in each of its chains. */
struct guest_vq guest_vq(struct guest_vring *ring, uint16_t index, bool packed, uint16_t chain);
/* Shall the device interrupt when it has used something? It may once more after it was told not to.
 */
void guest_vq_listen(struct guest_vq *vq, bool on);

/* What makes descriptor number @n available in its lap (2.8.1). */
static inline uint16_t guest_packed_available(uint16_t n)
{
	return n / GUEST_VQ_SIZE % 2 ? GUEST_DESC_USED : GUEST_DESC_AVAIL;
}

/* What the device leaves in it when it has used it. */
static inline uint16_t guest_packed_used(uint16_t n)
{
	return n / GUEST_VQ_SIZE % 2 ? 0 : GUEST_DESC_USED | GUEST_DESC_AVAIL;
}

/* The flags of the first descriptor that is not shown yet are held back: it hides those behind. */
static inline void guest_packed_offer(struct guest_vq *vq, uint16_t head)
{
	const struct guest_desc *from = &vq->ring->desc[head];

	for (uint16_t i = 0; i < vq->chain; i++, from++) {
		uint16_t n = vq->offered++;
		uint16_t flags = from->flags | guest_packed_available(n);
		struct guest_packed_desc *d = &vq->ring->packed[n % GUEST_VQ_SIZE];

		d->addr = from->addr;
		d->len = from->len;
		d->id = head;
		if (n == vq->shown)
			vq->first_flags = flags;
		else
			d->flags = flags;
	}
}

static inline void guest_packed_show(struct guest_vq *vq)
{
	if (vq->shown == vq->offered)
		return;
	/* Pairs with the device's acquire of the flags. */
	sx_store_release(&vq->ring->packed[vq->shown % GUEST_VQ_SIZE].flags, vq->first_flags);
	vq->shown = vq->offered;
}

static inline const struct guest_used *guest_packed_take(struct guest_vq *vq)
{
	const struct guest_packed_desc *d = &vq->ring->packed[vq->taken % GUEST_VQ_SIZE];
	/* Pairs with the device's release of the flags. */
	uint16_t flags = sx_load_acquire(&d->flags);

	if ((flags & (GUEST_DESC_AVAIL | GUEST_DESC_USED)) != guest_packed_used(vq->taken))
		return NULL;
	vq->last = (struct guest_used){d->id, d->len};
	vq->taken += vq->chain;
	return &vq->last;
}

static inline void guest_vq_offer(struct guest_vq *vq, uint16_t head)
{
	if (vq->packed)
		guest_packed_offer(vq, head);
	else
		vq->ring->avail.ring[vq->offered++ % GUEST_VQ_SIZE] = head;
}

/* Show the device what was offered, and notify it if it wants that (2.7.13, 2.8.21). */
static inline void guest_vq_publish(struct guest_vq *vq)
{
	const uint16_t *flags = vq->packed ? &vq->ring->device_event.flags : &vq->ring->used.flags;

	if (vq->packed)
		guest_packed_show(vq);
	else
		/* Pairs with the device's acquire of the index. */
		sx_store_release(&vq->ring->avail.idx, vq->offered);
	/* What is shown before the flags; the device writes the flags, then looks at what is. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vq->notify && !(sx_load_relaxed(flags) & GUEST_QUIET))
		__asm__ volatile("movw %1, %0" : "=m"(*vq->notify) : "r"(vq->index) : "memory");
}

/*
 * The next used entry, or NULL. It stays until the next is taken, or, in a split ring, until as
 * many more chains were offered as the ring has.
 */
static inline const struct guest_used *guest_vq_take(struct guest_vq *vq)
{
	if (vq->packed)
		return guest_packed_take(vq);
	/* Pairs with the device's release of the index. */
	if (sx_load_acquire(&vq->ring->used.idx) == vq->taken)
		return NULL;
	return &vq->ring->used.ring[vq->taken++ % GUEST_VQ_SIZE];
}

/* ---- devices on PCI (4.1) ---- */

#define GUEST_VIRTIO_NET   1
#define GUEST_VIRTIO_BLOCK 2

#define GUEST_VIRTIO_VERSION_1 (1ull << 32)
#define GUEST_VIRTIO_PACKED    (1ull << 34)

/* The entry of the MSI-X table for all queues that may interrupt. */
#define GUEST_VIRTIO_ENTRY 0

struct guest_virtio {
	uintptr_t common, device, notify; /* where the structures lie */
	uintptr_t msix;                   /* the capability */
	uintptr_t function;               /* configuration space */
	uint32_t notify_multiplier;
};

/*
 * Find the first device of type @id (virtio 1.2, 5) on the bus whose configuration space lies at
 * @ecam, and turn its memory decoding on. False when there is none.
 */
bool guest_virtio_find(uint64_t ecam, unsigned id, struct guest_virtio *dev);
/* Reset it and agree on exactly @features (3.1.1); false when it will not. */
bool guest_virtio_negotiate(const struct guest_virtio *dev, uint64_t features);
/*
 * Switch MSI-X on, with @vector of vCPU 0 for GUEST_VIRTIO_ENTRY (PCIe 5.0, 7.7.2; SDM Vol. 3A,
 * 11.11). False when the device has none.
 */
bool guest_virtio_route(const struct guest_virtio *dev, uint8_t vector);
/* Enable the queue; false when the device has none of GUEST_VQ_SIZE entries there. */
bool guest_virtio_add_queue(const struct guest_virtio *dev, struct guest_vq *vq);
void guest_virtio_start(const struct guest_virtio *dev);
/* Device configuration, 64 bits. */
uint64_t guest_virtio_config(const struct guest_virtio *dev, unsigned offset);

#endif
