// SPDX-License-Identifier: BSD-3-Clause
/* Page faults of an L2 VM beside the instruction: tables, events, mapping, hints. */
#include "tests/unit/test_l2_run.h"

/* ---- page tables of L2 ---- */

static void tables_that_are_not_there(void **state)
{
	static const uint64_t tables[] = {L2_PT, L2_PD, L2_PDPT, L2_PML4};

	(void)state;
	start();
	CODE(0x48, 0x8b, 0x03);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t entry = tables[i] + (i ? 0 : 8 * (L2_CODE / 0x1000));

		ept(&w, tables[i], 0);
		assert_int_equal(fault(), SX_L2_FAULT_EXIT);
		assert_int_equal(x.physical, entry);
		assert_int_equal(x.linear, L2_CODE);
		assert_int_equal(x.qualification, HAS_LINEAR | R);
	}
	w.l2.eptp = WORLD_EPTP; /* with flags, a walk is a write */
	assert_int_equal(fault(), SX_L2_FAULT_EXIT);
	assert_int_equal(x.qualification, HAS_LINEAR | R | W);
}

/* Without flags of EPT12, a table is written when a flag in it has to be set. */
static void flags_of_l2_are_writes(void **state)
{
	(void)state;
	start();
	CODE(0x48, 0x8b, 0x03);
	ept(&w, L2_PT, EPT_RX);
	set_pte(&w, L2_B, 0x07); /* not accessed */
	assert_int_equal(fault(), SX_L2_FAULT_EXIT);
	assert_int_equal(x.physical, L2_PT + 8 * (L2_B / 0x1000));
	assert_int_equal(x.linear, L2_B + 0x200);
	assert_int_equal(x.qualification, HAS_LINEAR | W | MAY_RX);
	set_pte(&w, L2_B, 0x27); /* accessed; a store needs the dirty flag too */
	CODE(0x48, 0x89, 0x03);
	assert_int_equal(fault(), SX_L2_FAULT_EXIT);
	assert_int_equal(x.physical, L2_PT + 8 * (L2_B / 0x1000));
	assert_int_equal(x.qualification, HAS_LINEAR | W | MAY_RX);
}

/*
 * All flags are set, and yet there is a fault: the host's processor writes to tables where L1's
 * would read.
 */
static void tables_that_the_host_wants_to_write(void **state)
{
	(void)state;
	start();
	CODE(0x48, 0x89, 0xd8);
	ept(&w, L2_PD, EPT_RX);
	assert_int_equal(fault(), SX_L2_FAULT_EXIT);
	assert_int_equal(x.physical, L2_PD);
	assert_int_equal(x.qualification, HAS_LINEAR | R | W | MAY_RX);
}

static void page_faults_of_l2_are_its_own(void **state)
{
	(void)state;
	start();
	CODE(0x48, 0x8b, 0x03);
	set_pte(&w, L2_B, 0);
	ept(&w, L2_B, 0);
	assert_int_equal(fault(), SX_L2_FAULT_UNKNOWN);
	ept(&w, L2_IDT, 0); /* delivered by what is not there */
	violates(L2_IDT + 16 * SX_VEC_PF, FINAL | R);
	assert_int_equal(x.idt_info, 0);
	set_pte(&w, L2_B, 0x63); /* a supervisor's page */
	violates(L2_IDT + 16 * SX_VEC_PF, FINAL | R);
	set_cpl(&w.l2.cpu, 0);
	violates(0xb200, FINAL | R);
}

/* ---- events ---- */

static void pending(uint32_t info, uint32_t error_code, uint32_t length)
{
	w.l2.event = (struct sx_vmx_event){info, error_code, length};
}

/* From CPL 3 to a gate of CPL 0, step by step. */
static void what_an_interrupt_needs(void **state)
{
	(void)state;
	start();
	CODE(0x48, 0x8b, 0x03);
	ept(&w, L2_CODE, 0); /* not reached before the event is delivered */
	pending(SX_INTR_INFO(SX_INTR_EXTERNAL, 0x40), 0, 0);
	ept(&w, L2_KSTACK - 0x1000, 0);
	violates(L2_KSTACK - 40, FINAL | W);
	assert_int_equal(x.idt_info, SX_INTR_INFO(SX_INTR_EXTERNAL, 0x40));
	assert_int_equal(x.insn_length, 0);
	ept(&w, L2_TSS, 0);
	violates(L2_TSS + 4, FINAL | R);
	ept(&w, L2_GDT, 0);
	violates(L2_GDT + TO_KERNEL, FINAL | R);
	ept(&w, L2_IDT, 0);
	violates(L2_IDT + 0x400, FINAL | R);
	assert_int_equal(x.idt_info, SX_INTR_INFO(SX_INTR_EXTERNAL, 0x40));
}

