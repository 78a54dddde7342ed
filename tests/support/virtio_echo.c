// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/virtio_echo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/virtio_pci.h>

static struct ve_bench *bench_of(struct sx_virtio_device *dev)
{
	return (struct ve_bench *)((char *)dev - offsetof(struct ve_bench, dev));
}

static unsigned process(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_vq_chain c[4];
	struct iovec pool[16];
	unsigned n = sx_virtqueue_pop(vq, c, 4, pool, 16);

	(void)dev;
	for (unsigned i = 0; i < n; i++) {
		uint32_t word = 0;

		sx_vq_read(&c[i], 0, &word, sizeof(word));
		word = ~word;
		sx_virtqueue_push(vq, &c[i], (uint32_t)sx_vq_write(&c[i], 0, &word, sizeof(word)));
	}
	return n;
}

static void queue_start(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	bench_of(dev)->starts[vq->index]++;
}

static bool queue_stop(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	bench_of(dev)->stops[vq->index]++;
	return true;
}

static const struct sx_virtio_ops ops = {
	.name = "virtio-echo",
	.id = 42,
	.process = process,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
};

void ve_open(struct ve_bench *b, bool may_sleep, void (*breathe)(void))
{
	static const uint16_t groups[VE_QUEUES] = {0, 1, 0, 1};
	const struct sx_virtio_shape shape = {
		.queues = VE_QUEUES,
		.queue_size = VE_SIZE,
		.max_segs = 4,
		.groups = VE_GROUPS,
		.group_of = groups,
	};
	struct sx_virtio_env env;

	memset(b, 0, sizeof(*b));
	b->breathe = breathe;
	vw_init(&b->w, 256 << 20);
	env = vw_env(&b->w, true);
	env.may_sleep = may_sleep;
	assert_int_equal(sx_virtio_device_init(&b->dev, &ops, &shape, &env, NULL), 0);
	assert_int_equal(sx_virtio_pci_init(&b->pci, &b->dev, &b->w.host, SX_PCI_ANY, NULL), 0);
	assert_int_equal(vw_probe(&b->d, &b->w, b->pci.function.devfn), 0);
	b->buffers = vd_alloc(&b->w.memory, 4096, 64);
}

void ve_close(struct ve_bench *b)
{
	sx_virtio_pci_destroy(&b->pci);
	sx_virtio_device_destroy(&b->dev);
	vw_destroy(&b->w);
}

void ve_up(struct ve_bench *b, unsigned round)
{
	const uint64_t choice[] = {0, SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED),
				   SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX), UINT64_MAX};
	const uint64_t features = choice[round % 4] | SX_VIRTIO_BIT(VIRTIO_F_RING_RESET);

	assert_int_equal(vw_negotiate(&b->d, features), 0);
	for (unsigned i = 0; i < VE_QUEUES; i++)
		vw_add_queue(&b->d, VE_SIZE);
	vw_start(&b->d);
}

void ve_down(struct ve_bench *b)
{
	vw_stop(&b->d);
	while (vw_status(&b->d))
		b->breathe();
	for (unsigned i = 0; i < VE_QUEUES; i++)
		assert_false(b->dev.queue[i].running);
}

static void add_requests(struct ve_bench *b, unsigned queue, uint32_t round, unsigned n)
{
	uint32_t *words = vd_at(&b->w.memory, b->buffers);

	for (size_t i = 0; i < n; i++) {
		const sx_gpa at = b->buffers + i * 8;
		const struct vd_buffer buffer[] = {{at, 4}, {at + 4, 4}};

		words[2 * i] = round * VE_SIZE + (uint32_t)i;
		assert_int_equal(vd_add(&b->d.queue[queue], buffer, 1, 1, &words[2 * i]), 0);
		if (i % 3 == 0)
			vw_kick(&b->d, queue);
	}
	vw_kick(&b->d, queue);
}

void ve_traffic(struct ve_bench *b, unsigned queue, uint32_t round)
{
	unsigned n = 1 + round % (VE_SIZE / 2), got = 0;
	uint32_t len;
	void *token;

	add_requests(b, queue, round, n);
	while (got < n) {
		int rc = vd_take(&b->d.queue[queue], &token, &len);

		assert_true(rc >= 0);
		if (!rc) {
			b->breathe();
			continue;
		}
		assert_int_equal(len, 4);
		assert_int_equal(((uint32_t *)token)[1], ~((uint32_t *)token)[0]);
		got++;
	}
}

void ve_reset_queue(struct ve_bench *b, unsigned queue)
{
	struct vw_driver *d = &b->d;
	struct sx_vq_setup s;

	vw_set(d, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	vw_set(d, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	while (vw_get(d, VIRTIO_PCI_COMMON_Q_RESET, 2))
		b->breathe();
	vd_queue_destroy(&d->queue[queue]);
	vd_queue_init(&d->queue[queue], &b->w.memory, VE_SIZE, d->features);
	s = vd_queue_setup(&d->queue[queue]);
	vw_set(d, VIRTIO_PCI_COMMON_Q_DESCLO, 8, s.desc);
	vw_set(d, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, s.driver);
	vw_set(d, VIRTIO_PCI_COMMON_Q_USEDLO, 8, s.device);
	vw_set(d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

void ve_break(struct ve_bench *b, unsigned queue)
{
	const struct vd_buffer outside = {b->w.memory.size, 1};

	assert_int_equal(vd_add(&b->d.queue[queue], &outside, 1, 0, NULL), 0);
	vw_kick(&b->d, queue);
	while (!(vw_status(&b->d) & VIRTIO_CONFIG_S_NEEDS_RESET))
		b->breathe();
	assert_string_equal(sx_load_relaxed(&b->dev.fault), "a buffer is not in guest memory");
}
