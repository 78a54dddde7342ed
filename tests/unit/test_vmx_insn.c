// SPDX-License-Identifier: BSD-3-Clause
/* The VMX instructions, by their operands and as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nested/vmx_decode.h"
#include "tests/unit/test_vmx_world.h"

static struct world w;

static void expect_fault(struct sx_vmx_result result, unsigned vector)
{
	assert_int_equal(result.outcome, SX_VMX_FAULT);
	assert_int_equal(result.vector, vector);
	assert_int_equal(result.has_error_code, vector != SX_VEC_UD);
}

static void expect_error(struct sx_vmx_result result, unsigned error)
{
	assert_int_equal(result.outcome, SX_VMX_FAIL_VALID);
	assert_int_equal(result.error, error);
	assert_int_equal(field(&w, SX_VMCS_INSN_ERROR), error);
}

static void expect(struct sx_vmx_result result, enum sx_vmx_outcome outcome)
{
	assert_int_equal(result.outcome, outcome);
}

/* --- faults by mode and privilege ------------------------------------------------------------- */

static struct sx_vmx_result run(unsigned n)
{
	const uint64_t descriptor[2] = {1, 0};
	uint64_t value;

	switch (n) {
	case 0:
		return sx_vmx_vmxoff(&w.vmx, &w.l1);
	case 1:
		return sx_vmx_vmclear(&w.vmx, &w.l1, AT_VMCS);
	case 2:
		return sx_vmx_vmptrld(&w.vmx, &w.l1, AT_VMCS);
	case 3:
		return sx_vmx_vmptrst(&w.vmx, &w.l1, &value);
	case 4:
		return sx_vmx_vmread(&w.vmx, &w.l1, SX_VMCS_GUEST_RIP, &value);
	case 5:
		return sx_vmx_vmwrite(&w.vmx, &w.l1, SX_VMCS_GUEST_RIP, 1);
	case 6:
		return sx_vmx_invept(&w.vmx, &w.l1, 2, descriptor);
	case 7:
		return sx_vmx_invvpid(&w.vmx, &w.l1, 2, descriptor);
	case 8:
		return sx_vmx_vmcall(&w.vmx, &w.l1);
	case 9:
		return sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2);
	default:
		return sx_vmx_vmxon(&w.vmx, &w.l1, AT_VMXON);
	}
}
#define RUNS      11
#define RUN_VMXON 10

static void faults_by_mode(void **state)
{
	(void)state;
	for (unsigned n = 0; n < RUNS; n++) {
		world_init_current(&w);
		w.l1.cr0 &= ~SX_X86_CR0_PE;
		expect_fault(run(n), SX_VEC_UD);
		world_init_current(&w);
		w.l1.rflags |= SX_X86_RFLAGS_VM;
		expect_fault(run(n), SX_VEC_UD);
		world_init_current(&w);
		w.l1.seg[SX_SEG_CS].ar = 0xc09b; /* compatibility mode */
		expect_fault(run(n), SX_VEC_UD);
		for (uint32_t cpl = 1; cpl < 4; cpl++) {
			world_init_current(&w);
			w.l1.seg[SX_SEG_SS].ar |= cpl << 5;
			expect_fault(run(n), SX_VEC_GP);
		}
		world_init_current(&w);
		w.vmx.in_l2 = true; /* the caller's mistake must not corrupt anything */
		expect_fault(run(n), SX_VEC_UD);
	}
}

static void outside_vmx_operation_all_but_vmxon_are_undefined(void **state)
{
	(void)state;
	for (unsigned n = 0; n < RUNS; n++) {
		world_init(&w);
		if (n == RUN_VMXON)
			expect(run(n), SX_VMX_SUCCEED);
		else
			expect_fault(run(n), SX_VEC_UD);
	}
}

/* --- VMXON, VMXOFF ---------------------------------------------------------------------------- */

static void vmxon_conditions(void **state)
{
	(void)state;
	world_init(&w);
	w.l1.cr4 &= ~SX_X86_CR4_VMXE;
	expect_fault(run(RUN_VMXON), SX_VEC_UD);
	world_init(&w);
	w.l1.cr0 &= ~SX_X86_CR0_NE;
	expect_fault(run(RUN_VMXON), SX_VEC_GP);
	world_init(&w);
	w.l1.cr4 |= UINT64_C(1) << 12;
	expect_fault(run(RUN_VMXON), SX_VEC_GP);
	world_init(&w);
	w.vmx.feature_control = SX_FEATURE_CONTROL_VMXON;
	expect_fault(run(RUN_VMXON), SX_VEC_GP);
	world_init(&w);
	w.vmx.feature_control = SX_FEATURE_CONTROL_LOCK;
	expect_fault(run(RUN_VMXON), SX_VEC_GP);
	assert_false(w.vmx.on);
}

