// SPDX-License-Identifier: BSD-3-Clause
/* Checks on guest segment registers: SDM 3C 27.3.1.2. */
#include "tests/differential/cases.h"

static const char *const names[] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
enum { ES, CS, SS, DS, FS, GS, LDTR, TR, SEGMENTS };

#define SELECTOR(i) (SX_VMCS_GUEST_ES_SEL + 2 * (i))
#define BASE(i)     (SX_VMCS_GUEST_ES_BASE + 2 * (i))
#define LIMIT(i)    (SX_VMCS_GUEST_ES_LIMIT + 2 * (i))
#define AR(i)       (SX_VMCS_GUEST_ES_AR + 2 * (i))

void diff_each_segment(const char *mode, const struct diff_vmcs *base)
{
	static const uint64_t selectors[] = {0, 1, 3, 4, 7, 0x10, 0x13};
	static const uint64_t cs_bases[] = {UINT64_C(0x100000000), UINT64_C(0x8000000000000000)};
	static const uint64_t bases[] = {UINT64_C(0x100000000)};
	/* The first ones are never good for a segment that has 4 KiB granularity. */
	static const uint64_t limits[] = {0,     0x100000, 0xfffff000, 0xffffffff,
					  0xfff, 0xffff,   0xfffff};

	for (uint32_t i = 0; i < SEGMENTS; i++) {
		struct diff_case ar = diff_case("%s/%s-ar", mode, names[i]);
		struct diff_case selector = diff_case("%s/%s-selector", mode, names[i]);
		struct diff_case at = diff_case("%s/%s-base", mode, names[i]);
		struct diff_case limit = diff_case("%s/%s-limit", mode, names[i]);

		diff_flip(ar.name, base, AR(i), UINT64_C(0xffffffff));
		diff_try(selector.name, base, SELECTOR(i), selectors, DIFF_COUNT(selectors));
		if (i == CS) { /* where code is, it has to stay */
			diff_try(at.name, base, BASE(i), cs_bases, DIFF_COUNT(cs_bases));
			diff_try(limit.name, base, LIMIT(i), limits, 4);
			continue;
		}
		diff_try(at.name, base, BASE(i), bases, DIFF_COUNT(bases));
		diff_try_canonical(at.name, base, BASE(i));
		diff_try(limit.name, base, LIMIT(i), limits, DIFF_COUNT(limits));
	}
}

/* The types that have rules: every type of every register. */
static void each_type(const char *mode, const struct diff_vmcs *base)
{
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		for (uint32_t type = 0; type < 16; type++) {
			struct diff_case c = diff_case("%s/%s-type%u", mode, names[i], type);
			struct diff_vmcs v = *base;

			diff_set(&v, AR(i), (diff_get(&v, AR(i)) & ~UINT64_C(15)) | type);
			diff_enter(&c, &v);
		}
	}
}

/* An unusable register may hold anything but what is said of it. */
static void unusable(const char *mode, const struct diff_vmcs *base)
{
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		struct diff_case whole = diff_case("%s/%s-unusable", mode, names[i]);
		struct diff_case bad_base = diff_case("%s/%s-unusable-base", mode, names[i]);
		struct diff_case bad_ar = diff_case("%s/%s-unusable-ar", mode, names[i]);
		struct diff_vmcs v = *base;

		diff_set(&v, AR(i), SX_AR_UNUSABLE);
		diff_enter(&whole, &v);
		diff_set(&v, AR(i), SX_AR_UNUSABLE | 0xf0f);
		diff_enter(&bad_ar, &v);
		diff_set(&v, AR(i), SX_AR_UNUSABLE);
		diff_set(&v, BASE(i), UINT64_C(1) << 63);
		diff_enter(&bad_base, &v);
	}
}

