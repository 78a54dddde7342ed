// SPDX-License-Identifier: BSD-3-Clause
/* Programs that a benchmark starts, talks to and outlives. */
#ifndef SX_BENCH_CHILD_H
#define SX_BENCH_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Start @path with @fd as its standard input and output, and @err_fd as its standard error (-1:
 * this process's). Signals go back to their defaults in it, whatever this process blocks or
 * ignores. 0 or a negative errno.
 */
int sx_child_spawn(pid_t *pid, const char *path, const char *const *argv, int fd, int err_fd);

/* Wait for its end, but not for ever; it is not reaped. */
bool sx_child_ends_within(pid_t pid, int ms);

/* Its wait status: reaped; killed first when it does not end by itself within @grace_ms. */
int sx_child_reap(pid_t pid, int grace_ms);

/* CLOCK_MONOTONIC, for deadlines. */
int64_t sx_child_now_ms(void);

#endif
