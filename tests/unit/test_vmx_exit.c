// SPDX-License-Identifier: BSD-3-Clause
/* VM exit: what reaches the VMCS12, and what reaches L1. */
#include "tests/unit/test_vmx_run.h"

/* --- MSR areas and aborts: 28.4, 28.6, 28.7 ----------------------------------------------------
 */

static void msr_store_and_load_at_exit(void **state)
{
	(void)state;
	start();
	enter();
	w.test_msr = 0x3333;
	assert_int_equal(leave(SX_VMEXIT_CPUID).outcome, SX_VMX_SUCCEED);
	assert_int_equal(get64(&w, AT_EXIT_S + 8), 0x3333);
	assert_int_equal(w.test_msr, 0x2222);
}

static void expect_abort(struct sx_vmx_result result, unsigned indicator)
{
	assert_int_equal(result.outcome, SX_VMX_ABORTED);
	assert_int_equal(result.error, indicator);
	assert_int_equal((uint32_t)get64(&w, AT_VMCS + 4), indicator);
	assert_int_equal(w.l1.activity, SX_ACTIVITY_SHUTDOWN);
	assert_false(w.vmx.in_l2);
}

static void aborts(void **state)
{
	(void)state;
	start();
	put_msr(&w, AT_EXIT_S, 0x801, 0);
	enter();
	expect_abort(leave(SX_VMEXIT_CPUID), SX_ABORT_SAVE_MSR);
	start();
	put_msr(&w, AT_EXIT_S, SX_MSR_SMBASE, 0);
	enter();
	expect_abort(leave(SX_VMEXIT_CPUID), SX_ABORT_SAVE_MSR);
	start();
	put_msr(&w, AT_EXIT_S, BAD_MSR, 0);
	enter();
	expect_abort(leave(SX_VMEXIT_CPUID), SX_ABORT_SAVE_MSR);
	start();
	put32(&w, AT_EXIT_S + 4, 1); /* reserved half of the entry */
	enter();
	expect_abort(leave(SX_VMEXIT_CPUID), SX_ABORT_SAVE_MSR);
	start();
	put_msr(&w, AT_EXIT_L, SX_MSR_FS_BASE, 0);
	enter();
	expect_abort(leave(SX_VMEXIT_CPUID), SX_ABORT_LOAD_MSR);
}

static void aborts_of_a_32_bit_host(void **state)
{
	(void)state;
	for (int bad_pdpte = 0; bad_pdpte < 2; bad_pdpte++) {
		start();
		world_l1_32(&w.l1);
		set_field(&w, SX_VMCS_EXIT_CONTROLS, SX_EXITC_DEFAULT1);
		set_field(&w, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_DEFAULT1);
		set_field(&w, SX_VMCS_GUEST_CS_AR, 0xc09b);
		enter();
		if (bad_pdpte) {
			put64(&w, 0x5000, 3);
			expect_abort(leave(SX_VMEXIT_CPUID), SX_ABORT_HOST_PDPTE);
		} else {
			w.l2.cpu.efer |= SX_X86_EFER_LMA; /* L2 switched to IA-32e mode itself */
			expect_abort(leave(SX_VMEXIT_CPUID), SX_ABORT_HOST_MODE);
		}
	}
}

/* --- exits: chapter 28 ------------------------------------------------------------------------ */

