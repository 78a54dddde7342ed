// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio over PCI: what the capabilities promise, registers in every size and order, the window
 * in configuration space, interrupts with and without MSI-X, and both kinds of notification BAR.
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
#include <linux/virtio_pci.h>

#include "sidecore/virtio/rng.h"
#include "tests/support/virtio_world.h"

#define COMMON_END 60 /* behind queue_reset */

static struct vw_world w;
static struct sx_virtio_rng rng;
static struct sx_virtio_pci pci;
static struct vw_driver d;
static unsigned devfn;

static void open_world(struct sx_virtio_env env)
{
	assert_int_equal(sx_virtio_rng_init(&rng, &env, NULL), 0);
	assert_int_equal(sx_virtio_pci_init(&pci, &rng.dev, &w.host, SX_PCI_ANY, NULL), 0);
	devfn = pci.function.devfn;
	assert_int_equal(vw_probe(&d, &w, devfn), 0);
}

static int set_up(void **state)
{
	(void)state;
	vw_init(&w, 4 << 20);
	open_world(vw_env(&w, false));
	return 0;
}

static void close_device(void)
{
	while (d.queues)
		vd_queue_destroy(&d.queue[--d.queues]);
	sx_virtio_pci_destroy(&pci);
	sx_virtio_rng_destroy(&rng);
}

static int tear_down(void **state)
{
	(void)state;
	close_device();
	vw_destroy(&w);
	return 0;
}

static uint64_t config(unsigned offset, unsigned size)
{
	return vw_config_read(&w, devfn, offset, size);
}

static void set_config(unsigned offset, unsigned size, uint64_t value)
{
	vw_config_write(&w, devfn, offset, size, value);
}

/* Ask for @len random bytes; true if as many came. */
static bool draw(unsigned len)
{
	const sx_gpa gpa = vd_alloc(&w.memory, len, 1);
	const struct vd_buffer b = {gpa, len};
	const uint8_t *bytes = vd_at(&w.memory, gpa);
	uint32_t got = 0;
	void *token;
	unsigned ones = 0;

	assert_int_equal(vd_add(&d.queue[0], &b, 0, 1, NULL), 0);
	vw_kick(&d, 0);
	sx_virtio_device_poll(&rng.dev);
	if (vd_take(&d.queue[0], &token, &got) != 1)
		return false;
	for (unsigned i = 0; i < got; i++)
		ones += (unsigned)__builtin_popcount(bytes[i]);
	/* Random enough: half of the bits, within a dozen standard deviations. */
	if (got >= 256)
		assert_in_range(ones, got * 3, got * 5);
	return got == len;
}

/* ---- capabilities ---- */

