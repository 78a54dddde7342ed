// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "lab/host/emulator.h"

#define PIPE_SIZE (1 << 20)
/* Out of the way of the numbers that the emulator is given. */
#define FIRST_OWN 10

struct ends {
	int ours;
	int theirs;
};

/* A close-on-exec duplicate of @fd at FIRST_OWN or above; @fd is closed. */
static int move_up(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_OWN);

	close(fd);
	return moved;
}

/* A pipe; we hold the end to read from where @reading, else the one to write to. */
static int make_pipe(struct ends *ends, bool reading)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one only means more waiting */
	ends->ours = move_up(fds[reading ? 0 : 1]);
	ends->theirs = move_up(fds[reading ? 1 : 0]);
	if (ends->ours < 0 || ends->theirs < 0)
		return -EMFILE;
	if (reading)
		fcntl(ends->ours, F_SETFL, O_NONBLOCK);
	return 0;
}

static int make_terminal(struct ends *ends)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	struct termios raw;
	char name[64];
	int slave;

	if (master < 0)
		return -errno;
	if (grantpt(master) < 0 || unlockpt(master) < 0 ||
	    ptsname_r(master, name, sizeof(name)) != 0)
		return -ENOTTY;
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || tcgetattr(slave, &raw) < 0)
		return -errno;
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	ends->ours = move_up(master);
	ends->theirs = move_up(slave);
	return ends->ours < 0 || ends->theirs < 0 ? -EMFILE : 0;
}

static _Noreturn void become_emulator(char *const *argv, int log, int quiet, int console,
				      int channel)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0); /* the terminal's Ctrl-C is for us to handle */
	dup2(quiet, STDIN_FILENO);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	dup2(console, SX_EMULATOR_CONSOLE);
	dup2(channel, SX_EMULATOR_CHANNEL);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* The emulator must not outlive us, not even when we are killed. */
static void die_with_parent(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
}

/* What is open when this fails stays so: the program ends then. */
int sx_emulator_start(struct sx_emulator *emulator, char *const *argv, const char *log,
		      bool terminal)
{
	struct ends console = {-1, -1}, channel = {-1, -1}, quiet = {-1, -1};
	pid_t self = getpid();
	int ret, log_fd;

	log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (log_fd < 0)
		return -errno;
	log_fd = move_up(log_fd);
	ret = terminal ? make_terminal(&console) : make_pipe(&console, true);
	if (ret == 0)
		ret = make_pipe(&channel, true);
	if (ret == 0)
		ret = make_pipe(&quiet, false);
	if (ret < 0)
		return ret;

	emulator->pid = fork();
	if (emulator->pid < 0)
		return -errno;
	if (emulator->pid == 0) {
		die_with_parent(self);
		become_emulator(argv, log_fd, quiet.theirs, console.theirs, channel.theirs);
	}
	close(log_fd);
	close(quiet.theirs);
	close(console.theirs);
	close(channel.theirs);
	emulator->console = console.ours;
	emulator->channel = channel.ours;
	emulator->quiet = quiet.ours;
	setpgid(emulator->pid, emulator->pid); /* both sides do: whichever comes first */
	emulator->exited = (int)syscall(SYS_pidfd_open, emulator->pid, 0);
	if (emulator->exited < 0) {
		ret = -errno;
		sx_emulator_stop(emulator);
		return ret;
	}
	return 0;
}

void sx_emulator_stop(struct sx_emulator *emulator)
{
	int status;

	kill(-emulator->pid, SIGKILL); /* with what it may have started itself */
	while (waitpid(emulator->pid, &status, 0) < 0 && errno == EINTR)
		;
}
