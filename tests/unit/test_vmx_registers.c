// SPDX-License-Identifier: BSD-3-Clause
/* Which accesses of L2 to control and debug registers, ports and MSRs exit to L1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nested/vmx_intercept.h"
#include "tests/unit/test_vmx_world.h"

static struct world w;
static struct sx_vmx_exit x;
static uint64_t effective;

static void set(uint32_t encoding, uint64_t value)
{
	sx_vmcs12_set(&w.vmx.v12, encoding, value);
}

static void start(uint32_t cpu)
{
	world_init_current(&w);
	assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2).outcome, SX_VMX_ENTERED);
	set(SX_VMCS_CPU_CONTROLS, SX_CPU_TRUE_DEFAULT1 | cpu);
	x = (struct sx_vmx_exit){0};
	effective = 0xdead;
}

static enum sx_vmx_verdict to_cr(unsigned cr, uint64_t value)
{
	return sx_vmx_on_mov_to_cr(&w.vmx, &w.l2.cpu, cr, SX_RBX, value, &effective, &x);
}

/* --- CR0, CR4: 26.1.3, 26.3 ------------------------------------------------------------------- */

static void masked_bits_exit_where_they_differ_from_the_shadow(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 32; bit++) {
		uint64_t b = UINT64_C(1) << bit;

		start(0);
		set(SX_VMCS_CR0_MASK, b);
		set(SX_VMCS_CR0_SHADOW, 0);
		assert_int_equal(to_cr(0, 0x80000031 | b), SX_L2_EXIT);
		assert_int_equal(x.reason, SX_VMEXIT_CR_ACCESS);
		assert_int_equal(x.qualification, SX_RBX << 8);
		set(SX_VMCS_CR0_SHADOW, b);
		assert_int_equal(to_cr(0, 0x80000031 & ~b), SX_L2_EXIT);
		/* Equal to the shadow: L1's bit keeps its real value. */
		assert_int_equal(to_cr(0, (w.l2.cpu.cr0 & ~UINT64_C(8)) | b), SX_L2_PROCEED);
		assert_int_equal(effective & b, w.l2.cpu.cr0 & b);
	}
}

static void cr0_values_that_vmx_operation_refuses(void **state)
{
	(void)state;
	start(0);
	assert_int_equal(to_cr(0, 0x80000011), SX_L2_GP); /* NE */
	assert_int_equal(to_cr(0, 0x31), SX_L2_GP);       /* PG in 64-bit mode */
	assert_int_equal(to_cr(0, 0xa0000031), SX_L2_GP); /* NW without CD */
	assert_int_equal(to_cr(0, UINT64_C(0x180000031)), SX_L2_GP);
	assert_int_equal(to_cr(0, 0x80000021), SX_L2_PROCEED);
	assert_int_equal(effective, 0x80000031); /* ET is always 1 */
	w.l2.cpu.efer = 0;
	assert_int_equal(to_cr(0, 0x31), SX_L2_GP);
	set(SX_VMCS_CPU_CONTROLS, SX_CPU_TRUE_DEFAULT1 | SX_CPU_SECONDARY);
	set(SX_VMCS_CPU2_CONTROLS, SX_CPU2_EPT | SX_CPU2_UNRESTRICTED);
	assert_int_equal(to_cr(0, 0x31), SX_L2_PROCEED);
	assert_int_equal(to_cr(0, 0x30), SX_L2_PROCEED);
	assert_int_equal(to_cr(0, 0x80000030), SX_L2_GP); /* PG without PE */
}

static void cr4(void **state)
{
	(void)state;
	start(0);
	set(SX_VMCS_CR4_MASK, SX_X86_CR4_VMXE);
	set(SX_VMCS_CR4_SHADOW, 0);
	assert_int_equal(to_cr(4, SX_X86_CR4_PAE | SX_X86_CR4_PSE), SX_L2_PROCEED);
	assert_int_equal(effective, SX_X86_CR4_PAE | SX_X86_CR4_PSE | SX_X86_CR4_VMXE);
	assert_int_equal(to_cr(4, SX_X86_CR4_PAE | SX_X86_CR4_VMXE), SX_L2_EXIT);
	assert_int_equal(x.qualification, 4 | SX_RBX << 8);
	assert_int_equal(to_cr(4, 0), SX_L2_GP);                                  /* PAE */
	assert_int_equal(to_cr(4, SX_X86_CR4_PAE | UINT64_C(1) << 12), SX_L2_GP); /* LA57 */
	set(SX_VMCS_CR4_MASK, 0);
	assert_int_equal(to_cr(4, SX_X86_CR4_PAE), SX_L2_GP); /* VMXE is fixed */
}

