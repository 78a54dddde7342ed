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

static void push(struct sx_vmx_cpu *cpu, uint64_t value)
{
	void *at;

	cpu->gpr[SX_RSP] -= sizeof(value);
	at = engine_memory(cpu->gpr[SX_RSP], sizeof(value));
	if (at)
		memcpy(at, &value, sizeof(value));
}

/* 3A 6.14.1, 6.14.2: same privilege, no stack table. False: there is no gate. */
static bool deliver(struct engine *e, unsigned vector, bool has_error, uint32_t error,
		    uint64_t return_rip)
{
	struct sx_vmx_cpu *cpu = &e->l2.cpu;
	uint64_t rsp = cpu->gpr[SX_RSP], offset = UINT64_C(16) * vector, gate[2];
	const void *at = engine_memory(cpu->idtr.base + offset, sizeof(gate));

	if (!at || !sx_vmx_is_64bit(cpu) || offset + 15 > cpu->idtr.limit)
		return false;
	memcpy(gate, at, sizeof(gate));
	cpu->gpr[SX_RSP] &= ~UINT64_C(15);
	push(cpu, cpu->seg[SX_SEG_SS].selector);
	push(cpu, rsp);
	push(cpu, cpu->rflags);
	push(cpu, cpu->seg[SX_SEG_CS].selector);
	push(cpu, return_rip);
	if (has_error)
		push(cpu, error);
	cpu->rflags &= ~(SX_X86_RFLAGS_TF | SX_X86_RFLAGS_IF | SX_X86_RFLAGS_RF |
			 UINT64_C(0x4000)); /* NT */
	cpu->interruptibility &= ~(SX_BLOCK_STI | SX_BLOCK_MOV_SS);
	cpu->rip = (gate[0] & 0xffff) | (gate[0] >> 48) << 16 | gate[1] << 32;
	return true;
}

static bool deliver_injected(struct engine *e)
{
	const struct sx_vmx_event *event = &e->l2.event;
	unsigned type = SX_INTR_TYPE(event->info);
	uint64_t rip = e->l2.cpu.rip;

	if (!(event->info & SX_INTR_VALID))
		return true;
	if (type >= SX_INTR_SOFTWARE && type <= SX_INTR_SOFT_EXC)
		rip += event->insn_length; /* 27.6.1.1 */
	return deliver(e, SX_INTR_VECTOR(event->info), event->info & SX_INTR_ERROR_CODE,
		       event->error_code, rip);
}

enum engine_step engine_raise(struct engine *e, const struct sx_vmx_exception *exception,
			      struct sx_vmx_exit *exit)
{
	if (sx_vmx_on_exception(&e->vmx, exception, exit))
		return ENGINE_EXIT;
	return deliver(e, exception->vector, exception->has_error_code, exception->error_code,
		       e->l2.cpu.rip)
		       ? ENGINE_NEXT
		       : ENGINE_UNKNOWN;
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
	enum engine_step said = deliver_injected(e) ? ENGINE_NEXT : ENGINE_UNKNOWN;

	for (unsigned i = 0; i < STEPS && said == ENGINE_NEXT; i++)
		said = step(e, exit);
	return said == ENGINE_EXIT;
}