static void exit_information_is_complete(void **state)
{
	const struct sx_vmx_exit exit = {
		.reason = SX_VMEXIT_EPT_VIOLATION,
		.intr_info = 0x80000b0e,
		.intr_error = 2,
		.idt_info = 0x80000b0d,
		.idt_error = 3,
		.insn_length = 4,
		.insn_info = 5,
		.qualification = UINT64_C(0x600000000),
		.linear = UINT64_C(0x700000000),
		.physical = UINT64_C(0x800000000),
		.io_rcx = 9,
		.io_rsi = 10,
		.io_rdi = 11,
		.io_rip = 12,
	};

	(void)state;
	start();
	enter();
	assert_int_equal(sx_vmx_exit(&w.vmx, &w.l2, &exit, &w.l1).outcome, SX_VMX_SUCCEED);
	assert_int_equal(field(&w, SX_VMCS_EXIT_REASON), 48);
	assert_int_equal(field(&w, SX_VMCS_EXIT_INTR_INFO), 0x80000b0e);
	assert_int_equal(field(&w, SX_VMCS_EXIT_ERROR_CODE), 2);
	assert_int_equal(field(&w, SX_VMCS_IDT_VECTORING_INFO), 0x80000b0d);
	assert_int_equal(field(&w, SX_VMCS_IDT_VECTORING_ERROR), 3);
	assert_int_equal(field(&w, SX_VMCS_EXIT_INSN_LENGTH), 4);
	assert_int_equal(field(&w, SX_VMCS_EXIT_INSN_INFO), 5);
	assert_int_equal(field(&w, SX_VMCS_EXIT_QUALIFICATION), UINT64_C(0x600000000));
	assert_int_equal(field(&w, SX_VMCS_GUEST_LINEAR), UINT64_C(0x700000000));
	assert_int_equal(field(&w, SX_VMCS_GUEST_PHYSICAL), UINT64_C(0x800000000));
	assert_int_equal(field(&w, SX_VMCS_IO_RCX), 9);
	assert_int_equal(field(&w, SX_VMCS_IO_RSI), 10);
	assert_int_equal(field(&w, SX_VMCS_IO_RDI), 11);
	assert_int_equal(field(&w, SX_VMCS_IO_RIP), 12);
}

static void guest_state_is_saved(void **state)
{
	(void)state;
	start();
	enter();
	w.l2.cpu.rip = 0x4002;
	w.l2.cpu.gpr[SX_RSP] = 0x7ff0;
	w.l2.cpu.gpr[SX_RBX] = 0xbb;
	w.l2.cpu.rflags = 0x246;
	w.l2.cpu.cr0 = 0x80000039;
	w.l2.cpu.cr4 |= SX_X86_CR4_PSE;
	w.l2.cpu.dr7 = 0x401;
	w.l2.cpu.pat = 0x0506;
	w.l2.cpu.efer = 0xd00;
	w.l2.cpu.activity = SX_ACTIVITY_HLT;
	w.l2.cpu.interruptibility = SX_BLOCK_NMI;
	w.l2.cpu.pending_dbg = 0x4000; /* of no exit by an instruction */
	for (unsigned i = 0; i < SX_SEG_COUNT; i++)
		w.l2.cpu.seg[i] = (struct sx_vmx_segment){
			.selector = (uint16_t)(i + 1), .base = i + 2, .limit = i + 3, .ar = i + 4};
	w.l2.cpu.idtr = (struct sx_vmx_table){.base = 7, .limit = 8};
	w.l2.timer = 99;
	leave(SX_VMEXIT_HLT);
	assert_int_equal(field(&w, SX_VMCS_GUEST_RIP), 0x4002);
	assert_int_equal(field(&w, SX_VMCS_GUEST_RSP), 0x7ff0);
	assert_int_equal(field(&w, SX_VMCS_GUEST_RFLAGS), 0x246);
	assert_int_equal(field(&w, SX_VMCS_GUEST_CR0), 0x80000039);
	assert_int_equal(field(&w, SX_VMCS_GUEST_CR4) & SX_X86_CR4_PSE, SX_X86_CR4_PSE);
	assert_int_equal(field(&w, SX_VMCS_GUEST_DR7), 0x401);
	assert_int_equal(field(&w, SX_VMCS_GUEST_PAT), 0x0506);
	assert_int_equal(field(&w, SX_VMCS_GUEST_EFER), 0xd00);
	assert_int_equal(field(&w, SX_VMCS_GUEST_ACTIVITY), SX_ACTIVITY_HLT);
	assert_int_equal(field(&w, SX_VMCS_GUEST_INTERRUPTIBILITY), SX_BLOCK_NMI);
	assert_int_equal(field(&w, SX_VMCS_GUEST_PENDING_DBG), 0);
	for (uint32_t i = 0; i < SX_SEG_COUNT; i++) {
		assert_int_equal(field(&w, SX_VMCS_GUEST_ES_SEL + 2 * i), i + 1);
		assert_int_equal(field(&w, SX_VMCS_GUEST_ES_BASE + 2 * i), i + 2);
		assert_int_equal(field(&w, SX_VMCS_GUEST_ES_LIMIT + 2 * i), i + 3);
		assert_int_equal(field(&w, SX_VMCS_GUEST_ES_AR + 2 * i), i + 4);
	}
	assert_int_equal(field(&w, SX_VMCS_GUEST_IDTR_BASE), 7);
	assert_int_equal(field(&w, SX_VMCS_GUEST_IDTR_LIMIT), 8);
	assert_int_equal(field(&w, SX_VMCS_GUEST_PREEMPTION_TIMER), 99);
	assert_int_equal(w.l1.gpr[SX_RBX], 0xbb); /* general registers stay L2's */
}

