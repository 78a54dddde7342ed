// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a guest's CPUID says, from tables such as KVM gives on Intel's and on AMD's processors; and
 * the shapes of plans that go into it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "guestcore/cpuid.h"
#include "ipc/wire/vmx_line.h"
#include "tests/support/placement.h"

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static void add(struct sx_cpuid *c, struct kvm_cpuid_entry2 e)
{
	c->table->entries[c->table->nent++] = e;
}

static void make(struct sx_cpuid *c)
{
	c->table = calloc(1, sizeof(*c->table) + SX_CPUID_MAX * sizeof(c->table->entries[0]));
	assert_non_null(c->table);
}

/* A cache: its type and level in EAX, shared and counted as on some host. */
static struct kvm_cpuid_entry2 cache(uint32_t leaf, uint32_t index, uint32_t type, uint32_t level)
{
	return (struct kvm_cpuid_entry2){.function = leaf,
					 .index = index,
					 .flags = INDEXED,
					 .eax = 0xfc1fc100u | level << 5 | type,
					 .ebx = 0x01c0003f,
					 .ecx = 63};
}

static void make_intel(struct sx_cpuid *c)
{
	make(c);
	add(c, (struct kvm_cpuid_entry2){.function = 0, .eax = 0x1f});
	add(c, (struct kvm_cpuid_entry2){.function = 1,
					 .eax = 0x506e3,
					 .ebx = 0x77100800,
					 .ecx = 1u << 5 | 1u << 0,
					 .edx = 1u << 28 | 1});
	add(c, cache(4, 0, 1, 1));
	add(c, cache(4, 1, 2, 1));
	add(c, cache(4, 2, 3, 2));
	add(c, cache(4, 3, 3, 3));
	add(c, (struct kvm_cpuid_entry2){.function = 4, .index = 4, .flags = INDEXED});
	for (uint32_t i = 0; i < 4; i++)
		add(c, (struct kvm_cpuid_entry2){
			       .function = 0xb, .index = i, .flags = INDEXED, .ebx = 99});
	add(c, (struct kvm_cpuid_entry2){.function = 0x40000001, .eax = 0xff, .edx = 1});
	add(c, (struct kvm_cpuid_entry2){.function = 0x80000000, .eax = 0x80000008});
	add(c, (struct kvm_cpuid_entry2){.function = 0x80000001, .ecx = 1});
	add(c, (struct kvm_cpuid_entry2){.function = 0x80000008, .eax = 0x302e});
}

static void make_amd(struct sx_cpuid *c)
{
	make(c);
	add(c, (struct kvm_cpuid_entry2){.function = 0, .eax = 0xd});
	add(c, (struct kvm_cpuid_entry2){.function = 1, .eax = 0xa00f11, .edx = 1u << 28});
	add(c, (struct kvm_cpuid_entry2){.function = 0x80000000, .eax = 0x8000001f});
	add(c, (struct kvm_cpuid_entry2){.function = 0x80000001, .ecx = 1u << 2 | 1u << 22 | 2});
	add(c, (struct kvm_cpuid_entry2){.function = 0x80000008, .eax = 0x3030, .ecx = 0x703f});
	add(c, (struct kvm_cpuid_entry2){.function = 0x8000000a, .eax = 1});
	add(c, cache(0x8000001d, 0, 1, 1));
	add(c, cache(0x8000001d, 1, 3, 3));
	add(c, (struct kvm_cpuid_entry2){
		       .function = 0x8000001e, .eax = 55, .ebx = 0x155, .ecx = 0x703});
}

static struct sx_cpuid_config shape(unsigned vcpus, unsigned core, unsigned l3, unsigned package)
{
	return (struct sx_cpuid_config){.shape = {vcpus, core, l3, package}};
}

static struct kvm_cpuid_entry2 *want(struct sx_cpuid *c, uint32_t leaf, uint32_t index)
{
	struct kvm_cpuid_entry2 *e = sx_cpuid_find(c, leaf, index);

	assert_non_null(e);
	return e;
}

