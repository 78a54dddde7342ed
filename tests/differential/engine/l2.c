// SPDX-License-Identifier: BSD-3-Clause
/*
 * L2 of the cases: what a back end does, for as little as they need. Events are delivered through
 * an IDT of 64-bit interrupt gates, and each instruction is presented to the engine's intercept
 * functions before it is executed.
 */
#include <string.h>

#include "tests/differential/engine/engine.h"

#define STEPS 16 /* no case's L2 executes more */

static bool canonical(uint64_t linear)
{
	return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

/* Part of an event's delivery; an exit out of it names the event: 28.2.4. */
struct delivery {
	struct engine *e;
	struct sx_vmx_exit *exit;
	uint32_t info, error; /* as the IDT-vectoring information field has it */
	unsigned insn_length; /* of an event that software caused */
	uint64_t return_rip;
	uint64_t rsp;
};

static bool is_software(uint32_t info)
{
	return SX_INTR_TYPE(info) >= SX_INTR_SOFTWARE && SX_INTR_TYPE(info) <= SX_INTR_SOFT_EXC;
}

static void *delivery_access(struct delivery *d, uint64_t linear, unsigned access,
			     enum engine_step *said)
{
	void *at = engine_access(d->e, linear, access, d->exit, said);

	if (!at) {
		d->exit->idt_info = d->info;
		d->exit->idt_error = d->error;
		d->exit->insn_length = is_software(d->info) ? d->insn_length : 0;
	}
	return at;
}

static bool push(struct delivery *d, uint64_t value, enum engine_step *said)
{
	void *at = delivery_access(d, d->rsp - sizeof(value), SX_ACCESS_WRITE, said);

	if (!at)
		return false;
	d->rsp -= sizeof(value);
	memcpy(at, &value, sizeof(value));
	return true;
}

static bool push_frame(struct delivery *d, enum engine_step *said)
{
	const struct sx_vmx_cpu *cpu = &d->e->l2.cpu;

	d->rsp = cpu->gpr[SX_RSP] & ~UINT64_C(15);
	return push(d, cpu->seg[SX_SEG_SS].selector, said) && push(d, cpu->gpr[SX_RSP], said) &&
	       push(d, cpu->rflags, said) && push(d, cpu->seg[SX_SEG_CS].selector, said) &&
	       push(d, d->return_rip, said) &&
	       (!(d->info & SX_INTR_ERROR_CODE) || push(d, d->error, said));
}

/* 3A 6.14.1, 6.14.2: same privilege, no stack table. */
static enum engine_step deliver(struct delivery *d)
{
	struct sx_vmx_cpu *cpu = &d->e->l2.cpu;
	uint64_t offset = UINT64_C(16) * SX_INTR_VECTOR(d->info), gate[2];
	enum engine_step said;
	const void *at;

	if (!sx_vmx_is_64bit(cpu) || offset + 15 > cpu->idtr.limit)
		return ENGINE_UNKNOWN;
	at = delivery_access(d, cpu->idtr.base + offset, SX_ACCESS_READ, &said);
	if (!at)
		return said;
	memcpy(gate, at, sizeof(gate));
	if (!push_frame(d, &said))
		return said;
	cpu->gpr[SX_RSP] = d->rsp;
	cpu->rflags &= ~(SX_X86_RFLAGS_TF | SX_X86_RFLAGS_IF | SX_X86_RFLAGS_RF |
			 UINT64_C(0x4000)); /* NT */
	cpu->interruptibility &= ~(SX_BLOCK_STI | SX_BLOCK_MOV_SS);
	cpu->rip = (gate[0] & 0xffff) | (gate[0] >> 48) << 16 | gate[1] << 32;
	return ENGINE_NEXT;
}

static enum engine_step deliver_injected(struct engine *e, struct sx_vmx_exit *exit)
{
	const struct sx_vmx_event *event = &e->l2.event;
	struct delivery d = {
		.e = e,
		.exit = exit,
		.info = event->info,
		.error = event->error_code,
		.insn_length = event->insn_length,
		.return_rip = e->l2.cpu.rip,
	};

	if (!(event->info & SX_INTR_VALID))
		return ENGINE_NEXT;
	if (is_software(event->info))
		d.return_rip += event->insn_length; /* 27.6.1.1 */
	return deliver(&d);
}

enum engine_step engine_raise(struct engine *e, const struct sx_vmx_exception *exception,
			      struct sx_vmx_exit *exit)
{
	struct delivery d = {
		.e = e,
		.exit = exit,
		.info = SX_INTR_INFO(exception->type, exception->vector),
		.error = exception->error_code,
		.return_rip = e->l2.cpu.rip,
	};

	if (sx_vmx_on_exception(&e->vmx, exception, exit))
		return ENGINE_EXIT;
	if (exception->has_error_code)
		d.info |= SX_INTR_ERROR_CODE;
	return deliver(&d);
}

/* 27.7.3 */
static bool debug_pends(const struct sx_vmx_cpu *cpu)
{
	return (cpu->pending_dbg & (SX_PENDING_DBG_BS | SX_PENDING_DBG_BP)) &&
	       !(cpu->interruptibility & SX_BLOCK_MOV_SS) && cpu->activity == SX_ACTIVE;
}

static enum engine_step raise_debug(struct engine *e, struct sx_vmx_exit *exit)
{
	const struct sx_vmx_exception db = {
		.vector = SX_VEC_DB,
		.type = SX_INTR_HARDWARE,
		.qualification = e->l2.cpu.pending_dbg & (SX_PENDING_DBG_BS | SX_PENDING_DBG_B03),
	};

	e->l2.cpu.pending_dbg = 0;
	return engine_raise(e, &db, exit);
}

static enum engine_step step(struct engine *e, struct sx_vmx_exit *exit)
{
	const struct sx_vmx_exception gp = {
		.vector = SX_VEC_GP,
		.type = SX_INTR_HARDWARE,
		.has_error_code = true,
	};

	if (sx_vmx_pending(&e->vmx, &e->l2, exit))
		return ENGINE_EXIT;
	if (debug_pends(&e->l2.cpu))
		return raise_debug(e, exit);
	if (e->l2.cpu.activity != SX_ACTIVE)
		return ENGINE_UNKNOWN;
	if (!canonical(e->l2.cpu.rip))
		return engine_raise(e, &gp, exit);
	return engine_instruction(e, exit);
}

bool engine_run_l2(struct engine *e, struct sx_vmx_exit *exit)
{
	enum engine_step said = deliver_injected(e, exit);

	for (unsigned i = 0; i < STEPS && said == ENGINE_NEXT; i++)
		said = step(e, exit);
	return said == ENGINE_EXIT;
}
