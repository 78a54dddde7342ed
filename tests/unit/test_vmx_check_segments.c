// SPDX-License-Identifier: BSD-3-Clause
/* Corruptions of guest segment registers: SDM 3C 27.3.1.2. */
#include "tests/unit/test_vmx_property.h"

/* --- 27.3.1.2: segments ----------------------------------------------------------------------- */

static const struct row segment_rows[] = {
	G(LONG, GUEST_TR_SEL, '|', 4, "27.3.1.2: TI of TR"),
	G(LONG, GUEST_LDTR_SEL, '|', 4, "27.3.1.2: TI of LDTR"),
	G(LONG, GUEST_SS_SEL, '|', 1, "27.3.1.2: RPL of SS differs from RPL of CS"),
	G(LONG, GUEST_CS_SEL, '|', 2, "27.3.1.2: RPL of SS differs from RPL of CS"),
	OK(REAL, GUEST_SS_SEL, '|', 1),
	OK(V86, GUEST_TR_SEL, '|', 3),
	G(LONG, GUEST_TR_BASE, '=', NONCANON, "27.3.1.2: TR base not canonical"),
	G(LONG, GUEST_LDTR_BASE, '=', NONCANON, "27.3.1.2: LDTR base not canonical"),
	G(LONG, GUEST_FS_BASE, '=', NONCANON, "27.3.1.2: FS or GS base not canonical"),
	G(LONG, GUEST_GS_BASE, '=', NONCANON, "27.3.1.2: FS or GS base not canonical"),
	OK(LONG, GUEST_GS_BASE, '=', UINT64_C(0xffff800000000000)),
	G(LONG, GUEST_CS_BASE, '=', BIT(32), "27.3.1.2: CS base has bits 63:32"),
	G(LONG, GUEST_SS_BASE, '=', BIT(32), "27.3.1.2: SS, DS or ES base has bits 63:32"),
	G(LONG, GUEST_DS_BASE, '=', BIT(47), "27.3.1.2: SS, DS or ES base has bits 63:32"),
	G(LONG, GUEST_ES_BASE, '=', BIT(63), "27.3.1.2: SS, DS or ES base has bits 63:32"),
	G(V86, GUEST_CS_BASE, '=', 0x110, "27.3.1.2: base of a virtual-8086 segment"),
	G(V86, GUEST_GS_SEL, '=', 0x11, "27.3.1.2: base of a virtual-8086 segment"),
	G(V86, GUEST_SS_BASE, '|', BIT(32), "27.3.1.2: base of a virtual-8086 segment"),
	G(V86, GUEST_DS_LIMIT, '=', 0xfffff, "27.3.1.2: limit of a virtual-8086 segment"),
	G(V86, GUEST_FS_LIMIT, '=', 0xfffe, "27.3.1.2: limit of a virtual-8086 segment"),
	G(V86, GUEST_CS_AR, '=', 0xfb, "27.3.1.2: access rights of a virtual-8086 segment"),
	G(V86, GUEST_ES_AR, '=', 0x93, "27.3.1.2: access rights of a virtual-8086 segment"),
	G(V86, GUEST_SS_AR, '|', 0x10000, "27.3.1.2: access rights of a virtual-8086 segment"),
	G(LONG, GUEST_CS_AR, '^', SX_AR_S, "27.3.1.2: S of CS"),
	G(REAL, GUEST_CS_AR, '|', 0x20, "27.3.1.2: DPL of a data segment in CS"),
	G(LONG, GUEST_CS_AR, '|', 0x60,
	  "27.3.1.2: DPL of non-conforming CS differs from DPL of SS"),
	G(LONG, GUEST_CS_AR, '=', 0xa0ff, "27.3.1.2: DPL of conforming CS above DPL of SS"),
	OK(LONG, GUEST_CS_AR, '=', 0xa09f),
	OK(USER, GUEST_CS_AR, '=', 0xa09f), /* conforming: below the DPL of SS */
	OK(USER, GUEST_CS_AR, '=', 0xa0df),
	G(USER, GUEST_CS_AR, '=', 0xa09b,
	  "27.3.1.2: DPL of non-conforming CS differs from DPL of SS"),
	G(USER, GUEST_SS_AR, '=', 0xc093,
	  "27.3.1.2: DPL of non-conforming CS differs from DPL of SS"),
	G(USER, GUEST_SS_SEL, '=', 0x12, "27.3.1.2: RPL of SS differs from RPL of CS"),
	G(LONG, GUEST_CS_AR, '^', SX_AR_P, "27.3.1.2: P of CS"),
	G(LONG, GUEST_CS_AR, '|', 0x100, "27.3.1.2: reserved access rights of CS"),
	G(LONG, GUEST_CS_AR, '|', 0x800, "27.3.1.2: reserved access rights of CS"),
	G(LONG, GUEST_CS_AR, '|', BIT(17), "27.3.1.2: reserved access rights of CS"),
	G(LONG, GUEST_CS_AR, '|', BIT(31), "27.3.1.2: reserved access rights of CS"),
	G(LONG, GUEST_CS_AR, '|', SX_AR_DB, "27.3.1.2: D/B of a 64-bit CS"),
	OK(PAE, GUEST_CS_AR, '|', SX_AR_L),
	G(LONG, GUEST_CS_AR, '^', SX_AR_G, "27.3.1.2: G of CS"),
	G(LONG, GUEST_CS_LIMIT, '=', 0xfffffffe, "27.3.1.2: G of CS"),
	G(LONG, GUEST_SS_AR, '|', 0x20,
	  "27.3.1.2: DPL of non-conforming CS differs from DPL of SS"),
	G(LONG, GUEST_SS_AR, '^', SX_AR_S, "27.3.1.2: S of a data segment register"),
	G(REAL, GUEST_SS_AR, '|', 0x60,
	  "27.3.1.2: DPL of SS in real mode or with a data segment in CS"),
	OK(LONG, GUEST_SS_AR, '=', 0x10000),
	G(LONG, GUEST_LDTR_AR, '=', 0x81, "27.3.1.2: type of LDTR"),
	G(LONG, GUEST_LDTR_AR, '=', 0x8b, "27.3.1.2: type of LDTR"),
	G(LONG, GUEST_LDTR_AR, '|', SX_AR_S, "27.3.1.2: S or P of LDTR"),
	G(LONG, GUEST_LDTR_AR, '^', SX_AR_P, "27.3.1.2: S or P of LDTR"),
	G(LONG, GUEST_LDTR_AR, '|', 0x200, "27.3.1.2: reserved access rights of LDTR"),
	G(LONG, GUEST_LDTR_AR, '|', BIT(20), "27.3.1.2: reserved access rights of LDTR"),
	G(LONG, GUEST_LDTR_AR, '|', SX_AR_G, "27.3.1.2: G of LDTR"),
	G(LONG, GUEST_LDTR_LIMIT, '=', 0x100000, "27.3.1.2: G of LDTR"),
	OK(LONG, GUEST_LDTR_AR, '=', 0x10000),
	G(LONG, GUEST_TR_AR, '=', 0x83, "27.3.1.2: type of TR"),
	G(LONG, GUEST_TR_AR, '=', 0x89, "27.3.1.2: type of TR"),
	OK(PAE, GUEST_TR_AR, '=', 0x83),
	G(PAE, GUEST_TR_AR, '=', 0x81, "27.3.1.2: type of TR"),
	G(LONG, GUEST_TR_AR, '|', SX_AR_S, "27.3.1.2: S or P of TR"),
	G(LONG, GUEST_TR_AR, '^', SX_AR_P, "27.3.1.2: S or P of TR"),
	G(LONG, GUEST_TR_AR, '|', 0x400, "27.3.1.2: reserved access rights of TR, or TR unusable"),
	G(LONG, GUEST_TR_AR, '|', BIT(16),
	  "27.3.1.2: reserved access rights of TR, or TR unusable"),
	G(LONG, GUEST_TR_AR, '|', BIT(30),
	  "27.3.1.2: reserved access rights of TR, or TR unusable"),
	G(LONG, GUEST_TR_AR, '|', SX_AR_G, "27.3.1.2: G of TR"),
	G(LONG, GUEST_TR_LIMIT, '=', 0x100000, "27.3.1.2: G of TR"),
};

