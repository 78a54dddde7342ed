// SPDX-License-Identifier: BSD-3-Clause
/*
 * Several vCPUs at once on one or two sidecores, and devices that move between sidecores while
 * the guest uses them: no operation is lost or done twice.
 *
 * test-timeout: 300 (on a busy machine each hand-over waits for time slices)
 */
#include "tests/support/world.h"

#include <time.h>

#include "ipc/wire/types.h"

static struct guest *build(struct world *w, unsigned vcpus)
{
	struct sx_machine_config config = world_config(w, "tests/work");

	config.vcpus = vcpus;
	return guest_build_as(w, &config);
}

/* ---- several vCPUs ---- */

/* What all exits of all vCPUs together are, by every count there is. */
static void check_reads(struct guest *g, uint64_t each)
{
	uint64_t served = 0;

	for (unsigned i = 0; i < g->m.config.vcpus; i++) {
		uint64_t last = i == 0; /* vCPU 0 ends the guest by an exit */

		assert_int_equal(guest_counter(g, i, "mmio_exits"), each);
		assert_int_equal(g->m.vcpu[i].exits_forwarded, each + last);
	}
	assert_int_equal(g->m.testdev_range.reads, each * g->m.config.vcpus);
	for (unsigned i = 0; i < g->m.config.sidecore_count; i++)
		served += g->m.server[i].served;
	if (g->m.mode == SX_SPLIT)
		assert_int_equal(served, each * g->m.config.vcpus + 1);
}

static void exit_all(struct world *w, unsigned vcpus)
{
	struct guest *g = build(w, vcpus);

	guest_work(g, TEST_READS, 100);
	check_reads(g, 100);
}

static void two_vcpus_exit(void **state)
{
	exit_all(world_of(state), 2);
}

static void four_vcpus_exit(void **state)
{
	exit_all(world_of(state), 4);
}

static void check_rings(struct guest *g, enum sx_machine_ring_kind kind, uint64_t posts_and_echoes)
{
	for (unsigned i = 0; i < g->m.config.vcpus; i++) {
		const struct sx_machine_ring *r = &g->m.ring[SX_RING_KINDS * i + kind];

		assert_false(r->server.refused);
		/* And each vCPU's question how many posts there were. */
		assert_int_equal(r->server.messages, posts_and_echoes + 1);
		assert_int_equal(r->dev.posts, g->page->vcpu[i].posts);
		assert_int_equal(r->dev.out_of_sequence, 0);
	}
}

static void send_all(struct world *w, unsigned vcpus, enum sx_machine_ring_kind kind)
{
	uint64_t count = w->way->mode == SX_SPLIT ? 3000 : 100;
	struct guest *g = build(w, vcpus);

	g->page->stream = kind == SX_STREAM_RING;
	guest_work(g, TEST_MIX, count);
	check_rings(g, kind, count);
}

static void two_vcpus_send(void **state)
{
	send_all(world_of(state), 2, SX_REQUEST_RING);
}

static void three_vcpus_send(void **state)
{
	send_all(world_of(state), 3, SX_STREAM_RING);
}

static void four_vcpus_send(void **state)
{
	send_all(world_of(state), 4, SX_REQUEST_RING);
}

/* ---- pollers on the move ---- */

/*
 * Hand pollers of the machine to sidecores, as @seed picks them. Two that never sleep leave little
 * of two CPUs to whoever waits for them to hand over, so there are fewer moves.
 */
static void move_about(struct world *w, struct guest *g, uint64_t seed)
{
	unsigned moves = w->way->wait.idle_ns ? 200 : 40;

	for (unsigned i = 0; i < moves; i++) {
		struct sx_sidecore *to = w->sidecore[test_random(&seed) % w->sidecores];
		uint64_t which = test_random(&seed) % (w->sidecores + g->m.ring_count + 1);
		struct sx_poller *p = &g->m.twin.poller;

		if (which < w->sidecores)
			p = &g->m.server[which].poller;
		else if (which < w->sidecores + g->m.ring_count)
			p = &g->m.ring[which - w->sidecores].server.poller;
		assert_int_equal(sx_sidecore_move(to, p), 0);
	}
}

