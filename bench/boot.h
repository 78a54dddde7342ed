// SPDX-License-Identifier: BSD-3-Clause
/*
 * The suite `boot`: how long a Linux kernel takes to its init on splitx, in both modes, and on
 * QEMU's microvm, and how much memory the VMM itself takes. All boot the same files.
 */
#ifndef SX_BENCH_BOOT_H
#define SX_BENCH_BOOT_H

#include "bench/suite.h"

int sx_boot_run(const struct sx_bench_options *opt, struct sx_report *report, struct sx_error *err);

#endif
