// SPDX-License-Identifier: BSD-3-Clause
/*
 * The VMX engine: what one logical processor of L1 does when it executes VMX instructions.
 *
 * A pure library. It has no threads, no globals, no KVM: it reaches L1's memory, page tables and
 * MSRs by callbacks, and L1's registers are a structure that the caller passes in and gets back.
 * One struct sx_vmx has one owner at a time; different ones are independent.
 *
 * Life of an entry: sx_vmx_enter() copies the VMCS12 out of L1's memory once, checks the copy and
 * uses the copy. Until sx_vmx_exit() the copy rules L2 (the intercept functions of vmx_intercept.h
 * ask it), so an L1 that rewrites the memory meanwhile changes nothing but its own next entry.
 */
#ifndef SX_NESTED_VMX_H
#define SX_NESTED_VMX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nested/vmx_caps.h"
#include "ipc/wire/vmx_defs.h"
#include "ipc/wire/vmcs12.h"

#define SX_VMX_NONE UINT64_MAX /* no VMCS current; also "no shadow VMCS" in the link pointer */

/* Segment registers in the order of their VMCS fields. */
enum sx_segment {
	SX_SEG_ES,
	SX_SEG_CS,
	SX_SEG_SS,
	SX_SEG_DS,
	SX_SEG_FS,
	SX_SEG_GS,
	SX_SEG_LDTR,
	SX_SEG_TR,
	SX_SEG_COUNT,
};

/* General registers in the order of their encodings. */
enum sx_gpr {
	SX_RAX,
	SX_RCX,
	SX_RDX,
	SX_RBX,
	SX_RSP,
	SX_RBP,
	SX_RSI,
	SX_RDI,
	SX_R8,
	SX_R15 = 15,
	SX_GPR_COUNT,
};

struct sx_vmx_segment {
	uint64_t base;
	uint32_t limit; /* in bytes, not pages */
	uint32_t ar;    /* SX_AR_*: table 25-2 */
	uint16_t selector;
};

struct sx_vmx_table {
	uint64_t base;
	uint32_t limit;
};

/* The architectural state of a processor that the rules depend on; L1's, or L2's. */
struct sx_vmx_cpu {
	uint64_t gpr[SX_GPR_COUNT];
	uint64_t rip;
	uint64_t rflags;
	uint64_t cr0, cr3, cr4;
	uint64_t dr7;
	uint64_t efer;
	uint64_t pat;
	uint64_t debugctl;
	uint64_t perf_global;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pdpte[4];
	uint64_t pending_dbg;
	uint32_t activity;         /* enum sx_activity */
	uint32_t interruptibility; /* SX_BLOCK_* */
	struct sx_vmx_segment seg[SX_SEG_COUNT];
	struct sx_vmx_table gdtr, idtr;
};

/* CPL is the DPL of SS: 25.4.1, note on table 25-2. */
static inline unsigned sx_vmx_cpl(const struct sx_vmx_cpu *cpu)
{
	return SX_AR_DPL(cpu->seg[SX_SEG_SS].ar);
}

static inline bool sx_vmx_is_64bit(const struct sx_vmx_cpu *cpu)
{
	return (cpu->efer & SX_X86_EFER_LMA) && (cpu->seg[SX_SEG_CS].ar & SX_AR_L);
}

/* Vol. 1 3.3.4: outside 64-bit mode the base of CS counts. */
static inline uint64_t sx_vmx_linear_rip(const struct sx_vmx_cpu *cpu)
{
	return sx_vmx_is_64bit(cpu) ? cpu->rip : (uint32_t)(cpu->seg[SX_SEG_CS].base + cpu->rip);
}

enum sx_vmx_access {
	SX_ACCESS_READ = 1,
	SX_ACCESS_WRITE = 2,
	SX_ACCESS_FETCH = 4,
};

/*
 * How the engine reaches L1. Every member is required; @ctx is the pointer given to sx_vmx_init().
 * Physical addresses are L1's. A callback is never given a length of 0 or above 4 KiB.
 */
