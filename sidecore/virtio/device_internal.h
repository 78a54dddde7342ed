// SPDX-License-Identifier: BSD-3-Clause
/*
 * Between device.c, which is the control thread's, and device_group.c, which is the groups'.
 */
#ifndef SX_SIDECORE_VIRTIO_DEVICE_INTERNAL_H
#define SX_SIDECORE_VIRTIO_DEVICE_INTERNAL_H

#include "sidecore/virtio/device.h"

/* Control thread: what should become of a queue, and what has. */
void sx_virtio_want(struct sx_virtio_device *dev, unsigned queue, bool to_run);
bool sx_virtio_is_stopped(const struct sx_virtio_device *dev, unsigned queue);

/* Have the group see to it: at once in trap mode, at its next turn in split mode. */
void sx_virtio_attract(struct sx_virtio_group *g);

/* A group's turn; what its poller calls. */
unsigned sx_virtio_group_turn(void *group);
unsigned sx_virtio_group_sleep(void *group);
void sx_virtio_group_awake(void *group);

#endif
