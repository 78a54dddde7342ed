// SPDX-License-Identifier: BSD-3-Clause
/*
 * KVM's own counters: the judge of how many exits there were.
 *
 * Source: api.rst, KVM_GET_STATS_FD. Scalars only; histograms are left out.
 */
#ifndef SX_GUESTCORE_STATS_H
#define SX_GUESTCORE_STATS_H

#include <stdint.h>

#include "ipc/error.h"

struct sx_stat {
	char name[48];
	uint64_t value;
	uint32_t offset; /* in the block of data */
};

struct sx_stats {
	int fd;
	uint32_t count;
	uint32_t data_size;
	uint64_t *data; /* the raw block of the last sx_stats_read() */
	uint32_t data_offset;
	struct sx_stat *stat;
};

/* @kvm_fd: a VM's or a vCPU's. Any thread may read afterwards, one at a time. */
int sx_stats_open(struct sx_stats *s, int kvm_fd, struct sx_error *err);
void sx_stats_close(struct sx_stats *s);

/* Read all counters now into s->stat[].value. */
int sx_stats_read(struct sx_stats *s);

/* Value of @name at the last read, or 0 when this KVM does not count it. */
uint64_t sx_stats_get(const struct sx_stats *s, const char *name);

#endif
