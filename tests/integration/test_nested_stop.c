// SPDX-License-Identifier: BSD-3-Clause
/*
 * Machines whose L2 never exits by itself, stopped from outside and destroyed at once: nothing is
 * left of them. And machines that go on after they were stopped.
 *
 * test-timeout: 600 (a busy machine)
 */
#include "tests/support/nested.h"

#include <string.h>

#include "ipc/wire/types.h"
#include "tests/guests/l1_events.h"

#define TIMES 20u

static struct l1_page *page_of(struct guest *g)
{
	return (struct l1_page *)(void *)g->page;
}

/* The first guest of @w, anew. */
static struct guest *build(struct world *w, enum sx_nested_place place, enum l1_case what)
{
	struct guest *g;

	w->guests = 0;
	g = nested_build(w, "tests/l1_events", 1, L1_CASE(what, 1), place);
	page_of(g)->count = 0;
	return g;
}

/* A thread that was joined is listed a little longer. */
static void want_threads(unsigned want)
{
	for (unsigned i = 0; i < 10000 && threads() != want; i++)
		pause_a_little();
	assert_int_equal(threads(), want);
}

static void stop_and_destroy(struct guest *g)
{
	struct sx_error err = {0};

	assert_int_equal(guest_stop(g, &err), SX_VCPU_STOPPED);
	assert_string_equal(err.text, "");
	assert_false(g->m.debug_exit.ended);
	guest_destroy(g);
}

/* Stop it when L2 has run, which without it is never told from outside. */
static void once(struct world *w, enum sx_nested_place place, enum l1_case what)
{
	struct guest *g = build(w, place, what);

	guest_start(g);
	while (!nested_stats(g).entries)
		pause_a_little();
	while (what == L1_FOR_EVER && sx_load_relaxed(&page_of(g)->count) < 2)
		pause_a_little();
	stop_and_destroy(g);
}

static void again_and_again(struct world *w, enum sx_nested_place place, enum l1_case what)
{
	unsigned files, mappings, tasks;

	once(w, place, what); /* the C library has what it loads late */
	files = open_files();
	mappings = file_mappings();
	tasks = threads();
	for (unsigned i = 0; i < TIMES; i++) {
		once(w, place, what);
		want_threads(tasks);
		assert_int_equal(open_files(), files);
		assert_int_equal(file_mappings(), mappings);
	}
}

static enum sx_nested_place own_place(const struct world *w)
{
	return w->way->mode == SX_TRAP ? SX_NESTED_TRAP : SX_NESTED_COLOCATED;
}

static void while_l2_loops(void **state)
{
	struct world *w = world_of(state);

	again_and_again(w, own_place(w), L1_FOR_EVER);
}

static void while_l2_is_halted(void **state)
{
	struct world *w = world_of(state);

	again_and_again(w, own_place(w), L1_FOR_EVER_HALTED);
}

static void while_l2_loops_on_its_core(void **state)
{
	again_and_again(world_of(state), SX_NESTED_PARALLEL, L1_FOR_EVER);
}

static void while_l2_is_halted_on_its_core(void **state)
{
	again_and_again(world_of(state), SX_NESTED_PARALLEL, L1_FOR_EVER_HALTED);
}

/* Its entry is on the line, and the sidecore does not poll that any more. */
static void while_it_waits_for_the_sidecore(void **state)
{
	struct world *w = world_of(state);

	for (unsigned i = 0; i < 10; i++) {
		struct guest *g = build(w, SX_NESTED_COLOCATED, L1_WHEN_TOLD);

		guest_start(g);
		/* Pairs with the release in the guest. */
		while (sx_load_acquire(&page_of(g)->wish) != L1_WISH_GO)
			pause_a_little();
		sx_sidecore_remove(sx_nested_poller(g->m.nested.engine, 0));
		sx_store_release(&page_of(g)->wish, (uint64_t)L1_WISH_NOTHING);
		pause_a_little();
		assert_int_equal(nested_stats(g).entries, 0);
		stop_and_destroy(g);
	}
}

/* From before L1's first instruction to L2's endless loop. */
static void at_any_moment(void **state)
{
	struct world *w = world_of(state);
	uint64_t seed = 5;

	for (unsigned i = 0; i < TIMES; i++) {
		struct guest *g = build(w, own_place(w), L1_FOR_EVER);

		guest_start(g);
		for (uint64_t k = test_random(&seed) % 3000000; k; k--)
			sx_pause();
		stop_and_destroy(g);
	}
}

/* L1 sees an interrupt that came to nothing, and L2 runs on where it was. */
static void and_goes_on(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = build(w, own_place(w), L1_AGAIN);
	struct l1_page *page = page_of(g);
	struct sx_error err = {0};

	for (unsigned i = 0; i < 10; i++) {
		uint64_t count = sx_load_relaxed(&page->count);

		guest_start(g);
		while (sx_load_relaxed(&page->count) == count)
			pause_a_little();
		assert_int_equal(guest_stop(g, &err), SX_VCPU_STOPPED);
	}
	assert_string_equal(err.text, "");
	assert_false(g->m.debug_exit.ended);
	assert_true(nested_stats(g).entries >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SX_CASE(while_l2_loops, trap),
		SX_CASE(while_l2_loops, split),
		SX_CASE(while_l2_is_halted, trap),
		SX_CASE(while_l2_is_halted, split),
		SX_CASE(while_l2_loops_on_its_core, split),
		SX_CASE(while_l2_is_halted_on_its_core, split),
		SX_CASE(while_it_waits_for_the_sidecore, split),
		SX_CASE(at_any_moment, trap),
		SX_CASE(at_any_moment, split),
		SX_CASE(and_goes_on, trap),
		SX_CASE(and_goes_on, split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
