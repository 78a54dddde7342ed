// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtqueue, the device's side: split and packed rings (virtio 1.2, 2.7 and 2.8).
 *
 * pop   takes descriptor chains that the driver made available, checked and translated;
 * push  says that a chain is used, in any order;
 * flush shows the driver all that was pushed, and interrupts it if it wants that.
 *
 * The driver is hostile. Each descriptor is read once into private memory and checked there. What
 * no honest driver does stops the queue: from then on it is `broken`, pop gives nothing, push and
 * flush do nothing, and the device layer (device.h) asks the driver for a reset. A device model
 * need not look for that.
 *
 * One thread at a time owns a queue, and all functions here are its own. It is an RCU reader.
 *
 * The host memory behind the rings must outlive the queue: guest memory is given back after the
 * devices are destroyed.
 */
#ifndef SX_SIDECORE_VIRTIO_QUEUE_H
#define SX_SIDECORE_VIRTIO_QUEUE_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ipc/error.h"
#include "ipc/memmap.h"
#include "ipc/wire/types.h"

#define SX_VQ_MAX_SIZE 1024 /* entries in a ring */
#define SX_VQ_MAX_SEGS 1024 /* segments in a chain; preadv() takes no more */

/*
 * Where a device's addresses lead: guest memory, or what an IOMMU makes of it.
 */
struct sx_dma {
	const struct sx_memmap *memory;
	/*
	 * NULL: a device address is a guest address. Else fills @span with the longest stretch of
	 * device addresses around @addr (span->gpa is a device address then) that may be accessed
	 * so and lies in one piece at span->hva; -EFAULT if there is none. Any owner of a queue may
	 * call it, at the same time as others.
	 */
	int (*translate)(void *ctx, uint64_t addr, enum sx_access access,
			 struct sx_memmap_span *span);
	void *ctx;
};

/*
 * A chain that was popped. Keep a copy until the push; `seg` points into the pool that was given
 * to pop, and is not needed by push.
 */
struct sx_vq_chain {
	struct iovec *seg; /* `readable` segments to be read, then `writable` ones to be filled */
	uint16_t readable; /* number of segments; the guest may change the bytes at any time */
	uint16_t writable; /* number of segments */
	uint16_t id;       /* the driver's name for it: hostile, index nothing by it */
	uint16_t descs;    /* ring entries that it takes */
	uint32_t order;    /* this queue's count of chains popped, modulo 2^32 */
	uint32_t readable_len; /* bytes in each part */
	uint32_t writable_len;
};

/* Written by the owner; others may look at them, each number stands alone. */
struct sx_vq_stats {
	uint64_t requests; /* chains popped */
	uint64_t batches;  /* pops that gave at least one */
	uint64_t kicks;    /* notifications that the driver sent us by an exit */
	uint64_t absorbed; /* batches that a poller found by itself: kicks nobody had to hear of */
	uint64_t interrupts; /* sent */
	uint64_t suppressed; /* flushes for which the driver wanted none */
};

/* What the driver set up. Device addresses; see virtio 1.2, 4.1.4.3. */
struct sx_vq_setup {
	uint64_t desc;
	uint64_t driver;   /* available ring, or the driver's event suppression */
	uint64_t device;   /* used ring, or the device's event suppression */
	uint64_t features; /* negotiated */
	uint16_t size;     /* split: a power of two */
};

struct sx_vq_done;

struct sx_virtqueue {
	/* What a look at an idle queue reads. */
	bool running;
	bool packed;
	bool avail_wrap;     /* packed: the driver's wrap counter as we expect it */
	uint16_t next_avail; /* split: index modulo 2^16; packed: position in the ring */
	union {
		struct vring_avail *avail;      /* split */
		struct vring_packed_desc *ring; /* packed */
	};

	bool broken; /* stopped until the driver resets it */
	bool event_idx;
	bool in_order;
	bool indirect;
	bool notify_on; /* the driver was told to notify us */
	bool polled;    /* device.h: a poller looks at it; else it runs when notified */
	bool used_wrap; /* packed: our wrap counter */
	uint16_t size;
	uint16_t next_used; /* where the next push goes; as next_avail */
	uint16_t shown;     /* next_used as of the last flush */
	uint16_t staged;    /* ring entries pushed and not yet shown */
	uint16_t likely;    /* split: a guess at the next chain's first descriptor, for prefetch */
	uint16_t inflight;  /* ring entries popped and not yet shown as used */
	uint16_t max_segs;
	uint32_t order;       /* chains popped, modulo 2^32 */
	uint32_t order_shown; /* in-order: how many of them are staged or shown */
	union {
		struct { /* split */
			struct vring_desc *desc;
			struct vring_used *used;
		};
		struct { /* packed */
			struct vring_packed_desc_event *driver_event;
			struct vring_packed_desc_event *device_event;
			uint16_t held_at;    /* the first staged entry: its flags are ... */
			uint16_t held_flags; /* ... these, and written last */
		};
	};
	/* The last translation of a readable and of a writable segment; good for one pop. */
	struct sx_memmap_span span[2];
	struct sx_vq_done *done; /* in-order: what was pushed, by order modulo max_size */
	struct sx_vq_stats stats;

