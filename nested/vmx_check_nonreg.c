// SPDX-License-Identifier: BSD-3-Clause
/* Checks on guest non-register state: SDM 3C 27.3.1.5. */
#include "nested/vmx_internal.h"

#define BLOCKING(vmx)    ((uint32_t)F(vmx, GUEST_INTERRUPTIBILITY))
#define STI_OR_MOV_SS    (SX_BLOCK_STI | SX_BLOCK_MOV_SS)
#define PENDING_RESERVED (~(SX_PENDING_DBG_BS | SX_PENDING_DBG_BP | SX_PENDING_DBG_B03))

/* Events that may be injected into an inactive processor. */
static bool wakes(uint64_t activity, uint32_t info)
{
	unsigned type = SX_INTR_TYPE(info), vector = SX_INTR_VECTOR(info);
	bool machine_check = type == SX_INTR_HARDWARE && vector == SX_VEC_MC;

	switch (activity) {
	case SX_ACTIVE:
		return true;
	case SX_ACTIVITY_HLT:
		return type == SX_INTR_EXTERNAL || type == SX_INTR_NMI || machine_check ||
		       (type == SX_INTR_HARDWARE && vector == SX_VEC_DB) ||
		       (type == SX_INTR_OTHER && vector == 0);
	case SX_ACTIVITY_SHUTDOWN:
		return type == SX_INTR_NMI || machine_check;
	default:
		return false;
	}
}

static const char *check_activity(const struct sx_vmx *vmx)
{
	uint64_t activity = F(vmx, GUEST_ACTIVITY);
	uint32_t info = (uint32_t)F(vmx, ENTRY_INTR_INFO);

	if (activity > SX_ACTIVITY_WAIT_SIPI)
		return "27.3.1.5: activity state above 3";
	if (activity != SX_ACTIVE && !(vmx->caps.activity & SX_VMX_BIT(activity)))
		return "27.3.1.5: activity state not supported";
	if (activity == SX_ACTIVITY_HLT && SX_AR_DPL((uint32_t)F(vmx, GUEST_SS_AR)) != 0)
		return "27.3.1.5: HLT state above CPL 0";
	if (activity != SX_ACTIVE && (BLOCKING(vmx) & STI_OR_MOV_SS))
		return "27.3.1.5: inactive with blocking by STI or MOV SS";
	if ((info & SX_INTR_VALID) && !wakes(activity, info))
		return "27.3.1.5: event injected does not fit the activity state";
	return NULL;
}

static const char *check_interruptibility(const struct sx_vmx *vmx,
					  enum sx_vmx_bad_state *qualification)
{
	uint32_t blocking = BLOCKING(vmx), info = (uint32_t)F(vmx, ENTRY_INTR_INFO);
	bool valid = info & SX_INTR_VALID;

	if (blocking >> 4) /* bits 31:5, and bit 4 without SGX */
		return "27.3.1.5: interruptibility state has a reserved bit";
	if ((blocking & STI_OR_MOV_SS) == STI_OR_MOV_SS)
		return "27.3.1.5: blocking by both STI and MOV SS";
	if ((blocking & SX_BLOCK_STI) && !(F(vmx, GUEST_RFLAGS) & SX_X86_RFLAGS_IF))
		return "27.3.1.5: blocking by STI with RFLAGS.IF 0";
	if (valid && SX_INTR_TYPE(info) == SX_INTR_EXTERNAL && (blocking & STI_OR_MOV_SS))
		return "27.3.1.5: external interrupt injected while blocked by STI or MOV SS";
	if (valid && SX_INTR_TYPE(info) == SX_INTR_NMI) {
		if (blocking & SX_BLOCK_MOV_SS)
			return "27.3.1.5: NMI injected while blocked by MOV SS";
		if (blocking & SX_BLOCK_STI) {
			*qualification = SX_BAD_NMI_INJECT;
			return "27.3.1.5: NMI injected while blocked by STI";
		}
		if ((pin_controls(vmx) & SX_PIN_VIRTUAL_NMIS) && (blocking & SX_BLOCK_NMI))
			return "27.3.1.5: NMI injected while virtual NMIs are blocked";
	}
	if (blocking & SX_BLOCK_SMI)
		return "27.3.1.5: blocking by SMI outside SMM";
	return NULL;
}

/* A single-step trap must be pending exactly where blocking or HLT holds one back. */
static const char *check_pending_debug(const struct sx_vmx *vmx)
{
	uint64_t pending = F(vmx, GUEST_PENDING_DBG);
	bool held = (BLOCKING(vmx) & STI_OR_MOV_SS) || F(vmx, GUEST_ACTIVITY) == SX_ACTIVITY_HLT;
	bool step = (F(vmx, GUEST_RFLAGS) & SX_X86_RFLAGS_TF) &&
		    !(F(vmx, GUEST_DEBUGCTL) & SX_X86_DEBUGCTL_BTF);

	if (pending & PENDING_RESERVED)
		return "27.3.1.5: pending debug exceptions have a reserved bit";
	if (held && !!(pending & SX_PENDING_DBG_BS) != step)
		return "27.3.1.5: pending debug exception BS does not match TF and BTF";
	return NULL;
}

static const char *check_link(const struct sx_vmx *vmx)
{
	uint64_t link = F(vmx, LINK_POINTER);
	uint32_t revision, wanted = SX_VMCS12_REVISION;

	if (link == SX_VMX_NONE)
		return NULL;
	if (!physical_ok(&vmx->caps, link, SX_VMCS12_SIZE))
		return "27.3.1.5: VMCS link pointer address";
	if (cpu2_controls(vmx) & SX_CPU2_VMCS_SHADOW)
		wanted |= SX_VMCS12_SHADOW;
	read_l1(vmx, link, &revision, sizeof(revision));
	if (revision != wanted)
		return "27.3.1.5: revision or shadow indicator of the linked VMCS";
	if (link == vmx->current)
		return "27.3.1.5: VMCS link pointer to the current VMCS";
	return NULL;
}

const char *sx_vmx_check_nonreg(const struct sx_vmx *vmx, enum sx_vmx_bad_state *qualification)
{
	const char *why = check_activity(vmx);

	if (!why)
		why = check_interruptibility(vmx, qualification);
	if (!why)
		why = check_pending_debug(vmx);
	if (why)
		return why;
	why = check_link(vmx);
	if (why)
		*qualification = SX_BAD_LINK;
	return why;
}
