// SPDX-License-Identifier: BSD-3-Clause
/*
 * What every suite of `splitx bench` is given. Each has a function that fills a report, and a row
 * in the table of bench/bench.c.
 */
#ifndef SX_BENCH_SUITE_H
#define SX_BENCH_SUITE_H

#include "bench/report.h"

struct sx_bench_options {
	const char *guest_cores, *sidecores; /* lists, or NULL: chosen */
	unsigned rounds;                     /* the contestants alternate this often */
	const char *kernel, *initrd;         /* of suites that boot Linux, or NULL */
	const char *mode;                    /* the only one that they measure, or NULL */
	const char *wait;                    /* how splitx waits, of these suites, or NULL */
	const char *where;                   /* the name of this machine, for the report */
};

#endif
