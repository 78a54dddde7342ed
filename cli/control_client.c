// SPDX-License-Identifier: BSD-3-Clause
#include "cli/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cli/control_folder.h"

#define FIRST_SIZE 16384

/* Room for more bytes: twice what there was. */
static int grow(char **text, size_t *size)
{
	size_t larger = *size ? 2 * *size : FIRST_SIZE;
	char *grown;

	if (larger > SX_CONTROL_MAX_ANSWER)
		return -EPROTO;
	grown = realloc(*text, larger);
	if (!grown)
		return -ENOMEM;
	*text = grown;
	*size = larger;
	return 0;
}

/* Bytes that came, at most @size, or a negative errno. */
static ssize_t receive(int fd, char *to, size_t size, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int ready = poll(&p, 1, timeout_ms);
	ssize_t n;

	if (ready <= 0)
		return ready < 0 ? -errno : -ETIMEDOUT;
	n = recv(fd, to, size, MSG_DONTWAIT);
	if (n == 0)
		return -ECONNRESET;
	return n < 0 ? -errno : n;
}

/* A line, whose length without its end is stored; to be freed also after a failure. */
static int read_line(int fd, int timeout_ms, char **text, size_t *length)
{
	size_t size = 0;

	for (*length = 0;;) {
		int rc = *length == size ? grow(text, &size) : 0;
		ssize_t n;

		if (rc < 0)
			return rc;
		n = receive(fd, *text + *length, size - *length, timeout_ms);
		if (n == -EAGAIN || n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		*length += (size_t)n;
		/* One request, one answer: nothing comes after it. */
		if ((*text)[*length - 1] == '\n') {
			--*length;
			return 0;
		}
	}
}

static int send_request(int fd, const json_t *request)
{
	char line[256];
	size_t length = json_dumpb(request, line, sizeof(line) - 1, JSON_COMPACT);
	ssize_t n;

	if (!length || length > sizeof(line) - 1)
		return -EINVAL;
	line[length++] = '\n';
	n = send(fd, line, length, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EPIPE ? -ECONNRESET : -errno;
	return (size_t)n == length ? 0 : -EAGAIN;
}

static int understand(const char *text, size_t length, json_t **reply, struct sx_error *err)
{
	json_t *answer = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	const char *refusal = json_string_value(json_object_get(answer, "error"));
	int rc = 0;

	*reply = json_incref(json_object_get(answer, "reply"));
	if (!*reply && refusal)
		rc = sx_fail(err, -ENOTSUP, "it refuses: %s", refusal);
	else if (!*reply)
		rc = -EPROTO;
	json_decref(answer);
	return rc;
}

int sx_control_request(int fd, const json_t *request, int timeout_ms, json_t **reply,
		       struct sx_error *err)
{
	char *text = NULL;
	size_t length;
	int rc = send_request(fd, request);

	if (rc == 0)
		rc = read_line(fd, timeout_ms, &text, &length);
	if (rc == 0)
		rc = understand(text, length, reply, err);
	free(text);
	if (rc == -ETIMEDOUT)
		return sx_fail(err, rc, "it does not answer; try again, or see what it does");
	if (rc == -EPROTO)
		return sx_fail(err, rc,
			       "it answers what is no answer; is it a splitx of this version?");
	return rc;
}

int sx_control_ask(int fd, const char *command, int timeout_ms, json_t **reply,
		   struct sx_error *err)
{
	json_t *request = json_pack("{s:s}", "command", command);
	int rc = request ? sx_control_request(fd, request, timeout_ms, reply, err) : -ENOMEM;

	json_decref(request);
	return rc;
}

int sx_control_choose(pid_t *pid, struct sx_error *err)
{
	pid_t found[2];
	unsigned count = sx_control_list(found, 2);

	if (count == 0)
		return sx_fail(err, -ESRCH, "no guest runs that this user may ask about");
	if (count > 1)
		return sx_fail(err, -EINVAL, "%u guests run; say which by its PID", count);
	*pid = found[0];
	return 0;
}
