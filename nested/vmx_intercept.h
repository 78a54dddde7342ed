// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does this event of L2 exit to L1? Decisions of SDM 3C chapter 26, asked of the snapshot that
 * rules L2 since its entry. Pure but for what a bitmap or the virtual-APIC page in L1's memory
 * says at that moment.
 *
 * The caller has already raised the faults that come before an exit (26.1.1: privilege, mode,
 * operands). It passes a zeroed struct sx_vmx_exit; an EXIT verdict fills its reason, qualification
 * and interruption information, the instruction's length and information stay the caller's.
 */
#ifndef SX_NESTED_VMX_INTERCEPT_H
#define SX_NESTED_VMX_INTERCEPT_H

#include "nested/vmx.h"

enum sx_vmx_verdict {
	SX_L2_PROCEED, /* L2 does it, without L1 */
	SX_L2_EXIT,    /* VM exit to L1: give the filled struct sx_vmx_exit to sx_vmx_exit() */
	SX_L2_UD,      /* L2 takes #UD */
	SX_L2_GP,      /* L2 takes #GP(0) */
};

struct sx_vmx_exception {
	uint8_t vector;
	enum sx_intr_type type; /* hardware, software (INT3, INTO) or privileged (INT1) exception */
	bool has_error_code;
	uint32_t error_code;
	uint64_t qualification; /* #PF: linear address; #DB: what DR6 would get; else 0: 28.2.1 */
};

/* 25.6.3, 26.2: exception bitmap, and for #PF the error-code mask and match. */
bool sx_vmx_on_exception(const struct sx_vmx *vmx, const struct sx_vmx_exception *exception,
			 struct sx_vmx_exit *exit);

/* 26.2. A virtual-NMI guest whose NMIs exit is not blocked from them by its own blocking. */
bool sx_vmx_on_nmi(const struct sx_vmx *vmx, struct sx_vmx_exit *exit);

/*
 * An external interrupt for L1 is pending. If it exits and L1 asked for it to be acknowledged,
 * exit->intr_info is valid and holds @vector: the caller acknowledges it in L1's APIC. If it does
 * not exit, L2 takes it through its own IDT.
 */
bool sx_vmx_on_ext_intr(const struct sx_vmx *vmx, uint8_t vector, struct sx_vmx_exit *exit);

/*
 * Instructions and events whose exit hangs on one control or on none; @reason says which: CPUID,
 * HLT, INVLPG, RDPMC, RDTSC(P), MONITOR, MWAIT, WBINVD, XSETBV, descriptor-table accesses, RDRAND,
 * RDSEED, INVPCID, the VMX instructions, task switch, triple fault, INIT, SIPI, monitor trap, ...
 * (26.1.2, 26.1.3). -> @exit's reason.
 */
enum sx_vmx_verdict sx_vmx_on_insn(const struct sx_vmx *vmx, enum sx_vmx_reason reason,
				   struct sx_vmx_exit *exit);

/* PAUSE, with PAUSE-loop exiting: @cpl of L2, @tsc now (25.6.13, 26.1.3). */
bool sx_vmx_on_pause(struct sx_vmx *vmx, unsigned cpl, uint64_t tsc, struct sx_vmx_exit *exit);

/* XSAVES or XRSTORS of the components @mask, which are those of EDX:EAX that IA32_XSS enables. */
enum sx_vmx_verdict sx_vmx_on_xsaves(const struct sx_vmx *vmx, bool restore, uint64_t mask,
				     struct sx_vmx_exit *exit);

/*
 * MOV to CR0, CR3, CR4 or CR8 (@cr) of @value from register @gpr (26.1.3, 26.3). PROCEED: L2's
 * register becomes @effective; for CR8 with TPR shadow the virtual-APIC page has been written, and
 * sx_vmx_pending() says whether that exits.
 */
enum sx_vmx_verdict sx_vmx_on_mov_to_cr(const struct sx_vmx *vmx, const struct sx_vmx_cpu *l2,
					unsigned cr, unsigned gpr, uint64_t value,
					uint64_t *effective, struct sx_vmx_exit *exit);
/*
 * MOV from CR0, CR3, CR4 or CR8; @real is the register. PROCEED: L2 reads @value, which takes the
 * read shadows and the TPR shadow into account.
 */
enum sx_vmx_verdict sx_vmx_on_mov_from_cr(const struct sx_vmx *vmx, unsigned cr, unsigned gpr,
					  uint64_t real, uint64_t *value, struct sx_vmx_exit *exit);
enum sx_vmx_verdict sx_vmx_on_clts(const struct sx_vmx *vmx, const struct sx_vmx_cpu *l2,
				   uint64_t *effective, struct sx_vmx_exit *exit);
/* @linear: address of a memory operand, or NULL for a register. */
enum sx_vmx_verdict sx_vmx_on_lmsw(const struct sx_vmx *vmx, const struct sx_vmx_cpu *l2,
				   uint16_t source, const uint64_t *linear, uint64_t *effective,
				   struct sx_vmx_exit *exit);
/* What L2 reads of a CR0 or CR4 (@cr) that really is @real: 26.3. */
uint64_t sx_vmx_visible_cr(const struct sx_vmx *vmx, unsigned cr, uint64_t real);

bool sx_vmx_on_mov_dr(const struct sx_vmx *vmx, unsigned dr, unsigned gpr, bool from_dr,
		      struct sx_vmx_exit *exit);

struct sx_vmx_io {
	uint16_t port;
	uint8_t size; /* 1, 2, 4 */
	bool in;
	bool string;
	bool rep;
	bool immediate; /* the port is in the instruction, not in DX */
};

bool sx_vmx_on_io(const struct sx_vmx *vmx, const struct sx_vmx_io *io, struct sx_vmx_exit *exit);
bool sx_vmx_on_msr(const struct sx_vmx *vmx, uint32_t index, bool write, struct sx_vmx_exit *exit);

/*
 * What exits before L2's next instruction, by priority (26.2, 26.5, 27.7): TPR below threshold,
 * a pending monitor trap that was injected, then, unless a debug exception is pending, which L2
 * takes first, preemption timer at 0, NMI window, interrupt window. Ask after an entry's event has
 * been delivered, and again whenever L2's state has changed.
 */
bool sx_vmx_pending(const struct sx_vmx *vmx, const struct sx_vmx_guest_state *l2,
		    struct sx_vmx_exit *exit);

/* 25.6.15, 26.1.3: VMREAD (@write false) or VMWRITE by L2, with VMCS shadowing. */
enum sx_vmx_verdict sx_vmx_on_vmread(const struct sx_vmx *vmx, bool write, uint64_t encoding,
				     struct sx_vmx_exit *exit);
/* Such a VMREAD or VMWRITE that PROCEEDs: on the shadow VMCS that the link pointer names. */
struct sx_vmx_result sx_vmx_shadow_read(const struct sx_vmx *vmx, uint64_t encoding,
					uint64_t *value);
struct sx_vmx_result sx_vmx_shadow_write(const struct sx_vmx *vmx, uint64_t encoding,
					 uint64_t value);

/* VMFUNC with EAX @function and ECX @argument: 26.5.6. PROCEED: L2 runs on @eptp from now on. */
enum sx_vmx_verdict sx_vmx_on_vmfunc(struct sx_vmx *vmx, uint32_t function, uint32_t argument,
				     uint64_t *eptp, struct sx_vmx_exit *exit);

#endif
