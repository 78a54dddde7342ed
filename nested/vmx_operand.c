// SPDX-License-Identifier: BSD-3-Clause
/* Operands of decoded VMX instructions: effective and linear addresses, L1's memory behind them. */
#include <errno.h>

#include "nested/vmx_decode.h"
#include "nested/vmx_internal.h"

static uint64_t size_mask(unsigned bytes)
{
	return bytes == 8 ? ~UINT64_C(0) : (UINT64_C(1) << (8 * bytes)) - 1;
}

static uint64_t effective_address(const struct sx_vmx_cpu *cpu, const struct sx_vmx_insn *insn)
{
	uint64_t offset = (uint64_t)insn->displacement;

	if (insn->rip_relative)
		offset += cpu->rip + insn->length;
	if (insn->base != SX_NO_REGISTER)
		offset += cpu->gpr[insn->base];
	if (insn->index != SX_NO_REGISTER)
		offset += cpu->gpr[insn->index] * insn->scale;
	return offset & size_mask(insn->address_size);
}

/* Type bits of a data segment (bit 3 clear) or code segment (bit 3 set): 3A 3.4.5.1. */
static bool type_allows(uint32_t ar, bool write)
{
	bool code = ar & 8, writable_or_readable = ar & 2;

	if (code)
		return !write && writable_or_readable;
	return !write || writable_or_readable;
}

/* 3A 5.3: an expand-down segment (type 4 to 7) holds what lies above its limit. */
static bool within_limit(const struct sx_vmx_segment *seg, uint64_t offset, unsigned size)
{
	uint64_t last = offset + size - 1;
	bool expand_down = (seg->ar & 0xc) == 4;

	if (expand_down)
		return offset > seg->limit && last <= (seg->ar & SX_AR_DB ? UINT32_MAX : 0xffff);
	return last <= seg->limit;
}

static bool legacy_linear(const struct sx_vmx_cpu *cpu, const struct sx_vmx_insn *insn,
			  uint64_t offset, unsigned size, bool write, uint64_t *linear)
{
	const struct sx_vmx_segment *seg = &cpu->seg[insn->segment];

	if ((seg->ar & SX_AR_UNUSABLE) || !type_allows(seg->ar, write) ||
	    !within_limit(seg, offset, size))
		return false;
	*linear = (seg->base + offset) & UINT32_MAX;
	return true;
}

static bool long_linear(const struct sx_vmx_caps *caps, const struct sx_vmx_cpu *cpu,
			const struct sx_vmx_insn *insn, uint64_t offset, unsigned size,
			uint64_t *linear)
{
	if (insn->segment == SX_SEG_FS || insn->segment == SX_SEG_GS)
		offset += cpu->seg[insn->segment].base;
	*linear = offset;
	return canonical(caps, offset) && canonical(caps, offset + size - 1);
}

bool sx_vmx_operand_linear(const struct sx_vmx_caps *caps, const struct sx_vmx_cpu *cpu,
			   const struct sx_vmx_insn *insn, unsigned size, bool write,
			   uint64_t *linear, struct sx_vmx_result *result)
{
	uint64_t offset = effective_address(cpu, insn);
	bool ok = sx_vmx_is_64bit(cpu) ? long_linear(caps, cpu, insn, offset, size, linear)
				       : legacy_linear(cpu, insn, offset, size, write, linear);

	if (!ok)
		*result = fault_of(insn->segment == SX_SEG_SS ? SX_VEC_SS : SX_VEC_GP);
	return ok;
}

/* Physical places of a linear range of at most one page: one piece, or two across a boundary. */
struct pieces {
	uint64_t gpa[2];
	size_t len[2];
};

static bool translate(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t linear,
		      enum sx_vmx_access access, uint64_t *gpa, struct sx_vmx_result *result)
{
	uint32_t error = 0;

	if (!vmx->ops->translate(vmx->ctx, cpu, linear, access, gpa, &error))
		return true;
	*result = fault_of(SX_VEC_PF);
	result->error_code = error;
	result->address = linear;
	return false;
}

static bool locate(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t linear, size_t len,
		   enum sx_vmx_access access, struct pieces *p, struct sx_vmx_result *result)
{
	size_t room = SX_VMCS12_SIZE - (linear & SX_VMX_PAGE_MASK);
	uint64_t next = linear + room;

	p->len[0] = len < room ? len : room;
	p->len[1] = len - p->len[0];
	if (!sx_vmx_is_64bit(cpu))
		next &= UINT32_MAX;
	return translate(vmx, cpu, linear, access, &p->gpa[0], result) &&
	       (!p->len[1] || translate(vmx, cpu, next, access, &p->gpa[1], result));
}

bool sx_vmx_read_linear(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t linear,
			void *buf, size_t len, struct sx_vmx_result *result)
{
	struct pieces p;

	if (!locate(vmx, cpu, linear, len, SX_ACCESS_READ, &p, result))
		return false;
	read_l1(vmx, p.gpa[0], buf, p.len[0]);
	if (p.len[1])
		read_l1(vmx, p.gpa[1], (uint8_t *)buf + p.len[0], p.len[1]);
	return true;
}

