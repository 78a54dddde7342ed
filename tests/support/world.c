// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/world.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GUEST_MEMORY (16ull << 20)

/* So short that cores sleep whenever there is nothing to do. */
#define IDLE_NS 20000

const struct way way_trap = {SX_TRAP, 0, {SX_SPIN_HOT, 0}};
const struct way way_split = {SX_SPLIT, 1, {SX_SPIN_HOT, 0}};
const struct way way_split2 = {SX_SPLIT, 2, {SX_SPIN_PAUSE, 0}};
const struct way way_sleep = {SX_SPLIT, 1, {SX_SPIN_HOT, IDLE_NS}};
const struct way way_sleep2 = {SX_SPLIT, 2, {SX_SPIN_PAUSE, IDLE_NS}};

/* ---- sentences and time ---- */

void want_sentence(const struct sx_error *err, const char *says)
{
	size_t length = strlen(err->text);

	if (!strstr(err->text, says))
		fail_msg("wanted '%s' in: %s", says, err->text);
	assert_in_range(length, 1, sizeof(err->text) - 2);
	assert_null(strchr(err->text, '\n'));
	assert_int_not_equal(err->text[length - 1], '.');
}

void pause_a_little(void)
{
	const struct timespec little = {.tv_nsec = 500000};

	nanosleep(&little, NULL);
}

/* ---- the world ---- */

int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->way = *state;
	w->files = open_files();
	sx_kvm_open(&w->kvm, &w->why);
	*state = w;
	return 0;
}

static void start_sidecores(struct world *w)
{
	for (; w->sidecores < w->way->sidecores; w->sidecores++) {
		struct sx_sidecore_config config = SX_SIDECORE_POLL(-1);
		struct sx_error err = {0};

		config.wait = w->way->wait;
		if (sx_sidecore_start(&w->sidecore[w->sidecores], &config, &err) < 0)
			fail_msg("%s", err.text);
	}
}

struct world *world_of(void **state)
{
	struct world *w = *state;
	struct sx_error err = {0};

	if (w->kvm.fd < 0) {
		print_message("# skipped: %s\n", w->why.text);
		skip();
	}
	if (sx_vcpu_set_up_signal(&err) < 0)
		fail_msg("%s", err.text);
	start_sidecores(w);
	return w;
}

static void settle(struct sx_sidecore *const *sidecore, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		/* Each comes back between two turns: a whole one lies between the two. */
		sx_sidecore_sync(sidecore[i]);
		sx_sidecore_sync(sidecore[i]);
	}
}

void world_settle(struct world *w)
{
	settle(w->sidecore, w->sidecores);
}

int world_teardown(void **state)
{
	struct world *w = *state;
	unsigned files;

	for (unsigned i = 0; i < w->guests; i++)
		guest_destroy(&w->guest[i]);
	while (w->sidecores)
		sx_sidecore_stop(w->sidecore[--w->sidecores]);
	sx_kvm_close(&w->kvm);
	files = w->files;
	free(w);
	if (open_files() == files)
		return 0;
	print_error("# %u files were open before the case, %u are after it\n", files, open_files());
	return -1;
}

/* ---- guests ---- */

void guest_path(const char *program, char *path, size_t size)
{
	bool of_tests = strncmp(program, "tests/", 6) == 0;
	const char *build = getenv("SX_BUILD_DIR");

	snprintf(path, size, "%s/%sguests/%s", build ? build : SX_BUILD_DIR,
		 of_tests ? "tests/" : "", of_tests ? program + 6 : program);
}

struct sx_machine_config world_config(struct world *w, const char *program)
{
	char *path = w->path[w->guests % WORLD_GUESTS];

	guest_path(program, path, sizeof(w->path[0]));
	return (struct sx_machine_config){
		.kvm = &w->kvm,
		.guest = path,
		.memory = GUEST_MEMORY,
		.vcpus = 1,
		.mode = w->way->mode,
		.wait = w->way->wait,
		.sidecores = w->sidecore,
		.sidecore_count = w->sidecores,
		.sidecores_sleep = w->way->wait.idle_ns != 0,
	};
}

