// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/thread.h"

#include <errno.h>
#include <sched.h>

static int set_priority(pthread_attr_t *attr, int rt_priority)
{
	const struct sched_param param = {.sched_priority = rt_priority};
	int rc = -pthread_attr_setinheritsched(attr, PTHREAD_EXPLICIT_SCHED);

	if (rc == 0)
		rc = -pthread_attr_setschedpolicy(attr, SCHED_FIFO);
	return rc < 0 ? rc : -pthread_attr_setschedparam(attr, &param);
}

/* A set as large as it takes: CPU numbers may be beyond a cpu_set_t. */
static int set_cpu(pthread_attr_t *attr, unsigned cpu)
{
	size_t size = CPU_ALLOC_SIZE((size_t)cpu + 1);
	cpu_set_t *set = CPU_ALLOC((size_t)cpu + 1);
	int rc;

	if (!set)
		return -ENOMEM;
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpu, size, set);
	rc = -pthread_attr_setaffinity_np(attr, size, set);
	CPU_FREE(set);
	return rc;
}

int sx_thread_start(pthread_t *id, int cpu, int rt_priority, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	int rc = -pthread_attr_init(&attr);

	if (rc < 0)
		return rc;
	if (rt_priority)
		rc = set_priority(&attr, rt_priority);
	if (rc == 0 && cpu >= 0)
		rc = set_cpu(&attr, (unsigned)cpu);
	if (rc == 0)
		rc = -pthread_create(id, &attr, run, arg);
	pthread_attr_destroy(&attr);
	return rc;
}
