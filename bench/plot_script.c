// SPDX-License-Identifier: BSD-3-Clause
/*
 * The gnuplot program of a chart.
 *
 * Everything is placed by its own coordinates: on the x axis a bar is 1 wide, and groups stand
 * GROUP_GAP apart. Text goes into single quotes, in which gnuplot replaces nothing, and the
 * terminal is told to read no mark-up in it.
 */
#include <errno.h>
#include <string.h>

#include "bench/plot.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define GROUP_GAP 0.9
#define BAR_WIDTH 0.88
#define CAP_WIDTH 0.22 /* of a whisker */

/* Pixels. */
#define BAR_PIXELS   50.0 /* as wide as "66.1 µs" above it */
#define MAX_PIXELS   90.0 /* of a bar in a chart with few of them */
#define LEFT_MARGIN  86.0
#define MIN_WIDTH    560.0 /* between the margins */
#define HEIGHT       640.0
#define EDGE         28.0
#define SWATCH       13.0
#define LETTER       7.4 /* about, of the legend */
#define SMALL_LETTER 6.6 /* about, of small print */

#define INK   "#24292f"
#define FAINT "#6e7781"
#define GRID  "#dde2e7"

/* Distinct in print and to the colour-blind. Peers are grey. */
static const char *const mode_colours[] = {"#c8553d", "#1f7a8c", "#e3a535", "#6b5b95", "#7a9e7e"};
static const char *const peer_colours[] = {"#a3adb8", "#5f6b76"};

struct series {
	const char *name; /* a mode's or a peer's */
	const char *colour;
};

struct bar {
	size_t row; /* whose group it stands in */
	size_t series;
	double p50, p99; /* ns; the same where there is no whisker */
	double x;
};

struct chart {
	const struct sx_report *report;
	FILE *out;
	size_t series_count, bar_count;
	struct series series[COUNT(mode_colours) + COUNT(peer_colours)];
	struct bar bar[COUNT(((struct sx_report *)0)->row) + COUNT(((struct sx_report *)0)->peer)];
	double end;       /* of the last bar on the x axis */
	double margin;    /* on the x axis beside the first and the last bar */
	double low, high; /* of the y axis */
	double width;     /* of the picture in pixels */
	double right;     /* its right margin, in which the floor's name stands */
};

/* --- what is drawn where ------------------------------------------------------------------------
 */

/* The number of that series, made when it is new. When colours run out the last one is shared. */
static size_t series_of(struct chart *c, const char *name, const char *const *colours,
			size_t colour_count)
{
	size_t used = 0, last = 0;

	for (size_t i = 0; i < c->series_count; i++) {
		if (strcmp(c->series[i].name, name) == 0)
			return i;
		for (size_t k = 0; k < colour_count; k++)
			if (c->series[i].colour == colours[k]) {
				used++;
				last = i;
			}
	}
	if (used == colour_count)
		return last;
	c->series[c->series_count] = (struct series){name, colours[used]};
	return c->series_count++;
}

static bool starts_group(const struct chart *c, size_t i)
{
	return i == 0 || !sx_report_same_group(c->report, c->bar[i].row, c->bar[i - 1].row);
}

/* A burst of 1 is also what a row that is not batched does. */
static bool does_the_same(const struct sx_report_peer *peer, const struct sx_report_row *row)
{
	return strcmp(peer->op, row->op) == 0 && peer->burst == (row->batch ? row->batch : 1);
}

static bool ends_group(const struct sx_report *r, size_t i)
{
	return i + 1 == r->row_count || !sx_report_same_group(r, i, i + 1);
}

static void add_mode_bar(struct chart *c, size_t i)
{
	const struct sx_report_row *row = &c->report->row[i];

	c->bar[c->bar_count++] = (struct bar){
		.row = i,
		.series = series_of(c, row->mode, mode_colours, COUNT(mode_colours)),
		.p50 = row->time.p50_ns,
		.p99 = row->time.p99_ns,
	};
}

static void add_peer_bar(struct chart *c, size_t row, const struct sx_report_peer *peer)
{
	if (c->bar_count == COUNT(c->bar))
		return;
	c->bar[c->bar_count++] = (struct bar){
		.row = row,
		.series = series_of(c, peer->name, peer_colours, COUNT(peer_colours)),
		.p50 = peer->p50_ns,
		.p99 = peer->p50_ns,
	};
}

