// SPDX-License-Identifier: BSD-3-Clause
/* A micro-guest that is a hypervisor: what struct sx_machine has for it. */
#ifndef SX_CLI_MACHINE_NESTED_H
#define SX_CLI_MACHINE_NESTED_H

#include "cli/nested_sink.h"
#include "ipc/region.h"

#define SX_MACHINE_VMX_KICK_GPA  0xd0003000ull
#define SX_MACHINE_VMX_LINES_GPA 0xd0010000ull

struct sx_machine;

struct sx_machine_nested {
	struct sx_region lines;
	struct sx_l1_range range[2]; /* its memory and the twin's page, as files */
	struct sx_nested *engine;    /* NULL: this machine does not nest */
	struct sx_nested_sink sink;
};

/* The machine has its memory and vCPUs. */
int sx_machine_nested_create(struct sx_machine *m, struct sx_error *err);
/* Safe on what was not created. No vCPU runs, and the pollers are on no sidecore. */
void sx_machine_nested_destroy(struct sx_machine *m);

/*
 * Who serves the lines from now on, and for SX_NESTED_PARALLEL the core of L2. No vCPU runs. In
 * SX_NESTED_COLOCATED the machine's first sidecore polls them.
 */
int sx_machine_nested_place(struct sx_machine *m, enum sx_nested_place place, const int *cpus,
			    struct sx_error *err);

#endif