static void a_guest_knows_its_hypervisor_and_its_apic(void **state)
{
	struct sx_cpuid_config config = shape(1, 1, 1, 1);
	struct sx_cpuid c;

	(void)state;
	make_intel(&c);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_true(want(&c, 1, 0)->ecx & 1u << 31);
	assert_true(want(&c, 1, 0)->ecx & 1u << 21);
	assert_true(want(&c, 1, 0)->ecx & 1);
	assert_false(want(&c, 1, 0)->ecx & 1u << 24);
	assert_int_equal(want(&c, 1, 0)->eax, 0x506e3);
	config.tsc_deadline = true;
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_true(want(&c, 1, 0)->ecx & 1u << 24);
	sx_cpuid_free(&c);
}

static void vmx_and_svm_are_shown_only_when_asked_for(void **state)
{
	struct sx_cpuid_config config = shape(1, 1, 1, 1);
	struct sx_cpuid c;

	(void)state;
	config.nested = true;
	make_intel(&c);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_true(want(&c, 1, 0)->ecx & 1u << 5);
	assert_int_equal(sx_cpuid_nesting(&c), SX_NESTING_VMX);
	config.nested = false;
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_false(want(&c, 1, 0)->ecx & 1u << 5);
	assert_int_equal(sx_cpuid_nesting(&c), SX_NESTING_NONE);
	sx_cpuid_free(&c);
	config.nested = true;
	make_amd(&c);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_true(want(&c, 0x80000001, 0)->ecx & 1u << 2);
	want(&c, 0x8000000a, 0);
	assert_int_equal(sx_cpuid_nesting(&c), SX_NESTING_SVM);
	config.nested = false;
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_int_equal(sx_cpuid_nesting(&c), SX_NESTING_NONE);
	assert_false(want(&c, 0x80000001, 0)->ecx & 1u << 2);
	assert_null(sx_cpuid_find(&c, 0x8000000a, 0));
	sx_cpuid_free(&c);
}

static void expect_lines(struct sx_cpuid *c)
{
	const struct kvm_cpuid_entry2 *signature = want(c, 0x40000100, 0);
	const struct kvm_cpuid_entry2 *place = want(c, 0x40000101, 0);

	assert_int_equal(signature->eax, 0x40000101);
	assert_memory_equal(&signature->ebx, "splitxsplitx", 12);
	assert_int_equal(place->eax, SX_WIRE_VERSION);
	assert_int_equal(place->ebx, 3);
	assert_int_equal(place->ecx, 0xe0200000);
	assert_int_equal(place->edx, 7);
}

static void with_lines_an_amd_host_shows_an_intel_with_vmx(void **state)
{
	struct sx_cpuid_config config = shape(4, 2, 4, 4);
	struct sx_cpuid c;

	(void)state;
	config.lines = (struct sx_cpuid_lines){0x7e0200000, 3};
	make_amd(&c);
	add(&c, (struct kvm_cpuid_entry2){.function = 0x40000001, .eax = 0xffffffff});
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_memory_equal(&want(&c, 0, 0)->ebx, "Genu", 4);
	assert_memory_equal(&want(&c, 0, 0)->edx, "ineI", 4);
	assert_memory_equal(&want(&c, 0, 0)->ecx, "ntel", 4);
	assert_int_equal(want(&c, 0, 0)->eax, 0xd);
	assert_int_equal(want(&c, 1, 0)->eax, 0x506e3);
	assert_true(want(&c, 1, 0)->ecx & 1u << 5);
	/* Nothing that only AMD has. */
	assert_int_equal(want(&c, 0x80000000, 0)->eax, 0x80000008);
	assert_int_equal(want(&c, 0x80000001, 0)->ecx & ~0x121u, 0);
	assert_int_equal(want(&c, 0x80000008, 0)->ecx, 0);
	/* And no hypercall, whose instruction is the other one. */
	assert_int_equal(want(&c, 0x40000001, 0)->eax,
			 0xffffffff & ~(1u << 7 | 5u << 11 | 1u << 16));
	assert_null(sx_cpuid_find(&c, 0x8000000a, 0));
	assert_null(sx_cpuid_find(&c, 0x8000001d, 0));
	assert_null(sx_cpuid_find(&c, 0x8000001e, 0));
	/* Its caches are told the other way, with the guest's sharers: 2 of the first level. */
	assert_int_equal(want(&c, 4, 0)->eax >> 14 & 0xfff, 1);
	assert_int_equal(want(&c, 4, 1)->eax >> 14 & 0xfff, 3);
	expect_lines(&c);
	sx_cpuid_free(&c);
}

