// SPDX-License-Identifier: BSD-3-Clause
/*
 * The host's sockets. None of them blocks. They are watched by edges (epoll(7), EPOLLET): an event
 * says that something can be done, and it is done until the kernel says that it would block. So no
 * call is needed while the guest is what keeps data from moving.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sidecore/virtio/vsock_internal.h"

#define EVENTS  64
#define ACCEPTS 16         /* in a turn */
#define VERB    "CONNECT " /* and a port, and the end of the line */
#define LINE    32u        /* no line is longer */
#define ANY     UINT32_MAX /* VMADDR_PORT_ANY */

/* What events are told apart by: an entry's number and generation, or: */
#define LISTENER UINT64_MAX
#define TIMER    (UINT64_MAX - 1)

/* ---- watching ---- */

static int watch(const struct sx_virtio_vsock *v, int fd, uint32_t events, uint64_t name)
{
	struct epoll_event e = {.events = events | EPOLLET, .data.u64 = name};

	return epoll_ctl(v->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

bool sx_vsock_watch(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	uint64_t name = (uint64_t)c->generation << 32 | (uint64_t)(c - v->connection);

	return watch(v, c->fd, EPOLLIN | EPOLLOUT, name) == 0;
}

int sx_vsock_watch_own(const struct sx_virtio_vsock *v)
{
	int rc = watch(v, v->listen_fd, EPOLLIN, LISTENER);

	return rc < 0 ? rc : watch(v, v->timer_fd, EPOLLIN, TIMER);
}

/* ---- to the host ---- */

/* Bytes sent, 0 when the socket takes none now, or -EPIPE when it never will. */
static ssize_t send_some(struct sx_vsock_connection *c, struct iovec *seg, unsigned segs)
{
	struct msghdr m = {.msg_iov = seg, .msg_iovlen = segs};
	ssize_t n;

	do
		n = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
		return -EPIPE;
	c->writable = false;
	return 0;
}

/* The host has got @n more bytes, or they are lost to it: the guest may send as many. */
static void forward(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, uint32_t n)
{
	c->forwarded += n;
	/* Say so when the guest knows of less than half the room; else any packet says it. */
	if (c->forwarded != c->told && c->received - c->told > SX_VSOCK_BUFFER / 2)
		sx_vsock_want(v, c, SX_VSOCK_UPDATE);
}

static void let_go(struct sx_vsock_connection *c)
{
	free(c->buffer);
	c->buffer = NULL;
	c->held = 0;
}

/* The guest sends no more: so do we, when the host has all. Once, for it is an event itself. */
static void tell_end(struct sx_vsock_connection *c)
{
	if (c->held || c->end_told || c->fd < 0 || !(c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND))
		return;
	shutdown(c->fd, SHUT_WR);
	c->end_told = true;
}

static void flush(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	while (c->held && c->writable) {
		uint32_t to_end = SX_VSOCK_BUFFER - c->held_at;
		uint32_t first = c->held < to_end ? c->held : to_end;
		struct iovec seg[2] = {{c->buffer + c->held_at, first},
				       {c->buffer, c->held - first}};
		ssize_t n = send_some(c, seg, 2);

		if (n < 0) {
			sx_vsock_host_shut(v, c, VIRTIO_VSOCK_SHUTDOWN_RCV);
			return;
		}
		c->held_at = (c->held_at + (uint32_t)n) % SX_VSOCK_BUFFER;
		c->held -= (uint32_t)n;
		sx_count(&v->stats.to_host_bytes, (uint64_t)n);
		forward(v, c, (uint32_t)n);
	}
	if (c->held)
		return;
	let_go(c);
	tell_end(c);
}

/* Keep what the host does not take now; the guest has credit for it. */
static bool hold(struct sx_vsock_connection *c, const struct sx_vq_chain *chain, uint32_t at,
		 uint32_t len)
{
	uint32_t end, first;

	if (!c->buffer)
		c->buffer = malloc(SX_VSOCK_BUFFER);
	if (!c->buffer)
		return false;
	end = (c->held_at + c->held) % SX_VSOCK_BUFFER;
	first = SX_VSOCK_BUFFER - end < len ? SX_VSOCK_BUFFER - end : len;
	sx_vq_read(chain, at, c->buffer + end, first);
	sx_vq_read(chain, at + first, c->buffer, len - first);
	c->held += len;
	return true;
}

void sx_vsock_send(struct sx_virtio_vsock *v, struct sx_vsock_connection *c,
		   const struct sx_vq_chain *chain, uint32_t len)
{
	struct iovec seg[SX_VSOCK_SEGS];
	ssize_t n = 0;

	c->received += len;
	if (c->host_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) {
		forward(v, c, len);
		return;
	}
	if (len && !c->held && c->writable)
		n = send_some(c, seg,
			      sx_iov_slice(chain->seg, chain->readable, SX_VSOCK_HDR, len, seg));
	if (n < 0) {
		forward(v, c, len);
		sx_vsock_host_shut(v, c, VIRTIO_VSOCK_SHUTDOWN_RCV);
		return;
	}
	sx_count(&v->stats.to_host_bytes, (uint64_t)n);
	forward(v, c, (uint32_t)n);
	if ((uint32_t)n < len && !hold(c, chain, SX_VSOCK_HDR + (uint32_t)n, len - (uint32_t)n))
		sx_vsock_reset(v, c);
}

/* ---- the end of a direction ---- */

void sx_vsock_host_shut(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, uint8_t how)
{
	uint32_t lost = c->held;

	if ((c->host_shut | how) == c->host_shut)
		return;
	c->host_shut |= how;
	if (how & VIRTIO_VSOCK_SHUTDOWN_RCV) {
		let_go(c);
		forward(v, c, lost);
	}
	if (c->host_shut == SX_VSOCK_SHUT) {
		close(c->fd);
		c->fd = -1;
	}
	sx_vsock_want(v, c, SX_VSOCK_SHUTDOWN);
}

void sx_vsock_guest_shut(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, uint8_t how)
{
	c->guest_shut |= how;
	if (c->fd >= 0 && (how & VIRTIO_VSOCK_SHUTDOWN_RCV))
		shutdown(c->fd, SHUT_RD);
	tell_end(c);
	if (c->guest_shut == SX_VSOCK_SHUT)
		sx_vsock_end(v, c, true);
}

/* ---- connecting ---- */

int sx_vsock_connect(const struct sx_virtio_vsock *v, uint32_t port)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s_%u", v->path, port);
	/* A UNIX socket is connected at once or not at all; EAGAIN: too many wait there. */
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

unsigned sx_vsock_accept(struct sx_virtio_vsock *v)
{
	unsigned n = 0;

	while (v->acceptable && n < ACCEPTS && v->lines < SX_VSOCK_LINES &&
	       v->open < SX_VSOCK_CONNECTIONS) {
		int fd = accept4(v->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct sx_vsock_connection *c;

		if (fd < 0) {
			v->acceptable = errno == EINTR || errno == ECONNABORTED;
			if (errno != EAGAIN && !v->acceptable)
				sx_vsock_run_short(v, true);
			break;
		}
		c = sx_vsock_new(v, fd, SX_VSOCK_LINE);
		if (!sx_vsock_watch(v, c))
			sx_vsock_drop(v, c);
		n++;
	}
	return n;
}

void sx_vsock_say_ok(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	char line[LINE];
	int len = snprintf(line, sizeof(line), "OK %u\n", c->host_port);

	/* The first bytes on this socket: there is room, or the program reads no more. */
	if (send(c->fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) != len)
		sx_vsock_host_shut(v, c, VIRTIO_VSOCK_SHUTDOWN_RCV);
}

/* "CONNECT 52\n", with "\r\n" as well; false if it is anything else. */
static bool parse_line(const char *line, uint32_t *port)
{
	const char *digit = line + sizeof(VERB) - 1;
	uint64_t number = 0;

	if (strncasecmp(line, VERB, sizeof(VERB) - 1) != 0 || *digit < '0' || *digit > '9')
		return false;
	for (; *digit >= '0' && *digit <= '9'; digit++)
		if (number < ANY)
			number = number * 10 + (uint64_t)(*digit - '0');
	*port = (uint32_t)number;
	if (*digit == '\r')
		digit++;
	return *digit == '\n' && number < ANY;
}

/* Take the line, and nothing of what follows: 1, or 0 if it has not all come, or -1. */
static int take_line(struct sx_vsock_connection *c, char line[LINE + 1])
{
	ssize_t n = recv(c->fd, line, LINE, MSG_PEEK | MSG_DONTWAIT);
	char *end;

	if (n <= 0) {
		c->readable = false;
		return n < 0 && errno == EAGAIN ? 0 : -1;
	}
	line[n] = 0;
	end = memchr(line, '\n', (size_t)n);
	if (!end) {
		c->readable = false;
		return n < (ssize_t)LINE ? 0 : -1;
	}
	n = end + 1 - line;
	return recv(c->fd, line, (size_t)n, MSG_DONTWAIT) == n ? 1 : -1;
}

static void read_line(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	char line[LINE + 1];
	uint32_t port = 0;
	int rc = take_line(c, line);

	if (rc == 0)
		return;
	if (rc < 0 || !parse_line(line, &port)) {
		sx_count(&v->stats.refused, 1);
		sx_vsock_drop(v, c);
		return;
	}
	sx_vsock_hash(v, c, sx_vsock_pick_port(v, port), port);
	sx_vsock_set_state(v, c, SX_VSOCK_REQUESTED);
	sx_vsock_want(v, c, SX_VSOCK_REQUEST);
}

/* ---- events ---- */

static void on_connection(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, uint32_t events)
{
	bool gone = events & (EPOLLHUP | EPOLLERR);

	c->readable |= gone || (events & EPOLLIN);
	c->writable |= gone || (events & EPOLLOUT);
	switch (c->state) {
	case SX_VSOCK_LINE:
		read_line(v, c);
		if (gone && c->state == SX_VSOCK_LINE)
			sx_vsock_drop(v, c);
		break;
	case SX_VSOCK_OPEN:
		flush(v, c);
		if (gone)
			sx_vsock_host_shut(v, c, VIRTIO_VSOCK_SHUTDOWN_RCV);
		sx_vsock_want(v, c, 0);
		break;
	case SX_VSOCK_ENDING:
		flush(v, c);
		sx_vsock_try_drop(v, c);
		break;
	}
}

static void on_event(struct sx_virtio_vsock *v, const struct epoll_event *e)
{
	uint32_t index = (uint32_t)e->data.u64;
	uint64_t ticks;

	if (e->data.u64 == LISTENER) {
		v->acceptable = true;
	} else if (e->data.u64 == TIMER) {
		if (read(v->timer_fd, &ticks, sizeof(ticks)) == sizeof(ticks))
			sx_vsock_tick(v);
	} else if (v->connection[index].fd >= 0 &&
		   v->connection[index].generation == (uint32_t)(e->data.u64 >> 32)) {
		on_connection(v, &v->connection[index], e->events);
	}
}

unsigned sx_vsock_look(struct sx_virtio_vsock *v)
{
	struct epoll_event event[EVENTS];
	int n = epoll_wait(v->epoll_fd, event, EVENTS, 0);

	for (int i = 0; i < n; i++)
		on_event(v, &event[i]);
	return n < 0 ? 0 : (unsigned)n;
}
