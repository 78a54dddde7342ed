// SPDX-License-Identifier: BSD-3-Clause
/* ipc/thread.h: a thread runs where and how it was asked to, or not at all. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/thread.h"

struct seen {
	cpu_set_t cpus;
	int policy;
	struct sched_param param;
	unsigned runs;
};

static void *look(void *arg)
{
	struct seen *s = arg;

	sched_getaffinity(0, sizeof(s->cpus), &s->cpus);
	pthread_getschedparam(pthread_self(), &s->policy, &s->param);
	s->runs++;
	return s;
}

/* Start one that looks around, and wait for its end; the error, if any. */
static int start(int cpu, int rt_priority, struct seen *s)
{
	pthread_t id;
	void *end = NULL;
	int rc;

	memset(s, 0, sizeof(*s));
	rc = sx_thread_start(&id, cpu, rt_priority, look, s);
	if (rc == 0) {
		assert_int_equal(pthread_join(id, &end), 0);
		assert_ptr_equal(end, s);
	}
	return rc;
}

static void it_runs_on_the_cpu_that_was_named(void **state)
{
	cpu_set_t mine;
	struct seen s;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(mine), &mine), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &mine))
			continue;
		assert_int_equal(start(cpu, 0, &s), 0);
		assert_int_equal(s.runs, 1);
		assert_int_equal(CPU_COUNT(&s.cpus), 1);
		assert_true(CPU_ISSET(cpu, &s.cpus));
		assert_int_equal(s.policy, SCHED_OTHER);
	}
}

static void it_runs_where_its_maker_may_if_none_was(void **state)
{
	cpu_set_t mine;
	struct seen s;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(mine), &mine), 0);
	assert_int_equal(start(-1, 0, &s), 0);
	assert_int_equal(s.runs, 1);
	assert_true(CPU_EQUAL(&s.cpus, &mine));
}

static void it_has_the_priority_that_was_named(void **state)
{
	struct seen s;
	int rc = start(-1, 3, &s);

	(void)state;
	if (rc == -EPERM) {
		print_message("# no permission for real-time scheduling\n");
		skip();
	}
	assert_int_equal(rc, 0);
	assert_int_equal(s.policy, SCHED_FIFO);
	assert_int_equal(s.param.sched_priority, 3);
}

static void a_cpu_that_is_not_there_is_refused(void **state)
{
	static const int cpus[] = {4095, CPU_SETSIZE, 100000};
	struct seen s;

	(void)state;
	for (unsigned i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		assert_int_equal(start(cpus[i], 0, &s), -EINVAL);
		assert_int_equal(s.runs, 0);
	}
}

static void a_priority_that_there_is_not_is_refused(void **state)
{
	struct seen s;

	(void)state;
	assert_int_equal(start(-1, 1000, &s), -EINVAL);
	assert_int_equal(start(-1, -1, &s), -EINVAL);
	assert_int_equal(s.runs, 0);
}

/* In a process of its own, which gives its rights away. */
static void real_time_without_permission_is_refused(void **state)
{
	const struct rlimit none = {0, 0};
	int status = 0;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		pthread_t id;

		if (setrlimit(RLIMIT_RTPRIO, &none) < 0 || (!geteuid() && setuid(65534) < 0))
			_exit(2);
		_exit(sx_thread_start(&id, -1, 1, look, NULL) == -EPERM ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_runs_on_the_cpu_that_was_named),
		cmocka_unit_test(it_runs_where_its_maker_may_if_none_was),
		cmocka_unit_test(it_has_the_priority_that_was_named),
		cmocka_unit_test(a_cpu_that_is_not_there_is_refused),
		cmocka_unit_test(a_priority_that_there_is_not_is_refused),
		cmocka_unit_test(real_time_without_permission_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
