// SPDX-License-Identifier: BSD-3-Clause
/* The EPT12 walk: mappings, violations, misconfigurations, accessed and dirty flags, PML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nested/ept12.h"
#include "tests/unit/test_vmx_world.h"

#define PML4     AT_EPT
#define PDPT     (AT_EPT + 0x1000)
#define PD       (AT_EPT + 0x2000)
#define PT       (AT_EPT + 0x3000)
#define NO_AD    (AT_EPT | 0x1e)
#define RWX      7
#define WB       0x30
#define LEAF     0x80
#define ACCESSED 0x100
#define DIRTY    0x200

static struct world w;
static struct sx_ept12_map map;
static struct sx_vmx_exit x;

/* L2-physical 0 to 2 MiB by 4 KiB pages (page 5 -> 0x25000); 2 to 4 MiB as one; 1 to 2 GiB as one.
 */
static void start(void)
{
	world_init_current(&w);
	assert_int_equal(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2).outcome, SX_VMX_ENTERED);
	put64(&w, PML4, PDPT | RWX);
	put64(&w, PDPT, PD | RWX);
	put64(&w, PDPT + 8, UINT64_C(0x40000000) | LEAF | WB | RWX);
	put64(&w, PD, PT | RWX);
	put64(&w, PD + 8, 0x600000 | LEAF | WB | RWX);
	put64(&w, PT + 8 * 5, 0x25000 | WB | RWX);
}

static enum sx_ept12_outcome translate_at(uint64_t eptp, uint64_t gpa, unsigned access)
{
	const struct sx_ept12_access a = {.gpa = gpa, .access = access};

	x = (struct sx_vmx_exit){0};
	return sx_ept12_translate(&w.vmx, eptp, &a, &map, &x);
}

static enum sx_ept12_outcome translate(uint64_t gpa, unsigned access)
{
	return translate_at(WORLD_EPTP, gpa, access);
}

/* --- mappings --------------------------------------------------------------------------------- */

static void the_three_page_sizes(void **state)
{
	(void)state;
	start();
	assert_int_equal(translate(0x5abc, SX_ACCESS_READ), SX_EPT12_MAPPED);
	assert_int_equal(map.gpa, 0x25abc);
	assert_int_equal(map.page, 0x1000);
	assert_int_equal(map.memory_type, 6);
	assert_int_equal(map.rights, RWX);
	assert_int_equal(translate(0x2abcde, SX_ACCESS_READ), SX_EPT12_MAPPED);
	assert_int_equal(map.gpa, 0x6abcde);
	assert_int_equal(map.page, 0x200000);
	assert_int_equal(translate(0x7fffffff, SX_ACCESS_FETCH), SX_EPT12_MAPPED);
	assert_int_equal(map.gpa, 0x7fffffff);
	assert_int_equal(map.page, 0x40000000);
}

static void rights_are_those_of_all_levels(void **state)
{
	(void)state;
	start();
	put64(&w, PDPT, PD | 3); /* no execution below */
	put64(&w, PT + 8 * 5, 0x25000 | WB | 5);
	assert_int_equal(translate(0x5000, SX_ACCESS_READ), SX_EPT12_MAPPED);
	assert_int_equal(map.rights, SX_ACCESS_READ);
	assert_int_equal(translate(0x5000, SX_ACCESS_WRITE), SX_EPT12_VIOLATION);
	assert_int_equal(x.qualification, 0x02 | 1 << 3);
	assert_int_equal(translate(0x5000, SX_ACCESS_FETCH), SX_EPT12_VIOLATION);
	assert_int_equal(x.qualification, 0x04 | 1 << 3);
	put64(&w, PT + 8 * 5, 0x25000 | WB | 4); /* execute-only, below no execution: nothing */
	assert_int_equal(translate(0x5000, SX_ACCESS_FETCH), SX_EPT12_VIOLATION);
	assert_int_equal(x.qualification, 0x04);
}

static void execute_only(void **state)
{
	(void)state;
	start();
	put64(&w, PT + 8 * 5, 0x25000 | WB | 4);
	assert_int_equal(translate(0x5000, SX_ACCESS_FETCH), SX_EPT12_MAPPED);
	assert_int_equal(translate(0x5000, SX_ACCESS_READ), SX_EPT12_VIOLATION);
	assert_int_equal(x.qualification, 0x01 | 4 << 3);
	w.vmx.caps.ept_vpid &= ~SX_EPTCAP_EXEC_ONLY;
	assert_int_equal(translate(0x5000, SX_ACCESS_FETCH), SX_EPT12_MISCONFIG);
}

