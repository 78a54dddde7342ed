// SPDX-License-Identifier: BSD-3-Clause
/*
 * Events that wait for a vCPU while its thread does not run it, but another one in its stead
 * (sx_vcpu_lend()). All functions: that thread.
 */
#ifndef SX_GUESTCORE_VCPU_EVENTS_H
#define SX_GUESTCORE_VCPU_EVENTS_H

#include "guestcore/vcpu.h"

/*
 * The vector of the interrupt that its local APIC would deliver if RFLAGS.IF let it, or -1. An
 * expired APIC timer counts, but only with @to_entry: KVM is taken as far as to the guest's entry,
 * which must not be while the guest stands at an instruction that somebody else completes.
 */
int sx_vcpu_pending_interrupt(struct sx_vcpu *v, bool to_entry);

/*
 * Acknowledge that interrupt in the APIC, so that the guest does not get it; goes to the entry. Its
 * vector, or -1: there is none, or this KVM lets the processor deliver it (APICv, AVIC), which then
 * will.
 */
int sx_vcpu_take_interrupt(struct sx_vcpu *v);

/* Take a pending NMI away, if there is one. */
bool sx_vcpu_take_nmi(struct sx_vcpu *v);

#endif
