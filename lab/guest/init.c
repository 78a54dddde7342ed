// SPDX-License-Identifier: BSD-3-Clause
/*
 * The first program of an emulated host. It mounts what a small system has, loads KVM, runs one
 * command (or a shell on the console), sends its output, the wanted files and its exit status to
 * the machine outside, and switches the host off.
 *
 * It never returns: the kernel would panic.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "lab/guest/channel.h"
#include "lab/guest/hold.h"
#include "lab/guest/results.h"
#include "lab/wire.h"

#define CONSOLE   "/dev/ttyS0"
#define HOME      "/lab"
#define MAX_ARGS  1024
#define READ_END  0
#define WRITE_END 1

struct plan {
	char *text;
	size_t size;
	char *args[MAX_ARGS + 1];
	size_t arg_count;
	struct winsize shell; /* 0 rows: no shell is wanted */
};

static _Noreturn void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* Tell the machine outside, in one sentence, why the command was not run. */
__attribute__((format(printf, 1, 2))) static _Noreturn void fail(const char *fmt, ...)
{
	char text[512];
	va_list args;
	int length;

	va_start(args, fmt);
	length = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (length >= (int)sizeof(text))
		length = sizeof(text) - 1;
	sx_channel_send(SX_LAB_FAILED, text, length > 0 ? (size_t)length : 0);
	power_off();
}

static void mount_at(const char *type, const char *path)
{
	mkdir(path, 0755);
	if (mount(type, path, type, 0, NULL) < 0)
		fail("cannot mount %s in the host: %s", path, strerror(errno));
}

static void mount_all(void)
{
	mount_at("devtmpfs", "/dev");
	mount_at("proc", "/proc");
	mount_at("sysfs", "/sys");
	mount_at("debugfs", "/sys/kernel/debug");
	mount_at("devpts", "/dev/pts");
	mount_at("tmpfs", "/dev/shm");
	mount_at("tmpfs", "/tmp");
	mkdir(HOME, 0755);
	if (chdir(HOME) < 0)
		fail("cannot enter %s in the host: %s", HOME, strerror(errno));
}

static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR);

	if (fd < 0)
		fail("cannot open the host's console: %s", strerror(errno));
	for (int i = 0; i <= STDERR_FILENO; i++)
		dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* Programs of the project talk to each other over localhost. */
static void bring_loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		fail("cannot bring up the host's loopback device: %s", strerror(errno));
	close(fd);
}

static void set_environment(void)
{
	clearenv();
	if (setenv("PATH", HOME ":/bin", 1) < 0 || setenv("HOME", HOME, 1) < 0 ||
	    setenv("TERM", "vt100", 1) < 0 || setenv("SPLITX_LAB", "1", 1) < 0)
		fail("cannot set the command's environment: %s", strerror(errno));
}

/* @line is a path and, after a space, the module's parameters. */
static void load_module(const char *line)
{
	const char *params = strchrnul(line, ' ');
	char *path = strndup(line, (size_t)(params - line));
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		fail("cannot open the host's module %s: %s", line, strerror(errno));
	if (*params == ' ')
		params++;
	if (syscall(SYS_finit_module, fd, params, 0) < 0 && errno != EEXIST)
		fail("the host's kernel refuses the module %s: %s", line, strerror(errno));
	close(fd);
	free(path);
}

/* A host without KVM has nothing to hold. */
static void hold_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return;
	rc = sx_hold_kvm(fd);
	if (rc < 0)
		fail("the host's KVM does not make a VM: %s", strerror(-rc));
	close(fd);
}

/*
 * The kernel has started with one core, so that all that it patches while it starts, and with its
 * first VM, is patched before another core could translate it: docs/lab.md, "Quirks".
 */
static void start_other_cores(void)
{
	long cores = sysconf(_SC_NPROCESSORS_CONF);

	for (long core = 1; core < cores; core++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%ld/online", core);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "1", 1) != 1)
			fail("the host cannot start its core %ld: %s", core, strerror(errno));
		close(fd);
	}
}

static void read_plan(struct plan *plan)
{
	struct stat status;
	int fd = open(SX_LAB_PLAN, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) < 0)
		fail("the host finds no plan: %s", strerror(errno));
	plan->size = (size_t)status.st_size;
	plan->text = calloc(1, plan->size + 1);
	if (!plan->text || read(fd, plan->text, plan->size) != (ssize_t)plan->size)
		fail("the host cannot read its plan: %s", strerror(errno));
	close(fd);
}

/* The plan's line behind @line; NULL past the last. */
static char *next_line(const struct plan *plan, char *line)
{
	line += strlen(line) + 1;
	return line < plan->text + plan->size ? line : NULL;
}

static void take_line(struct plan *plan, char *line)
{
	switch (line[0]) {
	case SX_LAB_PLAN_LOAD:
		load_module(line + 1);
		break;
	case SX_LAB_PLAN_ARG:
		if (plan->arg_count == MAX_ARGS)
			fail("the command has more than %d arguments", MAX_ARGS);
		plan->args[plan->arg_count++] = line + 1;
		break;
	case SX_LAB_PLAN_SHELL:
		if (sscanf(line + 1, "%hu %hu", &plan->shell.ws_row, &plan->shell.ws_col) != 2)
			fail("the plan's shell has no size: %s", line + 1);
		break;
	case SX_LAB_PLAN_RESULT: /* its turn comes when the command has ended */
		break;
	default:
		fail("the plan has a line of an unknown kind: %s", line);
	}
}

