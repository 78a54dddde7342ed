// SPDX-License-Identifier: BSD-3-Clause
/*
 * How many exits each operation costs, by KVM's own counters and by ours, and that as many
 * operations arrived at the device as the guest did: 0 lost, 0 doubled.
 *
 * Exact are KVM's mmio_exits, the exits we were given, and the devices' counts. `exits` as a whole
 * is bounded where it matters: the host's own interrupts and the first touch of each page are in
 * it. io_exits is left out, because a KVM that emulates port instructions does not count them
 * there.
 */
#include "tests/support/world.h"

#include <string.h>

#define FEW  100   /* each of them exits */
#define MANY 20000 /* none of them exits */

/* The guest's last exit, by which it ends: a write to the debug-exit port. */
#define LAST 1

static bool split(const struct world *w)
{
	return w->way->mode == SX_SPLIT;
}

static void want_exits(struct guest *g, uint64_t mmio, uint64_t given)
{
	assert_int_equal(guest_counter(g, 0, "mmio_exits"), mmio);
	assert_int_equal(g->m.vcpu[0].exits_forwarded, given + LAST);
}

/* Fewer than one in 20 of @operations exited, but for what the host itself interrupted. */
static void want_no_exits(struct guest *g, uint64_t operations)
{
	uint64_t exits = guest_counter(g, 0, "exits") - guest_counter(g, 0, "irq_exits");

	want_exits(g, 0, 0);
	assert_in_range(exits, 0, operations / 20);
}

/* ---- what exits in every mode ---- */

static void register_reads(void **state)
{
	struct guest *g = guest_build(world_of(state), "tests/work");

	guest_work(g, TEST_READS, FEW);
	want_exits(g, FEW, FEW);
	assert_int_equal(g->m.testdev_range.reads, FEW);
	assert_int_equal(g->m.testdev_range.writes, 0);
}

static void register_writes(void **state)
{
	struct guest *g = guest_build(world_of(state), "tests/work");

	guest_work(g, TEST_WRITES, FEW);
	want_exits(g, FEW, FEW);
	assert_int_equal(g->m.testdev_range.reads, 0);
	assert_int_equal(g->m.testdev_range.writes, FEW);
	assert_int_equal(g->m.testdev.scratch, FEW);
}

static void doorbells(void **state)
{
	struct guest *g = guest_build(world_of(state), "tests/work");

	guest_work(g, TEST_DOORBELLS, FEW);
	want_exits(g, FEW, FEW);
	assert_int_equal(g->m.testdev.rings, FEW);
}

static void port_reads(void **state)
{
	struct guest *g = guest_build(world_of(state), "tests/work");

	guest_work(g, TEST_PORT_READS, FEW);
	want_exits(g, 0, FEW + 1);
	assert_int_equal(g->m.uart.range.reads, FEW);
	assert_int_equal(g->m.uart.range.writes, 1);
}

static void port_writes(void **state)
{
	struct guest *g = guest_build(world_of(state), "tests/work");

	guest_work(g, TEST_PORT_WRITES, FEW);
	want_exits(g, 0, FEW);
	assert_int_equal(g->m.uart.range.writes, FEW);
	assert_int_equal(g->m.uart.scr, FEW - 1);
}

/* A string instruction may exit once for many accesses; the device sees each of them, in order. */
static void port_strings(void **state)
{
	const uint64_t length = 300;
	struct guest *g = guest_build(world_of(state), "tests/work");

	g->page->seed = length;
	guest_work(g, TEST_PORT_STRINGS, 5);
	want_exits(g, 0, 5 * length + 5 * length);
	assert_int_equal(g->m.uart.range.writes, 5 * length);
	assert_int_equal(g->m.uart.range.reads, 5 * length);
}

static void interrupts(void **state)
{
	struct guest *g = guest_build(world_of(state), "tests/work");

	guest_work(g, TEST_IRQS, FEW);
	want_exits(g, FEW, FEW);
	assert_int_equal(g->m.irq.raised, FEW);
	assert_int_equal(g->m.testdev.irq_failures, 0);
}

/* Exits are served by the sidecore that owns the device, each once. */
static void exits_are_served(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = guest_build(w, "tests/work");
	uint64_t served = 0;

	guest_work(g, TEST_READS, FEW);
	for (unsigned i = 0; i < w->sidecores; i++)
		served += g->m.server[i].served;
	assert_int_equal(served, FEW + LAST);
}

/* ---- what exits only when it is trapped ---- */

