// SPDX-License-Identifier: BSD-3-Clause
/*
 * MSI-X (PCIe 5.0, 6.1.4 and 7.7.2): a table of messages, pending bits, masks.
 *
 * The guest programs it on the control thread; any thread raises a vector. A vector is routed
 * (ipc/irq.h) when it is unmasked with what its table entry says then, and again when the guest
 * changes that. One raised while it is masked is pending, and fires when it is unmasked. One that
 * is raised at the very moment of being masked may still fire.
 */
#ifndef SX_SIDECORE_PCI_MSIX_H
#define SX_SIDECORE_PCI_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"
#include "ipc/irq.h"
#include "sidecore/pci/pci.h"

#define SX_MSIX_MAX_VECTORS 256

struct sx_msix_vector {
	struct sx_irq irq;
	uint32_t open;    /* 1: not masked, and routed. Atomic */
	uint32_t pending; /* 1: raised while it was not open. Atomic */
	uint64_t addr;    /* the table entry, as the guest wrote it */
	uint32_t data;
	uint32_t control; /* bit 0: masked */
	bool routed;
	uint64_t routed_addr;
	uint32_t routed_data;
};

struct sx_msix {
	struct sx_pci_function *function;
	char name[32]; /* of the BAR's range */
	unsigned vectors;
	unsigned capability; /* offset in configuration space */
	unsigned bar;
	uint32_t pba;     /* offset in the BAR */
	uint32_t enabled; /* atomic */
	struct sx_msix_vector *vector;
	uint64_t refused;      /* accesses that the table does not allow */
	uint64_t route_errors; /* messages that could not be routed; the vector stays shut */
	uint64_t raise_errors; /* relaxed */
};

/*
 * Give @f a table of @vectors in BAR @bar, and the capability. Before sx_pci_add().
 */
int sx_msix_init(struct sx_msix *m, struct sx_pci_function *f, unsigned bar, unsigned vectors,
		 struct sx_error *err);
/* Nobody raises any more. Safe on a zeroed struct. */
void sx_msix_destroy(struct sx_msix *m);

/* Has the guest switched MSI-X on? Any thread. */
bool sx_msix_enabled(const struct sx_msix *m);

/* Send @vector's message, or keep it pending while it is masked. Any thread. Unknown: nothing. */
void sx_msix_raise(struct sx_msix *m, unsigned vector);

/* The guest wrote the capability's message control word: for pci.c. */
void sx_msix_control_written(struct sx_msix *m);

#endif
