// SPDX-License-Identifier: BSD-3-Clause
#ifndef SX_CLI_TOPO_H
#define SX_CLI_TOPO_H

/*
 * `splitx topo`: show which CPUs would be guest cores and sidecores. @argv[0] is "topo". Returns
 * the exit status of the command, from sysexits.h.
 */
int sx_cmd_topo(int argc, char **argv);

#endif
