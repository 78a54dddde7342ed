// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/sidecore.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "ipc/rcu.h"
#include "ipc/thread.h"
#include "ipc/wire/types.h"

#define NAME_SIZE 32

/* A drain ends after this time even if a guest keeps posting. */
#define DRAIN_NS 2000000000u

#define NO_POLLER UINT32_MAX /* `current` between turns */

/*
 * A turn of an idle loop should cost little but its polls, and reading the TSC alone costs as much
 * as some of those. So the RCU quiescent state, the mail and the timing of busy cycles come once in
 * this many turns; a timed turn stands for all of them.
 */
#define TURNS_PER_HOUSEKEEPING 16

/* Idle turns between two looks at the clock. */
#define TURNS_PER_CLOCK 256

/* Naps double while they end without work, up to so many of the first length. */
#define LONGEST_NAP 16

/* What a turn reads of a poller, side by side. */
struct slot {
	unsigned (*poll)(void *ctx);
	void *ctx;
};

struct sx_sidecore {
	/* The loop's own; first, so that a turn touches few lines. */
	unsigned count;
	struct slot slot[SX_SIDECORE_MAX_POLLERS];
	struct sx_poller *poller[SX_SIDECORE_MAX_POLLERS];
	unsigned sleepless; /* pollers without sleep() */
	bool stopping;
	uint64_t idle_since_ns; /* 0: not idle */
	uint64_t nap_ns;        /* the next nap's length; 0: no nap since there was work */
	struct sx_sidecore_config config;

	/* Written by the loop, read by statistics and watchdog. Relaxed: each stands alone. */
	uint64_t turns __attribute__((aligned(SX_CACHE_LINE)));
	uint32_t current; /* slot being polled, or NO_POLLER */
	uint64_t busy_tsc;
	uint64_t sleeps;
	uint64_t start_tsc;
	char name[SX_SIDECORE_MAX_POLLERS][NAME_SIZE];

	/* Written by others. */
	struct sx_mailbox mailbox __attribute__((aligned(SX_CACHE_LINE)));
	int kick_fd;
	pthread_t thread;
};

/* ---- the loop ---- */

static void add_busy(struct sx_sidecore *sc, unsigned i, uint64_t *stamp)
{
	uint64_t now = __rdtsc();
	uint64_t cycles = (now - *stamp) * TURNS_PER_HOUSEKEEPING;

	sx_count(&sc->poller[i]->busy_tsc, cycles);
	sx_count(&sc->busy_tsc, cycles);
	*stamp = now;
}

/* One look at each poller; returns the items done. */
static inline __attribute__((always_inline)) unsigned turn(struct sx_sidecore *sc, bool timed)
{
	uint64_t stamp = timed ? __rdtsc() : 0;
	unsigned total = 0;

	for (unsigned i = 0; i < sc->count; i++) {
		unsigned items;

		sx_store_relaxed(&sc->current, i);
		items = sc->slot[i].poll(sc->slot[i].ctx);
		if (__builtin_expect(items == 0, 1))
			continue;
		sx_count(&sc->poller[i]->hits, 1);
		sx_count(&sc->poller[i]->work, items);
		total += items;
		if (timed)
			add_busy(sc, i, &stamp);
	}
	sx_store_relaxed(&sc->current, NO_POLLER);
	sx_store_relaxed(&sc->turns, sc->turns + 1);
	return total;
}

/* As long as nothing comes, each nap is longer than the one before. */
static void choose_nap(struct sx_sidecore *sc)
{
	if (!sc->nap_ns)
		sc->nap_ns = sc->config.nap_ns;
	else if (sc->nap_ns < LONGEST_NAP * sc->config.nap_ns)
		sc->nap_ns *= 2;
}

static void nap(struct sx_sidecore *sc)
{
	struct pollfd fd = {.fd = sc->kick_fd, .events = POLLIN};
	struct timespec limit = {.tv_sec = (time_t)(sc->nap_ns / 1000000000u),
				 .tv_nsec = (long)(sc->nap_ns % 1000000000u)};
	uint64_t drop;

	sx_store_relaxed(&sc->sleeps, sc->sleeps + 1);
	rcu_thread_offline();
	ppoll(&fd, 1, sc->sleepless ? &limit : NULL, NULL);
	rcu_thread_online();
	/* Reset the eventfd; EAGAIN when the nap ended by itself. */
	if (read(sc->kick_fd, &drop, sizeof(drop)) < 0)
		return;
}

