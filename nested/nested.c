// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipc/rcu.h"
#include "ipc/thread.h"
#include "nested/l2_insn.h"
#include "nested/nested_internal.h"

/* ---- L2's core ---- */

/* Turns without a message after which whoever shares the core, if anybody does, may have it. */
#define PATIENCE 20000u
#define NAP_NS   50000

/*
 * There was no message. Where L1 has a current VMCS its next entry is waited for; where it has none
 * there is no L2 to be run, and the core is others' for a while.
 */
static unsigned rest(const struct sx_l1 *l1, unsigned idle)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};

	if (idle < PATIENCE) {
		sx_pause();
		return idle + 1;
	}
	if (l1->vmx.current != SX_VMX_NONE) {
		sched_yield();
		return 0;
	}
	rcu_thread_offline();
	nanosleep(&nap, NULL);
	rcu_thread_online();
	return idle;
}

/* Polls its line: while there is an L2, nothing else is to be done on its core. */
static void *core_main(void *arg)
{
	struct sx_l1 *l1 = arg;
	unsigned idle = 0;

	sx_rcu_register();
	/* Pairs with the release in stop_core(). */
	while (!sx_load_acquire(&l1->stop)) {
		idle = sx_l1_poll(l1) ? 0 : rest(l1, idle);
		rcu_quiescent_state();
	}
	sx_rcu_unregister();
	return NULL;
}

static int start_core(struct sx_l1 *l1, int cpu, struct sx_error *err)
{
	int rc;

	l1->stop = 0;
	l1->time.alarm_ns = 0; /* what was set was for another thread */
	rc = sx_thread_start(&l1->core, cpu, 0, core_main, l1);
	if (rc < 0)
		return sx_fail(err, rc, "cannot start the thread of L2's core %d: %s", cpu,
			       strerror(-rc));
	l1->has_core = true;
	return 0;
}

static void stop_core(struct sx_l1 *l1)
{
	if (!l1->has_core)
		return;
	/* Pairs with the acquires in core_main() and must_stop(). */
	sx_store_release(&l1->stop, 1u);
	sx_l2_interrupt(l1);
	pthread_join(l1->core, NULL);
	l1->has_core = false;
}

/* ---- places ---- */

static uint32_t flags_of(enum sx_nested_place place)
{
	switch (place) {
	case SX_NESTED_TRAP:
		return SX_LINE_KICK_EACH;
	case SX_NESTED_COLOCATED:
		return SX_LINE_KICK_ENTRY;
	default:
		return 0;
	}
}

static void stop_cores(struct sx_nested *n)
{
	for (unsigned i = 0; i < n->config.vcpus; i++)
		stop_core(&n->l1[i]);
}

int sx_nested_set_place(struct sx_nested *n, enum sx_nested_place place, const int *cpus,
			struct sx_error *err)
{
	int rc = 0;

	stop_cores(n);
	n->place = place;
	for (unsigned i = 0; rc == 0 && i < n->config.vcpus; i++) {
		n->l1[i].line->flags = flags_of(place);
		rc = sx_tsc_offset(n->config.vcpu[i].fd, &n->l1[i].tsc_offset);
	}
	if (rc < 0)
		return sx_fail(err, rc,
			       "KVM does not tell the guest's TSC offset (Linux 5.16 does): %s",
			       strerror(-rc));
	for (unsigned i = 0; place == SX_NESTED_PARALLEL && rc == 0 && i < n->config.vcpus; i++)
		rc = start_core(&n->l1[i], cpus ? cpus[i] : -1, err);
	if (rc < 0)
		stop_cores(n);
	return rc;
}

static unsigned poll(void *ctx)
{
	return sx_l1_poll(ctx);
}

struct sx_poller *sx_nested_poller(struct sx_nested *n, unsigned vcpu)
{
	return &n->l1[vcpu].poller;
}

/* ---- kicks ---- */

