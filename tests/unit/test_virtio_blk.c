// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-blk's requests, one at a time: what each does to the image, what is refused, and what the
 * configuration says (virtio 1.2, 5.2).
 */
#include "tests/unit/test_virtio_blk_world.h"

#include <sys/stat.h>

#define SIZE    (4u << 20)
#define SECTORS (SIZE / BT_SECTOR)

static struct bt_disk b;
static uint8_t data[BT_DATA], got[BT_DATA];

static const struct sx_virtio_blk_config plain = {.serial = "serial-1"};
static const struct sx_virtio_blk_config readonly = {.file = {.readonly = true}};

static uint64_t config_at(size_t offset, unsigned size)
{
	return vw_read(&b.w, b.d.config + offset, size);
}

#define CONFIG(field)                                        \
	config_at(offsetof(struct virtio_blk_config, field), \
		  sizeof(((struct virtio_blk_config *)0)->field))

/* ---- reads and writes ---- */

static void written_sectors_are_read_again(void **state)
{
	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	for (uint32_t len = BT_SECTOR; len <= BT_DATA; len *= 4) {
		bt_pattern(data, len, len);
		assert_int_equal(bt_write(&b, 5, data, len), VIRTIO_BLK_S_OK);
		assert_int_equal(bt_read(&b, 5, got, len), VIRTIO_BLK_S_OK);
		assert_memory_equal(got, data, len);
		bt_peek(&b, 5 * BT_SECTOR, got, len);
		assert_memory_equal(got, data, len);
	}
	assert_int_equal(bt_stats(&b).reads, bt_stats(&b).writes);
	assert_int_equal(bt_stats(&b).bytes_read, bt_stats(&b).bytes_written);
	assert_int_equal(bt_stats(&b).failed + bt_stats(&b).refused, 0);
	bt_close(&b);
}

static void the_last_sector_is_there_and_no_more(void **state)
{
	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	bt_pattern(data, 2 * BT_SECTOR, 9);
	assert_int_equal(bt_write(&b, SECTORS - 1, data, BT_SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_read(&b, SECTORS - 1, got, BT_SECTOR), VIRTIO_BLK_S_OK);
	assert_memory_equal(got, data, BT_SECTOR);

	assert_int_equal(bt_write(&b, SECTORS - 1, data, 2 * BT_SECTOR), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_write(&b, SECTORS, data, BT_SECTOR), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_read(&b, SECTORS, got, BT_SECTOR), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_read(&b, SECTORS + 1, got, BT_SECTOR), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_stats(&b).refused, 4);
	bt_close(&b);
}

/* Sectors whose byte offset, or whose end, would wrap round. */
static void sectors_beyond_all_numbers_are_refused(void **state)
{
	static const uint64_t far[] = {UINT64_MAX,     UINT64_MAX - 1,   UINT64_MAX / 512,
				       1ull << 55,     (1ull << 55) - 1, 1ull << 63,
				       INT64_MAX / 512};

	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	bt_pattern(data, BT_SECTOR, 3);
	for (unsigned i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		assert_int_equal(bt_write(&b, far[i], data, BT_SECTOR), VIRTIO_BLK_S_IOERR);
		assert_int_equal(bt_read(&b, far[i], got, BT_SECTOR), VIRTIO_BLK_S_IOERR);
		assert_int_equal(bt_range(&b, VIRTIO_BLK_T_DISCARD, far[i], 1, 0),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, far[i], 1, 0),
				 VIRTIO_BLK_S_IOERR);
	}
	bt_peek(&b, 0, got, BT_SECTOR);
	memset(data, 0, BT_SECTOR);
	assert_memory_equal(got, data, BT_SECTOR);
	bt_close(&b);
}

static void parts_of_sectors_are_refused(void **state)
{
	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	assert_int_equal(bt_write(&b, 0, data, 511), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_write(&b, 0, data, 513), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_read(&b, 0, got, 1), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_read(&b, 0, got, 1000), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_stats(&b).refused, 4);
	assert_int_equal(bt_file_stats(&b).entries, 0);
	bt_close(&b);
}