static void with_lines_an_intel_host_stays_what_it_is(void **state)
{
	struct sx_cpuid_config config = shape(1, 1, 1, 1);
	struct sx_cpuid c;

	(void)state;
	config.lines = (struct sx_cpuid_lines){0x7e0200000, 3};
	make_intel(&c);
	sx_cpuid_find(&c, 0, 0)->ebx = 0x756e6547;
	sx_cpuid_find(&c, 1, 0)->eax = 0x806f8;
	sx_cpuid_find(&c, 1, 0)->ecx &= ~(1u << 5);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_int_equal(want(&c, 1, 0)->eax, 0x806f8);
	assert_true(want(&c, 1, 0)->ecx & 1u << 5);
	expect_lines(&c);
	sx_cpuid_free(&c);
}

static void without_lines_there_is_no_leaf_of_ours(void **state)
{
	struct sx_cpuid_config config = shape(1, 1, 1, 1);
	struct sx_cpuid c;

	(void)state;
	make_amd(&c);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_null(sx_cpuid_find(&c, 0x40000100, 0));
	assert_int_equal(want(&c, 0, 0)->ebx, 0);
	assert_false(want(&c, 1, 0)->ecx & 1u << 5);
	sx_cpuid_free(&c);
}

static void a_table_without_room_for_lines_is_refused(void **state)
{
	struct sx_cpuid_config config = shape(1, 1, 1, 1);
	struct sx_cpuid c;

	(void)state;
	config.lines = (struct sx_cpuid_lines){0x7e0200000, 3};
	make_intel(&c);
	while (c.table->nent < SX_CPUID_MAX)
		add(&c, (struct kvm_cpuid_entry2){.function = 0x40000002});
	assert_int_equal(sx_cpuid_shape(&c, &config), -ENOSPC);
	sx_cpuid_free(&c);
}

static void only_dedicated_cores_are_called_so(void **state)
{
	struct sx_cpuid_config config = shape(1, 1, 1, 1);
	struct sx_cpuid c;

	(void)state;
	make_intel(&c);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_int_equal(want(&c, 0x40000001, 0)->edx, 0);
	config.dedicated = true;
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_int_equal(want(&c, 0x40000001, 0)->edx, 1);
	assert_int_equal(want(&c, 0x40000001, 0)->eax, 0xff);
	sx_cpuid_free(&c);
}

/* 2 packages of 4 vCPUs, 2 caches in each, 2 threads a core. */
static void intels_topology_is_told_in_leaf_b_and_1f(void **state)
{
	const struct sx_cpuid_config config = shape(8, 2, 4, 4);
	static const uint32_t leaf[] = {0xb, 0x1f};
	struct sx_cpuid c;

	(void)state;
	make_intel(&c);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	sx_cpuid_number(&c, &config, 5);
	for (unsigned i = 0; i < 2; i++) {
		const struct kvm_cpuid_entry2 *threads = want(&c, leaf[i], 0);
		const struct kvm_cpuid_entry2 *cores = want(&c, leaf[i], 1);
		const struct kvm_cpuid_entry2 *end = want(&c, leaf[i], 2);

		assert_int_equal(threads->eax, 1);
		assert_int_equal(threads->ebx, 2);
		assert_int_equal(threads->ecx, 0x100);
		assert_int_equal(cores->eax, 2);
		assert_int_equal(cores->ebx, 4);
		assert_int_equal(cores->ecx, 0x201);
		assert_int_equal(end->ebx, 0);
		assert_int_equal(end->ecx, 2);
		assert_int_equal(threads->edx, 5);
		assert_int_equal(cores->edx, 5);
		assert_int_equal(end->edx, 5);
		assert_null(sx_cpuid_find(&c, leaf[i], 3));
	}
	sx_cpuid_free(&c);
}

static void leaves_beyond_the_highest_are_not_added(void **state)
{
	const struct sx_cpuid_config config = shape(2, 1, 2, 2);
	struct sx_cpuid c;

	(void)state;
	make_intel(&c);
	want(&c, 0, 0)->eax = 0xb;
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	want(&c, 0xb, 0);
	assert_null(sx_cpuid_find(&c, 0x1f, 0));
	want(&c, 0, 0)->eax = 0xa;
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_null(sx_cpuid_find(&c, 0xb, 0));
	sx_cpuid_free(&c);
}

