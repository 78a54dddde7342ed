// SPDX-License-Identifier: BSD-3-Clause
/*
 * --net: a network device over the back end that its value names (sidecore/backend/net.h), with
 * `mac=`, `mtu=` and `queues=` for the device. What follows port= belongs to the port.
 */
#ifndef SX_CLI_PLUG_NET_H
#define SX_CLI_PLUG_NET_H

#include "ipc/error.h"
#include "sidecore/virtio/device.h"

/* As the operations of struct sx_plug. */
int sx_plug_net_create(struct sx_virtio_device **dev, const char *value,
		       const struct sx_virtio_env *env, struct sx_error *err);
void sx_plug_net_destroy(struct sx_virtio_device *dev);

#endif
