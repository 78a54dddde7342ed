// SPDX-License-Identifier: BSD-3-Clause
/*
 * What no honest driver does: each breaks its queue with the right reason, takes no more from it,
 * writes nothing to it, and leaves other queues alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/virtio_config.h>

#include "tests/support/virtio_pair.h"

#define BIT(f)   (1ull << (f))
#define BASE     0x100000
#define MEMORY   (1 << 20)
#define SIZE     8
#define MAX_SEGS 6

#define HUGE_GPA  0x100000000ull /* a range that is never touched */
#define HUGE_SIZE (2ull << 30)
#define ROM_GPA   0x80000000ull

#define NEXT  VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define TABLE VRING_DESC_F_INDIRECT

struct bench {
	struct vd_memory memory;
	struct vd_queue driver;
	struct sx_virtqueue device;
	uint8_t *rom;
	void *huge;
	unsigned interrupts;
	struct vring_packed_desc *table; /* an indirect table for eight */
	sx_gpa table_gpa;
};

static struct bench b;

static void count_interrupt(void *ctx, struct sx_virtqueue *vq)
{
	(void)ctx;
	(void)vq;
	b.interrupts++;
}

static void open_bench(uint64_t features)
{
	struct sx_dma dma = {.memory = &b.memory.map};
	struct sx_vq_setup setup;

	memset(&b, 0, sizeof(b));
	vd_memory_init(&b.memory, BASE, MEMORY);
	b.huge = mmap(NULL, HUGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		      0);
	b.rom = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(sx_memmap_add(&b.memory.map, HUGE_GPA, HUGE_SIZE, b.huge, 0, NULL), 0);
	assert_int_equal(
		sx_memmap_add(&b.memory.map, ROM_GPA, 4096, b.rom, SX_MEMMAP_READONLY, NULL), 0);
	vd_queue_init(&b.driver, &b.memory, SIZE, features);
	b.table_gpa = vd_alloc(&b.memory, 8ul * 16, 16);
	b.table = vd_at(&b.memory, b.table_gpa);
	assert_int_equal(sx_virtqueue_init(&b.device, 0, 64, MAX_SEGS, &dma, NULL), 0);
	b.device.interrupt = count_interrupt;
	setup = vd_queue_setup(&b.driver);
	assert_int_equal(sx_virtqueue_start(&b.device, &setup), 0);
}

static void close_bench(void)
{
	sx_virtqueue_destroy(&b.device);
	vd_queue_destroy(&b.driver);
	vd_memory_destroy(&b.memory);
	munmap(b.huge, HUGE_SIZE);
	munmap(b.rom, 4096);
}

/* A descriptor as the tests below write them; `next` only means something in a split ring. */
struct d {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* Write descriptors from the start of the ring on, and make the first available. */
static void make(const struct d *d, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (b.driver.packed)
			b.driver.ring[i] = (struct vring_packed_desc){
				d[i].addr, d[i].len, (uint16_t)i,
				d[i].flags | 1 << VRING_PACKED_DESC_F_AVAIL};
		else
			b.driver.desc[i] =
				(struct vring_desc){d[i].addr, d[i].len, d[i].flags, d[i].next};
	}
	if (!b.driver.packed) {
		b.driver.avail->ring[0] = 0;
		b.driver.avail->idx = 1;
	}
}

/* The same in an indirect table; then a descriptor that leads to it. */
static void make_table(const struct d *d, unsigned count)
{
	const struct d head = {b.table_gpa, count * 16, TABLE, 0};

	for (unsigned i = 0; i < count; i++) {
		if (b.driver.packed)
			b.table[i] = (struct vring_packed_desc){d[i].addr, d[i].len, 0, d[i].flags};
		else
			((struct vring_desc *)b.table)[i] =
				(struct vring_desc){d[i].addr, d[i].len, d[i].flags, d[i].next};
	}
	make(&head, 1);
}

