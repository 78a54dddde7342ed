// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the host does to a disk: full file systems, images cut short, transfers in pieces, flushes
 * that fail, threads that end. The guest learns of each error, and of no success that was none.
 *
 * Some things only odd files do; there a pipe or a device is put in the image's place before its
 * queue is opened.
 */
#include "tests/unit/test_virtio_blk_world.h"

#include <pthread.h>
#include <sched.h>
#include <linux/virtio_pci.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "sidecore/virtio/blk_internal.h"

#define SIZE    (1u << 20)
#define SECTORS (SIZE / BT_SECTOR)

static struct bt_disk b;
static uint8_t data[BT_DATA], got[BT_DATA];

static const struct sx_virtio_blk_config plain = {.queues = 1};

/* ---- an image, and a queue on something else ---- */

static struct sx_file file;
static struct sx_file_queue *queue;
static char path[256];

/* @fd takes the image's place, and is used up. */
static void put_in_place(struct sx_file *f, int fd)
{
	assert_true(fd >= 0);
	assert_int_equal(dup2(fd, f->fd), f->fd);
	close(fd);
}

static void open_queue_on(int fd, unsigned depth)
{
	const struct sx_file_config config = {.path = path, .cache = SX_FILE_CACHED};

	bt_make_image(path, sizeof(path), BT_DISK, SIZE);
	assert_int_equal(sx_file_open(&file, &config, NULL), 0);
	if (fd >= 0)
		put_in_place(&file, fd);
	assert_int_equal(sx_file_queue_open(&queue, &file, depth, NULL), 0);
}

static void close_queue(void)
{
	sx_file_queue_close(queue);
	sx_file_close(&file);
	unlink(path);
}

static struct sx_file_op *wait_for_one(void)
{
	struct sx_file_op *op;

	sx_file_submit(queue);
	while (!(op = sx_file_reap(queue))) {
		struct pollfd fd = {.fd = sx_file_queue_fd(queue), .events = POLLIN};

		assert_int_equal(poll(&fd, 1, 10000), 1);
	}
	return op;
}

static struct sx_file_op transfer(enum sx_file_verb verb, struct iovec *seg, size_t len)
{
	seg->iov_base = verb == SX_FILE_READ ? got : data;
	seg->iov_len = len;
	return (struct sx_file_op){.verb = verb, .len = len, .seg = seg, .segs = 1};
}

static int result_of(struct sx_file_op *op)
{
	sx_file_start(queue, op);
	assert_ptr_equal(wait_for_one(), op);
	return op->result;
}

static struct sx_file_stats queue_stats(void)
{
	struct sx_file_stats stats;

	sx_file_queue_stats(queue, &stats);
	return stats;
}

/* ---- errors of the file ---- */

static void a_full_device_is_an_error(void **state)
{
	struct iovec seg;
	struct sx_file_op op = transfer(SX_FILE_WRITE, &seg, 4096);

	(void)state;
	open_queue_on(open("/dev/full", O_RDWR | O_CLOEXEC), 4);
	assert_int_equal(result_of(&op), -ENOSPC);
	assert_int_equal(op.done, 0);
	close_queue();
}

static void an_unreadable_place_is_an_error(void **state)
{
	struct iovec seg;
	struct sx_file_op op = transfer(SX_FILE_READ, &seg, 4096);

	(void)state;
	/* Nothing is mapped at address 0. */
	open_queue_on(open("/proc/self/mem", O_RDWR | O_CLOEXEC), 4);
	assert_int_equal(result_of(&op), -EIO);
	close_queue();
}

/* ---- transfers in pieces ---- */

static void short_reads_go_on(void **state)
{
	struct iovec seg;
	struct sx_file_op op = transfer(SX_FILE_READ, &seg, 1024);
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	open_queue_on(ends[0], 4);
	bt_pattern(data, 1024, 1);
	sx_file_start(queue, &op);
	for (size_t at = 0, len = 1; at < 1024; at += len, len = 2 * len + 1) {
		assert_true(sx_file_submit(queue));
		assert_null(sx_file_reap(queue));
		len = len < 1024 - at ? len : 1024 - at;
		assert_int_equal(write(ends[1], data + at, len), len);
		while (at + len < 1024 && op.done < at + len)
			assert_null(sx_file_reap(queue));
	}
	assert_ptr_equal(wait_for_one(), &op);
	assert_int_equal(op.result, 0);
	assert_int_equal(op.done, 1024);
	assert_memory_equal(got, data, 1024);
	assert_true(queue_stats().again >= 9);
	close_queue();
	close(ends[1]);
}

