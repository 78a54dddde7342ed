// SPDX-License-Identifier: BSD-3-Clause
/*
 * A VM: memory slots, the in-kernel interrupt controllers, interrupt routes and doorbells.
 *
 * Set up and torn down by one thread. The memory map it fills (ipc/memmap.h) is read by devices
 * on other threads.
 */
#ifndef SX_GUESTCORE_VM_H
#define SX_GUESTCORE_VM_H

#include <stdint.h>

#include "guestcore/kvm.h"
#include "ipc/irq.h"
#include "ipc/memmap.h"
#include "ipc/region.h"

#define SX_VM_MAX_SLOTS  64
#define SX_VM_MAX_ROUTES 256

struct kvm_irq_routing;

struct sx_vm_slot {
	sx_gpa gpa;
	uint64_t size; /* 0: the slot is free */
};

struct sx_vm {
	const struct sx_kvm *kvm;
	int fd;
	struct sx_memmap memory;
	struct sx_vm_slot slot[SX_VM_MAX_SLOTS];
	struct kvm_irq_routing *routes; /* the table last given to KVM */
};

int sx_vm_create(struct sx_vm *vm, const struct sx_kvm *kvm, struct sx_error *err);

/* All vCPUs destroyed, no thread uses the memory map. Safe on a zeroed struct with fd -1. */
void sx_vm_destroy(struct sx_vm *vm);

/*
 * Give the guest [gpa, gpa + size) of host memory at @hva, and enter it in the memory map.
 * @flags: enum sx_memmap_flags.
 */
int sx_vm_add_memory(struct sx_vm *vm, sx_gpa gpa, uint64_t size, void *hva, unsigned flags,
		     struct sx_error *err);

/* Take it back. The calling thread must not be an online RCU reader. */
int sx_vm_remove_memory(struct sx_vm *vm, sx_gpa gpa);

/*
 * Make @irq deliver the message (@addr, @data), SDM Vol. 3A 11.11. Returns the GSI used, which
 * sx_vm_unroute_msi() gives back.
 */
int sx_vm_route_msi(struct sx_vm *vm, struct sx_irq *irq, uint64_t addr, uint32_t data,
		    struct sx_error *err);
void sx_vm_unroute_msi(struct sx_vm *vm, struct sx_irq *irq, int gsi);

/*
 * Have KVM turn a write of @size bytes (0: any size) at @gpa into a signal on eventfd @fd, in the
 * kernel, without an exit to userspace. The trap-mode doorbell that benchmarks compare with.
 */
int sx_vm_add_ioeventfd(struct sx_vm *vm, sx_gpa gpa, unsigned size, int fd, struct sx_error *err);
int sx_vm_remove_ioeventfd(struct sx_vm *vm, sx_gpa gpa, unsigned size, int fd);

#endif
