// SPDX-License-Identifier: BSD-3-Clause
/*
 * The VMX instructions except VMLAUNCH and VMRESUME: SDM 3C 31.3, one function per instruction in
 * the order of its pseudocode there. An instruction in L2 is an exit and never comes here.
 */
#include "nested/vmx_internal.h"

/* The modes in which no VMX instruction exists: the first line of each pseudocode. */
static bool wrong_mode(const struct sx_vmx_cpu *cpu)
{
	return !(cpu->cr0 & SX_X86_CR0_PE) || (cpu->rflags & SX_X86_RFLAGS_VM) ||
	       ((cpu->efer & SX_X86_EFER_LMA) && !sx_vmx_is_64bit(cpu));
}

bool sx_vmx_refused(const struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu,
		    struct sx_vmx_result *result)
{
	if (!vmx->on || vmx->in_l2 || wrong_mode(cpu))
		*result = fault_of(SX_VEC_UD);
	else if (sx_vmx_cpl(cpu) > 0)
		*result = fault_of(SX_VEC_GP);
	else
		return false;
	return true;
}

static bool may_vmxon(const struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu)
{
	const uint64_t needed = SX_FEATURE_CONTROL_LOCK | SX_FEATURE_CONTROL_VMXON;

	return sx_vmx_cr0_ok(cpu->cr0) && sx_vmx_cr4_ok(&vmx->caps, cpu->cr4) &&
	       (vmx->feature_control & needed) == needed; /* 23.7 */
}

bool sx_vmx_vmxon_refused(const struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu,
			  struct sx_vmx_result *result)
{
	if (vmx->in_l2 || wrong_mode(cpu) || !(cpu->cr4 & SX_X86_CR4_VMXE))
		*result = fault_of(SX_VEC_UD);
	else if (sx_vmx_cpl(cpu) > 0 || (!vmx->on && !may_vmxon(vmx, cpu)))
		*result = fault_of(SX_VEC_GP);
	else
		return false;
	return true;
}

static uint32_t revision_at(const struct sx_vmx *vmx, uint64_t gpa)
{
	uint32_t revision;

	read_l1(vmx, gpa, &revision, sizeof(revision));
	return revision;
}

struct sx_vmx_result sx_vmx_vmxon(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t gpa)
{
	struct sx_vmx_result result;

	if (sx_vmx_vmxon_refused(vmx, cpu, &result))
		return result;
	if (vmx->on)
		return sx_vmx_fail(vmx, SX_VMERR_VMXON_IN_ROOT);
	if (!physical_ok(&vmx->caps, gpa, SX_VMCS12_SIZE) ||
	    revision_at(vmx, gpa) != SX_VMCS12_REVISION)
		return result_of(SX_VMX_FAIL_INVALID);
	vmx->on = true;
	vmx->vmxon_pointer = gpa;
	vmx->current = SX_VMX_NONE;
	return result_of(SX_VMX_SUCCEED);
}

/* No dual-monitor treatment of SMM, so nothing refuses VMXOFF. */
struct sx_vmx_result sx_vmx_vmxoff(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu)
{
	struct sx_vmx_result result;

	if (sx_vmx_refused(vmx, cpu, &result))
		return result;
	vmx->on = false;
	vmx->vmxon_pointer = SX_VMX_NONE;
	vmx->current = SX_VMX_NONE;
	return result_of(SX_VMX_SUCCEED);
}

struct sx_vmx_result sx_vmx_vmclear(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t gpa)
{
	const uint32_t clear = 0;
	struct sx_vmx_result result;

	if (sx_vmx_refused(vmx, cpu, &result))
		return result;
	if (!physical_ok(&vmx->caps, gpa, SX_VMCS12_SIZE))
		return sx_vmx_fail(vmx, SX_VMERR_VMCLEAR_ADDRESS);
	if (gpa == vmx->vmxon_pointer)
		return sx_vmx_fail(vmx, SX_VMERR_VMCLEAR_VMXON);
	write_l1(vmx, gpa + offsetof(struct sx_vmcs12, launched), &clear, sizeof(clear));
	if (gpa == vmx->current)
		vmx->current = SX_VMX_NONE;
	return result_of(SX_VMX_SUCCEED);
}

struct sx_vmx_result sx_vmx_vmptrld(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t gpa)
{
	struct sx_vmx_result result;
	uint32_t revision;

	if (sx_vmx_refused(vmx, cpu, &result))
		return result;
	if (!physical_ok(&vmx->caps, gpa, SX_VMCS12_SIZE))
		return sx_vmx_fail(vmx, SX_VMERR_VMPTRLD_ADDRESS);
	if (gpa == vmx->vmxon_pointer)
		return sx_vmx_fail(vmx, SX_VMERR_VMPTRLD_VMXON);
	revision = revision_at(vmx, gpa);
	if (vmx->caps.cpu2 & SX_CPU2_VMCS_SHADOW)
		revision &= ~SX_VMCS12_SHADOW;
	if (revision != SX_VMCS12_REVISION)
		return sx_vmx_fail(vmx, SX_VMERR_VMPTRLD_REVISION);
	vmx->current = gpa;
	return result_of(SX_VMX_SUCCEED);
}

