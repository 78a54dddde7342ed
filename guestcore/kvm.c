// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define KVM_DEVICE "/dev/kvm"

/* What splitx cannot do without, and the kernel option or version that brings it. */
static const struct {
	int cap;
	const char *name;
	const char *mend;
} required[] = {
	{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "use a kernel from 5.10 on"},
	{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP (in-kernel interrupt controller)",
	 "use a kernel from 5.10 on"},
	{KVM_CAP_IRQFD, "KVM_CAP_IRQFD (interrupts by eventfd)",
	 "use a kernel built with CONFIG_HAVE_KVM_IRQFD"},
	{KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD (doorbells by eventfd)",
	 "use a kernel built with CONFIG_HAVE_KVM_EVENTFD"},
	{KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI (message-signalled interrupts)",
	 "use a kernel built with CONFIG_HAVE_KVM_MSI"},
	{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", "use a kernel from 5.10 on"},
	{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", "use a kernel from 5.10 on"},
	{KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR", "use a kernel from 5.10 on"},
};

int sx_ioctl(int fd, unsigned long request, void *arg)
{
	int rc;

	do {
		rc = ioctl(fd, request, arg);
	} while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : rc;
}

static int open_device(struct sx_error *err)
{
	int fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOENT:
		return sx_fail(err, -ENOENT,
			       "this machine has no " KVM_DEVICE
			       "; load kvm_intel or kvm_amd, and enable virtualization in the "
			       "firmware (in a VM: nested virtualization)");
	case EACCES:
	case EPERM:
		return sx_fail(err, -EACCES,
			       "no permission to use " KVM_DEVICE
			       "; join the group that owns it (usually: adduser $USER kvm)");
	default:
		return sx_fail(err, -errno, "cannot open " KVM_DEVICE ": %s", strerror(errno));
	}
}

static int has(int fd, int cap)
{
	return sx_ioctl(fd, KVM_CHECK_EXTENSION, (void *)(long)cap) > 0;
}

static int probe(struct sx_kvm *kvm, struct sx_error *err)
{
	int version = sx_ioctl(kvm->fd, KVM_GET_API_VERSION, NULL);
	int size;

	if (version != KVM_API_VERSION)
		return sx_fail(err, -ENOTSUP,
			       KVM_DEVICE
			       " speaks API version %d, not %d; use a kernel from 5.10 on",
			       version, KVM_API_VERSION);
	for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
		if (!has(kvm->fd, required[i].cap))
			return sx_fail(err, -ENOTSUP, "this host's KVM lacks %s; %s",
				       required[i].name, required[i].mend);
	size = sx_ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (size < (int)sizeof(struct kvm_run))
		return sx_fail(err, -ENOTSUP, "this host's KVM has a kvm_run of %d bytes only",
			       size);
	kvm->run_size = (size_t)size;
	kvm->max_vcpus = sx_ioctl(kvm->fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_MAX_VCPUS);
	kvm->has_stats = has(kvm->fd, KVM_CAP_BINARY_STATS_FD);
	kvm->has_tsc_khz = has(kvm->fd, KVM_CAP_GET_TSC_KHZ);
	return 0;
}

int sx_kvm_open(struct sx_kvm *kvm, struct sx_error *err)
{
	int rc;

	kvm->fd = open_device(err);
	if (kvm->fd < 0)
		return kvm->fd;
	rc = probe(kvm, err);
	if (rc < 0)
		sx_kvm_close(kvm);
	return rc;
}

void sx_kvm_close(struct sx_kvm *kvm)
{
	if (kvm->fd >= 0)
		close(kvm->fd);
	kvm->fd = -1;
}
