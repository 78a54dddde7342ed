// SPDX-License-Identifier: BSD-3-Clause
/* The line: messages from L1 to the engine, and what it answers. */
#include <errno.h>
#include <string.h>

#include "nested/nested_internal.h"

/* ---- registers: the line's and the engine's ---- */

#define CODE64 (0xbu | SX_AR_S | SX_AR_P | SX_AR_L | SX_AR_G)
#define DATA   (0x3u | SX_AR_S | SX_AR_P | SX_AR_DB | SX_AR_G)
#define TSS64  (0xbu | SX_AR_P)

/* L1 is in 64-bit mode (vmx_line.h), so what its descriptors say beyond that has no meaning. */
static void segments_from_line(const struct sx_line_cpu *line, struct sx_vmx_cpu *cpu)
{
	uint32_t dpl = (uint32_t)(line->cpl & 3) << 5;

	for (unsigned i = 0; i < SX_SEG_COUNT; i++)
		cpu->seg[i] = (struct sx_vmx_segment){
			.selector = line->selector[i],
			.limit = UINT32_MAX,
			.ar = DATA | dpl,
		};
	cpu->seg[SX_SEG_CS].ar = CODE64 | dpl;
	cpu->seg[SX_SEG_FS].base = line->fs_base;
	cpu->seg[SX_SEG_GS].base = line->gs_base;
	cpu->seg[SX_SEG_TR].base = line->tr_base;
	cpu->seg[SX_SEG_TR].ar = TSS64;
	cpu->seg[SX_SEG_LDTR].ar = SX_AR_UNUSABLE;
	cpu->gdtr = (struct sx_vmx_table){line->gdtr_base, line->gdtr_limit};
	cpu->idtr = (struct sx_vmx_table){line->idtr_base, line->idtr_limit};
}

static void cpu_from_line(const struct sx_line_cpu *line, struct sx_vmx_cpu *cpu)
{
	_Static_assert(sizeof(cpu->gpr) == sizeof(line->gpr), "the same registers");
	memcpy(cpu->gpr, line->gpr, sizeof(cpu->gpr));
	cpu->rip = line->rip;
	cpu->rflags = line->rflags;
	cpu->cr0 = line->cr0;
	cpu->cr3 = line->cr3;
	cpu->cr4 = line->cr4;
	cpu->dr7 = line->dr7;
	cpu->efer = line->efer | SX_X86_EFER_LME | SX_X86_EFER_LMA;
	cpu->pat = line->pat;
	cpu->debugctl = line->debugctl;
	cpu->sysenter_cs = line->sysenter_cs;
	cpu->sysenter_esp = line->sysenter_esp;
	cpu->sysenter_eip = line->sysenter_eip;
	segments_from_line(line, cpu);
}

static void cpu_to_line(const struct sx_vmx_cpu *cpu, struct sx_line_cpu *line)
{
	memcpy(line->gpr, cpu->gpr, sizeof(line->gpr));
	line->rip = cpu->rip;
	line->rflags = cpu->rflags;
	line->cr0 = cpu->cr0;
	line->cr3 = cpu->cr3;
	line->cr4 = cpu->cr4;
	line->dr7 = cpu->dr7;
	line->efer = cpu->efer;
	line->pat = cpu->pat;
	line->debugctl = cpu->debugctl;
	line->sysenter_cs = cpu->sysenter_cs;
	line->sysenter_esp = cpu->sysenter_esp;
	line->sysenter_eip = cpu->sysenter_eip;
	line->fs_base = cpu->seg[SX_SEG_FS].base;
	line->gs_base = cpu->seg[SX_SEG_GS].base;
	line->tr_base = cpu->seg[SX_SEG_TR].base;
	line->gdtr_base = cpu->gdtr.base;
	line->idtr_base = cpu->idtr.base;
	line->gdtr_limit = (uint16_t)cpu->gdtr.limit;
	line->idtr_limit = (uint16_t)cpu->idtr.limit;
	for (unsigned i = 0; i < SX_SEG_COUNT; i++)
		line->selector[i] = cpu->seg[i].selector;
}

/* ---- replies ---- */

static void answer(struct sx_cell *reply, const struct sx_vmx_result *r, uint64_t value)
{
	static const uint8_t outcomes[] = {
		[SX_VMX_SUCCEED] = SX_LINE_SUCCEED,
		[SX_VMX_FAIL_INVALID] = SX_LINE_FAIL_INVALID,
		[SX_VMX_FAIL_VALID] = SX_LINE_FAIL_VALID,
		[SX_VMX_FAULT] = SX_LINE_FAULT,
		[SX_VMX_ENTERED] = SX_LINE_EXITED,
		[SX_VMX_ENTRY_FAILED] = SX_LINE_EXITED,
		[SX_VMX_ABORTED] = SX_LINE_ABORTED,
	};

	reply->arg = outcomes[r->outcome];
	reply->w[0] = r->outcome == SX_VMX_FAULT ? r->vector : r->error;
	reply->w[1] = r->error_code | (uint64_t)r->has_error_code << 32;
	reply->w[2] = r->address;
	reply->w[3] = value;
}

