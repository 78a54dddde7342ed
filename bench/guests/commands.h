/* SPDX-License-Identifier: BSD-3-Clause */
/* How a benchmark's guest carries a command of its page out, where a sample is one operation. */
#ifndef BENCH_COMMANDS_H
#define BENCH_COMMANDS_H

#include "bench/guests/bench_page.h"

/* @operate does what page->op says and returns the TSC cycles that it took. */
static inline void bench_carry_out(struct sx_bench_page *page, uint64_t (*operate)(void))
{
	page->done = 0;
	page->failures = 0;
	for (uint32_t i = 0; i < page->warmup; i++)
		operate();
	for (uint32_t i = 0; i < page->samples; i++)
		page->sample[i] = operate();
	page->done = page->warmup + page->samples;
}

#endif
