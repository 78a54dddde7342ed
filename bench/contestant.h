// SPDX-License-Identifier: BSD-3-Clause
/*
 * Command lines: the same Linux guest, with the same kernel, memory and console, on splitx or on
 * QEMU.
 */
#ifndef SX_BENCH_CONTESTANT_H
#define SX_BENCH_CONTESTANT_H

#include <stdbool.h>
#include <stddef.h>
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

/*
 * Which of the @count contestants are measured: not those of another mode than the one that was
 * asked for, nor QEMU where there is none, which a note says. Sets takes_part[] and returns how
 * many they are, or -ENOENT when none is left.
 */
int sx_contestants_choose(const struct sx_contestant *c, size_t count,
			  const struct sx_bench_options *opt, struct sx_report *report,
			  bool *takes_part, struct sx_error *err);

#endif
