// SPDX-License-Identifier: BSD-3-Clause
/*
 * Where the frames of a network device go and come from.
 *
 * A back end has one or more queues. Each queue belongs to one thread at a time, that of the
 * device's queue pair; different queues may be used at the same time. Frames are Ethernet frames
 * without preamble and FCS, each with the header of virtio 1.2, 5.1.6, in host byte order, which
 * says what is still to be done to it: a checksum, segmentation. The device has checked the
 * header of what it sends; what a back end receives carries no offload that was not switched on.
 */
#ifndef SX_SIDECORE_BACKEND_NET_H
#define SX_SIDECORE_BACKEND_NET_H

#include <linux/virtio_net.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "ipc/error.h"

#define SX_NET_HEADER    ((uint32_t)sizeof(struct virtio_net_hdr_v1))
#define SX_NET_MIN_FRAME 14u /* an Ethernet header */
/* The longest IP packet, with an Ethernet header and a VLAN tag. */
#define SX_NET_MAX_FRAME (65535u + 14u + 4u)
#define SX_NET_MAX_SEGS  256u /* of a frame */

#define SX_NET_BIT(F) (1ull << (F))

/* Offloads for what the guest receives, as VIRTIO_NET_F_ bits. */
#define SX_NET_GUEST_OFFLOADS                                                        \
	(SX_NET_BIT(VIRTIO_NET_F_GUEST_CSUM) | SX_NET_BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 SX_NET_BIT(VIRTIO_NET_F_GUEST_TSO6) | SX_NET_BIT(VIRTIO_NET_F_GUEST_ECN) |  \
	 SX_NET_BIT(VIRTIO_NET_F_GUEST_UFO))
/* The same for what it sends. */
#define SX_NET_HOST_OFFLOADS                                                      \
	(SX_NET_BIT(VIRTIO_NET_F_CSUM) | SX_NET_BIT(VIRTIO_NET_F_HOST_TSO4) |     \
	 SX_NET_BIT(VIRTIO_NET_F_HOST_TSO6) | SX_NET_BIT(VIRTIO_NET_F_HOST_ECN) | \
	 SX_NET_BIT(VIRTIO_NET_F_HOST_UFO))

struct sx_net_frame {
	struct virtio_net_hdr_v1 hdr; /* num_buffers means nothing here */
	uint32_t len;                 /* bytes in all segments */
	uint16_t segs;
	uint16_t chain; /* the device's own */
	struct iovec *seg;
	struct iovec own; /* room for a frame's only segment */
};

struct sx_net_backend;

struct sx_net_ops {
	const char *name;
	/*
	 * Take frames, in order; returns how many. The others are sent again when the back end may
	 * have room. A frame that cannot be sent at all counts as taken, and as dropped. The bytes
	 * are the guest's, which may change them meanwhile.
	 */
	unsigned (*send)(struct sx_net_backend *b, unsigned queue, const struct sx_net_frame *frame,
			 unsigned count);

	/* Either these two: frames that have come, oldest first, and the first @count are done
	 * with. */
	unsigned (*peek)(struct sx_net_backend *b, unsigned queue, struct sx_net_frame *frame,
			 unsigned max);
	void (*release)(struct sx_net_backend *b, unsigned queue, unsigned count);
	/*
	 * Or this: read the next frame, @seg[0] takes its header. Returns the bytes in header and
	 * frame, cut to what there is room for; 0: none has come.
	 */
	ssize_t (*read)(struct sx_net_backend *b, unsigned queue, const struct iovec *seg,
			unsigned segs);

	/*
	 * A descriptor that poll() finds readable while the queue has something to do; -1: none.
	 * Asked before the queue is used, and only where somebody will wait for it.
	 */
	int (*wake_fd)(struct sx_net_backend *b, unsigned queue);

	/* What received frames may leave to the guest; of SX_NET_GUEST_OFFLOADS & features. */
	int (*set_offloads)(struct sx_net_backend *b, uint64_t offloads);
	/* The first @queues are used, and no frame shall come on another. Any queue's thread. */
	int (*set_queues)(struct sx_net_backend *b, unsigned queues);
	void (*destroy)(struct sx_net_backend *b);
};

struct sx_net_backend {
	const struct sx_net_ops *ops;
	uint64_t features; /* of SX_NET_GUEST_OFFLOADS and SX_NET_HOST_OFFLOADS, those it can do */
	uint16_t queues;
	uint16_t mtu;     /* 0: not known */
	uint32_t gone;    /* 1: it will never do anything again; atomic */
	uint32_t down;    /* 1: there is no link at the moment; atomic */
	uint64_t dropped; /* frames it took and could not send or keep; atomic */
};

#define SX_NET_MIN_MTU 68u                         /* IPv4's least (RFC 791) */
#define SX_NET_MAX_MTU (65535u - SX_NET_MIN_FRAME) /* Linux's most for a tap */

/*
 * Open what @spec names, for up to @queues queues, and with @mtu, or 0 for what it has by itself:
 *
 *   tap=NAME                                  the kernel's tap (net_tap.h)
 *   user[,hostfwd=tcp|udp:HOSTPORT-GUESTPORT]...  a network in this process (net_user.h)
 *   port=DEVARGS                              a DPDK port (net_port.h); all that follows is its
 *
 * b->queues says how many there are. It must outlive the device that uses it.
 */
int sx_net_open(struct sx_net_backend **b, const char *spec, unsigned queues, unsigned mtu,
		struct sx_error *err);
/* NULL is allowed. */
void sx_net_close(struct sx_net_backend *b);

/* For back ends: @count frames are lost. */
static inline void sx_net_drop(struct sx_net_backend *b, unsigned count)
{
	__atomic_fetch_add(&b->dropped, count, __ATOMIC_RELAXED); /* a statistic: no pair */
}

#endif
