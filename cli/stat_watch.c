// SPDX-License-Identifier: BSD-3-Clause
#include "cli/stat_watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bench/term.h"
#include "cli/control_client.h"
#include "cli/control_folder.h"
#include "cli/stats_diff.h"
#include "cli/stats_print.h"
#include "cli/status.h"
#include "ipc/wait.h"

struct watch {
	const struct sx_stat_watch_options *options;
	pid_t pid;
	int fd;        /* the connection; -1: none */
	int signal_fd; /* of those that end us in good order */
	struct sx_term term;
	unsigned shown; /* lines of the last table, to be written over */
	json_t *last;   /* the snapshot before */
};

/* ---- show ---- */

static unsigned terminal_lines(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1 ? size.ws_row : 24;
}

/* Over the table before, and no more than fits, or the terminal would scroll. */
static void show_in_place(struct watch *w, const char *text)
{
	unsigned room = terminal_lines() - 1;

	/* ECMA-48: cursor up, erase to the end of the display. */
	if (w->shown)
		printf("\033[%uA\033[J", w->shown);
	for (w->shown = 0; *text && w->shown < room; w->shown++) {
		size_t length = strcspn(text, "\n");
		size_t fits = w->term.width && length >= w->term.width ? w->term.width - 1 : length;

		printf("%.*s\n", (int)fits, text);
		text += length + (text[length] == '\n');
	}
}

static int show_table(struct watch *w, const json_t *now, const json_t *difference)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return -ENOMEM;
	sx_stats_print_rates(f, now, difference);
	if (fclose(f) != 0) {
		free(text);
		return -ENOMEM;
	}
	if (w->term.live)
		show_in_place(w, text);
	else
		printf("%s\n", text);
	free(text);
	return 0;
}

static int show_json(json_t *now, json_t *difference)
{
	json_t *line = json_pack("{s:O, s:O}", "total", now, "difference", difference);
	int rc = line ? json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6)) : -1;

	json_decref(line);
	putchar('\n');
	return rc < 0 ? -ENOMEM : 0;
}

static int show(struct watch *w, json_t *now, struct sx_error *err)
{
	json_t *difference = sx_stats_difference(w->last, now);
	int rc = -ENOMEM;

	if (difference)
		rc = w->options->json ? show_json(now, difference) : show_table(w, now, difference);
	json_decref(difference);
	if (rc == 0 && fflush(stdout) != 0)
		return sx_fail(err, -errno, "standard output cannot be written: %s",
			       strerror(errno));
	return rc;
}

/* ---- ask ---- */

/* -ECONNRESET: the guest has ended. */
static int reconnect(struct watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = sx_control_connect(w->pid, NULL);
	return w->fd < 0 ? -ECONNRESET : 0;
}

/* The run closes the connection of who is quiet when many ask. */
static int ask(struct watch *w, json_t **now, struct sx_error *err)
{
	int rc = sx_control_ask(w->fd, "stats", SX_STAT_TIMEOUT_MS, now, err);

	if (rc == -ECONNRESET)
		rc = reconnect(w);
	else
		return rc;
	return rc < 0 ? rc : sx_control_ask(w->fd, "stats", SX_STAT_TIMEOUT_MS, now, err);
}

/* ---- wait ---- */

static int open_signals(struct watch *w, struct sx_error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	w->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return w->signal_fd < 0
		       ? sx_fail(err, -errno, "cannot wait for signals: %s", strerror(errno))
		       : 0;
}

static int take_signal(const struct watch *w)
{
	struct signalfd_siginfo info;

	return read(w->signal_fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

/* Until @end_ns: 0. Before that: the signal that came, or -ECONNRESET, the guest has ended. */
static int wait_until(struct watch *w, uint64_t end_ns)
{
	for (;;) {
		uint64_t now = sx_now_ns();
		uint64_t left_ms = now < end_ns ? (end_ns - now + 999999) / 1000000 : 0;
		struct pollfd fd[] = {
			{.fd = w->signal_fd, .events = POLLIN},
			{.fd = w->fd, .events = POLLIN},
		};
		int sig;

		if (!left_ms)
			return 0;
		if (poll(fd, 2, (int)left_ms) < 0 && errno != EINTR)
			return -errno;
		sig = fd[0].revents ? take_signal(w) : 0;
		if (sig)
			return sig;
		/* It says nothing unasked: it has closed. */
		if (fd[1].revents && reconnect(w) < 0)
			return -ECONNRESET;
	}
}

/* ---- watch ---- */

/* A signal's number, or a negative errno. */
static int look(struct watch *w, uint64_t end_ns, struct sx_error *err)
{
	json_t *now = NULL;
	int rc = wait_until(w, end_ns);

	if (rc == 0)
		rc = ask(w, &now, err);
	if (rc == 0)
		rc = show(w, now, err);
	if (now) {
		json_decref(w->last);
		w->last = now;
	}
	return rc;
}

static int watch(struct watch *w, struct sx_error *err)
{
	uint64_t next_ns = sx_now_ns();
	int rc = ask(w, &w->last, err);

	for (uint64_t i = 0; rc == 0 && (!w->options->count || i < w->options->count); i++) {
		next_ns += w->options->interval_ns;
		/* Who was stopped for a while does not catch up. */
		if (next_ns < sx_now_ns())
			next_ns = sx_now_ns() + w->options->interval_ns;
		rc = look(w, next_ns, err);
	}
	return rc;
}

int sx_stat_watch(pid_t pid, const struct sx_stat_watch_options *o, int *status,
		  struct sx_error *err)
{
	struct watch w = {.options = o, .pid = pid, .signal_fd = -1};
	int rc;

	w.fd = sx_control_connect(pid, err);
	if (w.fd < 0)
		return w.fd;
	w.term = sx_term_of(stdout);
	rc = open_signals(&w, err);
	if (rc == 0)
		rc = watch(&w, err);
	json_decref(w.last);
	if (w.signal_fd >= 0)
		close(w.signal_fd);
	if (w.fd >= 0)
		close(w.fd);
	if (rc == -ECONNRESET) {
		fprintf(stderr, "splitx stat: guest %d has ended\n", (int)pid);
		rc = 0;
	}
	if (rc > 0)
		*status = SX_STATUS_SIGNAL(rc);
	return rc < 0 ? rc : 0;
}