static void segment_corruptions(void **state)
{
	(void)state;
	check_rows(segment_rows, COUNT(segment_rows));
}

/* All 16 types of CS and SS, with and without unrestricted guest. */
static void code_and_stack_types(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 16; type++) {
		bool code = type == 9 || type == 11 || type == 13 || type == 15;
		bool stack = type == 3 || type == 7;
		struct row cs = {LONG,
				 V(GUEST_CS_AR),
				 '=',
				 0xa090 | type,
				 code ? ENTERS : GUEST,
				 "27.3.1.2: type of CS",
				 0};
		struct row real = {REAL,
				   V(GUEST_CS_AR),
				   '=',
				   0x90 | type,
				   code || type == 3 ? ENTERS : GUEST,
				   "27.3.1.2: type of CS",
				   0};
		struct row ss = {LONG,
				 V(GUEST_SS_AR),
				 '=',
				 0xc090 | type,
				 stack ? ENTERS : GUEST,
				 "27.3.1.2: type of SS",
				 0};

		check_row(&cs);
		check_row(&real);
		check_row(&ss);
	}
}

/* What DS, ES, FS and GS share: types, RPL, and the bits of the access rights. */
static void data_segments(void **state)
{
	static const struct {
		uint32_t ar, limit, sel;
	} regs[] = {
		{V(GUEST_DS_AR), V(GUEST_DS_LIMIT), V(GUEST_DS_SEL)},
		{V(GUEST_ES_AR), V(GUEST_ES_LIMIT), V(GUEST_ES_SEL)},
		{V(GUEST_FS_AR), V(GUEST_FS_LIMIT), V(GUEST_FS_SEL)},
		{V(GUEST_GS_AR), V(GUEST_GS_LIMIT), V(GUEST_GS_SEL)},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(regs); i++) {
		const struct row rows[] = {
			{LONG, regs[i].ar, '=', 0xc092, GUEST,
			 "27.3.1.2: DS, ES, FS or GS not accessed", 0},
			{LONG, regs[i].ar, '=', 0xc099, GUEST,
			 "27.3.1.2: DS, ES, FS or GS not readable", 0},
			{LONG, regs[i].ar, '=', 0xc09b, ENTERS, NULL, 0},
			{LONG, regs[i].sel, '|', 3, GUEST,
			 "27.3.1.2: DPL of DS, ES, FS or GS below its RPL", 0},
			{REAL, regs[i].sel, '|', 3, ENTERS, NULL, 0},
			{LONG, regs[i].ar, '^', SX_AR_S, GUEST,
			 "27.3.1.2: S of a data segment register", 0},
			{LONG, regs[i].ar, '^', SX_AR_P, GUEST,
			 "27.3.1.2: P of a data segment register", 0},
			{LONG, regs[i].ar, '|', 0x100, GUEST,
			 "27.3.1.2: reserved access rights of a data segment register", 0},
			{LONG, regs[i].ar, '|', BIT(17), GUEST,
			 "27.3.1.2: reserved access rights of a data segment register", 0},
			{LONG, regs[i].ar, '^', SX_AR_G, GUEST,
			 "27.3.1.2: G of a data segment register", 0},
			{LONG, regs[i].limit, '=', 0xfff0ffff & ~1u, GUEST,
			 "27.3.1.2: G of a data segment register", 0},
			{REAL, regs[i].limit, '=', 0x100000, GUEST,
			 "27.3.1.2: G of a data segment register", 0},
			{LONG, regs[i].ar, '=', 0x10000, ENTERS, NULL, 0},
		};

		check_rows(rows, COUNT(rows));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segment_corruptions),
		cmocka_unit_test(code_and_stack_types),
		cmocka_unit_test(data_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
