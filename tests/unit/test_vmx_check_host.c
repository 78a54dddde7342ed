// SPDX-License-Identifier: BSD-3-Clause
/* Corruptions of the host-state area: SDM 3C 27.2.2 to 27.2.4. */
#include "tests/unit/test_vmx_property.h"

/* --- 27.2.2 to 27.2.4: host state ------------------------------------------------------------- */

static const struct row host_rows[] = {
	H(LONG, HOST_CR0, '^', 0x1, "27.2.2: host CR0"),
	H(LONG, HOST_CR0, '^', 0x20, "27.2.2: host CR0"),
	H(LONG, HOST_CR0, '^', BIT(31), "27.2.2: host CR0"),
	H(LONG, HOST_CR0, '|', BIT(32), "27.2.2: host CR0"),
	OK(LONG, HOST_CR0, '|', 0x60000000),
	H(LONG, HOST_CR4, '^', 0x2000, "27.2.2: host CR4"),
	H(LONG, HOST_CR4, '|', BIT(12), "27.2.2: host CR4"),
	H(LONG, HOST_CR4, '|', BIT(63), "27.2.2: host CR4"),
	H(LONG, HOST_CR3, '|', BIT(40), "27.2.2: host CR3 beyond the physical-address width"),
	H(LONG, HOST_CR3, '|', BIT(52), "27.2.2: host CR3 beyond the physical-address width"),
	H(LONG, HOST_CR3, '|', BIT(63), "27.2.2: host CR3 beyond the physical-address width"),
	OK(LONG, HOST_CR3, '|', 0xfff),
	H(LONG, HOST_SYSENTER_ESP, '=', NONCANON, "27.2.2: host SYSENTER address not canonical"),
	H(LONG, HOST_SYSENTER_EIP, '=', NONCANON, "27.2.2: host SYSENTER address not canonical"),
	H(LONG, HOST_PERF_GLOBAL, '|', BIT(4),
	  "27.2.2: host IA32_PERF_GLOBAL_CTRL has a reserved bit"),
	H(LONG, HOST_PERF_GLOBAL, '|', BIT(63),
	  "27.2.2: host IA32_PERF_GLOBAL_CTRL has a reserved bit"),
	H(LONG, HOST_EFER, '^', SX_X86_EFER_LMA, "27.2.2: host IA32_EFER"),
	H(LONG, HOST_EFER, '^', SX_X86_EFER_LME, "27.2.2: host IA32_EFER"),
	H(LONG, HOST_EFER, '|', BIT(1), "27.2.2: host IA32_EFER"),
	H(LONG, HOST_EFER, '|', BIT(63), "27.2.2: host IA32_EFER"),
	H(HOST32, HOST_EFER, '|', SX_X86_EFER_LMA, "27.2.2: host IA32_EFER"),
	H(HOST32, HOST_EFER, '|', SX_X86_EFER_LME, "27.2.2: host IA32_EFER"),
	H(LONG, HOST_CS_SEL, '=', 0, "27.2.3: host CS or TR selector 0000H"),
	H(LONG, HOST_TR_SEL, '=', 0, "27.2.3: host CS or TR selector 0000H"),
	OK(LONG, HOST_SS_SEL, '=', 0),
	H(HOST32, HOST_SS_SEL, '=', 0, "27.2.3: host SS selector 0000H for a 32-bit host"),
	H(LONG, HOST_FS_BASE, '=', NONCANON, "27.2.3: host base address not canonical"),
	H(LONG, HOST_GS_BASE, '=', NONCANON, "27.2.3: host base address not canonical"),
	H(LONG, HOST_TR_BASE, '=', NONCANON, "27.2.3: host base address not canonical"),
	H(LONG, HOST_GDTR_BASE, '=', NONCANON, "27.2.3: host base address not canonical"),
	H(LONG, HOST_IDTR_BASE, '=', BIT(62), "27.2.3: host base address not canonical"),
	H(BARE, EXIT_CONTROLS, '^', SX_EXITC_HOST_64,
	  "27.2.4: host address-space size differs from IA32_EFER.LMA"),
	H(HOST32, ENTRY_CONTROLS, '|', SX_ENTRYC_GUEST_64,
	  "27.2.4: IA-32e mode guest of a 32-bit host"),
	H(HOST32, HOST_CR4, '|', SX_X86_CR4_PCIDE, "27.2.4: CR4.PCIDE of a 32-bit host"),
	OK(LONG, HOST_CR4, '|', SX_X86_CR4_PCIDE),
	H(HOST32, HOST_RIP, '|', BIT(32), "27.2.4: RIP of a 32-bit host has bits 63:32"),
	H(LONG, HOST_CR4, '^', SX_X86_CR4_PAE, "27.2.4: 64-bit host without CR4.PAE"),
	H(LONG, HOST_RIP, '=', NONCANON, "27.2.4: host RIP not canonical"),
	H(LONG, HOST_RIP, '=', BIT(63), "27.2.4: host RIP not canonical"),
};

static void host_corruptions(void **state)
{
	static const uint32_t selectors[] = {V(HOST_ES_SEL), V(HOST_CS_SEL), V(HOST_SS_SEL),
					     V(HOST_DS_SEL), V(HOST_FS_SEL), V(HOST_GS_SEL),
					     V(HOST_TR_SEL)};

	(void)state;
	check_rows(host_rows, COUNT(host_rows));
	for (size_t i = 0; i < COUNT(selectors); i++)
		for (unsigned bit = 1; bit <= 4; bit <<= 1) {
			struct row r = {LONG, selectors[i],
					'|',  bit,
					HOST, "27.2.3: host selector with RPL or TI not 0",
					0};
			check_row(&r);
		}
}

/* Every byte of a PAT, host and guest: 0, 1, 4, 5, 6, 7 are memory types. */
static void pat_bytes(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < 8; byte++)
		for (unsigned type = 0; type < 10; type++) {
			uint64_t pat =
				(UINT64_C(0x0606060606060606) & ~(UINT64_C(0xff) << 8 * byte)) |
				(uint64_t)type << 8 * byte;
			bool good = type < 8 && type != 2 && type != 3;
			struct row h = {LONG, V(HOST_PAT),          '=',
					pat,  good ? ENTERS : HOST, "27.2.2: host IA32_PAT",
					0};
			struct row g = {LONG, V(GUEST_PAT),          '=',
					pat,  good ? ENTERS : GUEST, "27.3.1.1: guest IA32_PAT",
					0};

			check_row(&h);
			check_row(&g);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_corruptions),
		cmocka_unit_test(pat_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
