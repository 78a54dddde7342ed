// SPDX-License-Identifier: BSD-3-Clause
/*
 * A disk in a test: an image, the virtio-blk device on it, and a driver that sends requests.
 */
#ifndef SX_TESTS_UNIT_TEST_VIRTIO_BLK_WORLD_H
#define SX_TESTS_UNIT_TEST_VIRTIO_BLK_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <poll.h>
#include <unistd.h>

#include "ipc/rcu.h"
#include "sidecore/virtio/blk.h"
#include "tests/support/virtio_world.h"

#define BT_MEMORY (16u << 20)
#define BT_DATA   (1u << 20) /* bytes of the buffer for data */
#define BT_SECTOR ((size_t)512)

#define BT_BIT(f) SX_VIRTIO_BIT(f)
/* All that the device may offer, but for the features that change the rings. */
#define BT_FEATURES                                                                               \
	(BT_BIT(VIRTIO_BLK_F_SIZE_MAX) | BT_BIT(VIRTIO_BLK_F_SEG_MAX) | BT_BIT(VIRTIO_BLK_F_RO) | \
	 BT_BIT(VIRTIO_BLK_F_BLK_SIZE) | BT_BIT(VIRTIO_BLK_F_TOPOLOGY) |                          \
	 BT_BIT(VIRTIO_BLK_F_FLUSH) | BT_BIT(VIRTIO_BLK_F_CONFIG_WCE) | BT_BIT(VIRTIO_BLK_F_MQ) | \
	 BT_BIT(VIRTIO_BLK_F_DISCARD) | BT_BIT(VIRTIO_BLK_F_WRITE_ZEROES) |                       \
	 BT_BIT(VIRTIO_RING_F_INDIRECT_DESC) | BT_BIT(VIRTIO_RING_F_EVENT_IDX) |                  \
	 BT_BIT(VIRTIO_F_RING_RESET))

/* Where images lie: beside what is built, a file system as it comes; and a tmpfs. */
#define BT_DISK  SX_BUILD_DIR
#define BT_TMPFS "/dev/shm"

struct bt_disk {
	struct vw_world w;
	struct sx_virtio_blk blk;
	struct sx_virtio_pci pci;
	struct vw_driver d;
	char path[256];
	sx_gpa header, status, data;
	void (*wait)(void); /* when somebody else runs the device */
};

/* A sparse image of @size bytes in @directory. */
static inline void bt_make_image(char *path, size_t path_size, const char *directory, uint64_t size)
{
	int fd;

	snprintf(path, path_size, "%s/splitx-blk-XXXXXX", directory);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

/* The image's bytes, as others see them. */
static inline void bt_peek(const struct bt_disk *b, uint64_t offset, void *to, size_t len)
{
	int fd = open(b->path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, to, len, (off_t)offset), len);
	close(fd);
}

