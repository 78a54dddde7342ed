// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio over PCI (virtio 1.2, 4.1), without the legacy interface.
 *
 * BAR 0: an exit BAR with the common, ISR and device configuration.
 * BAR 2: the notification area, one 32-bit word for each queue. A shared page when pollers that
 *        never sleep run the queues: a notification is then a store that nobody needs to see.
 *        Else an exit BAR, whose write runs the queue or wakes who polls it.
 * BAR 4: the MSI-X table and its pending bits; a vector for each queue and one more.
 */
#ifndef SX_SIDECORE_VIRTIO_PCI_H
#define SX_SIDECORE_VIRTIO_PCI_H

#include <stdint.h>

#include "ipc/region.h"
#include "sidecore/pci/msix.h"
#include "sidecore/pci/pci.h"
#include "sidecore/virtio/device.h"

struct sx_virtio_pci {
	struct sx_pci_function function;
	struct sx_msix msix;
	struct sx_virtio_device *dev;
	char notify_name[32];         /* of the notification BAR's range */
	struct sx_region notify_page; /* when that BAR is a shared page */
	uint32_t feature_select;      /* registers of the common configuration */
	uint32_t driver_feature_select;
	uint16_t queue_select;
	uint16_t config_vector; /* atomic */
	uint16_t *queue_vector; /* one for each queue; atomic */
	uint32_t isr;           /* atomic */
	unsigned window;        /* offset of the configuration access capability (4.1.4.9) */
	uint64_t refused;       /* accesses that the registers do not allow */
};

/*
 * Put @dev on @host as function @devfn (SX_PCI_ANY: the next free slot). The registers are served
 * by the VM's first exit server in split mode.
 */
int sx_virtio_pci_init(struct sx_virtio_pci *p, struct sx_virtio_device *dev,
		       struct sx_pci_host *host, int devfn, struct sx_error *err);
/* No vCPU runs, and no poller of the device. Safe on a zeroed struct. */
void sx_virtio_pci_destroy(struct sx_virtio_pci *p);

#endif
