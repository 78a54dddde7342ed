// SPDX-License-Identifier: BSD-3-Clause
/*
 * DPDK's dpdk-testpmd with one vhost-user port: what `splitx bench virtio` is compared with.
 *
 * It runs as it does for a user, on a terminal, which here is ours. Its forwarding thread has the
 * sidecore's CPU. While others are measured it is stopped (SIGSTOP), for it polls.
 */
#ifndef SX_BENCH_TESTPMD_H
#define SX_BENCH_TESTPMD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/error.h"

struct sx_testpmd {
	pid_t pid; /* 0: not started, or ended */
	int tty;
	bool forwarding;
	char dir[32];    /* of its files */
	char socket[48]; /* where its port listens */
};

/*
 * Start it and wait until its port listens. -EIO with the last words when it ends, or is not
 * installed (it is in Debian's dpdk-dev); -ETIMEDOUT.
 */
int sx_testpmd_start(struct sx_testpmd *t, int guest_cpu, int side_cpu, struct sx_error *err);

/* Have it forward in @mode, "io", "rxonly" or "txonly" with frames of @bytes bytes; it runs then.
 */
int sx_testpmd_forward(struct sx_testpmd *t, const char *mode, uint32_t bytes,
		       struct sx_error *err);
/* Take it off the CPU until it is to forward again. Nothing if it does not run. */
void sx_testpmd_pause(struct sx_testpmd *t);

/* End it, reap it and remove its files. Safe on a zeroed struct. */
void sx_testpmd_stop(struct sx_testpmd *t);

#endif