static void it_is_a_modern_device(void **state)
{
	(void)state;
	assert_int_equal(config(PCI_VENDOR_ID, 4), 0x10441af4);
	assert_true(config(PCI_REVISION_ID, 1) >= 1);
	assert_true(config(PCI_SUBSYSTEM_ID, 2) >= 0x40);
	assert_int_equal(config(PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(d.config, 0); /* entropy has no configuration */
	assert_int_equal(d.notify_multiplier, 4);
	assert_int_equal(pci.msix.vectors, 2);
}

static void structures_lie_inside_their_bars(void **state)
{
	unsigned cap = (unsigned)config(PCI_CAPABILITY_LIST, 1), seen = 0;

	(void)state;
	for (; cap; cap = (unsigned)config(cap + 1, 1)) {
		unsigned bar = (unsigned)config(cap + VIRTIO_PCI_CAP_BAR, 1);
		uint64_t end;

		if (config(cap, 1) != PCI_CAP_ID_VNDR)
			continue;
		seen |= 1u << config(cap + VIRTIO_PCI_CAP_CFG_TYPE, 1);
		assert_true(config(cap + VIRTIO_PCI_CAP_LEN, 1) >= 16);
		end = config(cap + VIRTIO_PCI_CAP_OFFSET, 4) +
		      config(cap + VIRTIO_PCI_CAP_LENGTH, 4);
		assert_true(bar < 6);
		assert_true(end <= pci.function.bar[bar].size);
	}
	assert_int_equal(seen, 1 << VIRTIO_PCI_CAP_COMMON_CFG | 1 << VIRTIO_PCI_CAP_NOTIFY_CFG |
				       1 << VIRTIO_PCI_CAP_ISR_CFG | 1 << VIRTIO_PCI_CAP_PCI_CFG);
}

/* ---- registers ---- */

static bool is_field(unsigned offset, unsigned size)
{
	const uint8_t sizes[COMMON_END] = {
		[0] = 4,  [4] = 4,  [8] = 4,  [12] = 4, [16] = 2, [18] = 2, [20] = 1,
		[21] = 1, [22] = 2, [24] = 2, [26] = 2, [28] = 2, [30] = 2, [32] = 4,
		[36] = 4, [40] = 4, [44] = 4, [48] = 4, [52] = 4, [56] = 2, [58] = 2};

	if (size == 8)
		return offset == 32 || offset == 40 || offset == 48;
	return offset < COMMON_END && sizes[offset] == size;
}

static void fields_are_read_in_their_own_size(void **state)
{
	(void)state;
	for (unsigned offset = 0; offset < 4096 - 8; offset++)
		for (unsigned size = 1; size <= 8; size++) {
			uint64_t before = pci.refused;
			uint64_t value = vw_get(&d, offset, size);

			assert_int_equal(pci.refused - before, !is_field(offset, size));
			if (!is_field(offset, size))
				assert_int_equal(value, sx_bus_all_ones(size));
		}
}

/* The registers that keep what is written, and those that do not. */
static void writes_in_other_sizes_change_nothing(void **state)
{
	(void)state;
	for (unsigned offset = 0; offset < 128; offset++)
		for (unsigned size = 1; size <= 8; size++) {
			uint8_t before[COMMON_END], after[COMMON_END];

			if (is_field(offset, size))
				continue;
			for (unsigned i = 0; i < COMMON_END; i++)
				before[i] = is_field(i, 1)   ? (uint8_t)vw_get(&d, i, 1)
					    : is_field(i, 2) ? (uint8_t)vw_get(&d, i, 2)
					    : is_field(i, 4) ? (uint8_t)vw_get(&d, i, 4)
							     : 0;
			vw_set(&d, offset, size, 0x0101010101010101);
			for (unsigned i = 0; i < COMMON_END; i++)
				after[i] = is_field(i, 1)   ? (uint8_t)vw_get(&d, i, 1)
					   : is_field(i, 2) ? (uint8_t)vw_get(&d, i, 2)
					   : is_field(i, 4) ? (uint8_t)vw_get(&d, i, 4)
							    : 0;
			assert_memory_equal(before, after, COMMON_END);
		}
}

static void read_only_fields_stay(void **state)
{
	const struct {
		unsigned offset, size;
	} fixed[] = {{VIRTIO_PCI_COMMON_DF, 4},
		     {VIRTIO_PCI_COMMON_NUMQ, 2},
		     {VIRTIO_PCI_COMMON_CFGGENERATION, 1},
		     {VIRTIO_PCI_COMMON_Q_NOFF, 2},
		     {VIRTIO_PCI_COMMON_Q_NDATA, 2}};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		uint64_t was = vw_get(&d, fixed[i].offset, fixed[i].size);

		vw_set(&d, fixed[i].offset, fixed[i].size, ~was);
		assert_int_equal(vw_get(&d, fixed[i].offset, fixed[i].size), was);
	}
	assert_int_equal(pci.refused, 5);
}

static void a_queue_that_is_not_there_reads_as_zero(void **state)
{
	(void)state;
	vw_set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_SELECT, 2), 1);
	for (unsigned offset = VIRTIO_PCI_COMMON_Q_SIZE; offset < COMMON_END; offset += 2)
		if (is_field(offset, 2)) {
			vw_set(&d, offset, 2, 1);
			assert_int_equal(vw_get(&d, offset, 2), 0);
		} else if (is_field(offset, 4)) {
			vw_set(&d, offset, 4, 1);
			assert_int_equal(vw_get(&d, offset, 4), 0);
		}
	vw_set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0xffff);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	assert_int_equal(rng.dev.queue[0].running, 0);
}

