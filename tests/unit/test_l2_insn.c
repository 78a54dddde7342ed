// SPDX-License-Identifier: BSD-3-Clause
/*
 * What an instruction of L2 touches: page by page is taken from EPT12, and the exit has to name it.
 */
#include "tests/unit/test_l2_run.h"

/* ---- operands ---- */

struct row {
	const char *what;
	uint8_t bytes[10];
	uint64_t linear; /* whose page is not there; 0: nothing of the instruction needs it */
	unsigned access;
};

static void one(const struct row *row)
{
	code(row->bytes, sizeof(row->bytes));
	ept(&w, row->linear ? row->linear : L2_B, 0);
	if (row->linear ? fault() != SX_L2_FAULT_EXIT : fault() != SX_L2_FAULT_UNKNOWN)
		fail_msg("%s: outcome", row->what);
	if (row->linear && (x.linear != row->linear || x.physical != row->linear ||
			    x.qualification != (FINAL | row->access)))
		fail_msg("%s: linear 0x%llx, qualification 0x%llx", row->what,
			 (unsigned long long)x.linear, (unsigned long long)x.qualification);
}

static void operands_in_64_bit_mode(void **state)
{
	static const struct row rows[] = {
		{"mov (%rbx),%rax", {0x48, 0x8b, 0x03}, 0xb200, R},
		{"mov %rax,(%rbx)", {0x48, 0x89, 0x03}, 0xb200, W},
		{"add %rax,(%rbx)", {0x48, 0x01, 0x03}, 0xb200, R | W},
		{"mov 0x10(%rbx,%rcx,4),%al", {0x8a, 0x44, 0x8b, 0x10}, 0xb21c, R},
		{"mov 0x2ff9(%rip),%rax", {0x48, 0x8b, 0x05, 0xf9, 0x2f, 0, 0}, 0xb000, R},
		{"mov %fs:0x100,%rax", {0x64, 0x48, 0x8b, 0x04, 0x25, 0, 1, 0, 0}, 0xb100, R},
		{"mov %gs:0x100,%rax", {0x65, 0x48, 0x8b, 0x04, 0x25, 0, 1, 0, 0}, 0xa100, R},
		{"push %rax", {0x50}, 0xcef8, W},
		{"pop %rax", {0x58}, 0xcf00, R},
		{"push (%rbx), the source", {0xff, 0x33}, 0xb200, R},
		{"push (%rbx), the stack", {0xff, 0x33}, 0xcef8, W},
		{"pop -0x1008(%rsp)", {0x8f, 0x84, 0x24, 0xf8, 0xef, 0xff, 0xff}, 0xbf00, W},
		{"call", {0xe8}, 0xcef8, W},
		{"ret", {0xc3}, 0xcf00, R},
		{"leave", {0xc9}, 0xb800, R},
		{"enter $16,$0", {0xc8, 16, 0, 0}, 0xcef8, W},
		{"enter $16,$2", {0xc8, 16, 0, 2}, 0xcee8, W},
		{"xlat", {0xd7}, 0xb201, R},
		{"movsb, the source", {0xa4}, 0xa300, R},
		{"movsb, the destination", {0xa4}, 0xb400, W},
		{"rep movsq", {0xf3, 0x48, 0xa5}, 0xb400, W},
		{"cmpsb", {0xa6}, 0xb400, R},
		{"repne scasb", {0xf2, 0xae}, 0xb400, R},
		{"stosq", {0x48, 0xab}, 0xb400, W},
		{"lodsw", {0x66, 0xad}, 0xa300, R},
		{"bts %rax,(%rbx)", {0x48, 0x0f, 0xab, 0x03}, 0xc620, R | W},
		{"bts $1,(%rbx)", {0x48, 0x0f, 0xba, 0x2b, 1}, 0xb200, R | W},
		{"lock cmpxchg16b (%rbx)", {0xf0, 0x48, 0x0f, 0xc7, 0x0b}, 0xb200, R | W},
		{"fxsave (%rbx)", {0x0f, 0xae, 0x03}, 0xb200, W},
		{"movdqu %xmm0,(%rbx)", {0xf3, 0x0f, 0x7f, 0x03}, 0xb200, W},
		{"maskmovdqu", {0x66, 0x0f, 0xf7, 0xc1}, 0xb400, W},
		{"vpmaskmovd (%rbx)", {0xc4, 0xe2, 0x7d, 0x8c, 0x03}, 0xb200, R},
		{"lea (%rbx),%rax", {0x48, 0x8d, 0x03}, 0, 0},
		{"nopl (%rbx)", {0x0f, 0x1f, 0x03}, 0, 0},
		{"prefetchnta (%rbx)", {0x0f, 0x18, 0x03}, 0, 0},
		{"mov %rbx,%rax", {0x48, 0x89, 0xd8}, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		start();
		one(&rows[i]);
	}
}

static void operands_in_32_bit_code(void **state)
{
	static const struct row rows[] = {
		{"mov 0xb000,%eax", {0xa1, 0x00, 0xb0, 0, 0}, 0xb000, R},
		{"push %eax", {0x50}, 0xcefc, W},
		{"push %ax", {0x66, 0x50}, 0xcefe, W},
		{"pusha", {0x60}, 0xcee0, W},
		{"popa", {0x61}, 0xcf00, R},
		{"addr16 mov (%bx),%ax", {0x67, 0x66, 0x8b, 0x07}, 0xb200, R},
		{"les (%ebx),%eax", {0xc4, 0x03}, 0xb200, R},
		{"lcall $8,$0", {0x9a, 0, 0, 0, 0, 8, 0}, 0xcef8, W},
		{"bound %eax,(%ebx)", {0x62, 0x03}, 0xb200, R},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		start();
		leave_long_mode(&w.l2.cpu, true);
		one(&rows[i]);
	}
}

static void operands_in_16_bit_code(void **state)
{
	static const struct row rows[] = {
		{"mov (%bx),%ax", {0x8b, 0x07}, 0xb200, R},
		{"mov (%bx,%si),%ax", {0x8b, 0x00}, 0x5500, R}, /* wraps at 64 KiB */
		{"push %ax", {0x50}, 0xcefe, W},
		{"pusha", {0x60}, 0xcef0, W},
		{"addr32 mov (%ebx),%eax", {0x67, 0x66, 0x8b, 0x03}, 0xb200, R},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		start();
		leave_long_mode(&w.l2.cpu, false);
		one(&rows[i]);
	}
}

static void segments_have_bases(void **state)
{
	(void)state;
	start();
	leave_long_mode(&w.l2.cpu, true);
	w.l2.cpu.seg[SX_SEG_DS].base = 0x1000;
	w.l2.cpu.gpr[SX_RBX] = 0xa200;
	CODE(0x8b, 0x03); /* mov (%ebx),%eax */
	ept(&w, L2_B, 0);
	violates(0xb200, FINAL | R);
}

static void a_count_of_zero_touches_nothing(void **state)
{
	(void)state;
	start();
	CODE(0xf3, 0xa4); /* rep movsb */
	ept(&w, L2_B, 0);
	w.l2.cpu.gpr[SX_RCX] = 0;
	assert_int_equal(fault(), SX_L2_FAULT_UNKNOWN);
	w.l2.cpu.gpr[SX_RCX] = UINT64_C(1) << 32;
	violates(0xb400, FINAL | W);
	CODE(0x67, 0xf3, 0xa4); /* which counts by ECX */
	assert_int_equal(fault(), SX_L2_FAULT_UNKNOWN);
}

static void negative_bit_offsets(void **state)
{
	(void)state;
	start();
	w.l2.cpu.gpr[SX_RAX] = (uint64_t)-1;
	w.l2.cpu.gpr[SX_RBX] = L2_B;
	CODE(0x48, 0x0f, 0xa3, 0x03); /* bt %rax,(%rbx) */
	ept(&w, L2_A, 0);
	violates(0xaff8, FINAL | R);
}

/* ---- page ends ---- */

static void operands_across_pages(void **state)
{
	(void)state;
	start();
	w.l2.cpu.gpr[SX_RBX] = 0xaffc;
	CODE(0x48, 0x89, 0x03);
	ept(&w, L2_B, 0);
	violates(0xb000, FINAL | W);
	ept(&w, L2_A, 0);
	violates(0xaffc, FINAL | W);
}

static void instructions_across_pages(void **state)
{
	(void)state;
	start();
	w.l2.cpu.rip = L2_CODE + 0xffe;
	CODE(0x48, 0x8b, 0x03);
	ept(&w, L2_CODE + 0x1000, 0);
	violates(L2_CODE + 0x1000, FINAL | X);
	w.l2.cpu.rip = L2_CODE + 0xffd; /* ends with the page: the next one is not fetched */
	CODE(0x48, 0x89, 0xd8);
	assert_int_equal(fault(), SX_L2_FAULT_UNKNOWN);
	ept(&w, L2_CODE, 0);
	violates(L2_CODE + 0xffd, FINAL | X);
}

/* What the limit of CS excludes is #GP, by the vector of which nothing is missing. */
static void code_beyond_its_segment(void **state)
{
	(void)state;
	start();
	leave_long_mode(&w.l2.cpu, true);
	w.l2.cpu.seg[SX_SEG_CS].limit = L2_CODE - 1;
	ept(&w, L2_CODE, 0);
	assert_int_equal(fault(), SX_L2_FAULT_UNKNOWN);
	ept(&w, L2_IDT, 0);
	violates(L2_IDT + 8 * SX_VEC_GP, FINAL | R);
}

/* ---- descriptors, ports, control registers ---- */

static void selectors_name_descriptors(void **state)
{
	static const struct row rows[] = {
		{"mov %edx,%ds", {0x8e, 0xda}, 0x6028, R},
		{"mov (%rbx),%ds", {0x8e, 0x1b}, 0x6028, R},
		{"lss (%rbx),%eax", {0x0f, 0xb2, 0x03}, 0x6028, R},
		{"ltr %dx", {0x0f, 0x00, 0xda}, 0x6028, R},
		{"lldt %dx", {0x0f, 0x00, 0xd2}, 0x6028, R},
		{"lar %edx,%eax", {0x0f, 0x02, 0xc2}, 0x6028, R},
		{"lsl (%rbx),%eax", {0x0f, 0x03, 0x03}, 0x6028, R},
		{"verw %dx", {0x0f, 0x00, 0xea}, 0x6028, R},
		{"pop %fs", {0x0f, 0xa1}, 0x6028, R},
		{"ljmp *(%rbx)", {0xff, 0x2b}, 0x6028, R},
		{"lcall *(%rbx)", {0xff, 0x1b}, 0x6028, R},
		{"lret", {0xcb}, 0x6028, R},
		{"lretq", {0x48, 0xcb}, 0x6028, R},
		{"iretq", {0x48, 0xcf}, 0x6028, R},
		{"mov %ecx,%ds: null", {0x8e, 0xd9}, 0, 0},
		{"mov %eax,%ds: beyond the limit", {0x8e, 0xd8}, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		start();
		set_cpl(&w.l2.cpu, 0);
		for (unsigned at = 0; at < 40; at += 2) /* it stands wherever it is looked for */
			memcpy(w.mem + L2_IN_L1 + 0xb200 + at, &(uint16_t){OTHER_DATA}, 2);
		memcpy(w.mem + L2_IN_L1 + L2_STACK, w.mem + L2_IN_L1 + 0xb200, 40);
		one(&rows[i]);
	}
}

/* A descriptor is marked as accessed, unless it was or is only asked about. */
static void descriptors_are_marked(void **state)
{
	(void)state;
	start();
	ept(&w, L2_GDT, EPT_RX);
	CODE(0x8e, 0xda); /* mov %edx,%ds */
	violates(L2_GDT + OTHER_DATA + 4, FINAL | R | W | MAY_RX);
	CODE(0x0f, 0x02, 0xc2); /* lar %edx,%eax */
	assert_int_equal(fault(), SX_L2_FAULT_UNKNOWN);
	CODE(0x8e, 0xda);
	w.l2.cpu.gpr[SX_RDX] = USER_DATA;
	assert_int_equal(fault(), SX_L2_FAULT_UNKNOWN);
}

static void ports_ask_the_tss(void **state)
{
	(void)state;
	start();
	w.l2.cpu.gpr[SX_RDX] = 0x100;
	put_l2(&w, L2_TSS + 102, L2_A - L2_TSS); /* the bitmap may lie far behind */
	CODE(0xec);
	ept(&w, L2_A, 0);
	violates(L2_A + 0x20, FINAL | R);
	ept(&w, L2_TSS, 0);
	violates(L2_TSS + 102, FINAL | R);
	w.l2.cpu.rflags |= 3 << 12; /* IOPL allows it */
	w.l2.cpu.seg[SX_SEG_TR].base = L2_CODE;
	assert_int_equal(fault(), SX_L2_FAULT_UNKNOWN);
}

static void pdptes_are_loaded(void **state)
{
	(void)state;
	start();
	leave_long_mode(&w.l2.cpu, true);
	w.l2.cpu.gpr[SX_RAX] = w.l2.cpu.cr0 | SX_X86_CR0_PG;
	w.l2.cpu.cr3 = L2_A | 0x20;
	CODE(0x0f, 0x22, 0xc0); /* mov %eax,%cr0 */
	ept(&w, L2_A, 0);
	assert_int_equal(fault(), SX_L2_FAULT_EXIT);
	assert_int_equal(x.physical, L2_A | 0x20);
	assert_int_equal(x.qualification, R); /* no linear address */
	w.l2.cpu.cr4 &= ~SX_X86_CR4_PAE;
	assert_int_equal(fault(), SX_L2_FAULT_UNKNOWN);
}

/* ---- the same bytes again ---- */

static void decodes(const struct sx_vmx_cpu *cpu, unsigned length, unsigned operands)
{
	static const uint8_t bytes[] = {0x48, 0x8b, 0x03}; /* mov (%rbx), %rax; dec %eax, ... */
	struct sx_l2_insn insn;

	assert_int_equal(
		sx_l2_insn_decode(l2_decoder(), &w.vmx.caps, cpu, bytes, sizeof(bytes), &insn), 0);
	assert_int_equal(insn.length, length);
	assert_int_equal(insn.operands, operands);
	if (operands)
		assert_int_equal(insn.operand[0].linear, cpu->gpr[SX_RBX]);
}

static void same_bytes_in_another_mode(void **state)
{
	struct sx_vmx_cpu cpu32;
	const uint8_t part[] = {0x48};
	struct sx_l2_insn insn;

	(void)state;
	start();
	cpu32 = w.l2.cpu;
	cpu32.efer = 0;
	cpu32.seg[SX_SEG_CS].ar = (cpu32.seg[SX_SEG_CS].ar & ~SX_AR_L) | SX_AR_DB;
	decodes(&w.l2.cpu, 3, 1);
	w.l2.cpu.gpr[SX_RBX] += 8;
	decodes(&w.l2.cpu, 3, 1);
	decodes(&cpu32, 1, 0);
	decodes(&w.l2.cpu, 3, 1);
	assert_int_equal(sx_l2_insn_decode(l2_decoder(), &w.vmx.caps, &w.l2.cpu, part, 1, &insn),
			 -ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operands_in_64_bit_mode),
		cmocka_unit_test(operands_in_32_bit_code),
		cmocka_unit_test(operands_in_16_bit_code),
		cmocka_unit_test(segments_have_bases),
		cmocka_unit_test(a_count_of_zero_touches_nothing),
		cmocka_unit_test(negative_bit_offsets),
		cmocka_unit_test(operands_across_pages),
		cmocka_unit_test(instructions_across_pages),
		cmocka_unit_test(code_beyond_its_segment),
		cmocka_unit_test(selectors_name_descriptors),
		cmocka_unit_test(descriptors_are_marked),
		cmocka_unit_test(ports_ask_the_tss),
		cmocka_unit_test(pdptes_are_loaded),
		cmocka_unit_test(same_bytes_in_another_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
