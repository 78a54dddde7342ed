// SPDX-License-Identifier: BSD-3-Clause
/*
 * The memory of an L2 VM on real KVM: pages come as they are touched, and what EPT12 does not map
 * comes out with the right address and the registers as they were.
 */
#include "tests/integration/test_l2_world.h"

/* Run on after an exit or a port write: the same code from its beginning. */
static void again(struct world *w)
{
	reset_vcpu(w);
}

static void want_exit(struct world *w, uint32_t reason, uint64_t physical, uint64_t qualification)
{
	assert_false(run(w));
	assert_int_equal(w->exit.reason, reason);
	assert_int_equal(w->exit.physical, physical);
	assert_int_equal(w->exit.linear, physical); /* L2's tables are an identity */
	assert_int_equal(w->exit.qualification, qualification);
}

/* Bits of the qualification of a violation by an access to the translation of a linear address. */
#define FINAL 0x180
#define Q_R   0x1
#define Q_W   0x2
#define Q_X   0x4
#define MAY_R 0x08
#define MAY_X 0x20

/* mov $0x30000,%ebx; mov $0x1234,%ecx; mov %rcx,(%rbx); mov (%rbx),%rax; out */
#define STORE_AND_LOAD \
	0xbb, 0, 0, 3, 0, 0xb9, 0x34, 0x12, 0, 0, 0x48, 0x89, 0x0b, 0x48, 0x8b, 0x03, OUT
#define STORE_RIP (L2_CODE + 10)

/* ---- pages that EPT12 maps ---- */

static void pages_come_as_they_are_touched(void **state)
{
	struct world *w = start(state);
	uint64_t pages;

	CODE(w, STORE_AND_LOAD);
	assert_true(run(w));
	take_state(w);
	assert_int_equal(w->state.cpu.gpr[SX_RAX], 0x1234);
	assert_int_equal(get(w, L1_L2 + L2_DATA), 0x1234);
	assert_true(w->faults >= 1);
	pages = sx_l2_vm_pages(w->vm);
	again(w);
	assert_true(run(w)); /* all is there now */
	assert_int_equal(w->faults, 0);
	assert_int_equal(sx_l2_vm_pages(w->vm), pages);
	close_vm(w);
}

/* A page of 2 MiB comes with one fault. */
static void large_pages_come_whole(void **state)
{
	struct world *w = start(state);

	put(w, L1_EPT + 0x2000, L1_L2 | 0x80 | EPT_RWX);
	CODE(w, STORE_AND_LOAD);
	assert_true(run(w));
	assert_true(w->faults <= 1);
	assert_int_equal(sx_l2_vm_pages(w->vm), L2_PAGES);
	close_vm(w);
}

/* Without EPT, L2's physical addresses are L1's. */
static void without_ept(void **state)
{
	struct world *w = start(state);

	w->eptp = 0;
	memcpy(at(w, 0, 0x40000), at(w, L1_L2, 0x40000), 0x40000);
	memcpy(at(w, L2_CODE, 18), (const uint8_t[]){STORE_AND_LOAD}, 18);
	assert_true(run(w));
	assert_int_equal(get(w, L2_DATA), 0x1234);
	close_vm(w);
}

/*
 * An interrupt that L1 injects is delivered by tables of L2 that nobody has touched yet. A trap
 * gate: its handler runs at CPL 3 too.
 */
static void an_interrupt_finds_its_gate(void **state)
{
	struct kvm_interrupt irq = {.irq = 0x40};
	const uint8_t handler[] = {0xe6, 0x81}; /* out %al, $0x81 */
	struct world *w = start(state);
	struct kvm_regs r;

	CODE(w, OUT);
	memcpy(at(w, L1_L2 + L2_CODE + 0x800, sizeof(handler)), handler, sizeof(handler));
	put(w, L1_L2 + L2_IDT + UINT64_C(16) * irq.irq, UINT64_C(0x0001ef00001b0800));
	assert_int_equal(sx_ioctl(w->vcpu, KVM_GET_REGS, &r), 0);
	r.rflags |= SX_X86_RFLAGS_IF;
	assert_int_equal(sx_ioctl(w->vcpu, KVM_SET_REGS, &r), 0);
	assert_int_equal(sx_ioctl(w->vcpu, KVM_INTERRUPT, &irq), 0);
	assert_true(run(w));
	assert_int_equal(w->run->io.port, 0x81);
	assert_int_equal(get(w, L1_L2 + L2_STACK - 40), L2_CODE); /* it returns to */
	assert_int_equal(get(w, L1_L2 + L2_STACK - 16), L2_STACK);
	close_vm(w);
}

/* ---- pages that it does not map ---- */

