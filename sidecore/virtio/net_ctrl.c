// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control queue (virtio 1.2, 5.1.6.5). A command is a class, a command of it and its data,
 * and one byte for the answer. What we do not know or cannot do is answered with ERR.
 */
#include <string.h>

#include "sidecore/virtio/net_internal.h"

#define COMMANDS_A_TURN 8
#define MAC_GROUP       0x01

/* A command as it was read; its data is read from the chain, each byte once. */
struct command {
	const struct sx_vq_chain *chain;
	uint8_t class, number;
	uint32_t data; /* bytes of it */
};

#define HEADER 2u

static bool read_data(const struct command *c, uint32_t offset, void *to, uint32_t len)
{
	return sx_vq_read(c->chain, HEADER + offset, to, len) == len;
}

/* ---- receive filtering ---- */

static void set_mode(struct sx_virtio_net *net, uint32_t bits, bool on)
{
	uint32_t mode = sx_load_relaxed(&net->filter.mode);

	/* One writer; each bit stands alone. */
	sx_store_relaxed(&net->filter.mode, on ? mode | bits : mode & ~bits);
}

static bool set_rx(struct sx_virtio_net *net, const struct command *c)
{
	static const uint32_t bit[] = {
		[VIRTIO_NET_CTRL_RX_PROMISC] = SX_NET_PROMISC,
		[VIRTIO_NET_CTRL_RX_ALLMULTI] = SX_NET_ALLMULTI,
		[VIRTIO_NET_CTRL_RX_ALLUNI] = SX_NET_ALLUNI,
		[VIRTIO_NET_CTRL_RX_NOMULTI] = SX_NET_NOMULTI,
		[VIRTIO_NET_CTRL_RX_NOUNI] = SX_NET_NOUNI,
		[VIRTIO_NET_CTRL_RX_NOBCAST] = SX_NET_NOBCAST,
	};
	unsigned feature = c->number <= VIRTIO_NET_CTRL_RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX
								    : VIRTIO_NET_F_CTRL_RX_EXTRA;
	uint8_t on;

	if (c->number >= sizeof(bit) / sizeof(bit[0]) || !sx_virtio_has(&net->dev, feature) ||
	    c->data != 1 || !read_data(c, 0, &on, 1) || on > 1)
		return false;
	set_mode(net, bit[c->number], on);
	return true;
}

/* ---- addresses ---- */

static bool set_mac(struct sx_virtio_net *net, const struct command *c)
{
	uint8_t mac[6];

	if (!sx_virtio_has(&net->dev, VIRTIO_NET_F_CTRL_MAC_ADDR) || c->data != sizeof(mac) ||
	    !read_data(c, 0, mac, sizeof(mac)) || (mac[0] & MAC_GROUP) || !sx_net_mac_word(mac))
		return false;
	sx_store_relaxed(&net->filter.mac, sx_net_mac_word(mac));
	sx_virtio_config_set(&net->dev, 0, mac, sizeof(mac), false);
	return true;
}

/* A table begins at @*offset: is all of it there? Moves @*offset to its end. */
static bool measure_macs(const struct command *c, uint32_t *offset, uint32_t *count)
{
	if (!read_data(c, *offset, count, sizeof(*count)))
		return false;
	*offset += (uint32_t)sizeof(*count);
	if (*count > (c->data - *offset) / 6)
		return false;
	*offset += *count * 6;
	return true;
}

static bool load_macs(struct sx_virtio_net *net, const struct command *c, uint32_t offset,
		      uint32_t count, uint64_t *list, uint32_t *listed, uint32_t many)
{
	uint32_t n = count <= SX_VIRTIO_NET_MAX_MACS ? count : 0;

	/* None are listed while the list changes, or all are taken. */
	if (!n)
		set_mode(net, many, count);
	sx_store_relaxed(listed, 0u);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t mac[6];

		if (!read_data(c, offset + i * 6, mac, sizeof(mac)))
			return false;
		sx_store_relaxed(&list[i], sx_net_mac_word(mac));
	}
	/* Pairs with nothing: a reader takes each word as it comes. */
	sx_store_relaxed(listed, n);
	if (n)
		set_mode(net, many, false);
	return true;
}

static bool set_macs(struct sx_virtio_net *net, const struct command *c)
{
	struct sx_virtio_net_filter *f = &net->filter;
	uint32_t end = 0, unicasts, multicasts, second;

	if (!sx_virtio_has(&net->dev, VIRTIO_NET_F_CTRL_RX) || !measure_macs(c, &end, &unicasts))
		return false;
	second = end;
	if (!measure_macs(c, &end, &multicasts) || end != c->data)
		return false;
	return load_macs(net, c, sizeof(uint32_t), unicasts, f->unicast, &f->unicasts,
			 SX_NET_MANY_UNICASTS) &&
	       load_macs(net, c, second + (uint32_t)sizeof(uint32_t), multicasts, f->multicast,
			 &f->multicasts, SX_NET_MANY_MULTICASTS);
}

