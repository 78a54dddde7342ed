// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/alarm.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "guestcore/vcpu.h"

#ifndef sigev_notify_thread_id /* glibc has the member, but not always its name */
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define NS_PER_S 1000000000u

void sx_alarm_destroy(struct sx_alarm *a)
{
	if (a->exists)
		timer_delete(a->timer);
	a->exists = false;
}

static int create(struct sx_alarm *a, pid_t thread)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SX_VCPU_SIGNAL,
		.sigev_value.sival_ptr = a,
	};

	event.sigev_notify_thread_id = thread;
	if (timer_create(CLOCK_MONOTONIC, &event, &a->timer) < 0)
		return -errno;
	a->exists = true;
	a->thread = thread;
	return 0;
}

int sx_alarm_set(struct sx_alarm *a, uint64_t ns)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)}};
	pid_t thread = gettid();
	int rc = 0;

	if (a->exists && a->thread != thread)
		sx_alarm_destroy(a);
	if (!a->exists)
		rc = create(a, thread);
	if (rc < 0)
		return rc;
	if (!ns)
		when.it_value.tv_nsec = 1; /* 0 would disarm it */
	return timer_settime(a->timer, 0, &when, NULL) < 0 ? -errno : 0;
}
