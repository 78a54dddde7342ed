// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control thread's side of a virtio device: life, status, features, queue set-up,
 * configuration (virtio 1.2, section 2 and 3).
 */
#include "sidecore/virtio/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sidecore/virtio/device_internal.h"

#define RING_FEATURES                                                                          \
	(SX_VIRTIO_BIT(VIRTIO_F_VERSION_1) | SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED) |             \
	 SX_VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) | SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) | \
	 SX_VIRTIO_BIT(VIRTIO_F_IN_ORDER) | SX_VIRTIO_BIT(VIRTIO_F_RING_RESET))

/* ---- life ---- */

static int check_shape(const struct sx_virtio_ops *ops, const struct sx_virtio_shape *shape,
		       struct sx_error *err)
{
	unsigned groups = shape->groups ? shape->groups : 1;

	if (!shape->queues || shape->queues > SX_VIRTIO_MAX_QUEUES)
		return sx_fail(err, -EINVAL, "%s has 1 to %d queues; ask for fewer", ops->name,
			       SX_VIRTIO_MAX_QUEUES);
	if (shape->config_size > SX_VIRTIO_MAX_CONFIG || groups > shape->queues)
		return sx_fail(err, -EINVAL, "%s has too large a configuration or too many groups",
			       ops->name);
	for (unsigned i = 0; shape->group_of && i < shape->queues; i++)
		if (shape->group_of[i] >= groups)
			return sx_fail(err, -EINVAL, "queue %u of %s is in no group", i, ops->name);
	return 0;
}

static int make_queues(struct sx_virtio_device *dev, const struct sx_virtio_shape *shape,
		       struct sx_error *err)
{
	dev->queue = calloc(shape->queues, sizeof(*dev->queue));
	dev->control = calloc(shape->queues, sizeof(*dev->control));
	if (!dev->queue || !dev->control)
		return sx_fail(err, -ENOMEM, "no memory for the queues of %s", dev->ops->name);
	for (; dev->queues < shape->queues; dev->queues++) {
		struct sx_virtqueue *vq = &dev->queue[dev->queues];
		int rc = sx_virtqueue_init(vq, dev->queues, shape->queue_size, shape->max_segs,
					   &dev->env.dma, err);

		if (rc < 0)
			return rc;
		vq->polled = dev->env.polled;
		vq->group = shape->group_of ? shape->group_of[dev->queues] : 0;
		dev->control[dev->queues].setup.size = shape->queue_size;
	}
	return 0;
}

static int make_group(struct sx_virtio_device *dev, struct sx_virtio_group *g, unsigned index,
		      struct sx_error *err)
{
	g->dev = dev;
	g->index = index;
	g->queue = calloc(dev->queues, sizeof(struct sx_virtqueue *));
	if (!g->queue)
		return sx_fail(err, -ENOMEM, "no memory for the queues of %s", dev->ops->name);
	for (unsigned i = 0; i < dev->queues; i++)
		if (dev->queue[i].group == index)
			g->queue[g->queues++] = &dev->queue[i];
	g->poller = (struct sx_poller){
		.name = dev->ops->name,
		.poll = sx_virtio_group_turn,
		.ctx = g,
	};
	/* Who has to look at a back end cannot be woken by it, unless it does that itself. */
	if (dev->env.may_sleep && (!dev->ops->poll || dev->ops->kicks)) {
		g->poller.sleep = sx_virtio_group_sleep;
		g->poller.awake = sx_virtio_group_awake;
	}
	return 0;
}

static int make_groups(struct sx_virtio_device *dev, unsigned groups, struct sx_error *err)
{
	int rc = 0;

	dev->group = calloc(groups, sizeof(*dev->group));
	if (!dev->group)
		return sx_fail(err, -ENOMEM, "no memory for the queues of %s", dev->ops->name);
	for (; rc == 0 && dev->groups < groups; dev->groups++)
		rc = make_group(dev, &dev->group[dev->groups], dev->groups, err);
	return rc;
}

