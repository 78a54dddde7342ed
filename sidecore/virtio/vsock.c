// SPDX-License-Identifier: BSD-3-Clause
/*
 * The device: its life, its queues, and when sockets are looked at.
 *
 * A look is a system call. After one that found nothing the next comes only when several times as
 * much time has passed as it took: idle looks take a small part of the sidecore, and what comes
 * waits for some microseconds. In trap mode epoll_fd wakes who looks.
 */
#include "sidecore/virtio/vsock.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <x86intrin.h>

#include "sidecore/virtio/vsock_internal.h"

#define F_STREAM   0 /* VIRTIO_VSOCK_F_STREAM (5.10.3); Linux' header has no name for it */
#define QUEUE_SIZE 128
#define LOOKS      32u        /* in trap mode, each time that we are woken */
#define PAUSE      15u        /* times what an empty look took */
#define MAX_PAUSE  (1u << 16) /* TSC cycles, some 20 us: it may have been preempted */

static struct sx_virtio_vsock *vsock_of(struct sx_virtio_device *dev)
{
	return (struct sx_virtio_vsock *)dev;
}

/* ---- at work ---- */

/* The driver is gone, or what it does makes no sense. */
static void stop(struct sx_virtio_vsock *v)
{
	v->running = false;
	sx_vsock_drop_all(v);
}

/* Look at the sockets, if it is time. */
static unsigned look(struct sx_virtio_vsock *v)
{
	uint64_t before = __rdtsc(), took;
	unsigned n;

	if (v->dev.env.polled && (int64_t)(before - v->look_at) < 0)
		return 0;
	n = sx_vsock_look(v);
	if (!n) {
		took = __rdtsc() - before;
		v->look_at = before + (took < MAX_PAUSE / PAUSE ? took * PAUSE : MAX_PAUSE);
	}
	return n;
}

/* What there is for the guest, and who wants to come. */
static unsigned serve_guest(struct sx_virtio_vsock *v)
{
	if (!v->running)
		return 0;
	return sx_vsock_accept(v) + sx_vsock_receive(v, &v->dev.queue[SX_VSOCK_RX]);
}

/*
 * In trap mode nobody comes back for what is left, but for events: who floods us by those must not
 * keep the device lock for ever.
 */
static unsigned serve(struct sx_virtio_vsock *v)
{
	unsigned work = 0, looks = 0, n;

	do {
		n = looks++ < LOOKS ? look(v) : 0;
		n += serve_guest(v);
		work += n;
	} while (n && !v->dev.env.polled);
	return work;
}

static unsigned poll(struct sx_virtio_device *dev, unsigned group)
{
	struct sx_virtio_vsock *v = vsock_of(dev);
	bool broken = sx_load_relaxed(&dev->status) & VIRTIO_CONFIG_S_NEEDS_RESET;

	(void)group;
	if (__builtin_expect(broken && v->running, 0))
		stop(v);
	return serve(v);
}

/* In trap mode both directions, for each may have waited for the other. */
static unsigned process(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_virtio_vsock *v = vsock_of(dev);
	struct sx_virtqueue *tx = &dev->queue[SX_VSOCK_TX];
	unsigned work = 0, n;

	if (!v->running)
		return 0;
	/* poll() fills rx; the event queue's buffers are for a guest that has moved. */
	if (dev->env.polled)
		return vq == tx ? sx_vsock_transmit(v, vq) : 0;
	do {
		n = sx_vsock_transmit(v, tx);
		n += serve_guest(v);
		work += n;
	} while (n);
	return work;
}

static void queue_start(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_virtio_vsock *v = vsock_of(dev);

	(void)vq;
	v->running = dev->queue[SX_VSOCK_RX].running && dev->queue[SX_VSOCK_TX].running;
}

static bool queue_stop(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_virtio_vsock *v = vsock_of(dev);

	if (vq->index > SX_VSOCK_TX)
		return true;
	stop(v);
	return true;
}

/* As in struct sx_virtio_vsock_stats, which is a row of uint64_t. */
static const char *const count_names[] = {
	"from_guest", "from_host",     "refused",        "expired", "resets",
	"malformed",  "to_host_bytes", "to_guest_bytes", NULL,
};

#define COUNTS (sizeof(struct sx_virtio_vsock_stats) / sizeof(uint64_t))

_Static_assert(COUNTS + 1 == sizeof(count_names) / sizeof(count_names[0]), "each has a name");

