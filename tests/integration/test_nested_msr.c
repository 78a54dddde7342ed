// SPDX-License-Identifier: BSD-3-Clause
/* L2's MSR accesses: those exit that L1's MSR bitmap says, whatever KVM would do with them. */
#include "tests/support/world.h"

#define ROUNDS 20u

static void runs(struct world *w, unsigned vcpus, enum sx_nested_place place)
{
	struct sx_machine_config config = world_config(w, "tests/l1_msr");
	struct sx_nested_stats stats;
	struct sx_error err;
	struct guest *g;
	uint32_t code;

	config.nested = true;
	config.vcpus = vcpus;
	config.argument = ROUNDS;
	g = guest_build_as(w, &config);
	assert_int_equal(sx_machine_nested_place(&g->m, place, NULL, &err), 0);
	code = guest_run(g);
	assert_string_equal(g->said, "all well\n");
	assert_int_equal(code, 0);
	sx_nested_stats(g->m.nested.engine, &stats);
	assert_int_equal(stats.exits, stats.entries); /* none was refused */
	assert_int_equal(stats.l2_vms, 1);
}

static void bitmap_says_what_exits(void **state)
{
	struct world *w = world_of(state);

	runs(w, 1, w->way->mode == SX_TRAP ? SX_NESTED_TRAP : SX_NESTED_COLOCATED);
}

static void each_vcpu_has_its_bitmap(void **state)
{
	struct world *w = world_of(state);

	runs(w, 2, w->way->mode == SX_TRAP ? SX_NESTED_TRAP : SX_NESTED_COLOCATED);
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
