// SPDX-License-Identifier: BSD-3-Clause
/*
 * Interrupt routes of a VM, seen where they end: in the request register of a vCPU's local APIC.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/kvm.h>

#include "guestcore/vcpu.h"

#define MSI_ADDRESS 0xfee00000ull

/* Offsets of local APIC registers, SDM Vol. 3A table 11-1. */
#define APIC_SVR 0xf0
#define APIC_IRR 0x200
#define IOAPIC   KVM_IRQCHIP_IOAPIC

struct world {
	struct sx_kvm kvm;
	struct sx_vm vm;
	struct sx_vcpu vcpu;
	struct sx_irq irq[2];
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct sx_error err = {0};

	*state = w;
	if (!w)
		return -1;
	w->vm.fd = w->vcpu.fd = w->kvm.fd = -1;
	if (sx_kvm_open(&w->kvm, &err) < 0)
		return 0;
	if (sx_vm_create(&w->vm, &w->kvm, &err) < 0 ||
	    sx_vcpu_create(&w->vcpu, &w->vm, 0, &err) < 0)
		return -1;
	for (unsigned i = 0; i < 2; i++)
		if (sx_irq_init(&w->irq[i], &err) < 0)
			return -1;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	if (w->kvm.fd >= 0) {
		sx_irq_destroy(&w->irq[0]);
		sx_irq_destroy(&w->irq[1]);
	}
	sx_vcpu_destroy(&w->vcpu);
	sx_vm_destroy(&w->vm);
	sx_kvm_close(&w->kvm);
	free(w);
	return 0;
}

static uint32_t get32(const struct kvm_lapic_state *apic, unsigned at)
{
	uint32_t v;

	memcpy(&v, apic->regs + at, sizeof(v));
	return v;
}

/* Make the local APIC take interrupts, and forget those that it has. */
static void reset_apic(struct world *w)
{
	const uint32_t svr = 0x1ff, none[8 * 4] = {0};
	struct kvm_lapic_state apic;

	assert_int_equal(sx_ioctl(w->vcpu.fd, KVM_GET_LAPIC, &apic), 0);
	memcpy(apic.regs + APIC_SVR, &svr, sizeof(svr));
	memcpy(apic.regs + APIC_IRR, none, sizeof(none));
	assert_int_equal(sx_ioctl(w->vcpu.fd, KVM_SET_LAPIC, &apic), 0);
}

static struct world *world_of(void **state)
{
	struct world *w = *state;

	if (w->kvm.fd < 0) {
		print_message("there is no /dev/kvm that can be used\n");
		skip();
	}
	reset_apic(w);
	return w;
}

/* The vector that was requested, -1: none, -2: several. */
static int requested(struct world *w)
{
	struct kvm_lapic_state apic;
	int found = -1;

	assert_int_equal(sx_ioctl(w->vcpu.fd, KVM_GET_LAPIC, &apic), 0);
	for (int v = 0; v < 256; v++)
		if (get32(&apic, APIC_IRR + (unsigned)v / 32 * 16) >> (v % 32) & 1)
			found = found == -1 ? v : -2;
	return found;
}

/* An irqfd may deliver a little later. */
static void want_vector(struct world *w, struct sx_irq *irq, int vector)
{
	assert_int_equal(sx_irq_raise(irq), 0);
	for (unsigned tries = 0; tries < 5000 && requested(w) == -1; tries++)
		usleep(1000);
	assert_int_equal(requested(w), vector);
	reset_apic(w);
}

static void want_nothing(struct world *w, struct sx_irq *irq)
{
	assert_int_equal(sx_irq_raise(irq), 0);
	usleep(20000);
	assert_int_equal(requested(w), -1);
}

static void a_message_is_delivered_where_it_says(void **state)
{
	struct world *w = world_of(state);
	struct sx_irq_router r = sx_vm_router(&w->vm);

	assert_int_equal(r.route(r.ctx, &w->irq[0], MSI_ADDRESS, 0x41), 0);
	assert_true(w->irq[0].route >= 24);
	assert_int_equal(r.route(r.ctx, &w->irq[1], MSI_ADDRESS, 0x42), 0);
	assert_int_not_equal(w->irq[0].route, w->irq[1].route);
	want_vector(w, &w->irq[0], 0x41);
	want_vector(w, &w->irq[1], 0x42);
}

