// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/virtio_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/rcu.h"

int pair_set_up(void **state)
{
	(void)state;
	sx_rcu_register();
	return 0;
}

int pair_tear_down(void **state)
{
	(void)state;
	sx_rcu_unregister();
	return 0;
}

static void count_interrupt(void *ctx, struct sx_virtqueue *vq)
{
	struct pair *p = ctx;

	assert_ptr_equal(vq, &p->device);
	p->interrupts++;
}

void pair_open(struct pair *p, uint16_t size, uint64_t features)
{
	struct sx_dma dma = {.memory = &p->memory.map};
	struct sx_vq_setup setup;

	*p = (struct pair){.seed = 1};
	vd_memory_init(&p->memory, PAIR_BASE, PAIR_MEMORY);
	vd_queue_init(&p->driver, &p->memory, size, features);
	assert_int_equal(sx_virtqueue_init(&p->device, 3, PAIR_SIZE, PAIR_SEGS, &dma, NULL), 0);
	p->device.interrupt = count_interrupt;
	p->device.interrupt_ctx = p;
	setup = vd_queue_setup(&p->driver);
	assert_int_equal(sx_virtqueue_start(&p->device, &setup), 0);
}

void pair_close(struct pair *p)
{
	assert_null(p->device.fault);
	sx_virtqueue_destroy(&p->device);
	vd_queue_destroy(&p->driver);
	vd_memory_destroy(&p->memory);
}

uint32_t pair_draw(struct pair *p, uint32_t below)
{
	p->seed = p->seed * 1664525 + 1013904223;
	return (p->seed >> 8) % below;
}

bool pair_offer(struct pair *p, unsigned n)
{
	const struct vd_buffer b = {PAIR_BASE + PAIR_MEMORY - 16, 16};

	while (n--)
		assert_int_equal(vd_add(&p->driver, &b, 0, 1, NULL), 0);
	return vd_publish(&p->driver);
}

void pair_pop(struct pair *p, struct sx_vq_chain *c)
{
	struct iovec pool[PAIR_SEGS];

	assert_int_equal(sx_virtqueue_pop(&p->device, c, 1, pool, PAIR_SEGS), 1);
	c->seg = NULL;
}

unsigned pair_use(struct pair *p, unsigned n)
{
	unsigned before = p->interrupts;
	struct sx_vq_chain c;

	while (n--) {
		pair_pop(p, &c);
		sx_virtqueue_push(&p->device, &c, 16);
	}
	sx_virtqueue_flush(&p->device);
	return p->interrupts - before;
}

void pair_take(struct pair *p, unsigned want)
{
	uint32_t len;
	void *token;

	while (want--) {
		assert_int_equal(vd_take(&p->driver, &token, &len), 1);
		assert_int_equal(len, 16);
	}
	assert_int_equal(vd_take(&p->driver, &token, &len), 0);
}
