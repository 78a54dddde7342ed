// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the VMX engine offers to L1: the capability MSRs (SDM 3D Appendix A), as a structure.
 *
 * The engine starts from all that it implements; a back end takes away what it cannot honour, and
 * sx_vmx_caps_settle() takes away what hung on that. L1 is told this, the entry checks enforce it.
 */
#ifndef SX_NESTED_VMX_CAPS_H
#define SX_NESTED_VMX_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/wire/vmcs12.h"

struct sx_vmx_caps {
	/* Controls that L1 may set to 1 beside those that are always 1 (default1 without TRUE MSR).
	 */
	uint32_t pin;
	uint32_t cpu;
	uint32_t cpu2;
	uint32_t exit;
	uint32_t entry;
	uint64_t ept_vpid;       /* IA32_VMX_EPT_VPID_CAP: SX_EPTCAP_* */
	uint64_t vmfunc;         /* VM functions: SX_VMFUNC_* */
	uint64_t cr4;            /* CR4 bits that L2 and L1 may set; VMXE is added */
	uint64_t efer;           /* EFER bits that may be set */
	uint64_t debugctl;       /* IA32_DEBUGCTL bits that may be set */
	uint64_t perf_global;    /* IA32_PERF_GLOBAL_CTRL bits that may be set */
	uint32_t activity;       /* activity states beside active: SX_VMX_BIT(enum sx_activity) */
	uint8_t maxphyaddr;      /* width of a physical address of L1, 32 to 52 */
	uint8_t linear_bits;     /* 48; 57 is not offered, the EPT walk has 4 levels */
	uint8_t timer_shift;     /* the preemption timer counts down every 2^shift TSC ticks */
	bool zero_length_inject; /* software events may be injected with instruction length 0 */
};

/*
 * All that the engine implements, for an L1 with @maxphyaddr address bits and the CR4 bits @cr4.
 * A processor with other EFER or DEBUGCTL bits changes those members itself.
 */
void sx_vmx_caps_all(struct sx_vmx_caps *caps, unsigned maxphyaddr, uint64_t cr4);

/* Remove what the engine does not implement and what needs something that is not offered. */
void sx_vmx_caps_settle(struct sx_vmx_caps *caps);

/* Value of capability MSR @index, 0x480 to 0x491; -ENOENT where L1 takes a #GP instead. */
int sx_vmx_caps_msr(const struct sx_vmx_caps *caps, uint32_t index, uint64_t *value);

/* Bits of CR0 that VMX operation wants to be 1, and those that may be 1: A.7. */
#define SX_VMX_CR0_FIXED0 (SX_X86_CR0_PE | SX_X86_CR0_NE | SX_X86_CR0_PG)
#define SX_VMX_CR0_FIXED1 UINT64_C(0xffffffff)

/* CPUID.1:ECX bits that are 1 because of VMX: bit 5 (23.6). */
#define SX_VMX_CPUID_1_ECX SX_VMX_BIT(5)

/*
 * Is @value of a control word good: everything that must be 1 is, and nothing else than @allowed?
 * @must is the word's TRUE_DEFAULT1 (A.3.1, A.3.2, A.4, A.5).
 */
static inline bool sx_vmx_control_ok(uint64_t value, uint32_t must, uint32_t allowed)
{
	return (value & must) == must && !(value & ~(uint64_t)(must | allowed));
}

/* Does L1 see field @encoding: known to the engine, and its feature offered? */
bool sx_vmcs_field_exists(const struct sx_vmx_caps *caps, uint64_t encoding);

/* "GUEST_RIP" for 0x681e; NULL if the engine does not know the field. */
const char *sx_vmcs_field_name(uint64_t encoding);

/* May VMWRITE reach it without A.6's bit 29? Read-only data fields are those of type 1: 25.9. */
static inline bool sx_vmcs_field_read_only(uint32_t encoding)
{
	return SX_VMCS_TYPE(encoding) == SX_TYPE_EXIT_INFO;
}

/* Walk the table: encoding of the n-th field (n from 0) that the engine knows, or -1 at the end. */
int sx_vmcs_field_nth(unsigned n);

/* Highest index in the encoding of any field that exists: A.9. */
unsigned sx_vmcs_highest_index(const struct sx_vmx_caps *caps);

/* Bit per slot that exists for L1, for a VMREAD/VMWRITE handler inside L1. */
void sx_vmcs12_bitmap(const struct sx_vmx_caps *caps, uint64_t bitmap[SX_VMCS12_BITMAP_WORDS]);

#endif
