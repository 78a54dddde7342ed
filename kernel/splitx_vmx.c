// SPDX-License-Identifier: GPL-2.0
/*
 * VMX for an L1 kernel that nobody changed, on a processor whose VMX is splitx's engine: the other
 * side of ipc/wire/vmx_line.h. docs/nested-linux.md says how it is used.
 *
 * Where the processor has no VMX, its instructions raise #UD, and setting CR4.VMXE raises #GP. A
 * die notifier sees both before the kernel looks for a fixup. VMREAD and VMWRITE it serves itself,
 * from the VMCS12, which is memory; the rest goes to the engine by this CPU's line. So after each
 * instruction the registers are as VMX leaves them, and the kernel goes on. In VMLAUNCH and
 * VMRESUME L2 runs, elsewhere, and the kernel goes on at the host's RIP and RSP: it is the same
 * stack.
 *
 * What runs here runs with interrupts disabled, but for the windows in await_exit().
 */
#include <linux/io.h>
#include <linux/kdebug.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/uaccess.h>

#include <asm/debugreg.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/irq_vectors.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/trapnr.h>

#include "ipc/wire/vmx_insn.h"

/* Components that fit into a line's image: all but AMX's (SDM Vol. 1, 13.1). */
#define XSAVE_COMPONENTS (~(BIT_ULL(17) | BIT_ULL(18)))

#define XSTATE_BV 512 /* where an image says what is in it */

#define FLAGS_OF_VMX                                                                     \
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | \
	 X86_EFLAGS_OF)

struct vmx_cpu {
	struct sx_vmx_line *line;
	struct sx_producer ring;
	u64 current_pa;         /* the line's, as @vmcs was found for it */
	struct sx_vmcs12 *vmcs; /* the current VMCS12; NULL: none that is plain memory */
	bool vmxe;              /* CR4.VMXE as the kernel believes */
	bool busy;              /* in here, and the line is in use; an NMI may come */
	/* While L2 runs elsewhere: */
	bool window;          /* interrupts are let in, and the line is not in use but for that */
	bool settled;         /* L2 was made to exit there; what came of it is in what follows */
	u32 entry;            /* the message that L2 runs by */
	struct sx_cell reply; /* to it */
	struct sx_line_cpu after; /* the line's registers with that */
};

static DEFINE_PER_CPU(struct vmx_cpu, vmx_cpu);
static void *lines;
static void __iomem *kick_page;
static bool has_rdtscp, has_xsave;
static u64 efer, host_xcr0;

/* ---- registers ---- */

/* Of pt_regs, in the order of encodings. */
static unsigned long *gpr_of(struct pt_regs *regs, unsigned n)
{
#define AT(reg) offsetof(struct pt_regs, reg)
	static const u8 at[16] = {AT(ax),  AT(cx),  AT(dx),  AT(bx), AT(sp),  AT(bp),
				  AT(si),  AT(di),  AT(r8),  AT(r9), AT(r10), AT(r11),
				  AT(r12), AT(r13), AT(r14), AT(r15)};
#undef AT

	return (void *)regs + at[n & 15];
}

static void publish_cpu(const struct vmx_cpu *c, struct pt_regs *regs)
{
	struct sx_line_cpu *cpu = &c->line->cpu;

	for (unsigned i = 0; i < 16; i++)
		cpu->gpr[i] = *gpr_of(regs, i);
	cpu->rip = regs->ip;
	cpu->rflags = regs->flags;
	cpu->cr0 = read_cr0();
	cpu->cr3 = __read_cr3();
	cpu->cr4 = native_read_cr4() | (c->vmxe ? X86_CR4_VMXE : 0);
	cpu->dr7 = 0x400;
	cpu->efer = efer;
	cpu->cpl = 0;
}

/* ---- state beyond the VMCS: L2's is in this processor at an entry, and again after the exit ----
 */

static void save_fpu(void *image)
{
	if (has_xsave) {
		asm volatile("xsave64 (%0)"
			     :
			     : "r"(image), "a"((u32)XSAVE_COMPONENTS),
			       "d"((u32)(XSAVE_COMPONENTS >> 32))
			     : "memory");
	} else {
		asm volatile("fxsave64 (%0)" : : "r"(image) : "memory");
		*(u64 *)(image + XSTATE_BV) = XFEATURE_MASK_FPSSE;
	}
}

