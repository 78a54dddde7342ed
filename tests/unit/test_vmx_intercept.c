// SPDX-License-Identifier: BSD-3-Clause
/* Which events of L2 exit to L1: exceptions, interrupts, instructions, windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nested/vmx_intercept.h"
#include "tests/unit/test_vmx_world.h"

static struct world w;
static struct sx_vmx_exit x;

/* L2 runs under a snapshot without optional controls; tests then set fields of the snapshot. */
static void start(void)
{
	world_init_current(&w);
	assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2).outcome, SX_VMX_ENTERED);
	sx_vmcs12_set(&w.vmx.v12, SX_VMCS_PIN_CONTROLS, SX_PIN_DEFAULT1);
	sx_vmcs12_set(&w.vmx.v12, SX_VMCS_CPU_CONTROLS, SX_CPU_TRUE_DEFAULT1);
	sx_vmcs12_set(&w.vmx.v12, SX_VMCS_CPU2_CONTROLS, 0);
	sx_vmcs12_set(&w.vmx.v12, SX_VMCS_EXIT_CONTROLS, SX_EXITC_DEFAULT1 | SX_EXITC_HOST_64);
	w.l2.timer_active = false;
	x = (struct sx_vmx_exit){0};
}

static void set(uint32_t encoding, uint64_t value)
{
	sx_vmcs12_set(&w.vmx.v12, encoding, value);
}

static void add(uint32_t encoding, uint32_t bits)
{
	set(encoding, sx_vmcs12_get(&w.vmx.v12, encoding) | bits);
}

static void add_cpu2(uint32_t bits)
{
	add(SX_VMCS_CPU_CONTROLS, SX_CPU_SECONDARY);
	add(SX_VMCS_CPU2_CONTROLS, bits);
}

/* --- exceptions: 25.6.3 ----------------------------------------------------------------------- */

static bool exception(uint8_t vector)
{
	const struct sx_vmx_exception e = {.vector = vector, .type = SX_INTR_HARDWARE};

	return sx_vmx_on_exception(&w.vmx, &e, &x);
}

static void each_vector_has_its_bit(void **state)
{
	(void)state;
	start();
	for (unsigned bit = 0; bit < 32; bit++) {
		set(SX_VMCS_EXCEPTION_BITMAP, SX_VMX_BIT(bit));
		for (uint8_t v = 0; v < 32; v++)
			if (v != SX_VEC_PF)
				assert_int_equal(exception(v), v == bit);
	}
}

static void exception_information(void **state)
{
	const struct sx_vmx_exception gp = {.vector = SX_VEC_GP,
					    .type = SX_INTR_HARDWARE,
					    .has_error_code = true,
					    .error_code = 0x18};
	const struct sx_vmx_exception bp = {.vector = SX_VEC_BP, .type = SX_INTR_SOFT_EXC};
	const struct sx_vmx_exception db = {
		.vector = SX_VEC_DB, .type = SX_INTR_HARDWARE, .qualification = 0x4001};

	(void)state;
	start();
	set(SX_VMCS_EXCEPTION_BITMAP, UINT32_MAX);
	assert_true(sx_vmx_on_exception(&w.vmx, &gp, &x));
	assert_int_equal(x.reason, 0);
	assert_int_equal(x.intr_info, 0x80000b0d);
	assert_int_equal(x.intr_error, 0x18);
	x = (struct sx_vmx_exit){0};
	assert_true(sx_vmx_on_exception(&w.vmx, &bp, &x));
	assert_int_equal(x.intr_info, 0x80000603);
	assert_true(sx_vmx_on_exception(&w.vmx, &db, &x));
	assert_int_equal(x.qualification, 0x4001);
}

/* Bit 14, and whether (error & mask) equals match: an exit exactly where the two agree. */
static void page_faults_by_mask_and_match(void **state)
{
	(void)state;
	start();
	for (unsigned bit = 0; bit < 2; bit++)
		for (unsigned mask = 0; mask < 8; mask++)
			for (unsigned match = 0; match < 8; match++)
				for (unsigned error = 0; error < 8; error++) {
					const struct sx_vmx_exception pf = {.vector = SX_VEC_PF,
									    .type = 3,
									    .has_error_code = true,
									    .error_code = error};
					bool matches = (error & mask) == match;

					set(SX_VMCS_EXCEPTION_BITMAP, bit << 14);
					set(SX_VMCS_PF_ERROR_MASK, mask);
					set(SX_VMCS_PF_ERROR_MATCH, match);
					assert_int_equal(sx_vmx_on_exception(&w.vmx, &pf, &x),
							 bit ? matches : !matches);
				}
}

