// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/worker.h"

struct sx_sidecore *sx_test_sidecore(struct sx_sidecore_config config)
{
	struct sx_sidecore *sc = NULL;
	struct sx_error err = {""};

	assert_int_equal(sx_sidecore_start(&sc, &config, &err), 0);
	assert_non_null(sc);
	assert_string_equal(err.text, "");
	return sc;
}

struct sx_sidecore_stats sx_test_stats(const struct sx_sidecore *sc)
{
	struct sx_sidecore_stats s;

	sx_sidecore_stats(sc, &s);
	return s;
}

void sx_test_note_tid(void *ctx)
{
	*(pid_t *)ctx = gettid();
}

bool sx_test_asleep(pid_t tid)
{
	char path[64], state = '?';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
	fclose(f);
	return state == 'S';
}

static unsigned work(void *ctx)
{
	struct sx_worker *w = ctx;
	uint32_t items = __atomic_exchange_n(&w->todo, 0, __ATOMIC_ACQ_REL);

	sx_store_relaxed(&w->calls, w->calls + 1);
	/* The acquire pairs with the test's store. */
	while (sx_load_acquire(&w->hold)) {
		sx_store_relaxed(&w->held, 1);
		usleep(20);
	}
	sx_store_relaxed(&w->held, 0);
	w->hits += items != 0;
	sx_store_relaxed(&w->done, w->done + items);
	return items;
}

static unsigned work_sleep(void *ctx)
{
	struct sx_worker *w = ctx;

	sx_store_relaxed(&w->sleeps, w->sleeps + 1);
	return w->sleep_says || sx_load_relaxed(&w->todo);
}

static void work_awake(void *ctx)
{
	struct sx_worker *w = ctx;

	sx_store_relaxed(&w->awakes, w->awakes + 1);
}

void sx_worker_init(struct sx_worker *w, const char *name)
{
	*w = (struct sx_worker){.poller = {.name = name,
					   .poll = work,
					   .sleep = work_sleep,
					   .awake = work_awake,
					   .ctx = w}};
}

void sx_worker_init_sleepless(struct sx_worker *w, const char *name)
{
	sx_worker_init(w, name);
	w->poller.sleep = NULL;
	w->poller.awake = NULL;
}

void sx_worker_want_counters(const struct sx_worker *w)
{
	assert_int_equal(w->poller.polls, w->calls);
	assert_int_equal(w->poller.hits, w->hits);
	assert_int_equal(w->poller.work, w->done);
}
