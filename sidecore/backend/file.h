// SPDX-License-Identifier: BSD-3-Clause
/*
 * A disk image: a raw file or a block device of the host, found, checked, measured and locked.
 * Reading and writing it is file_io.h's.
 *
 * A lock on the whole image (fcntl(2), open file description locks) keeps it to one writer, or to
 * any number of readers, among all who ask for such a lock; QEMU does. A block device that is
 * written is also claimed with O_EXCL, which the host's own file systems and mappings respect.
 */
#ifndef SX_SIDECORE_BACKEND_FILE_H
#define SX_SIDECORE_BACKEND_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"

enum sx_file_cache {
	SX_FILE_AUTO,   /* past the host's page cache if the image allows that, else through it */
	SX_FILE_DIRECT, /* past it, or not at all */
	SX_FILE_CACHED, /* through it */
};

struct sx_file_config {
	const char *path;
	bool readonly;
	enum sx_file_cache cache;
	uint32_t block_size; /* 512 to 4096; 0: 512, or that of the block device */
};

struct sx_file {
	int fd; /* holds the lock; -1: not open */
	bool readonly;
	bool direct;       /* past the page cache */
	bool block_device; /* else a regular file */
	bool in_memory;    /* a file of tmpfs, such as a memfd */
	bool can_discard;
	uint64_t size;         /* bytes, a multiple of the block size */
	uint32_t block_size;   /* all I/O begins and ends on such blocks */
	uint32_t memory_align; /* direct: that of buffers; others go through a bounce buffer */
	/* What is good for speed; bytes, 0: not known. */
	uint32_t physical_block;
	uint32_t alignment_offset; /* where the first physical block begins */
	uint32_t min_io;
	uint32_t opt_io;
};

/*
 * Open and lock. -ENOENT, -EACCES, -EBUSY (somebody else has it), -EINVAL (not a disk image, or
 * not of whole blocks), and what the host says.
 */
int sx_file_open(struct sx_file *f, const struct sx_file_config *config, struct sx_error *err);
/* No queue of it is open any more. Safe on a struct that failed to open. */
void sx_file_close(struct sx_file *f);

/*
 * The same image again, as a file description of its own: the kernel tells each of them once when
 * data that it had accepted could not be written (fsync(2), errseq). Negative errno if it fails.
 */
int sx_file_reopen(const struct sx_file *f, bool direct);

#endif
