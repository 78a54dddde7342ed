// SPDX-License-Identifier: BSD-3-Clause
/*
 * How often the guest of another process has touched a device's register: KVM's tracepoints
 * kvm:kvm_mmio and kvm:kvm_pio, the first serial port left out, counted by perf for the threads of
 * that process.
 *
 * KVM's counters cannot tell: mmio_exits leaves out what KVM serves itself (an ioeventfd), and
 * insn_emulation takes in every instruction that KVM steps over on a processor without NRIPS.
 */
#ifndef SX_BENCH_KVMTRACE_H
#define SX_BENCH_KVMTRACE_H

#include <stdint.h>
#include <sys/types.h>

#include "ipc/error.h"

#define SX_TRACEFS       "/sys/kernel/debug/tracing"
#define SX_KVM_TRACE_MAX 256u

struct sx_kvm_trace {
	unsigned count;
	int fd[SX_KVM_TRACE_MAX]; /* one for each event and thread */
};

/*
 * Begin to count the threads that process @pid has now; @root is SX_TRACEFS, below debugfs, but in
 * tests. -ENOENT where the kernel has no such tracepoints, -EACCES who may not.
 */
int sx_kvm_trace_open(struct sx_kvm_trace *t, const char *root, pid_t pid, struct sx_error *err);

/* Accesses since then. */
int sx_kvm_trace_read(const struct sx_kvm_trace *t, uint64_t *accesses, struct sx_error *err);

/* Also after a failed open, and twice. */
void sx_kvm_trace_close(struct sx_kvm_trace *t);

#endif
