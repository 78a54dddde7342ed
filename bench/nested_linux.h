// SPDX-License-Identifier: BSD-3-Clause
/*
 * The suite `nested` with a Linux guest: KVM's own nesting, the number to beat. The guest is L1,
 * and a small user of its KVM (bench/linux/l1.c) runs a bare L2, whose operations L1 handles. How
 * many exits of this host each of them takes is what counts.
 */
#ifndef SX_BENCH_NESTED_LINUX_H
#define SX_BENCH_NESTED_LINUX_H

#include "bench/suite.h"

/* -ENOENT when this host's KVM offers guests neither VMX nor SVM. */
int sx_nested_linux_run(const struct sx_bench_options *opt, struct sx_report *report,
			struct sx_error *err);

#endif
