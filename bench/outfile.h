// SPDX-License-Identifier: BSD-3-Clause
/*
 * A result file that is either complete or not there: written beside its place, then renamed.
 *
 * A path that names something other than a plain file (/dev/stdout, a pipe) is written to as it is.
 * A symbolic link is followed, so that the file it points to is replaced, not the link.
 */
#ifndef SX_BENCH_OUTFILE_H
#define SX_BENCH_OUTFILE_H

#include "ipc/error.h"

struct sx_outfile {
	int fd;     /* write here */
	char *path; /* where it belongs */
	char *temp; /* where it is now; NULL: it is written in place */
};

/* After success exactly one of commit and abort must follow. */
int sx_outfile_open(struct sx_outfile *f, const char *path, struct sx_error *err);

/* Put the file in its place. On failure nothing is left behind. */
int sx_outfile_commit(struct sx_outfile *f, struct sx_error *err);

/* Leave no trace. */
void sx_outfile_abort(struct sx_outfile *f);

#endif
