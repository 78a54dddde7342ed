// SPDX-License-Identifier: BSD-3-Clause
/*
 * What happens to the processor that L2 has while L1 does not run: external interrupts and NMIs for
 * L1. They exit, or L2 takes them (SDM 3C 26.2); they wake L2 from HLT (27.7.2).
 *
 * Where L1's vCPU runs meanwhile, code in L1 tells by the line. Where its thread runs L2, its local
 * APIC is looked at once a slice.
 */
#include "guestcore/vcpu_events.h"
#include "nested/nested_internal.h"

static bool can_take_interrupt(const struct sx_vmx_cpu *l2)
{
	return l2->rflags & SX_X86_RFLAGS_IF &&
	       !(l2->interruptibility & (SX_BLOCK_STI | SX_BLOCK_MOV_SS));
}

static bool can_take_nmi(const struct sx_vmx_cpu *l2)
{
	return !(l2->interruptibility & (SX_BLOCK_NMI | SX_BLOCK_MOV_SS));
}

static void give_to_l2(struct sx_l1 *l1, enum sx_intr_type type, int vector)
{
	l1->state.event = (struct sx_vmx_event){.info = SX_INTR_INFO(type, (unsigned)vector)};
}

/* ---- told by the line ---- */

static bool line_interrupts(const struct sx_l1 *l1)
{
	/* Pairs with L1's store before its kick. */
	return sx_load_acquire(&l1->line->interrupt);
}

static uint8_t line_vector(const struct sx_l1 *l1)
{
	return (uint8_t)sx_load_relaxed(&l1->line->vector);
}

/* ---- seen in L1's vCPU ---- */

static bool nmi(struct sx_l1 *l1, struct sx_vcpu *v, struct sx_vmx_exit *exit)
{
	struct sx_vmx_exit unused = {0};
	bool exits = sx_vmx_on_nmi(&l1->vmx, &unused);

	if ((!exits && !can_take_nmi(&l1->state.cpu)) || !sx_vcpu_take_nmi(v))
		return false;
	if (exits)
		return sx_vmx_on_nmi(&l1->vmx, exit);
	give_to_l2(l1, SX_INTR_NMI, SX_VEC_NMI);
	return false;
}

/*
 * Of an exit that acknowledges, the vector is the one that the line names, if it does: L1 then
 * takes the interrupt itself from its APIC. Else it is taken from there; where that cannot be done
 * L1 gets it once more.
 */
static bool interrupt(struct sx_l1 *l1, struct sx_vcpu *v, struct sx_vmx_exit *exit)
{
	int vector = sx_vcpu_pending_interrupt(v, !l1->at_insn);

	if (vector < 0)
		return false;
	if (sx_vmx_on_ext_intr(&l1->vmx, (uint8_t)vector, exit)) {
		if (!exit->intr_info)
			return true;
		if (line_vector(l1))
			return sx_vmx_on_ext_intr(&l1->vmx, line_vector(l1), exit);
		vector = l1->at_insn ? -1 : sx_vcpu_take_interrupt(v);
		return vector < 0 || sx_vmx_on_ext_intr(&l1->vmx, (uint8_t)vector, exit);
	}
	if (!l1->at_insn && can_take_interrupt(&l1->state.cpu)) {
		vector = sx_vcpu_take_interrupt(v);
		if (vector >= 0)
			give_to_l2(l1, SX_INTR_EXTERNAL, vector);
	}
	return false;
}

bool sx_l2_interrupted(struct sx_l1 *l1, struct sx_vmx_exit *exit)
{
	struct sx_vcpu *v = &l1->nested->config.vcpu[l1->index];

	if (line_interrupts(l1) && sx_vmx_on_ext_intr(&l1->vmx, line_vector(l1), exit))
		return true;
	if (!sx_l2_slice_ended(l1))
		return false;
	sx_l2_slice_begin(l1);
	if (nmi(l1, v, exit))
		return true;
	return !(l1->state.event.info & SX_INTR_VALID) && interrupt(l1, v, exit);
}

bool sx_l2_stopped(struct sx_l1 *l1, struct sx_vmx_exit *exit)
{
	if (!sx_vmx_on_ext_intr(&l1->vmx, line_vector(l1), exit))
		return false;
	/* What was not delivered yet, L1 injects again: 28.2.4. */
	exit->idt_info = l1->state.event.info;
	exit->idt_error = l1->state.event.error_code;
	return !exit->intr_info || line_vector(l1);
}

bool sx_l2_exits_after_delivery(const struct sx_l1 *l1)
{
	struct sx_vmx_exit exit = {0};

	if (line_interrupts(l1) || sx_l2_slice_ended(l1))
		return true;
	/* KVM itself stops at an interrupt window. */
	return sx_vmx_pending(&l1->vmx, &l1->state, &exit) && exit.reason != SX_VMEXIT_INTR_WINDOW;
}
