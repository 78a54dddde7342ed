// SPDX-License-Identifier: BSD-3-Clause
#include "cli/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* How often the watchdog and the incidents are looked at. */
#define TICK_MS 100

#define WRITE_MAX 1024u /* less than PIPE_BUF */

#define ESCAPE_KEY '\x01' /* Ctrl-A */
#define QUIT_KEY   'x'

/* Those that stop the guest. One that is ignored, as under nohup(1), stays so. */
static void stop_signals(sigset_t *set)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction now;

		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
	}
}

/* Those and what is taken with them. */
static void all_signals(sigset_t *set)
{
	stop_signals(set);
	sigaddset(set, SIGWINCH);
}

int sx_console_block_signals(struct sx_error *err)
{
	sigset_t set;
	int rc;

	all_signals(&set);
	rc = -pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (rc < 0)
		return sx_fail(err, rc, "cannot block signals: %s", strerror(-rc));
	return 0;
}

static void tell_size(const struct sx_console *c)
{
	uint16_t cols, rows;

	if (c->guest.resized && sx_terminal_size(&cols, &rows))
		c->guest.resized(c->guest.ctx, cols, rows);
}

/*
 * A terminal that somebody has stopped takes a part of what is written and keeps the writer until
 * it takes the rest. Not one that is opened anew: standard output itself is shared with others, who
 * may not expect that it does not block.
 */
static int open_output(void)
{
	int fd = -1;

	if (isatty(STDOUT_FILENO))
		fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? STDOUT_FILENO : fd;
}

int sx_console_open(struct sx_console *c, const struct sx_console_guest *guest,
		    struct sx_sidecore *const *sidecore, unsigned sidecores, uint64_t watchdog_ns,
		    struct sx_error *err)
{
	sigset_t set;

	memset(c, 0, sizeof(*c));
	c->guest = *guest;
	c->sidecore = sidecore;
	c->sidecores = sidecores;
	c->watchdog_ns = watchdog_ns;
	c->input = true;
	all_signals(&set);
	c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->signal_fd < 0)
		return sx_fail(err, -errno, "cannot wait for signals: %s", strerror(errno));
	c->out_fd = open_output();
	sx_terminal_enter(&c->terminal, guest->all_keys);
	tell_size(c);
	return 0;
}

/* Would a write wait for the reader? What is no file or no pipe any more never does. */
static bool would_wait(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, 0) == 0;
}

/* Write from c->out; false when standard output takes nothing now. */
static bool write_some(struct sx_console *c)
{
	size_t count;
	ssize_t n;

	if (would_wait(c->out_fd))
		return false;
	/* A pipe that has room takes so much whole (pipe(7)). */
	count = c->out_end - c->out_at;
	n = write(c->out_fd, c->out + c->out_at, count < WRITE_MAX ? count : WRITE_MAX);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n < 0)
		c->out_error = errno;
	else
		c->out_at += (size_t)n;
	return true;
}

static void moved(const struct sx_console *c)
{
	if (c->guest.moved)
		c->guest.moved(c->guest.ctx);
}

/*
 * Take what the guest has said next; false when that is nothing. The first way comes first, for
 * that is where it begins to speak; but one that never ends does not silence the others.
 */
static bool take_output(struct sx_console *c)
{
	c->out_at = c->out_end = 0;
	for (unsigned i = 0; !c->out_end && i < c->guest.outs; i++) {
		struct sx_byte_queue *q = c->guest.out[c->next_out];

		c->next_out = (c->next_out + 1) % c->guest.outs;
		sx_byte_queue_ack(q);
		c->out_end = sx_byte_queue_pull(q, c->out, sizeof(c->out));
	}
	if (!c->out_end)
		c->next_out = 0;
	return c->out_end;
}

/* Write what can be written without waiting; returns whether that was all. */
static bool pump_output(struct sx_console *c)
{
	for (;;) {
		if (c->out_error)
			c->out_at = c->out_end;
		if (c->out_at == c->out_end) {
			if (!take_output(c))
				return true;
			moved(c);
		}
		if (!c->out_error && !write_some(c))
			return false;
	}
}

/* Take the user's own keys out of what was typed; returns how many bytes are the guest's. */
static size_t take_keys(struct sx_console *c, char *bytes, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		bool escape = bytes[i] == ESCAPE_KEY;

		if (c->escaped && bytes[i] == QUIT_KEY)
			c->quit = true;
		if (c->escaped ? escape : !escape)
			bytes[kept++] = bytes[i];
		c->escaped = !c->escaped && escape;
	}
	return kept;
}

