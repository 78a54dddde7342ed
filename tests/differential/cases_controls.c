// SPDX-License-Identifier: BSD-3-Clause
/* Checks on VMX controls: SDM 3C 27.2.1, but for event injection. */
#include "tests/differential/cases.h"

#define WORD UINT64_C(0xffffffff)
/* What Bochs' model offers and the engine does not, and EPT, which has cases of its own. */
#define CPU2_BITS                                                                               \
	(WORD & ~(SX_CPU2_EPT | SX_VMX_BIT(0) | SX_VMX_BIT(4) | SX_VMX_BIT(8) | SX_VMX_BIT(9) | \
		  SX_VMX_BIT(18)))
#define ENTRY_SMM (SX_VMX_BIT(10) | SX_VMX_BIT(11))

static void control_words(void)
{
	struct diff_vmcs v;

	diff_base(&v);
	diff_flip("controls/pin", &v, SX_VMCS_PIN_CONTROLS, WORD);
	diff_flip("controls/cpu", &v, SX_VMCS_CPU_CONTROLS, WORD);
	diff_flip("controls/exit", &v, SX_VMCS_EXIT_CONTROLS, WORD);
	diff_flip("controls/entry", &v, SX_VMCS_ENTRY_CONTROLS, WORD & ~ENTRY_SMM);
	diff_flip("controls/cpu2-inactive", &v, SX_VMCS_CPU2_CONTROLS, WORD);
	diff_or_cpu2(&v, 0);
	diff_flip("controls/cpu2", &v, SX_VMCS_CPU2_CONTROLS, CPU2_BITS);
}

static void counts(void)
{
	static const uint64_t targets[] = {1, 4, 5, 6, 256, WORD};
	struct diff_vmcs v;

	diff_base(&v);
	diff_try("controls/cr3-targets", &v, SX_VMCS_CR3_TARGET_COUNT, targets,
		 DIFF_COUNT(targets));
}

struct address {
	const char *name;
	uint32_t encoding;
	uint32_t control; /* field of the control that makes it matter */
	uint32_t bit;
};

/* Each is wrong while its control is 0, and then while it is 1. */
static void pages(void)
{
	static const uint64_t wrong[] = {
		1, 0x800, AT_DATA | 8, UINT64_C(1) << 40, UINT64_C(1) << 51, UINT64_C(1) << 63};
	static const struct address list[] = {
		{"io-a", SX_VMCS_IO_BITMAP_A, SX_VMCS_CPU_CONTROLS, SX_CPU_IO_BITMAPS},
		{"io-b", SX_VMCS_IO_BITMAP_B, SX_VMCS_CPU_CONTROLS, SX_CPU_IO_BITMAPS},
		{"msr-bitmap", SX_VMCS_MSR_BITMAP, SX_VMCS_CPU_CONTROLS, SX_CPU_MSR_BITMAPS},
		{"vapic", SX_VMCS_VIRTUAL_APIC, SX_VMCS_CPU_CONTROLS, SX_CPU_TPR_SHADOW},
		{"vmread", SX_VMCS_VMREAD_BITMAP, SX_VMCS_CPU2_CONTROLS, SX_CPU2_VMCS_SHADOW},
		{"vmwrite", SX_VMCS_VMWRITE_BITMAP, SX_VMCS_CPU2_CONTROLS, SX_CPU2_VMCS_SHADOW},
	};

	for (unsigned i = 0; i < DIFF_COUNT(list); i++) {
		struct diff_case name = diff_case("controls/%s", list[i].name);
		struct diff_case off = diff_case("controls/%s-off", list[i].name);
		struct diff_vmcs v;

		diff_base(&v);
		diff_or_cpu2(&v, 0);
		diff_try(off.name, &v, list[i].encoding, wrong, DIFF_COUNT(wrong));
		diff_or(&v, list[i].control, list[i].bit);
		diff_try(name.name, &v, list[i].encoding, wrong, DIFF_COUNT(wrong));
	}
}

