// SPDX-License-Identifier: BSD-3-Clause
/* The machine of machine.h, whose VMX is nested/: a program that prints what the kernel prints. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nested/vmx_decode.h"
#include "tests/differential/engine/engine.h"
#include "tests/differential/machine.h"

#define MAXPHYADDR 40
#define CR4_BITS   UINT64_C(0x3727ff)

#define NOT_MODELLED 0xffff /* an exit reason that nothing else has */

#define MSR_KERNEL_GS_BASE 0xc0000102u

/* Beyond the arena: only addresses, nothing is ever there. */
#define HOST_RIP  0x300000
#define HOST_RSP  0x310000
#define HOST_CR3  0x320000
#define HOST_GDTR 0x330000
#define HOST_IDTR 0x340000
#define HOST_TR   0x350000

static uint8_t memory[DIFF_ARENA_SIZE];
static struct engine engine;

void *engine_memory(uint64_t gpa, uint64_t len)
{
	if (gpa < DIFF_ARENA || gpa - DIFF_ARENA > DIFF_ARENA_SIZE - len)
		return NULL;
	return memory + (gpa - DIFF_ARENA);
}

static int read_memory(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	const void *at = engine_memory(gpa, len);

	(void)ctx;
	if (!at)
		return -EFAULT;
	memcpy(buf, at, len);
	return 0;
}

static int write_memory(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	void *at = engine_memory(gpa, len);

	(void)ctx;
	if (!at)
		return -EFAULT;
	memcpy(at, buf, len);
	return 0;
}

static int cas64(void *ctx, uint64_t gpa, uint64_t old, uint64_t value)
{
	uint64_t *at = engine_memory(gpa, sizeof(old));

	(void)ctx;
	if (!at)
		return -EFAULT;
	if (*at != old)
		return -EAGAIN;
	*at = value;
	return 0;
}

/* Identity paging of 4 GiB, as the kernel has it. */
static int translate(void *ctx, const struct sx_vmx_cpu *cpu, uint64_t linear,
		     enum sx_vmx_access access, uint64_t *gpa, uint32_t *error)
{
	(void)ctx;
	(void)cpu;
	if (linear >> 32) {
		*error = access == SX_ACCESS_WRITE ? 2 : 0;
		return -EFAULT;
	}
	*gpa = linear;
	return 0;
}

static int msr_load(void *ctx, uint32_t index, uint64_t value)
{
	struct engine *e = ctx;

	if (index != MSR_KERNEL_GS_BASE)
		return -EINVAL;
	e->kernel_gs_base = value;
	return 0;
}

static int msr_store(void *ctx, uint32_t index, uint64_t *value)
{
	const struct engine *e = ctx;

	if (index != MSR_KERNEL_GS_BASE)
		return -EINVAL;
	*value = e->kernel_gs_base;
	return 0;
}

static void invept(void *ctx, uint64_t type, uint64_t eptp)
{
	(void)ctx;
	(void)type;
	(void)eptp;
}

static void invvpid(void *ctx, uint64_t type, uint16_t vpid, uint64_t linear)
{
	(void)ctx;
	(void)type;
	(void)vpid;
	(void)linear;
}

static const struct sx_vmx_ops ops = {
	.read = read_memory,
	.write = write_memory,
	.cas64 = cas64,
	.translate = translate,
	.msr_load = msr_load,
	.msr_store = msr_store,
	.invept = invept,
	.invvpid = invvpid,
};

static void reset_l1(struct sx_vmx_cpu *l1)
{
	*l1 = (struct sx_vmx_cpu){
		.rflags = SX_X86_RFLAGS_1 | SX_X86_RFLAGS_ARITH,
		.cr0 = DIFF_CR0,
		.cr3 = HOST_CR3,
		.cr4 = DIFF_CR4,
		.efer = DIFF_EFER,
		.pat = UINT64_C(0x0007040600070406),
		.dr7 = 0x400,
		.gdtr = {.base = HOST_GDTR, .limit = 0x27},
		.idtr = {.base = HOST_IDTR, .limit = 0x1ff},
	};
	for (unsigned i = 0; i < SX_SEG_COUNT; i++)
		l1->seg[i] = (struct sx_vmx_segment){
			.selector = DIFF_DATA_SEL, .limit = UINT32_MAX, .ar = 0xc093};
	l1->seg[SX_SEG_CS].selector = DIFF_CODE_SEL;
	l1->seg[SX_SEG_CS].ar = 0xa09b;
	l1->seg[SX_SEG_TR] = (struct sx_vmx_segment){
		.selector = DIFF_TSS_SEL, .base = HOST_TR, .limit = 0x67, .ar = 0x8b};
	l1->seg[SX_SEG_LDTR] = (struct sx_vmx_segment){.ar = SX_AR_UNUSABLE};
}

