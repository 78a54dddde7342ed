// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/backend/net_tap.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/wire/types.h"

#define DEVICE     "/dev/net/tun"
#define MAX_QUEUES 64

struct tap {
	struct sx_net_backend b;
	char name[IFNAMSIZ];
	uint32_t active; /* queues that are attached, from the first on; atomic */
	int fd[];        /* one for each queue */
};

static struct tap *tap_of(struct sx_net_backend *b)
{
	return (struct tap *)b;
}

/* ---- at work ---- */

/*
 * A queue's descriptor says EBADFD when it has no tap: the tap was deleted, or another thread has
 * just detached the queue.
 */
static void note_gone(struct tap *t, unsigned queue)
{
	/* Acquire pairs with the release in tap_set_queues(), which comes before the detaching. */
	if (queue < sx_load_acquire(&t->active))
		sx_store_relaxed(&t->b.gone, 1u); /* a flag by itself */
}

/* Returns false if the frame has to be sent again later. */
static bool send_one(struct tap *t, unsigned queue, const struct sx_net_frame *f)
{
	struct iovec iov[SX_NET_MAX_SEGS + 1];
	struct virtio_net_hdr_v1 hdr = f->hdr;
	ssize_t rc;

	iov[0] = (struct iovec){.iov_base = &hdr, .iov_len = sizeof(hdr)};
	memcpy(&iov[1], f->seg, f->segs * sizeof(*iov));
	do
		rc = writev(t->fd[queue], iov, f->segs + 1);
	while (rc < 0 && errno == EINTR);
	if (rc >= 0)
		return true;
	if (errno == EAGAIN)
		return false;
	if (errno == EBADFD)
		note_gone(t, queue);
	sx_net_drop(&t->b, 1); /* EIO: the interface is down; EINVAL: not what its header says */
	return true;
}

static unsigned tap_send(struct sx_net_backend *b, unsigned queue, const struct sx_net_frame *frame,
			 unsigned count)
{
	unsigned n;

	for (n = 0; n < count && send_one(tap_of(b), queue, &frame[n]); n++)
		;
	return n;
}

static ssize_t tap_read(struct sx_net_backend *b, unsigned queue, const struct iovec *seg,
			unsigned segs)
{
	struct tap *t = tap_of(b);
	ssize_t n;

	do
		n = readv(t->fd[queue], seg, (int)segs);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EBADFD)
		note_gone(t, queue);
	return n < 0 ? 0 : n;
}

static int tap_wake_fd(struct sx_net_backend *b, unsigned queue)
{
	return tap_of(b)->fd[queue];
}

/* ---- settings ---- */

static int tap_set_offloads(struct sx_net_backend *b, uint64_t offloads)
{
	static const struct {
		unsigned feature;
		unsigned flag;
	} known[] = {
		{VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM}, {VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4},
		{VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6}, {VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN},
		{VIRTIO_NET_F_GUEST_UFO, TUN_F_UFO},
	};
	unsigned flags = 0;

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (offloads & SX_NET_BIT(known[i].feature))
			flags |= known[i].flag;
	return ioctl(tap_of(b)->fd[0], TUNSETOFFLOAD, flags) < 0 ? -errno : 0;
}

static int attach(struct tap *t, unsigned queue, bool on)
{
	struct ifreq ifr = {.ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

	return ioctl(t->fd[queue], TUNSETQUEUE, &ifr) < 0 ? -errno : 0;
}

/* The kernel spreads what comes over the queues that are attached. */
static int tap_set_queues(struct sx_net_backend *b, unsigned queues)
{
	struct tap *t = tap_of(b);
	unsigned before = sx_load_relaxed(&t->active); /* only we change it */
	int rc = 0;

	for (unsigned i = before; rc == 0 && i < queues; i++)
		rc = attach(t, i, true);
	if (rc < 0)
		queues = before;
	/* Pairs with the acquire in note_gone(). */
	sx_store_release(&t->active, queues);
	for (unsigned i = queues; i < before; i++) {
		int detached = attach(t, i, false);

		rc = rc < 0 ? rc : detached;
	}
	return rc;
}

/* ---- life ---- */

static void tap_destroy(struct sx_net_backend *b)
{
	struct tap *t = tap_of(b);

	for (unsigned i = 0; i < t->b.queues; i++)
		close(t->fd[i]);
	free(t);
}

static const struct sx_net_ops ops = {
	.name = "tap",
	.send = tap_send,
	.read = tap_read,
	.wake_fd = tap_wake_fd,
	.set_offloads = tap_set_offloads,
	.set_queues = tap_set_queues,
	.destroy = tap_destroy,
};

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (*name == '/' || *name == ':' || *name == '%' || isspace((unsigned char)*name))
			return false;
	return true;
}

static int explain(const char *name, bool many, int rc, struct sx_error *err)
{
	switch (rc) {
	case -EPERM:
		return sx_fail(err, rc,
			       "tap '%s' may not be opened; have root make it with 'ip tuntap add "
			       "%s mode tap%s user NAME', or use the network 'user'",
			       name, name, many ? " multi_queue" : "");
	case -EBUSY:
		return sx_fail(err, rc, "tap '%s' is in use by another program; name another",
			       name);
	case -EINVAL:
		return sx_fail(err, rc,
			       "network interface '%s' is no tap%s; name another, or make it with "
			       "'ip tuntap add NAME mode tap%s'",
			       name, many ? " of several queues" : "", many ? " multi_queue" : "");
	default:
		return sx_fail(err, rc, "tap '%s' cannot be opened: %s", name, strerror(-rc));
	}
}

