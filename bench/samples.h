// SPDX-License-Identifier: BSD-3-Clause
/*
 * What was measured: TSC cycles of single operations, and what they amount to in nanoseconds.
 *
 * All memory is taken and touched by sx_samples_init(), so that adding a sample while measuring
 * neither allocates nor faults.
 */
#ifndef SX_BENCH_SAMPLES_H
#define SX_BENCH_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"

struct sx_samples {
	uint64_t *cycles;
	size_t count;
	size_t capacity;
	uint64_t dropped; /* samples that found no room; 0 in a good measurement */
	bool sorted;
};

/* Exact, from all samples; nothing is estimated. */
struct sx_summary {
	double p50_ns;
	double p99_ns;
	double p999_ns;
	double mean_ns;
	uint64_t samples;
};

int sx_samples_init(struct sx_samples *s, size_t capacity, struct sx_error *err);
void sx_samples_destroy(struct sx_samples *s);

/* Forget the samples, keep the memory. */
void sx_samples_clear(struct sx_samples *s);

static inline void sx_samples_add(struct sx_samples *s, uint64_t cycles)
{
	if (__builtin_expect(s->count == s->capacity, 0)) {
		s->dropped++;
		return;
	}
	s->cycles[s->count++] = cycles;
	s->sorted = false;
}

/*
 * The percentile by nearest rank: the smallest sample that at least @permille thousandths of all
 * samples do not exceed, so always one that was measured. 500 is the median, 999 is p99.9, 0 the
 * minimum, 1000 the maximum. Sorts the samples the first time.
 * -EINVAL when @permille is above 1000, -ENODATA when there is no sample.
 */
int sx_samples_percentile(struct sx_samples *s, unsigned permille, uint64_t *cycles);

/* -ENODATA when there is no sample, -EINVAL when @tsc_khz is 0. */
int sx_samples_summary(struct sx_samples *s, uint64_t tsc_khz, struct sx_summary *out);

/* @tsc_khz is not 0. */
double sx_cycles_to_ns(double cycles, uint64_t tsc_khz);

/*
 * The TSC frequency of this processor in kHz. @known_khz is what KVM_GET_TSC_KHZ says, or 0 where
 * it says nothing; it is believed. Then CPUID leaf 15H, where it is complete; else the TSC is
 * counted for some 50 ms against CLOCK_MONOTONIC_RAW. Never 0 on success.
 */
int sx_tsc_khz(uint64_t known_khz, uint64_t *khz, struct sx_error *err);

#endif
