// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/vcpu_events.h"

#include <linux/kvm.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ipc/rcu.h"

/* SDM Vol. 3A table 11-1. */
#define APIC_TPR  0x80
#define APIC_SVR  0xf0
#define APIC_ISR  0x100
#define APIC_IRR  0x200
#define APIC_LVTT 0x320

#define SVR_ENABLED (1u << 8)
#define LVT_MASKED  (1u << 16)
#define RFLAGS_IF   (1u << 9)

/* ---- the APIC's registers ---- */

static uint32_t reg(const struct kvm_lapic_state *apic, unsigned offset)
{
	uint32_t value;

	memcpy(&value, apic->regs + offset, sizeof(value));
	return value;
}

static int highest(const struct kvm_lapic_state *apic, unsigned base)
{
	for (int i = 7; i >= 0; i--) {
		uint32_t word = reg(apic, base + 0x10 * (unsigned)i);

		if (word)
			return 32 * i + 31 - __builtin_clz(word);
	}
	return -1;
}

/* 11.8.3, 11.8.4: what is requested has to be of a higher class than TPR and what is in service. */
static int deliverable(const struct kvm_lapic_state *apic)
{
	int requested = highest(apic, APIC_IRR), in_service = highest(apic, APIC_ISR);
	int class = (int)(reg(apic, APIC_TPR) >> 4 & 0xf);

	if (requested < 0 || !(reg(apic, APIC_SVR) & SVR_ENABLED))
		return -1;
	if (in_service >= 0 && in_service >> 4 > class)
		class = in_service >> 4;
	return requested >> 4 > class ? requested : -1;
}

/* ---- KVM, made to look ---- */

/* struct kvm_signal_mask, with room for the set behind its length. */
struct empty_mask {
	uint32_t len;
	uint8_t set[8];
};

_Static_assert(offsetof(struct empty_mask, set) == offsetof(struct kvm_signal_mask, sigset),
	       "KVM's ABI");

/*
 * Let KVM_RUN go as far as to the entry and no farther: it then has turned expired timers into
 * requests of the APIC, and if the guest can be interrupted it has acknowledged the highest of
 * them, which waits in KVM_GET_VCPU_EVENTS. A signal that is pending, and blocked but in KVM_RUN,
 * does that; immediate_exit would return before.
 */
static void look(struct sx_vcpu *v)
{
	struct empty_mask none = {.len = sizeof(none.set)};
	sigset_t ours, before;

	sigemptyset(&ours);
	sigaddset(&ours, SX_VCPU_SIGNAL);
	if (pthread_sigmask(SIG_BLOCK, &ours, &before) != 0)
		return;
	if (sx_ioctl(v->fd, KVM_SET_SIGNAL_MASK, &none) == 0) {
		pthread_kill(pthread_self(), SX_VCPU_SIGNAL);
		rcu_thread_offline();
		ioctl(v->fd, KVM_RUN, 0); /* -EINTR */
		rcu_thread_online();
		sx_ioctl(v->fd, KVM_SET_SIGNAL_MASK, NULL);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Acknowledged and not delivered yet: its vector, or -1. */
static int acknowledged(const struct sx_vcpu *v)
{
	struct kvm_vcpu_events events;

	if (sx_ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return -1;
	return events.interrupt.injected && !events.interrupt.soft ? events.interrupt.nr : -1;
}

int sx_vcpu_pending_interrupt(struct sx_vcpu *v, bool to_entry)
{
	struct kvm_lapic_state apic;
	int vector = acknowledged(v);

	if (vector >= 0 || sx_ioctl(v->fd, KVM_GET_LAPIC, &apic) < 0)
		return vector;
	vector = deliverable(&apic);
	if (vector >= 0 || !to_entry || reg(&apic, APIC_LVTT) & LVT_MASKED)
		return vector;
	look(v);
	vector = acknowledged(v);
	if (vector >= 0 || sx_ioctl(v->fd, KVM_GET_LAPIC, &apic) < 0)
		return vector;
	return deliverable(&apic);
}

/* ---- taking ---- */

/* KVM acknowledges only for a guest that can be interrupted. */
static void look_as_if_enabled(struct sx_vcpu *v)
{
	struct kvm_regs regs, enabled;

	if (sx_ioctl(v->fd, KVM_GET_REGS, &regs) < 0)
		return;
	if (regs.rflags & RFLAGS_IF) {
		look(v);
		return;
	}
	enabled = regs;
	enabled.rflags |= RFLAGS_IF;
	if (sx_ioctl(v->fd, KVM_SET_REGS, &enabled) < 0)
		return;
	look(v);
	/* The instruction that exited is completed by now: RIP has moved on. */
	if (sx_ioctl(v->fd, KVM_GET_REGS, &regs) == 0) {
		regs.rflags &= ~(uint64_t)RFLAGS_IF;
		sx_ioctl(v->fd, KVM_SET_REGS, &regs);
	}
}

int sx_vcpu_take_interrupt(struct sx_vcpu *v)
{
	struct kvm_vcpu_events events;

	if (acknowledged(v) < 0)
		look_as_if_enabled(v);
	if (sx_ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events) < 0 || !events.interrupt.injected ||
	    events.interrupt.soft)
		return -1;
	events.interrupt.injected = 0;
	events.flags = 0; /* nothing but what is always set */
	return sx_ioctl(v->fd, KVM_SET_VCPU_EVENTS, &events) < 0 ? -1 : events.interrupt.nr;
}

bool sx_vcpu_take_nmi(struct sx_vcpu *v)
{
	struct kvm_vcpu_events events;

	if (sx_ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events) < 0 ||
	    !(events.nmi.pending || events.nmi.injected))
		return false;
	/* One that comes just now is the same: the processor keeps one at most (3A 6.7.1). */
	events.nmi.pending = 0;
	events.nmi.injected = 0;
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	return sx_ioctl(v->fd, KVM_SET_VCPU_EVENTS, &events) == 0;
}
