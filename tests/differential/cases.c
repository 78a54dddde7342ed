// SPDX-License-Identifier: BSD-3-Clause
#include "tests/differential/cases.h"

static void vmxon(void)
{
	static const uint8_t vmxon_rax[] = {0xf3, 0x0f, 0xc7, 0x30};
	struct diff_case c = diff_case("vmxon");
	uint64_t gpr[GPRS] = {[RAX] = AT_OPERAND};
	uint64_t basic = 0;

	(void)diff_rdmsr(SX_MSR_VMX_BASIC, &basic);
	*(uint32_t *)diff_at(AT_VMXON) = (uint32_t)basic;
	*(uint32_t *)diff_at(AT_VMCS) = (uint32_t)basic;
	*(uint64_t *)diff_at(AT_OPERAND) = AT_VMXON;
	(void)diff_step(&c, vmxon_rax, sizeof(vmxon_rax), gpr);
}

void diff_run_all(void)
{
	struct diff_vmcs v;
	struct diff_case c;

	diff_cases_capabilities();
	diff_make_guest();
	vmxon();
	diff_base(&v);
	c = diff_case("base");
	diff_enter(&c, &v);
	diff_cases_controls();
	diff_cases_injection();
	diff_cases_host();
	diff_cases_guest();
	diff_cases_segments();
}
