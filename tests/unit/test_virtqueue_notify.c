// SPDX-License-Identifier: BSD-3-Clause
/*
 * The queue engine's notifications: sent exactly when they are wanted, in both directions; and
 * what the driver sees when buffers are used in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/virtio_pair.h"

/* ---- notifications of the device ---- */

static void a_quiet_device_is_not_kicked(void **state)
{
	const uint64_t features[] = {0, EVENT, PACKED, PACKED | EVENT};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct pair p;

		pair_open(&p, 8, features[i]);
		p.device.polled = true;
		sx_virtqueue_disable_notify(&p.device);
		for (unsigned round = 0; round < 1000; round++) {
			assert_false(pair_offer(&p, 1 + round % 8));
			pair_use(&p, 1 + round % 8);
			pair_take(&p, 1 + round % 8);
		}
		/* All of them were found by looking. */
		assert_int_equal(p.device.stats.absorbed, p.device.stats.batches);
		pair_close(&p);
	}
}

static void a_device_that_asks_is_kicked_once(void **state)
{
	const uint64_t features[] = {EVENT, PACKED | EVENT};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct pair p;

		pair_open(&p, 8, features[i]);
		for (unsigned round = 0; round < 1000; round++) {
			assert_false(sx_virtqueue_enable_notify(&p.device));
			assert_true(pair_offer(&p, 1 + round % 3));
			/* It has not asked again. */
			assert_false(pair_offer(&p, 1));
			assert_false(pair_offer(&p, 1));
			pair_use(&p, 3 + round % 3);
			pair_take(&p, 3 + round % 3);
		}
		pair_close(&p);
	}
}

static void without_event_index_each_publish_kicks(void **state)
{
	const uint64_t features[] = {0, PACKED};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct pair p;

		pair_open(&p, 8, features[i]);
		assert_true(pair_offer(&p, 1));
		assert_true(pair_offer(&p, 2));
		sx_virtqueue_disable_notify(&p.device);
		assert_false(pair_offer(&p, 1));
		pair_use(&p, 4);
		assert_false(sx_virtqueue_enable_notify(&p.device));
		assert_true(pair_offer(&p, 1));
		pair_close(&p);
	}
}

static void asking_tells_of_what_is_there_already(void **state)
{
	const uint64_t features[] = {0, EVENT, PACKED, PACKED | EVENT};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct pair p;

		pair_open(&p, 4, features[i]);
		sx_virtqueue_disable_notify(&p.device);
		pair_offer(&p, 1);
		assert_true(sx_virtqueue_enable_notify(&p.device));
		pair_use(&p, 1);
		assert_false(sx_virtqueue_enable_notify(&p.device));
		pair_close(&p);
	}
}

/* ---- interrupts ---- */

static void an_interrupt_comes_with_each_flush_that_wants_one(void **state)
{
	const uint64_t features[] = {0, PACKED};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct pair p;

		pair_open(&p, 8, features[i]);
		pair_offer(&p, 8);
		assert_int_equal(pair_use(&p, 3), 1);
		assert_int_equal(pair_use(&p, 1), 1);
		vd_want_interrupt(&p.driver, false);
		assert_int_equal(pair_use(&p, 2), 0);
		assert_true(vd_want_interrupt(&p.driver, true));
		assert_int_equal(pair_use(&p, 2), 1);
		assert_int_equal(pair_use(&p, 0), 0);
		assert_int_equal(p.device.stats.interrupts, 3);
		assert_int_equal(p.device.stats.suppressed, 1);
		pair_close(&p);
	}
}

/* With an event index the interrupt comes when that entry is used, wherever the ring wraps. */
static void an_event_index_is_met_exactly(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, 8, EVENT);
	for (unsigned round = 0; round < 40000; round++) {
		unsigned after = 1 + pair_draw(&p, 8);

		pair_offer(&p, 8);
		vd_want_interrupt_after(&p.driver, (uint16_t)after);
		for (unsigned i = 1; i <= 8; i++)
			assert_int_equal(pair_use(&p, 1), i == after);
		pair_take(&p, 8);
		pair_offer(&p, 8);
		vd_want_interrupt_after(&p.driver, (uint16_t)after);
		assert_int_equal(pair_use(&p, after - 1), 0);
		assert_int_equal(pair_use(&p, 9 - after), 1);
		pair_take(&p, 8);
	}
	pair_close(&p);
}