static void restore_fpu(const void *image)
{
	if (has_xsave)
		asm volatile("xrstor64 (%0)"
			     :
			     : "r"(image), "a"((u32)XSAVE_COMPONENTS),
			       "d"((u32)(XSAVE_COMPONENTS >> 32))
			     : "memory");
	else
		asm volatile("fxrstor64 (%0)" : : "r"(image) : "memory");
}

static const struct live_msr {
	u32 index;
	u16 at; /* in struct sx_line_cpu */
} live_msrs[] = {
	{MSR_KERNEL_GS_BASE, offsetof(struct sx_line_cpu, kernel_gs_base)},
	{MSR_STAR, offsetof(struct sx_line_cpu, star)},
	{MSR_LSTAR, offsetof(struct sx_line_cpu, lstar)},
	{MSR_CSTAR, offsetof(struct sx_line_cpu, cstar)},
	{MSR_SYSCALL_MASK, offsetof(struct sx_line_cpu, fmask)},
};

static u64 *live_msr_of(struct sx_line_cpu *cpu, const struct live_msr *m)
{
	return (void *)cpu + m->at;
}

/* RDTSCP tells it without an exit, where RDMSR would not. */
static u64 tsc_aux(void)
{
	u32 aux = 0;

	if (has_rdtscp)
		asm volatile("rdtscp" : "=c"(aux) : : "eax", "edx");
	return aux;
}

/* L1 lets L2 use the debug registers: then they are L2's. */
static bool debug_is_live(const struct vmx_cpu *c)
{
	return c->vmcs && !(sx_vmcs12_get(c->vmcs, SX_VMCS_CPU_CONTROLS) & SX_CPU_MOV_DR);
}

static void publish_debug(struct sx_line_cpu *cpu)
{
	get_debugreg(cpu->dr[0], 0);
	get_debugreg(cpu->dr[1], 1);
	get_debugreg(cpu->dr[2], 2);
	get_debugreg(cpu->dr[3], 3);
	get_debugreg(cpu->dr6, 6);
}

static void take_debug(const struct sx_line_cpu *before, const struct sx_line_cpu *cpu)
{
	if (cpu->dr[0] != before->dr[0])
		set_debugreg(cpu->dr[0], 0);
	if (cpu->dr[1] != before->dr[1])
		set_debugreg(cpu->dr[1], 1);
	if (cpu->dr[2] != before->dr[2])
		set_debugreg(cpu->dr[2], 2);
	if (cpu->dr[3] != before->dr[3])
		set_debugreg(cpu->dr[3], 3);
	if (cpu->dr6 != before->dr6)
		set_debugreg(cpu->dr6, 6);
}

static void publish_live(struct vmx_cpu *c)
{
	struct sx_line_cpu *cpu = &c->line->cpu;

	c->line->live = SX_LIVE_FPU | SX_LIVE_MSRS | SX_LIVE_CR2 | SX_LIVE_CPUID;
	save_fpu((void *)c->line + SX_LINE_XSAVE);
	for (unsigned i = 0; i < ARRAY_SIZE(live_msrs); i++)
		rdmsrl(live_msrs[i].index, *live_msr_of(cpu, &live_msrs[i]));
	cpu->tsc_aux = tsc_aux();
	cpu->xcr0 = has_xsave ? xgetbv(XCR_XFEATURE_ENABLED_MASK) : 0;
	cpu->cr2 = native_read_cr2();
	if (debug_is_live(c)) {
		publish_debug(cpu);
		c->line->live |= SX_LIVE_DEBUG;
	}
}

/* What L2 did not change is there still, and each of these may be an exit. */
static void take_live(struct vmx_cpu *c, const struct sx_line_cpu *before)
{
	struct sx_line_cpu *cpu = &c->line->cpu;

	/* An interrupt's handler used the FPU: what it left has to go before L2's state comes. */
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
	restore_fpu((void *)c->line + SX_LINE_XSAVE);
	for (unsigned i = 0; i < ARRAY_SIZE(live_msrs); i++) {
		u64 value = *live_msr_of(cpu, &live_msrs[i]);

		if (value != *live_msr_of((struct sx_line_cpu *)before, &live_msrs[i]))
			wrmsrl(live_msrs[i].index, value);
	}
	if (cpu->tsc_aux != before->tsc_aux)
		wrmsrl(MSR_TSC_AUX, cpu->tsc_aux);
	native_write_cr2(cpu->cr2);
	if (c->line->live & SX_LIVE_DEBUG)
		take_debug(before, cpu);
}

/* ---- the line ---- */

static void kick(const struct vmx_cpu *c)
{
	writeq(c->line->kick_value, kick_page + offset_in_page(c->line->kick));
}

