// SPDX-License-Identifier: BSD-3-Clause
/*
 * An L2 VM: the sibling KVM VM that runs the guests of one EPT12 root of one L1.
 *
 * Its memory is L1's, seen through EPT12. Windows of reserved address space are its memory slots;
 * a page that EPT12 maps is mapped into its window from L1's memory (mmap of the file behind it),
 * so that neighbours merge in the host's own tables and no slot is changed while L2 runs. What is
 * not mapped has no page: KVM_RUN says -EFAULT with L2's registers as they were before the
 * instruction, which an EPT violation needs, while an address without a slot would come out half
 * executed (Documentation/virt/kvm/api.rst, KVM_EXIT_MMIO).
 *
 * A page can be unreadable, readable, or writable. That EPT12 forbids to execute it, or to read
 * it, is seen when L2 first touches it and not once it is mapped.
 *
 * One owner at a time: who owns the engine of the L1 that it belongs to. L2 may run meanwhile.
 */
#ifndef SX_NESTED_L2_VM_H
#define SX_NESTED_L2_VM_H

#include "guestcore/kvm.h"
#include "nested/ept12.h"

/* A part of L1's physical memory, and the file that it is. */
struct sx_l1_range {
	uint64_t gpa;
	uint64_t size; /* both multiples of 4 KiB, as is @offset */
	int fd;        /* stays the caller's; open as long as the L2 VM lives; not of hugepages */
	uint64_t offset;
	bool readonly;
};

struct sx_l2_vm;

/* @ranges stay the caller's and must outlive the VM. It has no interrupt controllers: L1 has. */
int sx_l2_vm_create(struct sx_l2_vm **vm, const struct sx_kvm *kvm,
		    const struct sx_l1_range *ranges, unsigned count, struct sx_error *err);
/* All its vCPUs are closed. NULL is allowed. */
void sx_l2_vm_destroy(struct sx_l2_vm *vm);

/* The file descriptor of the KVM VM. */
int sx_l2_vm_fd(const struct sx_l2_vm *vm);

/* Does KVM walk L2's page tables in software, because it uses no EPT or NPT of the processor? */
bool sx_l2_vm_walks_in_software(const struct sx_l2_vm *vm);

/*
 * Let L2 reach the 4 KiB page at @gpa as @map says: SX_ACCESS_WRITE of its rights makes it
 * writable, if L1's memory is; of a larger page of EPT12 the 2 MiB around @gpa are mapped along, as
 * far as they are memory of L1. 0; -EFAULT when @map leads to no memory of L1, or @gpa lies where
 * the VM can have no memory; -ENOMEM when the host has no room for more mappings, also after all
 * others were dropped.
 */
int sx_l2_vm_map(struct sx_l2_vm *vm, uint64_t gpa, const struct sx_ept12_map *map);

/* Is the page at @gpa mapped to where @map leads, with all of its rights? */
bool sx_l2_vm_has(const struct sx_l2_vm *vm, uint64_t gpa, const struct sx_ept12_map *map);

/*
 * Where the page at @gpa is mapped to, if that is with all of @rights. It is as a processor's
 * cached translation: L1 may have changed EPT12 since, and did not say so.
 */
bool sx_l2_vm_find(const struct sx_l2_vm *vm, uint64_t gpa, unsigned rights, uint64_t *l1);

/*
 * INVEPT, or another change that L1 made known: every page that is mapped is looked up under
 * @eptp again, and those that now lead elsewhere, or nowhere, lost rights, or lost an accessed or
 * dirty flag that L2 must set again, go. Others stay.
 */
void sx_l2_vm_revalidate(struct sx_l2_vm *vm, struct sx_vmx *vmx, uint64_t eptp);

/* All of it goes. */
void sx_l2_vm_unmap_all(struct sx_l2_vm *vm);

/* How many pages of 4 KiB are mapped. */
uint64_t sx_l2_vm_pages(const struct sx_l2_vm *vm);

#endif
