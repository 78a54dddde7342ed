// SPDX-License-Identifier: BSD-3-Clause
#include "bench/virtio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/progress.h"
#include "bench/virtio_stage.h"

#define FLOOR_ROUNDS 20000u
#define WARMUP       20u
#define WINDOWS      50u /* of a task in a round */

static const char *const modes[] = {"trap", "split", "testpmd"};

#define PACKED     SX_BENCH_PACKED
#define INTERRUPTS SX_BENCH_INTERRUPTS

/* What is measured; `samples` and `trapped` in each round. Those of one kind of ring together. */
static const struct task {
	const char *op;
	enum sx_bench_op what;
	uint32_t depth, batch, bytes;
	uint32_t samples, trapped;
	uint32_t how;
} tasks[] = {
	{"blk_read_4k_qd1", SX_BENCH_BLK_READ, 1, 0, 0, 1000, 500, 0},
	{"blk_read_4k_qd32", SX_BENCH_BLK_READ, 32, 0, 0, 3000, 1000, 0},
	{"blk_write_4k_qd1", SX_BENCH_BLK_WRITE, 1, 0, 0, 1000, 500, 0},
	{"blk_write_4k_qd32", SX_BENCH_BLK_WRITE, 32, 0, 0, 3000, 1000, 0},
	{"net_tx_64", SX_BENCH_NET_TX, 1, 1, 64, 2000, 500, 0},
	{"net_tx_64", SX_BENCH_NET_TX, 128, 32, 64, 1000, 200, 0},
	{"net_tx_1500", SX_BENCH_NET_TX, 128, 32, 1500, 1000, 200, 0},
	{"net_rx_64", SX_BENCH_NET_RX, 32, 32, 64, 1000, 200, 0},
	{"net_fwd_64", SX_BENCH_NET_FORWARD, 1, 1, 64, 2000, 500, 0},
	{"net_fwd_64", SX_BENCH_NET_FORWARD, 128, 32, 64, 1000, 200, 0},
	{"net_fwd_1500", SX_BENCH_NET_FORWARD, 128, 32, 1500, 1000, 200, 0},
	{"blk_read_4k_irq", SX_BENCH_BLK_READ, 1, 0, 0, 500, 500, INTERRUPTS},
	{"net_fwd_64_irq", SX_BENCH_NET_FORWARD, 1, 1, 64, 500, 500, INTERRUPTS},
	{"blk_read_4k_qd1_packed", SX_BENCH_BLK_READ, 1, 0, 0, 1000, 500, PACKED},
	{"blk_read_4k_qd32_packed", SX_BENCH_BLK_READ, 32, 0, 0, 3000, 1000, PACKED},
	{"net_tx_64_packed", SX_BENCH_NET_TX, 128, 32, 64, 1000, 200, PACKED},
	{"net_rx_64_packed", SX_BENCH_NET_RX, 32, 32, 64, 1000, 200, PACKED},
	{"net_fwd_64_packed", SX_BENCH_NET_FORWARD, 128, 32, 64, 1000, 200, PACKED},
};

#define TASKS (sizeof(tasks) / sizeof(tasks[0]))

struct suite {
	const struct sx_bench_options *opt;
	struct sx_report *report;
	struct sx_virtio_stage stage;
	struct sx_progress progress;
	struct sx_samples pingpong;
	struct sx_virtio_outcome outcome[TASKS][SX_ACTORS];
};

/* Its rings are split ones, and nobody hears its interrupts. */
static bool has_peer(const struct task *t)
{
	return t->what >= SX_BENCH_NET_TX && !t->how;
}

static bool takes_part(const struct suite *s, const struct task *t, enum sx_actor a)
{
	return a != SX_ACTOR_TESTPMD || (s->stage.have_testpmd && has_peer(t));
}

static uint32_t samples_of(const struct task *t, enum sx_actor a)
{
	return a == SX_ACTOR_TRAP ? t->trapped : t->samples;
}

/* Requests, or frames, in a sample. */
static uint32_t requests_of(const struct task *t)
{
	return t->batch ? t->batch : 1;
}

static uint32_t window_of(const struct task *t, enum sx_actor a)
{
	return samples_of(t, a) / WINDOWS;
}

/* ---- measuring ---- */

static int run_task(struct suite *s, size_t i, enum sx_actor a, struct sx_error *err)
{
	const struct task *t = &tasks[i];
	const struct sx_virtio_command command = {
		.actor = a,
		.op = t->what,
		.samples = samples_of(t, a),
		.warmup = WARMUP,
		.depth = t->depth,
		.batch = t->batch,
		.bytes = t->bytes,
		.window = window_of(t, a),
		.how = t->how,
	};
	char what[64];

	snprintf(what, sizeof(what), "%s, %s", t->op, modes[a]);
	sx_progress_step(&s->progress, what);
	return sx_virtio_stage_run(&s->stage, &command, &s->outcome[i][a], err);
}

