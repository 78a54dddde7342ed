// SPDX-License-Identifier: BSD-3-Clause
/*
 * An L2 VM on real KVM, for tests: 16 MiB of L1, whose EPT12 maps L2's first 2 MiB page by page,
 * and a vCPU at CPL 3.
 */
#ifndef SX_TEST_L2_WORLD_H
#define SX_TEST_L2_WORLD_H

#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/region.h"
#include "nested/l2_fault.h"
#include "tests/support/l2_decoder.h"

#define MIB UINT64_C(0x100000)

/* L1-physical: EPT12 structures, and the pages that L2's first 2 MiB lead to. */
#define L1_SIZE      (16 * MIB)
#define L1_EPT       (1 * MIB) /* PML4, PDPT, PD, PT */
#define L1_PT        (L1_EPT + 0x3000)
#define L1_LEAF(gpa) (L1_PT + UINT64_C(8) * ((gpa) / 4096))
#define L1_PML       (L1_EPT + 0x4000)
#define L1_L2        (4 * MIB)
#define EPT_RWX      0x37 /* write-back in leaves */
#define TABLE        7
#define EPTP         (L1_EPT | 0x1e)
#define EPTP_AD      (L1_EPT | 0x5e)
#define ACCESSED     UINT64_C(0x100)
#define DIRTY        UINT64_C(0x200)
#define READ_EXECUTE 0x35

/* L2-physical and, by its own tables, L2-linear. */
#define L2_PML4  0x1000
#define L2_PDPT  0x2000
#define L2_PD    0x3000
#define L2_PT    0x4000
#define L2_IDT   0x6000
#define L2_GDT   0x7000
#define L2_CODE  0x10000
#define L2_STACK 0x20000 /* the page below */
#define L2_DATA  0x30000
#define L2_PAGES 512

struct world {
	struct sx_kvm kvm;
	struct sx_region l1;
	struct sx_l1_range range[3];
	unsigned ranges;
	struct sx_vmx vmx;
	struct sx_l2_vm *vm;
	int vcpu;
	struct kvm_run *run;
	struct sx_vmx_guest_state state;
	struct sx_vmx_exit exit;
	uint64_t eptp;
	unsigned faults; /* that were settled by mapping */
};

/* ---- L1 ---- */

static inline uint8_t *at(struct world *w, uint64_t gpa, size_t len)
{
	return gpa <= L1_SIZE && len <= L1_SIZE - gpa ? (uint8_t *)w->l1.base + gpa : NULL;
}