/* The VMCS12 that is current lies in the kernel's own memory; look where when it has changed. */
static void find_current(struct vmx_cpu *c)
{
	u64 pa = c->line->current_vmcs;

	if (pa == c->current_pa)
		return;
	c->current_pa = pa;
	c->vmcs = pa != ~0ull && pfn_valid(PHYS_PFN(pa)) ? phys_to_virt(pa) : NULL;
}

/*
 * Let interrupts in for the length of one instruction. Was one taken? Then the processor has pushed
 * a frame below the stack pointer, and in it RFLAGS, which is never 0 (SDM Vol. 3A, 6.14.2); NMIs
 * and machine checks have stacks of their own.
 */
static bool interrupt_window(void)
{
	unsigned long at, flags;

	asm volatile("mov %%rsp, %0\n\t"
		     "and $-16, %0\n\t"
		     "movq $0, -24(%0)\n\t"
		     "sti\n\t"
		     "pause\n\t"
		     "cli\n\t"
		     "mov -24(%0), %1"
		     : "=&r"(at), "=r"(flags)
		     :
		     : "memory", "cc");
	return flags != 0;
}

/*
 * L2 runs on another core. An interrupt of ours has to end that, as external-interrupt exiting
 * says; its own handler has run by then, so the exit names a vector that may come for nothing.
 */
static void end_l2(struct vmx_cpu *c)
{
	if (c->line->interrupt)
		return;
	/* Pairs with the acquire where L0 looks at it. */
	sx_store_release(&c->line->interrupt, 1u);
	kick(c);
}

static bool answered(struct vmx_cpu *c)
{
	return c->settled || sx_producer_replied(&c->ring, c->entry) ||
	       sx_producer_state(&c->ring) != SX_RING_OPEN;
}

/*
 * A handler in a window executes a VMX instruction: KVM has a VMCS cleared on the CPU that had it
 * last, by an IPI. The line is wanted for that, so L2 exits first, and what it left is kept.
 */
static void settle(struct vmx_cpu *c)
{
	if (c->settled)
		return;
	end_l2(c);
	while (!answered(c))
		cpu_relax();
	c->reply = *sx_producer_cell(&c->ring, c->entry);
	c->after = c->line->cpu;
	c->settled = true;
}

/* Handlers run with the kernel's XCR0: it may save more state than L2 has enabled. */
static const struct sx_cell *await_exit(struct vmx_cpu *c, u32 n)
{
	u64 xcr0 = c->line->cpu.xcr0;

	if (xcr0 != host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, host_xcr0);
	c->entry = n;
	while (!answered(c)) {
		bool taken;

		c->window = true;
		taken = interrupt_window();
		c->window = false;
		if (taken && !c->settled)
			end_l2(c);
	}
	c->line->interrupt = 0;
	if (xcr0 != host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, xcr0);
	if (!c->settled)
		return sx_producer_cell(&c->ring, n);
	c->settled = false;
	c->line->cpu = c->after;
	return &c->reply;
}

/* Send a message and wait for its reply; NULL: there is nobody to answer any more. */
static const struct sx_cell *ask(struct vmx_cpu *c, u16 op, const u64 w[3])
{
	bool entry = op == SX_LINE_VMLAUNCH || op == SX_LINE_VMRESUME;
	u32 kicks = c->line->flags;
	struct sx_cell *request = sx_producer_cell(&c->ring, c->ring.next);
	const struct sx_cell *cell = request;
	u32 n;

	request->op = op;
	request->arg = 0;
	for (int i = 0; i < 3; i++)
		request->w[i] = w[i];
	n = sx_producer_publish(&c->ring);
	if (kicks & SX_LINE_KICK_EACH || (entry && kicks & SX_LINE_KICK_ENTRY))
		kick(c);
	if (entry && !(kicks & (SX_LINE_KICK_EACH | SX_LINE_KICK_ENTRY)))
		cell = await_exit(c, n);
	while (sx_load_acquire(&cell->turn) != sx_turn_reply(n)) { /* with sx_consumer_reply() */
		if (sx_producer_state(&c->ring) != SX_RING_OPEN)
			return NULL;
		cpu_relax();
	}
	find_current(c);
	return cell;
}

