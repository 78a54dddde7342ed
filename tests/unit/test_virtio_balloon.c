// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-balloon: what goes back to the host is what the guest gave, and nothing else; a hostile
 * driver breaks its own device only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_pci.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/rcu.h"
#include "sidecore/virtio/balloon.h"
#include "tests/support/virtio_world.h"

#define PAGE   ((size_t)4096)
#define RAM    (16u << 20)
#define PAGES  (RAM / PAGE)
#define HUGE   ((size_t)2 << 20)
#define FIRST  1024u /* of the pages that are given; rings and lists lie below */
#define BAR    0x40000000ull
#define ROM    0x50000000ull
#define BIT(f) SX_VIRTIO_BIT(f)
#define ALL                                                                      \
	(BIT(VIRTIO_BALLOON_F_STATS_VQ) | BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) | \
	 BIT(VIRTIO_BALLOON_F_REPORTING) | BIT(VIRTIO_RING_F_INDIRECT_DESC))

enum { INFLATE, DEFLATE, STATS, HINTS, REPORTS };

static struct vw_world w;
static struct sx_region ram;
static struct sx_virtio_balloon balloon;
static struct sx_virtio_pci pci;
static struct vw_driver d;

/* ---- the world: guest memory of a region, and beside it what is none ---- */

static void map_beside(sx_gpa gpa, unsigned flags)
{
	static uint8_t page[PAGE] __attribute__((aligned(PAGE)));

	rcu_thread_offline();
	assert_int_equal(sx_memmap_add(&w.memory.map, gpa, PAGE, page, flags, NULL), 0);
	rcu_thread_online();
}

static void open_memory(void)
{
	vw_init(&w, RAM);
	assert_int_equal(sx_region_create(&ram, "sx-test-ram", RAM, 0, NULL), 0);
	/* The world's memory becomes the region's. */
	munmap(ram.base, RAM);
	ram.base =
		mmap(w.memory.base, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, ram.fd, 0);
	assert_ptr_equal(ram.base, w.memory.base);
	map_beside(BAR, 0);
	map_beside(ROM, SX_MEMMAP_READONLY);
}

static void open_device(bool polled)
{
	struct sx_virtio_env env = vw_env(&w, polled);

	env.ram = &ram;
	assert_int_equal(sx_virtio_balloon_init(&balloon, 0, &env, NULL), 0);
	assert_int_equal(sx_virtio_pci_init(&pci, &balloon.dev, &w.host, SX_PCI_ANY, NULL), 0);
	assert_int_equal(vw_probe(&d, &w, pci.function.devfn), 0);
}

static void bring_up(uint64_t features)
{
	assert_int_equal(vw_negotiate(&d, features), 0);
	for (unsigned i = 0; i < SX_BALLOON_QUEUES; i++)
		vw_add_queue(&d, 128);
	vw_start(&d);
	sx_virtio_device_poll(&balloon.dev);
}

/* Reset the device, and use the rings' memory again: what lists were made is gone. */
static void restart(uint64_t features)
{
	vw_stop(&d);
	while (vw_status(&d))
		sx_virtio_device_poll(&balloon.dev);
	w.memory.used = 0;
	bring_up(features);
}

static int set_up(void **state)
{
	(void)state;
	open_memory();
	open_device(true);
	bring_up(ALL);
	/* All of memory is there. */
	memset((uint8_t *)ram.base + FIRST * PAGE, 0xaa, RAM - FIRST * PAGE);
	return 0;
}

static void close_device(void)
{
	while (d.queues)
		vd_queue_destroy(&d.queue[--d.queues]);
	sx_virtio_pci_destroy(&pci);
	sx_virtio_balloon_destroy(&balloon);
}

static int tear_down(void **state)
{
	(void)state;
	close_device();
	vw_destroy(&w);
	ram.base = NULL;
	close(ram.fd);
	return 0;
}

/* In trap mode instead. */
static void reopen_trap(void)
{
	close_device();
	open_device(false);
	bring_up(ALL);
}

static uint8_t *page_at(unsigned page)
{
	return (uint8_t *)ram.base + page * PAGE;
}

