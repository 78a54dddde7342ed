// SPDX-License-Identifier: BSD-3-Clause
/*
 * Two back ends in memory: what one sends, the other receives, queue by queue. For tests and
 * benchmarks, and between two devices of one process. All offloads are passed on as they are, so
 * the two guests must have agreed to the same; the receiving device drops what its guest has not.
 */
#ifndef SX_SIDECORE_BACKEND_NET_PAIR_H
#define SX_SIDECORE_BACKEND_NET_PAIR_H

#include "sidecore/backend/net.h"

/*
 * @bytes: what each queue holds for each direction, a power of two from 256 KiB. Each end is
 * closed by itself; what the other end sends after that is dropped.
 */
int sx_net_pair_open(struct sx_net_backend *end[2], unsigned queues, uint64_t bytes,
		     struct sx_error *err);

/* Have an end say that it is gone, as a port that is pulled out. */
void sx_net_pair_break(struct sx_net_backend *end);

/* What the device asked of this end. */
uint64_t sx_net_pair_offloads(const struct sx_net_backend *end);
unsigned sx_net_pair_queues(const struct sx_net_backend *end);

#endif
