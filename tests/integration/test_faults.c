// SPDX-License-Identifier: BSD-3-Clause
/*
 * Guests that go wrong: each is stopped with one sentence that says what it did, and nothing else
 * of the process is harmed. And guests that are stopped from outside, wherever they are.
 *
 * test-timeout: 300 (a busy machine)
 */
#include "tests/support/world.h"

#include <errno.h>
#include <string.h>
#include <time.h>

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

/* ---- stopped from outside ---- */

static void pause_a_little(void)
{
	const struct timespec little = {.tv_nsec = 1000000};

	nanosleep(&little, NULL);
}

/* After it was stopped a guest can be started again, and knows nothing of it. */
static void goes_on(struct guest *g)
{
	struct sx_error err = {0};

	sx_store_relaxed(&g->page->count, 0ull);
	guest_start(g);
	if (guest_wait(g, &err) != SX_VCPU_SINK || g->m.debug_exit.code)
		fail_msg("ended with %u: %s%s", g->m.debug_exit.code, err.text, g->said);
	for (unsigned i = 0; i < g->m.config.vcpus; i++)
		assert_int_equal(g->page->vcpu[i].wrong, 0);
}

static void while_it_spins(void **state)
{
	struct sx_machine_config config;
	struct world *w = world_of(state);
	struct sx_error err = {0};
	struct guest *g;

	config = world_config(w, "spin");
	config.vcpus = 2;
	g = guest_build_as(w, &config);
	for (unsigned i = 0; i < 3; i++) {
		guest_start(g);
		pause_a_little();
		assert_int_equal(guest_stop(g, &err), SX_VCPU_STOPPED);
	}
	assert_string_equal(err.text, "");
	assert_false(g->m.debug_exit.ended);
}

/* At any moment: before the first KVM_RUN, in it, in an exit. */
static void at_any_moment(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = guest_build(w, "tests/work");
	struct sx_error err = {0};
	uint64_t seed = 41;

	g->page->work = TEST_MIX;
	g->page->count = UINT64_MAX;
	for (unsigned i = 0; i < 100; i++) {
		guest_start(g);
		for (uint64_t k = test_random(&seed) % 20000; k; k--)
			sx_pause();
		assert_int_equal(guest_stop(g, &err), SX_VCPU_STOPPED);
	}
	goes_on(g);
	assert_int_equal(g->m.ring[SX_REQUEST_RING].dev.posts, g->page->vcpu[0].posts);
}

/* Keeps a sidecore from its pollers. */
struct gate {
	uint32_t shut; /* the sidecore is here */
	uint32_t open; /* it may go on */
	struct sx_mail mail;
};

static void stay_at(void *ctx)
{
	struct gate *gate = ctx;

	sx_store_release(&gate->shut, 1u);
	while (!sx_load_acquire(&gate->open))
		pause_a_little();
}

static void shut(struct gate *gate, struct sx_sidecore *sc)
{
	*gate = (struct gate){0};
	sx_sidecore_send(sc, &gate->mail, stay_at, gate);
	while (!sx_load_acquire(&gate->shut))
		pause_a_little();
}

static void reopen(struct gate *gate)
{
	sx_store_release(&gate->open, 1u);
	sx_mail_wait(&gate->mail);
}

struct stopper {
	struct guest *g;
	int end;
	uint32_t done;
};

static void *stop(void *arg)
{
	struct stopper *s = arg;

	s->end = guest_stop(s->g, NULL);
	sx_store_release(&s->done, 1u);
	return NULL;
}

/* The exit that it is in when the stop comes is finished, and neither lost nor done again. */
static void while_it_waits_for_a_sidecore(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = guest_build(w, "tests/work");
	struct stopper stopper = {.g = g};
	const struct sx_vcpu *v = &g->m.vcpu[0];
	struct gate gate;
	pthread_t thread;

	g->page->work = TEST_READS;
	g->page->count = UINT64_MAX;
	guest_start(g);
	while (!sx_load_relaxed(&v->exits_forwarded))
		pause_a_little();
	shut(&gate, w->sidecore[0]);
	while (sx_load_relaxed(&v->exits_forwarded) == g->m.server[0].served)
		pause_a_little();
	assert_int_equal(pthread_create(&thread, NULL, stop, &stopper), 0);
	while (!sx_load_relaxed(&v->stop))
		pause_a_little();
	pause_a_little();
	assert_false(sx_load_acquire(&stopper.done));
	reopen(&gate);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(stopper.end, SX_VCPU_STOPPED);
	assert_int_equal(v->exits_forwarded, g->m.server[0].served);
	goes_on(g);
	assert_int_equal(g->m.testdev_range.reads, g->page->vcpu[0].done);
}

/* A guest that asks nothing of a busy sidecore is stopped without it. */
static void while_a_sidecore_is_busy(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = guest_build(w, "tests/work");
	struct sx_error err = {0};
	struct gate gate;

	g->page->work = TEST_REQUESTS;
	g->page->count = UINT64_MAX;
	guest_start(g);
	while (!sx_load_relaxed(&g->page->vcpu[0].done))
		pause_a_little();
	shut(&gate, w->sidecore[0]);
	/* With a sleeping sidecore it may be in a kick, which is an exit for that sidecore. */
	if (!w->way->wait.idle_ns)
		assert_int_equal(guest_stop(g, &err), SX_VCPU_STOPPED);
	reopen(&gate);
	if (g->running)
		assert_int_equal(guest_stop(g, &err), SX_VCPU_STOPPED);
	goes_on(g);
	assert_int_equal(g->m.ring[SX_REQUEST_RING].dev.requests, g->page->vcpu[0].done);
}

/* ---- threads that cannot be started ---- */

static void on_a_cpu_that_is_not_there(void **state)
{
	struct world *w = world_of(state);
	struct sx_machine_config config = world_config(w, "spin");
	const int cpus[] = {-1, CPU_SETSIZE - 1};
	struct sx_error err = {0};
	struct guest *g;
	unsigned files;

	config.vcpus = 2;
	g = guest_build_as(w, &config);
	files = open_files();
	assert_int_equal(sx_machine_start(&g->run, &g->m, cpus, 0, &err), -EINVAL);
	want_sentence(&err, "cannot start the thread of vCPU 1 on CPU 1023");
	assert_int_equal(open_files(), files);
	assert_int_equal(g->run.started, 0);
	guest_start(g);
	assert_int_equal(guest_stop(g, NULL), SX_VCPU_STOPPED);
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
		EVERY_WAY(while_it_spins),
		EVERY_WAY(at_any_moment),
		SX_CASE(while_it_waits_for_a_sidecore, split),
		SX_CASE(while_it_waits_for_a_sidecore, sleep),
		SX_CASE(while_a_sidecore_is_busy, split),
		SX_CASE(while_a_sidecore_is_busy, sleep),
		SX_CASE(on_a_cpu_that_is_not_there, trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
