// SPDX-License-Identifier: BSD-3-Clause
/* Exceptions, interrupts, and instructions that one control decides: SDM 3C 26.1, 26.2. */
#include "nested/vmx_intercept.h"
#include "nested/vmx_internal.h"

/* 25.6.3: for #PF the bitmap's bit is inverted where the error code does not match. */
static bool bitmap_says(const struct sx_vmx *vmx, const struct sx_vmx_exception *e)
{
	bool bit = F(vmx, EXCEPTION_BITMAP) >> (e->vector & 31) & 1;

	if (e->vector != SX_VEC_PF)
		return bit;
	return bit == ((e->error_code & F(vmx, PF_ERROR_MASK)) == F(vmx, PF_ERROR_MATCH));
}

bool sx_vmx_on_exception(const struct sx_vmx *vmx, const struct sx_vmx_exception *e,
			 struct sx_vmx_exit *exit)
{
	if (!bitmap_says(vmx, e))
		return false;
	exit->reason = SX_VMEXIT_EXCEPTION_NMI;
	exit->intr_info = SX_INTR_INFO(e->type, e->vector);
	exit->qualification = e->qualification;
	if (e->has_error_code) {
		exit->intr_info |= SX_INTR_ERROR_CODE;
		exit->intr_error = e->error_code;
	}
	return true;
}

bool sx_vmx_on_nmi(const struct sx_vmx *vmx, struct sx_vmx_exit *exit)
{
	if (!(pin_controls(vmx) & SX_PIN_NMI))
		return false;
	exit->reason = SX_VMEXIT_EXCEPTION_NMI;
	exit->intr_info = SX_INTR_INFO(SX_INTR_NMI, SX_VEC_NMI);
	return true;
}

bool sx_vmx_on_ext_intr(const struct sx_vmx *vmx, uint8_t vector, struct sx_vmx_exit *exit)
{
	if (!(pin_controls(vmx) & SX_PIN_EXT_INTR))
		return false;
	exit->reason = SX_VMEXIT_EXT_INTR;
	if (exit_controls(vmx) & SX_EXITC_ACK_INTR) /* 28.2.2 */
		exit->intr_info = SX_INTR_INFO(SX_INTR_EXTERNAL, vector);
	return true;
}

enum word {
	NEVER = 0,
	ALWAYS,
	PRIMARY,
	SECONDARY,
};

struct rule {
	uint8_t word; /* which word's @bit decides */
	uint32_t bit;
	uint32_t enable; /* secondary control without which the instruction is #UD: 26.3 */
};

/* 26.1.2: unconditional. 26.1.3: by a control. 26.2: events. */
static const struct rule rules[] = {
	[SX_VMEXIT_TRIPLE_FAULT] = {ALWAYS, 0, 0},
	[SX_VMEXIT_INIT] = {ALWAYS, 0, 0},
	[SX_VMEXIT_SIPI] = {ALWAYS, 0, 0},
	[SX_VMEXIT_TASK_SWITCH] = {ALWAYS, 0, 0},
	[SX_VMEXIT_CPUID] = {ALWAYS, 0, 0},
	[SX_VMEXIT_GETSEC] = {ALWAYS, 0, 0},
	[SX_VMEXIT_HLT] = {PRIMARY, SX_CPU_HLT, 0},
	[SX_VMEXIT_INVD] = {ALWAYS, 0, 0},
	[SX_VMEXIT_INVLPG] = {PRIMARY, SX_CPU_INVLPG, 0},
	[SX_VMEXIT_RDPMC] = {PRIMARY, SX_CPU_RDPMC, 0},
	[SX_VMEXIT_RDTSC] = {PRIMARY, SX_CPU_RDTSC, 0},
	[SX_VMEXIT_VMCALL] = {ALWAYS, 0, 0},
	[SX_VMEXIT_VMCLEAR] = {ALWAYS, 0, 0},
	[SX_VMEXIT_VMLAUNCH] = {ALWAYS, 0, 0},
	[SX_VMEXIT_VMPTRLD] = {ALWAYS, 0, 0},
	[SX_VMEXIT_VMPTRST] = {ALWAYS, 0, 0},
	[SX_VMEXIT_VMRESUME] = {ALWAYS, 0, 0},
	[SX_VMEXIT_VMXOFF] = {ALWAYS, 0, 0},
	[SX_VMEXIT_VMXON] = {ALWAYS, 0, 0},
	[SX_VMEXIT_MWAIT] = {PRIMARY, SX_CPU_MWAIT, 0},
	[SX_VMEXIT_MONITOR_TRAP] = {PRIMARY, SX_CPU_MONITOR_TRAP, 0},
	[SX_VMEXIT_MONITOR] = {PRIMARY, SX_CPU_MONITOR, 0},
	[SX_VMEXIT_GDTR_IDTR] = {SECONDARY, SX_CPU2_DESC_TABLE, 0},
	[SX_VMEXIT_LDTR_TR] = {SECONDARY, SX_CPU2_DESC_TABLE, 0},
	[SX_VMEXIT_INVEPT] = {ALWAYS, 0, 0},
	[SX_VMEXIT_RDTSCP] = {PRIMARY, SX_CPU_RDTSC, SX_CPU2_RDTSCP},
	[SX_VMEXIT_INVVPID] = {ALWAYS, 0, 0},
	[SX_VMEXIT_WBINVD] = {SECONDARY, SX_CPU2_WBINVD, 0},
	[SX_VMEXIT_XSETBV] = {ALWAYS, 0, 0},
	[SX_VMEXIT_RDRAND] = {SECONDARY, SX_CPU2_RDRAND, 0},
	[SX_VMEXIT_INVPCID] = {PRIMARY, SX_CPU_INVLPG, SX_CPU2_INVPCID},
	[SX_VMEXIT_RDSEED] = {SECONDARY, SX_CPU2_RDSEED, 0},
};