static void counts(const struct sx_virtio_device *dev, uint64_t *count)
{
	const struct sx_virtio_vsock *v = (const struct sx_virtio_vsock *)dev;
	const uint64_t *row = (const uint64_t *)&v->stats;

	for (size_t i = 0; i < COUNTS; i++)
		count[i] = sx_load_relaxed(&row[i]);
}

static const struct sx_virtio_ops ops = {
	.name = "virtio-vsock",
	.id = VIRTIO_ID_VSOCK,
	.process = process,
	.poll = poll,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.count_names = count_names,
	.counts = counts,
};

/* ---- life ---- */

static int make_table(struct sx_virtio_vsock *v, struct sx_error *err)
{
	v->connection = calloc(SX_VSOCK_CONNECTIONS, sizeof(*v->connection));
	v->bucket = malloc(SX_VSOCK_BUCKETS * sizeof(*v->bucket));
	v->reply = calloc(SX_VSOCK_REPLIES, sizeof(*v->reply));
	if (!v->connection || !v->bucket || !v->reply)
		return sx_fail(err, -ENOMEM, "no memory for the connections of a vsock");
	memset(v->bucket, 0xff, SX_VSOCK_BUCKETS * sizeof(*v->bucket)); /* SX_VSOCK_NONE */
	v->free = v->first = v->last = SX_VSOCK_NONE;
	v->next_port = SX_VSOCK_FIRST_PORT;
	return 0;
}

static int make_descriptors(struct sx_virtio_vsock *v, struct sx_error *err)
{
	int rc = 0;

	v->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	v->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (v->epoll_fd < 0 || v->timer_fd < 0)
		rc = -errno;
	if (rc == 0)
		rc = sx_vsock_watch_own(v);
	if (rc < 0)
		return sx_fail(err, rc, "no descriptors to wait for a vsock's sockets: %s",
			       strerror(-rc));
	v->dev.wake_fd = v->epoll_fd;
	return 0;
}

static int init_device(struct sx_virtio_vsock *v, const struct sx_virtio_env *env,
		       struct sx_error *err)
{
	const struct virtio_vsock_config registers = {.guest_cid = v->cid};
	const struct sx_virtio_shape shape = {
		.features = SX_VIRTIO_BIT(F_STREAM),
		.queues = SX_VSOCK_QUEUES,
		.queue_size = QUEUE_SIZE,
		.max_segs = SX_VSOCK_SEGS,
		.config = &registers,
		.config_size = sizeof(registers),
	};

	return sx_virtio_device_init(&v->dev, &ops, &shape, env, err);
}

int sx_virtio_vsock_init(struct sx_virtio_vsock *v, const struct sx_virtio_vsock_config *config,
			 const struct sx_virtio_env *env, struct sx_error *err)
{
	unsigned patience_ms = config->patience_ms ? config->patience_ms : SX_VSOCK_PATIENCE_MS;
	int rc;

	memset(v, 0, sizeof(*v));
	v->listen_fd = v->epoll_fd = v->timer_fd = -1;
	v->cid = config->cid ? config->cid : SX_VSOCK_GUEST_CID;
	v->tick_ns = patience_ms * 1000000ull / SX_VSOCK_TICKS;
	if (v->cid < SX_VSOCK_GUEST_CID || v->cid > SX_VSOCK_MAX_CID)
		return sx_fail(err, -EINVAL, "a guest's CID is from %u to %u", SX_VSOCK_GUEST_CID,
			       SX_VSOCK_MAX_CID);
	rc = init_device(v, env, err);
	if (rc < 0)
		return rc;
	rc = make_table(v, err);
	if (rc == 0)
		rc = sx_vsock_listen(v, config->path, err);
	if (rc == 0)
		rc = make_descriptors(v, err);
	if (rc < 0)
		sx_virtio_vsock_destroy(v);
	return rc;
}

void sx_virtio_vsock_destroy(struct sx_virtio_vsock *v)
{
	if (!v->dev.ops)
		return;
	sx_vsock_unlisten(v);
	for (unsigned i = 0; i < v->fresh; i++)
		if (v->connection[i].state != SX_VSOCK_FREE)
			sx_vsock_drop(v, &v->connection[i]);
	if (v->epoll_fd >= 0)
		close(v->epoll_fd);
	if (v->timer_fd >= 0)
		close(v->timer_fd);
	free(v->connection);
	free(v->bucket);
	free(v->reply);
	sx_virtio_device_destroy(&v->dev);
	memset(v, 0, sizeof(*v));
}
