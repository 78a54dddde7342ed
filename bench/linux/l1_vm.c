// SPDX-License-Identifier: BSD-3-Clause
#include "bench/linux/l1_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "bench/linux/l2.h"

/* l2.S */
extern const uint8_t l2_begin[], l2_end[], l2_nothing[], l2_cpuid[], l2_pio[], l2_mmio[],
	l2_passthrough[];

static const uint8_t *const entries[L1_OPS] = {
	[L1_NOTHING] = l2_nothing,
	[L1_CPUID] = l2_cpuid,
	[L1_PIO] = l2_pio,
	[L1_MMIO] = l2_mmio,
	[L1_PASSTHROUGH] = l2_passthrough,
};

__attribute__((format(printf, 2, 3))) static int fail(struct l1_vm *vm, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(vm->why, sizeof(vm->why), fmt, args);
	va_end(args);
	return -1;
}

static int call(struct l1_vm *vm, int fd, const char *name, unsigned long request, uintptr_t arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? fail(vm, "%s: %s", name, strerror(errno)) : ret;
}

#define CALL(vm, fd, request, arg) call(vm, fd, #request, request, (uintptr_t)(arg))

/* ---- making L2 ---- */

static void *map(size_t size, int flags, int fd)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
}

static int open_fds(struct l1_vm *vm)
{
	int size;

	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		return fail(vm, "L1 has no /dev/kvm: %s", strerror(errno));
	vm->vm_fd = CALL(vm, vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->vm_fd < 0)
		return -1;
	vm->vcpu_fd = CALL(vm, vm->vm_fd, KVM_CREATE_VCPU, 0);
	if (vm->vcpu_fd < 0)
		return -1;
	size = CALL(vm, vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < 0)
		return -1;
	vm->run = map((size_t)size, MAP_SHARED, vm->vcpu_fd);
	return vm->run == MAP_FAILED ? fail(vm, "no kvm_run: %s", strerror(errno)) : 0;
}

static int give_memory(struct l1_vm *vm)
{
	struct kvm_userspace_memory_region region = {.memory_size = L2_MEMORY};

	vm->memory = map(L2_MEMORY, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1);
	if (vm->memory == MAP_FAILED)
		return fail(vm, "no memory for L2: %s", strerror(errno));
	memcpy(vm->memory + L2_CODE, l2_begin, (size_t)(l2_end - l2_begin));
	region.userspace_addr = (uintptr_t)vm->memory;
	return CALL(vm, vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static int give_cpuid(struct l1_vm *vm)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + sizeof(c->entries[0]));
	int rc;

	if (!c)
		return fail(vm, "no memory");
	c->nent = 1;
	c->entries[0] = (struct kvm_cpuid_entry2){.function = L2_LEAF, .ebx = L2_ANSWER};
	rc = CALL(vm, vm->vcpu_fd, KVM_SET_CPUID2, c);
	free(c);
	return rc;
}

int l1_vm_open(struct l1_vm *vm)
{
	int khz;

	memset(vm, 0, sizeof(*vm));
	if (open_fds(vm) < 0 || give_memory(vm) < 0 || give_cpuid(vm) < 0)
		return -1;
	khz = CALL(vm, vm->vcpu_fd, KVM_GET_TSC_KHZ, 0);
	if (khz <= 0)
		return khz < 0 ? -1 : fail(vm, "L1's KVM does not know its TSC");
	vm->tsc_khz = (uint32_t)khz;
	return 0;
}

/* ---- its registers ---- */

/* SDM Vol. 3A, 3.4.5: present, 32 bits, 4 GiB; code that can be read, or data. */
static struct kvm_segment flat(bool code)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = code ? 0x08 : 0x10,
		.type = code ? 11 : 3,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
}

static int set_segments(struct l1_vm *vm)
{
	struct kvm_sregs s;

	if (CALL(vm, vm->vcpu_fd, KVM_GET_SREGS, &s) < 0)
		return -1;
	s.cs = flat(true);
	s.ds = s.es = s.ss = flat(false);
	s.cr0 = 0x31; /* PE, ET, NE; caches on */
	return CALL(vm, vm->vcpu_fd, KVM_SET_SREGS, &s);
}

static uint32_t *shared(const struct l1_vm *vm, uint32_t offset)
{
	return (uint32_t *)(vm->memory + L2_SHARED + offset);
}

/*
 * L2 gets the IA32_TSC_AUX that L1's Linux keeps on this CPU. Where the two differ, kvm_amd
 * switches the MSR each time it goes to user space and back, which is no part of what L2 does.
 */
static int set_tsc_aux(struct l1_vm *vm)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {.head.nmsrs = 1, .entry.index = 0xc0000103};
	unsigned cpu, node;

	if (getcpu(&cpu, &node) < 0)
		return fail(vm, "L1 does not know its CPU: %s", strerror(errno));
	msrs.entry.data = node << 12 | cpu;
	return CALL(vm, vm->vcpu_fd, KVM_SET_MSRS, &msrs);
}