void diff_put(char c)
{
	putchar(c);
}

void *diff_at(uint64_t gpa)
{
	return engine_memory(gpa, 1);
}

void diff_way_back(struct diff_way_back *back)
{
	*back = (struct diff_way_back){HOST_RIP, HOST_RSP, HOST_CR3, HOST_GDTR, HOST_IDTR, HOST_TR};
}

bool diff_rdmsr(uint32_t index, uint64_t *value)
{
	return sx_vmx_rdmsr(&engine.vmx, index, value) == 0;
}

unsigned diff_maxphyaddr(void)
{
	return engine.vmx.caps.maxphyaddr;
}

bool diff_vmread(uint32_t encoding, uint64_t *value)
{
	return sx_vmx_vmread(&engine.vmx, &engine.l1, encoding, value).outcome == SX_VMX_SUCCEED;
}

bool diff_vmwrite(uint32_t encoding, uint64_t value)
{
	return sx_vmx_vmwrite(&engine.vmx, &engine.l1, encoding, value).outcome == SX_VMX_SUCCEED;
}

static void read_host(const struct engine *e, struct diff_host *host)
{
	const struct sx_vmx_cpu *l1 = &e->l1;
	const struct sx_vmx_segment *seg = l1->seg;

	*host = (struct diff_host){{
		[HOST_WORD_CR0] = l1->cr0,
		[HOST_WORD_CR3] = l1->cr3,
		[HOST_WORD_CR4] = l1->cr4,
		[HOST_WORD_EFER] = l1->efer,
		[HOST_WORD_PAT] = l1->pat,
		[HOST_WORD_RSP] = l1->gpr[SX_RSP],
		[HOST_WORD_RFLAGS] = l1->rflags,
		[HOST_WORD_DR7] = l1->dr7,
		[HOST_WORD_DEBUGCTL] = l1->debugctl,
		[HOST_WORD_SYSENTER_CS] = l1->sysenter_cs,
		[HOST_WORD_SYSENTER_ESP] = l1->sysenter_esp,
		[HOST_WORD_SYSENTER_EIP] = l1->sysenter_eip,
		[HOST_WORD_ES] = seg[SX_SEG_ES].selector,
		[HOST_WORD_CS] = seg[SX_SEG_CS].selector,
		[HOST_WORD_SS] = seg[SX_SEG_SS].selector,
		[HOST_WORD_DS] = seg[SX_SEG_DS].selector,
		[HOST_WORD_FS] = seg[SX_SEG_FS].selector,
		[HOST_WORD_GS] = seg[SX_SEG_GS].selector,
		[HOST_WORD_TR] = seg[SX_SEG_TR].selector,
		[HOST_WORD_LDTR] = seg[SX_SEG_LDTR].selector,
		[HOST_WORD_FS_BASE] = seg[SX_SEG_FS].base,
		[HOST_WORD_GS_BASE] = seg[SX_SEG_GS].base,
		[HOST_WORD_GDTR_BASE] = l1->gdtr.base,
		[HOST_WORD_GDTR_LIMIT] = l1->gdtr.limit,
		[HOST_WORD_IDTR_BASE] = l1->idtr.base,
		[HOST_WORD_IDTR_LIMIT] = l1->idtr.limit,
		[HOST_WORD_KERNEL_GS_BASE] = e->kernel_gs_base,
	}};
}

static struct sx_vmx_result run_l2(struct engine *e)
{
	struct sx_vmx_exit leave = {0};