/* Looking needs no right and sets no flag. */
static void looking_changes_nothing(void **state)
{
	static struct world before;

	(void)state;
	start();
	before = w;
	assert_int_equal(translate(0x5000, 0), SX_EPT12_MAPPED);
	assert_int_equal(map.rights, RWX);
	assert_memory_equal(w.mem, before.mem, sizeof(w.mem));
}

/* --- violations: 29.3.3.2, table 28-7 --------------------------------------------------------- */

static void not_present(void **state)
{
	(void)state;
	start();
	assert_int_equal(translate(0x6123, SX_ACCESS_READ), SX_EPT12_VIOLATION);
	assert_int_equal(x.reason, SX_VMEXIT_EPT_VIOLATION);
	assert_int_equal(x.physical, 0x6123);
	assert_int_equal(x.qualification, 0x01);
	put64(&w, PML4, PDPT | 0xff8); /* bits 2:0 are 0: not present, whatever else is set */
	assert_int_equal(translate(0x5000, SX_ACCESS_WRITE), SX_EPT12_VIOLATION);
	assert_int_equal(x.qualification, 0x02);
	assert_int_equal(translate(UINT64_C(1) << 48, SX_ACCESS_READ), SX_EPT12_VIOLATION);
	assert_int_equal(x.physical, UINT64_C(1) << 48);
}

static void linear_addresses(void **state)
{
	struct sx_ept12_access a = {
		.gpa = 0x6000, .access = SX_ACCESS_READ, .has_linear = true, .linear = 0x123456};

	(void)state;
	start();
	assert_int_equal(sx_ept12_translate(&w.vmx, NO_AD, &a, &map, &x), SX_EPT12_VIOLATION);
	assert_int_equal(x.qualification, 0x181);
	assert_int_equal(x.linear, 0x123456);
	a.paging_walk = true;
	assert_int_equal(sx_ept12_translate(&w.vmx, NO_AD, &a, &map, &x), SX_EPT12_VIOLATION);
	assert_int_equal(x.qualification, 0x081);
}

/* 29.3.2: with accessed and dirty flags the walk of L2's tables counts as a write. */
static void walks_of_l2_tables_are_writes(void **state)
{
	const struct sx_ept12_access a = {
		.gpa = 0x5000, .access = SX_ACCESS_READ, .has_linear = true, .paging_walk = true};

	(void)state;
	start();
	put64(&w, PT + 8 * 5, 0x25000 | WB | 5);
	assert_int_equal(sx_ept12_translate(&w.vmx, NO_AD, &a, &map, &x), SX_EPT12_MAPPED);
	assert_int_equal(sx_ept12_translate(&w.vmx, WORLD_EPTP, &a, &map, &x), SX_EPT12_VIOLATION);
	assert_int_equal(x.qualification, 0x083 | 5 << 3);
	put64(&w, PT + 8 * 5, 0x25000 | WB | 7);
	assert_int_equal(sx_ept12_translate(&w.vmx, WORLD_EPTP, &a, &map, &x), SX_EPT12_MAPPED);
	assert_true(map.dirty);
}

/* --- misconfigurations: 29.3.3.1 -------------------------------------------------------------- */

static void misconfigurations(void **state)
{
	static const struct {
		uint64_t at, value;
	} rows[] = {
		{PT + 8 * 5, 0x25000 | WB | 2}, /* writable, not readable */
		{PT + 8 * 5, 0x25000 | WB | 6},
		{PML4, PDPT | 2},
		{PML4, PDPT | 6},
		{PDPT, PD | 6},
		{PD, PT | 2},
		{PT + 8 * 5, 0x25000 | 2 << 3 | 7}, /* memory types 2, 3, 7 */
		{PT + 8 * 5, 0x25000 | 3 << 3 | 7},
		{PT + 8 * 5, 0x25000 | 7 << 3 | 7},
		{PT + 8 * 5, UINT64_C(1) << 40 | WB | 7}, /* beyond the physical-address width */
		{PML4, UINT64_C(1) << 51 | PDPT | 7},
		{PDPT, UINT64_C(1) << 40 | PD | 7},
		{PD, UINT64_C(1) << 40 | PT | 7},
		{PML4, PDPT | 0x80 | 7}, /* reserved bits of table entries */
		{PML4, PDPT | 0x08 | 7},
		{PML4, PDPT | 0x40 | 7},
		{PDPT, PD | 0x08 | 7},
		{PDPT, PD | 0x40 | 7},
		{PD, PT | 0x10 | 7},
		{PD, PT | 0x20 | 7},
		{PD, 0x600000 | 0x1000 | LEAF | WB | 7}, /* reserved address bits of large pages */
		{PD, 0x600000 | 0x100000 | LEAF | WB | 7},
		{PDPT, 0x40000000 | 0x200000 | LEAF | WB | 7},
		{PDPT, 0x40000000 | 0x20000000 | LEAF | WB | 7},
		{PD, 0x600000 | LEAF | 2 << 3 | 7},
		{PDPT, 0x40000000 | LEAF | 7 << 3 | 7},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start();
		put64(&w, rows[i].at, rows[i].value);
		if (translate(0x5678, SX_ACCESS_READ) != SX_EPT12_MISCONFIG)
			fail_msg("row %zu", i);
		assert_int_equal(x.reason, SX_VMEXIT_EPT_MISCONFIG);
		assert_int_equal(x.qualification, 0);
		assert_int_equal(x.physical, 0x5678);
	}
}