static void follow_plan(struct plan *plan)
{
	for (char *line = plan->text; line && plan->size > 0; line = next_line(plan, line))
		take_line(plan, line);
	if (plan->arg_count == 0 && plan->shell.ws_row == 0)
		fail("the plan has no command");
}

static void send_results(const struct plan *plan)
{
	uint32_t result = 0;

	for (char *line = plan->text; line && plan->size > 0; line = next_line(plan, line)) {
		if (line[0] == SX_LAB_PLAN_RESULT)
			sx_results_send(result++, line + 1);
	}
}

/* --- the command -------------------------------------------------------------------------------*/

static _Noreturn void become_command(const struct plan *plan, const int out[2], const int err[2])
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	dup2(null, STDIN_FILENO);
	dup2(out[WRITE_END], STDOUT_FILENO);
	dup2(err[WRITE_END], STDERR_FILENO);
	execvp(plan->args[0], plan->args);
	dprintf(STDERR_FILENO, "lab: cannot run '%s' in the host: %s\n", plan->args[0],
		strerror(errno));
	_exit(127);
}

static _Noreturn void become_shell(const struct plan *plan)
{
	sigset_t none;
	int tty;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	tty = open(CONSOLE, O_RDWR);
	if (tty < 0)
		_exit(127);
	ioctl(tty, TIOCSCTTY, 1);
	ioctl(tty, TIOCSWINSZ, &plan->shell);
	for (int i = 0; i <= STDERR_FILENO; i++)
		dup2(tty, i);
	execl("/bin/sh", "sh", "-l", NULL);
	_exit(127);
}

/* Passes on what a pipe holds. Returns 0 when its writers are gone, else 1. */
static int forward(int pipe_end, enum sx_lab_kind kind)
{
	char buffer[SX_LAB_PAYLOAD];
	ssize_t length = read(pipe_end, buffer, sizeof(buffer));

	if (length > 0)
		sx_channel_send(kind, buffer, (size_t)length);
	return length != 0 && !(length < 0 && errno != EAGAIN && errno != EINTR);
}

/* Reaps all children that ended. Returns 1 and @command's wait status if it is among them. */
static int reap(pid_t command, int *status)
{
	int any, found = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &any, WNOHANG)) > 0) {
		if (pid == command) {
			*status = any;
			found = 1;
		}
	}
	return found;
}

/*
 * Forwards both pipes until the command itself ends; what its own children still hold open does
 * not keep the host up. Returns the wait status.
 */
static int attend(pid_t command, int out, int err, int child_signals)
{
	struct pollfd fds[] = {
		{.fd = out, .events = POLLIN},
		{.fd = err, .events = POLLIN},
		{.fd = child_signals, .events = POLLIN},
	};
	const enum sx_lab_kind kinds[] = {SX_LAB_STDOUT, SX_LAB_STDERR};
	struct signalfd_siginfo info;
	int status = 0;

	for (;;) {
		int ended;

		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			fail("the host cannot wait for the command: %s", strerror(errno));
		while (read(child_signals, &info, sizeof(info)) > 0)
			;
		ended = reap(command, &status);
		for (int i = 0; i < 2; i++) {
			if (fds[i].fd >= 0 && fds[i].revents && !forward(fds[i].fd, kinds[i]))
				fds[i].fd = -1;
		}
		if (ended)
			return status;
	}
}

static void drain(int pipe_end, enum sx_lab_kind kind)
{
	struct pollfd fd = {.fd = pipe_end, .events = POLLIN};

	while (poll(&fd, 1, 0) > 0 && forward(pipe_end, kind))
		;
}

static int watch_children(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fail("the host cannot watch its command: %s", strerror(errno));
	return fd;
}

static int run_command(const struct plan *plan)
{
	int out[2], err[2], child_signals = watch_children();
	int status;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		fail("the host cannot make pipes for the command: %s", strerror(errno));
	fcntl(out[READ_END], F_SETFL, O_NONBLOCK);
	fcntl(err[READ_END], F_SETFL, O_NONBLOCK);
	pid = fork();
	if (pid < 0)
		fail("the host cannot start the command: %s", strerror(errno));
	if (pid == 0)
		become_command(plan, out, err);
	close(out[WRITE_END]);
	close(err[WRITE_END]);
	status = attend(pid, out[READ_END], err[READ_END], child_signals);
	kill(-1, SIGKILL); /* what it left behind */
	drain(out[READ_END], SX_LAB_STDOUT);
	drain(err[READ_END], SX_LAB_STDERR);
	return status;
}

static int run_shell(const struct plan *plan)
{
	int status = 0;
	pid_t pid, ended;

	pid = fork();
	if (pid < 0)
		fail("the host cannot start a shell: %s", strerror(errno));
	if (pid == 0)
		become_shell(plan);
	do
		ended = wait(&status);
	while (ended != pid && (ended > 0 || errno == EINTR));
	kill(-1, SIGKILL);
	return status;
}

int main(void)
{
	struct plan plan = {0};
	int32_t code;
	int status;

	status = sx_channel_open();
	if (status < 0) {
		/* No way to tell but a panic, which the machine outside looks for. */
		errno = -status;
		return 1;
	}
	mount_all();
	open_console();
	bring_loopback_up();
	set_environment();
	read_plan(&plan);
	follow_plan(&plan);
	hold_kvm();
	start_other_cores();
	sx_channel_send(SX_LAB_UP, NULL, 0);

	status = plan.shell.ws_row ? run_shell(&plan) : run_command(&plan);
	code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	send_results(&plan);
	sx_channel_send(SX_LAB_EXIT, &code, sizeof(code));
	power_off();
}
