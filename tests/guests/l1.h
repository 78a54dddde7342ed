/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the test guests that are hypervisors have in common: one L1 vCPU, its micro-L2s, and the
 * exits that it insists on.
 */
#ifndef SX_TESTS_GUESTS_L1_H
#define SX_TESTS_GUESTS_L1_H

#include "bench/guests/lib/vmx.h"

#define L2_STACK 16384u

struct l1 {
	struct guest_vmx v;
	uint8_t *heap, *heap_end;
	uint64_t eptp, stack_top;
	uint64_t region; /* of VMXON */
	void *scratch;   /* a page for a VMCS that is used again */
};

static inline void *l1_pages(struct l1 *l1, unsigned pages)
{
	void *page = l1->heap;

	l1->heap += pages * 4096ul;
	GUEST_ASSERT(l1->heap <= l1->heap_end);
	memset(page, 0, pages * 4096ul);
	return page;
}

/* In VMX operation, with an EPT that is L1's memory. Each vCPU has its share of the heap. */
static inline void l1_open(struct l1 *l1, const struct sx_boot_info *boot, unsigned vcpu)
{
	uint64_t first = boot->heap + 4096; /* behind the test's page */
	uint64_t share = (boot->heap_end - first) / boot->vcpus & ~4095ull;

	l1->heap = (uint8_t *)(uintptr_t)(first + vcpu * share);
	l1->heap_end = l1->heap + share;
	guest_vmx_open(&l1->v, boot, vcpu);
	l1->region = (uintptr_t)l1_pages(l1, 1);
	guest_vmx_on(&l1->v, (void *)(uintptr_t)l1->region);
	l1->scratch = l1_pages(l1, 1);
	l1->eptp = guest_ept_identity(l1_pages(l1, GUEST_EPT_PAGES), boot->memory);
	l1->stack_top = (uintptr_t)l1_pages(l1, L2_STACK / 4096) + L2_STACK - 8;
}

static inline void l1_close(struct l1 *l1)
{
	GUEST_ASSERT(guest_vmx_call(&l1->v, SX_LINE_VMXOFF, 0, 0, 0)->arg == SX_LINE_SUCCEED);
}

/* A new L2 at @rip. */
static inline void l1_begin(struct l1 *l1, void (*rip)(void))
{
	guest_vmx_load(&l1->v, l1_pages(l1, 1));
	guest_vmx_fill(&l1->v, rip, l1->stack_top, l1->eptp);
}

/* That L2 is at CPL 0. */
static inline void l1_supervisor(struct l1 *l1)
{
	static const uint32_t fields[] = {SX_VMCS_GUEST_CS_SEL, SX_VMCS_GUEST_CS_AR,
					  SX_VMCS_GUEST_SS_SEL, SX_VMCS_GUEST_SS_AR};

	for (unsigned i = 0; i < 4; i++)
		guest_vmwrite(&l1->v, fields[i],
			      guest_vmread(&l1->v, fields[i]) & (i % 2 ? ~0x60ull : ~3ull));
}

/* A field of the current VMCS12 without the bits @clear, with the bits @set. */
static inline void l1_change(struct l1 *l1, uint32_t field, uint64_t clear, uint64_t set)
{
	guest_vmwrite(&l1->v, field, (guest_vmread(&l1->v, field) & ~clear) | set);
}

static inline uint64_t *l1_gpr(struct l1 *l1, unsigned i)
{
	return &l1->v.line->cpu.gpr[i];
}

/* L2 runs until it exits, and by what. */
static inline unsigned l1_enter_any(struct l1 *l1)
{
	struct guest_vmx *v = &l1->v;
	enum sx_line_outcome outcome =
		guest_vmx_enter(v, v->vmcs->launched ? SX_LINE_VMRESUME : SX_LINE_VMLAUNCH);

	if (outcome != SX_LINE_EXITED) {
		guest_printf("outcome %u, error %llu\n", outcome,
			     (unsigned long long)guest_vmread(v, SX_VMCS_INSN_ERROR));
		guest_exit(5);
	}
	return (unsigned)guest_vmread(v, SX_VMCS_EXIT_REASON);
}

/* The same, and it must be by @reason. */
static inline void l1_enter(struct l1 *l1, unsigned reason)
{
	struct guest_vmx *v = &l1->v;
	unsigned got = l1_enter_any(l1);

	if (got != reason) {
		guest_printf("exit %u (wanted %u) at 0x%llx, qualification 0x%llx, 0x%llx\n", got,
			     reason, (unsigned long long)guest_vmread(v, SX_VMCS_GUEST_RIP),
			     (unsigned long long)guest_vmread(v, SX_VMCS_EXIT_QUALIFICATION),
			     (unsigned long long)guest_vmread(v, SX_VMCS_EXIT_INTR_INFO));
		guest_exit(5);
	}
}

/* L1 has done what L2's instruction wanted. */
static inline void l1_skip(struct l1 *l1)
{
	guest_vmwrite(&l1->v, SX_VMCS_GUEST_RIP,
		      guest_vmread(&l1->v, SX_VMCS_GUEST_RIP) +
			      guest_vmread(&l1->v, SX_VMCS_EXIT_INSN_LENGTH));
}

#endif
