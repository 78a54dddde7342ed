// SPDX-License-Identifier: BSD-3-Clause
/*
 * Offloads of virtio-net: what may be negotiated, headers that pass, and what hostile drivers make
 * of headers and chains (virtio 1.2, 5.1.3.1 and 5.1.6).
 */
#include "tests/unit/test_virtio_net_world.h"

#define TX_ALL                                                                         \
	(NET_BIT(CSUM) | NET_BIT(HOST_TSO4) | NET_BIT(HOST_TSO6) | NET_BIT(HOST_ECN) | \
	 NET_BIT(HOST_UFO))
#define RX_ALL                                                                                  \
	(NET_BIT(GUEST_CSUM) | NET_BIT(GUEST_TSO4) | NET_BIT(GUEST_TSO6) | NET_BIT(GUEST_ECN) | \
	 NET_BIT(GUEST_UFO))

#define CSUM  VIRTIO_NET_HDR_F_NEEDS_CSUM
#define VALID VIRTIO_NET_HDR_F_DATA_VALID
#define TCP4  VIRTIO_NET_HDR_GSO_TCPV4
#define TCP6  VIRTIO_NET_HDR_GSO_TCPV6
#define UDP   VIRTIO_NET_HDR_GSO_UDP
#define ECN   VIRTIO_NET_HDR_GSO_ECN

#define FRAME 2000u

struct header_case {
	uint64_t features;
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

static struct net_world n;
static uint8_t out[SX_NET_MAX_FRAME + 64], in[SX_NET_MAX_FRAME + 64];

static int close_world(void **state)
{
	(void)state;
	net_forget_buffers(&n);
	net_close(&n);
	return 0;
}

static int open_world(void **state)
{
	(void)state;
	net_open(&n, true, 1, 0);
	return 0;
}

static struct virtio_net_hdr_v1 header_of(const struct header_case *c)
{
	struct virtio_net_hdr_v1 hdr = {.flags = c->flags,
					.gso_type = c->gso_type,
					.hdr_len = c->hdr_len,
					.gso_size = c->gso_size};

	hdr.csum_start = c->csum_start;
	hdr.csum_offset = c->csum_offset;
	return hdr;
}

/* ---- what the driver sends ---- */

static const struct header_case good[] = {
	{0, 0, 0, 0, 0, 0, 0},
	{0, 0, 0, 65535, 65535, 65535, 65535}, /* fields that mean nothing */
	{0, VALID | 0xfc, 0, 0, 0, 0, 0},      /* flags that are to be ignored */
	{NET_BIT(CSUM), CSUM, 0, 0, 0, 34, 16},
	{NET_BIT(CSUM), CSUM, 0, 0, 0, 14, 0},
	{NET_BIT(CSUM), CSUM, 0, 0, 0, FRAME - 2, 0},
	{NET_BIT(CSUM), CSUM, 0, 0, 0, 34, FRAME - 36},
	{TX_ALL, CSUM, TCP4, 54, 1448, 34, 16},
	{TX_ALL, CSUM, TCP4 | ECN, 54, 1, 34, 16},
	{TX_ALL, CSUM, TCP6, 0, 1448, 54, 16},
	{TX_ALL, CSUM, TCP6 | ECN, FRAME, 65535, 54, 16},
	{TX_ALL, CSUM, UDP, 42, 1480, 34, 6},
	{TX_ALL, CSUM, TCP4, 54, 1448, FRAME - 20, 16},
};

static void honest_headers_pass(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct virtio_net_hdr_v1 hdr = header_of(&good[i]), got = {0};
		uint8_t flags = good[i].flags & CSUM;

		net_up(&n, good[i].features);
		net_fill(out, FRAME, i);
		assert_int_equal(net_add_tx(&n, 0, &hdr, out, FRAME, NULL), 0);
		net_kick(&n, 1);
		assert_int_equal(net_reap(&n, 1), 1);
		assert_int_equal(net_peer_take(&n, 0, &got, in), FRAME);
		assert_memory_equal(in, out, FRAME);
		assert_int_equal(got.flags, flags);
		assert_int_equal(got.gso_type, hdr.gso_type);
		assert_int_equal(got.gso_size, hdr.gso_type ? hdr.gso_size : 0);
		assert_int_equal(got.hdr_len, hdr.gso_type ? hdr.hdr_len : 0);
		assert_int_equal(got.csum_start, flags ? hdr.csum_start : 0);
		assert_int_equal(got.csum_offset, flags ? hdr.csum_offset : 0);
		net_down(&n);
	}
}

