// SPDX-License-Identifier: BSD-3-Clause
/*
 * Threads for a machine's vCPUs: start, end, join.
 */
#ifndef SX_CLI_MACHINE_RUN_H
#define SX_CLI_MACHINE_RUN_H

#include <pthread.h>

#include "guestcore/vcpu.h"

#define SX_MACHINE_MAX_VCPUS 64

struct sx_machine_run {
	struct sx_machine_thread {
		struct sx_machine_run *run;
		struct sx_vcpu *vcpu;
		int cpu;
		int end; /* what sx_vcpu_run() said */
		struct sx_error err;
		pthread_t id;
	} thread[SX_MACHINE_MAX_VCPUS];
	unsigned started;
	int done_fd; /* eventfd, readable once the first vCPU has come out for good */
};

/*
 * Start a thread for each of @count vCPUs, vCPU i on CPU cpus[i] (-1: anywhere), with SCHED_FIFO of
 * @rt_priority if not 0. When one comes out, done_fd becomes readable; then, or at any time
 * before, call sx_machine_run_join().
 */
int sx_machine_run_start(struct sx_machine_run *run, struct sx_vcpu *vcpu, unsigned count,
			 const int *cpus, int rt_priority, struct sx_error *err);

/*
 * Stop all vCPUs and wait for their threads. Returns the end of the run: SX_VCPU_SINK when the
 * guest ended itself, SX_VCPU_STOPPED when we did, or the first error, with its sentence.
 */
int sx_machine_run_join(struct sx_machine_run *run, struct sx_error *err);

#endif
