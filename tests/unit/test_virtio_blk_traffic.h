// SPDX-License-Identifier: BSD-3-Clause
/*
 * Random requests on all queues of a disk, many at a time, against a copy of the disk in memory.
 * Requests that are under way together do not overlap, unless all of them read, so that what each
 * must give is known when it is sent.
 */
#ifndef SX_TESTS_UNIT_TEST_VIRTIO_BLK_TRAFFIC_H
#define SX_TESTS_UNIT_TEST_VIRTIO_BLK_TRAFFIC_H

#include "tests/unit/test_virtio_blk_world.h"

#define BT_DISK_SIZE    (2u << 20)
#define BT_DISK_SECTORS (BT_DISK_SIZE / BT_SECTOR)
#define BT_SLOTS        24
#define BT_SLOT_BYTES   (32u << 10)
#define BT_PIECES       6

struct bt_slot {
	bool busy;
	bool writes;
	unsigned queue;
	uint32_t type;
	uint64_t sector;
	uint32_t sectors;
	sx_gpa at; /* header, status, and then data */
	struct vd_buffer buffer[BT_PIECES + 2];
	unsigned out, in;
	uint8_t expected[BT_SLOT_BYTES]; /* of a read */
};

struct bt_traffic {
	struct bt_disk *b;
	uint32_t seed;
	uint32_t misaligned; /* in so many of 8 requests data lies at odd addresses */
	uint64_t sent, taken;
	uint8_t model[BT_DISK_SIZE];
	struct bt_slot slot[BT_SLOTS];
};

static inline uint32_t bt_draw(struct bt_traffic *t, uint32_t below)
{
	t->seed = t->seed * 1664525 + 1013904223;
	return (t->seed >> 8) % below;
}

static inline void bt_traffic_init(struct bt_traffic *t, struct bt_disk *b, uint32_t seed,
				   uint32_t misaligned)
{
	memset(t, 0, sizeof(*t));
	t->b = b;
	t->seed = seed;
	t->misaligned = misaligned;
	for (unsigned i = 0; i < BT_SLOTS; i++)
		t->slot[i].at = vd_alloc(&b->w.memory, BT_SLOT_BYTES + 8192, 4096);
}

static inline bool bt_collides(const struct bt_traffic *t, uint64_t sector, uint32_t sectors,
			       bool writes)
{
	for (unsigned i = 0; i < BT_SLOTS; i++) {
		const struct bt_slot *s = &t->slot[i];

		if (s->busy && (writes || s->writes) && sector < s->sector + s->sectors &&
		    s->sector < sector + sectors)
			return true;
	}
	return false;
}

/* Cut @len bytes of data into pieces, each of whole bytes or whole sectors. */
static inline unsigned bt_cut(struct bt_traffic *t, struct bt_slot *s, struct vd_buffer *piece,
			      uint32_t len, bool odd)
{
	sx_gpa at = s->at + 4096 + (odd ? 1 + bt_draw(t, 511) : 0);
	unsigned n = 0;

	while (len) {
		uint32_t part = len;

		if (n < BT_PIECES - 1 && bt_draw(t, 2))
			part = odd ? 1 + bt_draw(t, len)
				   : BT_SECTOR * (1 + bt_draw(t, len / BT_SECTOR));
		piece[n++] = (struct vd_buffer){at, part};
		at += part;
		len -= part;
	}
	return n;
}

static inline void bt_fill(struct bt_traffic *t, struct bt_slot *s, unsigned pieces)
{
	uint8_t *model = t->model + s->sector * BT_SECTOR;

	bt_pattern(model, s->sectors * BT_SECTOR, (uint32_t)t->sent);
	for (unsigned i = 0; i < pieces; i++) {
		memcpy(vd_at(&t->b->w.memory, s->buffer[1 + i].gpa), model, s->buffer[1 + i].len);
		model += s->buffer[1 + i].len;
	}
}

static inline void bt_lay_zeroes(struct bt_traffic *t, struct bt_slot *s)
{
	const struct virtio_blk_discard_write_zeroes range = {.sector = htole64(s->sector),
							      .num_sectors = htole32(s->sectors),
							      .flags = htole32(bt_draw(t, 2))};

	memset(t->model + s->sector * BT_SECTOR, 0, s->sectors * BT_SECTOR);
	memcpy(vd_at(&t->b->w.memory, s->at + 4096), &range, sizeof(range));
	s->buffer[1] = (struct vd_buffer){s->at + 4096, sizeof(range)};
}

