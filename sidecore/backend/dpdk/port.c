// SPDX-License-Identifier: BSD-3-Clause
/*
 * A DPDK port from its name to its end (DPDK Programmer's Guide, "Poll Mode Driver").
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_ethdev.h>

#include "sidecore/backend/dpdk/port.h"
#include "sidecore/backend/net_port.h"

#define MAX_QUEUES   64
#define RING         512u  /* descriptors of a queue, where the port leaves it to us */
#define SPARE        1280u /* mbufs of a queue that are elsewhere: in a software ring, held */
#define SMALL_ROOM   2048u
#define LARGE_ROOM   16384u
#define TAGS         (2u * 4u) /* VLAN tags that an MTU does not count */
#define TSO_SEGS     34u       /* mbufs of the longest frame: 64 KiB in small ones, and its rest */
#define TABLE_GROUPS (RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE)

/* ---- what it tells ---- */

void sx_port_look_at_link(struct sx_port *p)
{
	struct rte_eth_link link;

	/* Relaxed: a flag by itself. */
	if (rte_eth_link_get_nowait(p->id, &link) == 0)
		sx_store_relaxed(&p->b.down, link.link_status == RTE_ETH_LINK_UP ? 0u : 1u);
}

/* On a thread of DPDK's. */
static int on_event(uint16_t id, enum rte_eth_event_type event, void *ctx, void *unused)
{
	struct sx_port *p = ctx;

	(void)id;
	(void)unused;
	if (event == RTE_ETH_EVENT_INTR_RMV)
		sx_store_relaxed(&p->b.gone, 1u); /* a flag by itself */
	else
		sx_port_look_at_link(p);
	return 0;
}

/* ---- settings ---- */

/* What a received frame says of its checksum is always true; there is nothing to switch. */
static int port_set_offloads(struct sx_net_backend *b, uint64_t offloads)
{
	return offloads & ~b->features ? -EOPNOTSUPP : 0;
}

/* Have the port's table spread what comes over the first @queues. */
static int spread(const struct sx_port *p, unsigned queues)
{
	struct rte_eth_rss_reta_entry64 group[TABLE_GROUPS];

	for (unsigned i = 0; i < p->table; i++) {
		struct rte_eth_rss_reta_entry64 *g = &group[i / RTE_ETH_RETA_GROUP_SIZE];

		g->mask = UINT64_MAX;
		g->reta[i % RTE_ETH_RETA_GROUP_SIZE] = (uint16_t)(i % queues);
	}
	return rte_eth_dev_rss_reta_update(p->id, group, p->table);
}

static int port_set_queues(struct sx_net_backend *b, unsigned queues)
{
	struct sx_port *p = sx_port_of(b);
	int rc = p->table ? spread(p, queues) : 0;

	/* Relaxed: receive_burst() copes with threads that see it late. */
	if (rc == 0)
		sx_store_relaxed(&p->active, queues);
	return rc;
}

/* The device gives us a turn now and then. */
static int port_wake_fd(struct sx_net_backend *b, unsigned queue)
{
	(void)b;
	(void)queue;
	return -1;
}

/* ---- the end ---- */

static void port_destroy(struct sx_net_backend *b)
{
	struct sx_port *p = sx_port_of(b);
	struct rte_eth_dev_info info;
	struct rte_device *device = NULL;

	if (rte_eth_dev_info_get(p->id, &info) == 0)
		device = info.device;
	rte_eth_dev_callback_unregister(p->id, RTE_ETH_EVENT_INTR_RMV, on_event, p);
	rte_eth_dev_callback_unregister(p->id, RTE_ETH_EVENT_INTR_LSC, on_event, p);
	if (p->started)
		rte_eth_dev_stop(p->id);
	sx_port_forget(p);
	/* Closing and removing are one for most devices; what is gone already is no failure. */
	rte_eth_dev_close(p->id);
	if (device)
		rte_dev_remove(device);
	rte_mempool_free(p->pool);
	free(p->queue);
	free(p);
}

static const struct sx_net_ops ops = {
	.name = "port",
	.send = sx_port_send,
	.peek = sx_port_peek,
	.release = sx_port_release,
	.wake_fd = port_wake_fd,
	.set_offloads = port_set_offloads,
	.set_queues = port_set_queues,
	.destroy = port_destroy,
};

/* ---- finding it ---- */

static int find(const char *devargs, uint16_t *id)
{
	struct rte_dev_iterator it;
	uint16_t i;

	RTE_ETH_FOREACH_MATCHING_DEV(i, devargs, &it)
	{
		*id = i;
		rte_eth_iterator_cleanup(&it);
		return 0;
	}
	return -ENODEV;
}

static int refuse(const char *devargs, const char *what, int rc, struct sx_error *err)
{
	const char *words = sx_eal_words();

	return sx_fail(err, -ENODEV, "DPDK port '%s' cannot be %s: %s", devargs, what,
		       words[0] ? words : strerror(-rc));
}

