// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the stream that a human reads can show.
 */
#ifndef SX_BENCH_TERM_H
#define SX_BENCH_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct sx_term {
	unsigned width; /* columns; 0: no limit */
	bool live;      /* a terminal whose line can be written over */
	bool utf8;      /* by the locale */
	bool colour;    /* live, and NO_COLOR is not set (https://no-color.org) */
};

/*
 * Looks at @out and at TERM, COLUMNS, NO_COLOR and the locale in the environment; changes no locale
 * of this process.
 */
struct sx_term sx_term_of(FILE *out);

/* How many columns @text takes: its characters, not its bytes; those used here are all narrow. */
size_t sx_term_columns(const char *text);

#endif
