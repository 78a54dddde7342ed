// SPDX-License-Identifier: BSD-3-Clause
/* Zydis, for the files that decode instructions: nobody else knows it. */
#ifndef SX_NESTED_ZYDIS_H
#define SX_NESTED_ZYDIS_H

#include <Zydis/Zydis.h>

#include "nested/vmx_decode.h"

/* Without protection, or virtual-8086: no descriptors. */
bool sx_zydis_real_mode(const struct sx_vmx_cpu *cpu);

/* A number for the mode of @cpu: where it is the same, the same bytes are the same instruction. */
uint32_t sx_zydis_mode(const struct sx_vmx_cpu *cpu);

/*
 * In the mode of @cpu; @operands has room for ZYDIS_MAX_OPERAND_COUNT. 0; -ENODATA if the
 * instruction goes on past @len; -EILSEQ if it is none.
 */
int sx_zydis_decode(const struct sx_vmx_cpu *cpu, const void *bytes, size_t len,
		    ZydisDecodedInstruction *zi, ZydisDecodedOperand *operands);

/* Number of a general register; SX_NO_REGISTER for others. */
uint8_t sx_zydis_gpr(ZydisRegister reg);

/* Segment, base, index, scale and displacement of a memory operand. */
void sx_zydis_memory(const ZydisDecodedOperandMem *mem, struct sx_vmx_insn *insn);

#endif
