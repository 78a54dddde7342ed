// SPDX-License-Identifier: BSD-3-Clause
/* Capability MSRs, the field table and the VMCS12 layout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_vmx_world.h"

static uint64_t msr(const struct sx_vmx_caps *caps, uint32_t index)
{
	uint64_t value = 0xdead;

	assert_int_equal(sx_vmx_caps_msr(caps, index, &value), 0);
	return value;
}

static void all(struct sx_vmx_caps *caps)
{
	sx_vmx_caps_all(caps, 40, 0x3727ff);
	sx_vmx_caps_settle(caps);
}

/* What Linux 6.1's setup_vmcs_config() insists on, by SDM bit numbers. */
static void linux_finds_what_it_requires(void **state)
{
	const uint32_t pin = 1u << 0 | 1u << 3;
	const uint32_t cpu = 1u << 3 | 1u << 7 | 1u << 9 | 1u << 10 | 1u << 11 | 1u << 15 |
			     1u << 16 | 1u << 19 | 1u << 20 | 1u << 23 | 1u << 24 | 1u << 29;
	const uint32_t exit = 1u << 2 | 1u << 9 | 1u << 15, entry = 1u << 2;
	struct sx_vmx_caps caps;
	uint64_t basic;

	(void)state;
	all(&caps);
	basic = msr(&caps, 0x480);
	assert_int_equal(basic & 0x80000000u, 0);
	assert_int_equal(basic >> 32 & 0x1fff, 4096);
	assert_int_equal(basic >> 48 & 1, 0);  /* 64-bit physical addresses */
	assert_int_equal(basic >> 50 & 15, 6); /* write-back */
	assert_int_equal(basic >> 55 & 1, 1);  /* TRUE MSRs */
	assert_int_equal(msr(&caps, 0x481) >> 32 & pin, pin);
	assert_int_equal(msr(&caps, 0x482) >> 32 & cpu, cpu);
	assert_int_equal(msr(&caps, 0x483) >> 32 & exit, exit);
	assert_int_equal(msr(&caps, 0x484) >> 32 & entry, entry);
}

static void must_be_one_is_allowed_to_be_one(void **state)
{
	static const uint32_t words[] = {0x481, 0x482, 0x483, 0x484, 0x48b,
					 0x48d, 0x48e, 0x48f, 0x490};
	struct sx_vmx_caps caps;

	(void)state;
	all(&caps);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		uint64_t value = msr(&caps, words[i]);

		assert_int_equal((uint32_t)value & ~(value >> 32), 0);
	}
	assert_int_equal((uint32_t)msr(&caps, 0x481), 0x16); /* the default1 classes: A.3 to A.5 */
	assert_int_equal((uint32_t)msr(&caps, 0x482), 0x0401e172);
	assert_int_equal((uint32_t)msr(&caps, 0x48e), 0x04006172);
	assert_int_equal((uint32_t)msr(&caps, 0x48f), 0x00036dfb);
	assert_int_equal((uint32_t)msr(&caps, 0x490), 0x000011fb);
}

/* Each MSR as L1 reads it when a back end takes nothing away. */
static void the_full_offer(void **state)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	} msrs[] = {
		{0x480, UINT64_C(0x00d8100053580001)}, {0x481, UINT64_C(0x0000007f00000016)},
		{0x482, UINT64_C(0xfff9fffe0401e172)}, {0x483, UINT64_C(0x007fffff00036dff)},
		{0x484, UINT64_C(0x0000f3ff000011ff)}, {0x485, UINT64_C(0x00000000600401e5)},
		{0x48b, UINT64_C(0x02137cee00000000)}, {0x48d, UINT64_C(0x0000007f00000016)},
		{0x48e, UINT64_C(0xfff9fffe04006172)}, {0x48f, UINT64_C(0x007fffff00036dfb)},
		{0x490, UINT64_C(0x0000f3ff000011fb)}, {0x491, 1},
	};
	struct sx_vmx_caps caps;

	(void)state;
	all(&caps);
	for (size_t i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		assert_int_equal(msr(&caps, msrs[i].index), msrs[i].value);
}

static void fixed_bits_and_misc(void **state)
{
	struct sx_vmx_caps caps;

	(void)state;
	all(&caps);
	assert_int_equal(msr(&caps, 0x486), 0x80000021);
	assert_int_equal(msr(&caps, 0x487), 0xffffffff);
	assert_int_equal(msr(&caps, 0x488), 0x2000);
	assert_int_equal(msr(&caps, 0x489), 0x3727ff);
	assert_int_equal(msr(&caps, 0x485) >> 16 & 0x1ff, 4);
	assert_int_equal(msr(&caps, 0x485) >> 6 & 7, 7);
	assert_int_equal(msr(&caps, 0x485) >> 29 & 1, 1);
	assert_int_equal(msr(&caps, 0x48a) >> 1, 25); /* 2032H, the TSC multiplier */
	assert_int_equal(msr(&caps, 0x48c), UINT64_C(0x00000f0106334141));
}

