// SPDX-License-Identifier: BSD-3-Clause
/*
 * Command lines: the same Linux guest, with the same kernel, memory and console, on splitx or on
 * QEMU.
 */
#ifndef SX_BENCH_CONTESTANT_H
#define SX_BENCH_CONTESTANT_H

#include <stdint.h>

#include "bench/suite.h"
#include "ipc/error.h"

#define SX_CONTESTANT_MEMORY (512ull << 20)
#define SX_QEMU              "qemu-system-x86_64"

struct sx_contestant {
	const char *mode;           /* what the report calls it */
	const char *qemu_machine;   /* -M; NULL: splitx */
	const char *const *devices; /* more words, or NULL */
};

/* The words of a command line; they point into it, and into what it was made from. */
struct sx_command_line {
	const char *argv[64];
	unsigned count;
	char self[4096];
};

/* -E2BIG when there are too many words. */
int sx_contestant_command(const struct sx_contestant *c, const struct sx_bench_options *opt,
			  const char *append, struct sx_command_line *line, struct sx_error *err);

#endif
