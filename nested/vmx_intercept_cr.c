// SPDX-License-Identifier: BSD-3-Clause
/* Control- and debug-register accesses of L2: SDM 3C 26.1.3, 26.3, qualification in table 28-3. */
#include "nested/vmx_intercept.h"
#include "nested/vmx_internal.h"

enum cr_access {
	MOV_TO_CR = 0,
	MOV_FROM_CR = 1,
	CLTS = 2,
	LMSW = 3,
};

#define LMSW_BITS (SX_X86_CR0_PE | UINT64_C(0xe)) /* PE, MP, EM, TS */

static enum sx_vmx_verdict cr_exit(struct sx_vmx_exit *exit, unsigned cr, enum cr_access access,
				   unsigned gpr)
{
	exit->reason = SX_VMEXIT_CR_ACCESS;
	exit->qualification = cr | (uint64_t)access << 4 | (uint64_t)gpr << 8;
	return SX_L2_EXIT;
}

static uint64_t mask_of(const struct sx_vmx *vmx, unsigned cr)
{
	return cr == 0 ? F(vmx, CR0_MASK) : F(vmx, CR4_MASK);
}

static uint64_t shadow_of(const struct sx_vmx *vmx, unsigned cr)
{
	return cr == 0 ? F(vmx, CR0_SHADOW) : F(vmx, CR4_SHADOW);
}

uint64_t sx_vmx_visible_cr(const struct sx_vmx *vmx, unsigned cr, uint64_t real)
{
	uint64_t mask = mask_of(vmx, cr);

	return (real & ~mask) | (shadow_of(vmx, cr) & mask);
}

/* 26.3: what VMX operation does not allow is a #GP, as is what the processor itself refuses. */
static bool cr0_allowed(const struct sx_vmx *vmx, const struct sx_vmx_cpu *l2, uint64_t cr0)
{
	if (!sx_vmx_guest_cr0_ok(vmx, cr0))
		return false;
	if ((cr0 & SX_X86_CR0_NW) && !(cr0 & SX_X86_CR0_CD))
		return false;
	return (cr0 & SX_X86_CR0_PG) || !sx_vmx_is_64bit(l2);
}

static bool cr4_allowed(const struct sx_vmx *vmx, const struct sx_vmx_cpu *l2, uint64_t cr4)
{
	if (!sx_vmx_cr4_ok(&vmx->caps, cr4))
		return false;
	return (cr4 & SX_X86_CR4_PAE) || !(l2->efer & SX_X86_EFER_LMA);
}

/* The bits that L1 owns keep their real value; a value that differs from the shadow exits. */
static enum sx_vmx_verdict to_masked_cr(const struct sx_vmx *vmx, const struct sx_vmx_cpu *l2,
					unsigned cr, unsigned gpr, uint64_t value,
					uint64_t *effective, struct sx_vmx_exit *exit)
{
	uint64_t mask = mask_of(vmx, cr), real = cr == 0 ? l2->cr0 : l2->cr4;
	bool allowed;

	if ((value ^ shadow_of(vmx, cr)) & mask)
		return cr_exit(exit, cr, MOV_TO_CR, gpr);
	value = (value & ~mask) | (real & mask);
	if (cr == 0)
		value |= SX_X86_CR0_ET;
	allowed = cr == 0 ? cr0_allowed(vmx, l2, value) : cr4_allowed(vmx, l2, value);
	if (!allowed)
		return SX_L2_GP;
	*effective = value;
	return SX_L2_PROCEED;
}

static bool is_cr3_target(const struct sx_vmx *vmx, uint64_t value)
{
	uint64_t count = F(vmx, CR3_TARGET_COUNT);

	for (uint32_t i = 0; i < count; i++)
		if (sx_vmcs12_get(&vmx->v12, SX_VMCS_CR3_TARGET0 + 2 * i) == value)
			return true;
	return false;
}

static enum sx_vmx_verdict to_cr3(const struct sx_vmx *vmx, const struct sx_vmx_cpu *l2,
				  unsigned gpr, uint64_t value, uint64_t *effective,
				  struct sx_vmx_exit *exit)
{
	uint64_t no_flush = l2->cr4 & SX_X86_CR4_PCIDE ? UINT64_C(1) << 63 : 0; /* 3A 4.10.4.1 */

	if ((cpu_controls(vmx) & SX_CPU_CR3_LOAD) && !is_cr3_target(vmx, value))
		return cr_exit(exit, 3, MOV_TO_CR, gpr);
	value &= ~no_flush;
	if (!physical_ok(&vmx->caps, value, 1))
		return SX_L2_GP;
	*effective = value;
	return SX_L2_PROCEED;
}

