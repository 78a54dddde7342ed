// SPDX-License-Identifier: BSD-3-Clause
/*
 * An L2 vCPU: a vCPU of a sibling KVM VM (l2_vm.h), whose registers come from a VMCS12 at entry
 * and go back there at exit.
 *
 * Registers travel through the page shared with KVM (KVM_CAP_SYNC_REGS, api.rst): no ioctl but
 * KVM_RUN where only they change, and only groups that changed are marked for KVM to load. One
 * owner at a time.
 */
#ifndef SX_NESTED_L2_VCPU_H
#define SX_NESTED_L2_VCPU_H

#include "guestcore/vcpu.h"
#include "ipc/wire/vmx_line.h"
#include "nested/l2_vm.h"

struct kvm_run;
struct kvm_cpuid2;

struct sx_l2_vcpu {
	const struct sx_kvm *kvm;
	int fd;
	int mark; /* by which the host's module knows it; -1: it does not */
	struct kvm_run *run;
	struct sx_stats stats; /* fd -1 when this KVM offers none */
	uint64_t guest;        /* whose it is, if it has a learned CPUID (nested_internal.h) */
	bool fresh;            /* registers were never loaded */
	bool lost;             /* what L2 had at its last run; sx_l2_vcpu_forget() */
	uint64_t cr2;
	uint64_t tsc_offset; /* as KVM was last told */
	bool tsc_known;
	uint8_t tpr;              /* CR8 as L2 has it */
	bool unfinished;          /* sx_l2_vcpu_leave() */
	uint64_t unfinished_at;   /* the linear address of RIP then */
	struct sx_vmx_cpu loaded; /* what struct sx_vmx_cpu holds and KVM does not */
	struct sx_line_cpu live;  /* state beyond the VMCS, as KVM has it */
	uint32_t live_known;      /* SX_LIVE_... of it */
	void *xsave;              /* a page of it; NULL until it is first passed */
};

/*
 * Registers as KVM has them and as the engine has them. KVM is not shown CR4.VMXE, which it refuses
 * where it offers no VMX itself; from KVM's CR4 @cpu's own VMXE stays.
 */
struct kvm_regs;
struct kvm_sregs;
void sx_cpu_to_regs(const struct sx_vmx_cpu *cpu, struct kvm_regs *r);
void sx_cpu_from_regs(const struct kvm_regs *r, struct sx_vmx_cpu *cpu);
void sx_cpu_to_sregs(const struct sx_vmx_cpu *cpu, struct kvm_sregs *s);
void sx_cpu_from_sregs(struct kvm_sregs *s, struct sx_vmx_cpu *cpu);

/*
 * l2_host.c: have the host's module let a vCPU's hidden exits out. @mark is the descriptor that
 * keeps it so, or -1 where there is no module for us. Returns 0, or a negative errno.
 */
int sx_l2_host_mark(int vcpu, int *mark, struct sx_error *err);

int sx_l2_vcpu_create(struct sx_l2_vcpu *v, const struct sx_kvm *kvm, const struct sx_l2_vm *vm,
		      unsigned index, struct sx_error *err);
void sx_l2_vcpu_destroy(struct sx_l2_vcpu *v);

/*
 * What CPUID tells it, before it first runs: @table, or, where that is NULL or KVM does not take
 * it, all that KVM supports.
 */
int sx_l2_vcpu_set_cpuid(struct sx_l2_vcpu *v, const struct sx_kvm *kvm,
			 const struct kvm_cpuid2 *table, struct sx_error *err);

/* Registers and the event to deliver, for the next run, which says if KVM does not take them. */
void sx_l2_vcpu_load(struct sx_l2_vcpu *v, const struct sx_vmx_guest_state *state);
/*
 * After a run: @state's registers are L2's. An event whose delivery did not finish is in
 * state->event, as the IDT-vectoring fields want it; else that is none.
 */
void sx_l2_vcpu_save(struct sx_l2_vcpu *v, struct sx_vmx_guest_state *state);

/*
 * After a run that was interrupted: has L2 come to a triple fault, of which the next run would
 * tell? False on a KVM that does not say (before Linux 6.1).
 */
bool sx_l2_vcpu_shuts_down(const struct sx_l2_vcpu *v);

/* KVM has reset it: nothing is known of what KVM has. */
void sx_l2_vcpu_forget(struct sx_l2_vcpu *v);

/* One KVM_RUN; 0 or a negative errno. The calling thread is an online RCU reader. */
int sx_l2_vcpu_run(struct sx_l2_vcpu *v);
/*
 * Finish what KVM began for the last exit, without entering L2 (api.rst, immediate_exit). What
 * sx_l2_vcpu_save() gave before is not touched; KVM's RIP is then sx_l2_vcpu_rip().
 */
void sx_l2_vcpu_flush(struct sx_l2_vcpu *v);
uint64_t sx_l2_vcpu_rip(const struct sx_l2_vcpu *v);
/*
 * The same for nothing, for an OUT that KVM stands before: at the next run KVM steps over it only
 * if RIP is then still there (kvm_is_linear_rip() of Linux 5.1 and later). Where L1 wants just
 * that, sx_l2_vcpu_load() finishes it first. @cpu: L2 as it came out.
 */
void sx_l2_vcpu_leave(struct sx_l2_vcpu *v, const struct sx_vmx_cpu *cpu);

/* KVM's count of its exits so far; 0 where it counts none. */
uint64_t sx_l2_vcpu_exits(struct sx_l2_vcpu *v);

/* How far the TSC of the vCPU @fd, which must not be running, is from the host's. */
int sx_tsc_offset(int fd, uint64_t *offset);
/* L2's TSC is the host's plus @offset. */
int sx_l2_vcpu_set_tsc(struct sx_l2_vcpu *v, uint64_t offset);

/* State beyond the VMCS (SX_LIVE_...): from the line to KVM at entry, and back at exit. */
int sx_l2_vcpu_load_live(struct sx_l2_vcpu *v, uint32_t live, const struct sx_line_cpu *cpu,
			 const void *xsave);
int sx_l2_vcpu_save_live(struct sx_l2_vcpu *v, uint32_t live, struct sx_line_cpu *cpu, void *xsave);

#endif
