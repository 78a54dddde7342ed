// SPDX-License-Identifier: BSD-3-Clause
/* The MSR areas of VM entry and VM exit: SDM 3C 25.7.2, 25.8.2, 27.4, 28.4, 28.6. */
#include <errno.h>

#include "nested/vmx_internal.h"

struct msr_entry { /* table 25-14 */
	uint32_t index;
	uint32_t reserved;
	uint64_t value;
};

_Static_assert(sizeof(struct msr_entry) == 16, "an MSR entry has 16 bytes");

static bool is_x2apic(uint32_t index)
{
	return index >> 8 == 8;
}

/* WRMSR of IA32_EFER: LMA is read-only, LME cannot change while paging is on (Volume 2, 3A 4.1.2).
 */
static int load_efer(const struct sx_vmx *vmx, struct sx_vmx_cpu *cpu, uint64_t value)
{
	if (value & ~vmx->caps.efer)
		return -EINVAL;
	if (((value ^ cpu->efer) & SX_X86_EFER_LME) && (cpu->cr0 & SX_X86_CR0_PG))
		return -EINVAL;
	cpu->efer = (value & ~SX_X86_EFER_LMA) | (cpu->efer & SX_X86_EFER_LMA);
	return 0;
}

static int set_if(bool ok, uint64_t *where, uint64_t value)
{
	if (!ok)
		return -EINVAL;
	*where = value;
	return 0;
}

/* WRMSR: into @cpu where it holds the MSR, else the callback's. */
static int load_one(const struct sx_vmx *vmx, struct sx_vmx_cpu *cpu, uint32_t index,
		    uint64_t value)
{
	const struct sx_vmx_caps *c = &vmx->caps;

	switch (index) {
	case SX_MSR_EFER:
		return load_efer(vmx, cpu, value);
	case SX_MSR_PAT:
		return set_if(sx_vmx_pat_ok(value), &cpu->pat, value);
	case SX_MSR_DEBUGCTL:
		return set_if(!(value & ~c->debugctl), &cpu->debugctl, value);
	case SX_MSR_PERF_GLOBAL:
		return set_if(!(value & ~c->perf_global), &cpu->perf_global, value);
	case SX_MSR_SYSENTER_CS:
		return set_if(true, &cpu->sysenter_cs, value);
	case SX_MSR_SYSENTER_ESP:
		return set_if(canonical(c, value), &cpu->sysenter_esp, value);
	case SX_MSR_SYSENTER_EIP:
		return set_if(canonical(c, value), &cpu->sysenter_eip, value);
	default:
		return vmx->ops->msr_load(vmx->ctx, index, value);
	}
}

static int store_one(const struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint32_t index,
		     uint64_t *value)
{
	switch (index) {
	case SX_MSR_EFER:
		return set_if(true, value, cpu->efer);
	case SX_MSR_PAT:
		return set_if(true, value, cpu->pat);
	case SX_MSR_DEBUGCTL:
		return set_if(true, value, cpu->debugctl);
	case SX_MSR_PERF_GLOBAL:
		return set_if(true, value, cpu->perf_global);
	case SX_MSR_SYSENTER_CS:
		return set_if(true, value, cpu->sysenter_cs);
	case SX_MSR_SYSENTER_ESP:
		return set_if(true, value, cpu->sysenter_esp);
	case SX_MSR_SYSENTER_EIP:
		return set_if(true, value, cpu->sysenter_eip);
	case SX_MSR_FS_BASE:
		return set_if(true, value, cpu->seg[SX_SEG_FS].base);
	case SX_MSR_GS_BASE:
		return set_if(true, value, cpu->seg[SX_SEG_GS].base);
	default:
		return vmx->ops->msr_store(vmx->ctx, index, value);
	}
}

/* 27.4: those that no area may load. */
static bool may_load(const struct msr_entry *e)
{
	return !e->reserved && e->index != SX_MSR_FS_BASE && e->index != SX_MSR_GS_BASE &&
	       !is_x2apic(e->index) && e->index != SX_MSR_SMM_MONITOR_CTL &&
	       e->index != SX_MSR_BIOS_UPDT_TRIG;
}

/* 28.4: those that no area may store. */
static bool may_store(const struct msr_entry *e)
{
	return !e->reserved && !is_x2apic(e->index) && e->index != SX_MSR_SMBASE;
}

/* A list longer than A.6 recommends has undefined effects: here the first entry too many fails. */
unsigned sx_vmx_load_msrs(const struct sx_vmx *vmx, struct sx_vmx_cpu *cpu, uint64_t gpa,
			  uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct msr_entry e;

		if (i == SX_VMX_MSR_LIST)
			return i + 1;
		read_l1(vmx, gpa + i * sizeof(e), &e, sizeof(e));
		if (!may_load(&e) || load_one(vmx, cpu, e.index, e.value))
			return i + 1;
	}
	return 0;
}

bool sx_vmx_store_msrs(const struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t gpa,
		       uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t at = gpa + i * sizeof(struct msr_entry);
		struct msr_entry e;

		if (i == SX_VMX_MSR_LIST)
			return false;
		read_l1(vmx, at, &e, sizeof(e));
		if (!may_store(&e) || store_one(vmx, cpu, e.index, &e.value))
			return false;
		write_l1(vmx, at + offsetof(struct msr_entry, value), &e.value, sizeof(e.value));
	}
	return true;
}