static uint64_t saved_rf(const struct sx_vmx_exit *exit, uint64_t rf)
{
	start();
	enter();
	w.l2.cpu.rflags = (w.l2.cpu.rflags & ~SX_X86_RFLAGS_RF) | rf;
	assert_int_equal(sx_vmx_exit(&w.vmx, &w.l2, exit, &w.l1).outcome, SX_VMX_SUCCEED);
	return field(&w, SX_VMCS_GUEST_RFLAGS) & SX_X86_RFLAGS_RF;
}

/* 28.3.3 */
static void rf_is_saved_as_the_cause_of_the_exit_has_it(void **state)
{
	static const uint32_t clears[] = {SX_VMEXIT_CPUID, SX_VMEXIT_VMCALL, SX_VMEXIT_IO,
					  SX_VMEXIT_MWAIT, SX_VMEXIT_RDTSCP, SX_VMEXIT_XRSTORS};
	static const uint32_t keeps[] = {SX_VMEXIT_EXT_INTR, SX_VMEXIT_INTR_WINDOW,
					 SX_VMEXIT_MONITOR_TRAP, SX_VMEXIT_PREEMPTION_TIMER};
	static const uint32_t sets[] = {SX_VMEXIT_EPT_VIOLATION, SX_VMEXIT_EPT_MISCONFIG,
					SX_VMEXIT_PML_FULL};
	struct sx_vmx_exit exit = {.reason = SX_VMEXIT_EXCEPTION_NMI};

	(void)state;
	for (unsigned i = 0; i < sizeof(clears) / sizeof(clears[0]); i++)
		assert_int_equal(
			saved_rf(&(struct sx_vmx_exit){.reason = clears[i]}, SX_X86_RFLAGS_RF), 0);
	for (unsigned i = 0; i < sizeof(keeps) / sizeof(keeps[0]); i++) {
		assert_int_equal(saved_rf(&(struct sx_vmx_exit){.reason = keeps[i]}, 0), 0);
		assert_int_equal(
			saved_rf(&(struct sx_vmx_exit){.reason = keeps[i]}, SX_X86_RFLAGS_RF),
			SX_X86_RFLAGS_RF);
	}
	for (unsigned i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		assert_int_equal(saved_rf(&(struct sx_vmx_exit){.reason = sets[i]}, 0),
				 SX_X86_RFLAGS_RF);
		assert_int_equal(saved_rf(&(struct sx_vmx_exit){.reason = sets[i],
								.idt_info = SX_INTR_VALID},
					  0),
				 0);
	}
	exit.intr_info = SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_UD);
	assert_int_equal(saved_rf(&exit, 0), SX_X86_RFLAGS_RF);
	exit.intr_info = SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_DB); /* a trap, perhaps */
	assert_int_equal(saved_rf(&exit, 0), 0);
	assert_int_equal(saved_rf(&exit, SX_X86_RFLAGS_RF), SX_X86_RFLAGS_RF);
	exit.intr_info = SX_INTR_INFO(SX_INTR_SOFT_EXC, SX_VEC_BP);
	assert_int_equal(saved_rf(&exit, SX_X86_RFLAGS_RF), 0);
	exit.intr_info = SX_INTR_INFO(SX_INTR_PRIVILEGED, SX_VEC_DB);
	assert_int_equal(saved_rf(&exit, SX_X86_RFLAGS_RF), 0);
}

