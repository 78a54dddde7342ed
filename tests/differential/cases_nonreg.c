// SPDX-License-Identifier: BSD-3-Clause
/* Checks on guest non-register state, SDM 3C 27.3.1.5, and on the MSR-load area, 27.4. */
#include "tests/differential/cases.h"

static const struct {
	const char *name;
	uint32_t info;
} events[] = {
	{"nothing", 0},
	{"external", SX_INTR_INFO(SX_INTR_EXTERNAL, 32)},
	{"nmi", SX_INTR_INFO(SX_INTR_NMI, SX_VEC_NMI)},
	{"db", SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_DB)},
	{"mc", SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_MC)},
	{"ud", SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_UD)},
	{"gp", SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_GP) | SX_INTR_ERROR_CODE},
	{"int", SX_INTR_INFO(SX_INTR_SOFTWARE, 0x80)},
	{"int1", SX_INTR_INFO(SX_INTR_PRIVILEGED, SX_VEC_DB)},
	{"int3", SX_INTR_INFO(SX_INTR_SOFT_EXC, SX_VEC_BP)},
};

/* Without an event, an inactive L2 comes back by a timer that has expired. */
static void with_timer(struct diff_vmcs *v)
{
	diff_or(v, SX_VMCS_PIN_CONTROLS, SX_PIN_PREEMPTION_TIMER);
}

static void base_with_if(struct diff_vmcs *v)
{
	diff_base(v);
	diff_or(v, SX_VMCS_GUEST_RFLAGS, SX_X86_RFLAGS_IF);
}

static void activity(void)
{
	static const uint64_t wrong[] = {4, 5, 0x100, 0x80000000, 0xffffffff};
	struct diff_vmcs v;

	base_with_if(&v);
	diff_try("activity/state", &v, SX_VMCS_GUEST_ACTIVITY, wrong, DIFF_COUNT(wrong));
	for (unsigned state = 0; state < 4; state++) {
		for (unsigned i = 0; i < DIFF_COUNT(events); i++) {
			struct diff_case c = diff_case("activity/%u-%s", state, events[i].name);

			if (state == SX_ACTIVITY_WAIT_SIPI && !events[i].info)
				continue; /* a good one, which waits for ever */
			base_with_if(&v);
			diff_set(&v, SX_VMCS_GUEST_ACTIVITY, state);
			diff_set(&v, SX_VMCS_ENTRY_INTR_INFO, events[i].info);
			diff_set(&v, SX_VMCS_ENTRY_INSN_LENGTH, 1);
			if (!events[i].info)
				with_timer(&v);
			diff_enter(&c, &v);
		}
		for (unsigned blocking = 1; blocking < 4; blocking++) {
			struct diff_case c = diff_case("activity/%u-blocking%u", state, blocking);

			base_with_if(&v);
			with_timer(&v);
			diff_set(&v, SX_VMCS_GUEST_ACTIVITY, state);
			diff_set(&v, SX_VMCS_GUEST_INTERRUPTIBILITY, blocking);
			diff_enter(&c, &v);
		}
	}
}

/* 27.3.1.5: the HLT state needs CPL 0. */
static void hlt_above_cpl0(void)
{
	struct diff_case c = diff_case("activity/hlt-cpl3");
	struct diff_vmcs v;

	base_with_if(&v);
	with_timer(&v);
	diff_set(&v, SX_VMCS_GUEST_CS_SEL, DIFF_CODE_SEL | 3);
	diff_set(&v, SX_VMCS_GUEST_SS_SEL, DIFF_DATA_SEL | 3);
	diff_or(&v, SX_VMCS_GUEST_CS_AR, 0x60);
	diff_or(&v, SX_VMCS_GUEST_SS_AR, 0x60);
	diff_set(&v, SX_VMCS_GUEST_ACTIVITY, SX_ACTIVITY_HLT);
	diff_enter(&c, &v);
}

