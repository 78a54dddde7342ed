// SPDX-License-Identifier: BSD-3-Clause
/*
 * The queue engine against the driver of tests/support, in one thread: every combination of ring
 * features carries every byte, in batches of any size, and through an IOMMU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/virtio_pair.h"

#define MAX_BATCH 64
#define BUFFER    64ul /* bytes of a buffer at most */

/* ---- every byte arrives, both ways ---- */

/* A request as the driver remembers it; its buffers lie side by side at `gpa`. */
struct request {
	struct vd_buffer buffer[PAIR_SEGS];
	unsigned out, in;
	uint32_t out_len, in_len;
	uint32_t number;
	uint32_t want_len; /* what the device says it wrote */
	bool busy;
};

struct traffic {
	struct pair *p;
	struct request request[PAIR_SIZE];
	sx_gpa buffers[PAIR_SIZE];
	uint32_t numbers;
	/* Chains that the device holds, and what they said. */
	struct sx_vq_chain held[PAIR_SIZE];
	struct iovec segs[PAIR_SIZE][PAIR_SEGS];
	unsigned holds;
	unsigned finished;
	uint32_t next_finished; /* in-order: number of the next request to come back */
};

static uint8_t pattern(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 31 + at * 7 + (at >> 8));
}

/* Fill in a request of random shape; the first readable bytes are its number. */
static void shape(struct traffic *t, struct request *r, sx_gpa at, unsigned max)
{
	unsigned count = 1 + pair_draw(t->p, max);
	uint8_t *bytes = vd_at(&t->p->memory, at);

	memset(r, 0, sizeof(*r));
	r->number = t->numbers++;
	r->out = 1 + pair_draw(t->p, count);
	r->in = count - r->out;
	for (unsigned i = 0; i < count; i++) {
		uint32_t len = i == 0 ? sizeof(r->number) + pair_draw(t->p, BUFFER / 2)
				      : 1 + pair_draw(t->p, BUFFER);

		r->buffer[i] = (struct vd_buffer){at, len};
		at += len;
		*(i < r->out ? &r->out_len : &r->in_len) += len;
	}
	for (uint32_t i = 0; i < r->out_len; i++)
		bytes[i] = pattern(r->number, i);
	memcpy(bytes, &r->number, sizeof(r->number));
	memset(bytes + r->out_len, 0xee, r->in_len);
	r->want_len = r->in_len ? pair_draw(t->p, r->in_len + 1) : 0;
	r->busy = true;
}

static void drive(struct traffic *t)
{
	struct vd_queue *q = &t->p->driver;
	unsigned max = q->size < 6 ? q->size : 6;

	for (unsigned i = 0; i < q->size; i++) {
		struct request *r = &t->request[i];

		if (r->busy || pair_draw(t->p, 3) == 0)
			continue;
		shape(t, r, t->buffers[i], max);
		if (vd_add(q, r->buffer, r->out, r->in, r) < 0) {
			r->busy = false;
			t->numbers--;
		}
	}
	vd_publish(q);
}

/* The device's look at a chain: all of what the driver said, and nothing else. */
static struct request *check(struct traffic *t, const struct sx_vq_chain *c)
{
	uint8_t bytes[PAIR_SEGS * BUFFER];
	struct request *r = NULL;
	uint32_t number;

	assert_int_equal(sx_vq_read(c, 0, &number, sizeof(number)), sizeof(number));
	for (unsigned i = 0; i < PAIR_SIZE; i++)
		if (t->request[i].busy && t->request[i].number == number)
			r = &t->request[i];
	assert_non_null(r);
	assert_int_equal(c->readable, r->out);
	assert_int_equal(c->writable, r->in);
	assert_int_equal(c->readable_len, r->out_len);
	assert_int_equal(c->writable_len, r->in_len);
	assert_int_equal(sx_vq_read(c, 0, bytes, sizeof(bytes)), r->out_len);
	for (uint32_t i = sizeof(number); i < r->out_len; i++)
		assert_int_equal(bytes[i], pattern(number, i));
	return r;
}

