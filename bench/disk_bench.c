// SPDX-License-Identifier: BSD-3-Clause
#include "bench/disk_bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sidecore/virtio/blk.h"

int sx_disk_bench_create(struct sx_disk_bench *disk, uint32_t blocks, struct sx_error *err)
{
	struct sx_bench_block *block;
	int rc = sx_region_create(&disk->image, "splitx-disk", (size_t)blocks * sizeof(*block), 0,
				  err);

	if (rc < 0)
		return rc;
	block = disk->image.base;
	for (uint32_t i = 0; i < blocks; i++) {
		block[i].number = i;
		block[i].check = i ^ SX_BENCH_MAGIC;
	}
	snprintf(disk->path, sizeof(disk->path), "/proc/self/fd/%d", disk->image.fd);
	return 0;
}

void sx_disk_bench_destroy(struct sx_disk_bench *disk)
{
	sx_region_destroy(&disk->image);
}

int sx_disk_bench_check(const struct sx_disk_bench *disk, struct sx_error *err)
{
	const struct sx_bench_block *block = disk->image.base;
	const size_t count = disk->image.size / sizeof(*block);
	int written = 0;

	for (size_t i = 0; i < count; i++) {
		if (block[i].number != i || block[i].check != (i ^ block[i].stamp ^ SX_BENCH_MAGIC))
			return sx_fail(err, -EIO, "block %zu of the benchmark's disk is spoilt", i);
		written += block[i].stamp != 0;
	}
	return written;
}

/* ---- the device ---- */

static int create(struct sx_virtio_device **dev, const char *value, const struct sx_virtio_env *env,
		  struct sx_error *err)
{
	const struct sx_virtio_blk_config config = {
		.file = {.path = value, .cache = SX_FILE_CACHED},
	};
	struct sx_virtio_blk *blk = calloc(1, sizeof(*blk));
	int rc = blk ? sx_virtio_blk_init(blk, &config, env, err) : -ENOMEM;

	if (rc == 0)
		*dev = &blk->dev;
	else
		free(blk);
	return rc;
}

static void destroy(struct sx_virtio_device *dev)
{
	struct sx_virtio_blk *blk = (struct sx_virtio_blk *)dev;

	sx_virtio_blk_destroy(blk);
	free(blk);
}

const struct sx_plug sx_disk_bench_plug = {
	.option = "disk",
	.has_value = true,
	.help = "",
	.create = create,
	.destroy = destroy,
};