static void ignored_bits_are_ignored(void **state)
{
	(void)state;
	start();
	put64(&w, PML4, PDPT | 0xf00 | UINT64_C(0xfff) << 52 | 7);
	put64(&w, PT + 8 * 5, 0x25000 | 0xfc0 | UINT64_C(0xfff) << 52 | WB | 7); /* IPAT as well */
	assert_int_equal(translate(0x5000, SX_ACCESS_READ), SX_EPT12_MAPPED);
	assert_int_equal(map.gpa, 0x25000);
}

static void page_sizes_not_offered_are_misconfigurations(void **state)
{
	(void)state;
	start();
	w.vmx.caps.ept_vpid &= ~(SX_EPTCAP_2M | SX_EPTCAP_1G);
	assert_int_equal(translate(0x200000, SX_ACCESS_READ), SX_EPT12_MISCONFIG);
	assert_int_equal(translate(0x40000000, SX_ACCESS_READ), SX_EPT12_MISCONFIG);
	assert_int_equal(translate(0x5000, SX_ACCESS_READ), SX_EPT12_MAPPED);
}

/* Tables outside L1's memory read as ones, which no entry may be. */
static void tables_outside_memory(void **state)
{
	(void)state;
	start();
	put64(&w, PML4, UINT64_C(0x80000000) | RWX);
	assert_int_equal(translate(0x5000, SX_ACCESS_READ), SX_EPT12_MISCONFIG);
	put64(&w, PML4, PML4 | RWX); /* a loop ends after four levels */
	put64(&w, PML4 + 8 * 5, 0x25000 | WB | RWX);
	/* The entry serves three levels, so that setting its flag at one changes it for the next.
	 */
	assert_int_equal(translate(0x5000, SX_ACCESS_READ), SX_EPT12_RETRY);
	assert_int_equal(translate(0x5000, SX_ACCESS_READ), SX_EPT12_MAPPED);
	assert_int_equal(map.page, 0x1000);
}

/* --- accessed and dirty flags: 29.3.5; PML: 29.3.6 -------------------------------------------- */

static void flags_are_set(void **state)
{
	(void)state;
	start();
	assert_int_equal(translate(0x5000, 0), SX_EPT12_MAPPED);
	assert_false(map.accessed);
	assert_int_equal(translate(0x5000, SX_ACCESS_READ), SX_EPT12_MAPPED);
	assert_true(map.accessed);
	assert_false(map.dirty);
	assert_int_equal(get64(&w, PML4), PDPT | ACCESSED | RWX);
	assert_int_equal(get64(&w, PD), PT | ACCESSED | RWX);
	assert_int_equal(get64(&w, PT + 8 * 5), 0x25000 | ACCESSED | WB | RWX);
	assert_int_equal(translate(0x5000, SX_ACCESS_WRITE), SX_EPT12_MAPPED);
	assert_true(map.dirty);
	assert_int_equal(get64(&w, PT + 8 * 5), 0x25000 | DIRTY | ACCESSED | WB | RWX);
	assert_int_equal(get64(&w, PD), PT | ACCESSED | RWX);
	put64(&w, PD, PT | RWX); /* one level's is cleared */
	assert_int_equal(translate(0x5000, 0), SX_EPT12_MAPPED);
	assert_false(map.accessed);
	assert_int_equal(translate(0x2abcde, SX_ACCESS_WRITE), SX_EPT12_MAPPED);
	assert_int_equal(get64(&w, PD + 8), 0x600000 | DIRTY | ACCESSED | LEAF | WB | RWX);
}

