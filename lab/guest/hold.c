// SPDX-License-Identifier: BSD-3-Clause
#include "lab/guest/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <sys/ioctl.h>

static int on_exec_close(int fd)
{
	return fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : fd;
}

static int hold_vm(int kvm, bool irqchip)
{
	int vm = on_exec_close(ioctl(kvm, KVM_CREATE_VM, 0));
	int vcpu;

	if (vm < 0)
		return vm;
	if (irqchip && ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0)
		return -errno;
	vcpu = on_exec_close(ioctl(vm, KVM_CREATE_VCPU, 0));
	return vcpu < 0 ? vcpu : 0;
}

int sx_hold_kvm(int kvm)
{
	/* The one's vCPU has an APIC of KVM's that is not enabled, the other's has none. */
	int rc = hold_vm(kvm, true);

	return rc < 0 ? rc : hold_vm(kvm, false);
}
