// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-console (virtio 1.2, 5.3): one port, between the guest's two queues and two byte queues
 * (ipc/byte_queue.h), so that the device never waits for a terminal.
 *
 * Nothing is lost in either direction. What the guest says is used only when all of it is in the
 * output queue; while that is full, the driver waits. What is typed stays in the input queue until
 * the driver has a buffer for it.
 *
 * There is one port and no control queue (VIRTIO_CONSOLE_F_MULTIPORT), as a machine has one
 * terminal. Emergency writes (VIRTIO_CONSOLE_F_EMERG_WRITE) are not offered: they come by the
 * control thread, and the output queue has one producer, the group. A guest that has no queues yet
 * speaks by the serial port.
 */
#ifndef SX_SIDECORE_VIRTIO_CONSOLE_H
#define SX_SIDECORE_VIRTIO_CONSOLE_H

#include "ipc/byte_queue.h"
#include "sidecore/virtio/device.h"

struct sx_virtio_console {
	struct sx_virtio_device dev;
	struct sx_byte_queue *out; /* the group is its producer */
	struct sx_byte_queue *in;  /* the group is its consumer */
	uint32_t said;             /* bytes of the next chain of output that are in `out` already */
	/* Written by the group; others may look. */
	uint64_t bytes_out;
	uint64_t bytes_in;
};

/* A console whose size is not known yet, at env->console_out and console_in, which outlive it. */
int sx_virtio_console_init(struct sx_virtio_console *c, const struct sx_virtio_env *env,
			   struct sx_error *err);
/* As sx_virtio_device_destroy(). */
void sx_virtio_console_destroy(struct sx_virtio_console *c);

/*
 * Bytes were taken from `out` or put into `in`: the device is to look. Any thread, as
 * sx_poller_kick().
 */
void sx_virtio_console_moved(struct sx_virtio_console *c);

/* The terminal has this size now; the driver is told, or will be when it is up. Any thread. */
void sx_virtio_console_resize(struct sx_virtio_console *c, uint16_t cols, uint16_t rows);

#endif
