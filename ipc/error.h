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

/* Record one sentence. @err may be NULL. The first sentence wins: the origin knows best. */
void sx_explain(struct sx_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Record why, and be @code (a negative errno), so that a failing path is one line:
 *     return sx_fail(err, -ENOENT, "guest file '%s' does not exist; ...", path);
 * A macro, so that compilers and analyzers see which value comes back. @code is evaluated first:
 * it may be -errno.
 */
#define sx_fail(err, code, ...)                 \
	({                                      \
		int sx_code_ = (code);          \
		sx_explain((err), __VA_ARGS__); \
		sx_code_;                       \
	})

#endif
