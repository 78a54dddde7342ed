// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-balloon: what it and its driver tell each other beside pages: statistics, the target, how
 * far the driver is.
 */
#include "tests/unit/test_virtio_balloon_world.h"

/* ---- statistics ---- */

static sx_gpa make_stats(const struct virtio_balloon_stat *s, unsigned n)
{
	sx_gpa gpa = vd_alloc(&ba.w.memory, n * sizeof(*s), 2);

	memcpy(vd_at(&ba.w.memory, gpa), s, n * sizeof(*s));
	return gpa;
}

static void tell(uint64_t free_memory)
{
	const struct virtio_balloon_stat s[] = {
		{htole16(VIRTIO_BALLOON_S_MEMFREE), htole64(free_memory)},
		{htole16(VIRTIO_BALLOON_S_MEMTOT), htole64(BA_RAM)},
		{htole16(0xffff), htole64(1)},
		{htole16(SX_BALLOON_STATS), htole64(2)},
	};

	ba_add(BA_STATS, make_stats(s, 4), sizeof(s), false);
	sx_virtio_device_poll(&ba.balloon.dev);
}

static void statistics_are_kept_until_news_are_wanted(void **state)
{
	(void)state;
	assert_true(ba.balloon.counts.stat[VIRTIO_BALLOON_S_MEMFREE] == UINT64_MAX);
	tell(5000);
	assert_int_equal(ba.balloon.counts.stat[VIRTIO_BALLOON_S_MEMFREE], 5000);
	assert_int_equal(ba.balloon.counts.stat[VIRTIO_BALLOON_S_MEMTOT], BA_RAM);
	for (unsigned i = 0; i < SX_BALLOON_STATS; i++)
		assert_true(i == VIRTIO_BALLOON_S_MEMFREE || i == VIRTIO_BALLOON_S_MEMTOT ||
			    ba.balloon.counts.stat[i] == UINT64_MAX);
	sx_virtio_device_poll(&ba.balloon.dev);
	assert_false(ba_taken(BA_STATS));
	sx_virtio_balloon_refresh(&ba.balloon);
	sx_virtio_device_poll(&ba.balloon.dev);
	assert_true(ba_taken(BA_STATS));
	assert_int_equal(vw_queue_interrupts(&ba.d, BA_STATS), 1);
	tell(6000);
	assert_int_equal(ba.balloon.counts.stat[VIRTIO_BALLOON_S_MEMFREE], 6000);
	assert_false(ba_taken(BA_STATS));
}

static void news_that_were_on_their_way_are_news(void **state)
{
	(void)state;
	sx_virtio_balloon_refresh(&ba.balloon);
	sx_virtio_device_poll(&ba.balloon.dev);
	tell(1);
	sx_virtio_ask(&ba.balloon.dev, 0);
	sx_virtio_device_poll(&ba.balloon.dev);
	assert_false(ba_taken(BA_STATS));
	/* An honest driver has one buffer. Another one sets the first free. */
	tell(2);
	assert_true(ba_taken(BA_STATS));
	assert_false(ba_taken(BA_STATS));
	assert_int_equal(ba.balloon.counts.stat[VIRTIO_BALLOON_S_MEMFREE], 2);
}

static void in_trap_mode_news_are_asked_for_at_once(void **state)
{
	(void)state;
	ba_reopen_trap();
	tell(1);
	assert_false(ba_taken(BA_STATS));
	sx_virtio_balloon_refresh(&ba.balloon);
	assert_true(ba_taken(BA_STATS));
	assert_int_equal(vw_queue_interrupts(&ba.d, BA_STATS), 1);
}

/* ---- configuration ---- */

static uint64_t config(unsigned offset)
{
	return vw_read(&ba.w, ba.d.config + offset, 4);
}

static void the_driver_is_told_the_target(void **state)
{
	struct sx_error err = {""};

	(void)state;
	assert_int_equal(config(0), 0);
	assert_true(sx_virtio_balloon_target(&ba.balloon) == BA_RAM);
	assert_int_equal(vw_config_interrupts(&ba.d), 0);
	assert_int_equal(sx_virtio_balloon_set_target(&ba.balloon, 10 << 20, &err), 0);
	assert_int_equal(config(0), (6 << 20) / BA_PAGE);
	assert_int_equal(vw_config_interrupts(&ba.d), 1);
	assert_true(sx_virtio_balloon_target(&ba.balloon) == 10 << 20);
	assert_int_equal(sx_virtio_balloon_set_target(&ba.balloon, BA_RAM + 1, &err), -EINVAL);
	assert_non_null(strstr(err.text, "16 MiB"));
	assert_int_equal(sx_virtio_balloon_set_target(&ba.balloon, 0, NULL), -EINVAL);
	assert_int_equal(config(0), (6 << 20) / BA_PAGE);
	assert_int_equal(vw_config_interrupts(&ba.d), 0);
	assert_int_equal(sx_virtio_balloon_set_target(&ba.balloon, BA_RAM, NULL), 0);
	assert_int_equal(config(0), 0);
}

