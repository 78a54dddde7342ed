// SPDX-License-Identifier: BSD-3-Clause
/* L2's CPUID, learned from L1 in advance: right, asked for once, and no exit from then on. */
#include "tests/support/nested.h"

#define ROUNDS 20u

static uint64_t exits(struct world *w, uint64_t rounds)
{
	return nested_run(nested_build(w, "tests/l1_cpuid", 1, rounds, nested_place(w))).exits;
}

static void cpuid_is_learned(void **state)
{
	exits(world_of(state), ROUNDS);
}

/* Each CPUID of L2 beyond the first round costs the exit of the port that reports it, no other. */
static void cpuid_costs_no_exit_of_l1(void **state)
{
	struct world *w = world_of(state);
	uint64_t one = exits(w, 1);

	assert_int_equal(exits(w, 1 + ROUNDS) - one, 3 * ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SX_CASE(cpuid_is_learned, trap),
		SX_CASE(cpuid_is_learned, split),
		SX_CASE(cpuid_costs_no_exit_of_l1, trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
