// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/backend/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/wire/types.h"

#define BOUNCE_BYTES (64u << 10) /* of one transfer; more bytes take several */
#define ZERO_BYTES   (1u << 20)  /* of one write of zeros */
#define MAX_TRIES    64          /* in a row, without a byte moved */

/*
 * How a range can be discarded or zeroed. What a file system or device does not know it refuses
 * with EOPNOTSUPP, and the next way is tried. On block devices fallocate(2) is the asynchronous
 * form of the ioctls BLKDISCARD and BLKZEROOUT, which would hold the sidecore.
 */
enum way {
	WAY_END, /* there is no other way */
	WAY_DISCARD,
	WAY_PUNCH,
	WAY_ZERO_RANGE,
	WAY_WRITE_ZEROS,
	WAY_NOTHING, /* a discard is only a hint (virtio 1.2, 5.2.6.2) */
};

static const uint8_t device_discard[] = {WAY_DISCARD, WAY_PUNCH, WAY_NOTHING, WAY_END};
static const uint8_t file_discard[] = {WAY_PUNCH, WAY_NOTHING, WAY_END};
static const uint8_t zero[] = {WAY_ZERO_RANGE, WAY_WRITE_ZEROS, WAY_END};
static const uint8_t zero_unmap[] = {WAY_PUNCH, WAY_ZERO_RANGE, WAY_WRITE_ZEROS, WAY_END};

struct sx_file_queue {
	struct io_uring ring;
	const struct sx_file *file;
	int fd;
	unsigned under_way; /* entries in the submission queue or with the kernel */
	unsigned known_bad; /* bits of enum way that the image refused */
	int sync_error;     /* of the first flush that failed */
	unsigned sync_tries;
	bool sync_under_way;         /* its entry carries no operation */
	struct sx_file_op *syncing;  /* those it serves */
	struct sx_file_op *to_sync;  /* those that came later and wait for the next one */
	struct sx_file_op *finished; /* to be reaped */
	void *zeros;                 /* ZERO_BYTES that nobody wrote: no memory behind them */
	struct sx_file_stats stats;
};

static void came_back(struct sx_file_queue *q, struct sx_file_op *op, int result);

static void push(struct sx_file_op **list, struct sx_file_op *op)
{
	op->next = *list;
	*list = op;
}

/* ---- segments ---- */

/* Are @op's segments such that the kernel takes them for direct I/O? */
static bool segments_aligned(const struct sx_file_queue *q, const struct sx_file_op *op)
{
	uintptr_t bits = 0;
	size_t lens = 0;

	for (unsigned i = 0; i < op->segs; i++) {
		bits |= (uintptr_t)op->seg[i].iov_base;
		lens |= op->seg[i].iov_len;
	}
	return !(bits & (q->file->memory_align - 1u)) && !(lens & (q->file->block_size - 1u));
}

/* Take @n bytes off the front of @op's segments, copying them to or from @buffer unless NULL. */
static void consume(struct sx_file_op *op, uint8_t *buffer, size_t n)
{
	while (n) {
		size_t part = op->seg->iov_len < n ? op->seg->iov_len : n;

		if (buffer) {
			memcpy(op->seg->iov_base, buffer, part);
			buffer += part;
		}
		op->seg->iov_base = (uint8_t *)op->seg->iov_base + part;
		op->seg->iov_len -= part;
		n -= part;
		if (!op->seg->iov_len) {
			op->seg++;
			op->segs--;
		}
	}
}

/* Copy the first @n bytes of @op's segments. */
static void gather(const struct sx_file_op *op, uint8_t *buffer, size_t n)
{
	for (const struct iovec *seg = op->seg; n; seg++) {
		size_t part = seg->iov_len < n ? seg->iov_len : n;

		memcpy(buffer, seg->iov_base, part);
		buffer += part;
		n -= part;
	}
}

/* ---- entries ---- */

/* There is always one: an operation has at most one entry, and a sync has those it serves. */
static struct io_uring_sqe *entry(struct sx_file_queue *q)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&q->ring);

	q->under_way++;
	return sqe;
}

static void stage(struct io_uring_sqe *sqe, struct sx_file_op *op)
{
	io_uring_sqe_set_data(sqe, op);
	sqe->flags |= IOSQE_FIXED_FILE;
}

static void finish(struct sx_file_queue *q, struct sx_file_op *op, int result)
{
	free(op->bounce);
	op->bounce = NULL;
	op->result = result;
	push(&q->finished, op);
}

/* ---- flush ---- */

/*
 * One fdatasync() at a time. So the first that fails is seen before any later one could report a
 * success that the kernel gives because it has told us of the failure already.
 */
