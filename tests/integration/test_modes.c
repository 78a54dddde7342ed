// SPDX-License-Identifier: BSD-3-Clause
/*
 * One guest whose mode changes from run to run, as the benchmarks have it: what it does costs in
 * each mode the exits it should, whatever mode it was in before, and nothing is lost on the way.
 */
#include "tests/support/world.h"

#include <errno.h>

#include "bench/rig.h"

#define SAMPLES 40
#define ROUNDS  3

/* Accesses or posts in one sample, and posts in one burst. */
#define MESSAGES 24
#define BATCH    8

static const struct kind {
	enum sx_bench_op op;
	unsigned trap; /* MMIO exits of one sample */
	unsigned split;
} kinds[] = {
	{SX_BENCH_NOTHING, 0, 0},
	{SX_BENCH_REG_READ, 1, 1},
	{SX_BENCH_REG_WRITE, 1, 1},
	{SX_BENCH_DOORBELL, 1, 1},
	{SX_BENCH_PAGE_READ, MESSAGES, 0},
	{SX_BENCH_PAGE_WRITE, MESSAGES, 0},
	{SX_BENCH_PAGE_DOORBELL, MESSAGES, 0},
	{SX_BENCH_REQUEST, 1, 0},
	{SX_BENCH_STREAM, MESSAGES / BATCH, 0},
	{SX_BENCH_IRQ, 2, 0},
	{SX_BENCH_IRQ_REPLY, 2, 0},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* The one that a case uses; closed after it, however it ended. */
static struct bench {
	bool open;
	struct sx_rig rig;
	struct sx_samples samples;
} bench;

static struct bench *open_bench(void **state)
{
	char path[4096];
	const struct sx_rig_config config = {.guest = path, .memory = 16ull << 20};
	struct sx_error err = {0};
	int rc;

	world_of(state);
	guest_path("exits", path, sizeof(path));
	rc = sx_rig_open(&bench.rig, &config, &err);
	if (rc == -ENOSPC) {
		print_message("# skipped: %s\n", err.text);
		skip();
	}
	if (rc < 0)
		fail_msg("%s", err.text);
	bench.open = true;
	assert_int_equal(sx_samples_init(&bench.samples, SAMPLES, &err), 0);
	return &bench;
}

static int close_bench(void **state)
{
	if (bench.open) {
		sx_samples_destroy(&bench.samples);
		sx_rig_close(&bench.rig);
		bench.open = false;
	}
	return world_teardown(state);
}

static uint64_t mmio_exits(struct bench *b)
{
	struct sx_stats *s = &b->rig.machine.vcpu[0].stats;

	assert_int_equal(sx_stats_read(s), 0);
	return sx_stats_get(s, "mmio_exits");
}

static void run(struct bench *b, const struct kind *k, enum sx_mode mode)
{
	const struct sx_rig_command command = {
		.mode = mode,
		.op = k->op,
		.samples = SAMPLES,
		.warmup = 2,
		.batch = BATCH,
		.messages = MESSAGES,
		.doorbell = SX_MACHINE_TESTDEV_GPA + offsetof(struct sx_testdev_regs, doorbell),
	};
	struct sx_rig_outcome sum = {0};
	struct sx_error err = {0};
	uint64_t before = mmio_exits(b);

	sx_samples_clear(&b->samples);
	if (sx_rig_run(&b->rig, &command, &b->samples, &sum, &err) < 0)
		fail_msg("operation %d: %s", k->op, err.text);
	assert_int_equal(sum.ops, SAMPLES + 2);
	assert_int_equal(b->samples.count, SAMPLES);
	assert_int_equal(mmio_exits(b) - before, sum.ops * (mode == SX_TRAP ? k->trap : k->split));
	assert_true(sum.exits >= mmio_exits(b) - before);
}

/* What the devices counted over all runs. */
static void check_counts(struct bench *b, uint64_t runs)
{
	const struct sx_machine *m = &b->rig.machine;
	uint64_t ops = runs * (SAMPLES + 2);

	assert_int_equal(m->testdev.rings, ops);
	assert_int_equal(m->ring[SX_REQUEST_RING].dev.requests, ops);
	assert_int_equal(m->ring[SX_REQUEST_RING].server.messages, ops);
	assert_int_equal(m->ring[SX_STREAM_RING].dev.posts, ops * MESSAGES);
	assert_int_equal(m->ring[SX_STREAM_RING].dev.out_of_sequence, 0);
	/* In each mode, of both kinds of run that interrupt. */
	assert_int_equal(m->irq.raised + m->twin_irq.raised, 2 * ops);
	assert_int_equal(m->irq.raised, m->twin_irq.raised);
	assert_int_equal(m->testdev.refused + m->twin.dev.refused, 0);
}

static void change_from_run_to_run(void **state)
{
	struct bench *b = open_bench(state);

	for (unsigned i = 0; i < ROUNDS; i++)
		for (unsigned k = 0; k < KINDS; k++) {
			run(b, &kinds[k], SX_TRAP);
			run(b, &kinds[k], SX_SPLIT);
		}
	check_counts(b, 2ull * ROUNDS);
}

/* The mode may stay, too. */
static void stay_and_change(void **state)
{
	struct bench *b = open_bench(state);
	uint64_t seed = 51;

	for (unsigned i = 0; i < 60; i++) {
		const struct kind *k = &kinds[test_random(&seed) % KINDS];

		run(b, k, test_random(&seed) % 2 ? SX_TRAP : SX_SPLIT);
	}
	assert_int_equal(b->rig.machine.ring[SX_STREAM_RING].dev.out_of_sequence, 0);
}

/* A benchmark that its guest cannot do fails, and says so. */
static void what_cannot_be_measured(void **state)
{
	struct sx_rig_command command = {.mode = SX_SPLIT, .op = SX_BENCH_NOTHING};
	struct sx_rig_outcome sum = {0};
	struct bench *b = open_bench(state);
	struct sx_error err = {0};

	command.samples = b->rig.page_samples + 1;
	assert_int_equal(sx_rig_run(&b->rig, &command, &b->samples, &sum, &err), -EINVAL);
	want_sentence(&err, "has room for");
	command.samples = 1;
	command.op = 99;
	err.text[0] = '\0';
	assert_int_equal(sx_rig_run(&b->rig, &command, &b->samples, &sum, &err), -EIO);
	want_sentence(&err, "1 of them wrong");
}

/* World and rig both. */
#define CASE(FUNCTION)                                                                      \
	{                                                                                   \
#FUNCTION, FUNCTION, world_setup, close_bench, (void *)(uintptr_t)&way_trap \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(change_from_run_to_run),
		CASE(stay_and_change),
		CASE(what_cannot_be_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
