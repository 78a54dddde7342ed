// SPDX-License-Identifier: GPL-2.0
/* The state of this processor that goes to its line and comes back from there. */
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/processor.h>

#include "kernel/vmx.h"

/* Components that fit into a line's image: all but AMX's (SDM Vol. 1, 13.1). */
#define XSAVE_COMPONENTS (~(BIT_ULL(17) | BIT_ULL(18)))

#define XSTATE_BV 512 /* where an image says what is in it */

static bool has_rdtscp, has_xsave;
static u64 efer;

void vmx_state_init(void)
{
	has_xsave = boot_cpu_has(X86_FEATURE_XSAVE);
	has_rdtscp = boot_cpu_has(X86_FEATURE_RDTSCP);
	rdmsrl(MSR_EFER, efer);
}

void vmx_publish_registers(const struct vmx_cpu *c, struct pt_regs *regs)
{
	struct sx_line_cpu *cpu = &c->line->cpu;

	for (unsigned i = 0; i < 16; i++)
		cpu->gpr[i] = *vmx_gpr(regs, i);
	cpu->rip = regs->ip;
	cpu->rflags = regs->flags;
	cpu->cr0 = read_cr0();
	cpu->cr3 = __read_cr3();
	cpu->cr4 = native_read_cr4() | (c->vmxe ? X86_CR4_VMXE : 0);
	cpu->dr7 = 0x400;
	cpu->efer = efer;
	cpu->cpl = 0;
}

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

void vmx_publish_live(struct vmx_cpu *c)
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
void vmx_take_live(struct vmx_cpu *c, const struct sx_line_cpu *before)
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
