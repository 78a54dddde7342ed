// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/backend/net_user.h"

#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sidecore/backend/net_fifo.h"
#include "sidecore/backend/net_user_wake.h"

#define FIFO_BYTES (512u << 10)
#define USUAL_MTU  1500
#define MAX_TIMERS 4

struct timer {
	SlirpTimerCb fn; /* NULL: free */
	void *ctx;
	int64_t expires_ms; /* INT64_MAX: not set */
};

struct user {
	struct sx_net_backend b;
	Slirp *slirp;
	struct sx_net_fifo fifo; /* to the guest */
	struct timer timer[MAX_TIMERS];
	struct pollfd *fds;
	unsigned count, room;
	struct sx_user_wake wake;
	uint8_t flat[SX_NET_MAX_FRAME]; /* libslirp reads a frame more than once */
};

static struct user *user_of(struct sx_net_backend *b)
{
	return (struct user *)b;
}

/* ---- what libslirp calls ---- */

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
	struct user *u = opaque;
	struct sx_net_frame f = {.segs = 1, .len = (uint32_t)len};

	f.own = (struct iovec){.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
	f.seg = &f.own;
	if (len > SX_NET_MAX_FRAME || !sx_net_fifo_push(&u->fifo, &f))
		sx_net_drop(&u->b, 1);
	return (ssize_t)len;
}

static void guest_error(const char *msg, void *opaque)
{
	(void)msg;
	sx_net_drop(&((struct user *)opaque)->b, 1);
}

