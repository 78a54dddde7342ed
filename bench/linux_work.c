// SPDX-License-Identifier: BSD-3-Clause
#include "bench/linux_work.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define POINTS 4

/* ---- one measurement ---- */

static int parse_result(const char *text, struct sx_linux_result *r, struct sx_error *err)
{
	double ms, us[POINTS];
	int n = sscanf(text, "%" SCNu64 " %lf %lf %lf %lf %lf", &r->count, &ms, &us[0], &us[1],
		       &us[2], &us[3]);
	double each;

	if ((n != 2 && n != 6) || !r->count || r->count > 1u << 30 || !(ms >= 0 && ms < 1e9))
		return sx_fail(err, -EIO, "the guest's result '%.100s' makes no sense", text);
	r->ns = ms * 1e6;
	each = r->ns / (double)r->count;
	r->time = (struct sx_summary){each, each, each, each, r->count};
	for (unsigned i = 0; n == 6 && i < POINTS; i++)
		if (!(us[i] >= 0 && us[i] < 1e12))
			return sx_fail(err, -EIO, "the guest's result '%.100s' makes no sense",
				       text);
	if (n == 6)
		r->time = (struct sx_summary){us[0] * 1e3, us[1] * 1e3, us[2] * 1e3, us[3] * 1e3,
					      r->count};
	return 0;
}

int sx_linux_measure(struct sx_vmm *vmm, const char *command, sx_linux_count_fn *count, void *ctx,
		     struct sx_linux_result *result, struct sx_kvm_counts *exits,
		     struct sx_error *err)
{
	struct sx_kvm_counts before = {0}, after = {0};
	const char *text = "";
	int rc = sx_vmm_say(vmm, command, err);

	if (rc == 0)
		rc = sx_vmm_expect(vmm, "ready", SX_LINUX_STEP_S, &text, err);
	if (rc == 0)
		rc = count(ctx, &before, err);
	if (rc == 0)
		rc = sx_vmm_say(vmm, "go\n", err);
	if (rc == 0)
		rc = sx_vmm_expect(vmm, "done", SX_LINUX_STEP_S, &text, err);
	if (rc == 0)
		rc = count(ctx, &after, err);
	if (rc == 0)
		rc = sx_vmm_say(vmm, "go\n", err);
	if (rc == 0)
		rc = sx_vmm_expect(vmm, "result", SX_LINUX_STEP_S, &text, err);
	if (rc < 0)
		return rc;
	*exits = sx_kvm_counts_since(&before, &after);
	return parse_result(text, result, err);
}

/* ---- all of one operation ---- */

int sx_linux_work_init(struct sx_linux_work *w, unsigned rounds, struct sx_error *err)
{
	int rc = 0;

	for (unsigned p = 0; rc == 0 && p < POINTS; p++)
		rc = sx_samples_init(&w->point[p], rounds, err);
	return rc;
}

void sx_linux_work_destroy(struct sx_linux_work *w)
{
	for (unsigned p = 0; p < POINTS; p++)
		sx_samples_destroy(&w->point[p]);
}

void sx_linux_work_add(struct sx_linux_work *w, const struct sx_linux_result *result,
		       const struct sx_kvm_counts *exits, const struct sx_kvm_counts *idle)
{
	for (unsigned c = 0; c < SX_KVM_COUNTERS; c++)
		if (exits->value[c] > idle->value[c])
			w->exits.value[c] += exits->value[c] - idle->value[c];
	w->count += result->count;
	w->ns += result->ns;
	sx_samples_add(&w->point[0], (uint64_t)result->time.p50_ns);
	sx_samples_add(&w->point[1], (uint64_t)result->time.p99_ns);
	sx_samples_add(&w->point[2], (uint64_t)result->time.p999_ns);
	sx_samples_add(&w->point[3], (uint64_t)result->time.mean_ns);
}

static double each(const struct sx_linux_work *w, uint64_t exits)
{
	return (double)exits / (double)w->count;
}

int sx_linux_work_row(struct sx_linux_work *w, struct sx_report_row *row, struct sx_error *err)
{
	const uint64_t *exits = w->exits.value;
	uint64_t point[POINTS];
	int rc = 0;

	for (unsigned p = 0; rc == 0 && p < POINTS; p++)
		rc = sx_samples_percentile(&w->point[p], 500, &point[p]);
	if (rc < 0)
		return sx_fail(err, rc, "no samples of %s", row->op);
	row->time = (struct sx_summary){(double)point[0], (double)point[1], (double)point[2],
					(double)point[3], w->count};
	row->exits_per_op = each(w, exits[SX_KVM_EXITS]);
	row->causes = (struct sx_report_causes){
		.told = true,
		.device = each(w, exits[SX_KVM_IO] + exits[SX_KVM_MMIO]),
		.interrupt = each(w, exits[SX_KVM_INTERRUPT] + exits[SX_KVM_IRQ_WINDOW]),
		.halt = each(w, exits[SX_KVM_HALT]),
	};
	row->per_second = w->ns > 0 ? (double)w->count * 1e9 / w->ns : 0;
	return 0;
}
