// SPDX-License-Identifier: BSD-3-Clause
/*
 * The way out of an emulated host: its second serial port, driven from user space.
 *
 * Nobody opens its /dev/ttyS1, so the kernel's driver leaves the port alone: no interrupt and no
 * line discipline stand between. One thread writes.
 */
#ifndef SX_LAB_GUEST_CHANNEL_H
#define SX_LAB_GUEST_CHANNEL_H

#include <stddef.h>

#include "lab/wire.h"

/* Get hold of the port. Returns 0 or a negative errno. */
int sx_channel_open(void);

/* Send one frame with @size <= SX_LAB_PAYLOAD bytes. Returns when they have left. */
void sx_channel_send(enum sx_lab_kind kind, const void *data, size_t size);

#endif
