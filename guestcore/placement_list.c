// SPDX-License-Identifier: BSD-3-Clause
/*
 * CPU lists and masks.
 *
 * hwloc has parsers for both, but they are made for what hwloc itself prints: "1x", "3-1" and
 * "-1" all come back as sets of some kind, and the order of a list is lost. So lists are read
 * here, and masks are checked here before hwloc reads them.
 */
#include "guestcore/placement_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT 8192 /* characters in a list or mask */

const char *sx_place_shown(const char *text, struct sx_place_shown *shown)
{
	size_t i;

	for (i = 0; text[i] && i + 1 < sizeof(shown->text); i++)
		shown->text[i] = text[i];
	if (text[i])
		memcpy(&shown->text[i - 3], "...", 3);
	shown->text[i] = '\0';
	sx_place_make_printable(shown->text);
	return shown->text;
}

void sx_place_make_printable(char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

struct reader {
	const char *option, *text;
	struct sx_place_shown shown; /* the text, for sentences */
	hwloc_bitmap_t seen;
	struct sx_place_list *list; /* room for every CPU there can be */
	struct sx_error *err;
};

static int bad_syntax(const struct reader *r)
{
	return sx_fail(r->err, -EINVAL,
		       "%s '%s' is no CPU list; write numbers and ranges such as 0,2-5, or a "
		       "mask such as 0x3c",
		       r->option, r->shown.text);
}

/* Read decimal digits; a number too large to be a CPU stops at SX_PLACE_MAX_CPU + 1. */
static int read_number(const char **at, unsigned *value)
{
	const char *s = *at;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	*value = 0;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (*value <= SX_PLACE_MAX_CPU)
			*value = *value * 10 + (unsigned)(*s - '0');
	}
	*at = s;
	return 0;
}

static int add(struct reader *r, unsigned cpu)
{
	if (hwloc_bitmap_isset(r->seen, cpu))
		return sx_fail(r->err, -EINVAL, "%s '%s' names CPU %u twice; name it once",
			       r->option, r->shown.text, cpu);
	if (hwloc_bitmap_set(r->seen, cpu) < 0)
		return sx_fail(r->err, -ENOMEM, "no memory for the CPU list of %s", r->option);
	r->list->cpu[r->list->n++] = cpu;
	return 0;
}

static int add_range(struct reader *r, unsigned first, unsigned last)
{
	int rc;

	if (last < first)
		return sx_fail(r->err, -EINVAL,
			       "%s '%s' has a range that runs backwards; write %u-%u", r->option,
			       r->shown.text, last, first);
	if (last > SX_PLACE_MAX_CPU)
		return sx_fail(r->err, -ENODEV,
			       "%s '%s' names a CPU above %u, which no machine has; name CPUs "
			       "that exist",
			       r->option, r->shown.text, SX_PLACE_MAX_CPU);
	for (unsigned cpu = first; cpu <= last; cpu++) {
		rc = add(r, cpu);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* number [ "-" number ] { "," number [ "-" number ] } */
static int read_list(struct reader *r)
{
	const char *at = r->text;
	unsigned first, last;
	int rc;

	for (;;) {
		if (read_number(&at, &first) < 0)
			return bad_syntax(r);
		last = first;
		if (*at == '-') {
			at++;
			if (read_number(&at, &last) < 0)
				return bad_syntax(r);
		}
		if (*at && *at != ',')
			return bad_syntax(r);
		rc = add_range(r, first, last);
		if (rc < 0 || !*at)
			return rc;
		at++;
	}
}

/* hwloc's words of up to 32 bits, each "0x..." and parted by commas; or taskset's one long word. */
static bool mask_is_well_formed(const char *text)
{
	bool several = strchr(text, ',');

	for (;;) {
		size_t digits;

		if (strncmp(text, "0x", 2))
			return false;
		text += 2;
		digits = strspn(text, "0123456789abcdefABCDEF");
		if (!digits || (several && digits > 8))
			return false;
		text += digits;
		if (*text != ',')
			return !*text;
		text++;
	}
}

static int read_mask(struct reader *r)
{
	hwloc_bitmap_t set;
	int rc;

	if (!mask_is_well_formed(r->text))
		return bad_syntax(r);
	set = hwloc_bitmap_alloc();
	if (!set)
		return sx_fail(r->err, -ENOMEM, "no memory for the CPU mask of %s", r->option);
	rc = strchr(r->text, ',') ? hwloc_bitmap_sscanf(set, r->text)
				  : hwloc_bitmap_taskset_sscanf(set, r->text);
	if (rc < 0)
		rc = bad_syntax(r);
	else if (hwloc_bitmap_iszero(set))
		rc = sx_fail(r->err, -EINVAL, "%s '%s' has no bit set; name at least one CPU",
			     r->option, r->shown.text);
	for (int cpu = hwloc_bitmap_first(set); !rc && cpu >= 0; cpu = hwloc_bitmap_next(set, cpu))
		rc = add(r, (unsigned)cpu);
	hwloc_bitmap_free(set);
	return rc;
}

int sx_place_parse(const char *option, const char *text, struct sx_place_list *list,
		   struct sx_error *err)
{
	struct reader r = {.option = option, .text = text, .list = list, .err = err};
	int rc;

	*list = (struct sx_place_list){0};
	sx_place_shown(text, &r.shown);
	if (!*text)
		return sx_fail(err, -EINVAL,
			       "%s is empty; name CPUs such as 1-3, or leave it out to have them "
			       "chosen",
			       option);
	if (strlen(text) > MAX_TEXT)
		return bad_syntax(&r);
	list->cpu = malloc((SX_PLACE_MAX_CPU + 1) * sizeof(*list->cpu));
	r.seen = hwloc_bitmap_alloc();
	if (!list->cpu || !r.seen)
		rc = sx_fail(err, -ENOMEM, "no memory for the CPU list of %s", option);
	else
		rc = strncmp(text, "0x", 2) ? read_list(&r) : read_mask(&r);
	hwloc_bitmap_free(r.seen);
	if (rc < 0) {
		free(list->cpu);
		*list = (struct sx_place_list){0};
	}
	return rc;
}

const char *sx_place_format(hwloc_const_bitmap_t set, char *buf, size_t size)
{
	int len = hwloc_bitmap_list_snprintf(buf, size, set);

	if (len < 0)
		buf[0] = '\0';
	else if ((size_t)len >= size && size > 4)
		strcpy(buf + size - 4, "...");
	return buf;
}
