// SPDX-License-Identifier: BSD-3-Clause
#include "bench/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int set_files(posix_spawn_file_actions_t *actions, int fd, int err_fd)
{
	int ret = posix_spawn_file_actions_adddup2(actions, fd, STDIN_FILENO);

	if (!ret)
		ret = posix_spawn_file_actions_adddup2(actions, fd, STDOUT_FILENO);
	if (!ret && err_fd >= 0)
		ret = posix_spawn_file_actions_adddup2(actions, err_fd, STDERR_FILENO);
	return ret;
}

int sx_child_spawn(pid_t *pid, const char *path, const char *const *argv, int fd, int err_fd)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int ret;

	ret = posix_spawn_file_actions_init(&actions);
	if (ret)
		return -ret;
	ret = posix_spawnattr_init(&attr);
	if (ret)
		goto destroy_actions;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	ret = set_files(&actions, fd, err_fd);
	/* posix_spawn() takes pointers to non-const, and does not write through them. */
	if (!ret)
		ret = posix_spawnp(pid, path, &actions, &attr, (char *const *)(uintptr_t)argv,
				   environ);

	posix_spawnattr_destroy(&attr);
destroy_actions:
	posix_spawn_file_actions_destroy(&actions);
	return -ret;
}

bool sx_child_ends_within(pid_t pid, int ms)
{
	int fd = pidfd_open(pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool ended;

	if (fd < 0)
		return false;
	ended = poll(&p, 1, ms) > 0;
	close(fd);
	return ended;
}

int sx_child_reap(pid_t pid, int grace_ms)
{
	int status = 0;

	if (!sx_child_ends_within(pid, grace_ms))
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

int64_t sx_child_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
