// SPDX-License-Identifier: BSD-3-Clause
/* The software walk of a processor's own page tables: every mode, every bit of the error code. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nested/paging.h"

#define P   UINT64_C(0x1)
#define W   UINT64_C(0x2)
#define U   UINT64_C(0x4)
#define PS  UINT64_C(0x80)
#define NX  (UINT64_C(1) << 63)
#define PWU (P | W | U)

#define R  SX_ACCESS_READ
#define WR SX_ACCESS_WRITE
#define X  SX_ACCESS_FETCH

/* Error code bits. */
#define E_P    0x01
#define E_W    0x02
#define E_U    0x04
#define E_RSVD 0x08
#define E_X    0x10

#define ROOT 0x1000
#define L3   0x2000
#define L2   0x3000
#define L1   0x4000

static uint8_t mem[0x8000];
static unsigned reads;
static struct sx_vmx_cpu cpu;
static struct sx_paging_result got;

static int read_mem(void *ctx, uint64_t gpa, void *buf, size_t size)
{
	(void)ctx;
	reads++;
	if (gpa > sizeof(mem) - size)
		return -EFAULT;
	memcpy(buf, mem + gpa, size);
	return 0;
}

static void put(uint64_t gpa, uint64_t value, size_t size)
{
	memcpy(mem + gpa, &value, size);
}

static enum sx_paging_outcome walk(uint64_t linear, unsigned access, bool user)
{
	reads = 0;
	return sx_paging_walk(&cpu, linear, access, user, read_mem, NULL, &got);
}

/* What the walk is to give: an address, or an error code. */
static void maps(uint64_t linear, unsigned access, bool user, uint64_t gpa, uint64_t page)
{
	assert_int_equal(walk(linear, access, user), SX_PAGING_OK);
	assert_int_equal(got.gpa, gpa);
	assert_int_equal(got.page, page);
}

static void faults(uint64_t linear, unsigned access, bool user, uint32_t error)
{
	assert_int_equal(walk(linear, access, user), SX_PAGING_FAULT);
	assert_int_equal(got.error, error);
}

static void set_cpl(unsigned cpl)
{
	cpu.seg[SX_SEG_SS].ar = 0xc093 | cpl << 5;
}

static void start(uint64_t cr4, uint64_t efer)
{
	memset(mem, 0, sizeof(mem));
	cpu = (struct sx_vmx_cpu){
		.cr0 = SX_X86_CR0_PE | SX_X86_CR0_PG | SX_X86_CR0_WP,
		.cr3 = ROOT,
		.cr4 = cr4,
		.efer = efer,
		.rflags = 2,
	};
	set_cpl(0);
}

/* Linear page 5 -> 0x65000; 2 to 4 MiB -> 0x40200000; 1 to 2 GiB -> 0x80000000. */
static void start_long(void)
{
	start(SX_X86_CR4_PAE, SX_X86_EFER_LME | SX_X86_EFER_LMA | SX_X86_EFER_NXE);
	put(ROOT, L3 | PWU, 8);
	put(L3, L2 | PWU, 8);
	put(L3 + 8, 0x80000000 | PS | PWU, 8);
	put(L2, L1 | PWU, 8);
	put(L2 + 8, 0x40200000 | PS | PWU, 8);
	put(L1 + 8 * 5, 0x65000 | PWU, 8);
}

/* ---- modes ---- */

static void without_paging(void **state)
{
	(void)state;
	start(0, 0);
	cpu.cr0 = SX_X86_CR0_PE;
	maps(0x12345678, R, false, 0x12345678, 0x1000);
	maps(UINT64_C(0x112345678), R, false, 0x12345678, 0x1000);
	assert_int_equal(reads, 0);
}