int sx_virtio_device_init(struct sx_virtio_device *dev, const struct sx_virtio_ops *ops,
			  const struct sx_virtio_shape *shape, const struct sx_virtio_env *env,
			  struct sx_error *err)
{
	int rc;

	memset(dev, 0, sizeof(*dev));
	rc = check_shape(ops, shape, err);
	if (rc < 0)
		return rc;
	dev->ops = ops;
	dev->env = *env;
	dev->wake_fd = -1;
	dev->offered = shape->features | RING_FEATURES;
	if (env->platform)
		dev->offered |= SX_VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM);
	dev->offered &= ~env->withhold;
	dev->config_size = shape->config_size;
	if (shape->config)
		memcpy(dev->config[0], shape->config, shape->config_size);
	pthread_mutex_init(&dev->config_writers, NULL);
	rc = make_queues(dev, shape, err);
	if (rc == 0)
		rc = make_groups(dev, shape->groups ? shape->groups : 1, err);
	if (rc < 0)
		sx_virtio_device_destroy(dev);
	return rc;
}

void sx_virtio_device_destroy(struct sx_virtio_device *dev)
{
	if (!dev->ops)
		return;
	for (unsigned i = 0; i < dev->groups; i++)
		free(dev->group[i].queue);
	for (unsigned i = 0; i < dev->queues; i++)
		sx_virtqueue_destroy(&dev->queue[i]);
	free(dev->group);
	free(dev->control);
	free(dev->queue);
	pthread_mutex_destroy(&dev->config_writers);
	memset(dev, 0, sizeof(*dev));
}

void sx_virtio_attach(struct sx_virtio_device *dev, const struct sx_virtio_transport *transport)
{
	dev->transport = *transport;
	for (unsigned i = 0; i < dev->queues; i++) {
		dev->queue[i].interrupt = transport->queue_interrupt;
		dev->queue[i].interrupt_ctx = transport->ctx;
	}
}

/* ---- status ---- */

static uint32_t status_of(const struct sx_virtio_device *dev)
{
	/* Pairs with the release in fault(). */
	return sx_load_acquire(&dev->status);
}

static bool all_stopped(const struct sx_virtio_device *dev)
{
	for (unsigned i = 0; i < dev->queues; i++)
		if (!sx_virtio_is_stopped(dev, i))
			return false;
	return true;
}

/* End a reset that is under way, if the queues have stopped by now. */
static void finish_reset(struct sx_virtio_device *dev)
{
	if (!dev->resetting || !all_stopped(dev))
		return;
	for (unsigned i = 0; i < dev->queues; i++) {
		dev->control[i].resetting = false;
		dev->control[i].setup = (struct sx_vq_setup){.size = dev->queue[i].max_size};
	}
	if (dev->ops->reset)
		dev->ops->reset(dev);
	if (dev->transport.reset)
		dev->transport.reset(dev->transport.ctx);
	dev->features = 0;
	dev->resetting = false;
	sx_store_relaxed(&dev->fault, NULL);
	sx_store_relaxed(&dev->status, 0u); /* the groups serve nothing now: no pair */
}

static void begin_reset(struct sx_virtio_device *dev)
{
	dev->resetting = true;
	for (unsigned i = 0; i < dev->queues; i++) {
		dev->control[i].enabled = false;
		sx_virtio_want(dev, i, false);
	}
	for (unsigned i = 0; i < dev->groups; i++)
		sx_virtio_attract(&dev->group[i]);
	finish_reset(dev);
}

uint8_t sx_virtio_status(struct sx_virtio_device *dev)
{
	/* In trap mode nobody else may be there to take completions. */
	if (dev->resetting && !dev->env.polled)
		sx_virtio_device_poll(dev);
	finish_reset(dev);
	return (uint8_t)status_of(dev);
}