static void refuse(struct sx_cell *reply, int error)
{
	reply->arg = SX_LINE_REFUSED;
	reply->w[0] = (uint64_t)-error;
}

/* What L1 may read of its own state, before the reply that publishes it. */
static void tell(struct sx_l1 *l1)
{
	struct sx_vmx_line *line = l1->line;

	/* Seldom new, and L1 reads the cache line for each VMREAD. */
	if (sx_load_relaxed(&line->current_vmcs) != l1->vmx.current)
		sx_store_relaxed(&line->current_vmcs, l1->vmx.current);
	if (sx_load_relaxed(&line->on) != l1->vmx.on)
		sx_store_relaxed(&line->on, (uint32_t)l1->vmx.on);
}

/*
 * The position first: L1, once it sees the reply, sends the next message and kicks, and the kicking
 * thread must not look at the old one. Pairs with the acquire in undecided() and, the reply, with
 * that in sx_producer_replied(). tests/model/line.pml has all of it.
 */
static void publish_reply(struct sx_l1 *l1)
{
	sx_store_release(&l1->position, l1->ring.next + 1);
	sx_consumer_reply(&l1->ring);
}

/* ---- entries ---- */

static void give_state(struct sx_l1 *l1)
{
	struct sx_line_cpu *line = &l1->carried;

	cpu_to_line(&l1->cpu, line);
	memcpy(&l1->line->cpu, line, sizeof(*line));
}

int sx_l1_until_exit(struct sx_l1 *l1, struct sx_vmx_result *result, struct sx_error *err)
{
	struct sx_vmx_exit exit = {0};
	int rc = sx_l2_run(l1, &exit, err);

	if (rc < 0) {
		l1->vmx.in_l2 = false;
		return rc;
	}
	*result = sx_vmx_exit(&l1->vmx, &l1->state, &exit, &l1->cpu);
	sx_count(&l1->exits, 1);
	return 0;
}

/* For the user: L1 gets a number only, and may do it again at once. */
static void remember(struct sx_l1 *l1, const struct sx_error *err)
{
	pthread_mutex_lock(&l1->nested->lock);
	if (!l1->trouble.text[0])
		l1->trouble = *err;
	pthread_mutex_unlock(&l1->nested->lock);
}

void sx_l1_run_l2(struct sx_l1 *l1)
{
	struct sx_cell *reply = sx_consumer_cell(&l1->ring);
	struct sx_error err = {0};
	struct sx_vmx_result result;
	int rc = sx_l1_until_exit(l1, &result, &err);

	if (rc < 0) {
		remember(l1, &err);
		refuse(reply, rc);
	} else {
		give_state(l1);
		answer(reply, &result, 0);
		if (result.outcome == SX_VMX_SUCCEED)
			reply->arg = SX_LINE_EXITED;
	}
	tell(l1);
	publish_reply(l1);
}

/* True when L2 has been entered, and nothing is to be answered yet. */
static bool enter(struct sx_l1 *l1, bool resume, struct sx_cell *reply)
{
	struct sx_vmx_result result;

	/* One load: L1 may write it at any time. */
	l1->live = sx_load_relaxed(&l1->line->live);
	result = sx_vmx_enter(&l1->vmx, &l1->cpu, resume, &l1->state);
	if (result.outcome == SX_VMX_ENTERED) {
		sx_count(&l1->entries, 1);
		return true;
	}
	if (result.outcome == SX_VMX_ENTRY_FAILED)
		give_state(l1);
	answer(reply, &result, 0);
	return false;
}

/* An instruction as bytes: the registers come back as it leaves them. */
static bool execute(struct sx_l1 *l1, const struct sx_cell *msg, struct sx_cell *reply)
{
	struct sx_vmx_result result;
	uint8_t bytes[15];

	memcpy(bytes, &msg->w[0], sizeof(bytes));
	l1->live = sx_load_relaxed(&l1->line->live);
	result = sx_vmx_execute(&l1->vmx, &l1->cpu, bytes, sizeof(bytes), &l1->state);
	if (result.outcome == SX_VMX_ENTERED) {
		sx_count(&l1->entries, 1);
		return true;
	}
	give_state(l1);
	answer(reply, &result, 0);
	return false;
}

