// SPDX-License-Identifier: BSD-3-Clause
/*
 * Between blk.c, the device, and blk_request.c, its requests.
 */
#ifndef SX_SIDECORE_VIRTIO_BLK_INTERNAL_H
#define SX_SIDECORE_VIRTIO_BLK_INTERNAL_H

#include <linux/virtio_blk.h>

#include "sidecore/virtio/blk.h"

#define SX_BLK_QUEUE_SIZE 256
#define SX_BLK_SECTOR     512u

/*
 * As told to the driver: segments of data in a request, and bytes in each. The queue takes a few
 * segments more: header, status, and buffers that cross from one range of memory into another.
 */
#define SX_BLK_DATA_SEGS 254
#define SX_BLK_MAX_SEGS  264
#define SX_BLK_SEG_BYTES (4u << 20)

/* Of a discard, and of a write of zeros, which may have to be done byte by byte. */
#define SX_BLK_RANGES          16
#define SX_BLK_DISCARD_SECTORS (1u << 21)
#define SX_BLK_ZERO_SECTORS    (1u << 16)

/* Takes no memory before it is used: the pool's first ones are used most. */
struct sx_blk_request {
	struct sx_file_op op; /* first, so that an operation leads to its request */
	struct sx_vq_chain chain;
	uint8_t *status;
	uint32_t data_len; /* bytes that the device writes before the status */
	uint32_t type;
	uint16_t ranges;
	uint16_t next_range;
	union {
		struct iovec seg[SX_BLK_MAX_SEGS];
		struct virtio_blk_discard_write_zeroes range[SX_BLK_RANGES];
	};
};

struct sx_blk_queue {
	struct sx_virtio_blk *blk;
	struct sx_virtqueue *vq;
	struct sx_file_queue *io;
	struct sx_blk_request *request; /* SX_BLK_QUEUE_SIZE */
	struct sx_blk_request **idle;   /* a stack of those not in use */
	unsigned idle_count;
	bool stuck; /* trap mode: the kernel takes no entries for now */
	struct sx_virtio_blk_stats stats;
};

/* Take new requests; answer those that are done. Both return how many items they did. */
unsigned sx_blk_take(struct sx_blk_queue *q);
unsigned sx_blk_answer_done(struct sx_blk_queue *q);

#endif
