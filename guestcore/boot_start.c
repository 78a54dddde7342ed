// SPDX-License-Identifier: BSD-3-Clause
/*
 * The state in which a kernel is entered. Control bits, descriptors and page tables: SDM Vol. 3A
 * 2.2, 2.5, 3.4.5 and 4.5; MSRs: SDM Vol. 4; what each protocol asks for: boot.rst "64-bit Boot
 * Protocol", Multiboot 3.2, pvh.pandoc.
 */
#include "guestcore/boot_internal.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>

#define CR0_PE (1ull << 0)
#define CR0_ET (1ull << 4)
#define CR0_NE (1ull << 5)
#define CR0_PG (1ull << 31)

#define CR4_PAE  (1ull << 5)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)

#define RFLAGS_FIXED 0x2ull

#define PTE_P   1ull
#define PTE_W   2ull
#define PTE_PS  (1ull << 7)
#define ENTRIES 512u
#define LARGE   (2ull << 20)

#define MSR_MISC_ENABLE  0x1a0u
#define FAST_STRINGS     1ull
#define MSR_MTRR_DEFAULT 0x2ffu
#define MTRR_ENABLE      (1ull << 11)
#define MTRR_WRITE_BACK  6ull

/* The selectors that boot.rst names; the others take them just as well. */
enum selector {
	SEL_CODE = 0x10,
	SEL_DATA = 0x18,
	SEL_TSS = 0x20,
	GDT_END = 0x30,
};

struct tables {
	uint64_t pml4[ENTRIES];
	uint64_t pdpt[ENTRIES];
	uint64_t pd[4 * ENTRIES];
};

#define TSS_LIMIT 0x67u

/* The descriptor (SDM Vol. 3A 3.4.5) that says what @s says. */
static uint64_t descriptor(const struct kvm_segment *s)
{
	uint64_t limit = s->g ? s->limit >> 12 : s->limit;
	uint64_t access = s->type | s->s << 4 | s->dpl << 5 | s->present << 7;
	uint64_t flags = s->avl | s->l << 1 | s->db << 2 | s->g << 3;

	return (limit & 0xffff) | (s->base & 0xffffff) << 16 | access << 40 |
	       (limit >> 16 & 0xf) << 48 | flags << 52 | (s->base >> 24 & 0xff) << 56;
}

static struct kvm_segment flat(uint16_t selector, uint8_t type, bool is_long)
{
	return (struct kvm_segment){
		.selector = selector,
		.limit = 0xffffffff,
		.type = type,
		.present = 1,
		.s = 1,
		.l = is_long,
		.db = !is_long,
		.g = 1,
	};
}

static int store_gdt(const struct sx_vcpu *v, const struct kvm_sregs *s)
{
	uint64_t gdt[GDT_END / 8] = {0};

	gdt[SEL_CODE / 8] = descriptor(&s->cs);
	gdt[SEL_DATA / 8] = descriptor(&s->ds);
	gdt[SEL_TSS / 8] = descriptor(&s->tr);
	return sx_memmap_write(&v->vm->memory, SX_BOOT_GDT, gdt, sizeof(gdt));
}

/* The low 4 GiB where they are, in large pages. */
static int store_tables(const struct sx_vcpu *v)
{
	const uint64_t dir = PTE_P | PTE_W;
	struct tables *t = sx_memmap_at(&v->vm->memory, SX_BOOT_TABLES, sizeof(*t), SX_WRITE);

	if (!t)
		return -EFAULT;
	memset(t, 0, sizeof(*t));
	t->pml4[0] = (SX_BOOT_TABLES + offsetof(struct tables, pdpt)) | dir;
	for (unsigned i = 0; i < 4; i++)
		t->pdpt[i] = (SX_BOOT_TABLES + offsetof(struct tables, pd[i * ENTRIES])) | dir;
	for (unsigned i = 0; i < 4 * ENTRIES; i++)
		t->pd[i] = i * LARGE | dir | PTE_PS;
	return 0;
}

static int set_sregs(const struct sx_vcpu *v, const struct sx_boot_entry *entry)
{
	bool is_long = entry->mode == SX_BOOT_LONG;
	struct kvm_sregs s;
	int rc = sx_ioctl(v->fd, KVM_GET_SREGS, &s);

	if (rc < 0)
		return rc;
	s.cs = flat(SEL_CODE, 0xb, is_long);
	s.ds = flat(SEL_DATA, 0x3, false);
	s.es = s.fs = s.gs = s.ss = s.ds;
	s.tr = (struct kvm_segment){
		.selector = SEL_TSS, .limit = TSS_LIMIT, .type = 0xb, .present = 1};
	s.gdt.base = SX_BOOT_GDT;
	s.gdt.limit = GDT_END - 1;
	s.idt.base = 0;
	s.idt.limit = 0;
	s.cr0 = CR0_PE | CR0_ET | CR0_NE;
	s.cr4 = 0;
	s.efer = 0;
	if (is_long) {
		s.cr0 |= CR0_PG;
		s.cr3 = SX_BOOT_TABLES;
		s.cr4 = CR4_PAE;
		s.efer = EFER_LME | EFER_LMA;
		rc = store_tables(v);
	}
	if (rc == 0)
		rc = store_gdt(v, &s);
	return rc < 0 ? rc : sx_ioctl(v->fd, KVM_SET_SREGS, &s);
}

/* KVM_GET_MSRS or KVM_SET_MSRS of one: how many it took, 0 or 1, or a negative errno. */
static int one_msr(const struct sx_vcpu *v, unsigned long request, uint32_t index, uint64_t *value)
{
	union {
		struct kvm_msrs head;
		uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} m = {.head.nmsrs = 1};
	struct kvm_msr_entry entry = {.index = index, .data = *value};
	const size_t at = offsetof(struct kvm_msrs, entries);
	int rc;

	memcpy(m.bytes + at, &entry, sizeof(entry));
	rc = sx_ioctl(v->fd, request, &m);
	memcpy(&entry, m.bytes + at, sizeof(entry));
	*value = entry.data;
	return rc;
}

/* What firmware leaves behind: memory is write-back, string instructions are fast. */
static int set_msrs(const struct sx_vcpu *v)
{
	uint64_t mtrr = MTRR_ENABLE | MTRR_WRITE_BACK, misc = 0;
	int rc = one_msr(v, KVM_SET_MSRS, MSR_MTRR_DEFAULT, &mtrr);

	if (rc >= 0)
		rc = one_msr(v, KVM_GET_MSRS, MSR_MISC_ENABLE, &misc);
	if (rc > 0) {
		misc |= FAST_STRINGS;
		rc = one_msr(v, KVM_SET_MSRS, MSR_MISC_ENABLE, &misc);
	}
	return rc < 0 ? rc : 0;
}

int sx_boot_start(const struct sx_vcpu *vcpu, unsigned vcpus, const struct sx_boot_entry *entry,
		  struct sx_error *err)
{
	struct kvm_regs r = {
		.rip = entry->rip,
		.rax = entry->rax,
		.rbx = entry->rbx,
		.rsi = entry->rsi,
		.rflags = RFLAGS_FIXED,
	};
	int rc = set_sregs(&vcpu[0], entry);

	for (unsigned i = 0; rc == 0 && i < vcpus; i++)
		rc = set_msrs(&vcpu[i]);
	if (rc == 0)
		rc = sx_ioctl(vcpu[0].fd, KVM_SET_REGS, &r);
	if (rc < 0)
		return sx_fail(err, rc, "KVM refuses the state in which the kernel is to start: %s",
			       strerror(-rc));
	return 0;
}