/* 30.3: with TPR shadow, CR8 is bits 7:4 of the virtual TPR. */
static enum sx_vmx_verdict to_cr8(const struct sx_vmx *vmx, unsigned gpr, uint64_t value,
				  uint64_t *effective, struct sx_vmx_exit *exit)
{
	if (cpu_controls(vmx) & SX_CPU_CR8_LOAD)
		return cr_exit(exit, 8, MOV_TO_CR, gpr);
	if (value >> 4)
		return SX_L2_GP;
	if (cpu_controls(vmx) & SX_CPU_TPR_SHADOW) {
		uint32_t vtpr = (uint32_t)value << 4;

		write_l1(vmx, F(vmx, VIRTUAL_APIC) + 0x80, &vtpr, sizeof(vtpr));
	}
	*effective = value;
	return SX_L2_PROCEED;
}

enum sx_vmx_verdict sx_vmx_on_mov_to_cr(const struct sx_vmx *vmx, const struct sx_vmx_cpu *l2,
					unsigned cr, unsigned gpr, uint64_t value,
					uint64_t *effective, struct sx_vmx_exit *exit)
{
	switch (cr) {
	case 0:
	case 4:
		return to_masked_cr(vmx, l2, cr, gpr, value, effective, exit);
	case 3:
		return to_cr3(vmx, l2, gpr, value, effective, exit);
	case 8:
		return to_cr8(vmx, gpr, value, effective, exit);
	default:
		return SX_L2_UD;
	}
}

static enum sx_vmx_verdict from_cr8(const struct sx_vmx *vmx, unsigned gpr, uint64_t real,
				    uint64_t *value, struct sx_vmx_exit *exit)
{
	uint8_t vtpr;

	if (cpu_controls(vmx) & SX_CPU_CR8_STORE)
		return cr_exit(exit, 8, MOV_FROM_CR, gpr);
	*value = real;
	if (cpu_controls(vmx) & SX_CPU_TPR_SHADOW) {
		read_l1(vmx, F(vmx, VIRTUAL_APIC) + 0x80, &vtpr, sizeof(vtpr));
		*value = vtpr >> 4;
	}
	return SX_L2_PROCEED;
}

enum sx_vmx_verdict sx_vmx_on_mov_from_cr(const struct sx_vmx *vmx, unsigned cr, unsigned gpr,
					  uint64_t real, uint64_t *value, struct sx_vmx_exit *exit)
{
	switch (cr) {
	case 0:
	case 4:
		*value = sx_vmx_visible_cr(vmx, cr, real);
		return SX_L2_PROCEED;
	case 3:
		if (cpu_controls(vmx) & SX_CPU_CR3_STORE)
			return cr_exit(exit, 3, MOV_FROM_CR, gpr);
		*value = real;
		return SX_L2_PROCEED;
	case 8:
		return from_cr8(vmx, gpr, real, value, exit);
	default:
		return SX_L2_UD;
	}
}

enum sx_vmx_verdict sx_vmx_on_clts(const struct sx_vmx *vmx, const struct sx_vmx_cpu *l2,
				   uint64_t *effective, struct sx_vmx_exit *exit)
{
	if (!(F(vmx, CR0_MASK) & SX_X86_CR0_TS)) {
		*effective = l2->cr0 & ~SX_X86_CR0_TS;
		return SX_L2_PROCEED;
	}
	if (F(vmx, CR0_SHADOW) & SX_X86_CR0_TS)
		return cr_exit(exit, 0, CLTS, 0);
	*effective = l2->cr0; /* L1 owns TS and shows it clear: nothing happens */
	return SX_L2_PROCEED;
}

/* LMSW can set PE but not clear it, so PE exits only where it would become 1: 26.1.3. */
static bool lmsw_exits(const struct sx_vmx *vmx, uint64_t source)
{
	uint64_t mask = F(vmx, CR0_MASK), shadow = F(vmx, CR0_SHADOW);

	if ((mask & source & ~shadow) & SX_X86_CR0_PE)
		return true;
	return (source ^ shadow) & mask & LMSW_BITS & ~SX_X86_CR0_PE;
}

enum sx_vmx_verdict sx_vmx_on_lmsw(const struct sx_vmx *vmx, const struct sx_vmx_cpu *l2,
				   uint16_t source, const uint64_t *linear, uint64_t *effective,
				   struct sx_vmx_exit *exit)
{
	uint64_t own = LMSW_BITS & ~F(vmx, CR0_MASK), cr0;

	if (lmsw_exits(vmx, source)) {
		cr_exit(exit, 0, LMSW, 0);
		exit->qualification |= (uint64_t)source << 16;
		if (linear) {
			exit->qualification |= 1 << 6;
			exit->linear = *linear;
		}
		return SX_L2_EXIT;
	}
	cr0 = (l2->cr0 & ~(own & ~SX_X86_CR0_PE)) | (source & own);
	*effective = cr0;
	return SX_L2_PROCEED;
}

/* Qualification: table 28-4. */
bool sx_vmx_on_mov_dr(const struct sx_vmx *vmx, unsigned dr, unsigned gpr, bool from_dr,
		      struct sx_vmx_exit *exit)
{
	if (!(cpu_controls(vmx) & SX_CPU_MOV_DR))
		return false;
	exit->reason = SX_VMEXIT_MOV_DR;
	exit->qualification = (dr & 7) | (uint64_t)from_dr << 4 | (uint64_t)gpr << 8;
	return true;
}