static void four_levels(void **state)
{
	(void)state;
	start_long();
	maps(0x5abc, R, false, 0x65abc, 0x1000);
	assert_int_equal(reads, 4);
	maps(0x2abcde, WR, true, 0x402abcde, 0x200000);
	assert_int_equal(reads, 3);
	maps(0x7fffffff, X, true, 0xbfffffff, 0x40000000);
	assert_int_equal(reads, 2);
	put(ROOT + 8 * 511, L3 | PWU, 8); /* the upper half */
	put(L3 + 8 * 510, L2 | PWU, 8);
	maps(UINT64_C(0xffffffff80005123), R, false, 0x65123, 0x1000);
	put(L1 + 8 * 5, UINT64_C(0x000ff12345678000) | PWU, 8);
	maps(0x5000, R, false, UINT64_C(0x000ff12345678000), 0x1000);
	put(L2 + 8, 0x40200000 | 0x1000 | PS | PWU, 8); /* bit 12 of a large page is PAT's */
	maps(0x200000, R, false, 0x40200000, 0x200000);
	put(L1 + 8 * 5, 0x65000 | UINT64_C(0x7ff0000000000000) | 0xe00 | PWU, 8); /* ignored */
	maps(0x5000, R, false, 0x65000, 0x1000);
}

static void pae(void **state)
{
	(void)state;
	start(SX_X86_CR4_PAE, SX_X86_EFER_NXE);
	cpu.pdpte[3] = L2 | P;
	put(L2, L1 | PWU, 8);
	put(L2 + 8, 0x40200000 | PS | PWU, 8);
	put(L1 + 8 * 5, UINT64_C(0x123465000) | PWU, 8);
	maps(0xc0005abc, R, false, UINT64_C(0x123465abc), 0x1000);
	assert_int_equal(reads, 2);
	maps(0xc02abcde, WR, true, 0x402abcde, 0x200000);
	faults(0x5abc, WR, false, E_W); /* PDPTE 0 is not present */
	assert_int_equal(reads, 0);
	put(L1 + 8 * 5, UINT64_C(1) << 52 | 0x65000 | PWU, 8); /* ignored in 4-level paging only */
	faults(0xc0005abc, R, false, E_P | E_RSVD);
}

static void thirty_two_bits(void **state)
{
	(void)state;
	start(SX_X86_CR4_PSE, 0);
	put(ROOT + 4 * 3, L1 | PWU, 4);
	put(ROOT + 4 * 4, 0x40400000 | 0x12 << 13 | PS | PWU, 4);
	put(L1 + 4 * 5, 0x65000 | PWU, 4);
	put(L1 + 4 * 6, UINT64_C(0xffffffff), 4); /* the neighbour is no part of it */
	maps(0xc05abc, R, false, 0x65abc, 0x1000);
	assert_int_equal(reads, 2);
	maps(0x10abcde, R, true, UINT64_C(0x12404abcde), 0x400000);
	faults(0x1400000, R, true, E_U);
	put(ROOT + 4 * 4, 0x40600000 | PS | PWU, 4); /* bit 21 */
	faults(0x10abcde, R, true, E_P | E_U | E_RSVD);
	cpu.cr4 = 0; /* without PSE it names a table, which has nothing there */
	put(ROOT + 4 * 4, L2 | PS | PWU, 4);
	faults(0x1005000, R, false, 0);
}

/* ---- what is not there ---- */

static void not_present(void **state)
{
	static const uint64_t at[] = {ROOT, L3, L2, L1 + 8 * 5};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		start_long();
		put(at[i], ~P & ~NX, 8); /* nothing else of it counts */
		faults(0x5000, R, false, 0);
		assert_int_equal(reads, i + 1);
		faults(0x5000, WR, true, E_W | E_U);
		faults(0x5000, X, true, E_X | E_U);
		faults(0x5000, 0, false, 0); /* looking needs it to be there too */
	}
}

static void reserved_bits(void **state)
{
	static const struct {
		uint64_t at, entry, linear;
	} rows[] = {
		{ROOT, L3 | PS | PWU, 0x5000},
		{L3 + 8, 0x80000000 | 0x2000 | PS | PWU, 0x40000000},
		{L3 + 8, 0x80000000 | 0x20000000 | PS | PWU, 0x40000000},
		{L2 + 8, 0x40200000 | 0x2000 | PS | PWU, 0x200000},
		{L2 + 8, 0x40200000 | 0x100000 | PS | PWU, 0x200000},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start_long();
		put(rows[i].at, rows[i].entry, 8);
		faults(rows[i].linear, R, false, E_P | E_RSVD);
		faults(rows[i].linear, WR, true, E_P | E_RSVD | E_W | E_U);
		faults(rows[i].linear, 0, false, E_P | E_RSVD);
	}
}

