// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtio driver for tests: guest memory, and the driver's side of a virtqueue, split and packed
 * (virtio 1.2, 2.7 and 2.8), with every ring feature that devices offer. It checks what the device
 * does. How devices are found on PCI is in virtio_world.h.
 *
 * Set-up that fails for lack of memory aborts: it is no test's subject. Nothing here is cmocka's,
 * so fuzzers use it too.
 */
#ifndef SX_TESTS_SUPPORT_VIRTIO_DRIVER_H
#define SX_TESTS_SUPPORT_VIRTIO_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/memmap.h"
#include "sidecore/virtio/queue.h"

/* ---- guest memory ---- */

/* One range of guest memory, handed out from its start. */
struct vd_memory {
	struct sx_memmap map;
	sx_gpa gpa;
	uint8_t *base;
	size_t size;
	size_t used;
};

/* Whoever runs a device on it is registered as an RCU reader (ipc/rcu.h). */
void vd_memory_init(struct vd_memory *m, sx_gpa gpa, size_t size);
void vd_memory_destroy(struct vd_memory *m);

/* @len zeroed bytes, aligned to @align. */
sx_gpa vd_alloc(struct vd_memory *m, size_t len, size_t align);
/* Where guest memory lies for the test; NULL outside of it. */
void *vd_at(const struct vd_memory *m, sx_gpa gpa);

/* ---- a queue ---- */

#define VD_MAX_TABLE 64 /* buffers in an indirect table */

struct vd_buffer {
	sx_gpa gpa;
	uint32_t len;
};

/* A chain that the device has, or had. */
struct vd_slot {
	void *token;
	uint32_t writable; /* bytes */
	uint16_t descs;
	bool out; /* the device has it */
};

struct vd_queue {
	struct vd_memory *memory;
	uint64_t features;
	uint16_t size;
	bool packed;
	bool indirect; /* use tables for chains of more than one buffer; may be changed at any time
			*/
	sx_gpa desc_gpa, driver_gpa, device_gpa, tables_gpa;
	union {
		struct {
			struct vring_desc *desc;
			struct vring_avail *avail;
			struct vring_used *used;
		};
		struct {
			struct vring_packed_desc *ring;
			struct vring_packed_desc_event *driver_event;
			struct vring_packed_desc_event *device_event;
		};
	};
	struct vd_slot *slot; /* by descriptor head (split) or buffer ID (packed) */
	uint16_t *free_id;    /* a stack; in-order split: not used */
	uint16_t free_ids;    /* IDs, or split: descriptors */
	uint16_t room;        /* ring entries that are free */
	uint16_t *fifo;       /* IDs in the order they were made available */
	uint32_t fifo_in, fifo_out;
	uint16_t next_avail, next_used;
	uint16_t next_desc;   /* in-order split: descriptors are taken in ring order */
	uint16_t shown_avail; /* next_avail as of the last publish */
	bool avail_wrap, used_wrap;
	bool held; /* packed: the first entry's flags wait for the publish */
	uint16_t held_at, held_flags;
	uint32_t batch_id; /* in-order: the last ID of a batch that is being taken */
	uint32_t batch_len;
	bool in_batch;
	uint64_t added, published, taken, kicks; /* chains; and publishes that asked for a kick */
};

/* Lay a queue out in memory. @features: what was negotiated. */
void vd_queue_init(struct vd_queue *q, struct vd_memory *m, uint16_t size, uint64_t features);
void vd_queue_destroy(struct vd_queue *q);
/* What the device has to be told about it. */
struct sx_vq_setup vd_queue_setup(const struct vd_queue *q);

/*
 * Make a chain of @out buffers to be read and then @in to be written. -ENOSPC when the ring is
 * full. The device need not see it before vd_publish(), and does then.
 */
int vd_add(struct vd_queue *q, const struct vd_buffer *buffer, unsigned out, unsigned in,
	   void *token);
/* Show the device what was added; returns whether it wants to be notified. */
bool vd_publish(struct vd_queue *q);

/*
 * Take a used chain: 1, or 0 if there is none, or -EPROTO when the device did what no device may
 * do: an ID that it does not have, more bytes than fit, an index that jumps.
 */
int vd_take(struct vd_queue *q, void **token, uint32_t *len);

/*
 * Ask for an interrupt when the next chain is used, or for none. With @on it returns whether there
 * is a used chain already.
 */
bool vd_want_interrupt(struct vd_queue *q, bool on);

/* Ask for an interrupt only when @after more chains are used, with an event index. Split only. */
void vd_want_interrupt_after(struct vd_queue *q, uint16_t after);

#endif
