/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/*
 * What a kernel's #UD or #GP handler has to know of the instruction that raised it: is it one of
 * VMX (SDM Vol. 3C, chapter 31) or a MOV to CR4, and where are its operands? 64-bit mode only.
 *
 * Freestanding: splitx_vmx.ko includes it, and its tests.
 */
#ifndef SX_WIRE_VMX_INSN_H
#define SX_WIRE_VMX_INSN_H

#include "ipc/wire/vmx_line.h"

#define SX_INSN_MAX     15
#define SX_INSN_MOV_CR4 0x100 /* beside enum sx_line_op */

struct sx_insn {
	uint16_t op;      /* enum sx_line_op, or SX_INSN_MOV_CR4 */
	uint8_t length;   /* bytes */
	uint8_t reg;      /* the register operand, in the order of encodings */
	uint8_t rm;       /* the other operand, if it is a register */
	uint8_t memory;   /* 1: it is memory, at @address */
	uint8_t segment;  /* 0x64 or 0x65: FS's or GS's base is to be added; else 0 */
	uint64_t address; /* linear, but for that base */
};

/* The bytes left to read, and what the prefixes said. */
struct sx_insn_cursor {
	const uint8_t *at, *end;
	uint8_t rex;
	uint8_t size;   /* 1: 66H */
	uint8_t narrow; /* 1: 67H, addresses have 32 bits */
	uint8_t rep;    /* F2H or F3H, the last of them */
	uint8_t segment;
};

/* The next @n bytes, little-endian and sign-extended; 0: there are not so many. */
static inline int sx_insn_take(struct sx_insn_cursor *c, unsigned n, int64_t *value)
{
	uint64_t raw = 0;

	if ((uint64_t)(c->end - c->at) < n)
		return 0;
	for (unsigned i = 0; i < n; i++)
		raw |= (uint64_t)*c->at++ << (8 * i);
	*value = (int64_t)(raw << (64 - 8 * n)) >> (64 - 8 * n);
	return 1;
}

/*
 * A REX prefix that is not right before the opcode does not count (SDM Vol. 2A, 2.2.1), nor do
 * segment prefixes but FS's and GS's (Vol. 1, 3.4.2.1).
 */
static inline int sx_insn_prefixes(struct sx_insn_cursor *c)
{
	for (; c->at < c->end; c->at++) {
		uint8_t rex = 0;

		switch (*c->at) {
		case 0x66:
			c->size = 1;
			break;
		case 0x67:
			c->narrow = 1;
			break;
		case 0xf2:
		case 0xf3:
			c->rep = *c->at;
			break;
		case 0x64:
		case 0x65:
			c->segment = *c->at;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			break;
		default:
			if ((*c->at & 0xf0) != 0x40)
				return 1;
			rex = *c->at;
			break;
		}
		c->rex = rex;
	}
	return 0;
}

/*
 * An address by ModR/M, SIB and displacement (SDM Vol. 2A, 2.1.5 and 2.2.1). RIP-relative ones
 * count from the end of the instruction, which is here: no VMX instruction has an immediate.
 */
static inline int sx_insn_address(struct sx_insn_cursor *c, uint8_t modrm, const uint64_t gpr[16],
				  uint64_t *address, int *relative)
{
	unsigned mod = modrm >> 6, base = modrm & 7;
	int64_t sib, disp = 0;
	uint64_t sum = 0;

	*relative = mod == 0 && base == 5;
	if (base == 4) {
		unsigned index;

		if (!sx_insn_take(c, 1, &sib))
			return 0;
		base = sib & 7;
		index = (unsigned)(sib >> 3 & 7) | (c->rex & 2u) << 2;
		if (index != 4)
			sum += gpr[index] << (sib >> 6 & 3);
	}
	if (mod == 0 && base == 5) {
		if (!sx_insn_take(c, 4, &disp))
			return 0;
	} else {
		sum += gpr[base | (c->rex & 1u) << 3];
		if (mod && !sx_insn_take(c, mod == 1 ? 1 : 4, &disp))
			return 0;
	}
	*address = sum + (uint64_t)disp;
	return 1;
}

