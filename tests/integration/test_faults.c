// SPDX-License-Identifier: BSD-3-Clause
/*
 * Guests that go wrong: each is stopped with one sentence that says what it did, and nothing else
 * of the process is harmed.
 *
 * test-timeout: 300 (a busy machine)
 */
#include "tests/support/world.h"

#include <errno.h>
#include <string.h>

#include "ipc/wire/types.h"
#include "tests/guests/crash.h"

static struct guest *build_crash(struct world *w, enum test_crash how, unsigned vcpus)
{
	struct sx_machine_config config = world_config(w, "tests/crash");

	config.vcpus = vcpus;
	config.argument = how | (uint64_t)(vcpus - 1) << TEST_CRASH_VCPU_SHIFT;
	return guest_build_as(w, &config);
}

/* ---- what a guest does wrong ---- */

static const struct fault {
	enum test_crash how;
	int end; /* of the run; SX_VCPU_SINK when the guest's own handler ends it */
	const char *says;
} faults[] = {
	{TEST_CRASH_TRIPLE_FAULT, -EFAULT, "triple fault on vCPU"},
	{TEST_CRASH_MMIO_READ, -ENXIO, "the guest read 8 bytes at address 0xe0000040"},
	{TEST_CRASH_MMIO_WRITE, -ENXIO, "the guest wrote 8 bytes at address 0xe0000040"},
	{TEST_CRASH_PORT_READ, -ENXIO, "the guest read 1 byte at port 0x1234"},
	{TEST_CRASH_PORT_WRITE, -ENXIO, "the guest wrote 4 bytes at port 0x1234"},
	{TEST_CRASH_ACROSS_END, -ENXIO, "the guest wrote 4 bytes at port 0x3fe"},
	{TEST_CRASH_PAST_MEMORY, -ENXIO, "the guest wrote 8 bytes at address 0x1000000"},
	{TEST_CRASH_PRIVILEGED, SX_VCPU_SINK, "unexpected vector 13"},
	{TEST_CRASH_SUPERVISOR, SX_VCPU_SINK, "unexpected vector 14"},
	{TEST_CRASH_NULL, SX_VCPU_SINK, "unexpected vector 14"},
};

static void check_fault(struct guest *g, const struct fault *f)
{
	struct sx_error err = {0};
	int end;

	guest_start(g);
	end = guest_wait(g, &err);
	if (end != f->end)
		fail_msg("fault %d ended with %d: %s%s", f->how, end, err.text, g->said);
	if (end < 0) {
		want_sentence(&err, f->says);
		assert_false(g->m.debug_exit.ended);
		return;
	}
	/* Delivered to the guest, whose library reports it. */
	assert_string_equal(err.text, "");
	assert_int_equal(g->m.debug_exit.code, 2);
	assert_non_null(strstr(g->said, f->says));
}

static void is_stopped_with_a_sentence(void **state)
{
	struct world *w = world_of(state);

	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct guest *g = build_crash(w, faults[i].how, 1);

		check_fault(g, &faults[i]);
		guest_destroy(g);
		w->guests--;
	}
}

/* The other vCPU, which does no wrong, is stopped with it. */
static void one_vcpu_takes_all_along(void **state)
{
	struct world *w = world_of(state);

	for (unsigned i = 0; i < 3; i++) {
		struct guest *g = build_crash(w, faults[i].how, 2);

		check_fault(g, &faults[i]);
		guest_destroy(g);
		w->guests--;
	}
}

/*
 * KVM emulates few instructions on a device, and none where there is no memory to fetch from. It
 * gives up on the guest, or lets the guest have a #UD, by its version and kind.
 */
static void what_kvm_cannot_emulate(void **state)
{
	static const enum test_crash how[] = {TEST_CRASH_EMULATION, TEST_CRASH_JUMP};
	struct world *w = world_of(state);

	for (unsigned i = 0; i < 2; i++) {
		struct guest *g = build_crash(w, how[i], 1);
		struct sx_error err = {0};
		int end;

		guest_start(g);
		end = guest_wait(g, &err);
		if (end == SX_VCPU_SINK)
			assert_non_null(strstr(g->said, "unexpected vector 6"));
		else
			want_sentence(&err, "vCPU 0 was stopped: KVM");
		guest_destroy(g);
		w->guests--;
	}
}

static void does_not_harm_its_neighbour(void **state)
{
	struct world *w = world_of(state);
	struct guest *neighbour = guest_build(w, "tests/work");
	struct sx_error err = {0};

	neighbour->page->work = TEST_MIX;
	neighbour->page->count = UINT64_MAX;
	guest_start(neighbour);
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct guest *g = build_crash(w, faults[i].how, 1);

		check_fault(g, &faults[i]);
		guest_destroy(g);
		w->guests--;
	}
	sx_store_relaxed(&neighbour->page->count, 0ull);
	assert_int_equal(guest_wait(neighbour, &err), SX_VCPU_SINK);
	assert_int_equal(neighbour->m.debug_exit.code, 0);
	assert_int_equal(neighbour->page->vcpu[0].wrong, 0);
	assert_int_equal(neighbour->page->vcpu[0].out_of_sequence, 0);
	assert_int_equal(neighbour->m.ring[SX_REQUEST_RING].dev.posts,
			 neighbour->page->vcpu[0].posts);
}

#define EVERY_WAY(FUNCTION)                                                           \
	SX_CASE(FUNCTION, trap), SX_CASE(FUNCTION, split), SX_CASE(FUNCTION, split2), \
		SX_CASE(FUNCTION, sleep), SX_CASE(FUNCTION, sleep2)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY_WAY(is_stopped_with_a_sentence),
		EVERY_WAY(one_vcpu_takes_all_along),
		EVERY_WAY(what_kvm_cannot_emulate),
		EVERY_WAY(does_not_harm_its_neighbour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
