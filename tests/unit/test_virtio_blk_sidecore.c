// SPDX-License-Identifier: BSD-3-Clause
/*
 * A disk whose queues run on real sidecores, which hand them to each other with requests under
 * way, or sleep, while the driver (the test) keeps them busy, turns the cache on and off, and
 * resets the device. Every request is answered once, and right.
 */
#include "tests/unit/test_virtio_blk_traffic.h"

#include <linux/virtio_pci.h>
#include <sched.h>

#include "sidecore/sidecore.h"

#define QUEUES 2
#define ROUNDS 40

static struct bt_disk b;
static struct bt_traffic traffic;
static struct sx_sidecore *sidecore[2];
static unsigned at[QUEUES]; /* the sidecore of each queue */

static void breathe(void)
{
	rcu_quiescent_state();
	sched_yield();
}

static void start_sidecores(bool sleepy)
{
	struct sx_sidecore_config config = SX_SIDECORE_POLL(-1);

	config.wait.spin = SX_SPIN_PAUSE;
	config.wait.idle_ns = sleepy ? 20000 : 0;
	rcu_thread_offline();
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(sx_sidecore_start(&sidecore[i], &config, NULL), 0);
		assert_int_equal(sx_sidecore_add(sidecore[i], &b.blk.dev.group[i].poller), 0);
		at[i] = i;
	}
	rcu_thread_online();
}

static void stop_sidecores(void)
{
	rcu_thread_offline();
	for (unsigned i = 0; i < 2; i++) {
		sx_sidecore_remove(&b.blk.dev.group[i].poller);
		sx_sidecore_stop(sidecore[i]);
	}
	rcu_thread_online();
}

static void hand_over(unsigned queue)
{
	at[queue] ^= 1;
	rcu_thread_offline();
	assert_int_equal(sx_sidecore_move(sidecore[at[queue]], &b.blk.dev.group[queue].poller), 0);
	rcu_thread_online();
}

/* All slots are with the device when the queue goes to the other sidecore. */
static void hand_over_in_the_middle(unsigned queue)
{
	for (unsigned i = 0; i < BT_SLOTS; i++)
		if (!traffic.slot[i].busy)
			bt_try_send(&traffic, &traffic.slot[i]);
	for (unsigned i = 0; i < QUEUES; i++)
		vw_kick(&b.d, i);
	hand_over(queue);
	bt_settle(&traffic);
}

/* The sidecore that sent requests ends before they come back; another goes on. */
static void end_in_the_middle(void)
{
	for (unsigned i = 0; i < BT_SLOTS; i++)
		bt_try_send(&traffic, &traffic.slot[i]);
	for (unsigned i = 0; i < QUEUES; i++)
		vw_kick(&b.d, i);
	stop_sidecores();
	start_sidecores(false);
	bt_settle(&traffic);
}

static void restart(uint64_t features)
{
	for (unsigned i = 0; i < BT_SLOTS; i++)
		bt_try_send(&traffic, &traffic.slot[i]);
	for (unsigned i = 0; i < QUEUES; i++)
		vw_kick(&b.d, i);
	vw_set(&b.d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	while (vw_status(&b.d))
		breathe();
	vw_stop(&b.d);
	b.w.memory.used = 0;
	bt_bring_up(&b, features, 64);
	bt_traffic_init(&traffic, &b, (uint32_t)features, 3);
	bt_peek(&b, 0, traffic.model, BT_DISK_SIZE);
}

static void live(enum sx_file_cache cache, bool sleepy)
{
	const struct sx_virtio_blk_config config = {.queues = QUEUES, .file = {.cache = cache}};
	const uint64_t wce = offsetof(struct virtio_blk_config, wce);

	memset(&b, 0, sizeof(b));
	b.wait = breathe;
	bt_make_image(b.path, sizeof(b.path), BT_DISK, BT_DISK_SIZE);
	bt_plug(&b, &config, true);
	start_sidecores(sleepy);
	bt_bring_up(&b, BT_FEATURES, 64);
	bt_traffic_init(&traffic, &b, cache, 3);
	for (unsigned round = 0; round < ROUNDS; round++) {
		bt_run(&traffic, 50);
		hand_over_in_the_middle(round % QUEUES);
		vw_write(&b.w, b.d.config + wce, 1, round % 5 != 2);
		if (round % 10 == 4)
			end_in_the_middle();
		if (round % 10 == 7)
			restart(BT_FEATURES | (round & 16 ? BT_BIT(VIRTIO_F_RING_PACKED) : 0));
	}
	bt_compare(&traffic);
	assert_int_equal(bt_stats(&b).failed + bt_stats(&b).refused, 0);
	vw_set(&b.d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	while (vw_status(&b.d))
		breathe();
	vw_stop(&b.d);
	stop_sidecores();
	bt_unplug(&b);
	unlink(b.path);
}

static void queues_on_sidecores_that_poll(void **state)
{
	(void)state;
	live(SX_FILE_AUTO, false);
	live(SX_FILE_CACHED, false);
}

static void queues_on_sidecores_that_sleep(void **state)
{
	(void)state;
	live(SX_FILE_AUTO, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_on_sidecores_that_poll),
		cmocka_unit_test(queues_on_sidecores_that_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
