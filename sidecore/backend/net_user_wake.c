// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/backend/net_user_wake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Where a descriptor cannot be waited for (no memory), time brings us back: */
#define FALLBACK_MS 10

void sx_user_wake_init(struct sx_user_wake *w)
{
	*w = (struct sx_user_wake){.epoll_fd = -1, .timer_fd = -1};
}

void sx_user_wake_close(struct sx_user_wake *w)
{
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->timer_fd >= 0)
		close(w->timer_fd);
	free(w->is);
	free(w->next);
	sx_user_wake_init(w);
}

static int set_timer(struct sx_user_wake *w, uint32_t ms)
{
	struct itimerspec at = {0}; /* never */

	if (ms != UINT32_MAX)
		at.it_value = (struct timespec){ms / 1000, ms % 1000 * 1000000 + 1};
	return timerfd_settime(w->timer_fd, 0, &at, NULL) < 0 ? -errno : 0;
}

int sx_user_wake_open(struct sx_user_wake *w)
{
	struct epoll_event e = {.events = EPOLLIN};
	int rc;

	if (w->used)
		return w->epoll_fd;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (w->epoll_fd < 0 || w->timer_fd < 0 ||
	    epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->timer_fd, &e) < 0 || set_timer(w, 0) < 0) {
		rc = -errno;
		sx_user_wake_close(w);
		return rc;
	}
	w->used = true;
	return w->epoll_fd;
}

static bool has_entry(struct sx_user_wake *w, int fd)
{
	unsigned room = ((unsigned)fd + 64) & ~63u;
	short *is, *next;

	if ((unsigned)fd < w->room)
		return true;
	is = realloc(w->is, room * sizeof(*is));
	if (is)
		w->is = is;
	next = realloc(w->next, room * sizeof(*next));
	if (next)
		w->next = next;
	if (!is || !next)
		return false;
	memset(&is[w->room], 0, (room - w->room) * sizeof(*is));
	memset(&next[w->room], 0, (room - w->room) * sizeof(*next));
	w->room = room;
	return true;
}

static bool change(struct sx_user_wake *w, int fd, short events)
{
	/* The values of EPOLLIN, EPOLLOUT and so on are those of POLLIN, POLLOUT. */
	struct epoll_event e = {.events = (uint16_t)events, .data.fd = fd};
	int op = !events ? EPOLL_CTL_DEL : w->is[fd] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (epoll_ctl(w->epoll_fd, op, fd, &e) < 0 && op != EPOLL_CTL_DEL)
		return false;
	w->is[fd] = events;
	return true;
}

void sx_user_wake_set(struct sx_user_wake *w, const struct pollfd *fds, unsigned count,
		      uint32_t timeout_ms)
{
	bool all = true;

	for (unsigned i = 0; i < count; i++) {
		if (has_entry(w, fds[i].fd))
			w->next[fds[i].fd] = (short)(w->next[fds[i].fd] | fds[i].events);
		else
			all = false;
	}
	for (unsigned fd = 0; fd < w->room; fd++) {
		if (w->next[fd] != w->is[fd] && !change(w, (int)fd, w->next[fd]))
			all = false;
		w->next[fd] = 0;
	}
	if (!all && timeout_ms > FALLBACK_MS)
		timeout_ms = FALLBACK_MS;
	/* It can only fail for arguments that are wrong. Setting it clears that it had expired. */
	(void)set_timer(w, timeout_ms);
}

void sx_user_wake_forget(struct sx_user_wake *w, int fd)
{
	if (fd >= 0 && (unsigned)fd < w->room && w->is[fd])
		change(w, fd, 0);
}