static const struct header_case bad[] = {
	{0, CSUM, 0, 0, 0, 34, 16},                     /* not negotiated */
	{NET_BIT(CSUM), CSUM, 0, 0, 0, FRAME - 1, 0},   /* beyond the end */
	{NET_BIT(CSUM), CSUM, 0, 0, 0, 34, FRAME - 35}, /* so is this */
	{NET_BIT(CSUM), CSUM, 0, 0, 0, 65535, 65535},   /* and a sum that wraps round */
	{NET_BIT(CSUM), CSUM, 0, 0, 0, 65534, 4},       /* in 16 bits */
	{NET_BIT(CSUM), CSUM, 0, 0, 0, 13, 16},         /* in the Ethernet header */
	{NET_BIT(CSUM), CSUM, TCP4, 54, 1448, 34, 16},  /* not negotiated */
	{TX_ALL & ~NET_BIT(HOST_TSO6), CSUM, TCP6, 74, 1428, 54, 16},
	{TX_ALL & ~NET_BIT(HOST_UFO), CSUM, UDP, 42, 1480, 34, 6},
	{TX_ALL & ~NET_BIT(HOST_ECN), CSUM, TCP4 | ECN, 54, 1448, 34, 16},
	{TX_ALL, 0, TCP4, 54, 1448, 34, 16},            /* no checksum */
	{TX_ALL, VALID, TCP4, 54, 1448, 34, 16},        /* nor here */
	{TX_ALL, CSUM, TCP4, 54, 0, 34, 16},            /* no segment size */
	{TX_ALL, CSUM, TCP4, 54, 1448, 34, 6},          /* UDP's checksum */
	{TX_ALL, CSUM, UDP, 42, 1480, 34, 16},          /* TCP's */
	{TX_ALL, CSUM, UDP | ECN, 42, 1480, 34, 6},     /* UDP has no such bit */
	{TX_ALL, CSUM, ECN, 54, 1448, 34, 16},          /* ECN of nothing */
	{TX_ALL, CSUM, TCP4, FRAME + 1, 1448, 34, 16},  /* headers longer than the frame */
	{TX_ALL, CSUM, TCP4, 54, 1448, FRAME - 19, 16}, /* no room for a TCP header */
	{TX_ALL, CSUM, 2, 54, 1448, 34, 16},            /* a type that is none */
	{TX_ALL, CSUM, 5, 54, 1448, 34, 6},             /* one that was not offered */
	{TX_ALL, CSUM, 0x7f, 54, 1448, 34, 16},
};

static void hostile_headers_are_dropped(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct virtio_net_hdr_v1 hdr = header_of(&bad[i]), got, plain = {0};

		net_up(&n, bad[i].features);
		net_fill(out, FRAME, i);
		assert_int_equal(net_add_tx(&n, 0, &hdr, out, FRAME, NULL), 0);
		assert_int_equal(net_add_tx(&n, 0, &plain, out, 100, NULL), 0);
		net_kick(&n, 1);
		/* Only the good one arrives; both are done. */
		assert_int_equal(net_reap(&n, 1), 2);
		assert_int_equal(net_peer_take(&n, 0, &got, in), 100);
		assert_int_equal(net_peer_take(&n, 0, &got, in), -1);
		assert_int_equal(net_stats(&n).tx_malformed, i + 1);
		assert_int_equal(n.net.dev.faults, 0);
		net_down(&n);
	}
}

static void lengths_are_checked(void **state)
{
	static const struct {
		uint32_t len;
		bool ok;
	} lengths[] = {{0, false},
		       {1, false},
		       {13, false},
		       {14, true},
		       {1518, true},
		       {SX_NET_MAX_FRAME, true},
		       {SX_NET_MAX_FRAME + 1, false}};
	struct virtio_net_hdr_v1 plain = {0}, got;
	unsigned dropped = 0;

	(void)state;
	net_up(&n, 0);
	for (unsigned i = 0; i < 7; i++) {
		net_fill(out, lengths[i].len, i);
		assert_int_equal(net_add_tx(&n, 0, &plain, out, lengths[i].len, NULL), 0);
		net_kick(&n, 1);
		assert_int_equal(net_reap(&n, 1), 1);
		assert_int_equal(net_peer_take(&n, 0, &got, in),
				 lengths[i].ok ? (int64_t)lengths[i].len : -1);
		dropped += !lengths[i].ok;
		assert_int_equal(net_stats(&n).tx_malformed, dropped);
	}
}

