// SPDX-License-Identifier: BSD-3-Clause
/*
 * The other side of a control socket (control.h): ask a run, and take its answer.
 */
#ifndef SX_CLI_CONTROL_CLIENT_H
#define SX_CLI_CONTROL_CLIENT_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/error.h"

/* An answer of more bytes is none. */
#define SX_CONTROL_MAX_ANSWER (16u << 20)

/*
 * Ask @request, an object with a member "command", of the run that @fd leads to
 * (sx_control_connect()) and wait for the "reply" that is stored at @reply, to be decref'ed.
 * -ECONNRESET when it ended instead, without a sentence; else a negative errno with one: -ETIMEDOUT
 * it did not answer for @timeout_ms, -EPROTO it answered what is no answer, -ENOTSUP it refused.
 */
int sx_control_request(int fd, const json_t *request, int timeout_ms, json_t **reply,
		       struct sx_error *err);

/* The same for a command that needs no more to be said. */
int sx_control_ask(int fd, const char *command, int timeout_ms, json_t **reply,
		   struct sx_error *err);

/* The only run that this user may ask. -ESRCH or -EINVAL, with a sentence: there is none, or more.
 */
int sx_control_choose(pid_t *pid, struct sx_error *err);

#endif
