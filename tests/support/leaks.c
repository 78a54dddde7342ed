// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/leaks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

static unsigned entries_of(const char *path)
{
	DIR *d = opendir(path);
	unsigned count = 0;

	assert_non_null(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

unsigned open_files(void)
{
	return entries_of("/proc/self/fd");
}

unsigned threads(void)
{
	return entries_of("/proc/self/task");
}

static bool is_of_file(const char *line, const char *word)
{
	(void)word;
	return strchr(line, '/') || strstr(line, "anon_inode");
}

static bool has_word(const char *line, const char *word)
{
	return strstr(line, word) != NULL;
}

static unsigned mappings(bool (*counts)(const char *line, const char *word), const char *word)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4096];
	unsigned count = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		count += counts(line, word);
	fclose(f);
	return count;
}

unsigned file_mappings(void)
{
	return mappings(is_of_file, NULL);
}

unsigned mappings_of(const char *word)
{
	return mappings(has_word, word);
}
