// SPDX-License-Identifier: BSD-3-Clause
/*
 * A `splitx run` as a user has it: on a terminal, of which the test is the other side. What is not
 * as it must be fails the cmocka test.
 */
#ifndef SX_TESTS_SUPPORT_SESSION_H
#define SX_TESTS_SUPPORT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <termios.h>

struct session {
	pid_t pid;
	int terminal; /* our end */
	int slave;    /* its end, held open so that its settings last */
	struct termios before;
	int out, err; /* our ends of pipes; -1: that goes to the terminal */
	char said[65536];
	size_t length;
};

enum session_redirect {
	SESSION_TO_TERMINAL = 0,
	SESSION_OUT_TO_PIPE = 1,
	SESSION_ERR_TO_PIPE = 2,
};

#define SESSION_MAX_ARGS 8

struct session_command {
	unsigned redirect;
	const char *mode;
	const char *args[SESSION_MAX_ARGS]; /* further options, and the guest */
	int ignored;                        /* a signal that is ignored from the start; 0: none */
	const struct winsize *size;         /* of the terminal; NULL: it says none */
};

void session_start(struct session *s, const struct session_command *c);

/* Take what has come at @fd, at most @max bytes, and at most what there is room for. */
size_t session_take(struct session *s, int fd, size_t max);
/* Until the guest has said it. */
void session_expect(struct session *s, const char *text);
void session_type(const struct session *s, const char *keys);

bool session_is_raw(const struct session *s);
void session_wait_until_raw(const struct session *s);

/*
 * Wait for its end; the terminal is then as it was. What it says meanwhile is taken from @fd, from
 * nowhere if that is -1. Returns the exit status, or 1000 and the signal that killed it.
 */
int session_finish(struct session *s, int fd);

#endif