	struct sx_dma dma;
	uint16_t index; /* in its device */
	uint16_t group; /* device.h */
	uint16_t max_size;
	const char *fault; /* why it is broken; a fixed string */
	void *model;       /* the device model's own; NULL at first */
	/* Sends the queue's interrupt; called by flush. NULL: nothing is sent. */
	void (*interrupt)(void *ctx, struct sx_virtqueue *vq);
	void *interrupt_ctx;
};

/*
 * @max_size: entries at most, a power of two up to SX_VQ_MAX_SIZE. @max_segs: a chain of more
 * segments breaks the queue; up to SX_VQ_MAX_SEGS.
 */
int sx_virtqueue_init(struct sx_virtqueue *vq, uint16_t index, uint16_t max_size, uint16_t max_segs,
		      const struct sx_dma *dma, struct sx_error *err);
/* Nobody uses it. Safe on a zeroed struct. */
void sx_virtqueue_destroy(struct sx_virtqueue *vq);

/*
 * Begin to serve what the driver set up. -EINVAL or -EFAULT when a size or address is none that
 * an honest driver gives; the queue is broken then.
 */
int sx_virtqueue_start(struct sx_virtqueue *vq, const struct sx_vq_setup *setup);
/* Forget it; chains that are in flight are never pushed. */
void sx_virtqueue_stop(struct sx_virtqueue *vq);

/* Stop the queue for what the driver did; @why is a fixed string. Device models may call it. */
void sx_virtqueue_fail(struct sx_virtqueue *vq, const char *why);

/* Is there a chain to pop? One load of guest memory, and hints. */
static inline bool sx_virtqueue_ready(const struct sx_virtqueue *vq)
{
	uint16_t flags;

	if (!vq->running)
		return false;
	/* Both acquires pair with the driver's release of what it made available. */
	if (!vq->packed) {
		/*
		 * Entry and descriptor lie in lines of their own. Asked for now, they come at the
		 * same time as the index that tells of them, not one after the other.
		 */
		__builtin_prefetch(&vq->avail->ring[vq->next_avail & (vq->size - 1u)]);
		__builtin_prefetch(&vq->desc[vq->likely & (vq->size - 1u)]);
		return sx_load_acquire(&vq->avail->idx) != vq->next_avail;
	}
	flags = sx_load_acquire(&vq->ring[vq->next_avail].flags);
	return !!(flags & 1 << VRING_PACKED_DESC_F_AVAIL) == vq->avail_wrap &&
	       !!(flags & 1 << VRING_PACKED_DESC_F_USED) != vq->avail_wrap;
}

/*
 * Take up to @max chains that are available; their segments are laid into @pool, which has room
 * for @pool_size >= vq->max_segs of them. Fewer come when there are fewer, the pool is full, or
 * the queue breaks. A segment is never empty, and its pointer is valid as sx_memmap_at() says.
 */
unsigned sx_virtqueue_pop(struct sx_virtqueue *vq, struct sx_vq_chain *chain, unsigned max,
			  struct iovec *pool, unsigned pool_size);

/* Give back the last @count chains popped, none of them pushed: the next pop takes them again. */
void sx_virtqueue_unpop(struct sx_virtqueue *vq, const struct sx_vq_chain *chain, unsigned count);

/*
 * @chain is used, and @written bytes of its writable part were filled, from its start. The driver
 * sees it at the next flush.
 */
void sx_virtqueue_push(struct sx_virtqueue *vq, const struct sx_vq_chain *chain, uint32_t written);

/* Show what was pushed, then interrupt the driver if it asked for that. Cheap when there is
 * nothing. */
void sx_virtqueue_flush(struct sx_virtqueue *vq);

/*
 * Who polls tells the driver not to notify. Before it stops polling it asks for notifications; if
 * that returns true, there is something to pop already.
 */
void sx_virtqueue_disable_notify(struct sx_virtqueue *vq);
bool sx_virtqueue_enable_notify(struct sx_virtqueue *vq);

/*
 * Copy bytes of a chain's readable part, from @offset on, however the driver cut it into
 * segments; or bytes into its writable part. Returns how many there were, at most @len.
 */
size_t sx_vq_read(const struct sx_vq_chain *chain, size_t offset, void *to, size_t len);
size_t sx_vq_write(const struct sx_vq_chain *chain, size_t offset, const void *from, size_t len);

/*
 * The part of @seg[0..count) that begins @skip bytes in and is @len bytes long, as segments of its
 * own in @out, which has room for @count. Returns how many; @len is cut to what there is.
 */
unsigned sx_iov_slice(const struct iovec *seg, unsigned count, size_t skip, size_t len,
		      struct iovec *out);

#endif