static void send_sync(struct sx_file_queue *q)
{
	struct io_uring_sqe *sqe = entry(q);

	io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
	stage(sqe, NULL);
	q->sync_under_way = true;
	sx_count(&q->stats.syncs, 1);
}

static void sync_waiting(struct sx_file_queue *q)
{
	q->syncing = q->to_sync;
	q->to_sync = NULL;
	if (q->syncing)
		send_sync(q);
}

static void join_sync(struct sx_file_queue *q, struct sx_file_op *op)
{
	/* tmpfs syncs nothing (noop_fsync() in Linux), and cannot lose what it has. */
	if (q->file->in_memory) {
		finish(q, op, 0);
		return;
	}
	if (q->sync_error) {
		finish(q, op, q->sync_error);
		return;
	}
	push(&q->to_sync, op);
	if (!q->sync_under_way)
		sync_waiting(q);
}

static void finish_all(struct sx_file_queue *q, struct sx_file_op *list, int result)
{
	while (list) {
		struct sx_file_op *op = list;

		list = op->next;
		finish(q, op, result);
	}
}

static bool is_passing(int result)
{
	/* ECANCELED: the thread that submitted it has ended. */
	return result == -EAGAIN || result == -EINTR || result == -ECANCELED;
}

static void sync_came_back(struct sx_file_queue *q, int result)
{
	q->sync_under_way = false;
	if (is_passing(result) && q->sync_tries++ < MAX_TRIES) {
		sx_count(&q->stats.again, 1);
		send_sync(q);
		return;
	}
	q->sync_tries = 0;
	if (result < 0)
		q->sync_error = result;
	finish_all(q, q->syncing, q->sync_error);
	if (q->sync_error) {
		finish_all(q, q->to_sync, q->sync_error);
		q->to_sync = NULL;
	}
	sync_waiting(q);
}

/* ---- transfers ---- */

/*
 * Past the page cache RWF_DSYNC does it. Through it, a write and its sync must be told apart: only
 * after a failed sync there is data that the kernel has forgotten.
 */
static bool needs_sync(const struct sx_file_queue *q, const struct sx_file_op *op)
{
	return op->durable && (op->verb == SX_FILE_ZERO || !q->file->direct);
}

static void complete(struct sx_file_queue *q, struct sx_file_op *op)
{
	if (needs_sync(q, op))
		join_sync(q, op);
	else
		finish(q, op, 0);
}

/* Lay the next bytes of @op into its bounce buffer. */
static int bounce(struct sx_file_queue *q, struct sx_file_op *op)
{
	uint64_t left = op->len - op->done;

	if (!op->bounce)
		op->bounce = aligned_alloc(4096, BOUNCE_BYTES);
	if (!op->bounce)
		return -ENOMEM;
	op->one.iov_base = op->bounce;
	op->one.iov_len = left < BOUNCE_BYTES ? left : BOUNCE_BYTES;
	if (op->verb == SX_FILE_WRITE)
		gather(op, op->bounce, op->one.iov_len);
	sx_count(&q->stats.bounced, 1);
	return 0;
}

static bool is_done_here(const struct sx_file_queue *q, const struct sx_file_op *op)
{
	return q->file->in_memory && !q->file->direct && op->verb != SX_FILE_ZERO;
}

/* An image in memory: move what is left, now. */
static void copy(struct sx_file_queue *q, struct sx_file_op *op)
{
	const off_t at = (off_t)(op->offset + op->done);
	ssize_t n = op->verb == SX_FILE_READ ? preadv(q->fd, op->seg, (int)op->segs, at)
					     : pwritev(q->fd, op->seg, (int)op->segs, at);

	came_back(q, op, n < 0 ? -errno : (int)n);
}

/* Send what is left of a READ, a WRITE, or a ZERO that writes zeros. */
static void transfer(struct sx_file_queue *q, struct sx_file_op *op)
{
	uint64_t left = op->len - op->done;
	const struct iovec *seg = op->seg;
	unsigned segs = op->segs;
	struct io_uring_sqe *sqe;

	if (is_done_here(q, op)) {
		copy(q, op);
		return;
	}
	if (op->verb == SX_FILE_ZERO) {
		op->one.iov_base = q->zeros;
		op->one.iov_len = left < ZERO_BYTES ? left : ZERO_BYTES;
	} else if (op->bounce || (q->file->direct && !segments_aligned(q, op))) {
		int rc = bounce(q, op);

		if (rc < 0) {
			finish(q, op, rc);
			return;
		}
	}
	if (op->verb == SX_FILE_ZERO || op->bounce) {
		seg = &op->one;
		segs = 1;
	}
	sqe = entry(q);
	if (op->verb == SX_FILE_READ)
		io_uring_prep_readv(sqe, 0, seg, segs, op->offset + op->done);
	else
		io_uring_prep_writev(sqe, 0, seg, segs, op->offset + op->done);
	if (op->verb == SX_FILE_WRITE && op->durable && !needs_sync(q, op))
		sqe->rw_flags = RWF_DSYNC;
	stage(sqe, op);
}

