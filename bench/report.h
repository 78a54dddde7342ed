// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a suite of benchmarks found, and how it is told: as JSON, as a table, as a chart (plot.h).
 *
 * A report is a plain value: nothing in it is allocated, and it needs no tear-down. It knows no
 * suite. The names in it are the suite's; the last word of a figure's name is its unit, after an
 * underscore: `pingpong_p50_ns`, `private_kib`.
 *
 * The numbers are checked as they come in (finite, not negative), so that every report can be
 * written. All sx_report_*() that add something return 0, or, with a sentence, -EINVAL for a bad
 * number or name, -EEXIST for a figure that is there already, -ENOSPC when the report is full.
 */
#ifndef SX_BENCH_REPORT_H
#define SX_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/hostinfo.h"
#include "bench/samples.h"
#include "bench/term.h"
#include "ipc/error.h"

#define SX_REPORT_VERSION 1 /* of the JSON; a reader may rely on its keys staying as they are */

/* A number that could not be measured here: null in the JSON, a dash in the table. */
#define SX_NOT_MEASURED (-1.0)

/* What the exits of an operation were for; they add up to no more than all of them. */
struct sx_report_causes {
	bool told;
	double device;    /* the guest accessed a device's registers */
	double interrupt; /* an interrupt of the host, or one that the guest was not ready for */
	double halt;      /* the guest had nothing to do */
};

/*
 * One operation in one mode. Rows of the same op and batch (and machine, where the report has
 * several) stand together and are compared.
 */
struct sx_report_row {
	char op[32];
	char mode[24];  /* the first one named in a report is what the others are held against */
	char where[48]; /* optional: "ring", "shared page"; with `by_machine` the machine's name */
	uint32_t batch; /* operations at once; 0: not batched */
	struct sx_summary time;
	double exits_per_op;            /* by KVM's counters, or SX_NOT_MEASURED */
	struct sx_report_causes causes; /* of these, for each operation */
	double per_second;              /* operations, with `time` under that load; 0: not told */
	double sidecore_ns; /* busy time of the sidecore for each operation; 0: not told */
};

/* A number with a name: a floor or a cost. */
struct sx_report_figure {
	char name[48];
	double value;
};

/* The same work done by somebody else's code. */
struct sx_report_peer {
	char name[32];
	char op[32];
	char how[64]; /* optional: in which of its ways */
	uint32_t burst;
	uint64_t samples;
	double p50_ns;
};

enum sx_bound { SX_AT_MOST, SX_AT_LEAST };

struct sx_report_target {
	char name[64];
	char unit[16]; /* "x" for a ratio */
	enum sx_bound bound;
	double target;
	double measured; /* or SX_NOT_MEASURED, which is not ok */
	bool ok;         /* filled in by sx_report_add_target() */
};

struct sx_report {
	char suite[32];
	char title[96]; /* over the chart and the table */
	struct sx_host host;
	bool by_machine; /* rows are of several machines, each named by `where` */

	size_t row_count, floor_count, cost_count, peer_count, target_count, note_count;
	struct sx_report_row row[128];
	struct sx_report_figure floor[24]; /* the first one is the line that the chart draws */
	struct sx_report_figure cost[24];
	struct sx_report_peer peer[24];
	struct sx_report_target target[32];
	char note[16][200]; /* what a reader must know: a thing left out, a disturbed machine */
};

/* Also reads the host. */
void sx_report_init(struct sx_report *r, const char *suite, const char *title);

int sx_report_add_row(struct sx_report *r, const struct sx_report_row *row, struct sx_error *err);
int sx_report_add_floor(struct sx_report *r, const char *name, double value, struct sx_error *err);
int sx_report_add_cost(struct sx_report *r, const char *name, double value, struct sx_error *err);
int sx_report_add_peer(struct sx_report *r, const struct sx_report_peer *peer,
		       struct sx_error *err);
/* @target->ok is ignored. */
int sx_report_add_target(struct sx_report *r, const struct sx_report_target *target,
			 struct sx_error *err);
int sx_report_add_note(struct sx_report *r, struct sx_error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The first row of that op, mode and batch, or NULL. */
const struct sx_report_row *sx_report_find(const struct sx_report *r, const char *op,
					   const char *mode, uint32_t batch);

/* Of that row: the median in ns, 0 if there is no such row; exits, or SX_NOT_MEASURED. */
double sx_report_p50(const struct sx_report *r, const char *op, const char *mode, uint32_t batch);
double sx_report_exits(const struct sx_report *r, const char *op, const char *mode);

/* The floor or the cost of that name, or SX_NOT_MEASURED. */
double sx_report_floor(const struct sx_report *r, const char *name);
double sx_report_cost(const struct sx_report *r, const char *name);

/* @a / @b; of what is not there, or 0 after the clock was taken off, SX_NOT_MEASURED. */
double sx_report_ratio(double a, double b);

/* Do rows @i and @k, which are there, do the same operation on the same machine? */
bool sx_report_same_group(const struct sx_report *r, size_t i, size_t k);

/* The row of @row's group that it is compared with: the one in the report's first mode; or NULL. */
const struct sx_report_row *sx_report_reference(const struct sx_report *r,
						const struct sx_report_row *row);

/* Write it to @path: all of it or nothing. */
int sx_report_write_json(const struct sx_report *r, const char *path, struct sx_error *err);

/* Print it for people, as @term can show it. -EIO when @out took not all of it. */
int sx_report_print(const struct sx_report *r, FILE *out, const struct sx_term *term);

/* --- numbers for people, shared by table and chart ----------------------------------------------
 */

/* "2.10 ns", "66.1 us", "1.20 s": three digits and the unit that suits; "µs" when @utf8. */
void sx_format_ns(double ns, bool utf8, char *text, size_t size);

/* A figure's name without its unit and underscores ("pingpong p50"), and its value with it. */
void sx_format_figure(const struct sx_report_figure *figure, bool utf8, char *name,
		      size_t name_size, char *value, size_t value_size);

#endif
