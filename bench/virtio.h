// SPDX-License-Identifier: BSD-3-Clause
/*
 * The suite `virtio`: a micro-guest that drives a disk and a network device by its own driver,
 * trapped and split, and the same network rings served by DPDK's testpmd. docs/measuring.md.
 */
#ifndef SX_BENCH_VIRTIO_H
#define SX_BENCH_VIRTIO_H

#include "bench/suite.h"

int sx_virtio_run(const struct sx_bench_options *opt, struct sx_report *report,
		  struct sx_error *err);

#endif
