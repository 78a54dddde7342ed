// SPDX-License-Identifier: BSD-3-Clause
/*
 * A small vhost-user front end: hands a guest's memory and the rings of its network device to a
 * back end in another process, which then serves them in our place (the protocol is QEMU's
 * docs/interop/vhost-user.rst). Nothing is negotiated that a benchmark does not need.
 */
#ifndef SX_BENCH_VHOST_USER_H
#define SX_BENCH_VHOST_USER_H

#include <stdint.h>

#include "bench/guests/bench_page.h"
#include "ipc/error.h"
#include "ipc/region.h"

struct sx_vhost_user {
	int fd;
	int event[4]; /* kick and call of either ring; nobody waits for them */
};

/*
 * Connect to the back end that listens at @path and have it serve @rings, which lie in @memory at
 * guest addresses that count from 0. -EPROTO when it does not do as it should.
 */
int sx_vhost_user_open(struct sx_vhost_user *v, const char *path, const struct sx_region *memory,
		       const struct sx_bench_rings *rings, struct sx_error *err);
/* The back end lets the memory go. Safe on a struct that failed to open. */
void sx_vhost_user_close(struct sx_vhost_user *v);

#endif
