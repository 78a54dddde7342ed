// SPDX-License-Identifier: BSD-3-Clause
/*
 * The suite `virtio` with a Linux guest: fio on its disk and iperf3 on its network, on splitx in
 * both modes and on QEMU, with the same image and tap. How many exits each request or packet takes
 * is what counts; bench/linux/job.sh is the guest's part.
 */
#ifndef SX_BENCH_LINUX_IO_H
#define SX_BENCH_LINUX_IO_H

#include "bench/suite.h"

int sx_linux_io_run(const struct sx_bench_options *opt, struct sx_report *report,
		    struct sx_error *err);

#endif
