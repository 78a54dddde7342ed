// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Three pages that KVM's Intel side wants for itself below 4 GiB (api.rst, KVM_SET_TSS_ADDR),
 * where no guest memory and no device of ours lies.
 */
#define TSS_GPA          0xfffbd000ul
#define IDENTITY_MAP_GPA 0xfffbc000ull

static int set_up_kernel_pages(const struct sx_vm *vm, struct sx_error *err)
{
	uint64_t identity = IDENTITY_MAP_GPA;
	int rc;

	rc = sx_ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	if (rc == 0)
		rc = sx_ioctl(vm->fd, KVM_SET_TSS_ADDR, (void *)TSS_GPA);
	if (rc < 0)
		return sx_fail(err, rc, "KVM refuses the place of its internal pages: %s",
			       strerror(-rc));
	return 0;
}

int sx_vm_create(struct sx_vm *vm, const struct sx_kvm *kvm, struct sx_error *err)
{
	int rc;

	memset(vm, 0, sizeof(*vm));
	vm->kvm = kvm;
	vm->fd = sx_ioctl(kvm->fd, KVM_CREATE_VM, NULL);
	if (vm->fd < 0)
		return sx_fail(err, vm->fd, "KVM cannot create a VM: %s", strerror(-vm->fd));
	rc = sx_memmap_init(&vm->memory);
	if (rc < 0)
		goto fail_fd;
	vm->routes = calloc(1, sizeof(*vm->routes) +
				       SX_VM_MAX_ROUTES * sizeof(struct kvm_irq_routing_entry));
	if (!vm->routes) {
		rc = -ENOMEM;
		goto fail_memmap;
	}
	rc = set_up_kernel_pages(vm, err);
	if (rc < 0)
		goto fail_routes;
	rc = sx_ioctl(vm->fd, KVM_CREATE_IRQCHIP, NULL);
	if (rc < 0) {
		sx_fail(err, rc, "KVM cannot create its interrupt controllers: %s", strerror(-rc));
		goto fail_routes;
	}
	return 0;

fail_routes:
	free(vm->routes);
fail_memmap:
	sx_memmap_destroy(&vm->memory);
fail_fd:
	close(vm->fd);
	vm->fd = -1;
	return rc;
}

void sx_vm_destroy(struct sx_vm *vm)
{
	if (vm->fd < 0)
		return;
	close(vm->fd);
	free(vm->routes);
	sx_memmap_destroy(&vm->memory);
	vm->fd = -1;
}

static int set_slot(const struct sx_vm *vm, unsigned slot, sx_gpa gpa, uint64_t size, void *hva,
		    unsigned flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.flags = flags & SX_MEMMAP_READONLY ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return sx_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r);
}

int sx_vm_add_memory(struct sx_vm *vm, sx_gpa gpa, uint64_t size, void *hva, unsigned flags,
		     struct sx_error *err)
{
	unsigned slot = 0;
	int rc;

	while (slot < SX_VM_MAX_SLOTS && vm->slot[slot].size)
		slot++;
	if (slot == SX_VM_MAX_SLOTS)
		return sx_fail(err, -ENOSPC, "a VM has at most %d memory ranges", SX_VM_MAX_SLOTS);
	rc = sx_memmap_add(&vm->memory, gpa, size, hva, flags, err);
	if (rc < 0)
		return rc;
	rc = set_slot(vm, slot, gpa, size, hva, flags);
	if (rc < 0) {
		sx_memmap_remove(&vm->memory, gpa);
		return sx_fail(err, rc, "KVM refuses guest memory 0x%" PRIx64 "+0x%" PRIx64 ": %s",
			       gpa, size, strerror(-rc));
	}
	vm->slot[slot] = (struct sx_vm_slot){gpa, size};
	return 0;
}

