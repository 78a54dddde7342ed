// SPDX-License-Identifier: BSD-3-Clause
#include "bench/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int sx_path_guest(const char *name, char *path, size_t size, struct sx_error *err)
{
	/* As built, as installed, and for a test that lies two folders below the build. */
	static const char *const places[] = {"guests", "../lib/splitx/guests", "../../guests"};
	int rc = sx_path_beside(places, sizeof(places) / sizeof(places[0]), name, R_OK, path, size,
				err);

	if (rc == 0)
		return 0;
	return sx_fail(err, rc,
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
