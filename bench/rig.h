// SPDX-License-Identifier: BSD-3-Clause
/*
 * The rig of a benchmark: one machine with one vCPU that the calling thread runs itself, on the
 * guest core, and one sidecore. The guest takes commands (bench/guests/bench_page.h), so trap and
 * split mode alternate within one run, on the same VM, with the same code.
 *
 * A rig with PCI devices stays in their mode; several rigs on the same two cores then alternate,
 * and those that do not run have their sidecore parked (bench/floors.h).
 */
#ifndef SX_BENCH_RIG_H
#define SX_BENCH_RIG_H

#include <sched.h>

#include "bench/guests/bench_page.h"
#include "bench/samples.h"
#include "cli/machine.h"
#include "cli/pc_devices.h"
#include "guestcore/placement.h"

struct sx_rig {
	struct sx_kvm kvm;
	struct sx_placement *place;
	struct sx_sidecore *sidecore;
	struct sx_machine machine;
	struct sx_pc_devices devices;
	struct sx_bus_range yield;
	struct sx_bench_page *page; /* guest memory */
	uint32_t page_samples;      /* that fit behind it */
	int guest_cpu, side_cpu;
	cpu_set_t affinity; /* the calling thread's before it was bound to the guest core */
	uint64_t tsc_khz;
};

struct sx_rig_config {
	const char *guest; /* path of the micro-guest */
	uint64_t memory;
	const char *guest_cores, *sidecores; /* lists, or NULL */
	/*
	 * PCI devices, if there are any, and in which mode they are; it does not change. The guest
	 * finds the root's configuration space at boot_info.argument.
	 */
	const struct sx_plugged *plugged;
	unsigned plugged_count;
	enum sx_mode device_mode;
	bool nested; /* the guest is a hypervisor; it begins in SX_NESTED_TRAP */
};

/* Build it, bind the calling thread to the guest core, run the guest up to its first yield. */
int sx_rig_open(struct sx_rig *rig, const struct sx_rig_config *config, struct sx_error *err);
void sx_rig_close(struct sx_rig *rig);

struct sx_rig_command {
	enum sx_mode mode;
	enum sx_bench_op op;
	uint32_t samples;
	uint32_t warmup;
	uint32_t batch, messages; /* SX_BENCH_STREAM */
	uint64_t doorbell;        /* SX_BENCH_DOORBELL */
	uint32_t depth, bytes;    /* of the guest `virtio` */
	bool unchecked;           /* likewise */
	uint32_t window;          /* likewise: samples in a window; 0: none */
	uint32_t how;             /* SX_BENCH_PREPARE */
};

struct sx_rig_outcome {
	uint64_t exits;        /* KVM's count for the operations, the yield taken off */
	uint64_t device_exits; /* those for MMIO among them */
	uint64_t ops;          /* operations done, warm-up included */
};

/* Have the guest carry @c out; its samples are added to @s, the outcome is added to *@sum. */
int sx_rig_run(struct sx_rig *rig, const struct sx_rig_command *c, struct sx_samples *s,
	       struct sx_rig_outcome *sum, struct sx_error *err);

/* How long each window of the last command took, in cycles: they are added to @s. */
void sx_rig_windows(const struct sx_rig *rig, struct sx_samples *s);

#endif
