// SPDX-License-Identifier: BSD-3-Clause
/* Corruptions of VMX controls: SDM 3C 27.2.1. */
#include "tests/unit/test_vmx_property.h"

static void every_profile_enters(void **state)
{
	static struct world w;

	(void)state;
	for (unsigned p = 0; p < PROFILES; p++) {
		struct sx_vmx_result result;

		make(&w, p);
		result = sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2);
		if (result.outcome != SX_VMX_ENTERED)
			fail_msg("profile %u: outcome %d, %s", p, result.outcome,
				 w.vmx.why ? w.vmx.why : "");
		assert_true(w.vmx.in_l2);
	}
}

/* --- 27.2.1: controls ------------------------------------------------------------------------- */

static const struct row control_rows[] = {
	C(LONG, CR3_TARGET_COUNT, '=', 5, "27.2.1.1: CR3-target count above 4"),
	C(LONG, CR3_TARGET_COUNT, '=', 0xffffffff, "27.2.1.1: CR3-target count above 4"),
	C(LONG, IO_BITMAP_A, '|', 1, "27.2.1.1: I/O-bitmap address"),
	C(LONG, IO_BITMAP_A, '|', 0x800, "27.2.1.1: I/O-bitmap address"),
	C(LONG, IO_BITMAP_A, '|', BIT(40), "27.2.1.1: I/O-bitmap address"),
	C(LONG, IO_BITMAP_B, '|', 0x10, "27.2.1.1: I/O-bitmap address"),
	C(LONG, IO_BITMAP_B, '|', BIT(63), "27.2.1.1: I/O-bitmap address"),
	C(LONG, MSR_BITMAP, '|', 1, "27.2.1.1: MSR-bitmap address"),
	C(LONG, MSR_BITMAP, '|', BIT(40), "27.2.1.1: MSR-bitmap address"),
	C(LONG, VIRTUAL_APIC, '|', 0x400, "27.2.1.1: virtual-APIC address"),
	C(LONG, VIRTUAL_APIC, '|', BIT(52), "27.2.1.1: virtual-APIC address"),
	C(LONG, TPR_THRESHOLD, '=', 0x10, "27.2.1.1: TPR threshold has bits 31:4"),
	C(LONG, TPR_THRESHOLD, '=', BIT(31), "27.2.1.1: TPR threshold has bits 31:4"),
	C(LONG, TPR_THRESHOLD, '=', 1, "27.2.1.1: TPR threshold above the virtual TPR"),
	C(LONG, TPR_THRESHOLD, '=', 15, "27.2.1.1: TPR threshold above the virtual TPR"),
	C(LONG, PIN_CONTROLS, '^', SX_PIN_NMI, "27.2.1.1: virtual NMIs without NMI exiting"),
	C(BARE, CPU_CONTROLS, '|', SX_CPU_NMI_WINDOW,
	  "27.2.1.1: NMI-window exiting without virtual NMIs"),
	C(LONG, VPID, '=', 0, "27.2.1.1: VPID 0000H"),
	C(LONG, EPTP, '=', AT_EPT | 0x59, "27.2.1.1: EPT pointer"), /* memory type 1 */
	C(LONG, EPTP, '=', AT_EPT | 0x5f, "27.2.1.1: EPT pointer"), /* memory type 7 */
	C(LONG, EPTP, '=', AT_EPT | 0x46, "27.2.1.1: EPT pointer"), /* 1 level */
	C(LONG, EPTP, '=', AT_EPT | 0x56, "27.2.1.1: EPT pointer"), /* 3 levels */
	C(LONG, EPTP, '=', AT_EPT | 0x66, "27.2.1.1: EPT pointer"), /* 5 levels */
	C(LONG, EPTP, '|', 0x80, "27.2.1.1: EPT pointer"),
	C(LONG, EPTP, '|', 0x100, "27.2.1.1: EPT pointer"),
	C(LONG, EPTP, '|', 0x800, "27.2.1.1: EPT pointer"),
	C(LONG, EPTP, '|', BIT(40), "27.2.1.1: EPT pointer"),
	C(LONG, EPTP, '|', BIT(63), "27.2.1.1: EPT pointer"),
	C(PAE_MEM, CPU2_CONTROLS, '|', SX_CPU2_PML, "27.2.1.1: PML without EPT"),
	C(LONG, PML_ADDRESS, '|', 8, "27.2.1.1: PML address"),
	C(LONG, PML_ADDRESS, '|', BIT(41), "27.2.1.1: PML address"),
	C(PAE_MEM, CPU2_CONTROLS, '|', SX_CPU2_UNRESTRICTED,
	  "27.2.1.1: unrestricted guest without EPT"),
	C(LONG, VM_FUNCTION_CONTROLS, '|', 2, "27.2.1.1: VM-function controls have a reserved bit"),
	C(LONG, VM_FUNCTION_CONTROLS, '|', BIT(63),
	  "27.2.1.1: VM-function controls have a reserved bit"),
	C(PAE_MEM, CPU2_CONTROLS, '|', SX_CPU2_VMFUNC, "27.2.1.1: EPTP switching without EPT"),
	C(LONG, EPTP_LIST, '|', 0x200, "27.2.1.1: EPTP-list address"),
	C(LONG, EPTP_LIST, '|', BIT(45), "27.2.1.1: EPTP-list address"),
	C(LONG, VMREAD_BITMAP, '|', 1, "27.2.1.1: VMREAD- or VMWRITE-bitmap address"),
	C(LONG, VMREAD_BITMAP, '|', BIT(40), "27.2.1.1: VMREAD- or VMWRITE-bitmap address"),
	C(LONG, VMWRITE_BITMAP, '|', 0x800, "27.2.1.1: VMREAD- or VMWRITE-bitmap address"),
	C(LONG, VMWRITE_BITMAP, '|', BIT(51), "27.2.1.1: VMREAD- or VMWRITE-bitmap address"),
	C(LONG, PIN_CONTROLS, '^', SX_PIN_PREEMPTION_TIMER,
	  "27.2.1.2: saving a VMX-preemption timer that is not active"),
	C(LONG, EXIT_MSR_STORE_ADDR, '|', 8, "27.2.1.2: VM-exit MSR-store address"),
	C(LONG, EXIT_MSR_STORE_ADDR, '|', BIT(40), "27.2.1.2: VM-exit MSR-store address"),
	C(LONG, EXIT_MSR_STORE_COUNT, '=', 0, NULL),
	C(LONG, EXIT_MSR_LOAD_ADDR, '|', 1, "27.2.1.2: VM-exit MSR-load address"),
	C(LONG, EXIT_MSR_LOAD_ADDR, '|', BIT(52), "27.2.1.2: VM-exit MSR-load address"),
	C(LONG, ENTRY_MSR_LOAD_ADDR, '|', 4, "27.2.1.3: VM-entry MSR-load address"),
	C(LONG, ENTRY_MSR_LOAD_ADDR, '|', BIT(40), "27.2.1.3: VM-entry MSR-load address"),
	C(INJ_EXT, ENTRY_INTR_INFO, '=', SX_INTR_INFO(1, 0x20),
	  "27.2.1.3: type or vector of the event to inject"),
	C(INJ_NMI, ENTRY_INTR_INFO, '=', SX_INTR_INFO(SX_INTR_NMI, 3),
	  "27.2.1.3: type or vector of the event to inject"),
	C(INJ_DB, ENTRY_INTR_INFO, '=', SX_INTR_INFO(SX_INTR_HARDWARE, 32),
	  "27.2.1.3: type or vector of the event to inject"),
	C(LONG, ENTRY_INTR_INFO, '=', SX_INTR_INFO(SX_INTR_OTHER, 1),
	  "27.2.1.3: type or vector of the event to inject"),
	C(INJ_GP, ENTRY_INTR_INFO, '^', SX_INTR_ERROR_CODE,
	  "27.2.1.3: deliver-error-code bit of the event to inject"),
	C(INJ_DB, ENTRY_INTR_INFO, '|', SX_INTR_ERROR_CODE,
	  "27.2.1.3: deliver-error-code bit of the event to inject"),
	C(INJ_EXT, ENTRY_INTR_INFO, '|', SX_INTR_ERROR_CODE,
	  "27.2.1.3: deliver-error-code bit of the event to inject"),
	C(INJ_INT, ENTRY_INTR_INFO, '|', SX_INTR_ERROR_CODE,
	  "27.2.1.3: deliver-error-code bit of the event to inject"),
	C(REAL, ENTRY_INTR_INFO, '=', SX_INTR_INFO(3, SX_VEC_GP) | SX_INTR_ERROR_CODE,
	  "27.2.1.3: deliver-error-code bit of the event to inject"),
	C(INJ_GP, ENTRY_ERROR_CODE, '|', BIT(16), "27.2.1.3: error code to inject has bits 31:16"),
	C(INJ_GP, ENTRY_ERROR_CODE, '|', BIT(31), "27.2.1.3: error code to inject has bits 31:16"),
	C(INJ_INT, ENTRY_INSN_LENGTH, '=', 16, "27.2.1.3: VM-entry instruction length"),
	C(INJ_INT, ENTRY_INSN_LENGTH, '=', 0xffffffff, "27.2.1.3: VM-entry instruction length"),
};

