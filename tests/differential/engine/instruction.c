// SPDX-License-Identifier: BSD-3-Clause
/* One instruction of L2: what the engine decides about it, and what it does if it may. */
#include <errno.h>

#include <Zydis/Zydis.h>

#include "nested/vmx_decode.h"
#include "tests/differential/engine/engine.h"

#define CR4_OSXSAVE (UINT64_C(1) << 18)

struct insn {
	struct engine *e;
	struct sx_vmx_exit *exit;
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
};

static enum engine_step completed(struct insn *i)
{
	struct sx_vmx_cpu *cpu = &i->e->l2.cpu;

	cpu->rip += i->zi.length;
	cpu->rflags &= ~SX_X86_RFLAGS_RF;
	cpu->interruptibility &= ~(SX_BLOCK_STI | SX_BLOCK_MOV_SS);
	return ENGINE_NEXT;
}

static enum engine_step fault(struct insn *i, uint8_t vector)
{
	const struct sx_vmx_exception exception = {
		.vector = vector,
		.type = SX_INTR_HARDWARE,
		.has_error_code = vector != SX_VEC_UD,
	};

	return engine_raise(i->e, &exception, i->exit);
}

/* INT3 and INT1: the exit names the instruction, a handler returns behind it. */
static enum engine_step software_exception(struct insn *i, uint8_t vector, enum sx_intr_type type)
{
	const struct sx_vmx_exception exception = {.vector = vector, .type = type};

	if (sx_vmx_on_exception(&i->e->vmx, &exception, i->exit)) {
		i->exit->insn_length = i->zi.length;
		return ENGINE_EXIT;
	}
	(void)completed(i);
	return engine_raise(i->e, &exception, i->exit);
}

/* An instruction that is only modelled as far as its exit: @may where it can do nothing else. */
static enum engine_step decided(struct insn *i, enum sx_vmx_verdict verdict, bool may)
{
	switch (verdict) {
	case SX_L2_EXIT:
		i->exit->insn_length = i->zi.length;
		return ENGINE_EXIT;
	case SX_L2_UD:
		return fault(i, SX_VEC_UD);
	case SX_L2_GP:
		return fault(i, SX_VEC_GP);
	default:
		return may ? completed(i) : ENGINE_UNKNOWN;
	}
}

static uint64_t *gpr_of(struct insn *i, unsigned operand)
{
	return &i->e->l2.cpu.gpr[(unsigned)ZydisRegisterGetId(i->operand[operand].reg.value) & 15];
}

/* Cases address memory by a base register and a displacement, in flat segments. */
static uint64_t memory_operand(struct insn *i)
{
	bool second = i->operand[0].type != ZYDIS_OPERAND_TYPE_MEMORY;
	const ZydisDecodedOperandMem *mem = &i->operand[second ? 1 : 0].mem;

	return i->e->l2.cpu.gpr[(unsigned)ZydisRegisterGetId(mem->base) & 15] +
	       (mem->disp.has_displacement ? (uint64_t)mem->disp.value : 0);
}

static const struct {
	ZydisMnemonic mnemonic;
	enum sx_vmx_reason reason;
	bool may;
} plain[] = {
	{ZYDIS_MNEMONIC_CPUID, SX_VMEXIT_CPUID, false},
	{ZYDIS_MNEMONIC_INVD, SX_VMEXIT_INVD, false},
	{ZYDIS_MNEMONIC_HLT, SX_VMEXIT_HLT, false},
	{ZYDIS_MNEMONIC_RDPMC, SX_VMEXIT_RDPMC, false},
	{ZYDIS_MNEMONIC_RDTSC, SX_VMEXIT_RDTSC, false},
	{ZYDIS_MNEMONIC_RDTSCP, SX_VMEXIT_RDTSCP, false},
	{ZYDIS_MNEMONIC_MONITOR, SX_VMEXIT_MONITOR, false},
	{ZYDIS_MNEMONIC_MWAIT, SX_VMEXIT_MWAIT, false},
	{ZYDIS_MNEMONIC_WBINVD, SX_VMEXIT_WBINVD, true},
	{ZYDIS_MNEMONIC_SGDT, SX_VMEXIT_GDTR_IDTR, false},
	{ZYDIS_MNEMONIC_STR, SX_VMEXIT_LDTR_TR, false},
	{ZYDIS_MNEMONIC_RDRAND, SX_VMEXIT_RDRAND, false},
	{ZYDIS_MNEMONIC_RDSEED, SX_VMEXIT_RDSEED, false},
	{ZYDIS_MNEMONIC_XSETBV, SX_VMEXIT_XSETBV, false},
};

