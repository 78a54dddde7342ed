// SPDX-License-Identifier: BSD-3-Clause
/*
 * What L0 knows of the guest of a VMCS12, whichever L1 vCPU enters it; and exits that no
 * instruction at RIP made.
 *
 * The VMCS12 carries a number of ours (struct sx_vmcs12, guest). A hypervisor that takes the page
 * for another guest zeroes it, and so names nobody. A number that L1 makes up names another of its
 * own guests, or nobody.
 */
#include <stdlib.h>

#include "nested/nested_internal.h"

#define MORE_GUESTS 64u /* known at a time, beside those that run */

/* ---- who it is ---- */

int sx_l2_guests_open(struct sx_nested *n)
{
	n->guests = n->config.vcpus + MORE_GUESTS;
	n->guest = calloc(n->guests, sizeof(*n->guest));
	return n->guest ? 0 : -ENOMEM;
}

void sx_l2_guests_close(struct sx_nested *n)
{
	free(n->guest);
}

/* Where nobody is, else who was entered longest ago and waits for no answer of L1. */
static bool rather(const struct sx_l2_guest *a, const struct sx_l2_guest *b)
{
	if (!b || !a->id || !b->id)
		return !b || (!a->id && b->id);
	if (a->aside.open != b->aside.open)
		return b->aside.open;
	return a->entered < b->entered;
}

/* @last is where it was the last time. */
static struct sx_l2_guest *find(struct sx_nested *n, struct sx_l2_guest *last, uint64_t id)
{
	struct sx_l2_guest *place = NULL;

	if (last && !last->busy && id && last->id == id)
		return last;
	for (unsigned i = 0; i < n->guests; i++) {
		struct sx_l2_guest *g = &n->guest[i];

		if (g->busy)
			continue;
		if (id && g->id == id)
			return g;
		if (rather(g, place))
			place = g;
	}
	if (place)
		memset(place, 0, sizeof(*place));
	return place;
}

struct sx_l2_guest *sx_l2_guest_get(struct sx_l1 *l1)
{
	struct sx_nested *n = l1->nested;
	struct sx_l2_guest *g;

	pthread_mutex_lock(&n->lock);
	g = find(n, l1->guest, l1->vmx.v12.guest);
	if (!g)
		goto out; /* there are more places than L1 vCPUs */
	if (!g->id) {
		g->id = ++n->guest_ids;
		sx_l1_ops.write(l1, l1->vmx.current + offsetof(struct sx_vmcs12, guest), &g->id,
				sizeof(g->id));
	}
	g->busy = true;
	g->entered = ++n->clock;
out:
	pthread_mutex_unlock(&n->lock);
	return g;
}

void sx_l2_guest_put(struct sx_l1 *l1, struct sx_l2_guest *g)
{
	pthread_mutex_lock(&l1->nested->lock);
	g->busy = false;
	pthread_mutex_unlock(&l1->nested->lock);
}

/* ---- exits aside ---- */

/* RAX, RCX, RDX, RBX: the registers that such an exit shows otherwise. */
_Static_assert(SX_RBX + 1 == SX_ASIDE_GPRS, "the first four");

static struct sx_l2_regs regs_of(const struct sx_vmx_cpu *cpu)
{
	struct sx_l2_regs r = {.rip = cpu->rip, .cs_ar = cpu->seg[SX_SEG_CS].ar};

	memcpy(r.gpr, cpu->gpr, sizeof(r.gpr));
	return r;
}

void sx_l2_aside_open(struct sx_l2_aside *a, const struct sx_vmx_cpu *real,
		      const struct sx_vmx_cpu *shown, const struct sx_vmx_exit *exit)
{
	*a = (struct sx_l2_aside){
		.open = true,
		.reason = exit->reason,
		.length = exit->insn_length,
		.real = regs_of(real),
		.shown = regs_of(shown),
	};
}

/* Outside 64-bit mode a hypervisor may wrap at 32 bits. */
static bool stepped(const struct sx_l2_aside *a, uint64_t rip)
{
	uint64_t next = a->shown.rip + a->length;

	return rip == next || rip == (uint32_t)next;
}

enum sx_aside sx_l2_aside_close(struct sx_l2_aside *a, struct sx_vmx_cpu *cpu)
{
	bool done = stepped(a, cpu->rip);

	if (!a->open)
		return SX_ASIDE_NONE;
	a->open = false;
	memcpy(a->answer, cpu->gpr, sizeof(a->answer));
	if (!done && cpu->rip != a->shown.rip)
		return SX_ASIDE_ELSEWHERE;
	for (unsigned i = 0; i < SX_ASIDE_GPRS; i++)
		if ((done && a->reason == SX_VMEXIT_CPUID) || cpu->gpr[i] == a->shown.gpr[i])
			cpu->gpr[i] = a->real.gpr[i];
	cpu->rip = a->real.rip;
	return done ? SX_ASIDE_DONE : SX_ASIDE_AGAIN;
}
