// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/mailbox.h"

#include "ipc/wire/types.h"

void sx_mailbox_init(struct sx_mailbox *mb)
{
	cds_wfcq_init(&mb->head, &mb->tail);
}

void sx_mailbox_destroy(struct sx_mailbox *mb)
{
	cds_wfcq_destroy(&mb->head, &mb->tail);
}

void sx_mailbox_send(struct sx_mailbox *mb, struct sx_mail *m, void (*run)(void *), void *ctx)
{
	cds_wfcq_node_init(&m->node);
	m->run = run;
	m->ctx = ctx;
	m->done = 0;
	m->released = 0;
	m->sender.asleep = 0;
	/* Wait-free; its xchg publishes *m to the dequeue in sx_mailbox_run(). */
	cds_wfcq_enqueue(cds_wfcq_head_cast(&mb->head), &mb->tail, &m->node);
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
		m = caa_container_of(node, struct sx_mail, node);
		m->run(m->ctx);
		/* Both pair with the acquires in sx_mail_wait(). */
		sx_store_release(&m->done, 1u);
		sx_waiter_wake(&m->sender);
		sx_store_release(&m->released, 1u);
		count++;
	}
}
