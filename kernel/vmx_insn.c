// SPDX-License-Identifier: GPL-2.0
/* The instructions themselves: how each is served and how it ends. */
#include <linux/module.h>
#include <linux/uaccess.h>

#include <asm/msr.h>
#include <asm/processor.h>

#include "kernel/vmx.h"

#define FLAGS_OF_VMX                                                                     \
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | \
	 X86_EFLAGS_OF)

static void finish(struct pt_regs *regs, const struct sx_insn *insn, unsigned long flags)
{
	regs->flags = (regs->flags & ~FLAGS_OF_VMX) | flags;
	regs->ip += insn->length;
}

/* How VMX instructions end: SDM Vol. 3C, 31.2. False: by a fault, which the kernel is to see. */
static bool conclude(struct pt_regs *regs, const struct sx_insn *insn, const struct sx_cell *reply)
{
	switch (reply ? reply->arg : SX_LINE_REFUSED) {
	case SX_LINE_SUCCEED:
		finish(regs, insn, 0);
		return true;
	case SX_LINE_FAIL_INVALID:
		finish(regs, insn, X86_EFLAGS_CF);
		return true;
	case SX_LINE_FAIL_VALID:
		finish(regs, insn, X86_EFLAGS_ZF);
		return true;
	case SX_LINE_REFUSED:
		pr_err_once("splitx_vmx: the engine refused a VMX instruction (%lld)\n",
			    reply ? (long long)reply->w[0] : 0);
		return false;
	default:
		return false;
	}
}

/*
 * The engine cannot run this L2. To the kernel that is an entry with bad controls, which ends this
 * L2 and nothing else.
 */
static bool not_entered(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn,
			const struct sx_cell *reply)
{
	pr_err_ratelimited("splitx_vmx: the engine cannot run this guest (%lld)\n",
			   reply ? (long long)reply->w[0] : 0);
	if (!c->vmcs)
		return false;
	sx_vmcs12_set(c->vmcs, SX_VMCS_INSN_ERROR, SX_VMERR_CONTROLS);
	finish(regs, insn, X86_EFLAGS_ZF);
	return true;
}

/* VMLAUNCH, VMRESUME: on return L2 has run, and the kernel is where its VMCS wants it. */
static bool enter(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	static const u64 none[3];
	struct sx_line_cpu before;
	const struct sx_cell *reply;

	vmx_publish_live(c);
	before = c->line->cpu;
	reply = vmx_ask(c, insn->op, none);
	if (!reply || reply->arg == SX_LINE_REFUSED)
		return not_entered(c, regs, insn, reply);
	if (reply->arg != SX_LINE_EXITED)
		return conclude(regs, insn, reply);
	vmx_take_live(c, &before);
	for (unsigned i = 0; i < 16; i++)
		*vmx_gpr(regs, i) = c->line->cpu.gpr[i];
	regs->ip = c->line->cpu.rip;
	regs->flags = c->line->cpu.rflags;
	return true;
}

/* The linear address of a memory operand. */
static void *operand(const struct sx_insn *insn)
{
	u64 base = 0;

	if (insn->segment)
		rdmsrl(insn->segment == 0x64 ? MSR_FS_BASE : MSR_GS_BASE, base);
	return (void *)(base + insn->address);
}

static bool fetch(const struct sx_insn *insn, void *to, size_t size)
{
	return copy_from_kernel_nofault(to, operand(insn), size) == 0;
}

/* Slot of a field that this VMCS12 has, or NULL: then the engine says why not. */
static u64 *slot_of(const struct vmx_cpu *c, u64 encoding)
{
	int slot = c->vmcs ? sx_vmcs12_slot(encoding) : -1;

	if (slot < 0 || !(c->line->slots[slot / 64] >> (slot % 64) & 1))
		return NULL;
	return &c->vmcs->slot[slot];
}

