// SPDX-License-Identifier: BSD-3-Clause
/*
 * Between pci.c and pci_common.c.
 */
#ifndef SX_SIDECORE_VIRTIO_PCI_INTERNAL_H
#define SX_SIDECORE_VIRTIO_PCI_INTERNAL_H

#include <linux/virtio_pci.h>

#include "sidecore/virtio/pci.h"

/* Bytes of the common configuration structure, as of virtio 1.2: up to queue_reset. */
#define SX_VIRTIO_COMMON_SIZE 64u

/* An access to the common configuration (virtio 1.2, 4.1.4.3). */
uint64_t sx_virtio_common_read(struct sx_virtio_pci *p, unsigned offset, unsigned size);
void sx_virtio_common_write(struct sx_virtio_pci *p, unsigned offset, unsigned size,
			    uint64_t value);

/* The registers as they are after a reset. */
void sx_virtio_common_reset(struct sx_virtio_pci *p);

#endif
