// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtio-balloon device, memory of which it can give back, and a driver, for the tests of it.
 * There is one; each test's set-up makes it anew, in split mode, where the test is the poller.
 */
#ifndef SX_TESTS_UNIT_TEST_VIRTIO_BALLOON_WORLD_H
#define SX_TESTS_UNIT_TEST_VIRTIO_BALLOON_WORLD_H

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

#define BA_PAGE   ((size_t)4096)
#define BA_RAM    (16u << 20)
#define BA_PAGES  (BA_RAM / BA_PAGE)
#define BA_HUGE   ((size_t)2 << 20)
#define BA_FIRST  1024u /* of the pages that are given; rings and lists lie below */
#define BA_BAR    0x40000000ull
#define BA_ROM    0x50000000ull
#define BA_BIT(f) SX_VIRTIO_BIT(f)
#define BA_ALL                                                                         \
	(BA_BIT(VIRTIO_BALLOON_F_STATS_VQ) | BA_BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) | \
	 BA_BIT(VIRTIO_BALLOON_F_REPORTING) | BA_BIT(VIRTIO_RING_F_INDIRECT_DESC))

enum { BA_INFLATE, BA_DEFLATE, BA_STATS, BA_HINTS, BA_REPORTS };

static struct {
	struct vw_world w;
	struct sx_region ram;
	struct sx_virtio_balloon balloon;
	struct sx_virtio_pci pci;
	struct vw_driver d;
} ba;

/* ---- the world: guest memory of a region, and beside it what is none ---- */

static inline void ba_map_beside(sx_gpa gpa, unsigned flags)
{
	static uint8_t page[BA_PAGE] __attribute__((aligned(BA_PAGE)));

	rcu_thread_offline();
	assert_int_equal(sx_memmap_add(&ba.w.memory.map, gpa, BA_PAGE, page, flags, NULL), 0);
	rcu_thread_online();
}

static inline void ba_open_memory(void)
{
	vw_init(&ba.w, BA_RAM);
	assert_int_equal(sx_region_create(&ba.ram, "sx-test-ram", BA_RAM, 0, NULL), 0);
	/* The world's memory becomes the region's. */
	munmap(ba.ram.base, BA_RAM);
	ba.ram.base = mmap(ba.w.memory.base, BA_RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			   ba.ram.fd, 0);
	assert_ptr_equal(ba.ram.base, ba.w.memory.base);
	ba_map_beside(BA_BAR, 0);
	ba_map_beside(BA_ROM, SX_MEMMAP_READONLY);
}

static inline void ba_open_device(bool polled)
{
	struct sx_virtio_env env = vw_env(&ba.w, polled);

	env.ram = &ba.ram;
	assert_int_equal(sx_virtio_balloon_init(&ba.balloon, 0, &env, NULL), 0);
	assert_int_equal(sx_virtio_pci_init(&ba.pci, &ba.balloon.dev, &ba.w.host, SX_PCI_ANY, NULL),
			 0);
	assert_int_equal(vw_probe(&ba.d, &ba.w, ba.pci.function.devfn), 0);
}

static inline void ba_bring_up(uint64_t features)
{
	assert_int_equal(vw_negotiate(&ba.d, features), 0);
	for (unsigned i = 0; i < SX_BALLOON_QUEUES; i++)
		vw_add_queue(&ba.d, 128);
	vw_start(&ba.d);
	sx_virtio_device_poll(&ba.balloon.dev);
}

/* Reset the device, and use the rings' memory again: what lists were made is gone. */
static inline void ba_restart(uint64_t features)
{
	vw_stop(&ba.d);
	while (vw_status(&ba.d))
		sx_virtio_device_poll(&ba.balloon.dev);
	ba.w.memory.used = 0;
	ba_bring_up(features);
}

static inline int ba_set_up(void **state)
{
	(void)state;
	ba_open_memory();
	ba_open_device(true);
	ba_bring_up(BA_ALL);
	/* All of memory is there. */
	memset((uint8_t *)ba.ram.base + BA_FIRST * BA_PAGE, 0xaa, BA_RAM - BA_FIRST * BA_PAGE);
	return 0;
}

