// SPDX-License-Identifier: BSD-3-Clause
/*
 * A snapshot tells of each virtio device and queue what happened there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/stats.h"
#include "sidecore/virtio/rng.h"
#include "tests/support/json.h"
#include "tests/support/virtio_world.h"

#define BYTES 64

static struct vw_world w;
static struct sx_virtio_rng rng;
static struct sx_pc_device device;
static struct vw_driver d;

static int setup(void **state)
{
	struct sx_virtio_env env;

	(void)state;
	vw_init(&w, 1 << 20);
	env = vw_env(&w, false);
	device = (struct sx_pc_device){.dev = &rng.dev};
	if (sx_virtio_rng_init(&rng, &env, NULL) < 0)
		return -1;
	return sx_virtio_pci_init(&device.pci, &rng.dev, &w.host, SX_PCI_DEVFN(3, 0), NULL);
}

static int teardown(void **state)
{
	(void)state;
	sx_virtio_pci_destroy(&device.pci);
	sx_virtio_rng_destroy(&rng);
	vw_destroy(&w);
	return 0;
}

static json_t *take(void)
{
	const struct sx_stats_view view = {
		.guest = "/boot/a\x01\xe4",
		.start = 2,
		.begin_ns = 1000,
		.end_ns = 5000,
		.bus = &w.bus,
		.device = &device,
		.devices = 1,
	};
	json_t *stats = sx_stats_take(&view);

	assert_non_null(stats);
	return stats;
}

static const json_t *device_of(const json_t *stats)
{
	const json_t *list = json_object_get(stats, "virtio");

	assert_int_equal(json_array_size(list), 1);
	return json_array_get(list, 0);
}

/* Ask for @count chains of random bytes at once, by one notification. */
static void ask(unsigned count)
{
	struct vd_queue *q = &d.queue[0];
	struct vd_buffer buffer = {vd_alloc(&w.memory, BYTES, 16), BYTES};
	uint32_t length;
	void *token;

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(vd_add(q, &buffer, 0, 1, &w), 0);
	vw_kick(&d, 0);
	while (count--)
		assert_int_equal(vd_take(q, &token, &length), 1);
}

static void a_device_that_did_nothing_is_there(void **state)
{
	json_t *stats = take(), *queue;
	const json_t *dev = device_of(stats);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(dev, "name")), "virtio-rng");
	assert_string_equal(json_string_value(json_object_get(dev, "slot")), "03.0");
	assert_int_equal(json_number(dev, "faults"), 0);
	assert_true(json_is_null(json_object_get(dev, "fault")));
	assert_int_equal(json_number(json_object_get(dev, "counts"), "bytes"), 0);
	queue = json_array_get(json_object_get(dev, "queues"), 0);
	assert_int_equal(json_number(queue, "index"), 0);
	assert_int_equal(json_number(queue, "requests"), 0);
	json_decref(stats);
}

static void requests_kicks_and_interrupts_are_told(void **state)
{
	json_t *stats, *queue;

	(void)state;
	vw_bring_up(&d, &w, device.pci.function.devfn, 0, 1, 0);
	ask(1);
	ask(3);
	vd_want_interrupt(&d.queue[0], false);
	ask(2);
	stats = take();
	queue = json_array_get(json_object_get(device_of(stats), "queues"), 0);
	assert_int_equal(json_number(queue, "requests"), 6);
	assert_int_equal(json_number(queue, "kicks"), 3);
	assert_int_equal(json_number(queue, "absorbed"), 0);
	assert_int_equal(json_number(queue, "interrupts") + json_number(queue, "suppressed"), 3);
	assert_int_equal(json_number(queue, "suppressed"), 1);
	assert_int_equal(json_number(json_object_get(device_of(stats), "counts"), "bytes"),
			 6 * BYTES);
	json_decref(stats);
	vw_stop(&d);
}

static void a_fault_is_told_with_its_cause(void **state)
{
	struct vd_buffer buffer = {vd_alloc(&w.memory, BYTES, 16), BYTES};
	const json_t *dev;
	json_t *stats;

	(void)state;
	vw_bring_up(&d, &w, device.pci.function.devfn, 0, 1, 0);
	/* Random bytes cannot be written to what may only be read. */
	assert_int_equal(vd_add(&d.queue[0], &buffer, 1, 0, &w), 0);
	vw_kick(&d, 0);
	stats = take();
	dev = device_of(stats);
	assert_int_equal(json_number(dev, "faults"), 1);
	assert_string_equal(json_string_value(json_object_get(dev, "fault")),
			    "a buffer for random bytes cannot be written");
	json_decref(stats);
	vw_stop(&d);
}

static void the_run_itself_is_told(void **state)
{
	json_t *stats = take(), *range;

	(void)state;
	assert_string_equal(json_string_value(json_object_get(stats, "guest")), "/boot/a??");
	assert_string_equal(json_string_value(json_object_get(stats, "mode")), "trap");
	assert_int_equal(json_number(stats, "start"), 2);
	assert_int_equal(json_number(stats, "guest_ns"), 4000);
	range = json_member(json_object_get(stats, "devices"), "name", "pci-config");
	assert_string_equal(json_string_value(json_object_get(range, "base")), "0xe0000000");
	assert_string_equal(json_string_value(json_object_get(range, "space")), "memory");
	assert_int_equal(json_array_size(json_object_get(stats, "sidecores")), 0);
	json_decref(stats);
}

#define CASE(FUNCTION) cmocka_unit_test_setup_teardown(FUNCTION, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_device_that_did_nothing_is_there),
		CASE(requests_kicks_and_interrupts_are_told),
		CASE(a_fault_is_told_with_its_cause),
		CASE(the_run_itself_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
