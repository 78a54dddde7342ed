// SPDX-License-Identifier: BSD-3-Clause
/*
 * L1 micro-hypervisors and their micro-L2s on real KVM, in every place: what L1 sees is the same,
 * and what it costs in exits is what was promised.
 */
#include "tests/support/nested.h"

#include <string.h>

/* Where L2 has a core of its own: three threads poll, and here may be fewer cores. */
#define ROUNDS          50u
#define PARALLEL_ROUNDS 8u

static void runs_its_guests(struct guest *g, unsigned rounds)
{
	struct sx_nested_stats stats;

	assert_int_equal(sx_nested_l2_exits(g->m.nested.engine), 0);
	stats = nested_run(g);
	/* ports twice, registers with two exits, leaves, instructions; one entry was refused. */
	assert_int_equal(stats.entries, 6 * rounds);
	assert_int_equal(stats.l2_vms, 1);
}

static void l1_runs_l2(void **state)
{
	struct world *w = world_of(state);

	runs_its_guests(nested_build(w, "tests/l1", 1, ROUNDS, nested_place(w)), ROUNDS);
}

static void l1_runs_l2_on_its_own_core(void **state)
{
	struct world *w = world_of(state);

	runs_its_guests(nested_build(w, "tests/l1", 1, PARALLEL_ROUNDS, SX_NESTED_PARALLEL),
			PARALLEL_ROUNDS);
}

/* Where KVM emulates CPL 0 and gives what it cannot: a KVM with VMX or SVM has no need to. */
static void each_instruction_is_an_exit(void **state)
{
	struct world *w = world_of(state);
	struct sx_machine_config config = world_config(w, "tests/l1_insn");
	struct sx_nested_stats stats;
	struct guest *g;
	uint32_t code;

	config.nested = true;
	config.supervisor = true;
	config.argument = ROUNDS;
	g = guest_build_as(w, &config);
	code = guest_run(g);
	if (strstr(g->said, "unexpected vector 6")) {
		print_message(
			"# skipped: this KVM lets the processor raise #UD for VMX at CPL 0\n");
		skip();
	}
	assert_string_equal(g->said, "all well\n");
	assert_int_equal(code, 0);
	stats = nested_stats(g);
	assert_int_equal(stats.entries, ROUNDS);
	/* FEATURE_CONTROL, VMXON twice, VMCLEAR, VMPTRLD; each round 2 + 3 VMWRITE and VMREAD. */
	assert_int_equal(stats.messages, 5 + ROUNDS * 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SX_CASE(l1_runs_l2, trap),
		SX_CASE(l1_runs_l2, split),
		SX_CASE(l1_runs_l2_on_its_own_core, split),
		SX_CASE(each_instruction_is_an_exit, trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
