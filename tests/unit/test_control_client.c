// SPDX-License-Identifier: BSD-3-Clause
/*
 * Who asks by a control socket understands the answer, and takes nothing else for one.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/control_client.h"

#define ASKED "{\"command\":\"stats\"}\n"

/* What sx_control_ask() makes of @answer, after which nothing or the end comes. */
static int ask(const char *answer, bool end, json_t **reply, struct sx_error *err)
{
	char asked[64];
	int fd[2], rc;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(send(fd[1], answer, strlen(answer), MSG_NOSIGNAL), strlen(answer));
	if (end)
		shutdown(fd[1], SHUT_WR);
	rc = sx_control_ask(fd[0], "stats", 200, reply, err);
	n = recv(fd[1], asked, sizeof(asked), MSG_DONTWAIT);
	assert_int_equal(n, strlen(ASKED));
	assert_memory_equal(asked, ASKED, strlen(ASKED));
	close(fd[0]);
	close(fd[1]);
	return rc;
}

static void an_answer_is_understood(void **state)
{
	json_t *reply = NULL;

	(void)state;
	assert_int_equal(ask("{\"reply\":[1,2]}\n", false, &reply, NULL), 0);
	assert_int_equal(json_array_size(reply), 2);
	json_decref(reply);
}

static void what_is_no_answer_is_refused(void **state)
{
	static const struct {
		const char *answer;
		bool end;
		int rc;
	} bad[] = {
		{"", false, -ETIMEDOUT},
		{"{\"reply\":1}", false, -ETIMEDOUT},
		{"", true, -ECONNRESET},
		{"{\"reply\":1}", true, -ECONNRESET},
		{"\n", false, -EPROTO},
		{"hello\n", false, -EPROTO},
		{"{}\n", false, -EPROTO},
		{"[]\n", false, -EPROTO},
		{"{\"error\":7}\n", false, -EPROTO},
		{"{\"reply\":1}\n{\"reply\":2}\n", false, -EPROTO},
		{"{\"error\":\"no\"}\n", false, -ENOTSUP},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sx_error err = {0};
		json_t *reply = NULL;
		int rc = ask(bad[i].answer, bad[i].end, &reply, &err);

		if (rc != bad[i].rc)
			fail_msg("'%s' gave %d", bad[i].answer, rc);
		assert_null(reply);
		assert_int_equal(!err.text[0], rc == -ECONNRESET);
	}
}

static void an_answer_without_end_is_refused(void **state)
{
	struct sx_error err = {0};
	json_t *reply = NULL;
	int fd[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		static char piece[65536];

		close(fd[0]);
		memset(piece, 'x', sizeof(piece));
		while (send(fd[1], piece, sizeof(piece), MSG_NOSIGNAL) > 0)
			;
		_exit(0);
	}
	close(fd[1]);
	assert_int_equal(sx_control_ask(fd[0], "stats", 60000, &reply, &err), -EPROTO);
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_understood),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(an_answer_without_end_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