/* Some requests are shorter than others; so is the time the device holds them. */
static void serve(struct traffic *t)
{
	struct sx_vq_chain chain[MAX_BATCH];
	struct iovec pool[MAX_BATCH * 4];
	unsigned n = sx_virtqueue_pop(&t->p->device, chain, 1 + pair_draw(t->p, MAX_BATCH), pool,
				      PAIR_SEGS + pair_draw(t->p, MAX_BATCH * 4 - PAIR_SEGS + 1));
	unsigned back = n ? pair_draw(t->p, n + 1) : 0;

	if (pair_draw(t->p, 2))
		back = 0;
	sx_virtqueue_unpop(&t->p->device, &chain[n - back], back);
	for (unsigned i = 0; i < n - back; i++) {
		struct sx_vq_chain *c = &t->held[t->holds];

		check(t, &chain[i]);
		*c = chain[i];
		c->seg = t->segs[t->holds++];
		memcpy(c->seg, chain[i].seg, (c->readable + c->writable) * sizeof(*c->seg));
	}
}

static void finish(struct traffic *t)
{
	unsigned n = pair_draw(t->p, t->holds + 1);

	while (n--) {
		unsigned which = pair_draw(t->p, t->holds);
		struct sx_vq_chain c = t->held[which];
		struct request *r = check(t, &c);
		uint8_t bytes[PAIR_SEGS * BUFFER];

		for (uint32_t i = 0; i < r->want_len; i++)
			bytes[i] = pattern(~r->number, i);
		assert_int_equal(sx_vq_write(&c, 0, bytes, r->want_len), r->want_len);
		sx_virtqueue_push(&t->p->device, &c, r->want_len);
		t->holds--;
		memmove(&t->segs[which], &t->segs[t->holds], sizeof(t->segs[0]));
		t->held[which] = t->held[t->holds];
		t->held[which].seg = t->segs[which];
	}
	sx_virtqueue_flush(&t->p->device);
}

static void collect(struct traffic *t)
{
	bool in_order = t->p->driver.features & IN_ORDER;
	uint32_t len;
	void *token;
	int rc;

	while ((rc = vd_take(&t->p->driver, &token, &len)) == 1) {
		struct request *r = token;
		const uint8_t *bytes = vd_at(&t->p->memory, r->buffer[0].gpa);

		assert_true(r->busy);
		assert_int_equal(len, r->want_len);
		for (uint32_t i = 0; i < len; i++)
			assert_int_equal(bytes[r->out_len + i], pattern(~r->number, i));
		for (uint32_t i = len; i < r->in_len; i++)
			assert_int_equal(bytes[r->out_len + i], 0xee);
		if (in_order)
			assert_int_equal(r->number, t->next_finished++);
		r->busy = false;
		t->finished++;
	}
	assert_int_equal(rc, 0);
}

static void carry(uint16_t size, uint64_t features, unsigned requests)
{
	struct traffic *t = calloc(1, sizeof(*t));
	struct pair p;

	assert_non_null(t);
	pair_open(&p, size, features);
	t->p = &p;
	p.seed = size + (uint32_t)(features >> 28) * 77;
	for (unsigned i = 0; i < size; i++)
		t->buffers[i] = vd_alloc(&p.memory, 8 * BUFFER, 1);
	while (t->finished < t->numbers || t->numbers < requests) {
		p.driver.indirect = (features & INDIRECT) && pair_draw(&p, 4);
		if (t->numbers < requests)
			drive(t);
		serve(t);
		finish(t);
		collect(t);
	}
	assert_int_equal(p.device.stats.requests, t->finished);
	assert_int_equal(p.device.inflight, 0);
	assert_int_equal(p.driver.room, size);
	pair_close(&p);
	free(t);
}

