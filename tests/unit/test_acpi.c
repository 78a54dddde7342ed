// SPDX-License-Identifier: BSD-3-Clause
/*
 * The ACPI tables as an operating system walks them: from the RSDP to every table, checksums first.
 * Offsets are those of the ACPI Specification 6.4, chapter 5.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "guestcore/acpi.h"
#include "tests/support/boot.h"

static void build(struct boot_world *w, unsigned vcpus)
{
	const struct sx_acpi_config config = {
		.vcpus = vcpus, .high_base = 0x400000000, .high_size = 0x100000000};
	sx_gpa rsdp = 0;

	boot_world_open(w);
	/* What lay there before must not shine through. */
	memset(boot_at(w, SX_PC_FIRMWARE), 0xa5, SX_PC_EXTENDED - SX_PC_FIRMWARE);
	assert_int_equal(sx_acpi_build(&w->memory, &config, &rsdp, &w->err), 0);
	assert_int_equal(rsdp, SX_PC_FIRMWARE);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void want_sum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *p++);
	assert_int_equal(sum, 0);
}

/* The table at @gpa, whole and of this kind. */
static const uint8_t *table(struct boot_world *w, uint64_t gpa, const char *signature)
{
	const uint8_t *t;

	assert_in_range(gpa, SX_PC_FIRMWARE, SX_PC_EXTENDED - 36);
	t = boot_at(w, gpa);
	assert_memory_equal(t, signature, 4);
	assert_in_range(get32(t + 4), 36, SX_PC_EXTENDED - gpa);
	want_sum(t, get32(t + 4));
	return t;
}

/* What the RSDP leads to. */
static const uint8_t *find(struct boot_world *w, const char *signature)
{
	const uint8_t *rsdp = boot_at(w, SX_PC_FIRMWARE), *xsdt;
	size_t entries;

	assert_memory_equal(rsdp, "RSD PTR ", 8);
	want_sum(rsdp, 20);
	assert_int_equal(rsdp[15], 2);
	assert_int_equal(get32(rsdp + 20), 36);
	want_sum(rsdp, 36);
	xsdt = table(w, get64(rsdp + 24), "XSDT");
	entries = (get32(xsdt + 4) - 36) / 8;
	for (size_t i = 0; i < entries; i++) {
		uint64_t gpa = get64(xsdt + 36 + 8 * i);

		if (memcmp(boot_at(w, gpa), signature, 4) == 0)
			return table(w, gpa, signature);
	}
	fail_msg("there is no table %s", signature);
	return NULL;
}

static void the_fadt_is_hardware_reduced(void **state)
{
	struct boot_world w;
	const uint8_t *f;

	(void)state;
	build(&w, 1);
	f = find(&w, "FACP");
	assert_int_equal(get32(f + 4), 276);
	assert_true(get32(f + 112) & 1u << 20);
	assert_true(get32(f + 112) & 1u << 10);
	/* Reset, sleep control and sleep status: byte registers in I/O space. */
	assert_int_equal(get32(f + 116), 0x01000801);
	assert_int_equal(get64(f + 120), SX_PC_POWER_RESET);
	assert_int_equal(f[128], SX_PC_RESET_VALUE);
	assert_int_equal(get32(f + 244), 0x01000801);
	assert_int_equal(get64(f + 248), SX_PC_POWER_SLEEP);
	assert_int_equal(get32(f + 256), 0x01000801);
	assert_int_equal(get64(f + 260), SX_PC_POWER_STATUS);
	/* What such a machine has not: PM and GPE registers, SMI. */
	for (unsigned i = 46; i < 109; i++)
		assert_int_equal(f[i], 0);
	for (unsigned i = 148; i < 244; i++)
		assert_int_equal(f[i], 0);
	boot_world_close(&w);
}

static void the_fadt_leads_to_the_dsdt(void **state)
{
	struct boot_world w;
	const uint8_t *f;

	(void)state;
	build(&w, 1);
	f = find(&w, "FACP");
	assert_int_equal(get32(f + 40), get64(f + 140));
	assert_int_equal(table(&w, get64(f + 140), "DSDT")[8], 2); /* 64-bit integers */
	boot_world_close(&w);
}

static void the_dsdt_finds_the_high_window(void **state)
{
	struct boot_world w;
	const uint8_t *env;

	(void)state;
	build(&w, 1);
	env = boot_at(&w, SX_PC_ACPI_ENV);
	assert_int_equal(get64(env), 0x400000000);
	assert_int_equal(get64(env + 8), 0x100000000);
	boot_world_close(&w);
}

/* Entries of @type in the MADT; the last one's place in *last. */
static unsigned count(const uint8_t *madt, uint8_t type, const uint8_t **last)
{
	const uint8_t *p = madt + 44, *end = madt + get32(madt + 4);
	unsigned n = 0;

	*last = madt; /* where there is none */
	while (p < end) {
		assert_in_range(p[1], 2, end - p);
		if (p[0] == type) {
			n++;
			*last = p;
		}
		p += p[1];
	}
	assert_ptr_equal(p, end);
	return n;
}

