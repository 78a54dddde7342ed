// SPDX-License-Identifier: BSD-3-Clause
/*
 * `splitx run` as a user has it: on a terminal, which is as it was afterwards however the run
 * ended; with readers that are slow, stuck or gone; stopped by signals; and its statistics.
 */
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include "tests/support/world.h"

#define SPLITX      (SX_BUILD_DIR "/splitx")
#define TEST_GUESTS SX_BUILD_DIR "/tests/guests/"
#define GUESTS      SX_BUILD_DIR "/guests/"

/* A `splitx run` whose standard input is a terminal. */
struct session {
	pid_t pid;
	int terminal; /* our end */
	int slave;    /* its end, held open so that its settings last */
	struct termios before;
	int out, err; /* our ends of pipes; -1: that goes to the terminal */
	char said[65536];
	size_t length;
};

/* ---- start, talk, end ---- */

enum redirect {
	TO_TERMINAL = 0,
	OUT_TO_PIPE = 1,
	ERR_TO_PIPE = 2,
};

struct command {
	unsigned redirect;
	const char *mode;
	const char *stats; /* NULL: none */
	const char *guest;
	int ignored; /* a signal that is ignored from the start; 0: none */
};

static _Noreturn void exec_splitx(const struct session *s, const struct command *c, int out,
				  int err)
{
	const char *argv[] = {SPLITX,     "run",    "--mode", c->mode, "--wait",
			      "pause:50", c->guest, NULL,     NULL};

	if (c->stats) {
		argv[6] = c->stats;
		argv[7] = c->guest;
	}
	/* What our own caller blocks or ignores is no business of the command. */
	for (int sig = 1; sig < SIGRTMIN; sig++)
		signal(sig, sig == c->ignored ? SIG_IGN : SIG_DFL);
	if (login_tty(s->slave) < 0 || (out >= 0 && dup2(out, STDOUT_FILENO) < 0) ||
	    (err >= 0 && dup2(err, STDERR_FILENO) < 0))
		_exit(126);
	execv(SPLITX, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void start(struct session *s, const struct command *c)
{
	int out[2] = {-1, -1}, err[2] = {-1, -1};

	s->length = 0;
	s->said[0] = '\0';
	if (c->redirect & OUT_TO_PIPE)
		assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	if (c->redirect & ERR_TO_PIPE)
		assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	assert_int_equal(openpty(&s->terminal, &s->slave, NULL, NULL, NULL), 0);
	assert_int_equal(fcntl(s->terminal, F_SETFD, FD_CLOEXEC), 0);
	assert_int_equal(tcgetattr(s->slave, &s->before), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0)
		exec_splitx(s, c, out[1], err[1]);
	if (c->redirect & OUT_TO_PIPE)
		close(out[1]);
	if (c->redirect & ERR_TO_PIPE)
		close(err[1]);
	s->out = out[0];
	s->err = err[0];
}

/* Take what has come at @fd, at most @max bytes, and at most what there is room for. */
static size_t take(struct session *s, int fd, size_t max)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t room = sizeof(s->said) - 1 - s->length;
	ssize_t n;

	if (poll(&p, 1, 2) <= 0 || !room)
		return 0;
	n = read(fd, s->said + s->length, max < room ? max : room);
	if (n <= 0)
		return 0;
	s->length += (size_t)n;
	s->said[s->length] = '\0';
	return (size_t)n;
}

/* Where the guest's words come out. */
static int words(const struct session *s)
{
	return s->out >= 0 ? s->out : s->terminal;
}

static void wait_for_words(struct session *s, const char *text)
{
	while (!strstr(s->said, text))
		take(s, words(s), sizeof(s->said));
}

static bool is_raw(const struct session *s)
{
	struct termios now;

	assert_int_equal(tcgetattr(s->slave, &now), 0);
	return !(now.c_lflag & (ICANON | ECHO));
}

static void wait_until_raw(const struct session *s)
{
	while (!is_raw(s))
		pause_a_little();
}

static void type(const struct session *s, const char *keys)
{
	assert_int_equal(write(s->terminal, keys, strlen(keys)), strlen(keys));
}

/* Each setting is what it was before. */
static void check_terminal(const struct session *s)
{
	struct termios now;

	assert_int_equal(tcgetattr(s->slave, &now), 0);
	assert_int_equal(now.c_iflag, s->before.c_iflag);
	assert_int_equal(now.c_oflag, s->before.c_oflag);
	assert_int_equal(now.c_cflag, s->before.c_cflag);
	assert_int_equal(now.c_lflag, s->before.c_lflag);
	assert_memory_equal(now.c_cc, s->before.c_cc, sizeof(now.c_cc));
}

/*
 * Wait for its end; the terminal is then as it was. What it says meanwhile is taken from @fd, from
 * nowhere if that is -1. Returns the exit status, or 1000 and the signal that killed it.
 */
static int finish(struct session *s, int fd)
{
	int status;

	while (waitpid(s->pid, &status, WNOHANG) == 0)
		if (fd < 0 || !take(s, fd, sizeof(s->said)))
			pause_a_little();
	while (fd >= 0 && take(s, fd, sizeof(s->said)))
		;
	check_terminal(s);
	close(s->slave);
	close(s->terminal);
	if (s->out >= 0)
		close(s->out);
	if (s->err >= 0)
		close(s->err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static const char *mode_of(const struct world *w)
{
	return w->way->mode == SX_SPLIT ? "split" : "trap";
}

/* ---- on a terminal ---- */

static void ends_by_itself(void **state)
{
	struct command c = {.mode = mode_of(world_of(state)), .guest = GUESTS "hello"};
	struct session s;

	start(&s, &c);
	assert_int_equal(finish(&s, s.terminal), 0);
	assert_ptr_equal(strstr(s.said, "hello from a guest"), s.said);
}

static void takes_keys_one_by_one(void **state)
{
	struct command c = {.mode = mode_of(world_of(state)), .guest = TEST_GUESTS "echo"};
	struct session s;

	start(&s, &c);
	wait_for_words(&s, "ready");
	assert_true(is_raw(&s));
	/* No line is ended here, and nothing is echoed but by the guest. */
	type(&s, "Hallo");
	wait_for_words(&s, "hALLO");
	assert_null(strstr(s.said, "Hallo"));
	type(&s, "q");
	assert_int_equal(finish(&s, s.terminal), 7);
}

static void stopped_by(struct world *w, int sig, const char *keys)
{
	struct command c = {.mode = mode_of(w), .guest = GUESTS "spin"};
	struct session s;

	start(&s, &c);
	wait_until_raw(&s);
	if (keys)
		type(&s, keys);
	else
		assert_int_equal(kill(s.pid, sig), 0);
	assert_int_equal(finish(&s, s.terminal), 128 + sig);
	/* Not a word, and what was typed was not for the guest. */
	assert_null(strstr(s.said, "splitx"));
}

static void is_stopped_by_signals(void **state)
{
	struct world *w = world_of(state);

	stopped_by(w, SIGINT, NULL);
	stopped_by(w, SIGTERM, NULL);
	stopped_by(w, SIGHUP, NULL);
	stopped_by(w, SIGQUIT, NULL);
}

static void is_stopped_by_keys(void **state)
{
	struct world *w = world_of(state);

	stopped_by(w, SIGINT, "\x03");
	stopped_by(w, SIGQUIT, "\x1c");
}

/* As under nohup(1), and as shells have it for what runs in the background. */
static void ignores_what_it_shall_ignore(void **state)
{
	static const int signals[] = {SIGINT, SIGHUP, SIGQUIT};
	const char *mode = mode_of(world_of(state));

	for (unsigned i = 0; i < 3; i++) {
		struct command c = {
			.mode = mode, .guest = TEST_GUESTS "echo", .ignored = signals[i]};
		struct session s;

		start(&s, &c);
		wait_for_words(&s, "ready");
		assert_int_equal(kill(s.pid, signals[i]), 0);
		type(&s, "x");
		wait_for_words(&s, "X");
		assert_int_equal(kill(s.pid, SIGTERM), 0);
		assert_int_equal(finish(&s, s.terminal), 128 + SIGTERM);
	}
}

static void tells_why_it_crashed(void **state)
{
	struct command c = {.mode = mode_of(world_of(state)), .guest = TEST_GUESTS "fault"};
	struct session s;

	start(&s, &c);
	assert_int_equal(finish(&s, s.terminal), 70);
	assert_non_null(strstr(s.said, "splitx run: the guest crashed: triple fault"));
	assert_ptr_equal(strchr(s.said, '\n'), strrchr(s.said, '\n'));
}

/* ---- readers ---- */

/* Line after line of the guest `talk`, as far as they have come. */
static void check_lines(const struct session *s)
{
	char line[40];

	for (size_t i = 0; (i + 1) * 16 <= s->length; i++) {
		snprintf(line, sizeof(line), "line      %05zu\n", i);
		assert_memory_equal(s->said + i * 16, line, 16);
	}
}

static void is_heard_by_a_slow_reader(void **state)
{
	struct command c = {.mode = mode_of(world_of(state)),
			    .guest = TEST_GUESTS "talk",
			    .redirect = OUT_TO_PIPE};
	struct session s;

	start(&s, &c);
	assert_true(fcntl(s.out, F_SETPIPE_SZ, 4096) >= 4096);
	while (s.length < 9000) {
		take(&s, s.out, 700);
		pause_a_little();
	}
	assert_int_equal(kill(s.pid, SIGTERM), 0);
	assert_int_equal(finish(&s, s.out), 128 + SIGTERM);
	check_lines(&s);
}

/* Nobody reads, the pipe is full, and the guest's queue too: a signal is obeyed all the same. */
static void is_stopped_while_nobody_reads(void **state)
{
	struct command c = {.mode = mode_of(world_of(state)),
			    .guest = TEST_GUESTS "talk",
			    .redirect = OUT_TO_PIPE};
	struct pollfd p = {.events = POLLIN};
	struct session s;
	int waiting = 0, before;

	start(&s, &c);
	assert_true(fcntl(s.out, F_SETPIPE_SZ, 4096) >= 4096);
	p.fd = s.out;
	assert_int_equal(poll(&p, 1, -1), 1);
	do {
		before = waiting;
		for (int i = 0; i < 50; i++)
			pause_a_little();
		assert_int_equal(ioctl(s.out, FIONREAD, &waiting), 0);
	} while (waiting != before || !waiting);
	assert_true(is_raw(&s));
	assert_int_equal(kill(s.pid, SIGTERM), 0);
	assert_int_equal(finish(&s, -1), 128 + SIGTERM);
}

static void ends_when_its_reader_goes(void **state)
{
	struct command c = {.mode = mode_of(world_of(state)),
			    .guest = TEST_GUESTS "talk",
			    .redirect = OUT_TO_PIPE};
	struct session s;

	start(&s, &c);
	wait_for_words(&s, "line      00003");
	close(s.out);
	s.out = -1;
	assert_int_equal(finish(&s, s.terminal), 128 + SIGPIPE);
}

/* ---- statistics ---- */

static json_t *member(const json_t *list, const char *key, const char *value)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *item = json_array_get(list, i);

		if (strcmp(json_string_value(json_object_get(item, key)), value) == 0)
			return item;
	}
	fail_msg("there is no %s '%s'", key, value);
	return NULL;
}

static json_int_t number(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		fail_msg("'%s' is no integer", key);
	return json_integer_value(value);
}

static void prints_statistics_as_json(void **state)
{
	struct world *w = world_of(state);
	struct command c = {.mode = mode_of(w),
			    .guest = GUESTS "hello",
			    .stats = "--stats=json",
			    .redirect = ERR_TO_PIPE};
	json_t *root, *vcpu, *uart;
	json_error_t error;
	struct session s;

	start(&s, &c);
	assert_int_equal(finish(&s, s.err), 0);
	root = json_loads(s.said, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		fail_msg("%s in line %d", error.text, error.line);
	assert_int_equal(number(root, "version"), 1);
	assert_string_equal(json_string_value(json_object_get(root, "mode")), c.mode);
	vcpu = json_array_get(json_object_get(root, "vcpus"), 0);
	assert_int_equal(json_array_size(json_object_get(root, "vcpus")), 1);
	assert_int_equal(number(vcpu, "index"), 0);
	/* The guest reads one register, prints, and ends. */
	uart = member(json_object_get(root, "devices"), "name", "uart");
	assert_int_equal(number(vcpu, "exits_forwarded"),
			 1 + number(uart, "reads") + number(uart, "writes") + 1);
	assert_int_equal(number(json_object_get(vcpu, "kvm"), "mmio_exits"), 1);
	assert_true(number(json_object_get(vcpu, "kvm"), "exits") >=
		    number(vcpu, "exits_forwarded"));
	assert_int_equal(json_array_size(json_object_get(root, "sidecores")),
			 w->way->mode == SX_SPLIT ? 1 : 0);
	json_decref(root);
}

static void prints_statistics_as_text(void **state)
{
	struct world *w = world_of(state);
	struct command c = {.mode = mode_of(w),
			    .guest = GUESTS "hello",
			    .stats = "--stats",
			    .redirect = ERR_TO_PIPE};
	struct session s;

	start(&s, &c);
	assert_int_equal(finish(&s, s.err), 0);
	assert_ptr_equal(strstr(s.said, "guest ran "), s.said);
	assert_non_null(strstr(s.said, "vCPU 0, by KVM's own counters"));
	assert_non_null(strstr(s.said, "uart"));
	if (w->way->mode == SX_SPLIT)
		assert_non_null(strstr(s.said, "sidecore 0 on CPU "));
	else
		assert_null(strstr(s.said, "sidecore"));
}

/* After a crash as well. */
static void prints_statistics_of_a_crash(void **state)
{
	struct command c = {.mode = mode_of(world_of(state)),
			    .guest = TEST_GUESTS "fault",
			    .stats = "--stats",
			    .redirect = ERR_TO_PIPE};
	struct session s;

	start(&s, &c);
	assert_int_equal(finish(&s, s.err), 70);
	assert_non_null(strstr(s.said, "vCPU 0, by KVM's own counters"));
	assert_non_null(strstr(s.said, "splitx run: the guest crashed: triple fault"));
}

/*
 * The world is there for its look at KVM and at descriptors; its sidecores would only take turns
 * with those of the command.
 */
static const struct way way_trap_mode = {SX_TRAP, 0, {SX_SPIN_HOT, 0}};
static const struct way way_split_mode = {SX_SPLIT, 0, {SX_SPIN_HOT, 0}};

#define BOTH(FUNCTION) SX_CASE(FUNCTION, trap_mode), SX_CASE(FUNCTION, split_mode)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(ends_by_itself),
		BOTH(takes_keys_one_by_one),
		BOTH(is_stopped_by_signals),
		BOTH(is_stopped_by_keys),
		BOTH(ignores_what_it_shall_ignore),
		BOTH(tells_why_it_crashed),
		BOTH(is_heard_by_a_slow_reader),
		BOTH(is_stopped_while_nobody_reads),
		BOTH(ends_when_its_reader_goes),
		BOTH(prints_statistics_as_json),
		BOTH(prints_statistics_as_text),
		BOTH(prints_statistics_of_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
