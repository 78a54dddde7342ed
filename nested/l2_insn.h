// SPDX-License-Identifier: BSD-3-Clause
/*
 * What one instruction of L2 touches in memory: its operands, the stack, descriptors, the I/O
 * permission bitmap, page-directory pointers, and the vector that it raises.
 *
 * From bytes and general registers alone. What only a vector or mask register knows (gathered
 * elements, masked ones) is left out or marked as uncertain.
 */
#ifndef SX_NESTED_L2_INSN_H
#define SX_NESTED_L2_INSN_H

#include "nested/vmx.h"

#define SX_L2_MAX_OPERANDS 4
#define SX_L2_NO_VECTOR    (-1)

struct sx_l2_operand {
	uint64_t linear;
	unsigned size;   /* bytes, 1 to 1 KiB */
	unsigned access; /* SX_ACCESS_READ, SX_ACCESS_WRITE or both */
	bool uncertain;  /* perhaps only a part of it, or none, is touched */
};

/* A segment selector that the instruction loads, or asks about. */
struct sx_l2_selector {
	bool in_memory;
	uint64_t linear; /* of the two bytes, if in_memory */
	uint16_t value;  /* else */
	bool asks;       /* LAR, LSL, VERR, VERW: no mark is set in the descriptor */
};

struct sx_l2_insn {
	unsigned length;
	unsigned operands; /* those that are read come first, then those that are written */
	struct sx_l2_operand operand[SX_L2_MAX_OPERANDS];
	unsigned selectors;
	struct sx_l2_selector selector[2];
	bool has_port; /* whose bit in the TSS decides */
	uint16_t port;
	bool loads_pdptes;
	uint64_t cr3;    /* where from */
	int vector;      /* that it delivers: INT n, or a fault; SX_L2_NO_VECTOR */
	bool error_code; /* which comes with one */
};

/*
 * Remembers one instruction, so that the same bytes are not taken apart again: a guest's driver
 * comes out at the same few places. One owner at a time.
 */
struct sx_l2_decoder;

/* NULL: no memory. */
struct sx_l2_decoder *sx_l2_decoder_create(void);
void sx_l2_decoder_destroy(struct sx_l2_decoder *decoder);

/*
 * Decode the instruction at @bytes in the mode of @cpu. 0, with illegal instructions and failed
 * segment checks as vectors; -ENODATA if it goes on past @len.
 */
int sx_l2_insn_decode(struct sx_l2_decoder *decoder, const struct sx_vmx_caps *caps,
		      const struct sx_vmx_cpu *cpu, const void *bytes, size_t len,
		      struct sx_l2_insn *insn);

#endif
