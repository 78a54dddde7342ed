// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-net with its two pairs on threads of their own, while the driver sends on both, sets
 * filters and active pairs, pulls the cable and resets the device. Frames keep their order and
 * none is lost, but where the driver asked for it.
 */
#include "tests/unit/test_virtio_net_world.h"

#include <pthread.h>

#define PAIRS    2u
#define RESETS   6u
#define FRAMES   3000u /* a round, on each pair, each way */
#define BUFFERS  64u
#define PATIENCE 2000000u

static struct net_world n;
static pthread_t thread[PAIRS];
static uint32_t stopped;
static uint8_t out[256], in[SX_NET_MAX_FRAME];
static uint32_t sent[PAIRS], seen[PAIRS], given[PAIRS], taken[PAIRS];

static void *run_group(void *arg)
{
	struct sx_poller *p = arg;

	sx_rcu_register();
	while (!sx_load_acquire(&stopped)) { /* pairs with the release in stop() */
		unsigned done = p->poll(p->ctx);

		rcu_quiescent_state();
		if (!done)
			sched_yield();
	}
	sx_rcu_unregister();
	return NULL;
}

static void start(void)
{
	net_open(&n, true, PAIRS, 0);
	sx_store_relaxed(&stopped, 0u); /* pthread_create() publishes it */
	for (unsigned i = 0; i < PAIRS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, run_group, &n.net.dev.group[i].poller), 0);
	n.threaded = true;
}

static void stop(void)
{
	sx_store_release(&stopped, 1u);
	rcu_thread_offline();
	for (unsigned i = 0; i < PAIRS; i++)
		pthread_join(thread[i], NULL);
	rcu_thread_online();
	n.threaded = false;
	net_forget_buffers(&n);
	net_close(&n);
}

static void command(uint8_t class, uint8_t number, uint16_t value, uint32_t len)
{
	const unsigned queue = 2 * PAIRS;
	sx_gpa at = net_alloc(&n, 8);
	uint8_t *bytes = vd_at(&n.w.memory, at);
	const struct vd_buffer b[] = {{at, 2 + len}, {at + 5, 1}};
	unsigned patience = PATIENCE;
	uint32_t used;
	void *token;

	bytes[0] = class;
	bytes[1] = number;
	memcpy(bytes + 2, &value, len);
	bytes[5] = 99;
	assert_int_equal(vd_add(&n.d.queue[queue], b, 1, 1, NULL), 0);
	vw_kick(&n.d, queue);
	while (patience-- && !vd_take(&n.d.queue[queue], &token, &used))
		net_turn(&n);
	assert_int_equal(bytes[5], VIRTIO_NET_OK);
}

static void number_frame(uint32_t number)
{
	net_fill(out, 64, number);
	memcpy(out + 14, &number, 4);
}

static uint32_t number_of(const uint8_t *frame)
{
	uint32_t number;

	memcpy(&number, frame + 14, 4);
	return number;
}

/* Both ways on one pair: give what is to be given, take what has come. */
static void move_frames(unsigned pair)
{
	struct virtio_net_hdr_v1 hdr = {0};

	if (sent[pair] < FRAMES) {
		number_frame(sent[pair]);
		sent[pair] += net_add_tx(&n, pair, &hdr, out, 64, NULL) == 0;
		vw_kick(&n.d, 2 * pair + 1);
	}
	if (given[pair] < FRAMES) {
		number_frame(given[pair]);
		given[pair] += net_peer_send(&n, pair, &hdr, out, 64);
	}
	net_reap(&n, 2 * pair + 1);
	while (net_peer_take(&n, pair, &hdr, in) == 64)
		assert_int_equal(number_of(in), seen[pair]++);
	while (net_take(&n, pair, &hdr, in, NULL) == 64) {
		assert_int_equal(number_of(in), taken[pair]++);
		net_post_many(&n, pair, 1, 256);
	}
}

static bool all_moved(void)
{
	for (unsigned i = 0; i < PAIRS; i++)
		if (seen[i] < FRAMES || taken[i] < FRAMES)
			return false;
	return true;
}

static void meddle(unsigned turn)
{
	switch (turn % 80) {
	case 20: /* frames are to this address, so they pass all the same */
		command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, turn & 1, 1);
		break;
	case 40:
		command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, turn % 4096, 2);
		break;
	case 60: /* it is up already */
		sx_virtio_net_set_link(&n.net, true);
		break;
	default:
		break;
	}
}

static void nothing_is_lost_on_two_threads(void **state)
{
	(void)state;
	start();
	for (unsigned round = 0; round < RESETS; round++) {
		unsigned patience = PATIENCE;

		memset(sent, 0, sizeof(sent));
		memset(seen, 0, sizeof(seen));
		memset(given, 0, sizeof(given));
		memset(taken, 0, sizeof(taken));
		net_up(&n, round % 2 ? UINT64_MAX & ~SX_VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM)
				     : NET_BIT(MQ) | NET_BIT(CTRL_VQ) | NET_BIT(CTRL_RX) |
					       NET_BIT(CTRL_VLAN));
		command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, PAIRS, 2);
		for (unsigned i = 0; i < PAIRS; i++)
			net_post_many(&n, i, BUFFERS, 256);
		for (unsigned turn = 0; !all_moved() && patience--; turn++) {
			meddle(turn);
			for (unsigned i = 0; i < PAIRS; i++)
				move_frames(i);
			net_turn(&n);
		}
		assert_true(all_moved());
		net_forget_buffers(&n);
		net_down(&n);
	}
	assert_int_equal(net_stats(&n).tx_frames, RESETS * PAIRS * FRAMES);
	assert_int_equal(net_stats(&n).rx_frames, RESETS * PAIRS * FRAMES);
	assert_int_equal(n.net.dev.faults, 0);
	stop();
}

/* The cable and the number of pairs: what comes meanwhile may be lost, nothing else may happen. */
static void cables_and_pairs_come_and_go(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0};
	uint64_t got = 0;

	(void)state;
	start();
	net_up(&n, NET_BIT(MQ) | NET_BIT(CTRL_VQ) | NET_BIT(STATUS));
	for (unsigned i = 0; i < PAIRS; i++)
		net_post_many(&n, i, BUFFERS, 256);
	for (unsigned turn = 0; turn < 6000; turn++) {
		if (turn % 100 == 0)
			sx_virtio_net_set_link(&n.net, turn % 200);
		if (turn % 30 == 0)
			command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
				(uint16_t)(1 + turn / 30 % PAIRS), 2);
		for (unsigned i = 0; i < PAIRS; i++) {
			number_frame(turn);
			net_peer_send(&n, i, &hdr, out, 64);
			(void)net_add_tx(&n, i, &hdr, out, 64, NULL);
			vw_kick(&n.d, 2 * i + 1);
			net_reap(&n, 2 * i + 1);
			while (net_peer_take(&n, i, &hdr, in) == 64)
				;
			while (net_take(&n, i, &hdr, in, NULL) == 64) {
				net_post_many(&n, i, 1, 256);
				got++;
			}
		}
		net_turn(&n);
	}
	assert_true(got > 0);
	assert_true(net_stats(&n).tx_refused > 0);
	assert_int_equal(n.net.dev.faults, 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_on_two_threads),
		cmocka_unit_test(cables_and_pairs_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
