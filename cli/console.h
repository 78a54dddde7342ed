// SPDX-License-Identifier: BSD-3-Clause
/*
 * The main thread while a guest runs: its console, signals, the watchdog over the sidecores, and
 * who asks by the control socket.
 */
#ifndef SX_CLI_CONSOLE_H
#define SX_CLI_CONSOLE_H

#include "cli/control.h"
#include "cli/machine.h"
#include "cli/terminal.h"
#include "ipc/byte_queue.h"
#include "sidecore/sidecore.h"

#define SX_CONSOLE_MAX_OUTS 2

/* The guest whose console it is. */
struct sx_console_guest {
	struct sx_byte_queue *out[SX_CONSOLE_MAX_OUTS]; /* what it says, by one way or several */
	unsigned outs;
	struct sx_byte_queue *in;
	/* Optional: bytes were taken from an `out` or put into `in`. */
	void (*moved)(void *ctx);
	/* Optional: the terminal has this size, at the start and whenever it changes. */
	void (*resized)(void *ctx, uint16_t cols, uint16_t rows);
	/* Optional: sentences about what went wrong without ending it, each once. */
	void (*incidents)(void *ctx, void (*report)(const char *text));
	void *ctx;
	/*
	 * On a terminal it gets every key, Ctrl-C too. Ctrl-A is the user's: with x it stops the
	 * guest as SIGINT would, and twice it is one for the guest.
	 */
	bool all_keys;
};

struct sx_console {
	struct sx_console_guest guest;
	struct sx_sidecore *const *sidecore;
	unsigned sidecores;
	struct sx_watchdog dog[SX_MACHINE_MAX_SIDECORES];
	uint64_t watchdog_ns;       /* 0: no watchdog */
	struct sx_control *control; /* served too; NULL at first */
	struct sx_terminal terminal;
	int signal_fd;
	int out_fd;   /* where standard output leads; a terminal never keeps us waiting there */
	bool input;   /* standard input is still open */
	bool escaped; /* the last key was Ctrl-A */
	bool quit;    /* the user wants to */

	/* What the guest has said and standard output has not taken yet. */
	char out[SX_BYTE_QUEUE_SIZE];
	size_t out_at, out_end;
	unsigned next_out; /* which of its ways is looked at first */
	int out_error;     /* errno of the write that failed; what comes after it is dropped */
};

/*
 * SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGPIPE, those of them that the process does not ignore,
 * and SIGWINCH are taken by sx_console_serve() and sx_console_finish() instead of ending the
 * process. Call it before any thread is started, so that all inherit it.
 */
int sx_console_block_signals(struct sx_error *err);

int sx_console_open(struct sx_console *c, const struct sx_console_guest *guest,
		    struct sx_sidecore *const *sidecore, unsigned sidecores, uint64_t watchdog_ns,
		    struct sx_error *err);

/* Until @done_fd is readable (returns 0) or a signal asks to stop (returns its number). */
int sx_console_serve(struct sx_console *c, int done_fd);

/*
 * The guest runs no more: write what it still had to say, however slow the reader, until all is
 * written (returns 0) or a signal asks to stop (returns its number).
 */
int sx_console_finish(struct sx_console *c);

/* Write what can be written without waiting, and give the terminal back. */
void sx_console_close(struct sx_console *c);

#endif
