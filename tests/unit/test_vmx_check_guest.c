// SPDX-License-Identifier: BSD-3-Clause
/* Corruptions of guest registers and non-register state: SDM 3C 27.3.1.1, 27.3.1.3 to 27.3.1.6. */
#include "tests/unit/test_vmx_property.h"

/* --- 27.3.1: guest state ---------------------------------------------------------------------- */

static const struct row guest_register_rows[] = {
	G(LONG, GUEST_CR0, '^', 0x1, "27.3.1.1: guest CR0"),
	G(LONG, GUEST_CR0, '^', 0x20, "27.3.1.1: guest CR0"),
	G(LONG, GUEST_CR0, '^', BIT(31), "27.3.1.1: guest CR0"),
	G(LONG, GUEST_CR0, '|', BIT(32), "27.3.1.1: guest CR0"),
	OK(LONG, GUEST_CR0, '|', 0x60000000),
	G(REAL, GUEST_CR0, '^', 0x20, "27.3.1.1: guest CR0"),
	G(REAL, GUEST_CR0, '|', BIT(31), "27.3.1.1: guest CR0"),
	G(LONG, GUEST_CR4, '^', 0x2000, "27.3.1.1: guest CR4"),
	G(LONG, GUEST_CR4, '|', BIT(12), "27.3.1.1: guest CR4"),
	G(LONG, GUEST_CR4, '|', BIT(63), "27.3.1.1: guest CR4"),
	G(LONG, GUEST_DEBUGCTL, '|', BIT(2), "27.3.1.1: guest IA32_DEBUGCTL has a reserved bit"),
	G(LONG, GUEST_DEBUGCTL, '|', BIT(63), "27.3.1.1: guest IA32_DEBUGCTL has a reserved bit"),
	OK(BARE, GUEST_DEBUGCTL, '|', BIT(2)),
	G(LONG, GUEST_CR4, '^', SX_X86_CR4_PAE,
	  "27.3.1.1: IA-32e mode guest without CR0.PG or CR4.PAE"),
	OK(LONG, GUEST_CR4, '|', SX_X86_CR4_PCIDE),
	G(PAE, GUEST_CR4, '|', SX_X86_CR4_PCIDE, "27.3.1.1: guest CR4.PCIDE outside IA-32e mode"),
	G(LONG, GUEST_CR3, '|', BIT(40), "27.3.1.1: guest CR3 beyond the physical-address width"),
	G(LONG, GUEST_CR3, '|', BIT(63), "27.3.1.1: guest CR3 beyond the physical-address width"),
	OK(LONG, GUEST_CR3, '|', 0xfff),
	G(LONG, GUEST_DR7, '|', BIT(32), "27.3.1.1: guest DR7 has bits 63:32"),
	G(LONG, GUEST_DR7, '|', BIT(63), "27.3.1.1: guest DR7 has bits 63:32"),
	OK(BARE, GUEST_DR7, '|', BIT(63)),
	G(LONG, GUEST_SYSENTER_ESP, '=', NONCANON,
	  "27.3.1.1: guest SYSENTER address not canonical"),
	G(LONG, GUEST_SYSENTER_EIP, '=', NONCANON,
	  "27.3.1.1: guest SYSENTER address not canonical"),
	G(LONG, GUEST_PERF_GLOBAL, '|', BIT(4),
	  "27.3.1.1: guest IA32_PERF_GLOBAL_CTRL has a reserved bit"),
	G(LONG, GUEST_PERF_GLOBAL, '|', BIT(35),
	  "27.3.1.1: guest IA32_PERF_GLOBAL_CTRL has a reserved bit"),
	G(LONG, GUEST_EFER, '^', SX_X86_EFER_LMA, "27.3.1.1: guest IA32_EFER"),
	G(LONG, GUEST_EFER, '^', SX_X86_EFER_LME, "27.3.1.1: guest IA32_EFER"),
	G(LONG, GUEST_EFER, '|', BIT(2), "27.3.1.1: guest IA32_EFER"),
	G(LONG, GUEST_EFER, '|', BIT(62), "27.3.1.1: guest IA32_EFER"),
	G(PAE, GUEST_EFER, '|', SX_X86_EFER_LME, "27.3.1.1: guest IA32_EFER"),
	G(PAE, GUEST_EFER, '|', SX_X86_EFER_LMA, "27.3.1.1: guest IA32_EFER"),
	OK(REAL, GUEST_EFER, '|', SX_X86_EFER_LME),
	G(LONG, GUEST_GDTR_BASE, '=', NONCANON, "27.3.1.3: GDTR or IDTR base not canonical"),
	G(LONG, GUEST_IDTR_BASE, '=', NONCANON, "27.3.1.3: GDTR or IDTR base not canonical"),
	G(LONG, GUEST_GDTR_LIMIT, '|', BIT(16), "27.3.1.3: GDTR or IDTR limit has bits 31:16"),
	G(LONG, GUEST_IDTR_LIMIT, '|', BIT(31), "27.3.1.3: GDTR or IDTR limit has bits 31:16"),
	G(PAE, GUEST_RIP, '|', BIT(32), "27.3.1.4: guest RIP has bits 63:32 outside 64-bit mode"),
	G(REAL, GUEST_RIP, '|', BIT(63), "27.3.1.4: guest RIP has bits 63:32 outside 64-bit mode"),
	G(LONG, GUEST_RIP, '=', BIT(48),
	  "27.3.1.4: guest RIP bits beyond the linear-address width"),
	G(LONG, GUEST_RIP, '=', BIT(63),
	  "27.3.1.4: guest RIP bits beyond the linear-address width"),
	OK(LONG, GUEST_RIP, '=', NONCANON),
	OK(LONG, GUEST_RIP, '=', UINT64_C(0xffff000000000000)),
	G(LONG, GUEST_RFLAGS, '^', 2, "27.3.1.4: guest RFLAGS reserved bits"),
	G(LONG, GUEST_RFLAGS, '|', BIT(3), "27.3.1.4: guest RFLAGS reserved bits"),
	G(LONG, GUEST_RFLAGS, '|', BIT(5), "27.3.1.4: guest RFLAGS reserved bits"),
	G(LONG, GUEST_RFLAGS, '|', BIT(15), "27.3.1.4: guest RFLAGS reserved bits"),
	G(LONG, GUEST_RFLAGS, '|', BIT(22), "27.3.1.4: guest RFLAGS reserved bits"),
	G(LONG, GUEST_RFLAGS, '|', BIT(63), "27.3.1.4: guest RFLAGS reserved bits"),
	G(INJ_EXT, GUEST_RFLAGS, '^', 0x200,
	  "27.3.1.4: external interrupt injected with RFLAGS.IF 0"),
	GQ(PAE, GUEST_PDPTE0, '|', 2, 2, "27.3.1.6: reserved bit in a PDPTE"),
	GQ(PAE, GUEST_PDPTE0, '|', 4, 2, "27.3.1.6: reserved bit in a PDPTE"),
	GQ(PAE, GUEST_PDPTE0, '|', 0x20, 2, "27.3.1.6: reserved bit in a PDPTE"),
	GQ(PAE, GUEST_PDPTE0, '|', 0x100, 2, "27.3.1.6: reserved bit in a PDPTE"),
	GQ(PAE, GUEST_PDPTE0, '|', BIT(40), 2, "27.3.1.6: reserved bit in a PDPTE"),
	GQ(PAE, GUEST_PDPTE1, '=', 3, 2, "27.3.1.6: reserved bit in a PDPTE"),
	GQ(PAE, GUEST_PDPTE2, '=', BIT(63) | 1, 2, "27.3.1.6: reserved bit in a PDPTE"),
	GQ(PAE, GUEST_PDPTE3, '=', 0x81, 2, "27.3.1.6: reserved bit in a PDPTE"),
	OK(PAE, GUEST_PDPTE3, '=', 0x80),  /* not present */
	OK(PAE, GUEST_PDPTE3, '=', 0x19),  /* PWT, PCD */
	OK(LONG, GUEST_PDPTE3, '=', 0x81), /* no PAE paging: not looked at */
};