static enum engine_step one_control(struct insn *i)
{
	for (size_t n = 0; n < sizeof(plain) / sizeof(plain[0]); n++)
		if (plain[n].mnemonic == i->zi.mnemonic)
			return decided(i, sx_vmx_on_insn(&i->e->vmx, plain[n].reason, i->exit),
				       plain[n].may);
	return ENGINE_UNKNOWN;
}

static enum engine_step invlpg(struct insn *i)
{
	enum sx_vmx_verdict verdict = sx_vmx_on_insn(&i->e->vmx, SX_VMEXIT_INVLPG, i->exit);

	if (verdict == SX_L2_EXIT)
		i->exit->qualification = memory_operand(i);
	return decided(i, verdict, true);
}

static enum engine_step port(struct insn *i, bool in)
{
	const ZydisDecodedOperand *where = &i->operand[in ? 1 : 0];
	const ZydisDecodedOperand *what = &i->operand[in ? 0 : 1];
	bool immediate = where->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
	const struct sx_vmx_io io = {
		.port = (uint16_t)(immediate ? where->imm.value.u : i->e->l2.cpu.gpr[SX_RDX]),
		.size = (uint8_t)(what->size / 8),
		.in = in,
		.immediate = immediate,
	};

	return decided(i, sx_vmx_on_io(&i->e->vmx, &io, i->exit) ? SX_L2_EXIT : SX_L2_PROCEED, !in);
}

/* IA32_SYSENTER_CS is the one that cases reach. */
static enum engine_step msr(struct insn *i, bool write)
{
	struct sx_vmx_cpu *cpu = &i->e->l2.cpu;
	uint32_t index = (uint32_t)cpu->gpr[SX_RCX];

	if (sx_vmx_on_msr(&i->e->vmx, index, write, i->exit))
		return decided(i, SX_L2_EXIT, false);
	if (index != SX_MSR_SYSENTER_CS)
		return ENGINE_UNKNOWN;
	if (write) {
		cpu->sysenter_cs = cpu->gpr[SX_RDX] << 32 | (uint32_t)cpu->gpr[SX_RAX];
	} else {
		cpu->gpr[SX_RAX] = (uint32_t)cpu->sysenter_cs;
		cpu->gpr[SX_RDX] = cpu->sysenter_cs >> 32;
	}
	return completed(i);
}

static void set_cr(struct sx_vmx_cpu *cpu, unsigned cr, uint64_t value)
{
	if (cr == 0)
		cpu->cr0 = value;
	else if (cr == 3)
		cpu->cr3 = value;
	else if (cr == 4)
		cpu->cr4 = value;
}

static uint64_t real_cr(const struct sx_vmx_cpu *cpu, unsigned cr)
{
	if (cr == 0)
		return cpu->cr0;
	if (cr == 3)
		return cpu->cr3;
	return cr == 4 ? cpu->cr4 : 0;
}

static unsigned number_of(struct insn *i, unsigned operand)
{
	return (unsigned)ZydisRegisterGetId(i->operand[operand].reg.value) & 15;
}

static enum engine_step mov_to_cr(struct insn *i)
{
	struct sx_vmx_cpu *cpu = &i->e->l2.cpu;
	unsigned cr = number_of(i, 0), gpr = number_of(i, 1);
	uint64_t effective;
	enum sx_vmx_verdict verdict =
		sx_vmx_on_mov_to_cr(&i->e->vmx, cpu, cr, gpr, *gpr_of(i, 1), &effective, i->exit);

	if (verdict == SX_L2_PROCEED)
		set_cr(cpu, cr, effective);
	return decided(i, verdict, true);
}

static enum engine_step mov_from_cr(struct insn *i)
{
	struct sx_vmx_cpu *cpu = &i->e->l2.cpu;
	unsigned cr = number_of(i, 1), gpr = number_of(i, 0);
	uint64_t value;
	enum sx_vmx_verdict verdict =
		sx_vmx_on_mov_from_cr(&i->e->vmx, cr, gpr, real_cr(cpu, cr), &value, i->exit);

	if (verdict == SX_L2_PROCEED)
		*gpr_of(i, 0) = value;
	return decided(i, verdict, true);
}