static void run_floor(struct suite *s)
{
	sx_progress_step(&s->progress, "floor");
	/* The trap rig's sidecore has nothing else to do. */
	sx_floor_pingpong(&s->stage.rig[SX_ACTOR_TRAP], FLOOR_ROUNDS, &s->pingpong);
}

static int run_round(struct suite *s, struct sx_error *err)
{
	int rc = 0;

	run_floor(s);
	for (size_t i = 0; i < TASKS; i++)
		for (unsigned a = 0; rc == 0 && a < SX_ACTORS; a++)
			if (takes_part(s, &tasks[i], a))
				rc = run_task(s, i, a, err);
	return rc;
}

/* ---- reporting ---- */

static int add_row(struct suite *s, size_t i, enum sx_actor a, struct sx_error *err)
{
	const struct task *t = &tasks[i];
	struct sx_virtio_outcome *o = &s->outcome[i][a];
	const uint64_t khz = s->stage.rig[a].tsc_khz;
	const double all = (double)o->rig.ops * requests_of(t);
	struct sx_report_row row = {.batch = t->batch};
	uint64_t window = 0;
	int rc = sx_samples_summary(&o->samples, khz, &row.time);

	if (rc == 0)
		rc = sx_samples_percentile(&o->windows, 500, &window);
	if (rc < 0)
		return sx_fail(err, rc, "no samples of %s", t->op);
	snprintf(row.op, sizeof(row.op), "%s", t->op);
	snprintf(row.mode, sizeof(row.mode), "%s", modes[a]);
	snprintf(row.where, sizeof(row.where), "%s", s->opt->where);
	row.exits_per_op = (double)o->rig.exits / all;
	row.per_second =
		window_of(t, a) * requests_of(t) / (sx_cycles_to_ns((double)window, khz) * 1e-9);
	row.sidecore_ns = sx_cycles_to_ns((double)o->busy, khz) / all;
	return sx_report_add_row(s->report, &row, err);
}

static int add_rows(struct suite *s, struct sx_error *err)
{
	int rc = 0;

	s->report->by_machine = true;
	for (size_t i = 0; i < TASKS; i++)
		for (unsigned a = 0; rc == 0 && a < SX_ACTORS; a++)
			if (takes_part(s, &tasks[i], a))
				rc = add_row(s, i, a, err);
	return rc;
}

static int add_floor(struct suite *s, struct sx_error *err)
{
	uint64_t cycles;
	int rc = sx_samples_percentile(&s->pingpong, 500, &cycles);

	if (rc < 0)
		return sx_fail(err, rc, "no samples of the floor");
	return sx_report_add_floor(
		s->report, "pingpong_p50_ns",
		sx_cycles_to_ns((double)cycles, s->stage.rig[SX_ACTOR_TRAP].tsc_khz), err);
}

static const struct sx_report_row *row_of(const struct suite *s, size_t i, enum sx_actor a)
{
	return sx_report_find(s->report, tasks[i].op, modes[a], tasks[i].batch);
}

static double smaller(double a, double b)
{
	return a < b ? a : b;
}

/*
 * How many times better split mode is. Where requests go one at a time, in the least of rate, p50
 * and p99; where a queue is kept full, a time is mostly that of waiting behind others, and the
 * rate alone counts.
 */
static double gain(const struct task *t, const struct sx_report_row *trap,
		   const struct sx_report_row *split)
{
	if (t->depth > 1)
		return split->per_second / trap->per_second;
	return smaller(split->per_second / trap->per_second,
		       smaller(trap->time.p50_ns / split->time.p50_ns,
			       trap->time.p99_ns / split->time.p99_ns));
}

static int add_ratio(struct suite *s, const struct task *t, const char *what, double target,
		     double measured, struct sx_error *err)
{
	struct sx_report_target ratio = {
		.unit = "x", .bound = SX_AT_LEAST, .target = target, .measured = measured};

	if (t->batch > 1)
		snprintf(ratio.name, sizeof(ratio.name), "%s in bursts of %u, %s", t->op, t->batch,
			 what);
	else
		snprintf(ratio.name, sizeof(ratio.name), "%s, %s", t->op, what);
	return sx_report_add_target(s->report, &ratio, err);
}

/*
 * A burst shares one exit among its frames, so trap mode is held against requests one by one. An
 * interrupt exits in both modes, so those requests have no target.
 */