static void a_page_that_is_not_there(void **state)
{
	struct world *w = start(state);
	struct sx_vmx_cpu before;

	CODE(w, STORE_AND_LOAD);
	ept(w, L2_DATA, 0);
	want_exit(w, SX_VMEXIT_EPT_VIOLATION, L2_DATA, FINAL | Q_W);
	before = w->state.cpu;
	assert_int_equal(before.rip, STORE_RIP);
	assert_int_equal(before.gpr[SX_RBX], L2_DATA);
	assert_int_equal(before.gpr[SX_RCX], 0x1234);
	assert_int_equal(before.gpr[SX_RAX], 0);
	assert_int_equal(get(w, L1_L2 + L2_DATA), 0);
	ept(w, L2_DATA, EPT_RWX); /* L1 maps it, and L2 goes on where it was */
	assert_true(run(w));
	take_state(w);
	assert_int_equal(w->state.cpu.gpr[SX_RAX], 0x1234);
	close_vm(w);
}

static void a_page_that_is_read_only(void **state)
{
	struct world *w = start(state);

	CODE(w, 0xbb, 0, 0, 3, 0, 0x48, 0x8b, 0x03, 0x48, 0xff, 0x03, OUT); /* load; inc (%rbx) */
	put(w, L1_L2 + L2_DATA, 77);
	ept(w, L2_DATA, READ_EXECUTE);
	want_exit(w, SX_VMEXIT_EPT_VIOLATION, L2_DATA, FINAL | Q_R | Q_W | MAY_R | MAY_X);
	assert_int_equal(w->state.cpu.rip, L2_CODE + 8);
	assert_int_equal(w->state.cpu.gpr[SX_RAX], 77);
	assert_int_equal(get(w, L1_L2 + L2_DATA), 77);
	ept(w, L2_DATA, EPT_RWX);
	assert_true(run(w));
	assert_int_equal(get(w, L1_L2 + L2_DATA), 78);
	close_vm(w);
}

/* jmp to the page behind the code */
static void a_fetch(void **state)
{
	struct world *w = start(state);

	CODE(w, 0xe9, 0xfb, 0x0f, 0, 0);
	ept(w, L2_CODE + 0x1000, 0);
	want_exit(w, SX_VMEXIT_EPT_VIOLATION, L2_CODE + 0x1000, FINAL | Q_X);
	assert_int_equal(w->state.cpu.rip, L2_CODE + 0x1000);
	close_vm(w);
}

/* An instruction that begins in one page and ends in the next. */
static void a_fetch_across_pages(void **state)
{
	const uint8_t tail[] = {0xb8, 0x78, 0x56, 0x34, 0x12, OUT}; /* mov $0x12345678,%eax */
	struct world *w = start(state);

	CODE(w, 0xe9, 0xf8, 0x0f, 0, 0); /* jmp to 3 bytes before the page's end */
	memcpy(at(w, L1_L2 + L2_CODE + 0xffd, sizeof(tail)), tail, sizeof(tail));
	ept(w, L2_CODE + 0x1000, 0);
	want_exit(w, SX_VMEXIT_EPT_VIOLATION, L2_CODE + 0x1000, FINAL | Q_X);
	assert_int_equal(w->state.cpu.rip, L2_CODE + 0xffd);
	ept(w, L2_CODE + 0x1000, EPT_RWX);
	assert_true(run(w));
	take_state(w);
	assert_int_equal(w->state.cpu.gpr[SX_RAX], 0x12345678);
	close_vm(w);
}

/* mov $0x30ffc,%ebx; mov %rbx,(%rbx) */
static void a_store_across_pages(void **state)
{
	struct world *w = start(state);

	CODE(w, 0xbb, 0xfc, 0x0f, 3, 0, 0x48, 0x89, 0x1b, OUT);
	ept(w, L2_DATA + 0x1000, 0);
	want_exit(w, SX_VMEXIT_EPT_VIOLATION, L2_DATA + 0x1000, FINAL | Q_W);
	assert_int_equal(w->state.cpu.rip, L2_CODE + 5);
	assert_int_equal(get(w, L1_L2 + L2_DATA + 0xff8), 0); /* not half of it */
	ept(w, L2_DATA, 0);
	sx_l2_vm_revalidate(w->vm, &w->vmx, w->eptp);
	want_exit(w, SX_VMEXIT_EPT_VIOLATION, L2_DATA + 0xffc,
		  FINAL | Q_W); /* the first one first */
	ept(w, L2_DATA, EPT_RWX);
	ept(w, L2_DATA + 0x1000, EPT_RWX);
	assert_true(run(w));
	assert_int_equal(get(w, L1_L2 + L2_DATA + 0xffc), L2_DATA + 0xffc);
	close_vm(w);
}

