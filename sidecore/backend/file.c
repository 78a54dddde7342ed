// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/backend/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MIN_BLOCK 512u  /* a sector, virtio 1.2, 5.2.6 */
#define MAX_BLOCK 4096u /* what guests know how to use */

/* ---- open ---- */

static int say_why_not_opened(const struct sx_file_config *c, int why, struct sx_error *err)
{
	switch (why) {
	case ENOENT:
		return sx_fail(err, -ENOENT,
			       "disk image '%s' does not exist; make one with 'truncate -s 10G %s'",
			       c->path, c->path);
	case EACCES:
	case EPERM:
	case EROFS:
		return sx_fail(err, -EACCES, "disk image '%s' may not be %s: %s; %s", c->path,
			       c->readonly ? "read" : "written", strerror(why),
			       c->readonly ? "change its permissions"
					   : "change its permissions, or attach it read-only");
	case EBUSY:
		return sx_fail(err, -EBUSY,
			       "block device '%s' is in use on this host, mounted or part of "
			       "another device; release it, or attach it read-only",
			       c->path);
	default:
		return sx_fail(err, -why, "disk image '%s' cannot be opened: %s", c->path,
			       strerror(why));
	}
}

/* Opening what is neither can block, or have effects; so it is looked at before. */
static int check_kind(const struct sx_file_config *c, struct stat *st, struct sx_error *err)
{
	if (stat(c->path, st) < 0)
		return say_why_not_opened(c, errno, err);
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	return sx_fail(err, -EINVAL,
		       "disk image '%s' is %s; a disk image is a regular file or a block device",
		       c->path, S_ISDIR(st->st_mode) ? "a directory" : "neither file nor disk");
}

static int open_image(struct sx_file *f, const struct sx_file_config *c, struct sx_error *err)
{
	int flags = O_CLOEXEC | O_NONBLOCK | (c->readonly ? O_RDONLY : O_RDWR);
	struct stat st;
	int rc = check_kind(c, &st, err);

	if (rc < 0)
		return rc;
	f->readonly = c->readonly;
	f->block_device = S_ISBLK(st.st_mode);
	if (f->block_device && !c->readonly)
		flags |= O_EXCL;
	f->fd = open(c->path, flags);
	return f->fd < 0 ? say_why_not_opened(c, errno, err) : 0;
}

static int lock(const struct sx_file *f, const struct sx_file_config *c, struct sx_error *err)
{
	struct flock all = {.l_type = f->readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
	int why;

	if (fcntl(f->fd, F_OFD_SETLK, &all) == 0)
		return 0;
	why = errno;
	if (why == EAGAIN || why == EACCES)
		return sx_fail(err, -EBUSY,
			       "disk image '%s' is in use by another virtual machine or program; "
			       "stop that one, or attach the image read-only to all of them",
			       c->path);
	return sx_fail(err, -why,
		       "disk image '%s' cannot be locked: %s; put it on a file system that has "
		       "file locks",
		       c->path, strerror(why));
}

/* ---- measure ---- */

static int measure_device(struct sx_file *f, const char *path, struct sx_error *err)
{
	unsigned physical = 0, min_io = 0, opt_io = 0;
	int logical = 0, offset = 0;

	if (ioctl(f->fd, BLKGETSIZE64, &f->size) < 0 || ioctl(f->fd, BLKSSZGET, &logical) < 0)
		return sx_fail(err, -errno, "the size of block device '%s' cannot be read: %s",
			       path, strerror(errno));
	f->block_size = (uint32_t)logical;
	/* Hints: what a device does not tell is 0. */
	if (ioctl(f->fd, BLKPBSZGET, &physical) == 0)
		f->physical_block = physical;
	if (ioctl(f->fd, BLKALIGNOFF, &offset) == 0 && offset > 0)
		f->alignment_offset = (uint32_t)offset;
	if (ioctl(f->fd, BLKIOMIN, &min_io) == 0)
		f->min_io = min_io;
	if (ioctl(f->fd, BLKIOOPT, &opt_io) == 0)
		f->opt_io = opt_io;
	return 0;
}

static int measure_file(struct sx_file *f, const char *path, struct sx_error *err)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return sx_fail(err, -errno, "the size of disk image '%s' cannot be read: %s", path,
			       strerror(errno));
	f->size = (uint64_t)st.st_size;
	f->block_size = MIN_BLOCK;
	f->physical_block = f->min_io = 4096; /* a page, and a block of the usual file systems */
	return 0;
}

static bool is_block_size(uint32_t n)
{
	return n >= MIN_BLOCK && n <= MAX_BLOCK && !(n & (n - 1));
}

static int choose_block(struct sx_file *f, const struct sx_file_config *c, struct sx_error *err)
{
	if (c->block_size && !is_block_size(c->block_size))
		return sx_fail(err, -EINVAL,
			       "a disk has blocks of 512, 1024, 2048 or 4096 bytes, not of %u",
			       c->block_size);
	if (c->block_size && c->block_size < f->block_size)
		return sx_fail(err, -EINVAL,
			       "block device '%s' has blocks of %u bytes; ask for no smaller ones",
			       c->path, f->block_size);
	if (c->block_size)
		f->block_size = c->block_size;
	if (!is_block_size(f->block_size))
		return sx_fail(err, -EINVAL,
			       "block device '%s' has blocks of %u bytes, which guests cannot use; "
			       "copy it into a file",
			       c->path, f->block_size);
	if (f->physical_block < f->block_size)
		f->physical_block = f->block_size;
	return 0;
}

