// SPDX-License-Identifier: BSD-3-Clause
/*
 * Catch-up exits. KVM lets L2 write CR0, CR3, CR4 and XCR0 without a word. When L2 comes out with
 * bits changed that L1 asked to see (26.1.3; XSETBV always), the exit that the write would have
 * been comes first, with L2 before the instruction that it came out by: L1 does the write, resumes,
 * and L2 comes out by that instruction again. No exit is kept, and none is lost.
 *
 * Until L1 was told, it sees those bits as it gave them; what it then makes of them is what L2 has.
 */
#include "nested/nested_internal.h"

#define INSN_LENGTH 3 /* MOV to a control register, XSETBV: Vol. 2B, 2D */

static uint64_t field(const struct sx_l1 *l1, uint32_t encoding)
{
	return sx_vmcs12_get(&l1->vmx.v12, encoding);
}

static struct sx_l2_crs crs_of(const struct sx_l1 *l1)
{
	const struct sx_vmx_cpu *cpu = &l1->state.cpu;

	return (struct sx_l2_crs){cpu->cr0, cpu->cr3, cpu->cr4, l1->carried.xcr0};
}

/* Bits that L2 changed since the entry and that L1 asked to see. */
static struct sx_l2_crs changes(const struct sx_l1 *l1, const struct sx_l2_crs *given)
{
	struct sx_l2_crs now = crs_of(l1);
	bool cr3_exits = field(l1, SX_VMCS_CPU_CONTROLS) & SX_CPU_CR3_LOAD;
	bool has_xcr0 = l1->live & SX_LIVE_MSRS && given->xcr0;

	return (struct sx_l2_crs){
		.cr0 = (now.cr0 ^ given->cr0) & field(l1, SX_VMCS_CR0_MASK),
		.cr3 = cr3_exits ? now.cr3 ^ given->cr3 : 0,
		.cr4 = (now.cr4 ^ given->cr4) & field(l1, SX_VMCS_CR4_MASK),
		.xcr0 = has_xcr0 ? now.xcr0 ^ given->xcr0 : 0,
	};
}

static bool any(const struct sx_l2_crs *bits)
{
	return bits->cr0 | bits->cr3 | bits->cr4 | bits->xcr0;
}

/* @bits become those of @from. LMA follows, as the processor has it: 3A 2.2.1. */
static void take(struct sx_l1 *l1, const struct sx_l2_crs *bits, const struct sx_l2_crs *from)
{
	struct sx_vmx_cpu *cpu = &l1->state.cpu;

	cpu->cr0 = (cpu->cr0 & ~bits->cr0) | (from->cr0 & bits->cr0);
	cpu->cr3 = (cpu->cr3 & ~bits->cr3) | (from->cr3 & bits->cr3);
	cpu->cr4 = (cpu->cr4 & ~bits->cr4) | (from->cr4 & bits->cr4);
	l1->carried.xcr0 = (l1->carried.xcr0 & ~bits->xcr0) | (from->xcr0 & bits->xcr0);
	if (!(bits->cr0 & SX_X86_CR0_PG))
		return;
	cpu->efer &= ~SX_X86_EFER_LMA;
	if (cpu->cr0 & SX_X86_CR0_PG && cpu->efer & SX_X86_EFER_LME)
		cpu->efer |= SX_X86_EFER_LMA;
}

/* Before L2 may have been in IA-32e mode there is no 64-bit code segment, and no such RIP. */
static void show_code(struct sx_vmx_cpu *cpu)
{
	uint32_t *ar = &cpu->seg[SX_SEG_CS].ar;

	if (cpu->efer & SX_X86_EFER_LMA || !(*ar & SX_AR_L))
		return;
	*ar = (*ar & ~(uint32_t)SX_AR_L) | SX_AR_DB;
	cpu->rip = (uint32_t)cpu->rip;
}

static void restore_code(const struct sx_l2_aside *a, struct sx_vmx_cpu *cpu)
{
	if (cpu->efer & SX_X86_EFER_LMA && a->real.cs_ar & SX_AR_L)
		cpu->seg[SX_SEG_CS].ar = a->real.cs_ar;
}

void sx_l2_catch_begin(struct sx_l1 *l1, struct sx_l2_guest *g, enum sx_aside came_back)
{
	g->given = crs_of(l1);
	if (came_back == SX_ASIDE_DONE || came_back == SX_ASIDE_AGAIN) {
		take(l1, &g->owed, &g->real);
		restore_code(&g->aside, &l1->state.cpu);
	}
	g->owes = any(&g->owed) && came_back != SX_ASIDE_ELSEWHERE;
	g->owed = (struct sx_l2_crs){0};
}