static void carry_all(uint16_t size, uint64_t must)
{
	const uint64_t choice[] = {INDIRECT, EVENT, IN_ORDER};

	for (unsigned pick = 0; pick < 8; pick++) {
		uint64_t features = must;

		for (unsigned i = 0; i < 3; i++)
			features |= pick >> i & 1 ? choice[i] : 0;
		carry(size, features, 40u * size + 2000);
	}
}

static void split_rings_carry_everything(void **state)
{
	(void)state;
	carry_all(1, 0);
	carry_all(4, 0);
	carry_all(64, 0);
	carry_all(256, 0);
}

static void packed_rings_carry_everything(void **state)
{
	(void)state;
	carry_all(1, PACKED);
	carry_all(4, PACKED);
	carry_all(64, PACKED);
	carry_all(256, PACKED);
}

static void packed_rings_of_any_size_carry_everything(void **state)
{
	(void)state;
	carry_all(3, PACKED);
	carry_all(7, PACKED);
	carry_all(100, PACKED);
	carry_all(255, PACKED);
}

/* The free-running index of a split ring goes round at 2^16. */
static void a_split_ring_outlives_its_index(void **state)
{
	(void)state;
	carry(256, EVENT, 70000);
	carry(256, IN_ORDER | INDIRECT, 70000);
}

/* ---- batches, pools, starting again ---- */

static void what_does_not_fit_the_pool_comes_next_time(void **state)
{
	struct sx_vq_chain c[4];
	struct iovec pool[PAIR_SEGS];
	struct vd_buffer b[20];
	struct pair p;

	(void)state;
	pair_open(&p, 64, 0);
	for (unsigned i = 0; i < 20; i++)
		b[i] = (struct vd_buffer){PAIR_BASE + i, 1};
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vd_add(&p.driver, b, 10, 10, NULL), 0);
	vd_publish(&p.driver);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(sx_virtqueue_pop(&p.device, c, 4, pool, PAIR_SEGS), 1);
		assert_int_equal(c[0].order, i);
		assert_int_equal(c[0].readable_len + c[0].writable_len, 20);
	}
	assert_int_equal(sx_virtqueue_pop(&p.device, c, 4, pool, PAIR_SEGS), 0);
	pair_close(&p);
}

static void what_is_given_back_comes_again(void **state)
{
	const uint64_t features[] = {0, PACKED, IN_ORDER, PACKED | IN_ORDER};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct sx_vq_chain c[8], again[8];
		struct iovec pool[PAIR_SEGS];
		struct pair p;

		pair_open(&p, 5 - (features[i] & PACKED ? 0 : 1), features[i]);
		for (unsigned round = 0; round < 20; round++) {
			pair_offer(&p, 3);
			assert_int_equal(sx_virtqueue_pop(&p.device, c, 8, pool, PAIR_SEGS), 3);
			sx_virtqueue_unpop(&p.device, c, 3);
			assert_int_equal(p.device.inflight, 0);
			assert_int_equal(sx_virtqueue_pop(&p.device, again, 1, pool, PAIR_SEGS), 1);
			assert_int_equal(sx_virtqueue_pop(&p.device, again + 1, 8, pool, PAIR_SEGS),
					 2);
			sx_virtqueue_unpop(&p.device, &again[2], 1);
			sx_virtqueue_unpop(&p.device, &again[1], 1);
			assert_int_equal(sx_virtqueue_pop(&p.device, again + 1, 8, pool, PAIR_SEGS),
					 2);
			for (unsigned k = 0; k < 3; k++) {
				assert_int_equal(again[k].id, c[k].id);
				assert_int_equal(again[k].order, c[k].order);
				sx_virtqueue_push(&p.device, &again[k], 16);
			}
			sx_virtqueue_flush(&p.device);
			pair_take(&p, 3);
		}
		assert_int_equal(p.device.stats.requests, 60);
		pair_close(&p);
	}
}

