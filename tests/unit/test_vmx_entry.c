// SPDX-License-Identifier: BSD-3-Clause
/* VM entry: what reaches L2, and what refuses. */
#include "tests/unit/test_vmx_run.h"

/* --- before the checks: 27.1 ------------------------------------------------------------------ */

static void launch_state(void **state)
{
	(void)state;
	start();
	assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, true, &w.l2).error, 5);
	enter();
	assert_int_equal(leave(SX_VMEXIT_CPUID).outcome, SX_VMX_SUCCEED);
	assert_int_equal(launch().error, 4);
	assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, true, &w.l2).outcome, SX_VMX_ENTERED);
	leave(SX_VMEXIT_CPUID);
	assert_int_equal(sx_vmx_vmclear(&w.vmx, &w.l1, AT_VMCS).outcome, SX_VMX_SUCCEED);
	assert_int_equal(sx_vmx_vmptrld(&w.vmx, &w.l1, AT_VMCS).outcome, SX_VMX_SUCCEED);
	enter();
}

static void blocked_by_mov_ss(void **state)
{
	(void)state;
	start();
	w.l1.interruptibility = SX_BLOCK_MOV_SS;
	assert_int_equal(launch().error, 26);
	w.l1.interruptibility = SX_BLOCK_STI;
	enter();
}

static void no_current_vmcs(void **state)
{
	(void)state;
	start();
	w.vmx.current = SX_VMX_NONE;
	assert_int_equal(launch().outcome, SX_VMX_FAIL_INVALID);
}

static void a_failed_entry_leaves_the_vmcs_clear(void **state)
{
	(void)state;
	start();
	set_field(&w, SX_VMCS_GUEST_RFLAGS, 0);
	assert_int_equal(launch().outcome, SX_VMX_ENTRY_FAILED);
	set_field(&w, SX_VMCS_GUEST_RFLAGS, 2);
	enter();
}

/* --- the state of L2: 27.3.2 ------------------------------------------------------------------ */

static void guest_state_is_loaded(void **state)
{
	const struct sx_vmx_cpu *c = &w.l2.cpu;

	(void)state;
	start();
	w.l1.gpr[SX_RBX] = 0xb;
	w.l1.cr0 |= SX_X86_CR0_CD;
	set_field(&w, SX_VMCS_GUEST_DR7, 0xffff);
	set_field(&w, SX_VMCS_GUEST_DEBUGCTL, 1);
	set_field(&w, SX_VMCS_GUEST_SYSENTER_ESP, 0x123);
	set_field(&w, SX_VMCS_GUEST_FS_BASE, 0xf5);
	set_field(&w, SX_VMCS_GUEST_GDTR_BASE, 0x6d);
	enter();
	assert_int_equal(c->rip, 0x4000);
	assert_int_equal(c->gpr[SX_RSP], 0x8000);
	assert_int_equal(c->gpr[SX_RBX], 0xb);
	assert_int_equal(c->rflags, 0x202);
	assert_int_equal(c->cr0, 0x80000031 | SX_X86_CR0_CD); /* CD and NW are never changed */
	assert_int_equal(c->cr3, 0x9000);
	assert_int_equal(c->dr7, 0x2fff); /* bits 12, 14, 15 are 0, bit 10 is 1 */
	assert_int_equal(c->debugctl, 1);
	assert_int_equal(c->efer, 0xd01);
	assert_int_equal(c->pat, UINT64_C(0x0007040600070406));
	assert_int_equal(c->perf_global, 3);
	assert_int_equal(c->sysenter_esp, 0x123);
	assert_int_equal(c->seg[SX_SEG_FS].base, 0xf5);
	assert_int_equal(c->seg[SX_SEG_TR].ar, 0x8b);
	assert_int_equal(c->gdtr.base, 0x6d);
	assert_int_equal(w.l2.eptp, WORLD_EPTP);
	assert_int_equal(w.l2.vpid, 7);
	assert_int_equal(w.l2.tsc_offset, 1000);
	assert_int_equal(w.l2.tsc_multiplier, UINT64_C(1) << 47);
	assert_true(w.l2.timer_active);
	assert_int_equal(w.l2.timer, 12345);
	assert_int_equal(w.test_msr, 0x1111); /* VM-entry MSR-load area */
	assert_int_equal(w.l2.event.info, 0);
}

static void what_is_not_asked_for_is_not_loaded(void **state)
{
	(void)state;
	start();
	w.l1.pat = 7;
	w.l1.perf_global = 1;
	w.l1.dr7 = 0x401;
	set_field(&w, SX_VMCS_PIN_CONTROLS, SX_PIN_DEFAULT1);
	set_field(&w, SX_VMCS_CPU_CONTROLS, SX_CPU_DEFAULT1);
	set_field(&w, SX_VMCS_EXIT_CONTROLS, SX_EXITC_DEFAULT1 | SX_EXITC_HOST_64);
	set_field(&w, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_TRUE_DEFAULT1 | SX_ENTRYC_GUEST_64);
	set_field(&w, SX_VMCS_LINK_POINTER, SX_VMX_NONE);
	enter();
	assert_int_equal(w.l2.cpu.pat, 7);
	assert_int_equal(w.l2.cpu.perf_global, 1);
	assert_int_equal(w.l2.cpu.dr7, 0x401);
	assert_int_equal(w.l2.eptp, 0);
	assert_int_equal(w.l2.vpid, 0);
	assert_int_equal(w.l2.tsc_offset, 0);
	assert_int_equal(w.l2.tsc_multiplier, UINT64_C(1) << 48);
	assert_false(w.l2.timer_active);
}

