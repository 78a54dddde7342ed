// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdbool.h>
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

/*
 * The pins' routes, which KVM has until it is given a table: GSI n is pin n of the I/O APIC, and
 * below 16 a pin of a PIC as well.
 */
#define PIC_PINS    8u
#define IOAPIC_PINS 24u
#define PIN_ROUTES  (2 * PIC_PINS + IOAPIC_PINS)

static struct kvm_irq_routing_entry pin_route(unsigned gsi, unsigned chip, unsigned pin)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = {.irqchip = chip, .pin = pin},
	};
}

static void add_pin_routes(struct kvm_irq_routing *t)
{
	for (unsigned gsi = 0; gsi < IOAPIC_PINS; gsi++)
		t->entries[t->nr++] = pin_route(gsi, KVM_IRQCHIP_IOAPIC, gsi);
	for (unsigned gsi = 0; gsi < PIC_PINS; gsi++)
		t->entries[t->nr++] = pin_route(gsi, KVM_IRQCHIP_PIC_MASTER, gsi);
	for (unsigned gsi = 0; gsi < PIC_PINS; gsi++)
		t->entries[t->nr++] = pin_route(PIC_PINS + gsi, KVM_IRQCHIP_PIC_SLAVE, gsi);
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
	pthread_mutex_init(&vm->lock, NULL);
	vm->routes = calloc(1, sizeof(*vm->routes) + (PIN_ROUTES + SX_VM_MAX_ROUTES) *
							     sizeof(struct kvm_irq_routing_entry));
	if (!vm->routes) {
		rc = -ENOMEM;
		goto fail_memmap;
	}
	add_pin_routes(vm->routes);
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
	pthread_mutex_destroy(&vm->lock);
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
	pthread_mutex_destroy(&vm->lock);
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

static int add_memory(struct sx_vm *vm, sx_gpa gpa, uint64_t size, void *hva, unsigned flags,
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

int sx_vm_add_memory(struct sx_vm *vm, sx_gpa gpa, uint64_t size, void *hva, unsigned flags,
		     struct sx_error *err)
{
	int rc;

	pthread_mutex_lock(&vm->lock);
	rc = add_memory(vm, gpa, size, hva, flags, err);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

static int remove_memory(struct sx_vm *vm, sx_gpa gpa)
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

int sx_vm_remove_memory(struct sx_vm *vm, sx_gpa gpa)
{
	int rc;

	pthread_mutex_lock(&vm->lock);
	rc = remove_memory(vm, gpa);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

static int irqfd(const struct sx_vm *vm, int fd, int gsi, unsigned flags)
{
	struct kvm_irqfd q = {.fd = (uint32_t)fd, .gsi = (uint32_t)gsi, .flags = flags};

	return sx_ioctl(vm->fd, KVM_IRQFD, &q);
}

/* ---- messages: GSIs from FIRST_GSI on; those below are the pins ---- */

#define FIRST_GSI IOAPIC_PINS

static struct kvm_irq_routing_entry *find_route(const struct sx_vm *vm, int gsi)
{
	for (unsigned i = PIN_ROUTES; i < vm->routes->nr; i++)
		if (vm->routes->entries[i].gsi == (uint32_t)gsi)
			return &vm->routes->entries[i];
	return NULL;
}

static int free_gsi(const struct sx_vm *vm)
{
	bool used[SX_VM_MAX_ROUTES] = {0};

	for (unsigned i = PIN_ROUTES; i < vm->routes->nr; i++)
		used[vm->routes->entries[i].gsi - FIRST_GSI] = true;
	for (unsigned i = 0; i < SX_VM_MAX_ROUTES; i++)
		if (!used[i])
			return (int)(FIRST_GSI + i);
	return -ENOSPC;
}

/* KVM takes the table whole. */
static int show_routes(const struct sx_vm *vm)
{
	return sx_ioctl(vm->fd, KVM_SET_GSI_ROUTING, vm->routes);
}

static void drop_route(struct sx_vm *vm, struct sx_irq *irq)
{
	struct kvm_irq_routing_entry *e = find_route(vm, irq->route);

	irqfd(vm, irq->fd, irq->route, KVM_IRQFD_FLAG_DEASSIGN);
	if (e)
		*e = vm->routes->entries[--vm->routes->nr];
	irq->route = -1;
	/* A table that is a part of one that KVM took is taken too. */
	show_routes(vm);
}

static int add_route(struct sx_vm *vm, struct sx_irq *irq, const struct kvm_irq_routing_msi *msi)
{
	int rc = free_gsi(vm);

	if (rc < 0)
		return rc;
	irq->route = rc;
	vm->routes->entries[vm->routes->nr++] = (struct kvm_irq_routing_entry){
		.gsi = (uint32_t)irq->route,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = *msi,
	};
	rc = show_routes(vm);
	if (rc == 0)
		rc = irqfd(vm, irq->fd, irq->route, 0);
	if (rc < 0)
		drop_route(vm, irq);
	return rc;
}

/* The irqfd stays: an interrupt goes where the old route says or where the new one does. */
static int change_route(struct sx_vm *vm, struct sx_irq *irq, const struct kvm_irq_routing_msi *msi)
{
	struct kvm_irq_routing_entry *e = find_route(vm, irq->route);
	int rc;

	if (!e)
		return -EINVAL;
	e->u.msi = *msi;
	rc = show_routes(vm);
	if (rc < 0)
		drop_route(vm, irq);
	return rc;
}

static int route(void *ctx, struct sx_irq *irq, uint64_t addr, uint32_t data)
{
	struct kvm_irq_routing_msi msi = {
		.address_lo = (uint32_t)addr,
		.address_hi = (uint32_t)(addr >> 32),
		.data = data,
	};
	struct sx_vm *vm = ctx;
	int rc;

	pthread_mutex_lock(&vm->lock);
	rc = irq->route < 0 ? add_route(vm, irq, &msi) : change_route(vm, irq, &msi);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

static void unroute(void *ctx, struct sx_irq *irq)
{
	struct sx_vm *vm = ctx;

	pthread_mutex_lock(&vm->lock);
	if (irq->route >= 0)
		drop_route(vm, irq);
	pthread_mutex_unlock(&vm->lock);
}

struct sx_irq_router sx_vm_router(struct sx_vm *vm)
{
	return (struct sx_irq_router){.route = route, .unroute = unroute, .ctx = vm};
}

int sx_vm_route_msi(struct sx_vm *vm, struct sx_irq *irq, uint64_t addr, uint32_t data,
		    struct sx_error *err)
{
	int rc = route(vm, irq, addr, data);

	if (rc == -ENOSPC)
		return sx_fail(err, rc, "a VM has at most %d interrupt routes", SX_VM_MAX_ROUTES);
	if (rc < 0)
		return sx_fail(err, rc, "KVM refuses an interrupt route: %s", strerror(-rc));
	return irq->route;
}

void sx_vm_unroute_msi(struct sx_vm *vm, struct sx_irq *irq, int gsi)
{
	if (irq->route == gsi)
		unroute(vm, irq);
}

int sx_vm_connect_pin(struct sx_vm *vm, const struct sx_irq *irq, unsigned gsi,
		      struct sx_error *err)
{
	int rc = gsi < IOAPIC_PINS ? irqfd(vm, irq->fd, (int)gsi, 0) : -EINVAL;

	if (rc < 0)
		return sx_fail(err, rc, "KVM refuses an interrupt on pin %u: %s", gsi,
			       strerror(-rc));
	return 0;
}

int sx_vm_add_timer(struct sx_vm *vm, struct sx_error *err)
{
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	int rc = sx_ioctl(vm->fd, KVM_CREATE_PIT2, &pit);

	if (rc < 0)
		return sx_fail(err, rc, "KVM cannot create its 8254 timer: %s", strerror(-rc));
	return 0;
}

int sx_vm_keep_idle_in_guest(struct sx_vm *vm, struct sx_error *err)
{
	const unsigned want = KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_PAUSE;
	int have = sx_ioctl(vm->fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_X86_DISABLE_EXITS);
	struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_DISABLE_EXITS, .args = {want}};
	int rc;

	if (have < 0 || !(have & KVM_X86_DISABLE_EXITS_HLT))
		return sx_fail(err, -ENOTSUP,
			       "this host's KVM cannot leave HLT to the guest; use --idle halt");
	cap.args[0] &= (unsigned)have;
	rc = sx_ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
	if (rc < 0)
		return sx_fail(err, rc, "KVM refuses to leave HLT to the guest: %s", strerror(-rc));
	return 0;
}

/* What the filter denies comes out as an exit, for which KVM_CAP_X86_USER_SPACE_MSR asks. */
int sx_vm_take_msrs(struct sx_vm *vm, const struct sx_msr_range *range, unsigned count,
		    struct sx_error *err)
{
	static const uint64_t none[(SX_VM_MAX_MSRS + 63) / 64];
	struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_USER_SPACE_MSR,
				     .args = {KVM_MSR_EXIT_REASON_FILTER}};
	struct kvm_msr_filter filter = {.flags = KVM_MSR_FILTER_DEFAULT_ALLOW};
	int rc;

	if (count > SX_VM_MAX_MSR_RANGES)
		return sx_fail(err, -EINVAL, "at most %d ranges of MSRs can be taken",
			       SX_VM_MAX_MSR_RANGES);
	for (unsigned i = 0; i < count; i++) {
		if (range[i].count < 1 || range[i].count > SX_VM_MAX_MSRS)
			return sx_fail(err, -EINVAL, "a range of MSRs has 1 to %d", SX_VM_MAX_MSRS);
		filter.ranges[i] = (struct kvm_msr_filter_range){
			.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			.base = range[i].first,
			.nmsrs = range[i].count,
			.bitmap = (uint8_t *)(uintptr_t)none,
		};
	}
	rc = sx_ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
	if (rc == 0)
		rc = sx_ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &filter);
	if (rc < 0)
		return sx_fail(err, rc,
			       "KVM does not let go of MSRs: %s; use a kernel from 5.10 on",
			       strerror(-rc));
	return 0;
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
