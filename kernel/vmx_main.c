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
 * What runs here runs with interrupts disabled, but for the windows of vmx_line.c.
 */
#include <linux/kdebug.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include <asm/trapnr.h>

#include "kernel/vmx.h"

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
		gpr[i] = *vmx_gpr(regs, i);
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
	c = vmx_this_cpu();
	window = c->window;
	if (window) {
		vmx_settle(c);
		c->window = false;
	}
	/* An NMI's handler may execute VMCLEAR (kexec): not while the line is in use. */
	if (c->line && (window || !c->busy)) {
		c->busy = true;
		done = gp ? vmx_write_cr4(c, regs, &insn) : vmx_execute(c, regs, &insn);
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

static int __init vmx_init(void)
{
	u32 count;
	int rc;

	vmx_state_init();
	rc = vmx_lines_open(&count);
	if (rc < 0)
		return rc;
	rc = register_die_notifier(&die_block);
	if (rc < 0) {
		vmx_lines_close();
		return rc;
	}
	pr_info("splitx_vmx: VMX by splitx, %u CPUs\n", count);
	return 0;
}

/* No CPU is in VMX operation: each has a reference to us while it is. */
static void __exit vmx_exit(void)
{
	unregister_die_notifier(&die_block);
	vmx_lines_close();
}

module_init(vmx_init);
module_exit(vmx_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VMX by splitx for an unmodified hypervisor");
