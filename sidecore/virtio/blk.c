// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/virtio/blk.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sidecore/virtio/blk_internal.h"

/* ---- configuration and features ---- */

static uint64_t features_of(const struct sx_virtio_blk *blk)
{
	uint64_t f = SX_VIRTIO_BIT(VIRTIO_BLK_F_SIZE_MAX) | SX_VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) |
		     SX_VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) | SX_VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) |
		     SX_VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | SX_VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);

	if (blk->queues > 1)
		f |= SX_VIRTIO_BIT(VIRTIO_BLK_F_MQ);
	if (blk->file.readonly)
		return f | SX_VIRTIO_BIT(VIRTIO_BLK_F_RO);
	if (blk->file.can_discard)
		f |= SX_VIRTIO_BIT(VIRTIO_BLK_F_DISCARD);
	return f | SX_VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
}

static uint8_t log2_of(uint32_t n)
{
	return (uint8_t)(31 - __builtin_clz(n));
}

static uint32_t blocks(const struct sx_file *file, uint32_t bytes)
{
	return bytes / file->block_size;
}

static struct virtio_blk_config config_of(const struct sx_virtio_blk *blk)
{
	const struct sx_file *file = &blk->file;
	uint32_t min_io = blocks(file, file->min_io);

	return (struct virtio_blk_config){
		.capacity = htole64(file->size / SX_BLK_SECTOR),
		.size_max = htole32(SX_BLK_SEG_BYTES),
		.seg_max = htole32(SX_BLK_DATA_SEGS),
		.blk_size = htole32(file->block_size),
		.physical_block_exp = log2_of(blocks(file, file->physical_block)),
		.alignment_offset = (uint8_t)blocks(file, file->alignment_offset),
		.min_io_size = htole16((uint16_t)(min_io <= UINT16_MAX ? min_io : 0)),
		.opt_io_size = htole32(blocks(file, file->opt_io)),
		.wce = 1,
		.num_queues = htole16(blk->queues),
		.max_discard_sectors = htole32(SX_BLK_DISCARD_SECTORS),
		.max_discard_seg = htole32(SX_BLK_RANGES),
		.discard_sector_alignment = htole32(file->physical_block / SX_BLK_SECTOR),
		.max_write_zeroes_sectors = htole32(SX_BLK_ZERO_SECTORS),
		.max_write_zeroes_seg = htole32(SX_BLK_RANGES),
		.write_zeroes_may_unmap = 1,
	};
}

static void set_writeback(struct sx_virtio_blk *blk, bool on)
{
	uint8_t byte = on;

	sx_store_relaxed(&blk->writeback, (uint32_t)on); /* see is_writethrough() */
	sx_virtio_config_set(&blk->dev, offsetof(struct virtio_blk_config, wce), &byte, 1, false);
}

static bool features_ok(struct sx_virtio_device *dev, uint64_t features)
{
	/* Who cannot flush begins without a cache (5.2.5.2). */
	set_writeback((struct sx_virtio_blk *)dev, features & SX_VIRTIO_BIT(VIRTIO_BLK_F_FLUSH));
	return true;
}

static void config_write(struct sx_virtio_device *dev, uint32_t offset, unsigned size,
			 uint64_t value)
{
	if (offset == offsetof(struct virtio_blk_config, wce) && size == 1 && value <= 1 &&
	    sx_virtio_has(dev, VIRTIO_BLK_F_CONFIG_WCE))
		set_writeback((struct sx_virtio_blk *)dev, value);
}

static void reset(struct sx_virtio_device *dev)
{
	set_writeback((struct sx_virtio_blk *)dev, true);
}

/* ---- at work ---- */

/*
 * Trap mode: the kernel takes no entries of @q now. If it has none already, no completion will
 * wake anybody; so the eventfd does, until it has taken them.
 */
static void set_stuck(struct sx_blk_queue *q, bool stuck)
{
	struct sx_virtio_blk *blk = q->blk;
	eventfd_t drained;

	if (blk->dev.env.polled || q->stuck == stuck)
		return;
	q->stuck = stuck;
	blk->stuck_queues += stuck ? 1 : -1;
	/* Neither can fail: the counter is 1 while a queue is stuck, else 0. */
	if (stuck && blk->stuck_queues == 1)
		eventfd_write(blk->nudge_fd, 1);
	else if (!blk->stuck_queues)
		eventfd_read(blk->nudge_fd, &drained);
}

