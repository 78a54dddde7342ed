// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-balloon (virtio 1.2, 5.5): memory that the guest does not need goes back to the host.
 *
 * In two ways. The guest gives single pages into the balloon until it is at its target, and takes
 * them out again when the target rises or it runs out of memory. And it reports what is free
 * anyway, in large pieces, while it may use it again at any time. What was given back reads as
 * zeros, and takes memory from the host once it is touched.
 *
 * The driver's addresses are guest-physical ones, whether or not there is an IOMMU.
 */
#ifndef SX_SIDECORE_VIRTIO_BALLOON_H
#define SX_SIDECORE_VIRTIO_BALLOON_H

#include "ipc/region.h"
#include "sidecore/virtio/device.h"

#define SX_BALLOON_PAGE   4096u /* whatever the host's pages are (5.5.6) */
#define SX_BALLOON_QUEUES 5
#define SX_BALLOON_STATS  16 /* numbers of VIRTIO_BALLOON_S_* that are kept */

/* Written by the group; others may look, each number stands alone. */
struct sx_balloon_counts {
	uint64_t pages;    /* in the balloon now */
	uint64_t inflated; /* pages that came in */
	uint64_t deflated; /* pages that went out */
	uint64_t repeated; /* pages that were there already, or went out and were not there */
	uint64_t reported; /* bytes reported as free */
	uint64_t returned; /* bytes given back to the host, for either reason */
	uint64_t kept;     /* times that the host refused to take them back */
	/* What the guest said of itself, by number; UINT64_MAX: nothing. */
	uint64_t stat[SX_BALLOON_STATS];
};

struct sx_virtio_balloon {
	struct sx_virtio_device dev;
	const struct sx_region *ram;
	uint64_t *inside; /* a bit for each page of it that is in the balloon */
	/* How far the chain that each queue has next was served: bytes of it. */
	uint64_t done[SX_BALLOON_QUEUES];
	struct sx_vq_chain stats; /* the driver's buffer for statistics, while we hold it */
	bool stats_held;
	uint32_t stats_wanted; /* atomic */
	struct sx_balloon_counts counts;
};

/*
 * @target: bytes of memory that the guest is to keep; 0: all. Gives back memory of env->ram, which
 * stays until the device is destroyed.
 */
int sx_virtio_balloon_init(struct sx_virtio_balloon *b, uint64_t target,
			   const struct sx_virtio_env *env, struct sx_error *err);
/* As sx_virtio_device_destroy(). */
void sx_virtio_balloon_destroy(struct sx_virtio_balloon *b);

/* The balloon whose device @dev is; NULL: it is another kind of device. */
struct sx_virtio_balloon *sx_virtio_balloon_of(struct sx_virtio_device *dev);

/* Change the target. Any thread. -EINVAL with a sentence when the guest has less. */
int sx_virtio_balloon_set_target(struct sx_virtio_balloon *b, uint64_t bytes, struct sx_error *err);

/* Bytes that the guest is to keep, and that it says it has. Any thread. */
uint64_t sx_virtio_balloon_target(struct sx_virtio_balloon *b);
uint64_t sx_virtio_balloon_actual(struct sx_virtio_balloon *b);

/* Have the guest tell its statistics anew, some time later. Threads as sx_virtio_ask(). */
void sx_virtio_balloon_refresh(struct sx_virtio_balloon *b);

#endif
