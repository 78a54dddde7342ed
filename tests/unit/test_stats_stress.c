// SPDX-License-Identifier: BSD-3-Clause
/*
 * Snapshots are taken while sidecores serve a device that its driver uses, resets and breaks, and
 * whose ranges come and go: no count goes back, and the last snapshot has all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <sched.h>

#include "cli/stats.h"
#include "cli/stats_diff.h"
#include "ipc/rcu.h"
#include "ipc/wire/types.h"
#include "tests/support/json.h"
#include "tests/support/virtio_echo.h"
#include "tests/support/worker.h"

#define ROUNDS 600u

static struct ve_bench b;
static struct sx_sidecore *sidecore[VE_GROUPS];
static struct sx_exit_server server[VE_GROUPS];
static struct sx_pc_device device;
static const struct sx_poller *poller[VE_GROUPS];
static const struct sx_stats_view view = {
	.bus = &b.w.bus,
	.mode = SX_SPLIT,
	.sidecores = sidecore,
	.sidecore_count = VE_GROUPS,
	.server = server,
	.poller = poller,
	.pollers = VE_GROUPS,
	.device = &device,
	.devices = 1,
};
static uint32_t stop, looks;

static void breathe(void)
{
	rcu_quiescent_state();
	sched_yield();
}

/* The sum of @key over the queues of the one device. */
static uint64_t sum(const json_t *stats, const char *key)
{
	const json_t *dev = json_array_get(json_object_get(stats, "virtio"), 0);
	json_t *queue;
	uint64_t n = 0;
	size_t i;

	json_array_foreach(json_object_get(dev, "queues"), i, queue)
	{
		n += (uint64_t)json_number(queue, key);
	}
	return n;
}

/* A count that went back would be a difference of nothing, and the sum of them too small. */
static void *look(void *ctx)
{
	uint64_t *batches = ctx;
	json_t *before = sx_stats_take(&view);

	*batches = sum(before, "batches");
	/* Pairs with the release in the test. */
	for (bool last = false; !last; sx_store_relaxed(&looks, looks + 1)) {
		json_t *now, *difference;

		last = sx_load_acquire(&stop);
		now = sx_stats_take(&view);
		difference = sx_stats_difference(before, now);
		*batches += sum(difference, "batches");
		json_decref(difference);
		json_decref(before);
		before = now;
	}
	json_decref(before);
	return NULL;
}

static void build(void)
{
	struct sx_wait_policy wait = SX_WAIT_POLL;

	ve_open(&b, true, breathe);
	device.dev = &b.dev;
	device.pci.function.devfn = b.pci.function.devfn;
	rcu_thread_offline();
	for (unsigned i = 0; i < VE_GROUPS; i++) {
		assert_int_equal(sx_exit_server_init(&server[i], &b.w.bus, 1, &wait, NULL), 0);
		sidecore[i] = sx_test_sidecore(SX_TEST_SLEEPY);
		poller[i] = &b.dev.group[i].poller;
		assert_int_equal(sx_sidecore_add(sidecore[i], &server[i].poller), 0);
		assert_int_equal(sx_sidecore_add(sidecore[i], &b.dev.group[i].poller), 0);
	}
	rcu_thread_online();
}

static void unbuild(void)
{
	rcu_thread_offline();
	for (unsigned i = 0; i < VE_GROUPS; i++) {
		sx_sidecore_stop(sidecore[i]);
		sx_exit_server_destroy(&server[i]);
	}
	rcu_thread_online();
	ve_close(&b);
}

/* Its ranges go from the bus and come back. */
static void blink(void)
{
	unsigned devfn = b.pci.function.devfn;

	vw_config_write(&b.w, devfn, PCI_COMMAND, 2, 0);
	vw_config_write(&b.w, devfn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void nothing_is_lost_or_torn(void **state)
{
	uint64_t batches = 0, wanted = 0;
	pthread_t thread;

	(void)state;
	build();
	assert_int_equal(pthread_create(&thread, NULL, look, &batches), 0);
	ve_up(&b, 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		ve_traffic(&b, round % VE_QUEUES, round);
		if (round % 97 == 11)
			ve_break(&b, round % VE_QUEUES);
		if (round % 97 == 11 || round % 53 == 9) {
			ve_down(&b);
			blink();
			ve_up(&b, round);
		}
	}
	ve_down(&b);
	for (unsigned i = 0; i < VE_QUEUES; i++)
		wanted += b.dev.queue[i].stats.batches;
	/* Pairs with the acquire in look(). */
	sx_store_release(&stop, 1u);
	rcu_thread_offline();
	pthread_join(thread, NULL);
	rcu_thread_online();
	assert_true(looks > 0);
	assert_true(wanted >= ROUNDS);
	assert_int_equal(batches, wanted);
	unbuild();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_or_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
