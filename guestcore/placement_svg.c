// SPDX-License-Identifier: BSD-3-Clause
/*
 * The plan as one SVG file: no script, no font or image from elsewhere, and colours for light
 * and dark pages.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guestcore/placement_layout.h"

/* Pixels. */
#define MARGIN     28
#define HEAD       84 /* above the machine */
#define MAX_W      1340
#define LEAST_W    520
#define LINE_H     20
#define LEGEND_H   44
#define CHAR_W     6.9 /* a generous mean for 13 px text, to break lines by */
#define FEW_CPUS   8   /* up to here the boxes are drawn larger */
#define SENTENCE   512
#define TEXT_START 22 /* of a warning, right of its sign */

static const char style[] =
	"text{font-family:Inter,'Segoe UI',system-ui,-apple-system,Roboto,'DejaVu Sans',"
	"sans-serif;fill:#1f2328}"
	".page{fill:#ffffff;stroke:#d1d9e0}"
	".package{fill:#f6f8fa;stroke:#c4ccd5}"
	".node{fill:#edf1f5;stroke:#c4ccd5}"
	".cache{fill:#e2e8ee;stroke:#bcc5cf}"
	".core{fill:#ffffff;stroke:#bcc5cf}"
	".guest{fill:#0b62d6}.side{fill:#c2540a}"
	".host{fill:#dfe4ea}.off{fill:none;stroke:#aeb7c1;stroke-dasharray:3 3}"
	".badge{stroke:#ffffff;stroke-width:1.2}"
	".title{font-size:20px;font-weight:600}"
	".words{font-size:13px}"
	".muted{font-size:13px;fill:#59636e}"
	".box{font-size:12px;font-weight:600;fill:#46505a}"
	".small{font-size:10px;fill:#59636e}"
	".role{font-weight:700}"
	".small.on,.role.on{fill:#ffffff}"
	".tag{font-size:8.5px;font-weight:700;fill:#ffffff}"
	".sign{fill:#b7791f}"
	"@media (prefers-color-scheme:dark){"
	"text{fill:#e6edf3}"
	".page{fill:#0d1117;stroke:#30363d}"
	".package{fill:#151b23;stroke:#3d444d}"
	".node{fill:#1c232d;stroke:#3d444d}"
	".cache{fill:#252d38;stroke:#48515c}"
	".core{fill:#0d1117;stroke:#48515c}"
	".guest{fill:#2f7be8}.side{fill:#d2691e}"
	".host{fill:#2b333d}.off{stroke:#59636e}"
	".badge{stroke:#0d1117}"
	".muted,.small{fill:#9aa4af}"
	".box{fill:#b4bec9}"
	".sign{fill:#e3b341}"
	"}";

static const char *const box_class[] = {
	[SX_BOX_PACKAGE] = "package",
	[SX_BOX_NODE] = "node",
	[SX_BOX_CACHE] = "cache",
	[SX_BOX_CORE] = "core",
};

struct page {
	const struct sx_placement *p;
	FILE *out;
	int w, h;   /* of the whole picture */
	int x;      /* where the machine starts */
	bool large; /* few CPUs, so draw them larger */
};

/* --- elements ---------------------------------------------------------------------------- */

static void escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else
			putc(*text, out);
	}
}