static void the_stack(void **state)
{
	struct world *w = start(state);

	CODE(w, 0x50, OUT); /* push %rax */
	ept(w, L2_STACK - 0x1000, 0);
	want_exit(w, SX_VMEXIT_EPT_VIOLATION, L2_STACK - 8, FINAL | Q_W);
	assert_int_equal(w->state.cpu.gpr[SX_RSP], L2_STACK);
	ept(w, L2_STACK - 0x1000, EPT_RWX);
	assert_true(run(w));
	take_state(w);
	assert_int_equal(w->state.cpu.gpr[SX_RSP], L2_STACK - 8);
	close_vm(w);
}

/* What EPT12 says is no memory of L1: nothing is mapped, and L1 is not told of a violation. */
static void outside_of_l1(void **state)
{
	struct world *w = start(state);
	struct sx_ept12_map map = {.gpa = L1_SIZE, .page = 4096, .rights = 7};

	put(w, L1_LEAF(L2_DATA), L1_SIZE | EPT_RWX);
	w->state = (struct sx_vmx_guest_state){.eptp = w->eptp};
	CODE(w, STORE_AND_LOAD);
	assert_int_equal(sx_l2_vm_map(w->vm, L2_DATA, &map), -EFAULT);
	map.gpa = UINT64_MAX & ~UINT64_C(0xfff);
	assert_int_equal(sx_l2_vm_map(w->vm, L2_DATA, &map), -EFAULT);
	map.gpa = 0;
	map.rights = 0;
	assert_int_equal(sx_l2_vm_map(w->vm, L2_DATA, &map), -EFAULT);
	assert_int_equal(sx_l2_vm_pages(w->vm), 0);
	close_vm(w);
}

/* ---- changes ---- */

static struct sx_ept12_map map_of(struct world *w, uint64_t gpa)
{
	const struct sx_ept12_access access = {.gpa = gpa};
	struct sx_ept12_map map;
	struct sx_vmx_exit ignored;

	assert_int_equal(sx_ept12_translate(&w->vmx, w->eptp, &access, &map, &ignored),
			 SX_EPT12_MAPPED);
	return map;
}

/* Eight neighbours are mapped; of them these go: unmapped, moved, made read-only. Others stay. */
static void revalidation_takes_what_went(void **state)
{
	struct world *w = start(state);
	struct sx_ept12_map map[8];

	for (uint64_t i = 0; i < 8; i++) {
		map[i] = map_of(w, L2_DATA + i * 4096);
		assert_int_equal(sx_l2_vm_map(w->vm, L2_DATA + i * 4096, &map[i]), 0);
	}
	sx_l2_vm_revalidate(w->vm, &w->vmx, w->eptp);
	assert_int_equal(sx_l2_vm_pages(w->vm), 8);
	ept(w, L2_DATA + 0x1000, 0);
	put(w, L1_LEAF(L2_DATA + 0x3000), L1_L2 | EPT_RWX);
	ept(w, L2_DATA + 0x5000, READ_EXECUTE);
	sx_l2_vm_revalidate(w->vm, &w->vmx, w->eptp);
	assert_int_equal(sx_l2_vm_pages(w->vm), 5);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(sx_l2_vm_has(w->vm, L2_DATA + i * 4096, &map[i]),
				 i != 1 && i != 3 && i != 5);
	put(w, L1_EPT, 0); /* and now nothing is mapped */
	sx_l2_vm_revalidate(w->vm, &w->vmx, w->eptp);
	assert_int_equal(sx_l2_vm_pages(w->vm), 0);
	close_vm(w);
}

/* L2 sees it: what was taken away is not there, and what was moved is elsewhere. */
static void l2_sees_the_changes(void **state)
{
	struct world *w = start(state);

	CODE(w, 0xbb, 0, 0, 3, 0, 0x48, 0x8b, 0x03, OUT);
	put(w, L1_L2 + L2_DATA, 1);
	put(w, L1_L2 + L2_DATA + 0x1000, 2);
	assert_true(run(w));
	put(w, L1_LEAF(L2_DATA), (L1_L2 + L2_DATA + 0x1000) | EPT_RWX);
	sx_l2_vm_revalidate(w->vm, &w->vmx, w->eptp);
	again(w);
	assert_true(run(w));
	take_state(w);
	assert_int_equal(w->state.cpu.gpr[SX_RAX], 2);
	ept(w, L2_DATA, 0);
	sx_l2_vm_revalidate(w->vm, &w->vmx, w->eptp);
	again(w);
	want_exit(w, SX_VMEXIT_EPT_VIOLATION, L2_DATA, FINAL | Q_R);
	sx_l2_vm_unmap_all(w->vm);
	assert_int_equal(sx_l2_vm_pages(w->vm), 0);
	close_vm(w);
}

/* ---- accessed and dirty flags, the log ---- */

static uint64_t leaf(struct world *w, uint64_t gpa)
{
	return get(w, L1_LEAF(gpa));
}

