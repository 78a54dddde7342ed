// SPDX-License-Identifier: BSD-3-Clause
#include "nested/paging.h"

#define PRESENT    UINT64_C(0x1)
#define WRITABLE   UINT64_C(0x2)
#define USER       UINT64_C(0x4)
#define LARGE      UINT64_C(0x80)
#define NO_EXECUTE (UINT64_C(1) << 63)
#define ADDRESS    UINT64_C(0x000ffffffffff000)
#define PAGE_4K    UINT64_C(0x1000)
#define PAGE_4M    UINT64_C(0x400000)

/* Page-fault error code: 4.7. */
#define ERR_PRESENT  0x01u
#define ERR_WRITE    0x02u
#define ERR_USER     0x04u
#define ERR_RESERVED 0x08u
#define ERR_FETCH    0x10u

struct walk {
	const struct sx_vmx_cpu *cpu;
	uint64_t linear;
	unsigned access;
	bool user;
	sx_paging_read read;
	void *ctx;
	struct sx_paging_result *result;
	uint64_t rights; /* WRITABLE and USER that all entries have; NO_EXECUTE that any has */
};

static bool knows_no_execute(const struct sx_vmx_cpu *cpu)
{
	return (cpu->cr4 & SX_X86_CR4_PAE) && (cpu->efer & SX_X86_EFER_NXE);
}

static enum sx_paging_outcome fault(const struct walk *w, uint32_t why)
{
	const struct sx_vmx_cpu *cpu = w->cpu;

	if (w->access & SX_ACCESS_WRITE)
		why |= ERR_WRITE;
	if (w->user)
		why |= ERR_USER;
	if ((w->access & SX_ACCESS_FETCH) &&
	    (knows_no_execute(cpu) || (cpu->cr4 & SX_X86_CR4_SMEP)))
		why |= ERR_FETCH;
	w->result->error = why;
	return SX_PAGING_FAULT;
}

/* 4.6.1: RFLAGS.AC lifts SMAP for what code below CPL 3 does itself. */
static bool smap_holds(const struct sx_vmx_cpu *cpu)
{
	return (cpu->cr4 & SX_X86_CR4_SMAP) &&
	       !((cpu->rflags & SX_X86_RFLAGS_AC) && sx_vmx_cpl(cpu) < 3);
}

/* 4.6.1. */
static bool allowed(const struct walk *w)
{
	const struct sx_vmx_cpu *cpu = w->cpu;
	bool users_page = w->rights & USER;

	if (w->user && !users_page)
		return false;
	if ((w->access & SX_ACCESS_WRITE) && !(w->rights & WRITABLE) &&
	    (w->user || (cpu->cr0 & SX_X86_CR0_WP)))
		return false;
	if ((w->access & SX_ACCESS_FETCH) && (w->rights & NO_EXECUTE))
		return false;
	if (w->user || !users_page)
		return true;
	if ((w->access & SX_ACCESS_FETCH) && (cpu->cr4 & SX_X86_CR4_SMEP))
		return false;
	return !(w->access & (SX_ACCESS_READ | SX_ACCESS_WRITE)) || !smap_holds(cpu);
}

/* The entry that maps a page has been found. */
static enum sx_paging_outcome finish(const struct walk *w, uint64_t base, uint64_t page)
{
	w->result->page = page;
	w->result->gpa = base | (w->linear & (page - 1));
	return w->access && !allowed(w) ? fault(w, ERR_PRESENT) : SX_PAGING_OK;
}

/* Read the entry at @gpa; 32-bit ones are zero-extended. */
static enum sx_paging_outcome read_entry(const struct walk *w, uint64_t gpa, size_t size,
					 uint64_t *entry)
{
	*entry = 0;
	w->result->gpa = gpa;
	if (w->read(w->ctx, gpa, entry, size))
		return SX_PAGING_STOPPED;
	return *entry & PRESENT ? SX_PAGING_OK : fault(w, 0);
}

