// SPDX-License-Identifier: BSD-3-Clause
/*
 * A VM: memory slots, the in-kernel interrupt controllers, interrupt routes and doorbells.
 *
 * Created and destroyed by one thread. Memory and routes may be changed by any thread meanwhile;
 * none of it is for a data path. The memory map (ipc/memmap.h) is read by devices on other threads.
 */
#ifndef SX_GUESTCORE_VM_H
#define SX_GUESTCORE_VM_H

#include <pthread.h>
#include <stdint.h>

#include "guestcore/kvm.h"
#include "ipc/irq.h"
#include "ipc/memmap.h"
#include "ipc/region.h"

#define SX_VM_MAX_SLOTS  256
#define SX_VM_MAX_ROUTES 2048 /* of messages */

struct kvm_irq_routing;

struct sx_vm_slot {
	sx_gpa gpa;
	uint64_t size; /* 0: the slot is free */
};

struct sx_vm {
	const struct sx_kvm *kvm;
	int fd;
	struct sx_memmap memory;
	pthread_mutex_t lock; /* of all that follows */
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
 * Make @irq, which has no route, deliver the message (@addr, @data), SDM Vol. 3A 11.11. Returns the
 * GSI used, which sx_vm_unroute_msi() gives back.
 */
int sx_vm_route_msi(struct sx_vm *vm, struct sx_irq *irq, uint64_t addr, uint32_t data,
		    struct sx_error *err);
void sx_vm_unroute_msi(struct sx_vm *vm, struct sx_irq *irq, int gsi);

/* The same for devices, which do not know KVM; irq->route is the GSI. */
struct sx_irq_router sx_vm_router(struct sx_vm *vm);

/*
 * Make @irq an edge on pin @gsi (0 to 23) of the interrupt controllers, for a device that does not
 * send messages. It lasts until the VM or the irq's eventfd is closed.
 */
int sx_vm_connect_pin(struct sx_vm *vm, const struct sx_irq *irq, unsigned gsi,
		      struct sx_error *err);

/* The PC's 8254 timer and the speaker's port, for kernels that know no newer one. */
int sx_vm_add_timer(struct sx_vm *vm, struct sx_error *err);

/*
 * Let the guest's HLT and PAUSE run without an exit: its cores are its own. Before the first vCPU.
 */
int sx_vm_keep_idle_in_guest(struct sx_vm *vm, struct sx_error *err);

/* MSRs from @first on. */
struct sx_msr_range {
	uint32_t first;
	uint32_t count; /* 1 to SX_VM_MAX_MSRS */
};

#define SX_VM_MAX_MSRS       64
#define SX_VM_MAX_MSR_RANGES 16

/*
 * Have guests' RDMSR and WRMSR of these exit to each vCPU's `msrs` (guestcore/vcpu.h), whatever KVM
 * itself would say. Before the first vCPU runs.
 */
int sx_vm_take_msrs(struct sx_vm *vm, const struct sx_msr_range *range, unsigned count,
		    struct sx_error *err);

/*
 * Have KVM turn a write of @size bytes (0: any size) at @gpa into a signal on eventfd @fd, in the
 * kernel, without an exit to userspace. The trap-mode doorbell that benchmarks compare with.
 */
int sx_vm_add_ioeventfd(struct sx_vm *vm, sx_gpa gpa, unsigned size, int fd, struct sx_error *err);
int sx_vm_remove_ioeventfd(struct sx_vm *vm, sx_gpa gpa, unsigned size, int fd);

#endif
