// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-blk (virtio 1.2, 5.2): a disk image (sidecore/backend/file.h) as a guest's disk.
 *
 * Each queue is a group of its own with its own way to the image, so queues can be on different
 * sidecores. A request is acknowledged when its bytes are where the driver asked them to be: on
 * stable storage if the cache is writethrough, or FLUSH was not negotiated; else with the host's
 * kernel, until a flush. Nothing is kept in this process, so killing it loses nothing that was
 * acknowledged.
 *
 * Guest memory must outlive the device: the kernel may still be reading and writing it until
 * sx_virtio_blk_destroy() returns.
 */
#ifndef SX_SIDECORE_VIRTIO_BLK_H
#define SX_SIDECORE_VIRTIO_BLK_H

#include <stdint.h>

#include "sidecore/backend/file.h"
#include "sidecore/backend/file_io.h"
#include "sidecore/virtio/device.h"

#define SX_BLK_SERIAL     20 /* bytes (5.2.6) */
#define SX_BLK_MAX_QUEUES 64

struct sx_virtio_blk_config {
	struct sx_file_config file;
	uint16_t queues;    /* 0 stands for 1 */
	const char *serial; /* up to SX_BLK_SERIAL bytes; NULL: none */
};

/* Written by a queue's group; others may look at them, each number stands alone. */
struct sx_virtio_blk_stats {
	uint64_t reads;
	uint64_t writes;
	uint64_t flushes;
	uint64_t discards;
	uint64_t zeroes;
	uint64_t bytes_read;
	uint64_t bytes_written;
	uint64_t failed;      /* answered as an I/O error because the image gave one */
	uint64_t refused;     /* answered as an I/O error because no driver may ask so */
	uint64_t unsupported; /* answered so */
};

struct sx_blk_queue;

struct sx_virtio_blk {
	struct sx_virtio_device dev;
	struct sx_file file;
	struct sx_blk_queue *queue;
	uint16_t queues;
	uint32_t writeback; /* the driver's choice, by CONFIG_WCE; atomic */
	char serial[SX_BLK_SERIAL];
	int nudge_fd; /* trap mode: an eventfd, readable while the kernel has to be asked again */
	int stuck_queues; /* trap mode: those for which it has to */
};

/* Open the image and make a device of it. Errors are those of sx_file_open(), or the host's. */
int sx_virtio_blk_init(struct sx_virtio_blk *blk, const struct sx_virtio_blk_config *config,
		       const struct sx_virtio_env *env, struct sx_error *err);
/*
 * No thread runs it any more. Waits for the kernel to be done with guest memory. Safe on a zeroed
 * struct.
 */
void sx_virtio_blk_destroy(struct sx_virtio_blk *blk);

/* Sums over all queues; any thread. */
void sx_virtio_blk_stats(const struct sx_virtio_blk *blk, struct sx_virtio_blk_stats *stats);
void sx_virtio_blk_file_stats(const struct sx_virtio_blk *blk, struct sx_file_stats *stats);

#endif
