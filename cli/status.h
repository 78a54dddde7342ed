// SPDX-License-Identifier: BSD-3-Clause
/*
 * Exit statuses of the `splitx` command: sysexits(3)'s numbers for our own failures, so that a
 * guest's codes 0 to 63 pass through unchanged.
 */
#ifndef SX_CLI_STATUS_H
#define SX_CLI_STATUS_H

#include <errno.h>
#include <sysexits.h>

/* A guest's code beyond this is reported as this. */
#define SX_STATUS_GUEST_MAX 63

/* A guest with a kernel of its own reset itself, or panicked, and is not to be started again. */
#define SX_STATUS_GUEST_RESET 80

/* 128 + the signal, as a shell says it. */
#define SX_STATUS_SIGNAL(SIG) (128 + (SIG))

/* Status for the negative errno of a machine that could not be built. */
static inline int sx_status_of_error(int code)
{
	switch (code) {
	case -ENOEXEC:
	case -EFBIG:
		return EX_DATAERR;
	case -ENOENT:
	case -ESRCH:
		return EX_NOINPUT;
	case -EACCES:
	case -EPERM:
		return EX_NOPERM;
	case -EINVAL:
		return EX_USAGE;
	case -ENOTSUP:
	case -ENODEV:
	case -ENOSPC:
	case -EBUSY:
		return EX_UNAVAILABLE;
	case -EFAULT:
	case -ENXIO:
		return EX_SOFTWARE;
	case -ETIMEDOUT:
		return EX_TEMPFAIL;
	case -EPROTO:
		return EX_PROTOCOL;
	default:
		return EX_OSERR;
	}
}

#endif
