// SPDX-License-Identifier: BSD-3-Clause
/* What still exits, and why: KVM's counters by the second, summed over the vCPUs. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/stats_print.h"

/* Counters of KVM that are kinds of exits (arch/x86/kvm, struct kvm_vcpu_stat). */
static const struct kind {
	const char *counter;
	const char *why;
} kinds[] = {
	{"mmio_exits", "addresses of devices; see below whose"},
	{"io_exits", "ports; see below whose"},
	{"halt_exits", "the guest has nothing to do; --idle poll keeps it in"},
	{"irq_exits", "the host's interrupts: its timer tick, its devices, kicks"},
	{"irq_window_exits", "an interrupt waits until the guest takes it"},
	{"nmi_window_exits", "an NMI waits until the guest takes it"},
	{"request_irq_exits", "an interrupt from user space waits"},
	{"notify_window_exits", "the guest took no interrupts for long"},
	{"signal_exits", "signals to the vCPU's thread"},
	{"hypercalls", "the guest calls KVM"},
	{"pf_fixed", "memory that is touched for the first time"},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct row {
	const char *name;
	const char *why;
	uint64_t count;
};

/* Sum of @counter over the vCPUs. */
static uint64_t sum(const json_t *vcpus, const char *counter)
{
	uint64_t n = 0;
	const json_t *vcpu;
	size_t i;

	json_array_foreach(vcpus, i, vcpu) n += (uint64_t)json_integer_value(
		json_object_get(json_object_get(vcpu, "kvm"), counter));
	return n;
}

/* Those of them that came to us; the host's KVM may know no kind for them. */
static uint64_t forwarded(const json_t *vcpus)
{
	uint64_t n = 0;
	const json_t *vcpu;
	size_t i;

	json_array_foreach(vcpus, i, vcpu) n +=
		(uint64_t)json_integer_value(json_object_get(vcpu, "exits_forwarded"));
	return n;
}

static int by_count(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->count < y->count ? 1 : -(x->count > y->count);
}

static void print_row(FILE *to, const struct row *r, double seconds)
{
	fprintf(to, "  %-22s %10.1f%s%s\n", r->name, (double)r->count / seconds,
		r->why[0] ? "  " : "", r->why);
}

/* Who has several vCPUs sees which of them exit. */
static void print_vcpus(FILE *to, const json_t *vcpus, double seconds)
{
	const json_t *vcpu;
	size_t i;

	if (json_array_size(vcpus) < 2)
		return;
	json_array_foreach(vcpus, i, vcpu)
	{
		const json_t *exits = json_object_get(json_object_get(vcpu, "kvm"), "exits");

		fprintf(to, "%s%5" JSON_INTEGER_FORMAT ": %9.1f", i % 6 ? "" : "  vCPU",
			json_integer_value(json_object_get(vcpu, "index")),
			(double)json_integer_value(exits) / seconds);
		if (i % 6 == 5 || i + 1 == json_array_size(vcpus))
			fputc('\n', to);
	}
}

void sx_stats_print_exits(FILE *to, const json_t *difference, double seconds)
{
	const json_t *vcpus = json_object_get(difference, "vcpus");
	struct row all = {"all", "", sum(vcpus, "exits")};
	struct row ours = {"to devices, by ours", "", forwarded(vcpus)};
	struct row row[KINDS + 1];
	uint64_t known = 0;

	if (!json_object_size(json_object_get(json_array_get(vcpus, 0), "kvm"))) {
		fprintf(to, "this host's KVM counts no exits\n");
		return;
	}
	for (size_t i = 0; i < KINDS; i++) {
		row[i] = (struct row){kinds[i].counter, kinds[i].why, sum(vcpus, kinds[i].counter)};
		known += row[i].count;
	}
	/* An exit may be counted under two kinds. */
	row[KINDS] = (struct row){"others", "KVM counts no kind of them",
				  all.count > known ? all.count - known : 0};
	qsort(row, KINDS + 1, sizeof(row[0]), by_count);
	fprintf(to, "exits, by KVM's counters\n");
	for (size_t i = 0; i <= KINDS && row[i].count; i++)
		print_row(to, &row[i], seconds);
	print_row(to, &all, seconds);
	print_row(to, &ours, seconds);
	print_vcpus(to, vcpus, seconds);
}