static void moved(struct sx_file_queue *q, struct sx_file_op *op, uint64_t n)
{
	/* What direct I/O wrote of a block it writes again. */
	if (q->file->direct)
		n &= ~(uint64_t)(q->file->block_size - 1);
	/* Nothing: the image has become shorter. */
	if (!n) {
		finish(q, op, -EIO);
		return;
	}
	if (op->verb != SX_FILE_ZERO)
		consume(op, op->verb == SX_FILE_READ ? op->bounce : NULL, n);
	op->done += n;
	op->tries = 0;
	if (op->done == op->len) {
		complete(q, op);
		return;
	}
	sx_count(&q->stats.again, 1);
	transfer(q, op);
}

/* ---- ranges ---- */

static bool is_transfer(const struct sx_file_op *op)
{
	return op->verb == SX_FILE_READ || op->verb == SX_FILE_WRITE ||
	       (op->verb == SX_FILE_ZERO && *op->way == WAY_WRITE_ZEROS);
}

static void change_range(struct sx_file_queue *q, struct sx_file_op *op)
{
	static const int mode[] = {
		[WAY_DISCARD] =
			FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_NO_HIDE_STALE,
		[WAY_PUNCH] = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
		[WAY_ZERO_RANGE] = FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE,
	};
	struct io_uring_sqe *sqe;

	while (q->known_bad & 1u << *op->way)
		op->way++;
	if (*op->way == WAY_NOTHING) {
		complete(q, op);
	} else if (*op->way == WAY_WRITE_ZEROS) {
		transfer(q, op);
	} else {
		sqe = entry(q);
		io_uring_prep_fallocate(sqe, 0, mode[*op->way], (off_t)op->offset, (off_t)op->len);
		stage(sqe, op);
	}
}

static void choose_way(const struct sx_file_queue *q, struct sx_file_op *op)
{
	if (op->verb == SX_FILE_DISCARD)
		op->way = q->file->block_device ? device_discard : file_discard;
	else
		op->way = op->may_unmap ? zero_unmap : zero;
}

static bool refused_way(const struct sx_file_op *op, int result)
{
	return (result == -EOPNOTSUPP || result == -ENOSYS) && !is_transfer(op);
}

/* ---- operations ---- */

static void proceed(struct sx_file_queue *q, struct sx_file_op *op)
{
	if (is_transfer(op))
		transfer(q, op);
	else
		change_range(q, op);
}

void sx_file_start(struct sx_file_queue *q, struct sx_file_op *op)
{
	op->done = 0;
	op->tries = 0;
	op->bounce = NULL;
	if (op->verb == SX_FILE_FLUSH) {
		join_sync(q, op);
		return;
	}
	if (!op->len) {
		complete(q, op);
		return;
	}
	if (op->verb == SX_FILE_DISCARD || op->verb == SX_FILE_ZERO)
		choose_way(q, op);
	proceed(q, op);
}

static void came_back(struct sx_file_queue *q, struct sx_file_op *op, int result)
{
	if (is_passing(result) && op->tries++ < MAX_TRIES) {
		sx_count(&q->stats.again, 1);
		proceed(q, op);
	} else if (refused_way(op, result)) {
		q->known_bad |= 1u << *op->way;
		change_range(q, op);
	} else if (result < 0) {
		finish(q, op, result);
	} else if (is_transfer(op)) {
		moved(q, op, (uint64_t)result);
	} else {
		complete(q, op);
	}
}

bool sx_file_submit(struct sx_file_queue *q)
{
	int n;

	if (!io_uring_sq_ready(&q->ring))
		return true;
	n = io_uring_submit(&q->ring);
	if (n > 0)
		sx_count(&q->stats.entries, (uint64_t)n);
	sx_count(&q->stats.submits, 1);
	return !io_uring_sq_ready(&q->ring);
}

/* Take completions until an operation is done; false: there are no more. */
static bool take(struct sx_file_queue *q)
{
	struct io_uring_cqe *cqe;

	while (!q->finished) {
		struct sx_file_op *op;
		int result;

		if (!q->under_way || io_uring_peek_cqe(&q->ring, &cqe) != 0)
			return false;
		op = io_uring_cqe_get_data(cqe);
		result = cqe->res;
		io_uring_cqe_seen(&q->ring, cqe);
		q->under_way--;
		if (op)
			came_back(q, op, result);
		else
			sync_came_back(q, result);
	}
	return true;
}

struct sx_file_op *sx_file_reap(struct sx_file_queue *q)
{
	struct sx_file_op *op;

