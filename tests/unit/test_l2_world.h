// SPDX-License-Identifier: BSD-3-Clause
/*
 * An L2 for tests of nested/l2_fault.h: registers, page tables and system tables in the memory of
 * test_vmx_world.h, and in place of nested/l2_vm.c a VM without KVM. No test code, so that unit
 * tests and the fuzz target share it.
 */
#ifndef SX_TEST_L2_UNIT_WORLD_H
#define SX_TEST_L2_UNIT_WORLD_H

#include "nested/l2_fault.h"
#include "tests/support/l2_decoder.h"
#include "tests/unit/test_vmx_world.h"

/* L2-physical memory: page n of 32 is L1's page 32 + n. L2's paging, where it is on, is identity.
 */
#define L2_PAGES    32u
#define L2_BYTES    (L2_PAGES * (size_t)0x1000)
#define L2_IN_L1    0x20000
#define L2_PML4     0x1000
#define L2_PDPT     0x2000
#define L2_PD       0x3000
#define L2_PT       0x4000
#define L2_IDT      0x5000
#define L2_GDT      0x6000
#define L2_TSS      0x7000
#define L2_CODE     0x8000
#define L2_A        0xa000 /* data */
#define L2_B        0xb000
#define L2_STACK    0xcf00
#define L2_KSTACK   0xf000  /* RSP0, and below */
#define L2_IST1     0x11000 /* IST 1, and below */
#define EPT_PT      (AT_EPT + 0x3000)
#define NO_AD_EPTP  (AT_EPT | 0x1e)
#define EPT_RWX     0x37
#define EPT_RX      0x35
#define TO_KERNEL   0x08 /* selectors */
#define TO_USER     0x1b
#define USER_DATA   0x23
#define OTHER_DATA  0x28 /* not accessed yet */
#define L2_GATE_INT 0x8e

/* ---- a VM without KVM ---- */

struct sx_l2_vm {
	bool has_all; /* nothing needs to be mapped */
	int error;    /* what mapping fails with */
	bool walks_in_software;
	uint8_t rights[L2_PAGES]; /* of what is mapped; 0: not */
	uint64_t l1[L2_PAGES];    /* where to */
	unsigned maps;
};

bool sx_l2_vm_find(const struct sx_l2_vm *vm, uint64_t gpa, unsigned rights, uint64_t *l1)
{
	uint64_t page = gpa / 0x1000;

	if (page >= L2_PAGES || !vm->rights[page] || (rights & ~(unsigned)vm->rights[page]))
		return false;
	*l1 = vm->l1[page] | (gpa & 0xfff);
	return true;
}

bool sx_l2_vm_has(const struct sx_l2_vm *vm, uint64_t gpa, const struct sx_ept12_map *map)
{
	uint64_t l1;

	return vm->has_all || sx_l2_vm_find(vm, gpa, map->rights, &l1);
}

int sx_l2_vm_map(struct sx_l2_vm *vm, uint64_t gpa, const struct sx_ept12_map *map)
{
	uint64_t page = gpa / 0x1000;

	if (vm->error)
		return vm->error;
	if (map->gpa >= WORLD_SIZE || page >= L2_PAGES || !map->rights)
		return -EFAULT;
	vm->rights[page] = (uint8_t)map->rights;
	vm->l1[page] = map->gpa & ~UINT64_C(0xfff);
	vm->maps++;
	return 0;
}

bool sx_l2_vm_walks_in_software(const struct sx_l2_vm *vm)
{
	return vm->walks_in_software;
}

/* ---- L2 ---- */

static inline void put_l2(struct world *w, uint64_t gpa, uint64_t value)
{
	put64(w, L2_IN_L1 + gpa, value);
}

/* EPT12 of the L2-physical page of @gpa; 0 unmaps it. */
static inline void ept(struct world *w, uint64_t gpa, uint64_t flags)
{
	put64(w, EPT_PT + gpa / 0x1000 * 8,
	      flags ? (L2_IN_L1 + (gpa & ~UINT64_C(0xfff))) | flags : 0);
}

static inline void set_pte(struct world *w, uint64_t linear, uint64_t flags)
{
	put_l2(w, L2_PT + linear / 0x1000 * 8, (linear & ~UINT64_C(0xfff)) | flags);
}

static inline void fill_ept(struct world *w)
{
	put64(w, AT_EPT, (AT_EPT + 0x1000) | 7);
	put64(w, AT_EPT + 0x1000, (AT_EPT + 0x2000) | 7);
	put64(w, AT_EPT + 0x2000, EPT_PT | 7);
	for (uint64_t page = 0; page < L2_PAGES; page++)
		ept(w, page * 0x1000, EPT_RWX);
}

