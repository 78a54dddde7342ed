// SPDX-License-Identifier: BSD-3-Clause
/*
 * Requests of virtio-blk (virtio 1.2, 5.2.6), from the chain to the status byte.
 *
 * A chain that has no header or no status byte breaks the queue: there is nobody to answer. All
 * else that is wrong with a request is answered.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "sidecore/virtio/blk_internal.h"

#define BATCH        32   /* requests in a turn, so that others on the sidecore get theirs */
#define POOL         1024 /* segments of all these */
#define UNDER_WAY    (-1) /* not a status */
#define HEADER_BYTES sizeof(struct virtio_blk_outhdr)

/* ---- answers ---- */

/*
 * How many bytes from the start of the writable part were written. The status is the last one, so
 * it counts only if all before it were (2.7.8.2).
 */
static uint32_t written(const struct sx_blk_request *r, uint64_t data)
{
	return data == r->data_len ? r->data_len + 1 : (uint32_t)data;
}

/* @data: bytes of the writable part that were filled before the status. */
static void answer(struct sx_blk_queue *q, struct sx_blk_request *r, uint8_t status, uint64_t data)
{
	if (status == VIRTIO_BLK_S_UNSUPP)
		sx_count(&q->stats.unsupported, 1);
	/* Once a queue is broken, or stops, its memory is the driver's. */
	if (q->vq->running) {
		sx_store_relaxed(r->status, status); /* released by the flush */
		sx_virtqueue_push(q->vq, &r->chain, written(r, data));
	}
	q->idle[q->idle_count++] = r;
}

static int refuse(struct sx_blk_queue *q)
{
	sx_count(&q->stats.refused, 1);
	return VIRTIO_BLK_S_IOERR;
}

/* ---- reads and writes ---- */

static bool is_in_disk(const struct sx_blk_queue *q, uint64_t sector, uint64_t sectors)
{
	const struct sx_file *file = &q->blk->file;
	uint64_t capacity = file->size / SX_BLK_SECTOR;
	uint64_t block = file->block_size / SX_BLK_SECTOR;

	return sector <= capacity && sectors <= capacity - sector && !((sector | sectors) % block);
}

/*
 * A write is stable when it completes if the driver cannot flush, or turned the cache off
 * (5.2.6.2). Relaxed: the driver's store to `writeback` has been answered before it makes the
 * request available that is to see it.
 */
static bool is_writethrough(const struct sx_virtio_blk *blk)
{
	if (!sx_virtio_has(&blk->dev, VIRTIO_BLK_F_FLUSH))
		return true;
	return sx_virtio_has(&blk->dev, VIRTIO_BLK_F_CONFIG_WCE) &&
	       !sx_load_relaxed(&blk->writeback);
}

static int start_transfer(struct sx_blk_queue *q, struct sx_blk_request *r, uint64_t sector,
			  uint32_t len)
{
	if (len % SX_BLK_SECTOR || !is_in_disk(q, sector, len / SX_BLK_SECTOR))
		return refuse(q);
	r->op.offset = sector * SX_BLK_SECTOR;
	r->op.len = len;
	r->op.seg = r->seg;
	sx_file_start(q->io, &r->op);
	return UNDER_WAY;
}

static int read_sectors(struct sx_blk_queue *q, struct sx_blk_request *r, uint64_t sector)
{
	const struct sx_vq_chain *c = &r->chain;

	sx_count(&q->stats.reads, 1);
	r->op.verb = SX_FILE_READ;
	r->op.segs = sx_iov_slice(c->seg + c->readable, c->writable, 0, r->data_len, r->seg);
	return start_transfer(q, r, sector, r->data_len);
}

static int write_sectors(struct sx_blk_queue *q, struct sx_blk_request *r, uint64_t sector)
{
	const struct sx_vq_chain *c = &r->chain;
	uint32_t len = c->readable_len - HEADER_BYTES;

	sx_count(&q->stats.writes, 1);
	if (q->blk->file.readonly)
		return refuse(q);
	r->op.verb = SX_FILE_WRITE;
	r->op.durable = is_writethrough(q->blk);
	r->op.segs = sx_iov_slice(c->seg, c->readable, HEADER_BYTES, len, r->seg);
	return start_transfer(q, r, sector, len);
}

static int flush(struct sx_blk_queue *q, struct sx_blk_request *r)
{
	sx_count(&q->stats.flushes, 1);
	r->op.verb = SX_FILE_FLUSH;
	sx_file_start(q->io, &r->op);
	return UNDER_WAY;
}

/* ---- discard, write zeroes ---- */

/* VIRTIO_BLK_S_OK if all ranges may be done as they are. */
static int check_ranges(const struct sx_blk_queue *q, const struct sx_blk_request *r)
{
	bool discard = r->type == VIRTIO_BLK_T_DISCARD;
	uint32_t flags = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	uint32_t most = discard ? SX_BLK_DISCARD_SECTORS : SX_BLK_ZERO_SECTORS;

	for (unsigned i = 0; i < r->ranges; i++) {
		uint32_t sectors = le32toh(r->range[i].num_sectors);

		if (le32toh(r->range[i].flags) & ~flags)
			return VIRTIO_BLK_S_UNSUPP;
		if (sectors > most || !is_in_disk(q, le64toh(r->range[i].sector), sectors))
			return VIRTIO_BLK_S_IOERR;
	}
	return VIRTIO_BLK_S_OK;
}