static void a_stopped_queue_starts_afresh(void **state)
{
	const uint64_t features[] = {EVENT, PACKED | EVENT | IN_ORDER};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct sx_vq_setup setup;
		struct sx_vq_chain c;
		struct pair p;

		pair_open(&p, 8, features[i]);
		pair_offer(&p, 3);
		pair_pop(&p, &c);
		sx_virtqueue_push(&p.device, &c, 16);
		pair_pop(&p, &c);
		sx_virtqueue_stop(&p.device);
		assert_false(sx_virtqueue_ready(&p.device));
		/* A completion that comes too late does nothing. */
		sx_virtqueue_push(&p.device, &c, 16);
		sx_virtqueue_flush(&p.device);
		assert_int_equal(p.interrupts, 0);
		pair_take(&p, 0);
		vd_queue_destroy(&p.driver);
		vd_queue_init(&p.driver, &p.memory, 4, features[i]);
		setup = vd_queue_setup(&p.driver);
		assert_int_equal(sx_virtqueue_start(&p.device, &setup), 0);
		pair_offer(&p, 4);
		pair_use(&p, 4);
		pair_take(&p, 4);
		pair_close(&p);
	}
}

/* A buffer across two ranges of memory that lie side by side in the guest only. */
static void a_buffer_may_cross_ranges(void **state)
{
	static uint8_t far[8192] __attribute__((aligned(4096)));
	const struct vd_buffer b = {PAIR_BASE + PAIR_MEMORY - 8, 24};
	struct sx_vq_chain c;
	struct iovec pool[PAIR_SEGS];
	uint8_t bytes[24];
	struct pair p;

	(void)state;
	pair_open(&p, 4, 0);
	assert_int_equal(
		sx_memmap_add(&p.memory.map, PAIR_BASE + PAIR_MEMORY, sizeof(far), far, 0, NULL),
		0);
	for (unsigned i = 0; i < 8; i++)
		p.memory.base[PAIR_MEMORY - 8 + i] = (uint8_t)i;
	for (unsigned i = 8; i < 24; i++)
		far[i - 8] = (uint8_t)i;
	assert_int_equal(vd_add(&p.driver, &b, 1, 0, NULL), 0);
	vd_publish(&p.driver);
	assert_int_equal(sx_virtqueue_pop(&p.device, &c, 1, pool, PAIR_SEGS), 1);
	assert_int_equal(c.readable, 2);
	assert_int_equal(c.readable_len, 24);
	assert_int_equal(sx_vq_read(&c, 0, bytes, 100), 24);
	for (unsigned i = 0; i < 24; i++)
		assert_int_equal(bytes[i], i);
	pair_close(&p);
}

/* ---- an IOMMU between ---- */

struct iommu {
	struct sx_memmap_span page[2];
	unsigned asked;
};

static int translate(void *ctx, uint64_t addr, enum sx_access access, struct sx_memmap_span *span)
{
	struct iommu *mmu = ctx;

	mmu->asked++;
	for (unsigned i = 0; i < 2; i++) {
		const struct sx_memmap_span *s = &mmu->page[i];

		if (addr - s->gpa >= s->size)
			continue;
		if (access == SX_WRITE && (s->flags & SX_MEMMAP_READONLY))
			return -1;
		*span = *s;
		return 0;
	}
	return -1;
}

