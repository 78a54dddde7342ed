// SPDX-License-Identifier: BSD-3-Clause
#include "cli/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTENER ((struct epoll_event){.events = EPOLLIN | EPOLLET, .data.ptr = NULL})

/* ---- answers ---- */

static char *line_of(json_t *answer)
{
	char *text = json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(6));
	size_t length = text ? strlen(text) : 0;
	char *line = text ? realloc(text, length + 2) : NULL;

	json_decref(answer);
	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + length, "\n", 2);
	return line;
}

static char *refusal(const char *sentence)
{
	return line_of(json_pack("{s:s}", "error", sentence));
}

static const struct sx_control_command *find_command(const struct sx_control *c, const char *name)
{
	for (unsigned i = 0; i < c->commands; i++)
		if (strcmp(c->command[i].name, name) == 0)
			return &c->command[i];
	return NULL;
}

static char *obey(const struct sx_control *c, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "command"));
	const struct sx_control_command *command = name ? find_command(c, name) : NULL;
	struct sx_error err = {0};
	json_t *reply = NULL;
	int rc;

	if (!name)
		return refusal("a request is a JSON object with a string \"command\"");
	if (!command)
		return refusal("there is no such command; this splitx may be older than yours");
	rc = command->run(c->ctx, request, &reply, &err);
	if (rc < 0)
		return refusal(err.text[0] ? err.text : strerror(-rc));
	return line_of(json_pack("{s:o}", "reply", reply));
}

char *sx_control_answer(const struct sx_control *c, const char *request, size_t length)
{
	json_t *json = json_loadb(request, length, JSON_REJECT_DUPLICATES, NULL);
	char *answer = json ? obey(c, json) : refusal("a request is one line of JSON");

	json_decref(json);
	return answer;
}

/* ---- clients ---- */

static void drop(struct sx_control_client *k)
{
	/* Which takes it out of the epoll set. */
	close(k->fd);
	free(k->out);
	*k = (struct sx_control_client){.fd = -1};
}

static void set_answer(struct sx_control_client *k, char *line)
{
	k->out = line;
	k->out_at = 0;
	k->out_length = line ? strlen(line) : 0;
	k->closing |= !line;
}

/* False when the connection is of no use any more. */
static bool read_some(struct sx_control_client *k)
{
	ssize_t n = recv(k->fd, k->in + k->in_length, sizeof(k->in) - k->in_length, 0);

	if (n > 0)
		k->in_length += (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool write_some(struct sx_control_client *k)
{
	ssize_t n = send(k->fd, k->out + k->out_at, k->out_length - k->out_at, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	k->out_at += (size_t)n;
	if (k->out_at < k->out_length)
		return true;
	free(k->out);
	k->out = NULL;
	return !k->closing;
}

static char *end_of_line(struct sx_control_client *k)
{
	return memchr(k->in, '\n', k->in_length);
}

/* Answer the first line, if it is there. */
static void take_line(struct sx_control *c, struct sx_control_client *k)
{
	char *end = end_of_line(k);

	if (!end && k->in_length == sizeof(k->in)) {
		set_answer(k, refusal("the request is too long"));
		k->closing = true;
	}
	if (!end)
		return;
	set_answer(k, sx_control_answer(c, k->in, (size_t)(end - k->in)));
	k->in_length -= (size_t)(end + 1 - k->in);
	memmove(k->in, end + 1, k->in_length);
}

/* One request at most, so that all get their turn; what else has come waits for the next call. */
static bool serve_client(struct sx_control *c, struct sx_control_client *k)
{
	if (k->out)
		return write_some(k);
	if (!end_of_line(k) && !read_some(k))
		return false;
	take_line(c, k);
	return !k->out ? !k->closing : write_some(k);
}

/* Who does not read its answer is not heard. */
static void watch_client(struct sx_control *c, struct sx_control_client *k)
{
	struct epoll_event event = {
		.events = k->out || end_of_line(k) ? EPOLLOUT : EPOLLIN,
		.data.ptr = k,
	};

	if (epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, k->fd, &event) < 0)
		drop(k);
}

/* ---- connections ---- */

/* A free place, or that of who has been quiet for longest. */
static struct sx_control_client *place_for_client(struct sx_control *c)
{
	struct sx_control_client *best = &c->client[0];

	for (unsigned i = 0; i < SX_CONTROL_CLIENTS; i++) {
		struct sx_control_client *k = &c->client[i];

		if (k->fd < 0)
			return k;
		if (k->heard < best->heard)
			best = k;
	}
	drop(best);
	return best;
}

/* The folder keeps others out; this does where somebody has opened it to them. */
static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static void admit(struct sx_control *c, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct sx_control_client *k;

	if (!may_ask(fd)) {
		close(fd);
		return;
	}
	k = place_for_client(c);
	event.data.ptr = k;
	if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		close(fd);
		return;
	}
	k->fd = fd;
	k->heard = c->served;
}

/*
 * The listener is watched for edges: where a connection cannot be accepted, for want of
 * descriptors, it waits for the next one instead of keeping us busy. When there may be more, ask
 * for another edge.
 */
static void accept_clients(struct sx_control *c)
{
	struct epoll_event event = LISTENER;

	for (unsigned i = 0; i < SX_CONTROL_CLIENTS; i++) {
		int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		admit(c, fd);
	}
	/* It is in the set, and is watched already should this fail. */
	epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, c->listen_fd, &event);
}

void sx_control_serve(struct sx_control *c)
{
	struct epoll_event event[SX_CONTROL_CLIENTS + 1];
	bool connections = false;
	int n = epoll_wait(c->epoll_fd, event, SX_CONTROL_CLIENTS + 1, 0);

	c->served++;
	for (int i = 0; i < n; i++) {
		struct sx_control_client *k = event[i].data.ptr;

		connections |= !k;
		if (!k)
			continue;
		k->heard = c->served;
		if (serve_client(c, k))
			watch_client(c, k);
		else
			drop(k);
	}
	/* Last, for it may close connections. */
	if (connections)
		accept_clients(c);
}

/* ---- life ---- */

int sx_control_open(struct sx_control *c, const struct sx_control_command *command,
		    unsigned commands, void *ctx, struct sx_error *err)
{
	struct epoll_event event = LISTENER;
	int rc;

	memset(c, 0, sizeof(*c));
	c->command = command;
	c->commands = commands;
	c->ctx = ctx;
	c->epoll_fd = -1;
	for (unsigned i = 0; i < SX_CONTROL_CLIENTS; i++)
		c->client[i].fd = -1;
	c->listen_fd = sx_control_listen(c->path, err);
	if (c->listen_fd < 0)
		return c->listen_fd;
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd >= 0 && epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->listen_fd, &event) == 0)
		return 0;
	rc = -errno;
	sx_control_close(c);
	return sx_fail(err, rc, "splitx stat cannot ask this guest: %s", strerror(-rc));
}

void sx_control_close(struct sx_control *c)
{
	for (unsigned i = 0; i < SX_CONTROL_CLIENTS; i++)
		if (c->client[i].fd >= 0)
			drop(&c->client[i]);
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	if (c->listen_fd >= 0) {
		unlink(c->path);
		close(c->listen_fd);
	}
	c->epoll_fd = c->listen_fd = -1;
}
