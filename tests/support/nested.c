// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/nested.h"

enum sx_nested_place nested_place(const struct world *w)
{
	return w->way->mode == SX_TRAP ? SX_NESTED_TRAP : SX_NESTED_COLOCATED;
}

struct guest *nested_build(struct world *w, const char *program, unsigned vcpus, uint64_t argument,
			   enum sx_nested_place place)
{
	struct sx_machine_config config = world_config(w, program);
	struct sx_error err = {0};
	struct guest *g;

	config.nested = true;
	config.vcpus = vcpus;
	config.argument = argument;
	g = guest_build_as(w, &config);
	if (sx_machine_nested_place(&g->m, place, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return g;
}

struct sx_nested_stats nested_stats(struct guest *g)
{
	struct sx_nested_stats stats;

	sx_nested_stats(g->m.nested.engine, &stats);
	return stats;
}

struct sx_nested_stats nested_run(struct guest *g)
{
	uint32_t code = guest_run(g);
	struct sx_nested_stats stats = nested_stats(g);

	assert_string_equal(g->said, "all well\n");
	assert_int_equal(code, 0);
	assert_int_equal(stats.exits, stats.entries);
	return stats;
}