static void device_addresses_go_through_the_iommu(void **state)
{
	struct iommu mmu = {.asked = 0};
	struct sx_vq_setup setup;
	struct sx_vq_chain c;
	struct iovec pool[PAIR_SEGS];
	struct pair p;
	const struct vd_buffer b[2] = {{0x7000, 10}, {0x7ffe, 1}};

	(void)state;
	pair_open(&p, 4, 0);
	mmu.page[0] = (struct sx_memmap_span){0x7000, 4096,
					      vd_at(&p.memory, vd_alloc(&p.memory, 4096, 4096)),
					      SX_MEMMAP_READONLY};
	mmu.page[1] = (struct sx_memmap_span){0x40000000, PAIR_MEMORY, p.memory.base, 0};
	p.device.dma = (struct sx_dma){.translate = translate, .ctx = &mmu};
	setup = vd_queue_setup(&p.driver);
	setup.desc += 0x40000000 - PAIR_BASE;
	setup.driver += 0x40000000 - PAIR_BASE;
	setup.device += 0x40000000 - PAIR_BASE;
	assert_int_equal(sx_virtqueue_start(&p.device, &setup), 0);
	assert_int_equal(vd_add(&p.driver, b, 2, 0, NULL), 0);
	vd_publish(&p.driver);
	mmu.asked = 0;
	assert_int_equal(sx_virtqueue_pop(&p.device, &c, 1, pool, PAIR_SEGS), 1);
	assert_ptr_equal(c.seg[0].iov_base, mmu.page[0].hva);
	assert_ptr_equal(c.seg[1].iov_base, mmu.page[0].hva + 0xffe);
	assert_int_equal(mmu.asked, 1); /* the second was found where the first was */
	/* What may not be written is not. */
	assert_int_equal(vd_add(&p.driver, b, 0, 1, NULL), 0);
	vd_publish(&p.driver);
	assert_int_equal(sx_virtqueue_pop(&p.device, &c, 1, pool, PAIR_SEGS), 0);
	assert_string_equal(p.device.fault, "a buffer is not in guest memory");
	p.device.fault = NULL;
	pair_close(&p);
}

/* ---- bytes of a chain ---- */

static void bytes_are_found_however_they_are_cut(void **state)
{
	char a[3] = "abc", b[1] = "d", c[4] = "efgh", to[16] = "";
	struct iovec seg[3] = {{a, 3}, {b, 1}, {c, 4}}, out[3];
	struct sx_vq_chain chain = {.seg = seg, .readable = 3, .readable_len = 8};

	(void)state;
	for (unsigned from = 0; from <= 8; from++)
		for (unsigned len = 0; len <= 10; len++) {
			unsigned want = from + len > 8 ? 8 - from : len;
			size_t total = 0;
			unsigned n = sx_iov_slice(seg, 3, from, len, out);

			memset(to, 0, sizeof(to));
			assert_int_equal(sx_vq_read(&chain, from, to, len), want);
			assert_memory_equal(to, &"abcdefgh"[from], want);
			for (unsigned i = 0; i < n; i++) {
				assert_memory_equal(out[i].iov_base, to + total, out[i].iov_len);
				assert_true(out[i].iov_len > 0);
				total += out[i].iov_len;
			}
			assert_int_equal(total, want);
		}
	chain = (struct sx_vq_chain){.seg = seg, .readable = 1, .writable = 2};
	assert_int_equal(sx_vq_write(&chain, 0, "VWXYZ!", 6), 5);
	assert_int_equal(sx_vq_write(&chain, 5, "?", 1), 0);
	assert_int_equal(sx_vq_write(&chain, 2, "?", 1), 1);
	assert_memory_equal(a, "abc", 3);
	assert_memory_equal(b, "V", 1);
	assert_memory_equal(c, "W?YZ", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_rings_carry_everything),
		cmocka_unit_test(packed_rings_carry_everything),
		cmocka_unit_test(packed_rings_of_any_size_carry_everything),
		cmocka_unit_test(a_split_ring_outlives_its_index),
		cmocka_unit_test(what_does_not_fit_the_pool_comes_next_time),
		cmocka_unit_test(what_is_given_back_comes_again),
		cmocka_unit_test(a_stopped_queue_starts_afresh),
		cmocka_unit_test(a_buffer_may_cross_ranges),
		cmocka_unit_test(device_addresses_go_through_the_iommu),
		cmocka_unit_test(bytes_are_found_however_they_are_cut),
	};

	return cmocka_run_group_tests(tests, pair_set_up, pair_tear_down);
}
