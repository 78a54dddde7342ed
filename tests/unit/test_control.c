// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control socket: it answers who may ask, one line for one line, whatever others do to it; and
 * it is where only its user can reach it, as long as its process lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/control.h"

#define LONG_ANSWER (4u << 20) /* more than sockets hold */

/* ---- a control in a folder of its own ---- */

struct fixture {
	char dir[32];
	unsigned told; /* times a command was run */
	struct sx_control control;
};

static int count(void *ctx, const json_t *request, json_t **reply, struct sx_error *err)
{
	struct fixture *f = ctx;

	(void)err;
	*reply = json_pack("{s:I, s:O?}", "told", (json_int_t)++f->told, "with",
			   json_object_get(request, "with"));
	return 0;
}

static int refuse(void *ctx, const json_t *request, json_t **reply, struct sx_error *err)
{
	(void)ctx;
	(void)request;
	(void)reply;
	return sx_fail(err, -EBUSY, "this is never done; ask for something else");
}

static int talk(void *ctx, const json_t *request, json_t **reply, struct sx_error *err)
{
	char *text = malloc(LONG_ANSWER);

	(void)ctx;
	(void)request;
	(void)err;
	memset(text, 'x', LONG_ANSWER);
	*reply = json_stringn(text, LONG_ANSWER);
	free(text);
	return 0;
}