/* Nothing to read or write is no error. */
static void empty_transfers_are_done_at_once(void **state)
{
	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	assert_int_equal(bt_write(&b, 1, NULL, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_send(&b, VIRTIO_BLK_T_IN, 1, NULL, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_send(&b, VIRTIO_BLK_T_IN, SECTORS + 1, NULL, 0), VIRTIO_BLK_S_IOERR);
	bt_close(&b);
}

/* ---- how the driver cuts a request ---- */

/* Header and data in buffers of every size; data and status in one. */
static void any_cut_is_the_same_request(void **state)
{
	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	for (uint32_t cut = 1; cut < 16; cut++) {
		const struct vd_buffer out[] = {{b.header, cut},
						{b.header + cut, 16 - cut},
						{b.data, cut},
						{b.data + cut, 1024 - cut},
						{b.status, 1}};
		struct vd_buffer in[] = {{b.header, 16},
					 {b.data + 4096, 512 + cut},
					 {b.data + 4096 + 512 + cut, 512 - cut + 1}};

		bt_pattern(vd_at(&b.w.memory, b.data), 1024, cut);
		bt_head(&b, VIRTIO_BLK_T_OUT, cut);
		assert_int_equal(bt_request(&b, out, 4, 1), 1);
		assert_int_equal(bt_status(&b), VIRTIO_BLK_S_OK);

		bt_head(&b, VIRTIO_BLK_T_IN, cut);
		memset(vd_at(&b.w.memory, b.data + 4096), 0xff, 1025);
		assert_int_equal(bt_request(&b, in, 1, 2), 1025);
		assert_memory_equal(vd_at(&b.w.memory, b.data + 4096), vd_at(&b.w.memory, b.data),
				    1024);
		assert_int_equal(*(uint8_t *)vd_at(&b.w.memory, b.data + 4096 + 1024),
				 VIRTIO_BLK_S_OK);
	}
	/* Odd pieces in memory do not go past the page cache by themselves. */
	assert_int_equal(bt_file_stats(&b).bounced > 0, b.blk.file.direct);
	bt_close(&b);
}

/* Header and data in one buffer. */
static void header_and_data_may_share_a_buffer(void **state)
{
	const uint32_t header = sizeof(struct virtio_blk_outhdr);
	struct vd_buffer buffer[2];

	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	buffer[0] = (struct vd_buffer){b.data, header + BT_SECTOR};
	buffer[1] = (struct vd_buffer){b.status, 1};
	bt_head(&b, VIRTIO_BLK_T_OUT, 7);
	memcpy(vd_at(&b.w.memory, b.data), vd_at(&b.w.memory, b.header), header);
	bt_pattern(vd_at(&b.w.memory, b.data + header), BT_SECTOR, 1);
	assert_int_equal(bt_request(&b, buffer, 1, 1), 1);
	assert_int_equal(bt_status(&b), VIRTIO_BLK_S_OK);
	bt_peek(&b, 7 * BT_SECTOR, got, BT_SECTOR);
	assert_memory_equal(got, vd_at(&b.w.memory, b.data + header), BT_SECTOR);
	bt_close(&b);
}

static void expect_broken(const struct vd_buffer *buffer, unsigned out, unsigned in)
{
	assert_int_equal(vd_add(&b.d.queue[0], buffer, out, in, NULL), 0);
	vw_kick(&b.d, 0);
	assert_true(vw_status(&b.d) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(vw_config_interrupts(&b.d), 1);
	assert_non_null(b.blk.dev.fault);
	vw_stop(&b.d);
	bt_bring_up(&b, BT_FEATURES, 16);
}

static void who_cannot_be_answered_breaks_the_queue(void **state)
{
	struct vd_buffer whole[3];

	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	for (uint32_t len = 1; len < sizeof(struct virtio_blk_outhdr); len += 7) {
		whole[0] = (struct vd_buffer){b.header, len};
		whole[1] = (struct vd_buffer){b.status, 1};
		expect_broken(whole, 1, 1);
	}
	whole[1] = (struct vd_buffer){b.status, 1};
	expect_broken(&whole[1], 0, 1); /* no header at all */
	whole[0] = (struct vd_buffer){b.header, 16};
	whole[1] = (struct vd_buffer){b.status, 1}; /* to be read, not written */
	expect_broken(whole, 2, 0);
	assert_int_equal(bt_write(&b, 0, data, BT_SECTOR), VIRTIO_BLK_S_OK);
	bt_close(&b);
}

/* One segment more than the device takes, by an indirect table that the test writes itself. */
static void too_many_segments_break_the_queue(void **state)
{
	enum { SEGS = 300 };
	struct vring_desc *table;
	struct vd_queue *q;
	sx_gpa at;

	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	q = &b.d.queue[0];
	at = vd_alloc(&b.w.memory, SEGS * sizeof(*table), 16);
	table = vd_at(&b.w.memory, at);
	for (unsigned i = 0; i < SEGS; i++)
		table[i] = (struct vring_desc){b.data + i, 1, VRING_DESC_F_NEXT, (uint16_t)(i + 1)};
	table[SEGS - 1] = (struct vring_desc){b.status, 1, VRING_DESC_F_WRITE, 0};
	bt_head(&b, VIRTIO_BLK_T_OUT, 0);
	q->desc[0] = (struct vring_desc){at, SEGS * sizeof(*table), VRING_DESC_F_INDIRECT, 0};
	q->avail->ring[0] = 0;
	q->avail->idx = 1;
	vw_notify(&b.d, 0);
	assert_true(vw_status(&b.d) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(bt_file_stats(&b).entries, 0);
	bt_close(&b);
}

/* As many as are allowed; the driver's table is shorter than that, so the test writes it too. */
static void as_many_segments_as_promised_are_taken(void **state)
{
	struct vring_desc *table;
	struct vd_queue *q;
	uint32_t segs;
	sx_gpa at;

	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	segs = (uint32_t)CONFIG(seg_max);
	q = &b.d.queue[0];
	at = vd_alloc(&b.w.memory, (segs + 2) * sizeof(*table), 16);
	table = vd_at(&b.w.memory, at);
	table[0] = (struct vring_desc){b.header, 16, VRING_DESC_F_NEXT, 1};
	for (uint32_t i = 1; i <= segs; i++)
		table[i] = (struct vring_desc){b.data + (segs - i) * 2ull * BT_SECTOR, BT_SECTOR,
					       VRING_DESC_F_NEXT, (uint16_t)(i + 1)};
	table[segs + 1] = (struct vring_desc){b.status, 1, VRING_DESC_F_WRITE, 0};
	bt_head(&b, VIRTIO_BLK_T_OUT, 3);
	bt_pattern(vd_at(&b.w.memory, b.data), (uint32_t)(segs * BT_SECTOR * 2), 77);
	q->desc[0] = (struct vring_desc){at, (segs + 2) * (uint32_t)sizeof(*table),
					 VRING_DESC_F_INDIRECT, 0};
	q->avail->ring[0] = 0;
	q->avail->idx = 1;
	vw_notify(&b.d, 0);
	while (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == 0)
		bt_serve(&b);
	assert_int_equal(bt_status(&b), VIRTIO_BLK_S_OK);
	for (uint32_t i = 0; i < segs; i++) {
		bt_peek(&b, (3 + i) * (uint64_t)BT_SECTOR, got, BT_SECTOR);
		assert_memory_equal(got,
				    vd_at(&b.w.memory, b.data + (segs - 1 - i) * 2ull * BT_SECTOR),
				    BT_SECTOR);
	}
	bt_close(&b);
}

/* ---- other requests ---- */

static void flush_is_answered(void **state)
{
	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	assert_int_equal(bt_write(&b, 0, data, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_file_stats(&b).syncs, 0);
	assert_int_equal(bt_flush(&b), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_file_stats(&b).syncs, 1);
	assert_int_equal(bt_stats(&b).flushes, 1);
	bt_close(&b);
}

static void the_serial_number_is_given(void **state)
{
	char serial[64];

	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	assert_int_equal(bt_fetch(&b, VIRTIO_BLK_T_GET_ID, 0, serial, 20), VIRTIO_BLK_S_OK);
	assert_memory_equal(serial, "serial-1\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	/* A longer buffer gets no more, a shorter one the beginning. */
	assert_int_equal(bt_fetch(&b, VIRTIO_BLK_T_GET_ID, 0, serial, 24), VIRTIO_BLK_S_OK);
	assert_memory_equal(serial + 20, "\xee\xee\xee\xee", 4);
	assert_int_equal(bt_fetch(&b, VIRTIO_BLK_T_GET_ID, 0, serial, 3), VIRTIO_BLK_S_OK);
	assert_memory_equal(serial, "ser", 3);
	bt_close(&b);
}

static void a_serial_number_of_full_length_has_no_end(void **state)
{
	const struct sx_virtio_blk_config config = {.serial = "abcdefghijklmnopqrst"};
	char serial[20];

	(void)state;
	bt_open(&b, BT_DISK, SIZE, &config);
	assert_int_equal(bt_fetch(&b, VIRTIO_BLK_T_GET_ID, 0, serial, 20), VIRTIO_BLK_S_OK);
	assert_memory_equal(serial, "abcdefghijklmnopqrst", 20);
	bt_close(&b);
}

static void unknown_requests_are_unsupported(void **state)
{
	static const uint32_t type[] = {2, 3, 5, 7, 9, 10, 12, 14, 15, 16, 0x80000000u, UINT32_MAX};

	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	for (unsigned i = 0; i < sizeof(type) / sizeof(type[0]); i++) {
		assert_int_equal(bt_send(&b, type[i], 0, data, BT_SECTOR), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(bt_fetch(&b, type[i], 0, got, BT_SECTOR), VIRTIO_BLK_S_UNSUPP);
	}
	assert_int_equal(bt_stats(&b).unsupported, 2 * sizeof(type) / sizeof(type[0]));
	bt_close(&b);
}

/* ---- discard and write zeroes ---- */

static uint64_t blocks_used(void)
{
	struct stat st;

	assert_int_equal(stat(b.path, &st), 0);
	return (uint64_t)st.st_blocks;
}

static void open_with_data(const char *directory)
{
	bt_open(&b, directory, SIZE, &plain);
	bt_pattern(data, BT_DATA, 5);
	assert_int_equal(bt_write(&b, 0, data, BT_DATA), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_flush(&b), VIRTIO_BLK_S_OK);
}

static void discard_gives_the_space_back(void **state)
{
	uint64_t before;

	(void)state;
	open_with_data(BT_TMPFS);
	before = blocks_used();
	assert_true(b.d.features & BT_BIT(VIRTIO_BLK_F_DISCARD));
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_DISCARD, 256, 1024, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(before - blocks_used(), 1024);
	assert_int_equal(bt_read(&b, 0, got, 256 * BT_SECTOR), VIRTIO_BLK_S_OK);
	assert_memory_equal(got, data, 256 * BT_SECTOR);
	bt_close(&b);
}

/* `data` is what the first part of the disk should be. */
static void zero(uint64_t sector, uint32_t sectors)
{
	memset(data + sector * BT_SECTOR, 0, (size_t)sectors * BT_SECTOR);
}

static void expect_data(void)
{
	assert_int_equal(bt_read(&b, 0, got, BT_DATA), VIRTIO_BLK_S_OK);
	assert_memory_equal(got, data, BT_DATA);
}

static void zeroes_are_read_whatever_the_file_system_can_do(void **state)
{
	static const char *const directory[] = {BT_DISK, BT_TMPFS};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint64_t before;

		open_with_data(directory[i]);
		before = blocks_used();
		assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 8, 16, 0),
				 VIRTIO_BLK_S_OK);
		assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 33, 3, 0),
				 VIRTIO_BLK_S_OK);
		assert_int_equal(blocks_used(), before); /* not asked to unmap */
		zero(8, 16);
		zero(33, 3);
		expect_data();
		assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 512, 1024, 1),
				 VIRTIO_BLK_S_OK);
		zero(512, 1024);
		expect_data();
		assert_true(blocks_used() < before);
		bt_close(&b);
	}
}

