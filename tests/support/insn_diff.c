// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/insn_diff.h"

#include "nested/vmx_caps.h"
#include "nested/zydis.h"

/* What the engine's side says, in the words of the other. */
struct theirs {
	uint16_t op; /* 0: none of those that are looked for */
	uint8_t length;
	bool has_reg, has_rm, memory;
	uint8_t reg, rm;
	uint64_t linear;
};

static const uint16_t line_op[] = {
	[SX_OP_VMXON] = SX_LINE_VMXON,
	[SX_OP_VMXOFF] = SX_LINE_VMXOFF,
	[SX_OP_VMCLEAR] = SX_LINE_VMCLEAR,
	[SX_OP_VMPTRLD] = SX_LINE_VMPTRLD,
	[SX_OP_VMPTRST] = SX_LINE_VMPTRST,
	[SX_OP_VMREAD] = SX_LINE_VMREAD,
	[SX_OP_VMWRITE] = SX_LINE_VMWRITE,
	[SX_OP_VMLAUNCH] = SX_LINE_VMLAUNCH,
	[SX_OP_VMRESUME] = SX_LINE_VMRESUME,
	[SX_OP_INVEPT] = SX_LINE_INVEPT,
	[SX_OP_INVVPID] = SX_LINE_INVVPID,
	[SX_OP_VMCALL] = SX_LINE_VMCALL,
	[SX_OP_VMFUNC] = 0, /* not offered, and so not looked for */
};

void insn_diff_cpu(struct sx_vmx_cpu *cpu, uint64_t salt)
{
	const uint64_t step =
		UINT64_C(0x9e3779b97f4a7c15); /* all bits change from one to the next */
	uint64_t value = (salt + 1) * step;

	*cpu = (struct sx_vmx_cpu){
		.cr0 = SX_X86_CR0_PE | SX_X86_CR0_PG,
		.efer = SX_X86_EFER_LME | SX_X86_EFER_LMA,
	};
	cpu->seg[SX_SEG_CS].ar = 0xa09b; /* present, code, L */
	for (unsigned i = 0; i < SX_GPR_COUNT; i++)
		cpu->gpr[i] = value += step;
	cpu->rip = value += step;
	cpu->seg[SX_SEG_FS].base = value += step;
	cpu->seg[SX_SEG_GS].base = value + step;
}

/* Whether it is canonical does not matter here, only the sum. */
static uint64_t linear_of(const struct sx_vmx_cpu *cpu, const struct sx_vmx_insn *insn)
{
	const struct sx_vmx_caps all_canonical = {.linear_bits = 64};
	struct sx_vmx_result result;
	uint64_t linear = 0;

	sx_vmx_operand_linear(&all_canonical, cpu, insn, 1, false, &linear, &result);
	return linear;
}

static bool zydis_vmx(const struct sx_vmx_cpu *cpu, const uint8_t *bytes, unsigned len,
		      struct theirs *t)
{
	struct sx_vmx_insn insn;

	if (sx_vmx_decode(cpu, bytes, len, &insn) < 0 || !line_op[insn.op])
		return false;
	*t = (struct theirs){
		.op = line_op[insn.op],
		.length = insn.length,
		.has_reg = insn.op == SX_OP_VMREAD || insn.op == SX_OP_VMWRITE ||
			   insn.op == SX_OP_INVEPT || insn.op == SX_OP_INVVPID,
		.has_rm = insn.has_rm && insn.rm_is_register,
		.memory = insn.has_rm && !insn.rm_is_register,
		.reg = insn.reg,
		.rm = insn.rm,
	};
	if (t->memory)
		t->linear = linear_of(cpu, &insn);
	return true;
}

/* The engine has no use for a MOV to CR4, so Zydis is asked itself. */
static bool zydis_mov_cr4(const struct sx_vmx_cpu *cpu, const uint8_t *bytes, unsigned len,
			  struct theirs *t)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction zi;

	if (sx_zydis_decode(cpu, bytes, len, &zi, operands) < 0 ||
	    zi.mnemonic != ZYDIS_MNEMONIC_MOV || (zi.attributes & ZYDIS_ATTRIB_HAS_LOCK) ||
	    operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    operands[0].reg.value != ZYDIS_REGISTER_CR4)
		return false;
	*t = (struct theirs){
		.op = SX_INSN_MOV_CR4,
		.length = zi.length,
		.has_rm = true,
		.rm = sx_zydis_gpr(operands[1].reg.value),
	};
	return true;
}

static uint64_t base_of(const struct sx_vmx_cpu *cpu, uint8_t segment)
{
	return segment == 0x64   ? cpu->seg[SX_SEG_FS].base
	       : segment == 0x65 ? cpu->seg[SX_SEG_GS].base
				 : 0;
}

const char *insn_diff(const struct sx_vmx_cpu *cpu, const uint8_t *bytes, unsigned len,
		      struct sx_insn *ours)
{
	struct theirs t = {0};

	if (!zydis_vmx(cpu, bytes, len, &t))
		zydis_mov_cr4(cpu, bytes, len, &t);
	if (!sx_insn_decode(bytes, len, cpu->rip, cpu->gpr, ours))
		ours->op = 0;
	if (ours->op && !t.op)
		return "only ours takes it";
	if (!ours->op && t.op)
		return "only Zydis takes it";
	if (ours->op != t.op)
		return "instruction";
	if (!t.op)
		return NULL;
	if (ours->length != t.length)
		return "length";
	if (ours->memory != t.memory)
		return "register or memory";
	if (t.has_reg && ours->reg != t.reg)
		return "the register operand";
	if (t.has_rm && ours->rm != t.rm)
		return "the register in ModR/M";
	if (t.memory && base_of(cpu, ours->segment) + ours->address != t.linear)
		return "address";
	return NULL;
}