/* Sleep unless a poller finds work once all others have been told to wake us. */
static void sleep_if_idle(struct sx_sidecore *sc)
{
	unsigned work = 0;
	unsigned armed = 0;

	for (; armed < sc->count && !work; armed++)
		if (sc->poller[armed]->sleep)
			work = sc->poller[armed]->sleep(sc->poller[armed]->ctx);
	if (!work && !sx_mailbox_pending(&sc->mailbox)) {
		choose_nap(sc);
		nap(sc);
	}
	for (unsigned i = 0; i < armed; i++)
		if (sc->poller[i]->awake)
			sc->poller[i]->awake(sc->poller[i]->ctx);
}

static void idle(struct sx_sidecore *sc)
{
	bool napped = sc->nap_ns != 0; /* then one look is enough to take the next nap */

	sx_wait_breath(&sc->config.wait, &sc->mailbox);
	if (!sc->config.wait.idle_ns || (!napped && sc->turns % TURNS_PER_CLOCK))
		return;
	if (!sc->idle_since_ns) {
		sc->idle_since_ns = sx_now_ns();
	} else if (napped || sx_now_ns() - sc->idle_since_ns >= sc->config.wait.idle_ns) {
		sleep_if_idle(sc);
	}
}

static void drain(struct sx_sidecore *sc)
{
	uint64_t end = sx_now_ns() + DRAIN_NS;

	while (turn(sc, false) && sx_now_ns() < end)
		rcu_quiescent_state();
}

static void housekeeping(struct sx_sidecore *sc)
{
	rcu_quiescent_state();
	if (sx_mailbox_pending(&sc->mailbox))
		sx_mailbox_run(&sc->mailbox);
}

static void *loop(void *arg)
{
	struct sx_sidecore *sc = arg;

	sx_rcu_register();
	sc->start_tsc = __rdtsc();
	while (!sc->stopping) {
		bool due = !sc->count || sc->turns % TURNS_PER_HOUSEKEEPING == 0;

		/* Nothing to poll: nothing but mail can change that. */
		if (!sc->count)
			nap(sc);
		else if (due ? turn(sc, true) : turn(sc, false))
			sc->idle_since_ns = sc->nap_ns = 0;
		else
			idle(sc);
		if (due)
			housekeeping(sc);
	}
	drain(sc);
	/* What came meanwhile. From here on nobody would look. */
	sx_mailbox_close(&sc->mailbox);
	sx_rcu_unregister();
	return NULL;
}

/* ---- control, run by mail on the loop's thread ---- */

struct request {
	struct sx_sidecore *sc;
	struct sx_poller *p;
	int rc;
};

static void do_add(void *ctx)
{
	struct request *r = ctx;
	struct sx_sidecore *sc = r->sc;
	unsigned i = sc->count;

	if (i == SX_SIDECORE_MAX_POLLERS) {
		r->rc = -ENOSPC;
		return;
	}
	sc->slot[i] = (struct slot){r->p->poll, r->p->ctx};
	sc->poller[i] = r->p;
	strncpy(sc->name[i], r->p->name, NAME_SIZE - 1);
	sx_store_relaxed(&r->p->turn_joined, sc->turns); /* no pair: sx_poller_stats() */
	sc->sleepless += !r->p->sleep;
	sc->count++;
	/*
	 * Here, before the loop can sleep on the poller's behalf: whoever then finds it asleep
	 * finds us too. Pairs with the acquire in sx_poller_kick().
	 */
	sx_store_release(&r->p->sidecore, sc);
}

static void sync_polls(struct sx_sidecore *sc, struct sx_poller *p)
{
	sx_count(&p->polls, sc->turns - p->turn_joined);
	sx_store_relaxed(&p->turn_joined, sc->turns); /* no pair: sx_poller_stats() */
}

