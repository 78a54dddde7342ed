// SPDX-License-Identifier: BSD-3-Clause
/*
 * The virtio-net device of `splitx bench virtio`, with a back end in memory that does what DPDK's
 * testpmd does in its forwarding modes: drop what comes, make frames up, or send back what comes.
 * As there, each frame is copied out of the guest's memory, and another time into it.
 */
#ifndef SX_BENCH_NET_BENCH_H
#define SX_BENCH_NET_BENCH_H

#include "bench/guests/bench_page.h"
#include "cli/plugs.h"

enum sx_net_bench_mode {
	SX_NET_SINK,
	SX_NET_SOURCE,
	SX_NET_REFLECTOR,
};

/* How it is plugged into a machine; it takes no value, and begins as a sink. */
extern const struct sx_plug sx_net_bench_plug;

/*
 * What it does from now on; a source makes frames of @bytes bytes (struct sx_bench_frame, up to
 * 1514). On the thread that owns the device.
 */
void sx_net_bench_set(struct sx_virtio_device *dev, enum sx_net_bench_mode mode, uint32_t bytes);

#endif
