// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/paths.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int sx_path_self(char *path, size_t size, struct sx_error *err)
{
	ssize_t n = readlink("/proc/self/exe", path, size);

	if (n < 0 || (size_t)n >= size)
		return sx_fail(err, -ENOENT, "cannot tell where this program lies; mount /proc");
	path[n] = '\0';
	return 0;
}

int sx_path_beside(const char *const *places, unsigned count, const char *name, int mode,
		   char *path, size_t size, struct sx_error *err)
{
	char self[SX_PATH_SIZE];
	int rc = sx_path_self(self, sizeof(self), err);

	if (rc < 0)
		return rc;
	*strrchr(self, '/') = '\0';
	for (unsigned i = 0; i < count; i++) {
		int n = snprintf(path, size, "%s/%s/%s", self, places[i], name);

		if (n > 0 && (size_t)n < size && access(path, mode) == 0)
			return 0;
	}
	return -ENOENT;
}
