// SPDX-License-Identifier: BSD-3-Clause
/* The capability MSRs: SDM 3D Appendix A. */
#include <errno.h>

#include "nested/vmx_caps.h"

/* What this engine implements, and nothing else. */
#define ALL_PIN (SX_PIN_EXT_INTR | SX_PIN_NMI | SX_PIN_VIRTUAL_NMIS | SX_PIN_PREEMPTION_TIMER)
#define ALL_CPU                                                                               \
	(SX_CPU_INTR_WINDOW | SX_CPU_TSC_OFFSET | SX_CPU_HLT | SX_CPU_INVLPG | SX_CPU_MWAIT | \
	 SX_CPU_RDPMC | SX_CPU_RDTSC | SX_CPU_CR3_LOAD | SX_CPU_CR3_STORE | SX_CPU_CR8_LOAD | \
	 SX_CPU_CR8_STORE | SX_CPU_TPR_SHADOW | SX_CPU_NMI_WINDOW | SX_CPU_MOV_DR |           \
	 SX_CPU_UNCOND_IO | SX_CPU_IO_BITMAPS | SX_CPU_MONITOR_TRAP | SX_CPU_MSR_BITMAPS |    \
	 SX_CPU_MONITOR | SX_CPU_PAUSE | SX_CPU_SECONDARY)
#define ALL_CPU2                                                                                \
	(SX_CPU2_EPT | SX_CPU2_DESC_TABLE | SX_CPU2_RDTSCP | SX_CPU2_VPID | SX_CPU2_WBINVD |    \
	 SX_CPU2_UNRESTRICTED | SX_CPU2_PAUSE_LOOP | SX_CPU2_RDRAND | SX_CPU2_INVPCID |         \
	 SX_CPU2_VMFUNC | SX_CPU2_VMCS_SHADOW | SX_CPU2_RDSEED | SX_CPU2_PML | SX_CPU2_XSAVES | \
	 SX_CPU2_TSC_SCALING)
#define ALL_EXIT                                                                           \
	(SX_EXITC_SAVE_DEBUG | SX_EXITC_HOST_64 | SX_EXITC_LOAD_PERF | SX_EXITC_ACK_INTR | \
	 SX_EXITC_SAVE_PAT | SX_EXITC_LOAD_PAT | SX_EXITC_SAVE_EFER | SX_EXITC_LOAD_EFER | \
	 SX_EXITC_SAVE_TIMER)
#define ALL_ENTRY                                                                               \
	(SX_ENTRYC_LOAD_DEBUG | SX_ENTRYC_GUEST_64 | SX_ENTRYC_LOAD_PERF | SX_ENTRYC_LOAD_PAT | \
	 SX_ENTRYC_LOAD_EFER)
#define ALL_ACTIVITY                                                      \
	(SX_VMX_BIT(SX_ACTIVITY_HLT) | SX_VMX_BIT(SX_ACTIVITY_SHUTDOWN) | \
	 SX_VMX_BIT(SX_ACTIVITY_WAIT_SIPI))

#define CR3_TARGETS 4

void sx_vmx_caps_all(struct sx_vmx_caps *caps, unsigned maxphyaddr, uint64_t cr4)
{
	*caps = (struct sx_vmx_caps){
		.pin = ALL_PIN,
		.cpu = ALL_CPU,
		.cpu2 = ALL_CPU2,
		.exit = ALL_EXIT,
		.entry = ALL_ENTRY,
		.ept_vpid = SX_EPTCAP_ALL_EPT | SX_EPTCAP_ALL_VPID,
		.vmfunc = SX_VMFUNC_EPTP_SWITCHING,
		.cr4 = cr4 | SX_X86_CR4_VMXE,
		.efer = SX_X86_EFER_SCE | SX_X86_EFER_LME | SX_X86_EFER_LMA | SX_X86_EFER_NXE,
		.debugctl = SX_X86_DEBUGCTL_LBR | SX_X86_DEBUGCTL_BTF,
		.perf_global = UINT64_C(0x70000000f), /* 4 general, 3 fixed counters: 20.2.2 */
		.activity = ALL_ACTIVITY,
		.maxphyaddr = (uint8_t)maxphyaddr,
		.linear_bits = 48,
		.timer_shift = 5,
		.zero_length_inject = true,
	};
}

/* Secondary controls that may not be 1 without EPT: 27.2.1.1. */
#define NEEDS_EPT (SX_CPU2_UNRESTRICTED | SX_CPU2_PML)

static void settle_secondary(struct sx_vmx_caps *caps)
{
	if (!(caps->cpu & SX_CPU_SECONDARY))
		caps->cpu2 = 0;
	if (!(caps->ept_vpid & SX_EPTCAP_WALK4) ||
	    !(caps->ept_vpid & (SX_EPTCAP_UC | SX_EPTCAP_WB)))
		caps->cpu2 &= ~SX_CPU2_EPT;
	if (!(caps->cpu2 & SX_CPU2_EPT)) {
		caps->cpu2 &= ~NEEDS_EPT;
		caps->ept_vpid &= ~SX_EPTCAP_ALL_EPT;
		caps->vmfunc &= ~SX_VMFUNC_EPTP_SWITCHING;
	}
	if (!(caps->ept_vpid & SX_EPTCAP_AD)) /* the log is of dirty flags that become 1: 29.3.6 */
		caps->cpu2 &= ~SX_CPU2_PML;
	if (!(caps->cpu2 & SX_CPU2_VMFUNC) || !caps->vmfunc) {
		caps->cpu2 &= ~SX_CPU2_VMFUNC;
		caps->vmfunc = 0;
	}
	if (!(caps->cpu2 & SX_CPU2_VPID))
		caps->ept_vpid &= ~SX_EPTCAP_ALL_VPID;
	if (!caps->cpu2)
		caps->cpu &= ~SX_CPU_SECONDARY;
}