/* A back end that removes a control removes what hangs on it, and the MSRs that describe it. */
static void removing_ept_removes_what_needs_it(void **state)
{
	struct sx_vmx_caps caps;
	uint64_t value;

	(void)state;
	all(&caps);
	caps.cpu2 &= ~SX_CPU2_EPT;
	sx_vmx_caps_settle(&caps);
	assert_int_equal(caps.cpu2 & (SX_CPU2_UNRESTRICTED | SX_CPU2_PML | SX_CPU2_VMFUNC), 0);
	assert_int_equal(sx_vmx_caps_msr(&caps, 0x491, &value), -ENOENT);
	assert_int_equal(msr(&caps, 0x48c), UINT64_C(0x00000f0100000000));
	assert_false(sx_vmcs_field_exists(&caps, SX_VMCS_EPTP));
	assert_false(sx_vmcs_field_exists(&caps, SX_VMCS_GUEST_PML_INDEX));
	assert_true(sx_vmcs_field_exists(&caps, SX_VMCS_VPID));
	caps.cpu2 &= ~SX_CPU2_VPID;
	sx_vmx_caps_settle(&caps);
	assert_int_equal(sx_vmx_caps_msr(&caps, 0x48c, &value), -ENOENT);
}

static void removing_the_secondary_word(void **state)
{
	struct sx_vmx_caps caps;
	uint64_t value;

	(void)state;
	all(&caps);
	caps.cpu &= ~SX_CPU_SECONDARY;
	sx_vmx_caps_settle(&caps);
	assert_int_equal(caps.cpu2, 0);
	assert_int_equal(sx_vmx_caps_msr(&caps, 0x48b, &value), -ENOENT);
	assert_int_equal(sx_vmx_caps_msr(&caps, 0x48c, &value), -ENOENT);
	assert_false(sx_vmcs_field_exists(&caps, SX_VMCS_CPU2_CONTROLS));
}

static void chains_of_needs(void **state)
{
	struct sx_vmx_caps caps;

	(void)state;
	all(&caps);
	caps.pin &= ~(SX_PIN_NMI | SX_PIN_PREEMPTION_TIMER);
	caps.cpu &= ~SX_CPU_TSC_OFFSET;
	caps.ept_vpid &= ~SX_EPTCAP_AD;
	sx_vmx_caps_settle(&caps);
	assert_int_equal(caps.pin & SX_PIN_VIRTUAL_NMIS, 0);
	assert_int_equal(caps.cpu & SX_CPU_NMI_WINDOW, 0);
	assert_int_equal(caps.exit & SX_EXITC_SAVE_TIMER, 0);
	assert_int_equal(caps.cpu2 & (SX_CPU2_TSC_SCALING | SX_CPU2_PML), 0);
	assert_int_not_equal(caps.cpu2 & SX_CPU2_EPT, 0);
}

/* The default1 controls are always allowed to be 1, whatever a back end says: A.2. */
static void what_the_engine_lacks_is_never_offered(void **state)
{
	struct sx_vmx_caps caps;

	(void)state;
	all(&caps);
	caps.pin = caps.cpu = caps.cpu2 = caps.exit = caps.entry = UINT32_MAX;
	caps.ept_vpid = caps.vmfunc = UINT64_MAX;
	sx_vmx_caps_settle(&caps);
	assert_int_equal(caps.pin & 1u << 7, 0);   /* posted interrupts */
	assert_int_equal(caps.cpu2 & 1u << 9, 0);  /* virtual-interrupt delivery */
	assert_int_equal(caps.cpu2 & 1u << 18, 0); /* EPT-violation #VE */
	assert_int_equal(caps.entry & 1u << 10, 0);
	caps.cpu = 0;
	caps.exit = 0;
	sx_vmx_caps_settle(&caps);
	assert_int_equal(caps.cpu, SX_CPU_CR3_LOAD | SX_CPU_CR3_STORE);
	assert_int_equal(caps.exit, SX_EXITC_SAVE_DEBUG);
}

static void feature_control(void **state)
{
	static struct world w;
	uint64_t value;

	(void)state;
	world_init(&w);
	sx_vmx_reset(&w.vmx);
	assert_int_equal(sx_vmx_wrmsr(&w.vmx, 0x3a, 0x100), -EINVAL);
	assert_int_equal(sx_vmx_wrmsr(&w.vmx, 0x3a, 4), 0);
	assert_int_equal(sx_vmx_wrmsr(&w.vmx, 0x3a, 5), 0);
	assert_int_equal(sx_vmx_wrmsr(&w.vmx, 0x3a, 5), -EINVAL); /* locked */
	assert_int_equal(sx_vmx_rdmsr(&w.vmx, 0x3a, &value), 0);
	assert_int_equal(value, 5);
	assert_int_equal(sx_vmx_wrmsr(&w.vmx, 0x480, 0), -EINVAL);
	assert_int_equal(sx_vmx_caps_msr(&w.vmx.caps, 0x492, &value), -ENOENT);
	assert_int_equal(sx_vmx_wrmsr(&w.vmx, 0x491, 0), -EINVAL);
	assert_int_equal(sx_vmx_wrmsr(&w.vmx, 0x492, 0), -ENOENT);
	assert_int_equal(sx_vmx_wrmsr(&w.vmx, 0x47f, 0), -ENOENT);
	assert_int_equal(sx_vmx_rdmsr(&w.vmx, 0x491, &value), 0);
	assert_int_equal(value, 1);
	w.vmx.caps.cpu2 &= ~SX_CPU2_VMFUNC;
	assert_int_equal(sx_vmx_rdmsr(&w.vmx, 0x491, &value), -EINVAL);
	assert_int_equal(sx_vmx_rdmsr(&w.vmx, 0x492, &value), -ENOENT);
	assert_int_equal(sx_vmx_rdmsr(&w.vmx, 0x10, &value), -ENOENT);
	sx_vmx_reset(&w.vmx);
	assert_int_equal(sx_vmx_rdmsr(&w.vmx, 0x3a, &value), 0);
	assert_int_equal(value, 0);
}