static void the_driver_says_how_far_it_is(void **state)
{
	(void)state;
	assert_true(sx_virtio_balloon_actual(&ba.balloon) == BA_RAM);
	vw_write(&ba.w, ba.d.config + 4, 4, 3);
	assert_int_equal(config(4), 3);
	assert_true(sx_virtio_balloon_actual(&ba.balloon) == BA_RAM - 3 * BA_PAGE);
	vw_write(&ba.w, ba.d.config + 4, 4, 0xffffffff);
	assert_true(sx_virtio_balloon_actual(&ba.balloon) == 0);
}

static void the_driver_writes_nothing_else(void **state)
{
	uint64_t refused = ba.balloon.dev.refused;

	(void)state;
	vw_write(&ba.w, ba.d.config, 4, 77);
	vw_write(&ba.w, ba.d.config + 4, 2, 77);
	vw_write(&ba.w, ba.d.config + 6, 2, 77);
	vw_write(&ba.w, ba.d.config, 8, 77);
	vw_write(&ba.w, ba.d.config + 8, 4, 77);
	assert_int_equal(ba.balloon.dev.refused, refused + 5);
	assert_int_equal(config(0), 0);
	assert_int_equal(config(4), 0);
}

static void a_reset_empties_the_balloon(void **state)
{
	(void)state;
	ba_send_range(BA_INFLATE, BA_FIRST, 4, 1);
	tell(9);
	vw_write(&ba.w, ba.d.config + 4, 4, 4);
	assert_int_equal(sx_virtio_balloon_set_target(&ba.balloon, 8 << 20, NULL), 0);
	vw_stop(&ba.d);
	while (vw_status(&ba.d))
		sx_virtio_device_poll(&ba.balloon.dev);
	ba_assert_counts(0, 4, 0, 0);
	assert_true(sx_virtio_balloon_actual(&ba.balloon) == BA_RAM);
	assert_true(ba.balloon.counts.stat[VIRTIO_BALLOON_S_MEMFREE] == UINT64_MAX);
	/* What the host wants is still what it wants. */
	assert_true(sx_virtio_balloon_target(&ba.balloon) == 8 << 20);
	ba_bring_up(BA_ALL);
	ba_send_range(BA_INFLATE, BA_FIRST, 4, 1);
	ba_assert_counts(4, 8, 0, 0);
	sx_virtio_balloon_refresh(&ba.balloon);
	sx_virtio_device_poll(&ba.balloon.dev);
	assert_false(ba_taken(BA_STATS)); /* the buffer from before the reset is forgotten */
}

static void a_balloon_wants_memory_and_a_target_within(void **state)
{
	struct sx_virtio_balloon other;
	struct sx_virtio_env env = vw_env(&ba.w, true);
	struct sx_error err = {""};

	(void)state;
	assert_int_equal(sx_virtio_balloon_init(&other, 0, &env, &err), -EINVAL);
	assert_true(err.text[0]);
	env.ram = &ba.ram;
	err.text[0] = '\0';
	assert_int_equal(sx_virtio_balloon_init(&other, BA_RAM + 1, &env, &err), -EINVAL);
	assert_non_null(strstr(err.text, "16 MiB"));
	assert_int_equal(sx_virtio_balloon_init(&other, 5 << 20, &env, NULL), 0);
	assert_true(sx_virtio_balloon_target(&other) == 5 << 20);
	sx_virtio_balloon_destroy(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BA_TEST(statistics_are_kept_until_news_are_wanted),
		BA_TEST(news_that_were_on_their_way_are_news),
		BA_TEST(in_trap_mode_news_are_asked_for_at_once),
		BA_TEST(the_driver_is_told_the_target),
		BA_TEST(the_driver_says_how_far_it_is),
		BA_TEST(the_driver_writes_nothing_else),
		BA_TEST(a_reset_empties_the_balloon),
		BA_TEST(a_balloon_wants_memory_and_a_target_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
