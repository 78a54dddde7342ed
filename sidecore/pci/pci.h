// SPDX-License-Identifier: BSD-3-Clause
/*
 * A PCI Express root: one bus, its configuration space by ECAM (PCIe 5.0, 7.2.2), functions with
 * BARs that the guest sizes, moves and enables.
 *
 * A BAR is of one of two kinds. *exit*: a range on the bus, whose accesses the function handles.
 * *page*: plain memory that the guest maps, which costs it no exit (a shared page). Either is
 * there only while memory decoding is on and the BAR lies inside the root's windows.
 *
 * Functions are added before the guest runs. From then on configuration space and BARs belong to
 * the VM's control thread: whoever holds the device lock in trap mode, the first exit server's
 * sidecore in split mode.
 */
#ifndef SX_SIDECORE_PCI_PCI_H
#define SX_SIDECORE_PCI_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"
#include "ipc/irq.h"
#include "ipc/memmap.h"
#include "sidecore/bus.h"

#define SX_PCI_SLOTS     32
#define SX_PCI_FUNCTIONS 8
#define SX_PCI_DEVFNS    (SX_PCI_SLOTS * SX_PCI_FUNCTIONS)
#define SX_PCI_ECAM_SIZE (1ull << 20) /* of one bus: 4 KiB for each function */
#define SX_PCI_CONFIG    256          /* bytes that a function has there; the rest is 0 */
#define SX_PCI_BARS      6

#define SX_PCI_DEVFN(SLOT, FUNCTION) ((SLOT) << 3 | (FUNCTION))
#define SX_PCI_ANY                   (-1) /* the next free slot, function 0 */

/*
 * How a page BAR gets into guest memory, without knowing KVM. Whoever runs the guest supplies it.
 * Called on the control thread, offline as an RCU reader.
 */
struct sx_page_mapper {
	/* The guest finds @size bytes at @hva at @gpa from now on. -EEXIST where memory is. */
	int (*map)(void *ctx, sx_gpa gpa, uint64_t size, void *hva);
	void (*unmap)(void *ctx, sx_gpa gpa);
	void *ctx;
};

struct sx_pci_window {
	uint64_t base;
	uint64_t size; /* 0: there is none */
};

struct sx_pci_host_config {
	struct sx_bus *bus;
	uint64_t ecam; /* where configuration space lies, SX_PCI_ECAM_SIZE bytes; 1 MiB aligned */
	struct sx_pci_window low;  /* for BARs, below 4 GiB */
	struct sx_pci_window high; /* for 64-bit BARs; optional */
	struct sx_page_mapper mapper;
	struct sx_irq_router router;
};

struct sx_pci_ids {
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem;
	uint32_t class_code; /* 24 bits: class, subclass, interface */
	uint8_t revision;
};

enum sx_pci_bar_flags {
	SX_PCI_BAR_64 = 1, /* takes two BARs; placed in the high window if there is one */
	SX_PCI_BAR_PREFETCH = 2,
};

struct sx_pci_bar {
	uint64_t size; /* 0: there is none */
	unsigned flags;
	struct sx_bus_range range; /* exit BAR */
	void *page;                /* page BAR: its memory; NULL: an exit BAR */
	bool mapped;
	uint64_t at; /* where, while mapped */
};

struct sx_pci_host;
struct sx_msix;

/* Bytes of configuration space that do something when they are accessed. */
struct sx_pci_watch {
	uint16_t offset;
	uint16_t size;                  /* 0: none */
	void (*before_read)(void *ctx); /* bring f->config up to date */
	void (*after_write)(void *ctx); /* f->config has the new bytes */
	void *ctx;
};

struct sx_pci_function {
	const char *name;
	struct sx_pci_host *host; /* NULL until added */
	uint8_t devfn;
	uint8_t config[SX_PCI_CONFIG];
	uint8_t writable[SX_PCI_CONFIG]; /* bits that the guest may change */
	unsigned caps_end;               /* where the next capability goes */
	unsigned last_cap;               /* offset of the last one; 0: none */
	struct sx_pci_bar bar[SX_PCI_BARS];
	struct sx_msix *msix; /* msix.h; NULL: none */
	struct sx_pci_watch watch;
	uint64_t refused; /* accesses and places of BARs that are not allowed */
};

struct sx_pci_host {
	struct sx_pci_host_config config;
	struct sx_bus_range ecam;
	uint64_t low_next, high_next; /* free from here on */
	struct sx_pci_function *function[SX_PCI_DEVFNS];
	struct sx_pci_function bridge; /* 00:00.0 */
};

int sx_pci_host_init(struct sx_pci_host *host, const struct sx_pci_host_config *config,
		     struct sx_error *err);
/* All other functions are removed. Safe on a zeroed struct. */
void sx_pci_host_destroy(struct sx_pci_host *host);

/* Begin a function; BARs and capabilities follow, then sx_pci_add(). */
void sx_pci_function_init(struct sx_pci_function *f, const char *name,
			  const struct sx_pci_ids *ids);

/*
 * BAR @index of @size bytes, a power of two from 16 on (exit) or whole pages (page). @ops and
 * @dev are those of a bus range. -EINVAL for what does not fit.
 */
int sx_pci_add_exit_bar(struct sx_pci_function *f, unsigned index, uint64_t size, unsigned flags,
			const struct sx_bus_ops *ops, void *dev, struct sx_error *err);
int sx_pci_add_page_bar(struct sx_pci_function *f, unsigned index, uint64_t size, unsigned flags,
			void *page, struct sx_error *err);

/*
 * A capability of @len bytes, its two header bytes included. Returns its offset: the caller fills
 * f->config from there + 2, and f->writable. -ENOSPC when configuration space is full.
 */
int sx_pci_add_capability(struct sx_pci_function *f, uint8_t id, unsigned len,
			  struct sx_error *err);

/*
 * Put it on the bus, its BARs placed in the windows, decoding off as after a reset. -EBUSY when
 * @devfn is taken, -ENOSPC when there is no slot or window left.
 */
int sx_pci_add(struct sx_pci_host *host, struct sx_pci_function *f, int devfn,
	       struct sx_error *err);
/* No vCPU runs. Nothing if it was not added. */
void sx_pci_remove(struct sx_pci_function *f);

/* Little-endian words of configuration space, for who fills it. */
uint16_t sx_pci_get16(const struct sx_pci_function *f, unsigned offset);
uint32_t sx_pci_get32(const struct sx_pci_function *f, unsigned offset);
void sx_pci_set16(struct sx_pci_function *f, unsigned offset, uint16_t value);
void sx_pci_set32(struct sx_pci_function *f, unsigned offset, uint32_t value);

/*
 * An access to the function's BAR @index as the guest would make it, whether it is mapped or not;
 * to a page BAR it is an access to its memory. All ones, or nothing, beyond its end.
 */
uint64_t sx_pci_bar_read(struct sx_pci_function *f, unsigned index, uint64_t offset, unsigned size);
void sx_pci_bar_write(struct sx_pci_function *f, unsigned index, uint64_t offset, unsigned size,
		      uint64_t value);

#endif