static void leaf_1_counts_the_package_and_names_the_vcpu(void **state)
{
	struct sx_cpuid_config config = shape(6, 1, 6, 6);
	struct sx_cpuid c;

	(void)state;
	make_intel(&c);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	sx_cpuid_number(&c, &config, 5);
	/* 6 take 8 IDs; CLFLUSH size and brand stay. */
	assert_int_equal(want(&c, 1, 0)->ebx, 0x05080800);
	assert_true(want(&c, 1, 0)->edx & 1u << 28);
	config = shape(1, 1, 1, 1);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	sx_cpuid_number(&c, &config, 0);
	assert_int_equal(want(&c, 1, 0)->ebx, 0x00010800);
	assert_false(want(&c, 1, 0)->edx & 1u << 28);
	sx_cpuid_free(&c);
}

static uint32_t sharing(struct sx_cpuid *c, uint32_t leaf, uint32_t index)
{
	return (want(c, leaf, index)->eax >> 14 & 0xfff) + 1;
}

static void caches_are_shared_as_the_plan_says(void **state)
{
	const struct sx_cpuid_config config = shape(16, 2, 4, 8);
	struct sx_cpuid c;

	(void)state;
	make_intel(&c);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_int_equal(sharing(&c, 4, 0), 2);
	assert_int_equal(sharing(&c, 4, 2), 2);
	assert_int_equal(sharing(&c, 4, 3), 4);
	assert_int_equal(want(&c, 4, 3)->eax >> 26, 4 - 1); /* cores of a package less one */
	assert_int_equal(want(&c, 4, 3)->eax & 0x3fff, 0x163);
	assert_int_equal(want(&c, 4, 4)->eax, 0); /* there are no more */
	sx_cpuid_free(&c);
	make_amd(&c);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_int_equal(sharing(&c, 0x8000001d, 0), 2);
	assert_int_equal(sharing(&c, 0x8000001d, 1), 4);
	assert_int_equal(want(&c, 0x8000001d, 1)->eax >> 26, 0);
	sx_cpuid_free(&c);
}

static void amds_topology_is_told_in_its_own_leaves(void **state)
{
	const struct sx_cpuid_config config = shape(16, 2, 4, 8);
	struct sx_cpuid c;

	(void)state;
	make_amd(&c);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	sx_cpuid_number(&c, &config, 13);
	assert_int_equal(want(&c, 0x80000008, 0)->ecx, 0x3007);
	assert_int_equal(want(&c, 0x80000008, 0)->eax, 0x3030);
	assert_int_equal(want(&c, 0x8000001e, 0)->eax, 13);
	assert_int_equal(want(&c, 0x8000001e, 0)->ebx, 0x106);
	assert_int_equal(want(&c, 0x8000001e, 0)->ecx, 0);
	assert_int_equal(want(&c, 0x80000001, 0)->ecx, 1u << 22 | 2);
	sx_cpuid_free(&c);
}

static void one_amd_cpu_is_no_multiprocessor(void **state)
{
	const struct sx_cpuid_config config = shape(1, 1, 1, 1);
	struct sx_cpuid c;

	(void)state;
	make_amd(&c);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_int_equal(want(&c, 0x80000001, 0)->ecx, 1u << 22);
	assert_int_equal(want(&c, 0x80000008, 0)->ecx, 0);
	sx_cpuid_free(&c);
}

static void intels_reserved_registers_stay(void **state)
{
	const struct sx_cpuid_config config = shape(8, 2, 4, 4);
	struct sx_cpuid c;

	(void)state;
	make_intel(&c);
	assert_int_equal(sx_cpuid_shape(&c, &config), 0);
	assert_int_equal(want(&c, 0x80000008, 0)->ecx, 0);
	assert_int_equal(want(&c, 0x80000001, 0)->ecx, 1);
	sx_cpuid_free(&c);
}

static void physical_bits_are_the_processors(void **state)
{
	struct sx_cpuid c;

	(void)state;
	make_intel(&c);
	assert_int_equal(sx_cpuid_physical_bits(&c), 46);
	want(&c, 0x80000008, 0)->eax = 0;
	assert_int_equal(sx_cpuid_physical_bits(&c), 36);
	sx_cpuid_free(&c);
	make(&c);
	assert_int_equal(sx_cpuid_physical_bits(&c), 36);
	sx_cpuid_free(&c);
}