static bool vmread(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	u64 encoding = *vmx_gpr(regs, insn->reg);
	const u64 *slot = slot_of(c, encoding);
	u64 value;

	if (slot) {
		value = READ_ONCE(*slot);
		value = SX_VMCS_HIGH(encoding) ? value >> 32
					       : value & sx_vmcs_width_mask((u32)encoding);
		finish(regs, insn, 0);
	} else {
		const struct sx_cell *reply = vmx_ask(c, insn->op, (const u64[3]){encoding});

		if (!conclude(regs, insn, reply))
			return false;
		if (reply->arg != SX_LINE_SUCCEED)
			return true;
		value = reply->w[3];
	}
	if (insn->memory)
		*(u64 *)operand(insn) = value;
	else
		*vmx_gpr(regs, insn->rm) = value;
	return true;
}

static bool vmwrite(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	u64 encoding = *vmx_gpr(regs, insn->reg);
	u64 *slot = slot_of(c, encoding);
	u64 value = *vmx_gpr(regs, insn->rm);

	if (insn->memory && !fetch(insn, &value, sizeof(value)))
		return false;
	if (!slot)
		return conclude(regs, insn, vmx_ask(c, insn->op, (const u64[3]){encoding, value}));
	if (SX_VMCS_HIGH(encoding))
		value = value << 32 | (u32)READ_ONCE(*slot);
	WRITE_ONCE(*slot, value & sx_vmcs_width_mask((u32)encoding));
	finish(regs, insn, 0);
	return true;
}

/* Those whose operand is a physical address in memory. */
static bool with_pointer(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	u64 w[3] = {0};
	bool was_on = c->line->on;

	if (!fetch(insn, &w[0], sizeof(w[0])) || !conclude(regs, insn, vmx_ask(c, insn->op, w)))
		return false;
	/* Whoever is in VMX operation needs us. */
	if (!was_on && c->line->on)
		__module_get(THIS_MODULE);
	return true;
}

static bool invalidate(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	u64 w[3] = {*vmx_gpr(regs, insn->reg)};

	return fetch(insn, &w[1], 16) && conclude(regs, insn, vmx_ask(c, insn->op, w));
}

static bool without_operand(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	static const u64 none[3];
	bool was_on = c->line->on;

	if (!conclude(regs, insn, vmx_ask(c, insn->op, none)))
		return false;
	if (was_on && !c->line->on)
		module_put(THIS_MODULE);
	return true;
}

static bool vmptrst(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	static const u64 none[3];
	const struct sx_cell *reply = vmx_ask(c, insn->op, none);

	if (!conclude(regs, insn, reply))
		return false;
	if (reply->arg == SX_LINE_SUCCEED)
		*(u64 *)operand(insn) = reply->w[3];
	return true;
}

bool vmx_execute(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	if (insn->op == SX_LINE_VMREAD)
		return vmread(c, regs, insn);
	if (insn->op == SX_LINE_VMWRITE)
		return vmwrite(c, regs, insn);
	vmx_publish_registers(c, regs);
	switch (insn->op) {
	case SX_LINE_VMLAUNCH:
	case SX_LINE_VMRESUME:
		return enter(c, regs, insn);
	case SX_LINE_VMXON:
	case SX_LINE_VMCLEAR:
	case SX_LINE_VMPTRLD:
		return with_pointer(c, regs, insn);
	case SX_LINE_INVEPT:
	case SX_LINE_INVVPID:
		return invalidate(c, regs, insn);
	case SX_LINE_VMPTRST:
		return vmptrst(c, regs, insn);
	case SX_LINE_VMXOFF:
		return without_operand(c, regs, insn);
	default:
		return false; /* VMCALL: KVM's own hypercalls are nothing to us */
	}
}

/*
 * CR4.VMXE, which this processor does not have: the kernel believes that it is set, and has it in
 * its shadow of CR4. The other bits of the write count.
 */
bool vmx_write_cr4(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	unsigned long value = *vmx_gpr(regs, insn->rm);
	unsigned long rest = value & ~X86_CR4_VMXE;

	if (!(value & X86_CR4_VMXE))
		return false;
	c->vmxe = true;
	if (rest != native_read_cr4())
		asm volatile("mov %0, %%cr4" : : "r"(rest) : "memory");
	regs->ip += insn->length;
	return true;
}
