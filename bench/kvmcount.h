// SPDX-License-Identifier: BSD-3-Clause
/*
 * KVM's counters of a VM that belongs to another process.
 *
 * Be it splitx or another VMM, debugfs has a directory PID-FD for each VM, with a file for each
 * counter, summed over the vCPUs (Linux, virt/kvm/kvm_main.c, kvm_create_vm_debugfs()). A run of
 * splitx also tells those of one vCPU, by its control socket (docs/stats.md).
 */
#ifndef SX_BENCH_KVMCOUNT_H
#define SX_BENCH_KVMCOUNT_H

#include <stdint.h>
#include <sys/types.h>

#include "ipc/error.h"

#define SX_KVM_DEBUGFS "/sys/kernel/debug/kvm"

enum sx_kvm_counter {
	SX_KVM_EXITS,      /* all of them */
	SX_KVM_IO,         /* port accesses */
	SX_KVM_MMIO,       /* accesses to registers in memory that went to user space */
	SX_KVM_HALT,       /* the guest had nothing to do */
	SX_KVM_INTERRUPT,  /* the host's interrupts, and the kick that brings one to the guest */
	SX_KVM_IRQ_WINDOW, /* the guest was not ready to take an interrupt */
	SX_KVM_INJECTED,   /* interrupts the guest took; no exits */
	SX_KVM_COUNTERS,
};

struct sx_kvm_counts {
	uint64_t value[SX_KVM_COUNTERS];
};

/* The counters of the one VM of process @pid; @root is SX_KVM_DEBUGFS but in tests. */
int sx_kvm_counts_read(const char *root, pid_t pid, struct sx_kvm_counts *counts,
		       struct sx_error *err);

/*
 * The counters of vCPU @vcpu of the run that @control_fd leads to (sx_control_connect()), which has
 * @timeout_ms to answer. -ENODATA when it has no such vCPU, or its KVM not all of these counters.
 */
int sx_kvm_counts_of_vcpu(int control_fd, unsigned vcpu, int timeout_ms,
			  struct sx_kvm_counts *counts, struct sx_error *err);

/* What was counted between two readings. */
struct sx_kvm_counts sx_kvm_counts_since(const struct sx_kvm_counts *before,
					 const struct sx_kvm_counts *after);

#endif