static void do_remove(void *ctx)
{
	struct request *r = ctx;
	struct sx_sidecore *sc = r->sc;
	unsigned i = 0;

	while (sc->poller[i] != r->p)
		i++;
	sync_polls(sc, r->p);
	sc->sleepless -= !r->p->sleep;
	/* The order of the others stays: it is the order in which they are served. */
	for (sc->count--; i < sc->count; i++) {
		sc->slot[i] = sc->slot[i + 1];
		sc->poller[i] = sc->poller[i + 1];
		memcpy(sc->name[i], sc->name[i + 1], NAME_SIZE);
	}
}

static void do_sync(void *ctx)
{
	struct sx_sidecore *sc = ctx;

	for (unsigned i = 0; i < sc->count; i++)
		sync_polls(sc, sc->poller[i]);
}

static void do_stop(void *ctx)
{
	((struct sx_sidecore *)ctx)->stopping = true;
}

static void nothing(void *ctx)
{
	(void)ctx;
}

int sx_sidecore_send(struct sx_sidecore *sc, struct sx_mail *mail, void (*fn)(void *), void *ctx)
{
	return sx_mailbox_send(&sc->mailbox, mail, fn, ctx);
}

int sx_sidecore_call(struct sx_sidecore *sc, void (*fn)(void *), void *ctx)
{
	struct sx_mail mail;
	int rc = sx_sidecore_send(sc, &mail, fn, ctx);

	if (rc == 0)
		sx_mail_wait(&mail);
	return rc;
}

int sx_sidecore_add(struct sx_sidecore *sc, struct sx_poller *p)
{
	struct request r = {.sc = sc, .p = p};

	int rc;

	if (p->sidecore)
		return -EBUSY;
	rc = sx_sidecore_call(sc, do_add, &r);
	return rc < 0 ? rc : r.rc;
}

void sx_sidecore_remove(struct sx_poller *p)
{
	struct request r = {.sc = p->sidecore, .p = p};

	if (!r.sc)
		return;
	/* It stops, and lets go of all its pollers: acquire pairs with the release there. */
	if (sx_sidecore_call(r.sc, do_remove, &r) < 0)
		while (sx_load_acquire(&p->sidecore) == r.sc)
			sched_yield();
	/* Pairs with the acquire in sx_poller_kick(). */
	sx_store_release(&p->sidecore, (struct sx_sidecore *)NULL);
}

int sx_sidecore_move(struct sx_sidecore *to, struct sx_poller *p)
{
	struct sx_sidecore *from = p->sidecore;
	int rc;

	sx_sidecore_remove(p);
	rc = sx_sidecore_add(to, p);
	/* A full target refuses; the poller goes back to where there was room for it. */
	if (rc < 0 && from && sx_sidecore_add(from, p) < 0)
		return -ENOSPC;
	return rc;
}

void sx_sidecore_sync(struct sx_sidecore *sc)
{
	/* One that refuses, for it stops, brings them up to date by itself. */
	sx_sidecore_call(sc, do_sync, sc);
}

void sx_sidecore_kick(struct sx_sidecore *sc)
{
	const uint64_t one = 1;

	/* Fails only when 2^64 - 2 kicks are pending, and then it is awake soon anyway. */
	if (write(sc->kick_fd, &one, sizeof(one)) < 0)
		return;
}

static void wake(void *sidecore)
{
	sx_sidecore_kick(sidecore);
}

void sx_poller_kick(struct sx_poller *p)
{
	struct sx_sidecore *sc;

	/*
	 * The caller saw that its consumer is asleep; look for the sidecore after that. Pairs with
	 * the fence in sx_waiter_wake(), which the loop passes between do_add() and its sleep.
	 */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	/* Pairs with the releases in do_add() and sx_sidecore_remove(). */
	sc = sx_load_acquire(&p->sidecore);
	if (sc)
		sx_sidecore_kick(sc);
}

int sx_sidecore_kick_fd(const struct sx_sidecore *sc)
{
	return sc->kick_fd;
}

/* ---- start and stop ---- */