/* ---- telling ---- */

/*
 * A MOV to @cr from RAX that changes the bits @told; what it leaves alone is what L2 sees. False:
 * L1 would not have seen it, the bits being what it pretends, and so they stay L1's.
 */
static bool tell_cr(struct sx_l1 *l1, unsigned cr, uint64_t real, uint64_t told,
		    struct sx_vmx_exit *exit)
{
	struct sx_vmx_cpu *cpu = &l1->state.cpu;
	uint64_t value = real, effective;
	struct sx_vmx_exit own = {.insn_length = INSN_LENGTH};

	if (!told)
		return false;
	if (cr != 3)
		value = (sx_vmx_visible_cr(&l1->vmx, cr, real) & ~told) | (real & told);
	if (sx_vmx_on_mov_to_cr(&l1->vmx, cpu, cr, SX_RAX, value, &effective, &own) != SX_L2_EXIT)
		return false;
	cpu->gpr[SX_RAX] = value;
	*exit = own;
	return true;
}

static bool tell_xcr0(struct sx_l1 *l1, uint64_t real, struct sx_vmx_exit *exit)
{
	uint64_t *gpr = l1->state.cpu.gpr;

	*exit = (struct sx_vmx_exit){.insn_length = INSN_LENGTH};
	sx_vmx_on_insn(&l1->vmx, SX_VMEXIT_XSETBV, exit);
	gpr[SX_RAX] = (uint32_t)real;
	gpr[SX_RDX] = real >> 32;
	gpr[SX_RCX] = 0;
	return true;
}

/* Take the bits @which from what is owed. */
static uint64_t pay(uint64_t *owed, uint64_t which)
{
	uint64_t bits = *owed & which;

	*owed &= ~which;
	return bits;
}

/*
 * One write, in an order in which a guest may do them (3A 2.5, 4.1.2, 10.8.5): CR4.PAE and CR3 are
 * there before paging begins and after it ended, CR4.PCIDE in IA-32e mode only. Each is told once,
 * whatever L1 makes of it, so it ends.
 */
static bool tell(struct sx_l1 *l1, struct sx_l2_guest *g, struct sx_vmx_exit *exit)
{
	bool paging_changes = g->owed.cr0 & SX_X86_CR0_PG;
	bool begins = paging_changes && g->real.cr0 & SX_X86_CR0_PG;
	bool ends = paging_changes && !begins;
	uint64_t early = ~(begins ? SX_X86_CR4_PCIDE : 0);

	return tell_cr(l1, 0, g->real.cr0, ends ? pay(&g->owed.cr0, ~0ull) : 0, exit) ||
	       tell_cr(l1, 4, g->real.cr4, pay(&g->owed.cr4, early), exit) ||
	       tell_cr(l1, 3, g->real.cr3, pay(&g->owed.cr3, ~0ull), exit) ||
	       tell_cr(l1, 0, g->real.cr0, pay(&g->owed.cr0, ~0ull), exit) ||
	       tell_cr(l1, 4, g->real.cr4, pay(&g->owed.cr4, ~0ull), exit) ||
	       (pay(&g->owed.xcr0, ~0ull) && tell_xcr0(l1, g->real.xcr0, exit));
}

/* Does L2 come out by it again, if L1 does not get to know of it now? */
static bool repeats(const struct sx_vmx_exit *exit)
{
	if (exit->idt_info & SX_INTR_VALID)
		return false; /* the event that was being delivered is L1's to inject again */
	switch (exit->reason) {
	case SX_VMEXIT_EXCEPTION_NMI:
		return SX_INTR_TYPE(exit->intr_info) != SX_INTR_NMI;
	case SX_VMEXIT_MONITOR_TRAP:
	case SX_VMEXIT_TPR_THRESHOLD:
	case SX_VMEXIT_PREEMPTION_TIMER:
		return false;
	default:
		return exit->reason >= SX_VMEXIT_CPUID;
	}
}

void sx_l2_catch_up(struct sx_l1 *l1, struct sx_l2_guest *g, struct sx_vmx_exit *exit)
{
	struct sx_l2_crs owed = changes(l1, &g->given);
	struct sx_vmx_cpu real = l1->state.cpu;

	if (!any(&owed) || exit->reason == SX_VMEXIT_TRIPLE_FAULT)
		return;
	g->real = crs_of(l1);
	g->owed = owed;
	take(l1, &owed, &g->given);
	show_code(&l1->state.cpu);
	if (repeats(exit))
		tell(l1, g, exit);
	sx_l2_aside_open(&g->aside, &real, &l1->state.cpu, exit);
}
