// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a run costs: KVM's own counters for each vCPU, and ours beside them, at one moment.
 *
 * A snapshot is a JSON object; docs/stats.md has its keys, which are a contract. It is what
 * `splitx run --stats=json` prints and what the control socket's "stats" replies, and all that
 * compares (stats_diff.h) or shows (stats_print.h) works on it.
 */
#ifndef SX_CLI_STATS_H
#define SX_CLI_STATS_H

#include <jansson.h>
#include <stdio.h>

#include "cli/machine.h"
#include "cli/pc_devices.h"

/* What there is to tell of, in any kind of machine. */
struct sx_stats_view {
	const char *guest; /* path of its program or kernel */
	unsigned start;    /* 1 at first, one more each time it was started again */
	uint64_t begin_ns; /* by sx_now_ns() */
	uint64_t end_ns;   /* 0: it still runs */
	enum sx_mode mode;
	struct sx_vcpu *vcpu;
	unsigned vcpus;
	struct sx_bus *bus;
	/* Split mode only: */
	struct sx_sidecore *const *sidecores;
	unsigned sidecore_count;
	const struct sx_exit_server *server;   /* one for each sidecore */
	const struct sx_poller *const *poller; /* those that serve no exits */
	unsigned pollers;
	/* Micro-guests only: */
	const struct sx_machine_ring *ring;
	unsigned ring_count;
	/* Kernels only: */
	const struct sx_pc_device *device;
	unsigned devices;
};

/*
 * A snapshot, to be decref'ed; NULL without memory. It waits for nobody: the guest may run. One
 * thread at a time, the one that adds and removes the machine's pollers; no RCU reader.
 */
json_t *sx_stats_take(const struct sx_stats_view *v);

#endif
