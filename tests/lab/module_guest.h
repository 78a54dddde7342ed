// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest of KVM's bare ioctls for tests/lab/host_module.c: a few instructions at CPL 0 in long
 * mode, which go round. Each round executes what the host module is for, and tells by a port what
 * came of each.
 */
#ifndef SX_TESTS_LAB_MODULE_GUEST_H
#define SX_TESTS_LAB_MODULE_GUEST_H

#include <errno.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guestcore/kvm.h"

#define MEMORY 0x10000u
#define TABLES 0x1000u /* of pages: three of them */
#define CODE   0x8000u

/* Ports. A round goes through them in this order. */
enum {
	AT_CPUID = 1, /* EAX, EBX, ECX, EDX: what CPUID said */
	AT_CR0,       /* RAX what was written, RBX what is read */
	AT_LMSW,
	AT_CR4,
	AT_XCR0,
	AT_VMMCALL, /* RAX: the result */
	AT_VMCALL,
};

#define LEAF    0x40004321u
#define SUBLEAF 7u

__asm__(".pushsection .rodata\n"
	"guest_code:\n"
	"	mov	$0x40004321, %eax\n"
	"	mov	$7, %ecx\n"
	"	cpuid\n"
	"	out	%al, $1\n"
	"	mov	%cr0, %rax\n"
	"	btc	$18, %rax\n" /* AM */
	"	mov	%rax, %cr0\n"
	"	mov	%cr0, %rbx\n"
	"	out	%al, $2\n"
	"	mov	%cr0, %rax\n"
	"	xor	$4, %rax\n" /* EM */
	"	lmsw	%ax\n"
	"	mov	%cr0, %rbx\n"
	"	out	%al, $3\n"
	"	mov	%cr4, %r9\n"
	"	xor	$0x10, %r9\n" /* PSE */
	"	mov	%r9, %cr4\n"
	"	mov	%cr4, %rbx\n"
	"	mov	%r9, %rax\n"
	"	out	%al, $4\n"
	"	xor	%ecx, %ecx\n"
	"	xgetbv\n"
	"	xor	$2, %eax\n" /* SSE */
	"	mov	%eax, %esi\n"
	"	xsetbv\n"
	"	xgetbv\n"
	"	mov	%eax, %ebx\n"
	"	mov	%esi, %eax\n"
	"	out	%al, $5\n"
	"	mov	$0x5678, %eax\n"
	"	mov	$1, %ebx\n"
	"	mov	$2, %ecx\n"
	"	mov	$3, %edx\n"
	"	mov	$4, %esi\n"
	"	vmmcall\n"
	"	out	%al, $6\n"
	"	mov	$0x5679, %eax\n"
	"	vmcall\n"
	"	out	%al, $7\n"
	"	jmp	guest_code\n"
	"guest_code_end:\n"
	".popsection\n");

extern const uint8_t guest_code[], guest_code_end[];

struct guest {
	int kvm, vm, vcpu;
	uint8_t *memory;
	struct kvm_run *run;
	size_t run_size;
};

static inline _Noreturn void die(const char *what, int rc)
{
	fprintf(stderr, "host_module: %s: %s\n", what, strerror(-rc));
	exit(1);
}

static inline int kvm(int fd, const char *name, unsigned long request, void *arg)
{
	int rc = sx_ioctl(fd, request, arg);

	if (rc < 0)
		die(name, rc);
	return rc;
}

static inline void *map(size_t size, int flags, int fd)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED)
		die("mmap", -errno);
	return at;
}

static inline void set_up_memory(struct guest *g)
{
	struct kvm_userspace_memory_region region = {.memory_size = MEMORY};
	uint64_t *table;

	g->memory = map(MEMORY, MAP_SHARED | MAP_ANONYMOUS, -1);
	table = (uint64_t *)(void *)(g->memory + TABLES);
	table[0] = (TABLES + 0x1000) | 3;
	table[512] = (TABLES + 0x2000) | 3;
	table[1024] = 0x83; /* 2 MiB from 0 */
	memcpy(g->memory + CODE, guest_code, (size_t)(guest_code_end - guest_code));
	region.userspace_addr = (uintptr_t)g->memory;
	kvm(g->vm, "KVM_SET_USER_MEMORY_REGION", KVM_SET_USER_MEMORY_REGION, &region);
}

static inline void set_up_cpuid(struct guest *g)
{
	size_t size = sizeof(struct kvm_cpuid2) + 256 * sizeof(struct kvm_cpuid_entry2);
	struct kvm_cpuid2 *cpuid = calloc(1, size);

	if (!cpuid)
		die("calloc", -ENOMEM);
	cpuid->nent = 256;
	kvm(g->kvm, "KVM_GET_SUPPORTED_CPUID", KVM_GET_SUPPORTED_CPUID, cpuid);
	kvm(g->vcpu, "KVM_SET_CPUID2", KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

static inline void set_up_registers(struct guest *g)
{
	struct kvm_regs regs = {.rip = CODE, .rflags = 2};
	struct kvm_segment data = {
		.limit = UINT32_MAX, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
	struct kvm_sregs sregs;

	kvm(g->vcpu, "KVM_GET_SREGS", KVM_GET_SREGS, &sregs);
	sregs.ds = sregs.es = sregs.ss = data;
	data.type = 11;
	data.db = 0;
	data.l = 1;
	data.selector = 8;
	sregs.cs = data;
	sregs.cr3 = TABLES;
	sregs.cr4 = 0x40220; /* OSXSAVE, OSFXSR, PAE */
	sregs.cr0 = 0x80000031;
	sregs.efer = 0x500;
	kvm(g->vcpu, "KVM_SET_SREGS", KVM_SET_SREGS, &sregs);
	kvm(g->vcpu, "KVM_SET_REGS", KVM_SET_REGS, &regs);
}

static inline void create(struct guest *g)
{
	struct sx_error err = {0};
	struct sx_kvm device;
	int rc = sx_kvm_open(&device, &err);

	if (rc < 0)
		die(err.text, rc);
	*g = (struct guest){.kvm = device.fd, .run_size = device.run_size};
	g->vm = kvm(g->kvm, "KVM_CREATE_VM", KVM_CREATE_VM, NULL);
	g->vcpu = kvm(g->vm, "KVM_CREATE_VCPU", KVM_CREATE_VCPU, NULL);
	g->run = map(device.run_size, MAP_SHARED, g->vcpu);
	set_up_memory(g);
	set_up_cpuid(g);
	set_up_registers(g);
}

static inline void destroy(struct guest *g)
{
	munmap(g->run, g->run_size);
	munmap(g->memory, MEMORY);
	close(g->vcpu);
	close(g->vm);
	close(g->kvm);
}

#endif
