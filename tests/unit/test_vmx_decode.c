// SPDX-License-Identifier: BSD-3-Clause
/* VMX instructions as bytes: forms, operands, faults, and whole execution. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nested/vmx_decode.h"
#include "tests/unit/test_vmx_world.h"

#define COUNT(a)       (sizeof(a) / sizeof((a)[0]))
#define BYTES(...)     (const uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})
#define EXECUTE(...)   sx_vmx_execute(&w.vmx, &w.l1, BYTES(__VA_ARGS__), &w.l2)
#define DECODE(i, ...) sx_vmx_decode(&w.l1, BYTES(__VA_ARGS__), i)

static struct world w;

static void expect_fault(struct sx_vmx_result result, unsigned vector, uint64_t address)
{
	assert_int_equal(result.outcome, SX_VMX_FAULT);
	assert_int_equal(result.vector, vector);
	assert_int_equal(result.error_code, 0);
	assert_int_equal(result.address, address);
}

static void every_instruction_is_known(void **state)
{
	static const struct {
		uint8_t bytes[6], length;
		enum sx_vmx_op op;
		bool has_rm;
	} all[] = {
		{{0xf3, 0x0f, 0xc7, 0x30}, 4, SX_OP_VMXON, true},
		{{0x0f, 0x01, 0xc4}, 3, SX_OP_VMXOFF, false},
		{{0x66, 0x0f, 0xc7, 0x30}, 4, SX_OP_VMCLEAR, true},
		{{0x0f, 0xc7, 0x30}, 3, SX_OP_VMPTRLD, true},
		{{0x0f, 0xc7, 0x38}, 3, SX_OP_VMPTRST, true},
		{{0x0f, 0x78, 0xc8}, 3, SX_OP_VMREAD, true},
		{{0x0f, 0x79, 0xc8}, 3, SX_OP_VMWRITE, true},
		{{0x0f, 0x01, 0xc2}, 3, SX_OP_VMLAUNCH, false},
		{{0x0f, 0x01, 0xc3}, 3, SX_OP_VMRESUME, false},
		{{0x66, 0x0f, 0x38, 0x80, 0x08}, 5, SX_OP_INVEPT, true},
		{{0x66, 0x0f, 0x38, 0x81, 0x08}, 5, SX_OP_INVVPID, true},
		{{0x0f, 0x01, 0xc1}, 3, SX_OP_VMCALL, false},
		{{0x0f, 0x01, 0xd4}, 3, SX_OP_VMFUNC, false},
	};
	struct sx_vmx_insn insn;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < COUNT(all); i++) {
		assert_int_equal(sx_vmx_decode(&w.l1, all[i].bytes, all[i].length, &insn), 0);
		assert_int_equal(insn.op, all[i].op);
		assert_int_equal(insn.length, all[i].length);
		assert_int_equal(insn.has_rm, all[i].has_rm);
		assert_int_equal(insn.operand_size, 8);
		for (size_t len = 0; len < all[i].length; len++) /* each prefix wants more */
			assert_int_equal(sx_vmx_decode(&w.l1, all[i].bytes, len, &insn), -ENODATA);
	}
}

static void what_is_no_vmx_instruction(void **state)
{
	struct sx_vmx_insn insn;

	(void)state;
	world_init(&w);
	assert_int_equal(DECODE(&insn, 0x90), -EILSEQ);
	assert_int_equal(DECODE(&insn, 0x0f, 0xa2), -EILSEQ);             /* CPUID */
	assert_int_equal(DECODE(&insn, 0x0f, 0x0b), -EILSEQ);             /* UD2 */
	assert_int_equal(DECODE(&insn, 0xf0, 0x0f, 0xc7, 0x30), -EILSEQ); /* LOCK */
	assert_int_equal(DECODE(&insn, 0xf2, 0x0f, 0xc7, 0x30), -EILSEQ); /* no such prefix */
	assert_int_equal(DECODE(&insn, 0x66, 0x0f, 0x78, 0xc8), -EILSEQ); /* EXTRQ */
	assert_int_equal(DECODE(&insn, 0x0f, 0xc7, 0xf0), -EILSEQ);       /* RDRAND */
	assert_int_equal(DECODE(&insn, 0xf3, 0x0f, 0xc7, 0xf0), -EILSEQ); /* VMXON of a register */
	assert_int_equal(DECODE(&insn, 0x66, 0x0f, 0x38, 0x80, 0xc8), -EILSEQ);
	assert_int_equal(DECODE(&insn, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
				0x66, 0x66, 0x66, 0x66, 0x66, 0x66),
			 -EILSEQ); /* longer than 15 bytes */
}

