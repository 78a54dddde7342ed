// SPDX-License-Identifier: BSD-3-Clause
/* L2's MSR accesses: those exit that L1's MSR bitmap says, whatever KVM would do with them. */
#include "tests/support/nested.h"

#define ROUNDS 20u

static void runs(struct world *w, unsigned vcpus)
{
	struct guest *g = nested_build(w, "tests/l1_msr", vcpus, ROUNDS, nested_place(w));

	assert_int_equal(nested_run(g).l2_vms, 1);
}

static void bitmap_says_what_exits(void **state)
{
	runs(world_of(state), 1);
}

static void each_vcpu_has_its_bitmap(void **state)
{
	runs(world_of(state), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SX_CASE(bitmap_says_what_exits, trap),
		SX_CASE(bitmap_says_what_exits, split),
		SX_CASE(each_vcpu_has_its_bitmap, trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
