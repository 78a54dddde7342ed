// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtio-net device between a driver and a back end, for the tests of it: the driver is the
 * test's, and in split mode each turn of the pollers comes when the test wants it.
 */
#ifndef SX_TESTS_UNIT_TEST_VIRTIO_NET_WORLD_H
#define SX_TESTS_UNIT_TEST_VIRTIO_NET_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/virtio_pci.h>
#include <sched.h>
#include <x86intrin.h>

#include "ipc/rcu.h"
#include "sidecore/backend/net_pair.h"
#include "sidecore/virtio/net.h"
#include "tests/support/virtio_world.h"

#define NET_BIT(F)   SX_VIRTIO_BIT(VIRTIO_NET_F_##F)
#define NET_RING     256
#define NET_PAIR_MEM (1u << 20)

static const uint8_t net_mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

struct net_world {
	struct vw_world w;
	struct sx_net_backend *backend, *peer; /* peer: the other end of a pair, or NULL */
	struct sx_virtio_net net;
	struct sx_virtio_pci pci;
	struct vw_driver d;
	sx_gpa scratch; /* for what is sent */
	size_t scratch_size, scratch_used;
	bool threaded; /* sidecores run the pollers */
};

/* What the driver posted for a received frame. */
struct net_buffer {
	struct vd_buffer b[8];
	unsigned count;
};

static inline void net_build(struct net_world *n, bool polled, uint64_t withhold)
{
	struct sx_virtio_net_config config = {.backend = n->backend, .queue_size = NET_RING};
	struct sx_virtio_env env;

	vw_init(&n->w, 64 << 20);
	env = vw_env(&n->w, polled);
	env.withhold = withhold;
	memcpy(config.mac, net_mac, 6);
	assert_int_equal(sx_virtio_net_init(&n->net, &config, &env, NULL), 0);
	assert_int_equal(sx_virtio_pci_init(&n->pci, &n->net.dev, &n->w.host, SX_PCI_ANY, NULL), 0);
	assert_int_equal(vw_probe(&n->d, &n->w, n->pci.function.devfn), 0);
	n->scratch_size = 16 << 20;
	n->scratch = vd_alloc(&n->w.memory, n->scratch_size, 4096);
}

/* On one end of a pair in memory. */
static inline void net_open(struct net_world *n, bool polled, unsigned pairs, uint16_t mtu)
{
	struct sx_net_backend *end[2];

	memset(n, 0, sizeof(*n));
	assert_int_equal(sx_net_pair_open(end, pairs, NET_PAIR_MEM, NULL), 0);
	n->backend = end[0];
	n->peer = end[1];
	n->backend->mtu = mtu;
	net_build(n, polled, 0);
}

static inline void net_close(struct net_world *n)
{
	while (n->d.queues)
		vd_queue_destroy(&n->d.queue[--n->d.queues]);
	sx_virtio_pci_destroy(&n->pci);
	sx_virtio_net_destroy(&n->net);
	vw_destroy(&n->w);
	sx_net_close(n->backend);
	sx_net_close(n->peer);
}

/* A turn of every poller, or of who waits for the back end in trap mode. */
static inline unsigned net_turn(struct net_world *n)
{
	if (n->threaded) {
		rcu_quiescent_state();
		sched_yield();
		return 0;
	}
	return sx_virtio_device_poll(&n->net.dev);
}

/*
 * Turns until nothing happens. In split mode looks at the back end are some cycles apart
 * (net_rx.c), so it takes more than one; but one of them is a look.
 */
static inline unsigned net_settle(struct net_world *n)
{
	const uint64_t enough = 1u << 17;
	uint64_t since = __rdtsc();
	unsigned work = 0, done;

	do {
		done = net_turn(n);
		work += done;
		if (done)
			since = __rdtsc();
	} while (done || __rdtsc() - since < enough);
	/* The time may have passed while we did not run, with work come due meanwhile. */
	for (unsigned quiet = 0; quiet < 4; quiet++) {
		done = net_turn(n);
		work += done;
		if (done)
			quiet = 0;
	}
	return work;
}