static void control_corruptions(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(control_rows); i++) {
		struct row r = control_rows[i];

		if (!r.why)
			r.expect = ENTERS;
		check_row(&r);
	}
}

/* Each bit of each control word: must be 1, may not be 1, or free (and then other rules decide). */
static void sweep_word(uint32_t encoding, uint32_t must, uint32_t allowed, const char *why)
{
	for (unsigned n = 0; n < 32; n++) {
		uint32_t bit = SX_VMX_BIT(n);
		struct row r = {LONG, encoding, '^', bit, CONTROLS, why, 0};

		if (must & bit)
			r.op = '&', r.value = ~bit;
		else if (!(allowed & bit))
			r.op = '|';
		else
			continue;
		check_row(&r);
	}
}

static void reserved_control_bits(void **state)
{
	static struct world w;
	const struct sx_vmx_caps *c = &w.vmx.caps;

	(void)state;
	world_init(&w);
	sweep_word(V(PIN_CONTROLS), 0x16, c->pin,
		   "27.2.1.1: pin-based controls have a reserved bit");
	sweep_word(V(CPU_CONTROLS), 0x04006172, c->cpu,
		   "27.2.1.1: primary processor-based controls have a reserved bit");
	sweep_word(V(CPU2_CONTROLS), 0, c->cpu2,
		   "27.2.1.1: secondary processor-based controls have a reserved bit");
	sweep_word(V(EXIT_CONTROLS), 0x00036dfb, c->exit,
		   "27.2.1.2: VM-exit controls have a reserved bit");
	sweep_word(V(ENTRY_CONTROLS), 0x000011fb, c->entry,
		   "27.2.1.3: VM-entry controls have a reserved bit");
	for (unsigned n = 12; n < 31; n++) {
		struct row r = {INJ_EXT,  V(ENTRY_INTR_INFO),
				'|',      BIT(n),
				CONTROLS, "27.2.1.3: reserved bits of the event to inject",
				0};
		check_row(&r);
	}
}

