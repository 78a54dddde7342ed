// SPDX-License-Identifier: BSD-3-Clause
/*
 * A report for people: one table of rows, and beneath it what they are held against.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "bench/report.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define TEXT_SIZE 160
#define GAP       2 /* columns between two columns */
#define INDENT    2

#define BOLD   "\033[1m"
#define DIM    "\033[2m"
#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"

struct page {
	const struct sx_report *report;
	const struct sx_term *term;
	FILE *out;
};

/* --- text ---------------------------------------------------------------------------------------
 */

static void spaces(FILE *out, size_t count)
{
	fprintf(out, "%*s", (int)count, "");
}

static void styled(const struct page *p, const char *style, const char *text)
{
	const bool colour = p->term->colour && style[0];

	fprintf(p->out, "%s%s%s", colour ? style : "", text, colour ? "\033[0m" : "");
}

/* @text in a field of @width columns. */
static void field(const struct page *p, const char *style, const char *text, size_t width,
		  bool right)
{
	size_t used = sx_term_columns(text);
	size_t pad = used < width ? width - used : 0;

	if (right)
		spaces(p->out, pad);
	styled(p, style, text);
	if (!right)
		spaces(p->out, pad);
}

static void heading(const struct page *p, const char *text)
{
	fputc('\n', p->out);
	spaces(p->out, INDENT);
	styled(p, BOLD, text);
	fputc('\n', p->out);
}

/* As many words as fit a line of the terminal, then the next line. */
static void wrapped(const struct page *p, const char *style, const char *text)
{
	const size_t room = p->term->width > INDENT + 20 ? p->term->width - INDENT : 1000;

	while (*text) {
		size_t length = strlen(text);
		char line[TEXT_SIZE * 4];

		if (length > room)
			for (length = room; length > 0 && text[length] != ' ';)
				length--;
		if (length == 0) /* a word longer than a line */
			length = strlen(text);
		snprintf(line, sizeof(line), "%.*s", (int)length, text);
		spaces(p->out, INDENT);
		styled(p, style, line);
		fputc('\n', p->out);
		text += length;
		text += strspn(text, " ");
	}
}

/* --- the rows -----------------------------------------------------------------------------------
 */

typedef void cell_fn(const struct page *p, size_t i, char *text, size_t size);

static void format_time(const struct page *p, double ns, char *text, size_t size)
{
	sx_format_ns(ns, p->term->utf8, text, size);
}

static bool continues_group(const struct sx_report *r, size_t i)
{
	return i > 0 && sx_report_same_group(r, i, i - 1);
}

/* Said once for all modes of an operation. */
static void cell_op(const struct page *p, size_t i, char *text, size_t size)
{
	const struct sx_report_row *row = &p->report->row[i];

	if (continues_group(p->report, i))
		text[0] = '\0';
	else if (row->batch)
		snprintf(text, size, "%s (batch %u)", row->op, row->batch);
	else
		snprintf(text, size, "%s", row->op);
}

static void cell_mode(const struct page *p, size_t i, char *text, size_t size)
{
	snprintf(text, size, "%s", p->report->row[i].mode);
}

static void cell_where(const struct page *p, size_t i, char *text, size_t size)
{
	snprintf(text, size, "%s", p->report->row[i].where);
}

static void cell_p50(const struct page *p, size_t i, char *text, size_t size)
{
	format_time(p, p->report->row[i].time.p50_ns, text, size);
}

static void cell_p99(const struct page *p, size_t i, char *text, size_t size)
{
	format_time(p, p->report->row[i].time.p99_ns, text, size);
}

static void cell_p999(const struct page *p, size_t i, char *text, size_t size)
{
	format_time(p, p->report->row[i].time.p999_ns, text, size);
}

static void cell_mean(const struct page *p, size_t i, char *text, size_t size)
{
	format_time(p, p->report->row[i].time.mean_ns, text, size);
}

