// SPDX-License-Identifier: BSD-3-Clause
/* The suite `nested` with micro-guests: what operations of L2 cost where our engine is L1's VMX. */
#ifndef SX_BENCH_NESTED_H
#define SX_BENCH_NESTED_H

#include "bench/suite.h"

int sx_nested_run(const struct sx_bench_options *opt, struct sx_report *report,
		  struct sx_error *err);

#endif