/* The threshold is held against bits 7:4 of the virtual TPR, whatever lies around them. */
static void tpr_thresholds(void **state)
{
	static struct world w;

	(void)state;
	for (unsigned threshold = 0; threshold < 16; threshold++)
		for (unsigned vtpr = 0; vtpr < 256; vtpr += 15) {
			make(&w, LONG);
			memset(w.mem + AT_VAPIC + 0x7c, 0xff, 12);
			w.mem[AT_VAPIC + 0x80] = (uint8_t)vtpr;
			set_field(&w, V(TPR_THRESHOLD), threshold);
			assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2).outcome,
					 threshold > vtpr / 16 ? SX_VMX_FAIL_VALID
							       : SX_VMX_ENTERED);
		}
}

/* INT n, INT1, INT3 and INTO have a length of 0 to 15; other events have none to check. */
static void lengths_of_software_events(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 7; type++) {
		bool software = type >= SX_INTR_SOFTWARE;
		struct row r = {INJ_INT, V(ENTRY_INTR_INFO), '=', 0, ENTERS, NULL, 0};
		static struct world w;

		if (type == 1 || type == SX_INTR_NMI)
			continue;
		r.value = SX_INTR_INFO(type, SX_VEC_BP);
		check_row(&r);
		make(&w, INJ_INT);
		set_field(&w, V(ENTRY_INTR_INFO), r.value);
		set_field(&w, V(ENTRY_INSN_LENGTH), 16);
		assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2).outcome,
				 software ? SX_VMX_FAIL_VALID : SX_VMX_ENTERED);
		make(&w, INJ_INT);
		w.vmx.caps.zero_length_inject = false;
		set_field(&w, V(ENTRY_INTR_INFO), r.value);
		set_field(&w, V(ENTRY_INSN_LENGTH), 0);
		assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2).outcome,
				 software ? SX_VMX_FAIL_VALID : SX_VMX_ENTERED);
	}
}

/* Which vectors deliver an error code: exactly #DF, #TS, #NP, #SS, #GP, #PF, #AC. */
static void error_code_by_vector(void **state)
{
	const uint32_t with_code = 0x00027d00;

	(void)state;
	for (unsigned v = 0; v < 32; v++) {
		bool has = with_code >> v & 1;
		uint64_t good = SX_INTR_INFO(SX_INTR_HARDWARE, v) | (has ? SX_INTR_ERROR_CODE : 0);
		struct row r = {LONG, V(ENTRY_INTR_INFO), '=', good, ENTERS, NULL, 0};

		check_row(&r);
		r.value ^= SX_INTR_ERROR_CODE;
		r.expect = CONTROLS;
		r.why = "27.2.1.3: deliver-error-code bit of the event to inject";
		check_row(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_profile_enters),
		cmocka_unit_test(control_corruptions),
		cmocka_unit_test(reserved_control_bits),
		cmocka_unit_test(tpr_thresholds),
		cmocka_unit_test(lengths_of_software_events),
		cmocka_unit_test(error_code_by_vector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