static const struct sx_control_command commands[] = {
	{"count", count},
	{"refuse", refuse},
	{"talk", talk},
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/test_control.XXXXXX");
	if (!mkdtemp(f->dir) || setenv("XDG_RUNTIME_DIR", f->dir, 1) < 0)
		return -1;
	*state = f;
	return sx_control_open(&f->control, commands, 3, f, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sx_control_close(&f->control);
	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static int dial(void)
{
	struct sx_error err = {0};
	int fd = sx_control_connect(getpid(), &err);

	if (fd < 0)
		fail_msg("%s", err.text);
	return fd;
}

static void serve(struct fixture *f, unsigned times)
{
	while (times--)
		sx_control_serve(&f->control);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What there is to read, at most @size - 1 bytes; -1: it was closed. */
static ssize_t hear(int fd, char *text, size_t size)
{
	ssize_t n = recv(fd, text, size - 1, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		return -1;
	text[n < 0 ? 0 : n] = '\0';
	return n < 0 ? 0 : n;
}

static void want(int fd, const char *answer)
{
	char text[4096];

	assert_true(hear(fd, text, sizeof(text)) >= 0);
	assert_string_equal(text, answer);
}

static void want_error(int fd, const char *word)
{
	char text[4096];

	assert_true(hear(fd, text, sizeof(text)) > 0);
	assert_ptr_equal(strstr(text, "{\"error\":\""), text);
	assert_non_null(strstr(text, word));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void want_closed(int fd)
{
	char text[4096];

	assert_int_equal(hear(fd, text, sizeof(text)), -1);
}

#define COUNT "{\"command\":\"count\"}\n"

/* ---- answers ---- */

static void a_line_is_answered_by_a_line(void **state)
{
	struct fixture *f = *state;
	int fd = dial();

	say(fd, COUNT);
	serve(f, 2);
	want(fd, "{\"reply\":{\"told\":1,\"with\":null}}\n");
	say(fd, "{\"command\":\"count\",\"with\":[7]}\n");
	serve(f, 1);
	want(fd, "{\"reply\":{\"told\":2,\"with\":[7]}}\n");
	close(fd);
}

static void lines_that_come_together_are_answered_in_turn(void **state)
{
	struct fixture *f = *state;
	int fd = dial();

	say(fd, COUNT COUNT COUNT);
	serve(f, 2);
	want(fd, "{\"reply\":{\"told\":1,\"with\":null}}\n");
	serve(f, 2);
	want(fd, "{\"reply\":{\"told\":2,\"with\":null}}\n"
		 "{\"reply\":{\"told\":3,\"with\":null}}\n");
	close(fd);
}

static void a_line_may_come_in_pieces(void **state)
{
	struct fixture *f = *state;
	const char *line = COUNT;
	int fd = dial();

	for (unsigned i = 0; line[i]; i++) {
		assert_int_equal(f->told, 0);
		assert_int_equal(send(fd, line + i, 1, MSG_NOSIGNAL), 1);
		serve(f, 2);
	}
	want(fd, "{\"reply\":{\"told\":1,\"with\":null}}\n");
	close(fd);
}

static void what_is_no_request_is_refused(void **state)
{
	static const char *const bad[] = {"\n",
					  "hello\n",
					  "{\n",
					  "[\"count\"]\n",
					  "7\n",
					  "{}\n",
					  "\xff\n",
					  "{\"command\":7}\n",
					  "{\"command\":\"count\",\"command\":\"count\"}\n"};
	struct fixture *f = *state;
	int fd = dial();

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		say(fd, bad[i]);
		serve(f, 2);
		want_error(fd, "request is");
	}
	assert_int_equal(f->told, 0);
	/* And it is heard all the same. */
	say(fd, COUNT);
	serve(f, 1);
	want(fd, "{\"reply\":{\"told\":1,\"with\":null}}\n");
	close(fd);
}

static void an_unknown_command_is_refused(void **state)
{
	struct fixture *f = *state;
	int fd = dial();

	say(fd, "{\"command\":\"counts\"}\n");
	serve(f, 2);
	want_error(fd, "no such command");
	say(fd, "{\"command\":\"refuse\"}\n");
	serve(f, 1);
	want_error(fd, "this is never done");
	close(fd);
}

/* ---- hostile clients ---- */

static void who_never_ends_its_line_is_dropped(void **state)
{
	struct fixture *f = *state;
	char piece[1000];
	int fd = dial(), other = dial();

	memset(piece, ' ', sizeof(piece));
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(send(fd, piece, sizeof(piece), MSG_NOSIGNAL), sizeof(piece));
		serve(f, 2);
	}
	want(fd, "");
	assert_int_equal(send(fd, piece, 96, MSG_NOSIGNAL), 96);
	serve(f, 1);
	want_error(fd, "too long");
	want_closed(fd);
	say(other, COUNT);
	serve(f, 2);
	want(other, "{\"reply\":{\"told\":1,\"with\":null}}\n");
	close(fd);
	close(other);
}

/* Its answer stays with us, once; what it goes on to ask stays with it. */
static void who_never_reads_is_not_heard(void **state)
{
	struct fixture *f = *state;
	int fd = dial(), other = dial();
	ssize_t n = 0;

	say(fd, "{\"command\":\"talk\"}\n");
	serve(f, 2);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (unsigned i = 0; i < 100000 && n >= 0; i++) {
		n = send(fd, COUNT, strlen(COUNT), MSG_NOSIGNAL);
		if (i % 100 == 0)
			serve(f, 1);
	}
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(f->told, 0);
	say(other, COUNT);
	serve(f, 2);
	want(other, "{\"reply\":{\"told\":1,\"with\":null}}\n");
	close(fd);
	close(other);
}

static void a_long_answer_comes_whole(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(LONG_ANSWER + 65536);
	size_t length = 0;
	int fd = dial();
	ssize_t n;

	say(fd, "{\"command\":\"talk\"}\n" COUNT);
	while (!f->told) {
		serve(f, 1);
		n = hear(fd, text + length, 65536);
		assert_true(n >= 0);
		length += (size_t)n;
	}
	while ((n = hear(fd, text + length, 65536)) > 0)
		length += (size_t)n;
	assert_ptr_equal(strchr(text, '\n'), text + LONG_ANSWER + strlen("{\"reply\":\"\"}"));
	assert_string_equal(strchr(text, '\n') + 1, "{\"reply\":{\"told\":1,\"with\":null}}\n");
	free(text);
	close(fd);
}

/* One after the other in each round, however much each has sent. */
static void a_flood_holds_up_nobody(void **state)
{
	struct fixture *f = *state;
	int flood = dial(), fd = dial();

	serve(f, 1);
	for (unsigned i = 0; i < 50; i++)
		say(flood, COUNT);
	say(fd, "{\"command\":\"count\",\"with\":1}\n");
	serve(f, 2);
	assert_in_range(f->told, 2, 4);
	assert_int_equal(hear(fd, (char[4096]){0}, 4096) > 0, true);
	close(flood);
	close(fd);
	serve(f, 4);
}

static void more_connections_take_the_place_of_quiet_ones(void **state)
{
	struct fixture *f = *state;
	int fd[SX_CONTROL_CLIENTS + 1];

	for (unsigned i = 0; i < SX_CONTROL_CLIENTS; i++) {
		fd[i] = dial();
		serve(f, 1);
	}
	/* All but the third and the fifth have asked since. */
	for (unsigned i = 0; i < SX_CONTROL_CLIENTS; i++)
		if (i != 3 && i != 5)
			say(fd[i], COUNT);
	serve(f, 1);
	fd[SX_CONTROL_CLIENTS] = dial();
	serve(f, 1);
	want_closed(fd[3]);
	want(fd[5], "");
	say(fd[SX_CONTROL_CLIENTS], COUNT);
	serve(f, 1);
	assert_int_equal(f->told, SX_CONTROL_CLIENTS - 1);
	for (unsigned i = 0; i <= SX_CONTROL_CLIENTS; i++)
		close(fd[i]);
}

static void who_hangs_up_is_forgotten(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 5 * SX_CONTROL_CLIENTS; i++) {
		int fd = dial();

		if (i % 2)
			say(fd, i % 4 == 1 ? COUNT : "{\"comma");
		serve(f, i % 3);
		close(fd);
	}
	serve(f, 10);
	for (unsigned i = 0; i < SX_CONTROL_CLIENTS; i++)
		assert_int_equal(f->control.client[i].fd, -1);
}

/* With nothing to do it is not readable, or the main thread would not sleep. */
static void it_sleeps_when_all_is_done(void **state)
{
	struct fixture *f = *state;
	struct pollfd p = {.fd = f->control.epoll_fd, .events = POLLIN};
	int fd = dial();

	assert_int_equal(poll(&p, 1, -1), 1);
	serve(f, 1);
	assert_int_equal(poll(&p, 1, 0), 0);
	say(fd, COUNT "{\"comma");
	assert_int_equal(poll(&p, 1, -1), 1);
	serve(f, 2);
	assert_int_equal(poll(&p, 1, 0), 0);
	close(fd);
	assert_int_equal(poll(&p, 1, -1), 1);
	serve(f, 1);
	assert_int_equal(poll(&p, 1, 0), 0);
}

/* ---- where it is ---- */

static void only_its_user_can_enter_the_folder(void **state)
{
	struct fixture *f = *state;
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/splitx", f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/splitx/%d.sock", f->dir, (int)getpid());
	assert_string_equal(f->control.path, path);
	sx_control_close(&f->control);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(sx_control_connect(getpid(), NULL), -ESRCH);
}

static void a_folder_that_others_can_enter_is_not_used(void **state)
{
	struct fixture *f = *state;
	char path[64];

	snprintf(path, sizeof(path), "%s/splitx", f->dir);
	sx_control_close(&f->control);
	assert_int_equal(chmod(path, 0750), 0);
	assert_int_equal(sx_control_open(&f->control, commands, 3, f, NULL), 0);
	assert_null(strstr(f->control.path, f->dir));
	sx_control_close(&f->control);
	/* Nor is what a link leads to. */
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink(f->dir, path), 0);
	assert_int_equal(sx_control_open(&f->control, commands, 3, f, NULL), 0);
	assert_null(strstr(f->control.path, f->dir));
}

