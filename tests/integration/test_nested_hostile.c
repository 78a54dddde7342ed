// SPDX-License-Identifier: BSD-3-Clause
/*
 * L1s and L2s that mean harm, in each place: every answer is one that a processor may give, the
 * next honest L2 works, and nothing is left: no descriptor (the world looks), no mapping.
 *
 * test-timeout: 1200 (ten thousand entries)
 */
#include "tests/guests/l1_hostile.h"
#include "tests/support/nested.h"

/* Of a micro-guest, where the world says nothing else. */
#define MEMORY (16u << 20)

static uint64_t harm(void **state, enum l1_harm how, uint64_t count, unsigned vcpus)
{
	struct world *w = world_of(state);
	struct guest *g = nested_build(w, "tests/l1_hostile", vcpus, how, nested_place(w));
	struct sx_nested_stats stats;
	struct sx_error err = {0};
	uint64_t done;
	uint32_t code;

	g->page->count = count;
	g->page->seed = 0x2545f4914f6cdd1dull;
	code = guest_run(g);
	assert_string_equal(g->said, "all well\n");
	assert_int_equal(code, 0);
	stats = nested_stats(g);
	assert_true(stats.entries >= 1 && stats.l2_vms <= 16);
	/* L1 had a number, the user has a sentence, and once. */
	assert_int_equal(sx_nested_incident(g->m.nested.engine, &err), how == L1_NOWHERE);
	if (how == L1_NOWHERE)
		want_sentence(&err, "L1 was told that its entry is refused");
	assert_false(sx_nested_incident(g->m.nested.engine, &err));
	done = g->page->vcpu[0].done;
	guest_destroy(g);
	w->guests--;
	return done;
}

static void any_vmcs(void **state)
{
	/* Some of the good ones with a few bad words do enter; those at random do not. */
	uint64_t exited = harm(state, L1_VMCSS, 10000, 1);

	assert_true(exited > 100 && exited < 5100);
}

static void a_vmcs_that_changes(void **state)
{
	harm(state, L1_REWRITTEN, 300, 2);
}

static void pointers_to_nowhere(void **state)
{
	assert_int_equal(harm(state, L1_POINTERS, 1, 1), 12);
}

static void tables_at_random(void **state)
{
	unsigned before = mappings_of("");

	/* L2's first fetch always ends in an EPT violation or misconfiguration, or is good. */
	assert_int_equal(harm(state, L1_TABLES, 500, 1), 500);
	/* The allocator's own may come and go. */
	assert_true(mappings_of("") < before + 16);
}

static void l2_reaches_only_what_it_was_given(void **state)
{
	/* 4 GiB in steps of 2 MiB, but those of L1's memory. */
	assert_int_equal(harm(state, L1_SCAN, 1, 1), 2048 - MEMORY / (2u << 20));
}

static void launch_and_reset(void **state)
{
	unsigned before = mappings_of("");

	assert_int_equal(harm(state, L1_STORM, 200, 1), 200);
	assert_true(mappings_of("") < before + 16);
}

static void memory_that_is_not_there(void **state)
{
	assert_int_equal(harm(state, L1_NOWHERE, 1, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SX_CASE(any_vmcs, trap),
		SX_CASE(any_vmcs, split),
		SX_CASE(a_vmcs_that_changes, trap),
		SX_CASE(a_vmcs_that_changes, split),
		SX_CASE(pointers_to_nowhere, trap),
		SX_CASE(tables_at_random, trap),
		SX_CASE(tables_at_random, split),
		SX_CASE(l2_reaches_only_what_it_was_given, trap),
		SX_CASE(memory_that_is_not_there, trap),
		SX_CASE(memory_that_is_not_there, split),
		SX_CASE(launch_and_reset, trap),
		SX_CASE(launch_and_reset, split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
