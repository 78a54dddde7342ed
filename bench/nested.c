// SPDX-License-Identifier: BSD-3-Clause
#include "bench/nested.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/disk_bench.h"
#include "bench/entry_cost.h"
#include "bench/floors.h"
#include "bench/paths.h"
#include "bench/progress.h"
#include "bench/rig.h"

#define GUEST_MEMORY (16ull << 20)
#define DISK_BLOCKS  1024u
#define LOOP         64u /* operations in a sample, where L2 does them by itself */
#define FLOOR_ROUNDS 2000u
#define ENTRY_ROUNDS 2000u

/*
 * Where L1 and L2 have a core each, no core is left for a sidecore on a machine with two: it is
 * parked, and L1's own devices are trapped, which none of these operations uses.
 */
static const struct place {
	const char *mode;
	enum sx_nested_place place;
	enum sx_mode devices;
	bool parked;
} places[] = {
	{"trap", SX_NESTED_TRAP, SX_TRAP, true},
	{"split-colocated", SX_NESTED_COLOCATED, SX_SPLIT, false},
	{"split-parallel", SX_NESTED_PARALLEL, SX_TRAP, true},
};

#define PLACES (sizeof(places) / sizeof(places[0]))

static const struct operation {
	const char *op;
	enum sx_bench_op what;
	uint32_t samples, loop;
	bool needs_sidecore; /* it polls the device that is given to L2 */
} operations[] = {
	{"l2_nothing", SX_BENCH_L2_NOTHING, 400, 0, false},
	{"l2_cpuid", SX_BENCH_L2_CPUID, 100, LOOP, false},
	{"l2_pio", SX_BENCH_L2_PIO, 1000, 0, false},
	{"l2_mmio", SX_BENCH_L2_MMIO, 1000, 0, false},
	{"l2_passthrough", SX_BENCH_L2_PASSTHROUGH, 400, LOOP, true},
	{"l2_blk", SX_BENCH_L2_BLK, 100, LOOP, true},
	{"vmread", SX_BENCH_VMREAD, 1000, LOOP, false},
	{"vmwrite", SX_BENCH_VMWRITE, 1000, LOOP, false},
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))
#define NOTHING    0 /* of operations[] */

/* What one operation in one place came to. */
struct cell {
	struct sx_samples samples;
	struct sx_rig_outcome outcome; /* of L1's vCPU */
	uint64_t l2_exits, l2_runs;    /* by KVM's count; KVM_RUNs that came back */
	uint64_t entries;
	uint64_t line_tsc, line_work; /* the sidecore's, on the line */
	bool measured;
};

struct suite {
	const struct sx_bench_options *opt;
	struct sx_report *report;
	struct sx_rig rig;
	struct sx_disk_bench disk; /* that is given to L2 */
	struct sx_progress progress;
	struct sx_samples pingpong, entry;
	struct cell cell[PLACES][OPERATIONS];
};

/* ---- measuring ---- */

struct counts {
	struct sx_nested_stats stats;
	uint64_t l2_exits, line_tsc, line_work;
};

static void count(struct suite *s, struct counts *c)
{
	struct sx_nested *engine = s->rig.machine.nested.engine;
	const struct sx_poller *line = sx_nested_poller(engine, 0);

	sx_nested_stats(engine, &c->stats);
	c->l2_exits = sx_nested_l2_exits(engine);
	c->line_tsc = sx_load_relaxed(&line->busy_tsc);
	c->line_work = sx_load_relaxed(&line->work);
}

static void add_counts(struct cell *cell, const struct counts *a, const struct counts *b)
{
	cell->l2_exits += b->l2_exits - a->l2_exits;
	cell->l2_runs += b->stats.l2_runs - a->stats.l2_runs;
	cell->entries += b->stats.entries - a->stats.entries;
	cell->line_tsc += b->line_tsc - a->line_tsc;
	cell->line_work += b->line_work - a->line_work;
	cell->measured = true;
}

static int run_cell(struct suite *s, size_t p, size_t o, struct sx_error *err)
{
	const struct operation *op = &operations[o];
	struct cell *cell = &s->cell[p][o];
	struct sx_rig_command command = {
		.mode = places[p].devices,
		.op = op->what,
		.samples = op->samples,
		.warmup = 8,
		.messages = op->loop,
	};
	struct counts before, after;
	char what[64];
	int rc;

	snprintf(what, sizeof(what), "%s, %s", op->op, places[p].mode);
	sx_progress_step(&s->progress, what);
	if (op->needs_sidecore && places[p].parked)
		return 0;
	count(s, &before);
	rc = sx_rig_run(&s->rig, &command, &cell->samples, &cell->outcome, err);
	count(s, &after);
	add_counts(cell, &before, &after);
	return rc;
}