/* The device refuses what is there, for this reason, and is quiet from then on. */
static void want_broken(const char *why)
{
	struct sx_vq_chain chain[SIZE] = {{.descs = 1, .id = 0}};
	struct iovec pool[64];
	uint8_t *before = malloc(MEMORY);
	unsigned n = 0;

	while (sx_virtqueue_ready(&b.device))
		n += sx_virtqueue_pop(&b.device, chain, SIZE, pool, 64);
	assert_int_equal(n, 0);
	assert_true(b.device.broken);
	assert_string_equal(b.device.fault, why);
	assert_non_null(before);
	memcpy(before, b.memory.base, MEMORY);
	assert_int_equal(sx_virtqueue_pop(&b.device, chain, SIZE, pool, 64), 0);
	assert_false(sx_virtqueue_ready(&b.device));
	sx_virtqueue_push(&b.device, chain, 0);
	sx_virtqueue_unpop(&b.device, chain, 1);
	sx_virtqueue_flush(&b.device);
	sx_virtqueue_disable_notify(&b.device);
	assert_false(sx_virtqueue_enable_notify(&b.device));
	assert_memory_equal(before, b.memory.base, MEMORY);
	assert_int_equal(b.interrupts, 0);
	free(before);
}

static const uint64_t formats[] = {0, BIT(VIRTIO_F_RING_PACKED)};

#define ALL_FORMATS(features, body)                          \
	for (unsigned format_ = 0; format_ < 2; format_++) { \
		open_bench(formats[format_] | (features));   \
		body;                                        \
		close_bench();                               \
	}

/* Both as a chain in the ring and in an indirect table. */
static void refuse(const struct d *d, unsigned count, const char *why)
{
	ALL_FORMATS(0, {
		make(d, count);
		want_broken(why);
	});
	ALL_FORMATS(BIT(VIRTIO_RING_F_INDIRECT_DESC), {
		make_table(d, count);
		want_broken(why);
	});
}

static void refuse_one(uint64_t addr, uint32_t len, uint16_t flags, const char *why)
{
	const struct d bad = {addr, len, flags, 0};
	const struct d two[] = {{BASE, 1, (uint16_t)(NEXT | (flags & WRITE)), 1}, bad};

	refuse(&bad, 1, why);
	refuse(two, 2, why);
}

/* ---- buffers ---- */

static void empty_buffers(void **state)
{
	(void)state;
	refuse_one(BASE, 0, 0, "a descriptor is empty");
	refuse_one(BASE, 0, WRITE, "a descriptor is empty");
}

static void buffers_outside_of_memory(void **state)
{
	const char *why = "a buffer is not in guest memory";

	(void)state;
	refuse_one(0, 1, 0, why);
	refuse_one(BASE - 1, 1, WRITE, why);
	refuse_one(BASE + MEMORY, 1, 0, why);
	refuse_one(BASE + MEMORY - 1, 2, 0, why);
	refuse_one(BASE, MEMORY + 1, WRITE, why);
	refuse_one(BASE, UINT32_MAX - 1, 0, why);
	refuse_one(UINT64_MAX, 1, 0, why);
	refuse_one(UINT64_MAX - 15, 32, WRITE, why);
	refuse_one(1ull << 63, 16, 0, why);
}

static void buffers_that_may_not_be_written(void **state)
{
	(void)state;
	refuse_one(ROM_GPA, 16, WRITE, "a buffer is not in guest memory");
	refuse_one(ROM_GPA + 4095, 1, WRITE, "a buffer is not in guest memory");
}

static void wrong_direction(void **state)
{
	const struct d mixed[] = {{BASE, 1, NEXT, 1}, {BASE, 1, NEXT | WRITE, 2}, {BASE, 1, 0, 0}};

	(void)state;
	refuse(mixed, 3, "a readable descriptor follows a writable one");
}

static void more_bytes_than_a_chain_has(void **state)
{
	const struct d d[] = {{HUGE_GPA, HUGE_SIZE - 1, NEXT, 1},
			      {HUGE_GPA, HUGE_SIZE - 1, NEXT, 2},
			      {HUGE_GPA, 2, 0, 0}};

	(void)state;
	refuse(d, 3, "a chain is longer than 4 GiB");
}