static void a_full_table_is_refused(void **state)
{
	const struct sx_cpuid_config config = shape(1, 1, 1, 1);
	struct sx_cpuid c;

	(void)state;
	make_intel(&c);
	while (c.table->nent < SX_CPUID_MAX)
		add(&c, (struct kvm_cpuid_entry2){.function = 0x40000010});
	assert_int_equal(sx_cpuid_shape(&c, &config), -ENOSPC);
	assert_int_equal(c.table->nent, SX_CPUID_MAX);
	sx_cpuid_free(&c);
}

/* ---- shapes of plans ---- */

static void want_shape(const char *topology, const char *cores, unsigned vcpus, unsigned core,
		       unsigned l3, unsigned package)
{
	const struct sx_placement_request req = {
		.guest_cores = cores, .n_guest = vcpus, .topology = topology, .allow_smt = true};
	struct sx_placement *p = want_plan(&req);
	struct sx_cpu_shape s = sx_placement_shape(p);

	assert_int_equal(s.vcpus, sx_placement_vcpus(p));
	assert_int_equal(s.per_core, core);
	assert_int_equal(s.per_cache, l3);
	assert_int_equal(s.per_package, package);
	sx_placement_free(p);
}

/* CPUs are numbered in order: 2 packages of 2 caches of 2 cores of 2 threads. */
#define HOST "pack:2 l3:2 core:2 pu:2"

static void regular_plans_keep_their_shape(void **state)
{
	(void)state;
	want_shape(HOST, "0-15", 0, 2, 4, 8);
	want_shape(HOST, "0-7", 0, 2, 4, 8);
	want_shape(HOST, "0,2,4,6,8,10,12,14", 0, 1, 2, 4);
	want_shape(HOST, "0,1,4,5", 0, 2, 2, 4);
	want_shape(HOST, "3", 0, 1, 1, 1);
	want_shape(HOST, "0-4", 0, 2, 4, 5); /* the last groups may be smaller */
}

static void irregular_plans_are_told_as_plain_ones(void **state)
{
	(void)state;
	want_shape(HOST, "0,2,1,3", 0, 1, 4, 4);             /* threads of a core are apart */
	want_shape(HOST, "0,2,3,4", 0, 1, 4, 4);             /* 1, then 2 threads */
	want_shape(HOST, "0,8,1,9", 0, 1, 4, 4);             /* packages in turn */
	want_shape(HOST, "0,2,4,8,10,12", 0, 1, 6, 6);       /* caches of 2 and 1 */
	want_shape("pack:2 core:3 pu:1", "0-5", 0, 1, 6, 6); /* 3 in a package */
}

static void vcpus_that_share_cores_have_none_in_common(void **state)
{
	(void)state;
	want_shape(HOST, "0,1", 4, 1, 4, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_knows_its_hypervisor_and_its_apic),
		cmocka_unit_test(vmx_and_svm_are_shown_only_when_asked_for),
		cmocka_unit_test(with_lines_an_amd_host_shows_an_intel_with_vmx),
		cmocka_unit_test(with_lines_an_intel_host_stays_what_it_is),
		cmocka_unit_test(without_lines_there_is_no_leaf_of_ours),
		cmocka_unit_test(a_table_without_room_for_lines_is_refused),
		cmocka_unit_test(only_dedicated_cores_are_called_so),
		cmocka_unit_test(intels_topology_is_told_in_leaf_b_and_1f),
		cmocka_unit_test(leaves_beyond_the_highest_are_not_added),
		cmocka_unit_test(leaf_1_counts_the_package_and_names_the_vcpu),
		cmocka_unit_test(caches_are_shared_as_the_plan_says),
		cmocka_unit_test(amds_topology_is_told_in_its_own_leaves),
		cmocka_unit_test(one_amd_cpu_is_no_multiprocessor),
		cmocka_unit_test(intels_reserved_registers_stay),
		cmocka_unit_test(physical_bits_are_the_processors),
		cmocka_unit_test(a_full_table_is_refused),
		cmocka_unit_test(regular_plans_keep_their_shape),
		cmocka_unit_test(irregular_plans_are_told_as_plain_ones),
		cmocka_unit_test(vcpus_that_share_cores_have_none_in_common),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