	if (!take(q)) {
		sx_file_submit(q);
		return NULL;
	}
	op = q->finished;
	q->finished = op->next;
	return op;
}

/* ---- life ---- */

static int say_no_uring(int rc, struct sx_error *err)
{
	if (rc == -ENOMEM)
		return sx_fail(err, rc,
			       "no memory for io_uring; disks need it: raise the limit of locked "
			       "memory with 'ulimit -l'");
	return sx_fail(
		err, rc,
		"disks need io_uring, which this host does not give: %s; use Linux 5.10 or "
		"later, and allow it (sysctl kernel.io_uring_disabled=0, and the container's "
		"seccomp profile)",
		strerror(-rc));
}

static int check_operations(struct sx_file_queue *q, struct sx_error *err)
{
	static const int needed[] = {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
				     IORING_OP_FALLOCATE};
	struct io_uring_probe *probe = io_uring_get_probe_ring(&q->ring);
	bool all = probe;

	for (unsigned i = 0; all && i < sizeof(needed) / sizeof(needed[0]); i++)
		all = io_uring_opcode_supported(probe, needed[i]);
	io_uring_free_probe(probe);
	return all ? 0 : say_no_uring(-EOPNOTSUPP, err);
}

static int open_ring(struct sx_file_queue *q, unsigned depth, struct sx_error *err)
{
	int rc = io_uring_queue_init(depth, &q->ring, 0);

	if (rc < 0)
		return say_no_uring(rc, err);
	rc = check_operations(q, err);
	if (rc < 0)
		goto close_ring;
	rc = io_uring_register_files(&q->ring, &q->fd, 1);
	if (rc < 0) {
		sx_explain(err, "a disk image cannot be registered with io_uring: %s",
			   strerror(-rc));
		goto close_ring;
	}
	return 0;

close_ring:
	io_uring_queue_exit(&q->ring);
	return rc;
}

int sx_file_queue_open(struct sx_file_queue **queue, const struct sx_file *file, unsigned depth,
		       struct sx_error *err)
{
	struct sx_file_queue *q = calloc(1, sizeof(*q));
	int rc;

	*queue = NULL;
	if (!q)
		return sx_fail(err, -ENOMEM, "no memory for a disk's queue");
	q->file = file;
	q->fd = sx_file_reopen(file, file->direct);
	if (q->fd < 0) {
		rc = sx_fail(
			err, q->fd,
			"a disk image cannot be opened again by /proc/self/fd: %s; mount /proc",
			strerror(-q->fd));
		goto free_queue;
	}
	q->zeros = mmap(NULL, ZERO_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (q->zeros == MAP_FAILED) {
		rc = sx_fail(err, -ENOMEM, "no memory for a disk's queue");
		goto close_file;
	}
	rc = open_ring(q, depth, err);
	if (rc < 0)
		goto unmap_zeros;
	*queue = q;
	return 0;

unmap_zeros:
	munmap(q->zeros, ZERO_BYTES);
close_file:
	close(q->fd);
free_queue:
	free(q);
	return rc;
}

/* Entries that the kernel has not taken yet go first: their bounce buffers come back with them. */
static void wait_for_all(struct sx_file_queue *q)
{
	struct io_uring_cqe *cqe;
	struct sx_file_op *op;

	while (q->under_way) {
		sx_file_submit(q);
		if (q->under_way == io_uring_sq_ready(&q->ring) ||
		    io_uring_wait_cqe(&q->ring, &cqe) != 0)
			continue; /* interrupted, or the kernel has no memory now */
		op = io_uring_cqe_get_data(cqe);
		io_uring_cqe_seen(&q->ring, cqe);
		q->under_way--;
		if (op)
			free(op->bounce);
	}
}

void sx_file_queue_close(struct sx_file_queue *q)
{
	if (!q)
		return;
	wait_for_all(q);
	/* The ring itself ends some time later, and would keep the image open until then. */
	io_uring_unregister_files(&q->ring);
	io_uring_queue_exit(&q->ring);
	munmap(q->zeros, ZERO_BYTES);
	close(q->fd);
	free(q);
}

/* ---- for others to look at ---- */

int sx_file_queue_fd(const struct sx_file_queue *q)
{
	return q->ring.ring_fd;
}

void sx_file_queue_stats(const struct sx_file_queue *q, struct sx_file_stats *stats)
{
	stats->entries = sx_load_relaxed(&q->stats.entries);
	stats->submits = sx_load_relaxed(&q->stats.submits);
	stats->again = sx_load_relaxed(&q->stats.again);
	stats->bounced = sx_load_relaxed(&q->stats.bounced);
	stats->syncs = sx_load_relaxed(&q->stats.syncs);
}