/* The rows as they come, each group followed by the peers that did the same. */
static void find_bars(struct chart *c)
{
	const struct sx_report *r = c->report;

	for (size_t i = 0; i < r->row_count; i++) {
		add_mode_bar(c, i);
		if (!ends_group(r, i))
			continue;
		for (size_t k = 0; k < r->peer_count; k++)
			if (does_the_same(&r->peer[k], &r->row[i]))
				add_peer_bar(c, i, &r->peer[k]);
	}
	for (size_t i = 0; i < c->bar_count; i++) {
		c->end += i > 0 && starts_group(c, i) ? GROUP_GAP : 0;
		c->bar[i].x = c->end + 0.5;
		c->end += 1;
	}
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static void find_width(struct chart *c)
{
	const struct sx_report_figure *floor = &c->report->floor[0];
	double inside;

	c->right = EDGE;
	if (c->report->floor_count)
		c->right += SMALL_LETTER * (double)sx_term_columns(floor->name);
	inside = larger(MIN_WIDTH, BAR_PIXELS * (c->end + GROUP_GAP));
	c->width = LEFT_MARGIN + inside + c->right;
	c->margin = larger(GROUP_GAP, inside / MAX_PIXELS - c->end) / 2;
}

static double smaller(double a, double b)
{
	return a < b ? a : b;
}

/* The power of ten at or below. */
static double decade_below(double ns)
{
	double decade = 1;

	while (decade > ns)
		decade /= 10;
	while (decade * 10 <= ns)
		decade *= 10;
	return decade;
}

static void find_scale(struct chart *c)
{
	double low = 0, high = 1;

	if (c->report->floor_count)
		low = c->report->floor[0].value;
	for (size_t i = 0; i < c->bar_count; i++) {
		const struct bar *bar = &c->bar[i];

		if (bar->p50 > 0)
			low = low > 0 ? smaller(low, bar->p50) : bar->p50;
		high = larger(high, larger(bar->p50, bar->p99));
	}
	if (low <= 0)
		low = 1;
	/* The lowest bar has to have some height ... */
	c->low = decade_below(smaller(low / 1.8, high / 20));
	/* ... and the highest some room above it, the same on paper for any number of decades. */
	c->high = high * 1.26;
	for (double decade = c->low; decade < high; decade *= 10)
		c->high *= 1.17;
}

/* --- the program --------------------------------------------------------------------------------
 */

/* In single quotes; a quote is doubled, what would end the line becomes a space. */
static void quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			fputc('\'', out);
		fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
	}
	fputc('\'', out);
}

/* A label of the picture itself, in pixels from its upper left corner. */
static void write_label(const struct chart *c, double x, double y, const char *text,
			const char *style)
{
	fprintf(c->out, "set label ");
	quoted(c->out, text);
	fprintf(c->out, " at screen %.5f, screen %.5f %s\n", x / c->width, 1 - y / HEIGHT, style);
}

static void write_canvas(const struct chart *c)
{
	char host[400];

	fprintf(c->out,
		"set encoding utf8\n"
		"set terminal svg size %.0f,%.0f dynamic noenhanced "
		"font 'Helvetica,Arial,sans-serif,13' background '#ffffff'\n"
		"set lmargin at screen %.5f\nset rmargin at screen %.5f\n"
		"set tmargin at screen %.5f\nset bmargin at screen %.5f\n",
		c->width, HEIGHT, LEFT_MARGIN / c->width, 1 - c->right / c->width, 1 - 126 / HEIGHT,
		70 / HEIGHT);
	write_label(c, EDGE, 36, c->report->title, "left font ',20' tc rgb '" INK "'");
	sx_host_text(&c->report->host, host, sizeof(host));
	write_label(c, EDGE, 62, host, "left font ',11' tc rgb '" FAINT "'");
}

/* "100 ns", "1 µs": a power of ten. */
static void write_tic(const struct chart *c, double ns)
{
	static const struct {
		double ns;
		const char *name;
	} units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {0, "ns"}};
	size_t u = 0;

	while (ns < units[u].ns * 0.999)
		u++;
	fprintf(c->out, "'%g %s' %g", units[u].ns > 0 ? ns / units[u].ns : ns, units[u].name, ns);
}

static void write_axes(const struct chart *c)
{
	fprintf(c->out,
		"unset key\nset border 1 lw 1.2 lc rgb '" FAINT "'\n"
		"set xrange [%g:%g]\nset yrange [%g:%g]\nset logscale y\n"
		"set tics scale 0\nunset xtics\nunset mytics\n"
		"set grid ytics lt 1 lw 0.8 lc rgb '" GRID "'\n"
		"set ytics textcolor rgb '" FAINT "' (",
		-c->margin, c->end + c->margin, c->low, c->high);
	for (double ns = c->low; ns <= c->high; ns *= 10) {
		if (ns > c->low)
			fprintf(c->out, ", ");
		write_tic(c, ns);
	}
	fprintf(c->out, ")\n");
}

/* A coloured square and its name for each series, in one line beneath the title. */
static void write_legend(const struct chart *c)
{
	double x = EDGE, y = 91;

	for (size_t i = 0; i < c->series_count; i++) {
		const struct series *s = &c->series[i];

		fprintf(c->out,
			"set object rectangle center screen %.5f, screen %.5f "
			"size screen %.5f, screen %.5f fc rgb '%s' fs solid noborder\n",
			(x + SWATCH / 2) / c->width, 1 - y / HEIGHT, SWATCH / c->width,
			SWATCH / HEIGHT, s->colour);
		write_label(c, x + SWATCH + 7, y, s->name, "left tc rgb '" INK "'");
		x += SWATCH + 7 + LETTER * (double)sx_term_columns(s->name) + 24;
	}
	write_label(c, c->width - EDGE, y, "bar: p50   whisker: p99   logarithmic, lower is better",
		    "right font ',11' tc rgb '" FAINT "'");
}