/* How many of the pages [first, first + count) the host has memory for. */
static unsigned present(unsigned first, unsigned pages)
{
	unsigned char map[PAGES];
	unsigned n = 0;

	assert_int_equal(mincore(page_at(first), pages * PAGE, map), 0);
	for (unsigned i = 0; i < pages; i++)
		n += map[i] & 1;
	return n;
}

/* All pages that tests give are there, but @gone of them. */
static void assert_gone(unsigned gone)
{
	assert_int_equal(present(FIRST, PAGES - FIRST), PAGES - FIRST - gone);
}

/* ---- the driver ---- */

static void add(unsigned queue, sx_gpa gpa, uint32_t len, bool writable)
{
	const struct vd_buffer b = {gpa, len};

	assert_int_equal(vd_add(&d.queue[queue], &b, !writable, writable, NULL), 0);
	vw_kick(&d, queue);
}

/* Is a chain used by now? */
static bool taken(unsigned queue)
{
	uint32_t len = 1;
	void *token;
	int rc = vd_take(&d.queue[queue], &token, &len);

	assert_true(rc >= 0);
	assert_true(!rc || len == 0);
	return rc == 1;
}

/* Let the device look until @queue's chain is used; returns how many turns that took. */
static unsigned turns_until_taken(unsigned queue)
{
	unsigned turns = 0;

	while (!taken(queue)) {
		assert_true(turns < 100000);
		sx_virtio_device_poll(&balloon.dev);
		turns++;
	}
	return turns;
}

static sx_gpa make_list(const uint32_t *pfn, unsigned pfns)
{
	sx_gpa gpa = vd_alloc(&w.memory, pfns * sizeof(*pfn), 4);
	uint32_t *to = vd_at(&w.memory, gpa);

	for (unsigned i = 0; i < pfns; i++)
		to[i] = htole32(pfn[i]);
	return gpa;
}

static unsigned send_list(unsigned queue, const uint32_t *pfn, unsigned pfns)
{
	add(queue, make_list(pfn, pfns), pfns * (unsigned)sizeof(*pfn), false);
	return turns_until_taken(queue);
}

/* @pfns pages from @first on, every @step. */
static unsigned send_range(unsigned queue, uint32_t first, unsigned pfns, int step)
{
	uint32_t pfn[PAGES];

	assert_true(pfns <= PAGES);
	for (unsigned i = 0; i < pfns; i++)
		pfn[i] = first + (uint32_t)((int)i * step);
	return send_list(queue, pfn, pfns);
}

static void assert_counts(uint64_t pages, uint64_t inflated, uint64_t deflated, uint64_t repeated)
{
	assert_int_equal(balloon.counts.pages, pages);
	assert_int_equal(balloon.counts.inflated, inflated);
	assert_int_equal(balloon.counts.deflated, deflated);
	assert_int_equal(balloon.counts.repeated, repeated);
	assert_int_equal(balloon.counts.kept, 0);
}

/* ---- the balloon ---- */

static void a_page_that_is_given_goes_back_and_reads_as_zeros(void **state)
{
	const uint8_t *base = ram.base;

	(void)state;
	assert_int_equal(send_range(INFLATE, FIRST + 5, 1, 1), 1);
	assert_int_equal(present(FIRST + 5, 1), 0);
	assert_gone(1);
	assert_counts(1, 1, 0, 0);
	assert_int_equal(balloon.counts.returned, PAGE);
	for (unsigned i = 0; i < PAGE; i++) {
		assert_int_equal(base[(FIRST + 4) * PAGE + i], 0xaa);
		assert_int_equal(base[(FIRST + 5) * PAGE + i], 0);
		assert_int_equal(base[(FIRST + 6) * PAGE + i], 0xaa);
	}
}

static void pages_go_back_in_whatever_order_they_come(void **state)
{
	static const uint32_t mixed[] = {FIRST + 300, FIRST + 302, FIRST + 301, FIRST + 310,
					 PAGES - 1,   FIRST + 309, FIRST + 308};

	(void)state;
	send_range(INFLATE, FIRST, 40, 1);
	assert_int_equal(present(FIRST, 40), 0);
	send_range(INFLATE, FIRST + 139, 40, -1);
	assert_int_equal(present(FIRST + 100, 40), 0);
	send_range(INFLATE, FIRST + 200, 20, 2);
	assert_int_equal(present(FIRST + 200, 40), 20);
	send_list(INFLATE, mixed, 7);
	assert_gone(107);
	assert_counts(107, 107, 0, 0);
	assert_int_equal(balloon.counts.returned, 107 * PAGE);
}

