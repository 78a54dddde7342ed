// SPDX-License-Identifier: BSD-3-Clause
#include "cli/stats_print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Counters as they are, or by the second. */
struct printer {
	FILE *to;
	double seconds; /* that they took; 0: as they are */
};

/* ---- looks into a snapshot, which may come from another process: nothing is taken for granted */

static const json_t *get(const json_t *object, const char *key)
{
	return json_object_get(object, key);
}

static uint64_t count(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(get(object, key));
}

static double milliseconds(const json_t *stats)
{
	return (double)count(stats, "guest_ns") / 1e6;
}

#define TEXT_SIZE 64

/* A string that a terminal takes for nothing else. */
static const char *clean(const char *from, char text[TEXT_SIZE])
{
	size_t n = 0;

	for (; from && from[n] && n < TEXT_SIZE - 1; n++)
		text[n] = from[n] >= ' ' && from[n] <= '~' ? from[n] : '?';
	text[n] = '\0';
	return text;
}

static const char *string(const json_t *object, const char *key, char text[TEXT_SIZE])
{
	return clean(json_string_value(get(object, key)), text);
}

/* ---- columns ---- */

static void heading(const struct printer *p, const char *title, const char *const *column)
{
	fprintf(p->to, "%-24s", title);
	for (; *column; column++)
		fprintf(p->to, " %10s", *column);
}

static void cell(const struct printer *p, uint64_t value)
{
	if (p->seconds > 0)
		fprintf(p->to, " %10.1f", (double)value / p->seconds);
	else
		fprintf(p->to, " %10" PRIu64, value);
}

static void cells(const struct printer *p, const json_t *object, const char *const *column)
{
	for (; *column; column++)
		cell(p, count(object, *column));
}

/* ---- what the guest reaches by exits ---- */

static const char *const accesses[] = {"reads", "writes", NULL};

static uint64_t accesses_of(const json_t *range)
{
	return count(range, "reads") + count(range, "writes");
}

static int by_accesses(const void *a, const void *b)
{
	uint64_t x = accesses_of(*(const json_t *const *)a);
	uint64_t y = accesses_of(*(const json_t *const *)b);

	return x < y ? 1 : -(x > y);
}

/* The list's items in a row of their own, the busiest first; NULL without memory, or if none. */
static const json_t **sorted(const json_t *list, size_t size)
{
	const json_t **row = size ? calloc(size, sizeof(const json_t *)) : NULL;

	for (size_t i = 0; row && i < size; i++)
		row[i] = json_array_get(list, i);
	if (row)
		qsort(row, size, sizeof(const json_t *), by_accesses);
	return row;
}

static void print_range(const struct printer *p, const json_t *range)
{
	char name[TEXT_SIZE], base[TEXT_SIZE];

	fprintf(p->to, "  %-22s", string(range, "name", name));
	cells(p, range, accesses);
	fprintf(p->to, "  %s %s\n",
		strcmp(string(range, "space", name), "port") == 0 ? "port" : "at",
		string(range, "base", base));
}

static void print_ranges(const struct printer *p, const json_t *stats)
{
	const json_t *list = get(stats, "devices");
	size_t size = json_array_size(list);
	const json_t **row = sorted(list, size);
	bool all = p->seconds <= 0;

	heading(p, "device, by exits", accesses);
	fputc('\n', p->to);
	for (size_t i = 0; row && i < size; i++)
		if (all || accesses_of(row[i]))
			print_range(p, row[i]);
	free(row);
	if (count(stats, "nowhere")) {
		fprintf(p->to, "  %-22s", "nothing is there");
		cell(p, count(stats, "nowhere"));
		fputc('\n', p->to);
	}
}

/* ---- rings ---- */

static void print_rings(const struct printer *p, const json_t *stats)
{
	const json_t *ring;
	char name[TEXT_SIZE];
	size_t i;

	json_array_foreach(get(stats, "rings"), i, ring)
	{
		if (p->seconds > 0 && !count(ring, "messages"))
			continue;
		fprintf(p->to, "  vCPU %-4" PRIu64 " %-12s", count(ring, "vcpu"),
			string(ring, "ring", name));
		cell(p, count(ring, "messages"));
		fprintf(p->to, " messages%s%s\n", p->seconds > 0 ? " a second" : "",
			json_is_true(get(ring, "refused")) ? ", refused" : "");
	}
}

/* ---- virtio devices ---- */

static const char *const queue_columns[] = {"absorbed", "kicks", "interrupts", "suppressed", NULL};

static void print_queue(const struct printer *p, const json_t *queue)
{
	uint64_t batches = count(queue, "batches");

	cell(p, count(queue, "requests"));
	if (batches)
		fprintf(p->to, " %7.2f", (double)count(queue, "requests") / (double)batches);
	else
		fprintf(p->to, " %7s", "-");
	cells(p, queue, queue_columns);
	fputc('\n', p->to);
}

static void add(json_t *sum, const char *key, const json_t *value)
{
	uint64_t n = count(sum, key) + (uint64_t)json_integer_value(value);

	json_object_set_new(sum, key, json_integer((json_int_t)n));
}

/* A queue that stands for all of @queues; *used is how many of them did something. */
static json_t *sum_of(const json_t *queues, unsigned *used)
{
	json_t *sum = json_object(), *queue, *value;
	const char *key;
	size_t i;

	*used = 0;
	json_array_foreach(queues, i, queue)
	{
		*used += count(queue, "requests") || count(queue, "kicks");
		json_object_foreach(queue, key, value) add(sum, key, value);
	}
	return sum;
}

