// SPDX-License-Identifier: BSD-3-Clause
/*
 * What surrounds a virtio PCI device in a test, with no KVM: guest memory, a bus, a PCI root, and
 * somebody who takes interrupts; and the driver that finds the device there as a guest would, by
 * reads and writes of guest-physical addresses only.
 *
 * As the rest of tests/support/virtio_*, it aborts where it cannot be set up, and needs no cmocka.
 */
#ifndef SX_TESTS_SUPPORT_VIRTIO_WORLD_H
#define SX_TESTS_SUPPORT_VIRTIO_WORLD_H

#include "sidecore/virtio/pci.h"
#include "tests/support/virtio_driver.h"

#define VW_RAM       0x0ull
#define VW_ECAM      0xe0000000ull
#define VW_LOW       0xc0000000ull /* the windows for BARs */
#define VW_LOW_SIZE  0x10000000ull
#define VW_HIGH      0x8000000000ull
#define VW_HIGH_SIZE 0x100000000ull

#define VW_MAX_ROUTES 512
#define VW_MAX_PAGES  16

struct vw_route {
	struct sx_irq *irq; /* NULL: free */
	uint64_t addr;
	uint32_t data;
};

struct vw_page {
	sx_gpa gpa;
	uint64_t size;
	void *hva; /* NULL: free */
};

struct vw_world {
	struct vd_memory memory;
	struct sx_bus bus;
	struct sx_pci_host host;
	struct vw_route route[VW_MAX_ROUTES];
	struct vw_page page[VW_MAX_PAGES];
	bool refuse_routes; /* as a host without any left does */
	uint64_t routed, unrouted;
};

/* The calling thread is an RCU reader from here to vw_destroy(). */
void vw_init(struct vw_world *w, size_t ram);
void vw_destroy(struct vw_world *w);

/* A device of this world in trap mode, or for a poller. */
struct sx_virtio_env vw_env(const struct vw_world *w, bool polled);

/* An access by the guest, to a page where one is mapped, else on the bus. */
uint64_t vw_read(struct vw_world *w, uint64_t addr, unsigned size);
void vw_write(struct vw_world *w, uint64_t addr, unsigned size, uint64_t value);
/* The same in configuration space. */
uint64_t vw_config_read(struct vw_world *w, unsigned devfn, unsigned offset, unsigned size);
void vw_config_write(struct vw_world *w, unsigned devfn, unsigned offset, unsigned size,
		     uint64_t value);

/* How many messages (@addr, @data) came since the last time it was asked. */
unsigned vw_interrupts(struct vw_world *w, uint64_t addr, uint32_t data);

/* ---- the driver ---- */

#define VW_MAX_QUEUES 16
#define VW_MESSAGE    0xfee00000ull /* where vectors are sent; a vector's data is its number */

struct vw_driver {
	struct vw_world *w;
	unsigned devfn;
	uint64_t common, notify, isr, config, msix; /* guest addresses; 0: there is none */
	uint32_t notify_multiplier;
	unsigned window;   /* offset of the configuration access capability */
	unsigned msix_cap; /* offset of MSI-X */
	uint64_t features; /* negotiated */
	uint64_t notify_at[VW_MAX_QUEUES];
	struct vd_queue queue[VW_MAX_QUEUES];
	unsigned queues; /* so many are set up */
};

/* Find the device's structures, switch memory decoding and MSI-X on. 0, or -ENODEV. */
int vw_probe(struct vw_driver *d, struct vw_world *w, unsigned devfn);

/* Registers of the common configuration. */
uint64_t vw_get(struct vw_driver *d, unsigned offset, unsigned size);
void vw_set(struct vw_driver *d, unsigned offset, unsigned size, uint64_t value);
uint8_t vw_status(struct vw_driver *d);

/* Reset, acknowledge, and take those of @wanted that are offered. 0, or -EPROTO when refused. */
int vw_negotiate(struct vw_driver *d, uint64_t wanted);

/* Set queue @d->queues up with @size entries (0: as many as the device has) and its own vector. */
struct vd_queue *vw_add_queue(struct vw_driver *d, uint16_t size);

/* DRIVER_OK; the configuration's vector is the one after the queues'. */
void vw_start(struct vw_driver *d);

/* Reset and forget the queues. */
void vw_stop(struct vw_driver *d);

/* All of it: probe, negotiate, @queues queues, start. Aborts when refused. */
void vw_bring_up(struct vw_driver *d, struct vw_world *w, unsigned devfn, uint64_t wanted,
		 unsigned queues, uint16_t size);

/* Show the device what was added to queue @index, and notify it if it asks for that. */
void vw_kick(struct vw_driver *d, unsigned index);
/* Notify it, asked or not. */
void vw_notify(struct vw_driver *d, unsigned index);

/* Interrupts of queue @index, and of configuration changes, since the last time. */
unsigned vw_queue_interrupts(struct vw_driver *d, unsigned index);
unsigned vw_config_interrupts(struct vw_driver *d);

#endif