static void addresses_are_written_in_halves_or_whole(void **state)
{
	(void)state;
	for (unsigned at = VIRTIO_PCI_COMMON_Q_DESCLO; at <= VIRTIO_PCI_COMMON_Q_USEDLO; at += 8) {
		vw_set(&d, at + 4, 4, 0x11223344);
		vw_set(&d, at, 4, 0x55667788);
		assert_int_equal(vw_get(&d, at, 8), 0x1122334455667788);
		vw_set(&d, at, 8, 0xaabbccdd00112233);
		assert_int_equal(vw_get(&d, at + 4, 4), 0xaabbccdd);
		assert_int_equal(vw_get(&d, at, 4), 0x00112233);
	}
}

static void a_queue_in_use_keeps_its_set_up(void **state)
{
	uint64_t refused, was;

	(void)state;
	assert_int_equal(vw_negotiate(&d, 0), 0);
	vw_add_queue(&d, 16);
	vw_start(&d);
	was = vw_get(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 8);
	refused = pci.refused + rng.dev.refused;
	vw_set(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(pci.refused + rng.dev.refused, refused + 5);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 8), was);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	assert_true(draw(64));
}

static void a_queue_needs_features_first(void **state)
{
	(void)state;
	vw_set(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
}

static void vectors_that_are_not_there_become_none(void **state)
{
	const unsigned field[] = {VIRTIO_PCI_COMMON_MSIX, VIRTIO_PCI_COMMON_Q_MSIX};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(vw_get(&d, field[i], 2), VIRTIO_MSI_NO_VECTOR);
		vw_set(&d, field[i], 2, 1);
		assert_int_equal(vw_get(&d, field[i], 2), 1);
		vw_set(&d, field[i], 2, 2);
		assert_int_equal(vw_get(&d, field[i], 2), VIRTIO_MSI_NO_VECTOR);
		vw_set(&d, field[i], 2, 0);
		assert_int_equal(vw_get(&d, field[i], 2), 0);
		vw_set(&d, field[i], 2, VIRTIO_MSI_NO_VECTOR);
		assert_int_equal(vw_get(&d, field[i], 2), VIRTIO_MSI_NO_VECTOR);
	}
}

static void beside_the_structures_is_nothing(void **state)
{
	(void)state;
	assert_int_equal(vw_read(&w, d.isr + 1, 1), 0xff);
	assert_int_equal(vw_read(&w, d.isr, 4), 0xffffffff);
	vw_write(&w, d.isr, 1, 3);
	assert_int_equal(vw_read(&w, d.isr, 1), 0);
	assert_int_equal(vw_read(&w, d.common + 0x2000, 4), 0xffffffff);
	vw_write(&w, d.common + 0x2000, 4, 1);
	assert_int_equal(vw_read(&w, d.notify, 2), 0xffff);
	vw_write(&w, d.notify + 2, 2, 0); /* between two queues */
	vw_write(&w, d.notify, 8, 0);     /* too wide */
	vw_write(&w, d.notify + 4, 2, 1); /* of no queue */
	vw_write(&w, d.notify + 0xffc, 4, 1);
	assert_int_equal(pci.refused, 6);
	assert_int_equal(rng.dev.refused, 4);
	assert_int_equal(rng.dev.queue[0].stats.kicks, 0);
}

/* ---- the window ---- */

