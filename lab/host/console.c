// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/host/console.h"
#include "lab/host/write_all.h"

#define PANIC "Kernel panic - not syncing"

static bool is_exit(const char *line, int *status)
{
	char *end;
	long value;

	if (strncmp(line, SX_CONSOLE_EXIT, strlen(SX_CONSOLE_EXIT)) != 0)
		return false;
	line += strlen(SX_CONSOLE_EXIT);
	value = strtol(line, &end, 10);
	if (end == line || end[strspn(end, "\r\n")] != '\0' || value < 0 || value > 255)
		return false;
	*status = (int)value;
	return true;
}

int sx_console_flush(struct sx_console *console)
{
	size_t size = console->have;

	console->have = 0;
	console->line[size] = '\0';
	if (strstr(console->line, PANIC))
		console->panicked = true;
	if (!console->bare || size == 0)
		return 0;
	if (is_exit(console->line, &console->status)) {
		console->ended = true;
		return 0;
	}
	return sx_write_all(STDOUT_FILENO, console->line, size);
}

int sx_console_feed(struct sx_console *console, const char *data, size_t size)
{
	int ret = sx_write_all(console->log, data, size);

	if (ret == 0 && console->show >= 0)
		ret = sx_write_all(console->show, data, size);
	for (size_t i = 0; i < size && ret == 0 && !console->ended; i++) {
		console->line[console->have++] = data[i];
		/* One byte is left for the NUL. */
		if (data[i] == '\n' || console->have == sizeof(console->line) - 1)
			ret = sx_console_flush(console);
	}
	return ret;
}