/* As much as the guest has room for; the rest stays in the terminal or pipe. */
static void pump_input(struct sx_console *c)
{
	char bytes[256];
	uint32_t room = sx_byte_queue_room(c->guest.in);
	ssize_t n;

	if (!room)
		return;
	n = read(STDIN_FILENO, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		c->input = false;
	if (n <= 0)
		return;
	if (c->guest.all_keys && c->terminal.changed)
		n = (ssize_t)take_keys(c, bytes, (size_t)n);
	sx_byte_queue_push(c->guest.in, bytes, (uint32_t)n);
	moved(c);
}

/*
 * The first signal stops the guest in good order. Should that hang, on a poller that never comes
 * back, the next one ends the process at once.
 */
static int take_signal(struct sx_console *c)
{
	struct signalfd_siginfo info;
	sigset_t set;

	do {
		if (read(c->signal_fd, &info, sizeof(info)) != sizeof(info))
			return 0;
		if (info.ssi_signo == SIGWINCH)
			tell_size(c);
	} while (info.ssi_signo == SIGWINCH);
	sx_terminal_restore(&c->terminal);
	stop_signals(&set);
	/* What is written from here on is written to whoever still reads. */
	sigdelset(&set, SIGPIPE);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return (int)info.ssi_signo;
}

static void report(const char *text)
{
	fprintf(stderr, "splitx run: %s\n", text);
}

static void look_around(struct sx_console *c)
{
	char name[32];
	uint64_t held_ns;

	for (unsigned i = 0; c->watchdog_ns && i < c->sidecores; i++)
		if (sx_sidecore_watch(c->sidecore[i], &c->dog[i], c->watchdog_ns, name,
				      sizeof(name), &held_ns))
			fprintf(stderr,
				"splitx run: poller '%s' has held sidecore %u for %llu ms; the "
				"guest waits for it\n",
				name, i, (unsigned long long)(held_ns / 1000000));
	if (c->guest.incidents)
		c->guest.incidents(c->guest.ctx, report);
}

static bool said(const struct pollfd *queues)
{
	for (unsigned i = 0; i < SX_CONSOLE_MAX_OUTS; i++)
		if (queues[i].revents)
			return true;
	return false;
}

/* Wait for the next event, or a tick, and act on it; returns the signal that came, or 0. */
static int serve_once(struct sx_console *c, int done_fd, bool *done)
{
	enum { SIGNAL, DONE, OUTPUT, INPUT, CONTROL, QUEUES, COUNT = QUEUES + SX_CONSOLE_MAX_OUTS };
	/* What is not asked for is looked at again on the next tick. */
	bool writing = c->out_at != c->out_end;
	bool reading = c->input && sx_byte_queue_room(c->guest.in);
	struct pollfd fd[COUNT] = {
		[SIGNAL] = {.fd = c->signal_fd, .events = POLLIN},
		[DONE] = {.fd = done_fd, .events = POLLIN},
		[OUTPUT] = {.fd = writing ? c->out_fd : -1, .events = POLLOUT},
		[INPUT] = {.fd = reading ? STDIN_FILENO : -1, .events = POLLIN},
		[CONTROL] = {.fd = c->control ? c->control->epoll_fd : -1, .events = POLLIN},
	};

	for (unsigned i = 0; i < SX_CONSOLE_MAX_OUTS; i++)
		fd[QUEUES + i] = (struct pollfd){
			.fd = writing || i >= c->guest.outs ? -1 : c->guest.out[i]->fd,
			.events = POLLIN};
	if (poll(fd, COUNT, TICK_MS) < 0 && errno != EINTR)
		return SIGTERM;
	if (fd[OUTPUT].revents || said(&fd[QUEUES]))
		pump_output(c);
	if (fd[INPUT].revents)
		pump_input(c);
	if (fd[CONTROL].revents)
		sx_control_serve(c->control);
	look_around(c);
	*done = fd[DONE].revents != 0;
	return c->quit ? SIGINT : take_signal(c);
}

int sx_console_serve(struct sx_console *c, int done_fd)
{
	bool done = false;
	int sig = 0;

	while (!sig && !done)
		sig = serve_once(c, done_fd, &done);
	return sig;
}

int sx_console_finish(struct sx_console *c)
{
	bool nothing;
	int sig = 0;

	c->input = false;
	while (!sig && !pump_output(c))
		sig = serve_once(c, -1, &nothing);
	/* The last write may have found the reader gone. */
	return sig ? sig : take_signal(c);
}

void sx_console_close(struct sx_console *c)
{
	pump_output(c);
	look_around(c);
	sx_terminal_restore(&c->terminal);
	if (c->out_fd != STDOUT_FILENO)
		close(c->out_fd);
	close(c->signal_fd);
}
