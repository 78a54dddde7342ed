// SPDX-License-Identifier: BSD-3-Clause
/*
 * A fuzzer's input as what a guest does with a virtio PCI device: registers in any size and order,
 * honest and dishonest chains, scribbling over rings and buffers; and the device polled meanwhile.
 */
#ifndef SX_TESTS_SUPPORT_VIRTIO_FUZZ_H
#define SX_TESTS_SUPPORT_VIRTIO_FUZZ_H

#include "tests/support/fuzz_input.h"
#include "tests/support/virtio_world.h"

#define VF_RAM     0x40000u /* bytes of guest memory that the world must have, at least */
#define VF_BUFFERS 0x8000u  /* of them the first are buffers */

/* A step of the input, each one byte and then what it wants. */
enum vf_step {
	VF_UP,     /* 2 bytes: features, queue size; reset, and bring all queues up */
	VF_CHAIN,  /* 2 bytes: queue, numbers of buffers; 4 for each: where, length; then shown */
	VF_KICK,   /* 1 byte: queue; notified, wanted or not */
	VF_POLL,   /* the back end's turn */
	VF_TAKE,   /* 1 byte: queue; used chains are taken back */
	VF_BYTES,  /* 2 bytes where, 1 how many (up to 16), then those, into the buffers */
	VF_RING,   /* 4 bytes: where among the rings, what */
	VF_COMMON, /* 2 bytes: offset, size; then a value: a write of the common configuration */
	VF_CONFIG, /* the same of the device configuration */
	VF_LOOK,   /* 2 bytes: a read of either */
	VF_STATUS, /* 1 byte: written to the status */
	VF_STEPS,
};

/*
 * Play @in to its end, at most @max steps, against the device at @d, which vw_probe() found;
 * @check, if any, is called after each step. It checks itself that the device does not do what no
 * device may: what vd_take() calls -EPROTO counts while no step has been dishonest.
 */
void vf_play(struct vw_driver *d, struct sx_virtio_device *dev, struct fuzz_input *in, unsigned max,
	     void (*check)(struct sx_virtio_device *dev));

#endif