/* None is told from few: 0, then 2e-05, then 0.25. */
static void format_exits(double exits, char *text, size_t size)
{
	if (exits == SX_NOT_MEASURED)
		snprintf(text, size, "-");
	else if (exits == 0)
		snprintf(text, size, "0");
	else
		snprintf(text, size, exits < 0.01 ? "%.0e" : "%.2f", exits);
}

static void cell_exits(const struct page *p, size_t i, char *text, size_t size)
{
	format_exits(p->report->row[i].exits_per_op, text, size);
}

static void cell_device(const struct page *p, size_t i, char *text, size_t size)
{
	text[0] = '\0';
	if (p->report->row[i].causes.told)
		format_exits(p->report->row[i].causes.device, text, size);
}

static void cell_samples(const struct page *p, size_t i, char *text, size_t size)
{
	snprintf(text, size, "%llu", (unsigned long long)p->report->row[i].time.samples);
}

/* "65.1 k", "1.25 M": three digits. */
static void cell_rate(const struct page *p, size_t i, char *text, size_t size)
{
	double rate = p->report->row[i].per_second;
	const char *unit = rate < 999.5 ? "" : rate < 999.5e3 ? " k" : " M";

	rate /= rate < 999.5 ? 1 : rate < 999.5e3 ? 1e3 : 1e6;
	text[0] = '\0';
	if (rate > 0)
		snprintf(text, size, "%.*f%s", rate < 9.995 ? 2 : rate < 99.95 ? 1 : 0, rate, unit);
}

static void cell_sidecore(const struct page *p, size_t i, char *text, size_t size)
{
	text[0] = '\0';
	if (p->report->row[i].sidecore_ns > 0)
		format_time(p, p->report->row[i].sidecore_ns, text, size);
}

/* "1 : 260" is 260 times cheaper than the reference, "1 : 0.99" a little dearer. */
static void cell_ratio(const struct page *p, size_t i, char *text, size_t size)
{
	const struct sx_report_row *row = &p->report->row[i];
	const struct sx_report_row *ref = sx_report_reference(p->report, row);
	double ratio;

	text[0] = '\0';
	if (!ref || strcmp(ref->mode, row->mode) == 0 || row->time.p50_ns <= 0)
		return;
	ratio = ref->time.p50_ns / row->time.p50_ns;
	snprintf(text, size, "1 : %.*f", ratio < 9.995 ? 2 : ratio < 99.95 ? 1 : 0, ratio);
}

static const struct column {
	const char *name; /* NULL: named after what the rows are compared with */
	cell_fn *cell;
	bool right;
	unsigned spare; /* in a narrow terminal the highest goes first; 0 never goes */
} columns[] = {
	{"operation", cell_op, false, 0},     {"mode", cell_mode, false, 0},
	{"where", cell_where, false, 3},      {"p50", cell_p50, true, 0},
	{"p99", cell_p99, true, 1},           {"p99.9", cell_p999, true, 4},
	{"mean", cell_mean, true, 5},         {"per second", cell_rate, true, 1},
	{"sidecore", cell_sidecore, true, 2}, {"exits/op", cell_exits, true, 0},
	{"by device", cell_device, true, 0},  {"samples", cell_samples, true, 6},
	{NULL, cell_ratio, true, 0},
};

struct layout {
	char ratio_name[32];
	size_t width[COUNT(columns)]; /* 0: left out */
};

static const char *column_name(const struct layout *l, size_t c)
{
	return columns[c].name ? columns[c].name : l->ratio_name;
}

static size_t total_width(const struct layout *l)
{
	size_t total = INDENT;

	for (size_t c = 0; c < COUNT(columns); c++)
		if (l->width[c])
			total += l->width[c] + (c ? GAP : 0);
	return total;
}

/* The column that is missed least, or COUNT(columns) when only the needed ones are left. */
static size_t most_spare(const struct layout *l)
{
	size_t found = COUNT(columns);

	for (size_t c = 0; c < COUNT(columns); c++)
		if (l->width[c] && columns[c].spare &&
		    (found == COUNT(columns) || columns[c].spare > columns[found].spare))
			found = c;
	return found;
}