/* Let the guest work for as long as its pollers move, then have it end. */
static void work_meanwhile(struct world *w, struct guest *g, enum test_work work, uint64_t seed)
{
	struct sx_error err = {0};

	g->page->work = work;
	g->page->count = UINT64_MAX;
	g->page->seed = seed;
	guest_start(g);
	move_about(w, g, seed);
	sx_store_relaxed(&g->page->count, 0ull);
	if (guest_wait(g, &err) != SX_VCPU_SINK || g->m.debug_exit.code)
		fail_msg("ended with %u: %s%s", g->m.debug_exit.code, err.text, g->said);
	for (unsigned i = 0; i < g->m.config.vcpus; i++) {
		assert_true(g->page->vcpu[i].finished);
		assert_int_equal(g->page->vcpu[i].wrong, 0);
	}
}

static void exits_while_moving(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = build(w, 2);
	uint64_t done;

	work_meanwhile(w, g, TEST_READS, 21);
	done = g->page->vcpu[0].done + g->page->vcpu[1].done;
	assert_true(done > 0);
	assert_int_equal(g->m.testdev_range.reads, done);
	assert_int_equal(g->m.server[0].served + g->m.server[1].served, done + 1);
}

static void requests_while_moving(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = build(w, 2);

	work_meanwhile(w, g, TEST_REQUESTS, 22);
	for (unsigned i = 0; i < 2; i++) {
		const struct sx_machine_ring *r = &g->m.ring[SX_RING_KINDS * i + SX_REQUEST_RING];

		assert_true(g->page->vcpu[i].done > 0);
		assert_int_equal(r->dev.requests, g->page->vcpu[i].done);
		assert_int_equal(r->server.messages, g->page->vcpu[i].done);
	}
}

static void stream_while_moving(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = build(w, 2);

	g->page->stream = 1;
	work_meanwhile(w, g, TEST_POSTS, 23);
	for (unsigned i = 0; i < 2; i++) {
		const struct sx_machine_ring *r = &g->m.ring[SX_RING_KINDS * i + SX_STREAM_RING];

		assert_true(g->page->vcpu[i].done > 0);
		assert_int_equal(r->dev.posts, g->page->vcpu[i].done);
		assert_int_equal(r->dev.out_of_sequence, 0);
	}
}

static void doorbells_while_moving(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = build(w, 1);

	work_meanwhile(w, g, TEST_TWIN_RINGS, 24);
	assert_true(g->page->vcpu[0].done > 0);
	assert_int_equal(g->m.twin.dev.rings, g->page->vcpu[0].done);
}

static void interrupts_while_moving(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = build(w, 1);

	work_meanwhile(w, g, TEST_TWIN_IRQS, 25);
	assert_true(g->page->vcpu[0].done > 0);
	assert_int_equal(g->m.twin_irq.raised, g->page->vcpu[0].done);
}

/* ---- sleep ---- */

/* Nothing but a kick wakes the ring's sidecore: every other poller is moved to the other one. */
static void alone_on_its_sidecore(struct world *w, struct guest *g, struct sx_poller *p)
{
	assert_int_equal(sx_sidecore_move(w->sidecore[0], p), 0);
	for (unsigned i = 0; i < w->sidecores; i++)
		assert_int_equal(sx_sidecore_move(w->sidecore[1], &g->m.server[i].poller), 0);
	assert_int_equal(sx_sidecore_move(w->sidecore[1], &g->m.twin.poller), 0);
	for (unsigned i = 0; i < g->m.ring_count; i++)
		if (&g->m.ring[i].server.poller != p)
			assert_int_equal(
				sx_sidecore_move(w->sidecore[1], &g->m.ring[i].server.poller), 0);
}

