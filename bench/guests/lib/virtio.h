/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small virtio driver (virtio 1.2): devices on PCI without the legacy interface, and split
 * rings (2.7) whose chains stay where they were laid. The caller fills the descriptors once; from
 * then on a chain is named by its head. Used entries are polled for.
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

enum {
	GUEST_DESC_NEXT = 1,
	GUEST_DESC_WRITE = 2, /* the device writes */
};

/* What the device is done with, 2.7.8: a chain by its head, and bytes that it wrote. */
struct guest_used {
	uint32_t id, len;
};

#define GUEST_USED_NO_NOTIFY 1 /* in the used ring's flags */

/* A queue's memory, each part in cache lines of its own. */
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
} __attribute__((aligned(4096)));

struct guest_vq {
	struct guest_vring *ring;
	uint16_t index;
	uint16_t offered; /* chains, modulo 2^16; shown by guest_vq_publish() */
	uint16_t taken;   /* used entries, likewise */
	uint16_t *notify; /* NULL: the device looks by itself */
};

static inline struct guest_vq guest_vq(struct guest_vring *ring, uint16_t index)
{
	return (struct guest_vq){.ring = ring, .index = index};
}

static inline void guest_vq_offer(struct guest_vq *vq, uint16_t head)
{
	vq->ring->avail.ring[vq->offered++ % GUEST_VQ_SIZE] = head;
}

/* Show the device what was offered, and notify it if it wants that (2.7.13). */
static inline void guest_vq_publish(struct guest_vq *vq)
{
	/* Pairs with the device's acquire of the index. */
	sx_store_release(&vq->ring->avail.idx, vq->offered);
	/* The index before the flags; the device writes the flags, then looks at the index. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vq->notify && !(sx_load_relaxed(&vq->ring->used.flags) & GUEST_USED_NO_NOTIFY))
		__asm__ volatile("movw %1, %0" : "=m"(*vq->notify) : "r"(vq->index) : "memory");
}

/* The next used entry, or NULL. It stays until as many more chains were offered as the ring has. */
static inline const struct guest_used *guest_vq_take(struct guest_vq *vq)
{
	/* Pairs with the device's release of the index. */
	if (sx_load_acquire(&vq->ring->used.idx) == vq->taken)
		return NULL;
	return &vq->ring->used.ring[vq->taken++ % GUEST_VQ_SIZE];
}

/* ---- devices on PCI (4.1) ---- */

#define GUEST_VIRTIO_NET   1
#define GUEST_VIRTIO_BLOCK 2

#define GUEST_VIRTIO_VERSION_1 (1ull << 32)

struct guest_virtio {
	uintptr_t common, device, notify; /* where the structures lie */
	uint32_t notify_multiplier;
};

/*
 * Find the first device of type @id (virtio 1.2, 5) on the bus whose configuration space lies at
 * @ecam, and turn its memory decoding on. False when there is none.
 */
bool guest_virtio_find(uint64_t ecam, unsigned id, struct guest_virtio *dev);
/* Reset it and agree on exactly @features (3.1.1); false when it will not. */
bool guest_virtio_negotiate(const struct guest_virtio *dev, uint64_t features);
/* Enable the queue; false when the device has none of GUEST_VQ_SIZE entries there. */
bool guest_virtio_add_queue(const struct guest_virtio *dev, struct guest_vq *vq);
void guest_virtio_start(const struct guest_virtio *dev);
/* Device configuration, 64 bits. */
uint64_t guest_virtio_config(const struct guest_virtio *dev, unsigned offset);

#endif
