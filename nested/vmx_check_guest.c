// SPDX-License-Identifier: BSD-3-Clause
/*
 * Checks on the guest-state area: SDM 3C 27.3.1, but for the segments (vmx_check_segments.c).
 * A failure is a VM exit with reason 33.
 */
#include "nested/vmx_internal.h"

static bool guest_is_64(const struct sx_vmx *vmx)
{
	return entry_controls(vmx) & SX_ENTRYC_GUEST_64;
}

bool sx_vmx_guest_cr0_ok(const struct sx_vmx *vmx, uint64_t cr0)
{
	uint64_t fixed = SX_VMX_CR0_FIXED0;

	if (cpu2_controls(vmx) & SX_CPU2_UNRESTRICTED)
		fixed &= ~(SX_X86_CR0_PE | SX_X86_CR0_PG);
	if ((cr0 & fixed) != fixed || (cr0 & ~SX_VMX_CR0_FIXED1))
		return false;
	return !(cr0 & SX_X86_CR0_PG) || (cr0 & SX_X86_CR0_PE);
}

static const char *check_cr0(const struct sx_vmx *vmx)
{
	return sx_vmx_guest_cr0_ok(vmx, F(vmx, GUEST_CR0)) ? NULL : "27.3.1.1: guest CR0";
}

static const char *check_cr4_cr3(const struct sx_vmx *vmx)
{
	uint64_t cr4 = F(vmx, GUEST_CR4);
	bool long_mode = guest_is_64(vmx);

	if (!sx_vmx_cr4_ok(&vmx->caps, cr4))
		return "27.3.1.1: guest CR4";
	if ((entry_controls(vmx) & SX_ENTRYC_LOAD_DEBUG) &&
	    (F(vmx, GUEST_DEBUGCTL) & ~vmx->caps.debugctl))
		return "27.3.1.1: guest IA32_DEBUGCTL has a reserved bit";
	if (long_mode && !((F(vmx, GUEST_CR0) & SX_X86_CR0_PG) && (cr4 & SX_X86_CR4_PAE)))
		return "27.3.1.1: IA-32e mode guest without CR0.PG or CR4.PAE";
	if (!long_mode && (cr4 & SX_X86_CR4_PCIDE))
		return "27.3.1.1: guest CR4.PCIDE outside IA-32e mode";
	if (!physical_ok(&vmx->caps, F(vmx, GUEST_CR3), 1))
		return "27.3.1.1: guest CR3 beyond the physical-address width";
	return NULL;
}

static bool efer_ok(const struct sx_vmx *vmx, uint64_t efer)
{
	bool lma = efer & SX_X86_EFER_LMA, lme = efer & SX_X86_EFER_LME;

	if ((efer & ~vmx->caps.efer) || lma != guest_is_64(vmx))
		return false;
	return !(F(vmx, GUEST_CR0) & SX_X86_CR0_PG) || lma == lme;
}

static const char *check_msrs(const struct sx_vmx *vmx)
{
	const struct sx_vmx_caps *c = &vmx->caps;
	uint32_t entry = entry_controls(vmx);

	if ((entry & SX_ENTRYC_LOAD_DEBUG) && F(vmx, GUEST_DR7) >> 32)
		return "27.3.1.1: guest DR7 has bits 63:32";
	if (!canonical(c, F(vmx, GUEST_SYSENTER_ESP)) || !canonical(c, F(vmx, GUEST_SYSENTER_EIP)))
		return "27.3.1.1: guest SYSENTER address not canonical";
	if ((entry & SX_ENTRYC_LOAD_PERF) && (F(vmx, GUEST_PERF_GLOBAL) & ~c->perf_global))
		return "27.3.1.1: guest IA32_PERF_GLOBAL_CTRL has a reserved bit";
	if ((entry & SX_ENTRYC_LOAD_PAT) && !sx_vmx_pat_ok(F(vmx, GUEST_PAT)))
		return "27.3.1.1: guest IA32_PAT";
	if ((entry & SX_ENTRYC_LOAD_EFER) && !efer_ok(vmx, F(vmx, GUEST_EFER)))
		return "27.3.1.1: guest IA32_EFER";
	return NULL;
}