struct form {
	uint8_t bytes[10];
	uint8_t length;
	uint64_t linear;
};

static void check_forms(const struct form *forms, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct sx_vmx_result result;
		struct sx_vmx_insn insn;
		uint64_t linear = 0;

		assert_int_equal(sx_vmx_decode(&w.l1, forms[i].bytes, forms[i].length, &insn), 0);
		assert_int_equal(insn.length, forms[i].length);
		assert_true(sx_vmx_operand_linear(&w.vmx.caps, &w.l1, &insn, 8, false, &linear,
						  &result));
		if (linear != forms[i].linear)
			fail_msg("form %zu: %#llx", i, (unsigned long long)linear);
	}
}

static void set_registers(void)
{
	for (unsigned i = 0; i < SX_GPR_COUNT; i++)
		w.l1.gpr[i] = UINT64_C(0x100011000) * i;
}

#define R(n) (UINT64_C(0x100011000) * (n))

static void addressing_forms_64(void **state)
{
	static const struct form forms[] = {
		{{0x0f, 0xc7, 0x30}, 3, R(0)},
		{{0x0f, 0xc7, 0x71, 0x08}, 4, R(1) + 8},
		{{0x0f, 0xc7, 0x71, 0xf8}, 4, R(1) - 8},
		{{0x0f, 0xc7, 0xb1, 0, 1, 0, 0x80}, 7, R(1) - UINT64_C(0x7fffff00)},
		{{0x0f, 0xc7, 0x74, 0x8a, 0x10}, 5, R(2) + 4 * R(1) + 0x10},
		{{0x0f, 0xc7, 0x34, 0xcd, 0, 0x20, 0, 0}, 8, 8 * R(1) + 0x2000},
		{{0x41, 0x0f, 0xc7, 0x34, 0x24}, 5, R(12)},
		{{0x43, 0x0f, 0xc7, 0x74, 0x75, 0x01}, 6, R(13) + 2 * R(14) + 1},
		{{0x0f, 0xc7, 0x35, 0, 1, 0, 0}, 7, 0x1000 + 7 + 0x100},
		{{0x0f, 0xc7, 0x34, 0x25, 0x78, 0x56, 0x34, 0x12}, 8, 0x12345678},
		{{0x64, 0x0f, 0xc7, 0x31}, 4, R(1) + 0x7000},
		{{0x65, 0x0f, 0xc7, 0x31}, 4, R(1) + UINT64_C(0xffff800000000000)},
		{{0x2e, 0x0f, 0xc7, 0x31}, 4, R(1)}, /* CS: ignored */
		{{0x67, 0x0f, 0xc7, 0x31}, 4, (uint32_t)R(1)},
		{{0x67, 0x0f, 0xc7, 0x71, 0x80}, 5, (uint32_t)(R(1) - 0x80)},
		/* mod 0 and SIB's base 5 are no base, with REX.B too */
		{{0x41, 0x0f, 0xc7, 0x34, 0x8d, 0x10, 0, 0, 0}, 9, 4 * R(1) + 0x10},
		{{0x67, 0x41, 0x0f, 0xc7, 0x34, 0x8d, 0xf0, 0xff, 0xff, 0xff},
		 10,
		 (uint32_t)(4 * R(1) - 0x10)},
		{{0x0f, 0xc7, 0x34, 0x24}, 4, R(4)},
		{{0x0f, 0xc7, 0x75, 0xf8}, 4, R(5) - 8},
		{{0x48, 0x0f, 0xc7, 0x31}, 4, R(1)}, /* REX.W: ignored */
	};

	(void)state;
	world_init(&w);
	set_registers();
	w.l1.seg[SX_SEG_FS].base = 0x7000;
	w.l1.seg[SX_SEG_GS].base = UINT64_C(0xffff800000000000);
	w.l1.seg[SX_SEG_DS].base = 0x5555; /* ignored in 64-bit mode */
	check_forms(forms, COUNT(forms));
}

