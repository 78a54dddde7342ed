// SPDX-License-Identifier: BSD-3-Clause
/* A hostile L1: random VMCS12s, memory that changes under the engine's hands, regions anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nested/vmx_intercept.h"
#include "tests/unit/test_vmx_world.h"

static struct world w;
static const unsigned slots = SX_VMCS12_SLOTS;

static uint64_t next_random(uint64_t *seed) /* xorshift64 */
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Values that rules care about, more often than noise. */
static uint64_t interesting(uint64_t *seed)
{
	uint64_t r = next_random(seed);

	switch (r % 5) {
	case 0:
		return UINT64_C(1) << (r >> 8 & 63);
	case 1:
		return ~(UINT64_C(1) << (r >> 8 & 63));
	case 2:
		return r >> 8 & 0xfff;
	case 3:
		return (r >> 8 & 0x3f) * 0x1000;
	default:
		return next_random(seed);
	}
}

static void expect_specified(const struct sx_vmx_result *result)
{
	switch (result->outcome) {
	case SX_VMX_ENTERED:
		assert_true(w.vmx.in_l2);
		assert_null(w.vmx.why);
		break;
	case SX_VMX_FAIL_VALID:
		assert_true(result->error == 7 || result->error == 8);
		assert_non_null(w.vmx.why);
		assert_false(w.vmx.in_l2);
		break;
	case SX_VMX_ENTRY_FAILED:
	case SX_VMX_ABORTED:
		assert_non_null(w.vmx.why);
		assert_false(w.vmx.in_l2);
		break;
	default:
		fail_msg("outcome %d", result->outcome);
	}
}

/* Nothing but the current VMCS12 may differ: an entry writes nowhere else. */
static void expect_rest_untouched(const struct world *before)
{
	const size_t end = AT_VMCS + SX_VMCS12_SIZE;

	assert_memory_equal(w.mem, before->mem, AT_VMCS);
	assert_memory_equal(w.mem + end, before->mem + end, WORLD_SIZE - end);
}

static void ten_thousand_random_vmcs12s(void **state)
{
	static struct world fresh, before;
	uint64_t seed = 0x5eed;
	unsigned entered = 0;

	(void)state;
	world_init_current(&fresh);
	for (unsigned i = 0; i < 10000; i++) {
		struct sx_vmx_result result;

		w = fresh;
		w.vmx.ctx = &w;
		for (unsigned n = next_random(&seed) % 4; n > 0; n--) {
			uint64_t slot = next_random(&seed) % slots;

			put64(&w, AT_VMCS + 64 + 8 * slot, interesting(&seed));
		}
		before = w;
		result = sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2);
		expect_specified(&result);
		expect_rest_untouched(&before);
		entered += result.outcome == SX_VMX_ENTERED;
	}
	assert_in_range(entered, 1000, 9900); /* both ways out are well trodden */
}

static void pages_of_noise(void **state)
{
	uint64_t seed = 0xbad5eed;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct sx_vmx_result result;

		world_init_current(&w);
		for (uint64_t slot = 0; slot < slots; slot++)
			put64(&w, AT_VMCS + 64 + 8 * slot, next_random(&seed));
		result = sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2);
		assert_int_equal(result.outcome, SX_VMX_FAIL_VALID);
		assert_int_equal(result.error, 7);
	}
}

/* --- memory that changes between two reads ---------------------------------------------------- */

/* Another processor of L1 wins every race: what has been read once is ones the next time. */
static int read_then_scribble(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	int err = world_read(ctx, gpa, buf, len);
	uint8_t *p = world_at(ctx, gpa, len);

	if (p && gpa >= AT_VMCS && gpa < AT_VMCS + SX_VMCS12_SIZE)
		memset(p, 0xff, len);
	return err;
}

