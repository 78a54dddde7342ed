// SPDX-License-Identifier: BSD-3-Clause
/*
 * Runs an emulator and attends it: shows what the host inside writes, stores the result files,
 * watches the time, and makes the command's exit status its own. lab/lab prepares everything.
 *
 *   run --log LOG [OPTION...] -- EMULATOR ARGUMENT...
 *
 *   --log LOG          the console is logged in LOG, the emulator's own words in LOG.emulator;
 *                      both are removed when the host did what it should
 *   --keep-log         keep them always
 *   --boot-timeout S   how long the host may take to start the command (60)
 *   --timeout S        how long the command, or a bare image from its start, may take (60)
 *   --result PATH      where the next result goes; may be repeated
 *   --verbose          show the console on standard error
 *   --shell            connect the terminal to the console
 *   --bare             no Linux: COM1 goes to standard output until the line SPLITX-LAB-EXIT n
 *   --remove DIR       remove this directory when the emulator is gone
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "lab/host/console.h"
#include "lab/host/emulator.h"
#include "lab/host/frames.h"
#include "lab/host/write_all.h"

/* Exit statuses of our own; all others are the command's. */
#define STATUS_TIMEOUT 124
#define STATUS_NO_HOST 125
#define STATUS_PANIC   126

#define MAX_RESULTS   256
#define PANIC_TAIL_MS 500  /* for the rest of what a panicking kernel has to say */
#define SHELL_QUIT    0x1d /* Ctrl-], as in telnet */

struct options {
	const char *log;
	const char *remove;
	long boot_timeout;
	long timeout;
	char *results[MAX_RESULTS];
	size_t result_count;
	bool keep_log;
	bool verbose;
	bool shell;
	bool bare;
	char **emulator;
};

struct run {
	const struct options *options;
	struct sx_emulator emulator;
	struct sx_console console;
	struct sx_frames frames;
	char emulator_log[4096];
	int signals;
	long long deadline; /* in ms of the monotonic clock */
	bool input_ended;
	struct termios terminal; /* to be given back; only with @raw */
	bool raw;
	int verdict; /* -1 while the host runs */
	bool host_failed;
};

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void give_terminal_back(struct run *run)
{
	if (run->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &run->terminal);
	run->raw = false;
}

/* Say in one sentence what went wrong with the host, not with the command in it. */
__attribute__((format(printf, 3, 4))) static void give_up(struct run *run, int status,
							  const char *fmt, ...)
{
	char text[SX_LAB_PAYLOAD + 256];
	va_list args;

	if (run->verdict >= 0)
		return;
	give_terminal_back(run);
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "lab: %s; its console is in %s, the emulator's own words in %s\n", text,
		run->options->log, run->emulator_log);
	run->verdict = status;
	run->host_failed = true;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	remove(path); /* what cannot be removed keeps its directory, and that is seen */
	return 0;
}

static void clean_up(struct run *run)
{
	give_terminal_back(run);
	if (!run->options->keep_log && !run->host_failed) {
		unlink(run->options->log);
		unlink(run->emulator_log);
	}
	if (run->options->remove)
		nftw(run->options->remove, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- events ----------------------------------------------------------------------------------- */

static void check_console(struct run *run)
{
	if (run->console.panicked && run->deadline > now_ms() + PANIC_TAIL_MS)
		run->deadline = now_ms() + PANIC_TAIL_MS;
	if (run->console.ended && run->verdict < 0)
		run->verdict = run->console.status;
}

/* Returns false when there is nothing to read for now, or any more. */
static bool read_console(struct run *run)
{
	char buffer[16384];
	ssize_t length = read(run->emulator.console, buffer, sizeof(buffer));
	int ret;

	if (length <= 0)
		return false;
	ret = sx_console_feed(&run->console, buffer, (size_t)length);
	if (ret < 0)
		give_up(run, STATUS_NO_HOST, "the console cannot be logged or shown: %s",
			strerror(-ret));
	check_console(run);
	return ret == 0;
}

/* From now on keys go to the host, Ctrl-C too. Until it is up, they act here. */
static void take_terminal(struct run *run)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &run->terminal) < 0)
		return;
	raw = run->terminal;
	cfmakeraw(&raw);
	run->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void check_frames(struct run *run, bool was_up)
{
	const struct sx_frames *frames = &run->frames;

	if (frames->up && !was_up) {
		run->deadline = now_ms() + run->options->timeout * 1000;
		check_console(run); /* it may have panicked already */
		if (run->options->shell)
			take_terminal(run);
	}
	if (!frames->ended)
		return;
	if (frames->failed)
		give_up(run, STATUS_NO_HOST, "the command was not run: %s", frames->text);
	else if (run->verdict < 0)
		run->verdict =
			frames->status == 0 && frames->incomplete ? STATUS_NO_HOST : frames->status;
}

