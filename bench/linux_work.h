// SPDX-License-Identifier: BSD-3-Clause
/*
 * What suites have a Linux guest do, how they are told of it, and what it comes to. The guest's
 * side is bench/linux/job.sh or bench/linux/l1.c; how it is talked to is vmm.h.
 */
#ifndef SX_BENCH_LINUX_WORK_H
#define SX_BENCH_LINUX_WORK_H

#include <stdint.h>

#include "bench/kvmcount.h"
#include "bench/report.h"
#include "bench/samples.h"
#include "bench/vmm.h"
#include "ipc/error.h"

/* Emulated hosts take their time; nobody waits so long where all is well. */
#define SX_LINUX_STEP_S 600

/* What the guest told of one measurement. */
struct sx_linux_result {
	uint64_t count; /* operations */
	double ns;      /* for all of them */
	struct sx_summary time;
};

/* Reads the counters of the guest that is measured. */
typedef int sx_linux_count_fn(void *ctx, struct sx_kvm_counts *counts, struct sx_error *err);

/*
 * Have the guest carry @command out, a line; *exits is what @count read more when it was done than
 * when it was ready.
 */
int sx_linux_measure(struct sx_vmm *vmm, const char *command, sx_linux_count_fn *count, void *ctx,
		     struct sx_linux_result *result, struct sx_kvm_counts *exits,
		     struct sx_error *err);

/* The measurements of one operation. */
struct sx_linux_work {
	struct sx_samples point[4]; /* p50, p99, p99.9, mean, of each round; ns */
	struct sx_kvm_counts exits;
	uint64_t count;
	double ns;
};

int sx_linux_work_init(struct sx_linux_work *w, unsigned rounds, struct sx_error *err);
void sx_linux_work_destroy(struct sx_linux_work *w);

/* One more; @idle is what a measurement of nothing costs, and is taken off. */
void sx_linux_work_add(struct sx_linux_work *w, const struct sx_linux_result *result,
		       const struct sx_kvm_counts *exits, const struct sx_kvm_counts *idle);

/* Fills times and exits of @row, whose names are there. */
int sx_linux_work_row(struct sx_linux_work *w, struct sx_report_row *row, struct sx_error *err);

#endif
