// SPDX-License-Identifier: BSD-3-Clause
/* From bytes to a VMX instruction, by Zydis. The only file that knows Zydis. */
#include <errno.h>

#include <Zydis/Zydis.h>

#include "nested/vmx_decode.h"

static int op_of(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_VMXON:
		return SX_OP_VMXON;
	case ZYDIS_MNEMONIC_VMXOFF:
		return SX_OP_VMXOFF;
	case ZYDIS_MNEMONIC_VMCLEAR:
		return SX_OP_VMCLEAR;
	case ZYDIS_MNEMONIC_VMPTRLD:
		return SX_OP_VMPTRLD;
	case ZYDIS_MNEMONIC_VMPTRST:
		return SX_OP_VMPTRST;
	case ZYDIS_MNEMONIC_VMREAD:
		return SX_OP_VMREAD;
	case ZYDIS_MNEMONIC_VMWRITE:
		return SX_OP_VMWRITE;
	case ZYDIS_MNEMONIC_VMLAUNCH:
		return SX_OP_VMLAUNCH;
	case ZYDIS_MNEMONIC_VMRESUME:
		return SX_OP_VMRESUME;
	case ZYDIS_MNEMONIC_INVEPT:
		return SX_OP_INVEPT;
	case ZYDIS_MNEMONIC_INVVPID:
		return SX_OP_INVVPID;
	case ZYDIS_MNEMONIC_VMCALL:
		return SX_OP_VMCALL;
	case ZYDIS_MNEMONIC_VMFUNC:
		return SX_OP_VMFUNC;
	default:
		return -EILSEQ;
	}
}

static void decoder_init(const struct sx_vmx_cpu *cpu, ZydisDecoder *decoder)
{
	if (sx_vmx_is_64bit(cpu))
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	else if (!(cpu->cr0 & SX_X86_CR0_PE) || (cpu->rflags & SX_X86_RFLAGS_VM))
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16);
	else if (cpu->seg[SX_SEG_CS].ar & SX_AR_DB)
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	else
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
}

static uint8_t register_number(ZydisRegister reg)
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

static void take_memory(const ZydisDecodedOperandMem *mem, struct sx_vmx_insn *insn)
{
	insn->has_rm = true;
	insn->rip_relative = mem->base == ZYDIS_REGISTER_RIP || mem->base == ZYDIS_REGISTER_EIP;
	insn->base = insn->rip_relative ? SX_NO_REGISTER : register_number(mem->base);
	insn->index = register_number(mem->index);
	insn->scale = mem->index == ZYDIS_REGISTER_NONE ? 1 : mem->scale;
	insn->segment = segment_number(mem->segment);
	insn->displacement = mem->disp.has_displacement ? mem->disp.value : 0;
}

static void take_register(const ZydisDecodedOperand *operand, struct sx_vmx_insn *insn)
{
	if (operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM) {
		insn->has_rm = true;
		insn->rm_is_register = true;
		insn->rm = register_number(operand->reg.value);
	} else {
		insn->reg = register_number(operand->reg.value);
	}
}

int sx_vmx_decode(const struct sx_vmx_cpu *cpu, const void *bytes, size_t len,
		  struct sx_vmx_insn *insn)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction zi;
	ZydisDecoder decoder;
	ZyanStatus status;
	int op;

	decoder_init(cpu, &decoder);
	status = ZydisDecoderDecodeFull(&decoder, bytes, len, &zi, operands);
	if (status == ZYDIS_STATUS_NO_MORE_DATA && len < SX_VMX_MAX_INSN)
		return -ENODATA;
	if (!ZYAN_SUCCESS(status))
		return -EILSEQ;
	op = op_of(zi.mnemonic);
	if (op < 0 || (zi.attributes & ZYDIS_ATTRIB_HAS_LOCK))
		return -EILSEQ;
	*insn = (struct sx_vmx_insn){
		.op = (enum sx_vmx_op)op,
		.length = zi.length,
		.operand_size = sx_vmx_is_64bit(cpu) ? 8 : 4,
		.address_size = zi.address_width / 8,
		.base = SX_NO_REGISTER,
		.index = SX_NO_REGISTER,
		.scale = 1,
	};
	for (unsigned i = 0; i < zi.operand_count_visible; i++) {
		if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			take_memory(&operands[i].mem, insn);
		else if (operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER)
			take_register(&operands[i], insn);
	}
	return 0;
}
