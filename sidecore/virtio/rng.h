// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-rng (virtio 1.2, 5.4): the guest's buffers are filled from the host's getrandom().
 */
#ifndef SX_SIDECORE_VIRTIO_RNG_H
#define SX_SIDECORE_VIRTIO_RNG_H

#include "sidecore/virtio/device.h"

struct sx_virtio_rng {
	struct sx_virtio_device dev;
	uint64_t bytes; /* given; written by the group */
};

int sx_virtio_rng_init(struct sx_virtio_rng *rng, const struct sx_virtio_env *env,
		       struct sx_error *err);
/* As sx_virtio_device_destroy(). */
void sx_virtio_rng_destroy(struct sx_virtio_rng *rng);

#endif
