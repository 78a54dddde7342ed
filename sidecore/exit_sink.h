// SPDX-License-Identifier: BSD-3-Clause
/*
 * The two sinks that a guest core may be given for its exits (ipc/exit.h).
 *
 * trap:  the device runs on the exiting vCPU's own thread, under the VM's device lock.
 * split: the exit becomes one cell in a one-cell ring between that vCPU and the sidecore that
 *        owns the device; the vCPU's thread waits by its policy for the reply in the same cell.
 *        What belongs to no device is answered at once: kernels probe thousands of addresses, and
 *        there is nobody to ask.
 */
#ifndef SX_SIDECORE_EXIT_SINK_H
#define SX_SIDECORE_EXIT_SINK_H

#include <pthread.h>

#include "ipc/wait.h"
#include "sidecore/bus.h"
#include "sidecore/poller.h"

struct sx_trap_sink {
	struct sx_bus *bus;
	pthread_mutex_t lock; /* the VM's device lock */
};

void sx_trap_sink_init(struct sx_trap_sink *t, struct sx_bus *bus);
void sx_trap_sink_destroy(struct sx_trap_sink *t);
struct sx_exit_sink sx_trap_sink(struct sx_trap_sink *t);

/*
 * An exit server serves the exits of a VM that belong to the ranges it owns. It is a poller: it
 * runs on the sidecore it was added to, and can be moved.
 */
struct sx_exit_lane;

struct sx_exit_server {
	struct sx_bus *bus;
	unsigned vcpus;
	struct sx_exit_lane *lane;  /* one for each vCPU */
	struct sx_wait_policy wait; /* how the vCPUs' threads wait */
	struct sx_poller poller;
	uint64_t served; /* written by the sidecore; relaxed */
};

int sx_exit_server_init(struct sx_exit_server *s, struct sx_bus *bus, unsigned vcpus,
			const struct sx_wait_policy *wait, struct sx_error *err);
/* Not on a sidecore any more, and no vCPU waits. */
void sx_exit_server_destroy(struct sx_exit_server *s);

struct sx_split_sink {
	struct sx_bus *bus;
	struct sx_exit_server *first; /* serves the devices without an owner */
};

struct sx_exit_sink sx_split_sink(struct sx_split_sink *s);

#endif
