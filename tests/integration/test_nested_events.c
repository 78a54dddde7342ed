// SPDX-License-Identifier: BSD-3-Clause
/*
 * Interrupts, NMIs, timers and HLT of nested guests on real KVM: an L2 that never exits by itself
 * gives L1 its processor back when L1 has to have it, each time and once each time.
 *
 * test-timeout: 600 (a busy machine)
 */
#include "tests/support/nested.h"

#include <linux/kvm.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ipc/wire/types.h"
#include "tests/guests/l1_events.h"

#define ROUNDS      20u
#define LINE_ROUNDS 200u

/* ---- a hypervisor and who grants its wishes ---- */

static struct l1_page *page_of(struct guest *g)
{
	return (struct l1_page *)(void *)g->page;
}

static struct guest *build(struct world *w, enum sx_nested_place place, enum l1_case what,
			   unsigned rounds)
{
	return nested_build(w, "tests/l1_events", 1, L1_CASE(what, rounds), place);
}

static void grant(struct guest *g, uint64_t wish)
{
	if (wish == L1_WISH_IRQ)
		assert_int_equal(sx_irq_raise(&g->m.irq), 0);
	else
		assert_int_equal(ioctl(g->m.vcpu[0].fd, KVM_NMI, 0), 0);
}

static bool ended(const struct guest *g)
{
	struct pollfd fd = {.fd = g->run.done_fd, .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

/* Until L2 has counted on, or the guest has ended. */
static void let_l2_run(struct guest *g)
{
	struct l1_page *page = page_of(g);
	uint64_t before = sx_load_relaxed(&page->count);

	while (sx_load_relaxed(&page->count) == before && !ended(g))
		pause_a_little();
}

/* Run the guest to its end, and whenever it wishes for something do that, at some moment. */
static void run(struct guest *g)
{
	struct l1_page *page = page_of(g);
	uint64_t seed = 77;

	guest_start(g);
	while (!ended(g)) {
		/* Pairs with the release in the guest. */
		uint64_t wish = sx_load_acquire(&page->wish);

		if (!wish) {
			sched_yield();
			continue;
		}
		if (sx_load_relaxed(&page->l2_runs))
			let_l2_run(g);
		for (uint64_t k = test_random(&seed) % 20000; k; k--)
			sx_pause();
		sx_store_relaxed(&page->wish, (uint64_t)L1_WISH_NOTHING);
		grant(g, wish);
	}
}

static void ends_well(struct guest *g)
{
	struct sx_error err = {0};

	run(g);
	if (guest_wait(g, &err) != SX_VCPU_SINK || g->m.debug_exit.code)
		fail_msg("ended with %u: %s%s", g->m.debug_exit.code, err.text, g->said);
	assert_string_equal(g->said, "all well\n");
}

static void on_its_own_thread(void **state, enum l1_case what, unsigned rounds)
{
	struct world *w = world_of(state);

	ends_well(build(w, nested_place(w), what, rounds));
}

static void on_its_own_core(void **state, enum l1_case what, unsigned rounds)
{
	ends_well(build(world_of(state), SX_NESTED_PARALLEL, what, rounds));
}

/* ---- L1's thread runs L2: its APIC is looked at ---- */

static void the_line_names_the_vector(void **state)
{
	on_its_own_thread(state, L1_NAMED, ROUNDS);
}

static void acknowledged_on_exit(void **state)
{
	on_its_own_thread(state, L1_ACKNOWLEDGE, ROUNDS);
}

static void not_acknowledged(void **state)
{
	on_its_own_thread(state, L1_NO_ACK, ROUNDS);
}

static void taken_by_l2(void **state)
{
	on_its_own_thread(state, L1_TO_L2, ROUNDS);
}

static void kept_off(void **state)
{
	on_its_own_thread(state, L1_HELD_OFF, ROUNDS);
}

static void nmi_taken_by_l2(void **state)
{
	on_its_own_thread(state, L1_NMI_TO_L2, ROUNDS);
}

static void apic_timer_of_l1(void **state)
{
	on_its_own_thread(state, L1_APIC_TIMER, ROUNDS);
}

static void nmi_of_l1(void **state)
{
	on_its_own_thread(state, L1_NMI, ROUNDS);
}

/* ---- L2 has a core of its own: L1 tells ---- */

static void told_by_the_line(void **state)
{
	on_its_own_core(state, L1_LINE, LINE_ROUNDS);
}

static void told_while_halted(void **state)
{
	on_its_own_core(state, L1_LINE_HALTED, LINE_ROUNDS);
}

/* ---- both ---- */

static void preemption_timer(void **state)
{
	on_its_own_thread(state, L1_TIMER, ROUNDS);
}

static void preemption_timer_on_its_own_core(void **state)
{
	on_its_own_core(state, L1_TIMER, ROUNDS);
}

static void entered_halted(void **state)
{
	on_its_own_thread(state, L1_HALTED, ROUNDS);
}

static void halts_itself(void **state)
{
	on_its_own_thread(state, L1_HLT, ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SX_CASE(the_line_names_the_vector, trap),
		SX_CASE(the_line_names_the_vector, split),
		SX_CASE(acknowledged_on_exit, trap),
		SX_CASE(acknowledged_on_exit, split),
		SX_CASE(not_acknowledged, trap),
		SX_CASE(taken_by_l2, trap),
		SX_CASE(kept_off, trap),
		SX_CASE(nmi_taken_by_l2, trap),
		SX_CASE(apic_timer_of_l1, trap),
		SX_CASE(apic_timer_of_l1, split),
		SX_CASE(nmi_of_l1, trap),
		SX_CASE(nmi_of_l1, split),
		SX_CASE(told_by_the_line, split),
		SX_CASE(told_while_halted, split),
		SX_CASE(preemption_timer, trap),
		SX_CASE(preemption_timer_on_its_own_core, split),
		SX_CASE(entered_halted, trap),
		SX_CASE(entered_halted, split),
		SX_CASE(halts_itself, trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