static void a_folder_with_a_long_name_is_not_used(void **state)
{
	struct fixture *f = *state;
	char path[200];

	sx_control_close(&f->control);
	snprintf(path, sizeof(path), "%s/%0120d", f->dir, 0);
	assert_int_equal(mkdir(path, 0700), 0);
	setenv("XDG_RUNTIME_DIR", path, 1);
	assert_int_equal(sx_control_open(&f->control, commands, 3, f, NULL), 0);
	assert_null(strstr(f->control.path, f->dir));
}

/* A child that listens under its own number and is killed; returns that number. */
static pid_t leave_socket(struct fixture *f)
{
	int ready[2], status;
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char path[SX_CONTROL_PATH_SIZE];

		if (sx_control_listen(path, NULL) < 0 || write(ready[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)f;
	return pid;
}

static bool is_there(const struct fixture *f, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/splitx/%s", f->dir, name);
	return access(path, F_OK) == 0;
}

static void make_file(const struct fixture *f, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/splitx/%s", f->dir, name);
	close(open(path, O_CREAT | O_WRONLY, 0600));
}

static void what_the_dead_left_is_refused_and_removed(void **state)
{
	struct fixture *f = *state;
	char name[32];
	pid_t pid = leave_socket(f), listed[8];

	snprintf(name, sizeof(name), "%d.sock", (int)pid);
	assert_true(is_there(f, name));
	assert_int_equal(sx_control_connect(pid, NULL), -ESRCH);
	assert_int_equal(sx_control_list(listed, 8) >= 1, true);
	for (unsigned i = 0; i < 8 && i < sx_control_list(listed, 8); i++)
		assert_int_not_equal(listed[i], pid);
	make_file(f, "notes");
	make_file(f, "12.sock.old");
	sx_control_close(&f->control);
	assert_int_equal(sx_control_open(&f->control, commands, 3, f, NULL), 0);
	assert_false(is_there(f, name));
	/* What is not ours stays. */
	assert_true(is_there(f, "notes"));
	assert_true(is_there(f, "12.sock.old"));
}

static void what_had_our_number_is_replaced(void **state)
{
	struct fixture *f = *state;
	char name[32];
	int fd;

	sx_control_close(&f->control);
	snprintf(name, sizeof(name), "%d.sock", (int)getpid());
	make_file(f, name);
	assert_int_equal(sx_control_open(&f->control, commands, 3, f, NULL), 0);
	fd = dial();
	close(fd);
}

static void only_runs_are_connected_to(void **state)
{
	struct sx_error err = {0};
	struct fixture *f = *state;
	char path[300], other[300];

	/* Whoever listens under the number of another is not it. */
	snprintf(other, sizeof(other), "%s/splitx/1.sock", f->dir);
	snprintf(path, sizeof(path), "%s", f->control.path);
	assert_int_equal(link(path, other), 0);
	assert_int_equal(sx_control_connect(1, &err), geteuid() == 0 ? -ESRCH : -EACCES);
	err = (struct sx_error){0};
	assert_int_equal(sx_control_connect(INT32_MAX, &err), -ESRCH);
	assert_non_null(strstr(err.text, "there is no process"));
}

/* A folder that was opened to others lets them in no further; tried as root, who can be another. */
static void another_user_is_not_heard(void **state)
{
	struct fixture *f = *state;
	char folder[64];
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("# skipped: only root can be another user\n");
		skip();
	}
	snprintf(folder, sizeof(folder), "%s/splitx", f->dir);
	assert_int_equal(chmod(f->dir, 0755) | chmod(folder, 0755) | chmod(f->control.path, 0777),
			 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		char byte;

		memcpy(a.sun_path, f->control.path, sizeof(a.sun_path));
		if (setuid(65534) < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
			_exit(1);
		send(fd, COUNT, strlen(COUNT), MSG_NOSIGNAL);
		/* Closed, with or without what we sent unread. */
		_exit(recv(fd, &byte, 1, 0) > 0 ? 2 : 0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		serve(f, 1);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(f->told, 0);
}

#define CASE(FUNCTION) cmocka_unit_test_setup_teardown(FUNCTION, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_line_is_answered_by_a_line),
		CASE(lines_that_come_together_are_answered_in_turn),
		CASE(a_line_may_come_in_pieces),
		CASE(what_is_no_request_is_refused),
		CASE(an_unknown_command_is_refused),
		CASE(who_never_ends_its_line_is_dropped),
		CASE(who_never_reads_is_not_heard),
		CASE(a_long_answer_comes_whole),
		CASE(a_flood_holds_up_nobody),
		CASE(more_connections_take_the_place_of_quiet_ones),
		CASE(who_hangs_up_is_forgotten),
		CASE(it_sleeps_when_all_is_done),
		CASE(only_its_user_can_enter_the_folder),
		CASE(a_folder_that_others_can_enter_is_not_used),
		CASE(a_folder_with_a_long_name_is_not_used),
		CASE(what_the_dead_left_is_refused_and_removed),
		CASE(what_had_our_number_is_replaced),
		CASE(only_runs_are_connected_to),
		CASE(another_user_is_not_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