static void an_mtu_that_was_agreed_on_holds(void **state)
{
	struct virtio_net_hdr_v1 plain = {0}, got;
	struct virtio_net_hdr_v1 tso = {.flags = CSUM, .gso_type = TCP4, .gso_size = 1448};

	(void)state;
	tso.csum_start = 34;
	tso.csum_offset = 16;
	net_close(&n);
	net_open(&n, true, 1, 1500);
	net_up(&n, NET_BIT(MTU) | TX_ALL);
	assert_int_equal(vw_read(&n.w, n.d.config + 10, 2), 1500);
	net_fill(out, 20000, 1);
	assert_int_equal(net_add_tx(&n, 0, &plain, out, 1518, NULL), 0);
	assert_int_equal(net_add_tx(&n, 0, &plain, out, 1519, NULL), 0);
	assert_int_equal(net_add_tx(&n, 0, &tso, out, 20000, NULL), 0);
	net_kick(&n, 1);
	assert_int_equal(net_peer_take(&n, 0, &got, in), 1518);
	assert_int_equal(net_peer_take(&n, 0, &got, in), 20000);
	assert_int_equal(net_peer_take(&n, 0, &got, in), -1);
	assert_int_equal(net_stats(&n).tx_malformed, 1);
	net_down(&n);
	/* A driver that does not ask is not held to it. */
	net_up(&n, 0);
	assert_int_equal(net_add_tx(&n, 0, &plain, out, 9000, NULL), 0);
	net_kick(&n, 1);
	assert_int_equal(net_peer_take(&n, 0, &got, in), 9000);
}

/* ---- what the driver receives ---- */

static void offloads_reach_who_agreed_to_them(void **state)
{
	static const struct {
		uint8_t flags, gso_type;
		uint64_t needs;
	} kinds[] = {
		{0, 0, 0},
		{CSUM, 0, NET_BIT(GUEST_CSUM)},
		{CSUM, TCP4, NET_BIT(GUEST_CSUM) | NET_BIT(GUEST_TSO4)},
		{CSUM, TCP6, NET_BIT(GUEST_CSUM) | NET_BIT(GUEST_TSO6)},
		{CSUM, TCP4 | ECN, NET_BIT(GUEST_CSUM) | NET_BIT(GUEST_TSO4) | NET_BIT(GUEST_ECN)},
		{CSUM, UDP, NET_BIT(GUEST_CSUM) | NET_BIT(GUEST_UFO)},
	};
	static const uint64_t sets[] = {
		0,
		NET_BIT(GUEST_CSUM),
		NET_BIT(GUEST_CSUM) | NET_BIT(GUEST_TSO4),
		NET_BIT(GUEST_CSUM) | NET_BIT(GUEST_TSO6) | NET_BIT(GUEST_ECN),
		NET_BIT(GUEST_CSUM) | NET_BIT(GUEST_UFO),
		RX_ALL,
	};
	uint64_t refused = 0;

	(void)state;
	for (unsigned s = 0; s < 6; s++) {
		net_up(&n, sets[s] | NET_BIT(MRG_RXBUF));
		assert_int_equal(sx_net_pair_offloads(n.backend), sets[s]);
		net_post_many(&n, 0, 128, 1536);
		for (unsigned k = 0; k < 6; k++) {
			struct virtio_net_hdr_v1 hdr = {.flags = kinds[k].flags,
							.gso_type = kinds[k].gso_type,
							.hdr_len = 54,
							.gso_size = 1448},
						 got;
			bool ok = !(kinds[k].needs & ~sets[s]);

			hdr.csum_start = 34;
			net_fill(out, 5000, k);
			assert_int_equal(net_peer_send(&n, 0, &hdr, out, 5000), 1);
			net_settle(&n);
			assert_int_equal(net_take(&n, 0, &got, in, NULL), ok ? 5000 : -1);
			refused += !ok;
			assert_int_equal(net_stats(&n).rx_offload, refused);
			if (!ok)
				continue;
			assert_memory_equal(in, out, 5000);
			got.num_buffers = 0;
			assert_memory_equal(&got, &hdr, sizeof(hdr));
		}
		net_forget_buffers(&n);
		net_down(&n);
	}
}

static void a_checked_frame_is_told_only_to_who_asked(void **state)
{
	struct virtio_net_hdr_v1 hdr = {.flags = VALID}, got = {0};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		net_up(&n, i ? NET_BIT(GUEST_CSUM) : 0);
		net_post_many(&n, 0, 1, 1536);
		net_fill(out, 100, i);
		assert_int_equal(net_peer_send(&n, 0, &hdr, out, 100), 1);
		net_settle(&n);
		assert_int_equal(net_take(&n, 0, &got, in, NULL), 100);
		assert_int_equal(got.flags, i ? VALID : 0);
		assert_int_equal(got.num_buffers, 1);
		net_down(&n);
	}
}

/* ---- features ---- */

