// SPDX-License-Identifier: BSD-3-Clause
/* Which leaves are asked for, what is kept of the answers, and that it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nested/l2_cpuid.h"

/* What the processor of a case says; other leaves and subleaves are zeros. */
struct says {
	uint32_t leaf, subleaf;
	uint32_t regs[4]; /* EAX, EBX, ECX, EDX */
};

static struct sx_l2_cpuid c;

/* Answer to the end; returns how many questions there were. */
static unsigned ask_all(const struct says *says, size_t count)
{
	static const uint32_t nothing[4];
	unsigned questions = 0;

	sx_l2_cpuid_begin(&c);
	for (; !c.done; questions++) {
		const uint32_t *regs = nothing;

		assert_true(questions < 2 * SX_L2_CPUID_MAX);
		for (size_t i = 0; i < count; i++)
			if (says[i].leaf == c.leaf && says[i].subleaf == c.subleaf)
				regs = says[i].regs;
		sx_l2_cpuid_answer(&c, regs);
	}
	return questions;
}

#define ASK(says) ask_all(says, sizeof(says) / sizeof((says)[0]))

static unsigned subleaves(uint32_t leaf)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < c.table.nent; i++)
		n += c.entry[i].function == leaf;
	return n;
}

static void leaves_of_each_range(void **state)
{
	static const struct says says[] = {
		{0x0, 0, {0x3, 'a', 'b', 'c'}},         {0x1, 0, {1, 2, 3, 4}},
		{0x40000000, 0, {0x40000001, 5, 6, 7}}, {0x40000001, 0, {8, 0, 0, 9}},
		{0x80000000, 0, {0x80000008, 0, 0, 0}}, {0x80000008, 0, {0x3028, 0, 0, 0}},
	};
	const struct kvm_cpuid_entry2 *e;

	(void)state;
	/* 4 + 2 + 9 leaves, and the range at 40000100H that is not there. */
	assert_int_equal(ASK(says), 16);
	assert_int_equal(c.table.nent, 15);
	e = sx_l2_cpuid_find(&c, 1, 0);
	assert_non_null(e);
	assert_int_equal(e->eax, 1);
	assert_int_equal(e->ebx, 2);
	assert_int_equal(e->ecx, 3);
	assert_int_equal(e->edx, 4);
	assert_int_equal(e->flags, 0);
	assert_non_null(sx_l2_cpuid_find(&c, 0x80000008, 0));
	assert_null(sx_l2_cpuid_find(&c, 0x40000100, 0));
	assert_null(sx_l2_cpuid_find(&c, 0x4, 0));
}

static void subleaves_of_each_kind(void **state)
{
	static const struct says says[] = {
		{0x0, 0, {0x14, 0, 0, 0}},  {0x4, 0, {1, 0, 0, 0}},     {0x4, 1, {2, 0, 0, 0}},
		{0x4, 2, {3, 0, 0, 0}},     {0x7, 0, {1, 0, 0, 0}},     {0xb, 0, {0, 0, 0x100, 0}},
		{0xb, 1, {0, 0, 0x201, 0}}, {0xd, 0, {0x207, 0, 0, 0}}, {0xd, 1, {0, 0, 0x800, 1}},
		{0x14, 0, {1, 0, 0, 0}},
	};

	(void)state;
	ASK(says);
	assert_int_equal(subleaves(0x4), 4); /* the one without a type ends them */
	assert_int_equal(subleaves(0x7), 2);
	assert_int_equal(subleaves(0xb), 3);
	/* 0, 1, XCR0's components above 1 (2, 9), and of IA32_XSS 11 and 32. */
	assert_int_equal(subleaves(0xd), 6);
	assert_non_null(sx_l2_cpuid_find(&c, 0xd, 2));
	assert_non_null(sx_l2_cpuid_find(&c, 0xd, 9));
	assert_non_null(sx_l2_cpuid_find(&c, 0xd, 11));
	assert_non_null(sx_l2_cpuid_find(&c, 0xd, 32));
	assert_int_equal(subleaves(0x14), 2);
	assert_int_equal(sx_l2_cpuid_find(&c, 0x4, 2)->flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
}

static void implausible_ranges_are_not_kept(void **state)
{
	static const struct says says[] = {
		{0x0, 0, {0xffffffff, 1, 0, 0}},
		{0x40000000, 0, {0x3fffffff, 1, 0, 0}},
		{0x40000100, 0, {0x40000200, 1, 0, 0}},
		{0x80000000, 0, {0x10, 1, 0, 0}},
	};

	(void)state;
	assert_int_equal(ASK(says), 4);
	assert_int_equal(c.table.nent, 1);
	assert_int_equal(c.entry[0].function, 0);
	assert_int_equal(c.entry[0].ebx, 1);
}

static void endless_subleaves_end(void **state)
{
	static const uint32_t ones[4] = {0x1f, ~0u, ~0u, ~0u};
	unsigned questions = 0;

	(void)state;
	sx_l2_cpuid_begin(&c);
	for (; !c.done; questions++) {
		/* Each range goes as far as it may, each leaf has all the subleaves it can. */
		const uint32_t first[4] = {c.leaf + 0xff, 0, ~0u, ~0u};

		assert_true(questions < SX_L2_CPUID_MAX + 4);
		sx_l2_cpuid_answer(&c, c.leaf & 0xff ? ones : first);
	}
	assert_int_equal(c.table.nent, SX_L2_CPUID_MAX);
}

static void a_processor_without_leaves(void **state)
{
	(void)state;
	assert_int_equal(ask_all(NULL, 0), 4);
	assert_int_equal(c.table.nent, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_of_each_range),
		cmocka_unit_test(subleaves_of_each_kind),
		cmocka_unit_test(implausible_ranges_are_not_kept),
		cmocka_unit_test(endless_subleaves_end),
		cmocka_unit_test(a_processor_without_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
