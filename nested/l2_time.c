// SPDX-License-Identifier: BSD-3-Clause
/*
 * L2's time on its core: how long it may run before somebody has to look, the VMX-preemption timer
 * (SDM 3C 26.5.1, 27.7.4), and waiting in the HLT state.
 */
#include <time.h>

#include "ipc/rcu.h"
#include "ipc/wait.h"
#include "nested/nested_internal.h"

/*
 * What nobody tells the thread that runs L2 is looked for so often: interrupts of an L1 whose vCPU
 * this thread does not run meanwhile, and the end of L2's blocking by NMI.
 */
#define SLICE_NS 1000000u
/* Long enough that KVM_RUN is entered and delivers an event before the alarm goes off. */
#define DELIVERY_NS 100000u

/* ---- ticks of the preemption timer ---- */

static uint64_t to_ns(const struct sx_l1 *l1, uint32_t ticks)
{
	return ((uint64_t)ticks << l1->vmx.caps.timer_shift) * 1000000 / l1->nested->tsc_khz;
}

static uint32_t to_ticks(const struct sx_l1 *l1, uint64_t ns)
{
	return (uint32_t)(ns * l1->nested->tsc_khz / 1000000 >> l1->vmx.caps.timer_shift);
}

/* ---- from the entry to the exit ---- */

static bool shares_core(const struct sx_l1 *l1)
{
	return l1->nested->place != SX_NESTED_PARALLEL;
}

void sx_l2_time_begin(struct sx_l1 *l1)
{
	struct sx_l2_time *t = &l1->time;

	/* An alarm that another thread has set does not reach this one. */
	if (shares_core(l1) && l1->nested->config.vcpu[l1->index].thread != t->alarm.thread)
		t->alarm_ns = 0;
	t->looked_ns = sx_now_ns();
	if (l1->state.timer_active)
		t->timer_ns = t->looked_ns + to_ns(l1, l1->state.timer);
}

void sx_l2_time_update(struct sx_l1 *l1)
{
	uint64_t now;

	if (!l1->state.timer_active)
		return;
	now = sx_now_ns();
	l1->state.timer = l1->time.timer_ns > now ? to_ticks(l1, l1->time.timer_ns - now) : 0;
}

bool sx_l2_slice_ended(const struct sx_l1 *l1)
{
	return shares_core(l1) && sx_now_ns() >= l1->time.looked_ns + SLICE_NS;
}

void sx_l2_slice_begin(struct sx_l1 *l1)
{
	l1->time.looked_ns = sx_now_ns();
}

/* When somebody has to look again; UINT64_MAX: L2 may run for ever. */
static uint64_t next_look(const struct sx_l1 *l1, uint64_t now)
{
	uint64_t at = shares_core(l1) ? l1->time.looked_ns + SLICE_NS : UINT64_MAX;

	if (sx_vmcs12_get(&l1->vmx.v12, SX_VMCS_CPU_CONTROLS) & SX_CPU_NMI_WINDOW &&
	    at > now + SLICE_NS)
		at = now + SLICE_NS;
	if (l1->state.timer_active && at > l1->time.timer_ns)
		at = l1->time.timer_ns;
	return at;
}

/*
 * An alarm that is a little early does as well: no system call for each entry. It is put off in
 * time, so that it does not go off at all while L2 exits often.
 */
static bool does(const struct sx_l2_time *t, uint64_t now, uint64_t at)
{
	return t->alarm_ns > now && t->alarm_ns <= at && t->alarm_ns + SLICE_NS / 2 >= at;
}

int sx_l2_time_arm(struct sx_l1 *l1, bool after_delivery)
{
	struct sx_l2_time *t = &l1->time;
	uint64_t now = sx_now_ns();
	uint64_t at = after_delivery ? now + DELIVERY_NS : next_look(l1, now);

	if (at == UINT64_MAX || (!after_delivery && does(t, now, at)))
		return 0;
	t->alarm_ns = at > now ? at : now + 1;
	return sx_alarm_set(&t->alarm, t->alarm_ns - now);
}

void sx_l2_halt(const struct sx_l1 *l1)
{
	uint64_t now = sx_now_ns(), until = now + SLICE_NS;
	struct timespec ts = {0};

	if (l1->state.timer_active && until > l1->time.timer_ns)
		until = l1->time.timer_ns;
	if (until <= now)
		return;
	/* A kick comes as a signal; one that comes just before this is seen a slice later. */
	ts.tv_nsec = (long)(until - now);
	rcu_thread_offline();
	nanosleep(&ts, NULL);
	rcu_thread_online();
}