static void features_that_need_others_are_refused_alone(void **state)
{
	static const uint64_t refused[] = {
		NET_BIT(HOST_TSO4),     NET_BIT(HOST_TSO6),
		NET_BIT(HOST_UFO),      NET_BIT(CSUM) | NET_BIT(HOST_ECN),
		NET_BIT(GUEST_TSO4),    NET_BIT(GUEST_TSO6),
		NET_BIT(GUEST_UFO),     NET_BIT(GUEST_CSUM) | NET_BIT(GUEST_ECN),
		NET_BIT(CTRL_RX),       NET_BIT(CTRL_VLAN),
		NET_BIT(CTRL_MAC_ADDR), NET_BIT(MQ),
	};

	(void)state;
	net_close(&n);
	net_open(&n, true, 2, 0);
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(vw_negotiate(&n.d, refused[i]), -EPROTO);
	assert_int_equal(vw_negotiate(&n.d, UINT64_MAX), 0);
}

static void only_what_the_back_end_can_do_is_offered(void **state)
{
	(void)state;
	net_close(&n);
	net_open(&n, true, 1, 0);
	assert_int_equal(vw_negotiate(&n.d, UINT64_MAX), 0);
	assert_int_equal(n.d.features & (NET_BIT(MQ) | NET_BIT(MTU)), 0);
	assert_int_equal(n.d.features & (TX_ALL | RX_ALL), TX_ALL | RX_ALL);
	sx_virtio_pci_destroy(&n.pci);
	sx_virtio_net_destroy(&n.net);
	vw_destroy(&n.w);
	n.backend->features = NET_BIT(CSUM);
	net_build(&n, true, 0);
	assert_int_equal(vw_negotiate(&n.d, UINT64_MAX), 0);
	assert_int_equal(n.d.features & (TX_ALL | RX_ALL), NET_BIT(CSUM));
	assert_int_equal(n.d.features & NET_BIT(CTRL_GUEST_OFFLOADS), 0);
}

/* ---- chains that no honest driver makes ---- */

static void want_broken(unsigned queue, const struct vd_buffer *b, unsigned readable,
			unsigned writable, const char *why)
{
	net_up(&n, NET_BIT(CTRL_VQ) | NET_BIT(MRG_RXBUF));
	assert_int_equal(vd_add(&n.d.queue[queue], b, readable, writable, NULL), 0);
	vw_kick(&n.d, queue);
	out[0] = 0;
	net_fill(out, 64, 1);
	net_peer_send(&n, 0, &(struct virtio_net_hdr_v1){0}, out, 64);
	net_settle(&n);
	assert_true(vw_status(&n.d) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_string_equal(n.net.dev.fault, why);
	assert_int_equal(vw_config_interrupts(&n.d), 1);
	net_down(&n);
}

static void malformed_chains_need_a_reset(void **state)
{
	sx_gpa at = net_alloc(&n, 4096);
	const struct vd_buffer two[] = {{at, 100}, {at + 100, 100}};
	const struct vd_buffer eleven = {at, 11}, one = {at, 1};
	const struct vd_buffer outside = {n.w.memory.size - 4, 100};

	(void)state;
	want_broken(1, two, 1, 1, "a frame to be sent has a writable buffer");
	want_broken(1, two, 0, 1, "a frame to be sent has a writable buffer");
	want_broken(1, &eleven, 1, 0, "a frame to be sent has no header");
	want_broken(1, &outside, 1, 0, "a buffer is not in guest memory");
	want_broken(0, two, 1, 1, "a buffer for received frames cannot be written");
	want_broken(0, two, 1, 0, "a buffer for received frames cannot be written");
	want_broken(0, &eleven, 0, 1, "a buffer for received frames has no room for a header");
	want_broken(2, &one, 1, 0, "a command is cut short, or has no room for an answer");
	want_broken(2, two, 2, 0, "a command is cut short, or has no room for an answer");
	want_broken(2, two, 0, 1, "a command is cut short, or has no room for an answer");
	/* And then all is well. */
	net_up(&n, 0);
	net_fill(out, 64, 2);
	assert_int_equal(net_add_tx(&n, 0, &(struct virtio_net_hdr_v1){0}, out, 64, NULL), 0);
	net_kick(&n, 1);
	assert_int_equal(net_reap(&n, 1), 1);
}

#define CASE(F)                                      \
	{                                            \
#F, F, open_world, close_world, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(honest_headers_pass),
		CASE(hostile_headers_are_dropped),
		CASE(lengths_are_checked),
		CASE(an_mtu_that_was_agreed_on_holds),
		CASE(offloads_reach_who_agreed_to_them),
		CASE(a_checked_frame_is_told_only_to_who_asked),
		CASE(features_that_need_others_are_refused_alone),
		CASE(only_what_the_back_end_can_do_is_offered),
		CASE(malformed_chains_need_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
