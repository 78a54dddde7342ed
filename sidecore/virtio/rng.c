// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/virtio/rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/random.h>

#define QUEUE_SIZE 64
#define MAX_SEGS   64

/*
 * What a turn gives at most, so that others on the sidecore get theirs: some tens of
 * microseconds' worth. A longer buffer is returned filled that far (5.4.6.1 asks for one byte).
 */
#define BYTES_PER_TURN 4096u

static size_t random_bytes(void *to, size_t len)
{
	ssize_t got;

	do
		got = getrandom(to, len, GRND_NONBLOCK);
	while (got < 0 && errno == EINTR);
	return got < 0 ? 0 : (size_t)got;
}

/* Fill from the front, at most @limit bytes; returns how many. */
static uint32_t fill(const struct sx_vq_chain *chain, uint32_t limit)
{
	uint32_t done = 0;

	for (unsigned i = 0; i < chain->writable && done < limit; i++) {
		const struct iovec *seg = &chain->seg[chain->readable + i];
		size_t want = seg->iov_len < limit - done ? seg->iov_len : limit - done;
		size_t got = random_bytes(seg->iov_base, want);

		done += (uint32_t)got;
		if (got < want)
			break;
	}
	return done;
}

static unsigned process(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_virtio_rng *rng = (struct sx_virtio_rng *)dev;
	uint32_t left = BYTES_PER_TURN;
	struct iovec pool[MAX_SEGS];
	struct sx_vq_chain chain;
	unsigned count = 0;

	while (left && sx_virtqueue_pop(vq, &chain, 1, pool, MAX_SEGS)) {
		uint32_t done;

		/* A buffer the device cannot write is no request (5.4.6). */
		if (chain.readable || !chain.writable) {
			sx_virtqueue_fail(vq, "a buffer for random bytes cannot be written");
			break;
		}
		done = fill(&chain, left);
		if (!done) {
			sx_virtqueue_fail(vq, "the host gives no random bytes");
			break;
		}
		sx_virtqueue_push(vq, &chain, done);
		left -= done;
		count++;
	}
	sx_count(&rng->bytes, BYTES_PER_TURN - left);
	return count;
}

static const char *const count_names[] = {"bytes", NULL};

static void counts(const struct sx_virtio_device *dev, uint64_t *count)
{
	count[0] = sx_load_relaxed(&((const struct sx_virtio_rng *)dev)->bytes);
}

static const struct sx_virtio_ops ops = {
	.name = "virtio-rng",
	.id = VIRTIO_ID_RNG,
	.process = process,
	.count_names = count_names,
	.counts = counts,
};

int sx_virtio_rng_init(struct sx_virtio_rng *rng, const struct sx_virtio_env *env,
		       struct sx_error *err)
{
	const struct sx_virtio_shape shape = {
		.queues = 1,
		.queue_size = QUEUE_SIZE,
		.max_segs = MAX_SEGS,
	};

	uint8_t byte;

	memset(rng, 0, sizeof(*rng));
	/* A pool that was seeded once stays so; from then on nothing blocks (getrandom(2)). */
	if (!random_bytes(&byte, 1))
		return sx_fail(err, -EAGAIN,
			       "the host has not gathered enough entropy yet; start the guest with "
			       "a source of random numbers a little later");
	return sx_virtio_device_init(&rng->dev, &ops, &shape, env, err);
}

void sx_virtio_rng_destroy(struct sx_virtio_rng *rng)
{
	sx_virtio_device_destroy(&rng->dev);
}
