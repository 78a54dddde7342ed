// SPDX-License-Identifier: BSD-3-Clause
#include "bench/boot.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/contestant.h"
#include "bench/kvmcount.h"
#include "bench/progress.h"
#include "bench/smaps.h"
#include "bench/vmm.h"
#include "ipc/wait.h"

#define APPEND "console=ttyS0 quiet panic=-1"

/* Emulated hosts take their time; nobody waits so long where all is well. */
#define BOOT_S 600

/* The reference is the first one: microvm as it comes. The other is as QEMU's manual slims it. */
static const struct sx_contestant contestants[] = {
	{"qemu", "microvm", NULL},
	{"qemu-slim", "microvm,x-option-roms=off,pit=off,pic=off,rtc=off", NULL},
	{"trap", NULL, NULL},
	{"split", NULL, NULL},
};

#define CONTESTANTS (sizeof(contestants) / sizeof(contestants[0]))

enum what {
	UPTIME, /* the guest's clock when its kernel starts init */
	WALL,   /* exec of the VMM until init says a word */
	WHOLE,  /* until the guest is off and the VMM has ended, too */
	WHATS,
};

static const char *const ops[WHATS] = {"boot_init_uptime", "boot_wall", "boot_and_off_wall"};

struct measured {
	struct sx_samples ns[WHATS];
	struct sx_samples private_kib;
	uint64_t exits, boots; /* up to init, by KVM's counters */
	bool counted;
};

struct suite {
	const struct sx_bench_options *opt;
	struct sx_report *report;
	struct sx_progress progress;
	struct measured measured[CONTESTANTS];
	struct sx_vmm vmm;
	bool takes_part[CONTESTANTS];
	unsigned parts; /* how many do */
};

/* ---- measuring ---- */

/* While the guest waits in its init: what it took to get there. */
static int look_at(struct suite *s, struct measured *m, struct sx_error *err)
{
	struct sx_kvm_counts counts;
	struct sx_smaps memory;
	int rc = sx_smaps_read(s->vmm.pid, SX_CONTESTANT_MEMORY, &memory, err);

	if (rc < 0)
		return rc;
	sx_samples_add(&m->private_kib, (uint64_t)memory.private_kib);
	/* Without debugfs there is no number, and nothing else is lost. */
	if (sx_kvm_counts_read(SX_KVM_DEBUGFS, s->vmm.pid, &counts, NULL) < 0)
		return 0;
	m->counted = true;
	m->exits += counts.value[SX_KVM_EXITS];
	m->boots++;
	return 0;
}

static int parse_uptime(const char *text, uint64_t *ns, struct sx_error *err)
{
	char *rest;
	double seconds = strtod(text, &rest);

	if (rest == text || *rest || !isfinite(seconds) || seconds <= 0 || seconds > 1e6)
		return sx_fail(err, -EIO, "'%.40s' is no uptime; make the initrd with bench/linux",
			       text);
	*ns = (uint64_t)(seconds * 1e9);
	return 0;
}

static int boot(struct suite *s, size_t i, struct sx_error *err)
{
	struct measured *m = &s->measured[i];
	struct sx_command_line line;
	uint64_t begin, uptime;
	const char *text;
	int rc = sx_contestant_command(&contestants[i], s->opt, APPEND, &line, err);

	if (rc < 0)
		return rc;
	begin = sx_now_ns();
	rc = sx_vmm_start(&s->vmm, contestants[i].mode, line.argv, err);
	if (rc < 0)
		return rc;
	rc = sx_vmm_expect(&s->vmm, "init", BOOT_S, &text, err);
	if (rc == 0) {
		sx_samples_add(&m->ns[WALL], sx_now_ns() - begin);
		rc = parse_uptime(text, &uptime, err);
	}
	if (rc == 0) {
		sx_samples_add(&m->ns[UPTIME], uptime);
		rc = look_at(s, m, err);
	}
	if (rc == 0)
		rc = sx_vmm_say(&s->vmm, "end\n", err);
	if (rc == 0)
		rc = sx_vmm_finish(&s->vmm, BOOT_S, err);
	if (rc == 0)
		sx_samples_add(&m->ns[WHOLE], sx_now_ns() - begin);
	sx_vmm_stop(&s->vmm);
	return rc;
}

static int run_round(struct suite *s, struct sx_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < CONTESTANTS; i++) {
		if (!s->takes_part[i])
			continue;
		sx_progress_step(&s->progress, contestants[i].mode);
		rc = boot(s, i, err);
	}
	return rc;
}

/* ---- reporting ---- */