/* Is a message on the line that its poller has neither answered nor handed over? */
static bool undecided(const struct sx_l1 *l1)
{
	/* Pairs with the release in publish_reply(). */
	uint32_t next = sx_load_acquire(&l1->position);
	const struct sx_ring *ring = l1->ring.ring;

	return !l1->refused &&
	       sx_load_relaxed(&ring->cell[next & l1->ring.mask].turn) == sx_turn_request(next);
}

/* COLOCATED: the sidecore looks at the entry; once it is good, L2 is run here. */
static void run_here(struct sx_l1 *l1)
{
	const struct sx_vcpu *v = &l1->nested->config.vcpu[l1->index];

	/* Pairs with the release in sx_l1_poll(). */
	while (sx_load_acquire(&l1->owner) != SX_LINE_RUNNER) {
		if (!undecided(l1) || sx_vcpu_stopping(v))
			return;
		sx_pause();
	}
	sx_l1_run_l2(l1);
	/* Pairs with the acquire in sx_l1_poll(). */
	sx_store_release(&l1->owner, SX_LINE_POLLER);
}

int sx_nested_kick(struct sx_nested *n, unsigned vcpu, uint64_t value)
{
	struct sx_l1 *l1;

	if (value >= n->config.vcpus)
		return SX_EXIT_CONTINUE; /* no such line: as a register that ignores it */
	l1 = &n->l1[value];
	if (n->place == SX_NESTED_PARALLEL)
		sx_l2_interrupt(l1);
	else if (value != vcpu)
		return SX_EXIT_CONTINUE; /* a line is served for its own vCPU only */
	else if (n->place == SX_NESTED_COLOCATED)
		run_here(l1);
	else
		sx_l1_poll(l1);
	return SX_EXIT_CONTINUE;
}

/* ---- MSRs ---- */

int sx_nested_rdmsr(struct sx_nested *n, unsigned vcpu, uint32_t index, uint64_t *value)
{
	return sx_vmx_rdmsr(&n->l1[vcpu].vmx, index, value);
}

int sx_nested_wrmsr(struct sx_nested *n, unsigned vcpu, uint32_t index, uint64_t value)
{
	return sx_vmx_wrmsr(&n->l1[vcpu].vmx, index, value);
}

/* ---- life ---- */

static int init_l1(struct sx_nested *n, unsigned i)
{
	struct sx_l1 *l1 = &n->l1[i];
	uint8_t *base = (uint8_t *)n->config.lines + (size_t)i * SX_LINE_STRIDE;
	struct sx_ring *ring = (struct sx_ring *)(void *)(base + SX_LINE_RING);

	l1->nested = n;
	l1->index = i;
	l1->owner = SX_LINE_POLLER;
	pthread_mutex_init(&l1->run_lock, NULL);
	l1->time.alarm.running = &l1->running;
	sx_vmx_init(&l1->vmx, &n->caps, &sx_l1_ops, l1);
	sx_ring_format(ring, SX_LINE_RING_ORDER, 0);
	sx_consumer_init(&l1->ring, ring, SX_LINE_RING_ORDER);
	l1->poller = (struct sx_poller){.name = "vmx-line", .poll = poll, .ctx = l1};
	l1->line = (struct sx_vmx_line *)(void *)base;
	l1->line->version = SX_WIRE_VERSION;
	l1->line->flags = flags_of(SX_NESTED_TRAP);
	l1->line->kick = n->config.kick;
	l1->line->kick_value = i;
	l1->line->current_vmcs = SX_VMX_NONE;
	sx_vmcs12_bitmap(&n->caps, l1->line->slots);
	l1->decoder = sx_l2_decoder_create();
	return l1->decoder ? 0 : -ENOMEM;
}

int sx_nested_create(struct sx_nested **out, const struct sx_nested_config *config,
		     struct sx_error *err)
{
	struct sx_nested *n = calloc(1, sizeof(*n));
	struct sx_cpuid host;
	int rc;

