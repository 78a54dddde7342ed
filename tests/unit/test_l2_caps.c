// SPDX-License-Identifier: BSD-3-Clause
/* What L1 is offered on hosts whose KVM has more or less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "nested/nested_internal.h"

static struct sx_cpuid host;
static struct sx_vmx_caps caps;

static void entry(uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx, uint32_t ecx,
		  uint32_t edx)
{
	host.table->entries[host.table->nent++] = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = subleaf,
		.flags = leaf == 0xd ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
		.eax = eax,
		.ebx = ebx,
		.ecx = ecx,
		.edx = edx,
	};
}

static int make(void **state)
{
	(void)state;
	host.table = calloc(1, sizeof(*host.table) + SX_CPUID_MAX * sizeof(host.table->entries[0]));
	return host.table ? 0 : -1;
}

static int drop(void **state)
{
	(void)state;
	sx_cpuid_free(&host);
	return 0;
}

static void all_ones(void)
{
	entry(0x1, 0, ~0u, ~0u, ~0u, ~0u);
	entry(0x7, 0, ~0u, ~0u, ~0u, ~0u);
	entry(0xd, 1, ~0u, ~0u, ~0u, ~0u);
	entry(0x80000001, 0, ~0u, ~0u, ~0u, ~0u);
	entry(0x80000008, 0, 0x302b, 0, 0, 0);
}

static void a_host_that_has_all(void **state)
{
	(void)state;
	all_ones();
	sx_l2_caps(&caps, &host, true);
	assert_int_equal(caps.cr4, 0x770eff | SX_X86_CR4_VMXE);
	assert_int_equal(caps.maxphyaddr, 0x2b);
	assert_true(caps.cpu2 & SX_CPU2_INVPCID);
	assert_true(caps.cpu2 & SX_CPU2_XSAVES);
	assert_true(caps.cpu2 & SX_CPU2_RDTSCP);
	assert_true(caps.pin & SX_PIN_PREEMPTION_TIMER);
}

static void a_host_that_has_nothing(void **state)
{
	(void)state;
	sx_l2_caps(&caps, &host, false);
	assert_int_equal(caps.cr4, 0x6fc | SX_X86_CR4_VMXE);
	assert_int_equal(caps.maxphyaddr, 36);
	assert_false(caps.cpu2 & (SX_CPU2_INVPCID | SX_CPU2_XSAVES | SX_CPU2_RDTSCP));
	assert_false(caps.pin & SX_PIN_PREEMPTION_TIMER);
	assert_true(caps.cpu2 & SX_CPU2_EPT);
}

/* Each feature stands for itself. */
static void one_feature_less(void **state)
{
	(void)state;
	all_ones();
	host.table->entries[1].ebx &= ~(1u << 7); /* SMEP */
	host.table->entries[2].eax &= ~(1u << 3); /* XSAVES */
	sx_l2_caps(&caps, &host, true);
	assert_int_equal(caps.cr4, (0x770eff & ~SX_X86_CR4_SMEP) | SX_X86_CR4_VMXE);
	assert_false(caps.cpu2 & SX_CPU2_XSAVES);
	assert_true(caps.cpu2 & SX_CPU2_INVPCID);
}

/* Whatever the host has: what KVM gives no exit for, unless kvm_intel insists on it. */
static void never_offered(void **state)
{
	(void)state;
	all_ones();
	sx_l2_caps(&caps, &host, true);
	assert_false(caps.cpu & (SX_CPU_MONITOR_TRAP | SX_CPU_RDTSC | SX_CPU_PAUSE));
	assert_false(caps.cpu2 & (SX_CPU2_DESC_TABLE | SX_CPU2_WBINVD | SX_CPU2_RDRAND |
				  SX_CPU2_RDSEED | SX_CPU2_VMFUNC | SX_CPU2_VMCS_SHADOW));
	assert_false(caps.ept_vpid & SX_EPTCAP_EXEC_ONLY);
	assert_int_equal(caps.activity, SX_VMX_BIT(SX_ACTIVITY_HLT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_host_that_has_all, make, drop),
		cmocka_unit_test_setup_teardown(a_host_that_has_nothing, make, drop),
		cmocka_unit_test_setup_teardown(one_feature_less, make, drop),
		cmocka_unit_test_setup_teardown(never_offered, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
