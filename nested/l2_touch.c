// SPDX-License-Identifier: BSD-3-Clause
#include "nested/l2_touch.h"

#include "nested/paging.h"
#include "nested/vmx_internal.h"

#define PAGE           UINT64_C(0x1000)
#define WITHOUT_EPT    UINT64_C(0x200000) /* how much is the same page then */
#define ALL_RIGHTS     (SX_ACCESS_READ | SX_ACCESS_WRITE | SX_ACCESS_FETCH)
#define WRITE_BACK     6
#define ENTRIES        4
#define ENTRY_ACCESSED UINT64_C(0x20)
#define ENTRY_DIRTY    UINT64_C(0x40)

#define TABLE_LDT      4u /* table indicator of a selector */
#define DESC_S         (UINT64_C(1) << 44)
#define DESC_TYPE(d)   ((d) >> 40 & 0xf)
#define TYPE_ACCESSED  1u
#define TYPE_BUSY      2u
#define TYPE_IS_TSS(t) (((t)&5) == 1)

enum sx_ept12_outcome sx_l2_translate(struct sx_vmx *vmx, uint64_t eptp,
				      const struct sx_ept12_access *access,
				      struct sx_ept12_map *map, struct sx_vmx_exit *exit)
{
	enum sx_ept12_outcome outcome;

	if (!eptp) {
		*map = (struct sx_ept12_map){
			.gpa = access->gpa,
			.page = WITHOUT_EPT,
			.rights = ALL_RIGHTS,
			.memory_type = WRITE_BACK,
		};
		return SX_EPT12_MAPPED;
	}
	outcome = sx_ept12_translate(vmx, eptp, access, map, exit);
	if (outcome == SX_EPT12_MAPPED && (eptp & SX_EPTP_AD) && !map->dirty)
		map->rights &= ~(unsigned)SX_ACCESS_WRITE;
	return outcome;
}

bool sx_l2_touch_physical(struct sx_l2_touch *touch, const struct sx_ept12_access *access,
			  uint64_t *l1)
{
	uint64_t eptp = touch->state->eptp;
	struct sx_ept12_map map;

	if (sx_l2_vm_find(touch->vm, access->gpa, sx_ept12_effective(eptp, access), l1))
		return true;
	switch (sx_l2_translate(touch->vmx, eptp, access, &map, touch->exit)) {
	case SX_EPT12_MAPPED:
		break;
	case SX_EPT12_RETRY:
		touch->stop = SX_L2_RETRY;
		return false;
	default:
		touch->stop = SX_L2_EXITS;
		return false;
	}
	*l1 = map.gpa;
	if (sx_l2_vm_has(touch->vm, access->gpa, &map))
		return true;
	if (sx_l2_vm_map(touch->vm, access->gpa, &map) < 0) {
		touch->stop = SX_L2_LOST;
		return false;
	}
	touch->mapped = true;
	return true;
}

static bool read_memory(struct sx_l2_touch *touch, uint64_t l1, void *buf, size_t size)
{
	if (!touch->vmx->ops->read(touch->vmx->ctx, l1, buf, size))
		return true;
	touch->stop = SX_L2_LOST;
	return false;
}

/* ---- linear addresses ---- */

/* A walk of L2's tables, and the entries that it read. */
struct table_walk {
	struct sx_l2_touch *touch;
	uint64_t linear;
	unsigned count;
	uint64_t gpa[ENTRIES], entry[ENTRIES];
};

static bool touch_entry(const struct table_walk *w, uint64_t gpa, unsigned access, uint64_t *l1)
{
	const struct sx_ept12_access a = {
		.gpa = gpa,
		.access = access,
		.has_linear = true,
		.paging_walk = true,
		.linear = w->linear,
	};

	return sx_l2_touch_physical(w->touch, &a, l1);
}