static void reads_show_the_shadow(void **state)
{
	uint64_t value = 0;

	(void)state;
	start(0);
	set(SX_VMCS_CR0_MASK, 0x9);
	set(SX_VMCS_CR0_SHADOW, 0x8);
	assert_int_equal(sx_vmx_on_mov_from_cr(&w.vmx, 0, SX_RAX, 0x80000031, &value, &x),
			 SX_L2_PROCEED);
	assert_int_equal(value, 0x80000038);
	set(SX_VMCS_CR4_MASK, SX_X86_CR4_VMXE);
	assert_int_equal(sx_vmx_visible_cr(&w.vmx, 4, 0x2020), 0x20);
	assert_int_equal(sx_vmx_on_mov_from_cr(&w.vmx, 5, 0, 0, &value, &x), SX_L2_UD);
	assert_int_equal(to_cr(2, 0), SX_L2_UD);
}

static void clts(void **state)
{
	(void)state;
	start(0);
	w.l2.cpu.cr0 |= SX_X86_CR0_TS;
	assert_int_equal(sx_vmx_on_clts(&w.vmx, &w.l2.cpu, &effective, &x), SX_L2_PROCEED);
	assert_int_equal(effective & SX_X86_CR0_TS, 0);
	set(SX_VMCS_CR0_MASK, SX_X86_CR0_TS); /* L1's, shown as clear: no exit, TS stays */
	assert_int_equal(sx_vmx_on_clts(&w.vmx, &w.l2.cpu, &effective, &x), SX_L2_PROCEED);
	assert_int_equal(effective & SX_X86_CR0_TS, SX_X86_CR0_TS);
	set(SX_VMCS_CR0_SHADOW, SX_X86_CR0_TS);
	assert_int_equal(sx_vmx_on_clts(&w.vmx, &w.l2.cpu, &effective, &x), SX_L2_EXIT);
	assert_int_equal(x.qualification, 2 << 4);
}

static enum sx_vmx_verdict lmsw(uint16_t source, const uint64_t *linear)
{
	return sx_vmx_on_lmsw(&w.vmx, &w.l2.cpu, source, linear, &effective, &x);
}

static void lmsw_exits(void **state)
{
	const uint64_t linear = 0x5678;

	(void)state;
	start(0);
	assert_int_equal(lmsw(0xfff0, NULL), SX_L2_PROCEED);
	assert_int_equal(effective, 0x80000031); /* PE is not cleared */
	assert_int_equal(lmsw(0x000f, NULL), SX_L2_PROCEED);
	assert_int_equal(effective, 0x8000003f);
	set(SX_VMCS_CR0_MASK, SX_X86_CR0_PE);
	set(SX_VMCS_CR0_SHADOW, SX_X86_CR0_PE);
	assert_int_equal(lmsw(0, NULL), SX_L2_PROCEED); /* PE cannot be cleared: no exit */
	set(SX_VMCS_CR0_SHADOW, 0);
	assert_int_equal(lmsw(0, NULL), SX_L2_PROCEED);
	assert_int_equal(lmsw(1, NULL), SX_L2_EXIT);
	assert_int_equal(x.qualification, 1 << 16 | 3 << 4);
	set(SX_VMCS_CR0_MASK, SX_X86_CR0_TS);
	assert_int_equal(lmsw(8, &linear), SX_L2_EXIT);
	assert_int_equal(x.qualification, 8 << 16 | 1 << 6 | 3 << 4);
	assert_int_equal(x.linear, 0x5678);
	assert_int_equal(lmsw(6, NULL), SX_L2_PROCEED);
	assert_int_equal(effective, 0x80000037);
}

/* --- CR3, CR8 --------------------------------------------------------------------------------- */