static void several_ranges_in_one_request(void **state)
{
	struct virtio_blk_discard_write_zeroes range[17];

	(void)state;
	open_with_data(BT_DISK);
	for (unsigned i = 0; i < 17; i++)
		range[i] = (struct virtio_blk_discard_write_zeroes){.sector = htole64(i * 64ull),
								    .num_sectors = htole32(i),
								    .flags = htole32(i & 1)};
	assert_int_equal(bt_send(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, range, 16 * 16),
			 VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < 16; i++)
		zero(i * 64ull, i);
	expect_data();
	/* One too many; none; a part of one. */
	assert_int_equal(bt_send(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, range, 17 * 16),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_send(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, NULL, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_send(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, range, 20), VIRTIO_BLK_S_IOERR);
	/* One bad range spoils all, before any is done. */
	range[0].num_sectors = htole32(64);
	range[3].sector = htole64(SECTORS);
	assert_int_equal(bt_send(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, range, 4 * 16),
			 VIRTIO_BLK_S_IOERR);
	expect_data();
	bt_close(&b);
}

static void ranges_that_may_not_be_are_refused(void **state)
{
	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_DISCARD, 0, SECTORS, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_DISCARD, 1, SECTORS, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
	/* Flags: a discard has none, a write of zeros one (5.2.6.2). */
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_DISCARD, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_DISCARD, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0x80000001u),
			 VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0,
				  (uint32_t)CONFIG(max_write_zeroes_sectors) + 1, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, 0), VIRTIO_BLK_S_OK);
	bt_close(&b);
}

