// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtio-vsock device between a driver and the programs of a host, for the tests of it. The
 * driver is the test's, and packets are what it says; sockets are real ones, in a directory of the
 * test's own. In split mode each turn of the poller comes when the test wants it; in trap mode
 * nothing runs but by notifications and when wake_fd is readable.
 */
#ifndef SX_TESTS_UNIT_TEST_VIRTIO_VSOCK_WORLD_H
#define SX_TESTS_UNIT_TEST_VIRTIO_VSOCK_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_vsock.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sidecore/virtio/vsock.h"
#include "tests/support/virtio_world.h"

#define VT_RING     128
#define VT_HDR      ((uint32_t)sizeof(struct virtio_vsock_hdr))
#define VT_RX       0u
#define VT_TX       1u
#define VT_EVENT    2u
#define VT_CID      42u
#define VT_BUFFER   4096u      /* for data, in each of the driver's buffers */
#define VT_PLENTY   (1u << 20) /* what the guest says it has room for, unless told otherwise */
#define VT_PORT     1234u      /* of a program in the guest */
#define VT_PATIENCE 60u        /* ms, where something is to expire */
#define VT_TRIES    20000u     /* of a millisecond: a safety net */

#define VT_FEATURES (UINT64_MAX & ~SX_VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM))
#define VT_OPEN     (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

struct vt_world {
	struct vw_world w;
	struct sx_virtio_vsock v;
	struct sx_virtio_pci pci;
	struct vw_driver d;
	char dir[32], path[64];
	sx_gpa tx; /* for what is sent, packet by packet */
	size_t tx_size, tx_used;
};

/* A packet that the guest got. */
struct vt_packet {
	struct virtio_vsock_hdr h;
	uint8_t data[VT_BUFFER];
};

/* ---- life ---- */

