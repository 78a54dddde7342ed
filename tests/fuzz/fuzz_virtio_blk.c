// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: a guest that sends a disk any requests in any chains, turns its cache on and off, and
 * resets it, while the host cuts the image short and completes it again.
 *
 * Input: 1 byte, how the device is set up; then a list of steps, each an enum step and what it
 * wants. The disk must answer every chain of a queue that it did not stop, with one of the three
 * statuses and no more bytes than fit, and must never change what lies before and behind the
 * guest's data; the heap around everything else is ASan's.
 */
#include <endian.h>
#include <linux/virtio_blk.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/rcu.h"
#include "sidecore/virtio/blk.h"
#include "tests/support/fuzz_input.h"
#include "tests/support/virtio_driver.h"

#define IMAGE_BYTES (64u << 10)
#define MEMORY      (1u << 20)
#define SLOTS       16
#define SLOT_BYTES  ((size_t)16 << 10)
#define MAX_BUFFERS 8
#define MAX_STEPS   64
#define GUARD       64ul
#define STATUS      0xaa /* none of the device's */

enum step {
	HONEST, /* 6 bytes: slot, type, sector (2), sectors, how it is cut */
	WILD, /* 2 bytes and more: slot, buffers; for each 4: offset, length (2), written or not */
	HEADER, /* 18 bytes: slot, number of ranges, header; a request of just that */
	RANGES, /* 2 bytes, and 13 for each range: slot, type and how many */
	PUBLISH,
	POLL,
	WRITE_CONFIG, /* 3 bytes: where, size, value */
	RESET,
	CUT, /* 1 byte: how much of the image is left, in 1/256ths */
	MEND,
	STEPS,
};

struct slot {
	bool out;
	bool known; /* its last byte is the status */
	uint8_t *status;
};

struct world {
	struct vd_memory memory;
	struct sx_virtio_blk blk;
	struct vd_queue q;
	uint64_t features;
	sx_gpa data; /* slots, with a guard before and behind */
	struct slot slot[SLOTS];
	char path[64];
	int image;
	bool up;
};

/* ---- the device's life ---- */

static void bring_up(struct world *w)
{
	struct sx_virtio_device *dev = &w->blk.dev;
	struct sx_vq_setup *setup;

	vd_queue_init(&w->q, &w->memory, 32, w->features);
	sx_virtio_set_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (uint32_t word = 0; word < 2; word++)
		sx_virtio_acknowledge(dev, word, (uint32_t)(w->features >> 32 * word));
	sx_virtio_set_status(dev, sx_virtio_status(dev) | VIRTIO_CONFIG_S_FEATURES_OK);
	setup = sx_virtio_queue_setup(dev, 0);
	fuzz_require(setup);
	*setup = vd_queue_setup(&w->q);
	sx_virtio_queue_enable(dev, 0);
	sx_virtio_set_status(dev, sx_virtio_status(dev) | VIRTIO_CONFIG_S_DRIVER_OK);
	memset(w->slot, 0, sizeof(w->slot));
	w->up = true;
}

static bool is_broken(struct world *w)
{
	return sx_virtio_status(&w->blk.dev) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void reset(struct world *w)
{
	sx_virtio_set_status(&w->blk.dev, 0);
	while (sx_virtio_status(&w->blk.dev))
		;
	vd_queue_destroy(&w->q);
	w->memory.used = 0;
}

static void open_world(struct world *w, struct fuzz_input *in)
{
	unsigned how = (unsigned)fuzz_take(in, 1);
	struct sx_virtio_blk_config config = {.serial = "fuzz"};
	struct sx_virtio_env env = {0};

	memset(w, 0, sizeof(*w));
	sx_rcu_register();
	vd_memory_init(&w->memory, 0x10000, MEMORY);
	w->image = memfd_create("disk", MFD_CLOEXEC);
	if (w->image < 0 || ftruncate(w->image, IMAGE_BYTES) < 0)
		abort();
	snprintf(w->path, sizeof(w->path), "/proc/self/fd/%d", w->image);
	config.file.path = w->path;
	config.file.readonly = how & 1;
	config.file.cache = how & 2 ? SX_FILE_CACHED : SX_FILE_AUTO;
	config.file.block_size = how & 4 ? 4096 : 0;
	env.dma.memory = &w->memory.map;
	if (sx_virtio_blk_init(&w->blk, &config, &env, NULL) < 0)
		abort();
	w->features = w->blk.dev.offered & ~SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED) &
		      ~SX_VIRTIO_BIT(VIRTIO_F_IN_ORDER);
	if (how & 8)
		w->features |= SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	if (how & 16)
		w->features |= SX_VIRTIO_BIT(VIRTIO_F_IN_ORDER);
	if (how & 32)
		w->features &= ~SX_VIRTIO_BIT(VIRTIO_BLK_F_FLUSH);
	if (how & 64)
		w->features &= ~SX_VIRTIO_BIT(VIRTIO_BLK_F_DISCARD);
	bring_up(w);
	w->q.indirect = how & 128;
	w->data = vd_alloc(&w->memory, SLOTS * SLOT_BYTES, 4096);
}

