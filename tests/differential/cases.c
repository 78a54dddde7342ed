// SPDX-License-Identifier: BSD-3-Clause
#include "tests/differential/cases.h"

void diff_run_all(void)
{
	diff_cases_capabilities();
	diff_make_guest();
	diff_cases_before_vmxon();
	diff_cases_instructions();
	diff_cases_fields();
	diff_cases_controls();
	diff_cases_injection();
	diff_cases_host();
	diff_cases_guest();
	diff_cases_segments();
	diff_cases_exits();
	diff_cases_ept();
	diff_cases_shadowing();
	diff_cases_nonreg();
	diff_cases_order();
	diff_cases_after();
}