int sx_vm_remove_memory(struct sx_vm *vm, sx_gpa gpa)
{
	unsigned slot = 0;
	int rc;

	while (slot < SX_VM_MAX_SLOTS && !(vm->slot[slot].size && vm->slot[slot].gpa == gpa))
		slot++;
	if (slot == SX_VM_MAX_SLOTS)
		return -ENOENT;
	rc = set_slot(vm, slot, gpa, 0, NULL, 0);
	if (rc < 0)
		return rc;
	vm->slot[slot].size = 0;
	return sx_memmap_remove(&vm->memory, gpa);
}

static int irqfd(const struct sx_vm *vm, int fd, int gsi, unsigned flags)
{
	struct kvm_irqfd q = {.fd = (uint32_t)fd, .gsi = (uint32_t)gsi, .flags = flags};

	return sx_ioctl(vm->fd, KVM_IRQFD, &q);
}

/*
 * GSIs 0 to 23 are the pins of the I/O APIC; ours follow. The table is given to KVM whole, so
 * free entries stay in it as routes to GSI 0 of the default kind would: we compact instead.
 */
#define FIRST_GSI 24

static int free_gsi(const struct sx_vm *vm)
{
	for (unsigned gsi = FIRST_GSI; gsi < FIRST_GSI + SX_VM_MAX_ROUTES; gsi++) {
		unsigned i = 0;

		while (i < vm->routes->nr && vm->routes->entries[i].gsi != gsi)
			i++;
		if (i == vm->routes->nr)
			return (int)gsi;
	}
	return -ENOSPC;
}

static void drop_route(struct sx_vm *vm, int gsi)
{
	struct kvm_irq_routing *t = vm->routes;

	for (unsigned i = 0; i < t->nr; i++)
		if (t->entries[i].gsi == (uint32_t)gsi) {
			t->entries[i] = t->entries[--t->nr];
			return;
		}
}

int sx_vm_route_msi(struct sx_vm *vm, struct sx_irq *irq, uint64_t addr, uint32_t data,
		    struct sx_error *err)
{
	int gsi = free_gsi(vm);
	int rc;

	if (gsi < 0)
		return sx_fail(err, gsi, "a VM has at most %d interrupt routes", SX_VM_MAX_ROUTES);
	vm->routes->entries[vm->routes->nr++] = (struct kvm_irq_routing_entry){
		.gsi = (uint32_t)gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {.address_lo = (uint32_t)addr,
			  .address_hi = (uint32_t)(addr >> 32),
			  .data = data},
	};
	rc = sx_ioctl(vm->fd, KVM_SET_GSI_ROUTING, vm->routes);
	if (rc < 0)
		goto fail;
	rc = irqfd(vm, irq->fd, gsi, 0);
	if (rc < 0)
		goto fail;
	return gsi;
fail:
	drop_route(vm, gsi);
	return sx_fail(err, rc, "KVM refuses an interrupt route: %s", strerror(-rc));
}

void sx_vm_unroute_msi(struct sx_vm *vm, struct sx_irq *irq, int gsi)
{
	/* Neither can fail for a route that exists; a stale one would only deliver nothing. */
	irqfd(vm, irq->fd, gsi, KVM_IRQFD_FLAG_DEASSIGN);
	drop_route(vm, gsi);
	sx_ioctl(vm->fd, KVM_SET_GSI_ROUTING, vm->routes);
}

static int ioeventfd(const struct sx_vm *vm, sx_gpa gpa, unsigned size, int fd, unsigned flags)
{
	struct kvm_ioeventfd e = {.addr = gpa, .len = size, .fd = fd, .flags = flags};

	return sx_ioctl(vm->fd, KVM_IOEVENTFD, &e);
}

int sx_vm_add_ioeventfd(struct sx_vm *vm, sx_gpa gpa, unsigned size, int fd, struct sx_error *err)
{
	int rc = ioeventfd(vm, gpa, size, fd, 0);

	if (rc < 0)
		return sx_fail(err, rc, "KVM refuses a doorbell at 0x%" PRIx64 ": %s", gpa,
			       strerror(-rc));
	return 0;
}

int sx_vm_remove_ioeventfd(struct sx_vm *vm, sx_gpa gpa, unsigned size, int fd)
{
	return ioeventfd(vm, gpa, size, fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}
