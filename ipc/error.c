// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/error.h"

#include <stdarg.h>
#include <stdio.h>

void sx_explain(struct sx_error *err, const char *fmt, ...)
{
	va_list ap;

	if (!err || err->text[0])
		return;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
}
