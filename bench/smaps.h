// SPDX-License-Identifier: BSD-3-Clause
/* The memory of a VMM without its guest's, from /proc/PID/smaps (proc(5)). */
#ifndef SX_BENCH_SMAPS_H
#define SX_BENCH_SMAPS_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "ipc/error.h"

struct sx_smaps {
	/*
	 * Pages that are this process's alone. What is clean is not: it says what a file says, is
	 * shared with whoever maps that too, and can be dropped at any time.
	 */
	double private_kib;
	double resident_kib; /* the same with the pages of programs and libraries, shared or not */
};

/*
 * Guest memory is what lies in the memfds of splitx, and any mapping that is at least as large as
 * the guest's memory, @guest_bytes, as another VMM's is (0: there is no such).
 */
void sx_smaps_sum(FILE *smaps, uint64_t guest_bytes, struct sx_smaps *sum);

int sx_smaps_read(pid_t pid, uint64_t guest_bytes, struct sx_smaps *sum, struct sx_error *err);

#endif
