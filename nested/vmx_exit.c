// SPDX-License-Identifier: BSD-3-Clause
/* VM exit: SDM 3C chapter 28. */
#include "nested/vmx_internal.h"

#define SET(vmx, name, value) sx_vmcs12_set(&(vmx)->v12, SX_VMCS_##name, value)

/* 28.2. */
static void record(struct sx_vmx *vmx, const struct sx_vmx_exit *exit)
{
	SET(vmx, EXIT_REASON, exit->reason);
	SET(vmx, EXIT_QUALIFICATION, exit->qualification);
	SET(vmx, EXIT_INTR_INFO, exit->intr_info);
	SET(vmx, EXIT_ERROR_CODE, exit->intr_error);
	SET(vmx, IDT_VECTORING_INFO, exit->idt_info);
	SET(vmx, IDT_VECTORING_ERROR, exit->idt_error);
	SET(vmx, EXIT_INSN_LENGTH, exit->insn_length);
	SET(vmx, EXIT_INSN_INFO, exit->insn_info);
	SET(vmx, GUEST_LINEAR, exit->linear);
	SET(vmx, GUEST_PHYSICAL, exit->physical);
	SET(vmx, IO_RCX, exit->io_rcx);
	SET(vmx, IO_RSI, exit->io_rsi);
	SET(vmx, IO_RDI, exit->io_rdi);
	SET(vmx, IO_RIP, exit->io_rip);
}

/* 28.3.1. */
static void save_registers(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu)
{
	uint32_t exit = exit_controls(vmx);

	SET(vmx, GUEST_CR0, cpu->cr0);
	SET(vmx, GUEST_CR3, cpu->cr3);
	SET(vmx, GUEST_CR4, cpu->cr4);
	SET(vmx, GUEST_SYSENTER_CS, cpu->sysenter_cs);
	SET(vmx, GUEST_SYSENTER_ESP, cpu->sysenter_esp);
	SET(vmx, GUEST_SYSENTER_EIP, cpu->sysenter_eip);
	if (exit & SX_EXITC_SAVE_DEBUG) {
		SET(vmx, GUEST_DR7, cpu->dr7);
		SET(vmx, GUEST_DEBUGCTL, cpu->debugctl);
	}
	if (exit & SX_EXITC_SAVE_PAT)
		SET(vmx, GUEST_PAT, cpu->pat);
	if (exit & SX_EXITC_SAVE_EFER)
		SET(vmx, GUEST_EFER, cpu->efer);
}

/* 28.3.2: the access rights of a segment register but for bits 31:17 and 11:8, which are 0. */
#define AR_SAVED UINT32_C(0x1f0ff)

static void save_segments(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu)
{
	struct sx_vmcs12 *v = &vmx->v12;

	for (uint32_t i = 0; i < SX_SEG_COUNT; i++) {
		sx_vmcs12_set(v, SX_VMCS_GUEST_ES_SEL + 2 * i, cpu->seg[i].selector);
		sx_vmcs12_set(v, SX_VMCS_GUEST_ES_BASE + 2 * i, cpu->seg[i].base);
		sx_vmcs12_set(v, SX_VMCS_GUEST_ES_LIMIT + 2 * i, cpu->seg[i].limit);
		sx_vmcs12_set(v, SX_VMCS_GUEST_ES_AR + 2 * i, cpu->seg[i].ar & AR_SAVED);
	}
	SET(vmx, GUEST_GDTR_BASE, cpu->gdtr.base);
	SET(vmx, GUEST_GDTR_LIMIT, cpu->gdtr.limit);
	SET(vmx, GUEST_IDTR_BASE, cpu->idtr.base);
	SET(vmx, GUEST_IDTR_LIMIT, cpu->idtr.limit);
}

/* Exits by instructions that always cause them, or that a control says shall: 26.1.2, 26.1.3. */
static bool by_instruction(uint32_t reason)
{
	switch (reason) {
	case SX_VMEXIT_BAD_GUEST_STATE:
	case SX_VMEXIT_BAD_MSR_LOAD:
	case SX_VMEXIT_MONITOR_TRAP:
	case SX_VMEXIT_TPR_THRESHOLD:
	case SX_VMEXIT_EPT_VIOLATION:
	case SX_VMEXIT_EPT_MISCONFIG:
	case SX_VMEXIT_PREEMPTION_TIMER:
	case SX_VMEXIT_PML_FULL:
		return false;
	default:
		return reason >= SX_VMEXIT_CPUID;
	}
}