/* Bit 63 is reserved where EFER.NXE is 0, and then a fetch is not told apart. */
static void no_execute_needs_nxe(void **state)
{
	static const uint64_t at[] = {ROOT, L3, L2, L1 + 8 * 5};
	static const uint64_t to[] = {L3, L2, L1, 0x65000};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		start_long();
		put(at[i], to[i] | NX | PWU, 8);
		faults(0x5000, X, false, E_P | E_X);
		maps(0x5000, R, true, 0x65000, 0x1000);
		cpu.efer &= ~SX_X86_EFER_NXE;
		faults(0x5000, R, false, E_P | E_RSVD);
		faults(0x5000, X, false, E_P | E_RSVD);
		put(at[i], to[i] | PWU, 8);
		maps(0x5000, X, false, 0x65000, 0x1000);
	}
}

static void a_reader_that_stops(void **state)
{
	(void)state;
	start_long();
	put(L2, 0x100000 | PWU, 8);
	assert_int_equal(walk(0x5000, R, false), SX_PAGING_STOPPED);
	assert_int_equal(got.gpa, 0x100000 + 8 * 5);
	assert_int_equal(reads, 4);
}

/* ---- rights ---- */

static void rights_of_all_levels_count(void **state)
{
	static const uint64_t at[] = {ROOT, L3, L2, L1 + 8 * 5};
	static const uint64_t to[] = {L3, L2, L1, 0x65000};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		start_long();
		put(at[i], to[i] | P | U, 8);
		faults(0x5000, WR, true, E_P | E_W | E_U);
		faults(0x5000, WR, false, E_P | E_W);
		faults(0x5000, R | WR, true, E_P | E_W | E_U);
		maps(0x5000, R, true, 0x65000, 0x1000);
		maps(0x5000, 0, true, 0x65000, 0x1000);
		put(at[i], to[i] | P | W, 8);
		faults(0x5000, R, true, E_P | E_U);
		faults(0x5000, X, true, E_P | E_U | E_X);
		maps(0x5000, WR, false, 0x65000, 0x1000);
		maps(0x5000, X, false, 0x65000, 0x1000);
	}
}

static void supervisors_write_where_wp_is_clear(void **state)
{
	(void)state;
	start_long();
	put(L1 + 8 * 5, 0x65000 | P | U, 8);
	cpu.cr0 &= ~SX_X86_CR0_WP;
	maps(0x5000, WR, false, 0x65000, 0x1000);
	faults(0x5000, WR, true, E_P | E_W | E_U);
}

static void smep(void **state)
{
	(void)state;
	start_long();
	cpu.cr4 |= SX_X86_CR4_SMEP;
	faults(0x5000, X, false, E_P | E_X);
	maps(0x5000, X, true, 0x65000, 0x1000);
	maps(0x5000, R, false, 0x65000, 0x1000);
	put(L3, L2 | P | W, 8); /* a supervisor's page */
	maps(0x5000, X, false, 0x65000, 0x1000);
	cpu.efer &= ~SX_X86_EFER_NXE; /* SMEP alone has fetches told apart too */
	put(L1 + 8 * 5, 0, 8);
	faults(0x5000, X, false, E_X);
}

static void smap(void **state)
{
	(void)state;
	start_long();
	cpu.cr4 |= SX_X86_CR4_SMAP;
	faults(0x5000, R, false, E_P);
	faults(0x5000, WR, false, E_P | E_W);
	maps(0x5000, X, false, 0x65000, 0x1000);
	maps(0x5000, WR, true, 0x65000, 0x1000);
	cpu.rflags |= SX_X86_RFLAGS_AC;
	maps(0x5000, WR, false, 0x65000, 0x1000);
	set_cpl(3); /* what a user's instruction does implicitly: AC does not help */
	faults(0x5000, R, false, E_P);
	maps(0x5000, R, true, 0x65000, 0x1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_paging),
		cmocka_unit_test(four_levels),
		cmocka_unit_test(pae),
		cmocka_unit_test(thirty_two_bits),
		cmocka_unit_test(not_present),
		cmocka_unit_test(reserved_bits),
		cmocka_unit_test(no_execute_needs_nxe),
		cmocka_unit_test(a_reader_that_stops),
		cmocka_unit_test(rights_of_all_levels_count),
		cmocka_unit_test(supervisors_write_where_wp_is_clear),
		cmocka_unit_test(smep),
		cmocka_unit_test(smap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
