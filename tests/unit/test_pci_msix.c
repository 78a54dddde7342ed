// SPDX-License-Identifier: BSD-3-Clause
/*
 * MSI-X: each interrupt arrives once, where the guest wants it, and when it is not masked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/pci_regs.h>

#include "tests/support/virtio_world.h"

#define DEVFN   SX_PCI_DEVFN(1, 0)
#define VECTORS 40
#define BASE    VW_LOW
#define PBA     4096
#define ADDR    0xfee01000ull

static struct vw_world w;
static struct sx_pci_function f;
static struct sx_msix m;
static unsigned cap;

static int set_up(void **state)
{
	const struct sx_pci_ids ids = {.vendor = 1};

	(void)state;
	vw_init(&w, 1 << 20);
	sx_pci_function_init(&f, "probe", &ids);
	assert_int_equal(sx_msix_init(&m, &f, 2, VECTORS, NULL), 0);
	assert_int_equal(sx_pci_add(&w.host, &f, DEVFN, NULL), 0);
	cap = (unsigned)vw_config_read(&w, DEVFN, PCI_CAPABILITY_LIST, 1);
	vw_config_write(&w, DEVFN, PCI_BASE_ADDRESS_2, 4, BASE);
	vw_config_write(&w, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sx_msix_destroy(&m);
	for (unsigned i = 0; i < VW_MAX_ROUTES; i++)
		assert_null(w.route[i].irq);
	sx_pci_remove(&f);
	vw_destroy(&w);
	return 0;
}

static uint64_t get(uint64_t offset, unsigned size)
{
	return vw_read(&w, BASE + offset, size);
}

static void set(uint64_t offset, unsigned size, uint64_t value)
{
	vw_write(&w, BASE + offset, size, value);
}

static void control(uint16_t value)
{
	vw_config_write(&w, DEVFN, cap + PCI_MSIX_FLAGS, 2, value);
}

/* Write a vector's message, its number as data, and leave its mask alone. */
static void message(unsigned vector, uint64_t addr, uint32_t data)
{
	set(vector * 16 + PCI_MSIX_ENTRY_LOWER_ADDR, 4, (uint32_t)addr);
	set(vector * 16 + PCI_MSIX_ENTRY_UPPER_ADDR, 4, addr >> 32);
	set(vector * 16 + PCI_MSIX_ENTRY_DATA, 4, data);
}

static void mask(unsigned vector, bool on)
{
	set(vector * 16 + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, on);
}

static void open_vector(unsigned vector)
{
	message(vector, ADDR, vector);
	mask(vector, false);
}

static unsigned came(uint32_t data)
{
	return vw_interrupts(&w, ADDR, data);
}

static bool pending(unsigned vector)
{
	return get(PBA + vector / 64 * 8, 8) >> vector % 64 & 1;
}

