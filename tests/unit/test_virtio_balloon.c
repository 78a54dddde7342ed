// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-balloon: what goes back to the host is what the guest gave or reported, and nothing else.
 */
#include "tests/unit/test_virtio_balloon_world.h"

/* ---- the balloon ---- */

static void a_page_that_is_given_goes_back_and_reads_as_zeros(void **state)
{
	const uint8_t *base = ba.ram.base;

	(void)state;
	assert_int_equal(ba_send_range(BA_INFLATE, BA_FIRST + 5, 1, 1), 1);
	assert_int_equal(ba_present(BA_FIRST + 5, 1), 0);
	ba_assert_gone(1);
	ba_assert_counts(1, 1, 0, 0);
	assert_int_equal(ba.balloon.counts.returned, BA_PAGE);
	for (unsigned i = 0; i < BA_PAGE; i++) {
		assert_int_equal(base[(BA_FIRST + 4) * BA_PAGE + i], 0xaa);
		assert_int_equal(base[(BA_FIRST + 5) * BA_PAGE + i], 0);
		assert_int_equal(base[(BA_FIRST + 6) * BA_PAGE + i], 0xaa);
	}
}

static void pages_go_back_in_whatever_order_they_come(void **state)
{
	static const uint32_t mixed[] = {BA_FIRST + 300, BA_FIRST + 302, BA_FIRST + 301,
					 BA_FIRST + 310, BA_PAGES - 1,   BA_FIRST + 309,
					 BA_FIRST + 308};

	(void)state;
	ba_send_range(BA_INFLATE, BA_FIRST, 40, 1);
	assert_int_equal(ba_present(BA_FIRST, 40), 0);
	ba_send_range(BA_INFLATE, BA_FIRST + 139, 40, -1);
	assert_int_equal(ba_present(BA_FIRST + 100, 40), 0);
	ba_send_range(BA_INFLATE, BA_FIRST + 200, 20, 2);
	assert_int_equal(ba_present(BA_FIRST + 200, 40), 20);
	ba_send_list(BA_INFLATE, mixed, 7);
	ba_assert_gone(107);
	ba_assert_counts(107, 107, 0, 0);
	assert_int_equal(ba.balloon.counts.returned, 107 * BA_PAGE);
}

static void a_page_is_in_the_balloon_once(void **state)
{
	(void)state;
	ba_send_range(BA_INFLATE, BA_FIRST, 3, 1);
	ba_send_range(BA_INFLATE, BA_FIRST + 1, 3, 1);
	ba_send_range(BA_INFLATE, BA_FIRST, 8, 0);
	ba_assert_counts(4, 4, 0, 2 + 8);
	assert_int_equal(ba.balloon.counts.returned, 4 * BA_PAGE);
	ba_assert_gone(4);
}

static void what_is_taken_out_may_come_in_again(void **state)
{
	(void)state;
	ba_send_range(BA_INFLATE, BA_FIRST, 10, 1);
	ba_send_range(BA_DEFLATE, BA_FIRST + 2, 4, 1);
	ba_assert_counts(6, 10, 4, 0);
	memset(ba_page_at(BA_FIRST + 2), 1, 4 * BA_PAGE);
	ba_assert_gone(6);
	ba_send_range(BA_INFLATE, BA_FIRST + 2, 1, 1);
	ba_assert_counts(7, 11, 4, 0);
	ba_assert_gone(7);
	/* Twice, and what never was there. */
	ba_send_range(BA_DEFLATE, BA_FIRST + 3, 1, 1);
	ba_send_range(BA_DEFLATE, BA_FIRST + 500, 2, 1);
	ba_assert_counts(7, 11, 4, 3);
	ba_assert_gone(7);
}

static void a_long_list_takes_several_turns(void **state)
{
	(void)state;
	assert_int_equal(ba_send_range(BA_INFLATE, BA_FIRST, 32, 1), 1);
	assert_int_equal(ba_send_range(BA_INFLATE, BA_FIRST + 32, 33, 1), 2);
	assert_int_equal(ba_send_range(BA_INFLATE, BA_FIRST + 100, 256, 2), 8);
	ba_assert_counts(321, 321, 0, 0);
	ba_assert_gone(321);
}