static void a_page_is_in_the_balloon_once(void **state)
{
	(void)state;
	send_range(INFLATE, FIRST, 3, 1);
	send_range(INFLATE, FIRST + 1, 3, 1);
	send_range(INFLATE, FIRST, 8, 0);
	assert_counts(4, 4, 0, 2 + 8);
	assert_int_equal(balloon.counts.returned, 4 * PAGE);
	assert_gone(4);
}

static void what_is_taken_out_may_come_in_again(void **state)
{
	(void)state;
	send_range(INFLATE, FIRST, 10, 1);
	send_range(DEFLATE, FIRST + 2, 4, 1);
	assert_counts(6, 10, 4, 0);
	memset(page_at(FIRST + 2), 1, 4 * PAGE);
	assert_gone(6);
	send_range(INFLATE, FIRST + 2, 1, 1);
	assert_counts(7, 11, 4, 0);
	assert_gone(7);
	/* Twice, and what never was there. */
	send_range(DEFLATE, FIRST + 3, 1, 1);
	send_range(DEFLATE, FIRST + 500, 2, 1);
	assert_counts(7, 11, 4, 3);
	assert_gone(7);
}

static void a_long_list_takes_several_turns(void **state)
{
	(void)state;
	assert_int_equal(send_range(INFLATE, FIRST, 32, 1), 1);
	assert_int_equal(send_range(INFLATE, FIRST + 32, 33, 1), 2);
	assert_int_equal(send_range(INFLATE, FIRST + 100, 256, 2), 8);
	assert_counts(321, 321, 0, 0);
	assert_gone(321);
}

static void in_trap_mode_a_list_is_served_by_the_notification(void **state)
{
	uint32_t pfn[200];

	(void)state;
	reopen_trap();
	for (unsigned i = 0; i < 200; i++)
		pfn[i] = FIRST + i;
	add(INFLATE, make_list(pfn, 200), sizeof(pfn), false);
	assert_true(taken(INFLATE));
	assert_counts(200, 200, 0, 0);
	assert_gone(200);
	assert_int_equal(vw_queue_interrupts(&d, INFLATE), 1);
}

