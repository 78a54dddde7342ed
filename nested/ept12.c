// SPDX-License-Identifier: BSD-3-Clause
/* The EPT12 walk: SDM 3C 29.3. */
#include <errno.h>

#include "nested/ept12.h"
#include "nested/vmx_internal.h"

#define LEVELS       4
#define EPT_RIGHTS   UINT64_C(7)
#define EPT_LEAF     UINT64_C(0x80)
#define EPT_ACCESSED UINT64_C(0x100)
#define EPT_DIRTY    UINT64_C(0x200)
#define EPT_ADDRESS  UINT64_C(0x000ffffffffff000)
#define PML_ENTRIES  512

/* Exit qualification of an EPT violation: table 28-7. */
#define QUAL_RIGHTS_SHIFT 3
#define QUAL_LINEAR       UINT64_C(0x80)
#define QUAL_FINAL        UINT64_C(0x100) /* not an access to L2's paging structures */

struct walk {
	const struct sx_ept12_access *access;
	uint64_t entry[LEVELS]; /* as read, from level 4 down */
	uint64_t at[LEVELS];    /* where each lies in L1's memory */
	unsigned depth;         /* entries read */
	unsigned rights;
	bool leaf;
};

static unsigned shift_of(unsigned depth)
{
	return 12 + 9 * (LEVELS - 1 - depth);
}

unsigned sx_ept12_effective(uint64_t eptp, const struct sx_ept12_access *a)
{
	if (a->access && a->paging_walk && (eptp & SX_EPTP_AD))
		return a->access | SX_ACCESS_READ | SX_ACCESS_WRITE;
	return a->access;
}

static bool is_leaf(const struct sx_vmx_caps *caps, uint64_t e, unsigned depth)
{
	switch (depth) {
	case 1:
		return (e & EPT_LEAF) && (caps->ept_vpid & SX_EPTCAP_1G);
	case 2:
		return (e & EPT_LEAF) && (caps->ept_vpid & SX_EPTCAP_2M);
	default:
		return depth == LEVELS - 1;
	}
}

/* 29.3.3.1, with the reserved bits of tables 29-1 to 29-7. */
static bool misconfigured(const struct sx_vmx_caps *caps, uint64_t e, unsigned depth, bool leaf)
{
	unsigned rights = e & EPT_RIGHTS, type = e >> 3 & 7;

	if ((rights & 3) == SX_ACCESS_WRITE)
		return true; /* writable but not readable */
	if (rights == SX_ACCESS_FETCH && !(caps->ept_vpid & SX_EPTCAP_EXEC_ONLY))
		return true;
	if ((e & EPT_ADDRESS) >> caps->maxphyaddr)
		return true;
	if (!leaf)
		return e & 0xf8;
	if (type == 2 || type == 3 || type == 7)
		return true;
	return e & EPT_ADDRESS & ((UINT64_C(1) << shift_of(depth)) - 1);
}

/* Read entries down to the leaf; 29.3.3.3 gives each entry's faults the order they have here. */
static enum sx_ept12_outcome walk(const struct sx_vmx *vmx, uint64_t eptp, struct walk *w)
{
	uint64_t table = eptp & EPT_ADDRESS;

	w->rights = EPT_RIGHTS;
	for (w->depth = 0; !w->leaf; w->depth++) {
		uint64_t index = w->access->gpa >> shift_of(w->depth) & 0x1ff, e;

		w->at[w->depth] = table + 8 * index;
		read_l1(vmx, w->at[w->depth], &e, sizeof(e));
		w->entry[w->depth] = e;
		w->rights &= e & EPT_RIGHTS;
		if (!(e & EPT_RIGHTS))
			return SX_EPT12_VIOLATION;
		w->leaf = is_leaf(&vmx->caps, e, w->depth);
		if (misconfigured(&vmx->caps, e, w->depth, w->leaf))
			return SX_EPT12_MISCONFIG;
		table = e & EPT_ADDRESS;
	}
	return SX_EPT12_MAPPED;
}

static void fill_violation(const struct walk *w, unsigned access, struct sx_vmx_exit *exit)
{
	exit->reason = SX_VMEXIT_EPT_VIOLATION;
	exit->physical = w->access->gpa;
	exit->qualification = access | (uint64_t)w->rights << QUAL_RIGHTS_SHIFT;
	if (!w->access->has_linear)
		return;
	exit->qualification |= QUAL_LINEAR;
	exit->linear = w->access->linear;
	if (!w->access->paging_walk)
		exit->qualification |= QUAL_FINAL;
}