/* Header, data, status; and what the model says of it. */
static inline void bt_lay(struct bt_traffic *t, struct bt_slot *s)
{
	struct virtio_blk_outhdr header = {.type = htole32(s->type), .sector = htole64(s->sector)};
	unsigned pieces = 0;

	memcpy(vd_at(&t->b->w.memory, s->at), &header, sizeof(header));
	memset(vd_at(&t->b->w.memory, s->at + 64), 0xff, 1);
	s->buffer[0] = (struct vd_buffer){s->at, sizeof(header)};
	if (s->type == VIRTIO_BLK_T_IN || s->type == VIRTIO_BLK_T_OUT)
		pieces = bt_cut(t, s, s->buffer + 1, s->sectors * BT_SECTOR,
				bt_draw(t, 8) < t->misaligned);
	if (s->type == VIRTIO_BLK_T_OUT)
		bt_fill(t, s, pieces);
	if (s->type == VIRTIO_BLK_T_IN)
		memcpy(s->expected, t->model + s->sector * BT_SECTOR, s->sectors * BT_SECTOR);
	if (s->type == VIRTIO_BLK_T_WRITE_ZEROES) {
		bt_lay_zeroes(t, s);
		pieces = 1;
	}
	s->buffer[1 + pieces] = (struct vd_buffer){s->at + 64, 1};
	s->out = s->type == VIRTIO_BLK_T_IN ? 1 : 1 + pieces;
	s->in = s->type == VIRTIO_BLK_T_IN ? pieces + 1 : 1;
}

static inline void bt_choose(struct bt_traffic *t, struct bt_slot *s)
{
	static const uint32_t type[] = {
		VIRTIO_BLK_T_IN,  VIRTIO_BLK_T_IN,    VIRTIO_BLK_T_IN,
		VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_OUT,   VIRTIO_BLK_T_OUT,
		VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_WRITE_ZEROES};

	s->type = type[bt_draw(t, sizeof(type) / sizeof(type[0]))];
	s->writes = s->type == VIRTIO_BLK_T_OUT || s->type == VIRTIO_BLK_T_WRITE_ZEROES;
	s->sectors = 1 + bt_draw(t, bt_draw(t, 4) ? 8 : BT_SLOT_BYTES / BT_SECTOR);
	s->sector = bt_draw(t, BT_DISK_SECTORS - s->sectors + 1);
	if (s->type == VIRTIO_BLK_T_FLUSH)
		s->sector = s->sectors = 0;
}

/* Send a request by this slot, unless what was drawn cannot be sent now. */
static inline void bt_try_send(struct bt_traffic *t, struct bt_slot *s)
{
	bt_choose(t, s);
	if (bt_collides(t, s->sector, s->sectors, s->writes))
		return;
	s->queue = bt_draw(t, t->b->blk.queues);
	if (t->b->d.queue[s->queue].room < BT_PIECES + 2)
		return;
	bt_lay(t, s);
	assert_int_equal(vd_add(&t->b->d.queue[s->queue], s->buffer, s->out, s->in, s), 0);
	s->busy = true;
	t->sent++;
	if (bt_draw(t, 3))
		vw_kick(&t->b->d, s->queue);
}

static inline void bt_check(struct bt_traffic *t, const struct bt_slot *s, uint32_t len)
{
	const uint8_t *expected = s->expected;

	assert_true(s->busy);
	assert_int_equal(*(uint8_t *)vd_at(&t->b->w.memory, s->at + 64), VIRTIO_BLK_S_OK);
	if (s->type != VIRTIO_BLK_T_IN) {
		assert_int_equal(len, 1);
		return;
	}
	assert_int_equal(len, s->sectors * BT_SECTOR + 1);
	for (unsigned i = 1; i < s->in; expected += s->buffer[i++].len)
		assert_memory_equal(vd_at(&t->b->w.memory, s->buffer[i].gpa), expected,
				    s->buffer[i].len);
}

/* Take all that came back; returns how many. */
static inline unsigned bt_collect(struct bt_traffic *t)
{
	unsigned n = 0;
	uint32_t len;
	void *token;
	int got;

	for (unsigned i = 0; i < t->b->blk.queues; i++)
		while ((got = vd_take(&t->b->d.queue[i], &token, &len)) != 0) {
			assert_int_equal(got, 1);
			bt_check(t, token, len);
			((struct bt_slot *)token)->busy = false;
			t->taken++;
			n++;
		}
	return n;
}

/* Show and finish all that was sent. */
static inline void bt_settle(struct bt_traffic *t)
{
	for (unsigned i = 0; i < t->b->blk.queues; i++)
		vw_kick(&t->b->d, i);
	while (t->taken < t->sent)
		if (!bt_collect(t))
			bt_serve(t->b);
}

/* Keep the slots busy until @count more requests were sent; then finish them. */
static inline void bt_run(struct bt_traffic *t, uint64_t count)
{
	uint64_t end = t->sent + count;

	while (t->sent < end) {
		uint64_t before = t->sent;

		for (unsigned i = 0; i < BT_SLOTS && t->sent < end; i++)
			if (!t->slot[i].busy)
				bt_try_send(t, &t->slot[i]);
		if (!bt_collect(t) && t->sent == before) {
			bt_settle(t);
		} else if (t->b->wait) {
			t->b->wait();
		} else {
			sx_virtio_device_poll(&t->b->blk.dev);
		}
	}
	bt_settle(t);
}

/* The whole image is what the model says, for others too. */
static inline void bt_compare(const struct bt_traffic *t)
{
	static uint8_t image[BT_DISK_SIZE];

	bt_peek(t->b, 0, image, BT_DISK_SIZE);
	assert_memory_equal(image, t->model, BT_DISK_SIZE);
}

#endif