static void vmxon_regions(void **state)
{
	(void)state;
	world_init(&w);
	expect(sx_vmx_vmxon(&w.vmx, &w.l1, AT_VMXON + 8), SX_VMX_FAIL_INVALID);
	expect(sx_vmx_vmxon(&w.vmx, &w.l1, UINT64_C(1) << 40), SX_VMX_FAIL_INVALID);
	expect(sx_vmx_vmxon(&w.vmx, &w.l1, WORLD_SIZE), SX_VMX_FAIL_INVALID); /* no memory there */
	expect(sx_vmx_vmxon(&w.vmx, &w.l1, AT_SHADOW), SX_VMX_FAIL_INVALID);  /* bit 31 */
	expect(sx_vmx_vmxon(&w.vmx, &w.l1, AT_IO_A), SX_VMX_FAIL_INVALID);    /* revision 0 */
	assert_false(w.vmx.on);
	expect(sx_vmx_vmxon(&w.vmx, &w.l1, AT_VMXON), SX_VMX_SUCCEED);
	assert_true(w.vmx.on);
	assert_int_equal(w.vmx.current, SX_VMX_NONE);
	expect(sx_vmx_vmxon(&w.vmx, &w.l1, AT_VMXON), SX_VMX_FAIL_INVALID); /* no current VMCS */
	expect(sx_vmx_vmptrld(&w.vmx, &w.l1, AT_VMCS), SX_VMX_SUCCEED);
	expect_error(sx_vmx_vmxon(&w.vmx, &w.l1, AT_VMXON), 15);
	expect(sx_vmx_vmxoff(&w.vmx, &w.l1), SX_VMX_SUCCEED);
	assert_false(w.vmx.on);
}

/* --- VMCLEAR, VMPTRLD, VMPTRST ---------------------------------------------------------------- */

static void vmclear(void **state)
{
	(void)state;
	world_init_current(&w);
	expect_error(sx_vmx_vmclear(&w.vmx, &w.l1, AT_VMCS + 4), 2);
	expect_error(sx_vmx_vmclear(&w.vmx, &w.l1, UINT64_C(1) << 40), 2);
	expect_error(sx_vmx_vmclear(&w.vmx, &w.l1, AT_VMXON), 3);
	put32(&w, AT_VMCS + 8, 1);
	expect(sx_vmx_vmclear(&w.vmx, &w.l1, AT_SHADOW), SX_VMX_SUCCEED);
	assert_int_equal(w.vmx.current, AT_VMCS);
	expect(sx_vmx_vmclear(&w.vmx, &w.l1, AT_VMCS), SX_VMX_SUCCEED);
	assert_int_equal(w.vmx.current, SX_VMX_NONE);
	assert_int_equal((uint32_t)get64(&w, AT_VMCS + 8), 0);
	expect(sx_vmx_vmclear(&w.vmx, &w.l1, AT_VMXON), SX_VMX_FAIL_INVALID);
	expect(sx_vmx_vmclear(&w.vmx, &w.l1, WORLD_SIZE), SX_VMX_SUCCEED); /* as on a bus */
}

static void vmptrld(void **state)
{
	uint64_t gpa = 0;

	(void)state;
	world_init_current(&w);
	expect_error(sx_vmx_vmptrld(&w.vmx, &w.l1, AT_VMCS | 0x10), 9);
	expect_error(sx_vmx_vmptrld(&w.vmx, &w.l1, UINT64_C(1) << 63), 9);
	expect_error(sx_vmx_vmptrld(&w.vmx, &w.l1, AT_VMXON), 10);
	expect_error(sx_vmx_vmptrld(&w.vmx, &w.l1, AT_IO_A), 11);
	expect_error(sx_vmx_vmptrld(&w.vmx, &w.l1, WORLD_SIZE), 11);
	expect(sx_vmx_vmptrld(&w.vmx, &w.l1, AT_SHADOW), SX_VMX_SUCCEED);
	expect(sx_vmx_vmptrst(&w.vmx, &w.l1, &gpa), SX_VMX_SUCCEED);
	assert_int_equal(gpa, AT_SHADOW);
	expect(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2), SX_VMX_FAIL_INVALID);
	world_init_current(&w);
	w.vmx.caps.cpu2 &= ~SX_CPU2_VMCS_SHADOW;
	expect_error(sx_vmx_vmptrld(&w.vmx, &w.l1, AT_SHADOW), 11);
	w.vmx.current = SX_VMX_NONE;
	expect(sx_vmx_vmptrst(&w.vmx, &w.l1, &gpa), SX_VMX_SUCCEED);
	assert_int_equal(gpa, UINT64_MAX);
}

