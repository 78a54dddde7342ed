// SPDX-License-Identifier: BSD-3-Clause
#include "nested/l2_fault.h"

#include <errno.h>

#include "nested/l2_touch.h"
#include "nested/vmx_decode.h"
#include "nested/vmx_internal.h"

#define PDPTE_BYTES    32
#define TSS_BITMAP_PTR 102
#define NEAR_STACK     512 /* bytes on both sides of RSP that an instruction may well reach */
#define PAGE           0x1000u

/* ---- the instruction at RIP ---- */

/*
 * Fetch and decode, the second page only if the instruction reaches into it. False when the fetch
 * is stopped; a fetch that may not be is a vector.
 */
static bool fetch(struct sx_l2_touch *touch, bool user, struct sx_l2_insn *insn)
{
	const struct sx_vmx_cpu *cpu = &touch->state->cpu;
	uint8_t bytes[SX_VMX_MAX_INSN];
	uint64_t linear = 0;
	size_t want = sx_vmx_fetch_window(touch->vmx, cpu, &linear);
	size_t room = PAGE - (linear & (PAGE - 1)), have = want < room ? want : room;

	*insn = (struct sx_l2_insn){.vector = SX_VEC_GP, .error_code = true};
	if (!want)
		return true;
	if (!sx_l2_touch_linear(touch, linear, have, SX_ACCESS_FETCH, user, bytes))
		return false;
	if (sx_l2_insn_decode(touch->decoder, &touch->vmx->caps, cpu, bytes, have, insn) !=
	    -ENODATA)
		return true;
	if (want > have && !sx_l2_touch_linear(touch, linear + have, want - have, SX_ACCESS_FETCH,
					       user, bytes + have))
		return false;
	if (sx_l2_insn_decode(touch->decoder, &touch->vmx->caps, cpu, bytes, want, insn) ==
	    -ENODATA)
		*insn = (struct sx_l2_insn){.vector = SX_VEC_GP, .error_code = true};
	return true;
}

/* Vol. 1 19.5.2: two bytes of the bitmap that the TSS points to. */
static bool touch_port(struct sx_l2_touch *touch, uint16_t port)
{
	uint64_t tss = touch->state->cpu.seg[SX_SEG_TR].base;
	uint16_t bitmap;

	return sx_l2_touch_linear(touch, tss + TSS_BITMAP_PTR, sizeof(bitmap), SX_ACCESS_READ,
				  false, &bitmap) &&
	       sx_l2_touch_linear(touch, tss + bitmap + port / 8, 2, SX_ACCESS_READ, false, NULL);
}

static bool touch_operands(struct sx_l2_touch *touch, const struct sx_l2_insn *insn, bool user,
			   bool uncertain)
{
	for (unsigned i = 0; i < insn->operands; i++) {
		const struct sx_l2_operand *o = &insn->operand[i];

		if (o->uncertain == uncertain &&
		    !sx_l2_touch_linear(touch, o->linear, o->size, o->access, user, NULL))
			return false;
	}
	return true;
}

static bool touch_selectors(struct sx_l2_touch *touch, const struct sx_l2_insn *insn, bool user)
{
	for (unsigned i = 0; i < insn->selectors; i++) {
		const struct sx_l2_selector *s = &insn->selector[i];
		uint16_t value = s->value;
		uint64_t descriptor;

		if (s->in_memory && !sx_l2_touch_linear(touch, s->linear, sizeof(value),
							SX_ACCESS_READ, user, &value))
			return false;
		if (!sx_l2_touch_descriptor(touch, value, !s->asks, &descriptor))
			return false;
	}
	return true;
}

/* 3A 4.4.1: by physical address. */
static bool touch_pdptes(struct sx_l2_touch *touch, uint64_t cr3)
{
	const struct sx_ept12_access access = {
		.gpa = cr3 & (UINT32_MAX - (PDPTE_BYTES - 1)),
		.access = SX_ACCESS_READ,
	};
	uint64_t l1;

	return sx_l2_touch_physical(touch, &access, &l1);
}