static inline int read_l1(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	const uint8_t *p = at(ctx, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(buf, p, len);
	return 0;
}

static inline int write_l1(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	uint8_t *p = at(ctx, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(p, buf, len);
	return 0;
}

static inline int cas_l1(void *ctx, uint64_t gpa, uint64_t old, uint64_t value)
{
	uint8_t *p = at(ctx, gpa, sizeof(old));

	if (!p)
		return -EFAULT;
	if (memcmp(p, &old, sizeof(old)) != 0)
		return -EAGAIN;
	memcpy(p, &value, sizeof(value));
	return 0;
}

static const struct sx_vmx_ops ops = {.read = read_l1, .write = write_l1, .cas64 = cas_l1};

static inline void put(struct world *w, uint64_t gpa, uint64_t value)
{
	memcpy(at(w, gpa, sizeof(value)), &value, sizeof(value));
}

static inline uint64_t get(struct world *w, uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, at(w, gpa, sizeof(value)), sizeof(value));
	return value;
}

/* EPT12: the L2-physical page of @gpa leads to its place in L1, with @flags; 0 unmaps it. */
static inline void ept(struct world *w, uint64_t gpa, uint64_t flags)
{
	put(w, L1_LEAF(gpa), flags ? (L1_L2 + (gpa & ~UINT64_C(0xfff))) | flags : 0);
}

static inline void fill_l1(struct world *w)
{
	memset(w->l1.base, 0, L1_SIZE);
	put(w, L1_EPT, (L1_EPT + 0x1000) | TABLE);
	put(w, L1_EPT + 0x1000, (L1_EPT + 0x2000) | TABLE);
	put(w, L1_EPT + 0x2000, L1_PT | TABLE);
	for (uint64_t page = 0; page < L2_PAGES; page++)
		ept(w, page * 4096, EPT_RWX);
	put(w, L1_L2 + L2_PML4, L2_PDPT | 0x27);
	put(w, L1_L2 + L2_PDPT, L2_PD | 0x27);
	put(w, L1_L2 + L2_PD, L2_PT | 0x27);
	put(w, L1_L2 + L2_GDT + 0x18, 0x00affb000000ffff); /* CPL 3, 64-bit code */
	put(w, L1_L2 + L2_GDT + 0x20, 0x00cff3000000ffff);
	for (uint64_t page = 0; page < L2_PAGES; page++)
		put(w, L1_L2 + L2_PT + 8 * page, page * 4096 | 0x67);
}

/* ---- L2 ---- */

static inline void to_ours(struct sx_vmx_segment *to, const struct kvm_segment *from)
{
	*to = (struct sx_vmx_segment){
		.base = from->base,
		.limit = from->limit,
		.selector = from->selector,
		.ar = from->type | (uint32_t)from->s << 4 | (uint32_t)from->dpl << 5 |
		      (uint32_t)from->present << 7 | (uint32_t)from->l << 13 |
		      (uint32_t)from->db << 14 | (uint32_t)from->g << 15 |
		      (uint32_t)from->unusable << 16,
	};
}

/* What KVM was about to deliver. */
static inline void take_event(struct world *w)
{
	struct kvm_vcpu_events e;

	assert_int_equal(sx_ioctl(w->vcpu, KVM_GET_VCPU_EVENTS, &e), 0);
	if (e.interrupt.injected)
		w->state.event.info = SX_INTR_INFO(SX_INTR_EXTERNAL, e.interrupt.nr);
	else if (e.exception.injected)
		w->state.event.info = SX_INTR_INFO(SX_INTR_HARDWARE, e.exception.nr);
}

static inline void take_state(struct world *w)
{
	struct sx_vmx_cpu *cpu = &w->state.cpu;
	struct kvm_sregs s;
	struct kvm_regs r;

	assert_int_equal(sx_ioctl(w->vcpu, KVM_GET_REGS, &r), 0);
	assert_int_equal(sx_ioctl(w->vcpu, KVM_GET_SREGS, &s), 0);
	w->state = (struct sx_vmx_guest_state){.eptp = w->eptp};
	take_event(w);
	*cpu = (struct sx_vmx_cpu){
		.gpr = {r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10,
			r.r11, r.r12, r.r13, r.r14, r.r15},
		.rip = r.rip,
		.rflags = r.rflags,
		.cr0 = s.cr0,
		.cr3 = s.cr3,
		.cr4 = s.cr4,
		.efer = s.efer,
		.gdtr = {s.gdt.base, s.gdt.limit},
		.idtr = {s.idt.base, s.idt.limit},
	};
	to_ours(&cpu->seg[SX_SEG_ES], &s.es);
	to_ours(&cpu->seg[SX_SEG_CS], &s.cs);
	to_ours(&cpu->seg[SX_SEG_SS], &s.ss);
	to_ours(&cpu->seg[SX_SEG_DS], &s.ds);
	to_ours(&cpu->seg[SX_SEG_FS], &s.fs);
	to_ours(&cpu->seg[SX_SEG_GS], &s.gs);
	to_ours(&cpu->seg[SX_SEG_TR], &s.tr);
}

static inline struct kvm_segment segment(uint16_t selector, uint8_t type, int code)
{
	return (struct kvm_segment){
		.selector = selector,
		.limit = UINT32_MAX,
		.type = type,
		.present = 1,
		.dpl = 3,
		.s = 1,
		.l = code,
		.db = !code,
		.g = 1,
	};
}

/* 64-bit mode at CPL 3, IOPL 3. */
static inline void reset_vcpu(struct world *w)
{
	struct kvm_regs r = {.rip = L2_CODE, .rsp = L2_STACK, .rflags = 0x3002};
	struct kvm_sregs s;

	assert_int_equal(sx_ioctl(w->vcpu, KVM_GET_SREGS, &s), 0);
	s.cs = segment(0x1b, 0xb, 1);
	s.ss = s.ds = s.es = s.fs = s.gs = segment(0x23, 0x3, 0);
	s.gdt.base = L2_GDT;
	s.gdt.limit = 0x27;
	s.idt.base = L2_IDT;
	s.idt.limit = 0xfff;
	s.cr0 = 0x80050033;
	s.cr3 = L2_PML4;
	s.cr4 = 0x620;
	s.efer = 0xd01;
	assert_int_equal(sx_ioctl(w->vcpu, KVM_SET_SREGS, &s), 0);
	assert_int_equal(sx_ioctl(w->vcpu, KVM_SET_REGS, &r), 0);
}

static inline void set_cpuid(struct world *w)
{
	const unsigned max = 256;
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + max * sizeof(cpuid->entries[0]));

	assert_non_null(cpuid);
	cpuid->nent = max;
	assert_int_equal(sx_ioctl(w->kvm.fd, KVM_GET_SUPPORTED_CPUID, cpuid), 0);
	assert_int_equal(sx_ioctl(w->vcpu, KVM_SET_CPUID2, cpuid), 0);
	free(cpuid);
}

