// SPDX-License-Identifier: BSD-3-Clause
/*
 * One line on a terminal that says how far a suite is and what it measures now; nothing in a pipe.
 *
 * It is drawn between measurements only, by the one thread that drives the suite.
 */
#ifndef SX_BENCH_PROGRESS_H
#define SX_BENCH_PROGRESS_H

#include <stdio.h>

#include "bench/term.h"

struct sx_progress {
	FILE *out;
	struct sx_term term;
	unsigned total;
	unsigned started; /* steps begun; all but the last of them are done */
};

/* @total: how many times sx_progress_step() will be called. */
void sx_progress_begin(struct sx_progress *p, FILE *out, unsigned total);

/* The next step begins. @what is shown until the one after: "doorbell, split". */
void sx_progress_step(struct sx_progress *p, const char *what);

/* Erases the line. Also right after an error, before it is told. */
void sx_progress_end(struct sx_progress *p);

#endif
