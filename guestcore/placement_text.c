// SPDX-License-Identifier: BSD-3-Clause
/*
 * The plan as a picture in characters.
 *
 *     +- Package 0 ------------+    A core is a row of boxes with a common wall, one for each
 *     | +- L3 cache, 32 MiB -+ |    CPU. The CPU's number is in the box's upper edge, what it
 *     | | +-0--+-4-+ +-1--+  | |    does is inside.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guestcore/placement_layout.h"

/* What may stand in a place of the picture: an ASCII character, or one of these. */
enum glyph {
	ACROSS = 128,
	DOWN,
	TOP_LEFT,
	TOP_RIGHT,
	BOTTOM_LEFT,
	BOTTOM_RIGHT,
	TEE_DOWN,
	TEE_UP,
	MIDDLE_DOT,
};

static const char *const utf8_glyph[] = {"─", "│", "┌", "┐", "└", "┘", "┬", "┴", "·"};
static const char ascii_glyph[] = "-|++++++.";

enum style {
	PLAIN,
	LINE,
	GUEST,
	SIDECORE,
	HOST,
	OFF,
};

static const char *const style_code[] = {
	[PLAIN] = "\033[0m",         [LINE] = "\033[0;2m",
	[GUEST] = "\033[0;1;97;44m", [SIDECORE] = "\033[0;1;30;43m",
	[HOST] = "\033[0m",          [OFF] = "\033[0;2m",
};

struct canvas {
	int w, h;
	unsigned char *glyph, *style;
};

static void put(struct canvas *c, int x, int y, unsigned glyph, enum style style)
{
	c->glyph[y * c->w + x] = (unsigned char)glyph;
	c->style[y * c->w + x] = (unsigned char)style;
}

static void put_text(struct canvas *c, int x, int y, const char *text, enum style style)
{
	for (; *text; text++)
		put(c, x++, y, (unsigned char)*text, style);
}

static void put_row(struct canvas *c, int x, int end, int y, unsigned glyph, enum style style)
{
	for (; x < end; x++)
		put(c, x, y, glyph, style);
}

/* --- boxes ------------------------------------------------------------------------------- */

static enum style style_of(const struct sx_place_cpu *cpu)
{
	if (cpu->role == SX_ROLE_GUEST)
		return GUEST;
	if (cpu->role == SX_ROLE_SIDECORE)
		return SIDECORE;
	return cpu->allowed ? HOST : OFF;
}

static int role_text(const struct sx_place_cpu *cpu, char *buf, size_t size)
{
	if (cpu->role == SX_ROLE_HOST)
		return snprintf(buf, size, "%s", cpu->allowed ? "" : "x");
	return snprintf(buf, size, "%c%u", cpu->role == SX_ROLE_GUEST ? 'G' : 'S', cpu->index);
}

/* The left and lower walls and the roof; the box to the right, or the core, adds the last wall. */
static void draw_cpu(struct canvas *c, const struct sx_placement *p, const struct sx_box *box,
		     bool first)
{
	const struct sx_place_cpu *cpu = &p->cpu[box->cpu];
	enum style style = style_of(cpu);
	int end = box->x + box->w, len;
	char text[16];

	put(c, box->x, box->y, first ? TOP_LEFT : TEE_DOWN, LINE);
	put(c, box->x, box->y + 1, DOWN, LINE);
	put(c, box->x, box->y + 2, first ? BOTTOM_LEFT : TEE_UP, LINE);
	put_row(c, box->x + 1, end, box->y, ACROSS, LINE);
	put_row(c, box->x + 1, end, box->y + 1, ' ', style);
	put_row(c, box->x + 1, end, box->y + 2, ACROSS, LINE);

	len = snprintf(text, sizeof(text), "%u", cpu->os);
	put_text(c, box->x + 1 + (box->w - 1 - len) / 2, box->y, text, PLAIN);
	len = role_text(cpu, text, sizeof(text));
	put_text(c, box->x + 1 + (box->w - 1 - len) / 2, box->y + 1, text, style);
	if (style == HOST)
		put(c, box->x + box->w / 2, box->y + 1, MIDDLE_DOT, style);
}

static void draw_core(struct canvas *c, const struct sx_box *box)
{
	int x = box->x + box->w - 1;

	put(c, x, box->y, TOP_RIGHT, LINE);
	put(c, x, box->y + 1, DOWN, LINE);
	put(c, x, box->y + 2, BOTTOM_RIGHT, LINE);
}

static void draw_container(struct canvas *c, const struct sx_box *box)
{
	int right = box->x + box->w - 1, bottom = box->y + box->h - 1;

	put_row(c, box->x, right, box->y, ACROSS, LINE);
	put_row(c, box->x, right, bottom, ACROSS, LINE);
	for (int y = box->y; y < bottom; y++) {
		put(c, box->x, y, DOWN, LINE);
		put(c, right, y, DOWN, LINE);
	}
	put(c, box->x, box->y, TOP_LEFT, LINE);
	put(c, right, box->y, TOP_RIGHT, LINE);
	put(c, box->x, bottom, BOTTOM_LEFT, LINE);
	put(c, right, bottom, BOTTOM_RIGHT, LINE);
	put(c, box->x + 2, box->y, ' ', PLAIN);
	put_text(c, box->x + 3, box->y, box->label, PLAIN);
	put(c, box->x + 3 + (int)strlen(box->label), box->y, ' ', PLAIN);
}