static int add_row(struct suite *s, enum what what, size_t i, struct sx_error *err)
{
	struct measured *m = &s->measured[i];
	struct sx_report_row row = {.exits_per_op = SX_NOT_MEASURED};
	/* Samples are nanoseconds: of a clock of 1 GHz. */
	int rc = sx_samples_summary(&m->ns[what], 1000000, &row.time);

	if (rc < 0)
		return sx_fail(err, rc, "no samples of %s", ops[what]);
	snprintf(row.op, sizeof(row.op), "%s", ops[what]);
	snprintf(row.mode, sizeof(row.mode), "%s", contestants[i].mode);
	snprintf(row.where, sizeof(row.where), "%s", s->opt->where);
	if (what == WALL && m->counted)
		row.exits_per_op = (double)m->exits / (double)m->boots;
	return sx_report_add_row(s->report, &row, err);
}

static int add_memory(struct suite *s, size_t i, struct sx_error *err)
{
	char name[48];
	uint64_t kib;
	int rc = sx_samples_percentile(&s->measured[i].private_kib, 500, &kib);

	if (rc < 0)
		return sx_fail(err, rc, "no samples of memory");
	snprintf(name, sizeof(name), "private_%s_kib", contestants[i].mode);
	return sx_report_add_cost(s->report, name, (double)kib, err);
}

/* With --mode only what was measured is held against something. */
static int add_target(struct suite *s, const struct sx_report_target *t, struct sx_error *err)
{
	if (s->opt->mode && t->measured == SX_NOT_MEASURED)
		return 0;
	return sx_report_add_target(s->report, t, err);
}

static int add_targets(struct suite *s, struct sx_error *err)
{
	static const char *const modes[] = {"trap", "split"};
	int rc = 0;

	for (unsigned k = 0; rc == 0 && k < 2 * WHOLE; k++) {
		enum what what = (enum what)(k / 2);
		double ours = sx_report_p50(s->report, ops[what], modes[k % 2], 0),
		       qemu = sx_report_p50(s->report, ops[what], "qemu", 0);
		struct sx_report_target t = {
			.unit = "x",
			.bound = SX_AT_MOST,
			.target = 0.8,
			.measured = sx_report_ratio(ours, qemu),
		};

		snprintf(t.name, sizeof(t.name), "%s, %s / qemu microvm", ops[what], modes[k % 2]);
		rc = add_target(s, &t, err);
	}
	for (size_t k = 0; rc == 0 && k < 2; k++) {
		struct sx_report_target t = {.unit = "KiB", .bound = SX_AT_MOST, .target = 10240};
		char name[48];

		snprintf(name, sizeof(name), "private_%s_kib", modes[k]);
		t.measured = sx_report_cost(s->report, name);
		snprintf(t.name, sizeof(t.name), "private memory of the VMM, %s", modes[k]);
		rc = add_target(s, &t, err);
	}
	return rc;
}

static int report(struct suite *s, struct sx_error *err)
{
	int rc = 0;

	for (unsigned what = 0; rc == 0 && what < WHATS; what++)
		for (size_t i = 0; rc == 0 && i < CONTESTANTS; i++)
			if (s->takes_part[i])
				rc = add_row(s, (enum what)what, i, err);
	for (size_t i = 0; rc == 0 && i < CONTESTANTS; i++)
		if (s->takes_part[i])
			rc = add_memory(s, i, err);
	return rc < 0 ? rc : add_targets(s, err);
}

/* ---- the whole ---- */

static int open_suite(struct suite *s, struct sx_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < CONTESTANTS; i++) {
		for (unsigned what = 0; rc == 0 && what < WHATS; what++)
			rc = sx_samples_init(&s->measured[i].ns[what], s->opt->rounds, err);
		if (rc == 0)
			rc = sx_samples_init(&s->measured[i].private_kib, s->opt->rounds, err);
	}
	if (rc == 0)
		rc = sx_contestants_choose(contestants, CONTESTANTS, s->opt, s->report,
					   s->takes_part, err);
	if (rc > 0)
		s->parts = (unsigned)rc;
	return rc < 0 ? rc : 0;
}

static void close_suite(struct suite *s)
{
	for (size_t i = 0; i < CONTESTANTS; i++) {
		for (unsigned what = 0; what < WHATS; what++)
			sx_samples_destroy(&s->measured[i].ns[what]);
		sx_samples_destroy(&s->measured[i].private_kib);
	}
}

int sx_boot_run(const struct sx_bench_options *opt, struct sx_report *r, struct sx_error *err)
{
	struct suite *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->opt = opt;
	s->report = r;
	r->by_machine = true;
	rc = open_suite(s, err);
	if (rc == 0) {
		sx_progress_begin(&s->progress, stderr, opt->rounds * s->parts);
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