static void the_event_is_recorded(void **state)
{
	const uint32_t pf = SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_PF) | SX_INTR_ERROR_CODE;

	(void)state;
	start();
	pending(pf, 7, 9);
	ept(&w, L2_KSTACK - 0x1000, 0);
	violates(L2_KSTACK - 48, FINAL | W);
	assert_int_equal(x.idt_info, pf);
	assert_int_equal(x.idt_error, 7);
	assert_int_equal(x.insn_length, 0);
	pending(SX_INTR_INFO(SX_INTR_SOFTWARE, 0x80), 7, 2);
	violates(L2_KSTACK - 40, FINAL | W);
	assert_int_equal(x.idt_error, 0);
	assert_int_equal(x.insn_length, 2);
	pending(0, 0, 0); /* it is not the event's when the instruction does it */
	CODE(0xcd, 0x80);
	violates(L2_KSTACK - 40, FINAL | W);
	assert_int_equal(x.idt_info, 0);
}

static void stacks_of_gates(void **state)
{
	(void)state;
	start();
	pending(SX_INTR_INFO(SX_INTR_NMI, SX_VEC_NMI), 0, 0);
	put_gate(&w, SX_VEC_NMI, TO_KERNEL, 1);
	ept(&w, L2_IST1 - 0x1000, 0);
	violates(L2_IST1 - 40, FINAL | W);
	ept(&w, L2_IST1 - 0x1000, EPT_RWX);
	put_gate(&w, SX_VEC_NMI, TO_USER, 0); /* stays at CPL 3, on the same stack */
	ept(&w, L2_STACK, 0);
	violates(L2_STACK - 40, FINAL | W);
	w.l2.cpu.idtr.limit = 0x20; /* no such gate */
	assert_int_equal(fault(), SX_L2_FAULT_EXIT);
	assert_int_equal(x.idt_info, 0);
}

static void instructions_that_raise(void **state)
{
	static const struct {
		uint8_t bytes[3];
		unsigned vector;
	} rows[] = {
		{{0xcd, 0x21}, 0x21},
		{{0xcc}, SX_VEC_BP},
		{{0xf1}, SX_VEC_DB},
		{{0x0f, 0x0b}, SX_VEC_UD},
		{{0x0f, 0xff}, SX_VEC_UD},
		{{0x06}, SX_VEC_UD}, /* push %es is none in 64-bit mode */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		start();
		code(rows[i].bytes, sizeof(rows[i].bytes));
		ept(&w, L2_IDT, 0);
		violates(L2_IDT + UINT64_C(16) * rows[i].vector, FINAL | R);
	}
	start();
	w.l2.cpu.gpr[SX_RBX] = UINT64_C(1) << 60; /* not canonical */
	CODE(0x48, 0x8b, 0x03);
	ept(&w, L2_IDT, 0);
	violates(L2_IDT + 16 * SX_VEC_GP, FINAL | R);
}

static void events_in_protected_mode(void **state)
{
	(void)state;
	start();
	leave_long_mode(&w.l2.cpu, true);
	pending(SX_INTR_INFO(SX_INTR_EXTERNAL, 0x40), 0, 0);
	put_l2(&w, L2_IDT + 8 * 0x40, UINT64_C(0x00008e0000088000));
	ept(&w, L2_STACK, 0);
	violates(L2_STACK - 12, FINAL | W);
	set_cpl(&w.l2.cpu, 3); /* the stack of CPL 0, from the TSS */
	put_l2(&w, L2_TSS + 4, UINT64_C(0x10) << 32 | L2_KSTACK);
	ept(&w, L2_KSTACK - 0x1000, 0);
	violates(L2_KSTACK - 20, FINAL | W);
	put_l2(&w, L2_IDT + 8 * 0x40, UINT64_C(0x0000850000280000)); /* a task gate */
	ept(&w, L2_GDT, 0);
	violates(L2_GDT + OTHER_DATA, FINAL | R);
}

static void events_in_real_mode(void **state)
{
	(void)state;
	start();
	leave_long_mode(&w.l2.cpu, false);
	w.l2.cpu.cr0 &= ~SX_X86_CR0_PE;
	w.l2.cpu.seg[SX_SEG_SS].base = 0x1000;
	CODE(0xcd, 0x10);
	ept(&w, L2_STACK + 0x1000, 0);
	violates(L2_STACK + 0x1000 - 6, FINAL | W);
	ept(&w, L2_IDT, 0);
	violates(L2_IDT + 0x40, FINAL | R);
}

