// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/mailbox.h"

#include <errno.h>

#include "ipc/wire/types.h"

#if defined(__has_feature)
#define SX_TSAN __has_feature(thread_sanitizer)
#else
#define SX_TSAN 0
#endif

/*
 * liburcu orders its queue by instructions that ThreadSanitizer does not know; in its build the
 * queue's promise is told to it: what was written before a node was enqueued is seen by who
 * dequeues it.
 */
#if SX_TSAN
#include <sanitizer/tsan_interface.h>
#define QUEUE_RELEASE(mb) __tsan_release(mb)
#define QUEUE_ACQUIRE(mb) __tsan_acquire(mb)
#else
#define QUEUE_RELEASE(mb) ((void)(mb))
#define QUEUE_ACQUIRE(mb) ((void)(mb))
#endif

/* Of `senders`. */
#define CLOSED 1u
#define SENDER 2u

void sx_mailbox_init(struct sx_mailbox *mb, void (*wake)(void *ctx), void *ctx)
{
	cds_wfcq_init(&mb->head, &mb->tail);
	mb->senders = 0;
	mb->wake = wake;
	mb->ctx = ctx;
}

/* Wait until no sender is inside. Acquire pairs with the release in leave(). */
static void await_senders(const struct sx_mailbox *mb)
{
	while (sx_load_acquire(&mb->senders) >= SENDER)
		sx_pause();
}

void sx_mailbox_destroy(struct sx_mailbox *mb)
{
	await_senders(mb);
	cds_wfcq_destroy(&mb->head, &mb->tail);
}

/* Tell a closing owner that we are about to send; false: it has closed. */
static bool enter(struct sx_mailbox *mb)
{
	/* Atomic with the one in sx_mailbox_close(): either it waits for us or we see it. */
	return !(__atomic_fetch_add(&mb->senders, SENDER, __ATOMIC_ACQUIRE) & CLOSED);
}

/* Release pairs with the acquire in await_senders(): the mail is queued. */
static void leave(struct sx_mailbox *mb)
{
	__atomic_fetch_sub(&mb->senders, SENDER, __ATOMIC_RELEASE);
}

int sx_mailbox_send(struct sx_mailbox *mb, struct sx_mail *m, void (*run)(void *), void *ctx)
{
	if (!enter(mb)) {
		leave(mb);
		return -ESHUTDOWN;
	}
	cds_wfcq_node_init(&m->node);
	m->run = run;
	m->ctx = ctx;
	m->done = 0;
	m->released = 0;
	m->sender.asleep = 0;
	/* Wait-free; its xchg publishes *m to the dequeue in sx_mailbox_run(). */
	QUEUE_RELEASE(mb);
	cds_wfcq_enqueue(cds_wfcq_head_cast(&mb->head), &mb->tail, &m->node);
	if (mb->wake)
		mb->wake(mb->ctx);
	leave(mb);
	return 0;
}

void sx_mail_wait(struct sx_mail *m)
{
	static const struct sx_wait_policy policy = {SX_SPIN_PAUSE, 20000};

	/* Pairs with the release in sx_mailbox_run(). */
	sx_wait_until(&policy, &m->sender, &m->done, 1);
	/* The owner may still be inside sx_waiter_wake() on m->sender. */
	while (!sx_load_acquire(&m->released))
		sx_pause();
}

unsigned sx_mailbox_run(struct sx_mailbox *mb)
{
	struct cds_wfcq_node *node;
	unsigned count = 0;

	for (;;) {
		struct sx_mail *m;

		/*
		 * The owner is the only dequeuer, so no lock is needed. It does not wait for a
		 * sender that was interrupted while enqueueing: that mail, still pending, is there
		 * next time.
		 */
		node = __cds_wfcq_dequeue_nonblocking(cds_wfcq_head_cast(&mb->head), &mb->tail);
		if (!node || node == CDS_WFCQ_WOULDBLOCK)
			return count;
		QUEUE_ACQUIRE(mb);
		m = caa_container_of(node, struct sx_mail, node);
		m->run(m->ctx);
		/* Both pair with the acquires in sx_mail_wait(). */
		sx_store_release(&m->done, 1u);
		sx_waiter_wake(&m->sender);
		sx_store_release(&m->released, 1u);
		count++;
	}
}

unsigned sx_mailbox_close(struct sx_mailbox *mb)
{
	/* Relaxed: what was sent is seen by await_senders(). */
	__atomic_fetch_or(&mb->senders, CLOSED, __ATOMIC_RELAXED);
	await_senders(mb);
	return sx_mailbox_run(mb);
}