static inline void open_vm(struct world *w)
{
	struct sx_error err = {0};

	if (sx_l2_vm_create(&w->vm, &w->kvm, w->range, w->ranges, &err) < 0)
		fail_msg("%s", err.text);
	w->vcpu = sx_ioctl(sx_l2_vm_fd(w->vm), KVM_CREATE_VCPU, NULL);
	assert_true(w->vcpu >= 0);
	w->run = mmap(NULL, w->kvm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, w->vcpu, 0);
	assert_true(w->run != MAP_FAILED);
	set_cpuid(w);
	reset_vcpu(w);
}

static inline void close_vm(struct world *w)
{
	munmap(w->run, w->kvm.run_size);
	close(w->vcpu);
	sx_l2_vm_destroy(w->vm);
	w->vm = NULL;
}

/*
 * Run the code at L2_CODE until it writes to a port, which gives true, or touches what EPT12 does
 * not map: false, with w->exit.
 */
static inline bool run(struct world *w)
{
	for (w->faults = 0; w->faults < 100; w->faults++) {
		int rc;

		take_state(w);
		sx_l2_map_tables(&w->vmx, w->vm, &w->state);
		rc = sx_ioctl(w->vcpu, KVM_RUN, NULL);
		if (rc == 0) {
			if (w->run->exit_reason != KVM_EXIT_IO)
				fail_msg("exit reason %u", w->run->exit_reason);
			return true;
		}
		assert_int_equal(rc, -EFAULT);
		take_state(w);
		switch (sx_l2_fault(&w->vmx, w->vm, l2_decoder(), &w->state, NULL, &w->exit)) {
		case SX_L2_FAULT_MAPPED:
			break;
		case SX_L2_FAULT_EXIT:
			return false;
		default:
			fail_msg("nothing found at RIP 0x%llx",
				 (unsigned long long)w->state.cpu.rip);
		}
	}
	fail_msg("L2 faults for ever");
	return false;
}

static inline void code(struct world *w, const void *bytes, size_t len)
{
	memcpy(at(w, L1_L2 + L2_CODE, len), bytes, len);
}

#define CODE(w, ...) code(w, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define OUT          0xe6, 0x80 /* out %al, $0x80 */

/* ---- life ---- */

static inline int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct sx_vmx_caps caps;
	struct sx_error err = {0};

	*state = w;
	if (!w)
		return -1;
	if (sx_kvm_open(&w->kvm, &err) < 0) {
		w->kvm.fd = -1;
		return 0;
	}
	if (sx_region_create(&w->l1, "l1", L1_SIZE, 0, &err) < 0)
		return -1;
	sx_vmx_caps_all(&caps, 40, UINT64_C(0x3727ff));
	sx_vmx_init(&w->vmx, &caps, &ops, w);
	return 0;
}

static inline int tear_down(void **state)
{
	struct world *w = *state;

	sx_region_destroy(&w->l1);
	sx_kvm_close(&w->kvm);
	free(w);
	return 0;
}

static inline struct world *start(void **state)
{
	struct world *w = *state;

	if (w->kvm.fd < 0) {
		print_message("there is no /dev/kvm that can be used\n");
		skip();
	}
	w->eptp = EPTP;
	w->vmx.in_l2 = false;
	w->range[0] = (struct sx_l1_range){.size = L1_SIZE, .fd = w->l1.fd};
	w->ranges = 1;
	fill_l1(w);
	open_vm(w);
	return w;
}

#endif