/* 26.3.1.2: DPLs and RPLs of CS and SS, and RPLs of data segments, have to fit. */
static void privileges(const char *mode, const struct diff_vmcs *base)
{
	for (uint32_t i = 1; i < 128; i++) {
		uint32_t cs_rpl = i & 1 ? 3 : 0, ss_rpl = i & 2 ? 3 : 0, cs_dpl = i & 4 ? 3 : 0;
		uint32_t ss_dpl = i & 8 ? 3 : 0, ds_rpl = i & 16 ? 3 : 0, ds_dpl = i & 32 ? 3 : 0;
		bool conforming = i & 64;
		struct diff_case c = diff_case("%s/privilege-%u", mode, i);
		struct diff_vmcs v = *base;

		if (ss_dpl == 3 && ss_rpl == 3 && cs_rpl == 3 && (cs_dpl == 3 || conforming) &&
		    (ds_rpl == 0 || ds_dpl == 3))
			continue; /* a good one, for CPL 3, where these page tables map nothing */
		diff_or(&v, SELECTOR(CS), cs_rpl);
		diff_or(&v, SELECTOR(SS), ss_rpl);
		diff_or(&v, SELECTOR(DS), ds_rpl);
		diff_or(&v, AR(CS), cs_dpl << 5 | (conforming ? 4 : 0));
		diff_or(&v, AR(SS), ss_dpl << 5);
		diff_or(&v, AR(DS), ds_dpl << 5);
		diff_enter(&c, &v);
	}
}

/* A 32-bit guest with PAE paging. */
static void protected_mode(struct diff_vmcs *v)
{
	diff_base(v);
	diff_set(v, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_DEFAULT1);
	diff_set(v, SX_VMCS_GUEST_CR3, AT_PDPTES);
	diff_set(v, AR(CS), 0xc09b);
}

/* Virtual-8086 mode; nothing of it lies where the cases' memory does, so all of these fail. */
static void virtual_8086(void)
{
	struct diff_vmcs base;

	protected_mode(&base);
	diff_or(&base, SX_VMCS_GUEST_RFLAGS, SX_X86_RFLAGS_VM);
	diff_set(&base, SX_VMCS_GUEST_RIP, 0);
	for (uint32_t i = ES; i <= GS; i++) {
		diff_set(&base, BASE(i), diff_get(&base, SELECTOR(i)) << 4);
		diff_set(&base, LIMIT(i), 0xffff);
		diff_set(&base, AR(i), 0xf3);
	}
	for (uint32_t i = ES; i <= GS; i++) {
		struct diff_case base_case = diff_case("v86/%s-base", names[i]);
		struct diff_case limit = diff_case("v86/%s-limit", names[i]);
		struct diff_case ar = diff_case("v86/%s-ar", names[i]);

		diff_flip(base_case.name, &base, BASE(i), UINT64_C(0x8000000100100001));
		diff_flip(limit.name, &base, LIMIT(i), UINT64_C(0x80010001));
		diff_flip(ar.name, &base, AR(i), UINT64_C(0xffffffff));
	}
}

static void pdptes(const struct diff_vmcs *base)
{
	for (unsigned entry = 0; entry < 4; entry++) {
		uint64_t *at = diff_at(AT_PDPTES + 8 * entry);
		uint64_t was = *at;

		for (unsigned bit = 1; bit < 64; bit++) {
			struct diff_case c = diff_case("pae/pdpte%u-bit%u", entry, bit);

			if (bit >= 12 && bit < 40)
				continue; /* where the directory lies */
			*at = (was | 1) ^ UINT64_C(1) << bit;
			diff_enter(&c, base);
		}
		*at = was;
	}
}

/* 27.3.1.1: the same bits are reserved outside of IA-32e mode, and LME and LMA must be 0 there. */
static void pae_registers(const struct diff_vmcs *base)
{
	struct diff_vmcs v = *base;

	diff_flip("pae/cr0", &v, SX_VMCS_GUEST_CR0, UINT64_C(0xffffffff00000000));
	diff_flip("pae/cr4", &v, SX_VMCS_GUEST_CR4, UINT64_C(0xffffffffffc20000)); /* and PCIDE */
	diff_or(&v, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_LOAD_EFER);
	diff_set(&v, SX_VMCS_GUEST_EFER, SX_X86_EFER_NXE | SX_X86_EFER_SCE);
	diff_flip("pae/efer", &v, SX_VMCS_GUEST_EFER, UINT64_MAX);
}

void diff_cases_segments(void)
{
	struct diff_vmcs v;

	diff_base(&v);
	diff_each_segment("seg64", &v);
	each_type("seg64", &v);
	unusable("seg64", &v);
	privileges("seg64", &v);
	protected_mode(&v);
	diff_each_segment("seg32", &v);
	each_type("seg32", &v);
	unusable("seg32", &v);
	virtual_8086();
	pdptes(&v);
	pae_registers(&v);
}
