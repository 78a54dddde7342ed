// SPDX-License-Identifier: BSD-3-Clause
#include "nested/zydis.h"

#include <errno.h>

bool sx_zydis_real_mode(const struct sx_vmx_cpu *cpu)
{
	return !(cpu->cr0 & SX_X86_CR0_PE) || (cpu->rflags & SX_X86_RFLAGS_VM);
}

struct mode {
	ZydisMachineMode machine;
	ZydisStackWidth stack;
};

/* The code segment says how wide operands and addresses are, the stack segment how wide RSP is. */
static struct mode mode_of(const struct sx_vmx_cpu *cpu)
{
	ZydisStackWidth stack =
		cpu->seg[SX_SEG_SS].ar & SX_AR_DB ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16;

	if (sx_vmx_is_64bit(cpu))
		return (struct mode){ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64};
	if (sx_zydis_real_mode(cpu))
		return (struct mode){ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16};
	if (cpu->seg[SX_SEG_CS].ar & SX_AR_DB)
		return (struct mode){ZYDIS_MACHINE_MODE_LEGACY_32, stack};
	return (struct mode){ZYDIS_MACHINE_MODE_LEGACY_16, stack};
}

uint32_t sx_zydis_mode(const struct sx_vmx_cpu *cpu)
{
	struct mode mode = mode_of(cpu);

	return (uint32_t)mode.machine << 8 | (uint32_t)mode.stack;
}

/*
 * ModR/M with mod 0 and a SIB byte with base 5: a displacement and no base, whatever REX.B is (SDM
 * Vol. 2A, table 2-5). With 32-bit addresses and REX.B Zydis 4 makes R13D of it, and forgets the
 * displacement (mended upstream by pull request 593).
 */
static void mend_no_base(const ZydisDecodedInstruction *zi, ZydisDecodedOperand *operands)
{
	if (!(zi->attributes & ZYDIS_ATTRIB_HAS_MODRM) || zi->raw.modrm.mod != 0 ||
	    zi->raw.modrm.rm != 4 || zi->raw.sib.base != 5)
		return;
	for (unsigned i = 0; i < zi->operand_count; i++) {
		ZydisDecodedOperandMem *mem = &operands[i].mem;

		if (operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY ||
		    mem->base != ZYDIS_REGISTER_R13D)
			continue;
		mem->base = ZYDIS_REGISTER_NONE;
		mem->disp.has_displacement = ZYAN_TRUE;
		mem->disp.value = zi->raw.disp.value;
	}
}

int sx_zydis_decode(const struct sx_vmx_cpu *cpu, const void *bytes, size_t len,
		    ZydisDecodedInstruction *zi, ZydisDecodedOperand *operands)
{
	struct mode mode = mode_of(cpu);
	ZydisDecoder decoder;
	ZyanStatus status;

	ZydisDecoderInit(&decoder, mode.machine, mode.stack);
	status = ZydisDecoderDecodeFull(&decoder, bytes, len, zi, operands);
	if (status == ZYDIS_STATUS_NO_MORE_DATA && len < SX_VMX_MAX_INSN)
		return -ENODATA;
	if (ZYAN_FAILED(status))
		return -EILSEQ;
	mend_no_base(zi, operands);
	return 0;
}

uint8_t sx_zydis_gpr(ZydisRegister reg)
{
	ZyanI8 id = reg == ZYDIS_REGISTER_NONE ? -1 : ZydisRegisterGetId(reg);

	return id < 0 || id >= SX_GPR_COUNT ? SX_NO_REGISTER : (uint8_t)id;
}

static uint8_t segment_number(ZydisRegister reg)
{
	switch (reg) {
	case ZYDIS_REGISTER_ES:
		return SX_SEG_ES;
	case ZYDIS_REGISTER_CS:
		return SX_SEG_CS;
	case ZYDIS_REGISTER_SS:
		return SX_SEG_SS;
	case ZYDIS_REGISTER_FS:
		return SX_SEG_FS;
	case ZYDIS_REGISTER_GS:
		return SX_SEG_GS;
	default:
		return SX_SEG_DS;
	}
}

void sx_zydis_memory(const ZydisDecodedOperandMem *mem, struct sx_vmx_insn *insn)
{
	insn->rip_relative = mem->base == ZYDIS_REGISTER_RIP || mem->base == ZYDIS_REGISTER_EIP;
	insn->base = insn->rip_relative ? SX_NO_REGISTER : sx_zydis_gpr(mem->base);
	insn->index = sx_zydis_gpr(mem->index);
	insn->scale = mem->index == ZYDIS_REGISTER_NONE ? 1 : mem->scale;
	insn->segment = segment_number(mem->segment);
	insn->displacement = mem->disp.has_displacement ? mem->disp.value : 0;
}