static void start_range(struct sx_blk_queue *q, struct sx_blk_request *r)
{
	const struct virtio_blk_discard_write_zeroes *range = &r->range[r->next_range++];

	r->op.offset = le64toh(range->sector) * SX_BLK_SECTOR;
	r->op.len = (uint64_t)le32toh(range->num_sectors) * SX_BLK_SECTOR;
	r->op.may_unmap = le32toh(range->flags) & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	sx_file_start(q->io, &r->op);
}

static int change_ranges(struct sx_blk_queue *q, struct sx_blk_request *r)
{
	bool discard = r->type == VIRTIO_BLK_T_DISCARD;
	uint32_t len = r->chain.readable_len - HEADER_BYTES;
	int status;

	if (!sx_virtio_has(&q->blk->dev,
			   discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES))
		return VIRTIO_BLK_S_UNSUPP;
	sx_count(discard ? &q->stats.discards : &q->stats.zeroes, 1);
	if (!len || len % sizeof(r->range[0]) || len > sizeof(r->range))
		return refuse(q);
	sx_vq_read(&r->chain, HEADER_BYTES, r->range, len);
	r->ranges = (uint16_t)(len / sizeof(r->range[0]));
	status = check_ranges(q, r);
	if (status == VIRTIO_BLK_S_IOERR)
		return refuse(q);
	if (status != VIRTIO_BLK_S_OK)
		return status;
	r->op.verb = discard ? SX_FILE_DISCARD : SX_FILE_ZERO;
	r->op.durable = !discard && is_writethrough(q->blk);
	start_range(q, r);
	return UNDER_WAY;
}

/* ---- the serial number ---- */

/* Returns how many bytes the driver got. */
static uint32_t give_serial(const struct sx_blk_queue *q, struct sx_blk_request *r)
{
	uint32_t len = r->data_len < SX_BLK_SERIAL ? r->data_len : SX_BLK_SERIAL;

	return (uint32_t)sx_vq_write(&r->chain, 0, q->blk->serial, len);
}

/* ---- taking ---- */

/* Returns a status, or UNDER_WAY. */
static int begin(struct sx_blk_queue *q, struct sx_blk_request *r, uint64_t sector)
{
	switch (r->type) {
	case VIRTIO_BLK_T_IN:
		return read_sectors(q, r, sector);
	case VIRTIO_BLK_T_OUT:
		return write_sectors(q, r, sector);
	case VIRTIO_BLK_T_FLUSH:
		return flush(q, r);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return change_ranges(q, r);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

static void fill_in(struct sx_blk_request *r, const struct sx_vq_chain *chain, uint32_t type)
{
	const struct iovec *last = &chain->seg[chain->readable + chain->writable - 1];

	r->chain = *chain;
	r->type = type;
	r->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	r->data_len = chain->writable_len - 1;
	r->ranges = r->next_range = 0;
	r->op.durable = r->op.may_unmap = false;
}

static void take(struct sx_blk_queue *q, const struct sx_vq_chain *chain)
{
	struct virtio_blk_outhdr header;
	struct sx_blk_request *r;
	int status;

	if (sx_vq_read(chain, 0, &header, HEADER_BYTES) < HEADER_BYTES) {
		sx_virtqueue_fail(q->vq, "a disk request has no whole header");
		return;
	}
	if (!chain->writable) {
		sx_virtqueue_fail(q->vq, "a disk request has no place for its status");
		return;
	}
	r = q->idle[--q->idle_count];
	fill_in(r, chain, le32toh(header.type));
	if (r->type == VIRTIO_BLK_T_GET_ID) {
		answer(q, r, VIRTIO_BLK_S_OK, give_serial(q, r));
		return;
	}
	status = begin(q, r, le64toh(header.sector));
	if (status != UNDER_WAY)
		answer(q, r, (uint8_t)status, 0);
}

unsigned sx_blk_take(struct sx_blk_queue *q)
{
	struct sx_vq_chain chain[BATCH];
	struct iovec pool[POOL];
	unsigned max = q->idle_count < BATCH ? q->idle_count : BATCH;
	unsigned n = sx_virtqueue_pop(q->vq, chain, max, pool, POOL);

	for (unsigned i = 0; i < n && q->vq->running; i++)
		take(q, &chain[i]);
	sx_file_submit(q->io);
	return n;
}

/* ---- what is done ---- */

static void count_done(struct sx_blk_queue *q, const struct sx_blk_request *r)
{
	if (r->op.verb == SX_FILE_READ)
		sx_count(&q->stats.bytes_read, r->op.done);
	else if (r->op.verb == SX_FILE_WRITE)
		sx_count(&q->stats.bytes_written, r->op.done);
	if (r->op.result < 0)
		sx_count(&q->stats.failed, 1);
}

static void came_back(struct sx_blk_queue *q, struct sx_blk_request *r)
{
	uint64_t filled = r->op.verb == SX_FILE_READ ? r->op.done : 0;

	count_done(q, r);
	if (r->op.result == 0 && r->next_range < r->ranges) {
		start_range(q, r);
		return;
	}
	answer(q, r, r->op.result < 0 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK, filled);
}

unsigned sx_blk_answer_done(struct sx_blk_queue *q)
{
	struct sx_file_op *op;
	unsigned n = 0;

	for (; (op = sx_file_reap(q->io)) != NULL; n++)
		came_back(q, (struct sx_blk_request *)op);
	return n;
}