static bool logs(const struct sx_vmx *vmx)
{
	return vmx->in_l2 && (cpu2_controls(vmx) & SX_CPU2_PML);
}

/* 29.3.6: with a full log, no flag is set, not even an accessed flag, which would not be logged. */
static bool log_is_full(const struct sx_vmx *vmx, struct sx_vmx_exit *exit)
{
	if (!logs(vmx) || F(vmx, GUEST_PML_INDEX) < PML_ENTRIES)
		return false;
	exit->reason = SX_VMEXIT_PML_FULL;
	exit->qualification = 0;
	return true;
}

/* 29.3.6: the log is written before the dirty flag. */
static void log_page(struct sx_vmx *vmx, uint64_t gpa)
{
	uint64_t index = F(vmx, GUEST_PML_INDEX);

	if (!logs(vmx))
		return;
	gpa &= ~SX_VMX_PAGE_MASK;
	write_l1(vmx, F(vmx, PML_ADDRESS) + 8 * index, &gpa, sizeof(gpa));
	sx_vmcs12_set(&vmx->v12, SX_VMCS_GUEST_PML_INDEX, index - 1);
}

/* 29.3.5: accessed in every entry used, dirty in the leaf of a write. */
static enum sx_ept12_outcome set_flags(struct sx_vmx *vmx, struct walk *w, unsigned access,
				       struct sx_vmx_exit *exit)
{
	for (unsigned i = 0; i < w->depth; i++) {
		bool dirties = i == w->depth - 1 && (access & SX_ACCESS_WRITE);
		uint64_t wanted = w->entry[i] | EPT_ACCESSED | (dirties ? EPT_DIRTY : 0);
		int err;

		if (wanted == w->entry[i])
			continue;
		if (log_is_full(vmx, exit))
			return SX_EPT12_PML_FULL;
		if (dirties && !(w->entry[i] & EPT_DIRTY))
			log_page(vmx, w->access->gpa);
		err = vmx->ops->cas64(vmx->ctx, w->at[i], w->entry[i], wanted);
		if (err == -EAGAIN)
			return SX_EPT12_RETRY;
		if (!err) /* else the entry lies in memory that cannot be written: no flag */
			w->entry[i] = wanted;
	}
	return SX_EPT12_MAPPED;
}

static void fill_map(const struct walk *w, struct sx_ept12_map *map)
{
	uint64_t leaf = w->entry[w->depth - 1], common = leaf;
	uint64_t page = UINT64_C(1) << shift_of(w->depth - 1);

	for (unsigned i = 0; i < w->depth; i++)
		common &= w->entry[i];

	*map = (struct sx_ept12_map){
		.gpa = (leaf & EPT_ADDRESS & ~(page - 1)) | (w->access->gpa & (page - 1)),
		.page = page,
		.rights = w->rights,
		.memory_type = leaf >> 3 & 7,
		.accessed = common & EPT_ACCESSED,
		.dirty = leaf & EPT_DIRTY,
	};
}

enum sx_ept12_outcome sx_ept12_translate(struct sx_vmx *vmx, uint64_t eptp,
					 const struct sx_ept12_access *access,
					 struct sx_ept12_map *map, struct sx_vmx_exit *exit)
{
	struct walk w = {.access = access};
	unsigned effective = sx_ept12_effective(eptp, access);
	enum sx_ept12_outcome outcome = SX_EPT12_VIOLATION;

	if (!(access->gpa >> 48)) /* 29.3.2: nothing is mapped beyond what four levels reach */
		outcome = walk(vmx, eptp, &w);
	if (outcome == SX_EPT12_MAPPED && (effective & ~w.rights))
		outcome = SX_EPT12_VIOLATION;
	if (outcome == SX_EPT12_MAPPED && effective && (eptp & SX_EPTP_AD))
		outcome = set_flags(vmx, &w, effective, exit);
	switch (outcome) {
	case SX_EPT12_VIOLATION:
		fill_violation(&w, effective, exit);
		break;
	case SX_EPT12_MISCONFIG: /* 28.2.1: the qualification is not used, 29.3.3.1 */
		exit->reason = SX_VMEXIT_EPT_MISCONFIG;
		exit->qualification = 0;
		exit->physical = access->gpa;
		break;
	case SX_EPT12_MAPPED:
		fill_map(&w, map);
		break;
	default:
		break;
	}
	return outcome;
}
