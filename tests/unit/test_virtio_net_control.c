// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control queue of virtio-net (virtio 1.2, 5.1.6.5): receive filters, addresses, VLANs, pairs,
 * offloads; and every command that is to be answered with ERR.
 */
#include "tests/unit/test_virtio_net_world.h"

#define PAIRS 3u
#define ALL   (UINT64_MAX & ~SX_VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM))

static struct net_world n;
static uint8_t out[2048], in[2048];

static int open_world(void **state)
{
	(void)state;
	net_open(&n, true, PAIRS, 1500);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	net_forget_buffers(&n);
	net_close(&n);
	return 0;
}

/* Send a command in @parts buffers; returns the answer, or 99 if there is none. */
static uint8_t command_in(unsigned parts, uint8_t class, uint8_t number, const void *data,
			  uint32_t len)
{
	unsigned queue = net_control(&n);
	uint32_t total = 2 + len, used;
	sx_gpa at = net_alloc(&n, total + 1);
	uint8_t *bytes = vd_at(&n.w.memory, at);
	struct vd_buffer b[8];
	void *token;

	bytes[0] = class;
	bytes[1] = number;
	if (len)
		memcpy(bytes + 2, data, len);
	bytes[total] = 99;
	for (unsigned i = 0; i < parts; i++) {
		uint32_t part = i + 1 == parts ? total : 1;

		b[i] = (struct vd_buffer){at, part};
		at += part;
		total -= part;
	}
	b[parts] = (struct vd_buffer){at, 1};
	assert_int_equal(vd_add(&n.d.queue[queue], b, parts, 1, NULL), 0);
	net_kick(&n, queue);
	assert_int_equal(vd_take(&n.d.queue[queue], &token, &used), 1);
	assert_int_equal(used, 1);
	return bytes[2 + len];
}

static uint8_t command(uint8_t class, uint8_t number, const void *data, uint32_t len)
{
	return command_in(1, class, number, data, len);
}

static void want(uint8_t answer, uint8_t class, uint8_t number, const void *data, uint32_t len)
{
	assert_int_equal(command(class, number, data, len), answer);
}

static void rx_mode(uint8_t number, uint8_t on)
{
	want(VIRTIO_NET_OK, VIRTIO_NET_CTRL_RX, number, &on, 1);
}

static void up(uint64_t features)
{
	net_up(&n, features);
	net_post_many(&n, 0, 200, 1536);
}

/* Does a frame to @mac arrive, with VLAN @vlan if that is not negative? */
static bool hears(const char *mac, int vlan)
{
	struct virtio_net_hdr_v1 hdr = {0};
	int64_t len;

	net_fill(out, 64, 1);
	memcpy(out, mac, 6);
	if (vlan >= 0) {
		out[12] = 0x81;
		out[13] = 0;
		out[14] = (uint8_t)(0x60 | vlan >> 8); /* with a priority */
		out[15] = (uint8_t)vlan;
	}
	assert_int_equal(net_peer_send(&n, 0, &hdr, out, 64), 1);
	/* Where the machine is busy it may take a while; what is filtered never comes. */
	for (unsigned look = 0; look < 20; look++) {
		net_settle(&n);
		len = net_take(&n, 0, &hdr, in, NULL);
		assert_true(len == 64 || len == -1);
		if (len == 64)
			return true;
	}
	return false;
}

#define OWN       "\x52\x54\x00\x12\x34\x56"
#define OTHER     "\x52\x54\x00\x12\x34\x57"
#define THIRD     "\x52\x54\x00\x12\x34\x58"
#define GROUP     "\x01\x00\x5e\x00\x00\x01"
#define GROUP2    "\x33\x33\x00\x00\x00\x01"
#define BROADCAST "\xff\xff\xff\xff\xff\xff"

static void at_first_all_is_heard(void **state)
{
	(void)state;
	up(0);
	assert_true(hears(OWN, -1) && hears(OTHER, -1) && hears(GROUP, -1) && hears(BROADCAST, 5));
}

