// SPDX-License-Identifier: BSD-3-Clause
/*
 * `splitx run` as a user has it: on a terminal, which is as it was afterwards however the run
 * ended; with readers that are slow, stuck or gone; stopped by signals; and its statistics.
 */
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/support/session.h"
#include "tests/support/world.h"

#define TEST_GUESTS SX_BUILD_DIR "/tests/guests/"
#define GUESTS      SX_BUILD_DIR "/guests/"

static const char *mode_of(const struct world *w)
{
	return w->way->mode == SX_SPLIT ? "split" : "trap";
}

/* ---- on a terminal ---- */

static void ends_by_itself(void **state)
{
	struct session_command c = {.mode = mode_of(world_of(state)), .args = {GUESTS "hello"}};
	struct session s;

	session_start(&s, &c);
	assert_int_equal(session_finish(&s, s.terminal), 0);
	assert_ptr_equal(strstr(s.said, "hello from a guest"), s.said);
}

static void takes_keys_one_by_one(void **state)
{
	struct session_command c = {.mode = mode_of(world_of(state)), .args = {TEST_GUESTS "echo"}};
	struct session s;

	session_start(&s, &c);
	session_expect(&s, "ready");
	assert_true(session_is_raw(&s));
	/* No line is ended here, and nothing is echoed but by the guest. */
	session_type(&s, "Hallo");
	session_expect(&s, "hALLO");
	assert_null(strstr(s.said, "Hallo"));
	session_type(&s, "q");
	assert_int_equal(session_finish(&s, s.terminal), 7);
}

static void stopped_by(struct world *w, int sig, const char *keys)
{
	struct session_command c = {.mode = mode_of(w), .args = {GUESTS "spin"}};
	struct session s;

	session_start(&s, &c);
	session_wait_until_raw(&s);
	if (keys)
		session_type(&s, keys);
	else
		assert_int_equal(kill(s.pid, sig), 0);
	assert_int_equal(session_finish(&s, s.terminal), 128 + sig);
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
		struct session_command c = {
			.mode = mode, .args = {TEST_GUESTS "echo"}, .ignored = signals[i]};
		struct session s;

		session_start(&s, &c);
		session_expect(&s, "ready");
		assert_int_equal(kill(s.pid, signals[i]), 0);
		session_type(&s, "x");
		session_expect(&s, "X");
		assert_int_equal(kill(s.pid, SIGTERM), 0);
		assert_int_equal(session_finish(&s, s.terminal), 128 + SIGTERM);
	}
}

static void tells_why_it_crashed(void **state)
{
	struct session_command c = {.mode = mode_of(world_of(state)),
				    .args = {TEST_GUESTS "fault"}};
	struct session s;

	session_start(&s, &c);
	assert_int_equal(session_finish(&s, s.terminal), 70);
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
	struct session_command c = {.mode = mode_of(world_of(state)),
				    .args = {TEST_GUESTS "talk"},
				    .redirect = SESSION_OUT_TO_PIPE};
	struct session s;

	session_start(&s, &c);
	assert_true(fcntl(s.out, F_SETPIPE_SZ, 4096) >= 4096);
	while (s.length < 9000) {
		session_take(&s, s.out, 700);
		pause_a_little();
	}
	assert_int_equal(kill(s.pid, SIGTERM), 0);
	assert_int_equal(session_finish(&s, s.out), 128 + SIGTERM);
	check_lines(&s);
}

/* Nobody reads, the pipe is full, and the guest's queue too: a signal is obeyed all the same. */
static void is_stopped_while_nobody_reads(void **state)
{
	struct session_command c = {.mode = mode_of(world_of(state)),
				    .args = {TEST_GUESTS "talk"},
				    .redirect = SESSION_OUT_TO_PIPE};
	struct pollfd p = {.events = POLLIN};
	struct session s;
	int waiting = 0, before;

	session_start(&s, &c);
	assert_true(fcntl(s.out, F_SETPIPE_SZ, 4096) >= 4096);
	p.fd = s.out;
	assert_int_equal(poll(&p, 1, -1), 1);
	do {
		before = waiting;
		for (int i = 0; i < 50; i++)
			pause_a_little();
		assert_int_equal(ioctl(s.out, FIONREAD, &waiting), 0);
	} while (waiting != before || !waiting);
	assert_true(session_is_raw(&s));
	assert_int_equal(kill(s.pid, SIGTERM), 0);
	assert_int_equal(session_finish(&s, -1), 128 + SIGTERM);
}

static void ends_when_its_reader_goes(void **state)
{
	struct session_command c = {.mode = mode_of(world_of(state)),
				    .args = {TEST_GUESTS "talk"},
				    .redirect = SESSION_OUT_TO_PIPE};
	struct session s;

	session_start(&s, &c);
	session_expect(&s, "line      00003");
	close(s.out);
	s.out = -1;
	assert_int_equal(session_finish(&s, s.terminal), 128 + SIGPIPE);
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
	struct session_command c = {.mode = mode_of(w),
				    .args = {"--stats=json", GUESTS "hello"},
				    .redirect = SESSION_ERR_TO_PIPE};
	json_t *root, *vcpu, *uart;
	json_error_t error;
	struct session s;

	session_start(&s, &c);
	assert_int_equal(session_finish(&s, s.err), 0);
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
	struct session_command c = {.mode = mode_of(w),
				    .args = {"--stats", GUESTS "hello"},
				    .redirect = SESSION_ERR_TO_PIPE};
	struct session s;

	session_start(&s, &c);
	assert_int_equal(session_finish(&s, s.err), 0);
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
	struct session_command c = {.mode = mode_of(world_of(state)),
				    .args = {"--stats", TEST_GUESTS "fault"},
				    .redirect = SESSION_ERR_TO_PIPE};
	struct session s;

	session_start(&s, &c);
	assert_int_equal(session_finish(&s, s.err), 70);
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