static void close_world(struct world *w)
{
	vd_queue_destroy(&w->q);
	sx_virtio_blk_destroy(&w->blk);
	close(w->image);
	vd_memory_destroy(&w->memory);
	sx_rcu_unregister();
}

/* ---- requests ---- */

static sx_gpa slot_at(const struct world *w, unsigned slot)
{
	return w->data + slot * SLOT_BYTES + GUARD;
}

/* A slot that the device does not have; its memory is ready, its guards are set. */
static struct slot *fresh_slot(struct world *w, unsigned n, uint8_t **at)
{
	struct slot *s = &w->slot[n % SLOTS];
	uint8_t *start = vd_at(&w->memory, w->data + n % SLOTS * SLOT_BYTES);

	if (s->out)
		return NULL;
	memset(start, 0x5c, GUARD);
	memset(start + GUARD, STATUS, SLOT_BYTES - 2 * GUARD);
	memset(start + SLOT_BYTES - GUARD, 0x5c, GUARD);
	s->known = false;
	*at = start + GUARD;
	return s;
}

static void check_guards(const struct world *w, const struct slot *s)
{
	const uint8_t *start = vd_at(&w->memory, w->data + (s - w->slot) * SLOT_BYTES);

	for (unsigned i = 0; i < GUARD; i++)
		fuzz_require(start[i] == 0x5c && start[SLOT_BYTES - 1 - i] == 0x5c);
}

static void add(struct world *w, struct slot *s, const struct vd_buffer *buffer, unsigned out,
		unsigned in)
{
	if (!w->up || out + in == 0 || vd_add(&w->q, buffer, out, in, s) < 0)
		return;
	s->out = true;
	if (in) {
		const struct vd_buffer *last = &buffer[out + in - 1];

		s->status = (uint8_t *)vd_at(&w->memory, last->gpa) + last->len - 1;
	}
}

static void put_header(uint8_t *at, uint32_t type, uint64_t sector)
{
	const struct virtio_blk_outhdr header = {.type = htole32(type), .sector = htole64(sector)};

	memcpy(at, &header, sizeof(header));
}

static void honest(struct world *w, struct fuzz_input *in)
{
	static const uint32_t type[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
					VIRTIO_BLK_T_GET_ID};
	unsigned n = (unsigned)fuzz_take(in, 1) % SLOTS;
	uint32_t kind = type[fuzz_take(in, 1) % 4];
	uint64_t sector = fuzz_take(in, 2);
	uint32_t len = (uint32_t)fuzz_take(in, 1) % 24 * 512;
	uint32_t cut = (uint32_t)fuzz_take(in, 1);
	sx_gpa at = slot_at(w, n) + 32 + cut % 2;
	struct vd_buffer buffer[4] = {{slot_at(w, n), 16}};
	unsigned count = 1;
	struct slot *s;
	uint8_t *bytes;

	s = fresh_slot(w, n, &bytes);
	if (!s)
		return;
	put_header(bytes, kind, sector % (IMAGE_BYTES / 512 + 2));
	if (len && cut % len)
		buffer[count++] = (struct vd_buffer){at, cut % len};
	if (len)
		buffer[count++] = (struct vd_buffer){at + cut % len, len - cut % len};
	buffer[count] = (struct vd_buffer){at + len, 1};
	s->known = true;
	add(w, s, buffer, kind == VIRTIO_BLK_T_OUT ? count : 1,
	    kind == VIRTIO_BLK_T_OUT ? 1 : count);
}

static void wild(struct world *w, struct fuzz_input *in)
{
	unsigned n = (unsigned)fuzz_take(in, 1) % SLOTS;
	unsigned count = (unsigned)fuzz_take(in, 1) % MAX_BUFFERS;
	struct vd_buffer buffer[MAX_BUFFERS], written[MAX_BUFFERS];
	unsigned outs = 0, ins = 0;
	struct slot *s;
	uint8_t *bytes;

	s = fresh_slot(w, n, &bytes);
	if (!s)
		return;
	put_header(bytes, (uint32_t)fuzz_take(in, 1) % 18, fuzz_take(in, 1));
	for (unsigned i = 0; i < count; i++) {
		uint32_t offset = (uint32_t)fuzz_take(in, 1) * 2;
		uint32_t len = 1 + (uint32_t)fuzz_take(in, 2) % (SLOT_BYTES - 2 * GUARD - 512);
		bool write = fuzz_take(in, 1) & 1;
		struct vd_buffer b = {slot_at(w, n) + (outs || write ? offset : 0), len};

		if (write)
			written[ins++] = b;
		else
			buffer[outs++] = b;
	}
	memcpy(buffer + outs, written, ins * sizeof(written[0]));
	add(w, s, buffer, outs, ins);
}

