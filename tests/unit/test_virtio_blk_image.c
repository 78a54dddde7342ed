// SPDX-License-Identifier: BSD-3-Clause
/*
 * Disk images: what can be attached and what cannot, who may have it, and how it is read and
 * written; each refusal is a sentence that names the image.
 */
#include "tests/unit/test_virtio_blk_world.h"

#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define SIZE (1u << 20)

static char path[256];

static int with_image(void **state)
{
	(void)state;
	bt_make_image(path, sizeof(path), BT_DISK, SIZE);
	return 0;
}

static int without_image(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

/* Opening @config fails with @code, and the sentence holds @word and the image's name. */
static void expect_refusal(const struct sx_file_config *config, int code, const char *word)
{
	struct sx_error err = {""};
	struct sx_file f;

	assert_int_equal(sx_file_open(&f, config, &err), code);
	assert_int_equal(f.fd, -1);
	assert_non_null(strstr(err.text, word));
	assert_non_null(strstr(err.text, config->path));
}

static void write_head(const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, bytes, len, 0), len);
	close(fd);
}

/* ---- of the wrong kind ---- */

static void what_is_no_image_is_refused(void **state)
{
	char fifo[300];

	(void)state;
	expect_refusal(&(struct sx_file_config){.path = "/nonexistent/disk.img"}, -ENOENT,
		       "does not exist");
	expect_refusal(&(struct sx_file_config){.path = BT_DISK}, -EINVAL, "directory");
	expect_refusal(&(struct sx_file_config){.path = "/dev/null"}, -EINVAL, "regular file");
	/* Nobody has its other end: opening it would wait for ever. */
	snprintf(fifo, sizeof(fifo), "%s.fifo", path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	expect_refusal(&(struct sx_file_config){.path = fifo, .readonly = true}, -EINVAL,
		       "regular file");
	unlink(fifo);
}

static void images_without_whole_blocks_are_refused(void **state)
{
	const struct sx_file_config config = {.path = path};
	const struct sx_file_config large = {.path = path, .block_size = 4096};
	struct sx_file f;

	(void)state;
	assert_int_equal(truncate(path, 0), 0);
	expect_refusal(&config, -EINVAL, "is empty");
	assert_int_equal(truncate(path, SIZE + 100), 0);
	expect_refusal(&config, -EINVAL, "truncate -s +412");
	assert_int_equal(truncate(path, SIZE + 512), 0);
	assert_int_equal(sx_file_open(&f, &config, NULL), 0);
	sx_file_close(&f);
	expect_refusal(&large, -EINVAL, "truncate -s +3584");
}

static void block_sizes_that_are_none_are_refused(void **state)
{
	static const uint32_t size[] = {1, 256, 513, 1000, 8192, 0x80000000u};
	struct sx_error err;
	struct sx_file f;

	(void)state;
	for (unsigned i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		struct sx_file_config config = {.path = path, .block_size = size[i]};

		err.text[0] = 0;
		assert_int_equal(sx_file_open(&f, &config, &err), -EINVAL);
		assert_non_null(strstr(err.text, "512, 1024, 2048 or 4096"));
	}
}

static void images_that_are_not_raw_are_refused(void **state)
{
	const struct sx_file_config config = {.path = path};
	struct sx_file f;

	(void)state;
	write_head("QFI\xfb\0\0\0\3", 8);
	expect_refusal(&config, -EINVAL, "qcow2");
	write_head("KDMV", 4);
	expect_refusal(&config, -EINVAL, "vmdk");
	write_head("vhdxfile", 8);
	expect_refusal(&config, -EINVAL, "vhdx");
	write_head("QFI-not-", 8);
	assert_int_equal(sx_file_open(&f, &config, NULL), 0);
	sx_file_close(&f);
}

static void a_file_without_permission_is_refused(void **state)
{
	const struct sx_file_config config = {.path = path};
	uid_t me = geteuid();
	struct sx_error err = {""};
	struct sx_file f;
	int rc;

	(void)state;
	assert_int_equal(chmod(path, 0444), 0);
	/* Root may write everything, so it is somebody else for a moment. */
	if (me == 0)
		assert_int_equal(seteuid(65534), 0);
	rc = sx_file_open(&f, &config, &err);
	assert_int_equal(seteuid(me), 0);
	assert_int_equal(rc, -EACCES);
	assert_non_null(strstr(err.text, "attach it read-only"));
}

/* ---- locks ---- */

static void one_writer_or_many_readers(void **state)
{
	const struct sx_file_config rw = {.path = path}, ro = {.path = path, .readonly = true};
	struct sx_file first, second, third;

	(void)state;
	assert_int_equal(sx_file_open(&first, &rw, NULL), 0);
	expect_refusal(&rw, -EBUSY, "in use");
	expect_refusal(&ro, -EBUSY, "in use");
	sx_file_close(&first);

	assert_int_equal(sx_file_open(&first, &ro, NULL), 0);
	assert_int_equal(sx_file_open(&second, &ro, NULL), 0);
	expect_refusal(&rw, -EBUSY, "in use");
	sx_file_close(&first);
	expect_refusal(&rw, -EBUSY, "in use");
	sx_file_close(&second);
	assert_int_equal(sx_file_open(&third, &rw, NULL), 0);
	sx_file_close(&third);
}

/* The queues' own descriptions must not give the lock away, nor keep it. */
static void queues_leave_the_lock_alone(void **state)
{
	const struct sx_file_config rw = {.path = path};
	struct sx_file_queue *q;
	struct sx_file f, again;

	(void)state;
	assert_int_equal(sx_file_open(&f, &rw, NULL), 0);
	assert_int_equal(sx_file_queue_open(&q, &f, 8, NULL), 0);
	sx_file_queue_close(q);
	expect_refusal(&rw, -EBUSY, "in use");
	assert_int_equal(sx_file_queue_open(&q, &f, 8, NULL), 0);
	sx_file_queue_close(q);
	sx_file_close(&f);
	assert_int_equal(sx_file_open(&again, &rw, NULL), 0);
	sx_file_close(&again);
}

/* ---- past the page cache, or through it ---- */

static bool opens(enum sx_file_cache cache, uint32_t block_size, const char *image)
{
	const struct sx_file_config config = {
		.path = image, .cache = cache, .block_size = block_size};
	struct sx_error err = {""};
	struct sx_file f;
	bool direct;

	if (sx_file_open(&f, &config, &err) < 0) {
		assert_int_equal(cache, SX_FILE_DIRECT);
		assert_non_null(strstr(err.text, "direct I/O"));
		return false;
	}
	direct = f.direct;
	sx_file_close(&f);
	return direct;
}

static void the_cache_is_as_asked(void **state)
{
	int fd;

	(void)state;
	assert_false(opens(SX_FILE_CACHED, 0, path));
	assert_int_equal(opens(SX_FILE_AUTO, 0, path), opens(SX_FILE_DIRECT, 0, path));
	/* Whatever the disk behind a file is, it has no larger blocks than these. */
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		assert_true(opens(SX_FILE_AUTO, 4096, path));
	}
}

