// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest that writes garbage into everything it shares with the host, beside an honest guest on
 * the same sidecores. The garbage is counted and closes the rings that it was written to; the
 * honest guest loses nothing.
 *
 * test-timeout: 300 (a busy machine)
 */
#include "tests/support/world.h"

#include <stdio.h>
#include <string.h>

#include "ipc/wire/types.h"

/* ---- the honest guest ---- */

static const enum test_work works[] = {TEST_MIX, TEST_REQUESTS, TEST_TWIN_RINGS, TEST_READS,
				       TEST_TWIN_IRQS};

#define WORKS (sizeof(works) / sizeof(works[0]))

static void start_honest(struct guest *g, enum test_work work)
{
	g->page->work = work;
	g->page->count = UINT64_MAX;
	guest_start(g);
	while (!sx_load_relaxed(&g->page->vcpu[0].done))
		pause_a_little();
}

static void finish_honest(struct guest *g)
{
	const struct test_result *r = &g->page->vcpu[0];
	struct sx_machine_ring *ring = &g->m.ring[SX_REQUEST_RING];
	struct sx_error err = {0};

	sx_store_relaxed(&g->page->count, 0ull);
	if (guest_wait(g, &err) != SX_VCPU_SINK || g->m.debug_exit.code)
		fail_msg("ended with %u: %s%s", g->m.debug_exit.code, err.text, g->said);
	assert_int_equal(r->wrong, 0);
	assert_int_equal(r->out_of_sequence, 0);
	assert_false(ring->server.refused);
	assert_int_equal(ring->dev.posts, r->posts);
	switch (g->page->work) {
	case TEST_MIX:
		assert_int_equal(ring->server.messages, r->done + 1);
		break;
	case TEST_REQUESTS:
		assert_int_equal(ring->dev.requests, r->done);
		break;
	case TEST_TWIN_RINGS:
		assert_int_equal(g->m.twin.dev.rings, r->done);
		assert_int_equal(g->m.twin.restored, 0);
		break;
	case TEST_READS:
		assert_int_equal(g->m.testdev_range.reads, r->done);
		break;
	case TEST_TWIN_IRQS:
		assert_int_equal(g->m.twin_irq.raised, r->done);
		break;
	}
}

/* ---- the hostile guest ---- */

static struct guest *build_hostile(struct world *w, uint64_t seed)
{
	struct sx_machine_config config = world_config(w, "tests/hostile");

	config.argument = seed;
	return guest_build_as(w, &config);
}

/* Filled by the reporter, which has no context of its own. */
static unsigned incidents;
static struct sx_error incident;

static void count_incident(const char *text)
{
	incidents++;
	incident.text[0] = '\0';
	sx_explain(&incident, "%s", text);
	want_sentence(&incident, "the guest broke the protocol of ring");
}

/* However often one asks, each ring is reported once. */
static void check_incidents(struct guest *g)
{
	incidents = 0;
	for (unsigned i = 0; i < 3; i++)
		sx_machine_incidents(&g->m, count_incident);
	assert_int_equal(incidents, g->m.ring_count);
}

/* A message that keeps to the protocol comes too late. */
static void check_closed(struct world *w, struct sx_machine_ring *r)
{
	struct sx_cell *cell = sx_consumer_cell(&r->server.consumer);
	uint64_t messages = r->server.messages;

	assert_true(r->server.refused);
	sx_store_release(&cell->turn, sx_turn_request(r->server.consumer.next));
	world_settle(w);
	if (w->way->mode == SX_TRAP)
		sx_ring_server_poll(&r->server);
	assert_int_equal(r->server.messages, messages);
}

/* What only the device writes is as the device has it. */
static void check_page(const struct sx_testdev_page *t)
{
	assert_int_equal(t->regs->id, SX_TESTDEV_ID_VALUE);
	assert_int_equal(t->regs->rings, t->dev.rings);
	assert_int_equal(t->regs->raised, t->dev.raised);
	assert_int_equal(t->regs->acked, t->dev.acked);
	assert_int_equal(t->regs->mirror, t->dev.scratch);
	assert_true(t->restored > 0);
}

static void finish_hostile(struct world *w, struct guest *g)
{
	struct sx_error err = {0};

	if (guest_wait(g, &err) != SX_VCPU_SINK || g->m.debug_exit.code)
		fail_msg("the hostile guest ended with %u: %s%s", g->m.debug_exit.code, err.text,
			 g->said);
	world_settle(w);
	check_incidents(g);
	for (unsigned i = 0; i < g->m.ring_count; i++)
		check_closed(w, &g->m.ring[i]);
	if (w->way->mode == SX_SPLIT)
		check_page(&g->m.twin);
	assert_true(g->m.testdev.refused > 0);
	assert_true(g->m.uart.refused > 0);
	assert_int_equal(g->m.testdev.irq_failures, 0);
	assert_int_equal(g->m.twin.dev.irq_failures, 0);
}

/* ---- both ---- */

static void start_hostile(struct guest *g)
{
	guest_start(g);
	/* It has come as far as the garbage in its rings. */
	while (!sx_load_acquire(&g->m.ring[0].server.refused))
		pause_a_little();
}

static void meet(struct world *w, bool hostile_first, uint64_t seed)
{
	struct guest *honest, *hostile;

	if (hostile_first) {
		hostile = build_hostile(w, seed);
		honest = guest_build(w, "tests/work");
		start_hostile(hostile);
		start_honest(honest, works[seed % WORKS]);
	} else {
		honest = guest_build(w, "tests/work");
		hostile = build_hostile(w, seed);
		start_honest(honest, works[seed % WORKS]);
		start_hostile(hostile);
	}
	finish_hostile(w, hostile);
	finish_honest(honest);
	guest_destroy(honest);
	guest_destroy(hostile);
	w->guests = 0;
}

/* With each kind of work; with some where neither side sleeps, and all take turns on few CPUs. */
static void meet_often(struct world *w, bool hostile_first, uint64_t seed)
{
	bool slow = w->way->mode == SX_SPLIT && !w->way->wait.idle_ns;

	for (uint64_t i = 1; i <= (slow ? 2 : WORKS); i++)
		meet(w, hostile_first, i * seed);
}

static void comes_to_an_honest_one(void **state)
{
	meet_often(world_of(state), false, 7919);
}

static void is_there_before_an_honest_one(void **state)
{
	meet_often(world_of(state), true, 104729);
}

#define EVERY_WAY(FUNCTION)                                                           \
	SX_CASE(FUNCTION, trap), SX_CASE(FUNCTION, split), SX_CASE(FUNCTION, split2), \
		SX_CASE(FUNCTION, sleep), SX_CASE(FUNCTION, sleep2)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY_WAY(comes_to_an_honest_one),
		EVERY_WAY(is_there_before_an_honest_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
