// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/virtio_fuzz.h"

#include <errno.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define MAX_BUFFERS 12

struct play {
	struct vw_driver *d;
	struct sx_virtio_device *dev;
	struct fuzz_input *in;
	size_t rings; /* where vd_alloc() begins after the buffers */
	bool honest;  /* nothing was scribbled over since the last VF_UP */
};

/* All of the device's queues, honestly; the memory of the last ones is used again. */
static void bring_up(struct play *p)
{
	struct vw_driver *d = p->d;
	unsigned how = (unsigned)fuzz_take(p->in, 1);
	unsigned size = (unsigned)fuzz_take(p->in, 1) % 6;
	uint64_t features = (how & 1 ? SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0) |
			    (how & 2 ? SX_VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0) |
			    (how & 4 ? SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) : 0) |
			    (how & 8 ? SX_VIRTIO_BIT(VIRTIO_F_IN_ORDER) : 0) |
			    (how & 16 ? 0xffffff : 0); /* and those of its type */

	vw_stop(d);
	for (unsigned i = 0; vw_status(d) && i < 100; i++)
		sx_virtio_device_poll(p->dev);
	d->w->memory.used = p->rings;
	if (vw_negotiate(d, features) < 0)
		return;
	for (unsigned i = 0; i < p->dev->queues && i < VW_MAX_QUEUES; i++)
		vw_add_queue(d, (uint16_t)(1u << size));
	vw_start(d);
	sx_virtio_device_poll(p->dev);
	p->honest = true;
}

static struct vd_queue *queue(struct play *p, unsigned *index)
{
	unsigned byte = (unsigned)fuzz_take(p->in, 1);

	if (!p->d->queues)
		return NULL;
	*index = byte % p->d->queues;
	return &p->d->queue[*index];
}

static void add_chain(struct play *p)
{
	struct vd_buffer b[MAX_BUFFERS];
	unsigned index = 0;
	struct vd_queue *q = queue(p, &index);
	unsigned counts = (unsigned)fuzz_take(p->in, 1);
	unsigned out = counts % 7, in = counts / 16 % 6;

	for (unsigned i = 0; i < out + in; i++) {
		b[i].gpa = fuzz_take(p->in, 2);
		b[i].len = (uint32_t)fuzz_take(p->in, 2);
		/* Mostly inside of the buffers. */
		if (b[i].gpa % 16 != 15) {
			b[i].gpa %= VF_BUFFERS / 2;
			b[i].len = b[i].len % (VF_BUFFERS / 8) + (b[i].len != 0xffff);
		} else {
			p->honest = false; /* it may lie upon a ring, or where nothing is */
			b[i].gpa *= 8;
		}
	}
	if (q && vd_add(q, b, out, in, NULL) == 0 && vd_publish(q))
		vw_notify(p->d, index);
}

static void take_used(struct play *p)
{
	unsigned index = 0;
	struct vd_queue *q = queue(p, &index);
	uint32_t len;
	void *token;
	int rc = q ? 1 : 0;

	for (unsigned i = 0; rc == 1 && i < q->size; i++)
		rc = vd_take(q, &token, &len);
	fuzz_require(rc >= 0 || !p->honest);
}

static void write_bytes(struct play *p)
{
	unsigned at = (unsigned)fuzz_take(p->in, 2) % (VF_BUFFERS - 16);
	unsigned count = (unsigned)fuzz_take(p->in, 1) % 17;

	for (unsigned i = 0; i < count; i++)
		p->d->w->memory.base[at + i] = (uint8_t)fuzz_take(p->in, 1);
}

static void scribble(struct play *p)
{
	size_t room = p->d->w->memory.used - p->rings;
	size_t at = fuzz_take(p->in, 3);

	if (room)
		p->d->w->memory.base[p->rings + at % room] = (uint8_t)fuzz_take(p->in, 1);
	p->honest = false;
}

static void write_register(struct play *p, uint64_t base)
{
	unsigned offset = (unsigned)fuzz_take(p->in, 1);
	unsigned size = (unsigned)fuzz_take(p->in, 1) % 8 + 1;
	uint64_t value = fuzz_take(p->in, size);

	if (base)
		vw_write(p->d->w, base + offset, size, value);
	p->honest = false;
}

static void look(struct play *p)
{
	unsigned offset = (unsigned)fuzz_take(p->in, 1);
	unsigned size = (unsigned)fuzz_take(p->in, 1);

	vw_read(p->d->w, p->d->common + offset, size % 8 + 1);
	if (p->d->config)
		vw_read(p->d->w, p->d->config + offset, size % 8 + 1);
}

static void step(struct play *p)
{
	unsigned index = 0;

	switch (fuzz_take(p->in, 1) % VF_STEPS) {
	case VF_UP:
		bring_up(p);
		break;
	case VF_CHAIN:
		add_chain(p);
		break;
	case VF_KICK:
		if (queue(p, &index))
			vw_notify(p->d, index);
		break;
	case VF_POLL:
		sx_virtio_device_poll(p->dev);
		break;
	case VF_TAKE:
		take_used(p);
		break;
	case VF_BYTES:
		write_bytes(p);
		break;
	case VF_RING:
		scribble(p);
		break;
	case VF_COMMON:
		write_register(p, p->d->common);
		break;
	case VF_CONFIG:
		write_register(p, p->d->config);
		break;
	case VF_LOOK:
		look(p);
		break;
	default:
		vw_set(p->d, VIRTIO_PCI_COMMON_STATUS, 1, fuzz_take(p->in, 1));
		p->honest = false;
	}
}

/* What holds of every device at any time. */
static void check_device(struct play *p)
{
	struct sx_virtio_device *dev = p->dev;
	uint8_t status = vw_status(p->d);

	fuzz_require(!(status & VIRTIO_CONFIG_S_NEEDS_RESET) || dev->fault);
	fuzz_require(!(status & VIRTIO_CONFIG_S_DRIVER_OK) ||
		     (status & VIRTIO_CONFIG_S_FEATURES_OK));
	fuzz_require(!(status & VIRTIO_CONFIG_S_FEATURES_OK) || !(dev->features & ~dev->offered));
	for (unsigned i = 0; i < dev->queues; i++)
		fuzz_require(dev->queue[i].inflight <= SX_VQ_MAX_SIZE);
}

void vf_play(struct vw_driver *d, struct sx_virtio_device *dev, struct fuzz_input *in, unsigned max,
	     void (*check)(struct sx_virtio_device *dev))
{
	struct play p = {.d = d, .dev = dev, .in = in, .rings = VF_BUFFERS};

	if (d->w->memory.size < VF_RAM)
		abort();
	d->w->memory.used = p.rings;
	for (unsigned n = 0; n < max && in->left; n++) {
		step(&p);
		check_device(&p);
		if (check)
			check(dev);
	}
	while (d->queues)
		vd_queue_destroy(&d->queue[--d->queues]);
}