static inline void vt_build(struct vt_world *t, bool polled, unsigned patience_ms)
{
	struct sx_virtio_vsock_config config = {.cid = VT_CID, .patience_ms = patience_ms};
	struct sx_error err = {""};
	struct sx_virtio_env env;

	memset(t, 0, sizeof(*t));
	strcpy(t->dir, "/tmp/vsock-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof(t->path), "%s/vm.sock", t->dir);
	config.path = t->path;
	vw_init(&t->w, 64 << 20);
	env = vw_env(&t->w, polled);
	if (sx_virtio_vsock_init(&t->v, &config, &env, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(sx_virtio_pci_init(&t->pci, &t->v.dev, &t->w.host, SX_PCI_ANY, NULL), 0);
	assert_int_equal(vw_probe(&t->d, &t->w, t->pci.function.devfn), 0);
	t->tx_size = 16 << 20;
	t->tx = vd_alloc(&t->w.memory, t->tx_size, 4096);
}

static inline void vt_post_at(struct vt_world *t, sx_gpa at)
{
	const struct vd_buffer b[2] = {{at, VT_HDR}, {at + VT_HDR, VT_BUFFER}};

	assert_int_equal(vd_add(&t->d.queue[VT_RX], b, 0, 2, vd_at(&t->w.memory, at)), 0);
}

static inline void vt_post(struct vt_world *t, unsigned count)
{
	while (count--)
		vt_post_at(t, vd_alloc(&t->w.memory, VT_HDR + VT_BUFFER, 64));
	vw_kick(&t->d, VT_RX);
}

static inline void vt_up(struct vt_world *t, uint64_t features)
{
	assert_int_equal(vw_negotiate(&t->d, features), 0);
	while (t->d.queues < 3)
		vw_add_queue(&t->d, VT_RING);
	vw_start(&t->d);
	sx_virtio_device_poll(&t->v.dev);
	assert_int_equal(vw_status(&t->d), VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
						   VIRTIO_CONFIG_S_FEATURES_OK |
						   VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline void vt_open(struct vt_world *t, bool polled)
{
	vt_build(t, polled, 0);
	vt_up(t, VT_FEATURES & ~SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED));
	vt_post(t, VT_RING / 2);
}

static inline void vt_down(struct vt_world *t)
{
	vw_stop(&t->d);
	sx_virtio_device_poll(&t->v.dev);
	assert_int_equal(vw_status(&t->d), 0);
}

static inline void vt_remove_dir(struct vt_world *t)
{
	char command[64];

	/* Only what the test's own listeners left there. */
	snprintf(command, sizeof(command), "rm -f %s/vm.sock_*", t->dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(rmdir(t->dir), 0);
}

static inline void vt_close(struct vt_world *t)
{
	while (t->d.queues)
		vd_queue_destroy(&t->d.queue[--t->d.queues]);
	sx_virtio_pci_destroy(&t->pci);
	sx_virtio_vsock_destroy(&t->v);
	vw_destroy(&t->w);
	vt_remove_dir(t);
	t->dir[0] = 0;
}

/* ---- time passes ---- */

/* A moment for the device; returns how much it did. */
static inline unsigned vt_turn(struct vt_world *t)
{
	struct pollfd p = {.fd = t->v.dev.wake_fd, .events = POLLIN};

	if (t->v.dev.env.polled) {
		t->v.look_at = 0; /* looks are paced by the clock; here by us */
		return sx_virtio_device_poll(&t->v.dev);
	}
	return poll(&p, 1, 0) > 0 ? sx_virtio_device_poll(&t->v.dev) : 0;
}

/* Until there is nothing to be done. */
static inline void vt_settle(struct vt_world *t)
{
	for (unsigned quiet = 0; quiet < 3; quiet++)
		if (vt_turn(t))
			quiet = 0;
}

/* ---- the guest's driver ---- */

static inline struct virtio_vsock_hdr vt_header(uint16_t op, uint32_t guest_port,
						uint32_t host_port)
{
	return (struct virtio_vsock_hdr){
		.src_cid = VT_CID,
		.dst_cid = 2,
		.src_port = guest_port,
		.dst_port = host_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = VT_PLENTY,
	};
}

/* Packets that were sent and taken by the device. */
static inline void vt_reap(struct vt_world *t)
{
	uint32_t len;
	void *token;
	int rc;

	while ((rc = vd_take(&t->d.queue[VT_TX], &token, &len)) == 1)
		assert_int_equal(len, 0);
	assert_int_equal(rc, 0);
}

/* Send @h and @bytes of data, of which the header may tell another length; 0, or -ENOSPC. */
static inline int vt_try_send(struct vt_world *t, const struct virtio_vsock_hdr *h,
			      const void *data, uint32_t bytes)
{
	struct vd_buffer b[2] = {{0, VT_HDR}, {0, bytes}};

	vt_reap(t);
	if (t->tx_used + VT_HDR + bytes > t->tx_size)
		t->tx_used = 0; /* what was there first is long done with */
	b[0].gpa = t->tx + t->tx_used;
	b[1].gpa = b[0].gpa + VT_HDR;
	memcpy(vd_at(&t->w.memory, b[0].gpa), h, VT_HDR);
	if (bytes)
		memcpy(vd_at(&t->w.memory, b[1].gpa), data, bytes);
	if (vd_add(&t->d.queue[VT_TX], b, bytes ? 2 : 1, 0, NULL) < 0)
		return -ENOSPC;
	t->tx_used += VT_HDR + bytes;
	vw_kick(&t->d, VT_TX);
	return 0;
}

/* And let the device work. */
static inline void vt_send_header(struct vt_world *t, const struct virtio_vsock_hdr *h,
				  const void *data, uint32_t bytes)
{
	assert_int_equal(vt_try_send(t, h, data, bytes), 0);
	vt_settle(t);
}

static inline void vt_send(struct vt_world *t, uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	struct virtio_vsock_hdr h = vt_header(op, guest_port, host_port);

	vt_send_header(t, &h, NULL, 0);
}

static inline void vt_send_data(struct vt_world *t, uint32_t guest_port, uint32_t host_port,
				const void *data, uint32_t bytes)
{
	struct virtio_vsock_hdr h = vt_header(VIRTIO_VSOCK_OP_RW, guest_port, host_port);

	h.len = bytes;
	vt_send_header(t, &h, data, bytes);
}

static inline void vt_send_shutdown(struct vt_world *t, uint32_t guest_port, uint32_t host_port,
				    uint32_t flags)
{
	struct virtio_vsock_hdr h = vt_header(VIRTIO_VSOCK_OP_SHUTDOWN, guest_port, host_port);

	h.flags = flags;
	vt_send_header(t, &h, NULL, 0);
}

/* Take the next packet and give its buffer back; false: there is none. */
static inline bool vt_take(struct vt_world *t, struct vt_packet *p)
{
	uint32_t len;
	void *token;
	int rc = vd_take(&t->d.queue[VT_RX], &token, &len);

	assert_true(rc >= 0);
	if (!rc)
		return false;
	assert_in_range(len, VT_HDR, VT_HDR + VT_BUFFER);
	memcpy(&p->h, token, VT_HDR);
	assert_int_equal(p->h.len, len - VT_HDR);
	memcpy(p->data, (uint8_t *)token + VT_HDR, p->h.len);
	assert_int_equal(p->h.dst_cid, VT_CID);
	vt_post_at(t, (sx_gpa)((uint8_t *)token - t->w.memory.base) + t->w.memory.gpa);
	vw_kick(&t->d, VT_RX);
	return true;
}

/* Wait for a packet. */
static inline void vt_await(struct vt_world *t, struct vt_packet *p)
{
	for (unsigned i = 0; i < VT_TRIES; i++) {
		vt_settle(t);
		if (vt_take(t, p))
			return;
		usleep(1000);
	}
	fail_msg("no packet comes");
}

/* The next packet is @op between these ports, with no data. */
static inline void vt_expect(struct vt_world *t, uint16_t op, uint32_t guest_port,
			     uint32_t host_port)
{
	struct vt_packet p;

	vt_await(t, &p);
	assert_int_equal(p.h.op, op);
	assert_int_equal(p.h.src_port, host_port);
	assert_int_equal(p.h.dst_port, guest_port);
	assert_int_equal(p.h.len, 0);
}

static inline void vt_expect_nothing(struct vt_world *t)
{
	struct vt_packet p;

	vt_settle(t);
	assert_false(vt_take(t, &p));
}

/* ---- the host's programs ---- */

static inline int vt_host_connect(const struct vt_world *t)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	memcpy(a.sun_path, t->path, strlen(t->path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static inline void vt_say(struct vt_world *t, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	vt_settle(t);
}

/* Read what has come, until the end or until there is nothing; -1 is an end by a reset. */
static inline ssize_t vt_hear(struct vt_world *t, int fd, void *to, size_t room, bool *ended)
{
	ssize_t n = 0, got = 0;

	vt_settle(t);
	*ended = false;
	while ((size_t)got < room && (n = recv(fd, (char *)to + got, room - (size_t)got, 0)) > 0)
		got += n;
	if (n < 0 && errno != EAGAIN)
		return -1;
	*ended = n == 0 && (size_t)got < room;
	return got;
}

/* The program hears exactly @text, and that it is over if @end. */
static inline void vt_hears(struct vt_world *t, int fd, const char *text, bool end)
{
	char got[256];
	bool ended;
	ssize_t n = vt_hear(t, fd, got, sizeof(got), &ended);

	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, (size_t)n);
	assert_int_equal(ended, end);
}

/* Listen for the guest's connections to @port. */
static inline int vt_host_listen(const struct vt_world *t, uint32_t port)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s_%u", t->path, port);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, SOMAXCONN), 0);
	return fd;
}

static inline int vt_host_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* ---- connections ---- */

/* From a host's program to VT_PORT: its socket, and the port it has for the guest. */
static inline int vt_connected(struct vt_world *t, uint32_t *host_port)
{
	char ok[32];
	struct vt_packet p;
	int fd = vt_host_connect(t);

	vt_say(t, fd, "CONNECT 1234\n");
	vt_await(t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(p.h.dst_port, VT_PORT);
	*host_port = p.h.src_port;
	vt_send(t, VIRTIO_VSOCK_OP_RESPONSE, VT_PORT, *host_port);
	snprintf(ok, sizeof(ok), "OK %u\n", *host_port);
	vt_hears(t, fd, ok, false);
	return fd;
}

/* From the guest's port @guest_port to who listens at @host_port: the accepted socket. */
static inline int vt_called(struct vt_world *t, int listener, uint32_t guest_port,
			    uint32_t host_port)
{
	vt_send(t, VIRTIO_VSOCK_OP_REQUEST, guest_port, host_port);
	vt_expect(t, VIRTIO_VSOCK_OP_RESPONSE, guest_port, host_port);
	return vt_host_accept(listener);
}

/* Bytes that differ from place to place and from seed to seed. */
static inline void vt_fill(uint8_t *bytes, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		bytes[i] = (uint8_t)(seed >> 24);
	}
}

/* ---- cases in both modes; `t` is the program's world ---- */

#define VT_BOTH(F)                                                    \
	{#F " (trap)", F, vt_open_trap, vt_close_world, NULL},        \
	{                                                             \
#F " (split)", F, vt_open_split, vt_close_world, NULL \
	}

#define VT_WORLD                                \
	static struct vt_world t;               \
	static int vt_open_trap(void **state)   \
	{                                       \
		(void)state;                    \
		vt_open(&t, false);             \
		return 0;                       \
	}                                       \
	static int vt_open_split(void **state)  \
	{                                       \
		(void)state;                    \
		vt_open(&t, true);              \
		return 0;                       \
	}                                       \
	static int vt_close_world(void **state) \
	{                                       \
		(void)state;                    \
		vt_close(&t);                   \
		return 0;                       \
	}

#endif