static void addressing_forms_32(void **state)
{
	static const struct form forms[] = {
		{{0x0f, 0xc7, 0x30}, 3, 0x100000},
		{{0x0f, 0xc7, 0x71, 0xff}, 4, 0x100000 + (uint32_t)R(1) - 1},
		{{0x0f, 0xc7, 0x74, 0x8a, 0x10}, 5, 0x100000 + (uint32_t)(R(2) + 4 * R(1) + 0x10)},
		{{0x0f, 0xc7, 0x35, 0, 1, 0, 0}, 7, 0x100100}, /* disp32, not RIP-relative */
		{{0x67, 0x0f, 0xc7, 0x30}, 4, 0x100000 + 0x3000 + 0x6000},            /* BX + SI */
		{{0x67, 0x0f, 0xc7, 0x72, 0x10}, 5, 0x5000 + 0x5000 + 0x6000 + 0x10}, /* BP + SI */
		{{0x67, 0x0f, 0xc7, 0x36, 0x34, 0x12}, 6, 0x100000 + 0x1234},
		{{0x26, 0x0f, 0xc7, 0x30}, 4, 0x4000},
		{{0x0f, 0xc7, 0x34, 0x24}, 4, 0x5000 + (uint32_t)R(4)},
	};

	(void)state;
	world_init(&w);
	set_registers();
	world_l1_32(&w.l1);
	set_registers();
	w.l1.seg[SX_SEG_DS].base = 0x100000;
	w.l1.seg[SX_SEG_SS].base = 0x5000;
	w.l1.seg[SX_SEG_ES].base = 0x4000;
	check_forms(forms, COUNT(forms));
}

/* --- segmentation faults ---------------------------------------------------------------------- */

static void non_canonical_operands(void **state)
{
	(void)state;
	world_init_current(&w);
	w.l1.gpr[SX_RAX] = UINT64_C(0x800000000000);
	expect_fault(EXECUTE(0x0f, 0xc7, 0x30), SX_VEC_GP, 0);
	w.l1.gpr[SX_RAX] = UINT64_C(0x7ffffffffff9); /* the last byte is not canonical */
	expect_fault(EXECUTE(0x0f, 0xc7, 0x30), SX_VEC_GP, 0);
	w.l1.gpr[SX_RSP] = UINT64_C(0x800000000000);
	expect_fault(EXECUTE(0x0f, 0xc7, 0x34, 0x24), SX_VEC_SS, 0);
	w.l1.gpr[SX_RBP] = UINT64_C(0x800000000000);
	expect_fault(EXECUTE(0x0f, 0xc7, 0x75, 0x00), SX_VEC_SS, 0);
	assert_int_equal(w.l1.rip, 0x1000);
}