static void guest_register_corruptions(void **state)
{
	(void)state;
	check_rows(guest_register_rows, COUNT(guest_register_rows));
	for (unsigned n = 1; n < 64; n++) { /* table 4-8 */
		bool reserved = n == 1 || n == 2 || (n >= 5 && n <= 8) || n >= 40;
		struct row r = {
			PAE,         V(GUEST_PDPTE3),           '=',
			BIT(n) | 1,  reserved ? GUEST : ENTERS, "27.3.1.6: reserved bit in a PDPTE",
			SX_BAD_PDPTE};
		check_row(&r);
	}
}

/* Without EPT the PDPTEs come from memory, at bits 31:5 of CR3. */
static void pdptes_in_memory(void **state)
{
	static struct world w;
	struct sx_vmx_result result;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		make(&w, PAE_MEM);
		put64(&w, AT_PDPTES + 8 * i, 0x2003);
		result = sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2);
		expect_entry_failure(&w, &result, SX_BAD_PDPTE);
	}
	make(&w, PAE_MEM);
	assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2).outcome, SX_VMX_ENTERED);
	assert_int_equal(w.l2.cpu.pdpte[0], 0x1001);
}

/* --- 27.3.1.5: non-register state ------------------------------------------------------------- */

#define ACTIVITY_MISMATCH "27.3.1.5: event injected does not fit the activity state"