/* Beneath a group's name: its batch, and its machine where there are several. */
static void write_group_remark(const struct chart *c, const struct sx_report_row *row,
			       double middle)
{
	const char *machine = c->report->by_machine ? row->where : "";
	char text[80], batch[24] = "";

	if (row->batch)
		snprintf(batch, sizeof(batch), "batch %u", row->batch);
	snprintf(text, sizeof(text), "%s%s%s", batch, batch[0] && machine[0] ? ", " : "", machine);
	if (!text[0])
		return;
	fprintf(c->out, "set label ");
	quoted(c->out, text);
	fprintf(c->out, " at first %g, screen %.5f center font ',11' tc rgb '" FAINT "'\n", middle,
		29 / HEIGHT);
}

static void write_group_names(const struct chart *c)
{
	for (size_t i = 0; i < c->bar_count; i++) {
		const struct sx_report_row *row = &c->report->row[c->bar[i].row];
		size_t end = i + 1;
		double middle;

		if (!starts_group(c, i))
			continue;
		while (end < c->bar_count && !starts_group(c, end))
			end++;
		middle = (c->bar[i].x + c->bar[end - 1].x) / 2;
		fprintf(c->out, "set label ");
		quoted(c->out, row->op);
		fprintf(c->out, " at first %g, screen %.5f center tc rgb '" INK "'\n", middle,
			50 / HEIGHT);
		write_group_remark(c, row, middle);
	}
}

/* A dashed line through the bars, named in the right margin. */
static void write_floor(const struct chart *c)
{
	const struct sx_report_figure *floor = &c->report->floor[0];
	char name[48], value[32];

	if (c->report->floor_count == 0 || floor->value <= 0)
		return;
	sx_format_figure(floor, true, name, sizeof(name), value, sizeof(value));
	fprintf(c->out,
		"set arrow from graph 0, first %g to graph 1, first %g nohead front dt (7,5) "
		"lw 1.4 lc rgb '" INK "'\nset label ",
		floor->value, floor->value);
	quoted(c->out, name);
	fprintf(c->out,
		" at graph 1, first %g left offset 0.8,0.45 font ',11' tc rgb '" INK "'\n"
		"set label ",
		floor->value);
	quoted(c->out, value);
	fprintf(c->out, " at graph 1, first %g left offset 0.8,-0.55 font ',11' tc rgb '" INK "'\n",
		floor->value);
}

/* Columns: x, p50, p99, the label's height, the label. */
static void write_data(const struct chart *c, size_t series)
{
	fprintf(c->out, "$data%zu << END_OF_DATA\n", series);
	for (size_t i = 0; i < c->bar_count; i++) {
		const struct bar *bar = &c->bar[i];
		double p50 = larger(bar->p50, c->low), p99 = larger(bar->p99, c->low);
		char text[32];

		if (bar->series != series)
			continue;
		sx_format_ns(bar->p50, true, text, sizeof(text));
		fprintf(c->out, "%g\t%g\t%g\t%g\t%s\n", bar->x, p50, p99, larger(p50, p99), text);
	}
	fprintf(c->out, "END_OF_DATA\n");
}

static void write_plot(const struct chart *c)
{
	const char *line = "nohead lw 1.4 lc rgb '" INK "'";

	fprintf(c->out,
		"set datafile separator \"\\t\"\nset style fill solid 1.0 noborder\n"
		"set boxwidth %g\nplot ",
		BAR_WIDTH);
	for (size_t i = 0; i < c->series_count; i++)
		fprintf(c->out, "$data%zu using 1:2 with boxes lc rgb '%s', \\\n", i,
			c->series[i].colour);
	for (size_t i = 0; i < c->series_count; i++) {
		fprintf(c->out, "$data%zu using 1:2:(0):($3 - $2) with vectors %s, \\\n", i, line);
		fprintf(c->out,
			"$data%zu using ($1 - %g):($3 > $2 ? $3 : NaN):(%g):(0) with vectors %s, "
			"\\\n",
			i, CAP_WIDTH / 2, CAP_WIDTH, line);
		fprintf(c->out,
			"$data%zu using 1:4:5 with labels font ',11' offset 0,0.65 "
			"tc rgb '" INK "'%s\n",
			i, i + 1 < c->series_count ? ", \\" : "");
	}
}

int sx_plot_script(const struct sx_report *r, FILE *out)
{
	struct chart c = {.report = r, .out = out};

	if (r->row_count == 0)
		return -ENODATA;
	find_bars(&c);
	find_width(&c);
	find_scale(&c);

	write_canvas(&c);
	write_axes(&c);
	write_legend(&c);
	write_group_names(&c);
	write_floor(&c);
	for (size_t i = 0; i < c.series_count; i++)
		write_data(&c, i);
	write_plot(&c);
	return ferror(out) || fflush(out) ? -EIO : 0;
}
