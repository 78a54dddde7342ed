// SPDX-License-Identifier: BSD-3-Clause
/* What the machine offers: Appendix A. */
#include "tests/differential/cases.h"

void diff_cases_capabilities(void)
{
	for (uint32_t index = SX_MSR_VMX_BASIC; index <= SX_MSR_VMX_VMFUNC; index++) {
		uint64_t value;

		if (diff_rdmsr(index, &value))
			diff_say("caps/msr-%x: %x\n", (uint64_t)index, value);
		else
			diff_say("caps/msr-%x: fault\n", (uint64_t)index);
	}
	diff_say("caps/maxphyaddr: %u\n", diff_maxphyaddr());
}