struct sx_vmx_ops {
	/* 0, or -EFAULT if not all of it is memory of L1. L1 may write it at the same time. */
	int (*read)(void *ctx, uint64_t gpa, void *buf, size_t len);
	/* 0, or -EFAULT if not all of it is writable memory of L1. */
	int (*write)(void *ctx, uint64_t gpa, const void *buf, size_t len);
	/* Atomic compare and exchange of 8 aligned bytes: 0, -EAGAIN if not @old, -EFAULT. */
	int (*cas64)(void *ctx, uint64_t gpa, uint64_t old, uint64_t value);
	/*
	 * Translate @linear by L1's paging at CPL 0 for @access: 0, or -EFAULT with the page-fault
	 * error code in @error. Only called for canonical addresses.
	 */
	int (*translate)(void *ctx, const struct sx_vmx_cpu *cpu, uint64_t linear,
			 enum sx_vmx_access access, uint64_t *gpa, uint32_t *error);
	/*
	 * WRMSR of an MSR-load area, RDMSR of an MSR-store area: 0, or -EINVAL for a #GP. Never
	 * called for an MSR that struct sx_vmx_cpu holds.
	 */
	int (*msr_load)(void *ctx, uint32_t index, uint64_t value);
	int (*msr_store)(void *ctx, uint32_t index, uint64_t *value);
	/* Cached translations go: @type as in the instruction, operands already checked. */
	void (*invept)(void *ctx, uint64_t type, uint64_t eptp);
	void (*invvpid)(void *ctx, uint64_t type, uint16_t vpid, uint64_t linear);
};

struct sx_vmx {
	const struct sx_vmx_ops *ops;
	void *ctx;
	struct sx_vmx_caps caps;
	uint64_t feature_control; /* IA32_FEATURE_CONTROL */
	uint64_t vmxon_pointer;
	uint64_t current; /* current-VMCS pointer or SX_VMX_NONE */
	bool on;          /* in VMX operation */
	bool in_l2;       /* in VMX non-root operation: between a good entry and its exit */
	uint64_t pause_first, pause_last; /* TSC of PAUSEs, for PAUSE-loop exiting */
	const char *why;      /* rule that refused the last entry, for people; NULL if none */
	struct sx_vmcs12 v12; /* the snapshot; rules L2 while in_l2 */
};

/* @ops and @ctx stay the caller's and must outlive @vmx. @caps is copied and settled. */
void sx_vmx_init(struct sx_vmx *vmx, const struct sx_vmx_caps *caps, const struct sx_vmx_ops *ops,
		 void *ctx);

/* L1's processor is reset: VMX operation ends and IA32_FEATURE_CONTROL is unlocked. */
void sx_vmx_reset(struct sx_vmx *vmx);

/* IA32_FEATURE_CONTROL and 0x480 to 0x491: 0, -EINVAL for a #GP, -ENOENT: not an MSR of VMX. */
int sx_vmx_rdmsr(const struct sx_vmx *vmx, uint32_t index, uint64_t *value);
int sx_vmx_wrmsr(struct sx_vmx *vmx, uint32_t index, uint64_t value);

/*
 * May CR0 or CR4 take this value in VMX operation (23.8)? Used for L1's own MOV to CR as well: in
 * VMX operation a MOV that says no is a #GP.
 */
bool sx_vmx_cr0_ok(uint64_t cr0);
bool sx_vmx_cr4_ok(const struct sx_vmx_caps *caps, uint64_t cr4);

/* How a VMX instruction ends: 31.2. */
enum sx_vmx_outcome {
	SX_VMX_SUCCEED,
	SX_VMX_FAIL_INVALID,
	SX_VMX_FAIL_VALID,   /* error holds the VM-instruction error number */
	SX_VMX_FAULT,        /* vector, error_code, address; RIP stays */
	SX_VMX_ENTERED,      /* L2 runs now */
	SX_VMX_ENTRY_FAILED, /* a VM exit with reason 33 or 34: L1's registers are the host state */
	SX_VMX_ABORTED, /* VMX abort: L1's processor is in shutdown; error holds the indicator */
};

