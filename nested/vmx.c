// SPDX-License-Identifier: BSD-3-Clause
/* The engine's object: life, MSRs, and how an instruction's outcome reaches RFLAGS and RIP. */
#include <errno.h>

#include "nested/vmx_internal.h"

void sx_vmx_init(struct sx_vmx *vmx, const struct sx_vmx_caps *caps, const struct sx_vmx_ops *ops,
		 void *ctx)
{
	*vmx = (struct sx_vmx){
		.ops = ops,
		.ctx = ctx,
		.caps = *caps,
	};
	sx_vmx_caps_settle(&vmx->caps);
	sx_vmx_reset(vmx);
}

void sx_vmx_reset(struct sx_vmx *vmx)
{
	vmx->feature_control = 0;
	vmx->vmxon_pointer = SX_VMX_NONE;
	vmx->current = SX_VMX_NONE;
	vmx->on = false;
	vmx->in_l2 = false;
	vmx->why = NULL;
}

int sx_vmx_rdmsr(const struct sx_vmx *vmx, uint32_t index, uint64_t *value)
{
	if (index == SX_MSR_FEATURE_CONTROL) {
		*value = vmx->feature_control;
		return 0;
	}
	if (index < SX_MSR_VMX_BASIC || index > SX_MSR_VMX_VMFUNC)
		return -ENOENT;
	return sx_vmx_caps_msr(&vmx->caps, index, value) ? -EINVAL : 0;
}

/* 23.7: once locked, IA32_FEATURE_CONTROL cannot be written; the capability MSRs never can. */
int sx_vmx_wrmsr(struct sx_vmx *vmx, uint32_t index, uint64_t value)
{
	if (index == SX_MSR_FEATURE_CONTROL) {
		if (vmx->feature_control & SX_FEATURE_CONTROL_LOCK)
			return -EINVAL;
		if (value & ~(SX_FEATURE_CONTROL_LOCK | SX_FEATURE_CONTROL_VMXON))
			return -EINVAL;
		vmx->feature_control = value;
		return 0;
	}
	if (index < SX_MSR_VMX_BASIC || index > SX_MSR_VMX_VMFUNC)
		return -ENOENT;
	return -EINVAL;
}

bool sx_vmx_cr0_ok(uint64_t cr0)
{
	return (cr0 & SX_VMX_CR0_FIXED0) == SX_VMX_CR0_FIXED0 && !(cr0 & ~SX_VMX_CR0_FIXED1);
}

bool sx_vmx_cr4_ok(const struct sx_vmx_caps *caps, uint64_t cr4)
{
	return (cr4 & SX_X86_CR4_VMXE) && !(cr4 & ~caps->cr4);
}

struct sx_vmx_result sx_vmx_fail(struct sx_vmx *vmx, enum sx_vmx_error error)
{
	if (vmx->current == SX_VMX_NONE)
		return result_of(SX_VMX_FAIL_INVALID);
	sx_vmcs_store(vmx, vmx->current, SX_VMCS_INSN_ERROR, error);
	return (struct sx_vmx_result){.outcome = SX_VMX_FAIL_VALID, .error = error};
}

void sx_vmx_finish(struct sx_vmx_cpu *cpu, const struct sx_vmx_result *result, unsigned length)
{
	uint64_t flags = 0;

	switch (result->outcome) {
	case SX_VMX_SUCCEED:
		break;
	case SX_VMX_FAIL_INVALID:
		flags = SX_X86_RFLAGS_CF;
		break;
	case SX_VMX_FAIL_VALID:
		flags = SX_X86_RFLAGS_ZF;
		break;
	default: /* a fault keeps RIP; an entry or a failed one has replaced it */
		return;
	}
	cpu->rflags = (cpu->rflags & ~(SX_X86_RFLAGS_ARITH | SX_X86_RFLAGS_RF)) | flags;
	cpu->rip += length;
	if (!sx_vmx_is_64bit(cpu))
		cpu->rip &= UINT32_MAX;
	cpu->interruptibility &= ~(SX_BLOCK_STI | SX_BLOCK_MOV_SS);
}
