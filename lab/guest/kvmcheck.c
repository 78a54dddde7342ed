// SPDX-License-Identifier: BSD-3-Clause
/*
 * Says what /dev/kvm offers, and proves it: a guest of three instructions writes a byte to a port
 * and halts. Exit status 0 when all of that works, else 1 and a sentence.
 *
 * `kvmcheck --hold` does what a host's init does (hold.h), says "held" and stays until it is
 * killed: for a guest in which KVM runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lab/guest/hold.h"

#define GUEST_ADDRESS 0x1000
#define GUEST_SIZE    0x1000
#define GUEST_PORT    0x10
#define GUEST_BYTE    0x5a

struct capability {
	const char *name;
	int number;
};

static const struct capability capabilities[] = {
	{"vcpus", KVM_CAP_MAX_VCPUS},
	{"memslots", KVM_CAP_NR_MEMSLOTS},
	{"irqchip", KVM_CAP_IRQCHIP},
	{"split-irqchip", KVM_CAP_SPLIT_IRQCHIP},
	{"irqfd", KVM_CAP_IRQFD},
	{"ioeventfd", KVM_CAP_IOEVENTFD},
	{"signal-msi", KVM_CAP_SIGNAL_MSI},
	{"msr-filter", KVM_CAP_X86_MSR_FILTER},
	{"user-space-msr", KVM_CAP_X86_USER_SPACE_MSR},
	{"disable-exits", KVM_CAP_X86_DISABLE_EXITS},
	{"exit-on-emulation-failure", KVM_CAP_EXIT_ON_EMULATION_FAILURE},
	{"dirty-log-ring", KVM_CAP_DIRTY_LOG_RING},
	{"sync-regs", KVM_CAP_SYNC_REGS},
	{"binary-stats", KVM_CAP_BINARY_STATS_FD},
	{"nested-state", KVM_CAP_NESTED_STATE},
};

__attribute__((format(printf, 1, 2))) static _Noreturn void fail(const char *fmt, ...)
{
	int error = errno;
	va_list args;

	fputs("kvmcheck: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

/* An ioctl whose failure ends the program. */
static int kvm(int fd, const char *name, unsigned long request, unsigned long argument)
{
	int ret = ioctl(fd, request, argument);

	if (ret < 0)
		fail("%s fails", name);
	return ret;
}

static void print_parameter(const char *module)
{
	char path[128], value[16] = "";
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/nested", module);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* the other vendor's */
	length = read(fd, value, sizeof(value) - 1);
	close(fd);
	if (length > 0)
		printf("%s: nested=%.1s\n", module, value);
}

static void print_capabilities(int fd)
{
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		printf("%s: %d\n", capabilities[i].name,
		       kvm(fd, "KVM_CHECK_EXTENSION", KVM_CHECK_EXTENSION,
			   (unsigned long)capabilities[i].number));
	}
}

static void *map_or_fail(size_t size, int flags, int fd)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED)
		fail("mmap fails");
	return at;
}

static void set_up_memory(int vm)
{
	/* mov $GUEST_BYTE, %al; out %al, $GUEST_PORT; hlt */
	static const uint8_t code[] = {0xb0, GUEST_BYTE, 0xe6, GUEST_PORT, 0xf4};
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = GUEST_ADDRESS,
		.memory_size = GUEST_SIZE,
	};
	void *memory = map_or_fail(GUEST_SIZE, MAP_SHARED | MAP_ANONYMOUS, -1);

	memcpy(memory, code, sizeof(code));
	region.userspace_addr = (uintptr_t)memory;
	kvm(vm, "KVM_SET_USER_MEMORY_REGION", KVM_SET_USER_MEMORY_REGION, (uintptr_t)&region);
}

static void set_up_registers(int vcpu)
{
	struct kvm_regs regs = {.rip = GUEST_ADDRESS, .rflags = 2};
	struct kvm_sregs sregs;

	kvm(vcpu, "KVM_GET_SREGS", KVM_GET_SREGS, (uintptr_t)&sregs);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	kvm(vcpu, "KVM_SET_SREGS", KVM_SET_SREGS, (uintptr_t)&sregs);
	kvm(vcpu, "KVM_SET_REGS", KVM_SET_REGS, (uintptr_t)&regs);
}

/* Returns true when the guest wrote its byte and halted. */
static int run_guest(int fd)
{
	int vm = kvm(fd, "KVM_CREATE_VM", KVM_CREATE_VM, 0);
	int vcpu = kvm(vm, "KVM_CREATE_VCPU", KVM_CREATE_VCPU, 0);
	int size = kvm(fd, "KVM_GET_VCPU_MMAP_SIZE", KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *run = map_or_fail((size_t)size, MAP_SHARED, vcpu);

	set_up_memory(vm);
	set_up_registers(vcpu);
	kvm(vcpu, "KVM_RUN", KVM_RUN, 0);
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != GUEST_PORT ||
	    *((uint8_t *)run + run->io.data_offset) != GUEST_BYTE)
		return 0;
	kvm(vcpu, "KVM_RUN", KVM_RUN, 0);
	return run->exit_reason == KVM_EXIT_HLT;
}

static _Noreturn void hold(int fd)
{
	int rc = sx_hold_kvm(fd);

	if (rc < 0) {
		errno = -rc;
		fail("KVM does not make a VM");
	}
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail("cannot open /dev/kvm");
	if (argc > 1 && strcmp(argv[1], "--hold") == 0)
		hold(fd);
	printf("kvm: api %d\n", kvm(fd, "KVM_GET_API_VERSION", KVM_GET_API_VERSION, 0));
	printf("cores: %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
	print_parameter("kvm_amd");
	print_parameter("kvm_intel");
	print_capabilities(fd);
	fflush(stdout);
	if (!run_guest(fd)) {
		fprintf(stderr, "kvmcheck: the guest did not do what it should\n");
		return 1;
	}
	puts("guest: runs");
	return 0;
}
