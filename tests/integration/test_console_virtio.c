// SPDX-License-Identifier: BSD-3-Clause
/*
 * `splitx run --console virtio` on a terminal, with the kernel tests/kernels/console.c: both its
 * ways to speak come out, keys go in, Ctrl-A is the user's, and the terminal's size reaches the
 * device, at first and when it changes.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tests/support/session.h"
#include "tests/support/world.h"

#define KERNEL (SX_BUILD_DIR "/tests/kernels/console")

static const struct winsize usual = {.ws_col = 80, .ws_row = 24};

static void open_session(struct session *s, const struct world *w, const struct winsize *size)
{
	const struct session_command c = {
		.mode = w->way->mode == SX_SPLIT ? "split" : "trap",
		.args = {"--watchdog", "0", "--kernel", KERNEL, "--console", "virtio"},
		.size = size,
	};

	session_start(s, &c);
	session_expect(s, "ready\r\r\n");
}

/* Its power switch; what it said last comes out. */
static void close_session(struct session *s)
{
	session_type(s, "q");
	assert_int_equal(session_finish(s, s->terminal), 0);
}

static void speaks_and_hears(void **state)
{
	struct session s;

	open_session(&s, world_of(state), &usual);
	/* First by the serial port, then by the console; nothing else. */
	assert_string_equal(s.said, "early\r\r\nsize 80x24\r\r\nready\r\r\n");
	assert_true(session_is_raw(&s));
	session_type(&s, "Hallo");
	session_expect(&s, "hALLO");
	assert_null(strstr(s.said, "Hallo"));
	close_session(&s);
}

/* Keys that otherwise send signals or edit lines are the guest's. */
static void gets_every_key(void **state)
{
	struct session s;

	open_session(&s, world_of(state), &usual);
	session_type(&s, "\x03\x1a\x1c\x04\x11\x13\r\x7f");
	session_expect(&s, "<3><26><28><4><17><19><13><127>");
	/* Twice Ctrl-A is one for it, and another key behind Ctrl-A is nobody's. */
	session_type(&s, "\x01\x01\x01"
			 "ab");
	session_expect(&s, "<1>B");
	close_session(&s);
}

static void is_stopped_by_its_user(void **state)
{
	struct session s;

	open_session(&s, world_of(state), &usual);
	session_type(&s, "\x01x");
	assert_int_equal(session_finish(&s, s.terminal), 128 + SIGINT);
	assert_null(strstr(s.said, "splitx"));
}

/* A terminal that was stopped: nobody takes what comes out at its other side, and it is full. */
static void is_stopped_when_nobody_reads(void **state)
{
	struct pollfd p = {.events = POLLOUT};
	struct session s;

	open_session(&s, world_of(state), &usual);
	p.fd = s.slave;
	session_type(&s, "*");
	for (unsigned full = 0; full < 20; full++) {
		if (poll(&p, 1, 0) != 0)
			full = 0;
		pause_a_little();
	}
	session_type(&s, "\x01x");
	assert_int_equal(session_finish(&s, -1), 128 + SIGINT);
}

static void resize(const struct session *s, unsigned short cols, unsigned short rows)
{
	const struct winsize size = {.ws_col = cols, .ws_row = rows};

	assert_int_equal(ioctl(s->terminal, TIOCSWINSZ, &size), 0);
}

static void is_told_the_size(void **state)
{
	struct session s;

	open_session(&s, world_of(state), &usual);
	resize(&s, 132, 43);
	session_expect(&s, "size 132x43");
	resize(&s, 1, 2);
	session_expect(&s, "size 1x2\r");
	/* The size alone disturbs nothing else. */
	session_type(&s, "x");
	session_expect(&s, "X");
	close_session(&s);
}

static void needs_no_size(void **state)
{
	struct session s;

	open_session(&s, world_of(state), NULL);
	assert_non_null(strstr(s.said, "size 0x0"));
	resize(&s, 100, 50);
	session_expect(&s, "size 100x50");
	close_session(&s);
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
		BOTH(speaks_and_hears),       BOTH(gets_every_key),
		BOTH(is_stopped_by_its_user), BOTH(is_stopped_when_nobody_reads),
		BOTH(is_told_the_size),       BOTH(needs_no_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
