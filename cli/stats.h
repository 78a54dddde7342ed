// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a run cost: KVM's own counters for each vCPU, and ours beside them.
 */
#ifndef SX_CLI_STATS_H
#define SX_CLI_STATS_H

#include <stdio.h>

#include "cli/machine.h"

/* After the vCPUs have stopped, before the machine is destroyed. @guest_ns: how long it ran. */
void sx_stats_print(FILE *to, struct sx_machine *m, uint64_t guest_ns);
int sx_stats_print_json(FILE *to, struct sx_machine *m, uint64_t guest_ns);

#endif