static void segment_limits_and_types_32(void **state)
{
	(void)state;
	world_init_current(&w);
	world_l1_32(&w.l1);
	w.l1.gpr[SX_RAX] = AT_OPERANDS;
	put64(&w, AT_OPERANDS, AT_VMCS);
	assert_int_equal(EXECUTE(0x0f, 0xc7, 0x30).outcome, SX_VMX_SUCCEED);
	w.l1.seg[SX_SEG_DS].limit = AT_OPERANDS + 6; /* one byte short */
	expect_fault(EXECUTE(0x0f, 0xc7, 0x30), SX_VEC_GP, 0);
	w.l1.seg[SX_SEG_DS].limit = AT_OPERANDS + 7;
	assert_int_equal(EXECUTE(0x0f, 0xc7, 0x30).outcome, SX_VMX_SUCCEED);
	w.l1.seg[SX_SEG_DS].ar = 0xc097; /* expand-down: below the limit is outside */
	expect_fault(EXECUTE(0x0f, 0xc7, 0x30), SX_VEC_GP, 0);
	w.l1.seg[SX_SEG_DS].limit = AT_OPERANDS - 1;
	assert_int_equal(EXECUTE(0x0f, 0xc7, 0x30).outcome, SX_VMX_SUCCEED);
	w.l1.seg[SX_SEG_DS].ar = 0x8097; /* 16-bit expand-down: ends at FFFFH */
	w.l1.seg[SX_SEG_DS].limit = 0;
	w.l1.seg[SX_SEG_DS].base = AT_OPERANDS - 0xfff0;
	w.l1.gpr[SX_RAX] = 0xfff0;
	assert_int_equal(EXECUTE(0x0f, 0xc7, 0x30).outcome, SX_VMX_SUCCEED);
	w.l1.gpr[SX_RAX] = 0xfff9;
	expect_fault(EXECUTE(0x0f, 0xc7, 0x30), SX_VEC_GP, 0);
	w.l1.gpr[SX_RAX] = 0;
	expect_fault(EXECUTE(0x0f, 0xc7, 0x30), SX_VEC_GP, 0); /* the limit itself is outside */
	w.l1.gpr[SX_RAX] = AT_OPERANDS;
	w.l1.seg[SX_SEG_DS].ar = 0xc091 | SX_AR_UNUSABLE;
	expect_fault(EXECUTE(0x0f, 0xc7, 0x30), SX_VEC_GP, 0);
	w.l1.seg[SX_SEG_DS] = (struct sx_vmx_segment){.limit = UINT32_MAX, .ar = 0xc091};
	assert_int_equal(EXECUTE(0x0f, 0xc7, 0x30).outcome, SX_VMX_SUCCEED); /* read-only: read */
	expect_fault(EXECUTE(0x0f, 0xc7, 0x38), SX_VEC_GP, 0);               /* VMPTRST writes */
	w.l1.seg[SX_SEG_SS].limit = 0;
	w.l1.gpr[SX_RSP] = AT_OPERANDS;
	expect_fault(EXECUTE(0x0f, 0xc7, 0x34, 0x24), SX_VEC_SS, 0);
	expect_fault(EXECUTE(0x2e, 0x0f, 0xc7, 0x38), SX_VEC_GP, 0); /* VMPTRST into code */
}

/* --- page ends -------------------------------------------------------------------------------- */

static void operands_across_pages(void **state)
{
	struct sx_vmx_result result;

	(void)state;
	world_init_current(&w);
	w.l1.gpr[SX_RAX] = 0x19000 - 3;
	put64(&w, 0x19000 - 3, AT_VMCS);
	assert_int_equal(EXECUTE(0x0f, 0xc7, 0x30).outcome, SX_VMX_SUCCEED);
	w.fault_page = 0x19000;
	expect_fault(EXECUTE(0x0f, 0xc7, 0x30), SX_VEC_PF, 0x19000);
	w.fault_page = 0x18000;
	expect_fault(EXECUTE(0x0f, 0xc7, 0x30), SX_VEC_PF, 0x19000 - 3);
	put64(&w, 0x19000 - 3, 0x5555555555555555);
	w.fault_page = 0x19000;
	result = EXECUTE(0x0f, 0xc7, 0x38); /* VMPTRST: nothing is written before the fault */
	assert_int_equal(result.vector, SX_VEC_PF);
	assert_int_equal(result.error_code, 2);
	assert_int_equal(get64(&w, 0x19000 - 3), 0x5555555555555555);
	w.fault_page = SX_VMX_NONE;
	assert_int_equal(EXECUTE(0x0f, 0xc7, 0x38).outcome, SX_VMX_SUCCEED);
	assert_int_equal(get64(&w, 0x19000 - 3), AT_VMCS);
	set_field(&w, SX_VMCS_TSC_OFFSET, UINT64_C(0x1122334455667788));
	w.l1.gpr[SX_RCX] = SX_VMCS_TSC_OFFSET;
	assert_int_equal(EXECUTE(0x0f, 0x78, 0x08).outcome, SX_VMX_SUCCEED);
	assert_int_equal(get64(&w, 0x19000 - 3), UINT64_C(0x1122334455667788));
	set_field(&w, SX_VMCS_TSC_OFFSET, 0);
	assert_int_equal(EXECUTE(0x0f, 0x79, 0x08).outcome, SX_VMX_SUCCEED);
	assert_int_equal(field(&w, SX_VMCS_TSC_OFFSET), UINT64_C(0x1122334455667788));
}