static void a_list_that_shrinks_meanwhile_ends_there(void **state)
{
	uint32_t pfn[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		pfn[i] = FIRST + i;
	d.queue[INFLATE].indirect = false;
	add(INFLATE, make_list(pfn, 64), sizeof(pfn), false);
	sx_virtio_device_poll(&balloon.dev);
	assert_false(taken(INFLATE));
	for (unsigned i = 0; i < 128; i++)
		if (d.queue[INFLATE].desc[i].len == sizeof(pfn))
			d.queue[INFLATE].desc[i].len = 8;
	sx_virtio_device_poll(&balloon.dev);
	assert_true(taken(INFLATE));
	assert_counts(32, 32, 0, 0);
	/* The next list is served from its beginning. */
	assert_int_equal(send_range(INFLATE, FIRST + 64, 3, 1), 1);
	assert_counts(35, 35, 0, 0);
}

/* The same with a region that says its pages are huge. */
static void a_hugepage_goes_back_when_all_of_it_is_given(void **state)
{
	const unsigned pages = HUGE / PAGE;

	(void)state;
	ram.page_size = HUGE;
	send_range(INFLATE, 2 * pages + 1, pages - 1, 1);
	assert_gone(0);
	send_range(INFLATE, 4 * pages + 7, pages, 1); /* parts of two */
	assert_gone(0);
	send_range(INFLATE, 2 * pages, 1, 1);
	assert_int_equal(present(2 * pages, pages), 0);
	assert_gone(pages);
	assert_int_equal(balloon.counts.returned, HUGE);
	/* One of its pages is out and in again; so is it. */
	send_range(DEFLATE, 2 * pages + 9, 1, 1);
	memset((uint8_t *)ram.base + 2 * HUGE, 7, 1);
	send_range(INFLATE, 2 * pages + 9, 1, 1);
	assert_int_equal(present(2 * pages, pages), 0);
	assert_int_equal(balloon.counts.returned, 2 * HUGE);
	assert_counts(2ul * pages, 2ul * pages + 1, 1, 0);
}

/* ---- reports of free pages ---- */

static void what_is_reported_free_goes_back(void **state)
{
	const struct vd_buffer b[3] = {{(FIRST + 10) * PAGE, 10 * PAGE},
				       {(FIRST + 100) * PAGE, 4 * PAGE},
				       {(FIRST + 50) * PAGE, PAGE}};

	(void)state;
	assert_int_equal(vd_add(&d.queue[REPORTS], b, 0, 3, NULL), 0);
	vw_kick(&d, REPORTS);
	assert_int_equal(turns_until_taken(REPORTS), 1);
	assert_int_equal(present(FIRST + 10, 10), 0);
	assert_int_equal(present(FIRST + 100, 4), 0);
	assert_int_equal(present(FIRST + 50, 1), 0);
	assert_gone(15);
	assert_int_equal(balloon.counts.reported, 15 * PAGE);
	assert_int_equal(balloon.counts.returned, 15 * PAGE);
	assert_counts(0, 0, 0, 0);
	/* They may be used at once, and be reported again. */
	memset(page_at(FIRST + 50), 3, PAGE);
	add(REPORTS, (FIRST + 50) * PAGE, PAGE, true);
	assert_int_equal(turns_until_taken(REPORTS), 1);
	assert_gone(15);
	assert_int_equal(balloon.counts.returned, 16 * PAGE);
}

static void a_large_report_takes_several_turns(void **state)
{
	const unsigned pages = 5 * HUGE / PAGE + 1;

	(void)state;
	add(REPORTS, FIRST * PAGE, pages * PAGE, true);
	sx_virtio_device_poll(&balloon.dev);
	assert_false(taken(REPORTS));
	assert_gone(HUGE / PAGE);
	assert_int_equal(turns_until_taken(REPORTS), 5);
	assert_int_equal(present(FIRST, pages), 0);
	assert_gone(pages);
	assert_int_equal(balloon.counts.reported, pages * PAGE);
}

static void a_report_in_many_pieces_takes_several_turns(void **state)
{
	struct vd_buffer b[60];

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		b[i] = (struct vd_buffer){(FIRST + 2 * i) * PAGE, PAGE};
	assert_int_equal(vd_add(&d.queue[REPORTS], b, 0, 60, NULL), 0);
	vw_kick(&d, REPORTS);
	assert_int_equal(turns_until_taken(REPORTS), 2);
	assert_gone(60);
	assert_int_equal(present(FIRST, 120), 60);
}

static void only_whole_pages_of_a_report_go_back(void **state)
{
	(void)state;
	add(REPORTS, FIRST * PAGE + 1, 3 * PAGE, true);
	turns_until_taken(REPORTS);
	assert_int_equal(present(FIRST, 4), 2);
	add(REPORTS, (FIRST + 8) * PAGE + 100, 2000, true);
	turns_until_taken(REPORTS);
	assert_gone(2);
	assert_int_equal(balloon.counts.returned, 2 * PAGE);
	ram.page_size = HUGE;
	add(REPORTS, 2 * HUGE + PAGE, 2 * HUGE, true);
	turns_until_taken(REPORTS);
	assert_int_equal(balloon.counts.returned, 2 * PAGE);
	assert_int_equal(balloon.counts.reported, 3 * PAGE + 2000 + 2 * HUGE);
	add(REPORTS, 4 * HUGE, 2 * HUGE, true);
	turns_until_taken(REPORTS);
	assert_gone(2 + 2 * HUGE / PAGE);
	assert_int_equal(balloon.counts.returned, 2 * PAGE + 2 * HUGE);
}

/* Drivers number queues with and without gaps for those that are not there (balloon.c). */
static void reports_come_by_any_queue_that_has_no_other_use(void **state)
{
	(void)state;
	add(HINTS, FIRST * PAGE, PAGE, true);
	turns_until_taken(HINTS);
	assert_gone(1);
	restart(BIT(VIRTIO_BALLOON_F_REPORTING));
	add(STATS, (FIRST + 1) * PAGE, PAGE, true);
	turns_until_taken(STATS);
	assert_gone(2);
}

/* ---- statistics ---- */

static sx_gpa make_stats(const struct virtio_balloon_stat *s, unsigned n)
{
	sx_gpa gpa = vd_alloc(&w.memory, n * sizeof(*s), 2);

	memcpy(vd_at(&w.memory, gpa), s, n * sizeof(*s));
	return gpa;
}

static void tell(uint64_t free_memory)
{
	const struct virtio_balloon_stat s[] = {
		{htole16(VIRTIO_BALLOON_S_MEMFREE), htole64(free_memory)},
		{htole16(VIRTIO_BALLOON_S_MEMTOT), htole64(RAM)},
		{htole16(0xffff), htole64(1)},
		{htole16(SX_BALLOON_STATS), htole64(2)},
	};

	add(STATS, make_stats(s, 4), sizeof(s), false);
	sx_virtio_device_poll(&balloon.dev);
}

static void statistics_are_kept_until_news_are_wanted(void **state)
{
	(void)state;
	assert_true(balloon.counts.stat[VIRTIO_BALLOON_S_MEMFREE] == UINT64_MAX);
	tell(5000);
	assert_int_equal(balloon.counts.stat[VIRTIO_BALLOON_S_MEMFREE], 5000);
	assert_int_equal(balloon.counts.stat[VIRTIO_BALLOON_S_MEMTOT], RAM);
	for (unsigned i = 0; i < SX_BALLOON_STATS; i++)
		assert_true(i == VIRTIO_BALLOON_S_MEMFREE || i == VIRTIO_BALLOON_S_MEMTOT ||
			    balloon.counts.stat[i] == UINT64_MAX);
	sx_virtio_device_poll(&balloon.dev);
	assert_false(taken(STATS));
	sx_virtio_balloon_refresh(&balloon);
	sx_virtio_device_poll(&balloon.dev);
	assert_true(taken(STATS));
	assert_int_equal(vw_queue_interrupts(&d, STATS), 1);
	tell(6000);
	assert_int_equal(balloon.counts.stat[VIRTIO_BALLOON_S_MEMFREE], 6000);
	assert_false(taken(STATS));
}

static void news_that_were_on_their_way_are_news(void **state)
{
	(void)state;
	sx_virtio_balloon_refresh(&balloon);
	sx_virtio_device_poll(&balloon.dev);
	tell(1);
	sx_virtio_ask(&balloon.dev, 0);
	sx_virtio_device_poll(&balloon.dev);
	assert_false(taken(STATS));
	/* An honest driver has one buffer. Another one sets the first free. */
	tell(2);
	assert_true(taken(STATS));
	assert_false(taken(STATS));
	assert_int_equal(balloon.counts.stat[VIRTIO_BALLOON_S_MEMFREE], 2);
}

static void in_trap_mode_news_are_asked_for_at_once(void **state)
{
	(void)state;
	reopen_trap();
	tell(1);
	assert_false(taken(STATS));
	sx_virtio_balloon_refresh(&balloon);
	assert_true(taken(STATS));
	assert_int_equal(vw_queue_interrupts(&d, STATS), 1);
}

/* ---- configuration ---- */

static uint64_t config(unsigned offset)
{
	return vw_read(&w, d.config + offset, 4);
}

static void the_driver_is_told_the_target(void **state)
{
	struct sx_error err = {""};

	(void)state;
	assert_int_equal(config(0), 0);
	assert_true(sx_virtio_balloon_target(&balloon) == RAM);
	assert_int_equal(vw_config_interrupts(&d), 0);
	assert_int_equal(sx_virtio_balloon_set_target(&balloon, 10 << 20, &err), 0);
	assert_int_equal(config(0), (6 << 20) / PAGE);
	assert_int_equal(vw_config_interrupts(&d), 1);
	assert_true(sx_virtio_balloon_target(&balloon) == 10 << 20);
	assert_int_equal(sx_virtio_balloon_set_target(&balloon, RAM + 1, &err), -EINVAL);
	assert_non_null(strstr(err.text, "16 MiB"));
	assert_int_equal(sx_virtio_balloon_set_target(&balloon, 0, NULL), -EINVAL);
	assert_int_equal(config(0), (6 << 20) / PAGE);
	assert_int_equal(vw_config_interrupts(&d), 0);
	assert_int_equal(sx_virtio_balloon_set_target(&balloon, RAM, NULL), 0);
	assert_int_equal(config(0), 0);
}

static void the_driver_says_how_far_it_is(void **state)
{
	(void)state;
	assert_true(sx_virtio_balloon_actual(&balloon) == RAM);
	vw_write(&w, d.config + 4, 4, 3);
	assert_int_equal(config(4), 3);
	assert_true(sx_virtio_balloon_actual(&balloon) == RAM - 3 * PAGE);
	vw_write(&w, d.config + 4, 4, 0xffffffff);
	assert_true(sx_virtio_balloon_actual(&balloon) == 0);
}

static void the_driver_writes_nothing_else(void **state)
{
	uint64_t refused = balloon.dev.refused;

	(void)state;
	vw_write(&w, d.config, 4, 77);
	vw_write(&w, d.config + 4, 2, 77);
	vw_write(&w, d.config + 6, 2, 77);
	vw_write(&w, d.config, 8, 77);
	vw_write(&w, d.config + 8, 4, 77);
	assert_int_equal(balloon.dev.refused, refused + 5);
	assert_int_equal(config(0), 0);
	assert_int_equal(config(4), 0);
}

static void a_reset_empties_the_balloon(void **state)
{
	(void)state;
	send_range(INFLATE, FIRST, 4, 1);
	tell(9);
	vw_write(&w, d.config + 4, 4, 4);
	assert_int_equal(sx_virtio_balloon_set_target(&balloon, 8 << 20, NULL), 0);
	vw_stop(&d);
	while (vw_status(&d))
		sx_virtio_device_poll(&balloon.dev);
	assert_counts(0, 4, 0, 0);
	assert_true(sx_virtio_balloon_actual(&balloon) == RAM);
	assert_true(balloon.counts.stat[VIRTIO_BALLOON_S_MEMFREE] == UINT64_MAX);
	/* What the host wants is still what it wants. */
	assert_true(sx_virtio_balloon_target(&balloon) == 8 << 20);
	bring_up(ALL);
	send_range(INFLATE, FIRST, 4, 1);
	assert_counts(4, 8, 0, 0);
	sx_virtio_balloon_refresh(&balloon);
	sx_virtio_device_poll(&balloon.dev);
	assert_false(taken(STATS)); /* the buffer from before the reset is forgotten */
}

/* ---- refusals ---- */

/* The device has given nothing back and wants a reset; then it works again. */
static void assert_broken(unsigned gone)
{
	sx_virtio_device_poll(&balloon.dev);
	assert_true(vw_status(&d) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_non_null(balloon.dev.fault);
	assert_gone(gone);
	restart(ALL);
	send_range(INFLATE, PAGES - 1, 1, 1);
	send_range(DEFLATE, PAGES - 1, 1, 1);
	memset(page_at(PAGES - 1), 1, PAGE);
	assert_gone(gone);
}

static void what_is_no_guest_memory_is_not_given_back(void **state)
{
	static const uint32_t none[] = {PAGES,      0xffffffff,     BAR / PAGE,
					ROM / PAGE, VW_ECAM / PAGE, VW_LOW / PAGE};

	(void)state;
	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		for (unsigned queue = INFLATE; queue <= DEFLATE; queue++) {
			add(queue, make_list(&none[i], 1), 4, false);
			assert_broken(0);
		}
}

static void pages_before_one_that_is_none_are_given_all_the_same(void **state)
{
	static const uint32_t pfn[] = {FIRST, FIRST + 1, PAGES, FIRST + 2};

	(void)state;
	add(INFLATE, make_list(pfn, 4), sizeof(pfn), false);
	assert_broken(2);
}

static void what_is_no_list_is_refused(void **state)
{
	const uint32_t pfn[2] = {FIRST, FIRST + 1};
	struct vd_buffer both[2] = {{0, 8}, {FIRST * PAGE, 8}};

	(void)state;
	add(INFLATE, make_list(pfn, 2), 6, false);
	assert_broken(0);
	add(INFLATE, make_list(pfn, 2), 1, false);
	assert_broken(0);
	add(DEFLATE, make_list(pfn, 2), 8, true);
	assert_broken(0);
	both[0].gpa = make_list(pfn, 2);
	assert_int_equal(vd_add(&d.queue[INFLATE], both, 1, 1, NULL), 0);
	vw_kick(&d, INFLATE);
	assert_broken(0);
	add(INFLATE, 0, (1 << 20) + 4, false);
	assert_broken(0);
}

static void what_is_no_report_is_refused(void **state)
{
	const struct vd_buffer both[2] = {{FIRST * PAGE, PAGE}, {(FIRST + 1) * PAGE, PAGE}};
	const struct vd_buffer last[2] = {{FIRST * PAGE, PAGE}, {BAR, PAGE}};

	(void)state;
	add(REPORTS, FIRST * PAGE, PAGE, false);
	assert_broken(0);
	assert_int_equal(vd_add(&d.queue[REPORTS], both, 1, 1, NULL), 0);
	vw_kick(&d, REPORTS);
	assert_broken(0);
	add(REPORTS, BAR, PAGE, true);
	assert_broken(0);
	add(REPORTS, ROM, PAGE, true);
	assert_broken(0);
	add(REPORTS, RAM - PAGE, 2 * PAGE, true);
	assert_broken(0);
	assert_int_equal(vd_add(&d.queue[REPORTS], last, 0, 2, NULL), 0);
	vw_kick(&d, REPORTS);
	assert_broken(1);
}

static void what_is_no_statistics_is_refused(void **state)
{
	(void)state;
	add(STATS, FIRST * PAGE, 100, true);
	assert_broken(0);
}

static void a_queue_without_its_feature_is_refused(void **state)
{
	(void)state;
	for (unsigned queue = STATS; queue <= REPORTS; queue++) {
		restart(0);
		add(queue, FIRST * PAGE, PAGE, queue != STATS);
		assert_broken(0);
	}
}

static void a_balloon_wants_memory_and_a_target_within(void **state)
{
	struct sx_virtio_balloon other;
	struct sx_virtio_env env = vw_env(&w, true);
	struct sx_error err = {""};

	(void)state;
	assert_int_equal(sx_virtio_balloon_init(&other, 0, &env, &err), -EINVAL);
	assert_true(err.text[0]);
	env.ram = &ram;
	err.text[0] = '\0';
	assert_int_equal(sx_virtio_balloon_init(&other, RAM + 1, &env, &err), -EINVAL);
	assert_non_null(strstr(err.text, "16 MiB"));
	assert_int_equal(sx_virtio_balloon_init(&other, 5 << 20, &env, NULL), 0);
	assert_true(sx_virtio_balloon_target(&other) == 5 << 20);
	sx_virtio_balloon_destroy(&other);
}

#define with_balloon(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_balloon(a_page_that_is_given_goes_back_and_reads_as_zeros),
		with_balloon(pages_go_back_in_whatever_order_they_come),
		with_balloon(a_page_is_in_the_balloon_once),
		with_balloon(what_is_taken_out_may_come_in_again),
		with_balloon(a_long_list_takes_several_turns),
		with_balloon(in_trap_mode_a_list_is_served_by_the_notification),
		with_balloon(a_list_that_shrinks_meanwhile_ends_there),
		with_balloon(a_hugepage_goes_back_when_all_of_it_is_given),
		with_balloon(what_is_reported_free_goes_back),
		with_balloon(a_large_report_takes_several_turns),
		with_balloon(a_report_in_many_pieces_takes_several_turns),
		with_balloon(only_whole_pages_of_a_report_go_back),
		with_balloon(reports_come_by_any_queue_that_has_no_other_use),
		with_balloon(statistics_are_kept_until_news_are_wanted),
		with_balloon(news_that_were_on_their_way_are_news),
		with_balloon(in_trap_mode_news_are_asked_for_at_once),
		with_balloon(the_driver_is_told_the_target),
		with_balloon(the_driver_says_how_far_it_is),
		with_balloon(the_driver_writes_nothing_else),
		with_balloon(a_reset_empties_the_balloon),
		with_balloon(what_is_no_guest_memory_is_not_given_back),
		with_balloon(pages_before_one_that_is_none_are_given_all_the_same),
		with_balloon(what_is_no_list_is_refused),
		with_balloon(what_is_no_report_is_refused),
		with_balloon(what_is_no_statistics_is_refused),
		with_balloon(a_queue_without_its_feature_is_refused),
		with_balloon(a_balloon_wants_memory_and_a_target_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