/* ---- no io_uring ---- */

static void without_descriptors_there_is_no_queue(void **state)
{
	const struct sx_file_config config = {.path = path};
	struct rlimit old, none;
	struct sx_error err = {""};
	struct sx_file_queue *q;
	struct sx_file f;
	int rc;

	(void)state;
	assert_int_equal(sx_file_open(&f, &config, NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	/* One more for the image; the ring finds none. */
	none = (struct rlimit){(rlim_t)f.fd + 2, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	rc = sx_file_queue_open(&q, &f, 8, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(rc, -EMFILE);
	assert_null(q);
	assert_non_null(strstr(err.text, "io_uring"));
	sx_file_close(&f);
}

/* ---- the device's own arguments ---- */

static int try_device(const struct sx_virtio_blk_config *config, struct sx_error *err)
{
	static struct sx_memmap map;
	static struct sx_virtio_blk blk;
	struct sx_virtio_env env = {.dma = {.memory = &map}};
	int rc = sx_virtio_blk_init(&blk, config, &env, err);

	sx_virtio_blk_destroy(&blk);
	return rc;
}

static void devices_that_cannot_be_are_refused(void **state)
{
	struct sx_virtio_blk_config config = {.file = {.path = path}};
	struct sx_error err = {""};

	(void)state;
	assert_int_equal(try_device(&config, &err), 0);
	config.queues = SX_BLK_MAX_QUEUES + 1;
	assert_int_equal(try_device(&config, &err), -EINVAL);
	assert_non_null(strstr(err.text, "64 queues"));
	err.text[0] = 0;
	config.queues = 2;
	config.serial = "123456789012345678901";
	assert_int_equal(try_device(&config, &err), -EINVAL);
	assert_non_null(strstr(err.text, "20 bytes"));
	err.text[0] = 0;
	config.serial = NULL;
	config.file.path = "/nonexistent";
	assert_int_equal(try_device(&config, &err), -ENOENT);
	config.file.path = path;
	assert_int_equal(try_device(&config, NULL), 0);
}

/* ---- block devices ---- */

static struct bt_disk b;
static uint8_t data[BT_DATA], got[BT_DATA];

/* A loop device of this block size on the image, its path in b.path; false: not here. */
static bool make_loop(uint32_t block_size)
{
	struct loop_config config = {.block_size = block_size};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	int loop, image, rc;

	if (control >= 0)
		close(control);
	if (number < 0)
		return false;
	snprintf(b.path, sizeof(b.path), "/dev/loop%d", number);
	loop = open(b.path, O_RDWR | O_CLOEXEC);
	image = open(path, O_RDWR | O_CLOEXEC);
	config.fd = (uint32_t)image;
	rc = loop < 0 || image < 0 ? -1 : ioctl(loop, LOOP_CONFIGURE, &config);
	if (image >= 0)
		close(image);
	if (loop >= 0)
		close(loop);
	return rc == 0;
}

static void remove_loop(void)
{
	int loop = open(b.path, O_RDWR | O_CLOEXEC);

	assert_int_equal(ioctl(loop, LOOP_CLR_FD), 0);
	close(loop);
}

static void use_device(uint32_t block_size)
{
	const struct sx_virtio_blk_config config = {0};
	const struct sx_file_config again = {.path = b.path};
	uint32_t sectors = block_size / BT_SECTOR;

	bt_plug(&b, &config, false);
	bt_bring_up(&b, BT_FEATURES, 64);
	assert_true(b.blk.file.block_device);
	assert_int_equal(b.blk.file.block_size, block_size);
	assert_int_equal(b.blk.file.size, SIZE);
	expect_refusal(&again, -EBUSY, "in use");

	bt_pattern(data, SIZE, 3);
	assert_int_equal(bt_write(&b, 0, data, SIZE), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 64, 64, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 256, 64, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_DISCARD, 1024, 64, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_flush(&b), VIRTIO_BLK_S_OK);
	memset(data + 64 * BT_SECTOR, 0, 64 * BT_SECTOR);
	memset(data + 256 * BT_SECTOR, 0, 64 * BT_SECTOR);
	assert_int_equal(bt_read(&b, 0, got, SIZE), VIRTIO_BLK_S_OK);
	assert_memory_equal(got, data, 1024 * BT_SECTOR);
	assert_memory_equal(got + 1088 * BT_SECTOR, data + 1088 * BT_SECTOR,
			    SIZE - 1088 * BT_SECTOR);
	assert_int_equal(bt_read(&b, sectors, got, block_size), VIRTIO_BLK_S_OK);
	if (sectors > 1) {
		/* Parts of blocks: a disk with such blocks has none. */
		assert_int_equal(bt_read(&b, 1, got, block_size), VIRTIO_BLK_S_IOERR);
		assert_int_equal(bt_write(&b, 0, data, BT_SECTOR), VIRTIO_BLK_S_IOERR);
		assert_int_equal(bt_range(&b, VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_IOERR);
	}
	vw_stop(&b.d);
	bt_unplug(&b);
}

static void block_devices_are_disks(void **state)
{
	static const uint32_t block_size[] = {512, 4096};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		if (!make_loop(block_size[i])) {
			print_message("no loop device can be made here\n");
			skip();
		}
		use_device(block_size[i]);
		if (block_size[i] > 512)
			expect_refusal(&(struct sx_file_config){.path = b.path, .block_size = 512},
				       -EINVAL, "4096");
		remove_loop();
	}
}

int main(void)
{
#define WITH_IMAGE(t) cmocka_unit_test_setup_teardown(t, with_image, without_image)
	const struct CMUnitTest tests[] = {
		WITH_IMAGE(what_is_no_image_is_refused),
		WITH_IMAGE(images_without_whole_blocks_are_refused),
		WITH_IMAGE(block_sizes_that_are_none_are_refused),
		WITH_IMAGE(images_that_are_not_raw_are_refused),
		WITH_IMAGE(a_file_without_permission_is_refused),
		WITH_IMAGE(one_writer_or_many_readers),
		WITH_IMAGE(queues_leave_the_lock_alone),
		WITH_IMAGE(the_cache_is_as_asked),
		WITH_IMAGE(without_descriptors_there_is_no_queue),
		WITH_IMAGE(devices_that_cannot_be_are_refused),
		WITH_IMAGE(block_devices_are_disks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