static void instructions_at_page_ends(void **state)
{
	uint8_t bytes[SX_VMX_MAX_INSN];
	struct sx_vmx_result result;

	(void)state;
	world_init_current(&w);
	w.l1.rip = 0x19000 - 2;
	assert_int_equal(sx_vmx_fetch(&w.vmx, &w.l1, bytes, &result), 15);
	w.fault_page = 0x19000;
	assert_int_equal(sx_vmx_fetch(&w.vmx, &w.l1, bytes, &result), 2);
	w.fault_page = 0x18000;
	assert_int_equal(sx_vmx_fetch(&w.vmx, &w.l1, bytes, &result), 0);
	expect_fault(result, SX_VEC_PF, 0x19000 - 2);
	w.l1.rip = UINT64_C(0x7ffffffffffe);
	expect_fault(EXECUTE(0x0f, 0xc7), SX_VEC_GP, 0);
	w.l1.rip = UINT64_C(0x800000000000);
	assert_int_equal(sx_vmx_fetch(&w.vmx, &w.l1, bytes, &result), 0);
	expect_fault(result, SX_VEC_GP, 0);
}

static void truncated_fetch_names_the_next_byte(void **state)
{
	uint8_t bytes[SX_VMX_MAX_INSN];
	struct sx_vmx_result result;

	(void)state;
	world_init_current(&w);
	w.l1.rip = 0x18ffe;
	result = EXECUTE(0x0f, 0xc7);
	assert_int_equal(result.vector, SX_VEC_PF);
	assert_int_equal(result.address, 0x19000);
	assert_int_equal(result.error_code, 0x10); /* instruction fetch, with EFER.NXE */
	w.l1.efer &= ~SX_X86_EFER_NXE;
	expect_fault(EXECUTE(0x0f, 0xc7), SX_VEC_PF, 0x19000);
	world_l1_32(&w.l1);
	w.l1.seg[SX_SEG_CS].base = 0x4000;
	expect_fault(EXECUTE(0x0f, 0xc7), SX_VEC_PF, 0x5002);
	w.l1.seg[SX_SEG_CS].limit = 0x1001;
	expect_fault(EXECUTE(0x0f, 0xc7), SX_VEC_GP, 0);
	assert_int_equal(sx_vmx_fetch(&w.vmx, &w.l1, bytes, &result), 2);
	w.l1.rip = 0x1001;
	assert_int_equal(sx_vmx_fetch(&w.vmx, &w.l1, bytes, &result), 1);
	w.l1.rip = 0x1002;
	assert_int_equal(sx_vmx_fetch(&w.vmx, &w.l1, bytes, &result), 0);
	expect_fault(result, SX_VEC_GP, 0);
}

/* --- whole instructions ----------------------------------------------------------------------- */

static void a_life_in_bytes(void **state)
{
	(void)state;
	world_init(&w);
	w.l1.gpr[SX_RAX] = AT_OPERANDS;
	put64(&w, AT_OPERANDS, AT_VMXON);
	put64(&w, AT_OPERANDS + 8, AT_VMCS);
	put64(&w, AT_OPERANDS + 16, WORLD_EPTP);
	assert_int_equal(EXECUTE(0xf3, 0x0f, 0xc7, 0x30).outcome, SX_VMX_SUCCEED);
	assert_int_equal(w.l1.rip, 0x1004);
	assert_int_equal(EXECUTE(0x0f, 0x01, 0xc2).outcome, SX_VMX_FAIL_INVALID);
	assert_int_equal(w.l1.rflags & 1, 1);
	assert_int_equal(EXECUTE(0x66, 0x0f, 0xc7, 0x70, 0x08).outcome, SX_VMX_SUCCEED);
	assert_int_equal(EXECUTE(0x0f, 0xc7, 0x70, 0x08).outcome, SX_VMX_SUCCEED);
	w.l1.gpr[SX_RCX] = SX_VMCS_GUEST_RIP;
	w.l1.gpr[SX_RDX] = 0x123456789;
	assert_int_equal(EXECUTE(0x0f, 0x79, 0xca).outcome, SX_VMX_SUCCEED); /* rcx, rdx */
	assert_int_equal(EXECUTE(0x0f, 0x78, 0xcb).outcome, SX_VMX_SUCCEED); /* rbx, rcx */
	assert_int_equal(w.l1.gpr[SX_RBX], 0x123456789);
	assert_int_equal(EXECUTE(0x0f, 0x78, 0x48, 0x20).outcome, SX_VMX_SUCCEED);
	assert_int_equal(get64(&w, AT_OPERANDS + 0x20), 0x123456789);
	put64(&w, AT_OPERANDS + 0x20, 0x4000);
	assert_int_equal(EXECUTE(0x0f, 0x79, 0x48, 0x20).outcome, SX_VMX_SUCCEED);
	assert_int_equal(field(&w, SX_VMCS_GUEST_RIP), 0x4000);
	w.l1.gpr[SX_RCX] = 1;
	assert_int_equal(EXECUTE(0x66, 0x0f, 0x38, 0x80, 0x48, 0x10).outcome, SX_VMX_SUCCEED);
	assert_int_equal(w.inv_context, WORLD_EPTP);
	assert_int_equal(EXECUTE(0x66, 0x0f, 0x38, 0x81, 0x48, 0x28).outcome, SX_VMX_FAIL_VALID);
	assert_int_equal(w.l1.rflags & 0x41, 0x40);
	assert_int_equal(EXECUTE(0x0f, 0x01, 0xc1).error, 1);
	assert_int_equal(EXECUTE(0x0f, 0x01, 0xc3).error, 5);
	assert_int_equal(EXECUTE(0x0f, 0x01, 0xc2).outcome, SX_VMX_ENTERED);
	assert_int_equal(w.l2.cpu.rip, 0x4000);
}