/* MOV of 64 bits, one operand of which is memory. */
static enum engine_step mov_memory(struct insn *i)
{
	bool load = i->operand[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
	unsigned access = load ? SX_ACCESS_READ : SX_ACCESS_WRITE;
	uint64_t *reg = gpr_of(i, load ? 0 : 1);
	enum engine_step said;
	uint64_t *at = engine_access(i->e, memory_operand(i), access, i->exit, &said);

	if (!at)
		return said;
	if (load)
		*reg = *at;
	else
		*at = *reg;
	return completed(i);
}

/* What is read to be written is accessed for writing. */
static enum engine_step not_memory(struct insn *i)
{
	enum engine_step said;
	uint64_t *at = engine_access(i->e, memory_operand(i), SX_ACCESS_WRITE, i->exit, &said);

	if (!at)
		return said;
	*at = ~*at;
	return completed(i);
}

static enum engine_step mov(struct insn *i)
{
	ZydisRegisterClass to = ZydisRegisterGetClass(i->operand[0].reg.value);
	ZydisRegisterClass from = ZydisRegisterGetClass(i->operand[1].reg.value);

	if (i->operand[0].type == ZYDIS_OPERAND_TYPE_MEMORY ||
	    i->operand[1].type == ZYDIS_OPERAND_TYPE_MEMORY)
		return mov_memory(i);
	if (to == ZYDIS_REGCLASS_CONTROL)
		return mov_to_cr(i);
	if (from == ZYDIS_REGCLASS_CONTROL)
		return mov_from_cr(i);
	if (to == ZYDIS_REGCLASS_DEBUG &&
	    sx_vmx_on_mov_dr(&i->e->vmx, number_of(i, 0), number_of(i, 1), false, i->exit))
		return decided(i, SX_L2_EXIT, false);
	if (from == ZYDIS_REGCLASS_DEBUG &&
	    sx_vmx_on_mov_dr(&i->e->vmx, number_of(i, 1), number_of(i, 0), true, i->exit))
		return decided(i, SX_L2_EXIT, false);
	return ENGINE_UNKNOWN;
}

static enum engine_step lmsw(struct insn *i)
{
	struct sx_vmx_cpu *cpu = &i->e->l2.cpu;
	bool memory = i->operand[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
	uint64_t linear = memory ? memory_operand(i) : 0, effective;
	const uint16_t *at = memory ? engine_memory(linear, sizeof(*at)) : NULL;
	uint16_t source;
	enum sx_vmx_verdict verdict;

	if (memory && !at)
		return ENGINE_UNKNOWN;
	source = memory ? *at : (uint16_t)*gpr_of(i, 0);
	verdict = sx_vmx_on_lmsw(&i->e->vmx, cpu, source, memory ? &linear : NULL, &effective,
				 i->exit);
	if (verdict == SX_L2_PROCEED)
		cpu->cr0 = effective;
	return decided(i, verdict, true);
}

static enum engine_step clts(struct insn *i)
{
	struct sx_vmx_cpu *cpu = &i->e->l2.cpu;
	uint64_t effective;
	enum sx_vmx_verdict verdict = sx_vmx_on_clts(&i->e->vmx, cpu, &effective, i->exit);

	if (verdict == SX_L2_PROCEED)
		cpu->cr0 = effective;
	return decided(i, verdict, true);
}

/* To the same privilege; 26.3 on NMIs. */
static enum engine_step iretq(struct insn *i)
{
	struct sx_vmx_cpu *cpu = &i->e->l2.cpu;
	const uint64_t *frame = engine_memory(cpu->gpr[SX_RSP], 5 * sizeof(*frame));
	uint64_t pin = sx_vmcs12_get(&i->e->vmx.v12, SX_VMCS_PIN_CONTROLS);

	if (!frame)
		return ENGINE_UNKNOWN;
	cpu->rip = frame[0];
	cpu->rflags = frame[2];
	cpu->gpr[SX_RSP] = frame[3];
	cpu->interruptibility &= ~(SX_BLOCK_STI | SX_BLOCK_MOV_SS);
	if (!(pin & SX_PIN_NMI) || (pin & SX_PIN_VIRTUAL_NMIS))
		cpu->interruptibility &= ~SX_BLOCK_NMI;
	return ENGINE_NEXT;
}

static enum engine_step other(struct insn *i)
{
	struct engine *e = i->e;