static int open_device(struct sx_error *err)
{
	int fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return sx_fail(err, -errno,
			       "%s cannot be opened: %s; load the module tun, or use the network "
			       "'user'",
			       DEVICE, strerror(errno));
	return fd;
}

/* One queue's descriptor, bound to the tap. */
static int open_queue(struct tap *t, bool many, struct sx_error *err)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int header = sizeof(struct virtio_net_hdr_v1);
	int fd = open_device(err);
	int rc;

	if (fd < 0)
		return fd;
	if (many)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	memcpy(ifr.ifr_name, t->name, sizeof(ifr.ifr_name));
	rc = ioctl(fd, TUNSETIFF, &ifr) < 0 ? -errno : 0;
	/* A tap that was made for several queues wants to be opened so. */
	if (rc == -EINVAL && !many) {
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
		rc = ioctl(fd, TUNSETIFF, &ifr) < 0 ? -errno : 0;
	}
	if (rc == 0 && ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
		rc = -errno;
	if (rc == 0)
		return fd;
	close(fd);
	return explain(t->name, many, rc, err);
}

static int open_queues(struct tap *t, unsigned queues, struct sx_error *err)
{
	for (; t->b.queues < queues; t->b.queues++) {
		int fd = open_queue(t, queues > 1, err);

		if (fd < 0)
			return fd;
		t->fd[t->b.queues] = fd;
	}
	return 0;
}

static int bring_up(int sock, const char *name)
{
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, name, strlen(name));
	if (ioctl(sock, SIOCGIFFLAGS, &ifr) < 0)
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(sock, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

/* Learn the MTU of the tap, or make it @mtu if the tap is ours. */
static int set_mtu(struct tap *t, int sock, unsigned mtu, bool is_new, struct sx_error *err)
{
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, t->name, sizeof(ifr.ifr_name));
	if (mtu && is_new) {
		ifr.ifr_mtu = (int)mtu;
		if (ioctl(sock, SIOCSIFMTU, &ifr) < 0)
			return sx_fail(err, -errno, "tap '%s' cannot have an MTU of %u: %s",
				       t->name, mtu, strerror(errno));
	}
	if (ioctl(sock, SIOCGIFMTU, &ifr) == 0 && ifr.ifr_mtu >= (int)SX_NET_MIN_MTU &&
	    ifr.ifr_mtu <= 65535)
		t->b.mtu = (uint16_t)ifr.ifr_mtu;
	if (mtu > t->b.mtu)
		return sx_fail(err, -EINVAL,
			       "tap '%s' has an MTU of %u; ask for no more, or have root raise it "
			       "with 'ip link set %s mtu %u'",
			       t->name, t->b.mtu, t->name, mtu);
	if (mtu)
		t->b.mtu = (uint16_t)mtu;
	return 0;
}

/* Its MTU; and bring it up if it is new. */
static int set_up(struct tap *t, unsigned mtu, bool is_new, struct sx_error *err)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (sock < 0)
		return sx_fail(err, -errno, "no socket to ask about tap '%s': %s", t->name,
			       strerror(errno));
	rc = set_mtu(t, sock, mtu, is_new, err);
	if (rc == 0 && is_new) {
		rc = bring_up(sock, t->name);
		if (rc < 0)
			sx_explain(err, "tap '%s' cannot be brought up: %s", t->name,
				   strerror(-rc));
	}
	close(sock);
	return rc;
}

/* All queues but the first wait to be attached; nothing is left to the guest yet. */
static int rest(struct tap *t, struct sx_error *err)
{
	int rc;

	sx_store_relaxed(&t->active, (uint32_t)t->b.queues);
	rc = tap_set_queues(&t->b, 1);
	if (rc == 0)
		rc = tap_set_offloads(&t->b, SX_NET_GUEST_OFFLOADS);
	if (rc == 0)
		rc = tap_set_offloads(&t->b, 0);
	return rc < 0 ? sx_fail(err, rc,
				"tap '%s' lacks queues or offloads that it should have: %s",
				t->name, strerror(-rc))
		      : 0;
}

int sx_net_tap_open(struct sx_net_backend **b, const char *name, unsigned queues, unsigned mtu,
		    struct sx_error *err)
{
	bool is_new;
	struct tap *t;
	int rc;

	if (!is_name(name))
		return sx_fail(err, -EINVAL, "'%s' is no name of a network interface", name);
	if (!queues || queues > MAX_QUEUES)
		return sx_fail(err, -EINVAL, "a tap has 1 to %d queues", MAX_QUEUES);
	is_new = !if_nametoindex(name);
	t = calloc(1, sizeof(*t) + queues * sizeof(t->fd[0]));
	if (!t)
		return sx_fail(err, -ENOMEM, "no memory for tap '%s'", name);
	t->b.ops = &ops;
	t->b.features = SX_NET_GUEST_OFFLOADS | SX_NET_HOST_OFFLOADS;
	memcpy(t->name, name, strlen(name));
	rc = open_queues(t, queues, err);
	if (rc == 0)
		rc = set_up(t, mtu, is_new, err);
	if (rc == 0)
		rc = rest(t, err);
	if (rc < 0) {
		tap_destroy(&t->b);
		return rc;
	}
	*b = &t->b;
	return 0;
}