enum sx_vmx_verdict sx_vmx_on_insn(const struct sx_vmx *vmx, enum sx_vmx_reason reason,
				   struct sx_vmx_exit *exit)
{
	struct rule rule = {NEVER, 0, 0};
	bool exits = false;

	if ((size_t)reason < sizeof(rules) / sizeof(rules[0]))
		rule = rules[reason];
	if (rule.enable && !(cpu2_controls(vmx) & rule.enable))
		return SX_L2_UD;
	if (rule.word == PRIMARY)
		exits = cpu_controls(vmx) & rule.bit;
	else if (rule.word == SECONDARY)
		exits = cpu2_controls(vmx) & rule.bit;
	else
		exits = rule.word == ALWAYS;
	if (!exits)
		return SX_L2_PROCEED;
	exit->reason = reason;
	return SX_L2_EXIT;
}

bool sx_vmx_on_pause(struct sx_vmx *vmx, unsigned cpl, uint64_t tsc, struct sx_vmx_exit *exit)
{
	bool exits = cpu_controls(vmx) & SX_CPU_PAUSE;

	if (!exits && cpl == 0 && (cpu2_controls(vmx) & SX_CPU2_PAUSE_LOOP)) {
		bool new_loop = !vmx->pause_last || tsc - vmx->pause_last > F(vmx, PLE_GAP);

		if (new_loop)
			vmx->pause_first = tsc;
		else
			exits = tsc - vmx->pause_first > F(vmx, PLE_WINDOW);
		vmx->pause_last = tsc;
	}
	if (exits)
		exit->reason = SX_VMEXIT_PAUSE;
	return exits;
}

enum sx_vmx_verdict sx_vmx_on_xsaves(const struct sx_vmx *vmx, bool restore, uint64_t mask,
				     struct sx_vmx_exit *exit)
{
	if (!(cpu2_controls(vmx) & SX_CPU2_XSAVES))
		return SX_L2_UD;
	if (!(F(vmx, XSS_EXIT_BITMAP) & mask))
		return SX_L2_PROCEED;
	exit->reason = restore ? SX_VMEXIT_XRSTORS : SX_VMEXIT_XSAVES;
	return SX_L2_EXIT;
}

static bool tpr_below_threshold(const struct sx_vmx *vmx)
{
	uint8_t vtpr;

	if (!(cpu_controls(vmx) & SX_CPU_TPR_SHADOW) || !F(vmx, TPR_THRESHOLD))
		return false;
	read_l1(vmx, F(vmx, VIRTUAL_APIC) + 0x80, &vtpr, sizeof(vtpr));
	return vtpr >> 4 < F(vmx, TPR_THRESHOLD); /* 30.1.2 */
}

static bool nmi_window(const struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu)
{
	return (cpu_controls(vmx) & SX_CPU_NMI_WINDOW) &&
	       !(cpu->interruptibility & (SX_BLOCK_NMI | SX_BLOCK_MOV_SS));
}

/* 27.7.5: an open window wakes from HLT, not from shutdown. */
static bool interrupt_window(const struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu)
{
	return (cpu_controls(vmx) & SX_CPU_INTR_WINDOW) && (cpu->rflags & SX_X86_RFLAGS_IF) &&
	       !(cpu->interruptibility & (SX_BLOCK_STI | SX_BLOCK_MOV_SS)) &&
	       cpu->activity != SX_ACTIVITY_SHUTDOWN;
}

/* 26.2, 27.7.3: debug exceptions that L2 takes before its next instruction. */
static bool debug_exception(const struct sx_vmx_cpu *cpu)
{
	return (cpu->pending_dbg & (SX_PENDING_DBG_BS | SX_PENDING_DBG_BP)) &&
	       !(cpu->interruptibility & SX_BLOCK_MOV_SS) && cpu->activity != SX_ACTIVITY_SHUTDOWN;
}

/* The exits to which debug exceptions have priority. */
static bool low_priority(const struct sx_vmx *vmx, const struct sx_vmx_guest_state *l2,
			 struct sx_vmx_exit *exit)
{
	if (l2->timer_active && l2->timer == 0)
		exit->reason = SX_VMEXIT_PREEMPTION_TIMER;
	else if (nmi_window(vmx, &l2->cpu))
		exit->reason = SX_VMEXIT_NMI_WINDOW;
	else if (interrupt_window(vmx, &l2->cpu))
		exit->reason = SX_VMEXIT_INTR_WINDOW;
	else
		return false;
	return true;
}

bool sx_vmx_pending(const struct sx_vmx *vmx, const struct sx_vmx_guest_state *l2,
		    struct sx_vmx_exit *exit)
{
	bool mtf = (l2->event.info & SX_INTR_VALID) &&
		   SX_INTR_TYPE(l2->event.info) == SX_INTR_OTHER; /* 27.6.2 */

	if (l2->cpu.activity == SX_ACTIVITY_WAIT_SIPI)
		return false;
	if (tpr_below_threshold(vmx))
		exit->reason = SX_VMEXIT_TPR_THRESHOLD;
	else if (mtf)
		exit->reason = SX_VMEXIT_MONITOR_TRAP;
	else
		return !debug_exception(&l2->cpu) && low_priority(vmx, l2, exit);
	return true;
}