static inline void ba_close_device(void)
{
	while (ba.d.queues)
		vd_queue_destroy(&ba.d.queue[--ba.d.queues]);
	sx_virtio_pci_destroy(&ba.pci);
	sx_virtio_balloon_destroy(&ba.balloon);
}

static inline int ba_tear_down(void **state)
{
	(void)state;
	ba_close_device();
	vw_destroy(&ba.w);
	ba.ram.base = NULL;
	close(ba.ram.fd);
	return 0;
}

/* In trap mode instead. */
static inline void ba_reopen_trap(void)
{
	ba_close_device();
	ba_open_device(false);
	ba_bring_up(BA_ALL);
}

static inline uint8_t *ba_page_at(unsigned page)
{
	return (uint8_t *)ba.ram.base + page * BA_PAGE;
}

/* How many of the pages [first, first + count) the host has memory for. */
static inline unsigned ba_present(unsigned first, unsigned pages)
{
	unsigned char map[BA_PAGES];
	unsigned n = 0;

	assert_int_equal(mincore(ba_page_at(first), pages * BA_PAGE, map), 0);
	for (unsigned i = 0; i < pages; i++)
		n += map[i] & 1;
	return n;
}

/* All pages that tests give are there, but @gone of them. */
static inline void ba_assert_gone(unsigned gone)
{
	assert_int_equal(ba_present(BA_FIRST, BA_PAGES - BA_FIRST), BA_PAGES - BA_FIRST - gone);
}

/* ---- the driver ---- */

static inline void ba_add(unsigned queue, sx_gpa gpa, uint32_t len, bool writable)
{
	const struct vd_buffer b = {gpa, len};

	assert_int_equal(vd_add(&ba.d.queue[queue], &b, !writable, writable, NULL), 0);
	vw_kick(&ba.d, queue);
}

/* Is a chain used by now? */
static inline bool ba_taken(unsigned queue)
{
	uint32_t len = 1;
	void *token;
	int rc = vd_take(&ba.d.queue[queue], &token, &len);

	assert_true(rc >= 0);
	assert_true(!rc || len == 0);
	return rc == 1;
}

/* Let the device look until @queue's chain is used; returns how many turns that took. */
static inline unsigned ba_turns_until_taken(unsigned queue)
{
	unsigned turns = 0;

	while (!ba_taken(queue)) {
		assert_true(turns < 100000);
		sx_virtio_device_poll(&ba.balloon.dev);
		turns++;
	}
	return turns;
}

static inline sx_gpa ba_make_list(const uint32_t *pfn, unsigned pfns)
{
	sx_gpa gpa = vd_alloc(&ba.w.memory, pfns * sizeof(*pfn), 4);
	uint32_t *to = vd_at(&ba.w.memory, gpa);

	for (unsigned i = 0; i < pfns; i++)
		to[i] = htole32(pfn[i]);
	return gpa;
}

static inline unsigned ba_send_list(unsigned queue, const uint32_t *pfn, unsigned pfns)
{
	ba_add(queue, ba_make_list(pfn, pfns), pfns * (unsigned)sizeof(*pfn), false);
	return ba_turns_until_taken(queue);
}

/* @pfns pages from @first on, every @step. */
static inline unsigned ba_send_range(unsigned queue, uint32_t first, unsigned pfns, int step)
{
	uint32_t pfn[BA_PAGES];

	assert_true(pfns <= BA_PAGES);
	for (unsigned i = 0; i < pfns; i++)
		pfn[i] = first + (uint32_t)((int)i * step);
	return ba_send_list(queue, pfn, pfns);
}

static inline void ba_assert_counts(uint64_t pages, uint64_t inflated, uint64_t deflated,
				    uint64_t repeated)
{
	assert_int_equal(ba.balloon.counts.pages, pages);
	assert_int_equal(ba.balloon.counts.inflated, inflated);
	assert_int_equal(ba.balloon.counts.deflated, deflated);
	assert_int_equal(ba.balloon.counts.repeated, repeated);
	assert_int_equal(ba.balloon.counts.kept, 0);
}

#define BA_TEST(FUNCTION) cmocka_unit_test_setup_teardown(FUNCTION, ba_set_up, ba_tear_down)

#endif