static int check_size(const struct sx_file *f, const char *path, struct sx_error *err)
{
	uint64_t rest = f->size % f->block_size;

	if (!f->size)
		return sx_fail(err, -EINVAL,
			       "disk image '%s' is empty; give it a size, as by "
			       "'truncate -s 10G %s'",
			       path, path);
	if (rest)
		return sx_fail(err, -EINVAL,
			       "disk image '%s' ends within a block of %u bytes; if it is a raw "
			       "image, complete it with 'truncate -s +%u %s'",
			       path, f->block_size, (unsigned)(f->block_size - rest), path);
	return 0;
}

/* A raw image may begin with anything; these beginnings are no boot sector by chance. */
static int check_format(const struct sx_file *f, const char *path, struct sx_error *err)
{
	static const struct {
		const char *name, *magic;
		size_t len;
	} format[] = {
		{"qcow2", "QFI\xfb", 4}, /* QEMU, docs/interop/qcow2.txt */
		{"vmdk", "KDMV", 4},     /* VMware Virtual Disk Format 5.0, sparse extent header */
		{"vhdx", "vhdxfile", 8}, /* MS-VHDX, 2.2.1 */
	};
	char head[8];
	ssize_t got = pread(f->fd, head, sizeof(head), 0);

	if (got < 0)
		return sx_fail(err, -errno, "disk image '%s' cannot be read: %s", path,
			       strerror(errno));
	for (unsigned i = 0; i < sizeof(format) / sizeof(format[0]); i++)
		if ((size_t)got >= format[i].len && !memcmp(head, format[i].magic, format[i].len))
			return sx_fail(err, -EINVAL,
				       "disk image '%s' is in %s format, only raw images can be "
				       "attached; convert it with 'qemu-img convert -O raw'",
				       path, format[i].name);
	return 0;
}

static int measure(struct sx_file *f, const struct sx_file_config *c, struct sx_error *err)
{
	int rc = f->block_device ? measure_device(f, c->path, err) : measure_file(f, c->path, err);

	if (rc == 0)
		rc = choose_block(f, c, err);
	if (rc == 0)
		rc = check_size(f, c->path, err);
	return rc < 0 ? rc : check_format(f, c->path, err);
}

/* ---- direct I/O ---- */

int sx_file_reopen(const struct sx_file *f, bool direct)
{
	int flags = O_CLOEXEC | (f->readonly ? O_RDONLY : O_RDWR) | (direct ? O_DIRECT : 0);
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	fd = open(path, flags);
	return fd < 0 ? -errno : fd;
}

/* Does a read of one block into memory aligned to a block work, past the page cache? */
static bool direct_read_works(const struct sx_file *f, int fd)
{
	uint32_t block = f->block_size;
	uint64_t at = f->size > block ? block : 0;
	uint8_t *buffer = aligned_alloc(MAX_BLOCK, 2ul * MAX_BLOCK);
	bool works = buffer && pread(fd, buffer + block, block, (off_t)at) == (ssize_t)block;

	free(buffer);
	return works;
}

/* Linux 6.1 tells the alignment that is needed (statx(2)); before, it is tried out. */
static bool direct_works(struct sx_file *f, int fd)
{
	struct statx st;

	f->memory_align = f->block_size;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == 0 &&
	    (st.stx_mask & STATX_DIOALIGN)) {
		f->memory_align = st.stx_dio_mem_align;
		return st.stx_dio_offset_align && st.stx_dio_offset_align <= f->block_size &&
		       st.stx_dio_mem_align <= MAX_BLOCK;
	}
	return direct_read_works(f, fd);
}

/* Nothing lies beneath its pages, so there is nothing to pass them by for. */
static bool lies_in_memory(const struct sx_file *f)
{
	struct statfs fs;

	return fstatfs(f->fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static int choose_cache(struct sx_file *f, const struct sx_file_config *c, struct sx_error *err)
{
	int fd;

	f->in_memory = !f->block_device && lies_in_memory(f);
	if (c->cache == SX_FILE_CACHED || (c->cache == SX_FILE_AUTO && f->in_memory))
		return 0;
	fd = sx_file_reopen(f, true);
	if (fd >= 0) {
		f->direct = direct_works(f, fd);
		close(fd);
	}
	if (c->cache == SX_FILE_DIRECT && !f->direct)
		return sx_fail(err, -EINVAL,
			       "disk image '%s' does not allow direct I/O of %u bytes; use the "
			       "host's cache, or a larger block size",
			       c->path, f->block_size);
	return 0;
}

/* ---- discard ---- */

/* Beyond the end there is nothing that a hole could change. */
static bool file_can_punch(const struct sx_file *f)
{
	uint64_t beyond = (f->size + 4095) / 4096 * 4096;

	return fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)beyond, 4096) ==
	       0;
}

static uint64_t read_number(const char *path)
{
	unsigned long long n = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	if (fscanf(file, "%llu", &n) != 1)
		n = 0;
	fclose(file);
	return n;
}

/* sysfs: a partition's queue is its disk's. */
static bool device_can_discard(const struct sx_file *f)
{
	static const char *const where[] = {"queue", "../queue"};
	char path[128];
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/discard_max_bytes",
			 major(st.st_rdev), minor(st.st_rdev), where[i]);
		if (read_number(path))
			return true;
	}
	return false;
}

/* ---- life ---- */

int sx_file_open(struct sx_file *f, const struct sx_file_config *config, struct sx_error *err)
{
	int rc;

	memset(f, 0, sizeof(*f));
	f->fd = -1;
	rc = open_image(f, config, err);
	if (rc == 0)
		rc = lock(f, config, err);
	if (rc == 0)
		rc = measure(f, config, err);
	if (rc == 0)
		rc = choose_cache(f, config, err);
	if (rc < 0) {
		sx_file_close(f);
		return rc;
	}
	if (!f->readonly)
		f->can_discard = f->block_device ? device_can_discard(f) : file_can_punch(f);
	return 0;
}

void sx_file_close(struct sx_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}