static void text_at(FILE *out, int x, int y, const char *classes, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* @classes may go on with other attributes: it is closed by the quotation mark after it. */
static void text_at(FILE *out, int x, int y, const char *classes, const char *fmt, ...)
{
	char text[SENTENCE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(out, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, classes);
	escaped(out, text);
	fputs("</text>\n", out);
}

#define CENTRED "\" text-anchor=\"middle"

static void rect(FILE *out, int x, int y, int w, int h, int radius, const char *classes)
{
	/* Half a pixel in, so that a 1 px edge is sharp. */
	fprintf(out,
		"<rect x=\"%d.5\" y=\"%d.5\" width=\"%d\" height=\"%d\" rx=\"%d\" class=\"%s\"/>\n",
		x, y, w - 1, h - 1, radius, classes);
}

/* --- the machine ------------------------------------------------------------------------- */

static const char *cpu_class(const struct sx_place_cpu *cpu)
{
	if (cpu->role == SX_ROLE_GUEST)
		return "guest";
	if (cpu->role == SX_ROLE_SIDECORE)
		return "side";
	return cpu->allowed ? "host" : "off";
}

/* A guest core says which sidecore serves it, where there are several. */
static void draw_badge(const struct page *g, const struct sx_place_cpu *cpu, int right, int y)
{
	if (g->p->n_side < 2 || cpu->role != SX_ROLE_GUEST)
		return;
	rect(g->out, right - 17, y - 7, 22, 14, 7, "side badge");
	text_at(g->out, right - 6, y + 3, "tag" CENTRED, "S%u", g->p->side_of[cpu->index]);
}

static void draw_cpu(const struct page *g, const struct sx_box *box, int x, int y)
{
	const struct sx_place_cpu *cpu = &g->p->cpu[box->cpu];
	const char *on = cpu->role == SX_ROLE_HOST ? "" : " on";
	int middle = x + box->w / 2, size = g->large ? 24 : 17;
	char classes[96];

	rect(g->out, x, y, box->w, box->h, 6, cpu_class(cpu));
	snprintf(classes, sizeof(classes), "small%s" CENTRED, on);
	text_at(g->out, middle, y + box->h - 8, classes, "CPU %u", cpu->os);
	snprintf(classes, sizeof(classes), "role%s\" font-size=\"%d" CENTRED, on, size);
	if (cpu->role != SX_ROLE_HOST)
		text_at(g->out, middle, y + (box->h - 12) / 2 + size / 3, classes, "%c%u",
			cpu->role == SX_ROLE_GUEST ? 'G' : 'S', cpu->index);
	draw_badge(g, cpu, x + box->w, y);
}

static void draw_box(const struct page *g, const struct sx_box *box, int x, int y)
{
	bool core = box->kind == SX_BOX_CORE;

	rect(g->out, x, y, box->w, box->h, core ? 8 : 10, box_class[box->kind]);
	if (core)
		text_at(g->out, x + 7, y + 13, "small", "%s", box->label);
	else
		text_at(g->out, x + 13, y + 20, "box", "%s", box->label);
}

static void draw_machine(const struct page *g, const struct sx_box_tree *tree)
{
	for (unsigned i = 1; i < tree->n; i++) {
		const struct sx_box *box = &tree->box[i];

		if (box->kind == SX_BOX_CPU)
			draw_cpu(g, box, g->x + box->x, HEAD + box->y);
		else
			draw_box(g, box, g->x + box->x, HEAD + box->y);
	}
}

/* --- the words --------------------------------------------------------------------------- */

static int legend_item(FILE *out, int x, int y, const char *classes, const char *text)
{
	rect(out, x, y, 16, 16, 4, classes);
	text_at(out, x + 23, y + 13, "words", "%s", text);
	return x + 44 + (int)((double)strlen(text) * CHAR_W);
}

static void draw_legend(const struct page *g, int y)
{
	bool off = false, host = false;
	int x = MARGIN;

	for (unsigned i = 0; i < g->p->n_cpus; i++) {
		off |= !g->p->cpu[i].allowed;
		host |= g->p->cpu[i].allowed && g->p->cpu[i].role == SX_ROLE_HOST;
	}
	x = legend_item(g->out, x, y, "guest", "guest core");
	if (g->p->n_side)
		x = legend_item(g->out, x, y, "side", "sidecore");
	if (host)
		x = legend_item(g->out, x, y, "host", "host");
	if (off)
		legend_item(g->out, x, y, "off", "not for this process");
}

/* How much of @text fits on a line of @width characters, breaking at a space where there is one. */
static size_t line_length(const char *text, size_t width)
{
	size_t len = strlen(text), at = width;

	if (len <= width)
		return len;
	while (at && text[at] != ' ')
		at--;
	return at ? at : width;
}

/* Write, or without @out only measure, @text in lines; returns the y below them. */
static int paragraph(FILE *out, int x, int y, int w, const char *classes, const char *text)
{
	size_t width = (size_t)((double)w / CHAR_W);

	while (*text) {
		size_t len = line_length(text, width);

		if (out)
			text_at(out, x, y, classes, "%.*s", (int)len, text);
		y += LINE_H;
		text += len;
		text += strspn(text, " ");
	}
	return y;
}

static void draw_sign(FILE *out, int x, int y)
{
	fprintf(out,
		"<path class=\"sign\" fill-rule=\"evenodd\" d=\"M%d %dl7 12.5h-14z"
		"m-.9 4.2v4.2h1.8v-4.2zm0 5.4v1.8h1.8v-1.8z\"/>\n",
		x + 7, y - 11);
}

/* Returns the y below, or a negative errno. */
static int draw_words(const struct page *g, FILE *out, int y)
{
	int w = g->w - 2 * MARGIN;
	char line[SENTENCE];

	for (unsigned i = 0; i < sx_place_lines(g->p); i++) {
		int rc = sx_place_line(g->p, i, line, sizeof(line));

		if (rc < 0)
			return rc;
		y = paragraph(out, MARGIN, y, w, "words", line);
	}
	y += g->p->n_warnings ? 8 : 0;
	for (unsigned i = 0; i < g->p->n_warnings; i++) {
		if (out)
			draw_sign(out, MARGIN, y);
		y = paragraph(out, MARGIN + TEXT_START, y, w - TEXT_START, "muted",
			      g->p->warning[i]);
	}
	return y;
}

/* --- the page ---------------------------------------------------------------------------- */

static void draw_head(const struct page *g)
{
	char machine[128], model[128];
	unsigned n = g->p->n_guest, s = g->p->n_side;

	sx_place_describe(g->p, machine, sizeof(machine));
	sx_place_model(g->p, model, sizeof(model));
	fprintf(g->out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" role=\"img\">\n"
		"<title>splitx placement: %u guest core%s, %u sidecore%s</title>\n"
		"<style>%s</style>\n",
		g->w, g->h, g->w, g->h, n, n == 1 ? "" : "s", s, s == 1 ? "" : "s", style);
	rect(g->out, 0, 0, g->w, g->h, 14, "page");
	text_at(g->out, MARGIN, 38, "title", "%u guest core%s, %u sidecore%s", n, n == 1 ? "" : "s",
		s, s == 1 ? "" : "s");
	text_at(g->out, MARGIN, 61, "muted", "%s%s%s", machine, model[0] ? " \xc2\xb7 " : "",
		model);
}

static int label_width(enum sx_box_kind kind, const char *label)
{
	return kind == SX_BOX_MACHINE || kind == SX_BOX_CORE
		       ? 0
		       : 26 + (int)((double)strlen(label) * CHAR_W);
}

static struct sx_box_metrics metrics(bool large)
{
	static const struct sx_box_insets walls = {12, 12, 32, 12, 10, 10};

	return (struct sx_box_metrics){
		.in = {[SX_BOX_MACHINE] = {.gap_x = 16, .gap_y = 16},
		       [SX_BOX_PACKAGE] = walls,
		       [SX_BOX_NODE] = walls,
		       [SX_BOX_CACHE] = walls,
		       [SX_BOX_CORE] = {6, 6, 19, 6, 5, 5}},
		.cpu_w = large ? 92 : 56,
		.cpu_h = large ? 72 : 46,
		.max_w = MAX_W,
		.label_width = label_width,
	};
}

int sx_placement_write_svg(const struct sx_placement *p, FILE *out)
{
	struct page g = {.p = p, .out = out, .large = p->n_cpus <= FEW_CPUS};
	struct sx_box_metrics m = metrics(g.large);
	struct sx_box_tree tree;
	int words, end;
	int rc = sx_box_tree_make(p, &m, &tree);

	if (rc < 0)
		return rc;
	g.w = (tree.box[0].w > LEAST_W ? tree.box[0].w : LEAST_W) + 2 * MARGIN;
	g.x = (g.w - tree.box[0].w) / 2;
	words = HEAD + tree.box[0].h + 24 + LEGEND_H;
	end = draw_words(&g, NULL, words);
	if (end >= 0) {
		g.h = end - LINE_H + MARGIN;
		draw_head(&g);
		draw_machine(&g, &tree);
		draw_legend(&g, words - LEGEND_H);
		rc = draw_words(&g, out, words);
		fputs("</svg>\n", out);
	} else {
		rc = end;
	}
	sx_box_tree_free(&tree);
	if (rc < 0)
		return rc;
	return ferror(out) ? -EIO : 0;
}