/* --- VMREAD, VMWRITE -------------------------------------------------------------------------- */

static uint64_t vmread(uint64_t encoding)
{
	uint64_t value = 0;

	expect(sx_vmx_vmread(&w.vmx, &w.l1, encoding, &value), SX_VMX_SUCCEED);
	return value;
}

static void vmwrite(uint64_t encoding, uint64_t value)
{
	expect(sx_vmx_vmwrite(&w.vmx, &w.l1, encoding, value), SX_VMX_SUCCEED);
}

static void every_field_holds_its_width(void **state)
{
	const uint64_t pattern = UINT64_C(0xa5a5a5a5c3c3c3c3);
	static const unsigned bits[] = {16, 64, 32, 64};

	(void)state;
	world_init_current(&w);
	for (unsigned n = 0;; n++) {
		int enc = sx_vmcs_field_nth(n);
		uint64_t mask;

		if (enc < 0)
			break;
		mask = bits[enc >> 13 & 3] == 64 ? UINT64_MAX
						 : (UINT64_C(1) << bits[enc >> 13 & 3]) - 1;
		vmwrite((uint64_t)enc, pattern ^ n);
		assert_int_equal(vmread((uint64_t)enc), (pattern ^ n) & mask);
	}
	for (unsigned n = 0;; n++) { /* none overwrote another */
		int enc = sx_vmcs_field_nth(n);

		if (enc < 0)
			break;
		assert_int_equal(vmread((uint64_t)enc) & 0xffff, (pattern ^ n) & 0xffff);
	}
}

static void high_halves(void **state)
{
	(void)state;
	world_init_current(&w);
	vmwrite(SX_VMCS_TSC_OFFSET, UINT64_C(0x1111111122222222));
	assert_int_equal(vmread(SX_VMCS_TSC_OFFSET | 1), 0x11111111);
	vmwrite(SX_VMCS_TSC_OFFSET | 1, UINT64_C(0x9999999933333333));
	assert_int_equal(vmread(SX_VMCS_TSC_OFFSET), UINT64_C(0x3333333322222222));
}

/* L1 may write the region as memory: a read truncates to the field's width. */
static void raw_memory_is_truncated(void **state)
{
	(void)state;
	world_init_current(&w);
	set_field(&w, SX_VMCS_VPID, UINT64_MAX);
	assert_int_equal(vmread(SX_VMCS_VPID), 0xffff);
	set_field(&w, SX_VMCS_PIN_CONTROLS, UINT64_MAX);
	assert_int_equal(vmread(SX_VMCS_PIN_CONTROLS), 0xffffffff);
}

static void fields_that_are_not_there(void **state)
{
	uint64_t value;

	(void)state;
	world_init_current(&w);
	expect_error(sx_vmx_vmread(&w.vmx, &w.l1, 0x0002, &value), 12);
	expect_error(sx_vmx_vmread(&w.vmx, &w.l1, 0x681f, &value), 12);
	expect_error(sx_vmx_vmread(&w.vmx, &w.l1, UINT64_C(0x10000681e), &value), 12);
	expect_error(sx_vmx_vmwrite(&w.vmx, &w.l1, 0xffff, 0), 12);
	expect_error(sx_vmx_vmwrite(&w.vmx, &w.l1, UINT64_MAX, 0), 12);
	w.vmx.caps.cpu2 &= ~SX_CPU2_VPID;
	expect_error(sx_vmx_vmwrite(&w.vmx, &w.l1, SX_VMCS_VPID, 0), 12);
	w.vmx.current = SX_VMX_NONE;
	expect(sx_vmx_vmread(&w.vmx, &w.l1, 0x0002, &value), SX_VMX_FAIL_INVALID);
	expect(sx_vmx_vmwrite(&w.vmx, &w.l1, SX_VMCS_GUEST_RIP, 0), SX_VMX_FAIL_INVALID);
}

/* A current VMCS whose memory went away reads as ones and swallows writes. */
static void region_without_memory(void **state)
{
	(void)state;
	world_init_current(&w);
	w.vmx.current = UINT64_C(0x80000000);
	vmwrite(SX_VMCS_GUEST_RIP, 5);
	assert_int_equal(vmread(SX_VMCS_GUEST_RIP), UINT64_MAX);
	expect(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2), SX_VMX_FAIL_INVALID);
}

/* --- INVEPT, INVVPID, VMCALL ------------------------------------------------------------------ */

