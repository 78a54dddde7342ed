// SPDX-License-Identifier: BSD-3-Clause
/*
 * A report as a chart: SVG, drawn by gnuplot.
 *
 * One group of bars for each operation, one colour for each mode, on a logarithmic scale: the bar
 * is p50, the whisker reaches p99, and the report's first floor is a dashed line.
 */
#ifndef SX_BENCH_PLOT_H
#define SX_BENCH_PLOT_H

#include <stdio.h>

#include "bench/report.h"
#include "ipc/error.h"

/* Can a chart be drawn here? -ENOENT with a sentence when gnuplot is not there to be run. */
int sx_plot_available(struct sx_error *err);

/*
 * Draw the chart into @path: all of it or nothing. -ENODATA when the report has no row, -ENOENT
 * when gnuplot is missing, -EIO with gnuplot's own words when it fails.
 */
int sx_plot_svg(const struct sx_report *r, const char *path, struct sx_error *err);

/* The gnuplot program that draws it, to be read from gnuplot's standard input. -EIO, -ENODATA. */
int sx_plot_script(const struct sx_report *r, FILE *out);

#endif
