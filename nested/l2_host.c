// SPDX-License-Identifier: BSD-3-Clause
/*
 * L2's exits that KVM keeps to itself, where the host has splitx_host.ko (docs/host-module.md):
 * writes of CR0 and CR4, XSETBV and hypercalls come as they happen, with RIP at the instruction.
 * CPUID is not among them: KVM has the answers (l2_learn.c).
 */
#include <errno.h>

#include "nested/hostmod.h"
#include "nested/nested_internal.h"

#define KINDS (SX_HOST_CR0 | SX_HOST_CR4 | SX_HOST_XSETBV | SX_HOST_HYPERCALL)

int sx_l2_host_mark(int vcpu, int *mark, struct sx_error *err)
{
	struct sx_error why = {0};
	int rc = sx_hostmod_mark(vcpu, KINDS, &why);

	*mark = rc < 0 ? -1 : rc;
	/* It is optional, and not everyone may use it: no word of that. */
	if (rc >= 0 || rc == -ENOENT || rc == -EACCES)
		return 0;
	return sx_fail(err, rc, "%s", why.text);
}

/* L2's CR0 becomes @cr0: with it comes or goes IA-32e mode (SDM Vol. 3A, 9.8.5). */
static void set_cr0(struct sx_vmx_cpu *l2, uint64_t cr0)
{
	l2->cr0 = cr0;
	if (!(l2->efer & SX_X86_EFER_LME))
		return;
	l2->efer &= ~(uint64_t)SX_X86_EFER_LMA;
	l2->efer |= cr0 & SX_X86_CR0_PG ? SX_X86_EFER_LMA : 0;
}

static enum sx_vmx_verdict write_cr(struct sx_l1 *l1, const struct sx_hostmod_exit *e,
				    struct sx_vmx_exit *exit)
{
	struct sx_vmx_cpu *l2 = &l1->state.cpu;
	const unsigned cr = e->kind == SX_HOST_CR0 ? 0 : 4;
	enum sx_vmx_verdict verdict;
	uint64_t effective = 0;

	switch (e->cr.access) {
	case SX_HOSTMOD_CLTS:
		verdict = sx_vmx_on_clts(&l1->vmx, l2, &effective, exit);
		break;
	case SX_HOSTMOD_LMSW:
		/* Of an operand in memory the address is not told. */
		verdict =
			sx_vmx_on_lmsw(&l1->vmx, l2, (uint16_t)e->cr.value, NULL, &effective, exit);
		break;
	default:
		verdict = sx_vmx_on_mov_to_cr(&l1->vmx, l2, cr, e->cr.gpr, e->cr.value, &effective,
					      exit);
	}
	if (verdict == SX_L2_PROCEED && cr == 0)
		set_cr0(l2, effective);
	else if (verdict == SX_L2_PROCEED)
		l2->cr4 = effective;
	return verdict;
}

static enum sx_vmx_verdict judge(struct sx_l1 *l1, const struct sx_hostmod_exit *e,
				 struct sx_vmx_exit *exit)
{
	switch (e->kind) {
	case SX_HOST_CR0:
	case SX_HOST_CR4:
		return write_cr(l1, e, exit);
	case SX_HOST_XSETBV:
		return sx_vmx_on_insn(&l1->vmx, SX_VMEXIT_XSETBV, exit);
	case SX_HOST_HYPERCALL:
		/* The other vendor's is none here. */
		return e->hypercall.vmmcall ? SX_L2_UD
					    : sx_vmx_on_insn(&l1->vmx, SX_VMEXIT_VMCALL, exit);
	default:
		return sx_vmx_on_insn(&l1->vmx, SX_VMEXIT_CPUID, exit);
	}
}

enum sx_l2_next sx_l2_exit_host(struct sx_l1 *l1, struct sx_l2_vcpu *v, struct sx_vmx_exit *exit)
{
	struct sx_hostmod_exit e;

	/* L2 has written over its own instruction: it looks at what is there now. */
	if (sx_hostmod_decode(v->run, &e) < 0)
		return SX_L2_AGAIN;
	switch (judge(l1, &e, exit)) {
	case SX_L2_EXIT:
		exit->insn_length = e.length;
		return SX_L2_LEAVES;
	case SX_L2_PROCEED:
		l1->state.cpu.rip += e.length;
		return SX_L2_AGAIN;
	case SX_L2_UD:
		return sx_l2_raise(l1, SX_VEC_UD, exit);
	default:
		return sx_l2_raise(l1, SX_VEC_GP, exit);
	}
}
