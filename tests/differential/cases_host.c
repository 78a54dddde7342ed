// SPDX-License-Identifier: BSD-3-Clause
/* Checks on the host-state area, SDM 3C 27.2.2 to 27.2.4, and what exits load from it, 28.5. */
#include "tests/differential/cases.h"

/* CR3 bits that name no other page: those below it, and those beyond the physical width. */
#define CR3_BITS UINT64_C(0xffffff0000000fff)
/* A few: Bochs takes each of them. */
#define PERF_BITS UINT64_C(0x8000000b80000019)

static void registers(void)
{
	struct diff_vmcs v;

	diff_base(&v);
	diff_flip("host/cr0", &v, SX_VMCS_HOST_CR0, UINT64_MAX);
	diff_flip("host/cr4", &v, SX_VMCS_HOST_CR4, UINT64_MAX);
	diff_flip("host/cr3", &v, SX_VMCS_HOST_CR3, CR3_BITS);
	diff_try_canonical("host/sysenter-esp", &v, SX_VMCS_HOST_SYSENTER_ESP);
	diff_try_canonical("host/sysenter-eip", &v, SX_VMCS_HOST_SYSENTER_EIP);
	diff_flip("host/sysenter-cs", &v, SX_VMCS_HOST_SYSENTER_CS, 0x8001);
}

static void msrs(void)
{
	struct diff_vmcs v;

	diff_base(&v);
	diff_flip("host/efer-off", &v, SX_VMCS_HOST_EFER, UINT64_C(0x8000000000000f03));
	diff_or(&v, SX_VMCS_EXIT_CONTROLS, SX_EXITC_LOAD_EFER);
	diff_flip("host/efer", &v, SX_VMCS_HOST_EFER, UINT64_MAX);
	diff_base(&v);
	diff_or(&v, SX_VMCS_EXIT_CONTROLS, SX_EXITC_LOAD_PAT);
	diff_try_pat("host/pat", &v, SX_VMCS_HOST_PAT);
	diff_base(&v);
	diff_or(&v, SX_VMCS_EXIT_CONTROLS, SX_EXITC_LOAD_PERF);
	diff_flip("host/perf", &v, SX_VMCS_HOST_PERF_GLOBAL, PERF_BITS);
}

static void selectors(void)
{
	static const char *const names[] = {"es", "cs", "ss", "ds", "fs", "gs", "tr"};
	static const uint64_t wrong[] = {1, 2, 4, 7, 0x13, 0x14, 0xffff};
	static const uint64_t null[] = {0};
	struct diff_vmcs v;

	diff_base(&v);
	for (uint32_t i = 0; i < DIFF_COUNT(names); i++) {
		struct diff_case name = diff_case("host/%s", names[i]);

		diff_try(name.name, &v, SX_VMCS_HOST_ES_SEL + 2 * i, wrong, DIFF_COUNT(wrong));
		diff_try(name.name, &v, SX_VMCS_HOST_ES_SEL + 2 * i, null, 1);
	}
}

static void bases(void)
{
	struct diff_vmcs v;

	diff_base(&v);
	diff_try_canonical("host/fs-base", &v, SX_VMCS_HOST_FS_BASE);
	diff_try_canonical("host/gs-base", &v, SX_VMCS_HOST_GS_BASE);
	diff_try_canonical("host/tr-base", &v, SX_VMCS_HOST_TR_BASE);
	diff_try_canonical("host/gdtr-base", &v, SX_VMCS_HOST_GDTR_BASE);
	diff_try_canonical("host/idtr-base", &v, SX_VMCS_HOST_IDTR_BASE);
}

/* 27.2.4: a 64-bit processor has to come back as one, to an address that it has. */
static void address_space(void)
{
	static const uint64_t wrong[] = {UINT64_C(0x0000800000000000), UINT64_C(1) << 63,
					 UINT64_C(0xffff7fffffffffff)};
	struct diff_vmcs v;

	diff_base(&v);
	diff_try("host/rip", &v, SX_VMCS_HOST_RIP, wrong, DIFF_COUNT(wrong));
	for (unsigned i = 0; i < 8; i++) {
		struct diff_case c = diff_case("host/space-%u", i);

		diff_base(&v);
		diff_set(&v, SX_VMCS_EXIT_CONTROLS,
			 SX_EXITC_DEFAULT1 | (i & 1 ? SX_EXITC_HOST_64 : 0));
		diff_set(&v, SX_VMCS_ENTRY_CONTROLS,
			 SX_ENTRYC_DEFAULT1 | (i & 2 ? SX_ENTRYC_GUEST_64 : 0));
		if (i & 4)
			diff_set(&v, SX_VMCS_HOST_CR4, SX_X86_CR4_VMXE);
		diff_enter(&c, &v);
	}
}

void diff_cases_host(void)
{
	registers();
	msrs();
	selectors();
	bases();
	address_space();
}