struct guest *guest_build_as(struct world *w, const struct sx_machine_config *config)
{
	struct sx_error err = {0};
	struct guest *g;

	assert_true(w->guests < WORLD_GUESTS);
	g = &w->guest[w->guests++];
	if (sx_machine_create(&g->m, config, &err) < 0)
		fail_msg("%s", err.text);
	g->built = true;
	g->page = sx_memmap_at(&g->m.vm.memory, g->m.boot.heap, sizeof(*g->page), SX_WRITE);
	assert_non_null(g->page);
	g->page->seed = 1;
	return g;
}

struct guest *guest_build(struct world *w, const char *program)
{
	struct sx_machine_config config = world_config(w, program);

	return guest_build_as(w, &config);
}

void guest_destroy(struct guest *g)
{
	if (g->running)
		guest_stop(g, NULL);
	if (g->built)
		sx_machine_destroy(&g->m);
	g->built = false;
	free(g->said);
	g->said = NULL;
	g->length = 0;
}

void guest_start(struct guest *g)
{
	struct sx_error err = {0};
	int anywhere[SX_MACHINE_MAX_VCPUS];

	for (unsigned i = 0; i < SX_MACHINE_MAX_VCPUS; i++)
		anywhere[i] = -1;
	if (sx_machine_start(&g->run, &g->m, anywhere, 0, &err) < 0)
		fail_msg("%s", err.text);
	g->running = true;
}

size_t guest_listen(struct guest *g, size_t max)
{
	size_t before = g->length;
	uint32_t n;

	do {
		g->said = realloc(g->said, g->length + max + 1);
		assert_non_null(g->said);
		n = sx_byte_queue_pull(&g->m.console_out, g->said + g->length, (uint32_t)max);
		g->length += n;
		max -= n;
	} while (n && max);
	g->said[g->length] = '\0';
	return g->length - before;
}

int guest_wait(struct guest *g, struct sx_error *err)
{
	struct pollfd fd[] = {
		{.fd = g->run.done_fd, .events = POLLIN},
		{.fd = g->m.console_out.fd, .events = POLLIN},
	};
	int end;

	while (!fd[0].revents) {
		poll(fd, 2, -1);
		sx_byte_queue_ack(&g->m.console_out);
		while (guest_listen(g, SX_BYTE_QUEUE_SIZE))
			;
	}
	end = guest_stop(g, err);
	while (guest_listen(g, SX_BYTE_QUEUE_SIZE))
		;
	/* The guest has its answers before a poller has counted them. */
	settle(g->m.config.sidecores, g->m.config.sidecore_count);
	return end;
}

int guest_stop(struct guest *g, struct sx_error *err)
{
	g->running = false;
	return sx_machine_join(&g->run, err);
}

uint32_t guest_run(struct guest *g)
{
	struct sx_error err = {0};
	int end;

	guest_start(g);
	end = guest_wait(g, &err);
	if (end != SX_VCPU_SINK)
		fail_msg("the run ended with %d: %s", end, err.text);
	assert_true(g->m.debug_exit.ended);
	return g->m.debug_exit.code;
}

void guest_work(struct guest *g, enum test_work work, uint64_t count)
{
	uint32_t code;

	g->page->work = work;
	g->page->count = count;
	code = guest_run(g);
	if (code)
		fail_msg("the guest ended with %u: %s", code, g->said);
	for (unsigned i = 0; i < g->m.config.vcpus; i++) {
		assert_int_equal(g->page->vcpu[i].wrong, 0);
		assert_int_equal(g->page->vcpu[i].out_of_sequence, 0);
		assert_int_equal(g->page->vcpu[i].done, count);
	}
}

uint64_t guest_counter(struct guest *g, unsigned vcpu, const char *name)
{
	struct sx_stats *s = &g->m.vcpu[vcpu].stats;

	if (s->fd < 0) {
		print_message("# skipped: this host's KVM counts no exits\n");
		skip();
	}
	assert_int_equal(sx_stats_read(s), 0);
	return sx_stats_get(s, name);
}
