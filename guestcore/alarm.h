// SPDX-License-Identifier: BSD-3-Clause
/*
 * An alarm of one thread: when it goes off, the vCPU that the thread runs comes back from KVM_RUN.
 * It is not lost when it goes off before KVM_RUN: immediate_exit is set in the vCPU's shared page.
 */
#ifndef SX_GUESTCORE_ALARM_H
#define SX_GUESTCORE_ALARM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct kvm_run;

struct sx_alarm {
	/* The caller's: the shared page of the vCPU that the thread runs or is about to, or NULL.
	 */
	struct kvm_run *const *running;
	timer_t timer;
	bool exists;
	pid_t thread; /* that it is for */
};

/*
 * Let it go off once, in @ns nanoseconds (0 is taken as 1), instead of when it was set to before.
 * The alarm becomes the calling thread's. A negative errno: there is no timer to be had.
 */
int sx_alarm_set(struct sx_alarm *a, uint64_t ns);

/* Its thread has ended, or is the caller. Safe on one that was never set. */
void sx_alarm_destroy(struct sx_alarm *a);

#endif