static void flags_stay_where_not_enabled(void **state)
{
	(void)state;
	start();
	assert_int_equal(translate_at(NO_AD, 0x5000, SX_ACCESS_WRITE), SX_EPT12_MAPPED);
	assert_int_equal(get64(&w, PML4), PDPT | RWX);
	assert_int_equal(get64(&w, PT + 8 * 5), 0x25000 | WB | RWX);
	assert_int_equal(translate(0x6000, SX_ACCESS_WRITE), SX_EPT12_VIOLATION);
	assert_int_equal(get64(&w, PML4), PDPT | RWX); /* nothing was translated */
}

static void an_entry_that_changes_under_the_walk(void **state)
{
	(void)state;
	start();
	w.cas_error = -EAGAIN;
	assert_int_equal(translate(0x5000, SX_ACCESS_READ), SX_EPT12_RETRY);
	assert_int_equal(translate(0x5000, SX_ACCESS_READ), SX_EPT12_MAPPED);
	start();
	w.cas_error = -EFAULT; /* tables in memory that cannot be written */
	assert_int_equal(translate(0x5000, SX_ACCESS_READ), SX_EPT12_MAPPED);
	assert_int_equal(get64(&w, PML4), PDPT | RWX);
}

static void dirty_pages_are_logged(void **state)
{
	(void)state;
	start();
	assert_int_equal(translate(0x5000, SX_ACCESS_READ), SX_EPT12_MAPPED);
	assert_int_equal(sx_vmcs12_get(&w.vmx.v12, SX_VMCS_GUEST_PML_INDEX), 511);
	assert_int_equal(translate(0x5abc, SX_ACCESS_WRITE), SX_EPT12_MAPPED);
	assert_int_equal(get64(&w, AT_PML + 8 * 511), 0x5000);
	assert_int_equal(translate(0x5def, SX_ACCESS_WRITE), SX_EPT12_MAPPED); /* dirty already */
	assert_int_equal(sx_vmcs12_get(&w.vmx.v12, SX_VMCS_GUEST_PML_INDEX), 510);
	assert_int_equal(translate(0x2abcde, SX_ACCESS_WRITE), SX_EPT12_MAPPED);
	assert_int_equal(get64(&w, AT_PML + 8 * 510), 0x2ab000);
	sx_vmx_exit(&w.vmx, &w.l2, &x, &w.l1);
	assert_int_equal(field(&w, SX_VMCS_GUEST_PML_INDEX), 509);
}

static void the_log_fills(void **state)
{
	(void)state;
	start();
	for (uint64_t i = 0; i < 512; i++) {
		put64(&w, PT + 8 * i, 0x25000 | WB | RWX);
		assert_int_equal(translate(0x1000 * i, SX_ACCESS_WRITE), SX_EPT12_MAPPED);
		assert_int_equal(get64(&w, AT_PML + 8 * (511 - i)), 0x1000 * i);
	}
	assert_int_equal(sx_vmcs12_get(&w.vmx.v12, SX_VMCS_GUEST_PML_INDEX), 0xffff);
	assert_int_equal(translate(0x1000, SX_ACCESS_WRITE), SX_EPT12_MAPPED); /* no flag to set */
	assert_int_equal(translate(0x200000, SX_ACCESS_READ), SX_EPT12_PML_FULL);
	assert_int_equal(translate(0x200000, SX_ACCESS_WRITE), SX_EPT12_PML_FULL);
	assert_int_equal(x.reason, SX_VMEXIT_PML_FULL);
	/* The access has not happened. */
	assert_int_equal(get64(&w, PD + 8) & (ACCESSED | DIRTY), 0);
	sx_vmcs12_set(&w.vmx.v12, SX_VMCS_GUEST_PML_INDEX, 0);
	assert_int_equal(translate(0x200000, SX_ACCESS_WRITE), SX_EPT12_MAPPED);
	assert_int_equal(get64(&w, AT_PML), 0x200000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_three_page_sizes),
		cmocka_unit_test(rights_are_those_of_all_levels),
		cmocka_unit_test(execute_only),
		cmocka_unit_test(looking_changes_nothing),
		cmocka_unit_test(not_present),
		cmocka_unit_test(linear_addresses),
		cmocka_unit_test(walks_of_l2_tables_are_writes),
		cmocka_unit_test(misconfigurations),
		cmocka_unit_test(ignored_bits_are_ignored),
		cmocka_unit_test(page_sizes_not_offered_are_misconfigurations),
		cmocka_unit_test(tables_outside_memory),
		cmocka_unit_test(flags_are_set),
		cmocka_unit_test(flags_stay_where_not_enabled),
		cmocka_unit_test(an_entry_that_changes_under_the_walk),
		cmocka_unit_test(dirty_pages_are_logged),
		cmocka_unit_test(the_log_fills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
