// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/byte_queue.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MASK (SX_BYTE_QUEUE_SIZE - 1)

_Static_assert((SX_BYTE_QUEUE_SIZE & MASK) == 0, "positions are taken modulo a power of two");

int sx_byte_queue_init(struct sx_byte_queue *q, struct sx_error *err)
{
	memset(q, 0, sizeof(*q));
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0)
		return sx_fail(err, -errno,
			       "cannot create an eventfd for a byte queue: %s; raise the limit of "
			       "open files by ulimit -n",
			       strerror(errno));
	return 0;
}

void sx_byte_queue_destroy(struct sx_byte_queue *q)
{
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
}

static uint32_t at_most(uint32_t count, uint32_t limit)
{
	return count < limit ? count : limit;
}

/* ---- producer ---- */

uint32_t sx_byte_queue_room(const struct sx_byte_queue *q)
{
	/* Pairs with the release in sx_byte_queue_pull(): it has read what we overwrite. */
	return SX_BYTE_QUEUE_SIZE - (q->head - sx_load_acquire(&q->tail));
}

bool sx_byte_queue_drained(const struct sx_byte_queue *q)
{
	/* Pairs with the release in sx_byte_queue_pull(). */
	return sx_load_acquire(&q->tail) == q->head;
}

static void announce(struct sx_byte_queue *q)
{
	const uint64_t one = 1;

	/* Fails only when 2^64 - 2 announcements are unread; then it is readable already. */
	if (write(q->fd, &one, sizeof(one)) < 0)
		return;
}

uint32_t sx_byte_queue_push(struct sx_byte_queue *q, const void *bytes, uint32_t count)
{
	uint32_t head = q->head;
	uint32_t at = head & MASK;
	uint32_t n = at_most(count, sx_byte_queue_room(q));
	uint32_t straight = at_most(n, SX_BYTE_QUEUE_SIZE - at);

	if (!n)
		return 0;
	memcpy(q->bytes + at, bytes, straight);
	memcpy(q->bytes, (const uint8_t *)bytes + straight, n - straight);
	/* Pairs with the acquire in sx_byte_queue_waiting(): the bytes come before the head. */
	sx_store_release(&q->head, head + n);
	/*
	 * Our head before their tail; pairs with the fence in sx_byte_queue_pull(). Either the
	 * consumer, having pulled everything older, sees the new head and does not sleep, or we
	 * see its tail and announce.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (sx_load_relaxed(&q->tail) == head)
		announce(q);
	return n;
}

/* ---- consumer ---- */

uint32_t sx_byte_queue_waiting(const struct sx_byte_queue *q)
{
	/* Pairs with the release in sx_byte_queue_push(). */
	return sx_load_acquire(&q->head) - q->tail;
}

uint32_t sx_byte_queue_pull(struct sx_byte_queue *q, void *bytes, uint32_t max)
{
	uint32_t at = q->tail & MASK;
	uint32_t n = at_most(max, sx_byte_queue_waiting(q));
	uint32_t straight = at_most(n, SX_BYTE_QUEUE_SIZE - at);

	if (!n)
		return 0;
	memcpy(bytes, q->bytes + at, straight);
	memcpy((uint8_t *)bytes + straight, q->bytes, n - straight);
	/* Pairs with the acquires in sx_byte_queue_room() and sx_byte_queue_drained(). */
	sx_store_release(&q->tail, q->tail + n);
	/* Our tail before the head at our next look; pairs with the fence in push. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return n;
}

void sx_byte_queue_ack(struct sx_byte_queue *q)
{
	uint64_t drop;

	/* EAGAIN when it was not readable. */
	if (read(q->fd, &drop, sizeof(drop)) < 0)
		return;
}