struct sx_vmx_result sx_vmx_vmptrst(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t *gpa)
{
	struct sx_vmx_result result;

	if (sx_vmx_refused(vmx, cpu, &result))
		return result;
	*gpa = vmx->current;
	return result_of(SX_VMX_SUCCEED);
}

uint64_t sx_vmcs_load(const struct sx_vmx *vmx, uint64_t base, uint32_t encoding)
{
	uint64_t value;

	read_l1(vmx, base + SX_VMCS_OFFSET(encoding), &value, sizeof(value));
	return SX_VMCS_HIGH(encoding) ? value >> 32 : value & sx_vmcs_width_mask(encoding);
}

void sx_vmcs_store(const struct sx_vmx *vmx, uint64_t base, uint32_t encoding, uint64_t value)
{
	uint32_t high = (uint32_t)value;

	if (SX_VMCS_HIGH(encoding)) { /* 25.11.2: the upper 32 bits of a 64-bit field */
		write_l1(vmx, base + SX_VMCS_OFFSET(encoding) + 4, &high, sizeof(high));
		return;
	}
	value &= sx_vmcs_width_mask(encoding);
	write_l1(vmx, base + SX_VMCS_OFFSET(encoding), &value, sizeof(value));
}

struct sx_vmx_result sx_vmx_vmread(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu,
				   uint64_t encoding, uint64_t *value)
{
	struct sx_vmx_result result;

	if (sx_vmx_refused(vmx, cpu, &result))
		return result;
	if (vmx->current == SX_VMX_NONE)
		return result_of(SX_VMX_FAIL_INVALID);
	if (!sx_vmcs_field_exists(&vmx->caps, encoding))
		return sx_vmx_fail(vmx, SX_VMERR_NO_FIELD);
	*value = sx_vmcs_load(vmx, vmx->current, (uint32_t)encoding);
	return result_of(SX_VMX_SUCCEED);
}

/* Read-only fields may be written: IA32_VMX_MISC bit 29 says so. */
struct sx_vmx_result sx_vmx_vmwrite(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu,
				    uint64_t encoding, uint64_t value)
{
	struct sx_vmx_result result;

	if (sx_vmx_refused(vmx, cpu, &result))
		return result;
	if (vmx->current == SX_VMX_NONE)
		return result_of(SX_VMX_FAIL_INVALID);
	if (!sx_vmcs_field_exists(&vmx->caps, encoding))
		return sx_vmx_fail(vmx, SX_VMERR_NO_FIELD);
	sx_vmcs_store(vmx, vmx->current, (uint32_t)encoding, value);
	return result_of(SX_VMX_SUCCEED);
}

static bool invept_ok(const struct sx_vmx_caps *caps, uint64_t type, uint64_t eptp)
{
	switch (type) {
	case 1: /* single-context */
		return (caps->ept_vpid & SX_EPTCAP_INVEPT_SINGLE) && sx_vmx_eptp_ok(caps, eptp);
	case 2: /* global */
		return caps->ept_vpid & SX_EPTCAP_INVEPT_ALL;
	default:
		return false;
	}
}

struct sx_vmx_result sx_vmx_invept(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t type,
				   const uint64_t descriptor[2])
{
	struct sx_vmx_result result;

	if (!(vmx->caps.ept_vpid & SX_EPTCAP_INVEPT))
		return fault_of(SX_VEC_UD);
	if (sx_vmx_refused(vmx, cpu, &result))
		return result;
	if (!invept_ok(&vmx->caps, type, descriptor[0]))
		return sx_vmx_fail(vmx, SX_VMERR_INV_OPERAND);
	vmx->ops->invept(vmx->ctx, type, descriptor[0]);
	return result_of(SX_VMX_SUCCEED);
}

static bool invvpid_ok(const struct sx_vmx_caps *caps, uint64_t type, const uint64_t descriptor[2])
{
	uint64_t vpid = descriptor[0];

	if (type > 3 || !(caps->ept_vpid & (SX_EPTCAP_INVVPID_TYPE_0 << type)) || vpid >> 16)
		return false;
	if (type == 2) /* all contexts */
		return true;
	if (type == 0 && !canonical(caps, descriptor[1]))
		return false;
	return vpid != 0;
}

struct sx_vmx_result sx_vmx_invvpid(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t type,
				    const uint64_t descriptor[2])
{
	struct sx_vmx_result result;

	if (!(vmx->caps.ept_vpid & SX_EPTCAP_INVVPID))
		return fault_of(SX_VEC_UD);
	if (sx_vmx_refused(vmx, cpu, &result))
		return result;
	if (!invvpid_ok(&vmx->caps, type, descriptor))
		return sx_vmx_fail(vmx, SX_VMERR_INV_OPERAND);
	vmx->ops->invvpid(vmx->ctx, type, (uint16_t)descriptor[0], descriptor[1]);
	return result_of(SX_VMX_SUCCEED);
}

struct sx_vmx_result sx_vmx_vmcall(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu)
{
	struct sx_vmx_result result;

	if (sx_vmx_refused(vmx, cpu, &result))
		return result;
	return sx_vmx_fail(vmx, SX_VMERR_VMCALL_IN_ROOT);
}