static void cr3_and_its_targets(void **state)
{
	uint64_t value;

	(void)state;
	start(0);
	assert_int_equal(to_cr(3, 0xa000), SX_L2_PROCEED);
	assert_int_equal(to_cr(3, UINT64_C(1) << 40), SX_L2_GP);
	assert_int_equal(to_cr(3, UINT64_C(1) << 63), SX_L2_GP);
	w.l2.cpu.cr4 |= SX_X86_CR4_PCIDE;
	assert_int_equal(to_cr(3, UINT64_C(1) << 63 | 0xa001), SX_L2_PROCEED);
	assert_int_equal(effective, 0xa001);
	assert_int_equal(sx_vmx_on_mov_from_cr(&w.vmx, 3, 1, 0x9000, &value, &x), SX_L2_PROCEED);
	assert_int_equal(value, 0x9000);
	start(SX_CPU_CR3_LOAD | SX_CPU_CR3_STORE);
	set(SX_VMCS_CR3_TARGET_COUNT, 2);
	set(SX_VMCS_CR3_TARGET0, 0xa000);
	set(SX_VMCS_CR3_TARGET1, 0xb000);
	set(SX_VMCS_CR3_TARGET2, 0xc000);
	assert_int_equal(to_cr(3, 0xa000), SX_L2_PROCEED);
	assert_int_equal(to_cr(3, 0xb000), SX_L2_PROCEED);
	assert_int_equal(to_cr(3, 0xc000), SX_L2_EXIT); /* beyond the count */
	assert_int_equal(x.qualification, 3 | SX_RBX << 8);
	assert_int_equal(sx_vmx_on_mov_from_cr(&w.vmx, 3, 1, 0x9000, &value, &x), SX_L2_EXIT);
	assert_int_equal(x.qualification, 3 | 1 << 4 | 1 << 8);
}

static void cr8_and_the_tpr_shadow(void **state)
{
	uint64_t value;

	(void)state;
	start(0);
	assert_int_equal(to_cr(8, 5), SX_L2_PROCEED);
	assert_int_equal(effective, 5);
	assert_int_equal(to_cr(8, 16), SX_L2_GP);
	start(SX_CPU_TPR_SHADOW);
	set(SX_VMCS_TPR_THRESHOLD, 4);
	w.mem[AT_VAPIC + 0x83] = 0xff;
	assert_int_equal(to_cr(8, 5), SX_L2_PROCEED);
	assert_int_equal((uint32_t)get64(&w, AT_VAPIC + 0x80), 0x50);
	assert_int_equal(sx_vmx_on_mov_from_cr(&w.vmx, 8, 0, 0, &value, &x), SX_L2_PROCEED);
	assert_int_equal(value, 5);
	w.l2.timer_active = false;
	assert_false(sx_vmx_pending(&w.vmx, &w.l2, &x));
	assert_int_equal(to_cr(8, 3), SX_L2_PROCEED);
	assert_true(sx_vmx_pending(&w.vmx, &w.l2, &x));
	assert_int_equal(x.reason, SX_VMEXIT_TPR_THRESHOLD);
	start(SX_CPU_CR8_LOAD | SX_CPU_CR8_STORE);
	assert_int_equal(to_cr(8, 5), SX_L2_EXIT);
	assert_int_equal(x.qualification, 8 | SX_RBX << 8);
	assert_int_equal(sx_vmx_on_mov_from_cr(&w.vmx, 8, 15, 0, &value, &x), SX_L2_EXIT);
	assert_int_equal(x.qualification, 8 | 1 << 4 | 15 << 8);
}

static void debug_registers(void **state)
{
	(void)state;
	start(0);
	assert_false(sx_vmx_on_mov_dr(&w.vmx, 7, 1, false, &x));
	start(SX_CPU_MOV_DR);
	assert_true(sx_vmx_on_mov_dr(&w.vmx, 7, 9, true, &x));
	assert_int_equal(x.reason, SX_VMEXIT_MOV_DR);
	assert_int_equal(x.qualification, 7 | 1 << 4 | 9 << 8);
}

/* --- I/O: 25.6.4 ------------------------------------------------------------------------------ */

static bool port(uint32_t number, uint8_t size)
{
	const struct sx_vmx_io io = {.port = (uint16_t)number, .size = size};

	return sx_vmx_on_io(&w.vmx, &io, &x);
}

static void ports(void **state)
{
	(void)state;
	start(0);
	assert_false(port(0x60, 1));
	start(SX_CPU_UNCOND_IO);
	assert_true(port(0x60, 1));
	start(SX_CPU_UNCOND_IO | SX_CPU_IO_BITMAPS); /* the bitmaps take precedence */
	assert_false(port(0x60, 4));
	w.mem[AT_IO_A + 0x63 / 8] = 1 << (0x63 % 8);
	assert_true(port(0x60, 4));
	assert_true(port(0x62, 2));
	assert_false(port(0x60, 2));
	assert_false(port(0x64, 4));
	w.mem[AT_IO_B] = 1; /* 8000H */
	assert_true(port(0x8000, 1));
	assert_true(port(0x7fff, 2)); /* across the two bitmaps */
	assert_false(port(0x7fff, 1));
	assert_false(port(0xffff, 1));
	assert_true(port(0xffff, 2)); /* wraps round */
	assert_true(port(0xfffd, 4));
	assert_false(port(0xfffc, 4));
	w.mem[AT_IO_B + 0xfff] = 0x80;
	assert_true(port(0xffff, 1));
}