void sx_vmx_caps_settle(struct sx_vmx_caps *caps)
{
	caps->pin &= ALL_PIN;
	caps->cpu &= ALL_CPU;
	caps->cpu2 &= ALL_CPU2;
	caps->exit &= ALL_EXIT;
	caps->entry &= ALL_ENTRY;
	caps->ept_vpid &= SX_EPTCAP_ALL_EPT | SX_EPTCAP_ALL_VPID;
	caps->vmfunc &= SX_VMFUNC_EPTP_SWITCHING;
	caps->activity &= ALL_ACTIVITY;
	caps->cr4 |= SX_X86_CR4_VMXE;
	caps->cpu |= SX_CPU_CR3_LOAD | SX_CPU_CR3_STORE; /* of the default1 class: A.2 */
	caps->exit |= SX_EXITC_SAVE_DEBUG;
	caps->entry |= SX_ENTRYC_LOAD_DEBUG;
	if (!(caps->pin & SX_PIN_NMI)) /* 27.2.1.1: each of these needs the one before */
		caps->pin &= ~SX_PIN_VIRTUAL_NMIS;
	if (!(caps->pin & SX_PIN_VIRTUAL_NMIS))
		caps->cpu &= ~SX_CPU_NMI_WINDOW;
	if (!(caps->pin & SX_PIN_PREEMPTION_TIMER)) /* 27.2.1.2 */
		caps->exit &= ~SX_EXITC_SAVE_TIMER;
	if (!(caps->cpu & SX_CPU_TSC_OFFSET)) /* 26.3: scaling acts only beside offsetting */
		caps->cpu2 &= ~SX_CPU2_TSC_SCALING;
	settle_secondary(caps);
}

static uint64_t basic(void)
{
	return SX_VMCS12_REVISION | (uint64_t)SX_VMCS12_SIZE << 32 |
	       UINT64_C(6) << 50 | /* write-back VMCS regions */
	       UINT64_C(1) << 54 | /* INS and OUTS report instruction information */
	       UINT64_C(1) << 55;  /* the TRUE MSRs exist */
}

static uint64_t misc(const struct sx_vmx_caps *caps)
{
	uint64_t stores_lma = !!(caps->cpu2 & SX_CPU2_UNRESTRICTED);

	return caps->timer_shift | stores_lma << 5 | (uint64_t)(caps->activity >> 1) << 6 |
	       (uint64_t)CR3_TARGETS << 16 |
	       UINT64_C(1) << 29 | /* VMWRITE to any field: it is plain memory anyway */
	       (uint64_t)caps->zero_length_inject << 30;
}

/* Low half: bits that must be 1. High half: bits that may be 1. */
static uint64_t control(uint32_t must, uint32_t always_allowed, uint32_t allowed)
{
	return (uint64_t)(always_allowed | allowed) << 32 | must;
}

static bool absent(const struct sx_vmx_caps *caps, uint32_t index)
{
	switch (index) {
	case SX_MSR_VMX_CPU2:
		return !(caps->cpu & SX_CPU_SECONDARY);
	case SX_MSR_VMX_EPT_VPID:
		return !(caps->cpu2 & (SX_CPU2_EPT | SX_CPU2_VPID));
	case SX_MSR_VMX_VMFUNC:
		return !(caps->cpu2 & SX_CPU2_VMFUNC);
	default:
		return index < SX_MSR_VMX_BASIC || index > SX_MSR_VMX_VMFUNC;
	}
}

int sx_vmx_caps_msr(const struct sx_vmx_caps *c, uint32_t index, uint64_t *value)
{
	const uint64_t values[] = {
		basic(),
		control(SX_PIN_DEFAULT1, SX_PIN_DEFAULT1, c->pin),
		control(SX_CPU_DEFAULT1, SX_CPU_DEFAULT1, c->cpu),
		control(SX_EXITC_DEFAULT1, SX_EXITC_DEFAULT1, c->exit),
		control(SX_ENTRYC_DEFAULT1, SX_ENTRYC_DEFAULT1, c->entry),
		misc(c),
		SX_VMX_CR0_FIXED0,
		SX_VMX_CR0_FIXED1,
		SX_X86_CR4_VMXE,
		c->cr4 | SX_X86_CR4_VMXE,
		(uint64_t)sx_vmcs_highest_index(c) << 1,
		control(0, 0, c->cpu2),
		c->ept_vpid,
		control(SX_PIN_DEFAULT1, SX_PIN_DEFAULT1, c->pin),
		control(SX_CPU_TRUE_DEFAULT1, SX_CPU_DEFAULT1, c->cpu),
		control(SX_EXITC_TRUE_DEFAULT1, SX_EXITC_DEFAULT1, c->exit),
		control(SX_ENTRYC_TRUE_DEFAULT1, SX_ENTRYC_DEFAULT1, c->entry),
		c->vmfunc,
	};

	_Static_assert(sizeof(values) / 8 == SX_MSR_VMX_VMFUNC - SX_MSR_VMX_BASIC + 1,
		       "one value per capability MSR");
	if (absent(c, index))
		return -ENOENT;
	*value = values[index - SX_MSR_VMX_BASIC];
	return 0;
}
