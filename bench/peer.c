// SPDX-License-Identifier: BSD-3-Clause
#include "bench/peer.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/child.h"
#include "bench/paths.h"

#define ANSWER_MS 60000
#define GRACE_MS  1000
#define PATH_SIZE 4096

/* --- where it lies ------------------------------------------------------------------------------
 */

static int find_program(const char *name, char *path, size_t size, struct sx_error *err)
{
	/* As built, as installed, and for a test that lies two folders below the build. */
	static const char *const places[] = {"peers", "../libexec/splitx/peers", "../../peers"};
	int ret = sx_path_beside(places, sizeof(places) / sizeof(places[0]), name, X_OK, path, size,
				 err);

	if (ret == 0)
		return 0;
	return sx_fail(err, ret,
		       "the peer '%s' is not there, because this splitx was built without DPDK; "
		       "install libdpdk-dev and run make again",
		       name);
}

/* --- starting and ending ------------------------------------------------------------------------
 */

int sx_peer_start(struct sx_peer *peer, const char *prog, int cpu_a, int cpu_b,
		  struct sx_error *err)
{
	char path[PATH_SIZE], a[12], b[12];
	const char *const argv[] = {path, a, b, NULL};
	const char *slash = strrchr(prog, '/');
	int ret, fds[2];

	*peer = (struct sx_peer){.fd = -1};
	snprintf(peer->name, sizeof(peer->name), "%s", slash ? slash + 1 : prog);
	snprintf(a, sizeof(a), "%d", cpu_a);
	snprintf(b, sizeof(b), "%d", cpu_b);
	if (cpu_a == cpu_b || cpu_a < 0 || cpu_b < 0)
		return sx_fail(err, -EINVAL,
			       "the peer '%s' needs two different CPUs, not %d and %d; both of its "
			       "threads poll",
			       peer->name, cpu_a, cpu_b);
	if (slash)
		snprintf(path, sizeof(path), "%s", prog);
	else if ((ret = find_program(prog, path, sizeof(path), err)) != 0)
		return ret;

	/* A socket, not pipes: writing to a dead peer is an error then, and not a signal. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return sx_fail(err, -errno, "cannot make a socket for the peer '%s': %s",
			       peer->name, strerror(errno));
	ret = sx_child_spawn(&peer->pid, path, argv, fds[1], -1);
	close(fds[1]);
	if (ret) {
		close(fds[0]);
		peer->pid = 0;
		return sx_fail(err, ret, "cannot start the peer '%s': %s; build it again with make",
			       path, strerror(-ret));
	}
	peer->fd = fds[0];
	return 0;
}

/* Its wait status. The end of its input is its sign to go. */
static int end(struct sx_peer *peer)
{
	int status;

	close(peer->fd);
	peer->fd = -1;
	status = sx_child_reap(peer->pid, GRACE_MS);
	peer->pid = 0;
	return status;
}

void sx_peer_stop(struct sx_peer *peer)
{
	if (peer->pid)
		end(peer);
}

/* --- talking ------------------------------------------------------------------------------------
 */

static int died(struct sx_peer *peer, struct sx_error *err)
{
	int status = end(peer);

	if (WIFSIGNALED(status))
		return sx_fail(
			err, -EPIPE,
			"the peer '%s' was ended by signal %d (%s); run it by hand to see why",
			peer->name, WTERMSIG(status), strsignal(WTERMSIG(status)));
	return sx_fail(err, -EPIPE,
		       "the peer '%s' ended with exit code %d before it had answered; run it by "
		       "hand to see why",
		       peer->name, WEXITSTATUS(status));
}

static int timed_out(struct sx_peer *peer, struct sx_error *err)
{
	kill(peer->pid, SIGKILL);
	end(peer);
	return sx_fail(
		err, -ETIMEDOUT,
		"the peer '%s' gave no answer for %d s and was ended; leave its two CPUs to it",
		peer->name, ANSWER_MS / 1000);
}

/* One line without its newline. An endless one counts as silence: it is read, and not kept. */
static int read_line(struct sx_peer *peer, char *line, size_t size, struct sx_error *err)
{
	const int64_t deadline = sx_child_now_ms() + ANSWER_MS;
	size_t length = 0;

	for (;;) {
		struct pollfd p = {.fd = peer->fd, .events = POLLIN};
		int64_t left = deadline - sx_child_now_ms();
		ssize_t n;
		char c;

		if (left <= 0)
			return timed_out(peer, err);
		if (poll(&p, 1, (int)left) <= 0)
			continue; /* the time is over, or a signal came */
		n = read(peer->fd, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return died(peer, err);
		if (c == '\n')
			break;
		if (length + 1 < size)
			line[length++] = c;
	}
	line[length] = '\0';
	return 0;
}

static int nonsense(const struct sx_peer *peer, const char *line, struct sx_error *err)
{
	return sx_fail(
		err, -EIO,
		"the peer '%s' answered '%.80s', which is no answer; build it again with make",
		peer->name, line);
}

static int parse_answer(struct sx_peer *peer, const char *line, double *ns, struct sx_error *err)
{
	char *rest;
	double value;

	if (strncmp(line, "err ", 4) == 0)
		return sx_fail(err, -EIO, "the peer '%s' says: %s", peer->name, line + 4);
	if (strncmp(line, "ok ", 3) != 0)
		return nonsense(peer, line, err);
	value = strtod(line + 3, &rest);
	if (rest == line + 3 || !isfinite(value) || value <= 0)
		return nonsense(peer, line, err);

	*ns = value;
	rest += strspn(rest, " ");
	snprintf(peer->how, sizeof(peer->how), "%s", rest);
	return 0;
}

int sx_peer_run(struct sx_peer *peer, uint32_t burst, uint64_t messages, double *ns,
		struct sx_error *err)
{
	char line[256];
	int ret, length;

	if (!peer->pid)
		return sx_fail(err, -EPIPE, "the peer '%s' has ended; start it again", peer->name);
	length = snprintf(line, sizeof(line), "run %u %llu\n", burst, (unsigned long long)messages);
	if (send(peer->fd, line, (size_t)length, MSG_NOSIGNAL) != length)
		return died(peer, err);
	ret = read_line(peer, line, sizeof(line), err);
	if (ret)
		return ret;
	return parse_answer(peer, line, ns, err);
}