	if (!n)
		return sx_fail(err, -ENOMEM, "there is no memory for nested VMX");
	n->config = *config;
	n->l1 = calloc(config->vcpus, sizeof(*n->l1));
	if (!n->l1 || sx_l2_guests_open(n) < 0) {
		rc = sx_fail(err, -ENOMEM, "there is no memory for nested VMX");
		goto fail;
	}
	rc = sx_cpuid_get(&host, config->kvm, err);
	if (rc < 0)
		goto fail;
	n->tsc_khz = sx_vcpu_tsc_khz(&config->vcpu[0]);
	sx_l2_caps(&n->caps, &host, n->tsc_khz != 0);
	sx_cpuid_free(&host);
	pthread_mutex_init(&n->lock, NULL);
	rc = 0;
	for (unsigned i = 0; i < config->vcpus; i++)
		rc = init_l1(n, i) < 0 ? -ENOMEM : rc;
	if (rc < 0)
		sx_fail(err, rc, "there is no memory for nested VMX");
	else
		rc = sx_nested_set_place(n, SX_NESTED_TRAP, NULL, err);
	if (rc < 0) {
		sx_nested_destroy(n);
		return rc;
	}
	*out = n;
	return 0;

fail:
	sx_l2_guests_close(n);
	free(n->l1);
	free(n);
	return rc;
}

void sx_nested_destroy(struct sx_nested *n)
{
	if (!n)
		return;
	stop_cores(n);
	sx_l2_destroy_all(n);
	for (unsigned i = 0; i < n->config.vcpus; i++) {
		sx_l2_decoder_destroy(n->l1[i].decoder);
		sx_alarm_destroy(&n->l1[i].time.alarm);
		pthread_mutex_destroy(&n->l1[i].run_lock);
	}
	pthread_mutex_destroy(&n->lock);
	sx_l2_guests_close(n);
	free(n->l1);
	free(n);
}

/* ---- incidents ---- */

bool sx_nested_incident(struct sx_nested *n, struct sx_error *err)
{
	bool found = false;

	pthread_mutex_lock(&n->lock);
	for (unsigned i = 0; !found && i < n->config.vcpus; i++) {
		struct sx_l1 *l1 = &n->l1[i];

		found = l1->trouble.text[0] && !l1->told;
		if (found) {
			*err = l1->trouble;
			l1->told = true;
		}
	}
	pthread_mutex_unlock(&n->lock);
	return found;
}

/* ---- statistics ---- */

void sx_nested_stats(struct sx_nested *n, struct sx_nested_stats *stats)
{
	*stats = (struct sx_nested_stats){0};
	for (unsigned i = 0; i < n->config.vcpus; i++) {
		const struct sx_l1 *l1 = &n->l1[i];

		stats->messages += sx_load_relaxed(&l1->messages);
		stats->entries += sx_load_relaxed(&l1->entries);
		stats->exits += sx_load_relaxed(&l1->exits);
		stats->l2_runs += sx_load_relaxed(&l1->l2_runs);
		stats->mapped += sx_load_relaxed(&l1->mapped);
	}
	pthread_mutex_lock(&n->lock);
	for (unsigned i = 0; i < SX_NESTED_MAX_L2; i++)
		stats->l2_vms += n->l2[i].vm != NULL;
	pthread_mutex_unlock(&n->lock);
}

uint64_t sx_nested_l2_exits(struct sx_nested *n)
{
	uint64_t sum;

	pthread_mutex_lock(&n->lock);
	sum = n->gone_exits;
	for (unsigned i = 0; i < SX_NESTED_MAX_L2; i++)
		for (unsigned k = 0; n->l2[i].vm && k < sx_l2_vcpus(n); k++)
			sum += sx_l2_vcpu_exits(&n->l2[i].vcpu[k]);
	pthread_mutex_unlock(&n->lock);
	return sum;
}