static void short_writes_go_on(void **state)
{
	struct iovec seg;
	struct sx_file_op op = transfer(SX_FILE_WRITE, &seg, SIZE);
	size_t taken = 0;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	open_queue_on(ends[1], 4);
	bt_pattern(data, SIZE, 2);
	sx_file_start(queue, &op);
	assert_true(sx_file_submit(queue));
	/* A pipe holds less than all of it. */
	while (taken < SIZE) {
		ssize_t n = read(ends[0], got + taken, SIZE - taken);

		assert_true(n > 0);
		taken += (size_t)n;
		if (taken < SIZE)
			assert_null(sx_file_reap(queue));
	}
	assert_ptr_equal(wait_for_one(), &op);
	assert_int_equal(op.result, 0);
	assert_memory_equal(got, data, SIZE);
	assert_true(queue_stats().again > 0);
	close_queue();
	close(ends[0]);
}

/* ---- flushes ---- */

/* Those that wait while one is under way are served by the next one. */
static void flushes_share_a_sync(void **state)
{
	struct sx_file_op op[10];

	(void)state;
	open_queue_on(-1, 16);
	for (unsigned i = 0; i < 10; i++) {
		op[i] = (struct sx_file_op){.verb = SX_FILE_FLUSH};
		sx_file_start(queue, &op[i]);
	}
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(wait_for_one()->result, 0);
	assert_null(sx_file_reap(queue));
	assert_int_equal(queue_stats().syncs, 2);
	close_queue();
}

/* The kernel tells of data that it lost once. The guest must not take the next flush for good. */
static void after_a_failed_flush_none_succeeds(void **state)
{
	struct sx_file_op op[6];
	struct iovec seg;
	int ends[2];

	(void)state;
	/* A pipe takes writes, and cannot be synced. */
	assert_int_equal(pipe(ends), 0);
	open_queue_on(ends[1], 8);
	for (unsigned i = 0; i < 6; i++) {
		op[i] = (struct sx_file_op){.verb = SX_FILE_FLUSH};
		sx_file_start(queue, &op[i]);
	}
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(wait_for_one()->result, -EINVAL);
	assert_int_equal(queue_stats().syncs, 1);
	assert_int_equal(result_of(&op[0]), -EINVAL);
	/* A write that need not be stable goes on; one that must cannot. */
	op[1] = transfer(SX_FILE_WRITE, &seg, 512);
	assert_int_equal(result_of(&op[1]), 0);
	op[1] = transfer(SX_FILE_WRITE, &seg, 512);
	op[1].durable = true;
	assert_int_equal(result_of(&op[1]), -EINVAL);
	assert_int_equal(queue_stats().syncs, 1);
	close_queue();
	close(ends[0]);
}

/* ---- threads that end ---- */

#define OPS 64

static void *start_and_end(void *arg)
{
	struct sx_file_op *op = arg;

	for (unsigned i = 0; i < OPS; i++)
		sx_file_start(queue, &op[i]);
	sx_file_submit(queue);
	return NULL;
}

/* With it end the kernel's workers that it had, and most of these wait for one. */
static void operations_outlive_the_thread_that_sent_them(void **state)
{
	static struct sx_file_op op[OPS];

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct iovec seg;
		struct sx_file_op fill = transfer(SX_FILE_WRITE, &seg, SIZE);
		struct sx_file_op fetch;
		pthread_t thread;

		open_queue_on(-1, OPS);
		memset(data, 0xff, SIZE);
		assert_int_equal(result_of(&fill), 0);
		for (unsigned i = 0; i < OPS; i++)
			op[i] = (struct sx_file_op){
				.verb = SX_FILE_ZERO, .offset = i * 8192ull, .len = 8192};
		assert_int_equal(pthread_create(&thread, NULL, start_and_end, op), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		for (unsigned i = 0; i < OPS; i++)
			assert_int_equal(wait_for_one()->result, 0);
		fetch = transfer(SX_FILE_READ, &seg, SIZE);
		assert_int_equal(result_of(&fetch), 0);
		memset(data, 0, OPS * 8192ul);
		assert_memory_equal(got, data, SIZE);
		close_queue();
	}
}

