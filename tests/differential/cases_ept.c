// SPDX-License-Identifier: BSD-3-Clause
/* EPT: SDM 3C 29.3; EPTP switching: 26.5.6.3; unrestricted guests: 27.3.1. */
#include "tests/differential/cases.h"

#define EPT_PML4  (AT_EPT + 0x0000)
#define EPT_PDPT  (AT_EPT + 0x1000)
#define EPT_PD    (AT_EPT + 0x2000)
#define EPT_PT    (AT_EPT + 0x3000)
#define RWX       7
#define WB        0x30
#define LARGE     0x80
#define EPTP      (AT_EPT | 0x1e) /* write-back, four levels */
#define EPTP_FLAG 0x40            /* accessed and dirty flags */
#define PD_INDEX  (DIFF_ARENA >> 21)

/* The four entries on the way to a page of the arena. */
enum { LEVEL_PML4, LEVEL_PDPT, LEVEL_PD, LEVEL_PT, EPT_LEVELS };
static const char *const level_names[] = {"pml4", "pdpt", "pd", "pt"};

static uint64_t *entry_of(unsigned level, uint64_t page)
{
	static const uint64_t tables[] = {EPT_PML4, EPT_PDPT, EPT_PD, EPT_PT};
	uint64_t *table = diff_at(tables[level]);

	if (level < LEVEL_PD)
		return table;
	return level == LEVEL_PD ? table + PD_INDEX : table + (page >> 12 & 511);
}

/* Identity, with all rights, of the arena and nothing else. */
static void make_ept(void)
{
	*entry_of(LEVEL_PML4, 0) = EPT_PDPT | RWX;
	*entry_of(LEVEL_PDPT, 0) = EPT_PD | RWX;
	*entry_of(LEVEL_PD, 0) = EPT_PT | RWX;
	for (uint64_t page = DIFF_ARENA; page < DIFF_ARENA + DIFF_ARENA_SIZE; page += 4096)
		*entry_of(LEVEL_PT, page) = page | WB | RWX;
}

static void ept_base(struct diff_vmcs *v)
{
	diff_base(v);
	diff_or_cpu2(v, SX_CPU2_EPT);
	diff_set(v, SX_VMCS_EPTP, EPTP);
}

static const struct access {
	const char *name;
	uint8_t length;
	uint8_t code[3];
} accesses[] = {
	{"read", 3, {0x48, 0x8b, 0x03}},   /* mov (%rbx), %rax */
	{"write", 3, {0x48, 0x89, 0x03}},  /* mov %rax, (%rbx) */
	{"change", 3, {0x48, 0xf7, 0x13}}, /* notq (%rbx) */
	{"fetch", 0, {0}},                 /* L2 runs at AT_DATA */
};

static void put_data(uint64_t value)
{
	*(uint64_t *)diff_at(AT_DATA) = value;
	*(uint64_t *)diff_at(AT_DATA + 8) = 0;
}

/* L2 accesses AT_DATA; with @flags the entries on the way are said afterwards. */
static void try_access(const struct diff_case *c, struct diff_vmcs *v, const struct access *access,
		       bool flags)
{
	uint64_t gpr[GPRS] = {[RBX] = AT_DATA};

	if (access->length == 0)
		diff_set(v, SX_VMCS_GUEST_RIP, AT_DATA);
	put_data(UINT64_C(0xc1010f)); /* VMCALL, for the fetch */
	diff_launch(c, v, access->code, access->length, gpr);
	if (!flags)
		return;
	diff_say("%s+flags:", c->name);
	for (unsigned level = 0; level < EPT_LEVELS; level++)
		diff_say(" %x", *entry_of(level, AT_DATA) & 0xfff);
	diff_say(" %x\n", *entry_of(LEVEL_PT, AT_L2_PD) & 0xfff);
}

/* 28.3.3: RFLAGS.RF, which reports of other exits by EPT leave out. */
static void resume_flag(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct diff_case c = diff_case("ept/rf-%u", i);
		uint64_t rflags = 0;
		struct diff_vmcs v;

		make_ept();
		ept_base(&v);
		diff_or(&v, SX_VMCS_GUEST_RFLAGS, i ? SX_X86_RFLAGS_RF : 0);
		*entry_of(LEVEL_PT, AT_DATA) = 0;
		try_access(&c, &v, &accesses[0], false);
		(void)diff_vmread(SX_VMCS_GUEST_RFLAGS, &rflags);
		diff_say("%s+saved: %x\n", c.name, rflags);
	}
}

/* Every combination of rights, at each level, for each access, without and with A/D flags. */
static void rights(void)
{
	for (unsigned n = 0; n < 256; n++) { /* bits: 7 flags, 6:5 level, 4:3 access, 2:0 rights */
		unsigned right = n & 7, which = n >> 3 & 3, level = n >> 5 & 3, flags = n >> 7;
		struct diff_case c = diff_case("ept/%s-%s-%u%s", level_names[level],
					       accesses[which].name, right, flags ? "-ad" : "");
		struct diff_vmcs v;
		uint64_t *entry;

		make_ept();
		ept_base(&v);
		diff_or(&v, SX_VMCS_EPTP, flags ? EPTP_FLAG : 0);
		entry = entry_of(level, AT_DATA);
		*entry = (*entry & ~(uint64_t)RWX) | right;
		try_access(&c, &v, &accesses[which], flags);
	}
}

