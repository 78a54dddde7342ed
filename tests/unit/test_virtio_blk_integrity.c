// SPDX-License-Identifier: BSD-3-Clause
/*
 * Thousands of random requests on several queues: every read gives what was written last, however
 * the rings are laid out, and wherever the image and the guest's buffers lie.
 */
#include "tests/unit/test_virtio_blk_traffic.h"

#define REQUESTS 4000
#define QUEUES   3

static struct bt_disk b;
static struct bt_traffic traffic;

static const uint64_t rings[] = {
	0,
	BT_BIT(VIRTIO_F_RING_PACKED),
	BT_BIT(VIRTIO_F_IN_ORDER),
	BT_BIT(VIRTIO_F_RING_PACKED) | BT_BIT(VIRTIO_F_IN_ORDER),
};

static void open_disk(const char *directory, enum sx_file_cache cache, bool polled,
		      uint64_t features)
{
	const struct sx_virtio_blk_config config = {.queues = QUEUES, .file = {.cache = cache}};

	memset(&b, 0, sizeof(b));
	bt_make_image(b.path, sizeof(b.path), directory, BT_DISK_SIZE);
	bt_plug(&b, &config, polled);
	bt_bring_up(&b, features, 128);
}

static void use(const char *directory, enum sx_file_cache cache, bool polled, uint64_t features,
		uint32_t misaligned)
{
	struct sx_virtio_blk_stats stats;

	open_disk(directory, cache, polled, features);
	bt_traffic_init(&traffic, &b, (uint32_t)features + misaligned, misaligned);
	for (unsigned i = 0; i < QUEUES; i++)
		b.d.queue[i].indirect = i == 1;
	bt_run(&traffic, REQUESTS);
	bt_compare(&traffic);
	stats = bt_stats(&b);
	assert_int_equal(stats.reads + stats.writes + stats.flushes + stats.zeroes, REQUESTS);
	assert_int_equal(stats.failed + stats.refused + stats.unsupported, 0);
	if (b.blk.file.direct && !misaligned)
		assert_int_equal(bt_file_stats(&b).bounced, 0);
	bt_close(&b);
}

static void through_the_page_cache(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
		use(BT_DISK, SX_FILE_CACHED, i & 1, BT_FEATURES | rings[i], 4);
}

static void past_the_page_cache_if_that_can_be(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
		use(BT_DISK, SX_FILE_AUTO, !(i & 1), BT_FEATURES | rings[i], 4);
	use(BT_DISK, SX_FILE_AUTO, true, BT_FEATURES, 0);
}

static void on_a_file_system_in_memory(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
		use(BT_TMPFS, SX_FILE_AUTO, i & 1, BT_FEATURES | rings[i], 4);
}

static void with_every_write_stable(void **state)
{
	const uint64_t features = BT_FEATURES & ~BT_BIT(VIRTIO_BLK_F_FLUSH);

	(void)state;
	use(BT_TMPFS, SX_FILE_CACHED, true, features, 4);
	use(BT_TMPFS, SX_FILE_AUTO, false, features | BT_BIT(VIRTIO_F_RING_PACKED), 4);
}

/* The driver resets the device, and single queues, with requests under way, and goes on. */
static void resets_leave_the_rest_of_the_disk_alone(void **state)
{
	(void)state;
	open_disk(BT_DISK, SX_FILE_AUTO, false, BT_FEATURES);
	for (unsigned round = 0; round < 40; round++) {
		bt_traffic_init(&traffic, &b, round, 2);
		bt_peek(&b, 0, traffic.model, BT_DISK_SIZE);
		bt_run(&traffic, 50);
		bt_compare(&traffic);
		for (unsigned i = 0; i < BT_SLOTS; i++)
			bt_try_send(&traffic, &traffic.slot[i]);
		for (unsigned i = 0; i < QUEUES; i++)
			vw_kick(&b.d, i);
		vw_stop(&b.d);
		while (vw_status(&b.d))
			;
		b.w.memory.used = 0; /* nothing of the old life is used any more */
		bt_bring_up(&b, BT_FEATURES | rings[round % 4], 128);
	}
	bt_close(&b);
}

/* Requests are with the kernel when the device goes away. */
static void a_device_can_go_at_any_time(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 30; round++) {
		open_disk(BT_DISK, round & 1 ? SX_FILE_AUTO : SX_FILE_CACHED, true, BT_FEATURES);
		bt_traffic_init(&traffic, &b, round, 4);
		for (unsigned i = 0; i < BT_SLOTS; i++)
			bt_try_send(&traffic, &traffic.slot[i]);
		for (unsigned i = 0; i < QUEUES; i++)
			vw_kick(&b.d, i);
		for (unsigned i = 0; i < round % QUEUES; i++)
			sx_virtio_device_poll(&b.blk.dev);
		while (b.d.queues)
			vd_queue_destroy(&b.d.queue[--b.d.queues]);
		bt_unplug(&b);
		unlink(b.path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(through_the_page_cache),
		cmocka_unit_test(past_the_page_cache_if_that_can_be),
		cmocka_unit_test(on_a_file_system_in_memory),
		cmocka_unit_test(with_every_write_stable),
		cmocka_unit_test(resets_leave_the_rest_of_the_disk_alone),
		cmocka_unit_test(a_device_can_go_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