static int run_place(struct suite *s, size_t p, struct sx_error *err)
{
	const struct place *place = &places[p];
	struct sx_parking parking;
	int rc = sx_machine_set_mode(&s->rig.machine, place->devices, err);

	if (rc == 0)
		rc = sx_machine_nested_place(&s->rig.machine, place->place, &s->rig.side_cpu, err);
	if (rc < 0)
		return rc;
	if (place->parked)
		sx_park(&s->rig, &parking);
	for (size_t o = 0; rc == 0 && o < OPERATIONS; o++)
		rc = run_cell(s, p, o, err);
	if (place->parked)
		sx_unpark(&parking);
	return rc;
}

static int run_round(struct suite *s, struct sx_error *err)
{
	int rc = 0;

	sx_floor_pingpong(&s->rig, FLOOR_ROUNDS, &s->pingpong);
	for (size_t p = 0; rc == 0 && p < PLACES; p++)
		rc = run_place(s, p, err);
	if (rc == 0)
		rc = sx_entry_cost(&s->rig, ENTRY_ROUNDS, &s->entry, err);
	return rc;
}

/* ---- reporting ---- */

/*
 * Exits of L0 for one operation. Where L2 does many by itself, the round trip that ends them is
 * taken off, as it was measured alone.
 */
static double exits_of(const struct suite *s, size_t p, size_t o)
{
	const struct cell *cell = &s->cell[p][o], *nothing = &s->cell[p][NOTHING];
	double all = (double)(cell->outcome.exits + cell->l2_exits) / (double)cell->outcome.ops;
	double off =
		(double)(nothing->outcome.exits + nothing->l2_exits) / (double)nothing->outcome.ops;

	if (!operations[o].loop)
		return all;
	if (!cell->entries)
		off = 0;
	return all > off ? (all - off) / operations[o].loop : 0;
}

static double sidecore_of(const struct suite *s, const struct cell *cell)
{
	return cell->line_work ? sx_cycles_to_ns((double)cell->line_tsc, s->rig.tsc_khz) /
					 (double)cell->line_work
			       : 0;
}

static int add_row(struct suite *s, size_t p, size_t o, struct sx_error *err)
{
	struct cell *cell = &s->cell[p][o];
	uint32_t loop = operations[o].loop ? operations[o].loop : 1;
	struct sx_report_row row = {0};
	int rc;

	if (!cell->measured || o == NOTHING)
		return 0;
	snprintf(row.op, sizeof(row.op), "%s", operations[o].op);
	snprintf(row.mode, sizeof(row.mode), "%s", places[p].mode);
	rc = sx_samples_summary(&cell->samples, s->rig.tsc_khz, &row.time);
	if (rc < 0)
		return sx_fail(err, rc, "no samples of %s", operations[o].op);
	row.time.p50_ns /= loop;
	row.time.p99_ns /= loop;
	row.time.p999_ns /= loop;
	row.time.mean_ns /= loop;
	row.exits_per_op = exits_of(s, p, o);
	row.sidecore_ns = places[p].place == SX_NESTED_COLOCATED ? sidecore_of(s, cell) : 0;
	return sx_report_add_row(s->report, &row, err);
}

static double times(const struct suite *s, const char *op, const char *mode)
{
	return sx_report_ratio(sx_report_p50(s->report, op, "trap", 0),
			       sx_report_p50(s->report, op, mode, 0));
}

/* KVM_RUNs of L2 that came back, for one CPUID: those of the round trip at the end taken off. */
static double cpuid_returns(const struct suite *s)
{
	const struct cell *cell = &s->cell[1][1];

	if (!cell->outcome.ops)
		return SX_NOT_MEASURED;
	return ((double)cell->l2_runs - (double)cell->entries) / ((double)cell->outcome.ops * LOOP);
}

