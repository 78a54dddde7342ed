// SPDX-License-Identifier: BSD-3-Clause
/*
 * Interrupt handles: how a device interrupts a guest without knowing KVM.
 *
 * The side that runs the guest makes one for each interrupt source (guestcore binds its eventfd to
 * a route by KVM_IRQFD); the device raises it. It can be passed to another process as its fd.
 */
#ifndef SX_IPC_IRQ_H
#define SX_IPC_IRQ_H

#include <stdint.h>

#include "ipc/error.h"

struct sx_irq {
	int fd;          /* eventfd */
	uint64_t raised; /* written by the device's owner only */
};

int sx_irq_init(struct sx_irq *irq, struct sx_error *err);
void sx_irq_destroy(struct sx_irq *irq);

/*
 * Interrupt the guest. Owner thread of the device only. 0, or a negative errno when the eventfd
 * cannot take it.
 */
int sx_irq_raise(struct sx_irq *irq);

#endif
