// SPDX-License-Identifier: BSD-3-Clause
/* VM entry: SDM 3C chapter 27. */
#include "nested/vmx_internal.h"

/* 27.3.2.1: DR7 bits 12, 14 and 15 become 0, bit 10 becomes 1. */
#define DR7_FIXED0 UINT64_C(0xd000)
#define DR7_FIXED1 UINT64_C(0x400)

/* 27.3.2.1. */
static void load_control_registers(const struct sx_vmx *vmx, struct sx_vmx_cpu *cpu)
{
	cpu->cr0 = (F(vmx, GUEST_CR0) & ~SX_VMX_CR0_KEPT) | (cpu->cr0 & SX_VMX_CR0_KEPT);
	cpu->cr3 = F(vmx, GUEST_CR3);
	cpu->cr4 = F(vmx, GUEST_CR4);
	if (entry_controls(vmx) & SX_ENTRYC_LOAD_DEBUG) {
		cpu->dr7 = (F(vmx, GUEST_DR7) & ~DR7_FIXED0) | DR7_FIXED1;
		cpu->debugctl = F(vmx, GUEST_DEBUGCTL);
	}
}

/* 27.3.2.1: without "load IA32_EFER" the entry still moves LMA, and LME where paging is on. */
static uint64_t loaded_efer(const struct sx_vmx *vmx, uint64_t efer)
{
	bool long_mode = entry_controls(vmx) & SX_ENTRYC_GUEST_64;
	uint64_t moved = SX_X86_EFER_LMA;

	if (entry_controls(vmx) & SX_ENTRYC_LOAD_EFER)
		return F(vmx, GUEST_EFER);
	if (F(vmx, GUEST_CR0) & SX_X86_CR0_PG)
		moved |= SX_X86_EFER_LME;
	return long_mode ? efer | moved : efer & ~moved;
}

static void load_msr_fields(const struct sx_vmx *vmx, struct sx_vmx_cpu *cpu)
{
	uint32_t entry = entry_controls(vmx);

	cpu->sysenter_cs = F(vmx, GUEST_SYSENTER_CS);
	cpu->sysenter_esp = F(vmx, GUEST_SYSENTER_ESP);
	cpu->sysenter_eip = F(vmx, GUEST_SYSENTER_EIP);
	cpu->efer = loaded_efer(vmx, cpu->efer);
	if (entry & SX_ENTRYC_LOAD_PAT)
		cpu->pat = F(vmx, GUEST_PAT);
	if (entry & SX_ENTRYC_LOAD_PERF)
		cpu->perf_global = F(vmx, GUEST_PERF_GLOBAL);
}

/* 27.3.2.2. */
static void load_segments(const struct sx_vmx *vmx, struct sx_vmx_cpu *cpu)
{
	sx_vmx_guest_segments(vmx, cpu->seg);
	cpu->gdtr.base = F(vmx, GUEST_GDTR_BASE);
	cpu->gdtr.limit = (uint32_t)F(vmx, GUEST_GDTR_LIMIT);
	cpu->idtr.base = F(vmx, GUEST_IDTR_BASE);
	cpu->idtr.limit = (uint32_t)F(vmx, GUEST_IDTR_LIMIT);
}

/* 27.3.2.4: only PAE paging has PDPTEs. */
static void load_pdptes(const struct sx_vmx *vmx, struct sx_vmx_cpu *cpu)
{
	if (!(cpu->cr0 & SX_X86_CR0_PG) || !(cpu->cr4 & SX_X86_CR4_PAE) ||
	    (cpu->efer & SX_X86_EFER_LMA))
		return;
	if (cpu2_controls(vmx) & SX_CPU2_EPT) {
		cpu->pdpte[0] = F(vmx, GUEST_PDPTE0);
		cpu->pdpte[1] = F(vmx, GUEST_PDPTE1);
		cpu->pdpte[2] = F(vmx, GUEST_PDPTE2);
		cpu->pdpte[3] = F(vmx, GUEST_PDPTE3);
	} else {
		sx_vmx_read_pdptes(vmx, cpu->cr3, cpu->pdpte);
	}
}

/* 27.3.2: the guest-state area over L1's registers, which stay where no field replaces them. */
static void load_guest(const struct sx_vmx *vmx, const struct sx_vmx_cpu *l1,
		       struct sx_vmx_cpu *cpu)
{
	*cpu = *l1;
	load_control_registers(vmx, cpu);
	load_msr_fields(vmx, cpu);
	load_segments(vmx, cpu);
	load_pdptes(vmx, cpu);
	cpu->rip = F(vmx, GUEST_RIP);
	cpu->gpr[SX_RSP] = F(vmx, GUEST_RSP);
	cpu->rflags = F(vmx, GUEST_RFLAGS);
	cpu->activity = (uint32_t)F(vmx, GUEST_ACTIVITY);
	cpu->interruptibility = (uint32_t)F(vmx, GUEST_INTERRUPTIBILITY);
	cpu->pending_dbg = F(vmx, GUEST_PENDING_DBG);
}

/*
 * 27.6 and 27.7: the event is delivered by the back end before L2's first instruction. Its delivery
 * wakes the processor, ends blocking by STI and MOV SS, and an NMI blocks further NMIs.
 */