/* The device on the image at b->path, seen by a driver that has not begun. */
static inline void bt_plug(struct bt_disk *b, const struct sx_virtio_blk_config *config,
			   bool polled)
{
	struct sx_virtio_blk_config c = *config;
	struct sx_virtio_env env;
	struct sx_error err = {""};

	vw_init(&b->w, BT_MEMORY);
	env = vw_env(&b->w, polled);
	c.file.path = b->path;
	if (sx_virtio_blk_init(&b->blk, &c, &env, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(sx_virtio_pci_init(&b->pci, &b->blk.dev, &b->w.host, SX_PCI_ANY, &err), 0);
}

/* ... and set up by it. */
static inline void bt_bring_up(struct bt_disk *b, uint64_t features, uint16_t size)
{
	vw_bring_up(&b->d, &b->w, b->pci.function.devfn, features, b->blk.queues, size);
	b->header = vd_alloc(&b->w.memory, sizeof(struct virtio_blk_outhdr), 16);
	b->status = vd_alloc(&b->w.memory, 1, 1);
	b->data = vd_alloc(&b->w.memory, BT_DATA, 4096);
}

static inline void bt_unplug(struct bt_disk *b)
{
	sx_virtio_pci_destroy(&b->pci);
	sx_virtio_blk_destroy(&b->blk);
	vw_destroy(&b->w);
}

static inline void bt_open(struct bt_disk *b, const char *directory, uint64_t size,
			   const struct sx_virtio_blk_config *config)
{
	memset(b, 0, sizeof(*b));
	bt_make_image(b->path, sizeof(b->path), directory, size);
	bt_plug(b, config, false);
	bt_bring_up(b, BT_FEATURES, 64);
}

static inline void bt_close(struct bt_disk *b)
{
	vw_stop(&b->d);
	bt_unplug(b);
	unlink(b->path);
}

/* Let the device do what it can; sleep until there is something if it says that it can wake us. */
static inline void bt_serve(struct bt_disk *b)
{
	struct pollfd wake = {.fd = b->blk.dev.wake_fd, .events = POLLIN};

	if (b->wait) {
		b->wait();
		return;
	}
	if (!b->blk.dev.env.polled) {
		assert_int_equal(poll(&wake, 1, 10000), 1);
		sx_virtio_device_poll(&b->blk.dev);
		return;
	}
	for (unsigned i = 0; i < b->blk.queues; i++)
		b->blk.dev.group[i].poller.poll(b->blk.dev.group[i].poller.ctx);
}

/* Take the next used chain of @queue; returns its length. */
static inline uint32_t bt_take(struct bt_disk *b, unsigned queue, void **token)
{
	uint32_t len;
	int got;

	while ((got = vd_take(&b->d.queue[queue], token, &len)) == 0)
		bt_serve(b);
	assert_int_equal(got, 1);
	return len;
}

static inline void bt_head(struct bt_disk *b, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr header = {.type = htole32(type), .sector = htole64(sector)};

	memcpy(vd_at(&b->w.memory, b->header), &header, sizeof(header));
	memset(vd_at(&b->w.memory, b->status), 0xff, 1);
}

static inline uint8_t bt_status(const struct bt_disk *b)
{
	return *(const uint8_t *)vd_at(&b->w.memory, b->status);
}

/* One request on queue 0 with these buffers, and wait; returns the used length. */
static inline uint32_t bt_request(struct bt_disk *b, const struct vd_buffer *buffer, unsigned out,
				  unsigned in)
{
	void *token;

	assert_int_equal(vd_add(&b->d.queue[0], buffer, out, in, b), 0);
	vw_kick(&b->d, 0);
	return bt_take(b, 0, &token);
}

/* Data to the device, as one buffer; returns the status. */
static inline uint8_t bt_send(struct bt_disk *b, uint32_t type, uint64_t sector, const void *data,
			      uint32_t len)
{
	struct vd_buffer buffer[] = {
		{b->header, sizeof(struct virtio_blk_outhdr)}, {b->data, len}, {b->status, 1}};

	bt_head(b, type, sector);
	if (len) {
		memcpy(vd_at(&b->w.memory, b->data), data, len);
		assert_int_equal(bt_request(b, buffer, 2, 1), 1);
	} else {
		buffer[1] = buffer[2];
		assert_int_equal(bt_request(b, buffer, 1, 1), 1);
	}
	return bt_status(b);
}

/* Data from the device. */
static inline uint8_t bt_fetch(struct bt_disk *b, uint32_t type, uint64_t sector, void *data,
			       uint32_t len)
{
	const struct vd_buffer buffer[] = {
		{b->header, sizeof(struct virtio_blk_outhdr)}, {b->data, len}, {b->status, 1}};
	uint32_t used;

	bt_head(b, type, sector);
	memset(vd_at(&b->w.memory, b->data), 0xee, len);
	used = bt_request(b, buffer, 1, 2);
	memcpy(data, vd_at(&b->w.memory, b->data), len);
	if (type == VIRTIO_BLK_T_IN && bt_status(b) == VIRTIO_BLK_S_OK)
		assert_int_equal(used, len + 1);
	return bt_status(b);
}

static inline uint8_t bt_write(struct bt_disk *b, uint64_t sector, const void *data, uint32_t len)
{
	return bt_send(b, VIRTIO_BLK_T_OUT, sector, data, len);
}

static inline uint8_t bt_read(struct bt_disk *b, uint64_t sector, void *data, uint32_t len)
{
	return bt_fetch(b, VIRTIO_BLK_T_IN, sector, data, len);
}

static inline uint8_t bt_flush(struct bt_disk *b)
{
	return bt_send(b, VIRTIO_BLK_T_FLUSH, 0, NULL, 0);
}

/* A discard, or a write of zeros, of one range. */
static inline uint8_t bt_range(struct bt_disk *b, uint32_t type, uint64_t sector, uint32_t sectors,
			       uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes range = {.sector = htole64(sector),
							      .num_sectors = htole32(sectors),
							      .flags = htole32(flags)};

	return bt_send(b, type, 0, &range, sizeof(range));
}

static inline struct sx_virtio_blk_stats bt_stats(const struct bt_disk *b)
{
	struct sx_virtio_blk_stats stats;

	sx_virtio_blk_stats(&b->blk, &stats);
	return stats;
}

static inline struct sx_file_stats bt_file_stats(const struct bt_disk *b)
{
	struct sx_file_stats stats;

	sx_virtio_blk_file_stats(&b->blk, &stats);
	return stats;
}

/* Bytes that say which sector of which write they are. */
static inline void bt_pattern(uint8_t *data, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)(seed * 131 + i * 7 + i / BT_SECTOR * 29 + 1);
}

#endif