/* A column is as wide as its widest cell; one without any text is left out. */
static void measure(const struct page *p, struct layout *l)
{
	for (size_t c = 0; c < COUNT(columns); c++) {
		size_t widest = 0;

		for (size_t i = 0; i < p->report->row_count; i++) {
			char text[TEXT_SIZE];
			size_t width;

			columns[c].cell(p, i, text, sizeof(text));
			width = sx_term_columns(text);
			widest = width > widest ? width : widest;
		}
		if (widest && widest < sx_term_columns(column_name(l, c)))
			widest = sx_term_columns(column_name(l, c));
		l->width[c] = widest;
	}
}

static struct layout lay_out(const struct page *p)
{
	struct layout l = {0};

	snprintf(l.ratio_name, sizeof(l.ratio_name), "vs %s", p->report->row[0].mode);
	measure(p, &l);
	while (p->term->width && total_width(&l) > p->term->width) {
		size_t c = most_spare(&l);

		if (c == COUNT(columns))
			break;
		l.width[c] = 0;
	}
	return l;
}

static const char *cell_style(const struct page *p, size_t i, size_t c)
{
	const bool reference = strcmp(p->report->row[i].mode, p->report->row[0].mode) == 0;

	if (columns[c].cell == cell_op)
		return BOLD;
	if (columns[c].cell == cell_mode || columns[c].cell == cell_p50)
		return reference ? "" : GREEN;
	if (columns[c].cell == cell_ratio)
		return BOLD;
	return columns[c].spare > 1 ? DIM : "";
}

static void print_header(const struct page *p, const struct layout *l)
{
	spaces(p->out, INDENT);
	for (size_t c = 0; c < COUNT(columns); c++) {
		if (!l->width[c])
			continue;
		spaces(p->out, c ? GAP : 0);
		field(p, DIM, column_name(l, c), l->width[c], columns[c].right);
	}
	fputc('\n', p->out);
}

static void print_rule(const struct page *p, const struct layout *l)
{
	spaces(p->out, INDENT);
	for (size_t i = INDENT; i < total_width(l); i++)
		styled(p, DIM, p->term->utf8 ? "─" : "-");
	fputc('\n', p->out);
}

/* White space is printed before a cell, not after it, so that no line ends in it. */
static void print_row(const struct page *p, const struct layout *l, size_t i)
{
	size_t blank = INDENT;

	for (size_t c = 0; c < COUNT(columns); c++) {
		char text[TEXT_SIZE];
		size_t pad;

		if (!l->width[c])
			continue;
		columns[c].cell(p, i, text, sizeof(text));
		pad = l->width[c] - sx_term_columns(text);
		blank += c ? GAP : 0;
		if (text[0]) {
			spaces(p->out, blank + (columns[c].right ? pad : 0));
			styled(p, cell_style(p, i, c), text);
			blank = columns[c].right ? 0 : pad;
		} else {
			blank += pad;
		}
	}
	fputc('\n', p->out);
}

static void print_rows(const struct page *p)
{
	struct layout l;

	if (p->report->row_count == 0)
		return;
	l = lay_out(p);
	fputc('\n', p->out);
	print_header(p, &l);
	print_rule(p, &l);
	for (size_t i = 0; i < p->report->row_count; i++)
		print_row(p, &l, i);
}

/* --- beneath ------------------------------------------------------------------------------------
 */

/* A line "mark name   value  remark", aligned with the others of its section. */
struct line {
	char name[TEXT_SIZE];
	char value[TEXT_SIZE];
	char remark[TEXT_SIZE];
	const char *mark;  /* one column; NULL: none in this section */
	const char *style; /* of mark and value; NULL: plain */
};

static void print_line(const struct page *p, const struct line *line, size_t name, size_t value)
{
	const char *style = line->style ? line->style : "";

	spaces(p->out, INDENT);
	field(p, style, line->mark ? line->mark : "", INDENT, false);
	field(p, "", line->name, name, false);
	spaces(p->out, GAP);
	field(p, style, line->value, value, true);
	if (line->remark[0]) {
		spaces(p->out, GAP);
		styled(p, DIM, line->remark);
	}
	fputc('\n', p->out);
}

