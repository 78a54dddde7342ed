// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-net moves frames: every ring feature, any cut of the driver's buffers, both modes;
 * frames that wait, and frames that cannot be delivered.
 */
#include "tests/unit/test_virtio_net_world.h"

#define NONE                   \
	{                      \
		.gso_type = 0, \
	}

static const struct virtio_net_hdr_v1 plain = NONE;
static struct net_world n;
static uint8_t out[SX_NET_MAX_FRAME + 64], in[SX_NET_MAX_FRAME + 64];

static bool polled_of(void **state)
{
	return *(bool *)*state;
}

static void finish(void)
{
	net_forget_buffers(&n);
	net_close(&n);
}

static const uint64_t rings[] = {
	0,
	SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX),
	SX_VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC),
	SX_VIRTIO_BIT(VIRTIO_F_IN_ORDER),
	SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED),
	SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED) | SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) |
		SX_VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC),
	SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED) | SX_VIRTIO_BIT(VIRTIO_F_IN_ORDER),
	SX_VIRTIO_BIT(VIRTIO_F_IN_ORDER) | SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) |
		SX_VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC),
};

static const uint32_t cuts[][8] = {
	{0}, {12}, {1, 1, 1, 1, 1, 1, 1}, {5, 30}, {13}, {11, 2, 1}, {12, 6, 6, 2},
};

static void send_and_compare(uint32_t len, uint32_t seed, const uint32_t *cut)
{
	struct virtio_net_hdr_v1 hdr = {0};

	net_fill(out, len, seed);
	assert_int_equal(net_add_tx(&n, 0, &plain, out, len, cut), 0);
	net_kick(&n, 1);
	net_settle(&n);
	assert_int_equal(net_reap(&n, 1), 1);
	assert_int_equal(net_peer_take(&n, 0, &hdr, in), len);
	assert_memory_equal(in, out, len);
	assert_int_equal(hdr.flags | hdr.gso_type, 0);
}

static void receive_and_compare(uint32_t len, uint32_t seed)
{
	struct virtio_net_hdr_v1 hdr = {0};

	net_fill(out, len, seed);
	assert_int_equal(net_peer_send(&n, 0, &plain, out, len), 1);
	net_settle(&n);
	assert_int_equal(net_take(&n, 0, &hdr, in, NULL), len);
	assert_memory_equal(in, out, len);
	assert_int_equal(net_take(&n, 0, &hdr, in, NULL), -1);
}

static void frames_go_both_ways(void **state)
{
	for (unsigned r = 0; r < sizeof(rings) / sizeof(rings[0]); r++)
		for (unsigned merge = 0; merge < 2; merge++) {
			net_open(&n, polled_of(state), 1, 0);
			net_up(&n, rings[r] | (merge ? NET_BIT(MRG_RXBUF) : 0));
			for (unsigned i = 0; i < 300; i++) {
				uint32_t len = 14 + i * 37 % 1500;

				send_and_compare(len, i, cuts[i % 7]);
				net_post(&n, 0, 1600, 1 + i % 8);
				vw_kick(&n.d, 0);
				receive_and_compare(len, i);
			}
			assert_int_equal(net_stats(&n).tx_frames, 300);
			assert_int_equal(net_stats(&n).rx_frames, 300);
			assert_int_equal(net_stats(&n).rx_bytes, net_stats(&n).tx_bytes);
			assert_int_equal(n.net.dev.faults, 0);
			finish();
		}
}