/* 27.3.2.1: LMA and LME follow the IA-32e mode guest control where IA32_EFER is not loaded. */
static void efer_follows_the_mode(void **state)
{
	(void)state;
	start();
	set_field(&w, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_DEFAULT1);
	set_field(&w, SX_VMCS_GUEST_CS_AR, 0xc09b);
	enter();
	assert_int_equal(w.l2.cpu.efer, 0x801);
	start();
	set_field(&w, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_DEFAULT1 | SX_ENTRYC_GUEST_64);
	enter();
	assert_int_equal(w.l2.cpu.efer, 0xd01);
}

static void pdptes_from_the_vmcs(void **state)
{
	(void)state;
	start();
	set_field(&w, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_DEFAULT1);
	set_field(&w, SX_VMCS_GUEST_CS_AR, 0xc09b);
	for (uint32_t i = 0; i < 4; i++)
		set_field(&w, SX_VMCS_GUEST_PDPTE0 + 2 * i, 0x1000 * i | 1);
	enter();
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(w.l2.cpu.pdpte[i], 0x1000 * i | 1);
		w.l2.cpu.pdpte[i] += 0x8000;
	}
	leave(SX_VMEXIT_CPUID);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(field(&w, SX_VMCS_GUEST_PDPTE0 + 2 * i),
				 0x8000 + (0x1000 * i | 1));
}

/* The snapshot rules L2: L1's later writes to the memory change nothing. */
static void the_snapshot_is_what_counts(void **state)
{
	(void)state;
	start();
	enter();
	memset(w.mem + AT_VMCS + 64, 0xff, sizeof(w.vmx.v12.slot));
	assert_int_equal(leave(SX_VMEXIT_HLT).outcome, SX_VMX_SUCCEED);
	assert_int_equal(w.l1.rip, 0x7777);
	assert_int_equal(field(&w, SX_VMCS_GUEST_RIP), 0x4000);
	assert_int_equal(field(&w, SX_VMCS_HOST_RIP), UINT64_MAX); /* not written back */
}

/* --- event injection: 27.6 -------------------------------------------------------------------- */

static void events_are_injected(void **state)
{
	(void)state;
	start();
	set_field(&w, SX_VMCS_ENTRY_INTR_INFO, 0x80000b0d);
	set_field(&w, SX_VMCS_ENTRY_ERROR_CODE, 0x18);
	set_field(&w, SX_VMCS_ENTRY_INSN_LENGTH, 3);
	set_field(&w, SX_VMCS_GUEST_INTERRUPTIBILITY, SX_BLOCK_STI);
	enter();
	assert_int_equal(w.l2.event.info, 0x80000b0d);
	assert_int_equal(w.l2.event.error_code, 0x18);
	assert_int_equal(w.l2.event.insn_length, 3);
	assert_int_equal(w.l2.cpu.interruptibility, 0);
	assert_int_equal(field(&w, SX_VMCS_ENTRY_INTR_INFO), 0x80000b0d);
	leave(SX_VMEXIT_CPUID);
	assert_int_equal(field(&w, SX_VMCS_ENTRY_INTR_INFO), 0x00000b0d); /* valid bit cleared */
}

static void an_nmi_wakes_and_blocks(void **state)
{
	(void)state;
	start();
	set_field(&w, SX_VMCS_ENTRY_INTR_INFO, SX_INTR_INFO(SX_INTR_NMI, 2));
	set_field(&w, SX_VMCS_GUEST_ACTIVITY, SX_ACTIVITY_HLT);
	enter();
	assert_int_equal(w.l2.cpu.activity, SX_ACTIVE);
	assert_int_equal(w.l2.cpu.interruptibility, SX_BLOCK_NMI);
	start();
	set_field(&w, SX_VMCS_ENTRY_INTR_INFO, SX_INTR_INFO(SX_INTR_OTHER, 0));
	set_field(&w, SX_VMCS_GUEST_ACTIVITY, SX_ACTIVITY_HLT);
	enter(); /* a pending MTF VM exit delivers nothing */
	assert_int_equal(w.l2.cpu.activity, SX_ACTIVITY_HLT);
}

static void a_failed_entry_keeps_the_event(void **state)
{
	(void)state;
	start();
	set_field(&w, SX_VMCS_ENTRY_INTR_INFO, SX_INTR_INFO(SX_INTR_NMI, 2));
	set_field(&w, SX_VMCS_GUEST_CR3, UINT64_MAX);
	assert_int_equal(launch().outcome, SX_VMX_ENTRY_FAILED);
	assert_int_equal(field(&w, SX_VMCS_ENTRY_INTR_INFO), SX_INTR_INFO(SX_INTR_NMI, 2));
}

