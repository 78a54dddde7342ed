// SPDX-License-Identifier: BSD-3-Clause
/*
 * What made L2's KVM_RUN return, told as a VM exit of SDM 3C chapter 28, or dealt with here.
 *
 * l1->state holds L2's registers as KVM left them. A VM exit wants them as they were before the
 * instruction, and its length; where KVM has gone further, they are put back.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "nested/hostmod.h"
#include "nested/l2_fault.h"
#include "nested/nested_internal.h"

static enum sx_l2_next by_verdict(enum sx_vmx_verdict verdict)
{
	return verdict == SX_L2_EXIT ? SX_L2_LEAVES : SX_L2_AGAIN;
}

/* ---- memory ---- */

static enum sx_l2_next exit_fault(struct sx_l1 *l1, const struct sx_l2_hint *hint,
				  struct sx_vmx_exit *exit)
{
	enum sx_l2_fault_outcome outcome;

	pthread_mutex_lock(&l1->l2->lock);
	outcome = sx_l2_fault(&l1->vmx, l1->l2->vm, l1->decoder, &l1->state, hint, exit);
	pthread_mutex_unlock(&l1->l2->lock);
	switch (outcome) {
	case SX_L2_FAULT_MAPPED:
		sx_count(&l1->mapped, 1);
		return SX_L2_AGAIN;
	case SX_L2_FAULT_EXIT:
		/* 28.2.4: the fault came while an event was delivered. */
		exit->idt_info = l1->state.event.info;
		exit->idt_error = l1->state.event.error_code;
		return SX_L2_LEAVES;
	default:
		return SX_L2_BROKEN;
	}
}

/*
 * KVM emulates the instruction: the address lies beyond the windows, or this KVM emulates CPL 0. A
 * read has not happened yet and its registers are those before it; of a write only the address is
 * left, and no EPT violation can be told from it.
 */
static enum sx_l2_next exit_mmio(struct sx_l1 *l1, struct sx_l2_vcpu *v, struct sx_vmx_exit *exit)
{
	struct sx_l2_hint hint = {
		.gpa = v->run->mmio.phys_addr,
		.access = v->run->mmio.is_write ? SX_ACCESS_WRITE : SX_ACCESS_READ,
	};
	uint64_t before = l1->state.cpu.rip;
	enum sx_l2_next next = exit_fault(l1, &hint, exit);

	sx_l2_vcpu_flush(v);
	if (v->run->mmio.is_write && sx_l2_vcpu_rip(v) == before)
		return SX_L2_BROKEN;
	return next;
}

/* ---- the rest ---- */

/* An instruction of @length bytes that KVM has stepped over; L1's exit is at its start. */
static enum sx_l2_next exit_insn(struct sx_l1 *l1, enum sx_vmx_reason reason, unsigned length,
				 struct sx_vmx_exit *exit)
{
	enum sx_l2_next next = by_verdict(sx_vmx_on_insn(&l1->vmx, reason, exit));

	if (next == SX_L2_LEAVES) {
		l1->state.cpu.rip -= length;
		exit->insn_length = length;
	} else if (reason == SX_VMEXIT_HLT) {
		l1->state.cpu.activity = SX_ACTIVITY_HLT;
	}
	return next;
}

/*
 * KVM cannot emulate what lies at RIP. Either it lies where nothing is mapped, or it is an
 * instruction that only exits, or it is none.
 */
static enum sx_l2_next exit_no_emulation(struct sx_l1 *l1, struct sx_vmx_exit *exit)
{
	enum sx_l2_next next = exit_fault(l1, NULL, exit);
	struct sx_vmx_insn insn;
	uint8_t bytes[SX_VMX_MAX_INSN];
	size_t len;

	if (next != SX_L2_BROKEN)
		return next;
	*exit = (struct sx_vmx_exit){0};
	len = sx_l2_fetch(l1, sx_vmx_linear_rip(&l1->state.cpu), bytes, sizeof(bytes));
	if (sx_vmx_decode(&l1->state.cpu, bytes, len, &insn) == 0) {
		sx_vmx_insn_exit(&l1->state.cpu, &insn, exit);
		return by_verdict(sx_vmx_on_insn(&l1->vmx, exit->reason, exit));
	}
	return sx_l2_raise(l1, SX_VEC_UD, exit);
}

/*
 * A KVM that delivers events in software takes an IDT that it has no page for as L2's own fault,
 * and in the end as a triple fault.
 */
enum sx_l2_next sx_l2_exit_shutdown(struct sx_l1 *l1, struct sx_vmx_exit *exit)
{
	enum sx_l2_next next = exit_fault(l1, NULL, exit);

	if (next != SX_L2_BROKEN)
		return next;
	*exit = (struct sx_vmx_exit){0};
	l1->state.event = (struct sx_vmx_event){0};
	return by_verdict(sx_vmx_on_insn(&l1->vmx, SX_VMEXIT_TRIPLE_FAULT, exit));
}

enum sx_l2_next sx_l2_raise(struct sx_l1 *l1, uint8_t vector, struct sx_vmx_exit *exit)
{
	struct sx_vmx_exception exception = {
		.vector = vector,
		.type = SX_INTR_HARDWARE,
		.has_error_code = vector == SX_VEC_GP,
	};

	if (sx_vmx_on_exception(&l1->vmx, &exception, exit))
		return SX_L2_LEAVES;
	l1->state.event = (struct sx_vmx_event){
		.info = SX_INTR_INFO(SX_INTR_HARDWARE, vector) |
			(exception.has_error_code ? SX_INTR_ERROR_CODE : 0),
	};
	return SX_L2_AGAIN;
}

enum sx_l2_next sx_l2_exit(struct sx_l1 *l1, struct sx_l2_vcpu *v, int rc, struct sx_vmx_exit *exit)
{
	if (rc == -EINTR || rc == -EAGAIN)
		return SX_L2_AGAIN;
	if (rc == -EFAULT)
		return exit_fault(l1, NULL, exit);
	if (rc < 0)
		return SX_L2_BROKEN;
	if (sx_hostmod_is_exit(v->run))
		return sx_l2_exit_host(l1, v, exit);
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		return sx_l2_exit_io(l1, v, exit);
	case KVM_EXIT_MMIO:
		return exit_mmio(l1, v, exit);
	case KVM_EXIT_HLT:
		return exit_insn(l1, SX_VMEXIT_HLT, 1, exit);
	case KVM_EXIT_SHUTDOWN:
		return sx_l2_exit_shutdown(l1, exit);
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		return sx_l2_exit_msr(l1, v, exit);
	case KVM_EXIT_INTERNAL_ERROR:
		if (v->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
			return exit_no_emulation(l1, exit);
		return SX_L2_BROKEN;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN: /* what was waited for is found before the next run */
	case KVM_EXIT_SET_TPR:
		return SX_L2_AGAIN;
	default:
		return SX_L2_BROKEN;
	}
}