static void it_begins_masked_and_off(void **state)
{
	(void)state;
	assert_int_equal(vw_config_read(&w, DEVFN, cap, 1), PCI_CAP_ID_MSIX);
	assert_int_equal(vw_config_read(&w, DEVFN, cap + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	assert_int_equal(vw_config_read(&w, DEVFN, cap + PCI_MSIX_TABLE, 4), 2);
	assert_int_equal(vw_config_read(&w, DEVFN, cap + PCI_MSIX_PBA, 4), PBA | 2);
	for (unsigned i = 0; i < VECTORS; i++) {
		assert_int_equal(get(i * 16ul, 8), 0);
		assert_int_equal(get(i * 16 + 8, 8), 1ull << 32);
	}
	assert_false(sx_msix_enabled(&m));
	assert_int_equal(w.routed, 0);
}

static void an_interrupt_arrives_where_it_was_sent(void **state)
{
	(void)state;
	control(PCI_MSIX_FLAGS_ENABLE);
	for (unsigned i = 0; i < VECTORS; i++)
		open_vector(i);
	for (unsigned i = 0; i < VECTORS; i++) {
		sx_msix_raise(&m, i);
		assert_int_equal(came(i), 1);
		assert_int_equal(came((i + 1) % VECTORS), 0);
	}
	assert_int_equal(w.routed, VECTORS);
	assert_int_equal(m.refused + m.route_errors + m.raise_errors, 0);
}

static void switched_off_it_forgets(void **state)
{
	(void)state;
	open_vector(3);
	sx_msix_raise(&m, 3);
	assert_false(pending(3));
	assert_int_equal(w.routed, 0);
	control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(came(3), 0);
	sx_msix_raise(&m, 3);
	assert_int_equal(came(3), 1);
	mask(3, true);
	sx_msix_raise(&m, 3);
	assert_true(pending(3));
	control(0);
	assert_int_equal(w.unrouted, w.routed);
	sx_msix_raise(&m, 3);
	control(PCI_MSIX_FLAGS_ENABLE);
	mask(3, false);
	assert_false(pending(3));
	assert_int_equal(came(3), 0);
}

static void a_masked_vector_waits(void **state)
{
	(void)state;
	control(PCI_MSIX_FLAGS_ENABLE);
	open_vector(33);
	open_vector(34);
	mask(33, true);
	for (unsigned i = 0; i < 5; i++)
		sx_msix_raise(&m, 33);
	assert_int_equal(came(33), 0);
	assert_true(pending(33));
	assert_false(pending(34));
	assert_int_equal(get(PBA, 8), 1ull << 33);
	assert_int_equal(get(PBA + 4, 4), 1u << 1);
	mask(33, false);
	assert_int_equal(came(33), 1);
	assert_false(pending(33));
	mask(33, true);
	mask(33, false);
	assert_int_equal(came(33), 0);
}

static void a_masked_function_waits(void **state)
{
	(void)state;
	control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	open_vector(0);
	open_vector(1);
	open_vector(2);
	mask(2, true);
	assert_int_equal(w.routed, 0);
	for (unsigned i = 0; i < 3; i++)
		sx_msix_raise(&m, i);
	assert_int_equal(get(PBA, 8), 7);
	control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(came(0), 1);
	assert_int_equal(came(1), 1);
	assert_int_equal(came(2), 0);
	assert_int_equal(get(PBA, 8), 4);
	mask(2, false);
	assert_int_equal(came(2), 1);
}

/* As Linux moves an interrupt to another processor. */
static void a_message_may_change(void **state)
{
	const uint64_t elsewhere = 0x1fee05000;

	(void)state;
	control(PCI_MSIX_FLAGS_ENABLE);
	open_vector(1);
	sx_msix_raise(&m, 1);
	assert_int_equal(came(1), 1);
	mask(1, true);
	message(1, elsewhere, 99);
	assert_int_equal(w.routed, 1); /* not before it is unmasked */
	sx_msix_raise(&m, 1);
	mask(1, false);
	assert_int_equal(w.routed, 2);
	assert_int_equal(came(1), 0);
	assert_int_equal(vw_interrupts(&w, elsewhere, 99), 1);
	/* Masking and unmasking alone routes nothing anew. */
	mask(1, true);
	mask(1, false);
	assert_int_equal(w.routed, 2);
	/* Changed while it is open. */
	set(16 + PCI_MSIX_ENTRY_DATA, 4, 77);
	sx_msix_raise(&m, 1);
	assert_int_equal(vw_interrupts(&w, elsewhere, 77), 1);
}

static void a_message_that_cannot_be_routed_waits(void **state)
{
	(void)state;
	control(PCI_MSIX_FLAGS_ENABLE);
	w.refuse_routes = true;
	open_vector(5);
	assert_int_equal(m.route_errors, 1);
	sx_msix_raise(&m, 5);
	assert_true(pending(5));
	w.refuse_routes = false;
	mask(5, true);
	mask(5, false);
	assert_int_equal(came(5), 1);
	assert_false(pending(5));
}

static void reserved_bits_stay_zero(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 16; i += 4)
		set(i, 4, 0xffffffff);
	assert_int_equal(get(0, 4), 0xfffffffc);
	assert_int_equal(get(4, 4), 0xffffffff);
	assert_int_equal(get(8, 4), 0xffffffff);
	assert_int_equal(get(12, 4), 1);
	vw_config_write(&w, DEVFN, cap + PCI_MSIX_FLAGS, 2, 0x3fff);
	assert_int_equal(vw_config_read(&w, DEVFN, cap + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	vw_config_write(&w, DEVFN, cap + PCI_MSIX_TABLE, 8, UINT64_MAX);
	assert_int_equal(vw_config_read(&w, DEVFN, cap + PCI_MSIX_TABLE, 4), 2);
	assert_int_equal(m.refused, 0);
}

static void eight_bytes_are_two_times_four(void **state)
{
	(void)state;
	control(PCI_MSIX_FLAGS_ENABLE);
	set(4ul * 16, 8, 0x00000001fee00000);
	set(4 * 16 + 8, 8, 0x41);
	assert_int_equal(get(4ul * 16, 8), 0x1fee00000);
	assert_int_equal(get(4 * 16 + 8, 8), 0x41);
	sx_msix_raise(&m, 4);
	assert_int_equal(vw_interrupts(&w, 0x1fee00000, 0x41), 1);
}

static void odd_accesses_are_refused(void **state)
{
	const struct {
		unsigned offset, size;
	} odd[] = {{0, 1}, {0, 2}, {0, 3}, {2, 4}, {4, 8}, {12, 8}, {PBA + 1, 1}, {PBA + 4, 8}};
	const unsigned count = sizeof(odd) / sizeof(odd[0]);

	(void)state;
	message(0, ADDR, 0x55);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(get(odd[i].offset, odd[i].size), sx_bus_all_ones(odd[i].size));
		set(odd[i].offset, odd[i].size, 0);
	}
	assert_int_equal(m.refused, 2 * count);
	assert_int_equal(get(0, 4), ADDR);
	assert_int_equal(get(8, 4), 0x55);
}

static void beyond_the_table_is_nothing(void **state)
{
	(void)state;
	control(PCI_MSIX_FLAGS_ENABLE);
	open_vector(0);
	for (unsigned offset = VECTORS * 16; offset < 8192; offset += 4) {
		assert_int_equal(get(offset, 4), 0);
		set(offset, 4, 0xffffffff);
		assert_int_equal(get(offset, 4), 0);
	}
	assert_int_equal(m.refused, (8192 - VECTORS * 16) / 4);
	sx_msix_raise(&m, VECTORS);
	sx_msix_raise(&m, 0xffff);
	sx_msix_raise(&m, UINT32_MAX);
	assert_int_equal(get(PBA, 8), 0);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(came(i), 0);
}

static void tables_that_cannot_be(void **state)
{
	const unsigned bad[] = {0, SX_MSIX_MAX_VECTORS + 1};
	const struct sx_pci_ids ids = {.vendor = 1};
	struct sx_pci_function g;
	struct sx_msix n;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct sx_error err = {""};

		sx_pci_function_init(&g, "other", &ids);
		assert_int_equal(sx_msix_init(&n, &g, 0, bad[i], &err), -EINVAL);
		assert_non_null(strstr(err.text, "1 to 256"));
		sx_msix_destroy(&n);
	}
	assert_int_equal(sx_msix_init(&n, &g, 6, 1, NULL), -EINVAL);
	assert_int_equal(sx_msix_init(&n, &g, 0, SX_MSIX_MAX_VECTORS, NULL), 0);
	sx_msix_destroy(&n);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(it_begins_masked_and_off),
		CASE(an_interrupt_arrives_where_it_was_sent),
		CASE(switched_off_it_forgets),
		CASE(a_masked_vector_waits),
		CASE(a_masked_function_waits),
		CASE(a_message_may_change),
		CASE(a_message_that_cannot_be_routed_waits),
		CASE(reserved_bits_stay_zero),
		CASE(eight_bytes_are_two_times_four),
		CASE(odd_accesses_are_refused),
		CASE(beyond_the_table_is_nothing),
		CASE(tables_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
