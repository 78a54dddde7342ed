// SPDX-License-Identifier: BSD-3-Clause
/*
 * Memory that guests, sidecores and other processes share: a memfd, mapped here.
 */
#ifndef SX_IPC_REGION_H
#define SX_IPC_REGION_H

#include <stddef.h>

#include "ipc/error.h"

struct sx_region {
	void *base; /* page-aligned */
	size_t size;
	int fd; /* the memfd, to be passed to another process */
};

enum sx_region_flags {
	SX_REGION_HUGE = 1,     /* from the host's reserved hugepages; fails if there are too few */
	SX_REGION_PREFAULT = 2, /* touch every page now rather than at first use */
};

/*
 * Create zeroed memory of @size bytes (a multiple of 4 KiB; of the hugepage size for
 * SX_REGION_HUGE). @name shows up in /proc/PID/maps.
 */
int sx_region_create(struct sx_region *r, const char *name, size_t size, unsigned flags,
		     struct sx_error *err);

/* Unmap and close. Nobody may use the memory any more. Safe on a zeroed struct. */
void sx_region_destroy(struct sx_region *r);

#endif
