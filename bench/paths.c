// SPDX-License-Identifier: BSD-3-Clause
#include "bench/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

int sx_path_guest(const char *name, char *path, size_t size, struct sx_error *err)
{
	/* As built, as installed, and for a test that lies two folders below the build. */
	static const char *const places[] = {"guests", "../lib/splitx/guests", "../../guests"};
	char self[4096];
	int rc = sx_path_self(self, sizeof(self), err);

	if (rc < 0)
		return rc;
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int n = snprintf(path, size, "%s/%s/%s", self, places[i], name);

		if (n > 0 && (size_t)n < size && access(path, R_OK) == 0)
			return 0;
	}
	return sx_fail(err, -ENOENT,
		       "micro-guest '%s' is not found beside the command; build it with make, or "
		       "install with make install",
		       name);
}

bool sx_path_has_program(const char *name)
{
	const char *path = getenv("PATH");
	char *dirs = strdup(path ? path : ""), *rest = dirs, *dir;
	bool found = false;

	while (!found && dirs && (dir = strsep(&rest, ":"))) {
		char *file;

		if (asprintf(&file, "%s/%s", dir, name) < 0)
			break;
		found = access(file, X_OK) == 0;
		free(file);
	}
	free(dirs);
	return found;
}
