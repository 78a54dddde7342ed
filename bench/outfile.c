// SPDX-License-Identifier: BSD-3-Clause
#include "bench/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void forget(struct sx_outfile *f)
{
	free(f->path);
	free(f->temp);
	*f = (struct sx_outfile){.fd = -1};
}

static int cannot_write(const struct sx_outfile *f, int code, struct sx_error *err)
{
	return sx_fail(err, code, "cannot write '%s': %s; name a file in a writable directory",
		       f->path, strerror(-code));
}

int sx_outfile_open(struct sx_outfile *f, const char *path, struct sx_error *err)
{
	const char *opened;
	struct stat st;
	int flags, ret;

	*f = (struct sx_outfile){.fd = -1};
	f->path = realpath(path, NULL);
	if (!f->path) /* not there yet */
		f->path = strdup(path);
	if (!f->path)
		return sx_fail(err, -ENOMEM, "no memory for the name '%s'; free some", path);

	if (stat(f->path, &st) == 0 && !S_ISREG(st.st_mode)) {
		opened = f->path;
		flags = O_WRONLY | O_CLOEXEC;
	} else if (asprintf(&f->temp, "%s.%d.tmp", f->path, (int)getpid()) > 0) {
		opened = f->temp;
		flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
	} else {
		f->temp = NULL;
		ret = sx_fail(err, -ENOMEM, "no memory for the name '%s'; free some", path);
		goto out;
	}

	f->fd = open(opened, flags, 0666);
	if (f->fd >= 0)
		return 0;
	ret = cannot_write(f, -errno, err);
out:
	forget(f);
	return ret;
}

int sx_outfile_commit(struct sx_outfile *f, struct sx_error *err)
{
	int ret = 0;

	/* Some file systems tell of a full disk only here. */
	if (close(f->fd))
		ret = cannot_write(f, -errno, err);
	if (ret == 0 && f->temp && rename(f->temp, f->path))
		ret = cannot_write(f, -errno, err);
	if (ret && f->temp)
		unlink(f->temp);
	forget(f);
	return ret;
}

void sx_outfile_abort(struct sx_outfile *f)
{
	close(f->fd);
	if (f->temp)
		unlink(f->temp);
	forget(f);
}