static void in_trap_mode_a_list_is_served_by_the_notification(void **state)
{
	uint32_t pfn[200];

	(void)state;
	ba_reopen_trap();
	for (unsigned i = 0; i < 200; i++)
		pfn[i] = BA_FIRST + i;
	ba_add(BA_INFLATE, ba_make_list(pfn, 200), sizeof(pfn), false);
	assert_true(ba_taken(BA_INFLATE));
	ba_assert_counts(200, 200, 0, 0);
	ba_assert_gone(200);
	assert_int_equal(vw_queue_interrupts(&ba.d, BA_INFLATE), 1);
}

static void a_list_that_shrinks_meanwhile_ends_there(void **state)
{
	uint32_t pfn[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		pfn[i] = BA_FIRST + i;
	ba.d.queue[BA_INFLATE].indirect = false;
	ba_add(BA_INFLATE, ba_make_list(pfn, 64), sizeof(pfn), false);
	sx_virtio_device_poll(&ba.balloon.dev);
	assert_false(ba_taken(BA_INFLATE));
	for (unsigned i = 0; i < 128; i++)
		if (ba.d.queue[BA_INFLATE].desc[i].len == sizeof(pfn))
			ba.d.queue[BA_INFLATE].desc[i].len = 8;
	sx_virtio_device_poll(&ba.balloon.dev);
	assert_true(ba_taken(BA_INFLATE));
	ba_assert_counts(32, 32, 0, 0);
	/* The next list is served from its beginning. */
	assert_int_equal(ba_send_range(BA_INFLATE, BA_FIRST + 64, 3, 1), 1);
	ba_assert_counts(35, 35, 0, 0);
}

/* The same with a region that says its pages are huge. */
static void a_hugepage_goes_back_when_all_of_it_is_given(void **state)
{
	const unsigned pages = BA_HUGE / BA_PAGE;

	(void)state;
	ba.ram.page_size = BA_HUGE;
	ba_send_range(BA_INFLATE, 2 * pages + 1, pages - 1, 1);
	ba_assert_gone(0);
	ba_send_range(BA_INFLATE, 4 * pages + 7, pages, 1); /* parts of two */
	ba_assert_gone(0);
	ba_send_range(BA_INFLATE, 2 * pages, 1, 1);
	assert_int_equal(ba_present(2 * pages, pages), 0);
	ba_assert_gone(pages);
	assert_int_equal(ba.balloon.counts.returned, BA_HUGE);
	/* One of its pages is out and in again; so is it. */
	ba_send_range(BA_DEFLATE, 2 * pages + 9, 1, 1);
	memset((uint8_t *)ba.ram.base + 2 * BA_HUGE, 7, 1);
	ba_send_range(BA_INFLATE, 2 * pages + 9, 1, 1);
	assert_int_equal(ba_present(2 * pages, pages), 0);
	assert_int_equal(ba.balloon.counts.returned, 2 * BA_HUGE);
	ba_assert_counts(2ul * pages, 2ul * pages + 1, 1, 0);
}

/* ---- reports of free pages ---- */

static void what_is_reported_free_goes_back(void **state)
{
	const struct vd_buffer b[3] = {{(BA_FIRST + 10) * BA_PAGE, 10 * BA_PAGE},
				       {(BA_FIRST + 100) * BA_PAGE, 4 * BA_PAGE},
				       {(BA_FIRST + 50) * BA_PAGE, BA_PAGE}};

	(void)state;
	assert_int_equal(vd_add(&ba.d.queue[BA_REPORTS], b, 0, 3, NULL), 0);
	vw_kick(&ba.d, BA_REPORTS);
	assert_int_equal(ba_turns_until_taken(BA_REPORTS), 1);
	assert_int_equal(ba_present(BA_FIRST + 10, 10), 0);
	assert_int_equal(ba_present(BA_FIRST + 100, 4), 0);
	assert_int_equal(ba_present(BA_FIRST + 50, 1), 0);
	ba_assert_gone(15);
	assert_int_equal(ba.balloon.counts.reported, 15 * BA_PAGE);
	assert_int_equal(ba.balloon.counts.returned, 15 * BA_PAGE);
	ba_assert_counts(0, 0, 0, 0);
	/* They may be used at once, and be reported again. */
	memset(ba_page_at(BA_FIRST + 50), 3, BA_PAGE);
	ba_add(BA_REPORTS, (BA_FIRST + 50) * BA_PAGE, BA_PAGE, true);
	assert_int_equal(ba_turns_until_taken(BA_REPORTS), 1);
	ba_assert_gone(15);
	assert_int_equal(ba.balloon.counts.returned, 16 * BA_PAGE);
}

static void a_large_report_takes_several_turns(void **state)
{
	const unsigned pages = 5 * BA_HUGE / BA_PAGE + 1;

	(void)state;
	ba_add(BA_REPORTS, BA_FIRST * BA_PAGE, pages * BA_PAGE, true);
	sx_virtio_device_poll(&ba.balloon.dev);
	assert_false(ba_taken(BA_REPORTS));
	ba_assert_gone(BA_HUGE / BA_PAGE);
	assert_int_equal(ba_turns_until_taken(BA_REPORTS), 5);
	assert_int_equal(ba_present(BA_FIRST, pages), 0);
	ba_assert_gone(pages);
	assert_int_equal(ba.balloon.counts.reported, pages * BA_PAGE);
}

static void a_report_in_many_pieces_takes_several_turns(void **state)
{
	struct vd_buffer b[60];

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		b[i] = (struct vd_buffer){(BA_FIRST + 2 * i) * BA_PAGE, BA_PAGE};
	assert_int_equal(vd_add(&ba.d.queue[BA_REPORTS], b, 0, 60, NULL), 0);
	vw_kick(&ba.d, BA_REPORTS);
	assert_int_equal(ba_turns_until_taken(BA_REPORTS), 2);
	ba_assert_gone(60);
	assert_int_equal(ba_present(BA_FIRST, 120), 60);
}

static void only_whole_pages_of_a_report_go_back(void **state)
{
	(void)state;
	ba_add(BA_REPORTS, BA_FIRST * BA_PAGE + 1, 3 * BA_PAGE, true);
	ba_turns_until_taken(BA_REPORTS);
	assert_int_equal(ba_present(BA_FIRST, 4), 2);
	ba_add(BA_REPORTS, (BA_FIRST + 8) * BA_PAGE + 100, 2000, true);
	ba_turns_until_taken(BA_REPORTS);
	ba_assert_gone(2);
	assert_int_equal(ba.balloon.counts.returned, 2 * BA_PAGE);
	ba.ram.page_size = BA_HUGE;
	ba_add(BA_REPORTS, 2 * BA_HUGE + BA_PAGE, 2 * BA_HUGE, true);
	ba_turns_until_taken(BA_REPORTS);
	assert_int_equal(ba.balloon.counts.returned, 2 * BA_PAGE);
	assert_int_equal(ba.balloon.counts.reported, 3 * BA_PAGE + 2000 + 2 * BA_HUGE);
	ba_add(BA_REPORTS, 4 * BA_HUGE, 2 * BA_HUGE, true);
	ba_turns_until_taken(BA_REPORTS);
	ba_assert_gone(2 + 2 * BA_HUGE / BA_PAGE);
	assert_int_equal(ba.balloon.counts.returned, 2 * BA_PAGE + 2 * BA_HUGE);
}

/* Drivers number queues with and without gaps for those that are not there (balloon.c). */
static void reports_come_by_any_queue_that_has_no_other_use(void **state)
{
	(void)state;
	ba_add(BA_HINTS, BA_FIRST * BA_PAGE, BA_PAGE, true);
	ba_turns_until_taken(BA_HINTS);
	ba_assert_gone(1);
	ba_restart(BA_BIT(VIRTIO_BALLOON_F_REPORTING));
	ba_add(BA_STATS, (BA_FIRST + 1) * BA_PAGE, BA_PAGE, true);
	ba_turns_until_taken(BA_STATS);
	ba_assert_gone(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BA_TEST(a_page_that_is_given_goes_back_and_reads_as_zeros),
		BA_TEST(pages_go_back_in_whatever_order_they_come),
		BA_TEST(a_page_is_in_the_balloon_once),
		BA_TEST(what_is_taken_out_may_come_in_again),
		BA_TEST(a_long_list_takes_several_turns),
		BA_TEST(in_trap_mode_a_list_is_served_by_the_notification),
		BA_TEST(a_list_that_shrinks_meanwhile_ends_there),
		BA_TEST(a_hugepage_goes_back_when_all_of_it_is_given),
		BA_TEST(what_is_reported_free_goes_back),
		BA_TEST(a_large_report_takes_several_turns),
		BA_TEST(a_report_in_many_pieces_takes_several_turns),
		BA_TEST(only_whole_pages_of_a_report_go_back),
		BA_TEST(reports_come_by_any_queue_that_has_no_other_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