static int probe(const char *devargs, uint16_t *id, struct sx_error *err)
{
	int rc;

	if (find(devargs, id) == 0)
		return sx_fail(err, -EBUSY,
			       "DPDK port '%s' is in use already; give each network a port of "
			       "its own",
			       devargs);
	sx_eal_listen(); /* that there is none yet is no news */
	rc = rte_dev_probe(devargs);
	if (rc == 0)
		rc = find(devargs, id);
	return rc < 0 ? refuse(devargs, "opened", rc, err) : 0;
}

/* ---- setting it up ---- */

/* What is wanted of the port, once it is known what it can do. */
struct plan {
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	uint16_t rx_ring, tx_ring;
};

static void plan_checksums(struct sx_port *p, struct plan *plan)
{
	const uint64_t both = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	const uint64_t tso = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM |
			     RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	const uint64_t rx = RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
	const uint64_t has = plan->info.tx_offload_capa;
	const uint16_t most = plan->info.tx_desc_lim.nb_seg_max;

	if ((has & both) == both) {
		p->tx |= both;
		p->b.features |= SX_NET_BIT(VIRTIO_NET_F_CSUM);
	}
	if ((has & both) == both && (has & tso) == tso && (!most || most >= TSO_SEGS)) {
		p->tx |= tso;
		p->b.features |=
			SX_NET_BIT(VIRTIO_NET_F_HOST_TSO4) | SX_NET_BIT(VIRTIO_NET_F_HOST_TSO6);
	}
	if ((plan->info.rx_offload_capa & rx) == rx) {
		plan->conf.rxmode.offloads |= rx;
		p->b.features |= SX_NET_BIT(VIRTIO_NET_F_GUEST_CSUM);
	}
}

/* Which flows go to which queue is up to the port, if it can tell them apart. */
static void plan_queues(struct sx_port *p, struct plan *plan)
{
	const uint64_t fields = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
	const uint64_t has = plan->info.flow_type_rss_offloads & fields;
	const uint16_t table = plan->info.reta_size;

	if (p->b.queues == 1 || !has)
		return;
	plan->conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	plan->conf.rx_adv_conf.rss_conf.rss_hf = has;
	if (table && table <= RTE_ETH_RSS_RETA_SIZE_512)
		p->table = table;
}

/* Not every driver says its largest MTU; then its longest frame tells. */
static uint32_t largest_mtu(const struct rte_eth_dev_info *info)
{
	const uint32_t around = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;

	if (info->max_mtu != UINT16_MAX || info->max_rx_pktlen >= UINT16_MAX + around)
		return info->max_mtu;
	return info->max_rx_pktlen > around ? info->max_rx_pktlen - around : 0;
}

/* Frames in one mbuf, if there is such a one; else in several, if the port can do that. */
static int plan_frames(struct sx_port *p, struct plan *plan, unsigned mtu, struct sx_error *err)
{
	const uint32_t frame = (mtu ? mtu : RTE_ETHER_MTU) + RTE_ETHER_HDR_LEN + TAGS;

	const uint32_t most = largest_mtu(&plan->info);

	if (mtu && (mtu > most || mtu < plan->info.min_mtu))
		return sx_fail(err, -EINVAL, "the port's MTU is %u at least and %u at most, not %u",
			       plan->info.min_mtu, most, mtu);
	plan->conf.rxmode.mtu = mtu;
	p->room = frame <= SMALL_ROOM   ? SMALL_ROOM
		  : frame <= LARGE_ROOM ? RTE_ALIGN_CEIL(frame, 64u)
					: LARGE_ROOM;
	if (frame <= p->room)
		return 0;
	if (!(plan->info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) ||
	    !(plan->info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER))
		return sx_fail(err, -EINVAL, "the port's MTU is %u at most, not %u",
			       LARGE_ROOM - RTE_ETHER_HDR_LEN - TAGS, mtu);
	p->tx |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	plan->conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	return 0;
}

static unsigned smaller(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static int make_plan(struct sx_port *p, struct plan *plan, unsigned queues, unsigned mtu,
		     struct sx_error *err)
{
	int rc;

	queues = smaller(queues, smaller(plan->info.max_rx_queues, plan->info.max_tx_queues));
	if (!queues)
		return sx_fail(err, -EINVAL, "the port cannot both send and receive");
	p->b.queues = (uint16_t)queues;
	plan->conf.intr_conf.lsc = (*plan->info.dev_flags & RTE_ETH_DEV_INTR_LSC) != 0;
	plan->conf.intr_conf.rmv = (*plan->info.dev_flags & RTE_ETH_DEV_INTR_RMV) != 0;
	plan_checksums(p, plan);
	plan_queues(p, plan);
	rc = plan_frames(p, plan, mtu, err);
	plan->conf.txmode.offloads = p->tx;
	return rc;
}

/* Enough for all descriptors at once, so that none is ever missing for long. */
static int make_pool(struct sx_port *p, const struct plan *plan, struct sx_error *err)
{
	const unsigned each = (unsigned)plan->rx_ring + plan->tx_ring + SPARE;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "splitx-%u", p->id);
	p->pool = rte_pktmbuf_pool_create(name, each * p->b.queues, 0, 0,
					  (uint16_t)(p->room + RTE_PKTMBUF_HEADROOM),
					  rte_eth_dev_socket_id(p->id));
	return p->pool ? 0
		       : sx_fail(err, -ENOMEM,
				 "no memory for the frames of %u queues; ask for fewer, or for a "
				 "smaller MTU",
				 p->b.queues);
}

