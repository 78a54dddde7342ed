// SPDX-License-Identifier: BSD-3-Clause
/*
 * The kernel's tap with virtio headers (Linux Documentation/networking/tuntap.rst): frames cross
 * with their checksum and segmentation still to be done, straight from and to guest memory.
 */
#ifndef SX_SIDECORE_BACKEND_NET_TAP_H
#define SX_SIDECORE_BACKEND_NET_TAP_H

#include "sidecore/backend/net.h"

/*
 * Open the tap @name; where there is none it is made, brought up, and gone again at the end.
 * b->queues is @queues. @mtu: 0 is the tap's own; one that is there already has at least @mtu.
 */
int sx_net_tap_open(struct sx_net_backend **b, const char *name, unsigned queues, unsigned mtu,
		    struct sx_error *err);

#endif