void l1_vm_begin(struct l1_vm *vm)
{
	vm->port_writes = vm->port_sum = vm->register_reads = vm->served = 0;
	*shared(vm, L2_REQUEST) = *shared(vm, L2_REPLY) = 0;
}

/*
 * IF is set though nothing interrupts L2: while a guest has it clear, Bochs keeps back the host's
 * interrupts, too, and an L2 that waits for another CPU would wait for ever. Bit 1 is always set.
 */
#define RFLAGS 0x202

static int set_registers(struct l1_vm *vm, enum l1_op op, uint32_t count)
{
	const struct kvm_regs regs = {
		.rip = L2_CODE + (uint64_t)(entries[op] - l2_begin),
		.rflags = RFLAGS,
		.rsi = count,
		.rdi = L2_CYCLES,
	};

	if (count == 0 || count > L2_MAX_OPS)
		return fail(vm, "L2 does 1 to %u operations, not %u", L2_MAX_OPS, count);
	if (set_segments(vm) < 0 || set_tsc_aux(vm) < 0)
		return -1;
	return CALL(vm, vm->vcpu_fd, KVM_SET_REGS, &regs);
}

/* ---- its exits ---- */

static int port_exit(struct l1_vm *vm)
{
	const struct kvm_run *run = vm->run;
	uint32_t value;

	if (run->io.direction != KVM_EXIT_IO_OUT || run->io.port != L2_PORT || run->io.size != 4 ||
	    run->io.count != 1)
		return fail(vm, "L2 accessed port %#x", run->io.port);
	memcpy(&value, (const uint8_t *)run + run->io.data_offset, sizeof(value));
	vm->port_writes++;
	vm->port_sum += value;
	return 0;
}

static int mmio_exit(struct l1_vm *vm)
{
	static const uint32_t answer = L2_ANSWER;

	if (vm->run->mmio.is_write || vm->run->mmio.phys_addr != L2_REGISTER ||
	    vm->run->mmio.len != sizeof(answer))
		return fail(vm, "L2 accessed address %#llx",
			    (unsigned long long)vm->run->mmio.phys_addr);
	memcpy(vm->run->mmio.data, &answer, sizeof(answer));
	vm->register_reads++;
	return 0;
}

static int handle_exit(struct l1_vm *vm)
{
	switch (vm->run->exit_reason) {
	case KVM_EXIT_IO:
		return port_exit(vm);
	case KVM_EXIT_MMIO:
		return mmio_exit(vm);
	default:
		return fail(vm, "L2 came out for reason %u", vm->run->exit_reason);
	}
}

static int run_to_halt(struct l1_vm *vm)
{
	for (;;) {
		if (ioctl(vm->vcpu_fd, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			return fail(vm, "KVM_RUN: %s", strerror(errno));
		}
		if (vm->run->exit_reason == KVM_EXIT_HLT)
			return 0;
		if (handle_exit(vm) < 0)
			return -1;
	}
}

int l1_vm_run(struct l1_vm *vm, enum l1_op op, uint32_t count)
{
	if (set_registers(vm, op, count) < 0 || run_to_halt(vm) < 0)
		return -1;
	return CALL(vm, vm->vcpu_fd, KVM_GET_REGS, &vm->regs);
}

void l1_vm_serve(struct l1_vm *vm)
{
	/* L2's plain store is its release; our release pairs with L2's plain load: x86 orders both.
	 */
	uint32_t request = __atomic_load_n(shared(vm, L2_REQUEST), __ATOMIC_ACQUIRE);

	if (request == *shared(vm, L2_REPLY))
		return;
	vm->served++;
	__atomic_store_n(shared(vm, L2_REPLY), request, __ATOMIC_RELEASE);
}

/* ---- what came of it ---- */

int l1_vm_check(struct l1_vm *vm, enum l1_op op, uint32_t count)
{
	const uint32_t writes = op == L1_PIO ? count : 0;
	const uint32_t reads = op == L1_MMIO ? count : 0;
	const uint32_t served = op == L1_PASSTHROUGH ? count : 0;
	const uint32_t answers = op == L1_MMIO || op == L1_CPUID ? count : 0;

	if (vm->port_writes != writes || vm->register_reads != reads || vm->served != served)
		return fail(vm, "of %u operations L1 saw %u port writes, %u reads, %u stores",
			    count, vm->port_writes, vm->register_reads, vm->served);
	/* count, count - 1, ... 1, modulo 2^32 as all sums here */
	if (vm->port_sum != (uint32_t)((uint64_t)writes * (writes + 1ull) / 2))
		return fail(vm, "the port was written other values than L2 wrote");
	if (vm->regs.rsi || (uint32_t)vm->regs.rsp != answers * L2_ANSWER)
		return fail(vm, "L2 got wrong answers, or left out %llu operations",
			    (unsigned long long)vm->regs.rsi);
	return 0;
}

uint32_t *l1_vm_cycles(const struct l1_vm *vm)
{
	return (uint32_t *)(vm->memory + L2_CYCLES);
}