static void bursts_keep_their_order(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0};

	net_open(&n, polled_of(state), 1, 0);
	net_up(&n, NET_BIT(MRG_RXBUF) | SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 200; i++) {
			net_fill(out, 60 + i, round * 200 + i);
			assert_int_equal(net_add_tx(&n, 0, &plain, out, 60 + i, NULL), 0);
			assert_int_equal(net_peer_send(&n, 0, &plain, out, 60 + i), 1);
		}
		net_post_many(&n, 0, 200, 1536);
		net_kick(&n, 1);
		net_settle(&n);
		assert_int_equal(net_reap(&n, 1), 200);
		for (unsigned i = 0; i < 200; i++) {
			net_fill(out, 60 + i, round * 200 + i);
			assert_int_equal(net_peer_take(&n, 0, &hdr, in), 60 + i);
			assert_memory_equal(in, out, 60 + i);
			assert_int_equal(net_take(&n, 0, &hdr, in, NULL), 60 + i);
			assert_memory_equal(in, out, 60 + i);
		}
	}
	/* Many frames a batch, and one interrupt for many. */
	assert_in_range(n.net.dev.queue[1].stats.batches, 20, 20 * 8);
	finish();
}

static void a_frame_spreads_over_buffers(void **state)
{
	static const uint32_t sizes[] = {12, 13, 100, 1526, 4096};
	struct virtio_net_hdr_v1 hdr = {0};

	for (unsigned s = 0; s < 5; s++)
		for (uint32_t len = 14; len <= SX_NET_MAX_FRAME; len = len * 2 + 5) {
			uint32_t size = sizes[s];
			unsigned buffers, want = (len + 12 + size - 1) / size;

			if (want > NET_RING - 8)
				continue;
			net_open(&n, polled_of(state), 1, 0);
			net_up(&n, NET_BIT(MRG_RXBUF));
			net_post_many(&n, 0, NET_RING - 8, size);
			net_fill(out, len, len);
			assert_int_equal(net_peer_send(&n, 0, &plain, out, len), 1);
			net_settle(&n);
			assert_int_equal(net_take(&n, 0, &hdr, in, &buffers), len);
			assert_int_equal(buffers, want);
			assert_memory_equal(in, out, len);
			finish();
		}
}

static void without_merging_what_is_too_long_is_dropped(void **state)
{
	net_open(&n, polled_of(state), 1, 0);
	net_up(&n, 0);
	net_post_many(&n, 0, 4, 200);
	net_fill(out, 189, 1);
	assert_int_equal(net_peer_send(&n, 0, &plain, out, 189), 1);
	net_settle(&n);
	assert_int_equal(net_stats(&n).rx_too_long, 1);
	assert_int_equal(net_stats(&n).rx_frames, 0);
	receive_and_compare(188, 2);
	receive_and_compare(14, 3);
	finish();
}

static void what_no_ring_can_hold_is_dropped(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0};

	net_open(&n, polled_of(state), 1, 0);
	net_up(&n, NET_BIT(MRG_RXBUF));
	net_post_many(&n, 0, NET_RING, 100); /* all of the ring, and too little */
	net_fill(out, 65000, 1);
	assert_int_equal(net_peer_send(&n, 0, &plain, out, 65000), 1);
	net_settle(&n);
	assert_int_equal(net_stats(&n).rx_too_long, 1);
	assert_int_equal(net_take(&n, 0, &hdr, in, NULL), -1);
	receive_and_compare(900, 2);
	finish();
}

static void frames_wait_for_buffers(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0};

	net_open(&n, polled_of(state), 1, 0);
	net_up(&n, NET_BIT(MRG_RXBUF) | SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
	for (unsigned i = 0; i < 100; i++) {
		net_fill(out, 500, i);
		assert_int_equal(net_peer_send(&n, 0, &plain, out, 500), 1);
	}
	net_settle(&n);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(net_take(&n, 0, &hdr, in, NULL), -1);
		net_post_many(&n, 0, 1, 512);
		net_settle(&n);
		net_fill(out, 500, i);
		assert_int_equal(net_take(&n, 0, &hdr, in, NULL), 500);
		assert_memory_equal(in, out, 500);
	}
	assert_int_equal(net_stats(&n).rx_too_long, 0);
	finish();
}

