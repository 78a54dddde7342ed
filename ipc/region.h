// SPDX-License-Identifier: BSD-3-Clause
/*
 * Memory that guests, sidecores and other processes share: a memfd, mapped here. Or memory of this
 * process alone, which the host may back by large pages of its own accord; it seldom does so for a
 * memfd (/sys/kernel/mm/transparent_hugepage/shmem_enabled).
 */
#ifndef SX_IPC_REGION_H
#define SX_IPC_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ipc/error.h"

struct sx_region {
	void *base; /* page-aligned */
	size_t size;
	size_t page_size; /* of the host's pages that it is made of */
	int fd;           /* the memfd, to be passed to another process; private: -1 */
};

enum sx_region_flags {
	SX_REGION_HUGE = 1,     /* from the host's reserved hugepages; fails if there are too few */
	SX_REGION_PREFAULT = 2, /* touch every page now rather than at first use */
	SX_REGION_PRIVATE = 4,  /* of this process alone, no memfd; begins at a multiple of 2 MiB */
};

/*
 * Create zeroed memory of @size bytes (a multiple of 4 KiB; of the hugepage size for
 * SX_REGION_HUGE, which SX_REGION_PRIVATE excludes). @name shows up in /proc/PID/maps, of private
 * memory only where the kernel keeps such names.
 */
int sx_region_create(struct sx_region *r, const char *name, size_t size, unsigned flags,
		     struct sx_error *err);

/* Do @len bytes at @at lie in it? False for none. */
bool sx_region_holds(const struct sx_region *r, const void *at, size_t len);

/*
 * Give @len bytes at @at back to the host, as far as they are whole pages of r->page_size; these
 * read as zeros from then on, and take memory again once they are touched. Returns how many bytes
 * that were, or a negative errno: -EFAULT when they do not lie in the region. Any thread.
 */
ssize_t sx_region_discard(const struct sx_region *r, const void *at, size_t len);

/* Unmap and close. Nobody may use the memory any more. Safe on a zeroed struct. */
void sx_region_destroy(struct sx_region *r);

#endif