static int make_queues(struct sx_port *p, const struct plan *plan)
{
	const int socket = rte_eth_dev_socket_id(p->id);
	struct rte_eth_rxconf rx = plan->info.default_rxconf;
	struct rte_eth_txconf tx = plan->info.default_txconf;
	int rc = 0;

	rx.offloads = plan->conf.rxmode.offloads;
	tx.offloads = plan->conf.txmode.offloads;
	for (uint16_t i = 0; rc == 0 && i < p->b.queues; i++) {
		rc = rte_eth_rx_queue_setup(p->id, i, plan->rx_ring, (unsigned)socket, &rx,
					    p->pool);
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(p->id, i, plan->tx_ring, (unsigned)socket, &tx);
	}
	return rc;
}

/* Its own address is not the guest's, so it is to take all; what it cannot it does anyway. */
static int start(struct sx_port *p, unsigned mtu)
{
	uint16_t has = 0;
	int rc;

	rte_eth_dev_callback_register(p->id, RTE_ETH_EVENT_INTR_RMV, on_event, p);
	rte_eth_dev_callback_register(p->id, RTE_ETH_EVENT_INTR_LSC, on_event, p);
	rc = rte_eth_dev_start(p->id);
	if (rc < 0)
		return rc;
	p->started = true;
	(void)rte_eth_promiscuous_enable(p->id);
	(void)rte_eth_allmulticast_enable(p->id);
	/* A port that knows nothing of its MTU was configured with it. */
	rc = mtu ? rte_eth_dev_set_mtu(p->id, (uint16_t)mtu) : 0;
	if (rc < 0 && rc != -ENOTSUP)
		return rc;
	if (rte_eth_dev_get_mtu(p->id, &has) == 0 && has >= SX_NET_MIN_MTU)
		p->b.mtu = has;
	sx_port_look_at_link(p);
	return 0;
}

static int configure(struct sx_port *p, struct plan *plan)
{
	int rc = rte_eth_dev_configure(p->id, p->b.queues, p->b.queues, &plan->conf);

	if (rc < 0)
		return rc;
	plan->rx_ring = plan->tx_ring = RING;
	return rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &plan->rx_ring, &plan->tx_ring);
}

static int set_up(struct sx_port *p, const char *devargs, unsigned queues, unsigned mtu,
		  struct sx_error *err)
{
	struct plan plan = {0};
	int rc;

	sx_eal_listen(); /* what there was to say so far was no failure */
	rc = rte_eth_dev_info_get(p->id, &plan.info);
	if (rc < 0)
		return refuse(devargs, "used", rc, err);
	rc = make_plan(p, &plan, queues, mtu, err);
	if (rc < 0)
		return rc;
	p->queue = aligned_alloc(SX_CACHE_LINE, p->b.queues * sizeof(*p->queue));
	if (!p->queue)
		return sx_fail(err, -ENOMEM, "no memory for port '%s'", devargs);
	memset(p->queue, 0, p->b.queues * sizeof(*p->queue));
	rc = configure(p, &plan);
	if (rc == 0)
		rc = make_pool(p, &plan, err);
	if (rc == 0)
		rc = make_queues(p, &plan);
	if (rc == 0)
		rc = start(p, mtu);
	if (rc == 0)
		rc = port_set_queues(&p->b, 1);
	return rc < 0 ? refuse(devargs, "started", rc, err) : 0;
}

static int port_open(struct sx_net_backend **b, const char *devargs, unsigned queues, unsigned mtu,
		     struct sx_error *err)
{
	struct sx_port *p;
	int rc;

	if (!queues || queues > MAX_QUEUES)
		return sx_fail(err, -EINVAL, "a port has 1 to %d queues", MAX_QUEUES);
	rc = sx_eal_start(devargs, err);
	if (rc < 0)
		return rc;
	p = calloc(1, sizeof(*p));
	if (!p)
		return sx_fail(err, -ENOMEM, "no memory for port '%s'", devargs);
	p->b.ops = &ops;
	p->active = 1;
	p->link_pause = rte_get_tsc_hz() / 1000 * SX_PORT_LINK_MS;
	rc = probe(devargs, &p->id, err);
	if (rc < 0) {
		free(p);
		return rc;
	}
	rc = set_up(p, devargs, queues, mtu, err);
	if (rc < 0) {
		port_destroy(&p->b);
		return rc;
	}
	*b = &p->b;
	return 0;
}

extern const struct sx_net_plugin sx_net_plugin;
const struct sx_net_plugin sx_net_plugin = {
	.version = SX_VERSION,
	.frame_size = sizeof(struct sx_net_frame),
	.open = port_open,
};
