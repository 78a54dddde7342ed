// SPDX-License-Identifier: BSD-3-Clause
/*
 * A group of queues at work.
 *
 * The control thread says for each queue what it wants, and the group says what is:
 *
 *   control: fills `setup`, makes want odd (release), and stores attention (release)
 *   group:   takes attention, loads want (acquire), starts the queue, stores is = want
 *   control: makes want even, and stores attention
 *   group:   takes attention, asks the model until nothing is under way, stops the queue, stores
 *            is = want (release)
 *   control: loads is (acquire); once it is `want`, set-up and features are its own again
 *
 * Each change of mind is another number: a queue that is asked to stop before the group has heard
 * that it should run may be starting right now, and has not stopped until the group says so.
 */
#include "ipc/wire/types.h"
#include "sidecore/sidecore.h"
#include "sidecore/virtio/device_internal.h"

/* Does this value of `want` or `is` say that the queue runs? */
static bool runs(uint32_t state)
{
	return state & 1;
}

/* ---- the control thread's half ---- */

void sx_virtio_want(struct sx_virtio_device *dev, unsigned queue, bool to_run)
{
	struct sx_virtio_queue_control *c = &dev->control[queue];

	/* Release pairs with the acquire in settle(): the group sees set-up and features. */
	if (runs(c->want) != to_run)
		sx_store_release(&c->want, c->want + 1);
}

bool sx_virtio_is_stopped(const struct sx_virtio_device *dev, unsigned queue)
{
	const struct sx_virtio_queue_control *c = &dev->control[queue];

	/* Acquire pairs with the release in settle(): the group does not use the queue any more. */
	return !runs(c->want) && sx_load_acquire(&c->is) == c->want;
}

void sx_virtio_attract(struct sx_virtio_group *g)
{
	/* Release pairs with the exchange in attend(). */
	sx_store_release(&g->attention, 1u);
	if (!g->dev->env.polled)
		sx_virtio_group_turn(g);
	else if (g->dev->env.may_sleep)
		sx_poller_kick(&g->poller);
}

void sx_virtio_ask(struct sx_virtio_device *dev, unsigned group)
{
	sx_virtio_attract(&dev->group[group]);
}

/* ---- the group's half ---- */

/* A queue broke: ask the driver for a reset (virtio 1.2, 2.1.2), and serve the device no more. */
static void fault(struct sx_virtio_device *dev, const struct sx_virtqueue *vq)
{
	uint32_t before;

	sx_store_relaxed(&dev->fault, vq->fault);
	__atomic_fetch_add(&dev->faults, 1, __ATOMIC_RELAXED); /* a statistic: no pair */
	/* Release: who reads the status reads why. Pairs with the acquire in sx_virtio_status(). */
	before = __atomic_fetch_or(&dev->status, VIRTIO_CONFIG_S_NEEDS_RESET, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < dev->groups; i++)
		sx_store_release(&dev->group[i].attention, 1u); /* as in sx_virtio_attract() */
	if ((before & VIRTIO_CONFIG_S_DRIVER_OK) && dev->transport.config_interrupt)
		dev->transport.config_interrupt(dev->transport.ctx);
}

static void start(struct sx_virtio_device *dev, struct sx_virtqueue *vq,
		  struct sx_virtio_queue_control *c)
{
	int rc = sx_virtqueue_start(vq, &c->setup);

	if (rc < 0) {
		fault(dev, vq);
		return;
	}
	if (dev->env.polled)
		sx_virtqueue_disable_notify(vq);
	if (dev->ops->queue_start)
		dev->ops->queue_start(dev, vq);
}

/* Bring a queue to what is wanted of it; false: ask again, the model is not done with it. */
static bool settle(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_virtio_queue_control *c = &dev->control[vq->index];
	/* Pairs with the release in sx_virtio_want(). */
	uint32_t want = sx_load_acquire(&c->want);

	if (want == c->is)
		return true;
	if (runs(want)) {
		start(dev, vq, c);
	} else if (runs(c->is)) {
		if (dev->ops->queue_stop && !dev->ops->queue_stop(dev, vq))
			return false;
		sx_virtqueue_stop(vq);
	}
	/* Pairs with the acquire in sx_virtio_is_stopped(). */
	sx_store_release(&c->is, want);
	return true;
}