static void io_qualification(void **state)
{
	const struct sx_vmx_io outs = {.port = 0x1234, .size = 4, .string = true, .rep = true};
	const struct sx_vmx_io in = {.port = 0x60, .size = 1, .in = true, .immediate = true};

	(void)state;
	start(SX_CPU_UNCOND_IO);
	assert_true(sx_vmx_on_io(&w.vmx, &outs, &x));
	assert_int_equal(x.reason, SX_VMEXIT_IO);
	assert_int_equal(x.qualification, 0x12340033);
	assert_true(sx_vmx_on_io(&w.vmx, &in, &x));
	assert_int_equal(x.qualification, 0x00600048);
}

/* --- MSRs: 25.6.9 ----------------------------------------------------------------------------- */

static void msr_bitmaps(void **state)
{
	static const struct {
		uint32_t index;
		bool write;
		uint32_t byte; /* of the bitmap page */
	} rows[] = {
		{0, false, 0},
		{0x1fff, false, 0x3ff},
		{0xc0000000, false, 0x400},
		{0xc0000082, false, 0x410},
		{0xc0001fff, false, 0x7ff},
		{0, true, 0x800},
		{0x1fff, true, 0xbff},
		{0xc0000000, true, 0xc00},
		{0xc0001fff, true, 0xfff},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(SX_CPU_MSR_BITMAPS);
		assert_false(sx_vmx_on_msr(&w.vmx, rows[i].index, rows[i].write, &x));
		w.mem[AT_MSRS + rows[i].byte] = (uint8_t)(1 << (rows[i].index & 7));
		assert_true(sx_vmx_on_msr(&w.vmx, rows[i].index, rows[i].write, &x));
		assert_int_equal(x.reason, rows[i].write ? SX_VMEXIT_WRMSR : SX_VMEXIT_RDMSR);
		assert_false(sx_vmx_on_msr(&w.vmx, rows[i].index, !rows[i].write, &x));
	}
}

static void msrs_outside_the_bitmaps(void **state)
{
	(void)state;
	start(SX_CPU_MSR_BITMAPS);
	assert_true(sx_vmx_on_msr(&w.vmx, 0x2000, false, &x));
	assert_true(sx_vmx_on_msr(&w.vmx, 0xbfffffff, true, &x));
	assert_true(sx_vmx_on_msr(&w.vmx, 0xc0002000, false, &x));
	assert_true(sx_vmx_on_msr(&w.vmx, 0xffffffff, true, &x));
	start(0); /* no bitmaps: every access exits */
	assert_true(sx_vmx_on_msr(&w.vmx, 0, false, &x));
	assert_true(sx_vmx_on_msr(&w.vmx, 0xc0000080, true, &x));
}

/* A bitmap in memory that is gone reads as ones: everything exits. */
static void bitmaps_without_memory(void **state)
{
	(void)state;
	start(SX_CPU_MSR_BITMAPS | SX_CPU_IO_BITMAPS);
	set(SX_VMCS_MSR_BITMAP, WORLD_SIZE);
	set(SX_VMCS_IO_BITMAP_A, WORLD_SIZE);
	assert_true(sx_vmx_on_msr(&w.vmx, 0x10, false, &x));
	assert_true(port(0x10, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masked_bits_exit_where_they_differ_from_the_shadow),
		cmocka_unit_test(cr0_values_that_vmx_operation_refuses),
		cmocka_unit_test(cr4),
		cmocka_unit_test(reads_show_the_shadow),
		cmocka_unit_test(clts),
		cmocka_unit_test(lmsw_exits),
		cmocka_unit_test(cr3_and_its_targets),
		cmocka_unit_test(cr8_and_the_tpr_shadow),
		cmocka_unit_test(debug_registers),
		cmocka_unit_test(ports),
		cmocka_unit_test(io_qualification),
		cmocka_unit_test(msr_bitmaps),
		cmocka_unit_test(msrs_outside_the_bitmaps),
		cmocka_unit_test(bitmaps_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
