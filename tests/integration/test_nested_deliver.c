// SPDX-License-Identifier: BSD-3-Clause
/*
 * Events that L1 injects into its L2 on real KVM, and what L1 asks to be told of: windows, the task
 * priority. Each event is taken once.
 *
 * test-timeout: 300 (a busy machine)
 */
#include <pthread.h>
#include <time.h>

#include "tests/guests/l1_events.h"
#include "tests/support/nested.h"

#define ROUNDS 20u

static void ends_well(struct world *w, enum sx_nested_place place, enum l1_case what)
{
	nested_run(nested_build(w, "tests/l1_deliver", 1, L1_CASE(what, ROUNDS), place));
}

static void on_its_own_thread(void **state, enum l1_case what)
{
	struct world *w = world_of(state);

	ends_well(w, nested_place(w), what);
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

/* ---- called away while an event is on its way ---- */

#define STORM_NS 50000 /* longer than a run, so that L2 gets on */

struct storm {
	struct sx_nested *engine;
	uint32_t over;
};

static void *call_away(void *arg)
{
	const struct timespec pause = {.tv_nsec = STORM_NS};
	struct storm *storm = arg;

	/* Pairs with the release in called_away(). */
	while (!sx_load_acquire(&storm->over)) {
		sx_nested_kick(storm->engine, 0, 0);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void called_away(void **state, enum l1_case what)
{
	struct guest *g = nested_build(world_of(state), "tests/l1_deliver", 1,
				       L1_CASE(what, ROUNDS), SX_NESTED_PARALLEL);
	struct storm storm = {.engine = g->m.nested.engine};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, call_away, &storm), 0);
	nested_run(g);
	/* Pairs with the acquire in call_away(). */
	sx_store_release(&storm.over, 1u);
	pthread_join(thread, NULL);
}

static void injected_and_called_away(void **state)
{
	called_away(state, L1_DELIVER);
}

static void exits_and_is_called_away(void **state)
{
	called_away(state, L1_ON_ITS_WAY);
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
		SX_CASE(injected_and_called_away, split),
		SX_CASE(exits_and_is_called_away, split),
		SX_CASE(interrupt_windows, trap),
		SX_CASE(nmi_windows, trap),
		SX_CASE(tpr_shadow, trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