/* ---- instructions ---- */

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

	publish_live(c);
	before = c->line->cpu;
	reply = ask(c, insn->op, none);
	if (!reply || reply->arg == SX_LINE_REFUSED)
		return not_entered(c, regs, insn, reply);
	if (reply->arg != SX_LINE_EXITED)
		return conclude(regs, insn, reply);
	take_live(c, &before);
	for (unsigned i = 0; i < 16; i++)
		*gpr_of(regs, i) = c->line->cpu.gpr[i];
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
	u64 encoding = *gpr_of(regs, insn->reg);
	const u64 *slot = slot_of(c, encoding);
	u64 value;

	if (slot) {
		value = READ_ONCE(*slot);
		value = SX_VMCS_HIGH(encoding) ? value >> 32
					       : value & sx_vmcs_width_mask((u32)encoding);
		finish(regs, insn, 0);
	} else {
		const struct sx_cell *reply = ask(c, insn->op, (const u64[3]){encoding});

		if (!conclude(regs, insn, reply))
			return false;
		if (reply->arg != SX_LINE_SUCCEED)
			return true;
		value = reply->w[3];
	}
	if (insn->memory)
		*(u64 *)operand(insn) = value;
	else
		*gpr_of(regs, insn->rm) = value;
	return true;
}

static bool vmwrite(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	u64 encoding = *gpr_of(regs, insn->reg);
	u64 *slot = slot_of(c, encoding);
	u64 value = *gpr_of(regs, insn->rm);

	if (insn->memory && !fetch(insn, &value, sizeof(value)))
		return false;
	if (!slot)
		return conclude(regs, insn, ask(c, insn->op, (const u64[3]){encoding, value}));
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

	if (!fetch(insn, &w[0], sizeof(w[0])) || !conclude(regs, insn, ask(c, insn->op, w)))
		return false;
	/* Whoever is in VMX operation needs us. */
	if (!was_on && c->line->on)
		__module_get(THIS_MODULE);
	return true;
}

static bool invalidate(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	u64 w[3] = {*gpr_of(regs, insn->reg)};

	return fetch(insn, &w[1], 16) && conclude(regs, insn, ask(c, insn->op, w));
}

static bool without_operand(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	static const u64 none[3];
	bool was_on = c->line->on;

	if (!conclude(regs, insn, ask(c, insn->op, none)))
		return false;
	if (was_on && !c->line->on)
		module_put(THIS_MODULE);
	return true;
}

static bool vmptrst(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	static const u64 none[3];
	const struct sx_cell *reply = ask(c, insn->op, none);

	if (!conclude(regs, insn, reply))
		return false;
	if (reply->arg == SX_LINE_SUCCEED)
		*(u64 *)operand(insn) = reply->w[3];
	return true;
}

