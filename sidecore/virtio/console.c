// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/virtio/console.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sidecore/sidecore.h"

#define QUEUE_SIZE 64
#define MAX_SEGS   64

/* What a turn moves at most in each direction, so that others on the sidecore get theirs. */
#define TURN_BYTES  SX_BYTE_QUEUE_SIZE
#define TURN_CHAINS QUEUE_SIZE

enum queue {
	QUEUE_RECEIVE = 0,
	QUEUE_TRANSMIT = 1,
	QUEUES,
};

/* The fields that we have; the rest belongs to features that are not offered. */
#define CONFIG_SIZE offsetof(struct virtio_console_config, max_nr_ports)

static struct sx_virtio_console *console_of(struct sx_virtio_device *dev)
{
	return (struct sx_virtio_console *)dev;
}

/* ---- what the guest says ---- */

/* Go on with a chain, as far as there is room, at most @limit bytes; returns how many. */
static uint32_t say(struct sx_virtio_console *c, const struct sx_vq_chain *chain, uint32_t limit)
{
	struct iovec part[MAX_SEGS];
	unsigned parts = sx_iov_slice(chain->seg, chain->readable, c->said, limit, part);
	uint32_t done = 0;

	for (unsigned i = 0; i < parts; i++) {
		uint32_t want = (uint32_t)part[i].iov_len;
		uint32_t n = sx_byte_queue_push(c->out, part[i].iov_base, want);

		done += n;
		if (n < want)
			break;
	}
	c->said += done;
	sx_count(&c->bytes_out, done);
	return done;
}

/*
 * A chain that does not fit is given back to the queue and taken again when there is room, from
 * `said` on. Should the driver change it meanwhile, it gets what it asked for.
 */
static unsigned transmit(struct sx_virtio_console *c, struct sx_virtqueue *vq)
{
	uint32_t left = TURN_BYTES;
	struct iovec pool[MAX_SEGS];
	struct sx_vq_chain chain;
	unsigned n = 0;

	while (left && n < TURN_CHAINS && sx_byte_queue_room(c->out) &&
	       sx_virtqueue_pop(vq, &chain, 1, pool, MAX_SEGS)) {
		if (chain.writable) {
			sx_virtqueue_fail(vq, "a buffer with output is to be written");
			break;
		}
		left -= say(c, &chain, left);
		n++;
		if (c->said < chain.readable_len) {
			sx_virtqueue_unpop(vq, &chain, 1);
			break;
		}
		c->said = 0;
		sx_virtqueue_push(vq, &chain, 0);
	}
	return n;
}

/* ---- what it is told ---- */

static uint32_t fill(struct sx_virtio_console *c, const struct sx_vq_chain *chain, uint32_t limit)
{
	uint32_t done = 0;

	for (unsigned i = 0; i < chain->writable && done < limit; i++) {
		const struct iovec *seg = &chain->seg[i];
		uint32_t want = limit - done;

		if (seg->iov_len < want)
			want = (uint32_t)seg->iov_len;
		done += sx_byte_queue_pull(c->in, seg->iov_base, want);
	}
	sx_count(&c->bytes_in, done);
	return done;
}

static unsigned receive(struct sx_virtio_console *c, struct sx_virtqueue *vq)
{
	uint32_t left = TURN_BYTES;
	struct iovec pool[MAX_SEGS];
	struct sx_vq_chain chain;
	unsigned n = 0;

	while (left && n < TURN_CHAINS && sx_byte_queue_waiting(c->in) &&
	       sx_virtqueue_pop(vq, &chain, 1, pool, MAX_SEGS)) {
		uint32_t done;

		if (chain.readable || !chain.writable) {
			sx_virtqueue_fail(vq, "a buffer for input cannot be written");
			break;
		}
		done = fill(c, &chain, left);
		sx_virtqueue_push(vq, &chain, done);
		left -= done;
		n++;
	}
	return n;
}

/* ---- the device ---- */

static unsigned process(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_virtio_console *c = console_of(dev);

	return vq->index == QUEUE_TRANSMIT ? transmit(c, vq) : receive(c, vq);
}

/* The queues are looked at anyway; in trap mode what made us look has been heard by that. */
static unsigned poll(struct sx_virtio_device *dev, unsigned group)
{
	eventfd_t drop;

	(void)group;
	if (dev->wake_fd >= 0)
		eventfd_read(dev->wake_fd, &drop); /* fails when nothing did */
	return 0;
}

/*
 * Linux reads the size only when it is told that it has changed, so it is told once more when it
 * is up, if there is a size (virtio 1.2, 5.3.4).
 */
static void queue_start(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	if (vq->index == QUEUE_TRANSMIT)
		console_of(dev)->said = 0;
	else if (sx_virtio_has(dev, VIRTIO_CONSOLE_F_SIZE) &&
		 sx_virtio_config_read(dev, 0, CONFIG_SIZE))
		sx_virtio_config_notify(dev);
}

static const char *const count_names[] = {"bytes_out", "bytes_in", NULL};

static void counts(const struct sx_virtio_device *dev, uint64_t *count)
{
	const struct sx_virtio_console *c = (const struct sx_virtio_console *)dev;

	count[0] = sx_load_relaxed(&c->bytes_out);
	count[1] = sx_load_relaxed(&c->bytes_in);
}

static const struct sx_virtio_ops ops = {
	.name = "virtio-console",
	.id = VIRTIO_ID_CONSOLE,
	.process = process,
	.poll = poll,
	.kicks = true,
	.queue_start = queue_start,
	.count_names = count_names,
	.counts = counts,
};

int sx_virtio_console_init(struct sx_virtio_console *c, const struct sx_virtio_env *env,
			   struct sx_error *err)
{
	const struct sx_virtio_shape shape = {
		.features = SX_VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE),
		.queues = QUEUES,
		.queue_size = QUEUE_SIZE,
		.max_segs = MAX_SEGS,
		.config_size = CONFIG_SIZE,
	};
	int rc;

	memset(c, 0, sizeof(*c));
	c->out = env->console_out;
	c->in = env->console_in;
	rc = sx_virtio_device_init(&c->dev, &ops, &shape, env, err);
	if (rc < 0 || env->polled)
		return rc;
	c->dev.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->dev.wake_fd >= 0)
		return 0;
	rc = sx_fail(err, -errno, "cannot create an eventfd for the console: %s", strerror(errno));
	sx_virtio_device_destroy(&c->dev);
	return rc;
}

void sx_virtio_console_destroy(struct sx_virtio_console *c)
{
	if (c->dev.ops && c->dev.wake_fd >= 0)
		close(c->dev.wake_fd);
	sx_virtio_device_destroy(&c->dev);
	memset(c, 0, sizeof(*c));
}

void sx_virtio_console_moved(struct sx_virtio_console *c)
{
	if (c->dev.env.polled)
		sx_poller_kick(&c->dev.group[0].poller);
	else
		eventfd_write(c->dev.wake_fd, 1); /* fails only when it is readable already */
}

void sx_virtio_console_resize(struct sx_virtio_console *c, uint16_t cols, uint16_t rows)
{
	const struct virtio_console_config size = {.cols = htole16(cols), .rows = htole16(rows)};

	sx_virtio_config_set(&c->dev, 0, &size, CONFIG_SIZE, true);
}
