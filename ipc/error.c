// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/error.h"

#include <stdarg.h>
#include <stdio.h>

int sx_fail(struct sx_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err || err->text[0])
		return code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}
