// SPDX-License-Identifier: BSD-3-Clause
/*
 * Nested VMX for one L1: an engine and a line (ipc/wire/vmx_line.h) for each of its vCPUs, and the
 * L2 VMs that they share, one for each EPT12 root.
 *
 * A line is served by one thread at a time, which owns its engine:
 *
 *   SX_NESTED_TRAP       the L1 vCPU's own thread, on each kick
 *   SX_NESTED_COLOCATED  a sidecore, to which the poller was added; from a good entry to the exit
 *                        the L1 vCPU's thread, which runs L2 on the same guest core
 *   SX_NESTED_PARALLEL   the thread of L2's guest core: while L2 does not run, that core has
 *                        nothing else to do but to poll for what L1 wants next
 */
#ifndef SX_NESTED_NESTED_H
#define SX_NESTED_NESTED_H

#include "guestcore/vcpu.h"
#include "ipc/memmap.h"
#include "nested/l2_vm.h"
#include "sidecore/poller.h"

enum sx_nested_place {
	SX_NESTED_TRAP,
	SX_NESTED_COLOCATED,
	SX_NESTED_PARALLEL,
};

struct sx_nested_config {
	const struct sx_kvm *kvm;
	const struct sx_memmap *memory;   /* L1's */
	const struct sx_l1_range *ranges; /* the same, as files */
	unsigned range_count;
	struct sx_vcpu *vcpu; /* L1's */
	unsigned vcpus;
	void *lines;   /* SX_LINE_STRIDE bytes a vCPU, zeroed, shared with L1 */
	uint64_t kick; /* L1-physical address of a register; writes go to sx_nested_kick() */
};

struct sx_nested;

/* Everything in the config is the caller's and must outlive it. Begins in SX_NESTED_TRAP. */
int sx_nested_create(struct sx_nested **n, const struct sx_nested_config *config,
		     struct sx_error *err);
/* No L1 vCPU runs, no line is polled by a sidecore. NULL is allowed. */
void sx_nested_destroy(struct sx_nested *n);

/*
 * Change who serves the lines. No L1 vCPU runs and no sidecore polls. For SX_NESTED_PARALLEL a
 * thread is started for each L1 vCPU, bound to @cpus[vcpu] (NULL or -1: anywhere).
 */
int sx_nested_set_place(struct sx_nested *n, enum sx_nested_place place, const int *cpus,
			struct sx_error *err);

/* SX_NESTED_COLOCATED: to be added to a sidecore, one for each vCPU. */
struct sx_poller *sx_nested_poller(struct sx_nested *n, unsigned vcpu);

/*
 * L1 vCPU @vcpu wrote @value to the kick register; on its thread, an online RCU reader. L2 may run
 * meanwhile, for as long as it likes. What goes wrong is L1's to know, by its line. Returns what
 * an exit sink does (ipc/exit.h).
 */
int sx_nested_kick(struct sx_nested *n, unsigned vcpu, uint64_t value);

/*
 * L1 vCPU @vcpu came to an instruction that KVM cannot emulate (struct sx_insn_sink). If it is one
 * of VMX, it is executed, and L2 runs if it says so. Only in SX_NESTED_TRAP.
 */
int sx_nested_execute(struct sx_nested *n, unsigned vcpu, const uint8_t *bytes, size_t len,
		      struct sx_error *err);

/* IA32_FEATURE_CONTROL and the capability MSRs, as sx_vmx_rdmsr() and sx_vmx_wrmsr(). The L1
 * vCPU's thread. */
int sx_nested_rdmsr(struct sx_nested *n, unsigned vcpu, uint32_t index, uint64_t *value);
int sx_nested_wrmsr(struct sx_nested *n, unsigned vcpu, uint32_t index, uint64_t value);

/*
 * Why L2 of an L1 vCPU could not be run, which L1 itself is told by a number only: one sentence
 * that was not given before, the first of each vCPU. False: there is none. Any thread.
 */
bool sx_nested_incident(struct sx_nested *n, struct sx_error *err);

/* Counters, from any thread; each right by itself. */
struct sx_nested_stats {
	uint64_t messages; /* on the lines */
	uint64_t entries;  /* that entered L2 */
	uint64_t exits;    /* of L2 to L1 */
	uint64_t l2_runs;  /* KVM_RUNs of L2 */
	uint64_t mapped;   /* pages of L2 mapped after a fault */
	unsigned l2_vms;   /* that exist now */
};

void sx_nested_stats(struct sx_nested *n, struct sx_nested_stats *stats);

/*
 * Exits by KVM's own count, summed over all vCPUs of L2 that exist or have existed; 0 where this
 * KVM does not count them. No L2 is created or destroyed meanwhile.
 */
uint64_t sx_nested_l2_exits(struct sx_nested *n);

#endif
