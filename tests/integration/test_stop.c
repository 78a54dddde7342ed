// SPDX-License-Identifier: BSD-3-Clause
/*
 * Guests that are stopped from outside, wherever they are: it takes effect, harms nothing, and
 * they can go on afterwards. And vCPUs whose threads cannot be started.
 *
 * test-timeout: 300 (a busy machine)
 */
#include "tests/support/world.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/wire/types.h"

/* ---- the moment before KVM_RUN: this stands in for the C library's, in this program only ---- */

/* Is stopped when its thread, having looked for stops, is about to enter the guest. */
static struct sx_vcpu *stop_before_entry;

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	long arg;

	va_start(ap, request);
	arg = va_arg(ap, long);
	va_end(ap);
	if (request == KVM_RUN && stop_before_entry && stop_before_entry->fd == fd) {
		struct sx_vcpu *v = stop_before_entry;

		stop_before_entry = NULL;
		sx_vcpu_stop(v, pthread_self());
	}
	return (int)syscall(SYS_ioctl, fd, request, arg);
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

/* The signal comes too early to interrupt anything; the guest must not be entered all the same. */
static void between_the_look_and_the_entry(void **state)
{
	struct guest *g = guest_build(world_of(state), "spin");
	struct sx_vcpu *v = &g->m.vcpu[0];
	struct sx_error err = {0};

	for (unsigned i = 0; i < 10; i++) {
		stop_before_entry = v;
		assert_int_equal(sx_vcpu_run(v, &err), SX_VCPU_STOPPED);
		assert_null(stop_before_entry);
	}
	assert_string_equal(err.text, "");
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
	world_settle(w);
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
		EVERY_WAY(while_it_spins),
		EVERY_WAY(at_any_moment),
		SX_CASE(between_the_look_and_the_entry, trap),
		SX_CASE(between_the_look_and_the_entry, split),
		SX_CASE(while_it_waits_for_a_sidecore, split),
		SX_CASE(while_it_waits_for_a_sidecore, sleep),
		SX_CASE(while_a_sidecore_is_busy, split),
		SX_CASE(while_a_sidecore_is_busy, sleep),
		SX_CASE(on_a_cpu_that_is_not_there, trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