static void more_buffers_than_the_device_takes(void **state)
{
	struct d d[MAX_SEGS + 1];

	(void)state;
	for (uint16_t i = 0; i <= MAX_SEGS; i++)
		d[i] = (struct d){BASE, 1, i < MAX_SEGS ? NEXT : 0, i + 1};
	refuse(d, MAX_SEGS + 1, "a chain is longer than the device takes");
}

/* ---- split rings ---- */

static void refuse_split(const struct d *d, unsigned count, const char *why)
{
	open_bench(0);
	make(d, count);
	want_broken(why);
	close_bench();
}

static void loops(void **state)
{
	const struct d self = {BASE, 1, NEXT, 0};
	const struct d two[] = {{BASE, 1, NEXT, 1}, {BASE, 1, NEXT, 0}};

	(void)state;
	refuse_split(&self, 1, "a chain is longer than the device takes");
	refuse_split(two, 2, "a chain is longer than the device takes");
	/* A device that takes more than the table has finds the loop by the table's size. */
	open_bench(0);
	b.device.max_segs = 64;
	make(two, 2);
	want_broken("a chain of descriptors is a loop");
	close_bench();
	open_bench(BIT(VIRTIO_RING_F_INDIRECT_DESC));
	make_table(two, 2);
	want_broken("a chain is longer than the device takes");
	close_bench();
}

static void indices_beyond_their_table(void **state)
{
	const uint16_t beyond[] = {SIZE, SIZE + 1, 0x7fff, 0xffff};
	const struct d just = {BASE, 1, NEXT, 1};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const struct d d = {BASE, 1, NEXT, beyond[i]};

		refuse_split(&d, 1, "an index leaves the descriptor table");
		open_bench(0);
		b.driver.avail->ring[0] = beyond[i];
		b.driver.avail->idx = 1;
		want_broken("an index leaves the descriptor table");
		close_bench();
		open_bench(BIT(VIRTIO_RING_F_INDIRECT_DESC));
		make_table(&d, 1);
		want_broken("an index leaves its indirect table");
		close_bench();
	}
	open_bench(BIT(VIRTIO_RING_F_INDIRECT_DESC));
	make_table(&just, 1);
	want_broken("an index leaves its indirect table");
	close_bench();
}

static void an_available_index_that_jumps(void **state)
{
	const uint16_t jump[] = {SIZE + 1, 0x4000, 0x8000, 0xffff};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		open_bench(0);
		b.driver.avail->idx = jump[i];
		want_broken("the available index jumps");
		close_bench();
	}
}

/* More chains with the device than there are descriptors: the same ones were sent twice. */
static void chains_that_are_sent_again(void **state)
{
	const struct d d = {BASE, 1, 0, 0};
	struct sx_vq_chain chain[SIZE];
	struct iovec pool[64];

	(void)state;
	open_bench(0);
	make(&d, 1);
	b.driver.avail->idx = SIZE;
	assert_int_equal(sx_virtqueue_pop(&b.device, chain, SIZE, pool, 64), SIZE);
	b.driver.avail->idx = SIZE + 1;
	want_broken("the available index jumps");
	close_bench();
	/* In a packed ring: entries go round although none was used. */
	open_bench(BIT(VIRTIO_F_RING_PACKED));
	for (unsigned i = 0; i < SIZE; i++)
		b.driver.ring[i] =
			(struct vring_packed_desc){BASE, 1, 0, 1 << VRING_PACKED_DESC_F_AVAIL};
	assert_int_equal(sx_virtqueue_pop(&b.device, chain, SIZE, pool, 64), SIZE);
	b.driver.ring[0].flags = 1 << VRING_PACKED_DESC_F_USED;
	want_broken("more entries are available than the ring has");
	close_bench();
}

