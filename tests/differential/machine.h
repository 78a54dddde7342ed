/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The processor that the cases run on, as they see it: a CPL 0 program in 64-bit mode with
 * identity paging and VMX. There are two: bare/ is a Multiboot kernel, whose instructions are
 * executed by whatever it boots on; engine/ is a host program that gives the same instructions to
 * nested/. Cases and reports are compiled into both, freestanding, and say the same of equal ones.
 */
#ifndef DIFF_MACHINE_H
#define DIFF_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/wire/vmcs12.h"

/* Physical memory that cases use, at the same addresses on both machines. */
#define DIFF_ARENA      UINT64_C(0x400000)
#define DIFF_ARENA_SIZE UINT64_C(0x40000)
enum diff_place {
	AT_VMXON = 0x401000,
	AT_VMCS = 0x402000,
	AT_OTHER = 0x403000, /* a second VMCS */
	AT_SHADOW = 0x404000,
	AT_IO_A = 0x405000,
	AT_IO_B = 0x406000,
	AT_MSRS = 0x407000,
	AT_VAPIC = 0x408000,
	AT_PML = 0x409000,
	AT_ENTRY_LOAD = 0x40a000,
	AT_EXIT_STORE = 0x40b000,
	AT_EXIT_LOAD = 0x40c000,
	AT_VMREAD = 0x40d000,
	AT_VMWRITE = 0x40e000,
	AT_EPTP_LIST = 0x40f000,
	AT_CODE = 0x410000,    /* where L1's instructions are put */
	AT_L2_CODE = 0x411000, /* and L2's */
	AT_L2_STACK = 0x413000,
	AT_L2_PML4 = 0x414000,
	AT_L2_PDPT = 0x415000,
	AT_L2_PD = 0x416000,
	AT_PDPTES = 0x417000, /* PAE paging's */
	AT_L2_IDT = 0x418000,
	AT_L2_GDT = 0x419000,
	AT_OPERAND = 0x41a000,
	AT_EPT = 0x420000, /* PML4, PDPT, PD, PT */
	AT_DATA = 0x430000,
};

/* General registers as instructions encode them. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R15 = 15, GPRS };

enum diff_kind {
	DIFF_NEXT,  /* what stands behind the instruction runs */
	DIFF_FAULT, /* an exception */
	DIFF_EXIT,  /* a VM exit, perhaps out of a VM entry that failed: host RIP runs */
	DIFF_ABORT, /* a VMX abort; only the engine comes back from that */
};

struct diff_end {
	enum diff_kind kind;
	uint64_t rflags;
	uint32_t vector, error;
	uint64_t cr2;
	uint64_t rip; /* of the fault */
};

/* What a VM exit has loaded. */
enum diff_host_word {
	HOST_WORD_CR0,
	HOST_WORD_CR3,
	HOST_WORD_CR4,
	HOST_WORD_EFER,
	HOST_WORD_PAT,
	HOST_WORD_RSP,
	HOST_WORD_RFLAGS,
	HOST_WORD_DR7,
	HOST_WORD_DEBUGCTL,
	HOST_WORD_SYSENTER_CS,
	HOST_WORD_SYSENTER_ESP,
	HOST_WORD_SYSENTER_EIP,
	HOST_WORD_ES,
	HOST_WORD_CS,
	HOST_WORD_SS,
	HOST_WORD_DS,
	HOST_WORD_FS,
	HOST_WORD_GS,
	HOST_WORD_TR,
	HOST_WORD_LDTR,
	HOST_WORD_FS_BASE,
	HOST_WORD_GS_BASE,
	HOST_WORD_GDTR_BASE,
	HOST_WORD_GDTR_LIMIT,
	HOST_WORD_IDTR_BASE,
	HOST_WORD_IDTR_LIMIT,
	HOST_WORD_KERNEL_GS_BASE,
	HOST_WORDS,
};

struct diff_host {
	uint64_t word[HOST_WORDS];
};

#define DIFF_CR0      UINT64_C(0x80010033) /* PG WP NE ET MP PE */
#define DIFF_CR4      UINT64_C(0x2020)     /* VMXE PAE */
#define DIFF_EFER     UINT64_C(0xd01)      /* NXE LMA LME SCE */
#define DIFF_CODE_SEL 0x08
#define DIFF_DATA_SEL 0x10
#define DIFF_TSS_SEL  0x18
#define DIFF_CODE32   0x28
#define DIFF_USERCODE 0x33
#define DIFF_USERDATA 0x3b

/* Where host state has to point so that an exit comes back: the machine knows. */
struct diff_way_back {
	uint64_t rip, rsp, cr3, gdtr, idtr, tr;
};

void diff_put(char c);
/* Memory at @gpa of the arena. */
void *diff_at(uint64_t gpa);
void diff_way_back(struct diff_way_back *back);
/* False: #GP. */
bool diff_rdmsr(uint32_t index, uint64_t *value);
unsigned diff_maxphyaddr(void);
/* False where the field does not exist, or no VMCS is current. */
bool diff_vmread(uint32_t encoding, uint64_t *value);
bool diff_vmwrite(uint32_t encoding, uint64_t value);
/* What L1 is while it executes a case's instruction. */
enum diff_mode {
	DIFF_LONG,   /* 64-bit, CPL 0 */
	DIFF_COMPAT, /* compatibility mode, CPL 0: only for what faults */
	DIFF_USER,   /* 64-bit, CPL 3: only for what faults */
};

/*
 * Execute the @length bytes @code at AT_CODE in @mode, with the general registers @gpr, all but
 * RSP, which then hold what the instruction left; where that is an exit, @host is filled.
 */
struct diff_end diff_execute_in(enum diff_mode mode, const uint8_t *code, unsigned length,
				uint64_t gpr[GPRS], struct diff_host *host);

static inline struct diff_end diff_execute(const uint8_t *code, unsigned length, uint64_t gpr[GPRS],
					   struct diff_host *host)
{
	return diff_execute_in(DIFF_LONG, code, length, gpr, host);
}

/* All cases, in order; the machine is not in VMX operation yet. */
void diff_run_all(void);

#endif