static void print_counts(const struct printer *p, const json_t *counts)
{
	unsigned shown = 0;
	char name[TEXT_SIZE];
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)counts, key, value)
	{
		uint64_t n = (uint64_t)json_integer_value(value);

		if (!n)
			continue;
		fprintf(p->to, "%s%s ", shown++ ? ", " : "    ", clean(key, name));
		if (p->seconds > 0)
			fprintf(p->to, "%.1f/s", (double)n / p->seconds);
		else
			fprintf(p->to, "%" PRIu64, n);
	}
	if (shown)
		fputc('\n', p->to);
}

static void print_device(const struct printer *p, const json_t *device)
{
	char name[TEXT_SIZE], slot[TEXT_SIZE];
	const json_t *queue;
	unsigned used;
	json_t *sum = sum_of(get(device, "queues"), &used);
	size_t i;

	fprintf(p->to, "  %-16.16s %-5.5s", string(device, "name", name),
		string(device, "slot", slot));
	print_queue(p, sum);
	json_decref(sum);
	json_array_foreach(get(device, "queues"), i, queue)
	{
		if (used < 2 || (!count(queue, "requests") && !count(queue, "kicks")))
			continue;
		fprintf(p->to, "    queue %-14" PRIu64, count(queue, "index"));
		print_queue(p, queue);
	}
	print_counts(p, get(device, "counts"));
	if (count(device, "faults"))
		fprintf(p->to, "    stopped %" PRIu64 " times until its driver resets it: %s\n",
			count(device, "faults"), string(device, "fault", name));
}

static void print_devices(const struct printer *p, const json_t *stats)
{
	const json_t *device;
	size_t i;

	if (!json_array_size(get(stats, "virtio")))
		return;
	heading(p, "virtio device              requests   batch", queue_columns);
	fputc('\n', p->to);
	json_array_foreach(get(stats, "virtio"), i, device) print_device(p, device);
}

/* ---- sidecores ---- */

static void print_pollers(const struct printer *p, const json_t *pollers)
{
	const json_t *poller;
	char name[TEXT_SIZE];
	size_t i;

	json_array_foreach(pollers, i, poller)
	{
		if (p->seconds > 0 && !count(poller, "hits"))
			continue;
		fprintf(p->to, "    %-20s", string(poller, "name", name));
		cell(p, count(poller, "polls"));
		fputs(" polls,", p->to);
		cell(p, count(poller, "hits"));
		fputs(" hits,", p->to);
		cell(p, count(poller, "items"));
		fputs(" items\n", p->to);
	}
}

static void print_sidecores(const struct printer *p, const json_t *stats)
{
	const json_t *sidecore;
	size_t i;

	json_array_foreach(get(stats, "sidecores"), i, sidecore)
	{
		fprintf(p->to, "sidecore %zu on CPU %" JSON_INTEGER_FORMAT ": %.2f %% busy,", i,
			json_integer_value(get(sidecore, "cpu")),
			json_real_value(get(sidecore, "busy_percent")));
		cell(p, count(sidecore, "turns"));
		fputs(" turns,", p->to);
		cell(p, count(sidecore, "sleeps"));
		fputs(" sleeps,", p->to);
		cell(p, count(sidecore, "exits_served"));
		fputs(" exits served\n", p->to);
		print_pollers(p, get(sidecore, "polled"));
	}
}

/* ---- totals ---- */

static void print_vcpu(FILE *to, const json_t *vcpu)
{
	uint64_t index = count(vcpu, "index");
	const json_t *kvm = get(vcpu, "kvm");
	char name[TEXT_SIZE];
	const char *key;
	json_t *value;

	if (!json_object_size(kvm)) {
		fprintf(to, "vCPU %" PRIu64 ": this host's KVM counts no exits\n", index);
		return;
	}
	fprintf(to, "vCPU %" PRIu64 ", by KVM's own counters (those that are not 0):\n", index);
	json_object_foreach((json_t *)(uintptr_t)kvm, key, value) if (json_integer_value(value))
		fprintf(to, "  %-32s %12" PRIu64 "\n", clean(key, name),
			(uint64_t)json_integer_value(value));
	fprintf(to, "  %-32s %12" PRIu64 "\n", "given to devices (ours)",
		count(vcpu, "exits_forwarded"));
}

int sx_stats_print(FILE *to, const json_t *stats)
{
	const struct printer p = {.to = to};
	const json_t *vcpu;
	char mode[TEXT_SIZE];
	size_t i;

	fprintf(to, "guest ran %.3f ms in %s mode\n", milliseconds(stats),
		string(stats, "mode", mode));
	json_array_foreach(get(stats, "vcpus"), i, vcpu) print_vcpu(to, vcpu);
	print_ranges(&p, stats);
	print_rings(&p, stats);
	print_devices(&p, stats);
	print_sidecores(&p, stats);
	return ferror(to) ? -EIO : 0;
}

int sx_stats_write(FILE *to, const json_t *stats)
{
	int rc = json_dumpf(stats, to, JSON_INDENT(2) | JSON_REAL_PRECISION(4));

	return rc < 0 || fputc('\n', to) == EOF ? -EIO : 0;
}

/* ---- rates ---- */

void sx_stats_print_rates(FILE *to, const json_t *now, const json_t *difference)
{
	const struct printer p = {.to = to, .seconds = milliseconds(difference) / 1e3};
	char guest[TEXT_SIZE], mode[TEXT_SIZE];

	fprintf(to, "guest %" PRIu64 " (%s), %s mode, up %.1f s; a second, over the last %.2f s\n",
		count(now, "pid"), string(now, "guest", guest), string(now, "mode", mode),
		milliseconds(now) / 1e3, p.seconds);
	if (p.seconds <= 0)
		return;
	sx_stats_print_exits(to, difference, p.seconds);
	print_ranges(&p, difference);
	print_rings(&p, difference);
	print_devices(&p, difference);
	print_sidecores(&p, difference);
}
