// SPDX-License-Identifier: BSD-3-Clause
#include "bench/progress.h"

#define BAR_COLUMNS 24
#define LINE_MAX    512

void sx_progress_begin(struct sx_progress *p, FILE *out, unsigned total)
{
	*p = (struct sx_progress){.out = out, .term = sx_term_of(out), .total = total};
}

static void draw_bar(const struct sx_progress *p, unsigned percent)
{
	unsigned full = BAR_COLUMNS * percent / 100;

	for (unsigned i = 0; i < BAR_COLUMNS; i++) {
		if (p->term.utf8)
			fputs(i < full ? "━" : "─", p->out);
		else
			fputc(i < full ? '#' : '.', p->out);
	}
}

/* What fits beside the bar and the percentage, so that the line never wraps. */
static int room_for_text(const struct sx_progress *p)
{
	const unsigned used = BAR_COLUMNS + sizeof(" 100%  ");

	if (p->term.width == 0)
		return LINE_MAX;
	return p->term.width > used ? (int)(p->term.width - used) : 0;
}

void sx_progress_step(struct sx_progress *p, const char *what)
{
	unsigned percent = p->total ? 100 * p->started / p->total : 0;

	p->started++;
	if (!p->term.live)
		return;
	if (percent > 100)
		percent = 100;
	fputc('\r', p->out);
	draw_bar(p, percent);
	fprintf(p->out, " %3u%%  %.*s\033[K", percent, room_for_text(p), what);
	fflush(p->out);
}

void sx_progress_end(struct sx_progress *p)
{
	if (!p->term.live || !p->started)
		return;
	fputs("\r\033[K", p->out);
	fflush(p->out);
	p->started = 0;
}
