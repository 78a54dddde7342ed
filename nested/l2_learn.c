// SPDX-License-Identifier: BSD-3-Clause
/*
 * Learned CPUID. KVM answers L2's CPUID itself, so L1 is asked before: by CPUID exits, one for each
 * leaf, at entries where L2 would have run. Then KVM has the answers, and CPUID exits no more.
 *
 * Such an exit comes where L2's RIP is, and no CPUID lies there; L1's step over it is undone. So it
 * is for an L1 that said it does not mind (SX_LIVE_CPUID). Where the entry injects something, or
 * something else is due before L2's next instruction, L2 runs, and the questions go on later: no
 * event is ever held back.
 */
#include "nested/nested_internal.h"

#define CPUID_LENGTH 2
#define PATIENCE     64u /* entries by which L1 did not answer, until it is asked no more */

/* Is L2 just before an instruction, with nothing else to come first? */
static bool at_rest(struct sx_l1 *l1)
{
	const struct sx_vmx_guest_state *l2 = &l1->state;
	struct sx_vmx_exit due = {0};

	return !(l2->event.info & SX_INTR_VALID) && l2->cpu.activity == SX_ACTIVE &&
	       !l2->cpu.interruptibility && !l2->cpu.pending_dbg &&
	       !(l2->cpu.rflags & (SX_X86_RFLAGS_TF | SX_X86_RFLAGS_RF)) &&
	       !sx_vmx_pending(&l1->vmx, l2, &due);
}

static void ask(struct sx_l1 *l1, struct sx_l2_guest *g, struct sx_vmx_exit *exit)
{
	struct sx_vmx_cpu real = l1->state.cpu;
	uint64_t *gpr = l1->state.cpu.gpr;

	*exit = (struct sx_vmx_exit){.insn_length = CPUID_LENGTH};
	sx_vmx_on_insn(&l1->vmx, SX_VMEXIT_CPUID, exit);
	gpr[SX_RAX] = g->cpuid.leaf;
	gpr[SX_RCX] = g->cpuid.subleaf;
	sx_l2_aside_open(&g->aside, &real, &l1->state.cpu, exit);
}

static void take_answer(struct sx_l2_guest *g)
{
	const uint64_t *gpr = g->aside.answer;
	const uint32_t regs[4] = {(uint32_t)gpr[SX_RAX], (uint32_t)gpr[SX_RBX],
				  (uint32_t)gpr[SX_RCX], (uint32_t)gpr[SX_RDX]};

	sx_l2_cpuid_answer(&g->cpuid, regs);
}

bool sx_l2_learn(struct sx_l1 *l1, struct sx_l2_guest *g, enum sx_aside came_back,
		 struct sx_vmx_exit *exit)
{
	if (came_back != SX_ASIDE_NONE && g->aside.reason == SX_VMEXIT_CPUID) {
		if (came_back == SX_ASIDE_DONE)
			take_answer(g);
		else
			g->unanswered++;
	}
	if (!(l1->live & SX_LIVE_CPUID) || g->cpuid.done || g->unanswered >= PATIENCE || g->owes ||
	    !at_rest(l1))
		return false;
	ask(l1, g, exit);
	return true;
}

const struct kvm_cpuid2 *sx_l2_learned(const struct sx_l2_guest *g)
{
	return g->cpuid.done ? &g->cpuid.table : NULL;
}
