// SPDX-License-Identifier: BSD-3-Clause
/* The console of an emulated host: logged, watched for a panic or a bare image's end, shown. */
#ifndef SX_LAB_HOST_CONSOLE_H
#define SX_LAB_HOST_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/* A bare image ends the run by writing this, a decimal exit status and a newline on COM1. */
#define SX_CONSOLE_EXIT "SPLITX-LAB-EXIT "

struct sx_console {
	int log;   /* every byte goes here */
	int show;  /* and here, unless -1 */
	bool bare; /* whole lines go to standard output, and SX_CONSOLE_EXIT is looked for */
	bool panicked;
	bool ended; /* a bare image has said its exit status */
	int status;
	size_t have; /* of the current line; longer ones are cut into pieces */
	char line[4096];
};

/* Take what the host wrote. Returns 0 or a negative errno: the log or the output cannot be written.
 */
int sx_console_feed(struct sx_console *console, const char *data, size_t size);

/* Show the last line of a bare image though it has no end. Returns as sx_console_feed() does. */
int sx_console_flush(struct sx_console *console);

#endif
