// SPDX-License-Identifier: BSD-3-Clause
/*
 * `splitx stat` as a user has it: it shows the exact counts of a guest that runs, of the one that
 * is meant; a terminal is as it was afterwards; and it says why when there is nothing to show.
 *
 * test-timeout: 600 (a busy machine)
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cli/control_folder.h"
#include "tests/support/json.h"
#include "tests/support/world.h"

#define SPLITX (SX_BUILD_DIR "/splitx")
#define COUNT  (SX_BUILD_DIR "/tests/guests/count")

/* What tests/guests/count.c does. */
#define READS  100
#define WRITES 40
#define POSTS  30

#define MAX_WORDS 8

/* A process whose words we hear. */
struct child {
	pid_t pid;
	int out, err; /* pipes; out may be a terminal instead */
	char said[1 << 20];
	size_t length;
};

static char dir[32]; /* of the sockets of this program's runs */
static bool alone;   /* no other runs are seen */

/* ---- start, hear, end ---- */

static void start_on(struct child *c, int out, const char *const *words)
{
	const char *argv[MAX_WORDS + 2] = {SPLITX};
	int err[2];

	for (unsigned i = 0; words[i]; i++) {
		assert_true(i < MAX_WORDS);
		argv[i + 1] = words[i];
	}
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	c->length = 0;
	c->said[0] = '\0';
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0) {
		for (int sig = 1; sig < SIGRTMIN; sig++)
			signal(sig, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* after a case that failed */
		setenv("TERM", "xterm", 1);
		if (dup2(out, STDOUT_FILENO) < 0 || dup2(err[1], STDERR_FILENO) < 0)
			_exit(126);
		execv(SPLITX, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(err[1]);
	c->err = err[0];
}

static void start(struct child *c, const char *const *words)
{
	int out[2];

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	start_on(c, out[1], words);
	close(out[1]);
	c->out = out[0];
}

#define START(CHILD, ...) start(CHILD, (const char *const[]){__VA_ARGS__, NULL})

/* More of what it says at @fd; false when it says no more. */
static bool hear(struct child *c, int fd)
{
	size_t room = sizeof(c->said) - 1 - c->length;
	ssize_t n;

	assert_true(room > 0);
	n = read(fd, c->said + c->length, room);
	if (n <= 0)
		return false;
	c->length += (size_t)n;
	c->said[c->length] = '\0';
	return true;
}

/* Hear all it says, its errors too, until its end; returns its status, or 1000 and the signal. */
static int finish(struct child *c)
{
	int status;

	while (hear(c, c->out))
		;
	while (hear(c, c->err))
		;
	close(c->out);
	close(c->err);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* ---- guests ---- */

static const char *pid_text(const struct child *c)
{
	static char text[16];

	snprintf(text, sizeof(text), "%d", (int)c->pid);
	return text;
}

/* A guest that has done what it does, and spins. */
static void start_guest(struct child *c, const struct world *w)
{
	START(c, "run", "--mode", w->way->mode == SX_SPLIT ? "split" : "trap", "--wait", "pause:50",
	      COUNT);
	while (!strstr(c->said, "done\n"))
		if (!hear(c, c->out))
			fail_msg("the guest ended: %s", c->said);
}

static void stop_guest(struct child *c)
{
	kill(c->pid, SIGTERM);
	assert_int_equal(finish(c), 128 + SIGTERM);
}

static struct child guest, stat_, other;

/* ---- counts ---- */

static void check_total(const json_t *stats, const struct child *of, bool split)
{
	const json_t *dev = json_member(json_object_get(stats, "devices"), "name", "testdev");
	const json_t *kick = json_member(json_object_get(stats, "devices"), "name", "ring-kick");
	const json_t *uart = json_member(json_object_get(stats, "devices"), "name", "uart");
	const json_t *vcpu = json_array_get(json_object_get(stats, "vcpus"), 0);
	const json_t *ring = json_member(json_object_get(stats, "rings"), "ring", "stream");
	json_int_t kicks = json_number(kick, "writes");

	assert_int_equal(json_number(stats, "version"), 1);
	assert_int_equal(json_number(stats, "pid"), of->pid);
	assert_string_equal(json_string_value(json_object_get(stats, "mode")),
			    split ? "split" : "trap");
	assert_string_equal(json_string_value(json_object_get(stats, "guest")), COUNT);
	assert_int_equal(json_number(dev, "reads"), READS);
	assert_int_equal(json_number(dev, "writes"), WRITES);
	assert_int_equal(json_number(ring, "messages"), POSTS);
	/* In split mode only to wake a sidecore. */
	assert_in_range(kicks, split ? 0 : POSTS, POSTS);
	assert_int_equal(json_number(vcpu, "exits_forwarded"), READS + WRITES + kicks +
								       json_number(uart, "reads") +
								       json_number(uart, "writes"));
	if (json_object_get(json_object_get(vcpu, "kvm"), "mmio_exits"))
		assert_int_equal(json_number(json_object_get(vcpu, "kvm"), "mmio_exits"),
				 READS + WRITES + kicks);
	assert_int_equal(json_array_size(json_object_get(stats, "sidecores")), split);
}

static void check_difference(const json_t *d)
{
	const json_t *dev = json_member(json_object_get(d, "devices"), "name", "testdev");
	const json_t *vcpu = json_array_get(json_object_get(d, "vcpus"), 0);

	assert_true(json_number(d, "guest_ns") > 0);
	assert_int_equal(json_number(dev, "reads"), 0);
	assert_int_equal(json_number(vcpu, "exits_forwarded"), 0);
}

static void shows_the_exact_counts(void **state)
{
	struct world *w = world_of(state);
	bool split = w->way->mode == SX_SPLIT;
	char *line, *save = NULL;
	unsigned lines = 0;

	start_guest(&guest, w);
	START(&stat_, "stat", pid_text(&guest), "--json", "--count", "2", "--interval", "0.2");
	assert_int_equal(finish(&stat_), 0);
	for (line = strtok_r(stat_.said, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

		assert_non_null(json);
		check_total(json_object_get(json, "total"), &guest, split);
		check_difference(json_object_get(json, "difference"));
		json_decref(json);
		lines++;
	}
	assert_int_equal(lines, 2);
	stop_guest(&guest);
}

static void shows_a_table_in_a_pipe(void **state)
{
	struct world *w = world_of(state);

	start_guest(&guest, w);
	START(&stat_, "stat", pid_text(&guest), "--count", "2", "--interval", "0.1");
	assert_int_equal(finish(&stat_), 0);
	assert_null(strchr(stat_.said, '\033'));
	assert_ptr_equal(strstr(stat_.said, "guest "), stat_.said);
	assert_non_null(strstr(stat_.said, "\n\nguest "));
	assert_non_null(strstr(stat_.said, "\ndevice, by exits "));
	stop_guest(&guest);
}

/* ---- while it watches ---- */

static void ends_with_its_guest(void **state)
{
	struct world *w = world_of(state);

	start_guest(&guest, w);
	START(&stat_, "stat", pid_text(&guest), "--interval", "0.1");
	while (!strstr(stat_.said, "\n\n"))
		assert_true(hear(&stat_, stat_.out));
	stop_guest(&guest);
	assert_int_equal(finish(&stat_), 0);
	assert_non_null(strstr(stat_.said, "has ended\n"));
}

/* It need not wait for its interval to see that. */
static void ends_at_once_with_its_guest(void **state)
{
	struct world *w = world_of(state);

	start_guest(&guest, w);
	START(&stat_, "stat", pid_text(&guest), "--interval", "86400");
	/* It may be killed before it has asked; then it finds none. */
	assert_int_equal(kill(guest.pid, SIGKILL), 0);
	assert_int_equal(finish(&guest), 1000 + SIGKILL);
	if (finish(&stat_) == 0)
		assert_non_null(strstr(stat_.said, "has ended\n"));
	else
		assert_non_null(strstr(stat_.said, "process "));
}

/* On a terminal each table is written over the one before, and leaves all as it was. */
static void writes_over_its_table(void **state)
{
	struct winsize size = {.ws_row = 6, .ws_col = 40};
	struct world *w = world_of(state);
	struct termios before = {0}, now = {0};
	int terminal, slave;

	start_guest(&guest, w);
	assert_int_equal(openpty(&terminal, &slave, NULL, NULL, &size), 0);
	assert_int_equal(tcgetattr(slave, &before), 0);
	start_on(&stat_, slave, (const char *const[]){"stat", "--interval", "0.1", NULL});
	stat_.out = terminal;
	/* It has as many lines as fit. */
	while (!strstr(stat_.said, "\033[5A\033[J"))
		assert_true(hear(&stat_, terminal));
	assert_int_equal(kill(stat_.pid, SIGINT), 0);
	assert_int_equal(waitid(P_PID, (id_t)stat_.pid, NULL, WEXITED | WNOWAIT), 0);
	assert_int_equal(tcgetattr(slave, &now), 0);
	assert_memory_equal(&now, &before, sizeof(now));
	close(slave);
	assert_int_equal(finish(&stat_), 128 + SIGINT);
	for (const char *at = strtok(stat_.said, "\r\n"); at; at = strtok(NULL, "\r\n"))
		assert_true(strlen(at) < size.ws_col + strlen("\033[5A\033[J"));
	stop_guest(&guest);
}

static void tells_that_it_cannot_write(void **state)
{
	struct world *w = world_of(state);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_true(full >= 0);
	start_guest(&guest, w);
	start_on(&stat_, full, (const char *const[]){"stat", pid_text(&guest), NULL});
	stat_.out = full;
	assert_int_equal(finish(&stat_), 74);
	assert_non_null(strstr(stat_.said, "standard output cannot be written: No space left"));
	stop_guest(&guest);
}

/* ---- which one ---- */

static void need_no_others(void)
{
	if (!alone) {
		print_message("# skipped: others may run guests here; as root they are hidden\n");
		skip();
	}
}

static void takes_the_only_one(void **state)
{
	struct world *w = world_of(state);

	need_no_others();
	start_guest(&guest, w);
	START(&stat_, "stat", "--count", "1", "--interval", "0.1", "--json");
	assert_int_equal(finish(&stat_), 0);
	assert_non_null(strstr(stat_.said, pid_text(&guest)));
	stop_guest(&guest);
}

static void lists_those_that_run(void **state)
{
	struct world *w = world_of(state);
	json_t *list;

	need_no_others();
	START(&stat_, "stat", "--list", "--json");
	assert_int_equal(finish(&stat_), 0);
	list = json_loads(stat_.said, 0, NULL);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	start_guest(&guest, w);
	start_guest(&other, w);
	START(&stat_, "stat", "--list", "--json");
	assert_int_equal(finish(&stat_), 0);
	list = json_loads(stat_.said, 0, NULL);
	assert_int_equal(json_array_size(list), 2);
	json_decref(list);
	START(&stat_, "stat", "--list");
	assert_int_equal(finish(&stat_), 0);
	assert_non_null(strstr(stat_.said, pid_text(&guest)));
	assert_non_null(strstr(stat_.said, pid_text(&other)));
	/* And when it cannot know which one is meant. */
	START(&stat_, "stat");
	assert_int_equal(finish(&stat_), 64);
	assert_non_null(strstr(stat_.said, pid_text(&other)));
	assert_non_null(strstr(stat_.said, "2 guests run; say which by its PID\n"));
	stop_guest(&other);
	stop_guest(&guest);
}

/* ---- refusals ---- */

static void want_refusal(int status, const char *says)
{
	assert_int_equal(finish(&stat_), status);
	assert_ptr_equal(strstr(stat_.said, "splitx stat: "), stat_.said);
	assert_non_null(strstr(stat_.said, says));
	assert_ptr_equal(strchr(stat_.said, '\n'), stat_.said + stat_.length - 1);
}

static void refuses_what_does_not_run(void **state)
{
	(void)state;
	if (alone) {
		START(&stat_, "stat");
		want_refusal(66, "no guest runs");
	}
	START(&stat_, "stat", "2147483647");
	want_refusal(66, "there is no process 2147483647");
	START(&stat_, "stat", "1");
	want_refusal(geteuid() == 0 ? 66 : 77, "process 1 is");
}

static void refuses_a_wrong_command_line(void **state)
{
	(void)state;
	START(&stat_, "stat", "0");
	want_refusal(64, "PID wants a number from 1 ");
	START(&stat_, "stat", "12x");
	want_refusal(64, "PID wants");
	START(&stat_, "stat", "1", "2");
	want_refusal(64, "one PID only");
	START(&stat_, "stat", "--list", "1");
	want_refusal(64, "--list takes no PID");
	START(&stat_, "stat", "--interval", "0");
	want_refusal(64, "--interval wants seconds");
	START(&stat_, "stat", "--interval", "1e3");
	want_refusal(64, "--interval wants seconds");
	START(&stat_, "stat", "--interval", "nan");
	want_refusal(64, "--interval wants seconds");
	START(&stat_, "stat", "--interval", "1.2.3");
	want_refusal(64, "--interval wants seconds");
	START(&stat_, "stat", "--count", "0");
	want_refusal(64, "--count wants a number from 1 ");
	START(&stat_, "stat", "--count");
	want_refusal(64, "--count needs a value");
	START(&stat_, "stat", "--often");
	want_refusal(64, "'--often' is no option");
}

/* We are no run, but listen as one would, and answer @answer. */
static void answer_once(const char *answer)
{
	char path[SX_CONTROL_PATH_SIZE], own[16];
	struct pollfd p = {.fd = sx_control_listen(path, NULL), .events = POLLIN};
	int fd;

	assert_true(p.fd >= 0);
	snprintf(own, sizeof(own), "%d", (int)getpid());
	START(&stat_, "stat", own);
	assert_int_equal(poll(&p, 1, -1), 1);
	fd = accept(p.fd, NULL, NULL);
	assert_true(fd >= 0);
	assert_true(read(fd, (char[64]){0}, 64) > 0);
	assert_int_equal(send(fd, answer, strlen(answer), MSG_NOSIGNAL), strlen(answer));
	close(p.fd);
	close(fd);
	unlink(path);
}

static void refuses_what_is_no_answer(void **state)
{
	(void)state;
	answer_once("garbage\n");
	want_refusal(76, "no answer");
	answer_once("{\"error\":\"not today; come again\"}\n");
	want_refusal(69, "it refuses: not today");
	answer_once("");
	assert_int_equal(finish(&stat_), 0);
	assert_non_null(strstr(stat_.said, "has ended\n"));
}

/* ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Root sees the guests of all: hide the folders that have them from this process and its children.
 */
static bool hide_others(void)
{
	glob_t g;
	bool done;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	done = mount("none", "/run", "tmpfs", 0, NULL) == 0;
	if (glob("/tmp/splitx-[0-9]*", 0, NULL, &g) != 0)
		return done;
	for (size_t i = 0; i < g.gl_pathc; i++)
		done &= mount("none", g.gl_pathv[i], "tmpfs", 0, NULL) == 0 || errno == ENOTDIR;
	globfree(&g);
	return done;
}

static int make_folder(void **state)
{
	(void)state;
	alone = hide_others();
	strcpy(dir, "/tmp/test_stat.XXXXXX");
	return mkdtemp(dir) ? setenv("XDG_RUNTIME_DIR", dir, 1) : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const struct way way_trap_mode = {SX_TRAP, 0, {SX_SPIN_HOT, 0}};
static const struct way way_split_mode = {SX_SPLIT, 0, {SX_SPIN_HOT, 0}};

#define BOTH(FUNCTION) SX_CASE(FUNCTION, trap_mode), SX_CASE(FUNCTION, split_mode)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(shows_the_exact_counts),
		BOTH(shows_a_table_in_a_pipe),
		BOTH(ends_with_its_guest),
		SX_CASE(ends_at_once_with_its_guest, trap_mode),
		SX_CASE(writes_over_its_table, trap_mode),
		SX_CASE(tells_that_it_cannot_write, trap_mode),
		SX_CASE(takes_the_only_one, trap_mode),
		SX_CASE(lists_those_that_run, trap_mode),
		cmocka_unit_test(refuses_what_does_not_run),
		cmocka_unit_test(refuses_a_wrong_command_line),
		cmocka_unit_test(refuses_what_is_no_answer),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