/* --- MSR areas: 27.4, 28.4, 28.6 -------------------------------------------------------------- */

static void msrs_that_no_entry_loads(void **state)
{
	static const struct {
		uint32_t index, reserved;
		uint64_t value;
	} bad[] = {
		{SX_MSR_FS_BASE, 0, 0},
		{SX_MSR_GS_BASE, 0, 0},
		{0x800, 0, 0}, /* x2APIC */
		{0x8ff, 0, 0},
		{SX_MSR_SMM_MONITOR_CTL, 0, 0},
		{SX_MSR_BIOS_UPDT_TRIG, 0, 0},
		{TEST_MSR, 1, 0}, /* reserved half of the entry */
		{BAD_MSR, 0, 0},
		{SX_MSR_PAT, 0, 2},
		{SX_MSR_EFER, 0, 0x10000},
		{SX_MSR_EFER, 0, 0}, /* LME cannot change while paging is on */
		{SX_MSR_DEBUGCTL, 0, 1u << 20},
		{SX_MSR_PERF_GLOBAL, 0, 1u << 30},
		{SX_MSR_SYSENTER_ESP, 0, UINT64_C(1) << 47},
		{SX_MSR_SYSENTER_EIP, 0, UINT64_C(1) << 63},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start();
		set_field(&w, SX_VMCS_ENTRY_MSR_LOAD_COUNT, 3);
		put_msr(&w, AT_ENTRY_L + 16, bad[i].index, bad[i].value);
		put32(&w, AT_ENTRY_L + 16 + 4, bad[i].reserved);
		assert_int_equal(launch().outcome, SX_VMX_ENTRY_FAILED);
		assert_int_equal(field(&w, SX_VMCS_EXIT_REASON), 0x80000022);
		assert_int_equal(field(&w, SX_VMCS_EXIT_QUALIFICATION), 2);
		assert_int_equal(w.l1.rip, 0x7777);
		assert_int_equal(w.test_msr, 0x2222); /* host MSRs are loaded over the first */
	}
}

static void held_msrs_reach_the_registers(void **state)
{
	(void)state;
	start();
	set_field(&w, SX_VMCS_ENTRY_MSR_LOAD_COUNT, 5);
	put_msr(&w, AT_ENTRY_L + 0, SX_MSR_SYSENTER_CS, 0x77);
	put_msr(&w, AT_ENTRY_L + 16, SX_MSR_PAT, 0x0606);
	put_msr(&w, AT_ENTRY_L + 32, SX_MSR_EFER, 0xd00);
	put_msr(&w, AT_ENTRY_L + 48, SX_MSR_DEBUGCTL, 2);
	put_msr(&w, AT_ENTRY_L + 64, SX_MSR_SYSENTER_EIP, 0x1234);
	enter();
	assert_int_equal(w.l2.cpu.sysenter_cs, 0x77);
	assert_int_equal(w.l2.cpu.pat, 0x0606);
	assert_int_equal(w.l2.cpu.efer, 0xd00);
	assert_int_equal(w.l2.cpu.debugctl, 2);
	assert_int_equal(w.l2.cpu.sysenter_eip, 0x1234);
	set_field(&w, SX_VMCS_EXIT_MSR_STORE_COUNT, 1);
	put_msr(&w, AT_EXIT_S, SX_MSR_GS_BASE, 0);
	w.l2.cpu.seg[SX_SEG_GS].base = 0x65;
	leave(SX_VMEXIT_CPUID);
	assert_int_equal(get64(&w, AT_EXIT_S + 8), 0x65);
}

static void a_list_without_end(void **state)
{
	(void)state;
	start();
	set_field(&w, SX_VMCS_ENTRY_MSR_LOAD_COUNT, 513);
	for (unsigned i = 0; i < 513; i++)
		put_msr(&w, AT_ENTRY_L + 16 * i, TEST_MSR, i);
	assert_int_equal(launch().outcome, SX_VMX_ENTRY_FAILED);
	assert_int_equal(field(&w, SX_VMCS_EXIT_QUALIFICATION), 513);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(launch_state),
		cmocka_unit_test(blocked_by_mov_ss),
		cmocka_unit_test(no_current_vmcs),
		cmocka_unit_test(a_failed_entry_leaves_the_vmcs_clear),
		cmocka_unit_test(guest_state_is_loaded),
		cmocka_unit_test(what_is_not_asked_for_is_not_loaded),
		cmocka_unit_test(efer_follows_the_mode),
		cmocka_unit_test(pdptes_from_the_vmcs),
		cmocka_unit_test(the_snapshot_is_what_counts),
		cmocka_unit_test(events_are_injected),
		cmocka_unit_test(an_nmi_wakes_and_blocks),
		cmocka_unit_test(a_failed_entry_keeps_the_event),
		cmocka_unit_test(msrs_that_no_entry_loads),
		cmocka_unit_test(held_msrs_reach_the_registers),
		cmocka_unit_test(a_list_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