static void a_packed_event_is_met_exactly(void **state)
{
	const uint16_t sizes[] = {1, 2, 5, 8};

	(void)state;
	for (unsigned s = 0; s < 4; s++) {
		struct pair p;

		pair_open(&p, sizes[s], PACKED | EVENT);
		for (unsigned round = 0; round < 2000; round++) {
			unsigned n = 1 + pair_draw(&p, sizes[s]);
			unsigned first = pair_draw(&p, n);

			pair_offer(&p, n);
			/* Asked for once: for the next entry, when `first` have been used. */
			vd_want_interrupt(&p.driver, false);
			assert_int_equal(pair_use(&p, first), 0);
			pair_take(&p, first);
			assert_false(vd_want_interrupt(&p.driver, true));
			assert_int_equal(pair_use(&p, n - first), 1);
			pair_take(&p, n - first);
			/* It was met, and is behind. */
			pair_offer(&p, 1);
			assert_int_equal(pair_use(&p, 1), 0);
			pair_take(&p, 1);
		}
		pair_close(&p);
	}
}

/* ---- in order ---- */

static void chains_used_out_of_turn_wait(void **state)
{
	const uint64_t features[] = {IN_ORDER, IN_ORDER | PACKED};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct sx_vq_chain c[3];
		struct pair p;

		pair_open(&p, 8, features[i]);
		pair_offer(&p, 3);
		for (unsigned k = 0; k < 3; k++)
			pair_pop(&p, &c[k]);
		sx_virtqueue_push(&p.device, &c[2], 16);
		sx_virtqueue_push(&p.device, &c[1], 16);
		sx_virtqueue_flush(&p.device);
		assert_int_equal(p.interrupts, 0);
		pair_take(&p, 0);
		assert_int_equal(p.device.inflight, 3);
		sx_virtqueue_push(&p.device, &c[0], 16);
		sx_virtqueue_flush(&p.device);
		assert_int_equal(p.interrupts, 1);
		pair_take(&p, 3);
		assert_int_equal(p.device.inflight, 0);
		pair_close(&p);
	}
}

/* One used entry stands for all that were filled; one that was not ends the batch. */
static void a_batch_is_one_entry(void **state)
{
	struct sx_vq_chain c[5];
	uint32_t len[5];
	struct pair p;
	void *token;

	(void)state;
	pair_open(&p, 8, IN_ORDER);
	memset(p.driver.used->ring, 0xff, 8 * sizeof(p.driver.used->ring[0]));
	pair_offer(&p, 5);
	for (unsigned k = 0; k < 5; k++)
		pair_pop(&p, &c[k]);
	for (unsigned k = 0; k < 5; k++)
		sx_virtqueue_push(&p.device, &c[k], k == 2 ? 3 : 16);
	sx_virtqueue_flush(&p.device);
	assert_int_equal(p.driver.used->idx, 5);
	assert_int_equal(p.driver.used->ring[0].id, 2);
	assert_int_equal(p.driver.used->ring[0].len, 3);
	assert_int_equal(p.driver.used->ring[1].id, UINT32_MAX);
	assert_int_equal(p.driver.used->ring[2].id, UINT32_MAX);
	assert_int_equal(p.driver.used->ring[3].id, 4);
	assert_int_equal(p.driver.used->ring[4].id, UINT32_MAX);
	for (unsigned k = 0; k < 5; k++)
		assert_int_equal(vd_take(&p.driver, &token, &len[k]), 1);
	for (unsigned k = 0; k < 5; k++)
		assert_int_equal(len[k], k == 2 ? 3 : 16);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_device_is_not_kicked),
		cmocka_unit_test(a_device_that_asks_is_kicked_once),
		cmocka_unit_test(without_event_index_each_publish_kicks),
		cmocka_unit_test(asking_tells_of_what_is_there_already),
		cmocka_unit_test(an_interrupt_comes_with_each_flush_that_wants_one),
		cmocka_unit_test(an_event_index_is_met_exactly),
		cmocka_unit_test(a_packed_event_is_met_exactly),
		cmocka_unit_test(chains_used_out_of_turn_wait),
		cmocka_unit_test(a_batch_is_one_entry),
	};

	return cmocka_run_group_tests(tests, pair_set_up, pair_tear_down);
}
