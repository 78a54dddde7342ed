// SPDX-License-Identifier: BSD-3-Clause
/* The subcommands: each parses its own arguments and returns the process's exit status. */
#ifndef SX_CLI_COMMANDS_H
#define SX_CLI_COMMANDS_H

int sx_cmd_run(int argc, char **argv);
int sx_cmd_stat(int argc, char **argv);
int sx_cmd_balloon(int argc, char **argv);
int sx_cmd_topo(int argc, char **argv);
int sx_cmd_bench(int argc, char **argv);

#endif
