// SPDX-License-Identifier: BSD-3-Clause
#include "cli/console.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* How often the watchdog and the incidents are looked at. */
#define TICK_MS 100

static void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

int sx_console_block_signals(struct sx_error *err)
{
	sigset_t set;
	int rc;

	stop_signals(&set);
	rc = -pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (rc < 0)
		return sx_fail(err, rc, "cannot block signals: %s", strerror(-rc));
	return 0;
}

int sx_console_open(struct sx_console *c, struct sx_machine *m, struct sx_sidecore *const *sidecore,
		    unsigned sidecores, uint64_t watchdog_ns, struct sx_error *err)
{
	sigset_t set;

	memset(c, 0, sizeof(*c));
	c->m = m;
	c->sidecore = sidecore;
	c->sidecores = sidecores;
	c->watchdog_ns = watchdog_ns;
	c->input = true;
	stop_signals(&set);
	c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->signal_fd < 0)
		return sx_fail(err, -errno, "cannot wait for signals: %s", strerror(errno));
	sx_terminal_enter(&c->terminal);
	return 0;
}

/* All of it, however slow the reader; a reader that has gone gets nothing more. */
static void write_out(const char *bytes, size_t count)
{
	while (count) {
		ssize_t n = write(STDOUT_FILENO, bytes, count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		bytes += n;
		count -= (size_t)n;
	}
}

static void pump_output(struct sx_console *c)
{
	char bytes[1024];
	uint32_t n;

	sx_byte_queue_ack(&c->m->console_out);
	while ((n = sx_byte_queue_pull(&c->m->console_out, bytes, sizeof(bytes))))
		write_out(bytes, n);
}

/* As much as the guest has room for; the rest stays in the terminal or pipe. */
static void pump_input(struct sx_console *c)
{
	char bytes[256];
	uint32_t room = sx_byte_queue_room(&c->m->console_in);
	ssize_t n;

	if (!room)
		return;
	n = read(STDIN_FILENO, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
	if (n > 0)
		sx_byte_queue_push(&c->m->console_in, bytes, (uint32_t)n);
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		c->input = false;
}

/*
 * The first signal stops the guest in good order. Should that hang, on a poller that never comes
 * back, the next one ends the process at once.
 */
static int take_signal(struct sx_console *c)
{
	struct signalfd_siginfo info;
	sigset_t set;

	if (read(c->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	sx_terminal_restore(&c->terminal);
	stop_signals(&set);
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
	sx_machine_incidents(c->m, report);
}

int sx_console_serve(struct sx_console *c, int done_fd)
{
	enum { SIGNAL, DONE, OUTPUT, INPUT, COUNT };
	struct pollfd fd[COUNT] = {
		[SIGNAL] = {.fd = c->signal_fd, .events = POLLIN},
		[DONE] = {.fd = done_fd, .events = POLLIN},
		[OUTPUT] = {.fd = c->m->console_out.fd, .events = POLLIN},
		[INPUT] = {.events = POLLIN},
	};

	for (;;) {
		/* A full queue is looked at again on the next tick. */
		bool take = c->input && sx_byte_queue_room(&c->m->console_in);
		int sig;

		fd[INPUT].fd = take ? STDIN_FILENO : -1;
		if (poll(fd, COUNT, TICK_MS) < 0 && errno != EINTR)
			return SIGTERM;
		if (fd[OUTPUT].revents)
			pump_output(c);
		if (fd[INPUT].revents)
			pump_input(c);
		look_around(c);
		sig = fd[SIGNAL].revents ? take_signal(c) : 0;
		if (sig)
			return sig;
		if (fd[DONE].revents)
			return 0;
	}
}

void sx_console_close(struct sx_console *c)
{
	pump_output(c);
	look_around(c);
	sx_terminal_restore(&c->terminal);
	close(c->signal_fd);
}