static void modes_filter(void **state)
{
	(void)state;
	up(ALL);
	rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
	assert_true(hears(OWN, -1) && hears(BROADCAST, -1));
	assert_false(hears(OTHER, -1) || hears(GROUP, -1));
	rx_mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 1);
	assert_true(hears(GROUP, -1) && hears(GROUP2, -1));
	assert_false(hears(OTHER, -1));
	rx_mode(VIRTIO_NET_CTRL_RX_ALLUNI, 1);
	assert_true(hears(OTHER, -1));
	rx_mode(VIRTIO_NET_CTRL_RX_NOMULTI, 1);
	assert_false(hears(GROUP, -1));
	rx_mode(VIRTIO_NET_CTRL_RX_NOUNI, 1);
	assert_false(hears(OWN, -1) || hears(OTHER, -1));
	rx_mode(VIRTIO_NET_CTRL_RX_NOBCAST, 1);
	assert_false(hears(BROADCAST, -1));
	rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 1);
	assert_true(hears(OWN, -1) && hears(OTHER, -1) && hears(GROUP, -1) && hears(BROADCAST, -1));
	assert_int_equal(net_stats(&n).rx_filtered, 7);
	/* A reset ends it all. */
	rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
	net_forget_buffers(&n);
	net_down(&n);
	up(ALL);
	assert_true(hears(OTHER, -1) && hears(GROUP, -1));
}

/* Unicast addresses, then groups. */
struct mac_table {
	uint32_t unicasts;
	char unicast[2][6];
	uint32_t multicasts;
	char multicast[1][6];
} __attribute__((packed));

static void listed_addresses_are_heard(void **state)
{
	struct mac_table t = {.unicasts = 2, .multicasts = 1};

	(void)state;
	up(ALL);
	rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
	memcpy(t.unicast[0], OTHER, 6);
	memcpy(t.unicast[1], THIRD, 6);
	memcpy(t.multicast[0], GROUP, 6);
	want(VIRTIO_NET_OK, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, &t, sizeof(t));
	assert_true(hears(OWN, -1) && hears(OTHER, -1) && hears(THIRD, -1) && hears(GROUP, -1));
	assert_false(hears(GROUP2, -1));
	/* However the driver cuts it. */
	assert_int_equal(
		command_in(7, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, &t, sizeof(t)),
		VIRTIO_NET_OK);
	assert_true(hears(THIRD, -1));
	/* None at all. */
	want(VIRTIO_NET_OK, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, "\0\0\0\0\0\0\0",
	     8);
	assert_false(hears(OTHER, -1) || hears(GROUP, -1));
}

/* More than we list means all of the kind. */
static void long_lists_mean_all(void **state)
{
	uint8_t table[4 + 65 * 6 + 4] = {65};

	(void)state;
	up(ALL);
	rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
	want(VIRTIO_NET_OK, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table,
	     sizeof(table));
	assert_true(hears(OTHER, -1));
	assert_false(hears(GROUP, -1));
	memset(table, 0, sizeof(table));
	table[4] = 65;
	want(VIRTIO_NET_OK, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table,
	     sizeof(table));
	assert_true(hears(GROUP, -1));
	assert_false(hears(OTHER, -1));
}

static void malformed_lists_are_refused(void **state)
{
	struct mac_table t = {.unicasts = 2, .multicasts = 1};

	(void)state;
	up(ALL);
	rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
	memcpy(t.unicast[0], OTHER, 6);
	for (uint32_t len = 0; len < sizeof(t); len++)
		want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, &t, len);
	t.multicasts = 2;
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, &t, sizeof(t));
	t.multicasts = 0; /* and six bytes too many */
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, &t, sizeof(t));
	t.unicasts = UINT32_MAX;
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, &t, sizeof(t));
	t.unicasts = 0x2aaaaaab; /* times 6 is 2 in 32 bits */
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, &t, sizeof(t));
	assert_false(hears(OTHER, -1));
}

static void the_address_can_be_changed(void **state)
{
	(void)state;
	up(ALL);
	rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
	want(VIRTIO_NET_OK, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, OTHER, 6);
	assert_true(hears(OTHER, -1));
	assert_false(hears(OWN, -1));
	assert_int_equal(vw_read(&n.w, n.d.config + 5, 1), 0x57);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, GROUP, 6);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\0\0\0\0\0", 6);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, OWN, 5);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, OWN "\0", 7);
	assert_true(hears(OTHER, -1));
	/* A reset brings the first one back. */
	net_forget_buffers(&n);
	net_down(&n);
	assert_int_equal(vw_read(&n.w, n.d.config + 5, 1), 0x56);
}