/* Does what led to the exit put RF into the RFLAGS that it pushes: 3B 18.3.1.1, faults do. */
static bool pushes_rf(const struct sx_vmx_exit *exit)
{
	unsigned vector = SX_INTR_VECTOR(exit->intr_info);

	switch (exit->reason) {
	case SX_VMEXIT_EXCEPTION_NMI:
		return SX_INTR_TYPE(exit->intr_info) == SX_INTR_HARDWARE && vector != SX_VEC_DB &&
		       vector != SX_VEC_DF && vector != SX_VEC_MC;
	case SX_VMEXIT_EPT_VIOLATION:
	case SX_VMEXIT_EPT_MISCONFIG:
	case SX_VMEXIT_PML_FULL:
		return !(exit->idt_info & SX_INTR_VALID);
	default:
		return false;
	}
}

/* INT3, INTO and INT1 have cleared RF before they raise anything: 3B 18.3.1.1. */
static bool by_software_exception(const struct sx_vmx_exit *exit)
{
	unsigned type = SX_INTR_TYPE(exit->intr_info);

	return exit->reason == SX_VMEXIT_EXCEPTION_NMI &&
	       (type == SX_INTR_SOFT_EXC || type == SX_INTR_PRIVILEGED);
}

/* 28.3.3 on RFLAGS.RF; for all other exits it is L2's. */
static uint64_t saved_rflags(uint64_t rflags, const struct sx_vmx_exit *exit)
{
	if (by_instruction(exit->reason) || by_software_exception(exit))
		return rflags & ~SX_X86_RFLAGS_RF;
	return pushes_rf(exit) ? rflags | SX_X86_RFLAGS_RF : rflags;
}

/* 28.3.4: debug exceptions stay pending over few exits, the others have none that could be. */
static uint64_t saved_pending_dbg(const struct sx_vmx_cpu *cpu, const struct sx_vmx_exit *exit)
{
	uint32_t event = exit->reason == SX_VMEXIT_EXCEPTION_NMI ? exit->intr_info : 0;
	bool hardware = (event & SX_INTR_VALID) && SX_INTR_TYPE(event) == SX_INTR_HARDWARE;

	switch (exit->reason) {
	case SX_VMEXIT_INIT:
	case SX_VMEXIT_TPR_THRESHOLD:
	case SX_VMEXIT_MONITOR_TRAP:
		return cpu->pending_dbg;
	default:
		break;
	}
	if (hardware && SX_INTR_VECTOR(event) == SX_VEC_MC)
		return cpu->pending_dbg;
	if (hardware && SX_INTR_VECTOR(event) == SX_VEC_DB)
		return 0;
	return cpu->interruptibility & SX_BLOCK_MOV_SS ? cpu->pending_dbg : 0;
}

/* 28.3.3, 28.3.4; the IA-32e mode guest control follows LMA: A.6 bit 5. */
static void save_rest(struct sx_vmx *vmx, const struct sx_vmx_guest_state *l2,
		      const struct sx_vmx_exit *exit)
{
	const struct sx_vmx_cpu *cpu = &l2->cpu;
	uint32_t entry = entry_controls(vmx) & ~SX_ENTRYC_GUEST_64;

	SET(vmx, GUEST_RIP, cpu->rip);
	SET(vmx, GUEST_RSP, cpu->gpr[SX_RSP]);
	SET(vmx, GUEST_RFLAGS, saved_rflags(cpu->rflags, exit));
	SET(vmx, GUEST_ACTIVITY, cpu->activity);
	SET(vmx, GUEST_INTERRUPTIBILITY, cpu->interruptibility);
	SET(vmx, GUEST_PENDING_DBG, saved_pending_dbg(cpu, exit));
	if (exit_controls(vmx) & SX_EXITC_SAVE_TIMER)
		SET(vmx, GUEST_PREEMPTION_TIMER, l2->timer);
	if (cpu2_controls(vmx) & SX_CPU2_EPT) {
		SET(vmx, GUEST_PDPTE0, cpu->pdpte[0]);
		SET(vmx, GUEST_PDPTE1, cpu->pdpte[1]);
		SET(vmx, GUEST_PDPTE2, cpu->pdpte[2]);
		SET(vmx, GUEST_PDPTE3, cpu->pdpte[3]);
	}
	if (vmx->caps.cpu2 & SX_CPU2_UNRESTRICTED)
		SET(vmx, ENTRY_CONTROLS,
		    cpu->efer & SX_X86_EFER_LMA ? entry | SX_ENTRYC_GUEST_64 : entry);
}

