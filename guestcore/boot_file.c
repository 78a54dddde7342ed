// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/boot_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int sx_boot_file_open(struct sx_boot_file *f, const char *what, const char *path,
		      struct sx_error *err)
{
	struct stat st;
	/* A FIFO must not make us wait for its other end. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*f = (struct sx_boot_file){.path = path, .what = what, .fd = -1};
	if (fd < 0)
		return sx_fail(err, -errno, "cannot open %s '%s': %s", what, path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return sx_fail(err, -ENOEXEC, "%s '%s' is not a regular file; give a file's name",
			       what, path);
	}
	if (!st.st_size) {
		close(fd);
		return sx_fail(err, -ENOEXEC, "%s '%s' is empty; get it again", what, path);
	}
	f->fd = fd;
	f->size = (uint64_t)st.st_size;
	return 0;
}

void sx_boot_file_close(struct sx_boot_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

int sx_boot_file_read(const struct sx_boot_file *f, void *to, uint64_t len, uint64_t offset,
		      struct sx_error *err)
{
	uint8_t *p = to;

	if (offset > f->size || len > f->size - offset)
		goto cut_short;
	while (len) {
		ssize_t n = pread(f->fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return sx_fail(err, -errno, "cannot read %s '%s': %s", f->what, f->path,
				       strerror(errno));
		if (n == 0)
			goto cut_short;
		p += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
cut_short:
	return sx_fail(err, -ENOEXEC, "%s '%s' is cut short; get it again", f->what, f->path);
}

const char *sx_boot_file_name(const struct sx_boot_file *f)
{
	const char *slash = strrchr(f->path, '/');

	return slash ? slash + 1 : f->path;
}