	/* Said where the test sees it: an exit reason that there is not. */
	if (!engine_run_l2(e, &leave))
		leave.reason = NOT_MODELLED;
	return sx_vmx_exit(&e->vmx, &e->l2, &leave, &e->l1);
}

/* An outcome as the kernel sees it: by where control goes. */
static enum diff_kind kind_of(const struct sx_vmx_result *result)
{
	switch (result->outcome) {
	case SX_VMX_FAULT:
		return DIFF_FAULT;
	case SX_VMX_ABORTED:
		return DIFF_ABORT;
	case SX_VMX_ENTRY_FAILED:
		return DIFF_EXIT;
	default:
		return DIFF_NEXT;
	}
}

static void set_mode(struct sx_vmx_cpu *l1, enum diff_mode mode)
{
	if (mode == DIFF_COMPAT) {
		l1->seg[SX_SEG_CS].selector = DIFF_CODE32;
		l1->seg[SX_SEG_CS].ar = 0xc09b;
	} else if (mode == DIFF_USER) {
		l1->seg[SX_SEG_CS].selector = DIFF_USERCODE;
		l1->seg[SX_SEG_CS].ar = 0xa0fb;
		l1->seg[SX_SEG_SS].selector = DIFF_USERDATA;
		l1->seg[SX_SEG_SS].ar = 0xc0f3;
	}
}

struct diff_end diff_execute_in(enum diff_mode mode, const uint8_t *code, unsigned length,
				uint64_t gpr[GPRS], struct diff_host *host)
{
	struct engine *e = &engine;
	struct sx_vmx_result result;
	struct diff_end end;
	uint64_t rsp = gpr[RSP];
	bool entered;

	memset(diff_at(AT_CODE), 0, SX_VMX_MAX_INSN + 8); /* what is fetched goes on */
	memcpy(diff_at(AT_CODE), code, length);
	reset_l1(&e->l1);
	set_mode(&e->l1, mode);
	memcpy(e->l1.gpr, gpr, sizeof(e->l1.gpr));
	e->l1.gpr[SX_RSP] = HOST_RSP;
	e->l1.rip = AT_CODE;
	if (length > 2 && code[0] == 0x8e && code[1] == 0xd0) { /* MOV SS, EAX before another */
		e->l1.interruptibility = SX_BLOCK_MOV_SS;
		e->l1.rip += 2;
	}
	result = sx_vmx_execute(&e->vmx, &e->l1, diff_at(e->l1.rip), SX_VMX_MAX_INSN, &e->l2);
	entered = result.outcome == SX_VMX_ENTERED;
	if (entered)
		result = run_l2(e);
	end = (struct diff_end){
		.kind = entered && result.outcome == SX_VMX_SUCCEED ? DIFF_EXIT : kind_of(&result),
		.rflags = e->l1.rflags,
		.vector = result.vector,
		.error = result.outcome == SX_VMX_ABORTED ? result.error : result.error_code,
		.cr2 = result.address,
		.rip = e->l1.rip,
	};
	memcpy(gpr, e->l1.gpr, sizeof(e->l1.gpr));
	gpr[RSP] = rsp;
	if (end.kind != DIFF_EXIT) /* what reads and writes the VMCS is CPL 0 again */
		reset_l1(&e->l1);
	if (end.kind == DIFF_EXIT)
		read_host(e, host);
	e->kernel_gs_base = 0;
	return end;
}

/* Bochs has no monitor trap flag, and a timer that counts each tick. */
static void restrict_to_bochs(struct sx_vmx_caps *caps)
{
	caps->cpu &= ~SX_CPU_MONITOR_TRAP;
	caps->timer_shift = 0;
}

int main(void)
{
	struct sx_vmx_caps caps;

	sx_vmx_caps_all(&caps, MAXPHYADDR, CR4_BITS);
	restrict_to_bochs(&caps);
	sx_vmx_init(&engine.vmx, &caps, &ops, &engine);
	engine.vmx.feature_control = SX_FEATURE_CONTROL_LOCK | SX_FEATURE_CONTROL_VMXON;
	reset_l1(&engine.l1);
	diff_run_all();
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