static uint64_t saved_pending(uint32_t reason, uint32_t intr_info, uint32_t blocking)
{
	const struct sx_vmx_exit exit = {.reason = reason, .intr_info = intr_info};

	start();
	enter();
	w.l2.cpu.pending_dbg = SX_PENDING_DBG_BS | 1;
	w.l2.cpu.interruptibility = blocking;
	assert_int_equal(sx_vmx_exit(&w.vmx, &w.l2, &exit, &w.l1).outcome, SX_VMX_SUCCEED);
	return field(&w, SX_VMCS_GUEST_PENDING_DBG);
}

/* 28.3.4 */
static void debug_exceptions_stay_pending_over_few_exits(void **state)
{
	const uint32_t mc = SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_MC);
	const uint32_t db = SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_DB);
	const uint32_t pf = SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_PF);
	const uint64_t kept = SX_PENDING_DBG_BS | 1;

	(void)state;
	assert_int_equal(saved_pending(SX_VMEXIT_INIT, 0, 0), kept);
	assert_int_equal(saved_pending(SX_VMEXIT_TPR_THRESHOLD, 0, 0), kept);
	assert_int_equal(saved_pending(SX_VMEXIT_MONITOR_TRAP, 0, 0), kept);
	assert_int_equal(saved_pending(SX_VMEXIT_EXCEPTION_NMI, mc, 0), kept);
	assert_int_equal(saved_pending(SX_VMEXIT_CPUID, 0, SX_BLOCK_MOV_SS), kept);
	assert_int_equal(saved_pending(SX_VMEXIT_EXCEPTION_NMI, pf, SX_BLOCK_MOV_SS), kept);
	assert_int_equal(saved_pending(SX_VMEXIT_EXCEPTION_NMI, db, SX_BLOCK_MOV_SS), 0);
	assert_int_equal(saved_pending(SX_VMEXIT_EXCEPTION_NMI, pf, 0), 0);
	assert_int_equal(saved_pending(SX_VMEXIT_CPUID, mc, SX_BLOCK_STI), 0);
	assert_int_equal(saved_pending(SX_VMEXIT_EXT_INTR, 0, 0), 0);
	assert_int_equal(saved_pending(SX_VMEXIT_EPT_VIOLATION, 0, 0), 0);
}

/* 28.3.2: bits 31:17 and 11:8 are saved as 0. */
static void reserved_access_rights_are_not_saved(void **state)
{
	(void)state;
	start();
	enter();
	for (unsigned i = 0; i < SX_SEG_COUNT; i++)
		w.l2.cpu.seg[i].ar = UINT32_MAX;
	assert_int_equal(leave(SX_VMEXIT_CPUID).outcome, SX_VMX_SUCCEED);
	for (uint32_t i = 0; i < SX_SEG_COUNT; i++)
		assert_int_equal(field(&w, SX_VMCS_GUEST_ES_AR + 2 * i), 0x1f0ff);
}