bool sx_vmx_write_linear(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t linear,
			 const void *buf, size_t len, struct sx_vmx_result *result)
{
	struct pieces p;

	if (!locate(vmx, cpu, linear, len, SX_ACCESS_WRITE, &p, result))
		return false;
	write_l1(vmx, p.gpa[0], buf, p.len[0]);
	if (p.len[1])
		write_l1(vmx, p.gpa[1], (const uint8_t *)buf + p.len[0], p.len[1]);
	return true;
}

size_t sx_vmx_fetch_window(const struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t *linear)
{
	const struct sx_vmx_segment *cs = &cpu->seg[SX_SEG_CS];
	uint64_t left;

	if (sx_vmx_is_64bit(cpu)) {
		*linear = cpu->rip;
		return canonical(&vmx->caps, cpu->rip) ? SX_VMX_MAX_INSN : 0;
	}
	if (cpu->rip > cs->limit)
		return 0;
	left = cs->limit - cpu->rip + 1;
	*linear = (cs->base + cpu->rip) & UINT32_MAX;
	return left < SX_VMX_MAX_INSN ? (size_t)left : SX_VMX_MAX_INSN;
}

size_t sx_vmx_fetch(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu,
		    uint8_t bytes[SX_VMX_MAX_INSN], struct sx_vmx_result *result)
{
	struct sx_vmx_result ignored;
	uint64_t linear, gpa;
	size_t want, room;

	want = sx_vmx_fetch_window(vmx, cpu, &linear);
	if (!want) {
		*result = fault_of(SX_VEC_GP);
		return 0;
	}
	if (!translate(vmx, cpu, linear, SX_ACCESS_FETCH, &gpa, result))
		return 0;
	room = SX_VMCS12_SIZE - (linear & SX_VMX_PAGE_MASK);
	if (room >= want) {
		read_l1(vmx, gpa, bytes, want);
		return want;
	}
	read_l1(vmx, gpa, bytes, room);
	linear += room;
	if (!canonical(&vmx->caps, linear) ||
	    !translate(vmx, cpu, linear, SX_ACCESS_FETCH, &gpa, &ignored))
		return room;
	read_l1(vmx, gpa, bytes + room, want - room);
	return want;
}

/* 28.2.5, tables 28-8 (exit qualification), 28-13 and 28-14: the same bits for all but reg fields.
 */
static uint32_t memory_info(const struct sx_vmx_insn *insn)
{
	uint32_t info = (uint32_t)insn->segment << 15;

	info |= ((uint32_t)__builtin_ctz(insn->address_size) - 1)
		<< 7; /* 0: 16 bits, 1: 32, 2: 64 */
	if (insn->index == SX_NO_REGISTER)
		info |= SX_VMX_BIT(22);
	else
		info |= (uint32_t)__builtin_ctz(insn->scale) | (uint32_t)insn->index << 18;
	if (insn->base == SX_NO_REGISTER)
		info |= SX_VMX_BIT(27);
	else
		info |= (uint32_t)insn->base << 23;
	return info;
}

static bool has_reg_operand(enum sx_vmx_op op)
{
	return op == SX_OP_VMREAD || op == SX_OP_VMWRITE || op == SX_OP_INVEPT ||
	       op == SX_OP_INVVPID;
}

void sx_vmx_insn_exit(const struct sx_vmx_cpu *l2, const struct sx_vmx_insn *insn,
		      struct sx_vmx_exit *exit)
{
	static const uint8_t reason[] = {
		[SX_OP_VMXON] = SX_VMEXIT_VMXON,       [SX_OP_VMXOFF] = SX_VMEXIT_VMXOFF,
		[SX_OP_VMCLEAR] = SX_VMEXIT_VMCLEAR,   [SX_OP_VMPTRLD] = SX_VMEXIT_VMPTRLD,
		[SX_OP_VMPTRST] = SX_VMEXIT_VMPTRST,   [SX_OP_VMREAD] = SX_VMEXIT_VMREAD,
		[SX_OP_VMWRITE] = SX_VMEXIT_VMWRITE,   [SX_OP_VMLAUNCH] = SX_VMEXIT_VMLAUNCH,
		[SX_OP_VMRESUME] = SX_VMEXIT_VMRESUME, [SX_OP_INVEPT] = SX_VMEXIT_INVEPT,
		[SX_OP_INVVPID] = SX_VMEXIT_INVVPID,   [SX_OP_VMCALL] = SX_VMEXIT_VMCALL,
		[SX_OP_VMFUNC] = SX_VMEXIT_VMFUNC,
	};

	*exit = (struct sx_vmx_exit){.reason = reason[insn->op], .insn_length = insn->length};
	if (!insn->has_rm)
		return;
	if (insn->rm_is_register) {
		exit->insn_info = SX_VMX_BIT(10) | (uint32_t)insn->rm << 3;
	} else {
		exit->insn_info = memory_info(insn);
		exit->qualification = (uint64_t)insn->displacement;
		if (insn->rip_relative)
			exit->qualification += l2->rip + insn->length;
	}
	if (has_reg_operand(insn->op))
		exit->insn_info |= (uint32_t)insn->reg << 28;
}
