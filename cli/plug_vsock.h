// SPDX-License-Identifier: BSD-3-Clause
/*
 * --vsock: stream sockets between guest and host (sidecore/virtio/vsock.h).
 */
#ifndef SX_CLI_PLUG_VSOCK_H
#define SX_CLI_PLUG_VSOCK_H

#include "ipc/error.h"
#include "sidecore/virtio/device.h"

/* As the operations of struct sx_plug. */
int sx_plug_vsock_create(struct sx_virtio_device **dev, const char *value,
			 const struct sx_virtio_env *env, struct sx_error *err);
void sx_plug_vsock_destroy(struct sx_virtio_device *dev);

#endif