static uint64_t window_read(unsigned bar, uint32_t offset, unsigned size)
{
	set_config(d.window + VIRTIO_PCI_CAP_BAR, 1, bar);
	set_config(d.window + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	set_config(d.window + VIRTIO_PCI_CAP_LENGTH, 4, size);
	return config(d.window + 16, size && size < 4 ? size : 4);
}

static void window_write(unsigned bar, uint32_t offset, unsigned size, uint32_t value)
{
	set_config(d.window + VIRTIO_PCI_CAP_BAR, 1, bar);
	set_config(d.window + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	set_config(d.window + VIRTIO_PCI_CAP_LENGTH, 4, size);
	set_config(d.window + 16, size && size < 4 ? size : 4, value);
}

/* A driver that can reach nothing but configuration space (4.1.4.9) drives the whole device. */
static void the_window_leads_to_all_registers(void **state)
{
	(void)state;
	set_config(PCI_COMMAND, 2, 0); /* the BARs are mapped nowhere */
	window_write(0, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(window_read(0, VIRTIO_PCI_COMMON_STATUS, 1), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	window_write(0, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	assert_int_equal(window_read(0, VIRTIO_PCI_COMMON_DF, 4), sx_virtio_offered(&rng.dev, 1));
	assert_int_equal(window_read(0, VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	window_write(4, PCI_MSIX_ENTRY_DATA, 4, 0x12345678);
	assert_int_equal(window_read(4, PCI_MSIX_ENTRY_DATA, 4), 0x12345678);
	window_write(2, 0, 2, 0);
	assert_int_equal(rng.dev.queue[0].stats.kicks, 1);
	assert_int_equal(pci.refused, 0);
}

static void the_window_does_not_lead_elsewhere(void **state)
{
	const struct {
		unsigned bar;
		uint32_t offset;
		unsigned size;
	} bad[] = {{1, 0, 4},      {5, 0, 4},         {6, 0, 4},  {255, 0, 4},
		   {0, 2, 4},      {0, 1, 2},         {0, 0, 3},  {0, 0, 0},
		   {0, 0, 8},      {0, 0x4000, 4},    {0, 0, 16}, {0, 0xfffffffc, 4},
		   {4, 0x2000, 4}, {0, 0, 0x80000004}};
	unsigned count = sizeof(bad) / sizeof(bad[0]);

	(void)state;
	for (unsigned i = 0; i < count; i++) {
		uint64_t before = pci.refused + pci.function.refused;

		window_write(bad[i].bar, bad[i].offset, bad[i].size, 1);
		window_read(bad[i].bar, bad[i].offset, bad[i].size);
		assert_int_equal(pci.refused + pci.function.refused, before + 2);
	}
	assert_int_equal(vw_status(&d), 0);
}

/* ---- interrupts ---- */

static void without_msix_the_status_tells(void **state)
{
	(void)state;
	assert_int_equal(vw_negotiate(&d, 0), 0);
	vw_add_queue(&d, 16);
	vw_start(&d);
	set_config(d.msix_cap + PCI_MSIX_FLAGS, 2, 0);
	assert_true(draw(8));
	assert_int_equal(vw_read(&w, d.isr, 1), 1);
	assert_int_equal(vw_read(&w, d.isr, 1), 0);
	sx_virtio_config_set(&rng.dev, 0, NULL, 0, true);
	assert_true(draw(8));
	assert_int_equal(vw_read(&w, d.isr, 1), 3);
	assert_int_equal(vw_read(&w, d.isr, 1), 0);
	/* With MSI-X the status stays silent. */
	set_config(d.msix_cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_true(draw(8));
	assert_int_equal(vw_read(&w, d.isr, 1), 0);
	assert_int_equal(vw_queue_interrupts(&d, 0), 1);
	/* And with no vector nothing is sent. */
	vw_set(&d, VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
	assert_true(draw(8));
	assert_int_equal(vw_queue_interrupts(&d, 0), 0);
	assert_int_equal(vw_read(&w, d.isr, 1), 0);
}

/* ---- notifications ---- */

static void a_shared_page_takes_notifications_in(void **state)
{
	struct sx_virtio_env env = vw_env(&w, true);

	(void)state;
	close_device();
	open_world(env);
	assert_int_equal(vw_negotiate(&d, 0), 0);
	vw_add_queue(&d, 16);
	vw_start(&d);
	sx_virtio_device_poll(&rng.dev);
	for (unsigned i = 0; i < 10; i++) {
		vw_notify(&d, 0);
		vw_write(&w, d.notify + 0x800, 8, UINT64_MAX);
		assert_true(draw(100));
	}
	assert_int_equal(rng.dev.queue[0].stats.kicks, 0);
	assert_int_equal(pci.refused + rng.dev.refused, 0);
	/* On sidecores that may sleep it has to be an exit. */
	env.may_sleep = true;
	close_device();
	open_world(env);
	vw_notify(&d, 0);
	vw_write(&w, d.notify, 2, 0);
	assert_int_equal(rng.dev.queue[0].stats.kicks, 1);
}

/* ---- entropy ---- */

static void entropy_comes_in_any_amount(void **state)
{
	(void)state;
	assert_int_equal(vw_negotiate(&d, 0), 0);
	vw_add_queue(&d, 0);
	vw_start(&d);
	assert_true(draw(1));
	assert_true(draw(64));
	assert_true(draw(4096));
	assert_false(draw(65536)); /* as much as a turn gives, and no more */
	assert_int_equal(rng.bytes, 1 + 64 + 4096 + 4096);
}

static void each_turn_gives_a_bounded_amount(void **state)
{
	sx_gpa gpa = vd_alloc(&w.memory, 64ul * 1024, 1);
	uint32_t len;
	void *token;

	(void)state;
	close_device();
	open_world(vw_env(&w, true));
	assert_int_equal(vw_negotiate(&d, 0), 0);
	vw_add_queue(&d, 64);
	vw_start(&d);
	sx_virtio_device_poll(&rng.dev);
	for (unsigned i = 0; i < 16; i++) {
		const struct vd_buffer b[] = {{gpa + i * 4096ul, 1000},
					      {gpa + i * 4096ul + 1000, 24}};

		assert_int_equal(vd_add(&d.queue[0], b, 0, 2, NULL), 0);
	}
	vd_publish(&d.queue[0]);
	for (unsigned turn = 0; turn < 4; turn++) {
		assert_int_equal(sx_virtio_device_poll(&rng.dev), 4);
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(vd_take(&d.queue[0], &token, &len), 1);
			assert_int_equal(len, 1024);
		}
		assert_int_equal(vd_take(&d.queue[0], &token, &len), 0);
	}
	assert_int_equal(sx_virtio_device_poll(&rng.dev), 0);
}

static void entropy_is_not_asked_for_by_a_readable_buffer(void **state)
{
	const struct vd_buffer b[] = {{0, 16}, {16, 16}};

	(void)state;
	assert_int_equal(vw_negotiate(&d, 0), 0);
	vw_add_queue(&d, 16);
	vw_start(&d);
	assert_int_equal(vd_add(&d.queue[0], b, 1, 1, NULL), 0);
	vw_kick(&d, 0);
	assert_true(vw_status(&d) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_string_equal(rng.dev.fault, "a buffer for random bytes cannot be written");
}

static void a_device_without_a_slot_is_taken_apart(void **state)
{
	const struct sx_virtio_env env = vw_env(&w, true);
	struct sx_virtio_rng other;
	struct sx_virtio_pci p;
	struct sx_error err = {""};

	(void)state;
	assert_int_equal(sx_virtio_rng_init(&other, &env, NULL), 0);
	assert_int_equal(sx_virtio_pci_init(&p, &other.dev, &w.host, (int)devfn, &err), -EBUSY);
	assert_non_null(strstr(err.text, "taken by virtio-rng"));
	sx_virtio_pci_destroy(&p);
	sx_virtio_rng_destroy(&other);
	assert_int_equal(vw_negotiate(&d, 0), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(it_is_a_modern_device),
		CASE(structures_lie_inside_their_bars),
		CASE(fields_are_read_in_their_own_size),
		CASE(writes_in_other_sizes_change_nothing),
		CASE(read_only_fields_stay),
		CASE(a_queue_that_is_not_there_reads_as_zero),
		CASE(addresses_are_written_in_halves_or_whole),
		CASE(a_queue_in_use_keeps_its_set_up),
		CASE(a_queue_needs_features_first),
		CASE(vectors_that_are_not_there_become_none),
		CASE(beside_the_structures_is_nothing),
		CASE(the_window_leads_to_all_registers),
		CASE(the_window_does_not_lead_elsewhere),
		CASE(without_msix_the_status_tells),
		CASE(a_shared_page_takes_notifications_in),
		CASE(entropy_comes_in_any_amount),
		CASE(each_turn_gives_a_bounded_amount),
		CASE(entropy_is_not_asked_for_by_a_readable_buffer),
		CASE(a_device_without_a_slot_is_taken_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