static unsigned process(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_virtio_blk *blk = (struct sx_virtio_blk *)dev;
	struct sx_blk_queue *q = &blk->queue[vq->index];
	unsigned n = sx_blk_take(q);

	/* What the page cache has is done by now. */
	n += sx_blk_answer_done(q);
	set_stuck(q, !sx_file_submit(q->io));
	return n;
}

static unsigned poll(struct sx_virtio_device *dev, unsigned group)
{
	struct sx_virtio_blk *blk = (struct sx_virtio_blk *)dev;
	struct sx_blk_queue *q = &blk->queue[group];
	unsigned n;

	if (q->idle_count == SX_BLK_QUEUE_SIZE)
		return 0;
	n = sx_blk_answer_done(q);
	set_stuck(q, !sx_file_submit(q->io));
	return n;
}

static bool queue_stop(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	const struct sx_virtio_blk *blk = (const struct sx_virtio_blk *)dev;

	return blk->queue[vq->index].idle_count == SX_BLK_QUEUE_SIZE;
}

/* As in struct sx_virtio_blk_stats, which is a row of uint64_t. */
static const char *const count_names[] = {
	"reads",         "writes", "flushes", "discards",    "zeroes", "bytes_read",
	"bytes_written", "failed", "refused", "unsupported", NULL,
};

_Static_assert(sizeof(struct sx_virtio_blk_stats) / sizeof(uint64_t) + 1 ==
		       sizeof(count_names) / sizeof(count_names[0]),
	       "each has a name");

static void counts(const struct sx_virtio_device *dev, uint64_t *count)
{
	struct sx_virtio_blk_stats s;

	sx_virtio_blk_stats((const struct sx_virtio_blk *)dev, &s);
	memcpy(count, &s, sizeof(s));
}

static const struct sx_virtio_ops ops = {
	.name = "virtio-blk",
	.id = VIRTIO_ID_BLOCK,
	.process = process,
	.poll = poll,
	.queue_stop = queue_stop,
	.features_ok = features_ok,
	.config_write = config_write,
	.reset = reset,
	.count_names = count_names,
	.counts = counts,
};

/* ---- life ---- */

static int check_config(const struct sx_virtio_blk_config *config, struct sx_error *err)
{
	if (config->queues > SX_BLK_MAX_QUEUES)
		return sx_fail(err, -EINVAL, "a disk has up to %d queues; ask for fewer than %u",
			       SX_BLK_MAX_QUEUES, config->queues);
	if (config->serial && strlen(config->serial) > SX_BLK_SERIAL)
		return sx_fail(err, -EINVAL,
			       "the disk's serial number '%s' is too long; it has up to %d bytes",
			       config->serial, SX_BLK_SERIAL);
	return 0;
}

static int make_device(struct sx_virtio_blk *blk, const struct sx_virtio_env *env,
		       struct sx_error *err)
{
	const struct virtio_blk_config config = config_of(blk);
	uint16_t group_of[SX_BLK_MAX_QUEUES];
	const struct sx_virtio_shape shape = {
		.features = features_of(blk),
		.queues = blk->queues,
		.queue_size = SX_BLK_QUEUE_SIZE,
		.max_segs = SX_BLK_MAX_SEGS,
		.groups = blk->queues,
		.group_of = group_of,
		.config = &config,
		.config_size = sizeof(config),
	};

	for (uint16_t i = 0; i < blk->queues; i++)
		group_of[i] = i;
	return sx_virtio_device_init(&blk->dev, &ops, &shape, env, err);
}

static int make_queue(struct sx_virtio_blk *blk, struct sx_blk_queue *q, struct sx_error *err)
{
	q->blk = blk;
	q->vq = &blk->dev.queue[q - blk->queue];
	q->request = calloc(SX_BLK_QUEUE_SIZE, sizeof(*q->request));
	q->idle = calloc(SX_BLK_QUEUE_SIZE, sizeof(struct sx_blk_request *));
	if (!q->request || !q->idle)
		return sx_fail(err, -ENOMEM, "no memory for the requests of a disk");
	for (unsigned i = SX_BLK_QUEUE_SIZE; i--;)
		q->idle[q->idle_count++] = &q->request[i];
	return sx_file_queue_open(&q->io, &blk->file, SX_BLK_QUEUE_SIZE, err);
}