static void print_lines(const struct page *p, const char *title, const struct line *lines,
			size_t count)
{
	size_t name = 0, value = 0;

	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		size_t n = sx_term_columns(lines[i].name), v = sx_term_columns(lines[i].value);

		name = n > name ? n : name;
		value = v > value ? v : value;
	}
	heading(p, title);
	for (size_t i = 0; i < count; i++)
		print_line(p, &lines[i], name, value);
}

static void print_figures(const struct page *p, const char *title,
			  const struct sx_report_figure *figures, size_t count)
{
	struct line lines[COUNT(p->report->floor)] = {0};

	for (size_t i = 0; i < count; i++)
		sx_format_figure(&figures[i], p->term->utf8, lines[i].name, sizeof(lines[i].name),
				 lines[i].value, sizeof(lines[i].value));
	print_lines(p, title, lines, count);
}

static void print_peers(const struct page *p)
{
	struct line lines[COUNT(p->report->peer)] = {0};

	for (size_t i = 0; i < p->report->peer_count; i++) {
		const struct sx_report_peer *peer = &p->report->peer[i];

		snprintf(lines[i].name, sizeof(lines[i].name), "%s  %s  burst %u", peer->name,
			 peer->op, peer->burst);
		format_time(p, peer->p50_ns, lines[i].value, sizeof(lines[i].value));
		snprintf(lines[i].remark, sizeof(lines[i].remark), "%s", peer->how);
	}
	print_lines(p, "peers", lines, p->report->peer_count);
}

/* Four digits, so that a target just missed does not look reached. */
static void format_number(double value, const char *unit, char *text, size_t size)
{
	const char *space = strcmp(unit, "x") == 0 || !unit[0] ? "" : " ";

	if (value == SX_NOT_MEASURED)
		snprintf(text, size, "not measured");
	else if (value >= 1000)
		snprintf(text, size, "%.0f%s%s", value, space, unit);
	else
		snprintf(text, size, "%.4g%s%s", value, space, unit);
}

static const char *mark_of(const struct page *p, const struct sx_report_target *t)
{
	if (t->measured == SX_NOT_MEASURED)
		return p->term->utf8 ? "·" : "?";
	if (t->ok)
		return p->term->utf8 ? "✓" : "+";
	return p->term->utf8 ? "✗" : "x";
}

static const char *style_of(const struct sx_report_target *t)
{
	return t->measured == SX_NOT_MEASURED ? YELLOW : t->ok ? GREEN : RED;
}

static void print_targets(const struct page *p)
{
	struct line lines[COUNT(p->report->target)] = {0};

	for (size_t i = 0; i < p->report->target_count; i++) {
		const struct sx_report_target *t = &p->report->target[i];
		struct line *line = &lines[i];
		char limit[48];

		line->mark = mark_of(p, t);
		line->style = style_of(t);
		snprintf(line->name, sizeof(line->name), "%s", t->name);
		format_number(t->measured, t->unit, line->value, sizeof(line->value));
		format_number(t->target, t->unit, limit, sizeof(limit));
		snprintf(line->remark, sizeof(line->remark), "%s %s",
			 t->bound == SX_AT_MOST ? "at most" : "at least", limit);
	}
	print_lines(p, "targets", lines, p->report->target_count);
}

int sx_report_print(const struct sx_report *r, FILE *out, const struct sx_term *term)
{
	const struct page p = {.report = r, .term = term, .out = out};
	char host[512];

	fputc('\n', out);
	wrapped(&p, BOLD, r->title);
	sx_host_text(&r->host, host, sizeof(host));
	wrapped(&p, DIM, host);

	print_rows(&p);
	print_figures(&p, "floors", r->floor, r->floor_count);
	print_peers(&p);
	print_figures(&p, "costs", r->cost, r->cost_count);
	print_targets(&p);
	if (r->note_count)
		heading(&p, "notes");
	for (size_t i = 0; i < r->note_count; i++)
		wrapped(&p, "", r->note[i]);
	fputc('\n', out);
	return ferror(out) || fflush(out) ? -EIO : 0;
}