/* 27.2.1.2, 27.2.1.3: an area matters where its count is not 0. */
static void msr_areas(void)
{
	static const uint64_t wrong[] = {1,
					 8,
					 AT_DATA | 8,
					 UINT64_C(1) << 40,
					 UINT64_C(1) << 63,
					 (UINT64_C(1) << 40) - 16,
					 UINT64_MAX & ~UINT64_C(15)};
	static const struct {
		const char *name;
		uint32_t address, count;
	} list[] = {
		{"exit-store", SX_VMCS_EXIT_MSR_STORE_ADDR, SX_VMCS_EXIT_MSR_STORE_COUNT},
		{"exit-load", SX_VMCS_EXIT_MSR_LOAD_ADDR, SX_VMCS_EXIT_MSR_LOAD_COUNT},
		{"entry-load", SX_VMCS_ENTRY_MSR_LOAD_ADDR, SX_VMCS_ENTRY_MSR_LOAD_COUNT},
	};

	for (unsigned i = 0; i < DIFF_COUNT(list); i++) {
		struct diff_case name = diff_case("controls/%s", list[i].name);
		struct diff_case off = diff_case("controls/%s-off", list[i].name);
		struct diff_vmcs v;

		diff_base(&v);
		diff_try(off.name, &v, list[i].address, wrong, DIFF_COUNT(wrong));
		diff_set(&v, list[i].count, 2); /* the last but one has its end beyond the width */
		diff_try(name.name, &v, list[i].address, wrong, DIFF_COUNT(wrong));
	}
}

static void tpr_threshold(void)
{
	static const uint64_t values[] = {0, 1, 4, 5, 6, 15, 16, 0x80000005};
	struct diff_vmcs v;

	diff_base(&v);
	*(uint32_t *)diff_at(AT_VAPIC + 0x80) = 0x5f;
	diff_try("controls/threshold-off", &v, SX_VMCS_TPR_THRESHOLD, values, DIFF_COUNT(values));
	diff_or(&v, SX_VMCS_CPU_CONTROLS, SX_CPU_TPR_SHADOW);
	diff_try("controls/threshold", &v, SX_VMCS_TPR_THRESHOLD, values, DIFF_COUNT(values));
}

/* 27.2.1.1: NMI exiting, virtual NMIs and NMI-window exiting hang on each other. */
static void nmis(void)
{
	for (unsigned i = 0; i < 8; i++) {
		struct diff_case c = diff_case("controls/nmi-%u", i);
		struct diff_vmcs v;

		diff_base(&v);
		diff_or(&v, SX_VMCS_PIN_CONTROLS,
			(i & 1 ? SX_PIN_NMI : 0) | (i & 2 ? SX_PIN_VIRTUAL_NMIS : 0));
		diff_or(&v, SX_VMCS_CPU_CONTROLS, i & 4 ? SX_CPU_NMI_WINDOW : 0);
		diff_enter(&c, &v);
	}
}

static void ept(void)
{
	static const uint64_t vmfunc[] = {0, 1, 2, 3, UINT64_C(1) << 63};
	static const uint64_t vpids[] = {0, 0xffff};
	static const struct {
		const char *name;
		uint32_t bits;
	} without[] = {
		{"pml", SX_CPU2_PML},
		{"unrestricted", SX_CPU2_UNRESTRICTED},
	};
	struct diff_vmcs v;

	for (unsigned i = 0; i < DIFF_COUNT(without); i++) {
		struct diff_case c = diff_case("controls/%s-without-ept", without[i].name);

		diff_base(&v);
		diff_or_cpu2(&v, without[i].bits);
		diff_enter(&c, &v);
	}
	diff_base(&v);
	diff_or_cpu2(&v, SX_CPU2_VPID);
	diff_try("controls/vpid", &v, SX_VMCS_VPID, vpids, DIFF_COUNT(vpids));
	diff_base(&v);
	diff_or_cpu2(&v, SX_CPU2_VMFUNC);
	diff_try("controls/vmfunc", &v, SX_VMCS_VM_FUNCTION_CONTROLS, vmfunc, DIFF_COUNT(vmfunc));
	diff_base(&v);
	diff_or_cpu2(&v, SX_CPU2_EPT);
	/* Only what makes it wrong: memory type, levels, reserved bits, width. */
	diff_flip("controls/eptp", &v, SX_VMCS_EPTP, UINT64_C(0xffffff0000000fbf));
}

void diff_cases_controls(void)
{
	control_words();
	counts();
	pages();
	msr_areas();
	tpr_threshold();
	nmis();
	ept();
}
