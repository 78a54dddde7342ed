// SPDX-License-Identifier: BSD-3-Clause
/*
 * Events that L1 injects into its L2 on real KVM, and what L1 asks to be told of: windows, the task
 * priority. Each event is taken once.
 *
 * test-timeout: 300 (a busy machine)
 */
#include "tests/support/world.h"

#include "tests/guests/l1_events.h"

#define ROUNDS 20u

static void ends_well(struct world *w, enum sx_nested_place place, enum l1_case what)
{
	struct sx_machine_config config = world_config(w, "tests/l1_deliver");
	struct sx_nested_stats stats;
	struct sx_error err = {0};
	struct guest *g;

	config.nested = true;
	config.argument = L1_CASE(what, ROUNDS);
	g = guest_build_as(w, &config);
	if (sx_machine_nested_place(&g->m, place, NULL, &err) < 0)
		fail_msg("%s", err.text);
	if (guest_run(g))
		fail_msg("%s", g->said);
	assert_string_equal(g->said, "all well\n");
	sx_nested_stats(g->m.nested.engine, &stats);
	assert_int_equal(stats.exits, stats.entries);
}

static void on_its_own_thread(void **state, enum l1_case what)
{
	struct world *w = world_of(state);

	ends_well(w, w->way->mode == SX_TRAP ? SX_NESTED_TRAP : SX_NESTED_COLOCATED, what);
}

static void injected(void **state)
{
	on_its_own_thread(state, L1_DELIVER);
}

static void injected_on_its_core(void **state)
{
	ends_well(world_of(state), SX_NESTED_PARALLEL, L1_DELIVER);
}

static void exits_on_its_way(void **state)
{
	on_its_own_thread(state, L1_ON_ITS_WAY);
}

static void interrupt_windows(void **state)
{
	on_its_own_thread(state, L1_WINDOWS);
}

static void nmi_windows(void **state)
{
	on_its_own_thread(state, L1_NMI_WINDOWS);
}

static void tpr_shadow(void **state)
{
	on_its_own_thread(state, L1_TPR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SX_CASE(injected, trap),
		SX_CASE(injected, split),
		SX_CASE(injected_on_its_core, split),
		SX_CASE(exits_on_its_way, trap),
		SX_CASE(interrupt_windows, trap),
		SX_CASE(nmi_windows, trap),
		SX_CASE(tpr_shadow, trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