/* Each request to a sidecore that sleeps costs one kick, which is an exit; and none hangs. */
static void a_sleeper_is_kicked(void **state)
{
	const uint64_t count = 200;
	struct world *w = world_of(state);
	struct guest *g = build(w, 1);
	struct sx_machine_ring *r = &g->m.ring[SX_REQUEST_RING];

	alone_on_its_sidecore(w, g, &r->server.poller);
	guest_work(g, TEST_WAKES, count);
	assert_int_equal(r->dev.requests, count);
	assert_int_equal(g->m.kick_range.writes, count);
	assert_int_equal(guest_counter(g, 0, "mmio_exits"), count);
}

/* The twin has to be looked at, so its sidecore but naps: a kick may find it awake. */
static void a_napper_is_kicked(void **state)
{
	const uint64_t count = 200;
	struct guest *g = build(world_of(state), 1);

	guest_work(g, TEST_WAKES, count);
	assert_int_equal(g->m.ring[SX_REQUEST_RING].dev.requests, count);
	assert_in_range(g->m.kick_range.writes, 0, count);
}

/* ---- devices that are taken back by the vCPUs' threads ---- */

struct hold {
	struct sx_mail mail;
	uint32_t held;
};

/* Keep a sidecore from its pollers for a while. */
static void hold(void *ctx)
{
	const struct timespec while_ = {.tv_nsec = 100000000};
	struct hold *h = ctx;

	sx_store_release(&h->held, 1u);
	nanosleep(&while_, NULL);
}

/* With the sidecore held, its next mail finds what it has not heard still there. */
static void a_change_of_mode_loses_nothing(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = build(w, 1);
	struct sx_machine_ring *ring = &g->m.ring[SX_REQUEST_RING];
	struct hold h = {0};
	struct sx_error err = {0};
	struct sx_producer p;
	uint32_t n;

	sx_sidecore_send(w->sidecore[0], &h.mail, hold, &h);
	while (!sx_load_acquire(&h.held))
		;
	sx_producer_init(&p, ring->server.consumer.ring, g->m.boot.requests.order);
	sx_producer_cell(&p, 0)->op = SX_TESTDEV_ECHO;
	n = sx_producer_publish(&p);
	sx_store_release(&g->m.twin.regs->scratch, 5ull);
	if (sx_machine_set_mode(&g->m, SX_TRAP, &err) < 0)
		fail_msg("%s", err.text);
	sx_mail_wait(&h.mail);
	assert_true(sx_producer_replied(&p, n));
	assert_int_equal(ring->server.messages, 1);
	assert_int_equal(g->m.twin.dev.scratch, 5);
	/* And back again, with what was written meanwhile. */
	sx_testdev_bus_ops.write(&g->m.twin.dev, offsetof(struct sx_testdev_regs, scratch), 8, 6);
	if (sx_machine_set_mode(&g->m, SX_SPLIT, &err) < 0)
		fail_msg("%s", err.text);
	world_settle(w);
	assert_int_equal(g->m.twin.dev.scratch, 6);
	assert_int_equal(g->m.twin.regs->scratch, 6);
	assert_int_equal(g->m.twin.regs->mirror, 6);
	assert_int_equal(g->m.twin.restored, 0);
}

#define ON_TWO(FUNCTION) SX_CASE(FUNCTION, split2), SX_CASE(FUNCTION, sleep2)
#define EVERY_WAY(FUNCTION)                                                          \
	SX_CASE(FUNCTION, trap), SX_CASE(FUNCTION, split), SX_CASE(FUNCTION, sleep), \
		ON_TWO(FUNCTION)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY_WAY(two_vcpus_exit),
		EVERY_WAY(four_vcpus_exit),
		EVERY_WAY(two_vcpus_send),
		EVERY_WAY(three_vcpus_send),
		EVERY_WAY(four_vcpus_send),
		ON_TWO(exits_while_moving),
		ON_TWO(requests_while_moving),
		ON_TWO(stream_while_moving),
		ON_TWO(doorbells_while_moving),
		ON_TWO(interrupts_while_moving),
		SX_CASE(a_sleeper_is_kicked, sleep2),
		SX_CASE(a_napper_is_kicked, sleep),
		SX_CASE(a_napper_is_kicked, sleep2),
		SX_CASE(a_change_of_mode_loses_nothing, split),
		SX_CASE(a_change_of_mode_loses_nothing, sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