/* --- interrupts ------------------------------------------------------------------------------- */

static void interrupts(void **state)
{
	(void)state;
	start();
	assert_false(sx_vmx_on_ext_intr(&w.vmx, 0x31, &x));
	assert_false(sx_vmx_on_nmi(&w.vmx, &x));
	add(SX_VMCS_PIN_CONTROLS, SX_PIN_EXT_INTR | SX_PIN_NMI);
	assert_true(sx_vmx_on_ext_intr(&w.vmx, 0x31, &x));
	assert_int_equal(x.reason, SX_VMEXIT_EXT_INTR);
	assert_int_equal(x.intr_info, 0); /* not acknowledged: the vector is not known */
	add(SX_VMCS_EXIT_CONTROLS, SX_EXITC_ACK_INTR);
	assert_true(sx_vmx_on_ext_intr(&w.vmx, 0x31, &x));
	assert_int_equal(x.intr_info, 0x80000031);
	assert_true(sx_vmx_on_nmi(&w.vmx, &x));
	assert_int_equal(x.reason, SX_VMEXIT_EXCEPTION_NMI);
	assert_int_equal(x.intr_info, 0x80000202);
}

/* --- instructions: 26.1 ----------------------------------------------------------------------- */

static void unconditional_exits(void **state)
{
	static const uint8_t reasons[] = {2,  3,  4,  9,  10, 11, 13, 18, 19,
					  20, 21, 22, 24, 26, 27, 50, 53, 55};

	(void)state;
	start();
	for (size_t i = 0; i < sizeof(reasons); i++) {
		x = (struct sx_vmx_exit){0};
		assert_int_equal(sx_vmx_on_insn(&w.vmx, reasons[i], &x), SX_L2_EXIT);
		assert_int_equal(x.reason, reasons[i]);
	}
	assert_int_equal(sx_vmx_on_insn(&w.vmx, 60, &x), SX_L2_PROCEED);
	assert_int_equal(sx_vmx_on_insn(&w.vmx, 1000, &x), SX_L2_PROCEED);
}

