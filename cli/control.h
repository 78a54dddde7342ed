// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control socket of a run: other programs of the same user, or of root, ask, and the main
 * thread answers when it has nothing better to do.
 *
 * A request is a line, a JSON object with a member "command"; its answer is a line too, an object
 * with a member "reply", or with a sentence as "error". A connection takes any number of requests,
 * one after the other. Who asks is not trusted: a line that never ends, answers that nobody reads
 * and floods cost a bounded amount of memory, and other connections nothing. When there are more
 * connections than SX_CONTROL_CLIENTS, the one that has been quiet for longest is closed.
 */
#ifndef SX_CLI_CONTROL_H
#define SX_CLI_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/control_folder.h"
#include "ipc/error.h"

#define SX_CONTROL_CLIENTS  8
#define SX_CONTROL_MAX_LINE 4096

struct sx_control_command {
	const char *name;
	/*
	 * Do what @request asks, and make its *reply. It runs on the main thread while the guest
	 * runs, and must not wait. A negative errno with its sentence becomes an "error".
	 */
	int (*run)(void *ctx, const json_t *request, json_t **reply, struct sx_error *err);
};

struct sx_control_client {
	int fd;           /* -1: none */
	uint64_t heard;   /* when the control was served that last found it active */
	bool closing;     /* once its answer is written */
	size_t in_length; /* bytes of `in` */
	char *out;        /* an answer that is not written yet; NULL: none */
	size_t out_length, out_at;
	char in[SX_CONTROL_MAX_LINE];
};

struct sx_control {
	const struct sx_control_command *command;
	unsigned commands;
	void *ctx;    /* of the commands */
	int epoll_fd; /* readable when sx_control_serve() has something to do; -1: not open */
	int listen_fd;
	uint64_t served; /* times */
	struct sx_control_client client[SX_CONTROL_CLIENTS];
	char path[SX_CONTROL_PATH_SIZE];
};

/* @command and @ctx must stay. On failure it may be served and closed all the same. */
int sx_control_open(struct sx_control *c, const struct sx_control_command *command,
		    unsigned commands, void *ctx, struct sx_error *err);

/* Accept, read, answer and write what can be without waiting; a bounded amount of it. */
void sx_control_serve(struct sx_control *c);

/* Close all and remove the socket. Nothing when it is not open. */
void sx_control_close(struct sx_control *c);

/* The answer to a request of @length bytes, without its end of line: a line of its own, to be
 * freed; NULL without memory. */
char *sx_control_answer(const struct sx_control *c, const char *request, size_t length);

#endif
