// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/microguest.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

/* Control bits and descriptor types: SDM Vol. 3A, 2.2, 2.5 and 3.4.5; page tables: 4.5. */
#define CR0_PE (1ull << 0)
#define CR0_MP (1ull << 1)
#define CR0_ET (1ull << 4)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_AM (1ull << 18)
#define CR0_PG (1ull << 31)

#define CR4_PAE        (1ull << 5)
#define CR4_OSFXSR     (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)

#define EFER_SCE (1ull << 0)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define EFER_NXE (1ull << 11)

#define RFLAGS_FIXED 0x2ull
#define RFLAGS_IF    (1ull << 9)
#define RFLAGS_IOPL3 (3ull << 12)

#define PTE_P  1ull
#define PTE_W  2ull
#define PTE_U  4ull
#define PTE_A  (1ull << 5)
#define PTE_D  (1ull << 6)
#define PTE_PS (1ull << 7)

#define PAGE       4096ull
#define LARGE_PAGE (2ull << 20)
#define ENTRIES    512u

/*
 * IN and OUT at CPL3 are allowed twice over: by IOPL 3, and by an I/O permission bitmap of zeros
 * behind the TSS, with the byte of ones that must end it (SDM Vol. 3A 7.7, Vol. 1 19.5.2). A KVM
 * without VMX or SVM runs CPL3 code with an IOPL of its own, and an emulated SVM may not find the
 * bitmap.
 */
#define TSS_SIZE       104u
#define TSS_BITMAP_PTR 102u /* offset of the bitmap's offset */
#define TSS_BITMAP     8192u
#define TSS_LIMIT      (TSS_SIZE + TSS_BITMAP)

_Static_assert(TSS_LIMIT == SX_GUEST_TSS_LIMIT, "a guest may name it to its own guest");

/* PML4, PDPT, four page directories for 4 GiB, one page table for the first 2 MiB. */
struct tables {
	uint64_t pml4[ENTRIES];
	uint64_t pdpt[ENTRIES];
	uint64_t pd[4][ENTRIES];
	uint64_t pt[ENTRIES];
};

_Static_assert(SX_GUEST_TABLES + sizeof(struct tables) <= SX_GUEST_TSS_BASE, "tables fit");
_Static_assert(SX_GUEST_TSS_BASE + TSS_LIMIT < SX_GUEST_IMAGE, "the TSS fits");

static sx_gpa table_gpa(size_t offset)
{
	return SX_GUEST_TABLES + offset;
}

static int is_supervisors(sx_gpa gpa)
{
	return gpa == SX_GUEST_GDT ||
	       (gpa >= SX_GUEST_TABLES && gpa <= SX_GUEST_TSS_BASE + TSS_LIMIT);
}

/* Identity, 4 GiB, all for the user but the null page and what the processor reads for us. */
static void write_tables(struct tables *t)
{
	const uint64_t dir = PTE_P | PTE_W | PTE_U | PTE_A;
	const uint64_t leaf = dir | PTE_D;

	memset(t, 0, sizeof(*t));
	t->pml4[0] = table_gpa(offsetof(struct tables, pdpt)) | dir;
	for (unsigned i = 0; i < 4; i++)
		t->pdpt[i] = table_gpa(offsetof(struct tables, pd) + i * PAGE) | dir;
	for (unsigned i = 0; i < 4 * ENTRIES; i++)
		t->pd[i / ENTRIES][i % ENTRIES] = i * LARGE_PAGE | leaf | PTE_PS;
	t->pd[0][0] = table_gpa(offsetof(struct tables, pt)) | dir;
	for (unsigned i = 1; i < ENTRIES; i++) {
		sx_gpa gpa = i * PAGE;

		t->pt[i] = gpa | (is_supervisors(gpa) ? leaf & ~PTE_U : leaf);
	}
}

/* 64-bit descriptors (SDM Vol. 3A 3.4.5, 7.2.3), accessed and busy bits already set. */
static void write_gdt(uint8_t *page)
{
	const uint64_t tss = SX_GUEST_TSS_BASE;
	uint64_t *gdt = (uint64_t *)(void *)page;

	memset(page, 0, PAGE);
	gdt[SX_GUEST_CS >> 3] = 0x00affb000000ffffull; /* L, DPL 3, code, read, accessed */
	gdt[SX_GUEST_SS >> 3] = 0x00cff3000000ffffull; /* DPL 3, data, write, accessed */
	gdt[SX_GUEST_TSS >> 3] = TSS_LIMIT | (tss & 0xffffff) << 16 | 0x8bull << 40;
}

static void write_tss(uint8_t *tss)
{
	const uint16_t bitmap = TSS_SIZE;

	memset(tss, 0, TSS_LIMIT);
	memcpy(tss + TSS_BITMAP_PTR, &bitmap, sizeof(bitmap));
	tss[TSS_LIMIT] = 0xff;
}

int sx_microguest_load(struct sx_vm *vm, const char *path, uint64_t memory, sx_gpa reserved,
		       unsigned vcpus, struct sx_boot_info *info, struct sx_elf_image *image,
		       struct sx_error *err)
{
	uint64_t stacks = (uint64_t)vcpus * SX_GUEST_STACK_SIZE;
	uint8_t *low;
	int rc;

