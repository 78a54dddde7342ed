// SPDX-License-Identifier: BSD-3-Clause
/*
 * A sidecore: one thread, one core, one loop over its pollers.
 *
 * Between turns of the loop, every few of them, the thread is in an RCU quiescent state and reads
 * its mail. Without pollers it sleeps until mail comes. Pollers are added, removed and moved while
 * it runs by such mail, so a poller is never in two loops and its state goes along whole.
 */
#ifndef SX_SIDECORE_SIDECORE_H
#define SX_SIDECORE_SIDECORE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"
#include "ipc/mailbox.h"
#include "ipc/wait.h"
#include "sidecore/poller.h"

#define SX_SIDECORE_MAX_POLLERS 256

struct sx_sidecore;

struct sx_sidecore_config {
	int cpu;                    /* OS index to bind to; -1: anywhere */
	int rt_priority;            /* SCHED_FIFO priority; 0: the normal scheduler */
	struct sx_wait_policy wait; /* how to spin, and when to sleep */
	/*
	 * While a poller cannot be woken for, the first sleep is at most this long; as long as
	 * nothing comes, each is twice the one before, up to 16 times this.
	 */
	uint64_t nap_ns;
};

/* Poll for ever, never sleep. */
#define SX_SIDECORE_POLL(CPU) \
	((struct sx_sidecore_config){.cpu = (CPU), .wait = SX_WAIT_POLL, .nap_ns = 50000})

/* Start the thread; returns when it runs on its core. */
int sx_sidecore_start(struct sx_sidecore **sc, const struct sx_sidecore_config *config,
		      struct sx_error *err);

/*
 * Stop with drain: the loop goes on until a whole turn found no work (or a set time has
 * passed), then ends. Pollers still there are removed. NULL is allowed.
 *
 * This and the calls below: any thread but a sidecore's, and not as an online RCU reader. They
 * return when it has happened. Those that are under way in other threads while it stops are either
 * done or refused with -ESHUTDOWN; nobody may begin one once this has returned.
 */
void sx_sidecore_stop(struct sx_sidecore *sc);

/* -ENOSPC when the sidecore has SX_SIDECORE_MAX_POLLERS, -EBUSY when the poller runs already. */
int sx_sidecore_add(struct sx_sidecore *sc, struct sx_poller *p);
/* Take the poller from wherever it runs; nothing if it does not. */
void sx_sidecore_remove(struct sx_poller *p);
/* Hand it to another sidecore; what it has not yet taken stays for its next turn there. */
int sx_sidecore_move(struct sx_sidecore *to, struct sx_poller *p);

/*
 * Run @fn on the sidecore's thread, between two turns of its loop, and wait for it. -ESHUTDOWN,
 * and it is not run, when the sidecore stops.
 */
int sx_sidecore_call(struct sx_sidecore *sc, void (*fn)(void *), void *ctx);
/* The same without waiting: if it is not refused, sx_mail_wait() on @mail, which lives until then,
 * says when. */
int sx_sidecore_send(struct sx_sidecore *sc, struct sx_mail *mail, void (*fn)(void *), void *ctx);

/* Bring its pollers' `polls` up to date. */
void sx_sidecore_sync(struct sx_sidecore *sc);

/* Wake it from sleep. Any thread. */
void sx_sidecore_kick(struct sx_sidecore *sc);
/*
 * Wake whoever runs @p, after work was published for it; nothing while it is between two. As an
 * RCU reader, or where no sidecore can be stopped meanwhile.
 */
void sx_poller_kick(struct sx_poller *p);
/* An eventfd whose signal wakes it as sx_sidecore_kick() does; for KVM_IOEVENTFD. */
int sx_sidecore_kick_fd(const struct sx_sidecore *sc);

struct sx_sidecore_stats {
	uint64_t turns;
	uint64_t busy_tsc;  /* in parts of turns that found work */
	uint64_t total_tsc; /* since the start */
	uint64_t sleeps;
	unsigned pollers;
	int cpu;
};

/* A look from any thread; the numbers are each right, not all of one instant. */
void sx_sidecore_stats(const struct sx_sidecore *sc, struct sx_sidecore_stats *stats);

struct sx_poller_stats {
	uint64_t polls; /* times it was asked */
	uint64_t hits;  /* times it had work */
	uint64_t work;  /* items done */
};

/*
 * The same of a poller, wherever it runs. It waits for nobody. No sidecore is stopped, and the
 * poller is not added, moved or removed, meanwhile.
 */
void sx_poller_stats(const struct sx_poller *p, struct sx_poller_stats *stats);

/*
 * The watchdog, called now and then from any one thread. Returns true, once for each turn of the
 * loop that lasts longer than @limit_ns, with the name of the poller that holds it and for how
 * long.
 */
struct sx_watchdog {
	uint64_t turn;
	uint64_t since_ns;
	bool reported;
};

bool sx_sidecore_watch(const struct sx_sidecore *sc, struct sx_watchdog *dog, uint64_t limit_ns,
		       char *name, unsigned name_size, uint64_t *held_ns);

#endif