static inline void put_gate(struct world *w, unsigned vector, uint16_t selector, unsigned ist)
{
	put_l2(w, L2_IDT + UINT64_C(16) * vector,
	       L2_CODE | (uint64_t)selector << 16 | (uint64_t)ist << 32 |
		       (uint64_t)L2_GATE_INT << 40);
	put_l2(w, L2_IDT + UINT64_C(16) * vector + 8, 0);
}

static inline void fill_l2(struct world *w)
{
	put_l2(w, L2_PML4, L2_PDPT | 0x27);
	put_l2(w, L2_PDPT, L2_PD | 0x27);
	put_l2(w, L2_PD, L2_PT | 0x27);
	for (uint64_t page = 0; page < 512; page++)
		set_pte(w, page * 0x1000, 0x67);
	for (unsigned vector = 0; vector < 256; vector++)
		put_gate(w, vector, TO_KERNEL, 0);
	put_l2(w, L2_GDT + TO_KERNEL, 0x00af9b000000ffff);
	put_l2(w, L2_GDT + 0x10, 0x00cf93000000ffff);
	put_l2(w, L2_GDT + 0x18, 0x00affb000000ffff);
	put_l2(w, L2_GDT + 0x20, 0x00cff3000000ffff);
	put_l2(w, L2_GDT + OTHER_DATA, 0x00cff2000000ffff);
	put_l2(w, L2_TSS + 4, L2_KSTACK);
	put_l2(w, L2_TSS + 36, L2_IST1);
	put_l2(w, L2_TSS + 102, 0x68); /* the I/O bitmap comes right behind */
}

static inline void set_cpl(struct sx_vmx_cpu *cpu, unsigned cpl)
{
	cpu->seg[SX_SEG_CS].ar = (cpu->seg[SX_SEG_CS].ar & ~0x60u) | cpl << 5;
	cpu->seg[SX_SEG_SS].ar = (cpu->seg[SX_SEG_SS].ar & ~0x60u) | cpl << 5;
}

/* Registers that point to data: see the tests. */
static inline void fill_registers(struct sx_vmx_cpu *cpu)
{
	cpu->rip = L2_CODE;
	cpu->rflags = 2;
	cpu->gpr[SX_RAX] = L2_A + 0x101;
	cpu->gpr[SX_RBX] = L2_B + 0x200;
	cpu->gpr[SX_RCX] = 3;
	cpu->gpr[SX_RDX] = OTHER_DATA;
	cpu->gpr[SX_RSP] = L2_STACK;
	cpu->gpr[SX_RBP] = L2_B + 0x800;
	cpu->gpr[SX_RSI] = L2_A + 0x300;
	cpu->gpr[SX_RDI] = L2_B + 0x400;
}

/* 64-bit mode at CPL 3. */
static inline void enter_l2(struct world *w)
{
	struct sx_vmx_cpu *cpu = &w->l2.cpu;

	fill_registers(cpu);
	cpu->cr0 |= SX_X86_CR0_WP;
	cpu->cr3 = L2_PML4;
	cpu->gdtr = (struct sx_vmx_table){L2_GDT, 0x2f};
	cpu->idtr = (struct sx_vmx_table){L2_IDT, 0xfff};
	cpu->seg[SX_SEG_TR].base = L2_TSS;
	cpu->seg[SX_SEG_TR].limit = 0xfff;
	cpu->seg[SX_SEG_FS].base = L2_B;
	cpu->seg[SX_SEG_GS].base = L2_A;
	set_cpl(cpu, 3);
}

/* Protected mode at CPL 0 without paging; @db: 32-bit, else 16-bit code and stack. */
static inline void leave_long_mode(struct sx_vmx_cpu *cpu, bool db)
{
	cpu->efer = 0;
	cpu->cr0 &= ~SX_X86_CR0_PG;
	for (unsigned i = 0; i <= SX_SEG_GS; i++) {
		cpu->seg[i].base = 0;
		cpu->seg[i].limit = UINT32_MAX;
		cpu->seg[i].ar = db ? 0xc093 : 0x8093;
	}
	cpu->seg[SX_SEG_CS].ar = db ? 0xc09b : 0x809b;
	cpu->seg[SX_SEG_TR].ar = 0x8b;
}

/* L2 runs, all of its memory is there; by EPT12 without accessed and dirty flags. */
static inline bool start_l2(struct world *w, struct sx_l2_vm *vm)
{
	world_init_current(w);
	if (sx_vmx_enter(&w->vmx, &w->l1, false, &w->l2).outcome != SX_VMX_ENTERED)
		return false;
	*vm = (struct sx_l2_vm){.has_all = true};
	fill_ept(w);
	fill_l2(w);
	enter_l2(w);
	w->l2.eptp = NO_AD_EPTP;
	return true;
}

#endif