/* ---- mapping ---- */

static void all_that_is_touched_is_mapped(void **state)
{
	static const uint64_t touched[] = {L2_PML4, L2_PDPT, L2_PD, L2_PT, L2_CODE, L2_B};
	unsigned count = 0;

	(void)state;
	start();
	vm.has_all = false;
	CODE(0x48, 0x89, 0x03);
	assert_int_equal(fault(), SX_L2_FAULT_MAPPED);
	for (unsigned i = 0; i < COUNT(touched); i++)
		assert_int_equal(vm.rights[touched[i] / 0x1000], R | W | X);
	for (unsigned i = 0; i < L2_PAGES; i++)
		count += vm.rights[i] != 0;
	assert_int_equal(count, COUNT(touched));
}

/* What comes first and can be mapped is mapped; the violation behind it comes out next time. */
static void first_things_first(void **state)
{
	(void)state;
	start();
	vm.has_all = false;
	CODE(0x48, 0x89, 0x03);
	ept(&w, L2_B, EPT_RX);
	assert_int_equal(fault(), SX_L2_FAULT_MAPPED);
	violates(0xb200, FINAL | W | MAY_RX);
	assert_int_equal(vm.rights[L2_B / 0x1000], 0);
}

/* With EPT12's flags a page is writable from its first store on. */
static void stores_make_pages_writable(void **state)
{
	(void)state;
	start();
	vm.has_all = false;
	w.l2.eptp = WORLD_EPTP;
	CODE(0x48, 0x8b, 0x03);
	assert_int_equal(fault(), SX_L2_FAULT_MAPPED);
	assert_int_equal(vm.rights[L2_B / 0x1000], R | X);
	assert_int_equal(vm.rights[L2_CODE / 0x1000], R | X);
	assert_int_equal(vm.rights[L2_PT / 0x1000], R | W | X);
	CODE(0x48, 0x89, 0x03);
	assert_int_equal(fault(), SX_L2_FAULT_MAPPED);
	assert_int_equal(vm.rights[L2_B / 0x1000], R | W | X);
	assert_int_equal(vm.rights[L2_CODE / 0x1000], R | X);
}

static void a_full_log_is_an_exit(void **state)
{
	(void)state;
	start();
	w.l2.eptp = WORLD_EPTP;
	sx_vmcs12_set(&w.vmx.v12, SX_VMCS_GUEST_PML_INDEX, 512);
	assert_int_equal(fault(), SX_L2_FAULT_EXIT);
	assert_int_equal(x.reason, SX_VMEXIT_PML_FULL);
}

static void misconfigurations_are_exits(void **state)
{
	(void)state;
	start();
	CODE(0x48, 0x8b, 0x03);
	ept(&w, L2_B, 0x32); /* writable, not readable */
	assert_int_equal(fault(), SX_L2_FAULT_EXIT);
	assert_int_equal(x.reason, SX_VMEXIT_EPT_MISCONFIG);
	assert_int_equal(x.physical, 0xb200);
}

static void an_entry_that_changes_is_tried_again(void **state)
{
	(void)state;
	start();
	w.l2.eptp = WORLD_EPTP;
	w.cas_error = -EAGAIN;
	assert_int_equal(fault(), SX_L2_FAULT_MAPPED);
}

/* ---- what cannot be mapped ---- */

static void memory_that_is_not_l1s(void **state)
{
	(void)state;
	start();
	vm.has_all = false;
	CODE(0x48, 0x8b, 0x03);
	put64(&w, EPT_PT + 8 * (L2_B / 0x1000), WORLD_SIZE | EPT_RWX);
	assert_int_equal(fault(), SX_L2_FAULT_MAPPED); /* all before it */
	for (unsigned tries = 0; fault() == SX_L2_FAULT_MAPPED; tries++)
		assert_true(tries < 8); /* what may be read at any time */
	assert_int_equal(fault(), SX_L2_FAULT_UNKNOWN);
}

static void a_host_without_room(void **state)
{
	(void)state;
	start();
	vm.has_all = false;
	vm.error = -ENOMEM;
	assert_int_equal(fault(), SX_L2_FAULT_UNKNOWN);
	assert_int_equal(vm.maps, 0);
}