static void draw(struct canvas *c, const struct sx_placement *p, const struct sx_box_tree *tree)
{
	for (unsigned i = 0; i < tree->n; i++) {
		const struct sx_box *box = &tree->box[i];

		if (box->kind == SX_BOX_CPU)
			draw_cpu(c, p, box, tree->box[i - 1].kind == SX_BOX_CORE);
		else if (box->kind == SX_BOX_CORE)
			draw_core(c, box);
		else if (box->kind != SX_BOX_MACHINE)
			draw_container(c, box);
	}
}

/* --- out --------------------------------------------------------------------------------- */

static void write_row(const struct canvas *c, int y, const struct sx_placement_look *look,
		      FILE *out)
{
	const unsigned char *glyph = c->glyph + (size_t)y * (size_t)c->w;
	const unsigned char *style = c->style + (size_t)y * (size_t)c->w;
	int end = c->w;
	unsigned now = PLAIN;

	while (end && glyph[end - 1] == ' ' && style[end - 1] == PLAIN)
		end--;
	for (int x = 0; x < end; x++) {
		if (look->colour && style[x] != now)
			fputs(style_code[style[x]], out);
		now = style[x];
		if (glyph[x] < ACROSS)
			putc(glyph[x], out);
		else if (look->utf8)
			fputs(utf8_glyph[glyph[x] - ACROSS], out);
		else
			putc(ascii_glyph[glyph[x] - ACROSS], out);
	}
	if (look->colour && now != PLAIN)
		fputs(style_code[PLAIN], out);
	putc('\n', out);
}

static int write_picture(const struct sx_placement *p, const struct sx_placement_look *look,
			 const struct sx_box_tree *tree, FILE *out)
{
	struct canvas c = {.w = tree->box[0].w, .h = tree->box[0].h};
	size_t size = (size_t)c.w * (size_t)c.h;

	c.glyph = malloc(2 * size);
	if (!c.glyph)
		return -ENOMEM;
	c.style = c.glyph + size;
	memset(c.glyph, ' ', size);
	memset(c.style, PLAIN, size);
	draw(&c, p, tree);
	for (int y = 0; y < c.h; y++)
		write_row(&c, y, look, out);
	free(c.glyph);
	return 0;
}

static void write_key(const struct sx_placement *p, const struct sx_placement_look *look, FILE *out)
{
	bool off = false;

	for (unsigned i = 0; i < p->n_cpus; i++)
		off |= !p->cpu[i].allowed;
	fprintf(out, "G guest core%s   %s host%s\n", p->n_side ? "   S sidecore" : "",
		look->utf8 ? utf8_glyph[MIDDLE_DOT - ACROSS] : ".",
		off ? "   x not for this process" : "");
}

static int write_words(const struct sx_placement *p, FILE *out)
{
	char line[512];

	for (unsigned i = 0; i < sx_place_lines(p); i++) {
		int rc = sx_place_line(p, i, line, sizeof(line));

		if (rc < 0)
			return rc;
		fprintf(out, "%s\n", line);
	}
	return 0;
}

static int label_width(enum sx_box_kind kind, const char *label)
{
	/* Corner, line, space, label, space, line, corner. */
	return kind == SX_BOX_MACHINE || kind == SX_BOX_CORE ? 0 : (int)strlen(label) + 6;
}

/* All CPUs are as wide as the widest number or role, with a wall and a space at either side. */
static int cpu_width(const struct sx_placement *p)
{
	int widest = 0;
	char text[16];

	for (unsigned i = 0; i < p->n_cpus; i++) {
		int number = snprintf(text, sizeof(text), "%u", p->cpu[i].os);
		int role = role_text(&p->cpu[i], text, sizeof(text));

		widest = number > widest ? number : widest;
		widest = role > widest ? role : widest;
	}
	return widest + 3;
}

int sx_placement_write_text(const struct sx_placement *p, const struct sx_placement_look *look,
			    FILE *out)
{
	static const struct sx_box_insets walls = {2, 2, 1, 1, 1, 0};
	struct sx_box_metrics m = {
		.in = {[SX_BOX_MACHINE] = {.gap_x = 1},
		       [SX_BOX_PACKAGE] = walls,
		       [SX_BOX_NODE] = walls,
		       [SX_BOX_CACHE] = walls,
		       [SX_BOX_CORE] = {.right = 1}},
		.cpu_w = cpu_width(p),
		.cpu_h = 3,
		.max_w = (int)look->columns,
		.label_width = label_width,
	};
	char words[128];
	struct sx_box_tree tree;
	int rc = sx_box_tree_make(p, &m, &tree);

	if (rc < 0)
		return rc;
	sx_place_model(p, words, sizeof(words));
	if (words[0])
		fprintf(out, "%s\n", words);
	sx_place_describe(p, words, sizeof(words));
	fprintf(out, "%s\n\n", words);
	rc = write_picture(p, look, &tree, out);
	if (!rc) {
		write_key(p, look, out);
		putc('\n', out);
		rc = write_words(p, out);
	}
	sx_box_tree_free(&tree);
	if (!rc && ferror(out))
		rc = -EIO;
	return rc;
}