	switch (i->zi.mnemonic) {
	case ZYDIS_MNEMONIC_PAUSE:
		return decided(i,
			       sx_vmx_on_pause(&e->vmx, 0, 0, i->exit) ? SX_L2_EXIT : SX_L2_PROCEED,
			       true);
	case ZYDIS_MNEMONIC_INVLPG:
		return invlpg(i);
	case ZYDIS_MNEMONIC_IN:
	case ZYDIS_MNEMONIC_OUT:
		return port(i, i->zi.mnemonic == ZYDIS_MNEMONIC_IN);
	case ZYDIS_MNEMONIC_RDMSR:
	case ZYDIS_MNEMONIC_WRMSR:
		return msr(i, i->zi.mnemonic == ZYDIS_MNEMONIC_WRMSR);
	case ZYDIS_MNEMONIC_MOV:
		return mov(i);
	case ZYDIS_MNEMONIC_NOT:
		return not_memory(i);
	case ZYDIS_MNEMONIC_CLTS:
		return clts(i);
	case ZYDIS_MNEMONIC_LMSW:
		return lmsw(i);
	case ZYDIS_MNEMONIC_IRETQ:
		return iretq(i);
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_RSM: /* outside SMM */
		return fault(i, SX_VEC_UD);
	case ZYDIS_MNEMONIC_INT3:
		return software_exception(i, SX_VEC_BP, SX_INTR_SOFT_EXC);
	case ZYDIS_MNEMONIC_INT1:
		return software_exception(i, SX_VEC_DB, SX_INTR_PRIVILEGED);
	case ZYDIS_MNEMONIC_XSETBV:
		return e->l2.cpu.cr4 & CR4_OSXSAVE ? one_control(i) : fault(i, SX_VEC_UD);
	default:
		return one_control(i);
	}
}

/* VMREAD and VMWRITE of registers, which VMCS shadowing may serve: 25.6.15. */
static enum engine_step shadow_access(struct insn *i, const struct sx_vmx_insn *vmx)
{
	struct engine *e = i->e;
	uint64_t *gpr = e->l2.cpu.gpr, encoding = gpr[vmx->reg], value = gpr[vmx->rm];
	bool write = vmx->op == SX_OP_VMWRITE;
	struct sx_vmx_result result;
	struct sx_vmx_exit ignored = {0};

	if (sx_vmx_on_vmread(&e->vmx, write, encoding, &ignored) == SX_L2_EXIT)
		return ENGINE_EXIT;
	if (!vmx->rm_is_register)
		return ENGINE_UNKNOWN;
	if (write)
		result = sx_vmx_shadow_write(&e->vmx, encoding, value);
	else
		result = sx_vmx_shadow_read(&e->vmx, encoding, &value);
	if (!write && result.outcome == SX_VMX_SUCCEED)
		gpr[vmx->rm] = value;
	sx_vmx_finish(&e->l2.cpu, &result, vmx->length);
	return ENGINE_NEXT;
}

static enum engine_step vmx_instruction(struct insn *i, const struct sx_vmx_insn *vmx)
{
	struct engine *e = i->e;
	const uint64_t *gpr = e->l2.cpu.gpr;
	uint64_t eptp = e->l2.eptp;
	enum sx_vmx_verdict verdict;

	sx_vmx_insn_exit(&e->l2.cpu, vmx, i->exit);
	if (vmx->op == SX_OP_VMREAD || vmx->op == SX_OP_VMWRITE)
		return shadow_access(i, vmx);
	if (vmx->op != SX_OP_VMFUNC)
		return ENGINE_EXIT; /* 26.1.2 */
	*i->exit = (struct sx_vmx_exit){0};
	i->zi.length = vmx->length;
	verdict = sx_vmx_on_vmfunc(&e->vmx, (uint32_t)gpr[SX_RAX], (uint32_t)gpr[SX_RCX], &eptp,
				   i->exit);
	e->l2.eptp = eptp;
	return decided(i, verdict, true);
}

enum engine_step engine_instruction(struct engine *e, struct sx_vmx_exit *exit)
{
	struct sx_vmx_cpu *cpu = &e->l2.cpu;
	struct insn i = {.e = e, .exit = exit};
	uint64_t base = sx_vmx_is_64bit(cpu) ? 0 : cpu->seg[SX_SEG_CS].base;
	struct sx_vmx_insn vmx;
	enum engine_step said;
	ZydisDecoder decoder;
	const void *bytes = engine_access(e, base + cpu->rip, SX_ACCESS_FETCH, exit, &said);

	if (!bytes)
		return said;
	if (sx_vmx_decode(cpu, bytes, SX_VMX_MAX_INSN, &vmx) == 0)
		return vmx_instruction(&i, &vmx);
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(
		    ZydisDecoderDecodeFull(&decoder, bytes, SX_VMX_MAX_INSN, &i.zi, i.operand)))
		return ENGINE_UNKNOWN;
	return other(&i);
}
