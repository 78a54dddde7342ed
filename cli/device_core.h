// SPDX-License-Identifier: BSD-3-Clause
/*
 * --device-core DEVICE=CPU: which sidecore serves a device. DEVICE is the option that plugged it
 * in and its number among those of the same option: net0 is the first --net.
 */
#ifndef SX_CLI_DEVICE_CORE_H
#define SX_CLI_DEVICE_CORE_H

#include "cli/plugs.h"
#include "ipc/error.h"

/* Pin the device that @text names. -EINVAL with its sentence when it cannot be meant. */
int sx_device_core_apply(struct sx_plugged *plugged, unsigned count, const char *text,
			 struct sx_error *err);

#endif