struct sx_vmx_result {
	enum sx_vmx_outcome outcome;
	uint32_t error;
	uint8_t vector;
	bool has_error_code;
	uint32_t error_code;
	uint64_t address; /* what #PF puts into CR2 */
};

/*
 * The instructions, with their operands already fetched. @cpu gives the mode and privilege; only
 * sx_vmx_enter() writes to it. RFLAGS and RIP are left to sx_vmx_finish().
 */
struct sx_vmx_result sx_vmx_vmxon(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t gpa);
struct sx_vmx_result sx_vmx_vmxoff(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu);
struct sx_vmx_result sx_vmx_vmclear(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t gpa);
struct sx_vmx_result sx_vmx_vmptrld(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t gpa);
struct sx_vmx_result sx_vmx_vmptrst(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu,
				    uint64_t *gpa);
struct sx_vmx_result sx_vmx_vmread(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu,
				   uint64_t encoding, uint64_t *value);
struct sx_vmx_result sx_vmx_vmwrite(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu,
				    uint64_t encoding, uint64_t value);
struct sx_vmx_result sx_vmx_invept(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t type,
				   const uint64_t descriptor[2]);
struct sx_vmx_result sx_vmx_invvpid(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t type,
				    const uint64_t descriptor[2]);
struct sx_vmx_result sx_vmx_vmcall(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu);

/* Put the outcome of a completed instruction into RFLAGS and step RIP over @length bytes: 31.2. */
void sx_vmx_finish(struct sx_vmx_cpu *cpu, const struct sx_vmx_result *result, unsigned length);

/* An event that VM entry delivers to L2, or that its delivery was interrupted by: 25.8.3. */
struct sx_vmx_event {
	uint32_t info; /* as the VM-entry interruption-information field; bit 31: there is one */
	uint32_t error_code;
	uint32_t insn_length;
};

/* What a back end needs to run L2. */
struct sx_vmx_guest_state {
	struct sx_vmx_cpu cpu;
	struct sx_vmx_event event;
	uint64_t tsc_offset; /* L2's TSC = (L1's TSC * multiplier >> 48) + offset: 26.3 */
	uint64_t tsc_multiplier;
	uint64_t eptp; /* 0: no EPT, L2's physical addresses are L1's */
	uint16_t vpid; /* 0: none */
	bool timer_active;
	uint32_t timer; /* ticks of 2^caps.timer_shift TSC cycles */
};

/*
 * VMLAUNCH (@resume false) or VMRESUME. SX_VMX_ENTERED: @l2 is filled, its general registers except
 * RSP copied from @l1. SX_VMX_ENTRY_FAILED: the exit is recorded in the VMCS12 and @l1 is the host
 * state. Other outcomes leave @l1 alone. After any refusal vmx->why says which rule it was.
 */
struct sx_vmx_result sx_vmx_enter(struct sx_vmx *vmx, struct sx_vmx_cpu *l1, bool resume,
				  struct sx_vmx_guest_state *l2);

/* A VM exit, as its information fields record it: 25.9. What does not apply stays 0. */
struct sx_vmx_exit {
	uint32_t reason; /* enum sx_vmx_reason */
	uint32_t intr_info;
	uint32_t intr_error;
	uint32_t idt_info; /* the event whose delivery led to this exit: 28.2.4 */
	uint32_t idt_error;
	uint32_t insn_length;
	uint32_t insn_info;
	uint64_t qualification;
	uint64_t linear;
	uint64_t physical;
	uint64_t io_rcx, io_rsi, io_rdi, io_rip;
};

/*
 * VM exit from L2 to L1: @l2 goes into the VMCS12 with @exit, @l1 becomes the host state; L2's
 * general registers except RSP go to @l1. SX_VMX_SUCCEED, or SX_VMX_ABORTED with the indicator in
 * error. Only while in_l2.
 */
struct sx_vmx_result sx_vmx_exit(struct sx_vmx *vmx, const struct sx_vmx_guest_state *l2,
				 const struct sx_vmx_exit *exit, struct sx_vmx_cpu *l1);

#endif