/* ---- as the guest sees it ---- */

static void an_image_cut_short_gives_errors_there(void **state)
{
	(void)state;
	bt_open(&b, BT_DISK, SIZE, &plain);
	bt_pattern(data, SIZE, 4);
	assert_int_equal(bt_write(&b, 0, data, SIZE), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_flush(&b), VIRTIO_BLK_S_OK);
	assert_int_equal(truncate(b.path, SIZE / 2), 0);
	assert_int_equal(bt_read(&b, SECTORS / 2, got, 4096), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_read(&b, SECTORS / 2 - 8, got, 8192), VIRTIO_BLK_S_IOERR);
	assert_memory_equal(got, data + SIZE / 2 - 4096, 4096);
	assert_int_equal(bt_read(&b, 0, got, SIZE / 2), VIRTIO_BLK_S_OK);
	assert_memory_equal(got, data, SIZE / 2);
	assert_int_equal(bt_stats(&b).failed, 2);
	assert_int_equal(vw_status(&b.d) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
	bt_close(&b);
}

/* A file that may not grow beyond a limit: what fits is written, what does not is an error. */
static void a_limit_of_file_size_is_an_error(void **state)
{
	struct rlimit old, half;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	half = (struct rlimit){SIZE / 2, old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	bt_open(&b, BT_DISK, SIZE, &plain);
	bt_pattern(data, 8192, 6);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &half), 0);
	assert_int_equal(bt_write(&b, SECTORS / 2, data, 4096), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_write(&b, SECTORS / 2 - 8, data, 8192), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bt_write(&b, SECTORS / 2 - 8, data, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(bt_stats(&b).failed, 2);
	assert_int_equal(bt_read(&b, SECTORS / 2 - 8, got, 4096), VIRTIO_BLK_S_OK);
	assert_memory_equal(got, data, 4096);
	assert_int_equal(bt_write(&b, SECTORS / 2, data, 8192), VIRTIO_BLK_S_OK);
	bt_close(&b);
}

/* A file system of 256 KiB, for this process only. */
static bool mount_small(const char *where)
{
	return unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("small", where, "tmpfs", 0, "size=256k") == 0;
}

static void a_full_file_system_loses_nothing_acknowledged(void **state)
{
	char where[] = "/tmp/splitx-full-XXXXXX";
	uint64_t sector = 0;

	(void)state;
	assert_non_null(mkdtemp(where));
	if (!mount_small(where)) {
		rmdir(where);
		print_message("no file system can be mounted here\n");
		skip();
	}
	bt_open(&b, where, SIZE, &plain);
	bt_pattern(data, SIZE, 8);
	while (bt_write(&b, sector, data + sector * BT_SECTOR, 4096) == VIRTIO_BLK_S_OK)
		sector += 8;
	assert_true(sector > 0 && sector < SECTORS);
	assert_int_equal(bt_stats(&b).failed, 1);
	assert_int_equal(bt_flush(&b), VIRTIO_BLK_S_OK);
	/* What is given back can be used again. */
	assert_int_equal(bt_range(&b, VIRTIO_BLK_T_DISCARD, 0, 16, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(bt_write(&b, sector, data + sector * BT_SECTOR, 4096), VIRTIO_BLK_S_OK);
	sector += 8;
	memset(data, 0, 16 * BT_SECTOR);
	assert_int_equal(bt_read(&b, 0, got, (uint32_t)sector * BT_SECTOR), VIRTIO_BLK_S_OK);
	assert_memory_equal(got, data, sector * BT_SECTOR);
	bt_close(&b);
	umount2(where, MNT_DETACH);
	rmdir(where);
}

/* ---- a reset with a read that the host does not answer ---- */

static void turn(void)
{
	b.blk.dev.group[0].poller.poll(b.blk.dev.group[0].poller.ctx);
}

static void a_reset_waits_for_the_kernel(void **state)
{
	const struct sx_virtio_blk_config cached = {.file = {.cache = SX_FILE_CACHED}};
	const struct vd_buffer *buffer;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	memset(&b, 0, sizeof(b));
	bt_make_image(b.path, sizeof(b.path), BT_DISK, SIZE);
	bt_plug(&b, &cached, true);
	sx_file_queue_close(b.blk.queue[0].io);
	put_in_place(&b.blk.file, ends[0]);
	assert_int_equal(
		sx_file_queue_open(&b.blk.queue[0].io, &b.blk.file, SX_BLK_QUEUE_SIZE, NULL), 0);
	bt_bring_up(&b, BT_FEATURES, 16);
	buffer = (struct vd_buffer[]){{b.header, 16}, {b.data, BT_SECTOR}, {b.status, 1}};
	for (unsigned i = 0; i < 5; i++)
		turn();
	bt_head(&b, VIRTIO_BLK_T_IN, 0);
	assert_int_equal(vd_add(&b.d.queue[0], buffer, 1, 2, NULL), 0);
	vw_kick(&b.d, 0);
	turn();
	vw_set(&b.d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	for (unsigned i = 0; i < 100; i++) {
		turn();
		assert_int_not_equal(vw_status(&b.d), 0);
	}
	bt_pattern(data, BT_SECTOR, 1);
	assert_int_equal(write(ends[1], data, BT_SECTOR), BT_SECTOR);
	while (vw_status(&b.d))
		turn();
	assert_memory_equal(vd_at(&b.w.memory, b.data), data, BT_SECTOR);
	assert_false(b.blk.dev.queue[0].running);
	vw_stop(&b.d);
	bt_unplug(&b);
	unlink(b.path);
	close(ends[1]);
}

/* ---- kill -9 ---- */

/* In a process of its own: write one block after the other, and tell of each when it is answered.
 */
static void write_for_ever(int tell)
{
	bt_plug(&b, &plain, false);
	bt_bring_up(&b, BT_FEATURES, 16);
	for (uint32_t n = 0;; n++) {
		bt_pattern(data, 4096, n);
		if (bt_write(&b, n % (SECTORS / 8) * 8, data, 4096) != VIRTIO_BLK_S_OK ||
		    write(tell, &n, sizeof(n)) != sizeof(n))
			_exit(1);
	}
}

static void killed_processes_lose_nothing_acknowledged(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 20; round++) {
		uint32_t n, last = 0;
		int ends[2];
		pid_t child;

		memset(&b, 0, sizeof(b));
		bt_make_image(b.path, sizeof(b.path), BT_DISK, SIZE);
		assert_int_equal(pipe(ends), 0);
		child = fork();
		if (child == 0)
			write_for_ever(ends[1]);
		close(ends[1]);
		while (last < 7 * round && read(ends[0], &n, sizeof(n)) == sizeof(n))
			last = n;
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, NULL, 0), child);
		while (read(ends[0], &n, sizeof(n)) == sizeof(n))
			last = n;
		close(ends[0]);
		assert_true(last >= 7 * round);
		/* The next one may be there or not. */
		for (n = 0; n < last && n < SECTORS / 8; n++) {
			uint32_t newest = last - (last - n) % (SECTORS / 8);

			if ((last + 1 - n) % (SECTORS / 8) == 0)
				continue;
			bt_pattern(data, 4096, newest);
			bt_peek(&b, n * 4096ull, got, 4096);
			assert_memory_equal(got, data, 4096);
		}
		unlink(b.path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_device_is_an_error),
		cmocka_unit_test(an_unreadable_place_is_an_error),
		cmocka_unit_test(short_reads_go_on),
		cmocka_unit_test(short_writes_go_on),
		cmocka_unit_test(flushes_share_a_sync),
		cmocka_unit_test(after_a_failed_flush_none_succeeds),
		cmocka_unit_test(operations_outlive_the_thread_that_sent_them),
		cmocka_unit_test(an_image_cut_short_gives_errors_there),
		cmocka_unit_test(a_limit_of_file_size_is_an_error),
		cmocka_unit_test(a_reset_waits_for_the_kernel),
		cmocka_unit_test(killed_processes_lose_nothing_acknowledged),
		/* The last: it leaves the process in a world of its own. */
		cmocka_unit_test(a_full_file_system_loses_nothing_acknowledged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