static bool touch_instruction(struct sx_l2_touch *touch, bool uncertain)
{
	bool user = sx_vmx_cpl(&touch->state->cpu) == 3;
	struct sx_l2_insn insn;

	if (!fetch(touch, user, &insn))
		return false;
	if (insn.has_port && !touch_port(touch, insn.port))
		return false;
	if (!touch_operands(touch, &insn, user, false) || !touch_selectors(touch, &insn, user))
		return false;
	if (insn.loads_pdptes && !touch_pdptes(touch, insn.cr3))
		return false;
	if (insn.vector != SX_L2_NO_VECTOR &&
	    !sx_l2_touch_event(touch, (unsigned)insn.vector, insn.error_code))
		return false;
	return !uncertain || touch_operands(touch, &insn, user, true);
}

/* ---- everything that L2 is about to touch, in order ---- */

/* 28.2.4: an exit in the delivery of an event says which. */
static bool touch_pending_event(struct sx_l2_touch *touch)
{
	const struct sx_vmx_event *e = &touch->state->event;
	bool error_code = e->info & SX_INTR_ERROR_CODE;

	if (!(e->info & SX_INTR_VALID))
		return true;
	if (sx_l2_touch_event(touch, SX_INTR_VECTOR(e->info), error_code))
		return true;
	if (touch->stop != SX_L2_EXITS)
		return false;
	touch->exit->idt_info = e->info;
	touch->exit->idt_error = error_code ? e->error_code : 0;
	if (SX_INTR_TYPE(e->info) >= SX_INTR_SOFTWARE)
		touch->exit->insn_length = e->insn_length;
	return false;
}

/* A page fault of L2's own is delivered next. */
static bool touch_page_fault(struct sx_l2_touch *touch)
{
	if (touch->stop != SX_L2_FAULTS)
		return false;
	touch->stop = SX_L2_GOES_ON;
	return sx_l2_touch_event(touch, SX_VEC_PF, true);
}

static void touch_all(struct sx_l2_touch *touch, bool uncertain)
{
	touch->stop = SX_L2_GOES_ON;
	if (touch_pending_event(touch) && touch_instruction(touch, uncertain))
		return;
	touch_page_fault(touch);
}

/* Where KVM says which address it was and the walk through the instruction did not find it. */
static void touch_hint(struct sx_l2_touch *touch, const struct sx_l2_hint *hint)
{
	const struct sx_ept12_access access = {
		.gpa = hint->gpa,
		.access = hint->access ? hint->access : SX_ACCESS_READ,
	};
	uint64_t l1;

	touch->stop = SX_L2_GOES_ON;
	sx_l2_touch_physical(touch, &access, &l1);
}

/*
 * Nothing that is sure is left. The first of these that EPT12 does not map is as good an exit as
 * any: L1 maps it, and L2 goes on.
 */
static void touch_likely(struct sx_l2_touch *touch)
{
	const struct sx_vmx_cpu *cpu = &touch->state->cpu;
	uint64_t stack = sx_vmx_is_64bit(cpu) ? 0 : cpu->seg[SX_SEG_SS].base;

	if (sx_l2_touch_system_tables(touch))
		sx_l2_touch_linear(touch, stack + cpu->gpr[SX_RSP] - NEAR_STACK,
				   (size_t)2 * NEAR_STACK, SX_ACCESS_READ | SX_ACCESS_WRITE,
				   sx_vmx_cpl(cpu) == 3, NULL);
}

static enum sx_l2_fault_outcome outcome_of(const struct sx_l2_touch *touch)
{
	if (touch->mapped || touch->stop == SX_L2_RETRY)
		return SX_L2_FAULT_MAPPED;
	return touch->stop == SX_L2_EXITS ? SX_L2_FAULT_EXIT : SX_L2_FAULT_UNKNOWN;
}

enum sx_l2_fault_outcome sx_l2_fault(struct sx_vmx *vmx, struct sx_l2_vm *vm,
				     struct sx_l2_decoder *decoder,
				     const struct sx_vmx_guest_state *state,
				     const struct sx_l2_hint *hint, struct sx_vmx_exit *exit)
{
	struct sx_l2_touch touch = {
		.vmx = vmx, .vm = vm, .decoder = decoder, .state = state, .exit = exit};

	*exit = (struct sx_vmx_exit){0};
	touch_all(&touch, false);
	if (outcome_of(&touch) == SX_L2_FAULT_UNKNOWN && hint)
		touch_hint(&touch, hint);
	if (outcome_of(&touch) == SX_L2_FAULT_UNKNOWN) {
		touch.tables_written = true;
		touch_all(&touch, true);
	}
	if (outcome_of(&touch) == SX_L2_FAULT_UNKNOWN)
		touch_likely(&touch);
	return outcome_of(&touch);
}