static bool read_channel(struct run *run)
{
	char buffer[16384];
	ssize_t length = read(run->emulator.channel, buffer, sizeof(buffer));
	bool was_up = run->frames.up;
	int ret;

	if (length <= 0)
		return false;
	ret = sx_frames_feed(&run->frames, buffer, (size_t)length);
	if (ret == -EPROTO)
		give_up(run, STATUS_NO_HOST, "what the host sends makes no sense");
	else if (ret < 0)
		give_up(run, STATUS_NO_HOST, "the output cannot be written: %s", strerror(-ret));
	check_frames(run, was_up);
	return ret == 0;
}

/* Keys go to the console; the end of the input does not end the shell, as it types nothing. */
static void read_terminal(struct run *run)
{
	char buffer[256];
	ssize_t length = read(STDIN_FILENO, buffer, sizeof(buffer));

	if (length <= 0) {
		run->input_ended = true;
	} else if (run->raw && memchr(buffer, SHELL_QUIT, (size_t)length)) {
		give_terminal_back(run);
		fprintf(stderr, "\nlab: left by Ctrl-]\n");
		run->verdict = 0;
	} else {
		sx_write_all(run->emulator.console, buffer, (size_t)length);
	}
}

static void read_signals(struct run *run)
{
	struct signalfd_siginfo info;

	if (read(run->signals, &info, sizeof(info)) == (ssize_t)sizeof(info) && run->verdict < 0)
		run->verdict = 128 + (int)info.ssi_signo;
}

/* What is still in the pipes may be the very end of a run that went well. */
static void emulator_ended(struct run *run)
{
	while (run->verdict < 0 && read_channel(run))
		;
	while (run->verdict < 0 && read_console(run))
		;
	sx_console_flush(&run->console);
	check_console(run);
	if (run->console.panicked)
		give_up(run, STATUS_PANIC, "the host panicked");
	else if (run->frames.up)
		give_up(run, STATUS_NO_HOST, "the host ended while the command ran");
	else
		give_up(run, STATUS_NO_HOST, "the host ended before it came up");
}

static void time_is_up(struct run *run)
{
	sx_console_flush(&run->console);
	if (run->console.panicked)
		give_up(run, STATUS_PANIC, "the host panicked");
	else if (run->options->bare)
		give_up(run, STATUS_TIMEOUT, "the image did not end within %ld s",
			run->options->timeout);
	else if (run->frames.up)
		give_up(run, STATUS_TIMEOUT, "the command did not end within %ld s",
			run->options->timeout);
	else
		give_up(run, STATUS_NO_HOST, "the host did not come up within %ld s",
			run->options->boot_timeout);
}

static bool wants_input(const struct run *run)
{
	return run->options->shell && run->frames.up && !run->input_ended;
}

