// SPDX-License-Identifier: BSD-3-Clause
/*
 * VMX instructions as bytes: decoding, operand addresses, and executing them whole, for transports
 * that deliver an instruction instead of its operands.
 */
#ifndef SX_NESTED_VMX_DECODE_H
#define SX_NESTED_VMX_DECODE_H

#include "nested/vmx.h"

enum sx_vmx_op {
	SX_OP_VMXON,
	SX_OP_VMXOFF,
	SX_OP_VMCLEAR,
	SX_OP_VMPTRLD,
	SX_OP_VMPTRST,
	SX_OP_VMREAD,
	SX_OP_VMWRITE,
	SX_OP_VMLAUNCH,
	SX_OP_VMRESUME,
	SX_OP_INVEPT,
	SX_OP_INVVPID,
	SX_OP_VMCALL,
	SX_OP_VMFUNC,
};

#define SX_VMX_MAX_INSN 15
#define SX_NO_REGISTER  0xff

struct sx_vmx_insn {
	enum sx_vmx_op op;
	uint8_t length;
	uint8_t operand_size; /* 4 or 8: fixed by the mode for VMX instructions */
	bool has_rm;
	bool rm_is_register;
	uint8_t rm;  /* register number if rm_is_register */
	uint8_t reg; /* the other operand: VMREAD and VMWRITE the encoding, INVEPT the type */
	/* Memory operand. */
	uint8_t segment;      /* enum sx_segment */
	uint8_t base, index;  /* SX_NO_REGISTER: absent */
	uint8_t scale;        /* 1, 2, 4, 8 */
	uint8_t address_size; /* 2, 4, 8 */
	bool rip_relative;
	int64_t displacement;
};

/*
 * Decode the instruction at @bytes in the mode of @cpu. 0; -ENODATA if it goes on past @len;
 * -EILSEQ if it is no VMX instruction or an illegal one (the processor raises #UD).
 */
int sx_vmx_decode(const struct sx_vmx_cpu *cpu, const void *bytes, size_t len,
		  struct sx_vmx_insn *insn);

/*
 * Linear address of the memory operand of @insn, @size bytes, with the checks of segmentation
 * (Volume 3A 5.3, 5.4; 64-bit: 3.3.7.1): true, or false with #GP(0) or #SS(0) in @result.
 */
bool sx_vmx_operand_linear(const struct sx_vmx_caps *caps, const struct sx_vmx_cpu *cpu,
			   const struct sx_vmx_insn *insn, unsigned size, bool write,
			   uint64_t *linear, struct sx_vmx_result *result);

/*
 * Fetch up to 15 bytes of instruction at @cpu's RIP, stopping before a page that is not mapped or
 * not memory. Number of bytes, or 0 with the #PF or #GP in @result.
 */
size_t sx_vmx_fetch(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu,
		    uint8_t bytes[SX_VMX_MAX_INSN], struct sx_vmx_result *result);

/*
 * Decode and execute the instruction at @bytes for L1: operands are fetched and stored, RFLAGS and
 * RIP are set. What is no VMX instruction gives #UD; one that goes on past @len gives #PF for the
 * byte behind it, as the fetch would. @l2 is written when the outcome is SX_VMX_ENTERED.
 */
struct sx_vmx_result sx_vmx_execute(struct sx_vmx *vmx, struct sx_vmx_cpu *l1, const void *bytes,
				    size_t len, struct sx_vmx_guest_state *l2);

/* Exit reason, length, instruction information and qualification of @insn executed by L2: 28.2.5.
 */
void sx_vmx_insn_exit(const struct sx_vmx_cpu *l2, const struct sx_vmx_insn *insn,
		      struct sx_vmx_exit *exit);

#endif
