// SPDX-License-Identifier: BSD-3-Clause
#include "nested/l2_insn.h"

#include <errno.h>
#include <stdlib.h>

#include "nested/vmx_internal.h"
#include "nested/zydis.h"

#define MAX_SIZE  1024
#define RFLAGS_OF UINT64_C(0x800)
#define IOPL(f)   ((f) >> 12 & 3)
#define VEC_OF    4

#define REPEATS (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)

struct sx_l2_decoder {
	uint32_t mode;   /* sx_zydis_mode() */
	unsigned length; /* 0: it has none */
	uint8_t bytes[SX_VMX_MAX_INSN];
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

struct decoding {
	const struct sx_vmx_caps *caps;
	const struct sx_vmx_cpu *cpu;
	const ZydisDecodedInstruction *zi;
	const ZydisDecodedOperand *op;
	struct sx_l2_insn *insn;
};

static uint64_t gpr(const struct decoding *d, ZydisRegister reg)
{
	uint8_t number = sx_zydis_gpr(reg);

	return number == SX_NO_REGISTER ? 0 : d->cpu->gpr[number];
}

static uint64_t low_bits(uint64_t value, unsigned bits)
{
	return bits >= 64 ? value : value & ((UINT64_C(1) << bits) - 1);
}

static int64_t sign_extend(uint64_t value, unsigned bits)
{
	return (int64_t)(value << (64 - bits)) >> (64 - bits);
}

static void raise(struct sx_l2_insn *insn, int vector)
{
	insn->vector = vector;
	insn->error_code = vector == SX_VEC_GP || vector == SX_VEC_SS;
}

/* ---- memory operands ---- */

static bool is_stack(const ZydisDecodedOperand *o)
{
	return o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
	       o->mem.segment == ZYDIS_REGISTER_SS;
}

/* ENTER copies frame pointers at nesting levels above 0. */
static unsigned size_of(const struct decoding *d, const ZydisDecodedOperand *o)
{
	unsigned size = o->size / 8;

	if (d->zi->mnemonic == ZYDIS_MNEMONIC_ENTER && d->op[1].imm.value.u)
		size *= 1 + (d->op[1].imm.value.u & 31);
	return size < MAX_SIZE ? size : MAX_SIZE;
}

static bool is_bit_test(ZydisMnemonic m)
{
	return m == ZYDIS_MNEMONIC_BT || m == ZYDIS_MNEMONIC_BTS || m == ZYDIS_MNEMONIC_BTR ||
	       m == ZYDIS_MNEMONIC_BTC;
}

/* What the encoding does not say of the address. */
static int64_t adjustment(const struct decoding *d, const ZydisDecodedOperand *o, unsigned size)
{
	unsigned bits = o->size;

	if (is_stack(o)) /* RSP is lowered before a push */
		return o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE ? -(int64_t)size : 0;
	if (d->zi->mnemonic == ZYDIS_MNEMONIC_POP && sx_zydis_gpr(o->mem.base) == SX_RSP)
		return size; /* raised before the operand's address is computed */
	if (d->zi->mnemonic == ZYDIS_MNEMONIC_XLAT)
		return (int64_t)(d->cpu->gpr[SX_RAX] & 0xff);
	if (is_bit_test(d->zi->mnemonic) && d->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER)
		return (sign_extend(gpr(d, d->op[1].reg.value), bits) >> __builtin_ctz(bits)) *
		       (int64_t)(bits / 8);
	return 0;
}

/* The linear address of @size bytes at @offset into an operand; false with a fault to deliver. */
static bool locate(struct decoding *d, const ZydisDecodedOperand *o, unsigned offset, unsigned size,
		   uint64_t *linear)
{
	bool writes = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
	struct sx_vmx_insn where = {
		.length = d->zi->length,
		.address_size = (is_stack(o) ? d->zi->stack_width : d->zi->address_width) / 8,
	};
	struct sx_vmx_result result;

	sx_zydis_memory(&o->mem, &where);
	where.displacement += adjustment(d, o, size_of(d, o)) + offset;
	if (sx_vmx_operand_linear(d->caps, d->cpu, &where, size, writes, linear, &result))
		return true;
	raise(d->insn, result.vector);
	return false;
}

static bool is_masked(const ZydisDecodedInstruction *zi)
{
	switch (zi->mnemonic) {
	case ZYDIS_MNEMONIC_MASKMOVQ:
	case ZYDIS_MNEMONIC_MASKMOVDQU:
	case ZYDIS_MNEMONIC_VMASKMOVDQU:
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VPMASKMOVD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		return true;
	default:
		return (zi->attributes & ZYDIS_ATTRIB_HAS_EVEX) &&
		       zi->avx.mask.reg != ZYDIS_REGISTER_NONE &&
		       zi->avx.mask.reg != ZYDIS_REGISTER_K0;
	}
}

/* Addresses that are only computed, hinted at, or made of a vector's elements are not touched. */
static bool is_touched(const struct decoding *d, const ZydisDecodedOperand *o)
{
	return o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.type == ZYDIS_MEMOP_TYPE_MEM &&
	       o->size >= 8 && d->zi->meta.category != ZYDIS_CATEGORY_NOP &&
	       d->zi->meta.category != ZYDIS_CATEGORY_WIDENOP &&
	       d->zi->meta.category != ZYDIS_CATEGORY_PREFETCH;
}

static unsigned access_of(const ZydisDecodedOperand *o)
{
	unsigned access = 0;

	if (o->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
		access |= SX_ACCESS_READ;
	if (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
		access |= SX_ACCESS_WRITE;
	return access;
}

static bool take_operands(struct decoding *d, bool writes)
{
	struct sx_l2_insn *insn = d->insn;

	for (unsigned i = 0; i < d->zi->operand_count; i++) {
		struct sx_l2_operand *to = &insn->operand[insn->operands];
		unsigned access = access_of(&d->op[i]);

		if (!is_touched(d, &d->op[i]) || !access || !(access & SX_ACCESS_WRITE) == writes)
			continue;
		if (insn->operands == SX_L2_MAX_OPERANDS)
			break;
		*to = (struct sx_l2_operand){
			.size = size_of(d, &d->op[i]),
			.access = access,
			.uncertain = is_masked(d->zi),
		};
		if (!locate(d, &d->op[i], 0, to->size, &to->linear))
			return false;
		insn->operands++;
	}
	return true;
}

/* A repeated string instruction whose count is 0 touches nothing. */
static bool repeats_nothing(const struct decoding *d)
{
	return (d->zi->attributes & REPEATS) &&
	       !low_bits(d->cpu->gpr[SX_RCX], d->zi->address_width);
}

/* ---- selectors ---- */

static struct sx_l2_selector *add_selector(struct decoding *d, bool asks)
{
	struct sx_l2_selector *s = &d->insn->selector[d->insn->selectors++];

	*s = (struct sx_l2_selector){.asks = asks};
	return s;
}

/* @offset into the operand; its bytes have passed the checks of the operand itself. */
static void selector_at(struct decoding *d, const ZydisDecodedOperand *o, unsigned offset,
			bool asks)
{
	uint64_t linear;

	if (!o)
		return;
	if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
		add_selector(d, asks)->value = (uint16_t)gpr(d, o->reg.value);
	} else if (o->type == ZYDIS_OPERAND_TYPE_POINTER) {
		add_selector(d, asks)->value = o->ptr.segment;
	} else if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && locate(d, o, offset, 2, &linear)) {
		struct sx_l2_selector *s = add_selector(d, asks);

		s->in_memory = true;
		s->linear = linear;
	}
}

static const ZydisDecodedOperand *stack_of(const struct decoding *d)
{
	for (unsigned i = 0; i < d->zi->operand_count; i++)
		if (d->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY && is_stack(&d->op[i]))
			return &d->op[i];
	return NULL;
}

/* Far returns pop offset and selector; IRET then flags, and RSP and SS in 64-bit mode. */
static void take_far_return(struct decoding *d, bool iret)
{
	const ZydisDecodedOperand *stack = stack_of(d);
	unsigned word;

	if (!stack)
		return;
	word = size_of(d, stack) / (iret ? 5 : 2);
	selector_at(d, stack, word, false);
	if (iret && sx_vmx_is_64bit(d->cpu))
		selector_at(d, stack, 4 * word, false);
}

static bool loads_segment(const struct decoding *d)
{
	return d->zi->operand_count && d->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       ZydisRegisterGetClass(d->op[0].reg.value) == ZYDIS_REGCLASS_SEGMENT &&
	       (d->op[0].actions & ZYDIS_OPERAND_ACTION_WRITE);
}

static void take_selectors(struct decoding *d)
{
	if (sx_zydis_real_mode(d->cpu))
		return;
	switch (d->zi->mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		if (loads_segment(d))
			selector_at(d, &d->op[1], 0, false);
		break;
	case ZYDIS_MNEMONIC_POP:
		if (loads_segment(d))
			selector_at(d, stack_of(d), 0, false);
		break;
	case ZYDIS_MNEMONIC_LDS:
	case ZYDIS_MNEMONIC_LES:
	case ZYDIS_MNEMONIC_LFS:
	case ZYDIS_MNEMONIC_LGS:
	case ZYDIS_MNEMONIC_LSS:
		selector_at(d, &d->op[1], size_of(d, &d->op[1]) - 2, false);
		break;
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_CALL:
		if (d->zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
			selector_at(d, &d->op[0], size_of(d, &d->op[0]) - 2, false);
		break;
	case ZYDIS_MNEMONIC_RET:
		if (d->zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
			take_far_return(d, false);
		break;
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
		take_far_return(d, true);
		break;
	case ZYDIS_MNEMONIC_LTR:
	case ZYDIS_MNEMONIC_LLDT:
		selector_at(d, &d->op[0], 0, false);
		break;
	case ZYDIS_MNEMONIC_VERR:
	case ZYDIS_MNEMONIC_VERW:
		selector_at(d, &d->op[0], 0, true);
		break;
	case ZYDIS_MNEMONIC_LAR:
	case ZYDIS_MNEMONIC_LSL:
		selector_at(d, &d->op[1], 0, true);
		break;
	default:
		break;
	}
}

/* ---- the rest ---- */

static void take_vector(struct decoding *d)
{
	switch (d->zi->mnemonic) {
	case ZYDIS_MNEMONIC_INT:
		raise(d->insn, (int)(d->op[0].imm.value.u & 0xff));
		d->insn->error_code = false;
		break;
	case ZYDIS_MNEMONIC_INT1:
		raise(d->insn, SX_VEC_DB);
		break;
	case ZYDIS_MNEMONIC_INT3:
		raise(d->insn, SX_VEC_BP);
		break;
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
		raise(d->insn, SX_VEC_UD);
		break;
	case ZYDIS_MNEMONIC_INTO:
		if (d->cpu->rflags & RFLAGS_OF)
			raise(d->insn, VEC_OF);
		break;
	default:
		break;
	}
}

/* Vol. 1 19.5: the bitmap decides above IOPL, and always in virtual-8086 mode. */
static void take_port(struct decoding *d)
{
	const struct sx_vmx_cpu *cpu = d->cpu;
	const ZydisDecodedOperand *port;

	if (!(cpu->cr0 & SX_X86_CR0_PE) ||
	    (!(cpu->rflags & SX_X86_RFLAGS_VM) && sx_vmx_cpl(cpu) <= IOPL(cpu->rflags)))
		return;
	if (d->zi->meta.category != ZYDIS_CATEGORY_IO &&
	    d->zi->meta.category != ZYDIS_CATEGORY_IOSTRINGOP)
		return;
	port = &d->op[d->zi->mnemonic == ZYDIS_MNEMONIC_IN ? 1 : 0];
	d->insn->has_port = true;
	d->insn->port = (uint16_t)(port->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? port->imm.value.u
									      : cpu->gpr[SX_RDX]);
}

/* 3A 4.4.1: a MOV to CR0, CR3 or CR4 after which PAE paging is in use. */
static void take_control_register(struct decoding *d)
{
	uint64_t cr0 = d->cpu->cr0, cr3 = d->cpu->cr3, cr4 = d->cpu->cr4;

	if (d->zi->mnemonic != ZYDIS_MNEMONIC_MOV || d->op[0].type != ZYDIS_OPERAND_TYPE_REGISTER)
		return;
	switch (d->op[0].reg.value) {
	case ZYDIS_REGISTER_CR0:
		cr0 = gpr(d, d->op[1].reg.value);
		break;
	case ZYDIS_REGISTER_CR3:
		cr3 = gpr(d, d->op[1].reg.value);
		break;
	case ZYDIS_REGISTER_CR4:
		cr4 = gpr(d, d->op[1].reg.value);
		break;
	default:
		return;
	}
	d->insn->loads_pdptes = (cr0 & SX_X86_CR0_PG) && (cr4 & SX_X86_CR4_PAE) &&
				!(d->cpu->efer & SX_X86_EFER_LME);
	d->insn->cr3 = cr3;
}

/* ---- the same again ---- */

struct sx_l2_decoder *sx_l2_decoder_create(void)
{
	return calloc(1, sizeof(struct sx_l2_decoder));
}

void sx_l2_decoder_destroy(struct sx_l2_decoder *decoder)
{
	free(decoder);
}

/* As sx_zydis_decode(). No instruction is the beginning of another. */
static int decode(struct sx_l2_decoder *dec, const struct sx_vmx_cpu *cpu, const void *bytes,
		  size_t len)
{
	uint32_t mode = sx_zydis_mode(cpu);
	int rc;

	if (dec->length && dec->mode == mode && dec->length <= len &&
	    memcmp(dec->bytes, bytes, dec->length) == 0)
		return 0;
	rc = sx_zydis_decode(cpu, bytes, len, &dec->zi, dec->op);
	dec->mode = mode;
	dec->length = rc == 0 ? dec->zi.length : 0;
	memcpy(dec->bytes, bytes, dec->length);
	return rc;
}

int sx_l2_insn_decode(struct sx_l2_decoder *decoder, const struct sx_vmx_caps *caps,
		      const struct sx_vmx_cpu *cpu, const void *bytes, size_t len,
		      struct sx_l2_insn *insn)
{
	struct decoding d = {
		.caps = caps, .cpu = cpu, .insn = insn, .zi = &decoder->zi, .op = decoder->op};
	int rc = decode(decoder, cpu, bytes, len);

	*insn = (struct sx_l2_insn){.vector = SX_L2_NO_VECTOR};
	if (rc == -ENODATA)
		return rc;
	if (rc < 0) {
		raise(insn, SX_VEC_UD);
		return 0;
	}
	insn->length = d.zi->length;
	take_port(&d);
	if (repeats_nothing(&d) || !take_operands(&d, false) || !take_operands(&d, true))
		return 0;
	take_selectors(&d);
	take_control_register(&d);
	take_vector(&d);
	return 0;
}
