// SPDX-License-Identifier: BSD-3-Clause
#include "bench/nested_linux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/contestant.h"
#include "bench/linux_work.h"
#include "bench/progress.h"
#include "cli/control_folder.h"
#include "guestcore/cpuid.h"
#include "guestcore/kvm.h"

/*
 * L1's second CPU has no clock tick while one thread has it: nohz_full. L1 spends as little as it
 * can on its own safety and on starting, so that what is measured is the best of KVM's nesting.
 */
#define APPEND                                                                         \
	"console=ttyS0 quiet panic=-1 nohz_full=1 isolcpus=nohz,domain,managed_irq,1 " \
	"rcu_nocbs=1 mitigations=off nowatchdog nokaslr rodata=off audit=0 "           \
	"cryptomgr.notests random.trust_cpu=on"

#define L2_VCPU     1 /* of L1: the one that runs L2, and whose exits are counted */
#define OPS_A_ROUND 1000
#define PATIENCE_MS 60000

static const char *const ops[] = {"l2_cpuid", "l2_pio", "l2_mmio", "l2_passthrough"};

#define OPS (sizeof(ops) / sizeof(ops[0]))

struct suite {
	const struct sx_bench_options *opt;
	struct sx_report *report;
	const char *mode;
	struct sx_progress progress;
	struct sx_vmm vmm;
	int control_fd;
	struct sx_linux_work work[OPS], nothing;
};

/* ---- what this host can do ---- */

static const char *mode_of(enum sx_nesting nesting)
{
	return nesting == SX_NESTING_SVM ? "kvm-amd-nested" : "kvm-intel-nested";
}

static int choose_mode(struct suite *s, struct sx_error *err)
{
	enum sx_nesting nesting;
	struct sx_cpuid cpuid;
	struct sx_kvm kvm;
	int rc = sx_kvm_open(&kvm, err);

	if (rc < 0)
		return rc;
	rc = sx_cpuid_get(&cpuid, &kvm, err);
	sx_kvm_close(&kvm);
	if (rc < 0)
		return rc;
	nesting = sx_cpuid_nesting(&cpuid);
	sx_cpuid_free(&cpuid);
	if (nesting == SX_NESTING_NONE)
		return sx_fail(err, -ENOENT,
			       "this host's KVM (%s) offers its guests neither VMX nor SVM; load "
			       "kvm_intel or kvm_amd with nested=1, or use bench/lab.sh nested",
			       s->report->host.kvm[0] ? s->report->host.kvm : "of no known name");
	s->mode = mode_of(nesting);
	return 0;
}

/* ---- measuring ---- */

static int count(void *ctx, struct sx_kvm_counts *counts, struct sx_error *err)
{
	const struct suite *s = ctx;

	return sx_kvm_counts_of_vcpu(s->control_fd, L2_VCPU, PATIENCE_MS, counts, err);
}

static int measure(struct suite *s, const char *op, unsigned times, struct sx_linux_result *result,
		   struct sx_kvm_counts *exits, struct sx_error *err)
{
	char command[64];

	snprintf(command, sizeof(command), "%s %u\n", op, times);
	sx_progress_step(&s->progress, op);
	return sx_linux_measure(&s->vmm, command, count, s, result, exits, err);
}

/* What a run of L2 costs that does nothing and halts is taken off the others. */
static int run_round(struct suite *s, struct sx_error *err)
{
	static const struct sx_kvm_counts none;
	struct sx_kvm_counts exits, empty;
	struct sx_linux_result result;
	int rc = measure(s, "l2_nothing", 1, &result, &empty, err);

	if (rc == 0)
		sx_linux_work_add(&s->nothing, &result, &empty, &none);
	for (size_t k = 0; rc == 0 && k < OPS; k++) {
		rc = measure(s, ops[k], OPS_A_ROUND, &result, &exits, err);
		if (rc == 0)
			sx_linux_work_add(&s->work[k], &result, &exits, &empty);
	}
	return rc;
}

