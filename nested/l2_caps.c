// SPDX-License-Identifier: BSD-3-Clause
/* What L1 is offered when its guests are sibling KVM VMs. */
#include "nested/nested_internal.h"

/* CR4 as struct sx_vmx_caps has it: bits L2 may set. SDM Vol. 3A 2.5. */
#define L2_CR4 UINT64_C(0x770eff) /* VME to OSXMMEXCPT, FSGSBASE, OSXSAVE, SMEP, SMAP, PKE */

/*
 * Not offered, because KVM gives its userspace no means to honour it: stepping L2 by the monitor
 * trap flag; exits by RDTSC, RDRAND, RDSEED, INVPCID, WBINVD, XSAVES, descriptor tables and PAUSE;
 * instructions that need their enabling by L1 (VMFUNC); VMCS shadowing for L2 (it would be a third
 * level); another rate of the TSC; execute-only pages, which memory slots cannot express.
 */
#define WITHOUT_CPU (SX_CPU_MONITOR_TRAP | SX_CPU_RDTSC | SX_CPU_PAUSE)
#define WITHOUT_CPU2                                                                 \
	(SX_CPU2_DESC_TABLE | SX_CPU2_WBINVD | SX_CPU2_PAUSE_LOOP | SX_CPU2_RDRAND | \
	 SX_CPU2_VMFUNC | SX_CPU2_VMCS_SHADOW | SX_CPU2_RDSEED | SX_CPU2_TSC_SCALING)
#define WITHOUT_ACTIVITY (SX_VMX_BIT(SX_ACTIVITY_SHUTDOWN) | SX_VMX_BIT(SX_ACTIVITY_WAIT_SIPI))

void sx_l2_caps(struct sx_vmx_caps *caps, bool timer)
{
	sx_vmx_caps_all(caps, 46, L2_CR4);
	if (!timer)
		caps->pin &= ~(uint32_t)SX_PIN_PREEMPTION_TIMER;
	caps->cpu &= ~WITHOUT_CPU;
	caps->cpu2 &= ~WITHOUT_CPU2;
	caps->ept_vpid &= ~SX_EPTCAP_EXEC_ONLY;
	caps->activity &= ~WITHOUT_ACTIVITY;
	caps->exit &= ~(uint32_t)SX_EXITC_LOAD_PERF;
	caps->entry &= ~(uint32_t)SX_ENTRYC_LOAD_PERF;
	sx_vmx_caps_settle(caps);
}
