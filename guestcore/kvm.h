// SPDX-License-Identifier: BSD-3-Clause
/*
 * The host's KVM: the device, and what it can do. Asked once, at start.
 *
 * Source for every ioctl and capability in guestcore/: the kernel's
 * Documentation/virt/kvm/api.rst.
 */
#ifndef SX_GUESTCORE_KVM_H
#define SX_GUESTCORE_KVM_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/error.h"

struct sx_kvm {
	int fd;
	size_t run_size; /* bytes of the shared kvm_run mapping of a vCPU */
	int max_vcpus;
	bool has_stats; /* binary statistics (5.14): exit counters */
	bool has_tsc_khz;
};

/*
 * Open /dev/kvm and check that it has what splitx cannot do without. On failure one sentence in
 * @err names what is missing and how to get it: -ENOENT no device, -EACCES no permission,
 * -ENOTSUP a capability.
 */
int sx_kvm_open(struct sx_kvm *kvm, struct sx_error *err);
void sx_kvm_close(struct sx_kvm *kvm);

/* ioctl that retries on EINTR and returns a negative errno instead of -1. */
int sx_ioctl(int fd, unsigned long request, void *arg);

#endif