static void exits_by_one_control(void **state)
{
	static const struct {
		enum sx_vmx_reason reason;
		uint32_t cpu, cpu2;
	} rows[] = {
		{SX_VMEXIT_HLT, SX_VMX_BIT(7), 0},      {SX_VMEXIT_INVLPG, SX_VMX_BIT(9), 0},
		{SX_VMEXIT_MWAIT, SX_VMX_BIT(10), 0},   {SX_VMEXIT_RDPMC, SX_VMX_BIT(11), 0},
		{SX_VMEXIT_RDTSC, SX_VMX_BIT(12), 0},   {SX_VMEXIT_MONITOR_TRAP, SX_VMX_BIT(27), 0},
		{SX_VMEXIT_MONITOR, SX_VMX_BIT(29), 0}, {SX_VMEXIT_GDTR_IDTR, 0, SX_VMX_BIT(2)},
		{SX_VMEXIT_LDTR_TR, 0, SX_VMX_BIT(2)},  {SX_VMEXIT_WBINVD, 0, SX_VMX_BIT(6)},
		{SX_VMEXIT_RDRAND, 0, SX_VMX_BIT(11)},  {SX_VMEXIT_RDSEED, 0, SX_VMX_BIT(16)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start();
		assert_int_equal(sx_vmx_on_insn(&w.vmx, rows[i].reason, &x), SX_L2_PROCEED);
		set(SX_VMCS_CPU2_CONTROLS, rows[i].cpu2);
		if (rows[i].cpu2) /* not activated: counts as 0 */
			assert_int_equal(sx_vmx_on_insn(&w.vmx, rows[i].reason, &x), SX_L2_PROCEED);
		add(SX_VMCS_CPU_CONTROLS, rows[i].cpu | SX_CPU_SECONDARY);
		assert_int_equal(sx_vmx_on_insn(&w.vmx, rows[i].reason, &x), SX_L2_EXIT);
		assert_int_equal(x.reason, rows[i].reason);
	}
}

/* RDTSCP, INVPCID, XSAVES and VMFUNC do not exist for L2 until a control enables them: 26.3. */
static void instructions_to_be_enabled(void **state)
{
	uint64_t eptp;

	(void)state;
	start();
	assert_int_equal(sx_vmx_on_insn(&w.vmx, SX_VMEXIT_RDTSCP, &x), SX_L2_UD);
	assert_int_equal(sx_vmx_on_insn(&w.vmx, SX_VMEXIT_INVPCID, &x), SX_L2_UD);
	assert_int_equal(sx_vmx_on_xsaves(&w.vmx, false, 1, &x), SX_L2_UD);
	assert_int_equal(sx_vmx_on_vmfunc(&w.vmx, 0, 0, &eptp, &x), SX_L2_UD);
	add_cpu2(SX_CPU2_RDTSCP | SX_CPU2_INVPCID | SX_CPU2_XSAVES);
	assert_int_equal(sx_vmx_on_insn(&w.vmx, SX_VMEXIT_RDTSCP, &x), SX_L2_PROCEED);
	assert_int_equal(sx_vmx_on_insn(&w.vmx, SX_VMEXIT_INVPCID, &x), SX_L2_PROCEED);
	add(SX_VMCS_CPU_CONTROLS, SX_CPU_RDTSC);
	assert_int_equal(sx_vmx_on_insn(&w.vmx, SX_VMEXIT_RDTSCP, &x), SX_L2_EXIT);
	assert_int_equal(sx_vmx_on_insn(&w.vmx, SX_VMEXIT_INVPCID, &x), SX_L2_PROCEED);
	add(SX_VMCS_CPU_CONTROLS, SX_CPU_INVLPG);
	assert_int_equal(sx_vmx_on_insn(&w.vmx, SX_VMEXIT_INVPCID, &x), SX_L2_EXIT);
	set(SX_VMCS_XSS_EXIT_BITMAP, 0x100);
	assert_int_equal(sx_vmx_on_xsaves(&w.vmx, false, 0x200, &x), SX_L2_PROCEED);
	assert_int_equal(sx_vmx_on_xsaves(&w.vmx, false, 0x300, &x), SX_L2_EXIT);
	assert_int_equal(x.reason, SX_VMEXIT_XSAVES);
	assert_int_equal(sx_vmx_on_xsaves(&w.vmx, true, 0x100, &x), SX_L2_EXIT);
	assert_int_equal(x.reason, SX_VMEXIT_XRSTORS);
}

static void pause_and_pause_loops(void **state)
{
	(void)state;
	start();
	assert_false(sx_vmx_on_pause(&w.vmx, 0, 1000, &x));
	add(SX_VMCS_CPU_CONTROLS, SX_CPU_PAUSE);
	assert_true(sx_vmx_on_pause(&w.vmx, 3, 1000, &x));
	start();
	add_cpu2(SX_CPU2_PAUSE_LOOP);
	set(SX_VMCS_PLE_GAP, 100);
	set(SX_VMCS_PLE_WINDOW, 1000);
	assert_false(sx_vmx_on_pause(&w.vmx, 0, 5000, &x)); /* first of a loop */
	for (uint64_t tsc = 5100; tsc <= 6000; tsc += 100)
		assert_false(sx_vmx_on_pause(&w.vmx, 0, tsc, &x));
	assert_true(sx_vmx_on_pause(&w.vmx, 0, 6001, &x)); /* the loop is longer than the window */
	assert_int_equal(x.reason, SX_VMEXIT_PAUSE);
	assert_false(sx_vmx_on_pause(&w.vmx, 0, 6500, &x)); /* the gap begins a new loop */
	assert_false(sx_vmx_on_pause(&w.vmx, 0, 6600, &x));
	for (uint64_t tsc = 6700; tsc < 9000; tsc += 50)
		assert_false(sx_vmx_on_pause(&w.vmx, 3, tsc, &x)); /* only at CPL 0 */
	start();
	set(SX_VMCS_PLE_GAP, 100); /* without the control no loop is looked for */
	for (uint64_t tsc = 1000; tsc < 9000; tsc += 50)
		assert_false(sx_vmx_on_pause(&w.vmx, 0, tsc, &x));
}

/* --- windows and timers: 26.2, 27.7 ----------------------------------------------------------- */

static void interrupt_window(void **state)
{
	(void)state;
	start();
	assert_false(sx_vmx_pending(&w.vmx, &w.l2, &x));
	add(SX_VMCS_CPU_CONTROLS, SX_CPU_INTR_WINDOW);
	assert_true(sx_vmx_pending(&w.vmx, &w.l2, &x));
	assert_int_equal(x.reason, SX_VMEXIT_INTR_WINDOW);
	w.l2.cpu.interruptibility = SX_BLOCK_STI;
	assert_false(sx_vmx_pending(&w.vmx, &w.l2, &x));
	w.l2.cpu.interruptibility = SX_BLOCK_MOV_SS;
	assert_false(sx_vmx_pending(&w.vmx, &w.l2, &x));
	w.l2.cpu.interruptibility = SX_BLOCK_NMI;
	assert_true(sx_vmx_pending(&w.vmx, &w.l2, &x));
	w.l2.cpu.rflags = 2;
	assert_false(sx_vmx_pending(&w.vmx, &w.l2, &x));
	w.l2.cpu.rflags = 0x202;
	w.l2.cpu.activity = SX_ACTIVITY_HLT;
	assert_true(sx_vmx_pending(&w.vmx, &w.l2, &x));
	w.l2.cpu.activity = SX_ACTIVITY_SHUTDOWN;
	assert_false(sx_vmx_pending(&w.vmx, &w.l2, &x));
}

static void nmi_window(void **state)
{
	(void)state;
	start();
	add(SX_VMCS_PIN_CONTROLS, SX_PIN_NMI | SX_PIN_VIRTUAL_NMIS);
	add(SX_VMCS_CPU_CONTROLS, SX_CPU_NMI_WINDOW);
	w.l2.cpu.rflags = 2;
	assert_true(sx_vmx_pending(&w.vmx, &w.l2, &x));
	assert_int_equal(x.reason, SX_VMEXIT_NMI_WINDOW);
	w.l2.cpu.interruptibility = SX_BLOCK_NMI;
	assert_false(sx_vmx_pending(&w.vmx, &w.l2, &x));
	w.l2.cpu.interruptibility = SX_BLOCK_MOV_SS;
	assert_false(sx_vmx_pending(&w.vmx, &w.l2, &x));
}

static void priorities(void **state)
{
	(void)state;
	start();
	add(SX_VMCS_PIN_CONTROLS, SX_PIN_NMI | SX_PIN_VIRTUAL_NMIS);
	add(SX_VMCS_CPU_CONTROLS, SX_CPU_NMI_WINDOW | SX_CPU_INTR_WINDOW | SX_CPU_TPR_SHADOW);
	set(SX_VMCS_TPR_THRESHOLD, 5);
	w.mem[AT_VAPIC + 0x80] = 0x40;
	w.l2.timer_active = true;
	w.l2.timer = 0;
	w.l2.event.info = SX_INTR_INFO(SX_INTR_OTHER, 0);
	assert_true(sx_vmx_pending(&w.vmx, &w.l2, &x));
	assert_int_equal(x.reason, SX_VMEXIT_TPR_THRESHOLD);
	w.mem[AT_VAPIC + 0x80] = 0x50;
	sx_vmx_pending(&w.vmx, &w.l2, &x);
	assert_int_equal(x.reason, SX_VMEXIT_MONITOR_TRAP);
	w.l2.event.info = 0;
	w.l2.cpu.pending_dbg = SX_PENDING_DBG_BS; /* L2's debug exception comes first: 27.7.3 */
	assert_false(sx_vmx_pending(&w.vmx, &w.l2, &x));
	w.l2.cpu.pending_dbg = SX_PENDING_DBG_B03; /* none that is enabled */
	assert_true(sx_vmx_pending(&w.vmx, &w.l2, &x));
	w.l2.cpu.pending_dbg = 0;
	sx_vmx_pending(&w.vmx, &w.l2, &x);
	assert_int_equal(x.reason, SX_VMEXIT_PREEMPTION_TIMER);
	w.l2.timer = 1;
	sx_vmx_pending(&w.vmx, &w.l2, &x);
	assert_int_equal(x.reason, SX_VMEXIT_NMI_WINDOW);
	w.l2.cpu.interruptibility = SX_BLOCK_NMI;
	sx_vmx_pending(&w.vmx, &w.l2, &x);
	assert_int_equal(x.reason, SX_VMEXIT_INTR_WINDOW);
	w.l2.cpu.activity = SX_ACTIVITY_WAIT_SIPI;
	w.l2.timer = 0;
	assert_false(sx_vmx_pending(&w.vmx, &w.l2, &x));
}

/* --- VMCS shadowing, VM functions ------------------------------------------------------------- */

static void shadowed_vmread(void **state)
{
	uint64_t value;

	(void)state;
	start();
	assert_int_equal(sx_vmx_on_vmread(&w.vmx, false, SX_VMCS_GUEST_RIP, &x), SX_L2_EXIT);
	assert_int_equal(x.reason, SX_VMEXIT_VMREAD);
	add_cpu2(SX_CPU2_VMCS_SHADOW);
	assert_int_equal(sx_vmx_on_vmread(&w.vmx, false, SX_VMCS_GUEST_RIP, &x), SX_L2_PROCEED);
	w.mem[AT_VMWRITE + (0x681e >> 3)] = 1 << (0x681e & 7);
	assert_int_equal(sx_vmx_on_vmread(&w.vmx, false, SX_VMCS_GUEST_RIP, &x), SX_L2_PROCEED);
	assert_int_equal(sx_vmx_on_vmread(&w.vmx, true, SX_VMCS_GUEST_RIP, &x), SX_L2_EXIT);
	assert_int_equal(x.reason, SX_VMEXIT_VMWRITE);
	assert_int_equal(sx_vmx_on_vmread(&w.vmx, true, SX_VMCS_GUEST_RSP, &x), SX_L2_PROCEED);
	assert_int_equal(sx_vmx_on_vmread(&w.vmx, false, 0x8000, &x), SX_L2_EXIT);
	assert_int_equal(sx_vmx_shadow_write(&w.vmx, SX_VMCS_GUEST_RSP, 0x77).outcome,
			 SX_VMX_SUCCEED);
	assert_int_equal(get64(&w, AT_SHADOW + SX_VMCS_OFFSET(SX_VMCS_GUEST_RSP)), 0x77);
	assert_int_equal(sx_vmx_shadow_read(&w.vmx, SX_VMCS_GUEST_RSP, &value).outcome,
			 SX_VMX_SUCCEED);
	assert_int_equal(value, 0x77);
	assert_int_equal(sx_vmx_shadow_read(&w.vmx, 0x0002, &value).error, 12);
	assert_int_equal(get64(&w, AT_SHADOW + SX_VMCS_OFFSET(SX_VMCS_INSN_ERROR)), 12);
	set(SX_VMCS_LINK_POINTER, SX_VMX_NONE);
	assert_int_equal(sx_vmx_shadow_read(&w.vmx, SX_VMCS_GUEST_RSP, &value).outcome,
			 SX_VMX_FAIL_INVALID);
	assert_int_equal(sx_vmx_shadow_write(&w.vmx, 0x0002, 0).outcome, SX_VMX_FAIL_INVALID);
}

static void eptp_switching(void **state)
{
	const uint64_t other = 0x30000 | 0x5e;
	uint64_t eptp = 0;

	(void)state;
	start();
	add_cpu2(SX_CPU2_VMFUNC | SX_CPU2_EPT);
	put64(&w, AT_EPTP_L + 8 * 3, other);
	put64(&w, AT_EPTP_L + 8 * 4, other | 0x80);
	assert_int_equal(sx_vmx_on_vmfunc(&w.vmx, 0, 3, &eptp, &x), SX_L2_PROCEED);
	assert_int_equal(eptp, other);
	assert_int_equal(sx_vmx_on_vmfunc(&w.vmx, 0, 4, &eptp, &x), SX_L2_EXIT);
	assert_int_equal(x.reason, SX_VMEXIT_VMFUNC);
	assert_int_equal(sx_vmx_on_vmfunc(&w.vmx, 0, 512, &eptp, &x), SX_L2_EXIT);
	assert_int_equal(sx_vmx_on_vmfunc(&w.vmx, 1, 3, &eptp, &x), SX_L2_EXIT);
	assert_int_equal(sx_vmx_on_vmfunc(&w.vmx, 64, 3, &eptp, &x), SX_L2_UD);
	set(SX_VMCS_VM_FUNCTION_CONTROLS, 0);
	assert_int_equal(sx_vmx_on_vmfunc(&w.vmx, 0, 3, &eptp, &x), SX_L2_EXIT);
	assert_int_equal(eptp, other);
	sx_vmx_exit(&w.vmx, &w.l2, &x, &w.l1);
	assert_int_equal(field(&w, SX_VMCS_EPTP), other); /* the VMCS has the EPTP in use */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_vector_has_its_bit),
		cmocka_unit_test(exception_information),
		cmocka_unit_test(page_faults_by_mask_and_match),
		cmocka_unit_test(interrupts),
		cmocka_unit_test(unconditional_exits),
		cmocka_unit_test(exits_by_one_control),
		cmocka_unit_test(instructions_to_be_enabled),
		cmocka_unit_test(pause_and_pause_loops),
		cmocka_unit_test(interrupt_window),
		cmocka_unit_test(nmi_window),
		cmocka_unit_test(priorities),
		cmocka_unit_test(shadowed_vmread),
		cmocka_unit_test(eptp_switching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
