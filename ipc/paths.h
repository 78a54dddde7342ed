// SPDX-License-Identifier: BSD-3-Clause
/*
 * Files that belong to the running program and lie beside it, as built or as installed.
 */
#ifndef SX_IPC_PATHS_H
#define SX_IPC_PATHS_H

#include <stddef.h>

#include "ipc/error.h"

#define SX_PATH_SIZE 4096

/* The running program itself. */
int sx_path_self(char *path, size_t size, struct sx_error *err);

/*
 * @name in the first of @places, folders seen from the one that the program lies in, where it can
 * be accessed in @mode (access(2)). -ENOENT without a sentence when it is in none.
 */
int sx_path_beside(const char *const *places, unsigned count, const char *name, int mode,
		   char *path, size_t size, struct sx_error *err);

#endif
