// SPDX-License-Identifier: BSD-3-Clause
/* A micro-guest that is a hypervisor: where struct sx_machine has what cli/nested_host.h is. */
#ifndef SX_CLI_MACHINE_NESTED_H
#define SX_CLI_MACHINE_NESTED_H

#include "cli/nested_host.h"

#define SX_MACHINE_VMX_KICK_GPA  0xd0003000ull
#define SX_MACHINE_VMX_LINES_GPA 0xd0010000ull

struct sx_machine;

/* The machine has its memory and vCPUs. */
int sx_machine_nested_create(struct sx_machine *m, struct sx_error *err);

/* sx_nested_host_place() with the machine's sidecores. */
int sx_machine_nested_place(struct sx_machine *m, enum sx_nested_place place, const int *cpus,
			    struct sx_error *err);

#endif
