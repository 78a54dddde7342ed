// SPDX-License-Identifier: BSD-3-Clause
/* L2's CPUID, learned from L1 in advance: right, asked for once, and no exit from then on. */
#include "tests/support/world.h"

#define ROUNDS 20u

static void runs(struct world *w, uint64_t argument, enum sx_nested_place place,
		 struct sx_nested_stats *stats)
{
	struct sx_machine_config config = world_config(w, "tests/l1_cpuid");
	struct sx_error err;
	struct guest *g;
	uint32_t code;

	config.nested = true;
	config.argument = argument;
	g = guest_build_as(w, &config);
	assert_int_equal(sx_machine_nested_place(&g->m, place, NULL, &err), 0);
	code = guest_run(g);
	assert_string_equal(g->said, "all well\n");
	assert_int_equal(code, 0);
	sx_nested_stats(g->m.nested.engine, stats);
	assert_int_equal(stats->exits, stats->entries); /* none was refused */
}

static enum sx_nested_place place_of(const struct world *w)
{
	return w->way->mode == SX_TRAP ? SX_NESTED_TRAP : SX_NESTED_COLOCATED;
}

static void cpuid_is_learned(void **state)
{
	struct world *w = world_of(state);
	struct sx_nested_stats stats;

	runs(w, ROUNDS, place_of(w), &stats);
}

/* Each CPUID of L2 beyond the first round costs the exit of the port that reports it, no other. */
static void cpuid_costs_no_exit_of_l1(void **state)
{
	struct world *w = world_of(state);
	struct sx_nested_stats one, more;

	runs(w, 1, place_of(w), &one);
	runs(w, 1 + ROUNDS, place_of(w), &more);
	assert_int_equal(more.exits - one.exits, 3 * ROUNDS);
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
