// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/status.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{"run", sx_cmd_run, "run a guest, its exits trapped or on sidecores"},
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

int main(int argc, char **argv)
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
