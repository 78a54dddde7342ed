// SPDX-License-Identifier: BSD-3-Clause
#ifndef SX_LAB_HOST_WRITE_ALL_H
#define SX_LAB_HOST_WRITE_ALL_H

#include <stddef.h>

/*
 * Write all of @data, however often that takes, also where @fd does not block. Returns 0 or a
 * negative errno.
 */
int sx_write_all(int fd, const void *data, size_t size);

#endif