/* 4.3: bits 20:13 of a 4 MiB page are its address bits 39:32; bit 21 is reserved. */
static enum sx_paging_outcome walk_32bit(struct walk *w)
{
	uint64_t table = w->cpu->cr3 & UINT64_C(0xfffff000), e;
	enum sx_paging_outcome outcome;

	outcome = read_entry(w, table + 4 * (w->linear >> 22), 4, &e);
	if (outcome != SX_PAGING_OK)
		return outcome;
	w->rights = e & (WRITABLE | USER);
	if ((e & LARGE) && (w->cpu->cr4 & SX_X86_CR4_PSE)) {
		if (e & UINT64_C(0x200000))
			return fault(w, ERR_PRESENT | ERR_RESERVED);
		return finish(w, (e & UINT64_C(0xffc00000)) | (e >> 13 & 0xff) << 32, PAGE_4M);
	}
	table = e & UINT64_C(0xfffff000);
	outcome = read_entry(w, table + 4 * (w->linear >> 12 & 0x3ff), 4, &e);
	if (outcome != SX_PAGING_OK)
		return outcome;
	w->rights &= e;
	return finish(w, e & UINT64_C(0xfffff000), PAGE_4K);
}

/* 4.4.2, 4.5.4. @shift: of the level that @e is of. */
static bool reserved_bits(const struct sx_vmx_cpu *cpu, uint64_t e, unsigned shift, bool long_mode)
{
	if ((e & NO_EXECUTE) && !knows_no_execute(cpu))
		return true;
	if (!long_mode && (e & UINT64_C(0x7ff0000000000000)))
		return true;
	if (shift == 12 || !(e & LARGE))
		return false;
	if (shift == 39)
		return true;
	return e & ((UINT64_C(1) << shift) - 1) & ADDRESS & ~PAGE_4K; /* bit 12: PAT */
}

/* Tables of 512 entries, from the level of @shift down: 4.4, 4.5. */
static enum sx_paging_outcome walk_64bit(struct walk *w, uint64_t table, unsigned shift,
					 bool long_mode)
{
	enum sx_paging_outcome outcome;
	uint64_t e;

	for (;; shift -= 9) {
		outcome = read_entry(w, table + 8 * (w->linear >> shift & 0x1ff), 8, &e);
		if (outcome != SX_PAGING_OK)
			return outcome;
		if (reserved_bits(w->cpu, e, shift, long_mode))
			return fault(w, ERR_PRESENT | ERR_RESERVED);
		w->rights &= e | NO_EXECUTE;
		w->rights |= e & NO_EXECUTE;
		table = e & ADDRESS;
		if (shift == 12 || (e & LARGE))
			break;
	}
	return finish(w, table & ~((UINT64_C(1) << shift) - 1), UINT64_C(1) << shift);
}

/* 4.4.1: the PDPTEs are registers, which were checked when they were loaded. */
static enum sx_paging_outcome walk_pae(struct walk *w)
{
	uint64_t e = w->cpu->pdpte[w->linear >> 30];

	if (!(e & PRESENT))
		return fault(w, 0);
	return walk_64bit(w, e & ADDRESS, 21, false);
}

enum sx_paging_outcome sx_paging_walk(const struct sx_vmx_cpu *cpu, uint64_t linear,
				      unsigned access, bool user, sx_paging_read read, void *ctx,
				      struct sx_paging_result *result)
{
	struct walk w = {
		.cpu = cpu,
		.linear = linear,
		.access = access,
		.user = user,
		.read = read,
		.ctx = ctx,
		.result = result,
		.rights = WRITABLE | USER,
	};

	*result = (struct sx_paging_result){.page = PAGE_4K};
	if (!(cpu->efer & SX_X86_EFER_LMA))
		w.linear &= UINT32_MAX;
	result->gpa = w.linear;
	if (!(cpu->cr0 & SX_X86_CR0_PG))
		return SX_PAGING_OK;
	if (cpu->efer & SX_X86_EFER_LMA)
		return walk_64bit(&w, cpu->cr3 & ADDRESS, 39, true);
	return cpu->cr4 & SX_X86_CR4_PAE ? walk_pae(&w) : walk_32bit(&w);
}
