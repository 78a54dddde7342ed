// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which received frames the driver wants (virtio 1.2, 5.1.6.5.1 to 5.1.6.5.3).
 *
 * One thread changes the filter while others use it, word by word: in between a frame may be
 * judged by half of a change, and the driver is told that a change is made after all of it.
 */
#include <string.h>

#include "sidecore/virtio/net_internal.h"

#define GROUP     0x01 /* of an address' first byte */
#define BROADCAST 0xffffffffffffull
#define VLAN_TPID 0x8100

uint64_t sx_net_mac_word(const uint8_t mac[6])
{
	uint64_t word = 0;

	memcpy(&word, mac, 6);
	return word;
}

void sx_net_filter_reset(struct sx_virtio_net_filter *f, const uint8_t mac[6])
{
	/* A driver without a control queue gets everything. */
	sx_store_relaxed(&f->mode, (uint32_t)SX_NET_PROMISC);
	sx_store_relaxed(&f->unicasts, 0u);
	sx_store_relaxed(&f->multicasts, 0u);
	sx_store_relaxed(&f->mac, sx_net_mac_word(mac));
	for (unsigned i = 0; i < 4096 / 64; i++)
		sx_store_relaxed(&f->vlan[i], 0u);
}

static bool is_listed(const uint64_t *list, uint32_t count, uint64_t mac)
{
	for (uint32_t i = 0; i < count; i++)
		if (sx_load_relaxed(&list[i]) == mac)
			return true;
	return false;
}

static bool takes_address(const struct sx_virtio_net_filter *f, uint32_t mode, uint64_t mac)
{
	if (mac == BROADCAST)
		return !(mode & SX_NET_NOBCAST);
	if (mac & GROUP) {
		if (mode & SX_NET_NOMULTI)
			return false;
		return (mode & (SX_NET_ALLMULTI | SX_NET_MANY_MULTICASTS)) ||
		       is_listed(f->multicast, sx_load_relaxed(&f->multicasts), mac);
	}
	if (mode & SX_NET_NOUNI)
		return false;
	return mac == sx_load_relaxed(&f->mac) || (mode & (SX_NET_ALLUNI | SX_NET_MANY_UNICASTS)) ||
	       is_listed(f->unicast, sx_load_relaxed(&f->unicasts), mac);
}

static bool takes_vlan(const struct sx_virtio_net_filter *f, const uint8_t *head)
{
	unsigned tci = (unsigned)head[14] << 8 | head[15];
	unsigned id = tci & 0xfff;

	if (((unsigned)head[12] << 8 | head[13]) != VLAN_TPID)
		return true;
	return sx_load_relaxed(&f->vlan[id / 64]) & 1ull << id % 64;
}

bool sx_net_filter_takes(const struct sx_virtio_net_filter *f, const uint8_t *head)
{
	uint32_t mode = sx_load_relaxed(&f->mode);

	if (mode & SX_NET_PROMISC)
		return true;
	if ((mode & SX_NET_VLANS) && !takes_vlan(f, head))
		return false;
	return takes_address(f, mode, sx_net_mac_word(head));
}