/* 31.3, VMXON: only outside of VMX operation is its operand read. */
static void vmxon_in_vmx_operation_reads_no_operand(void **state)
{
	(void)state;
	world_init_current(&w);
	w.l1.gpr[SX_RAX] = UINT64_C(1) << 63;
	assert_int_equal(EXECUTE(0xf3, 0x0f, 0xc7, 0x30).error, SX_VMERR_VMXON_IN_ROOT);
	w.l1.gpr[SX_RAX] = w.fault_page = 0x5000;
	assert_int_equal(EXECUTE(0xf3, 0x0f, 0xc7, 0x30).error, SX_VMERR_VMXON_IN_ROOT);
	w.vmx.on = false;
	expect_fault(EXECUTE(0xf3, 0x0f, 0xc7, 0x30), SX_VEC_PF, 0x5000);
}

static void vmread_in_32_bit_mode(void **state)
{
	(void)state;
	world_init_current(&w);
	world_l1_32(&w.l1);
	set_field(&w, SX_VMCS_TSC_OFFSET, UINT64_C(0x1122334455667788));
	w.l1.gpr[SX_RCX] = UINT64_C(0xffffffff00000000) | SX_VMCS_TSC_OFFSET; /* 32 bits count */
	w.l1.gpr[SX_RBX] = UINT64_MAX;
	assert_int_equal(EXECUTE(0x0f, 0x78, 0xcb).outcome, SX_VMX_SUCCEED);
	assert_int_equal(w.l1.gpr[SX_RBX], 0x55667788);
	w.l1.gpr[SX_RAX] = AT_OPERANDS;
	put64(&w, AT_OPERANDS, UINT64_MAX);
	assert_int_equal(EXECUTE(0x0f, 0x78, 0x08).outcome, SX_VMX_SUCCEED);
	assert_int_equal(get64(&w, AT_OPERANDS), UINT64_C(0xffffffff55667788)); /* 4 bytes */
	assert_int_equal(EXECUTE(0x0f, 0x79, 0x08).outcome, SX_VMX_SUCCEED);
	assert_int_equal(field(&w, SX_VMCS_TSC_OFFSET), 0x55667788); /* bits 63:32 are cleared */
}

