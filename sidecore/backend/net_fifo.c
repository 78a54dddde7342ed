// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/backend/net_fifo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Before each frame's bytes; `len` SKIP stands for nothing up to the end of the memory. */
struct record {
	struct virtio_net_hdr_v1 hdr;
	uint32_t len;
};

#define SKIP     UINT32_MAX
#define MIN_SIZE (256u << 10)

static uint64_t record_size(uint32_t len)
{
	return (sizeof(struct record) + len + SX_CACHE_LINE - 1) & ~(uint64_t)(SX_CACHE_LINE - 1);
}

static struct record *record_at(const struct sx_net_fifo *f, uint64_t position)
{
	return (struct record *)(void *)(f->base + (position & (f->size - 1)));
}

static uint64_t to_end(const struct sx_net_fifo *f, uint64_t position)
{
	return f->size - (position & (f->size - 1));
}

int sx_net_fifo_init(struct sx_net_fifo *f, uint64_t size)
{
	memset(f, 0, sizeof(*f));
	if (size < MIN_SIZE || (size & (size - 1)))
		return -EINVAL;
	f->base = aligned_alloc(SX_CACHE_LINE, size);
	if (!f->base)
		return -ENOMEM;
	f->size = size;
	return 0;
}

void sx_net_fifo_destroy(struct sx_net_fifo *f)
{
	free(f->base);
	f->base = NULL;
}

/* ---- producer ---- */

static bool has_room(struct sx_net_fifo *f, uint64_t bytes)
{
	if (f->size - (f->in - f->out_seen) >= bytes)
		return true;
	/* Pairs with the release in sx_net_fifo_release(): what lay there has been read. */
	f->out_seen = sx_load_acquire(&f->out_shown);
	return f->size - (f->in - f->out_seen) >= bytes;
}

bool sx_net_fifo_push(struct sx_net_fifo *f, const struct sx_net_frame *frame)
{
	uint64_t size = record_size(frame->len);
	uint64_t left = to_end(f, f->in);
	struct record *r = record_at(f, f->in);
	uint8_t *to;

	if (!has_room(f, size <= left ? size : left + size))
		return false;
	if (size > left) {
		r->len = SKIP;
		f->in += left;
		r = record_at(f, f->in);
	}
	r->hdr = frame->hdr;
	r->len = frame->len;
	to = (uint8_t *)(r + 1);
	for (unsigned i = 0; i < frame->segs; i++) {
		memcpy(to, frame->seg[i].iov_base, frame->seg[i].iov_len);
		to += frame->seg[i].iov_len;
	}
	f->in += size;
	return true;
}

void sx_net_fifo_show(struct sx_net_fifo *f)
{
	/* Pairs with the acquire in sx_net_fifo_peek(): the consumer sees whole frames. */
	sx_store_release(&f->in_shown, f->in);
}

/* ---- consumer ---- */

static uint64_t skip_hole(const struct sx_net_fifo *f, uint64_t position)
{
	return record_at(f, position)->len == SKIP ? position + to_end(f, position) : position;
}

unsigned sx_net_fifo_peek(struct sx_net_fifo *f, struct sx_net_frame *frame, unsigned max)
{
	uint64_t at = f->out;
	unsigned n;

	/* Look at the other's line only when what was seen there is used up. */
	if (at == f->in_seen)
		f->in_seen = sx_load_acquire(&f->in_shown); /* pairs with sx_net_fifo_show() */
	for (n = 0; n < max && at != f->in_seen; n++) {
		struct record *r;

		at = skip_hole(f, at);
		r = record_at(f, at);
		frame[n].hdr = r->hdr;
		frame[n].len = r->len;
		frame[n].segs = 1;
		frame[n].own = (struct iovec){.iov_base = r + 1, .iov_len = r->len};
		frame[n].seg = &frame[n].own;
		at += record_size(r->len);
	}
	return n;
}

void sx_net_fifo_release(struct sx_net_fifo *f, unsigned count)
{
	while (count--) {
		f->out = skip_hole(f, f->out);
		f->out += record_size(record_at(f, f->out)->len);
	}
	/* Pairs with the acquire in has_room(). */
	sx_store_release(&f->out_shown, f->out);
}