/* In split mode a long frame waits until enough buffers are there. */
static void a_long_frame_waits_for_all_its_buffers(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0};

	(void)state;
	net_open(&n, true, 1, 0);
	net_up(&n, NET_BIT(MRG_RXBUF));
	net_fill(out, 10000, 7);
	assert_int_equal(net_peer_send(&n, 0, &plain, out, 10000), 1);
	for (unsigned i = 0; i < 9; i++) {
		net_post_many(&n, 0, 1, 1024);
		net_settle(&n);
		assert_int_equal(net_take(&n, 0, &hdr, in, NULL), -1);
	}
	net_post_many(&n, 0, 1, 1024);
	net_settle(&n);
	assert_int_equal(net_take(&n, 0, &hdr, in, NULL), 10000);
	assert_memory_equal(in, out, 10000);
	assert_true(net_stats(&n).rx_starved > 0);
	finish();
}

/* The driver is told that frames are sent only when the back end has taken them. */
static void a_full_back_end_is_waited_for(void **state)
{
	const unsigned frames = 40; /* twice what fits */
	struct virtio_net_hdr_v1 hdr = {0};
	unsigned sent, got = 0;

	net_open(&n, polled_of(state), 1, 0);
	net_up(&n, SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
	for (unsigned i = 0; i < frames; i++) {
		net_fill(out, 60000, i);
		assert_int_equal(net_add_tx(&n, 0, &plain, out, 60000, NULL), 0);
	}
	net_kick(&n, 1);
	net_settle(&n);
	sent = net_reap(&n, 1);
	assert_in_range(sent, 10, frames - 1);
	assert_true(net_stats(&n).tx_full > 0);
	while (got < frames) {
		net_fill(out, 60000, got);
		assert_int_equal(net_peer_take(&n, 0, &hdr, in), 60000);
		assert_memory_equal(in, out, 60000);
		got++;
		net_settle(&n);
	}
	assert_int_equal(net_peer_take(&n, 0, &hdr, in), -1);
	assert_int_equal(sent + net_reap(&n, 1), frames);
	assert_int_equal(net_stats(&n).tx_frames, frames);
	finish();
}

static void pairs_are_apart(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0};
	uint8_t *ack;
	sx_gpa at;
	const struct {
		uint8_t class, command;
		uint16_t pairs;
	} set = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 4};

	net_open(&n, polled_of(state), 4, 0);
	net_up(&n, NET_BIT(MQ) | NET_BIT(CTRL_VQ));
	assert_int_equal(vw_read(&n.w, n.d.config + 8, 2), 4);
	/* At first only the first pair is used (5.1.6.5.6). */
	net_fill(out, 100, 0);
	assert_int_equal(net_add_tx(&n, 2, &plain, out, 100, NULL), 0);
	net_kick(&n, 5);
	assert_int_equal(net_reap(&n, 5), 1);
	assert_int_equal(net_peer_take(&n, 2, &hdr, in), -1);
	assert_int_equal(net_stats(&n).tx_refused, 1);
	at = net_alloc(&n, 64);
	memcpy(vd_at(&n.w.memory, at), &set, 4);
	ack = vd_at(&n.w.memory, at + 8);
	*ack = 77;
	assert_int_equal(
		vd_add(&n.d.queue[8], (struct vd_buffer[]){{at, 4}, {at + 8, 1}}, 1, 1, NULL), 0);
	net_kick(&n, 8);
	assert_int_equal(*ack, VIRTIO_NET_OK);
	assert_int_equal(sx_net_pair_queues(n.backend), 4);
	for (unsigned i = 0; i < 400; i++) {
		unsigned pair = i % 4;

		net_fill(out, 64 + i, i);
		assert_int_equal(net_add_tx(&n, pair, &plain, out, 64 + i, NULL), 0);
		net_kick(&n, 2 * pair + 1);
		assert_int_equal(net_reap(&n, 2 * pair + 1), 1);
		assert_int_equal(net_peer_take(&n, pair, &hdr, in), 64 + i);
		assert_memory_equal(in, out, 64 + i);
		net_post_many(&n, pair, 1, 1536);
		assert_int_equal(net_peer_send(&n, pair, &plain, out, 64 + i), 1);
		net_settle(&n);
		assert_int_equal(net_take(&n, pair, &hdr, in, NULL), 64 + i);
		assert_memory_equal(in, out, 64 + i);
	}
	/* A driver that does not know pairs has its control queue elsewhere, and one pair. */
	net_forget_buffers(&n);
	net_down(&n);
	assert_int_equal(sx_net_pair_queues(n.backend), 1);
	net_up(&n, NET_BIT(CTRL_VQ));
	send_and_compare(100, 1, NULL);
	net_post_many(&n, 0, 1, 1536);
	receive_and_compare(100, 2);
	finish();
}

