// SPDX-License-Identifier: BSD-3-Clause
#include "bench/testpmd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/child.h"

#define PROGRAM   "dpdk-testpmd"
#define ANSWER_MS 60000
#define PROMPT    "testpmd> "
#define PREFIX    "splitx"

/* ---- its terminal ---- */

/* What it said last, without the codes of a terminal, on one line. */
static void last_words(char *said)
{
	size_t to = 0;

	for (char *c = said; *c; c++)
		if ((unsigned char)*c >= ' ')
			said[to++] = *c;
		else if (to && said[to - 1] != ' ')
			said[to++] = ' ';
	said[to] = '\0';
}

static int not_so(int rc, char *said, struct sx_error *err)
{
	size_t len;

	last_words(said);
	len = strlen(said);
	return sx_fail(err, rc, PROGRAM " %s; its last words: %s",
		       rc == -ETIMEDOUT ? "does not answer" : "has ended",
		       len > 120 ? said + len - 120 : said);
}

/* Read what it says until it says @what. */
static int wait_for(struct sx_testpmd *t, const char *what, struct sx_error *err)
{
	const int64_t end = sx_child_now_ms() + ANSWER_MS;
	char said[4096];
	size_t len = 0;

	said[0] = '\0';
	while (!strstr(said, what)) {
		struct pollfd p = {.fd = t->tty, .events = POLLIN};
		int64_t left = end - sx_child_now_ms();
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return not_so(-ETIMEDOUT, said, err);
		/* Keep the newer half. */
		if (len > sizeof(said) / 2) {
			memmove(said, said + sizeof(said) / 4, len - sizeof(said) / 4);
			len -= sizeof(said) / 4;
		}
		n = read(t->tty, said + len, sizeof(said) - 1 - len);
		if (n <= 0)
			return not_so(-EIO, said, err);
		len += (size_t)n;
		said[len] = '\0';
	}
	return 0;
}

static int command(struct sx_testpmd *t, const char *line, const char *answer, struct sx_error *err)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s\n", line);

	if (write(t->tty, text, (size_t)n) != n)
		return sx_fail(err, -EIO, PROGRAM " takes no commands: %s", strerror(errno));
	return wait_for(t, answer, err);
}

/* ---- starting ---- */

static int open_terminal(struct sx_testpmd *t, char *name, size_t size, struct sx_error *err)
{
	t->tty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->tty < 0 || grantpt(t->tty) < 0 || unlockpt(t->tty) < 0 ||
	    ptsname_r(t->tty, name, size) != 0)
		return sx_fail(err, -errno, "cannot make a terminal for " PROGRAM ": %s",
			       strerror(errno));
	return 0;
}

static int run(struct sx_testpmd *t, int guest_cpu, int side_cpu, struct sx_error *err)
{
	char terminal[64], home[64], cores[64], port[96];
	/* The one that takes commands sleeps on the guest's CPU; the other forwards. */
	const char *const argv[] = {"env",
				    home,
				    PROGRAM,
				    "--lcores",
				    cores,
				    "--no-huge",
				    "-m",
				    "128",
				    "--no-pci",
				    "--no-telemetry",
				    "--no-shconf",
				    "--file-prefix",
				    PREFIX,
				    "--vdev",
				    port,
				    "--",
				    "-i",
				    "--port-topology=loop",
				    "--total-num-mbufs=8192",
				    "--no-lsc-interrupt",
				    NULL};
	int fd, rc = open_terminal(t, terminal, sizeof(terminal), err);

	if (rc < 0)
		return rc;
	snprintf(home, sizeof(home), "RUNTIME_DIRECTORY=%s", t->dir); /* DPDK's files go there */
	snprintf(cores, sizeof(cores), "0@%d,1@%d", guest_cpu, side_cpu);
	snprintf(port, sizeof(port), "net_vhost0,iface=%s,queues=1", t->socket);
	fd = open(terminal, O_RDWR | O_NOCTTY | O_CLOEXEC);
	rc = fd < 0 ? -errno : sx_child_spawn(&t->pid, argv[0], argv, fd, fd);
	if (fd >= 0)
		close(fd);
	if (rc < 0) {
		t->pid = 0;
		return sx_fail(err, rc, "cannot start " PROGRAM " by env: %s", strerror(-rc));
	}
	return wait_for(t, PROMPT, err);
}

int sx_testpmd_start(struct sx_testpmd *t, int guest_cpu, int side_cpu, struct sx_error *err)
{
	int rc;

	*t = (struct sx_testpmd){.tty = -1};
	snprintf(t->dir, sizeof(t->dir), "/tmp/splitx-testpmd.XXXXXX");
	if (!mkdtemp(t->dir)) {
		rc = sx_fail(err, -errno, "cannot make '%s': %s", t->dir, strerror(errno));
		t->dir[0] = '\0';
		return rc;
	}
	snprintf(t->socket, sizeof(t->socket), "%s/port", t->dir);
	rc = run(t, guest_cpu, side_cpu, err);
	if (rc < 0)
		sx_testpmd_stop(t);
	return rc;
}

/* ---- forwarding ---- */

int sx_testpmd_forward(struct sx_testpmd *t, const char *mode, uint32_t bytes, struct sx_error *err)
{
	char line[48];
	int rc = 0;

	kill(t->pid, SIGCONT);
	if (t->forwarding)
		rc = command(t, "stop", "Done.", err);
	t->forwarding = false;
	snprintf(line, sizeof(line), "set txpkts %u", bytes);
	if (rc == 0)
		rc = command(t, line, PROMPT, err);
	snprintf(line, sizeof(line), "set fwd %s", mode);
	if (rc == 0)
		rc = command(t, line, "packet forwarding mode", err);
	if (rc == 0)
		rc = command(t, "start", "packets/burst", err);
	t->forwarding = rc == 0;
	return rc;
}

void sx_testpmd_pause(struct sx_testpmd *t)
{
	if (t->pid)
		kill(t->pid, SIGSTOP);
}

/* ---- the end ---- */

/* The folders it made, from the inside; its socket. What is not there need not go. */
static void remove_files(const struct sx_testpmd *t)
{
	char path[96];

	unlink(t->socket);
	snprintf(path, sizeof(path), "%s/dpdk/" PREFIX, t->dir);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/dpdk", t->dir);
	rmdir(path);
	rmdir(t->dir);
}

void sx_testpmd_stop(struct sx_testpmd *t)
{
	if (!t->dir[0])
		return;
	if (t->pid)
		sx_child_reap(t->pid, 0); /* it holds nothing that has to be saved */
	if (t->tty >= 0)
		close(t->tty);
	remove_files(t);
	*t = (struct sx_testpmd){.tty = -1};
}