static void what_is_not_asked_for_is_not_saved(void **state)
{
	(void)state;
	start();
	set_field(&w, SX_VMCS_EXIT_CONTROLS, SX_EXITC_TRUE_DEFAULT1 | SX_EXITC_HOST_64);
	enter();
	w.l2.cpu.dr7 = 0x402;
	w.l2.cpu.debugctl = 2;
	w.l2.cpu.pat = 0x0101;
	w.l2.cpu.efer = 0xd00;
	w.l2.timer = 1;
	leave(SX_VMEXIT_CPUID);
	assert_int_equal(field(&w, SX_VMCS_GUEST_DR7), 0x400);
	assert_int_equal(field(&w, SX_VMCS_GUEST_DEBUGCTL), 0);
	assert_int_equal(field(&w, SX_VMCS_GUEST_PAT), UINT64_C(0x0007040600070406));
	assert_int_equal(field(&w, SX_VMCS_GUEST_EFER), 0xd01);
	assert_int_equal(field(&w, SX_VMCS_GUEST_PREEMPTION_TIMER), 12345);
	assert_int_equal(w.l1.pat, 0x0101); /* nor is the host's loaded */
	assert_int_equal(w.l1.efer, 0xd00);
}

/* A.6 bit 5: the mode that L2 is in at the exit is the mode of the next entry. */
static void the_entry_control_follows_lma(void **state)
{
	(void)state;
	start();
	enter();
	w.l2.cpu.efer = 0x801;
	leave(SX_VMEXIT_CPUID);
	assert_int_equal(field(&w, SX_VMCS_ENTRY_CONTROLS) & SX_ENTRYC_GUEST_64, 0);
	assert_int_equal(w.l1.efer, 0xd01);
}

static void host_state_is_loaded(void **state)
{
	const struct sx_vmx_cpu *c = &w.l1;

	(void)state;
	start();
	enter();
	w.l2.cpu.interruptibility = SX_BLOCK_STI | SX_BLOCK_NMI;
	w.l2.cpu.dr7 = 0x4ff;
	w.l2.cpu.debugctl = 1;
	leave(SX_VMEXIT_CPUID);
	assert_int_equal(c->rip, 0x7777);
	assert_int_equal(c->gpr[SX_RSP], 0x1ff8);
	assert_int_equal(c->rflags, 2);
	assert_int_equal(c->cr0, 0x80000033);
	assert_int_equal(c->cr3, 0x5000);
	assert_int_equal(c->dr7, 0x400);
	assert_int_equal(c->debugctl, 0);
	assert_int_equal(c->efer, 0xd01);
	assert_int_equal(c->pat, UINT64_C(0x0606060606060606));
	assert_int_equal(c->perf_global, 1);
	assert_int_equal(c->sysenter_cs, 0x55);
	assert_int_equal(c->sysenter_eip, 0x556000);
	assert_int_equal(c->seg[SX_SEG_CS].limit, UINT32_MAX);
	for (unsigned i = SX_SEG_ES; i <= SX_SEG_DS; i++) {
		assert_int_equal(c->seg[i].ar, i == SX_SEG_CS ? 0xa09b : 0xc093);
		assert_int_equal(c->seg[i].base, 0);
	}
	assert_int_equal(c->seg[SX_SEG_FS].base, 0x111000);
	assert_int_equal(c->seg[SX_SEG_GS].base, UINT64_C(0xffff888000000000));
	assert_int_not_equal(c->seg[SX_SEG_GS].ar & SX_AR_UNUSABLE, 0); /* selector 0 */
	assert_int_equal(c->seg[SX_SEG_TR].ar, 0x8b);
	assert_int_equal(c->seg[SX_SEG_TR].limit, 0x67);
	assert_int_equal(c->seg[SX_SEG_LDTR].ar, SX_AR_UNUSABLE);
	assert_int_equal(c->gdtr.base, 0x333000);
	assert_int_equal(c->gdtr.limit, 0xffff);
	assert_int_equal(c->idtr.base, 0x444000);
	assert_int_equal(c->activity, SX_ACTIVE);
	assert_int_equal(c->interruptibility, 0); /* virtual NMIs: the blocking was L2's */
	assert_false(w.vmx.in_l2);
	assert_true(w.vmx.on);
	assert_int_equal(w.vmx.current, AT_VMCS);
}