static bool is_served(const struct sx_virtio_device *dev, const struct sx_virtqueue *vq)
{
	const struct sx_virtio_queue_control *c = &dev->control[vq->index];

	return vq->running && runs(sx_load_relaxed(&c->want)) &&
	       !(sx_load_relaxed(&dev->status) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Put the queues that are served first. */
static void sort(struct sx_virtio_group *g)
{
	g->running = 0;
	for (unsigned i = 0; i < g->queues; i++) {
		struct sx_virtqueue *vq = g->queue[i];

		if (!is_served(g->dev, vq))
			continue;
		g->queue[i] = g->queue[g->running];
		g->queue[g->running++] = vq;
	}
}

static unsigned attend(struct sx_virtio_group *g)
{
	const struct sx_virtio_ops *ops = g->dev->ops;
	bool settled = true;

	/* Acquire pairs with whoever asked for attention. */
	__atomic_exchange_n(&g->attention, 0, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < g->queues; i++)
		if (!settle(g->dev, g->queue[i]))
			settled = false;
	sort(g);
	if (!settled)
		sx_store_relaxed(&g->attention, 1u); /* our own note: no pair */
	return ops->asked ? ops->asked(g->dev, g->index) : 0;
}

static void find_faults(struct sx_virtio_group *g)
{
	for (unsigned i = 0; i < g->running; i++)
		if (g->queue[i]->broken)
			fault(g->dev, g->queue[i]);
}

static void flush(struct sx_virtio_group *g)
{
	/* What one queue's work pushed may lie in another. */
	for (unsigned i = 0; i < g->running; i++)
		sx_virtqueue_flush(g->queue[i]);
}

/* Let the model have the queue until it is empty (true), or the model takes no more now. */
static bool run_dry(struct sx_virtio_group *g, struct sx_virtqueue *vq, unsigned *work)
{
	while (sx_virtqueue_ready(vq)) {
		unsigned done = g->dev->ops->process(g->dev, vq);

		flush(g);
		if (!done)
			return false;
		*work += done;
	}
	return true;
}

/*
 * Trap mode: the driver is to notify us when the queue was empty, and only then: what a full back
 * end left in it, the model's poll() goes on with. A driver that feeds the queue for ever from
 * other vCPUs keeps this one, and nobody else.
 */
static unsigned drain(struct sx_virtio_group *g, struct sx_virtqueue *vq)
{
	unsigned work = 0;
	bool dry;

	do {
		sx_virtqueue_disable_notify(vq);
		dry = run_dry(g, vq, &work);
	} while (dry && sx_virtqueue_enable_notify(vq));
	return work;
}

/*
 * Trap mode: poll(), or work on one queue, may have emptied another, and nobody would hear of what
 * comes next.
 */
static void hear_again(struct sx_virtio_group *g)
{
	for (unsigned i = 0; i < g->running; i++)
		if (g->queue[i]->running && !g->queue[i]->notify_on &&
		    !sx_virtqueue_ready(g->queue[i]))
			drain(g, g->queue[i]);
}

/* One look at a queue; a bounded amount of work in split mode. */
static unsigned look(struct sx_virtio_group *g, struct sx_virtqueue *vq)
{
	bool ready = sx_virtqueue_ready(vq);

	if (g->dev->env.polled)
		return ready ? g->dev->ops->process(g->dev, vq) : 0;
	return ready ? drain(g, vq) : 0;
}

unsigned sx_virtio_group_turn(void *group)
{
	struct sx_virtio_group *g = group;
	struct sx_virtio_device *dev = g->dev;
	bool broken = false;
	unsigned work = 0;

	if (__builtin_expect(sx_load_relaxed(&g->attention), 0))
		work = attend(g);
	/* First: it may take back what woke us, and what comes later wakes us again. */
	if (dev->ops->poll)
		work += dev->ops->poll(dev, g->index);
	for (unsigned i = 0; i < g->running; i++) {
		struct sx_virtqueue *vq = g->queue[i];

		work += look(g, vq);
		broken |= vq->broken;
	}
	if (work)
		flush(g);
	if (!dev->env.polled)
		hear_again(g);
	if (__builtin_expect(broken || !dev->env.polled, 0))
		find_faults(g);
	return work;
}

/* ---- notifications ---- */

void sx_virtio_notify(struct sx_virtio_device *dev, unsigned queue)
{
	struct sx_virtqueue *vq;
	struct sx_virtio_group *g;

	if (queue >= dev->queues) {
		dev->refused++;
		return;
	}
	vq = &dev->queue[queue];
	g = &dev->group[vq->group];
	sx_store_relaxed(&vq->stats.kicks, vq->stats.kicks + 1);
	if (dev->env.polled) {
		sx_poller_kick(&g->poller);
	} else if (is_served(dev, vq)) {
		drain(g, vq);
		hear_again(g);
		find_faults(g);
	}
}

unsigned sx_virtio_group_sleep(void *group)
{
	struct sx_virtio_group *g = group;

	if (sx_load_relaxed(&g->attention))
		return 1;
	for (unsigned i = 0; i < g->running; i++)
		sx_virtqueue_enable_notify(g->queue[i]);
	/* What the model cannot take now is no reason to stay awake: it will be kicked. */
	return sx_virtio_group_turn(g);
}

void sx_virtio_group_awake(void *group)
{
	struct sx_virtio_group *g = group;

	for (unsigned i = 0; i < g->running; i++)
		sx_virtqueue_disable_notify(g->queue[i]);
}

unsigned sx_virtio_device_poll(struct sx_virtio_device *dev)
{
	unsigned work = 0;

	for (unsigned i = 0; i < dev->groups; i++)
		work += sx_virtio_group_turn(&dev->group[i]);
	return work;
}
