// SPDX-License-Identifier: BSD-3-Clause
#include "bench/samples.h"

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#define NS_PER_S 1000000000ull

/* Long enough that the two reads at either end (some 50 ns) are 1 part in a million. */
#define CALIBRATION_NS 50000000ull
/* Of so many reads of both clocks the tightest pair is used: an interrupt in between spoils one. */
#define CLOCK_READS 16

int sx_samples_init(struct sx_samples *s, size_t capacity, struct sx_error *err)
{
	*s = (struct sx_samples){.capacity = capacity};
	if (capacity == 0)
		return sx_fail(err, -EINVAL, "room for 0 samples was asked for; ask for 1 or more");

	s->cycles = reallocarray(NULL, capacity, sizeof(*s->cycles));
	if (!s->cycles)
		return sx_fail(err, -ENOMEM,
			       "no memory for %zu samples; ask for fewer, or free memory",
			       capacity);
	/* Not zero, so that the compiler cannot turn it into an untouched calloc(). */
	memset(s->cycles, 0xff, capacity * sizeof(*s->cycles));
	return 0;
}

void sx_samples_destroy(struct sx_samples *s)
{
	free(s->cycles);
	*s = (struct sx_samples){0};
}

void sx_samples_clear(struct sx_samples *s)
{
	s->count = 0;
	s->dropped = 0;
	s->sorted = false;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int sx_samples_percentile(struct sx_samples *s, unsigned permille, uint64_t *cycles)
{
	size_t rank; /* counts from 1 */

	if (permille > 1000)
		return -EINVAL;
	if (s->count == 0)
		return -ENODATA;
	if (!s->sorted)
		qsort(s->cycles, s->count, sizeof(*s->cycles), by_value);
	s->sorted = true;

	/* ceil(count * permille / 1000), in whole numbers and without overflow */
	rank = s->count / 1000 * permille + (s->count % 1000 * permille + 999) / 1000;
	*cycles = s->cycles[rank ? rank - 1 : 0];
	return 0;
}

double sx_cycles_to_ns(double cycles, uint64_t tsc_khz)
{
	return cycles * 1e6 / (double)tsc_khz;
}

static double mean_cycles(const struct sx_samples *s)
{
	double sum = 0;

	for (size_t i = 0; i < s->count; i++)
		sum += (double)s->cycles[i];
	return sum / (double)s->count;
}

int sx_samples_summary(struct sx_samples *s, uint64_t tsc_khz, struct sx_summary *out)
{
	uint64_t p50, p99, p999;

	if (tsc_khz == 0)
		return -EINVAL;
	if (sx_samples_percentile(s, 500, &p50) || sx_samples_percentile(s, 990, &p99) ||
	    sx_samples_percentile(s, 999, &p999))
		return -ENODATA;

	*out = (struct sx_summary){
		.p50_ns = sx_cycles_to_ns((double)p50, tsc_khz),
		.p99_ns = sx_cycles_to_ns((double)p99, tsc_khz),
		.p999_ns = sx_cycles_to_ns((double)p999, tsc_khz),
		.mean_ns = sx_cycles_to_ns(mean_cycles(s), tsc_khz),
		.samples = s->count,
	};
	return 0;
}

/*
 * CPUID.15H: TSC = crystal (ECX, in Hz) * EBX / EAX; any of them may be 0, "not enumerated" (SDM
 * vol. 2A, CPUID). Leaf 16H is of no use here: whole MHz, and only what the part was specified for.
 */
static uint64_t khz_by_cpuid(void)
{
	unsigned denominator, numerator, crystal_hz, unused;

	if (!__get_cpuid(0x15, &denominator, &numerator, &crystal_hz, &unused))
		return 0;
	if (!denominator || !numerator || !crystal_hz)
		return 0;
	return (uint64_t)crystal_hz * numerator / denominator / 1000;
}

struct instant {
	uint64_t tsc;
	uint64_t ns;
};

/* Both clocks at (nearly) one instant. */
static int read_clocks(struct instant *now)
{
	uint64_t tightest = UINT64_MAX;

	for (int i = 0; i < CLOCK_READS; i++) {
		uint64_t before = __rdtsc(), width;
		struct timespec ts;

		if (clock_gettime(CLOCK_MONOTONIC_RAW, &ts))
			return -errno;
		width = __rdtsc() - before;
		if (width >= tightest)
			continue;
		tightest = width;
		now->tsc = before + width / 2;
		now->ns = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	}
	return 0;
}

static int khz_by_clock(uint64_t *khz)
{
	struct timespec left = {.tv_nsec = CALIBRATION_NS};
	struct instant start = {0}, end = {0};
	int ret;

	ret = read_clocks(&start);
	if (ret)
		return ret;
	while (nanosleep(&left, &left) && errno == EINTR)
		; /* a signal came; sleep for what is left */
	ret = read_clocks(&end);
	if (ret)
		return ret;
	if (end.ns <= start.ns || end.tsc <= start.tsc)
		return -ERANGE;
	*khz = (uint64_t)((double)(end.tsc - start.tsc) * 1e6 / (double)(end.ns - start.ns) + 0.5);
	return *khz ? 0 : -ERANGE;
}

int sx_tsc_khz(uint64_t known_khz, uint64_t *khz, struct sx_error *err)
{
	int ret;

	*khz = known_khz ? known_khz : khz_by_cpuid();
	if (*khz)
		return 0;
	ret = khz_by_clock(khz);
	if (ret)
		return sx_fail(err, ret,
			       "the TSC cannot be held against CLOCK_MONOTONIC_RAW (%s), so cycles "
			       "have no length in time; measure on a machine with an invariant TSC",
			       strerror(-ret));
	return 0;
}
