// SPDX-License-Identifier: BSD-3-Clause
/* Loading host state at a VM exit: SDM 3C 28.5 and 28.6. */
#include "nested/vmx_internal.h"

#define CODE_TYPE 11u
#define DATA_TYPE 3u
#define TSS_TYPE  11u

/* 28.5.1. */
static void load_registers(const struct sx_vmx *vmx, struct sx_vmx_cpu *l1)
{
	const uint64_t both = SX_X86_EFER_LMA | SX_X86_EFER_LME;
	uint32_t exit = exit_controls(vmx);
	bool host64 = exit & SX_EXITC_HOST_64;

	l1->cr0 = (F(vmx, HOST_CR0) & ~SX_VMX_CR0_KEPT) | (l1->cr0 & SX_VMX_CR0_KEPT);
	l1->cr3 = F(vmx, HOST_CR3);
	l1->cr4 = host64 ? F(vmx, HOST_CR4) | SX_X86_CR4_PAE : F(vmx, HOST_CR4) & ~SX_X86_CR4_PCIDE;
	l1->dr7 = 0x400;
	l1->debugctl = 0;
	l1->sysenter_cs = F(vmx, HOST_SYSENTER_CS);
	l1->sysenter_esp = F(vmx, HOST_SYSENTER_ESP);
	l1->sysenter_eip = F(vmx, HOST_SYSENTER_EIP);
	l1->efer = host64 ? l1->efer | both : l1->efer & ~both;
	if (exit & SX_EXITC_LOAD_EFER)
		l1->efer = F(vmx, HOST_EFER);
	if (exit & SX_EXITC_LOAD_PAT)
		l1->pat = F(vmx, HOST_PAT);
	if (exit & SX_EXITC_LOAD_PERF)
		l1->perf_global = F(vmx, HOST_PERF_GLOBAL);
}

static struct sx_vmx_segment data_segment(uint64_t selector, uint64_t base)
{
	uint32_t ar = DATA_TYPE | SX_AR_S | SX_AR_P | SX_AR_DB | SX_AR_G;

	return (struct sx_vmx_segment){
		.selector = (uint16_t)selector,
		.base = base,
		.limit = UINT32_MAX,
		.ar = selector ? ar : ar | SX_AR_UNUSABLE,
	};
}

/* 28.5.2. */
static void load_segments(const struct sx_vmx *vmx, struct sx_vmx_cpu *l1)
{
	bool host64 = exit_controls(vmx) & SX_EXITC_HOST_64;
	uint32_t code = CODE_TYPE | SX_AR_S | SX_AR_P | SX_AR_G;

	l1->seg[SX_SEG_CS] = (struct sx_vmx_segment){
		.selector = (uint16_t)F(vmx, HOST_CS_SEL),
		.limit = UINT32_MAX,
		.ar = code | (host64 ? SX_AR_L : SX_AR_DB),
	};
	l1->seg[SX_SEG_SS] = data_segment(F(vmx, HOST_SS_SEL), 0);
	l1->seg[SX_SEG_DS] = data_segment(F(vmx, HOST_DS_SEL), 0);
	l1->seg[SX_SEG_ES] = data_segment(F(vmx, HOST_ES_SEL), 0);
	l1->seg[SX_SEG_FS] = data_segment(F(vmx, HOST_FS_SEL), F(vmx, HOST_FS_BASE));
	l1->seg[SX_SEG_GS] = data_segment(F(vmx, HOST_GS_SEL), F(vmx, HOST_GS_BASE));
	l1->seg[SX_SEG_TR] = (struct sx_vmx_segment){
		.selector = (uint16_t)F(vmx, HOST_TR_SEL),
		.base = F(vmx, HOST_TR_BASE),
		.limit = 0x67,
		.ar = TSS_TYPE | SX_AR_P,
	};
	l1->seg[SX_SEG_LDTR] = (struct sx_vmx_segment){.ar = SX_AR_UNUSABLE};
	l1->gdtr = (struct sx_vmx_table){.base = F(vmx, HOST_GDTR_BASE), .limit = 0xffff};
	l1->idtr = (struct sx_vmx_table){.base = F(vmx, HOST_IDTR_BASE), .limit = 0xffff};
}

/* 28.5.4: a 32-bit host with PAE paging loads its PDPTEs, and aborts if they are bad. */
static bool load_pdptes(const struct sx_vmx *vmx, struct sx_vmx_cpu *l1)
{
	if ((exit_controls(vmx) & SX_EXITC_HOST_64) || !(l1->cr4 & SX_X86_CR4_PAE))
		return true;
	sx_vmx_read_pdptes(vmx, l1->cr3, l1->pdpte);
	return sx_vmx_pdptes_ok(&vmx->caps, l1->pdpte);
}

enum sx_vmx_abort sx_vmx_load_host(const struct sx_vmx *vmx, struct sx_vmx_cpu *l1)
{
	if (!(exit_controls(vmx) & SX_EXITC_HOST_64) && (l1->efer & SX_X86_EFER_LMA))
		return SX_ABORT_HOST_MODE; /* 28.5: no way back from IA-32e mode to a 32-bit host */
	load_registers(vmx, l1);
	load_segments(vmx, l1);
	l1->rip = F(vmx, HOST_RIP); /* 28.5.3 */
	l1->gpr[SX_RSP] = F(vmx, HOST_RSP);
	l1->rflags = SX_X86_RFLAGS_1;
	if (!load_pdptes(vmx, l1))
		return SX_ABORT_HOST_PDPTE;
	l1->activity = SX_ACTIVE; /* 28.5.5 */
	l1->interruptibility &= SX_BLOCK_NMI;
	l1->pending_dbg = 0;
	if (sx_vmx_load_msrs(vmx, l1, F(vmx, EXIT_MSR_LOAD_ADDR),
			     (uint32_t)F(vmx, EXIT_MSR_LOAD_COUNT)))
		return SX_ABORT_LOAD_MSR;
	return SX_ABORT_NONE;
}
