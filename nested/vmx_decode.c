// SPDX-License-Identifier: BSD-3-Clause
/* From bytes to a VMX instruction. */
#include <errno.h>

#include "nested/zydis.h"

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

static void take_register(const ZydisDecodedOperand *operand, struct sx_vmx_insn *insn)
{
	if (operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM) {
		insn->has_rm = true;
		insn->rm_is_register = true;
		insn->rm = sx_zydis_gpr(operand->reg.value);
	} else {
		insn->reg = sx_zydis_gpr(operand->reg.value);
	}
}

int sx_vmx_decode(const struct sx_vmx_cpu *cpu, const void *bytes, size_t len,
		  struct sx_vmx_insn *insn)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction zi;
	int op, rc = sx_zydis_decode(cpu, bytes, len, &zi, operands);

	if (rc < 0)
		return rc;
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
		if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			insn->has_rm = true;
			sx_zydis_memory(&operands[i].mem, insn);
		} else if (operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
			take_register(&operands[i], insn);
		}
	}
	return 0;
}
