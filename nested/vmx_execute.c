// SPDX-License-Identifier: BSD-3-Clause
/* A VMX instruction of L1 from its bytes to its effects. */
#include <errno.h>

#include "nested/vmx_decode.h"
#include "nested/vmx_internal.h"

struct execution {
	struct sx_vmx *vmx;
	struct sx_vmx_cpu *l1;
	const struct sx_vmx_insn *insn;
	struct sx_vmx_guest_state *l2;
	struct sx_vmx_result result;
};

static uint64_t narrow(const struct execution *e, uint64_t value)
{
	return e->insn->operand_size == 8 ? value : (uint32_t)value;
}

static uint64_t reg_operand(const struct execution *e)
{
	return narrow(e, e->l1->gpr[e->insn->reg]);
}

static bool load_memory(struct execution *e, void *buf, unsigned size)
{
	uint64_t linear;

	return sx_vmx_operand_linear(&e->vmx->caps, e->l1, e->insn, size, false, &linear,
				     &e->result) &&
	       sx_vmx_read_linear(e->vmx, e->l1, linear, buf, size, &e->result);
}

static bool store_memory(struct execution *e, uint64_t value, unsigned size)
{
	uint64_t linear;

	return sx_vmx_operand_linear(&e->vmx->caps, e->l1, e->insn, size, true, &linear,
				     &e->result) &&
	       sx_vmx_write_linear(e->vmx, e->l1, linear, &value, size, &e->result);
}

/* VMXON, VMCLEAR, VMPTRLD: a 64-bit physical address in memory, in every mode. */
static void with_pointer(struct execution *e)
{
	uint64_t gpa;

	if (e->insn->op == SX_OP_VMXON ? sx_vmx_vmxon_refused(e->vmx, e->l1, &e->result)
				       : sx_vmx_refused(e->vmx, e->l1, &e->result))
		return;
	if (e->insn->op == SX_OP_VMXON && e->vmx->on) {
		e->result = sx_vmx_fail(e->vmx, SX_VMERR_VMXON_IN_ROOT); /* reads no operand */
		return;
	}
	if (!load_memory(e, &gpa, sizeof(gpa)))
		return;
	if (e->insn->op == SX_OP_VMXON)
		e->result = sx_vmx_vmxon(e->vmx, e->l1, gpa);
	else if (e->insn->op == SX_OP_VMCLEAR)
		e->result = sx_vmx_vmclear(e->vmx, e->l1, gpa);
	else
		e->result = sx_vmx_vmptrld(e->vmx, e->l1, gpa);
}

static void store_pointer(struct execution *e)
{
	uint64_t gpa;
	struct sx_vmx_result result = sx_vmx_vmptrst(e->vmx, e->l1, &gpa);

	if (result.outcome != SX_VMX_SUCCEED || store_memory(e, gpa, sizeof(gpa)))
		e->result = result;
}

static void read_field(struct execution *e)
{
	uint64_t value = 0;
	struct sx_vmx_result result = sx_vmx_vmread(e->vmx, e->l1, reg_operand(e), &value);

	if (result.outcome == SX_VMX_SUCCEED) {
		value = narrow(e, value);
		if (e->insn->rm_is_register)
			e->l1->gpr[e->insn->rm] = value;
		else if (!store_memory(e, value, e->insn->operand_size))
			return;
	}
	e->result = result;
}

static void write_field(struct execution *e)
{
	uint64_t value = 0;

	if (sx_vmx_refused(e->vmx, e->l1, &e->result))
		return;
	if (e->vmx->current == SX_VMX_NONE) {
		e->result = result_of(SX_VMX_FAIL_INVALID);
		return;
	}
	if (e->insn->rm_is_register)
		value = narrow(e, e->l1->gpr[e->insn->rm]);
	else if (!load_memory(e, &value, e->insn->operand_size))
		return;
	e->result = sx_vmx_vmwrite(e->vmx, e->l1, reg_operand(e), value);
}

/* INVEPT, INVVPID: the type in a register, a descriptor of 16 bytes in memory. */
static void invalidate(struct execution *e)
{
	bool ept = e->insn->op == SX_OP_INVEPT;
	uint64_t descriptor[2];

	if (!(e->vmx->caps.ept_vpid & (ept ? SX_EPTCAP_INVEPT : SX_EPTCAP_INVVPID))) {
		e->result = fault_of(SX_VEC_UD);
		return;
	}
	if (sx_vmx_refused(e->vmx, e->l1, &e->result) ||
	    !load_memory(e, descriptor, sizeof(descriptor)))
		return;
	e->result = ept ? sx_vmx_invept(e->vmx, e->l1, reg_operand(e), descriptor)
			: sx_vmx_invvpid(e->vmx, e->l1, reg_operand(e), descriptor);
}

static void dispatch(struct execution *e)
{
	switch (e->insn->op) {
	case SX_OP_VMXON:
	case SX_OP_VMCLEAR:
	case SX_OP_VMPTRLD:
		with_pointer(e);
		break;
	case SX_OP_VMXOFF:
		e->result = sx_vmx_vmxoff(e->vmx, e->l1);
		break;
	case SX_OP_VMPTRST:
		store_pointer(e);
		break;
	case SX_OP_VMREAD:
		read_field(e);
		break;
	case SX_OP_VMWRITE:
		write_field(e);
		break;
	case SX_OP_VMLAUNCH:
	case SX_OP_VMRESUME:
		e->result = sx_vmx_enter(e->vmx, e->l1, e->insn->op == SX_OP_VMRESUME, e->l2);
		break;
	case SX_OP_INVEPT:
	case SX_OP_INVVPID:
		invalidate(e);
		break;
	case SX_OP_VMCALL:
		e->result = sx_vmx_vmcall(e->vmx, e->l1);
		break;
	case SX_OP_VMFUNC: /* 26.5.6: #UD outside VMX non-root operation */
		e->result = fault_of(SX_VEC_UD);
		break;
	}
}

/* The instruction goes on behind the bytes that could be fetched: that fetch faults. */
static struct sx_vmx_result truncated(const struct sx_vmx *vmx, const struct sx_vmx_cpu *l1,
				      size_t len)
{
	struct sx_vmx_result result;
	uint64_t next = l1->rip + len;

	if (sx_vmx_is_64bit(l1) ? !canonical(&vmx->caps, next) : next > l1->seg[SX_SEG_CS].limit)
		return fault_of(SX_VEC_GP);
	result = fault_of(SX_VEC_PF);
	result.address = sx_vmx_is_64bit(l1) ? next : (uint32_t)(l1->seg[SX_SEG_CS].base + next);
	result.error_code = l1->efer & SX_X86_EFER_NXE ? 0x10 : 0; /* 3A 4.7: instruction fetch */
	return result;
}

struct sx_vmx_result sx_vmx_execute(struct sx_vmx *vmx, struct sx_vmx_cpu *l1, const void *bytes,
				    size_t len, struct sx_vmx_guest_state *l2)
{
	struct sx_vmx_insn insn;
	struct execution e = {.vmx = vmx, .l1 = l1, .insn = &insn, .l2 = l2};
	int err = sx_vmx_decode(l1, bytes, len, &insn);

	if (err == -ENODATA)
		return truncated(vmx, l1, len);
	if (err)
		return fault_of(SX_VEC_UD);
	dispatch(&e);
	sx_vmx_finish(l1, &e.result, insn.length);
	return e.result;
}