/* Can we work with what the driver acknowledged (virtio 1.2, 3.1.1 step 5 and 6)? */
static bool features_ok(struct sx_virtio_device *dev)
{
	const uint64_t version_1 = SX_VIRTIO_BIT(VIRTIO_F_VERSION_1);
	const uint64_t platform = SX_VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM);

	if ((dev->features & ~dev->offered) || !(dev->features & version_1))
		return false;
	/* Its addresses would not be those that the IOMMU translates (6.2). */
	if (dev->env.platform && !(dev->features & platform))
		return false;
	return !dev->ops->features_ok || dev->ops->features_ok(dev, dev->features);
}

static void start_queue(struct sx_virtio_device *dev, unsigned queue)
{
	dev->control[queue].setup.features = dev->features;
	sx_virtio_want(dev, queue, true);
	sx_virtio_attract(&dev->group[dev->queue[queue].group]);
}

static void driver_ok(struct sx_virtio_device *dev)
{
	for (unsigned i = 0; i < dev->queues; i++)
		if (dev->control[i].enabled)
			start_queue(dev, i);
}

void sx_virtio_set_status(struct sx_virtio_device *dev, uint8_t status)
{
	const uint32_t drivers = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
				 VIRTIO_CONFIG_S_FAILED;
	uint32_t is = sx_virtio_status(dev);
	uint32_t news = status & drivers & ~is;

	if (!status && !dev->resetting) {
		begin_reset(dev);
		return;
	}
	/* The driver waits for a reset to end (4.1.4.3.2), and clears no bit (2.1.1). */
	if (dev->resetting || (is & drivers & ~status)) {
		dev->refused++;
		return;
	}
	if ((news & VIRTIO_CONFIG_S_FEATURES_OK) && !features_ok(dev))
		news &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	if (!((is | news) & VIRTIO_CONFIG_S_FEATURES_OK))
		news &= ~(uint32_t)VIRTIO_CONFIG_S_DRIVER_OK;
	/* A group may set NEEDS_RESET meanwhile. Relaxed: what it starts is released by itself. */
	__atomic_fetch_or(&dev->status, news, __ATOMIC_RELAXED);
	if (news & VIRTIO_CONFIG_S_DRIVER_OK)
		driver_ok(dev);
}

/* ---- features ---- */

static uint32_t word_of(uint64_t bits, uint32_t word)
{
	return word < 2 ? (uint32_t)(bits >> 32 * word) : 0;
}

uint32_t sx_virtio_offered(const struct sx_virtio_device *dev, uint32_t word)
{
	return word_of(dev->offered, word);
}

uint32_t sx_virtio_acknowledged(const struct sx_virtio_device *dev, uint32_t word)
{
	return word_of(dev->features, word);
}

void sx_virtio_acknowledge(struct sx_virtio_device *dev, uint32_t word, uint32_t bits)
{
	if (dev->resetting || (status_of(dev) & VIRTIO_CONFIG_S_FEATURES_OK)) {
		dev->refused++;
		return;
	}
	/* There is nothing to be acknowledged beyond bit 63; drivers write zeros there. */
	if (word < 2)
		dev->features = (dev->features & ~(0xffffffffull << 32 * word)) |
				(uint64_t)bits << 32 * word;
}

/* ---- queues ---- */

struct sx_vq_setup *sx_virtio_queue_setup(struct sx_virtio_device *dev, unsigned queue)
{
	struct sx_virtio_queue_control *c;

	if (queue >= dev->queues)
		return NULL;
	c = &dev->control[queue];
	if (c->enabled || dev->resetting || sx_virtio_queue_resetting(dev, queue))
		return NULL;
	return &c->setup;
}

void sx_virtio_queue_enable(struct sx_virtio_device *dev, unsigned queue)
{
	if (!sx_virtio_queue_setup(dev, queue) || !(status_of(dev) & VIRTIO_CONFIG_S_FEATURES_OK)) {
		dev->refused++;
		return;
	}
	dev->control[queue].enabled = true;
	if (status_of(dev) & VIRTIO_CONFIG_S_DRIVER_OK)
		start_queue(dev, queue);
}