/* Privilege and mode come before the operand; a missing current VMCS before VMWRITE's source. */
static void order_of_faults(void **state)
{
	(void)state;
	world_init_current(&w);
	w.fault_page = 0;
	w.l1.gpr[SX_RAX] = 0;
	expect_fault(EXECUTE(0x0f, 0xc7, 0x30), SX_VEC_PF, 0);
	w.l1.seg[SX_SEG_SS].ar |= 0x60;
	expect_fault(EXECUTE(0x0f, 0xc7, 0x30), SX_VEC_GP, 0);
	expect_fault(EXECUTE(0xf3, 0x0f, 0xc7, 0x30), SX_VEC_GP, 0);
	w.l1.seg[SX_SEG_SS].ar &= ~0x60u;
	w.vmx.on = false;
	expect_fault(EXECUTE(0x0f, 0xc7, 0x30), SX_VEC_UD, 0);
	w.vmx.on = true;
	w.vmx.current = SX_VMX_NONE;
	assert_int_equal(EXECUTE(0x0f, 0x79, 0x08).outcome, SX_VMX_FAIL_INVALID);
	w.vmx.caps.ept_vpid = 0;
	expect_fault(EXECUTE(0x66, 0x0f, 0x38, 0x80, 0x08), SX_VEC_UD, 0);
	expect_fault(EXECUTE(0x66, 0x0f, 0x38, 0x81, 0x08), SX_VEC_UD, 0);
	expect_fault(EXECUTE(0x0f, 0x01, 0xd4), SX_VEC_UD, 0);
	expect_fault(EXECUTE(0x90), SX_VEC_UD, 0);
}

/* --- exits of L2's VMX instructions: 28.2.5 --------------------------------------------------- */

static void instruction_information(void **state)
{
	struct sx_vmx_insn insn;
	struct sx_vmx_exit exit;

	(void)state;
	world_init(&w);
	assert_int_equal(DECODE(&insn, 0x0f, 0x78, 0xcb), 0); /* VMREAD rbx, rcx */
	sx_vmx_insn_exit(&w.l1, &insn, &exit);
	assert_int_equal(exit.reason, SX_VMEXIT_VMREAD);
	assert_int_equal(exit.insn_length, 3);
	assert_int_equal(exit.insn_info, 1u << 10 | 3u << 3 | 1u << 28);
	assert_int_equal(DECODE(&insn, 0x43, 0x0f, 0xc7, 0x74, 0x75, 0xff), 0);
	sx_vmx_insn_exit(&w.l1, &insn, &exit); /* VMPTRLD [r13 + r14 * 2 - 1] */
	assert_int_equal(exit.reason, SX_VMEXIT_VMPTRLD);
	assert_int_equal(exit.insn_info, 1u | 2u << 7 | 3u << 15 | 14u << 18 | 13u << 23);
	assert_int_equal(exit.qualification, UINT64_MAX);
	assert_int_equal(DECODE(&insn, 0x0f, 0xc7, 0x35, 0, 1, 0, 0), 0);
	sx_vmx_insn_exit(&w.l1, &insn, &exit); /* [rip + 0x100] */
	assert_int_equal(exit.qualification, 0x1107);
	assert_int_equal(exit.insn_info, 2u << 7 | 3u << 15 | 1u << 22 | 1u << 27);
	assert_int_equal(DECODE(&insn, 0x66, 0x0f, 0x38, 0x80, 0x08), 0);
	sx_vmx_insn_exit(&w.l1, &insn, &exit); /* INVEPT rcx, [rax] */
	assert_int_equal(exit.insn_info, 2u << 7 | 3u << 15 | 1u << 22 | 1u << 28);
	assert_int_equal(DECODE(&insn, 0x0f, 0x01, 0xc1), 0);
	sx_vmx_insn_exit(&w.l1, &insn, &exit);
	assert_int_equal(exit.reason, SX_VMEXIT_VMCALL);
	assert_int_equal(exit.insn_info, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_instruction_is_known),
		cmocka_unit_test(what_is_no_vmx_instruction),
		cmocka_unit_test(addressing_forms_64),
		cmocka_unit_test(addressing_forms_32),
		cmocka_unit_test(non_canonical_operands),
		cmocka_unit_test(segment_limits_and_types_32),
		cmocka_unit_test(operands_across_pages),
		cmocka_unit_test(instructions_at_page_ends),
		cmocka_unit_test(truncated_fetch_names_the_next_byte),
		cmocka_unit_test(a_life_in_bytes),
		cmocka_unit_test(vmxon_in_vmx_operation_reads_no_operand),
		cmocka_unit_test(vmread_in_32_bit_mode),
		cmocka_unit_test(order_of_faults),
		cmocka_unit_test(instruction_information),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