static void write_slot(const struct sx_vmx *vmx, uint32_t encoding)
{
	uint64_t value = sx_vmcs12_get(&vmx->v12, encoding);

	if (sx_vmcs_load(vmx, vmx->current, encoding) != value)
		sx_vmcs_store(vmx, vmx->current, encoding, value);
}

/* Exit information (type 1) and guest state (type 2) are neighbours in the layout. */
#define SAVED_AT                            \
	(offsetof(struct sx_vmcs12, slot) + \
	 sizeof(uint64_t) * SX_VMCS12_GROUP_SLOTS * 4 * SX_TYPE_EXIT_INFO)
#define SAVED_SIZE (sizeof(uint64_t) * SX_VMCS12_GROUP_SLOTS * 4 * 2)
#define HALF_LINE  (SX_CACHE_LINE / 2u) /* the area begins in the middle of a cache line */

/* What is there already is not written: L1's core would have to fetch the line again. */
static void write_saved(const struct sx_vmx *vmx)
{
	const uint8_t *want = (const uint8_t *)&vmx->v12 + SAVED_AT;
	uint8_t have[SAVED_SIZE];

	_Static_assert(SAVED_AT % HALF_LINE == 0 && SAVED_SIZE % HALF_LINE == 0, "whole halves");
	read_l1(vmx, vmx->current + SAVED_AT, have, SAVED_SIZE);
	for (size_t at = 0; at < SAVED_SIZE; at += HALF_LINE)
		if (memcmp(have + at, want + at, HALF_LINE) != 0)
			write_l1(vmx, vmx->current + SAVED_AT + at, want + at, HALF_LINE);
}

void sx_vmx_write_back(const struct sx_vmx *vmx)
{
	write_saved(vmx);
	write_slot(vmx, SX_VMCS_ENTRY_CONTROLS);
	write_slot(vmx, SX_VMCS_ENTRY_INTR_INFO);
	if (cpu2_controls(vmx) & SX_CPU2_VMFUNC)
		write_slot(vmx, SX_VMCS_EPTP); /* EPTP switching changed it: 26.5.6.3 */
}

struct sx_vmx_result sx_vmx_abort(struct sx_vmx *vmx, struct sx_vmx_cpu *l1,
				  enum sx_vmx_abort indicator)
{
	const uint32_t value = indicator;

	write_l1(vmx, vmx->current + offsetof(struct sx_vmcs12, abort), &value, sizeof(value));
	vmx->in_l2 = false;
	l1->activity = SX_ACTIVITY_SHUTDOWN;
	return (struct sx_vmx_result){.outcome = SX_VMX_ABORTED, .error = indicator};
}

struct sx_vmx_result sx_vmx_exit(struct sx_vmx *vmx, const struct sx_vmx_guest_state *l2,
				 const struct sx_vmx_exit *exit, struct sx_vmx_cpu *l1)
{
	bool by_nmi = exit->reason == SX_VMEXIT_EXCEPTION_NMI &&
		      SX_INTR_TYPE(exit->intr_info) == SX_INTR_NMI;
	bool virtual_nmis = pin_controls(vmx) & SX_PIN_VIRTUAL_NMIS;
	enum sx_vmx_abort abort;

	record(vmx, exit);
	save_registers(vmx, &l2->cpu);
	save_segments(vmx, &l2->cpu);
	save_rest(vmx, l2, exit);
	SET(vmx, ENTRY_INTR_INFO, F(vmx, ENTRY_INTR_INFO) & ~(uint64_t)SX_INTR_VALID); /* 25.8.3 */
	sx_vmx_write_back(vmx);
	vmx->in_l2 = false;
	*l1 = l2->cpu;
	if (!sx_vmx_store_msrs(vmx, &l2->cpu, F(vmx, EXIT_MSR_STORE_ADDR),
			       (uint32_t)F(vmx, EXIT_MSR_STORE_COUNT)))
		return sx_vmx_abort(vmx, l1, SX_ABORT_SAVE_MSR);
	abort = sx_vmx_load_host(vmx, l1);
	if (abort)
		return sx_vmx_abort(vmx, l1, abort);
	/* 28.5.5: virtual NMIs keep L2's blocking apart; an exit by NMI blocks NMIs. */
	if (virtual_nmis)
		l1->interruptibility &= ~SX_BLOCK_NMI;
	if (by_nmi)
		l1->interruptibility |= SX_BLOCK_NMI;
	return result_of(SX_VMX_SUCCEED);
}