static const struct row nonreg_rows[] = {
	G(LONG, GUEST_ACTIVITY, '=', 4, "27.3.1.5: activity state above 3"),
	G(LONG, GUEST_ACTIVITY, '=', 0xffffffff, "27.3.1.5: activity state above 3"),
	OK(LONG, GUEST_ACTIVITY, '=', 2),
	OK(LONG, GUEST_ACTIVITY, '=', 3),
	G(V86, GUEST_ACTIVITY, '=', 1, "27.3.1.5: HLT state above CPL 0"),
	G(USER, GUEST_ACTIVITY, '=', 1, "27.3.1.5: HLT state above CPL 0"),
	G(STI, GUEST_ACTIVITY, '=', 1, "27.3.1.5: inactive with blocking by STI or MOV SS"),
	G(MOV_SS, GUEST_ACTIVITY, '=', 2, "27.3.1.5: inactive with blocking by STI or MOV SS"),
	OK(HALTED, ENTRY_INTR_INFO, '=', SX_INTR_INFO(SX_INTR_EXTERNAL, 0x30)),
	OK(HALTED, ENTRY_INTR_INFO, '=', SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_DB)),
	OK(HALTED, ENTRY_INTR_INFO, '=', SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_MC)),
	OK(HALTED, ENTRY_INTR_INFO, '=', SX_INTR_INFO(SX_INTR_OTHER, 0)),
	G(HALTED, ENTRY_INTR_INFO, '=', SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_UD),
	  ACTIVITY_MISMATCH),
	G(HALTED, ENTRY_INTR_INFO, '=', SX_INTR_INFO(SX_INTR_SOFTWARE, 0x80), ACTIVITY_MISMATCH),
	OK(HLT_NMI, GUEST_ACTIVITY, '=', 2),
	G(HLT_NMI, GUEST_ACTIVITY, '=', 3, ACTIVITY_MISMATCH),
	G(INJ_EXT, GUEST_ACTIVITY, '=', 2, ACTIVITY_MISMATCH),
	G(INJ_DB, GUEST_ACTIVITY, '=', 2, ACTIVITY_MISMATCH),
	G(LONG, GUEST_INTERRUPTIBILITY, '=', BIT(4),
	  "27.3.1.5: interruptibility state has a reserved bit"),
	G(LONG, GUEST_INTERRUPTIBILITY, '=', BIT(5),
	  "27.3.1.5: interruptibility state has a reserved bit"),
	G(LONG, GUEST_INTERRUPTIBILITY, '=', BIT(31),
	  "27.3.1.5: interruptibility state has a reserved bit"),
	G(LONG, GUEST_INTERRUPTIBILITY, '=', 3, "27.3.1.5: blocking by both STI and MOV SS"),
	G(STI, GUEST_RFLAGS, '^', 0x200, "27.3.1.5: blocking by STI with RFLAGS.IF 0"),
	G(INJ_EXT, GUEST_INTERRUPTIBILITY, '=', 1,
	  "27.3.1.5: external interrupt injected while blocked by STI or MOV SS"),
	G(INJ_EXT, GUEST_INTERRUPTIBILITY, '=', 2,
	  "27.3.1.5: external interrupt injected while blocked by STI or MOV SS"),
	G(INJ_NMI, GUEST_INTERRUPTIBILITY, '=', 2,
	  "27.3.1.5: NMI injected while blocked by MOV SS"),
	GQ(INJ_NMI, GUEST_INTERRUPTIBILITY, '=', 1, 3,
	   "27.3.1.5: NMI injected while blocked by STI"),
	G(INJ_NMI, GUEST_INTERRUPTIBILITY, '=', 8,
	  "27.3.1.5: NMI injected while virtual NMIs are blocked"),
	OK(INJ_EXT, GUEST_INTERRUPTIBILITY, '=', 8),
	G(LONG, GUEST_INTERRUPTIBILITY, '=', 4, "27.3.1.5: blocking by SMI outside SMM"),
	G(STI, GUEST_PENDING_DBG, '=', 0x4000,
	  "27.3.1.5: pending debug exception BS does not match TF and BTF"),
	G(HALTED, GUEST_PENDING_DBG, '=', 0x4000,
	  "27.3.1.5: pending debug exception BS does not match TF and BTF"),
	G(MOV_SS, GUEST_RFLAGS, '|', 0x100,
	  "27.3.1.5: pending debug exception BS does not match TF and BTF"),
	OK(LONG, GUEST_PENDING_DBG, '=', 0x500f & ~0x4000),
	OK(LONG, GUEST_PENDING_DBG, '=', 0x4000),
	GQ(LONG, LINK_POINTER, '|', 1, 4, "27.3.1.5: VMCS link pointer address"),
	GQ(LONG, LINK_POINTER, '|', 0x800, 4, "27.3.1.5: VMCS link pointer address"),
	GQ(LONG, LINK_POINTER, '|', BIT(40), 4, "27.3.1.5: VMCS link pointer address"),
	GQ(LONG, LINK_POINTER, '=', AT_IO_A, 4,
	   "27.3.1.5: revision or shadow indicator of the linked VMCS"),
	GQ(LONG, LINK_POINTER, '=', AT_VMXON, 4,
	   "27.3.1.5: revision or shadow indicator of the linked VMCS"),
	GQ(LONG, LINK_POINTER, '=', WORLD_SIZE, 4,
	   "27.3.1.5: revision or shadow indicator of the linked VMCS"),
	GQ(NO_LINK, LINK_POINTER, '=', AT_SHADOW, 4,
	   "27.3.1.5: revision or shadow indicator of the linked VMCS"),
	GQ(NO_LINK, LINK_POINTER, '=', AT_VMCS, 4,
	   "27.3.1.5: VMCS link pointer to the current VMCS"),
	OK(LONG, LINK_POINTER, '=', SX_VMX_NONE),
};

static void nonregister_corruptions(void **state)
{
	(void)state;
	check_rows(nonreg_rows, COUNT(nonreg_rows));
	for (unsigned n = 0; n < 64; n++) {
		bool reserved = !(UINT64_C(0x500f) >> n & 1);
		struct row r = {LONG,
				V(GUEST_PENDING_DBG),
				'=',
				BIT(n),
				reserved ? GUEST : ENTERS,
				"27.3.1.5: pending debug exceptions have a reserved bit",
				0};
		check_row(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_register_corruptions),
		cmocka_unit_test(pdptes_in_memory),
		cmocka_unit_test(nonregister_corruptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