static void twin_writes(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = guest_build(w, "tests/work");

	guest_work(g, TEST_TWIN_WRITES, split(w) ? MANY : FEW);
	world_settle(w);
	if (split(w)) {
		want_no_exits(g, MANY);
		assert_int_equal(g->m.twin.dev.scratch, MANY);
		assert_int_equal(g->m.twin.regs->mirror, MANY);
		return;
	}
	want_exits(g, FEW, FEW);
	assert_int_equal(g->m.twin.dev.scratch, FEW);
	assert_int_equal(g->m.twin_range.writes, FEW);
}

/* The guest waits for each to be seen; what it does not wait for may be seen as one. */
static void twin_doorbells(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = guest_build(w, "tests/work");
	uint64_t count = split(w) ? MANY : FEW;

	guest_work(g, TEST_TWIN_RINGS, count);
	assert_int_equal(g->m.twin.dev.rings, count);
	if (split(w))
		want_no_exits(g, count);
	else
		want_exits(g, FEW, FEW);
}

static void twin_interrupts(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = guest_build(w, "tests/work");

	guest_work(g, TEST_TWIN_IRQS, FEW);
	want_exits(g, split(w) ? 0 : FEW, split(w) ? 0 : FEW);
	assert_int_equal(g->m.twin_irq.raised, FEW);
	assert_int_equal(g->m.twin.dev.irq_failures, 0);
}

static void requests(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = guest_build(w, "tests/work");
	uint64_t count = split(w) ? MANY : FEW;

	guest_work(g, TEST_REQUESTS, count);
	assert_int_equal(g->m.ring[SX_REQUEST_RING].server.messages, count);
	assert_int_equal(g->m.ring[SX_REQUEST_RING].dev.requests, count);
	if (split(w))
		want_no_exits(g, count);
	else
		want_exits(g, FEW, FEW);
}

static void check_posts(struct guest *g, const struct sx_machine_ring *ring, uint64_t messages)
{
	assert_false(ring->server.refused);
	/* And the guest's question how many there were. */
	assert_int_equal(ring->server.messages, messages + 1);
	assert_int_equal(ring->dev.posts, g->page->vcpu[0].posts);
	assert_int_equal(ring->dev.out_of_sequence, 0);
	assert_int_equal(ring->dev.refused, 0);
}

static void posts(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = guest_build(w, "tests/work");
	uint64_t count = split(w) ? 10 * MANY : 10 * FEW;

	g->page->stream = 1;
	guest_work(g, TEST_POSTS, count);
	check_posts(g, &g->m.ring[SX_STREAM_RING], count);
	if (split(w))
		want_no_exits(g, count);
	else /* one for each burst, of which there are fewer */
		assert_in_range(guest_counter(g, 0, "mmio_exits"), 2, count / 10);
}

static void mix(struct world *w, struct guest *g, enum sx_machine_ring_kind kind, uint64_t seed)
{
	uint64_t count = split(w) ? MANY : FEW;

	g->page->stream = kind == SX_STREAM_RING;
	g->page->seed = seed;
	guest_work(g, TEST_MIX, count);
	check_posts(g, &g->m.ring[kind], count);
	if (split(w))
		want_no_exits(g, count);
	else
		want_exits(g, FEW + 1, FEW + 1);
}

static void mix_by_small_ring(void **state)
{
	struct world *w = world_of(state);

	mix(w, guest_build(w, "tests/work"), SX_REQUEST_RING, 11);
}

static void mix_by_large_ring(void **state)
{
	struct world *w = world_of(state);

	mix(w, guest_build(w, "tests/work"), SX_STREAM_RING, 12);
}

#define TRAP_AND_SPLIT(FUNCTION) SX_CASE(FUNCTION, trap), SX_CASE(FUNCTION, split)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRAP_AND_SPLIT(register_reads),
		TRAP_AND_SPLIT(register_writes),
		TRAP_AND_SPLIT(doorbells),
		TRAP_AND_SPLIT(port_reads),
		TRAP_AND_SPLIT(port_writes),
		TRAP_AND_SPLIT(port_strings),
		TRAP_AND_SPLIT(interrupts),
		SX_CASE(exits_are_served, split),
		TRAP_AND_SPLIT(twin_writes),
		TRAP_AND_SPLIT(twin_doorbells),
		TRAP_AND_SPLIT(twin_interrupts),
		TRAP_AND_SPLIT(requests),
		TRAP_AND_SPLIT(posts),
		TRAP_AND_SPLIT(mix_by_small_ring),
		TRAP_AND_SPLIT(mix_by_large_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
