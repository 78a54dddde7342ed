// SPDX-License-Identifier: BSD-3-Clause
/*
 * The suite `exits`: what each way from guest to hypervisor and back costs, trapped and split,
 * beside the floors of the same two cores and DPDK's ring on them.
 */
#ifndef SX_BENCH_EXITS_H
#define SX_BENCH_EXITS_H

#include "bench/suite.h"

int sx_exits_run(const struct sx_bench_options *opt, struct sx_report *report,
		 struct sx_error *err);

#endif
