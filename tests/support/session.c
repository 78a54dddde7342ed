// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include "tests/support/world.h"

#define SPLITX (SX_BUILD_DIR "/splitx")

static _Noreturn void exec_splitx(const struct session *s, const struct session_command *c, int out,
				  int err)
{
	const char *argv[SESSION_MAX_ARGS + 7] = {SPLITX,  "run",    "--mode",
						  c->mode, "--wait", "pause:50"};

	memcpy(&argv[6], c->args, sizeof(c->args));
	/* What our own caller blocks or ignores is no business of the command. */
	for (int sig = 1; sig < SIGRTMIN; sig++)
		signal(sig, sig == c->ignored ? SIG_IGN : SIG_DFL);
	if (login_tty(s->slave) < 0 || (out >= 0 && dup2(out, STDOUT_FILENO) < 0) ||
	    (err >= 0 && dup2(err, STDERR_FILENO) < 0))
		_exit(126);
	execv(SPLITX, (char *const *)(uintptr_t)argv);
	_exit(127);
}

void session_start(struct session *s, const struct session_command *c)
{
	int out[2] = {-1, -1}, err[2] = {-1, -1};

	s->length = 0;
	s->said[0] = '\0';
	if (c->redirect & SESSION_OUT_TO_PIPE)
		assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	if (c->redirect & SESSION_ERR_TO_PIPE)
		assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	assert_int_equal(openpty(&s->terminal, &s->slave, NULL, NULL, c->size), 0);
	assert_int_equal(fcntl(s->terminal, F_SETFD, FD_CLOEXEC), 0);
	assert_int_equal(tcgetattr(s->slave, &s->before), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0)
		exec_splitx(s, c, out[1], err[1]);
	if (c->redirect & SESSION_OUT_TO_PIPE)
		close(out[1]);
	if (c->redirect & SESSION_ERR_TO_PIPE)
		close(err[1]);
	s->out = out[0];
	s->err = err[0];
}

size_t session_take(struct session *s, int fd, size_t max)
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

void session_expect(struct session *s, const char *text)
{
	while (!strstr(s->said, text))
		session_take(s, words(s), sizeof(s->said));
}

bool session_is_raw(const struct session *s)
{
	struct termios now;

	assert_int_equal(tcgetattr(s->slave, &now), 0);
	return !(now.c_lflag & (ICANON | ECHO));
}

void session_wait_until_raw(const struct session *s)
{
	while (!session_is_raw(s))
		pause_a_little();
}

void session_type(const struct session *s, const char *keys)
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

int session_finish(struct session *s, int fd)
{
	int status;

	while (waitpid(s->pid, &status, WNOHANG) == 0)
		if (fd < 0 || !session_take(s, fd, sizeof(s->said)))
			pause_a_little();
	while (fd >= 0 && session_take(s, fd, sizeof(s->said)))
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
