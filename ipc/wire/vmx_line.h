/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/*
 * The VMX line: how code inside L1 has the VMX instructions of one L1 vCPU done by the engine.
 *
 * It is memory that L0 gives L1: registers, an XSAVE image, and a ring (ipc/wire/ring.h) whose
 * producer is L1. Each message is one instruction; VMLAUNCH and VMRESUME are answered when L2 has
 * exited, or was refused. VMREAD and VMWRITE need no message: the current VMCS12 is memory of L1's
 * own (ipc/wire/vmcs12.h). L1 is in 64-bit mode, at CPL 0 as it believes.
 *
 * L1 owns the words below `cpu` and the XSAVE image, L0 does from an entry's publication to its
 * reply; the words above are L0's, and L1 only reads them.
 */
#ifndef SX_WIRE_VMX_LINE_H
#define SX_WIRE_VMX_LINE_H

#include "ipc/wire/ring.h"
#include "ipc/wire/vmcs12.h"

/*
 * How code inside L1 finds its lines: CPUID, in the range of hypervisors. The signature leaf says
 * in EAX the highest leaf of this range, and in EBX, ECX, EDX "splitxsplitx". The next one says in
 * EAX SX_WIRE_VERSION, in EBX how many lines there are, and in ECX (low half) and EDX their
 * L1-physical address: line n is that of the vCPU with APIC ID n, SX_LINE_STRIDE bytes each.
 */
#define SX_LINE_CPUID_SIGNATURE 0x40000100u
#define SX_LINE_CPUID_PLACE     0x40000101u
#define SX_LINE_SIGNATURE_EBX   0x696c7073u /* "spli" */
#define SX_LINE_SIGNATURE_ECX   0x70737874u /* "txsp" */
#define SX_LINE_SIGNATURE_EDX   0x7874696cu /* "litx" */

#define SX_LINE_XSAVE_SIZE 4096u
#define SX_LINE_RING_ORDER 1u

/* What needs a kick: a write of `kick_value` to the 64-bit register at `kick`, which exits. */
#define SX_LINE_KICK_EACH  1u /* flags: every message; nobody polls */
#define SX_LINE_KICK_ENTRY 2u /* flags: VMLAUNCH and VMRESUME; L2 runs on L1's own core */

/*
 * What L1 keeps in the processor beyond the VMCS: `live`. State of a kind that is not named stays
 * L2's own from run to run.
 */
#define SX_LIVE_FPU   1u /* x87, SSE, AVX: `xsave`, standard form, components of `xcr0` */
#define SX_LIVE_MSRS  2u /* kernel_gs_base to xss, and xcr0 */
#define SX_LIVE_DEBUG 4u /* dr0 to dr3, dr6 */
#define SX_LIVE_CR2   8u /* cr2 */
/*
 * Not state: before a guest's first instructions L1 takes CPUID exits that no CPUID at the guest's
 * RIP made, one for each leaf, and answers them as any; its step over the instruction is undone.
 * L0 has asked once for each VMCS12 that is not the same as before: a region that is used for
 * another guest is zeroed between. L1 names all state above as well.
 */
#define SX_LIVE_CPUID 16u

/* General registers are in the order of their encodings; segments in that of their VMCS fields. */
struct sx_line_cpu {
	uint64_t gpr[16];
	uint64_t rip, rflags;
	uint64_t cr0, cr2, cr3, cr4;
	uint64_t dr[4], dr6, dr7;
	uint64_t efer, pat, debugctl;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t fs_base, gs_base, tr_base, gdtr_base, idtr_base;
	uint16_t gdtr_limit, idtr_limit;
	uint16_t selector[8];
	uint16_t cpl; /* of who executed the instruction */
	uint64_t kernel_gs_base, star, lstar, cstar, fmask, tsc_aux, xcr0, xss;
};

struct sx_vmx_line {
	/* Written by L0 before L1 runs. */
	uint32_t version; /* SX_WIRE_VERSION */
	uint32_t flags;   /* SX_LINE_KICK_... */
	uint64_t kick;
	uint64_t kick_value;
	/* Which slots of a VMCS12 exist: VMREAD and VMWRITE of others are for L0 to refuse. */
	uint64_t slots[SX_VMCS12_BITMAP_WORDS];
	/* Written by L0 before a reply. */
	uint64_t current_vmcs; /* current-VMCS pointer; all ones: none */
	uint32_t on;           /* 1: in VMX operation */
	uint32_t pad;
	uint8_t pad_to_l1[SX_CACHE_LINE];

	/* Written by L1. */
	uint32_t live; /* SX_LIVE_..., as it is before an entry */
	uint32_t pad_live;
	struct sx_line_cpu cpu;

	/*
	 * L1's interrupt: while L2 runs elsewhere, L1 stores 1 here and kicks; L2 then exits, by an
	 * external interrupt if that exits. L1 clears it. On a cache line of its own.
	 */
	uint32_t interrupt __attribute__((aligned(SX_CACHE_LINE)));
	/*
	 * With acknowledge on exit: its vector. L1 names one whose handler may run when no such
	 * interrupt came, for the interrupt itself it takes once the exit lets it.
	 */
	uint32_t vector;
};

_Static_assert(sizeof(struct sx_vmx_line) <= 4096, "a line's registers are one page");

/* Where the parts of a line lie. */
#define SX_LINE_XSAVE  4096u
#define SX_LINE_RING   (SX_LINE_XSAVE + SX_LINE_XSAVE_SIZE)
#define SX_LINE_STRIDE 16384u

/* Messages: `op`, and its operands in w[]. */
enum sx_line_op {
	SX_LINE_VMXON = 1, /* w[0] physical address */
	SX_LINE_VMXOFF,
	SX_LINE_VMCLEAR, /* w[0] physical address */
	SX_LINE_VMPTRLD, /* w[0] physical address */
	SX_LINE_VMPTRST, /* -> w[3] */
	SX_LINE_VMREAD,  /* w[0] encoding -> w[3] */
	SX_LINE_VMWRITE, /* w[0] encoding, w[1] value */
	SX_LINE_INVEPT,  /* w[0] type, w[1] and w[2] descriptor */
	SX_LINE_INVVPID, /* w[0] type, w[1] and w[2] descriptor */
	SX_LINE_VMLAUNCH,
	SX_LINE_VMRESUME,
	SX_LINE_VMCALL,
	/*
	 * Any VMX instruction as its bytes: w[0] and w[1] hold 15 of them, `cpu` the registers,
	 * which come back as the instruction leaves them.
	 */
	SX_LINE_EXECUTE,
	SX_LINE_RDMSR, /* w[0] index -> w[3]; the capability MSRs and IA32_FEATURE_CONTROL */
	SX_LINE_WRMSR, /* w[0] index, w[1] value */
};

/* `arg` of the reply. */
enum sx_line_outcome {
	SX_LINE_SUCCEED,
	SX_LINE_FAIL_INVALID,
	SX_LINE_FAIL_VALID, /* w[0] VM-instruction error number */
	SX_LINE_FAULT,   /* w[0] vector, w[1] bit 32: has an error code, bits 31:0; w[2] address of
			    #PF */
	SX_LINE_EXITED,  /* `cpu` is the host state, its general registers L2's */
	SX_LINE_ABORTED, /* VMX abort: this vCPU is in shutdown; w[0] indicator */
	SX_LINE_REFUSED, /* not a message of this version, or L0 cannot run this L2: w[0] errno */
};

#endif