static int add_targets_of(struct suite *s, size_t i, struct sx_error *err)
{
	const struct task *t = &tasks[i];
	const struct sx_report_row *trap = row_of(s, i, SX_ACTOR_TRAP);
	const struct sx_report_row *split = row_of(s, i, SX_ACTOR_SPLIT);
	const struct sx_report_row *peer = row_of(s, i, SX_ACTOR_TESTPMD);
	int rc = 0;

	if (t->batch <= 1 && !(t->how & INTERRUPTS))
		rc = add_ratio(s, t, "split : trap", 10, gain(t, trap, split), err);
	if (rc == 0 && has_peer(t))
		rc = add_ratio(s, t, "rate, split : testpmd", 1,
			       peer ? split->per_second / peer->per_second : SX_NOT_MEASURED, err);
	return rc;
}

/* KVM counts the host's own interruptions too; the device causes those for port I/O and MMIO. */
static int add_exit_target(struct suite *s, struct sx_error *err)
{
	struct sx_report_target exits = {
		.name = "exits for devices in split mode, the most of all",
		.unit = "exits/op",
		.bound = SX_AT_MOST,
		.target = 0.01,
	};

	for (size_t i = 0; i < TASKS; i++) {
		const struct sx_rig_outcome *o = &s->outcome[i][SX_ACTOR_SPLIT].rig;
		double per_op = (double)o->device_exits / ((double)o->ops * requests_of(&tasks[i]));

		if (per_op > exits.measured)
			exits.measured = per_op;
	}
	return sx_report_add_target(s->report, &exits, err);
}

static int add_targets(struct suite *s, struct sx_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < TASKS; i++)
		rc = add_targets_of(s, i, err);
	return rc < 0 ? rc : add_exit_target(s, err);
}

static int report(struct suite *s, struct sx_error *err)
{
	int rc = add_floor(s, err);

	if (rc == 0)
		rc = add_rows(s, err);
	if (rc == 0)
		rc = add_targets(s, err);
	if (rc == 0 && !s->stage.have_testpmd)
		rc = sx_report_add_note(s->report, err, "testpmd left out: %s",
					s->stage.missing.text);
	return rc;
}

/* ---- the whole ---- */

static int prepare_outcome(struct sx_virtio_outcome *o, size_t samples, size_t windows,
			   struct sx_error *err)
{
	int rc = sx_samples_init(&o->samples, samples, err);

	return rc < 0 ? rc : sx_samples_init(&o->windows, windows, err);
}

static void forget_outcome(struct sx_virtio_outcome *o)
{
	sx_samples_destroy(&o->samples);
	sx_samples_destroy(&o->windows);
}

static int prepare_samples(struct suite *s, struct sx_error *err)
{
	const size_t rounds = s->opt->rounds;
	int rc = sx_samples_init(&s->pingpong, rounds * FLOOR_ROUNDS, err);

	for (size_t i = 0; i < TASKS; i++)
		for (unsigned a = 0; rc == 0 && a < SX_ACTORS; a++)
			rc = prepare_outcome(&s->outcome[i][a], rounds * samples_of(&tasks[i], a),
					     rounds * WINDOWS, err);
	return rc;
}

static unsigned steps_of_round(const struct suite *s)
{
	unsigned steps = 1;

	for (size_t i = 0; i < TASKS; i++)
		for (unsigned a = 0; a < SX_ACTORS; a++)
			steps += takes_part(s, &tasks[i], a);
	return steps;
}

static int measure(struct suite *s, struct sx_error *err)
{
	int rc = 0;

	sx_progress_begin(&s->progress, stderr, s->opt->rounds * steps_of_round(s));
	for (unsigned i = 0; rc == 0 && i < s->opt->rounds; i++)
		rc = run_round(s, err);
	sx_progress_end(&s->progress);
	return rc < 0 ? rc : sx_virtio_stage_check(&s->stage, err);
}

int sx_virtio_run(const struct sx_bench_options *opt, struct sx_report *r, struct sx_error *err)
{
	struct suite *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->opt = opt;
	s->report = r;
	rc = sx_virtio_stage_open(&s->stage, opt, err);
	if (rc == 0)
		rc = prepare_samples(s, err);
	if (rc == 0)
		rc = measure(s, err);
	if (rc == 0)
		rc = report(s, err);
	sx_virtio_stage_close(&s->stage);
	sx_samples_destroy(&s->pingpong);
	for (size_t i = 0; i < TASKS; i++)
		for (unsigned a = 0; a < SX_ACTORS; a++)
			forget_outcome(&s->outcome[i][a]);
	free(s);
	return rc;
}