static void vlans_filter(void **state)
{
	uint16_t id = 5, last = 4095, none = 4096;

	(void)state;
	up(ALL);
	rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
	assert_true(hears(OWN, -1));
	assert_false(hears(OWN, 5) || hears(OWN, 4095) || hears(OWN, 0));
	want(VIRTIO_NET_OK, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &id, 2);
	want(VIRTIO_NET_OK, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &last, 2);
	assert_true(hears(OWN, 5) && hears(OWN, 4095));
	assert_false(hears(OWN, 4) || hears(OTHER, 5));
	want(VIRTIO_NET_OK, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, &id, 2);
	assert_false(hears(OWN, 5));
	assert_true(hears(OWN, 4095));
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &none, 2);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &id, 1);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_VLAN, 2, &id, 2);
}

static void pairs_are_set(void **state)
{
	static const uint16_t good[] = {1, 2, PAIRS, 1}, bad[] = {0, PAIRS + 1, 0x8000, 0xffff};

	(void)state;
	up(ALL);
	for (unsigned i = 0; i < 4; i++) {
		want(VIRTIO_NET_OK, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &good[i],
		     2);
		assert_int_equal(sx_net_pair_queues(n.backend), good[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &bad[i],
		     2);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &good[0], 1);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, &good[0], 2);
	assert_int_equal(sx_net_pair_queues(n.backend), 1);
}

static void offloads_are_switched(void **state)
{
	const uint64_t csum = NET_BIT(GUEST_CSUM);
	const uint64_t some = csum | NET_BIT(GUEST_TSO4);
	const uint64_t bad[] = {some | NET_BIT(GUEST_TSO6), NET_BIT(GUEST_TSO4), 1, UINT64_MAX};
	struct virtio_net_hdr_v1 hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM}, got;
	const uint64_t none = 0;

	(void)state;
	up(some | NET_BIT(CTRL_VQ) | NET_BIT(CTRL_GUEST_OFFLOADS) | NET_BIT(MRG_RXBUF));
	assert_int_equal(sx_net_pair_offloads(n.backend), some);
	for (unsigned i = 0; i < 4; i++)
		want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
		     VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &bad[i], 8);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
	     &none, 7);
	assert_int_equal(sx_net_pair_offloads(n.backend), some);
	want(VIRTIO_NET_OK, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
	     &none, 8);
	assert_int_equal(sx_net_pair_offloads(n.backend), 0);
	net_fill(out, 64, 1);
	assert_int_equal(net_peer_send(&n, 0, &hdr, out, 64), 1);
	net_settle(&n);
	assert_int_equal(net_take(&n, 0, &got, in, NULL), -1);
	want(VIRTIO_NET_OK, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
	     &csum, 8);
	assert_int_equal(net_peer_send(&n, 0, &hdr, out, 64), 1);
	net_settle(&n);
	assert_int_equal(net_take(&n, 0, &got, in, NULL), 64);
}

static void unknown_commands_are_refused(void **state)
{
	const uint8_t byte = 1, two = 2;

	(void)state;
	up(ALL);
	for (unsigned class = 6; class < 256; class += 25)
		want(VIRTIO_NET_ERR, (uint8_t) class, 0, &byte, 1);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_RX, 6, &byte, 1);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_RX, 255, &byte, 1);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, NULL, 0);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\1\1", 2);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &two, 1);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MAC, 2, OWN, 6);
	assert_int_equal(n.net.commands, n.net.refusals);
	assert_int_equal(n.net.dev.faults, 0);
}

static void what_was_not_negotiated_is_refused(void **state)
{
	const uint64_t none = 0;
	const uint16_t one = 1;

	(void)state;
	net_up(&n, NET_BIT(CTRL_VQ));
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &none, 1);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, &none, 1);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, &none, 8);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, OTHER, 6);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &one, 2);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &one, 2);
	want(VIRTIO_NET_ERR, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
	     &none, 8);
	assert_int_equal(n.net.refusals, 7);
}

#define CASE(F)                                      \
	{                                            \
#F, F, open_world, close_world, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(at_first_all_is_heard),
		CASE(modes_filter),
		CASE(listed_addresses_are_heard),
		CASE(long_lists_mean_all),
		CASE(malformed_lists_are_refused),
		CASE(the_address_can_be_changed),
		CASE(vlans_filter),
		CASE(pairs_are_set),
		CASE(offloads_are_switched),
		CASE(unknown_commands_are_refused),
		CASE(what_was_not_negotiated_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