static int add_targets(struct suite *s, struct sx_error *err)
{
	const struct sx_report *r = s->report;
	const struct sx_report_target targets[] = {
		{"l2_pio split-parallel, exits of L0", "exits/op", SX_AT_MOST, 1.05,
		 sx_report_exits(r, "l2_pio", "split-parallel"), false},
		{"l2_mmio split-parallel, exits of L0", "exits/op", SX_AT_MOST, 1.05,
		 sx_report_exits(r, "l2_mmio", "split-parallel"), false},
		{"l2_pio split-colocated, exits of L0", "exits/op", SX_AT_MOST, 2.05,
		 sx_report_exits(r, "l2_pio", "split-colocated"), false},
		{"l2_mmio split-colocated, exits of L0", "exits/op", SX_AT_MOST, 2.05,
		 sx_report_exits(r, "l2_mmio", "split-colocated"), false},
		{"l2_passthrough split-colocated, exits of L0", "exits/op", SX_AT_MOST, 0.01,
		 sx_report_exits(r, "l2_passthrough", "split-colocated"), false},
		{"l2_blk split-colocated, exits of L0", "exits/op", SX_AT_MOST, 0.01,
		 sx_report_exits(r, "l2_blk", "split-colocated"), false},
		{"l2_cpuid, returns from KVM_RUN", "exits/op", SX_AT_MOST, 0.01, cpuid_returns(s),
		 false},
		{"l2_pio trap / split-parallel", "x", SX_AT_LEAST, 10,
		 times(s, "l2_pio", "split-parallel"), false},
		{"l2_mmio trap / split-parallel", "x", SX_AT_LEAST, 10,
		 times(s, "l2_mmio", "split-parallel"), false},
		{"VMREAD in the guest's handler", "ns", SX_AT_MOST, 10,
		 sx_report_p50(r, "vmread", "split-parallel", 0), false},
		{"VMWRITE in the guest's handler", "ns", SX_AT_MOST, 10,
		 sx_report_p50(r, "vmwrite", "split-parallel", 0), false},
		{"VM entry with all checks", "ns", SX_AT_MOST, 2000,
		 sx_report_cost(r, "vm_entry_p50_ns"), false},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(targets) / sizeof(targets[0]); i++)
		rc = sx_report_add_target(s->report, &targets[i], err);
	return rc;
}

static int add_figures(struct suite *s, struct sx_error *err)
{
	uint64_t pingpong = 0, entry = 0;
	int rc = sx_samples_percentile(&s->pingpong, 500, &pingpong);

	if (rc == 0)
		rc = sx_samples_percentile(&s->entry, 500, &entry);
	if (rc < 0)
		return sx_fail(err, rc, "no samples of the floor, or of entries");
	rc = sx_report_add_floor(s->report, "pingpong_p50_ns",
				 sx_cycles_to_ns((double)pingpong, s->rig.tsc_khz), err);
	if (rc < 0)
		return rc;
	return sx_report_add_cost(s->report, "vm_entry_p50_ns",
				  sx_cycles_to_ns((double)entry, s->rig.tsc_khz), err);
}

static int report(struct suite *s, struct sx_error *err)
{
	int rc = add_figures(s, err);

	for (size_t o = 0; o < OPERATIONS; o++)
		for (size_t p = 0; rc == 0 && p < PLACES; p++)
			rc = add_row(s, p, o, err);
	if (rc == 0)
		rc = add_targets(s, err);
	return rc;
}

/* ---- the whole ---- */

static int open_suite(struct suite *s, struct sx_error *err)
{
	struct sx_plugged disk = {.plug = &sx_disk_bench_plug};
	char guest[4096];
	struct sx_rig_config config = {
		.guest = guest,
		.plugged = &disk,
		.plugged_count = 1,
		.device_mode = SX_SPLIT,
		.memory = GUEST_MEMORY,
		.guest_cores = s->opt->guest_cores,
		.sidecores = s->opt->sidecores,
		.nested = true,
	};
	unsigned rounds = s->opt->rounds;
	int rc = sx_path_guest("nested", guest, sizeof(guest), err);

	if (rc == 0)
		rc = sx_samples_init(&s->pingpong, (size_t)rounds * FLOOR_ROUNDS, err);
	if (rc == 0)
		rc = sx_samples_init(&s->entry, (size_t)rounds * ENTRY_ROUNDS, err);
	for (size_t p = 0; p < PLACES; p++)
		for (size_t o = 0; rc == 0 && o < OPERATIONS; o++)
			rc = sx_samples_init(&s->cell[p][o].samples,
					     (size_t)rounds * operations[o].samples, err);
	if (rc == 0)
		rc = sx_disk_bench_create(&s->disk, DISK_BLOCKS, err);
	disk.value = s->disk.path;
	return rc < 0 ? rc : sx_rig_open(&s->rig, &config, err);
}

static void close_suite(struct suite *s)
{
	sx_rig_close(&s->rig);
	sx_disk_bench_destroy(&s->disk);
	sx_samples_destroy(&s->pingpong);
	sx_samples_destroy(&s->entry);
	for (size_t p = 0; p < PLACES; p++)
		for (size_t o = 0; o < OPERATIONS; o++)
			sx_samples_destroy(&s->cell[p][o].samples);
}

int sx_nested_run(const struct sx_bench_options *opt, struct sx_report *r, struct sx_error *err)
{
	struct suite *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->opt = opt;
	s->report = r;
	s->rig.kvm.fd = -1;
	rc = open_suite(s, err);
	if (rc == 0) {
		sx_progress_begin(&s->progress, stderr,
				  opt->rounds * (unsigned)(PLACES * OPERATIONS));
		for (unsigned i = 0; rc == 0 && i < opt->rounds; i++)
			rc = run_round(s, err);
		sx_progress_end(&s->progress);
	}
	if (rc == 0)
		rc = report(s, err);
	close_suite(s);
	free(s);
	return rc;
}