static inline unsigned net_control(const struct net_world *n)
{
	return n->d.features & NET_BIT(MQ) ? 2u * n->net.pairs : 2;
}

static inline void net_up(struct net_world *n, uint64_t features)
{
	assert_int_equal(vw_negotiate(&n->d, features), 0);
	while (n->d.queues <= net_control(n))
		vw_add_queue(&n->d, NET_RING);
	vw_start(&n->d);
	net_turn(n);
	assert_int_equal(vw_status(&n->d), VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
						   VIRTIO_CONFIG_S_FEATURES_OK |
						   VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline void net_down(struct net_world *n)
{
	vw_set(&n->d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	do
		net_turn(n);
	while (n->threaded && vw_status(&n->d));
	assert_int_equal(vw_status(&n->d), 0);
	while (n->d.queues)
		vd_queue_destroy(&n->d.queue[--n->d.queues]);
}

static inline sx_gpa net_alloc(struct net_world *n, size_t len)
{
	sx_gpa at;

	if (n->scratch_used + len > n->scratch_size)
		n->scratch_used = 0; /* what was there first is long done with */
	at = n->scratch + n->scratch_used;
	n->scratch_used += (len + 63) & ~(size_t)63;
	return at;
}

/*
 * Have the driver send @frame behind @hdr, cut after @cut[] bytes (each once, 0 ends the list).
 * Returns what vd_add() does; the device is told by net_kick().
 */
static inline int net_add_tx(struct net_world *n, unsigned pair,
			     const struct virtio_net_hdr_v1 *hdr, const void *frame, uint32_t len,
			     const uint32_t *cut)
{
	struct vd_buffer b[8];
	uint32_t total = SX_NET_HEADER + len;
	sx_gpa at = net_alloc(n, total);
	unsigned count = 0;

	memcpy(vd_at(&n->w.memory, at), hdr, SX_NET_HEADER);
	if (len)
		memcpy(vd_at(&n->w.memory, at + SX_NET_HEADER), frame, len);
	for (; cut && *cut && *cut < total && count < 7; cut++) {
		b[count++] = (struct vd_buffer){at, *cut};
		at += *cut;
		total -= *cut;
	}
	b[count++] = (struct vd_buffer){at, total};
	return vd_add(&n->d.queue[2ul * pair + 1], b, count, 0, NULL);
}

static inline void net_kick(struct net_world *n, unsigned queue)
{
	vw_kick(&n->d, queue);
	net_turn(n);
}

/* Sent frames that the device has given back. */
static inline unsigned net_reap(struct net_world *n, unsigned queue)
{
	unsigned count = 0;
	uint32_t len;
	void *token;
	int rc;

	while ((rc = vd_take(&n->d.queue[queue], &token, &len)) == 1) {
		assert_int_equal(len, 0);
		count++;
	}
	assert_int_equal(rc, 0);
	return count;
}

/* Post a buffer of @size bytes, in @parts parts. */
static inline void net_post(struct net_world *n, unsigned pair, uint32_t size, unsigned parts)
{
	struct net_buffer *nb = calloc(1, sizeof(*nb));
	sx_gpa at = net_alloc(n, size);
	uint32_t left = size;

	memset(vd_at(&n->w.memory, at), 0xee, size);
	for (nb->count = 0; nb->count < parts; nb->count++) {
		uint32_t part = nb->count + 1 == parts ? left : size / parts;

		nb->b[nb->count] = (struct vd_buffer){at, part};
		at += part;
		left -= part;
	}
	assert_int_equal(vd_add(&n->d.queue[2ul * pair], nb->b, 0, nb->count, nb), 0);
}

static inline void net_post_many(struct net_world *n, unsigned pair, unsigned count, uint32_t size)
{
	while (count--)
		net_post(n, pair, size, 1);
	vw_kick(&n->d, 2 * pair);
}

/* Take one used buffer; appends its bytes at @to. Returns how many; 0: there is none. */
static inline uint32_t net_take_buffer(struct net_world *n, unsigned pair, uint8_t *to)
{
	struct net_buffer *nb;
	uint32_t len, left;
	void *token;
	int rc = vd_take(&n->d.queue[2ul * pair], &token, &len);

	assert_true(rc >= 0);
	if (!rc)
		return 0;
	nb = token;
	left = len;
	for (unsigned i = 0; i < nb->count && left; i++) {
		uint32_t part = left < nb->b[i].len ? left : nb->b[i].len;

		memcpy(to, vd_at(&n->w.memory, nb->b[i].gpa), part);
		to += part;
		left -= part;
	}
	assert_int_equal(left, 0);
	free(nb);
	return len;
}

/* Take a received frame: its length, or -1 if there is none. @buffers: it took so many. */
static inline int64_t net_take(struct net_world *n, unsigned pair, struct virtio_net_hdr_v1 *hdr,
			       uint8_t *frame, unsigned *buffers)
{
	static uint8_t bytes[SX_NET_MAX_FRAME + SX_NET_HEADER + 65536];
	uint32_t len = net_take_buffer(n, pair, bytes);

	if (!len)
		return -1;
	assert_true(len >= SX_NET_HEADER);
	memcpy(hdr, bytes, SX_NET_HEADER);
	assert_in_range(hdr->num_buffers, 1, NET_RING);
	for (unsigned i = 1; i < hdr->num_buffers; i++) {
		uint32_t more = net_take_buffer(n, pair, bytes + len);

		assert_int_not_equal(more, 0);
		len += more;
	}
	if (buffers)
		*buffers = hdr->num_buffers;
	memcpy(frame, bytes + SX_NET_HEADER, len - SX_NET_HEADER);
	return len - SX_NET_HEADER;
}

/* Buffers that the driver never got back. */
static inline void net_forget_buffers(struct net_world *n)
{
	for (unsigned q = 0; q < n->d.queues && q < 2u * n->net.pairs; q += 2)
		for (unsigned i = 0; n->d.queue[q].slot && i < n->d.queue[q].size; i++)
			if (n->d.queue[q].slot[i].out) {
				free(n->d.queue[q].slot[i].token);
				n->d.queue[q].slot[i].token = NULL;
			}
}

/* The peer at the other end of the pair sends, and receives. */
static inline unsigned net_peer_send(struct net_world *n, unsigned queue,
				     const struct virtio_net_hdr_v1 *hdr, const void *frame,
				     uint32_t len)
{
	struct sx_net_frame f = {.hdr = *hdr, .len = len, .segs = 1};

	f.own = (struct iovec){(void *)(uintptr_t)frame, len};
	f.seg = &f.own;
	return n->peer->ops->send(n->peer, queue, &f, 1);
}

/* Returns the frame's length, or -1. */
static inline int64_t net_peer_take(struct net_world *n, unsigned queue,
				    struct virtio_net_hdr_v1 *hdr, uint8_t *frame)
{
	struct sx_net_frame f;

	if (!n->peer->ops->peek(n->peer, queue, &f, 1))
		return -1;
	*hdr = f.hdr;
	memcpy(frame, f.seg->iov_base, f.len);
	n->peer->ops->release(n->peer, queue, 1);
	return f.len;
}

static inline struct sx_virtio_net_stats net_stats(const struct net_world *n)
{
	struct sx_virtio_net_stats s;

	sx_virtio_net_stats(&n->net, &s);
	return s;
}

/* Bytes that differ from frame to frame, to the device's address. */
static inline void net_fill(uint8_t *frame, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		frame[i] = (uint8_t)(seed >> 24);
	}
	if (len >= 6)
		memcpy(frame, net_mac, 6);
	if (len >= 14)
		frame[12] = frame[13] = 0x88; /* no VLAN */
}

#endif
