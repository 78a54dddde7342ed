// SPDX-License-Identifier: BSD-3-Clause
/* Checks on guest registers: SDM 3C 27.3.1.1, 27.3.1.3, 27.3.1.4, 27.3.1.6. */
#include "tests/differential/cases.h"

#define CR3_BITS UINT64_C(0xffffff0000000fff)
/* A few: Bochs takes each of them. */
#define PERF_BITS     UINT64_C(0x8000000b80000019)
#define DEBUGCTL_BITS UINT64_C(0x8000000080010007)

static void control_registers(void)
{
	struct diff_vmcs v;

	diff_base(&v);
	diff_flip("guest/cr0", &v, SX_VMCS_GUEST_CR0, UINT64_MAX);
	diff_flip("guest/cr4", &v, SX_VMCS_GUEST_CR4, UINT64_MAX);
	diff_flip("guest/cr3", &v, SX_VMCS_GUEST_CR3, CR3_BITS);
}

static void debug_registers(void)
{
	struct diff_vmcs v;

	diff_base(&v);
	diff_flip("guest/dr7", &v, SX_VMCS_GUEST_DR7, UINT64_MAX & ~UINT64_C(0xff));
	diff_flip("guest/debugctl", &v, SX_VMCS_GUEST_DEBUGCTL, DEBUGCTL_BITS);
	diff_set(&v, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_TRUE_DEFAULT1 | SX_ENTRYC_GUEST_64);
	diff_flip("guest/dr7-off", &v, SX_VMCS_GUEST_DR7, UINT64_C(0x8000000180000000));
	diff_flip("guest/debugctl-off", &v, SX_VMCS_GUEST_DEBUGCTL, UINT64_C(0x8000000180000000));
}

static void msrs(void)
{
	struct diff_vmcs v;

	diff_base(&v);
	diff_try_canonical("guest/sysenter-esp", &v, SX_VMCS_GUEST_SYSENTER_ESP);
	diff_try_canonical("guest/sysenter-eip", &v, SX_VMCS_GUEST_SYSENTER_EIP);
	diff_flip("guest/efer-off", &v, SX_VMCS_GUEST_EFER, UINT64_C(0x8000000000000f03));
	diff_or(&v, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_LOAD_EFER);
	diff_flip("guest/efer", &v, SX_VMCS_GUEST_EFER, UINT64_MAX);
	diff_base(&v);
	diff_or(&v, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_LOAD_PAT);
	diff_try_pat("guest/pat", &v, SX_VMCS_GUEST_PAT);
	diff_base(&v);
	diff_or(&v, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_LOAD_PERF);
	diff_flip("guest/perf", &v, SX_VMCS_GUEST_PERF_GLOBAL, PERF_BITS);
}

static void tables(void)
{
	static const uint64_t limits[] = {0, 0xffff, 0x10000, 0xffff0fff};
	struct diff_vmcs v;

	diff_base(&v);
	diff_try_canonical("guest/gdtr-base", &v, SX_VMCS_GUEST_GDTR_BASE);
	diff_try_canonical("guest/idtr-base", &v, SX_VMCS_GUEST_IDTR_BASE);
	diff_try("guest/gdtr-limit", &v, SX_VMCS_GUEST_GDTR_LIMIT, limits, DIFF_COUNT(limits));
	diff_try("guest/idtr-limit", &v, SX_VMCS_GUEST_IDTR_LIMIT, limits, DIFF_COUNT(limits));
}

static void rip_and_rflags(void)
{
	static const uint64_t wrong[] = {UINT64_C(1) << 48, UINT64_C(1) << 63,
					 UINT64_C(0x7fff800000000000)};
	struct diff_vmcs v;

	diff_base(&v);
	diff_try("guest/rip", &v, SX_VMCS_GUEST_RIP, wrong, DIFF_COUNT(wrong));
	diff_flip("guest/rflags", &v, SX_VMCS_GUEST_RFLAGS, UINT64_MAX);
}

void diff_cases_guest(void)
{
	control_registers();
	debug_registers();
	msrs();
	tables();
	rip_and_rflags();
}