static void take_event(const struct sx_vmx *vmx, struct sx_vmx_guest_state *l2)
{
	uint32_t info = (uint32_t)F(vmx, ENTRY_INTR_INFO);

	l2->event = (struct sx_vmx_event){0};
	if (!(info & SX_INTR_VALID))
		return;
	l2->event.info = info;
	if (info & SX_INTR_ERROR_CODE)
		l2->event.error_code = (uint32_t)F(vmx, ENTRY_ERROR_CODE);
	l2->event.insn_length = (uint32_t)F(vmx, ENTRY_INSN_LENGTH);
	if (SX_INTR_TYPE(info) == SX_INTR_OTHER)
		return; /* a pending MTF VM exit: nothing is delivered */
	l2->cpu.activity = SX_ACTIVE;
	l2->cpu.interruptibility &= ~(SX_BLOCK_STI | SX_BLOCK_MOV_SS);
	if (SX_INTR_TYPE(info) == SX_INTR_NMI)
		l2->cpu.interruptibility |= SX_BLOCK_NMI;
}

static void take_controls(const struct sx_vmx *vmx, struct sx_vmx_guest_state *l2)
{
	bool offset = cpu_controls(vmx) & SX_CPU_TSC_OFFSET;
	uint32_t cpu2 = cpu2_controls(vmx);

	l2->tsc_offset = offset ? F(vmx, TSC_OFFSET) : 0;
	l2->tsc_multiplier =
		offset && (cpu2 & SX_CPU2_TSC_SCALING) ? F(vmx, TSC_MULTIPLIER) : UINT64_C(1) << 48;
	l2->eptp = cpu2 & SX_CPU2_EPT ? F(vmx, EPTP) : 0;
	l2->vpid = cpu2 & SX_CPU2_VPID ? (uint16_t)F(vmx, VPID) : 0;
	l2->timer_active = pin_controls(vmx) & SX_PIN_PREEMPTION_TIMER;
	l2->timer = l2->timer_active ? (uint32_t)F(vmx, GUEST_PREEMPTION_TIMER) : 0;
}

/* 27.8: the exit records its reason and qualification, the rest of the VMCS stays as it was. */
static struct sx_vmx_result entry_failure(struct sx_vmx *vmx, struct sx_vmx_cpu *l1,
					  enum sx_vmx_reason reason, uint64_t qualification)
{
	enum sx_vmx_abort abort;

	sx_vmcs_store(vmx, vmx->current, SX_VMCS_EXIT_REASON, reason | SX_VMEXIT_ENTRY_FAILURE);
	sx_vmcs_store(vmx, vmx->current, SX_VMCS_EXIT_QUALIFICATION, qualification);
	abort = sx_vmx_load_host(vmx, l1);
	if (abort)
		return sx_vmx_abort(vmx, l1, abort);
	return result_of(SX_VMX_ENTRY_FAILED);
}

/* 27.1, 27.2: all that ends in VMfail. The snapshot is taken here, once. */
static bool refused(struct sx_vmx *vmx, const struct sx_vmx_cpu *l1, bool resume,
		    struct sx_vmx_result *result)
{
	enum sx_vmx_error error = SX_VMERR_NONE;

	if (sx_vmx_refused(vmx, l1, result))
		return true;
	*result = result_of(SX_VMX_FAIL_INVALID);
	if (vmx->current == SX_VMX_NONE)
		return true;
	read_l1(vmx, vmx->current, &vmx->v12, sizeof(vmx->v12));
	if (vmx->v12.revision & SX_VMCS12_SHADOW)
		return true;
	if (l1->interruptibility & SX_BLOCK_MOV_SS)
		error = SX_VMERR_MOV_SS;
	else if (!resume && vmx->v12.launched)
		error = SX_VMERR_VMLAUNCH_NOT_CLEAR;
	else if (resume && !vmx->v12.launched)
		error = SX_VMERR_VMRESUME_NOT_LAUNCHED;
	else if ((vmx->why = sx_vmx_check_controls(vmx)))
		error = SX_VMERR_CONTROLS;
	else if ((vmx->why = sx_vmx_check_host(vmx, l1->efer)))
		error = SX_VMERR_HOST_STATE;
	if (error == SX_VMERR_NONE)
		return false;
	*result = sx_vmx_fail(vmx, error);
	return true;
}

struct sx_vmx_result sx_vmx_enter(struct sx_vmx *vmx, struct sx_vmx_cpu *l1, bool resume,
				  struct sx_vmx_guest_state *l2)
{
	const uint32_t launched = 1;
	enum sx_vmx_bad_state qualification;
	struct sx_vmx_result result;
	unsigned bad_msr;

	vmx->why = NULL;
	if (refused(vmx, l1, resume, &result))
		return result;
	vmx->why = sx_vmx_check_guest(vmx, &qualification);
	if (vmx->why)
		return entry_failure(vmx, l1, SX_VMEXIT_BAD_GUEST_STATE, qualification);
	load_guest(vmx, l1, &l2->cpu);
	bad_msr = sx_vmx_load_msrs(vmx, &l2->cpu, F(vmx, ENTRY_MSR_LOAD_ADDR),
				   (uint32_t)F(vmx, ENTRY_MSR_LOAD_COUNT));
	if (bad_msr) {
		vmx->why = "27.4: an MSR that may not be loaded, or a value it does not take";
		return entry_failure(vmx, l1, SX_VMEXIT_BAD_MSR_LOAD, bad_msr);
	}
	take_controls(vmx, l2);
	take_event(vmx, l2);
	if (!resume)
		write_l1(vmx, vmx->current + offsetof(struct sx_vmcs12, launched), &launched,
			 sizeof(launched));
	vmx->in_l2 = true;
	vmx->pause_first = 0;
	vmx->pause_last = 0;
	return result_of(SX_VMX_ENTERED);
}