/* What was popped before the bad chain is good; it cannot be given back any more. */
static void good_chains_before_a_bad_one(void **state)
{
	struct sx_vq_chain chain[SIZE];
	struct iovec pool[64];

	(void)state;
	open_bench(0);
	b.driver.desc[0] = (struct vring_desc){BASE, 7, 0, 0};
	b.driver.desc[1] = (struct vring_desc){BASE, 0, 0, 0};
	b.driver.avail->ring[0] = 0;
	b.driver.avail->ring[1] = 1;
	b.driver.avail->idx = 2;
	assert_int_equal(sx_virtqueue_pop(&b.device, chain, SIZE, pool, 64), 1);
	assert_int_equal(chain[0].readable_len, 7);
	sx_virtqueue_push(&b.device, chain, 0);
	want_broken("a descriptor is empty");
	assert_int_equal(b.driver.used->idx, 0);
	close_bench();
}

/* ---- packed rings ---- */

static void a_packed_chain_without_end(void **state)
{
	struct d d[SIZE];

	(void)state;
	for (unsigned i = 0; i < SIZE; i++)
		d[i] = (struct d){BASE, 1, NEXT, 0};
	open_bench(BIT(VIRTIO_F_RING_PACKED));
	b.device.max_segs = 64;
	make(d, SIZE);
	want_broken("more entries are available than the ring has");
	close_bench();
}

/* ---- indirect tables ---- */

static void tables_that_were_not_negotiated(void **state)
{
	const struct d d = {BASE, 1, 0, 0};

	(void)state;
	ALL_FORMATS(0, {
		make_table(&d, 1);
		want_broken("an indirect descriptor, which was not negotiated");
	});
}

static void tables_of_a_bad_size_or_place(void **state)
{
	const struct {
		struct d d;
		const char *why;
	} bad[] = {
		{{BASE, 0, TABLE, 0}, "an indirect table is not made of descriptors"},
		{{BASE, 15, TABLE, 0}, "an indirect table is not made of descriptors"},
		{{BASE, 17, TABLE, 0}, "an indirect table is not made of descriptors"},
		{{BASE, UINT32_MAX, TABLE, 0}, "an indirect table is not made of descriptors"},
		{{0, 16, TABLE, 0}, "an indirect table is not in guest memory"},
		{{BASE + MEMORY - 16, 32, TABLE, 0}, "an indirect table is not in guest memory"},
		{{UINT64_MAX - 15, 16, TABLE, 0}, "an indirect table is not in guest memory"},
		{{BASE, 0xfffffff0, TABLE, 0}, "an indirect table is not in guest memory"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ALL_FORMATS(BIT(VIRTIO_RING_F_INDIRECT_DESC), {
			make(&bad[i].d, 1);
			want_broken(bad[i].why);
		});
}

static void tables_where_none_may_be(void **state)
{
	const struct d nested = {BASE, 16, TABLE, 0};
	const struct d chained[] = {{BASE, 16, TABLE | NEXT, 1}, {BASE, 1, 0, 0}};
	const struct d last[] = {{BASE, 1, NEXT, 1}, {BASE, 16, TABLE, 0}};

	(void)state;
	open_bench(BIT(VIRTIO_RING_F_INDIRECT_DESC));
	make_table(&nested, 1);
	want_broken("an indirect table within another");
	close_bench();
	open_bench(BIT(VIRTIO_RING_F_INDIRECT_DESC));
	make(chained, 2);
	want_broken("a descriptor follows an indirect one");
	close_bench();
	open_bench(BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_F_RING_PACKED));
	make(chained, 2);
	want_broken("an indirect descriptor in a chain");
	close_bench();
	open_bench(BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_F_RING_PACKED));
	make(last, 2);
	want_broken("an indirect descriptor in a chain");
	close_bench();
}

/* In a split ring a table may end a chain (2.7.5.3.2), and lie at any address; that is no fault. */
static void a_table_at_the_end_of_a_chain(void **state)
{
	const struct d chain[] = {{BASE, 5, NEXT, 1}, {BASE + 0x1003, 32, TABLE | WRITE, 0}};
	const struct vring_desc table[] = {{BASE, 6, NEXT, 1}, {BASE, 7, WRITE, 0}};
	struct sx_vq_chain c;
	struct iovec pool[64];

	(void)state;
	open_bench(BIT(VIRTIO_RING_F_INDIRECT_DESC));
	memcpy(b.memory.base + 0x1003, table, sizeof(table));
	b.driver.desc[0] = (struct vring_desc){BASE, 5, NEXT, 1};
	make(chain, 2);
	assert_int_equal(sx_virtqueue_pop(&b.device, &c, 1, pool, 64), 1);
	assert_int_equal(c.readable, 2);
	assert_int_equal(c.readable_len, 11);
	assert_int_equal(c.writable_len, 7);
	close_bench();
}