static bool set_addresses(struct sx_virtio_net *net, const struct command *c)
{
	switch (c->number) {
	case VIRTIO_NET_CTRL_MAC_TABLE_SET:
		return set_macs(net, c);
	case VIRTIO_NET_CTRL_MAC_ADDR_SET:
		return set_mac(net, c);
	default:
		return false;
	}
}

static bool set_vlan(struct sx_virtio_net *net, const struct command *c)
{
	uint64_t *word, bit;
	uint16_t id;

	if (!sx_virtio_has(&net->dev, VIRTIO_NET_F_CTRL_VLAN) || c->data != sizeof(id) ||
	    !read_data(c, 0, &id, sizeof(id)) || id >= 4096 || c->number > VIRTIO_NET_CTRL_VLAN_DEL)
		return false;
	word = &net->filter.vlan[id / 64];
	bit = 1ull << id % 64;
	/* One writer. */
	sx_store_relaxed(word, c->number == VIRTIO_NET_CTRL_VLAN_ADD ? *word | bit : *word & ~bit);
	return true;
}

/* ---- pairs and offloads ---- */

static bool set_pairs(struct sx_virtio_net *net, const struct command *c)
{
	struct sx_net_backend *b = net->backend;
	uint32_t before = sx_load_relaxed(&net->active);
	uint16_t pairs;

	if (!sx_virtio_has(&net->dev, VIRTIO_NET_F_MQ) ||
	    c->number != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || c->data != sizeof(pairs) ||
	    !read_data(c, 0, &pairs, sizeof(pairs)) || !pairs || pairs > net->pairs)
		return false;
	/* A pair that ends stops first, and one that begins comes last; see net_tap.c. */
	if (pairs < before)
		sx_store_relaxed(&net->active, pairs);
	if (b->ops->set_queues(b, pairs) < 0) {
		sx_store_relaxed(&net->active, before);
		return false;
	}
	sx_store_relaxed(&net->active, pairs);
	return true;
}

static bool set_offloads(struct sx_virtio_net *net, const struct command *c)
{
	struct sx_net_backend *b = net->backend;
	const uint64_t may = net->dev.features & SX_NET_GUEST_OFFLOADS;
	uint64_t offloads;

	if (!sx_virtio_has(&net->dev, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
	    c->number != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || c->data != sizeof(offloads) ||
	    !read_data(c, 0, &offloads, sizeof(offloads)) || (offloads & ~may) ||
	    !sx_net_offloads_ok(offloads))
		return false;
	if (b->ops->set_offloads(b, offloads) < 0)
		return false;
	sx_store_relaxed(&net->offloads, offloads);
	return true;
}

/* ---- commands ---- */

static bool obey(struct sx_virtio_net *net, const struct command *c)
{
	switch (c->class) {
	case VIRTIO_NET_CTRL_RX:
		return set_rx(net, c);
	case VIRTIO_NET_CTRL_MAC:
		return set_addresses(net, c);
	case VIRTIO_NET_CTRL_VLAN:
		return set_vlan(net, c);
	case VIRTIO_NET_CTRL_MQ:
		return set_pairs(net, c);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return set_offloads(net, c);
	default:
		return false;
	}
}

static void answer(struct sx_virtio_net *net, struct sx_virtqueue *vq, const struct sx_vq_chain *c)
{
	struct command command = {.chain = c, .data = c->readable_len - HEADER};
	uint8_t head[HEADER], ack;

	sx_vq_read(c, 0, head, HEADER);
	command.class = head[0];
	command.number = head[1];
	ack = obey(net, &command) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
	sx_count(&net->commands, 1);
	if (ack != VIRTIO_NET_OK)
		sx_count(&net->refusals, 1);
	sx_virtqueue_push(vq, c, (uint32_t)sx_vq_write(c, 0, &ack, 1));
}

unsigned sx_net_control(struct sx_virtio_net *net, struct sx_virtqueue *vq)
{
	struct iovec pool[SX_NET_MAX_SEGS];
	struct sx_vq_chain c;
	unsigned n;

	for (n = 0; n < COMMANDS_A_TURN && sx_virtqueue_pop(vq, &c, 1, pool, SX_NET_MAX_SEGS);
	     n++) {
		if (c.readable_len < HEADER || !c.writable) {
			sx_virtqueue_fail(vq,
					  "a command is cut short, or has no room for an answer");
			break;
		}
		answer(net, vq, &c);
	}
	return n;
}
