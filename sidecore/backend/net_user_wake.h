// SPDX-License-Identifier: BSD-3-Clause
/*
 * One descriptor that is readable when libslirp has something to do: a socket it waits for, or
 * its next time-out. For who does not poll. Part of net_user.c.
 */
#ifndef SX_SIDECORE_BACKEND_NET_USER_WAKE_H
#define SX_SIDECORE_BACKEND_NET_USER_WAKE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct sx_user_wake {
	bool used;
	int epoll_fd, timer_fd;
	unsigned room; /* descriptors that `is` and `next` have entries for */
	short *is;     /* by descriptor: the events that are waited for; 0: none */
	short *next;
};

void sx_user_wake_init(struct sx_user_wake *w);
void sx_user_wake_close(struct sx_user_wake *w);

/* The descriptor, or a negative errno. From now on sx_user_wake_set() has to be called. */
int sx_user_wake_open(struct sx_user_wake *w);

/* Wait for these, and no longer than @timeout_ms (UINT32_MAX: for ever). */
void sx_user_wake_set(struct sx_user_wake *w, const struct pollfd *fds, unsigned count,
		      uint32_t timeout_ms);

/* @fd was opened or is being closed: what was known of it holds no more. */
void sx_user_wake_forget(struct sx_user_wake *w, int fd);

#endif
