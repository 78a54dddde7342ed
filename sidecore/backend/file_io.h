// SPDX-License-Identifier: BSD-3-Clause
/*
 * Asynchronous I/O on a disk image, by io_uring.
 *
 * A queue is one owner's way to the image; an image has as many queues as it has users. Operations
 * are given to a queue in any number up to its depth, sent to the kernel together, and come back
 * in any order. Looking whether one came back is a load of memory.
 *
 * One thread at a time owns a queue, and it may become another's while operations are under way:
 * pollers move. So the ring is not made with IORING_SETUP_SINGLE_ISSUER, nor with DEFER_TASKRUN,
 * which needs that, nor with COOP_TASKRUN: with these a completion waits until the thread that
 * submitted it enters the kernel, which a sidecore that has handed the poller on, or a vCPU thread
 * in guest mode, need not do for long. The thread that submitted may end before: what the kernel
 * does not finish then comes back cancelled, and is sent again here.
 *
 * An image in memory (tmpfs) is read and written by the owner itself: that is a copy, and for
 * io_uring tmpfs makes none without a kernel thread (it lacks FMODE_NOWAIT), at several times the
 * cost. The owner waits only for pages that were swapped out.
 *
 * What is promised: an operation is done when all of it is; short transfers go on. After a flush
 * failed, all later flushes of the queue fail: the kernel forgets data that it could not write,
 * and would call the next flush a success.
 */
#ifndef SX_SIDECORE_BACKEND_FILE_IO_H
#define SX_SIDECORE_BACKEND_FILE_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ipc/error.h"
#include "sidecore/backend/file.h"

enum sx_file_verb {
	SX_FILE_READ,
	SX_FILE_WRITE,
	SX_FILE_FLUSH, /* all operations that came back before it was given are on stable storage */
	SX_FILE_DISCARD, /* the contents may go; a hint */
	SX_FILE_ZERO,    /* reads as zeros afterwards */
};

/*
 * An operation; its owner's from the time it comes back. Offset and length are multiples of the
 * image's block size and lie in it; the segments have `len` bytes.
 */
struct sx_file_op {
	enum sx_file_verb verb;
	bool durable;   /* WRITE, ZERO: on stable storage before it comes back */
	bool may_unmap; /* ZERO: the image may become sparse there */
	uint64_t offset;
	uint64_t len;
	struct iovec *seg; /* READ, WRITE; used up */
	unsigned segs;

	int result;    /* 0, or a negative errno */
	uint64_t done; /* READ, WRITE: so many bytes were, from the start */

	/* The queue's. */
	struct sx_file_op *next;
	const uint8_t *way;
	unsigned tries;
	bool syncing;
	void *bounce;
	struct iovec one;
};

/* Written by the owner; others may look at them, each number stands alone. */
struct sx_file_stats {
	uint64_t entries; /* handed to the kernel */
	uint64_t submits; /* system calls that did so; entries : submits is the size of a batch */
	uint64_t again;   /* entries that were sent again: cut short, interrupted, cancelled */
	uint64_t bounced; /* transfers by way of a bounce buffer */
	uint64_t syncs;   /* fdatasync(2); one may serve several flushes */
};

struct sx_file_queue;

/*
 * A queue for up to @depth operations at a time. Where the host does not allow io_uring this says
 * so; it does not look for something else.
 */
int sx_file_queue_open(struct sx_file_queue **queue, const struct sx_file *file, unsigned depth,
		       struct sx_error *err);
/*
 * Waits until the kernel is done with everything that is under way; what was not sent yet, is not.
 * No operation comes back. NULL is allowed.
 */
void sx_file_queue_close(struct sx_file_queue *q);

/* Give @op to the queue. The kernel sees it at the next submit. */
void sx_file_start(struct sx_file_queue *q, struct sx_file_op *op);

/*
 * Hand to the kernel what was started: one system call, none if there is nothing. False when it
 * takes none for now; it is tried again at each call, and by reap.
 */
bool sx_file_submit(struct sx_file_queue *q);

/* The next operation that is done, or NULL. */
struct sx_file_op *sx_file_reap(struct sx_file_queue *q);

/* poll(2) and epoll find it readable when there is something to reap, but for flawed operations
 * that never reach the kernel: reap after submit. */
int sx_file_queue_fd(const struct sx_file_queue *q);

void sx_file_queue_stats(const struct sx_file_queue *q, struct sx_file_stats *stats);

#endif
