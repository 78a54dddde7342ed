// SPDX-License-Identifier: BSD-3-Clause
#include "bench/vmm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/child.h"

#define GRACE_MS 10000

int sx_vmm_start(struct sx_vmm *vmm, const char *name, const char *const *argv,
		 struct sx_error *err)
{
	int fds[2];
	int rc;

	memset(vmm, 0, sizeof(*vmm));
	vmm->fd = -1;
	snprintf(vmm->name, sizeof(vmm->name), "%s", name);
	vmm->err_fd = memfd_create("vmm-messages", MFD_CLOEXEC);
	if (vmm->err_fd < 0)
		return sx_fail(err, -errno, "cannot keep the messages of %s: %s", name,
			       strerror(errno));
	/* A socket, not pipes: writing to a dead one is an error then, and not a signal. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
		rc = sx_fail(err, -errno, "cannot make a socket for %s: %s", name, strerror(errno));
		goto close_messages;
	}
	rc = sx_child_spawn(&vmm->pid, argv[0], argv, fds[1], vmm->err_fd);
	close(fds[1]);
	vmm->fd = fds[0];
	if (rc == 0)
		return 0;
	vmm->pid = 0;
	sx_explain(err, "cannot start '%s': %s", argv[0], strerror(-rc));
	close(vmm->fd);
	vmm->fd = -1;
close_messages:
	if (vmm->err_fd >= 0)
		close(vmm->err_fd);
	vmm->err_fd = -1;
	return rc;
}

static void close_files(struct sx_vmm *vmm)
{
	if (vmm->fd >= 0)
		close(vmm->fd);
	if (vmm->err_fd >= 0)
		close(vmm->err_fd);
	vmm->fd = vmm->err_fd = -1;
}

void sx_vmm_stop(struct sx_vmm *vmm)
{
	if (vmm->pid) {
		kill(vmm->pid, SIGKILL);
		sx_child_reap(vmm->pid, GRACE_MS);
		vmm->pid = 0;
	}
	close_files(vmm);
}

/* ---- errors, with what is known ---- */

/* The last line of what the VMM wrote to its standard error, else of its guest's console. */
static void last_words(const struct sx_vmm *vmm, char *text, size_t size)
{
	char tail[256];
	off_t end = lseek(vmm->err_fd, 0, SEEK_END);
	off_t from = end > (off_t)sizeof(tail) - 1 ? end - ((off_t)sizeof(tail) - 1) : 0;
	ssize_t n = end > 0 ? pread(vmm->err_fd, tail, (size_t)(end - from), from) : 0;
	char *line;

	snprintf(text, size, "%s", vmm->last[0] ? vmm->last : "nothing");
	if (n <= 0)
		return;
	while (n > 0 && tail[n - 1] == '\n')
		n--;
	tail[n] = '\0';
	line = strrchr(tail, '\n');
	if (n > 0)
		snprintf(text, size, "%s", line ? line + 1 : tail);
}

static int bad_end(const struct sx_vmm *vmm, int status, struct sx_error *err)
{
	char said[256];

	last_words(vmm, said, sizeof(said));
	if (WIFSIGNALED(status))
		return sx_fail(err, -EIO, "%s was ended by signal %d; its last words: %s",
			       vmm->name, WTERMSIG(status), said);
	return sx_fail(err, -EIO, "%s ended too early, with exit status %d; its last words: %s",
		       vmm->name, WEXITSTATUS(status), said);
}

static int reap(struct sx_vmm *vmm)
{
	int status = sx_child_reap(vmm->pid, GRACE_MS);

	vmm->pid = 0;
	return status;
}

static int too_late(const struct sx_vmm *vmm, const char *word, unsigned seconds,
		    struct sx_error *err)
{
	char said[256];

	last_words(vmm, said, sizeof(said));
	return sx_fail(err, -EIO,
		       "the guest of %s does not come to '%s' within %u s; its last words: %s",
		       vmm->name, word, seconds, said);
}

/* ---- lines ---- */

/* More input; 0 at its end, -ETIMEDOUT. */
static ssize_t fill(struct sx_vmm *vmm, int64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = vmm->fd, .events = POLLIN};
		int64_t left = deadline - sx_child_now_ms();
		ssize_t n;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) <= 0)
			continue; /* the time is over, or a signal came */
		n = read(vmm->fd, vmm->input, sizeof(vmm->input));
		if (n < 0 && errno == EINTR)
			continue;
		vmm->at = 0;
		vmm->end = n > 0 ? (size_t)n : 0;
		return n > 0 ? n : 0;
	}
}

/* One line into vmm->line, cut where it is too long; 1, 0 at the end of all, or -ETIMEDOUT. */
static int next_line(struct sx_vmm *vmm, int64_t deadline)
{
	size_t length = 0;

	for (;;) {
		char c;

		if (vmm->at == vmm->end) {
			ssize_t n = fill(vmm, deadline);

			if (n <= 0)
				return (int)n;
		}
		c = vmm->input[vmm->at++];
		if (c == '\n')
			break;
		if (c != '\r' && c != '\0' && length + 1 < sizeof(vmm->line))
			vmm->line[length++] = c;
	}
	vmm->line[length] = '\0';
	return 1;
}

static int another_word(const struct sx_vmm *vmm, const char *word, const char *said,
			struct sx_error *err)
{
	if (strncmp(said, "failed ", 7) == 0)
		return sx_fail(err, -EIO, "the guest of %s says: %.300s", vmm->name, said + 7);
	return sx_fail(err, -EIO, "the guest of %s says '%.100s' where '%s' was expected",
		       vmm->name, said, word);
}

int sx_vmm_expect(struct sx_vmm *vmm, const char *word, unsigned seconds, const char **rest,
		  struct sx_error *err)
{
	int64_t deadline = sx_child_now_ms() + (int64_t)seconds * 1000;
	size_t length = strlen(word);

	for (;;) {
		int rc = next_line(vmm, deadline);
		const char *said;

		if (rc <= 0)
			return rc < 0 ? too_late(vmm, word, seconds, err)
				      : bad_end(vmm, reap(vmm), err);
		/* Something unfinished may stand before it. */
		said = strstr(vmm->line, SX_VMM_SIGN);
		if (!said) {
			if (vmm->line[0])
				snprintf(vmm->last, sizeof(vmm->last), "%.150s", vmm->line);
			continue;
		}
		said += strlen(SX_VMM_SIGN);
		if (strncmp(said, word, length) != 0 ||
		    (said[length] != ' ' && said[length] != '\0'))
			return another_word(vmm, word, said, err);
		*rest = said + length + (said[length] == ' ');
		return 0;
	}
}

int sx_vmm_say(struct sx_vmm *vmm, const char *text, struct sx_error *err)
{
	size_t length = strlen(text);

	if (send(vmm->fd, text, length, MSG_NOSIGNAL) != (ssize_t)length)
		return bad_end(vmm, reap(vmm), err);
	return 0;
}

int sx_vmm_finish(struct sx_vmm *vmm, unsigned seconds, struct sx_error *err)
{
	int64_t deadline = sx_child_now_ms() + (int64_t)seconds * 1000;
	int rc, status;

	do {
		rc = next_line(vmm, deadline);
	} while (rc > 0);
	if (rc < 0)
		return too_late(vmm, "its end", seconds, err);
	if (!sx_child_ends_within(vmm->pid, GRACE_MS))
		return too_late(vmm, "its end", seconds, err);
	status = reap(vmm);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : bad_end(vmm, status, err);
}