static void the_madt_lists_every_vcpu(void **state)
{
	static const unsigned vcpus[] = {1, 2, 64};
	const uint8_t *madt, *last;
	struct boot_world w;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		build(&w, vcpus[i]);
		madt = find(&w, "APIC");
		assert_int_equal(get32(madt + 36), SX_PC_LAPIC);
		assert_int_equal(get32(madt + 40), 0);
		assert_int_equal(count(madt, 0, &last), vcpus[i]);
		assert_int_equal(last[3], vcpus[i] - 1);
		assert_int_equal(get32(last + 4), 1);
		assert_int_equal(count(madt, 9, &last), 0);
		assert_int_equal(count(madt, 1, &last), 1);
		assert_int_equal(get32(last + 4), SX_PC_IOAPIC);
		assert_int_equal(get32(last + 8), 0);
		boot_world_close(&w);
	}
}

static void apic_ids_from_255_on_have_x2apic_entries(void **state)
{
	const uint8_t *madt, *last;
	struct boot_world w;

	(void)state;
	build(&w, 300);
	madt = find(&w, "APIC");
	assert_int_equal(count(madt, 0, &last), 255);
	assert_int_equal(last[3], 254);
	assert_int_equal(count(madt, 9, &last), 45);
	assert_int_equal(get32(last + 4), 299);
	assert_int_equal(get32(last + 8), 1);
	boot_world_close(&w);
}

static void the_mcfg_tells_of_one_bus(void **state)
{
	struct boot_world w;
	const uint8_t *m;

	(void)state;
	build(&w, 1);
	m = find(&w, "MCFG");
	assert_int_equal(get32(m + 4), 60);
	assert_int_equal(get64(m + 44), SX_PC_ECAM);
	assert_int_equal(m[54], 0);
	assert_int_equal(m[55], SX_PC_ECAM_SIZE / (1 << 20) - 1);
	boot_world_close(&w);
}

/* mov dx, port; mov al, value; out dx, al */
static void the_reset_vector_resets(void **state)
{
	static const uint8_t code[] = {0xba, SX_PC_POWER_RESET & 0xff, SX_PC_POWER_RESET >> 8,
				       0xb0, SX_PC_RESET_VALUE,        0xee};
	struct boot_world w;

	(void)state;
	build(&w, 64);
	assert_memory_equal(boot_at(&w, 0xffff0), code, sizeof(code));
	boot_world_close(&w);
}

static void nothing_of_what_was_there_is_left(void **state)
{
	struct boot_world w;
	const uint8_t *p;

	(void)state;
	build(&w, 1);
	p = boot_at(&w, SX_PC_FIRMWARE);
	/* Between the tables' end and the reset vector. */
	for (unsigned i = 0x8000; i < 0x1fff0; i++)
		assert_int_equal(p[i], 0);
	boot_world_close(&w);
}

static void more_vcpus_than_fit_are_refused(void **state)
{
	const struct sx_acpi_config config = {.vcpus = 10000};
	struct boot_world w;
	sx_gpa rsdp;

	(void)state;
	boot_world_open(&w);
	assert_int_equal(sx_acpi_build(&w.memory, &config, &rsdp, &w.err), -ENOSPC);
	assert_non_null(strstr(w.err.text, "10000 vCPUs do not fit"));
	/* And nothing was written behind the area. */
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(*(uint8_t *)boot_at(&w, SX_PC_EXTENDED + i), 0);
	boot_world_close(&w);
}

static void memory_that_is_not_there_is_refused(void **state)
{
	const struct sx_acpi_config config = {.vcpus = 1};
	struct sx_memmap empty;
	struct boot_world w;
	sx_gpa rsdp;

	(void)state;
	boot_world_open(&w);
	assert_int_equal(sx_memmap_init(&empty), 0);
	assert_int_equal(sx_acpi_build(&empty, &config, &rsdp, &w.err), -EINVAL);
	assert_non_null(strstr(w.err.text, "--memory"));
	sx_memmap_destroy(&empty);
	boot_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fadt_is_hardware_reduced),
		cmocka_unit_test(the_fadt_leads_to_the_dsdt),
		cmocka_unit_test(the_dsdt_finds_the_high_window),
		cmocka_unit_test(the_madt_lists_every_vcpu),
		cmocka_unit_test(apic_ids_from_255_on_have_x2apic_entries),
		cmocka_unit_test(the_mcfg_tells_of_one_bus),
		cmocka_unit_test(the_reset_vector_resets),
		cmocka_unit_test(nothing_of_what_was_there_is_left),
		cmocka_unit_test(more_vcpus_than_fit_are_refused),
		cmocka_unit_test(memory_that_is_not_there_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