/* ---- a driver that changes its mind ---- */

static void what_was_popped_stays_as_it_was(void **state)
{
	const struct d d = {BASE, 16, 0, 0};
	struct sx_vq_chain c;
	struct iovec pool[64];

	(void)state;
	ALL_FORMATS(0, {
		make(&d, 1);
		assert_int_equal(sx_virtqueue_pop(&b.device, &c, 1, pool, 64), 1);
		memset(vd_at(&b.memory, b.driver.desc_gpa), 0xff, SIZE * 16ul);
		assert_int_equal(c.readable_len, 16);
		assert_ptr_equal(pool[0].iov_base, b.memory.base);
		assert_int_equal(pool[0].iov_len, 16);
		assert_int_equal(c.id, 0);
	});
}

/* ---- where rings lie ---- */

static void want_no_start(struct sx_vq_setup setup, int rc, const char *why)
{
	struct sx_vq_setup good = vd_queue_setup(&b.driver);

	assert_int_equal(sx_virtqueue_start(&b.device, &setup), rc);
	assert_true(b.device.broken);
	assert_string_equal(b.device.fault, why);
	assert_false(sx_virtqueue_ready(&b.device));
	/* And it is as good as new after that. */
	assert_int_equal(sx_virtqueue_start(&b.device, &good), 0);
	assert_false(b.device.broken);
}

static void sizes_that_cannot_be(void **state)
{
	const uint16_t split[] = {0, 3, 7, 65, 128, 0x8000, 0xffff};
	const uint16_t packed[] = {0, 65, 0x8000, 0xffff};
	struct sx_vq_setup s;

	(void)state;
	open_bench(0);
	for (unsigned i = 0; i < 7; i++) {
		s = vd_queue_setup(&b.driver);
		s.size = split[i];
		want_no_start(s, -EINVAL, "the queue's size is not allowed");
	}
	close_bench();
	open_bench(BIT(VIRTIO_F_RING_PACKED));
	for (unsigned i = 0; i < 4; i++) {
		s = vd_queue_setup(&b.driver);
		s.size = packed[i];
		want_no_start(s, -EINVAL, "the queue's size is not allowed");
	}
	close_bench();
}

static void rings_that_are_not_aligned(void **state)
{
	(void)state;
	for (unsigned format = 0; format < 2; format++) {
		const unsigned step[2][3] = {{8, 1, 2}, {8, 2, 2}};

		for (unsigned part = 0; part < 3; part++) {
			struct sx_vq_setup s;

			open_bench(formats[format]);
			s = vd_queue_setup(&b.driver);
			*(part == 0   ? &s.desc
			  : part == 1 ? &s.driver
				      : &s.device) += step[format][part];
			want_no_start(s, -EINVAL, "a ring is not aligned");
			close_bench();
		}
	}
}

static void rings_outside_of_memory(void **state)
{
	/* The last also is memory that the device may not write, or the guest's end of memory. */
	const uint64_t bad[] = {0, BASE + MEMORY, UINT64_MAX - 15, 1ull << 63, BASE - 16};

	(void)state;
	for (unsigned format = 0; format < 2; format++)
		for (unsigned part = 0; part < 3; part++)
			for (unsigned i = 0; i < 5; i++) {
				struct sx_vq_setup s;

				open_bench(formats[format]);
				s = vd_queue_setup(&b.driver);
				*(part == 0 ? &s.desc : part == 1 ? &s.driver : &s.device) = bad[i];
				want_no_start(s, -EFAULT, "a ring is not in guest memory");
				close_bench();
			}
}