static void an_nmi_exit_blocks_nmis(void **state)
{
	struct sx_vmx_exit exit = {
		.reason = SX_VMEXIT_EXCEPTION_NMI,
		.intr_info = SX_INTR_INFO(SX_INTR_NMI, 2),
	};

	(void)state;
	start();
	enter();
	sx_vmx_exit(&w.vmx, &w.l2, &exit, &w.l1);
	assert_int_equal(w.l1.interruptibility, SX_BLOCK_NMI);
	start();
	enter();
	exit.intr_info = SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_UD);
	sx_vmx_exit(&w.vmx, &w.l2, &exit, &w.l1);
	assert_int_equal(w.l1.interruptibility, 0); /* an exception does not */
	start();
	set_field(&w, SX_VMCS_PIN_CONTROLS, SX_PIN_DEFAULT1);
	set_field(&w, SX_VMCS_EXIT_CONTROLS, SX_EXITC_DEFAULT1 | SX_EXITC_HOST_64);
	enter();
	w.l2.cpu.interruptibility = SX_BLOCK_NMI;
	leave(SX_VMEXIT_CPUID);
	assert_int_equal(w.l1.interruptibility, SX_BLOCK_NMI); /* without virtual NMIs it is one */
}

static void a_32_bit_host(void **state)
{
	(void)state;
	start();
	world_l1_32(&w.l1);
	set_field(&w, SX_VMCS_EXIT_CONTROLS, SX_EXITC_DEFAULT1);
	set_field(&w, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_DEFAULT1);
	set_field(&w, SX_VMCS_GUEST_CS_AR, 0xc09b);
	put64(&w, 0x5000, 0x6001);
	enter();
	assert_int_equal(leave(SX_VMEXIT_CPUID).outcome, SX_VMX_SUCCEED);
	assert_int_equal(w.l1.seg[SX_SEG_CS].ar, 0xc09b);
	assert_int_equal(w.l1.pdpte[0], 0x6001);
	assert_int_equal(w.l1.efer, 0);
	put64(&w, 0x5000, 3); /* a bad PDPTE, but no PAE paging that would use it */
	set_field(&w, SX_VMCS_HOST_CR4, SX_X86_CR4_VMXE);
	assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, true, &w.l2).outcome, SX_VMX_ENTERED);
	assert_int_equal(leave(SX_VMEXIT_CPUID).outcome, SX_VMX_SUCCEED);
}

/* L1 launches, resets its processor, and launches again: nothing is left over. */
static void a_reset_in_l2(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		start();
		enter();
		sx_vmx_reset(&w.vmx);
		assert_false(w.vmx.on);
		assert_false(w.vmx.in_l2);
		assert_int_equal(launch().vector, SX_VEC_UD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(msr_store_and_load_at_exit),
		cmocka_unit_test(aborts),
		cmocka_unit_test(aborts_of_a_32_bit_host),
		cmocka_unit_test(exit_information_is_complete),
		cmocka_unit_test(guest_state_is_saved),
		cmocka_unit_test(rf_is_saved_as_the_cause_of_the_exit_has_it),
		cmocka_unit_test(debug_exceptions_stay_pending_over_few_exits),
		cmocka_unit_test(reserved_access_rights_are_not_saved),
		cmocka_unit_test(what_is_not_asked_for_is_not_saved),
		cmocka_unit_test(the_entry_control_follows_lma),
		cmocka_unit_test(host_state_is_loaded),
		cmocka_unit_test(an_nmi_exit_blocks_nmis),
		cmocka_unit_test(a_32_bit_host),
		cmocka_unit_test(a_reset_in_l2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