static int read_entry(void *ctx, uint64_t gpa, void *buf, size_t size)
{
	struct table_walk *w = ctx;
	unsigned access = SX_ACCESS_READ | (w->touch->tables_written ? SX_ACCESS_WRITE : 0);
	uint64_t l1;

	if (!touch_entry(w, gpa, access, &l1) || !read_memory(w->touch, l1, buf, size))
		return -1;
	w->gpa[w->count] = gpa;
	w->entry[w->count] = 0;
	memcpy(&w->entry[w->count], buf, size);
	w->count++;
	return 0;
}

/* 4.8: accessed flags of all entries, and the last one's dirty flag for a write. */
static bool write_flags(const struct table_walk *w, unsigned access)
{
	for (unsigned i = 0; i < w->count; i++) {
		bool last = i == w->count - 1;
		uint64_t flags = ENTRY_ACCESSED;
		uint64_t l1;

		if (last && (access & SX_ACCESS_WRITE))
			flags |= ENTRY_DIRTY;
		if ((flags & ~w->entry[i]) && !touch_entry(w, w->gpa[i], SX_ACCESS_WRITE, &l1))
			return false;
	}
	return true;
}

/* Within one page. */
static bool touch_piece(struct sx_l2_touch *touch, uint64_t linear, size_t size, unsigned access,
			bool user, void *buf)
{
	struct table_walk w = {.touch = touch, .linear = linear};
	struct sx_ept12_access a = {.access = access, .has_linear = true, .linear = linear};
	struct sx_paging_result found;
	uint64_t l1;

	switch (sx_paging_walk(&touch->state->cpu, linear, access, user, read_entry, &w, &found)) {
	case SX_PAGING_OK:
		break;
	case SX_PAGING_FAULT:
		touch->stop = SX_L2_FAULTS;
		touch->error = found.error;
		return false;
	default:
		return false;
	}
	a.gpa = found.gpa;
	return write_flags(&w, access) && sx_l2_touch_physical(touch, &a, &l1) &&
	       (!buf || read_memory(touch, l1, buf, size));
}

bool sx_l2_touch_linear(struct sx_l2_touch *touch, uint64_t linear, size_t size, unsigned access,
			bool user, void *buf)
{
	bool wide = touch->state->cpu.efer & SX_X86_EFER_LMA;

	while (size) {
		size_t room = (size_t)(PAGE - (linear & (PAGE - 1)));
		size_t now = size < room ? size : room;

		if (!wide)
			linear &= UINT32_MAX;
		if (!touch_piece(touch, linear, now, access, user, buf))
			return false;
		if (buf)
			buf = (uint8_t *)buf + now;
		linear += now;
		size -= now;
	}
	return true;
}

/* ---- descriptors: Vol. 3A 3.4.2, 3.4.5, 7.2.2 ---- */

bool sx_l2_touch_descriptor(struct sx_l2_touch *touch, uint16_t selector, bool mark,
			    uint64_t *descriptor)
{
	const struct sx_vmx_cpu *cpu = &touch->state->cpu;
	bool local = selector & TABLE_LDT;
	uint64_t base = local ? cpu->seg[SX_SEG_LDTR].base : cpu->gdtr.base;
	uint64_t limit = local ? cpu->seg[SX_SEG_LDTR].limit : cpu->gdtr.limit;
	uint64_t linear = base + (selector & ~7u);
	unsigned type, bit;
	bool system;

	*descriptor = 0;
	if ((!local && selector <= 3) || (selector | 7u) > limit)
		return true; /* the null selector, or one that faults */
	if (!sx_l2_touch_linear(touch, linear, sizeof(*descriptor), SX_ACCESS_READ, false,
				descriptor))
		return false;
	type = DESC_TYPE(*descriptor);
	system = !(*descriptor & DESC_S);
	if (system && (cpu->efer & SX_X86_EFER_LMA) &&
	    !sx_l2_touch_linear(touch, linear + 8, 8, SX_ACCESS_READ, false, NULL))
		return false;
	bit = system ? (TYPE_IS_TSS(type) ? TYPE_BUSY : 0) : TYPE_ACCESSED;
	if (!mark || !(bit & ~type))
		return true;
	return sx_l2_touch_linear(touch, linear + 4, 4, SX_ACCESS_READ | SX_ACCESS_WRITE, false,
				  NULL);
}
