// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-net (virtio 1.2, 5.1): queue pairs over a back end (sidecore/backend/net.h), and a
 * control queue. Each pair is a group, so pairs may run on different sidecores; the control queue
 * is in the first group.
 */
#ifndef SX_SIDECORE_VIRTIO_NET_H
#define SX_SIDECORE_VIRTIO_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "sidecore/backend/net.h"
#include "sidecore/virtio/device.h"

#define SX_VIRTIO_NET_MAX_PAIRS 64
#define SX_VIRTIO_NET_MAX_MACS  64 /* of a kind that the driver may list; more mean "all" */

/* Each number stands alone, and is written by one thread at a time. */
struct sx_virtio_net_stats {
	uint64_t tx_frames, tx_bytes; /* the back end took them */
	uint64_t tx_malformed;        /* headers or lengths that no honest driver gives */
	uint64_t tx_refused;          /* sent while the link is down, or on an inactive pair */
	uint64_t tx_full;             /* times the back end took no more */
	uint64_t rx_frames, rx_bytes; /* the driver got them */
	uint64_t rx_filtered;         /* not for this guest: address or VLAN */
	uint64_t rx_too_long;         /* than the buffers, or than any frame; or too short */
	uint64_t rx_offload;          /* carried an offload that the driver did not agree to */
	uint64_t rx_starved;          /* times a frame waited for buffers */
};

struct sx_virtio_net_pair;

/* What the driver set by its control queue. Atomic words: who receives reads them any time. */
struct sx_virtio_net_filter {
	uint32_t mode; /* see net_internal.h */
	uint32_t unicasts, multicasts;
	uint64_t mac; /* the device's own */
	uint64_t unicast[SX_VIRTIO_NET_MAX_MACS];
	uint64_t multicast[SX_VIRTIO_NET_MAX_MACS];
	uint64_t vlan[4096 / 64];
};

struct sx_virtio_net {
	struct sx_virtio_device dev;
	struct sx_net_backend *backend;
	struct sx_virtio_net_pair *pair;
	uint8_t mac[6]; /* as it was given */
	uint16_t pairs;
	uint32_t active;   /* pairs that the driver uses; atomic */
	uint32_t link;     /* up, if the back end is there; atomic */
	uint32_t absent;   /* what the driver was told of the back end's link; atomic */
	uint64_t offloads; /* what received frames may leave to the driver; atomic */
	struct sx_virtio_net_filter filter;
	uint64_t commands, refusals; /* on the control queue */
};

struct sx_virtio_net_config {
	struct sx_net_backend *backend; /* stays the caller's, and outlives the device */
	uint8_t mac[6];                 /* no group address, not all zeros */
	uint16_t queue_size;            /* 0: 256 */
};

/* It has as many pairs as the back end has queues. */
int sx_virtio_net_init(struct sx_virtio_net *net, const struct sx_virtio_net_config *config,
		       const struct sx_virtio_env *env, struct sx_error *err);
/* No thread runs it any more. Safe on a zeroed struct. */
void sx_virtio_net_destroy(struct sx_virtio_net *net);

/* Pull the cable out, or put it in. Any thread. */
void sx_virtio_net_set_link(struct sx_virtio_net *net, bool up);

/* The sum over all pairs. Any thread. */
void sx_virtio_net_stats(const struct sx_virtio_net *net, struct sx_virtio_net_stats *stats);

#endif
