// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: a driver that writes anything anywhere at any moment, against the queue engine.
 *
 * Input: 1 byte of features, 1 of the queue's size, 1 of how memory is cut, then a list of steps,
 * each an enum step and what it wants. Memory changes also while a pop is under way: the engine
 * asks for translations meanwhile, and with each one a piece of the input is written.
 *
 * Every segment must lie in guest memory, not be empty, and be writable if it says so; chains and
 * counts must be within their bounds; a broken queue must be silent.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>

#include "ipc/rcu.h"
#include "tests/support/fuzz_input.h"
#include "tests/support/virtio_driver.h"

#define BASE      0x10000ull
#define MEMORY    0x10000ull /* of it the last quarter is read-only */
#define ROM       (MEMORY / 4 * 3)
#define GUARD     4096ul
#define MAX_SIZE  64
#define MAX_SEGS  24
#define MAX_BATCH 8
#define MAX_STEPS 512

/* Where the rings are, unless a step says otherwise. */
#define DESC   0x0000u
#define DRIVER 0x1000u
#define DEVICE 0x2000u
#define TABLES 0x3000u

enum step {
	POP,  /* 1 byte: how many, and whether some are given back */
	PUSH, /* 3 bytes: which of those held, and how much was written */
	FLUSH,
	NOTIFY,     /* 1 byte: on or off */
	WRITE_BYTE, /* 3 bytes: where, what */
	WRITE_DESC, /* 13 bytes: which (2), where it leads (3), length (4), flags, next (2 each) */
	MAKE_AVAIL, /* 2 bytes: a head; split: it becomes available */
	BUMP,       /* 1 byte: split: the available index moves; packed: an entry's flags turn */
	SEED,       /* 4 bytes: what is written during translations */
	START,      /* 7 bytes: the rings' places, the size, the features */
	STEPS,
};