static void each_word_is_read_once(void **state)
{
	struct sx_vmx_exit exit = {.reason = SX_VMEXIT_CPUID};
	struct sx_vmx_ops racing = world_ops;

	(void)state;
	racing.read = read_then_scribble;
	world_init_current(&w);
	w.vmx.ops = &racing;
	assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2).outcome, SX_VMX_ENTERED);
	assert_int_equal(w.l2.cpu.rip, 0x4000);
	assert_int_equal(sx_vmx_on_insn(&w.vmx, SX_VMEXIT_HLT, &exit), SX_L2_EXIT);
	assert_int_equal(sx_vmx_on_insn(&w.vmx, SX_VMEXIT_RDTSC, &exit), SX_L2_PROCEED);
	assert_int_equal(sx_vmx_exit(&w.vmx, &w.l2, &exit, &w.l1).outcome, SX_VMX_SUCCEED);
	assert_int_equal(w.l1.rip, 0x7777);
	assert_int_equal(w.l1.cr3, 0x5000);
}

/* --- regions anywhere ------------------------------------------------------------------------- */

/* The VMCS12 as its own bitmap, MSR area, virtual-APIC page, PML buffer and EPT table. */
static void regions_that_overlap(void **state)
{
	static const uint32_t addresses[] = {
		SX_VMCS_IO_BITMAP_A,         SX_VMCS_MSR_BITMAP,
		SX_VMCS_VIRTUAL_APIC,        SX_VMCS_PML_ADDRESS,
		SX_VMCS_EPTP_LIST,           SX_VMCS_VMREAD_BITMAP,
		SX_VMCS_VMWRITE_BITMAP,      SX_VMCS_ENTRY_MSR_LOAD_ADDR,
		SX_VMCS_EXIT_MSR_STORE_ADDR, SX_VMCS_EXIT_MSR_LOAD_ADDR,
	};
	const struct sx_vmx_exit exit = {.reason = SX_VMEXIT_CPUID};

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct sx_vmx_result result;

		world_init_current(&w);
		set_field(&w, addresses[i], AT_VMCS);
		result = sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2);
		expect_specified(&result);
		if (result.outcome != SX_VMX_ENTERED)
			continue;
		result = sx_vmx_exit(&w.vmx, &w.l2, &exit, &w.l1);
		assert_true(result.outcome == SX_VMX_SUCCEED || result.outcome == SX_VMX_ABORTED);
	}
}

static void areas_without_memory(void **state)
{
	const struct sx_vmx_exit exit = {.reason = SX_VMEXIT_CPUID};
	const uint64_t nowhere = UINT64_C(0xff00000000);

	(void)state;
	world_init_current(&w);
	set_field(&w, SX_VMCS_ENTRY_MSR_LOAD_ADDR, nowhere);
	assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2).outcome, SX_VMX_ENTRY_FAILED);
	assert_int_equal(field(&w, SX_VMCS_EXIT_QUALIFICATION), 1);
	world_init_current(&w);
	set_field(&w, SX_VMCS_EXIT_MSR_STORE_ADDR, nowhere);
	assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2).outcome, SX_VMX_ENTERED);
	assert_int_equal(sx_vmx_exit(&w.vmx, &w.l2, &exit, &w.l1).error, SX_ABORT_SAVE_MSR);
	world_init_current(&w);
	set_field(&w, SX_VMCS_EXIT_MSR_LOAD_ADDR, nowhere);
	assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2).outcome, SX_VMX_ENTERED);
	assert_int_equal(sx_vmx_exit(&w.vmx, &w.l2, &exit, &w.l1).error, SX_ABORT_LOAD_MSR);
}

static void the_vmxon_region_as_vmcs(void **state)
{
	(void)state;
	world_init_current(&w);
	w.vmx.vmxon_pointer = AT_VMCS;
	assert_int_equal(sx_vmx_vmptrld(&w.vmx, &w.l1, AT_VMCS).error, SX_VMERR_VMPTRLD_VMXON);
	assert_int_equal(sx_vmx_vmclear(&w.vmx, &w.l1, AT_VMCS).error, SX_VMERR_VMCLEAR_VMXON);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_thousand_random_vmcs12s),
		cmocka_unit_test(pages_of_noise),
		cmocka_unit_test(each_word_is_read_once),
		cmocka_unit_test(regions_that_overlap),
		cmocka_unit_test(areas_without_memory),
		cmocka_unit_test(the_vmxon_region_as_vmcs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