static void rings_that_end_beyond_memory(void **state)
{
	struct sx_vq_setup s;

	(void)state;
	open_bench(0);
	s = vd_queue_setup(&b.driver);
	s.desc = BASE + MEMORY - SIZE * 16 + 16;
	want_no_start(s, -EFAULT, "a ring is not in guest memory");
	s = vd_queue_setup(&b.driver);
	s.driver = BASE + MEMORY - (4 + 2 * SIZE) + 2;
	want_no_start(s, -EFAULT, "a ring is not in guest memory");
	s = vd_queue_setup(&b.driver);
	s.device = BASE + MEMORY - (4 + 8 * SIZE) + 4;
	want_no_start(s, -EFAULT, "a ring is not in guest memory");
	/* Exactly at the end they fit, unless there is an event index behind. */
	s = vd_queue_setup(&b.driver);
	s.driver = BASE + MEMORY - (4 + 2 * SIZE);
	assert_int_equal(sx_virtqueue_start(&b.device, &s), 0);
	s.features |= BIT(VIRTIO_RING_F_EVENT_IDX);
	want_no_start(s, -EFAULT, "a ring is not in guest memory");
	s = vd_queue_setup(&b.driver);
	s.device = BASE + MEMORY - (4 + 8 * SIZE);
	assert_int_equal(sx_virtqueue_start(&b.device, &s), 0);
	s.features |= BIT(VIRTIO_RING_F_EVENT_IDX);
	want_no_start(s, -EFAULT, "a ring is not in guest memory");
	close_bench();
}

static void rings_that_may_not_be_written(void **state)
{
	struct sx_vq_setup s;

	(void)state;
	open_bench(0);
	s = vd_queue_setup(&b.driver);
	s.device = ROM_GPA;
	want_no_start(s, -EFAULT, "a ring is not in guest memory");
	/* The device only reads the other two of a split ring. */
	s = vd_queue_setup(&b.driver);
	s.desc = s.driver = ROM_GPA;
	assert_int_equal(sx_virtqueue_start(&b.device, &s), 0);
	close_bench();
	open_bench(BIT(VIRTIO_F_RING_PACKED));
	s = vd_queue_setup(&b.driver);
	s.desc = ROM_GPA;
	want_no_start(s, -EFAULT, "a ring is not in guest memory");
	close_bench();
}

/* ---- set-up by a device model ---- */

static void queues_that_cannot_be(void **state)
{
	struct sx_dma dma = {.memory = NULL};
	const uint16_t bad[][2] = {{0, 1}, {3, 1}, {2048, 1}, {8, 0}, {8, 1025}};
	struct sx_virtqueue vq;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct sx_error err = {""};

		assert_int_equal(sx_virtqueue_init(&vq, 0, bad[i][0], bad[i][1], &dma, &err),
				 -EINVAL);
		assert_non_null(strstr(err.text, "power of two up to 1024"));
		sx_virtqueue_destroy(&vq);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_buffers),
		cmocka_unit_test(buffers_outside_of_memory),
		cmocka_unit_test(buffers_that_may_not_be_written),
		cmocka_unit_test(wrong_direction),
		cmocka_unit_test(more_bytes_than_a_chain_has),
		cmocka_unit_test(more_buffers_than_the_device_takes),
		cmocka_unit_test(loops),
		cmocka_unit_test(indices_beyond_their_table),
		cmocka_unit_test(an_available_index_that_jumps),
		cmocka_unit_test(chains_that_are_sent_again),
		cmocka_unit_test(good_chains_before_a_bad_one),
		cmocka_unit_test(a_packed_chain_without_end),
		cmocka_unit_test(tables_that_were_not_negotiated),
		cmocka_unit_test(tables_of_a_bad_size_or_place),
		cmocka_unit_test(tables_where_none_may_be),
		cmocka_unit_test(a_table_at_the_end_of_a_chain),
		cmocka_unit_test(what_was_popped_stays_as_it_was),
		cmocka_unit_test(sizes_that_cannot_be),
		cmocka_unit_test(rings_that_are_not_aligned),
		cmocka_unit_test(rings_outside_of_memory),
		cmocka_unit_test(rings_that_end_beyond_memory),
		cmocka_unit_test(rings_that_may_not_be_written),
		cmocka_unit_test(queues_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, pair_set_up, pair_tear_down);
}
