// SPDX-License-Identifier: BSD-3-Clause
/*
 * A VMM as its user starts it, splitx or another, with a Linux guest whose init knows benchmarks
 * (bench/linux/init.sh). The two talk over the guest's serial port, which is the VMM's standard
 * input and output: lines of the guest that begin with "splitx-bench: " are for us, all else that
 * it writes is kept only for error messages.
 *
 * One thread uses it.
 */
#ifndef SX_BENCH_VMM_H
#define SX_BENCH_VMM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/error.h"

#define SX_VMM_SIGN     "splitx-bench: "
#define SX_VMM_LINE_MAX 4096

struct sx_vmm {
	pid_t pid;  /* 0: it has ended */
	int fd;     /* the guest's serial port */
	int err_fd; /* what the VMM itself says, kept */
	char name[32];
	char input[4096]; /* read, and not yet looked at: input[at..end) */
	size_t at, end;
	char line[SX_VMM_LINE_MAX]; /* the last one */
	char last[160];             /* the last one that was not for us */
};

/* Start argv[0], looked for in PATH when it has no slash. @name is what messages call it. */
int sx_vmm_start(struct sx_vmm *vmm, const char *name, const char *const *argv,
		 struct sx_error *err);

/*
 * Wait up to @seconds for the guest to say @word, and point *rest at what stands behind it, valid
 * until the next call. -EIO when it does not, says "failed" or another word, or the VMM has ended.
 * After an error only sx_vmm_stop() makes sense.
 */
int sx_vmm_expect(struct sx_vmm *vmm, const char *word, unsigned seconds, const char **rest,
		  struct sx_error *err);

/* A line to the guest; @text ends with its newline. */
int sx_vmm_say(struct sx_vmm *vmm, const char *text, struct sx_error *err);

/* Wait up to @seconds for its end; -EIO unless its exit status is 0. */
int sx_vmm_finish(struct sx_vmm *vmm, unsigned seconds, struct sx_error *err);

/* Kill it, if it still runs; also after errors, and twice. */
void sx_vmm_stop(struct sx_vmm *vmm);

#endif