static int64_t clock_get_ns(void *opaque)
{
	struct timespec t;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void *timer_new(SlirpTimerCb fn, void *ctx, void *opaque)
{
	struct user *u = opaque;

	for (unsigned i = 0; i < MAX_TIMERS; i++)
		if (!u->timer[i].fn) {
			u->timer[i] = (struct timer){fn, ctx, INT64_MAX};
			return &u->timer[i];
		}
	return NULL; /* 4.7 has one, for router advertisements */
}

static void timer_free(void *timer, void *opaque)
{
	(void)opaque;
	if (timer)
		((struct timer *)timer)->fn = NULL;
}

static void timer_mod(void *timer, int64_t expires_ms, void *opaque)
{
	(void)opaque;
	if (timer)
		((struct timer *)timer)->expires_ms = expires_ms;
}

static void register_fd(int fd, void *opaque)
{
	sx_user_wake_forget(&((struct user *)opaque)->wake, fd);
}

static void notify(void *opaque)
{
	(void)opaque; /* the next look comes anyway */
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_get_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = register_fd,
	.unregister_poll_fd = register_fd,
	.notify = notify,
};

/* ---- sockets and timers ---- */

static const struct {
	int slirp;
	short poll;
} bits[] = {
	{SLIRP_POLL_IN, POLLIN},   {SLIRP_POLL_OUT, POLLOUT}, {SLIRP_POLL_PRI, POLLPRI},
	{SLIRP_POLL_ERR, POLLERR}, {SLIRP_POLL_HUP, POLLHUP},
};

static int add_poll(int fd, int events, void *opaque)
{
	struct user *u = opaque;
	short wanted = 0;

	if (u->count == u->room) {
		unsigned room = u->room ? 2 * u->room : 32;
		struct pollfd *more = realloc(u->fds, room * sizeof(*more));

		if (!more)
			return -1; /* not looked at this time */
		u->fds = more;
		u->room = room;
	}
	for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (events & bits[i].slirp)
			wanted = (short)(wanted | bits[i].poll);
	u->fds[u->count] = (struct pollfd){.fd = fd, .events = wanted};
	return (int)u->count++;
}

static int get_revents(int index, void *opaque)
{
	const struct user *u = opaque;
	int events = 0;

	if (index < 0 || (unsigned)index >= u->count)
		return 0;
	for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (u->fds[index].revents & bits[i].poll)
			events |= bits[i].slirp;
	return events;
}

/* Returns the milliseconds to the next one that is set, at most @limit. */
static uint32_t run_timers(struct user *u, uint32_t limit)
{
	int64_t now = clock_get_ns(u) / 1000000;

	for (unsigned i = 0; i < MAX_TIMERS; i++) {
		struct timer *t = &u->timer[i];

		if (t->fn && t->expires_ms <= now) {
			t->expires_ms = INT64_MAX;
			t->fn(t->ctx);
		}
		if (t->fn && t->expires_ms - now < limit)
			limit = (uint32_t)(t->expires_ms - now);
	}
	return limit;
}

static uint32_t fill(struct user *u)
{
	uint32_t timeout = UINT32_MAX;

	u->count = 0;
	slirp_pollfds_fill(u->slirp, &timeout, add_poll, u);
	return timeout;
}

/* Let libslirp do all that can be done now. */
static void look(struct user *u)
{
	uint32_t timeout;
	int rc;

	run_timers(u, 0);
	fill(u);
	rc = poll(u->fds, u->count, 0);
	slirp_pollfds_poll(u->slirp, rc < 0, get_revents, u);
	sx_net_fifo_show(&u->fifo);
	if (!u->wake.used)
		return;
	/* What it waits for from now on. */
	timeout = run_timers(u, fill(u));
	sx_user_wake_set(&u->wake, u->fds, u->count, timeout);
	sx_net_fifo_show(&u->fifo);
}

/* ---- what the device calls ---- */

static unsigned user_send(struct sx_net_backend *b, unsigned queue,
			  const struct sx_net_frame *frame, unsigned count)
{
	struct user *u = user_of(b);

	(void)queue;
	for (unsigned i = 0; i < count; i++) {
		size_t len = 0;

		for (unsigned k = 0; k < frame[i].segs; k++) {
			const struct iovec *seg = &frame[i].seg[k];

			memcpy(&u->flat[len], seg->iov_base, seg->iov_len);
			len += seg->iov_len;
		}
		slirp_input(u->slirp, u->flat, (int)len);
	}
	sx_net_fifo_show(&u->fifo);
	return count;
}

/* While the guest has not taken what came, sockets are left alone: their peers wait. */
static unsigned user_peek(struct sx_net_backend *b, unsigned queue, struct sx_net_frame *frame,
			  unsigned max)
{
	struct user *u = user_of(b);
	unsigned n = sx_net_fifo_peek(&u->fifo, frame, max);

	(void)queue;
	if (n)
		return n;
	look(u);
	return sx_net_fifo_peek(&u->fifo, frame, max);
}

static void user_release(struct sx_net_backend *b, unsigned queue, unsigned count)
{
	(void)queue;
	sx_net_fifo_release(&user_of(b)->fifo, count);
}

static int user_wake_fd(struct sx_net_backend *b, unsigned queue)
{
	(void)queue;
	return sx_user_wake_open(&user_of(b)->wake);
}

static int user_set_offloads(struct sx_net_backend *b, uint64_t offloads)
{
	(void)b;
	return offloads ? -EOPNOTSUPP : 0;
}

static int user_set_queues(struct sx_net_backend *b, unsigned queues)
{
	(void)b;
	return queues == 1 ? 0 : -EINVAL;
}

static void user_destroy(struct sx_net_backend *b)
{
	struct user *u = user_of(b);

	if (u->slirp)
		slirp_cleanup(u->slirp);
	sx_user_wake_close(&u->wake);
	sx_net_fifo_destroy(&u->fifo);
	free(u->fds);
	free(u);
}

static const struct sx_net_ops ops = {
	.name = "user",
	.send = user_send,
	.peek = user_peek,
	.release = user_release,
	.wake_fd = user_wake_fd,
	.set_offloads = user_set_offloads,
	.set_queues = user_set_queues,
	.destroy = user_destroy,
};

/* ---- life ---- */

static struct in_addr address(unsigned host)
{
	return (struct in_addr){.s_addr = htonl(0x0a000200u | host)};
}

static Slirp *new_slirp(struct user *u)
{
	SlirpConfig config = {
		.version = 1,
		.in_enabled = true,
		.vnetwork = address(0),
		.vnetmask = {.s_addr = htonl(0xffffff00u)},
		.vhost = address(2),
		.vdhcp_start = address(15),
		.vnameserver = address(3),
		.in6_enabled = true,
		.vprefix_len = 64,
		.vhostname = "splitx",
		.if_mtu = u->b.mtu,
		.if_mru = u->b.mtu,
	};

	/* fec0::/64, as libslirp's own documentation has it. */
	inet_pton(AF_INET6, "fec0::", &config.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &config.vhost6);
	inet_pton(AF_INET6, "fec0::3", &config.vnameserver6);
	return slirp_new(&config, &callbacks, u);
}

static int add_forward(struct user *u, const char *option, size_t len, struct sx_error *err)
{
	char text[64], protocol[4], rest;
	unsigned host, guest;
	const struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};

	snprintf(text, sizeof(text), "%.*s", (int)len, option);
	if (len >= sizeof(text) ||
	    sscanf(text, "hostfwd=%3[a-z]:%5u-%5u%c", protocol, &host, &guest, &rest) != 3 ||
	    (strcmp(protocol, "tcp") && strcmp(protocol, "udp")) || !host || host > 65535 ||
	    !guest || guest > 65535)
		return sx_fail(err, -EINVAL,
			       "'%s' is no option of the network 'user'; it has "
			       "'hostfwd=tcp:HOSTPORT-GUESTPORT', tcp or udp, ports 1 to 65535",
			       text);
	if (slirp_add_hostfwd(u->slirp, !strcmp(protocol, "udp"), loopback, (int)host, address(15),
			      (int)guest) < 0)
		return sx_fail(err, -errno,
			       "port %u of the host cannot be forwarded: %s; choose another", host,
			       strerror(errno));
	return 0;
}

static int add_forwards(struct user *u, const char *options, struct sx_error *err)
{
	while (*options) {
		size_t len = strcspn(options, ",");
		int rc = add_forward(u, options, len, err);

		if (rc < 0)
			return rc;
		options += len;
		if (*options == ',' && options[1])
			options++;
	}
	return 0;
}

int sx_net_user_open(struct sx_net_backend **b, const char *options, unsigned mtu,
		     struct sx_error *err)
{
	struct user *u = aligned_alloc(SX_CACHE_LINE, (sizeof(*u) + 63) & ~(size_t)63);
	int rc;

	if (!u)
		return sx_fail(err, -ENOMEM, "no memory for the network 'user'");
	memset(u, 0, sizeof(*u));
	u->b = (struct sx_net_backend){
		.ops = &ops, .queues = 1, .mtu = (uint16_t)(mtu ? mtu : USUAL_MTU)};
	sx_user_wake_init(&u->wake);
	rc = sx_net_fifo_init(&u->fifo, FIFO_BYTES);
	if (rc == 0) {
		u->slirp = new_slirp(u);
		if (!u->slirp)
			rc = -EINVAL;
	}
	if (rc == 0)
		rc = add_forwards(u, options, err);
	if (rc < 0) {
		user_destroy(&u->b);
		return sx_fail(err, rc, "the network 'user' cannot be set up: %s", strerror(-rc));
	}
	*b = &u->b;
	return 0;
}