static void a_route_can_be_changed_in_place(void **state)
{
	struct world *w = world_of(state);
	struct sx_irq_router r = sx_vm_router(&w->vm);
	int gsi;

	assert_int_equal(r.route(r.ctx, &w->irq[0], MSI_ADDRESS, 0x41), 0);
	gsi = w->irq[0].route;
	assert_int_equal(r.route(r.ctx, &w->irq[0], MSI_ADDRESS, 0x55), 0);
	assert_int_equal(w->irq[0].route, gsi);
	want_vector(w, &w->irq[0], 0x55);
}

static void a_route_that_was_taken_back_delivers_nothing(void **state)
{
	struct world *w = world_of(state);
	struct sx_irq_router r = sx_vm_router(&w->vm);

	assert_int_equal(r.route(r.ctx, &w->irq[0], MSI_ADDRESS, 0x41), 0);
	assert_int_equal(r.route(r.ctx, &w->irq[1], MSI_ADDRESS, 0x42), 0);
	r.unroute(r.ctx, &w->irq[0]);
	assert_int_equal(w->irq[0].route, -1);
	want_nothing(w, &w->irq[0]);
	want_vector(w, &w->irq[1], 0x42);
	r.unroute(r.ctx, &w->irq[0]);
	/* What was signalled meanwhile waits in the eventfd. */
	assert_int_equal(r.route(r.ctx, &w->irq[0], MSI_ADDRESS, 0x43), 0);
	want_vector(w, &w->irq[0], 0x43);
}

static void routes_end_somewhere(void **state)
{
	struct world *w = world_of(state);
	struct sx_irq_router r = sx_vm_router(&w->vm);
	struct kvm_irq_routing *t = w->vm.routes;
	struct sx_error err = {0};
	unsigned pins = t->nr;

	assert_int_equal(r.route(r.ctx, &w->irq[0], MSI_ADDRESS, 0x41), 0);
	for (unsigned i = 1; i < SX_VM_MAX_ROUTES; i++) {
		t->entries[t->nr] = t->entries[pins];
		t->entries[t->nr++].gsi = 24 + i;
	}
	assert_int_equal(sx_vm_route_msi(&w->vm, &w->irq[1], MSI_ADDRESS, 0x42, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "interrupt routes"));
	assert_int_equal(w->irq[1].route, -1);
	t->entries[t->nr - 2].gsi = t->entries[t->nr - 1].gsi;
	t->nr--;
	assert_int_equal(r.route(r.ctx, &w->irq[1], MSI_ADDRESS, 0x42), 0);
	want_vector(w, &w->irq[1], 0x42);
}

/* Pin 4, as the guest programs it: vector 0x34, edge, to APIC 0. */
static void pins_stay_connected_beside_messages(void **state)
{
	struct world *w = world_of(state);
	struct sx_irq_router r = sx_vm_router(&w->vm);
	struct kvm_irqchip chip = {.chip_id = IOAPIC};
	struct sx_error err = {0};

	assert_int_equal(sx_ioctl(w->vm.fd, KVM_GET_IRQCHIP, &chip), 0);
	chip.chip.ioapic.redirtbl[4].bits = 0x34;
	assert_int_equal(sx_ioctl(w->vm.fd, KVM_SET_IRQCHIP, &chip), 0);
	assert_int_equal(r.route(r.ctx, &w->irq[1], MSI_ADDRESS, 0x42), 0);
	assert_int_equal(sx_vm_connect_pin(&w->vm, &w->irq[0], 4, &err), 0);
	want_vector(w, &w->irq[0], 0x34);
	want_vector(w, &w->irq[0], 0x34); /* each raise is an edge */
	assert_int_equal(sx_vm_connect_pin(&w->vm, &w->irq[0], 24, &err), -EINVAL);
	assert_non_null(strstr(err.text, "pin 24"));
}

#define CASE(F) cmocka_unit_test_setup_teardown(F, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_message_is_delivered_where_it_says),
		CASE(a_route_can_be_changed_in_place),
		CASE(a_route_that_was_taken_back_delivers_nothing),
		CASE(routes_end_somewhere),
		CASE(pins_stay_connected_beside_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