static void without_ept(void **state)
{
	(void)state;
	start();
	memcpy(w.mem, w.mem + L2_IN_L1, L2_BYTES);
	memset(w.mem + L2_IN_L1, 0, L2_BYTES);
	memcpy(w.mem + L2_CODE, (const uint8_t[]){0x48, 0x8b, 0x03}, 3);
	w.l2.eptp = 0;
	vm.has_all = false;
	assert_int_equal(fault(), SX_L2_FAULT_MAPPED);
	assert_int_equal(vm.rights[L2_B / 0x1000], R | W | X);
	set_pte(&w, 0, 0);
	memset(w.mem + L2_PML4, 0, 0x1000); /* no tables: only L2's own page faults are left */
	vm.has_all = true;
	assert_int_equal(fault(), SX_L2_FAULT_UNKNOWN);
}

/* ---- hints ---- */

static void hints_say_what_the_code_does_not(void **state)
{
	struct sx_l2_hint hint = {.gpa = L2_A + 0x10, .access = W};

	(void)state;
	start();
	CODE(0x48, 0x89, 0xd8);
	ept(&w, L2_A, 0);
	assert_int_equal(sx_l2_fault(&w.vmx, &vm, l2_decoder(), &w.l2, &hint, &x),
			 SX_L2_FAULT_EXIT);
	assert_int_equal(x.physical, L2_A + 0x10);
	assert_int_equal(x.qualification, W);
	hint.access = 0;
	assert_int_equal(sx_l2_fault(&w.vmx, &vm, l2_decoder(), &w.l2, &hint, &x),
			 SX_L2_FAULT_EXIT);
	assert_int_equal(x.qualification, R);
	ept(&w, L2_B, 0); /* the instruction's own access knows more */
	CODE(0x48, 0x89, 0x03);
	hint.gpa = 0xb200;
	assert_int_equal(sx_l2_fault(&w.vmx, &vm, l2_decoder(), &w.l2, &hint, &x),
			 SX_L2_FAULT_EXIT);
	assert_int_equal(x.qualification, FINAL | W);
}

/* ---- hosts that walk in software ---- */

static void tables_are_mapped_beforehand(void **state)
{
	static const uint64_t there[] = {L2_PML4, L2_PDPT, L2_PD, L2_PT, L2_IDT, L2_GDT, L2_TSS};

	(void)state;
	start();
	vm.has_all = false;
	sx_l2_map_tables(&w.vmx, &vm, &w.l2);
	assert_int_equal(vm.maps, 0); /* the processor walks */
	vm.walks_in_software = true;
	put_l2(&w, L2_PDPT + 8, L2_PDPT | 0x27); /* tables that name themselves */
	put_l2(&w, L2_PDPT + 16, UINT64_C(0x7fff000) | 0x27);
	sx_l2_map_tables(&w.vmx, &vm, &w.l2);
	for (unsigned i = 0; i < COUNT(there); i++)
		assert_int_equal(vm.rights[there[i] / 0x1000], R | W | X);
	assert_int_equal(vm.rights[L2_CODE / 0x1000], 0);
	assert_int_equal(vm.rights[L2_A / 0x1000], 0);
	assert_int_equal(vm.rights[L2_KSTACK / 0x1000 - 1], 0);
	pending(SX_INTR_INFO(SX_INTR_EXTERNAL, 0x40), 0, 0);
	sx_l2_map_tables(&w.vmx, &vm, &w.l2);
	assert_int_equal(vm.rights[L2_KSTACK / 0x1000 - 1], R | W | X);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_that_are_not_there),
		cmocka_unit_test(flags_of_l2_are_writes),
		cmocka_unit_test(tables_that_the_host_wants_to_write),
		cmocka_unit_test(page_faults_of_l2_are_its_own),
		cmocka_unit_test(what_an_interrupt_needs),
		cmocka_unit_test(the_event_is_recorded),
		cmocka_unit_test(stacks_of_gates),
		cmocka_unit_test(instructions_that_raise),
		cmocka_unit_test(events_in_protected_mode),
		cmocka_unit_test(events_in_real_mode),
		cmocka_unit_test(all_that_is_touched_is_mapped),
		cmocka_unit_test(first_things_first),
		cmocka_unit_test(stores_make_pages_writable),
		cmocka_unit_test(a_full_log_is_an_exit),
		cmocka_unit_test(misconfigurations_are_exits),
		cmocka_unit_test(an_entry_that_changes_is_tried_again),
		cmocka_unit_test(memory_that_is_not_l1s),
		cmocka_unit_test(a_host_without_room),
		cmocka_unit_test(without_ept),
		cmocka_unit_test(hints_say_what_the_code_does_not),
		cmocka_unit_test(tables_are_mapped_beforehand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