static void what_was_not_negotiated_is_unsupported(void **state)
{
	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	vw_stop(&b.d);
	bt_bring_up(&b, 0, 16);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(bt_write(&b, 0, data, BT_SECTOR), VIRTIO_BLK_S_OK);
	bt_close(&b);
}

/* ---- read-only ---- */

static void a_read_only_disk_is_never_written(void **state)
{
	(void)state;
	bt_open(&b, BT_DISK, SIZE, &readonly);
	assert_true(b.d.features & BT_BIT(VIRTIO_BLK_F_RO));
	assert_false(b.d.features & BT_BIT(VIRTIO_BLK_F_DISCARD));
	assert_false(b.d.features & BT_BIT(VIRTIO_BLK_F_WRITE_ZEROES));
	bt_pattern(data, BT_SECTOR, 1);
	assert_int_equal(bt_write(&b, 0, data, BT_SECTOR), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(bt_flush(&b), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_read(&b, 0, got, BT_SECTOR), VIRTIO_BLK_S_OK);
	memset(data, 0, BT_SECTOR);
	assert_memory_equal(got, data, BT_SECTOR);
	assert_int_equal(blocks_used(), 0);
	bt_close(&b);
}

/* ---- configuration ---- */

static void the_configuration_is_right(void **state)
{
	const struct sx_virtio_blk_config four = {.queues = 4};

	(void)state;
	bt_open(&b, BT_DISK, SIZE, &four);
	assert_int_equal(b.d.features & BT_FEATURES, BT_FEATURES & ~BT_BIT(VIRTIO_BLK_F_RO));
	assert_int_equal(CONFIG(capacity), SECTORS);
	assert_int_equal(CONFIG(blk_size), 512);
	assert_int_equal(CONFIG(num_queues), 4);
	assert_int_equal(CONFIG(physical_block_exp), 3);
	assert_int_equal(CONFIG(min_io_size), 8);
	assert_int_equal(CONFIG(wce), 1);
	assert_int_equal(CONFIG(write_zeroes_may_unmap), 1);
	assert_true(CONFIG(seg_max) >= 126);
	assert_true(CONFIG(size_max) >= 4096);
	assert_true(CONFIG(max_discard_sectors) >= SECTORS);
	assert_true(CONFIG(max_discard_seg) >= 1 && CONFIG(max_write_zeroes_seg) >= 1);
	bt_close(&b);
}

static void only_the_cache_mode_can_be_written(void **state)
{
	const uint64_t wce = offsetof(struct virtio_blk_config, wce);

	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	for (uint64_t at = 0; at < sizeof(struct virtio_blk_config); at++)
		if (at != wce)
			vw_write(&b.w, b.d.config + at, 1, 0xa5);
	vw_write(&b.w, b.d.config + wce, 1, 2);
	assert_int_equal(CONFIG(capacity), SECTORS);
	assert_int_equal(CONFIG(wce), 1);
	vw_write(&b.w, b.d.config + wce, 1, 0);
	assert_int_equal(CONFIG(wce), 0);
	vw_write(&b.w, b.d.config + wce, 1, 1);
	assert_int_equal(CONFIG(wce), 1);
	bt_close(&b);
}

/* ---- when a write is stable ---- */

/* A write through a cache that the driver turned off has reached the disk when it is answered. */
static void writethrough_syncs_each_write(void **state)
{
	const struct sx_virtio_blk_config cached = {.file = {.cache = SX_FILE_CACHED}};
	const uint64_t wce = offsetof(struct virtio_blk_config, wce);

	(void)state;
	bt_open(&b, BT_DISK, SIZE, &cached);
	assert_int_equal(bt_write(&b, 0, data, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_file_stats(&b).syncs, 0);
	vw_write(&b.w, b.d.config + wce, 1, 0);
	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(bt_write(&b, 0, data, 4096), VIRTIO_BLK_S_OK);
		assert_int_equal(bt_file_stats(&b).syncs, i);
	}
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_file_stats(&b).syncs, 4);
	assert_int_equal(bt_read(&b, 0, got, 4096), VIRTIO_BLK_S_OK);
	vw_write(&b.w, b.d.config + wce, 1, 1);
	assert_int_equal(bt_write(&b, 0, data, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_file_stats(&b).syncs, 4);
	/* A reset turns the cache on again. */
	vw_write(&b.w, b.d.config + wce, 1, 0);
	vw_stop(&b.d);
	bt_bring_up(&b, BT_FEATURES, 16);
	assert_int_equal(CONFIG(wce), 1);
	bt_close(&b);
}

static void who_cannot_flush_has_no_cache(void **state)
{
	const struct sx_virtio_blk_config cached = {.file = {.cache = SX_FILE_CACHED}};
	const uint64_t wce = offsetof(struct virtio_blk_config, wce);

	(void)state;
	bt_open(&b, BT_DISK, SIZE, &cached);
	vw_stop(&b.d);
	bt_bring_up(&b, BT_FEATURES & ~BT_BIT(VIRTIO_BLK_F_FLUSH), 16);
	assert_int_equal(CONFIG(wce), 0);
	assert_int_equal(bt_write(&b, 0, data, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_file_stats(&b).syncs, 1);
	vw_write(&b.w, b.d.config + wce, 1, 1);
	assert_int_equal(bt_write(&b, 0, data, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_file_stats(&b).syncs, 2);
	/* Who did not even ask for the switch cannot use it. */
	vw_stop(&b.d);
	bt_bring_up(&b, 0, 16);
	vw_write(&b.w, b.d.config + wce, 1, 1);
	assert_int_equal(CONFIG(wce), 0);
	bt_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_sectors_are_read_again),
		cmocka_unit_test(the_last_sector_is_there_and_no_more),
		cmocka_unit_test(sectors_beyond_all_numbers_are_refused),
		cmocka_unit_test(parts_of_sectors_are_refused),
		cmocka_unit_test(empty_transfers_are_done_at_once),
		cmocka_unit_test(any_cut_is_the_same_request),
		cmocka_unit_test(header_and_data_may_share_a_buffer),
		cmocka_unit_test(who_cannot_be_answered_breaks_the_queue),
		cmocka_unit_test(too_many_segments_break_the_queue),
		cmocka_unit_test(as_many_segments_as_promised_are_taken),
		cmocka_unit_test(flush_is_answered),
		cmocka_unit_test(the_serial_number_is_given),
		cmocka_unit_test(a_serial_number_of_full_length_has_no_end),
		cmocka_unit_test(unknown_requests_are_unsupported),
		cmocka_unit_test(discard_gives_the_space_back),
		cmocka_unit_test(zeroes_are_read_whatever_the_file_system_can_do),
		cmocka_unit_test(several_ranges_in_one_request),
		cmocka_unit_test(ranges_that_may_not_be_are_refused),
		cmocka_unit_test(what_was_not_negotiated_is_unsupported),
		cmocka_unit_test(a_read_only_disk_is_never_written),
		cmocka_unit_test(the_configuration_is_right),
		cmocka_unit_test(only_the_cache_mode_can_be_written),
		cmocka_unit_test(writethrough_syncs_each_write),
		cmocka_unit_test(who_cannot_flush_has_no_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