/* ---- messages ---- */

static struct sx_vmx_result simple(struct sx_l1 *l1, const struct sx_cell *msg, uint64_t *value)
{
	struct sx_vmx *vmx = &l1->vmx;
	const struct sx_vmx_cpu *cpu = &l1->cpu;
	const uint64_t *w = msg->w;

	switch (msg->op) {
	case SX_LINE_VMXON:
		return sx_vmx_vmxon(vmx, cpu, w[0]);
	case SX_LINE_VMXOFF:
		return sx_vmx_vmxoff(vmx, cpu);
	case SX_LINE_VMCLEAR:
		return sx_vmx_vmclear(vmx, cpu, w[0]);
	case SX_LINE_VMPTRLD:
		return sx_vmx_vmptrld(vmx, cpu, w[0]);
	case SX_LINE_VMPTRST:
		return sx_vmx_vmptrst(vmx, cpu, value);
	case SX_LINE_VMREAD:
		return sx_vmx_vmread(vmx, cpu, w[0], value);
	case SX_LINE_VMWRITE:
		return sx_vmx_vmwrite(vmx, cpu, w[0], w[1]);
	case SX_LINE_INVEPT:
		return sx_vmx_invept(vmx, cpu, w[0], &w[1]);
	case SX_LINE_INVVPID:
		return sx_vmx_invvpid(vmx, cpu, w[0], &w[1]);
	default:
		return sx_vmx_vmcall(vmx, cpu);
	}
}

static void access_msr(struct sx_l1 *l1, const struct sx_cell *msg, struct sx_cell *reply)
{
	struct sx_vmx_result result = {.outcome = SX_VMX_SUCCEED};
	uint64_t value = 0;
	int rc = msg->op == SX_LINE_RDMSR ? sx_vmx_rdmsr(&l1->vmx, (uint32_t)msg->w[0], &value)
					  : sx_vmx_wrmsr(&l1->vmx, (uint32_t)msg->w[0], msg->w[1]);

	if (rc < 0)
		result = (struct sx_vmx_result){
			.outcome = SX_VMX_FAULT, .vector = SX_VEC_GP, .has_error_code = true};
	answer(reply, &result, value);
}

/* False: L2 was entered, and the reply is for its exit. */
static bool handle(struct sx_l1 *l1, const struct sx_cell *msg, struct sx_cell *reply)
{
	struct sx_vmx_result result;
	uint64_t value = 0;

	memcpy(&l1->carried, &l1->line->cpu, sizeof(l1->carried));
	cpu_from_line(&l1->carried, &l1->cpu);
	switch (msg->op) {
	case SX_LINE_VMXON ... SX_LINE_INVVPID:
	case SX_LINE_VMCALL:
		result = simple(l1, msg, &value);
		answer(reply, &result, value);
		return true;
	case SX_LINE_VMLAUNCH:
	case SX_LINE_VMRESUME:
		return !enter(l1, msg->op == SX_LINE_VMRESUME, reply);
	case SX_LINE_EXECUTE:
		return !execute(l1, msg, reply);
	case SX_LINE_RDMSR:
	case SX_LINE_WRMSR:
		access_msr(l1, msg, reply);
		return true;
	default:
		refuse(reply, -EINVAL);
		return true;
	}
}

static void serve(struct sx_l1 *l1)
{
	struct sx_cell *cell = sx_consumer_cell(&l1->ring);
	struct sx_cell msg;

	sx_cell_snapshot(&msg, cell);
	sx_count(&l1->messages, 1);
	if (handle(l1, &msg, cell)) {
		tell(l1);
		publish_reply(l1);
	} else if (l1->nested->place == SX_NESTED_COLOCATED) {
		/* Pairs with the acquire in sx_nested_kick(): the engine is now that thread's. */
		sx_store_release(&l1->owner, SX_LINE_RUNNER);
	} else {
		sx_l1_run_l2(l1);
	}
}

unsigned sx_l1_poll(struct sx_l1 *l1)
{
	/* Pairs with the release in sx_nested_kick(). */
	if (l1->refused || sx_load_acquire(&l1->owner) != SX_LINE_POLLER)
		return 0;
	switch (sx_consumer_peek(&l1->ring)) {
	case SX_PEEK_NONE:
		return 0;
	case SX_PEEK_MESSAGE:
		serve(l1);
		return 1;
	default:
		/* No honest L1 writes that: it is not served any more, as a broken processor. */
		l1->refused = true;
		sx_consumer_close(&l1->ring, SX_RING_REFUSED);
		return 0;
	}
}
