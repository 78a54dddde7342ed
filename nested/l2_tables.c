// SPDX-License-Identifier: BSD-3-Clause
/* What KVM, or a processor, reads of L2's memory by itself: page tables, and system tables. */
#include "nested/l2_touch.h"
#include "nested/vmx_internal.h"

#define ENTRY_PRESENT UINT64_C(0x1)
#define ENTRY_LARGE   UINT64_C(0x80)
#define ENTRY_ADDRESS UINT64_C(0x000ffffffffff000)
#define TABLE_BYTES   4096u
#define MAX_TABLES    512u /* that are visited: tables may name each other in circles */
#define PDPTES        4

struct tour {
	struct sx_l2_touch *touch;
	unsigned entry_size; /* 4 or 8 */
	unsigned left;       /* tables that may still be visited */
};

/* Where the table at @gpa lies in L1's memory, once L2 can reach it. */
static bool touch_table(const struct tour *t, uint64_t gpa, uint64_t *l1)
{
	const struct sx_ept12_access access = {
		.gpa = gpa,
		.access = SX_ACCESS_READ,
		.has_linear = true,
		.paging_walk = true,
	};
	bool there = sx_l2_touch_physical(t->touch, &access, l1);

	t->touch->stop = SX_L2_GOES_ON;
	return there;
}

/* The table at @gpa, and those below it; @level 1 names pages only. */
static void visit(struct tour *t, uint64_t gpa, unsigned level)
{
	const struct sx_vmx *vmx = t->touch->vmx;
	uint8_t table[TABLE_BYTES];
	uint64_t l1;

	if (!t->left)
		return;
	t->left--;
	if (!touch_table(t, gpa, &l1) || level == 1 ||
	    vmx->ops->read(vmx->ctx, l1, table, sizeof(table)))
		return;
	for (unsigned at = 0; at < TABLE_BYTES; at += t->entry_size) {
		uint64_t e = 0;

		memcpy(&e, table + at, t->entry_size);
		if ((e & ENTRY_PRESENT) && !(e & ENTRY_LARGE))
			visit(t, e & ENTRY_ADDRESS, level - 1);
	}
}

static void visit_page_tables(struct sx_l2_touch *touch)
{
	const struct sx_vmx_cpu *cpu = &touch->state->cpu;
	struct tour t = {.touch = touch, .entry_size = 8, .left = MAX_TABLES};

	if (!(cpu->cr0 & SX_X86_CR0_PG))
		return;
	if (cpu->efer & SX_X86_EFER_LMA) {
		visit(&t, cpu->cr3 & ENTRY_ADDRESS, 4);
	} else if (cpu->cr4 & SX_X86_CR4_PAE) {
		for (unsigned i = 0; i < PDPTES; i++)
			if (cpu->pdpte[i] & ENTRY_PRESENT)
				visit(&t, cpu->pdpte[i] & ENTRY_ADDRESS, 2);
	} else {
		t.entry_size = 4;
		visit(&t, cpu->cr3 & UINT32_MAX & ENTRY_ADDRESS, 2);
	}
}

bool sx_l2_touch_system_tables(struct sx_l2_touch *touch)
{
	const struct sx_vmx_cpu *cpu = &touch->state->cpu;
	const struct sx_vmx_table tables[] = {
		{cpu->idtr.base, cpu->idtr.limit & 0xfff}, /* 256 gates */
		{cpu->gdtr.base, cpu->gdtr.limit & 0xffff},
		{cpu->seg[SX_SEG_TR].base, cpu->seg[SX_SEG_TR].limit & 0xffff},
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		size_t size = (size_t)tables[i].limit + 1;

		touch->stop = SX_L2_GOES_ON;
		if (!sx_l2_touch_linear(touch, tables[i].base, size, SX_ACCESS_READ, false, NULL) &&
		    (touch->stop == SX_L2_EXITS || touch->stop == SX_L2_RETRY))
			return false;
	}
	touch->stop = SX_L2_GOES_ON;
	return true;
}

void sx_l2_map_tables(struct sx_vmx *vmx, struct sx_l2_vm *vm,
		      const struct sx_vmx_guest_state *state)
{
	const struct sx_vmx_event *e = &state->event;
	struct sx_vmx_exit ignored;
	struct sx_l2_touch touch = {.vmx = vmx, .vm = vm, .state = state, .exit = &ignored};

	if (!sx_l2_vm_walks_in_software(vm))
		return;
	visit_page_tables(&touch);
	sx_l2_touch_system_tables(&touch);
	if (e->info & SX_INTR_VALID)
		sx_l2_touch_event(&touch, SX_INTR_VECTOR(e->info), e->info & SX_INTR_ERROR_CODE);
}
