// SPDX-License-Identifier: BSD-3-Clause
/* Where the programs lie that a benchmark runs: beside the command, built or installed. */
#ifndef SX_BENCH_PATHS_H
#define SX_BENCH_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/error.h"
#include "ipc/paths.h"

/* A micro-guest: guests/NAME beside the command, or lib/splitx/guests/NAME of its prefix. */
int sx_path_guest(const char *name, char *path, size_t size, struct sx_error *err);

/* Is there a program of that name in PATH? */
bool sx_path_has_program(const char *name);

#endif
