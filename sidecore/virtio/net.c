// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/virtio/net.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sidecore/virtio/net_internal.h"

#define QUEUE_SIZE 256

/* The fields that we have; the rest belongs to features that are not offered. */
#define CONFIG_SIZE offsetof(struct virtio_net_config, speed)

static struct sx_virtio_net *net_of(struct sx_virtio_device *dev)
{
	return (struct sx_virtio_net *)dev;
}

/* ---- the link ---- */

static uint16_t status_of(const struct sx_virtio_net *net)
{
	return sx_net_is_up(net) ? VIRTIO_NET_S_LINK_UP : 0;
}

/* Say what is, until it is still so: two threads may do this at the same time. */
static void tell_status(struct sx_virtio_net *net)
{
	uint16_t status;

	do {
		status = status_of(net);
		sx_virtio_config_set(&net->dev, offsetof(struct virtio_net_config, status), &status,
				     sizeof(status), true);
	} while (status != status_of(net));
}

void sx_virtio_net_set_link(struct sx_virtio_net *net, bool up)
{
	sx_store_relaxed(&net->link, (uint32_t)up);
	tell_status(net);
}

/* What the back end is now. */
static uint32_t absence(const struct sx_net_backend *b)
{
	if (sx_load_relaxed(&b->gone))
		return SX_NET_LOST;
	return sx_load_relaxed(&b->down) ? SX_NET_DOWN : SX_NET_PRESENT;
}

static void note_absence(struct sx_virtio_net *net, uint32_t now)
{
	/* Relaxed: one of the pairs' threads is first, and tells. */
	if (__atomic_exchange_n(&net->absent, now, __ATOMIC_RELAXED) != now)
		tell_status(net);
}

/* ---- at work; a group's thread ---- */