static void interruptibility(void)
{
	struct diff_vmcs v;

	diff_base(&v);
	diff_flip("blocking/if0", &v, SX_VMCS_GUEST_INTERRUPTIBILITY, UINT64_C(0xffffffff));
	base_with_if(&v);
	diff_flip("blocking/if1", &v, SX_VMCS_GUEST_INTERRUPTIBILITY, UINT64_C(0xffffffff));
	diff_set(&v, SX_VMCS_GUEST_INTERRUPTIBILITY, SX_BLOCK_STI | SX_BLOCK_MOV_SS);
	diff_flip("blocking/both", &v, SX_VMCS_GUEST_INTERRUPTIBILITY, 0xf);
}

static void blocked_event(unsigned event, uint32_t blocking, bool virtual_nmis)
{
	struct diff_case c = diff_case("blocked/%s-%x%s", events[event].name, (uint64_t)blocking,
				       virtual_nmis ? "-virtual" : "");
	struct diff_vmcs v;

	base_with_if(&v);
	if (virtual_nmis)
		diff_or(&v, SX_VMCS_PIN_CONTROLS, SX_PIN_NMI | SX_PIN_VIRTUAL_NMIS);
	diff_set(&v, SX_VMCS_ENTRY_INTR_INFO, events[event].info);
	diff_set(&v, SX_VMCS_ENTRY_INSN_LENGTH, 1);
	diff_set(&v, SX_VMCS_GUEST_INTERRUPTIBILITY, blocking);
	diff_enter(&c, &v);
}

/* Bochs' blocking of virtual NMIs outlives its L2: cases that block them come last. */
static void blocked_events(void)
{
	for (unsigned round = 0; round < 64; round++) {
		uint32_t blocking = round & 15;
		bool virtual_nmis = round & 16, nmis = round & 32;

		for (unsigned i = 0; i < DIFF_COUNT(events); i++)
			if ((SX_INTR_TYPE(events[i].info) == SX_INTR_NMI) == nmis)
				blocked_event(i, blocking, virtual_nmis);
	}
}

static void pending_debug(void)
{
	struct diff_vmcs v;

	diff_base(&v);
	/*
	 * Bits 3:0 do nothing alone; 12 and 14 are debug exceptions that L2 takes at once. Bochs
	 * does not look at bits 63:32.
	 */
	diff_flip("pending/bit", &v, SX_VMCS_GUEST_PENDING_DBG, UINT64_C(0x80000001ffffffff));
	for (unsigned i = 0; i < 16; i++) {
		struct diff_case c = diff_case("pending/held-%u", i);

		base_with_if(&v);
		diff_set(&v, SX_VMCS_GUEST_INTERRUPTIBILITY,
			 i & 1 ? SX_BLOCK_STI : SX_BLOCK_MOV_SS);
		diff_or(&v, SX_VMCS_GUEST_RFLAGS, i & 2 ? SX_X86_RFLAGS_TF : 0);
		diff_set(&v, SX_VMCS_GUEST_DEBUGCTL, i & 4 ? SX_X86_DEBUGCTL_BTF : 0);
		diff_set(&v, SX_VMCS_GUEST_PENDING_DBG, i & 8 ? SX_PENDING_DBG_BS : 0);
		diff_enter(&c, &v);
	}
}

