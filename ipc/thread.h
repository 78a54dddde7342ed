// SPDX-License-Identifier: BSD-3-Clause
/*
 * Threads that have a core of their own: a vCPU's, a sidecore's.
 */
#ifndef SX_IPC_THREAD_H
#define SX_IPC_THREAD_H

#include <pthread.h>

/*
 * Start @run(@arg) on CPU @cpu (-1: wherever the caller may be), with SCHED_FIFO of @rt_priority if
 * that is not 0. Returns 0 or a negative errno: -EINVAL there is no such CPU, or it is offline or
 * not allowed; -EPERM real-time scheduling is not allowed.
 */
int sx_thread_start(pthread_t *id, int cpu, int rt_priority, void *(*run)(void *arg), void *arg);

#endif
