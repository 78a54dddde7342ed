// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a run cost: KVM's own counters for each vCPU, and ours beside them.
 */
#ifndef SX_CLI_STATS_H
#define SX_CLI_STATS_H

#include <stdio.h>

#include "cli/machine.h"

/* What there is to tell of, in any kind of machine. */
struct sx_stats_view {
	enum sx_mode mode;
	struct sx_vcpu *vcpu;
	unsigned vcpus;
	const struct sx_bus *bus;
	/* Split mode only: */
	struct sx_sidecore *const *sidecores;
	unsigned sidecore_count;
	const struct sx_exit_server *server;   /* one for each sidecore */
	const struct sx_poller *const *poller; /* those that serve no exits */
	unsigned pollers;
	/* Micro-guests only: */
	const struct sx_machine_ring *ring;
	unsigned ring_count;
};

/* After the vCPUs have stopped, before the machine is destroyed. @guest_ns: how long it ran. */
void sx_stats_print(FILE *to, const struct sx_stats_view *v, uint64_t guest_ns);
int sx_stats_print_json(FILE *to, const struct sx_stats_view *v, uint64_t guest_ns);

#endif
