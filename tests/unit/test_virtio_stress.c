// SPDX-License-Identifier: BSD-3-Clause
/*
 * A device whose two groups run on threads of their own while the control thread (the test) uses
 * the device, resets it and single queues, breaks it and changes its configuration. Every request
 * is answered once, and nothing is touched by two threads at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "ipc/rcu.h"
#include "ipc/wire/types.h"
#include "tests/support/virtio_echo.h"

#define ROUNDS 3000u

static struct ve_bench b;
static uint32_t stop;

static void breathe(void)
{
	rcu_quiescent_state();
	sched_yield();
}

static void *run_group(void *arg)
{
	struct sx_poller *p = arg;

	sx_rcu_register();
	while (!sx_load_acquire(&stop)) /* pairs with the release in the test */
		if (!p->poll(p->ctx))
			breathe();
	sx_rcu_unregister();
	return NULL;
}

static void groups_on_threads_of_their_own(void **state)
{
	pthread_t thread[VE_GROUPS];
	uint64_t requests = 0;

	(void)state;
	ve_open(&b, false, breathe);
	for (unsigned i = 0; i < VE_GROUPS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, run_group, &b.dev.group[i].poller), 0);
	ve_up(&b, 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		ve_traffic(&b, round % VE_QUEUES, round);
		if (round % 31 == 5)
			ve_reset_queue(&b, round / 31 % VE_QUEUES);
		if (round % 97 == 11)
			ve_break(&b, round % VE_QUEUES);
		if (round % 97 == 11 || round % 53 == 9) {
			ve_down(&b);
			ve_up(&b, round);
		}
	}
	ve_down(&b);
	sx_store_release(&stop, 1u);
	rcu_thread_offline();
	for (unsigned i = 0; i < VE_GROUPS; i++)
		pthread_join(thread[i], NULL);
	rcu_thread_online();
	for (unsigned i = 0; i < VE_QUEUES; i++) {
		requests += b.dev.queue[i].stats.requests;
		assert_int_equal(b.starts[i], b.stops[i]);
		assert_int_equal(b.dev.queue[i].stats.kicks, 0);
	}
	assert_true(requests >= ROUNDS);
	ve_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_on_threads_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
