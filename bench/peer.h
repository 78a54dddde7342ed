// SPDX-License-Identifier: BSD-3-Clause
/*
 * Somebody else's way to do the same work, in a program of its own, so that splitx need not link
 * what it is compared with. bench/peers/ holds these programs and says which lines they understand.
 *
 * One thread uses a peer at a time.
 */
#ifndef SX_BENCH_PEER_H
#define SX_BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/error.h"

struct sx_peer {
	pid_t pid; /* 0: it has ended */
	int fd;    /* its standard input and output */
	char name[32];
	char how[64]; /* in which of its ways the last run was done, in the peer's own words */
};

/*
 * Start @prog, with its producer on @cpu_a and its consumer on @cpu_b. A name without a slash is
 * looked for where the build and the installation put it. It sleeps until it is told to run.
 * -EINVAL for equal or negative CPUs, -ENOENT when the program is not there.
 */
int sx_peer_start(struct sx_peer *peer, const char *prog, int cpu_a, int cpu_b,
		  struct sx_error *err);

/*
 * Have it pass @messages in bursts of @burst; what one message took goes into @ns. The first run of
 * a burst takes longer (a second, and more where others use the same CPUs), because the peer looks
 * for its best way.
 * -EIO with the peer's own words when it refuses, -EPIPE when it has died, -ETIMEDOUT when it does
 * not answer for a minute. After the last two it is gone, and every further run is -EPIPE.
 */
int sx_peer_run(struct sx_peer *peer, uint32_t burst, uint64_t messages, double *ns,
		struct sx_error *err);

/* End it and reap it; it is killed when it does not end by itself. Also after it has died. */
void sx_peer_stop(struct sx_peer *peer);

#endif