struct arena {
	struct fuzz_input *in;
	uint8_t *base;
	struct sx_virtqueue vq;
	struct sx_vq_setup setup;
	uint32_t grain; /* memory is cut into pieces of this size */
	uint32_t poke;  /* what translations write, and where */
	struct sx_vq_chain held[MAX_SIZE];
	unsigned holds;
	uint64_t interrupts;
	bool popping;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static void poke(struct arena *a)
{
	if (!a->poke)
		return;
	a->poke = a->poke * 1664525 + 1013904223;
	/* Mostly where descriptors are. */
	a->base[(a->poke >> 8) % (a->poke >> 30 ? TABLES + 0x400 : ROM)] = (uint8_t)(a->poke >> 3);
}

static int translate(void *ctx, uint64_t addr, enum sx_access access, struct sx_memmap_span *span)
{
	struct arena *a = ctx;
	uint64_t offset = (addr - BASE) / a->grain * a->grain;

	if (a->popping)
		poke(a);
	if (addr < BASE || addr - BASE >= MEMORY || (access == SX_WRITE && offset >= ROM))
		return -EFAULT;
	*span = (struct sx_memmap_span){BASE + offset, a->grain, a->base + offset,
					offset >= ROM ? SX_MEMMAP_READONLY : 0};
	return 0;
}

static void count_interrupt(void *ctx, struct sx_virtqueue *vq)
{
	struct arena *a = ctx;

	fuzz_require(vq->running && !a->popping);
	a->interrupts++;
}

/* ---- what must hold ---- */

static void check_segment(const struct arena *a, const struct iovec *s, bool writable)
{
	uint64_t offset = (uint64_t)((uint8_t *)s->iov_base - a->base);

	fuzz_require(s->iov_len > 0 && offset < MEMORY && s->iov_len <= MEMORY - offset);
	fuzz_require(!writable || offset + s->iov_len <= ROM);
}

/* Use a chain as a device does: read all of the one part, fill the other. */
static void check_chain(const struct arena *a, const struct sx_vq_chain *c)
{
	static uint8_t bytes[MEMORY * MAX_SEGS];
	uint64_t readable = 0, writable = 0;

	fuzz_require(c->readable + c->writable > 0);
	fuzz_require(c->readable + c->writable <= MAX_SEGS);
	fuzz_require(c->descs >= 1 && c->descs <= a->vq.size);
	for (unsigned i = 0; i < c->readable + c->writable; i++) {
		check_segment(a, &c->seg[i], i >= c->readable);
		*(i < c->readable ? &readable : &writable) += c->seg[i].iov_len;
	}
	fuzz_require(readable == c->readable_len && writable == c->writable_len);
	fuzz_require(sx_vq_read(c, 0, bytes, sizeof(bytes)) == readable);
	fuzz_require(sx_vq_write(c, 0, bytes, writable < 64 ? writable : 64) ==
		     (writable < 64 ? writable : 64));
}

static void check_queue(const struct arena *a)
{
	const struct sx_virtqueue *vq = &a->vq;

	fuzz_require(vq->broken == !!vq->fault);
	fuzz_require(!(vq->broken && vq->running));
	fuzz_require(vq->stats.interrupts == a->interrupts);
	if (!vq->running)
		return;
	fuzz_require(vq->inflight <= vq->size && vq->staged <= vq->inflight);
	fuzz_require(a->holds <= vq->inflight);
	fuzz_require(!vq->packed || (vq->next_avail < vq->size && vq->next_used < vq->size));
}

/* ---- steps ---- */

static void step_pop(struct arena *a)
{
	unsigned how = (unsigned)fuzz_take(a->in, 1);
	unsigned max = how % MAX_BATCH + 1, n, back;
	struct sx_vq_chain chain[MAX_BATCH];
	struct iovec pool[MAX_SEGS * 2];
	bool running = a->vq.running;

	if (a->holds + max > MAX_SIZE)
		return;
	a->popping = true;
	n = sx_virtqueue_pop(&a->vq, chain, max, pool, MAX_SEGS + how / 8 % MAX_SEGS);
	a->popping = false;
	fuzz_require(n <= max && (running || n == 0));
	for (unsigned i = 0; i < n; i++)
		check_chain(a, &chain[i]);
	back = a->vq.running && how & 0x80 ? n / 2 : 0;
	sx_virtqueue_unpop(&a->vq, &chain[n - back], back);
	if (a->vq.running)
		for (unsigned i = 0; i < n - back; i++)
			a->held[a->holds++] = chain[i];
	else
		a->holds = 0;
}

static void step_push(struct arena *a)
{
	unsigned which = (unsigned)fuzz_take(a->in, 1);
	uint32_t written = (uint32_t)fuzz_take(a->in, 2);

	if (!a->holds)
		return;
	which %= a->holds;
	if (written > a->held[which].writable_len)
		written = a->held[which].writable_len;
	sx_virtqueue_push(&a->vq, &a->held[which], written);
	a->held[which] = a->held[--a->holds];
}

static void step_write_desc(struct arena *a)
{
	unsigned at = (unsigned)fuzz_take(a->in, 2);
	uint64_t addr = BASE - 64 + fuzz_take(a->in, 3) % (MEMORY + 128);
	uint32_t len = (uint32_t)fuzz_take(a->in, 4);
	uint16_t flags = (uint16_t)fuzz_take(a->in, 2), next = (uint16_t)fuzz_take(a->in, 2);
	uint64_t rest = len;

	if (len & 0x80000000)
		rest = len & 0xff; /* mostly small ones */
	rest |= a->vq.packed ? (uint64_t)next << 32 | (uint64_t)flags << 48
			     : (uint64_t)flags << 32 | (uint64_t)next << 48;
	at = at & 0x8000 ? TABLES + at % 64 * 16 : DESC + at % MAX_SIZE * 16;
	memcpy(a->base + at, &addr, 8);
	memcpy(a->base + at + 8, &rest, 8);
}

static void step_make_avail(struct arena *a)
{
	uint16_t head = (uint16_t)fuzz_take(a->in, 2), index;

	memcpy(&index, a->base + DRIVER + 2, 2);
	memcpy(a->base + DRIVER + 4 + index % MAX_SIZE * 2ul, &head, 2);
	index++;
	memcpy(a->base + DRIVER + 2, &index, 2);
}

static void step_bump(struct arena *a)
{
	unsigned by = (unsigned)fuzz_take(a->in, 1);

	if (!a->vq.running)
		return;
	if (a->vq.packed)
		a->base[DESC + a->vq.next_avail % MAX_SIZE * 16 + 15] ^=
			a->vq.avail_wrap ? 0x80 : by;
	else
		a->base[DRIVER + 2] = (uint8_t)(a->base[DRIVER + 2] + (int8_t)by / 32);
}

static void step_start(struct arena *a)
{
	unsigned how = (unsigned)fuzz_take(a->in, 1);
	uint16_t size = (uint16_t)(fuzz_take(a->in, 1) + (how & 0x80 ? 60 : 0));
	uint64_t shift = fuzz_take(a->in, 4);
	struct sx_vq_setup s = a->setup;

	s.size = how & 1 ? size : s.size;
	s.desc += how & 2 ? (shift & 0xff) << (shift >> 24 & 7) : 0;
	s.driver += how & 4 ? (shift >> 8 & 0xff) << (shift >> 27 & 7) : 0;
	s.device += how & 8 ? shift >> 16 & 0xff : 0;
	sx_virtqueue_stop(&a->vq);
	a->holds = 0;
	if (sx_virtqueue_start(&a->vq, &s) < 0)
		fuzz_require(a->vq.broken);
}

static void step(struct arena *a)
{
	uint16_t at;

	switch (fuzz_take(a->in, 1) % STEPS) {
	case POP:
		step_pop(a);
		break;
	case PUSH:
		step_push(a);
		break;
	case FLUSH:
		sx_virtqueue_flush(&a->vq);
		break;
	case NOTIFY:
		if (fuzz_take(a->in, 1) & 1)
			sx_virtqueue_enable_notify(&a->vq);
		else
			sx_virtqueue_disable_notify(&a->vq);
		break;
	case WRITE_BYTE:
		at = (uint16_t)fuzz_take(a->in, 2);
		a->base[at % ROM] = (uint8_t)fuzz_take(a->in, 1);
		break;
	case WRITE_DESC:
		step_write_desc(a);
		break;
	case MAKE_AVAIL:
		step_make_avail(a);
		break;
	case BUMP:
		step_bump(a);
		break;
	case SEED:
		a->poke = (uint32_t)fuzz_take(a->in, 4);
		break;
	default:
		step_start(a);
	}
}

static void set_up(struct arena *a)
{
	unsigned features = (unsigned)fuzz_take(a->in, 1);
	unsigned size = (unsigned)fuzz_take(a->in, 1);
	const uint32_t grains[] = {MEMORY / 4, MEMORY / 4, 4096, 64};
	struct sx_dma dma = {.translate = translate, .ctx = a};
	uint64_t negotiated = 0;

	if (features & 1)
		negotiated |= 1ull << VIRTIO_F_RING_PACKED;
	if (features & 2)
		negotiated |= 1ull << VIRTIO_RING_F_INDIRECT_DESC;
	if (features & 4)
		negotiated |= 1ull << VIRTIO_RING_F_EVENT_IDX;
	if (features & 8)
		negotiated |= 1ull << VIRTIO_F_IN_ORDER;
	a->setup = (struct sx_vq_setup){
		.desc = BASE + DESC,
		.driver = BASE + DRIVER,
		.device = BASE + DEVICE,
		.features = negotiated,
		.size = (uint16_t)(features & 1 ? size % MAX_SIZE + 1 : 1u << size % 7)};
	a->grain = MEMORY / 4; /* the rings lie in one piece each */
	fuzz_require(sx_virtqueue_init(&a->vq, 0, MAX_SIZE, MAX_SEGS, &dma, NULL) == 0);
	a->vq.interrupt = count_interrupt;
	a->vq.interrupt_ctx = a;
	fuzz_require(sx_virtqueue_start(&a->vq, &a->setup) == 0);
	a->grain = grains[fuzz_take(a->in, 1) % 4];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static uint8_t *base;
	struct fuzz_input in = {data, length};
	struct arena a = {.in = &in};

	if (!base) {
		sx_rcu_register();
		/* Nothing is mapped before and behind. */
		base = mmap(NULL, MEMORY + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
		fuzz_require(base != MAP_FAILED);
		base += GUARD;
		fuzz_require(mprotect(base, ROM, PROT_READ | PROT_WRITE) == 0);
		fuzz_require(mprotect(base + ROM, MEMORY - ROM, PROT_READ) == 0);
	}
	memset(base, 0, ROM);
	a.base = base;
	set_up(&a);
	for (unsigned n = 0; n < MAX_STEPS && in.left; n++) {
		step(&a);
		check_queue(&a);
	}
	sx_virtqueue_destroy(&a.vq);
	return 0;
}