/* The pages that L2's paging structures lie in: accesses of the walk, and where it stops. */
static void paging_structures(void)
{
	static const uint64_t pages[] = {AT_L2_PML4, AT_L2_PDPT, AT_L2_PD};

	for (unsigned n = 0; n < 2 * 3 * 8; n++) {
		unsigned right = n & 7, which = (n >> 3) % 3, flags = n / 24;
		struct diff_case c = diff_case("ept/walk%u-%u%s", which, right, flags ? "-ad" : "");
		struct diff_vmcs v;
		uint64_t *entry = entry_of(LEVEL_PT, pages[which]);

		make_ept();
		ept_base(&v);
		diff_or(&v, SX_VMCS_EPTP, flags ? EPTP_FLAG : 0);
		*entry = (*entry & ~(uint64_t)RWX) | right;
		try_access(&c, &v, &accesses[0], false);
	}
}

/* 29.3.3.1: each bit of each entry; those that only name another page are left alone. */
static void entry_bits(void)
{
	for (unsigned level = 0; level < EPT_LEVELS; level++) {
		for (unsigned bit = 3; bit < 64; bit++) {
			struct diff_case c = diff_case("ept/%s-bit%u", level_names[level], bit);
			struct diff_vmcs v;

			if (bit >= 12 && bit < 40)
				continue;
			make_ept();
			ept_base(&v);
			*entry_of(level, AT_DATA) ^= UINT64_C(1) << bit;
			try_access(&c, &v, &accesses[0], false);
		}
	}
	for (unsigned type = 0; type < 8; type++) {
		struct diff_case c = diff_case("ept/type%u", type);
		struct diff_vmcs v;

		make_ept();
		ept_base(&v);
		*entry_of(LEVEL_PT, AT_DATA) = AT_DATA | type << 3 | RWX;
		try_access(&c, &v, &accesses[0], false);
	}
}

/* Pages of 2 MiB and 1 GiB, whose low address bits are reserved. */
static void large_pages(void)
{
	for (unsigned which = 0; which < 2; which++) {
		unsigned level = which ? LEVEL_PDPT : LEVEL_PD, top = which ? 30 : 21;
		uint64_t page = which ? 0 : DIFF_ARENA;

		for (unsigned bit = 11; bit < top; bit++) {
			struct diff_case c = diff_case("ept/large%u-bit%u", which, bit);
			struct diff_vmcs v;

			make_ept();
			ept_base(&v);
			diff_or(&v, SX_VMCS_EPTP, EPTP_FLAG);
			*entry_of(level, 0) = page | LARGE | WB | RWX | UINT64_C(1) << bit;
			try_access(&c, &v, &accesses[1], true);
		}
	}
}

/* Addresses that EPT does not map at all: what L2 may not reach. */
static void beyond(void)
{
	static const uint64_t wrong[] = {0x200000, 0x5ff000, 0x600000, 0x7ffff8};

	for (unsigned i = 0; i < DIFF_COUNT(wrong) * 2; i++) {
		const struct access *access = &accesses[i & 1];
		struct diff_case c = diff_case("ept/beyond-%x-%s", wrong[i / 2], access->name);
		uint64_t gpr[GPRS] = {[RBX] = wrong[i / 2]};
		struct diff_vmcs v;

		make_ept();
		ept_base(&v);
		diff_launch(&c, &v, access->code, access->length, gpr);
	}
}

/* 28.2.4: an exit out of the delivery of an event names it. */
static void delivery(void)
{
	static const struct {
		const char *name;
		uint32_t info;
	} events[] = {
		{"external", SX_INTR_INFO(SX_INTR_EXTERNAL, 32)},
		{"nmi", SX_INTR_INFO(SX_INTR_NMI, SX_VEC_NMI)},
		{"ud", SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_UD)},
		{"gp", SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_GP) | SX_INTR_ERROR_CODE},
		{"int", SX_INTR_INFO(SX_INTR_SOFTWARE, 0x80)},
		{"int1", SX_INTR_INFO(SX_INTR_PRIVILEGED, SX_VEC_DB)},
		{"int3", SX_INTR_INFO(SX_INTR_SOFT_EXC, SX_VEC_BP)},
	};
	static const uint64_t pages[] = {AT_L2_STACK, AT_L2_IDT, AT_L2_PD};

	for (unsigned i = 0; i < DIFF_COUNT(events) * DIFF_COUNT(pages); i++) {
		unsigned event = i % DIFF_COUNT(events), page = i / DIFF_COUNT(events);
		struct diff_case c = diff_case("ept/delivery-%s-%u", events[event].name, page);
		struct diff_vmcs v;

		make_ept();
		ept_base(&v);
		diff_or(&v, SX_VMCS_GUEST_RFLAGS, SX_X86_RFLAGS_IF);
		diff_set(&v, SX_VMCS_ENTRY_INTR_INFO, events[event].info);
		diff_set(&v, SX_VMCS_ENTRY_ERROR_CODE, 0x18);
		diff_set(&v, SX_VMCS_ENTRY_INSN_LENGTH, 2);
		*entry_of(LEVEL_PT, pages[page]) = 0;
		diff_enter(&c, &v);
	}
}

