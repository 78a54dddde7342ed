// SPDX-License-Identifier: BSD-3-Clause
/* What L1 is offered when its guests are sibling KVM VMs. */
#include "nested/nested_internal.h"

/* CR4 as struct sx_vmx_caps has it: bits L2 may set. SDM Vol. 3A 2.5. */
#define L2_CR4 UINT64_C(0x770eff) /* VME to OSXMMEXCPT, FSGSBASE, OSXSAVE, SMEP, SMAP, PKE */

/*
 * Not offered, because KVM gives its userspace no means to honour it: stepping L2 by the monitor
 * trap flag; exits by RDTSC, RDRAND, RDSEED, WBINVD, descriptor tables and PAUSE; instructions that
 * need their enabling by L1 (VMFUNC); VMCS shadowing for L2 (it would be a third level); another
 * rate of the TSC; execute-only pages, which memory slots cannot express.
 *
 * Offered although KVM does not give them all, because Linux's kvm_intel does not load without
 * (vmx.c, setup_vmcs_config in 6.1): exits by INVLPG, RDPMC, MONITOR, MWAIT, MOV from CR3, MOV to
 * and from DR and CR8. docs/nested-exits.md says what becomes of each.
 */
#define WITHOUT_CPU (SX_CPU_MONITOR_TRAP | SX_CPU_RDTSC | SX_CPU_PAUSE)
#define WITHOUT_CPU2                                                                 \
	(SX_CPU2_DESC_TABLE | SX_CPU2_WBINVD | SX_CPU2_PAUSE_LOOP | SX_CPU2_RDRAND | \
	 SX_CPU2_VMFUNC | SX_CPU2_VMCS_SHADOW | SX_CPU2_RDSEED | SX_CPU2_TSC_SCALING)
#define WITHOUT_ACTIVITY (SX_VMX_BIT(SX_ACTIVITY_SHUTDOWN) | SX_VMX_BIT(SX_ACTIVITY_WAIT_SIPI))

/* ---- what the host's KVM does not have, L2 cannot have ---- */

enum reg { EAX, EBX, ECX, EDX };

/* Without the bit of CPUID the bits of CR4 and the secondary controls go. SDM Vol. 2A, CPUID. */
struct feature {
	uint32_t leaf, subleaf;
	uint8_t reg, bit;
	uint64_t cr4;
	uint32_t cpu2;
};

static const struct feature features[] = {
	{0x1, 0, EDX, 1, 0x3, 0},               /* VME: VME, PVI */
	{0x1, 0, ECX, 17, SX_X86_CR4_PCIDE, 0}, /* PCID */
	{0x1, 0, ECX, 26, 1u << 18, 0},         /* XSAVE: OSXSAVE */
	{0x7, 0, EBX, 0, 1u << 16, 0},          /* FSGSBASE */
	{0x7, 0, EBX, 7, SX_X86_CR4_SMEP, 0},
	{0x7, 0, EBX, 10, 0, SX_CPU2_INVPCID},
	{0x7, 0, EBX, 20, SX_X86_CR4_SMAP, 0},
	{0x7, 0, ECX, 2, 1u << 11, 0}, /* UMIP */
	{0x7, 0, ECX, 3, 1u << 22, 0}, /* PKU: PKE */
	{0xd, 1, EAX, 3, 0, SX_CPU2_XSAVES},
	{0x80000001, 0, EDX, 27, 0, SX_CPU2_RDTSCP},
};

static bool has(const struct sx_cpuid *host, const struct feature *f)
{
	const struct kvm_cpuid_entry2 *e = sx_cpuid_find(host, f->leaf, f->subleaf);
	uint32_t value[4];

	if (!e)
		return false;
	value[EAX] = e->eax;
	value[EBX] = e->ebx;
	value[ECX] = e->ecx;
	value[EDX] = e->edx;
	return value[f->reg] >> f->bit & 1;
}

static void limit(struct sx_vmx_caps *caps, const struct sx_cpuid *host)
{
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (has(host, &features[i]))
			continue;
		caps->cr4 &= ~features[i].cr4;
		caps->cpu2 &= ~features[i].cpu2;
	}
}

void sx_l2_caps(struct sx_vmx_caps *caps, const struct sx_cpuid *host, bool timer)
{
	sx_vmx_caps_all(caps, sx_cpuid_physical_bits(host), L2_CR4);
	limit(caps, host);
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
