// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/status.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{"run", sx_cmd_run, "run a guest, its exits trapped or on sidecores"},
	{"stat", sx_cmd_stat, "show what still exits from a guest that runs, and why"},
	{"balloon", sx_cmd_balloon, "show a guest's balloon, or change how much memory it keeps"},
	{"topo", sx_cmd_topo, "show which cores guests and sidecores would get"},
	{"bench", sx_cmd_bench, "measure what exits cost, trapped and split"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	fputs("Usage: splitx COMMAND [OPTION]...\n"
	      "Run guests on Linux KVM with the hypervisor's work on dedicated, polling cores.\n"
	      "\nCommands:\n",
	      to);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].what);
	fputs("\nOptions:\n"
	      "  --help     show this, or with a command what it takes\n"
	      "  --version  show the version\n"
	      "\nMore: man splitx\n",
	      to);
}

/*
 * What is opened later must not become standard input, output or error, or the guest's words would
 * go there. Each that is closed is held in such a way that using it goes on to fail.
 */
static int hold_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return -1;
	return 0;
}

static int run_command(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name) {
		usage(stderr);
		return EX_USAGE;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(name, "--version") == 0) {
		puts("splitx " SX_VERSION);
		return 0;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "splitx: there is no command '%s'; splitx --help lists them\n", name);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	int status = hold_standard_files() < 0 ? EX_OSERR : run_command(argc, argv);

	if (status == 0 && (fflush(stdout) || ferror(stdout))) {
		fprintf(stderr, "splitx: standard output cannot be written: %s\n", strerror(errno));
		return EX_IOERR;
	}
	return status;
}
