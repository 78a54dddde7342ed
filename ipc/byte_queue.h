// SPDX-License-Identifier: BSD-3-Clause
/*
 * A byte queue between two threads: one pushes, one pulls, neither ever blocks.
 *
 * It stands between a device on a sidecore, which must not wait for a terminal, and the thread
 * that may. The consumer can sleep in poll() on the queue's eventfd, which becomes readable when
 * bytes come into an empty queue.
 */
#ifndef SX_IPC_BYTE_QUEUE_H
#define SX_IPC_BYTE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"
#include "ipc/wire/types.h"

#define SX_BYTE_QUEUE_SIZE 4096u /* a power of two */

struct sx_byte_queue {
	/* Bytes ever pushed and pulled, modulo 2^32; each on a line of its one writer. */
	uint32_t head __attribute__((aligned(SX_CACHE_LINE))); /* written by the producer */
	uint32_t tail __attribute__((aligned(SX_CACHE_LINE))); /* written by the consumer */
	int fd __attribute__((aligned(SX_CACHE_LINE)));        /* eventfd; -1: none */
	uint8_t bytes[SX_BYTE_QUEUE_SIZE];
};

int sx_byte_queue_init(struct sx_byte_queue *q, struct sx_error *err);
/* Neither side uses it any more. Nothing when q->fd is -1. */
void sx_byte_queue_destroy(struct sx_byte_queue *q);

/* ---- producer ---- */

/* How many bytes can be pushed now; it only grows until the producer pushes. */
uint32_t sx_byte_queue_room(const struct sx_byte_queue *q);

/* Has the consumer pulled all that was pushed? */
bool sx_byte_queue_drained(const struct sx_byte_queue *q);

/* Push as many of the @count bytes as there is room for; returns how many. */
uint32_t sx_byte_queue_push(struct sx_byte_queue *q, const void *bytes, uint32_t count);

/* ---- consumer ---- */

/* How many bytes can be pulled now; it only grows until the consumer pulls. */
uint32_t sx_byte_queue_waiting(const struct sx_byte_queue *q);

/* Pull at most @max bytes; returns how many, 0 when the queue is empty. */
uint32_t sx_byte_queue_pull(struct sx_byte_queue *q, void *bytes, uint32_t max);

/*
 * Make the eventfd unreadable again. A consumer that sleeps wakes, calls this, and pulls until it
 * gets 0; only then may it sleep again: bytes that come into a queue that is not empty are not
 * announced.
 */
void sx_byte_queue_ack(struct sx_byte_queue *q);

#endif