static void invept(void **state)
{
	uint64_t descriptor[2] = {WORLD_EPTP, 0};

	(void)state;
	world_init_current(&w);
	expect(sx_vmx_invept(&w.vmx, &w.l1, 1, descriptor), SX_VMX_SUCCEED);
	assert_int_equal(w.invepts, 1);
	assert_int_equal(w.inv_context, WORLD_EPTP);
	expect(sx_vmx_invept(&w.vmx, &w.l1, 2, descriptor), SX_VMX_SUCCEED);
	assert_int_equal(w.inv_type, 2);
	expect_error(sx_vmx_invept(&w.vmx, &w.l1, 0, descriptor), 28);
	expect_error(sx_vmx_invept(&w.vmx, &w.l1, 3, descriptor), 28);
	expect_error(sx_vmx_invept(&w.vmx, &w.l1, UINT64_C(0x100000001), descriptor), 28);
	descriptor[0] = AT_EPT; /* memory type 0 but no levels */
	expect_error(sx_vmx_invept(&w.vmx, &w.l1, 1, descriptor), 28);
	assert_int_equal(w.invepts, 2);
	w.vmx.caps.ept_vpid &= ~SX_EPTCAP_INVEPT;
	expect_fault(sx_vmx_invept(&w.vmx, &w.l1, 2, descriptor), SX_VEC_UD);
}

static void invvpid(void **state)
{
	uint64_t descriptor[2] = {9, 0x1234};

	(void)state;
	world_init_current(&w);
	for (uint64_t type = 0; type < 4; type++) {
		expect(sx_vmx_invvpid(&w.vmx, &w.l1, type, descriptor), SX_VMX_SUCCEED);
		assert_int_equal(w.inv_type, type);
		assert_int_equal(w.inv_context, 9);
	}
	assert_int_equal(w.inv_linear, 0x1234);
	expect_error(sx_vmx_invvpid(&w.vmx, &w.l1, 4, descriptor), 28);
	descriptor[1] = UINT64_C(0x800000000000);
	expect_error(sx_vmx_invvpid(&w.vmx, &w.l1, 0, descriptor), 28);
	expect(sx_vmx_invvpid(&w.vmx, &w.l1, 1, descriptor), SX_VMX_SUCCEED);
	descriptor[0] = 0;
	expect_error(sx_vmx_invvpid(&w.vmx, &w.l1, 1, descriptor), 28);
	expect_error(sx_vmx_invvpid(&w.vmx, &w.l1, 3, descriptor), 28);
	expect(sx_vmx_invvpid(&w.vmx, &w.l1, 2, descriptor), SX_VMX_SUCCEED);
	descriptor[0] = 0x10001;
	expect_error(sx_vmx_invvpid(&w.vmx, &w.l1, 1, descriptor), 28);
	expect_error(sx_vmx_invvpid(&w.vmx, &w.l1, 2, descriptor), 28);
	assert_int_equal(w.invvpids, 6);
}

static void vmcall_in_root(void **state)
{
	(void)state;
	world_init_current(&w);
	expect_error(sx_vmx_vmcall(&w.vmx, &w.l1), 1);
}

static void finish_sets_flags(void **state)
{
	struct sx_vmx_result r = {.outcome = SX_VMX_FAIL_INVALID};
	struct sx_vmx_cpu cpu;

	(void)state;
	world_l1_64(&cpu);
	cpu.rflags = 0x10ed7;
	cpu.interruptibility = SX_BLOCK_STI | SX_BLOCK_NMI;
	sx_vmx_finish(&cpu, &r, 3);
	assert_int_equal(cpu.rflags, 0x603); /* CF; AF PF SF ZF OF and RF cleared */
	assert_int_equal(cpu.rip, 0x1003);
	assert_int_equal(cpu.interruptibility, SX_BLOCK_NMI);
	r.outcome = SX_VMX_FAIL_VALID;
	sx_vmx_finish(&cpu, &r, 3);
	assert_int_equal(cpu.rflags, 0x642);
	r.outcome = SX_VMX_SUCCEED;
	sx_vmx_finish(&cpu, &r, 3);
	assert_int_equal(cpu.rflags, 0x602);
	r.outcome = SX_VMX_FAULT;
	sx_vmx_finish(&cpu, &r, 3);
	assert_int_equal(cpu.rip, 0x1009);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_by_mode),
		cmocka_unit_test(outside_vmx_operation_all_but_vmxon_are_undefined),
		cmocka_unit_test(vmxon_conditions),
		cmocka_unit_test(vmxon_regions),
		cmocka_unit_test(vmclear),
		cmocka_unit_test(vmptrld),
		cmocka_unit_test(every_field_holds_its_width),
		cmocka_unit_test(high_halves),
		cmocka_unit_test(raw_memory_is_truncated),
		cmocka_unit_test(fields_that_are_not_there),
		cmocka_unit_test(region_without_memory),
		cmocka_unit_test(invept),
		cmocka_unit_test(invvpid),
		cmocka_unit_test(vmcall_in_root),
		cmocka_unit_test(finish_sets_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
