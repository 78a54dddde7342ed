// SPDX-License-Identifier: BSD-3-Clause
/*
 * A many-to-one mailbox for control work: any thread sends a function to be run by the one thread
 * that owns the mailbox. For set-up, hand-over and stop; data never takes this way.
 */
#ifndef SX_IPC_MAILBOX_H
#define SX_IPC_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <urcu/wfcqueue.h>

#include "ipc/wait.h"

struct sx_mail {
	struct cds_wfcq_node node;
	void (*run)(void *ctx);
	void *ctx;
	uint32_t done;     /* 1 once run() has returned */
	uint32_t released; /* 1 once the owner touches this memory no more */
	struct sx_waiter sender;
};

struct sx_mailbox {
	struct cds_wfcq_head head;
	struct cds_wfcq_tail tail;
	uint32_t senders; /* twice as many as are in sx_mailbox_send(); and 1 once it is closed */
	void (*wake)(void *ctx);
	void *ctx;
};

/* @wake, if any, is called by a sender once its mail is there, for an owner that may sleep. */
void sx_mailbox_init(struct sx_mailbox *mb, void (*wake)(void *ctx), void *ctx);
/* Nobody sends any more, but for those who are just being refused. */
void sx_mailbox_destroy(struct sx_mailbox *mb);

/*
 * Queue @m, whose memory stays the sender's until sx_mail_wait() returns. Any thread. What is
 * queued is run for certain. -ESHUTDOWN when the mailbox is closed: then @m is not queued, and must
 * not be waited for.
 */
int sx_mailbox_send(struct sx_mailbox *mb, struct sx_mail *m, void (*run)(void *), void *ctx);

/* Wait until the owner has run @m. Not from the owner, and not as an online RCU reader. */
void sx_mail_wait(struct sx_mail *m);

/* Owner only: is there mail? One load. */
static inline bool sx_mailbox_pending(struct sx_mailbox *mb)
{
	return !cds_wfcq_empty(cds_wfcq_head_cast(&mb->head), &mb->tail);
}

/* Owner only: run all that is queued, without ever waiting for a sender; returns how many. */
unsigned sx_mailbox_run(struct sx_mailbox *mb);

/*
 * Owner only, which will look no more: take no more mail, and run all that has been taken. Returns
 * how many that were.
 */
unsigned sx_mailbox_close(struct sx_mailbox *mb);

#endif