static int watch(const struct sx_virtio_blk *blk, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(blk->dev.wake_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* What wakes in trap mode: any queue's completions, or a nudge. */
static int make_wake(struct sx_virtio_blk *blk, struct sx_error *err)
{
	int rc = 0;

	blk->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	blk->dev.wake_fd = epoll_create1(EPOLL_CLOEXEC);
	if (blk->nudge_fd < 0 || blk->dev.wake_fd < 0)
		rc = -errno;
	if (rc == 0)
		rc = watch(blk, blk->nudge_fd);
	for (unsigned i = 0; rc == 0 && i < blk->queues; i++)
		rc = watch(blk, sx_file_queue_fd(blk->queue[i].io));
	if (rc < 0)
		sx_explain(err,
			   "a disk's completions cannot be waited for: %s; raise the limit of "
			   "open files with 'ulimit -n'",
			   strerror(-rc));
	return rc;
}

static int make_queues(struct sx_virtio_blk *blk, struct sx_error *err)
{
	int rc = 0;

	blk->queue = calloc(blk->queues, sizeof(*blk->queue));
	if (!blk->queue)
		return sx_fail(err, -ENOMEM, "no memory for the queues of a disk");
	for (unsigned i = 0; rc == 0 && i < blk->queues; i++)
		rc = make_queue(blk, &blk->queue[i], err);
	return rc;
}

int sx_virtio_blk_init(struct sx_virtio_blk *blk, const struct sx_virtio_blk_config *config,
		       const struct sx_virtio_env *env, struct sx_error *err)
{
	int rc;

	memset(blk, 0, sizeof(*blk));
	blk->nudge_fd = -1;
	rc = check_config(config, err);
	if (rc < 0)
		return rc;
	blk->queues = config->queues ? config->queues : 1;
	blk->writeback = 1;
	if (config->serial)
		memcpy(blk->serial, config->serial, strlen(config->serial));
	rc = sx_file_open(&blk->file, &config->file, err);
	if (rc < 0)
		return rc;
	rc = make_device(blk, env, err);
	if (rc < 0) {
		sx_file_close(&blk->file);
		return rc;
	}
	rc = make_queues(blk, err);
	if (rc == 0)
		rc = make_wake(blk, err);
	if (rc < 0)
		sx_virtio_blk_destroy(blk);
	return rc;
}

void sx_virtio_blk_destroy(struct sx_virtio_blk *blk)
{
	if (!blk->dev.ops)
		return;
	if (blk->dev.wake_fd >= 0)
		close(blk->dev.wake_fd);
	if (blk->nudge_fd >= 0)
		close(blk->nudge_fd);
	for (unsigned i = 0; blk->queue && i < blk->queues; i++) {
		/* First: until then the kernel uses the requests. */
		sx_file_queue_close(blk->queue[i].io);
		free(blk->queue[i].request);
		free(blk->queue[i].idle);
	}
	free(blk->queue);
	blk->queue = NULL;
	sx_virtio_device_destroy(&blk->dev);
	sx_file_close(&blk->file);
}

/* ---- statistics ---- */

/* Both structs are rows of uint64_t, each written by one thread. */
static void add_up(uint64_t *sum, const uint64_t *row, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(*row); i++)
		sum[i] += sx_load_relaxed(&row[i]);
}

void sx_virtio_blk_stats(const struct sx_virtio_blk *blk, struct sx_virtio_blk_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	for (unsigned i = 0; i < blk->queues; i++)
		add_up((uint64_t *)stats, (const uint64_t *)&blk->queue[i].stats, sizeof(*stats));
}

void sx_virtio_blk_file_stats(const struct sx_virtio_blk *blk, struct sx_file_stats *stats)
{
	struct sx_file_stats one;

	memset(stats, 0, sizeof(*stats));
	for (unsigned i = 0; i < blk->queues; i++) {
		sx_file_queue_stats(blk->queue[i].io, &one);
		add_up((uint64_t *)stats, (const uint64_t *)&one, sizeof(one));
	}
}
