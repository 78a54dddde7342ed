// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-balloon and a driver that does what no honest one does: it breaks its own device only.
 */
#include "tests/unit/test_virtio_balloon_world.h"

/* ---- refusals ---- */

/* The device has given nothing back and wants a reset; then it works again. */
static void assert_broken(unsigned gone)
{
	sx_virtio_device_poll(&ba.balloon.dev);
	assert_true(vw_status(&ba.d) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_non_null(ba.balloon.dev.fault);
	ba_assert_gone(gone);
	ba_restart(BA_ALL);
	ba_send_range(BA_INFLATE, BA_PAGES - 1, 1, 1);
	ba_send_range(BA_DEFLATE, BA_PAGES - 1, 1, 1);
	memset(ba_page_at(BA_PAGES - 1), 1, BA_PAGE);
	ba_assert_gone(gone);
}

static void what_is_no_guest_memory_is_not_given_back(void **state)
{
	static const uint32_t none[] = {BA_PAGES,         0xffffffff,        BA_BAR / BA_PAGE,
					BA_ROM / BA_PAGE, VW_ECAM / BA_PAGE, VW_LOW / BA_PAGE};

	(void)state;
	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		for (unsigned queue = BA_INFLATE; queue <= BA_DEFLATE; queue++) {
			ba_add(queue, ba_make_list(&none[i], 1), 4, false);
			assert_broken(0);
		}
}

static void pages_before_one_that_is_none_are_given_all_the_same(void **state)
{
	static const uint32_t pfn[] = {BA_FIRST, BA_FIRST + 1, BA_PAGES, BA_FIRST + 2};

	(void)state;
	ba_add(BA_INFLATE, ba_make_list(pfn, 4), sizeof(pfn), false);
	assert_broken(2);
}

static void what_is_no_list_is_refused(void **state)
{
	const uint32_t pfn[2] = {BA_FIRST, BA_FIRST + 1};
	struct vd_buffer both[2] = {{0, 8}, {BA_FIRST * BA_PAGE, 8}};

	(void)state;
	ba_add(BA_INFLATE, ba_make_list(pfn, 2), 6, false);
	assert_broken(0);
	ba_add(BA_INFLATE, ba_make_list(pfn, 2), 1, false);
	assert_broken(0);
	ba_add(BA_DEFLATE, ba_make_list(pfn, 2), 8, true);
	assert_broken(0);
	both[0].gpa = ba_make_list(pfn, 2);
	assert_int_equal(vd_add(&ba.d.queue[BA_INFLATE], both, 1, 1, NULL), 0);
	vw_kick(&ba.d, BA_INFLATE);
	assert_broken(0);
	ba_add(BA_INFLATE, 0, (1 << 20) + 4, false);
	assert_broken(0);
}

static void what_is_no_report_is_refused(void **state)
{
	const struct vd_buffer both[2] = {{BA_FIRST * BA_PAGE, BA_PAGE},
					  {(BA_FIRST + 1) * BA_PAGE, BA_PAGE}};
	const struct vd_buffer last[2] = {{BA_FIRST * BA_PAGE, BA_PAGE}, {BA_BAR, BA_PAGE}};

	(void)state;
	ba_add(BA_REPORTS, BA_FIRST * BA_PAGE, BA_PAGE, false);
	assert_broken(0);
	assert_int_equal(vd_add(&ba.d.queue[BA_REPORTS], both, 1, 1, NULL), 0);
	vw_kick(&ba.d, BA_REPORTS);
	assert_broken(0);
	ba_add(BA_REPORTS, BA_BAR, BA_PAGE, true);
	assert_broken(0);
	ba_add(BA_REPORTS, BA_ROM, BA_PAGE, true);
	assert_broken(0);
	ba_add(BA_REPORTS, BA_RAM - BA_PAGE, 2 * BA_PAGE, true);
	assert_broken(0);
	assert_int_equal(vd_add(&ba.d.queue[BA_REPORTS], last, 0, 2, NULL), 0);
	vw_kick(&ba.d, BA_REPORTS);
	assert_broken(1);
}

static void what_is_no_statistics_is_refused(void **state)
{
	(void)state;
	ba_add(BA_STATS, BA_FIRST * BA_PAGE, 100, true);
	assert_broken(0);
}

static void a_queue_without_its_feature_is_refused(void **state)
{
	(void)state;
	for (unsigned queue = BA_STATS; queue <= BA_REPORTS; queue++) {
		ba_restart(0);
		ba_add(queue, BA_FIRST * BA_PAGE, BA_PAGE, queue != BA_STATS);
		assert_broken(0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BA_TEST(what_is_no_guest_memory_is_not_given_back),
		BA_TEST(pages_before_one_that_is_none_are_given_all_the_same),
		BA_TEST(what_is_no_list_is_refused),
		BA_TEST(what_is_no_report_is_refused),
		BA_TEST(what_is_no_statistics_is_refused),
		BA_TEST(a_queue_without_its_feature_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