static bool injects(const struct sx_vmx *vmx, enum sx_intr_type type)
{
	uint32_t info = (uint32_t)F(vmx, ENTRY_INTR_INFO);

	return (info & SX_INTR_VALID) && SX_INTR_TYPE(info) == type;
}

/* 27.3.1.4. */
static const char *check_rip_rflags(const struct sx_vmx *vmx)
{
	uint64_t rip = F(vmx, GUEST_RIP), rflags = F(vmx, GUEST_RFLAGS);
	unsigned bits = vmx->caps.linear_bits;
	bool code64 = guest_is_64(vmx) && (F(vmx, GUEST_CS_AR) & SX_AR_L);

	if (!code64 && rip >> 32)
		return "27.3.1.4: guest RIP has bits 63:32 outside 64-bit mode";
	/* Not quite canonical: bits 63:N are alike, bit N - 1 is free. */
	if (code64 && rip >> bits != 0 && rip >> bits != ~UINT64_C(0) >> bits)
		return "27.3.1.4: guest RIP bits beyond the linear-address width";
	if ((rflags & ~UINT64_C(0x3f7fd7)) || !(rflags & SX_X86_RFLAGS_1))
		return "27.3.1.4: guest RFLAGS reserved bits";
	if ((rflags & SX_X86_RFLAGS_VM) &&
	    (guest_is_64(vmx) || !(F(vmx, GUEST_CR0) & SX_X86_CR0_PE)))
		return "27.3.1.4: guest RFLAGS.VM in IA-32e or real mode";
	if (injects(vmx, SX_INTR_EXTERNAL) && !(rflags & SX_X86_RFLAGS_IF))
		return "27.3.1.4: external interrupt injected with RFLAGS.IF 0";
	return NULL;
}

void sx_vmx_read_pdptes(const struct sx_vmx *vmx, uint64_t cr3, uint64_t pdpte[4])
{
	read_l1(vmx, cr3 & UINT64_C(0xffffffe0), pdpte, 4 * sizeof(*pdpte));
}

bool sx_vmx_pdptes_ok(const struct sx_vmx_caps *caps, const uint64_t pdpte[4])
{
	const uint64_t low_reserved = 0x1e6; /* 4.4.1, table 4-8: bits 2:1 and 8:5 */

	for (int i = 0; i < 4; i++)
		if ((pdpte[i] & 1) && ((pdpte[i] & low_reserved) || pdpte[i] >> caps->maxphyaddr))
			return false;
	return true;
}

/* 27.3.1.6. Without EPT the entries come from memory; both places are checked as one. */
static const char *check_pdptes(const struct sx_vmx *vmx)
{
	uint64_t pdpte[4];

	if (guest_is_64(vmx) || !(F(vmx, GUEST_CR0) & SX_X86_CR0_PG) ||
	    !(F(vmx, GUEST_CR4) & SX_X86_CR4_PAE))
		return NULL;
	if (cpu2_controls(vmx) & SX_CPU2_EPT) {
		pdpte[0] = F(vmx, GUEST_PDPTE0);
		pdpte[1] = F(vmx, GUEST_PDPTE1);
		pdpte[2] = F(vmx, GUEST_PDPTE2);
		pdpte[3] = F(vmx, GUEST_PDPTE3);
	} else {
		sx_vmx_read_pdptes(vmx, F(vmx, GUEST_CR3), pdpte);
	}
	return sx_vmx_pdptes_ok(&vmx->caps, pdpte) ? NULL : "27.3.1.6: reserved bit in a PDPTE";
}

const char *sx_vmx_check_guest(const struct sx_vmx *vmx, enum sx_vmx_bad_state *qualification)
{
	static const char *(*const checks[])(const struct sx_vmx *) = {
		check_cr0, check_cr4_cr3, check_msrs, sx_vmx_check_segments, check_rip_rflags,
	};
	const char *why = NULL;

	*qualification = SX_BAD_STATE;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && !why; i++)
		why = checks[i](vmx);
	if (!why)
		why = sx_vmx_check_nonreg(vmx, qualification);
	if (why)
		return why;
	why = check_pdptes(vmx);
	if (why)
		*qualification = SX_BAD_PDPTE;
	return why;
}