static void header(struct world *w, struct fuzz_input *in)
{
	unsigned n = (unsigned)fuzz_take(in, 1) % SLOTS;
	uint32_t len = (uint32_t)fuzz_take(in, 1) * 8;
	struct vd_buffer buffer[2] = {{slot_at(w, n), 16 + len}, {slot_at(w, n) + 8192, 1}};
	struct slot *s;
	uint8_t *bytes;

	s = fresh_slot(w, n, &bytes);
	if (!s)
		return;
	put_header(bytes, (uint32_t)fuzz_take(in, 4), fuzz_take(in, 8));
	s->known = true;
	add(w, s, buffer, 1, 1);
}

static void ranges(struct world *w, struct fuzz_input *in)
{
	unsigned n = (unsigned)fuzz_take(in, 1) % SLOTS;
	unsigned how = (unsigned)fuzz_take(in, 1);
	unsigned count = how / 2 % 20;
	struct vd_buffer buffer[2] = {{slot_at(w, n), 16 + count * 16}, {slot_at(w, n) + 8192, 1}};
	struct slot *s;
	uint8_t *bytes;

	s = fresh_slot(w, n, &bytes);
	if (!s)
		return;
	put_header(bytes, how & 1 ? VIRTIO_BLK_T_DISCARD : VIRTIO_BLK_T_WRITE_ZEROES, 0);
	for (unsigned i = 0; i < count; i++) {
		struct virtio_blk_discard_write_zeroes range = {
			.sector = fuzz_take(in, 1) | fuzz_take(in, 1) << 56,
			.num_sectors = (uint32_t)(fuzz_take(in, 1) | fuzz_take(in, 1) << 24),
			.flags = (uint32_t)fuzz_take(in, 1) & 3,
		};

		memcpy(bytes + 16 + i * 16ul, &range, sizeof(range));
	}
	s->known = true;
	add(w, s, buffer, 1, 1);
}

/* ---- what comes back ---- */

static void take_all(struct world *w)
{
	uint32_t len;
	void *token;
	int got;

	while ((got = vd_take(&w->q, &token, &len)) == 1) {
		struct slot *s = token;

		fuzz_require(s->out);
		s->out = false;
		check_guards(w, s);
		if (s->known)
			fuzz_require(*s->status <= VIRTIO_BLK_S_UNSUPP);
	}
	fuzz_require(got == 0);
}

static void publish(struct world *w)
{
	vd_publish(&w->q);
	sx_virtio_notify(&w->blk.dev, 0);
	take_all(w);
}

/* Everything is answered, unless the queue was stopped for what the guest did. */
static void settle(struct world *w)
{
	publish(w);
	while (w->q.taken < w->q.published && !is_broken(w)) {
		sx_virtio_device_poll(&w->blk.dev);
		take_all(w);
	}
}

static void restart(struct world *w)
{
	reset(w);
	bring_up(w);
	w->data = vd_alloc(&w->memory, SLOTS * SLOT_BYTES, 4096);
}

static void write_config(struct world *w, struct fuzz_input *in)
{
	uint32_t at = (uint32_t)fuzz_take(in, 1);
	unsigned size = 1u << fuzz_take(in, 1) % 4;

	sx_virtio_config_write(&w->blk.dev, at, size, fuzz_take(in, 1));
	fuzz_require(sx_virtio_config_read(&w->blk.dev, 0, 8) == IMAGE_BYTES / 512);
}

static void cut(struct world *w, uint64_t left)
{
	if (ftruncate(w->image, (off_t)(IMAGE_BYTES / 256 * left)) < 0)
		abort();
}

static void step(struct world *w, struct fuzz_input *in)
{
	switch (fuzz_take(in, 1) % STEPS) {
	case HONEST:
		honest(w, in);
		break;
	case WILD:
		wild(w, in);
		break;
	case HEADER:
		header(w, in);
		break;
	case RANGES:
		ranges(w, in);
		break;
	case PUBLISH:
		publish(w);
		break;
	case POLL:
		sx_virtio_device_poll(&w->blk.dev);
		take_all(w);
		break;
	case WRITE_CONFIG:
		write_config(w, in);
		break;
	case RESET:
		restart(w);
		break;
	case CUT:
		cut(w, fuzz_take(in, 1));
		break;
	case MEND:
		cut(w, 256);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct fuzz_input in = {data, length};
	static struct world w;

	open_world(&w, &in);
	for (unsigned i = 0; i < MAX_STEPS && in.left; i++) {
		step(&w, &in);
		if (is_broken(&w))
			restart(&w);
	}
	settle(&w);
	if (in.left & 1)
		reset(&w);
	else
		publish(&w);
	close_world(&w);
	return 0;
}