static bool may_receive(const struct sx_virtio_net_pair *p)
{
	const struct sx_virtio_net *net = p->net;

	return sx_net_rx_queue(p)->running && p->index < sx_load_relaxed(&net->active) &&
	       sx_load_relaxed(&net->absent) != SX_NET_LOST &&
	       !(sx_load_relaxed(&net->dev.status) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

void sx_net_watch(struct sx_virtio_net_pair *p)
{
	struct epoll_event e = {.events = EPOLLIN};
	bool want = may_receive(p) && !p->starved;

	if (p->net->dev.env.polled || p->net->dev.wake_fd < 0 || want == p->watched)
		return;
	/* If it cannot be now, the next turn tries again. */
	if (epoll_ctl(p->net->dev.wake_fd, want ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, p->wake_fd, &e) ==
	    0)
		p->watched = want;
}

static unsigned poll(struct sx_virtio_device *dev, unsigned group)
{
	struct sx_virtio_net_pair *p = &net_of(dev)->pair[group];
	uint32_t now = absence(p->net->backend);
	unsigned n = 0;

	if (__builtin_expect(now != sx_load_relaxed(&p->net->absent), 0))
		note_absence(p->net, now);
	if (may_receive(p))
		n = sx_net_receive(p, sx_net_rx_queue(p));
	sx_net_watch(p);
	return n;
}

static unsigned control(struct sx_virtio_net *net, struct sx_virtqueue *vq)
{
	unsigned n = sx_net_control(net, vq);

	/* In trap mode one thread at a time runs all pairs; it may have changed which are active.
	 */
	for (unsigned i = 0; !net->dev.env.polled && i < net->pairs; i++)
		sx_net_watch(&net->pair[i]);
	return n;
}

static unsigned process(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_virtio_net *net = net_of(dev);
	struct sx_virtio_net_pair *p = &net->pair[vq->group];
	unsigned n;

	if (vq->index == sx_net_control_queue(net))
		return control(net, vq);
	if (vq->index % 2 == 0)
		return dev->env.polled ? 0 : poll(dev, p->index);
	n = sx_net_transmit(p, vq);
	/* What was sent may have an answer already; and in trap mode nobody else would look. */
	if (n || !dev->env.polled)
		poll(dev, p->index);
	return n;
}

static void queue_start(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_virtio_net *net = net_of(dev);
	uint64_t offloads = dev->features & SX_NET_GUEST_OFFLOADS;

	if (vq->index)
		return;
	if (sx_virtio_has(dev, VIRTIO_NET_F_CTRL_VLAN))
		sx_store_relaxed(&net->filter.mode, net->filter.mode | SX_NET_VLANS);
	/* If it will not, frames come without; the driver takes those too. */
	if (net->backend->ops->set_offloads(net->backend, offloads) == 0)
		sx_store_relaxed(&net->offloads, offloads);
}

static bool queue_stop(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_virtio_net_pair *p = &net_of(dev)->pair[vq->group];

	if (vq == sx_net_rx_queue(p))
		p->held_len = 0;
	return true;
}

/* ---- control ---- */

static bool features_ok(struct sx_virtio_device *dev, uint64_t features)
{
	const uint64_t need_control =
		SX_NET_BIT(VIRTIO_NET_F_CTRL_RX) | SX_NET_BIT(VIRTIO_NET_F_CTRL_VLAN) |
		SX_NET_BIT(VIRTIO_NET_F_MQ) | SX_NET_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

	(void)dev;
	if ((features & need_control) && !(features & SX_NET_BIT(VIRTIO_NET_F_CTRL_VQ)))
		return false;
	return sx_net_offloads_ok(features);
}

/* No queue runs. If the back end refuses, it is gone, or keeps what does not harm. */
static void reset(struct sx_virtio_device *dev)
{
	struct sx_virtio_net *net = net_of(dev);
	struct sx_net_backend *b = net->backend;

	sx_store_relaxed(&net->offloads, 0u);
	b->ops->set_offloads(b, 0);
	sx_store_relaxed(&net->active, 1u);
	b->ops->set_queues(b, 1);
	sx_net_filter_reset(&net->filter, net->mac);
	sx_virtio_config_set(dev, 0, net->mac, sizeof(net->mac), false);
}

/* As in struct sx_virtio_net_stats, which is a row of uint64_t. */
static const char *const count_names[] = {
	"tx_frames", "tx_bytes",    "tx_malformed", "tx_refused", "tx_full",    "rx_frames",
	"rx_bytes",  "rx_filtered", "rx_too_long",  "rx_offload", "rx_starved", NULL,
};

_Static_assert(sizeof(struct sx_virtio_net_stats) / sizeof(uint64_t) + 1 ==
		       sizeof(count_names) / sizeof(count_names[0]),
	       "each has a name");

static void counts(const struct sx_virtio_device *dev, uint64_t *count)
{
	struct sx_virtio_net_stats s;

	sx_virtio_net_stats((const struct sx_virtio_net *)dev, &s);
	memcpy(count, &s, sizeof(s));
}

static const struct sx_virtio_ops ops = {
	.name = "virtio-net",
	.id = VIRTIO_ID_NET,
	.process = process,
	.poll = poll,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.features_ok = features_ok,
	.reset = reset,
	.count_names = count_names,
	.counts = counts,
};

/* ---- life ---- */

static uint64_t features_of(const struct sx_net_backend *b)
{
	uint64_t features =
		b->features | SX_NET_BIT(VIRTIO_NET_F_MAC) | SX_NET_BIT(VIRTIO_NET_F_STATUS) |
		SX_NET_BIT(VIRTIO_NET_F_MRG_RXBUF) | SX_NET_BIT(VIRTIO_NET_F_CTRL_VQ) |
		SX_NET_BIT(VIRTIO_NET_F_CTRL_RX) | SX_NET_BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |
		SX_NET_BIT(VIRTIO_NET_F_CTRL_VLAN) | SX_NET_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

	if (b->mtu)
		features |= SX_NET_BIT(VIRTIO_NET_F_MTU);
	if (b->queues > 1)
		features |= SX_NET_BIT(VIRTIO_NET_F_MQ);
	if (b->features & SX_NET_GUEST_OFFLOADS)
		features |= SX_NET_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	return features;
}

static int init_device(struct sx_virtio_net *net, const struct sx_virtio_net_config *config,
		       const struct sx_virtio_env *env, struct sx_error *err)
{
	struct virtio_net_config registers = {
		.status = VIRTIO_NET_S_LINK_UP,
		.max_virtqueue_pairs = net->pairs,
		.mtu = net->backend->mtu,
	};
	uint16_t group_of[2 * SX_VIRTIO_NET_MAX_PAIRS + 1];
	const struct sx_virtio_shape shape = {
		.features = features_of(net->backend),
		.queues = (uint16_t)(2 * net->pairs + 1),
		.queue_size = config->queue_size ? config->queue_size : QUEUE_SIZE,
		.max_segs = SX_NET_MAX_SEGS,
		.groups = net->pairs,
		.group_of = group_of,
		.config = &registers,
		.config_size = CONFIG_SIZE,
	};

	memcpy(registers.mac, config->mac, sizeof(registers.mac));
	for (unsigned i = 0; i + 1 < shape.queues; i++)
		group_of[i] = (uint16_t)(i / 2);
	group_of[shape.queues - 1] = 0;
	return sx_virtio_device_init(&net->dev, &ops, &shape, env, err);
}

static int make_pairs(struct sx_virtio_net *net, struct sx_error *err)
{
	net->pair = calloc(net->pairs, sizeof(*net->pair));
	if (!net->pair)
		return sx_fail(err, -ENOMEM, "no memory for the queue pairs of virtio-net");
	for (unsigned i = 0; i < net->pairs; i++) {
		struct sx_virtio_net_pair *p = &net->pair[i];

		p->net = net;
		p->index = i;
		p->wake_fd = -1;
		p->bounce = malloc(SX_NET_MAX_FRAME + 1);
		if (!p->bounce)
			return sx_fail(err, -ENOMEM, "no memory for the queue pairs of virtio-net");
	}
	return 0;
}

/* Trap mode: one descriptor that tells of all pairs, if the back end has one for each. */
static int make_wake_fd(struct sx_virtio_net *net, struct sx_error *err)
{
	struct sx_net_backend *b = net->backend;

	for (unsigned i = 0; i < net->pairs; i++) {
		net->pair[i].wake_fd = b->ops->wake_fd(b, i);
		if (net->pair[i].wake_fd < 0)
			return 0;
	}
	net->dev.wake_fd = epoll_create1(EPOLL_CLOEXEC);
	return net->dev.wake_fd < 0 ? sx_fail(err, -errno, "no descriptor to wait for frames: %s",
					      strerror(errno))
				    : 0;
}

int sx_virtio_net_init(struct sx_virtio_net *net, const struct sx_virtio_net_config *config,
		       const struct sx_virtio_env *env, struct sx_error *err)
{
	int rc;

	memset(net, 0, sizeof(*net));
	net->dev.wake_fd = -1;
	if ((config->mac[0] & 1) || !sx_net_mac_word(config->mac))
		return sx_fail(err, -EINVAL,
			       "a network device's address is neither a group's nor zero; set "
			       "another, such as 52:54:00:12:34:56");
	if (!config->backend->queues || config->backend->queues > SX_VIRTIO_NET_MAX_PAIRS)
		return sx_fail(err, -EINVAL, "virtio-net has 1 to %d queue pairs",
			       SX_VIRTIO_NET_MAX_PAIRS);
	net->backend = config->backend;
	net->pairs = config->backend->queues;
	net->active = net->link = 1;
	memcpy(net->mac, config->mac, sizeof(net->mac));
	sx_net_filter_reset(&net->filter, net->mac);
	rc = init_device(net, config, env, err);
	if (rc == 0)
		rc = make_pairs(net, err);
	if (rc == 0 && !env->polled)
		rc = make_wake_fd(net, err);
	if (rc < 0)
		sx_virtio_net_destroy(net);
	return rc;
}

void sx_virtio_net_destroy(struct sx_virtio_net *net)
{
	if (!net->backend)
		return;
	for (unsigned i = 0; net->pair && i < net->pairs; i++)
		free(net->pair[i].bounce);
	free(net->pair);
	if (net->dev.ops && net->dev.wake_fd >= 0)
		close(net->dev.wake_fd);
	sx_virtio_device_destroy(&net->dev);
	memset(net, 0, sizeof(*net));
}

void sx_virtio_net_stats(const struct sx_virtio_net *net, struct sx_virtio_net_stats *stats)
{
	const unsigned words = sizeof(*stats) / sizeof(uint64_t);
	uint64_t *sum = (uint64_t *)stats;

	memset(stats, 0, sizeof(*stats));
	for (unsigned i = 0; i < net->pairs; i++) {
		const uint64_t *from = (const uint64_t *)&net->pair[i].stats;

		for (unsigned k = 0; k < words; k++)
			sum[k] += sx_load_relaxed(&from[k]);
	}
}