/* 29.3.6 */
static void page_modification_log(void)
{
	static const uint64_t indices[] = {511, 1, 0, 512, 0xffff};

	for (unsigned i = 0; i < DIFF_COUNT(indices); i++) {
		struct diff_case c = diff_case("pml/index-%x", indices[i]);
		uint64_t at = indices[i] < 512 ? indices[i] : 511;
		struct diff_vmcs v;

		make_ept();
		ept_base(&v);
		diff_or_cpu2(&v, SX_CPU2_PML);
		diff_or(&v, SX_VMCS_EPTP, EPTP_FLAG);
		diff_set(&v, SX_VMCS_GUEST_PML_INDEX, indices[i]);
		*entry_of(LEVEL_PT, AT_L2_PML4) |= 0x300; /* the walk has no more to log */
		*entry_of(LEVEL_PT, AT_L2_PDPT) |= 0x300;
		*entry_of(LEVEL_PT, AT_L2_PD) |= 0x300;
		*(uint64_t *)diff_at(AT_PML + 8 * at) = 0;
		try_access(&c, &v, &accesses[1], true);
		diff_say("%s+log: %x\n", c.name, *(uint64_t *)diff_at(AT_PML + 8 * at));
	}
}

/* 26.5.6: EPTP switching to each of a list, and what is no function. */
static void vmfunc(void)
{
	static const struct access insn = {"", 3, {0x0f, 0x01, 0xd4}};
	static const uint64_t list[] = {EPTP,     EPTP | EPTP_FLAG,         0,       EPTP | 0x80,
					EPTP ^ 8, EPTP | UINT64_C(1) << 40, EPTP ^ 6};
	static const struct {
		uint64_t rax, rcx;
	} calls[] = {{0, 0},
		     {0, 1},
		     {0, 2},
		     {0, 3},
		     {0, 4},
		     {0, 5},
		     {0, 6},
		     {0, 7},
		     {1, 0},
		     {0, 512},
		     {63, 0},
		     {64, 0},
		     {0, UINT64_C(0x100000000)},
		     {UINT64_C(0x100000000), 0}};

	for (unsigned mode = 0; mode < 3; mode++) {
		for (unsigned i = 0; i < DIFF_COUNT(calls); i++) {
			struct diff_case c = diff_case("vmfunc/%u-%u", mode, i);
			uint64_t gpr[GPRS] = {[RAX] = calls[i].rax, [RCX] = calls[i].rcx};
			struct diff_vmcs v;

			make_ept();
			ept_base(&v);
			for (unsigned n = 0; n < 8; n++)
				((uint64_t *)diff_at(AT_EPTP_LIST))[n] =
					n < DIFF_COUNT(list) ? list[n] : 0;
			if (mode > 0)
				diff_or_cpu2(&v, SX_CPU2_VMFUNC);
			diff_set(&v, SX_VMCS_VM_FUNCTION_CONTROLS, mode == 2);
			diff_launch(&c, &v, insn.code, insn.length, gpr);
		}
	}
}

/* Guests without paging, or without protection: 27.3.1.1, 27.3.1.2. */
static void unrestricted(void)
{
	for (unsigned real = 0; real < 2; real++) {
		const char *mode = real ? "real" : "flat";
		struct diff_case cr0 = diff_case("%s/cr0", mode);
		struct diff_case efer = diff_case("%s/efer", mode);
		struct diff_vmcs v;

		make_ept();
		ept_base(&v);
		diff_or_cpu2(&v, SX_CPU2_UNRESTRICTED);
		diff_set(&v, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_DEFAULT1 | SX_ENTRYC_LOAD_EFER);
		diff_set(&v, SX_VMCS_GUEST_CR0, real ? 0x30 : 0x31);
		diff_set(&v, SX_VMCS_GUEST_CR4, SX_X86_CR4_VMXE);
		diff_set(&v, SX_VMCS_GUEST_EFER, 0);
		diff_set(&v, SX_VMCS_GUEST_CS_AR, real ? 0xc093 : 0xc09b);
		diff_flip(cr0.name, &v, SX_VMCS_GUEST_CR0, UINT64_MAX & ~SX_X86_CR0_PG);
		diff_flip(efer.name, &v, SX_VMCS_GUEST_EFER, 0xf01);
		diff_each_segment(mode, &v);
	}
}

void diff_cases_ept(void)
{
	resume_flag();
	rights();
	paging_structures();
	entry_bits();
	large_pages();
	beyond();
	delivery();
	page_modification_log();
	vmfunc();
	unrestricted();
}