static void attend(struct run *run)
{
	struct pollfd fds[] = {
		{.fd = run->emulator.console, .events = POLLIN},
		{.fd = run->emulator.channel, .events = POLLIN},
		{.fd = run->signals, .events = POLLIN},
		{.fd = run->emulator.exited, .events = POLLIN},
		{.events = POLLIN},
	};

	while (run->verdict < 0) {
		long long left = run->deadline - now_ms();

		fds[4].fd = wants_input(run) ? STDIN_FILENO : -1;
		if (left <= 0)
			time_is_up(run);
		else if (poll(fds, 5, left > 60000 ? 60000 : (int)left) < 0)
			continue;
		if (fds[2].revents)
			read_signals(run);
		if (fds[4].revents)
			read_terminal(run);
		/* The console first: a bare image's last line, or why the host panicked. */
		if (fds[0].revents)
			read_console(run);
		if (fds[1].revents)
			read_channel(run);
		if (fds[3].revents)
			emulator_ended(run);
	}
}

/* --- the beginning ---------------------------------------------------------------------------- */

static _Noreturn void usage(const char *problem)
{
	fprintf(stderr, "lab: %s; use lab/lab, which knows how to call this program\n", problem);
	exit(STATUS_NO_HOST);
}

static long seconds(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < 1 || value > 1000000)
		usage("a time limit is a whole number of seconds");
	return value;
}

static void add_result(struct options *options, char *path)
{
	if (options->result_count == MAX_RESULTS)
		usage("there are too many results");
	options->results[options->result_count++] = path;
}

static struct options parse(int argc, char **argv)
{
	static const struct option known[] = {
		{"log", required_argument, NULL, 'l'},
		{"keep-log", no_argument, NULL, 'k'},
		{"boot-timeout", required_argument, NULL, 'b'},
		{"timeout", required_argument, NULL, 't'},
		{"result", required_argument, NULL, 'r'},
		{"verbose", no_argument, NULL, 'v'},
		{"shell", no_argument, NULL, 's'},
		{"bare", no_argument, NULL, 'B'},
		{"remove", required_argument, NULL, 'R'},
		{0},
	};
	struct options options = {.boot_timeout = 60, .timeout = 60};
	int option;

	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (option) {
		case 'l':
			options.log = optarg;
			break;
		case 'k':
			options.keep_log = true;
			break;
		case 'b':
			options.boot_timeout = seconds(optarg);
			break;
		case 't':
			options.timeout = seconds(optarg);
			break;
		case 'r':
			add_result(&options, optarg);
			break;
		case 'v':
			options.verbose = true;
			break;
		case 's':
			options.shell = true;
			break;
		case 'B':
			options.bare = true;
			break;
		case 'R':
			options.remove = optarg;
			break;
		default:
			usage("an option is unknown");
		}
	}
	options.emulator = argv + optind;
	if (!options.log || !options.emulator[0])
		usage("there is no log or no emulator");
	return options;
}

/* Signals arrive in the poll loop, even if they were ignored by who started us. */
static int catch_signals(void)
{
	static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
		signal(caught[i], SIG_DFL);
		sigaddset(&set, caught[i]);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN); /* a closed output is an error of write() */
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int start(struct run *run)
{
	const struct options *options = run->options;
	long limit = options->bare ? options->timeout : options->boot_timeout;

	run->signals = catch_signals();
	if (run->signals < 0)
		return -errno;
	run->console.show = options->shell ? STDOUT_FILENO : options->verbose ? STDERR_FILENO : -1;
	run->console.bare = options->bare;
	run->console.log = open(options->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (run->console.log < 0)
		return -errno;
	sx_frames_init(&run->frames, options->results, options->result_count);
	run->deadline = now_ms() + limit * 1000;
	return sx_emulator_start(&run->emulator, options->emulator, run->emulator_log,
				 options->shell);
}

int main(int argc, char **argv)
{
	struct options options = parse(argc, argv);
	struct run run = {.options = &options, .verdict = -1};
	int ret;

	if (snprintf(run.emulator_log, sizeof(run.emulator_log), "%s.emulator", options.log) >=
	    (int)sizeof(run.emulator_log))
		usage("the log's name is too long");
	ret = start(&run);
	if (ret < 0) {
		give_up(&run, STATUS_NO_HOST, "the emulator cannot be started: %s", strerror(-ret));
	} else {
		attend(&run);
		sx_emulator_stop(&run.emulator);
	}
	clean_up(&run);
	return run.verdict;
}