static int greet(struct suite *s, struct sx_error *err)
{
	const char *clock;
	int rc = sx_vmm_expect(&s->vmm, "init", SX_LINUX_STEP_S, &clock, err);

	if (rc < 0)
		return rc;
	if (strcmp(clock, "tickless") != 0)
		rc = sx_report_add_note(s->report, err,
					"L1's kernel knows no nohz_full, so that exits by its "
					"clock are among those of the operations");
	if (rc < 0)
		return rc;
	s->control_fd = sx_control_connect(s->vmm.pid, err);
	return s->control_fd < 0 ? s->control_fd : 0;
}

static int run_guest(struct suite *s, struct sx_error *err)
{
	int rc = greet(s, err);

	sx_progress_begin(&s->progress, stderr, s->opt->rounds * ((unsigned)OPS + 1));
	for (unsigned n = 0; rc == 0 && n < s->opt->rounds; n++)
		rc = run_round(s, err);
	sx_progress_end(&s->progress);
	if (rc == 0)
		rc = sx_vmm_say(&s->vmm, "end\n", err);
	return rc < 0 ? rc : sx_vmm_finish(&s->vmm, SX_LINUX_STEP_S, err);
}

static int start_guest(struct suite *s, struct sx_error *err)
{
	static const char *const words[] = {"--vcpus", "2", "--cpu", "host,nested", NULL};
	const struct sx_contestant l1 = {"trap", NULL, words};
	struct sx_command_line line;
	int rc = sx_contestant_command(&l1, s->opt, APPEND, &line, err);

	return rc < 0 ? rc : sx_vmm_start(&s->vmm, s->mode, line.argv, err);
}

/* ---- reporting ---- */

static int add_row(struct suite *s, size_t k, struct sx_error *err)
{
	struct sx_report_row row = {0};
	int rc;

	snprintf(row.op, sizeof(row.op), "%s", ops[k]);
	snprintf(row.mode, sizeof(row.mode), "%s", s->mode);
	snprintf(row.where, sizeof(row.where), "%s", s->opt->where);
	rc = sx_linux_work_row(&s->work[k], &row, err);
	return rc < 0 ? rc : sx_report_add_row(s->report, &row, err);
}

static int report(struct suite *s, struct sx_error *err)
{
	const uint64_t empty = s->nothing.exits.value[SX_KVM_EXITS];
	int rc = 0;

	s->report->by_machine = true;
	for (size_t k = 0; rc == 0 && k < OPS; k++)
		rc = add_row(s, k, err);
	return rc < 0 ? rc
		      : sx_report_add_cost(s->report, "l2_that_only_halts_exits",
					   (double)empty / (double)s->nothing.count, err);
}

/* ---- the whole ---- */

static int open_suite(struct suite *s, struct sx_error *err)
{
	int rc;

	if (s->opt->mode)
		return sx_fail(
			err, -EINVAL,
			"the suite nested measures KVM's own nesting only; leave out --mode");
	rc = choose_mode(s, err);
	if (rc == 0)
		rc = sx_linux_work_init(&s->nothing, s->opt->rounds, err);
	for (size_t k = 0; rc == 0 && k < OPS; k++)
		rc = sx_linux_work_init(&s->work[k], s->opt->rounds, err);
	return rc < 0 ? rc : start_guest(s, err);
}

static void close_suite(struct suite *s)
{
	sx_vmm_stop(&s->vmm);
	if (s->control_fd >= 0)
		close(s->control_fd);
	sx_linux_work_destroy(&s->nothing);
	for (size_t k = 0; k < OPS; k++)
		sx_linux_work_destroy(&s->work[k]);
}

int sx_nested_linux_run(const struct sx_bench_options *opt, struct sx_report *r,
			struct sx_error *err)
{
	struct suite *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->opt = opt;
	s->report = r;
	s->control_fd = s->vmm.fd = s->vmm.err_fd = -1;
	rc = open_suite(s, err);
	if (rc == 0)
		rc = run_guest(s, err);
	if (rc == 0)
		rc = report(s, err);
	close_suite(s);
	free(s);
	return rc;
}
