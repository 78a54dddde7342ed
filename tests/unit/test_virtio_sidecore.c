// SPDX-License-Identifier: BSD-3-Clause
/*
 * A device whose two groups run on real sidecores, which poll for ever or sleep when idle, and
 * which hand the groups to each other, while the control thread (the test) uses the device, resets
 * it and breaks it. Every request is answered once; nobody is left asleep.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>

#include "ipc/rcu.h"
#include "sidecore/sidecore.h"
#include "tests/support/virtio_echo.h"

#define ROUNDS 400u

static struct ve_bench b;
static struct sx_sidecore *sidecore[2];
static unsigned at[VE_GROUPS]; /* the sidecore of each group */

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
		assert_int_equal(sx_sidecore_add(sidecore[i], &b.dev.group[i].poller), 0);
		at[i] = i;
	}
	rcu_thread_online();
}

static void stop_sidecores(void)
{
	rcu_thread_offline();
	for (unsigned i = 0; i < 2; i++) {
		sx_sidecore_remove(&b.dev.group[i].poller);
		sx_sidecore_stop(sidecore[i]);
	}
	rcu_thread_online();
}

static void hand_over(unsigned group)
{
	at[group] ^= 1;
	rcu_thread_offline();
	assert_int_equal(sx_sidecore_move(sidecore[at[group]], &b.dev.group[group].poller), 0);
	rcu_thread_online();
}

static void live(bool sleepy)
{
	uint64_t requests = 0, kicks = 0;

	ve_open(&b, sleepy, breathe);
	start_sidecores(sleepy);
	ve_up(&b, 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		ve_traffic(&b, round % VE_QUEUES, round);
		if (round % 7 == 3)
			hand_over(round % 2);
		if (round % 31 == 5)
			ve_reset_queue(&b, round / 31 % VE_QUEUES);
		if (round % 97 == 11)
			ve_break(&b, round % VE_QUEUES);
		if (round % 97 == 11 || round % 53 == 9) {
			ve_down(&b);
			ve_up(&b, round);
		}
		for (unsigned i = 0; round % 101 == 7 && i < 200; i++)
			breathe(); /* let them fall asleep */
	}
	ve_down(&b);
	for (unsigned i = 0; i < VE_QUEUES; i++) {
		requests += b.dev.queue[i].stats.requests;
		kicks += b.dev.queue[i].stats.kicks;
		assert_int_equal(b.starts[i], b.stops[i]);
	}
	assert_true(requests >= ROUNDS);
	assert_int_equal(kicks > 0, sleepy);
	stop_sidecores();
	ve_close(&b);
}

static void groups_on_sidecores_that_poll(void **state)
{
	(void)state;
	live(false);
}

static void groups_on_sidecores_that_sleep(void **state)
{
	(void)state;
	live(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_on_sidecores_that_poll),
		cmocka_unit_test(groups_on_sidecores_that_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
