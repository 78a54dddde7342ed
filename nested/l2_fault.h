// SPDX-License-Identifier: BSD-3-Clause
/*
 * L2 touched what its VM does not map: KVM_RUN said -EFAULT, and not which address.
 *
 * The registers are those before the instruction, so its accesses are gone through in software, in
 * the order of a processor: the fetch, by L2's page tables, which EPT12 translates in turn; then
 * what the instruction reads and writes, implicitly too; then what the delivery of an event needs.
 * The first that EPT12 maps and the VM does not is mapped; the first that EPT12 does not map is
 * L1's exit.
 */
#ifndef SX_NESTED_L2_FAULT_H
#define SX_NESTED_L2_FAULT_H

#include "nested/l2_insn.h"
#include "nested/l2_vm.h"

enum sx_l2_fault_outcome {
	SX_L2_FAULT_MAPPED,  /* run L2 again */
	SX_L2_FAULT_EXIT,    /* @exit is filled: EPT violation, misconfiguration or full PML */
	SX_L2_FAULT_UNKNOWN, /* all that could be found is there */
};

/*
 * @hint: the L2-physical address, where KVM said it (KVM_EXIT_MEMORY_FAULT, KVM_EXIT_MMIO), with
 * the access; NULL otherwise. With EPT off in the snapshot (@state->eptp 0), L2's physical
 * addresses are L1's, and what is no memory of L1 is SX_L2_FAULT_UNKNOWN.
 */
struct sx_l2_hint {
	uint64_t gpa;
	unsigned access; /* SX_ACCESS_* */
};

enum sx_l2_fault_outcome sx_l2_fault(struct sx_vmx *vmx, struct sx_l2_vm *vm,
				     struct sx_l2_decoder *decoder,
				     const struct sx_vmx_guest_state *state,
				     const struct sx_l2_hint *hint, struct sx_vmx_exit *exit);

/*
 * Before each time that L1 lets L2 run. A KVM that walks L2's page tables in software takes one
 * that has no page for a page fault of L2's own, and does not say -EFAULT. There, the tables under
 * CR3, the IDT, GDT and TSS, and what the delivery of @state's event needs are mapped, as far as
 * EPT12 maps them; tables that L2 adds later are mapped because it writes them. Where the processor
 * walks, this does nothing.
 */
void sx_l2_map_tables(struct sx_vmx *vmx, struct sx_l2_vm *vm,
		      const struct sx_vmx_guest_state *state);

#endif
