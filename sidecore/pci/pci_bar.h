// SPDX-License-Identifier: BSD-3-Clause
/*
 * Between pci.c and pci_bar.c.
 */
#ifndef SX_SIDECORE_PCI_PCI_BAR_H
#define SX_SIDECORE_PCI_PCI_BAR_H

#include "sidecore/pci/pci.h"

/* Give each BAR of @f a place in the windows. */
int sx_pci_place_bars(struct sx_pci_function *f, struct sx_error *err);

/* Map the BARs that are to be mapped now and unmap the others. Control thread. */
void sx_pci_update_bars(struct sx_pci_function *f);

/* Unmap them all. */
void sx_pci_unmap_bars(struct sx_pci_function *f);

#endif
