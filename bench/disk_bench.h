// SPDX-License-Identifier: BSD-3-Clause
/*
 * The disk of `splitx bench virtio`: a virtio-blk device on a file in memory, all of whose blocks
 * tell which they are (struct sx_bench_block).
 */
#ifndef SX_BENCH_DISK_BENCH_H
#define SX_BENCH_DISK_BENCH_H

#include "bench/guests/bench_page.h"
#include "cli/plugs.h"
#include "ipc/region.h"

struct sx_disk_bench {
	struct sx_region image;
	char path[32]; /* by which the device opens it; the value for sx_disk_bench_plug */
};

int sx_disk_bench_create(struct sx_disk_bench *disk, uint32_t blocks, struct sx_error *err);
/* Safe on a zeroed struct. */
void sx_disk_bench_destroy(struct sx_disk_bench *disk);

/*
 * Look at all blocks, while no request is under way: -EIO and a sentence if one is not whole, or
 * is another's. Returns how many the guest has written, each counted once.
 */
int sx_disk_bench_check(const struct sx_disk_bench *disk, struct sx_error *err);

extern const struct sx_plug sx_disk_bench_plug;

#endif