static uint64_t link_status(void)
{
	return vw_read(&n.w, n.d.config + 6, 2);
}

static void the_link_goes_down_and_up(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0};

	net_open(&n, polled_of(state), 1, 0);
	net_up(&n, NET_BIT(STATUS) | NET_BIT(MRG_RXBUF));
	assert_int_equal(link_status(), VIRTIO_NET_S_LINK_UP);
	net_post_many(&n, 0, 4, 1536);
	sx_virtio_net_set_link(&n.net, false);
	assert_int_equal(vw_config_interrupts(&n.d), 1);
	assert_int_equal(link_status(), 0);
	/* Frames are lost on both sides. */
	net_fill(out, 100, 1);
	assert_int_equal(net_add_tx(&n, 0, &plain, out, 100, NULL), 0);
	net_kick(&n, 1);
	assert_int_equal(net_reap(&n, 1), 1);
	assert_int_equal(net_peer_send(&n, 0, &plain, out, 100), 1);
	net_settle(&n);
	assert_int_equal(net_peer_take(&n, 0, &hdr, in), -1);
	assert_int_equal(net_stats(&n).tx_refused, 1);
	sx_virtio_net_set_link(&n.net, true);
	assert_int_equal(vw_config_interrupts(&n.d), 1);
	assert_int_equal(link_status(), VIRTIO_NET_S_LINK_UP);
	net_settle(&n);
	assert_int_equal(net_take(&n, 0, &hdr, in, NULL), -1);
	send_and_compare(100, 2, NULL);
	receive_and_compare(100, 3);
	finish();
}

static void a_port_without_a_link_is_a_link_that_is_down(void **state)
{
	net_open(&n, polled_of(state), 1, 0);
	net_up(&n, NET_BIT(STATUS));
	for (uint32_t i = 0; i < 3; i++) {
		sx_store_relaxed(&n.backend->down, 1u);
		net_settle(&n);
		assert_int_equal(vw_config_interrupts(&n.d), 1);
		assert_int_equal(link_status(), 0);
		net_settle(&n);
		assert_int_equal(vw_config_interrupts(&n.d), 0);
		assert_int_equal(net_add_tx(&n, 0, &plain, out, 100, NULL), 0);
		net_kick(&n, 1);
		assert_int_equal(net_reap(&n, 1), 1);
		assert_int_equal(net_stats(&n).tx_refused, i + 1);
		sx_store_relaxed(&n.backend->down, 0u);
		net_settle(&n);
		assert_int_equal(vw_config_interrupts(&n.d), 1);
		assert_int_equal(link_status(), VIRTIO_NET_S_LINK_UP);
		send_and_compare(100, i, NULL);
	}
	finish();
}

static void a_port_that_goes_away_is_a_link_that_is_down(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0};

	net_open(&n, polled_of(state), 1, 0);
	net_up(&n, NET_BIT(STATUS));
	send_and_compare(100, 1, NULL);
	sx_net_pair_break(n.backend);
	net_settle(&n);
	assert_int_equal(vw_config_interrupts(&n.d), 1);
	assert_int_equal(link_status(), 0);
	sx_virtio_net_set_link(&n.net, true); /* nothing brings it back */
	assert_int_equal(link_status(), 0);
	assert_int_equal(net_add_tx(&n, 0, &plain, out, 100, NULL), 0);
	net_kick(&n, 1);
	assert_int_equal(net_reap(&n, 1), 1);
	assert_int_equal(net_peer_take(&n, 0, &hdr, in), -1);
	finish();
}

