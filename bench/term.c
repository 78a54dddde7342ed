// SPDX-License-Identifier: BSD-3-Clause
#include "bench/term.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static unsigned width_of(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return columns ? (unsigned)strtoul(columns, NULL, 10) : 0;
}

static bool locale_is_utf8(void)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool utf8;

	if (locale == (locale_t)0)
		return false;
	utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
	freelocale(locale);
	return utf8;
}

struct sx_term sx_term_of(FILE *out)
{
	const char *no_colour = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	struct sx_term t = {
		.width = width_of(fileno(out)),
		.live = isatty(fileno(out)) && term && strcmp(term, "dumb") != 0,
		.utf8 = locale_is_utf8(),
	};

	t.colour = t.live && !(no_colour && no_colour[0]);
	return t;
}

size_t sx_term_columns(const char *text)
{
	size_t columns = 0;

	for (; *text; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80; /* not a continuation byte */
	return columns;
}