static void link_pointer(void)
{
	static const uint64_t wrong[] = {1,
					 AT_SHADOW | 0x800,
					 UINT64_C(1) << 40,
					 UINT64_C(1) << 63,
					 UINT64_MAX - 1,
					 AT_VMCS,
					 AT_DATA};
	uint64_t basic = 0;

	(void)diff_rdmsr(SX_MSR_VMX_BASIC, &basic);
	*(uint32_t *)diff_at(AT_DATA) = ~(uint32_t)basic;
	for (unsigned shadowing = 0; shadowing < 2; shadowing++) {
		const char *mode = shadowing ? "link/shadowing" : "link/plain";
		struct diff_vmcs v;

		diff_base(&v);
		if (shadowing)
			diff_or_cpu2(&v, SX_CPU2_VMCS_SHADOW);
		diff_try(mode, &v, SX_VMCS_LINK_POINTER, wrong, DIFF_COUNT(wrong));
		diff_set(&v, SX_VMCS_LINK_POINTER, AT_SHADOW);
		for (unsigned i = 0; i < 4; i++) {
			struct diff_case c = diff_case("%s-revision%u", mode, i);

			*(uint32_t *)diff_at(AT_SHADOW) =
				((uint32_t)basic ^ (i & 1)) | (i & 2 ? SX_VMCS12_SHADOW : 0);
			diff_enter(&c, &v);
		}
	}
}

struct msr {
	const char *name;
	uint32_t index, reserved;
	uint64_t value;
};

static void put_msr(uint64_t gpa, const struct msr *msr)
{
	*(uint32_t *)diff_at(gpa) = msr->index;
	*(uint32_t *)diff_at(gpa + 4) = msr->reserved;
	*(uint64_t *)diff_at(gpa + 8) = msr->value;
}

/* 27.4: the qualification names the entry, from 1. */
static void msr_load(void)
{
	static const struct msr good = {"", 0xc0000102, 0, 0x1234}; /* IA32_KERNEL_GS_BASE */
	static const struct msr list[] = {
		{"kernel-gs", 0xc0000102, 0, UINT64_C(0xffff800000000000)},
		{"reserved", 0xc0000102, 1, 0},
		{"reserved-high", 0xc0000102, 0x80000000, 0},
		{"fs-base", 0xc0000100, 0, 0},
		{"gs-base", 0xc0000101, 0, 0},
		{"x2apic-first", 0x800, 0, 0},
		{"x2apic-last", 0x8ff, 0, 0},
		{"microcode", 0x79, 0, 0},
		{"smm-monitor", 0x9b, 0, 0},
		{"efer", 0xc0000080, 0, DIFF_EFER},
		{"efer-nxe", 0xc0000080, 0, DIFF_EFER & ~SX_X86_EFER_NXE},
		{"efer-no-lme", 0xc0000080, 0, DIFF_EFER & ~SX_X86_EFER_LME},
		{"efer-no-lma", 0xc0000080, 0, DIFF_EFER & ~SX_X86_EFER_LMA},
		{"efer-reserved", 0xc0000080, 0, DIFF_EFER | 2},
		{"pat", 0x277, 0, UINT64_C(0x0606060606060606)},
		{"pat-wrong", 0x277, 0, UINT64_C(0x0606060606060602)},
		{"sysenter-cs", 0x174, 0, 0x10},
		{"sysenter-esp", 0x175, 0, 0x1000},
		{"sysenter-esp-wrong", 0x175, 0, UINT64_C(1) << 63},
		{"sysenter-eip-wrong", 0x176, 0, UINT64_C(0x0000800000000000)},
		{"no-such", 0x40000000, 0, 0},
	};

	for (unsigned position = 1; position <= 3; position++) {
		for (unsigned i = 0; i < DIFF_COUNT(list); i++) {
			struct diff_case c = diff_case("msr-load/%s-%u", list[i].name, position);
			struct diff_vmcs v;

			for (unsigned n = 0; n < 3; n++)
				put_msr(AT_ENTRY_LOAD + 16 * n, &good);
			put_msr(AT_ENTRY_LOAD + 16 * (position - 1), &list[i]);
			diff_base(&v);
			diff_set(&v, SX_VMCS_ENTRY_MSR_LOAD_COUNT, 3);
			diff_enter(&c, &v);
		}
	}
}

void diff_cases_nonreg(void)
{
	activity();
	hlt_above_cpl0();
	interruptibility();
	blocked_events();
	pending_debug();
	link_pointer();
	msr_load();
}
