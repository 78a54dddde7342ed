// SPDX-License-Identifier: BSD-3-Clause
#include "bench/report.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void sx_report_init(struct sx_report *r, const char *suite, const char *title)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->suite, sizeof(r->suite), "%s", suite);
	snprintf(r->title, sizeof(r->title), "%s", title);
	sx_host_read(&r->host, "");
}

/* --- what may come in ---------------------------------------------------------------------------
 */

static bool measured(double value)
{
	return isfinite(value) && value >= 0;
}

static bool causes_measured(const struct sx_report_causes *c)
{
	return !c->told || (measured(c->device) && measured(c->interrupt) && measured(c->halt));
}

static bool measured_or_not(double value)
{
	return measured(value) || value == SX_NOT_MEASURED;
}

static int no_room(const char *what, size_t capacity, struct sx_error *err)
{
	return sx_fail(err, -ENOSPC,
		       "the report has room for %zu %s; leave some out or raise the limit in "
		       "bench/report.h",
		       capacity, what);
}

static int bad_number(const char *of, struct sx_error *err)
{
	return sx_fail(err, -EINVAL,
		       "a number of '%s' is negative or not finite, so its measurement failed; "
		       "measure again",
		       of);
}

int sx_report_add_row(struct sx_report *r, const struct sx_report_row *row, struct sx_error *err)
{
	const struct sx_summary *t = &row->time;

	if (r->row_count == COUNT(r->row))
		return no_room("rows", COUNT(r->row), err);
	if (!row->op[0] || !row->mode[0])
		return sx_fail(err, -EINVAL, "a row needs an operation and a mode");
	if (!measured(t->p50_ns) || !measured(t->p99_ns) || !measured(t->p999_ns) ||
	    !measured(t->mean_ns) || !measured_or_not(row->exits_per_op) ||
	    !causes_measured(&row->causes) || !measured(row->per_second) ||
	    !measured(row->sidecore_ns))
		return bad_number(row->op, err);
	r->row[r->row_count++] = *row;
	return 0;
}

static int add_figure(struct sx_report_figure *figures, size_t *count, size_t capacity,
		      const char *name, double value, struct sx_error *err)
{
	struct sx_report_figure figure = {.value = value};

	if (*count == capacity)
		return no_room("figures of a kind", capacity, err);
	if (!name[0] ||
	    snprintf(figure.name, sizeof(figure.name), "%s", name) >= (int)sizeof(figure.name))
		return sx_fail(err, -EINVAL, "'%s' is no name for a figure; use 1 to %zu letters",
			       name, sizeof(figure.name) - 1);
	if (!measured(value))
		return bad_number(name, err);
	for (size_t i = 0; i < *count; i++)
		if (strcmp(figures[i].name, name) == 0)
			return sx_fail(err, -EEXIST, "'%s' is in the report already", name);
	figures[(*count)++] = figure;
	return 0;
}

int sx_report_add_floor(struct sx_report *r, const char *name, double value, struct sx_error *err)
{
	return add_figure(r->floor, &r->floor_count, COUNT(r->floor), name, value, err);
}

int sx_report_add_cost(struct sx_report *r, const char *name, double value, struct sx_error *err)
{
	return add_figure(r->cost, &r->cost_count, COUNT(r->cost), name, value, err);
}

int sx_report_add_peer(struct sx_report *r, const struct sx_report_peer *peer, struct sx_error *err)
{
	if (r->peer_count == COUNT(r->peer))
		return no_room("peers", COUNT(r->peer), err);
	if (!peer->name[0] || !peer->op[0])
		return sx_fail(err, -EINVAL, "a peer needs a name and an operation");
	if (!measured(peer->p50_ns))
		return bad_number(peer->name, err);
	r->peer[r->peer_count++] = *peer;
	return 0;
}

static bool reached(const struct sx_report_target *t)
{
	if (t->measured == SX_NOT_MEASURED)
		return false;
	return t->bound == SX_AT_MOST ? t->measured <= t->target : t->measured >= t->target;
}

int sx_report_add_target(struct sx_report *r, const struct sx_report_target *target,
			 struct sx_error *err)
{
	struct sx_report_target t = *target;

	if (r->target_count == COUNT(r->target))
		return no_room("targets", COUNT(r->target), err);
	if (!t.name[0])
		return sx_fail(err, -EINVAL, "a target needs a name");
	if (!measured(t.target) || !measured_or_not(t.measured))
		return bad_number(t.name, err);
	t.ok = reached(&t);
	r->target[r->target_count++] = t;
	return 0;
}

