// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: two snapshots that another process says it took, one a line. Whatever they are, they are
 * compared and shown, and what is shown moves no cursor.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/stats_diff.h"
#include "cli/stats_print.h"
#include "tests/support/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static void check(FILE *f, char **text)
{
	fclose(f);
	for (const char *at = *text; *at; at++)
		fuzz_require(*at == '\n' || (*at >= ' ' && *at <= '~'));
	free(*text);
}

static void show(const json_t *now, const json_t *difference)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	fuzz_require(f != NULL);
	sx_stats_print_rates(f, now, difference);
	sx_stats_print(f, now);
	check(f, &text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	const char *text = (const char *)data;
	const char *line = length ? memchr(text, '\n', length) : NULL;
	json_t *before, *now, *difference;

	if (!line)
		return 0;
	before = json_loadb(text, (size_t)(line - text), JSON_DECODE_ANY, NULL);
	now = json_loadb(line + 1, length - (size_t)(line + 1 - text), JSON_DECODE_ANY, NULL);
	if (now) {
		difference = sx_stats_difference(before, now);
		fuzz_require(difference != NULL);
		show(now, difference);
		json_decref(difference);
	}
	json_decref(before);
	json_decref(now);
	return 0;
}
