// SPDX-License-Identifier: BSD-3-Clause
/*
 * Watch a run by its control socket: a table, or a line of JSON, after each interval.
 */
#ifndef SX_CLI_STAT_WATCH_H
#define SX_CLI_STAT_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/error.h"

/* A run that does not answer for so long is given up: its main thread hangs. */
#define SX_STAT_TIMEOUT_MS 30000

struct sx_stat_watch_options {
	uint64_t interval_ns;
	uint64_t count; /* of looks; 0: until it ends */
	bool json;
};

/*
 * Until the guest ends, which is said, or as often as wanted (*status is 0 then), or a signal comes
 * (SX_STATUS_SIGNAL). Prints to standard output; a terminal's lines are written over. A negative
 * errno with its sentence when there is nothing to watch.
 */
int sx_stat_watch(pid_t pid, const struct sx_stat_watch_options *o, int *status,
		  struct sx_error *err);

#endif