int sx_report_add_note(struct sx_report *r, struct sx_error *err, const char *fmt, ...)
{
	va_list ap;

	if (r->note_count == COUNT(r->note))
		return no_room("notes", COUNT(r->note), err);
	va_start(ap, fmt);
	vsnprintf(r->note[r->note_count++], sizeof(r->note[0]), fmt, ap);
	va_end(ap);
	return 0;
}

/* --- looking things up --------------------------------------------------------------------------
 */

const struct sx_report_row *sx_report_find(const struct sx_report *r, const char *op,
					   const char *mode, uint32_t batch)
{
	for (size_t i = 0; i < r->row_count; i++) {
		const struct sx_report_row *row = &r->row[i];

		if (strcmp(row->op, op) == 0 && strcmp(row->mode, mode) == 0 && row->batch == batch)
			return row;
	}
	return NULL;
}

double sx_report_p50(const struct sx_report *r, const char *op, const char *mode, uint32_t batch)
{
	const struct sx_report_row *row = sx_report_find(r, op, mode, batch);

	return row ? row->time.p50_ns : 0;
}

double sx_report_exits(const struct sx_report *r, const char *op, const char *mode)
{
	const struct sx_report_row *row = sx_report_find(r, op, mode, 0);

	return row ? row->exits_per_op : SX_NOT_MEASURED;
}

static double figure(const struct sx_report_figure *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return list[i].value;
	return SX_NOT_MEASURED;
}

double sx_report_floor(const struct sx_report *r, const char *name)
{
	return figure(r->floor, r->floor_count, name);
}

double sx_report_cost(const struct sx_report *r, const char *name)
{
	return figure(r->cost, r->cost_count, name);
}

double sx_report_ratio(double a, double b)
{
	return a > 0 && b > 0 ? a / b : SX_NOT_MEASURED;
}

static bool same_group(const struct sx_report *r, const struct sx_report_row *a,
		       const struct sx_report_row *b)
{
	return strcmp(a->op, b->op) == 0 && a->batch == b->batch &&
	       (!r->by_machine || strcmp(a->where, b->where) == 0);
}

bool sx_report_same_group(const struct sx_report *r, size_t i, size_t k)
{
	return same_group(r, &r->row[i], &r->row[k]);
}

const struct sx_report_row *sx_report_reference(const struct sx_report *r,
						const struct sx_report_row *row)
{
	for (size_t i = 0; i < r->row_count; i++)
		if (same_group(r, &r->row[i], row) && strcmp(r->row[i].mode, r->row[0].mode) == 0)
			return &r->row[i];
	return NULL;
}

/* --- numbers for people -------------------------------------------------------------------------
 */

void sx_format_ns(double ns, bool utf8, char *text, size_t size)
{
	const char *const units[] = {"ns", utf8 ? "µs" : "us", "ms", "s"};
	size_t unit = 0;

	/* Where three digits would read 1000, the next unit reads 1.00. */
	while (ns >= 999.5 && unit + 1 < COUNT(units)) {
		ns /= 1000;
		unit++;
	}
	snprintf(text, size, "%.*f %s", ns < 9.995 ? 2 : ns < 99.95 ? 1 : 0, ns, units[unit]);
}

static void format_value(double value, const char *unit, bool utf8, char *text, size_t size)
{
	static const struct {
		const char *name;
		double ns;
	} times[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};

	for (size_t i = 0; i < COUNT(times); i++)
		if (strcmp(unit, times[i].name) == 0) {
			sx_format_ns(value * times[i].ns, utf8, text, size);
			return;
		}
	if (strcmp(unit, "kib") == 0)
		snprintf(text, size, value < 1024 ? "%.0f KiB" : "%.2f MiB",
			 value < 1024 ? value : value / 1024);
	else
		snprintf(text, size, "%.4g%s%s", value, unit[0] ? " " : "", unit);
}

void sx_format_figure(const struct sx_report_figure *figure, bool utf8, char *name,
		      size_t name_size, char *value, size_t value_size)
{
	const char *unit = strrchr(figure->name, '_');
	size_t length = unit ? (size_t)(unit - figure->name) : strlen(figure->name);

	snprintf(name, name_size, "%.*s", (int)length, figure->name);
	for (char *c = name; *c; c++)
		if (*c == '_')
			*c = ' ';
	format_value(figure->value, unit ? unit + 1 : "", utf8, value, value_size);
}
