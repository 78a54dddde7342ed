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
	int route;       /* the router's; -1: it has none */
	uint64_t raised; /* relaxed: a statistic */
};

int sx_irq_init(struct sx_irq *irq, struct sx_error *err);
void sx_irq_destroy(struct sx_irq *irq);

/* Interrupt the guest. Any thread. 0, or a negative errno when the eventfd cannot take it. */
int sx_irq_raise(struct sx_irq *irq);

/*
 * How a device has its interrupt sent where the guest said (an MSI or MSI-X table entry), without
 * knowing KVM. Whoever runs the guest supplies it. Any thread may call it, none on a data path.
 */
struct sx_irq_router {
	/*
	 * From now on @irq delivers the message (@addr, @data), SDM Vol. 3A 11.11, instead of what
	 * it was routed to before. 0, or a negative errno; then it has no route.
	 */
	int (*route)(void *ctx, struct sx_irq *irq, uint64_t addr, uint32_t data);
	/* Take its route back. Nothing if it has none. */
	void (*unroute)(void *ctx, struct sx_irq *irq);
	void *ctx;
};

#endif