static void a_reset_forgets(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0};

	net_open(&n, polled_of(state), 1, 0);
	for (unsigned i = 0; i < 5; i++) {
		net_up(&n, NET_BIT(MRG_RXBUF) | NET_BIT(GUEST_CSUM) | NET_BIT(GUEST_TSO4));
		assert_int_equal(sx_net_pair_offloads(n.backend),
				 NET_BIT(GUEST_CSUM) | NET_BIT(GUEST_TSO4));
		net_post_many(&n, 0, 100, 1536);
		net_settle(&n);
		receive_and_compare(100 + i, i);
		net_forget_buffers(&n);
		net_down(&n);
		assert_int_equal(sx_net_pair_offloads(n.backend), 0);
		assert_int_equal(net_turn(&n), 0);
		assert_int_equal(net_peer_take(&n, 0, &hdr, in), -1);
	}
	finish();
}

static void what_cannot_be_is_refused(void **state)
{
	struct sx_virtio_net_config config = {.mac = {1, 2, 3, 4, 5, 6}};
	struct sx_net_backend *end[2], *none;
	struct sx_error err = {""};
	struct sx_virtio_env env;
	struct sx_virtio_net net;

	net_open(&n, polled_of(state), 1, 0);
	env = vw_env(&n.w, true);
	config.backend = n.backend;
	assert_int_equal(sx_virtio_net_init(&net, &config, &env, &err), -EINVAL);
	assert_non_null(strstr(err.text, "address"));
	memset(config.mac, 0, 6);
	assert_int_equal(sx_virtio_net_init(&net, &config, &env, NULL), -EINVAL);
	sx_virtio_net_destroy(&net);
	assert_int_equal(sx_net_pair_open(end, 65, NET_PAIR_MEM, NULL), 0);
	config.backend = end[0];
	config.mac[0] = 2;
	assert_int_equal(sx_virtio_net_init(&net, &config, &env, NULL), -EINVAL);
	sx_net_close(end[0]);
	sx_net_close(end[1]);
	assert_int_equal(sx_net_pair_open(end, 1, 1000, NULL), -EINVAL);
	assert_int_equal(sx_net_pair_open(end, 0, NET_PAIR_MEM, NULL), -EINVAL);
	err.text[0] = 0;
	assert_int_equal(sx_net_open(&none, "cable", 1, 0, &err), -EINVAL);
	assert_non_null(strstr(err.text, "'cable'"));
	assert_null(none);
	finish();
}

static bool trap_mode = false, split_mode = true;

#define BOTH(F)                                           \
	{#F " (trap)", F, NULL, NULL, &trap_mode},        \
	{                                                 \
#F " (split)", F, NULL, NULL, &split_mode \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(frames_go_both_ways),
		BOTH(bursts_keep_their_order),
		BOTH(a_frame_spreads_over_buffers),
		BOTH(without_merging_what_is_too_long_is_dropped),
		BOTH(what_no_ring_can_hold_is_dropped),
		BOTH(frames_wait_for_buffers),
		{"a_long_frame_waits_for_all_its_buffers", a_long_frame_waits_for_all_its_buffers,
		 NULL, NULL, NULL},
		BOTH(a_full_back_end_is_waited_for),
		BOTH(pairs_are_apart),
		BOTH(the_link_goes_down_and_up),
		BOTH(a_port_without_a_link_is_a_link_that_is_down),
		BOTH(a_port_that_goes_away_is_a_link_that_is_down),
		BOTH(a_reset_forgets),
		BOTH(what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