static bool execute(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	if (insn->op == SX_LINE_VMREAD)
		return vmread(c, regs, insn);
	if (insn->op == SX_LINE_VMWRITE)
		return vmwrite(c, regs, insn);
	publish_cpu(c, regs);
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
static bool write_cr4(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn)
{
	unsigned long value = *gpr_of(regs, insn->rm);
	unsigned long rest = value & ~X86_CR4_VMXE;

	if (!(value & X86_CR4_VMXE))
		return false;
	c->vmxe = true;
	if (rest != native_read_cr4())
		asm volatile("mov %0, %%cr4" : : "r"(rest) : "memory");
	regs->ip += insn->length;
	return true;
}

/* ---- faults ---- */

static bool decode(struct pt_regs *regs, struct sx_insn *insn)
{
	u8 bytes[SX_INSN_MAX];
	u64 gpr[16];
	unsigned have = sizeof(bytes);

	/* The next page may not be there. */
	if (copy_from_kernel_nofault(bytes, (void *)regs->ip, have) != 0) {
		have = PAGE_SIZE - offset_in_page(regs->ip);
		if (have >= sizeof(bytes) ||
		    copy_from_kernel_nofault(bytes, (void *)regs->ip, have) != 0)
			return false;
	}
	for (unsigned i = 0; i < 16; i++)
		gpr[i] = *gpr_of(regs, i);
	return sx_insn_decode(bytes, have, regs->ip, gpr, insn);
}

static bool handle(struct pt_regs *regs, bool gp)
{
	struct sx_insn insn;
	unsigned long flags;
	struct vmx_cpu *c;
	bool window, done = false;

	if (!decode(regs, &insn) || gp != (insn.op == SX_INSN_MOV_CR4))
		return false;
	local_irq_save(flags);
	c = this_cpu_ptr(&vmx_cpu);
	window = c->window;
	if (window) {
		settle(c);
		c->window = false;
	}
	/* An NMI's handler may execute VMCLEAR (kexec): not while the line is in use. */
	if (c->line && (window || !c->busy)) {
		c->busy = true;
		done = gp ? write_cr4(c, regs, &insn) : execute(c, regs, &insn);
		c->busy = window;
	}
	c->window = window;
	local_irq_restore(flags);
	return done;
}

static int on_die(struct notifier_block *nb, unsigned long event, void *data)
{
	const struct die_args *args = data;
	bool ud = event == DIE_TRAP && args->trapnr == X86_TRAP_UD;

	if ((!ud && event != DIE_GPF) || user_mode(args->regs))
		return NOTIFY_DONE;
	return handle(args->regs, !ud) ? NOTIFY_STOP : NOTIFY_DONE;
}

static struct notifier_block die_block = {.notifier_call = on_die, .priority = INT_MAX};

/* ---- life ---- */

/* Where the lines are, and how many: CPUID. */
static int find_lines(u64 *gpa, u32 *count)
{
	u32 max, ebx, ecx, edx, version;

	cpuid(SX_LINE_CPUID_SIGNATURE, &max, &ebx, &ecx, &edx);
	if (max < SX_LINE_CPUID_PLACE || ebx != SX_LINE_SIGNATURE_EBX ||
	    ecx != SX_LINE_SIGNATURE_ECX || edx != SX_LINE_SIGNATURE_EDX) {
		pr_err("splitx_vmx: this is no guest of splitx run --nested\n");
		return -ENODEV;
	}
	cpuid(SX_LINE_CPUID_PLACE, &version, count, &ecx, &edx);
	if (version != SX_WIRE_VERSION) {
		pr_err("splitx_vmx: splitx speaks version %u, and this module version %u; build "
		       "both from one source\n",
		       version, SX_WIRE_VERSION);
		return -EPROTO;
	}
	*gpa = ecx | (u64)edx << 32;
	return 0;
}

/* The CPU with APIC ID n has line n. Its producer goes on where the one before it ended. */
static int take_lines(u32 count)
{
	unsigned cpu;

	for_each_possible_cpu(cpu)
	{
		struct vmx_cpu *c = per_cpu_ptr(&vmx_cpu, cpu);
		u32 id = cpu_physical_id(cpu);
		struct sx_ring *ring;

		if (id >= count)
			continue; /* a CPU that may never come */
		c->line = lines + (size_t)id * SX_LINE_STRIDE;
		ring = (void *)c->line + SX_LINE_RING;
		sx_producer_init(&c->ring, ring, SX_LINE_RING_ORDER);
		c->ring.next = c->ring.finished = ring->credit;
		c->current_pa = ~0ull;
		c->line->vector = RESCHEDULE_VECTOR;
	}
	if (this_cpu_ptr(&vmx_cpu)->line)
		return 0;
	pr_err("splitx_vmx: this CPU has no line\n");
	return -ENODEV;
}

static int __init vmx_init(void)
{
	const struct sx_vmx_line *first;
	u32 count = 0;
	u64 gpa = 0;
	int rc = find_lines(&gpa, &count);

	if (rc < 0)
		return rc;
	has_xsave = boot_cpu_has(X86_FEATURE_XSAVE);
	has_rdtscp = boot_cpu_has(X86_FEATURE_RDTSCP);
	host_xcr0 = has_xsave ? xgetbv(XCR_XFEATURE_ENABLED_MASK) : 0;
	rdmsrl(MSR_EFER, efer);
	lines = memremap(gpa, (size_t)count * SX_LINE_STRIDE, MEMREMAP_WB);
	if (!lines)
		return -ENOMEM;
	first = lines;
	rc = -ENOMEM;
	kick_page = ioremap(first->kick & PAGE_MASK, PAGE_SIZE);
	if (!kick_page)
		goto fail_lines;
	preempt_disable();
	rc = take_lines(count);
	preempt_enable();
	if (rc < 0)
		goto fail_kick;
	rc = register_die_notifier(&die_block);
	if (rc < 0)
		goto fail_kick;
	pr_info("splitx_vmx: VMX by splitx, %u CPUs\n", count);
	return 0;

fail_kick:
	iounmap(kick_page);
fail_lines:
	memunmap(lines);
	return rc;
}

/* No CPU is in VMX operation: each has a reference to us while it is. */
static void __exit vmx_exit(void)
{
	unregister_die_notifier(&die_block);
	iounmap(kick_page);
	memunmap(lines);
}

module_init(vmx_init);
module_exit(vmx_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VMX by splitx for an unmodified hypervisor");
