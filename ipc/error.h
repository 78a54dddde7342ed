// SPDX-License-Identifier: BSD-3-Clause
/*
 * How set-up errors reach the user.
 *
 * Every function that can fail returns 0 (or a value >= 0) or a negative errno. Where the user
 * must be told, the function that knows the cause fills one sentence that says what failed and
 * how to mend it; callers pass it up untouched, and only cli/ prints it.
 */
#ifndef SX_IPC_ERROR_H
#define SX_IPC_ERROR_H

#include <stddef.h>

struct sx_error {
	char text[512]; /* one sentence, no newline; empty when nothing failed */
};

/*
 * Record why, and return @code, so that a failing path is one line:
 *     return sx_fail(err, -ENOENT, "guest file '%s' does not exist; ...", path);
 * @code is a negative errno. @err may be NULL. The first sentence wins: a later one is dropped,
 * because the origin knows best.
 */
int sx_fail(struct sx_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
