// SPDX-License-Identifier: BSD-3-Clause
/* The host's end of a benchmark's tap. */
#ifndef SX_BENCH_LINK_H
#define SX_BENCH_LINK_H

#include "ipc/error.h"

/*
 * Give the network interface @name the IPv4 @address with @bits of network, and bring it up: what
 * ip(8) does. -EPERM without CAP_NET_ADMIN, -ENODEV when it is not there.
 */
int sx_link_set_address(const char *name, const char *address, unsigned bits, struct sx_error *err);

#endif