static int start_thread(struct sx_sidecore *sc, struct sx_error *err)
{
	int rc = sx_thread_start(&sc->thread, sc->config.cpu, sc->config.rt_priority, loop, sc);

	if (rc == -EPERM)
		return sx_fail(err, rc,
			       "no permission for real-time scheduling; run as root, raise the "
			       "rtprio limit, or leave out --rt");
	if (rc == -EINVAL)
		return sx_fail(err, rc,
			       "cannot run a sidecore on CPU %d: it is offline or not there; "
			       "choose another by --sidecores",
			       sc->config.cpu);
	if (rc < 0)
		return sx_fail(err, rc, "cannot start a sidecore's thread: %s", strerror(-rc));
	return 0;
}

int sx_sidecore_start(struct sx_sidecore **out, const struct sx_sidecore_config *config,
		      struct sx_error *err)
{
	struct sx_sidecore *sc = aligned_alloc(SX_CACHE_LINE, sizeof(*sc));
	int rc;

	if (!sc)
		return -ENOMEM;
	memset(sc, 0, sizeof(*sc));
	sc->config = *config;
	sc->current = NO_POLLER;
	sc->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sc->kick_fd < 0) {
		rc = sx_fail(err, -errno, "cannot create a sidecore's eventfd: %s",
			     strerror(errno));
		goto fail;
	}
	/* It may sleep, also for want of pollers. */
	sx_mailbox_init(&sc->mailbox, wake, sc);
	rc = start_thread(sc, err);
	if (rc < 0)
		goto fail_mailbox;
	sx_sidecore_call(sc, nothing, NULL);
	*out = sc;
	return 0;

fail_mailbox:
	sx_mailbox_destroy(&sc->mailbox);
	close(sc->kick_fd);
fail:
	free(sc);
	return rc;
}

void sx_sidecore_stop(struct sx_sidecore *sc)
{
	if (!sc)
		return;
	sx_sidecore_call(sc, do_stop, sc);
	pthread_join(sc->thread, NULL);
	for (unsigned i = 0; i < sc->count; i++) {
		sync_polls(sc, sc->poller[i]);
		sx_store_release(&sc->poller[i]->sidecore, (struct sx_sidecore *)NULL);
	}
	/* Whoever is about to kick us, for a poller that was here, has done so after this. */
	synchronize_rcu();
	sx_mailbox_destroy(&sc->mailbox);
	close(sc->kick_fd);
	free(sc);
}

/* ---- looks from outside ---- */

void sx_sidecore_stats(const struct sx_sidecore *sc, struct sx_sidecore_stats *stats)
{
	*stats = (struct sx_sidecore_stats){
		.turns = sx_load_relaxed(&sc->turns),
		.busy_tsc = sx_load_relaxed(&sc->busy_tsc),
		.total_tsc = __rdtsc() - sc->start_tsc,
		.sleeps = sx_load_relaxed(&sc->sleeps),
		.pollers = sx_load_relaxed(&sc->count),
		.cpu = sc->config.cpu,
	};
}

void sx_poller_stats(const struct sx_poller *p, struct sx_poller_stats *stats)
{
	/* Pairs with the releases in do_add() and sx_sidecore_remove(). */
	const struct sx_sidecore *sc = sx_load_acquire(&p->sidecore);

	*stats = (struct sx_poller_stats){
		.polls = sx_load_relaxed(&p->polls),
		.hits = sx_load_relaxed(&p->hits),
		.work = sx_load_relaxed(&p->work),
	};
	/* Turns are counted for all pollers at once, and settled when one leaves. */
	if (sc)
		stats->polls += sx_load_relaxed(&sc->turns) - sx_load_relaxed(&p->turn_joined);
}

bool sx_sidecore_watch(const struct sx_sidecore *sc, struct sx_watchdog *dog, uint64_t limit_ns,
		       char *name, unsigned name_size, uint64_t *held_ns)
{
	uint64_t turns = sx_load_relaxed(&sc->turns);
	uint32_t current = sx_load_relaxed(&sc->current);
	uint64_t now = sx_now_ns();

	if (turns != dog->turn || current == NO_POLLER || !dog->since_ns) {
		*dog = (struct sx_watchdog){.turn = turns, .since_ns = now};
		return false;
	}
	*held_ns = now - dog->since_ns;
	if (dog->reported || *held_ns < limit_ns)
		return false;
	dog->reported = true;
	strncpy(name, sc->name[current], name_size - 1);
	name[name_size - 1] = '\0';
	return true;
}