bool sx_virtio_queue_enabled(const struct sx_virtio_device *dev, unsigned queue)
{
	return queue < dev->queues && dev->control[queue].enabled;
}

void sx_virtio_queue_reset(struct sx_virtio_device *dev, unsigned queue)
{
	struct sx_virtio_queue_control *c;

	if (!sx_virtio_queue_enabled(dev, queue) || !sx_virtio_has(dev, VIRTIO_F_RING_RESET)) {
		dev->refused++;
		return;
	}
	c = &dev->control[queue];
	c->resetting = true;
	c->enabled = false;
	sx_virtio_want(dev, queue, false);
	sx_virtio_attract(&dev->group[dev->queue[queue].group]);
}

bool sx_virtio_queue_resetting(struct sx_virtio_device *dev, unsigned queue)
{
	struct sx_virtio_queue_control *c;

	if (queue >= dev->queues)
		return false;
	c = &dev->control[queue];
	if (!c->resetting)
		return false;
	if (!dev->env.polled)
		sx_virtio_group_turn(&dev->group[dev->queue[queue].group]);
	c->resetting = !sx_virtio_is_stopped(dev, queue);
	return c->resetting;
}

/* ---- configuration ---- */

/*
 * There are two copies. A writer changes the one that does not count and then shows it; a driver
 * that reads across that sees the generation change, and begins again.
 */
void sx_virtio_config_set(struct sx_virtio_device *dev, uint32_t offset, const void *bytes,
			  uint32_t len, bool interrupt)
{
	const uint8_t *from = bytes;
	uint32_t generation;
	uint8_t *now, *next;

	pthread_mutex_lock(&dev->config_writers);
	generation = sx_load_relaxed(&dev->generation);
	now = dev->config[generation & 1];
	next = dev->config[~generation & 1];
	for (uint32_t i = 0; i < dev->config_size; i++) {
		bool changed = i >= offset && i - offset < len;

		/* Relaxed: shown by the release of the generation. */
		sx_store_relaxed(&next[i], changed ? from[i - offset] : now[i]);
	}
	/* Pairs with the acquire in sx_virtio_config_read(). */
	sx_store_release(&dev->generation, generation + 1);
	pthread_mutex_unlock(&dev->config_writers);
	if (interrupt)
		sx_virtio_config_notify(dev);
}

void sx_virtio_config_notify(struct sx_virtio_device *dev)
{
	if ((status_of(dev) & VIRTIO_CONFIG_S_DRIVER_OK) && dev->transport.config_interrupt)
		dev->transport.config_interrupt(dev->transport.ctx);
}

uint8_t sx_virtio_generation(const struct sx_virtio_device *dev)
{
	/* Pairs with the release in sx_virtio_config_set(). */
	return (uint8_t)sx_load_acquire(&dev->generation);
}

uint64_t sx_virtio_config_read(struct sx_virtio_device *dev, uint32_t offset, unsigned size)
{
	/* Pairs with the release in sx_virtio_config_set(). */
	const uint8_t *now = dev->config[sx_load_acquire(&dev->generation) & 1];
	uint64_t value = 0;

	if (size > 8 || offset > dev->config_size || size > dev->config_size - offset) {
		dev->refused++;
		return UINT64_MAX;
	}
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)sx_load_relaxed(&now[offset + i]) << 8 * i;
	return value;
}

void sx_virtio_config_write(struct sx_virtio_device *dev, uint32_t offset, unsigned size,
			    uint64_t value)
{
	if (size > 8 || offset > dev->config_size || size > dev->config_size - offset ||
	    !dev->ops->config_write) {
		dev->refused++;
		return;
	}
	dev->ops->config_write(dev, offset, size, value);
}