/* Opcode 0F @opcode, or 0F 38 @opcode with @three; 0: none of ours. */
static inline uint16_t sx_insn_op(const struct sx_insn_cursor *c, uint8_t opcode, int three,
				  uint8_t modrm)
{
	unsigned reg = modrm >> 3 & 7;
	int is_register = modrm >> 6 == 3;

	if (three)
		return !c->size || c->rep || is_register ? 0
		       : opcode == 0x80                  ? SX_LINE_INVEPT
		       : opcode == 0x81                  ? SX_LINE_INVVPID
							 : 0;
	switch (opcode) {
	case 0x01:
		if (c->size || c->rep)
			return 0;
		return modrm == 0xc1   ? SX_LINE_VMCALL
		       : modrm == 0xc2 ? SX_LINE_VMLAUNCH
		       : modrm == 0xc3 ? SX_LINE_VMRESUME
		       : modrm == 0xc4 ? SX_LINE_VMXOFF
				       : 0;
	case 0x22:
		return reg == 4 && !(c->rex & 4) ? SX_INSN_MOV_CR4 : 0;
	case 0x78:
		return c->size || c->rep ? 0 : SX_LINE_VMREAD;
	case 0x79:
		return c->size || c->rep ? 0 : SX_LINE_VMWRITE;
	case 0xc7:
		if (is_register)
			return 0;
		if (reg == 7)
			return c->size || c->rep ? 0 : SX_LINE_VMPTRST;
		if (reg != 6)
			return 0;
		if (c->rep)
			return c->rep == 0xf3 ? SX_LINE_VMXON : 0;
		return c->size ? SX_LINE_VMCLEAR : SX_LINE_VMPTRLD;
	default:
		return 0;
	}
}

/* MOV to a control register takes mod as 3, whatever it says; the forms of 0F 01 are opcodes. */
static inline int sx_insn_has_memory(uint16_t op, uint8_t modrm)
{
	return modrm >> 6 != 3 && op != SX_INSN_MOV_CR4;
}

/*
 * Decode what lies at @rip: @have bytes of it, and the general registers in the order of their
 * encodings. 1: @insn is filled; 0: it is another instruction, or not all of it is there.
 */
static inline int sx_insn_decode(const uint8_t *bytes, unsigned have, uint64_t rip,
				 const uint64_t gpr[16], struct sx_insn *insn)
{
	struct sx_insn_cursor c = {.at = bytes,
				   .end = bytes + (have < SX_INSN_MAX ? have : SX_INSN_MAX)};
	int64_t escape, opcode, modrm;
	int three, relative = 0;

	if (!sx_insn_prefixes(&c) || !sx_insn_take(&c, 1, &escape) || (uint8_t)escape != 0x0f ||
	    !sx_insn_take(&c, 1, &opcode))
		return 0;
	three = opcode == 0x38;
	if ((three && !sx_insn_take(&c, 1, &opcode)) || !sx_insn_take(&c, 1, &modrm))
		return 0;
	*insn = (struct sx_insn){
		.op = sx_insn_op(&c, (uint8_t)opcode, three, (uint8_t)modrm),
		.reg = (uint8_t)((modrm >> 3 & 7) | (c.rex & 4) << 1),
		.rm = (uint8_t)((modrm & 7) | (c.rex & 1) << 3),
		.segment = c.segment,
	};
	if (!insn->op)
		return 0;
	insn->memory = (uint8_t)sx_insn_has_memory(insn->op, (uint8_t)modrm);
	if (insn->memory && !sx_insn_address(&c, (uint8_t)modrm, gpr, &insn->address, &relative))
		return 0;
	insn->length = (uint8_t)(c.at - bytes);
	if (relative)
		insn->address += rip + insn->length;
	if (c.narrow)
		insn->address = (uint32_t)insn->address;
	return 1;
}

#endif
