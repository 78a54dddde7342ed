// SPDX-License-Identifier: BSD-3-Clause
/*
 * Between the files of virtio-net.
 */
#ifndef SX_SIDECORE_VIRTIO_NET_INTERNAL_H
#define SX_SIDECORE_VIRTIO_NET_INTERNAL_H

#include "ipc/wire/types.h"
#include "sidecore/virtio/net.h"

#define SX_NET_BATCH      64           /* frames of a turn */
#define SX_NET_TURN_BYTES (256u << 10) /* and bytes, but at least one frame */
#define SX_NET_RX_CHAINS  256
#define SX_NET_POOL       1000 /* with a header and a spare end still below IOV_MAX */

/* Bits of the filter's mode. */
enum sx_net_mode {
	SX_NET_PROMISC = 1 << 0,
	SX_NET_ALLMULTI = 1 << 1,
	SX_NET_ALLUNI = 1 << 2,
	SX_NET_NOMULTI = 1 << 3,
	SX_NET_NOUNI = 1 << 4,
	SX_NET_NOBCAST = 1 << 5,
	SX_NET_MANY_UNICASTS = 1 << 6, /* more than the table holds */
	SX_NET_MANY_MULTICASTS = 1 << 7,
	SX_NET_VLANS = 1 << 8, /* only those in the table */
};

/* A pair; all of it belongs to its group's thread. */
struct sx_virtio_net_pair {
	struct sx_virtio_net *net;
	unsigned index;
	bool starved; /* the driver gave no buffers; the next ones end it */
	bool watched; /* trap mode: wake_fd looks at our queue of the back end */
	int wake_fd;  /* the back end's; -1: none */

	uint64_t look_at;  /* TSC: the back end is looked at again; see net_rx.c */
	uint32_t untimed;  /* so many empty looks come without a look at the clock */
	unsigned large;    /* so many more looks expect a large frame */
	uint32_t held_len; /* a frame that waits in `bounce`; 0: none */
	struct virtio_net_hdr_v1 held_hdr;
	uint8_t *bounce; /* SX_NET_MAX_FRAME bytes and one, which tells what is too long */

	struct sx_virtio_net_stats stats;

	/* Of one call: chains, and the segments of all of them one after the other. */
	unsigned chains, next, segs, next_seg;
	struct sx_vq_chain chain[SX_NET_RX_CHAINS];
	struct iovec pool[SX_NET_POOL];
	struct sx_net_frame frame[SX_NET_BATCH];
};

/* ---- queues: rx of pair i is 2i, tx 2i + 1, then the control queue (5.1.2) ---- */

static inline unsigned sx_net_control_queue(const struct sx_virtio_net *net)
{
	return sx_virtio_has(&net->dev, VIRTIO_NET_F_MQ) ? 2u * net->pairs : 2u;
}

static inline struct sx_virtqueue *sx_net_rx_queue(const struct sx_virtio_net_pair *p)
{
	return &p->net->dev.queue[2ul * p->index];
}

/* Values of `absent`. */
enum sx_net_absence {
	SX_NET_PRESENT,
	SX_NET_DOWN, /* the back end has no link at the moment */
	SX_NET_LOST, /* and never will have */
};

static inline bool sx_net_is_up(const struct sx_virtio_net *net)
{
	/* Relaxed: a cable is pulled sooner or later. */
	return sx_load_relaxed(&net->link) && !sx_load_relaxed(&net->absent);
}

/* net_header.c: make @hdr of a frame of @len bytes, with what was negotiated, fit to be acted
 * upon; false when it cannot be. */
bool sx_net_header_check(struct virtio_net_hdr_v1 *hdr, uint32_t len, uint64_t features);
/* May a received frame with @hdr go to a driver that left us @offloads (SX_NET_GUEST_OFFLOADS)? */
bool sx_net_header_allowed(struct virtio_net_hdr_v1 *hdr, uint64_t offloads);
/* Do these go together (5.1.3.1)? The other features of an offload count for nothing here. */
bool sx_net_offloads_ok(uint64_t features);

/* net_filter.c. @head: the first bytes of a frame. */
#define SX_NET_HEAD 18 /* an Ethernet header with a VLAN tag */
bool sx_net_filter_takes(const struct sx_virtio_net_filter *f, const uint8_t *head);
void sx_net_filter_reset(struct sx_virtio_net_filter *f, const uint8_t mac[6]);
uint64_t sx_net_mac_word(const uint8_t mac[6]);

/* net_tx.c, net_rx.c, net_ctrl.c: a turn's work. */
unsigned sx_net_transmit(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq);
unsigned sx_net_receive(struct sx_virtio_net_pair *p, struct sx_virtqueue *vq);
unsigned sx_net_control(struct sx_virtio_net *net, struct sx_virtqueue *vq);

/* net.c: trap mode: have wake_fd look at the back end's queue if there is a reason to. */
void sx_net_watch(struct sx_virtio_net_pair *p);

#endif
