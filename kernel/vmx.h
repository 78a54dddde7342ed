/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of splitx_vmx.ko share; vmx_main.c says what the module does. */
#ifndef SX_KERNEL_VMX_H
#define SX_KERNEL_VMX_H

#include <linux/types.h>

#include <asm/ptrace.h>

#include "ipc/wire/vmx_insn.h"

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

/* Of pt_regs, in the order of encodings. */
static inline unsigned long *vmx_gpr(struct pt_regs *regs, unsigned n)
{
#define AT(reg) offsetof(struct pt_regs, reg)
	static const u8 at[16] = {AT(ax),  AT(cx),  AT(dx),  AT(bx), AT(sp),  AT(bp),
				  AT(si),  AT(di),  AT(r8),  AT(r9), AT(r10), AT(r11),
				  AT(r12), AT(r13), AT(r14), AT(r15)};
#undef AT

	return (void *)regs + at[n & 15];
}

/* ---- vmx_line.c ---- */

/* Find the lines and give each CPU its own; @count: how many there are. 0 or a negative errno. */
int vmx_lines_open(u32 *count);
void vmx_lines_close(void);

/* Of the CPU that this runs on; its line is NULL if it has none. */
struct vmx_cpu *vmx_this_cpu(void);

/* Send a message and wait for its reply; NULL: there is nobody to answer any more. */
const struct sx_cell *vmx_ask(struct vmx_cpu *c, u16 op, const u64 w[3]);

/*
 * A handler in a window executes a VMX instruction: KVM has a VMCS cleared on the CPU that had it
 * last, by an IPI. The line is wanted for that, so L2 exits first, and what it left is kept.
 */
void vmx_settle(struct vmx_cpu *c);

/* ---- vmx_state.c ---- */

/* Before the other two: it looks at what this processor has. */
void vmx_state_init(void);

/* L1's registers, as VMX instructions need them, go to the line. */
void vmx_publish_registers(const struct vmx_cpu *c, struct pt_regs *regs);

/*
 * State beyond the VMCS: L2's is in this processor at an entry, and goes to the line; after the
 * exit it is taken from there again. @before is what was published.
 */
void vmx_publish_live(struct vmx_cpu *c);
void vmx_take_live(struct vmx_cpu *c, const struct sx_line_cpu *before);

/* ---- vmx_insn.c ---- */

/* True: done, and @regs are where the kernel goes on. False: the kernel is to see the fault. */
bool vmx_execute(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn);
bool vmx_write_cr4(struct vmx_cpu *c, struct pt_regs *regs, const struct sx_insn *insn);

#endif