/* The layout is a contract with code in L1: these numbers change only with the revision. */
static void layout_is_pinned(void **state)
{
	(void)state;
	assert_int_equal(SX_VMCS12_REVISION, 0x53580001);
	assert_int_equal(SX_VMCS_OFFSET(SX_VMCS_VPID), 64);
	assert_int_equal(SX_VMCS_OFFSET(SX_VMCS_IO_BITMAP_A), 64 + 8 * 31);
	assert_int_equal(SX_VMCS_OFFSET(SX_VMCS_PIN_CONTROLS), 64 + 8 * 62);
	assert_int_equal(SX_VMCS_OFFSET(SX_VMCS_EXIT_REASON), 64 + 8 * (31 * 6 + 1));
	assert_int_equal(SX_VMCS_OFFSET(SX_VMCS_GUEST_RIP), 64 + 8 * (31 * 11 + 15));
	assert_int_equal(SX_VMCS_OFFSET(SX_VMCS_HOST_RIP), 64 + 8 * (31 * 15 + 11));
	assert_int_equal(offsetof(struct sx_vmcs12, launched), 8);
}

static void slots_are_distinct(void **state)
{
	bool used[SX_VMCS12_SLOTS] = {false};
	unsigned count = 0;

	(void)state;
	for (int enc; (enc = sx_vmcs_field_nth(count)) >= 0; count++) {
		int slot = sx_vmcs12_slot((uint64_t)enc);

		assert_true(slot >= 0 && slot < SX_VMCS12_SLOTS);
		assert_false(used[slot]);
		assert_non_null(sx_vmcs_field_name((uint64_t)enc));
		used[slot] = true;
	}
	assert_true(count > 140);
}

static void bad_encodings_have_no_slot(void **state)
{
	struct sx_vmx_caps caps;

	(void)state;
	all(&caps);
	assert_int_equal(sx_vmcs12_slot(0x1000), -1); /* bit 12 */
	assert_int_equal(sx_vmcs12_slot(0x8000), -1); /* bit 15 */
	assert_int_equal(sx_vmcs12_slot(UINT64_C(1) << 63 | 0x681e), -1);
	assert_int_equal(sx_vmcs12_slot(0x681f), -1); /* high half of a natural field */
	assert_int_equal(sx_vmcs12_slot(0x0801), -1); /* of a 16-bit field */
	assert_int_equal(sx_vmcs12_slot(0x203e), -1); /* index 31 */
	assert_true(sx_vmcs12_slot(0x2001) >= 0);
	assert_false(sx_vmcs_field_exists(&caps, 0x0002)); /* posted-interrupt vector */
	assert_null(sx_vmcs_field_name(0x0002));
	assert_null(sx_vmcs_field_name(0x8000));
}

static void bitmap_agrees_with_the_table(void **state)
{
	uint64_t bitmap[SX_VMCS12_BITMAP_WORDS];
	struct sx_vmx_caps caps;

	(void)state;
	all(&caps);
	caps.cpu2 &= ~SX_CPU2_PML;
	sx_vmcs12_bitmap(&caps, bitmap);
	for (uint64_t enc = 0; enc < 0x8000; enc += 2) {
		int slot = sx_vmcs12_slot(enc);

		if (slot >= 0)
			assert_int_equal(bitmap[slot / 64] >> (slot % 64) & 1,
					 sx_vmcs_field_exists(&caps, enc));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_finds_what_it_requires),
		cmocka_unit_test(must_be_one_is_allowed_to_be_one),
		cmocka_unit_test(the_full_offer),
		cmocka_unit_test(fixed_bits_and_misc),
		cmocka_unit_test(removing_ept_removes_what_needs_it),
		cmocka_unit_test(removing_the_secondary_word),
		cmocka_unit_test(chains_of_needs),
		cmocka_unit_test(what_the_engine_lacks_is_never_offered),
		cmocka_unit_test(feature_control),
		cmocka_unit_test(layout_is_pinned),
		cmocka_unit_test(slots_are_distinct),
		cmocka_unit_test(bad_encodings_have_no_slot),
		cmocka_unit_test(bitmap_agrees_with_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