	if (memory < SX_MICROGUEST_MIN_MEMORY || memory > SX_MICROGUEST_MAX_MEMORY ||
	    stacks + SX_GUEST_IMAGE > reserved)
		return sx_fail(err, -EINVAL,
			       "a micro-guest has 4 MiB to 3 GiB of memory, and 64 KiB of it for "
			       "each vCPU; change --memory");
	rc = sx_elf_load(path, &vm->memory, SX_GUEST_IMAGE, reserved - stacks, image, err);
	if (rc < 0)
		return rc;
	low = sx_memmap_at(&vm->memory, 0, SX_GUEST_IMAGE, SX_WRITE);
	if (!low)
		return sx_fail(err, -EFAULT, "the guest has no memory at address 0");
	write_gdt(low + SX_GUEST_GDT);
	write_tss(low + SX_GUEST_TSS_BASE);
	write_tables((struct tables *)(void *)(low + SX_GUEST_TABLES));
	memset(info, 0, sizeof(*info));
	info->version = SX_WIRE_VERSION;
	info->vcpus = vcpus;
	info->memory = memory;
	info->heap = (image->end + PAGE - 1) & ~(PAGE - 1);
	info->heap_end = reserved - stacks;
	return 0;
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, int code, unsigned cpl)
{
	return (struct kvm_segment){
		.selector = (uint16_t)((selector & ~3u) | cpl),
		.limit = 0xffffffff,
		.type = type,
		.present = 1,
		.dpl = (uint8_t)cpl,
		.s = 1,
		.l = code,
		.db = !code,
		.g = 1,
	};
}

static int set_sregs(const struct sx_vcpu *v, unsigned cpl)
{
	struct kvm_sregs s;
	int rc = sx_ioctl(v->fd, KVM_GET_SREGS, &s);

	if (rc < 0)
		return rc;
	s.cs = segment(SX_GUEST_CS, 0xb, 1, cpl);
	s.ss = s.ds = s.es = s.fs = s.gs = segment(SX_GUEST_SS, 0x3, 0, cpl);
	s.tr = (struct kvm_segment){
		.selector = SX_GUEST_TSS,
		.base = SX_GUEST_TSS_BASE,
		.limit = TSS_LIMIT,
		.type = 0xb,
		.present = 1,
	};
	s.gdt.base = SX_GUEST_GDT;
	s.gdt.limit = SX_GUEST_TSS + 15;
	s.idt.base = SX_GUEST_IDT;
	s.idt.limit = PAGE - 1;
	s.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
	s.cr3 = SX_GUEST_TABLES;
	s.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	s.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	return sx_ioctl(v->fd, KVM_SET_SREGS, &s);
}

static int set_regs(const struct sx_vcpu *v, const struct sx_boot_info *info, sx_gpa entry,
		    unsigned cpl)
{
	struct kvm_regs r = {
		.rip = entry,
		/* As after a CALL: 8 below a multiple of 16. */
		.rsp = info->heap_end + (v->index + 1) * (uint64_t)SX_GUEST_STACK_SIZE - 8,
		.rdi = SX_GUEST_BOOT_INFO,
		.rsi = v->index,
		.rflags = cpl ? RFLAGS_FIXED | RFLAGS_IF | RFLAGS_IOPL3 : RFLAGS_FIXED,
	};

	return sx_ioctl(v->fd, KVM_SET_REGS, &r);
}

/* The host's CPUID as KVM supports it: micro-guests look at it, and long mode depends on it. */
static int set_cpuid(const struct sx_vcpu *v)
{
	const unsigned max = 256;
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + max * sizeof(cpuid->entries[0]));
	int rc;

	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = max;
	rc = sx_ioctl(v->vm->kvm->fd, KVM_GET_SUPPORTED_CPUID, cpuid);
	if (rc == 0)
		rc = sx_ioctl(v->fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return rc;
}

/* Every vCPU is started by us, not by INIT and SIPI. */
static int set_runnable(const struct sx_vcpu *v)
{
	struct kvm_mp_state mp = {.mp_state = KVM_MP_STATE_RUNNABLE};

	return sx_ioctl(v->fd, KVM_SET_MP_STATE, &mp);
}

int sx_microguest_start(struct sx_vm *vm, struct sx_vcpu *vcpus, const struct sx_boot_info *info,
			const struct sx_elf_image *image, unsigned cpl, struct sx_error *err)
{
	int rc = sx_memmap_write(&vm->memory, SX_GUEST_BOOT_INFO, info, sizeof(*info));

	for (unsigned i = 0; rc == 0 && i < info->vcpus; i++) {
		rc = set_cpuid(&vcpus[i]);
		if (rc == 0)
			rc = set_sregs(&vcpus[i], cpl);
		if (rc == 0)
			rc = set_regs(&vcpus[i], info, image->entry, cpl);
		if (rc == 0)
			rc = set_runnable(&vcpus[i]);
	}
	if (rc < 0)
		return sx_fail(err, rc, "KVM refuses a micro-guest's start state: %s",
			       strerror(-rc));
	return 0;
}
