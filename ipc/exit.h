// SPDX-License-Identifier: BSD-3-Clause
/*
 * An exit that userspace must handle, and where a guest core takes it.
 *
 * The guest core's run loop decodes what KVM_RUN says into one struct sx_exit and gives it to the
 * VM's sink. The sink either handles it on this thread (trap mode) or posts it to the sidecore
 * that owns the device and waits (split mode); the run loop cannot tell.
 */
#ifndef SX_IPC_EXIT_H
#define SX_IPC_EXIT_H

#include <stdbool.h>
#include <stdint.h>

enum sx_exit_kind {
	SX_EXIT_PIO_IN = 1,
	SX_EXIT_PIO_OUT,
	SX_EXIT_MMIO_READ,
	SX_EXIT_MMIO_WRITE,
};

static inline bool sx_exit_is_read(enum sx_exit_kind kind)
{
	return kind == SX_EXIT_PIO_IN || kind == SX_EXIT_MMIO_READ;
}

struct sx_exit {
	enum sx_exit_kind kind;
	unsigned size;  /* bytes, 1 to 8: KVM splits an access at the end of a page */
	unsigned vcpu;  /* index of the vCPU that exited */
	uint64_t addr;  /* port or guest-physical address */
	uint64_t value; /* written value; for a read the sink stores the result here */
};

/* What the vCPU does next. */
enum sx_exit_action {
	SX_EXIT_CONTINUE = 0,
	SX_EXIT_STOP = 1, /* leave the run loop: the guest asked to end, or the device says so */
};

struct sx_exit_sink {
	/*
	 * Called on the vCPU's thread, registered as an RCU reader. Completes the exit before it
	 * returns an enum sx_exit_action, or a negative errno that stops the vCPU.
	 */
	int (*handle)(void *ctx, struct sx_exit *x);
	void *ctx;
};

#endif