static void dirty_flags_are_exact(void **state)
{
	struct world *w = start(state);

	w->eptp = EPTP_AD;
	CODE(w, STORE_AND_LOAD);
	assert_true(run(w));
	assert_int_equal(leaf(w, L2_DATA) & (ACCESSED | DIRTY), ACCESSED | DIRTY);
	assert_int_equal(leaf(w, L2_CODE) & (ACCESSED | DIRTY), ACCESSED);
	assert_int_equal(leaf(w, L2_DATA + 0x1000) & (ACCESSED | DIRTY), 0);
	for (unsigned i = 0; i < 3; i++) { /* L1 clears them; each time the next store comes out */
		ept(w, L2_DATA, EPT_RWX);
		sx_l2_vm_revalidate(w->vm, &w->vmx, w->eptp);
		assert_int_equal(leaf(w, L2_DATA) & (ACCESSED | DIRTY), 0);
		again(w);
		assert_true(run(w));
		assert_int_equal(leaf(w, L2_DATA) & (ACCESSED | DIRTY), ACCESSED | DIRTY);
	}
	close_vm(w);
}

/* mov $0x30000,%ebx; mov (%rbx),%rax; out */
static void loads_set_accessed_only(void **state)
{
	struct world *w = start(state);

	w->eptp = EPTP_AD;
	CODE(w, 0xbb, 0, 0, 3, 0, 0x48, 0x8b, 0x03, OUT);
	assert_true(run(w));
	assert_int_equal(leaf(w, L2_DATA) & (ACCESSED | DIRTY), ACCESSED);
	assert_int_equal(leaf(w, L2_PT) & (ACCESSED | DIRTY), ACCESSED | DIRTY); /* 29.3.5 */
	close_vm(w);
}

static void start_log(struct world *w, uint64_t index)
{
	struct sx_vmcs12 *v = &w->vmx.v12;

	w->eptp = EPTP_AD;
	w->vmx.in_l2 = true;
	sx_vmcs12_set(v, SX_VMCS_CPU_CONTROLS, SX_CPU_SECONDARY);
	sx_vmcs12_set(v, SX_VMCS_CPU2_CONTROLS, SX_CPU2_EPT | SX_CPU2_PML);
	sx_vmcs12_set(v, SX_VMCS_PML_ADDRESS, L1_PML);
	sx_vmcs12_set(v, SX_VMCS_GUEST_PML_INDEX, index);
}

static unsigned times_logged(struct world *w, uint64_t gpa)
{
	unsigned times = 0;

	for (uint64_t i = 0; i < 512; i++)
		times += get(w, L1_PML + 8 * i) == gpa;
	return times;
}

static void first_stores_are_logged(void **state)
{
	struct world *w = start(state);

	start_log(w, 511);
	CODE(w, STORE_AND_LOAD);
	assert_true(run(w));
	assert_int_equal(times_logged(w, L2_DATA), 1);
	again(w);
	assert_true(run(w));
	assert_int_equal(times_logged(w, L2_DATA), 1);
	assert_int_equal(times_logged(w, L2_CODE), 0);
	close_vm(w);
}

static void a_full_log_comes_out(void **state)
{
	struct world *w = start(state);

	start_log(w, 511);
	CODE(w, 0xbb, 0, 0, 3, 0, 0x48, 0x8b, 0x03, OUT);
	assert_true(run(w)); /* all but the store is there now */
	start_log(w, 0xffff);
	CODE(w, STORE_AND_LOAD);
	again(w);
	assert_false(run(w));
	assert_int_equal(w->exit.reason, SX_VMEXIT_PML_FULL);
	assert_int_equal(w->state.cpu.rip, STORE_RIP);
	assert_int_equal(leaf(w, L2_DATA) & DIRTY, 0);
	start_log(w, 511);
	assert_true(run(w));
	assert_int_equal(get(w, L1_PML + UINT64_C(8) * 511), L2_DATA);
	close_vm(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_come_as_they_are_touched),
		cmocka_unit_test(large_pages_come_whole),
		cmocka_unit_test(without_ept),
		cmocka_unit_test(an_interrupt_finds_its_gate),
		cmocka_unit_test(a_page_that_is_not_there),
		cmocka_unit_test(a_page_that_is_read_only),
		cmocka_unit_test(a_fetch),
		cmocka_unit_test(a_fetch_across_pages),
		cmocka_unit_test(a_store_across_pages),
		cmocka_unit_test(the_stack),
		cmocka_unit_test(outside_of_l1),
		cmocka_unit_test(revalidation_takes_what_went),
		cmocka_unit_test(l2_sees_the_changes),
		cmocka_unit_test(dirty_flags_are_exact),
		cmocka_unit_test(loads_set_accessed_only),
		cmocka_unit_test(first_stores_are_logged),
		cmocka_unit_test(a_full_log_comes_out),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
