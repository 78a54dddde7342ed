// SPDX-License-Identifier: BSD-3-Clause
/*
 * The virtio devices that a user can plug into a PC: one row of a table each. A row says how the
 * value of an option becomes a device; the wiring (pc_devices.h) knows no kind of device.
 */
#ifndef SX_CLI_PLUGS_H
#define SX_CLI_PLUGS_H

#include <stdbool.h>

#include "ipc/error.h"
#include "sidecore/virtio/console.h"
#include "sidecore/virtio/device.h"

struct sx_plug {
	const char *option; /* "disk" is --disk */
	bool has_value;
	bool value_optional; /* --option or --option=value */
	const char *help;    /* lines for --help */
	/*
	 * Make the device that @value (NULL without one) describes; *dev is inside of what was
	 * allocated. Errors with their sentence.
	 */
	int (*create)(struct sx_virtio_device **dev, const char *value,
		      const struct sx_virtio_env *env, struct sx_error *err);
	/* No thread runs it any more; gives all back. */
	void (*destroy)(struct sx_virtio_device *dev);
};

#define SX_MAX_PLUGS 16

extern const struct sx_plug sx_plugs[];
extern const unsigned sx_plug_count;

/* What --console virtio plugs in; it is no row of the table, as it says more than that. */
extern const struct sx_plug sx_plug_console;
/* The console that it made. */
struct sx_virtio_console *sx_plug_console_of(struct sx_virtio_device *dev);

/* A device that the user wants. */
struct sx_plugged {
	const struct sx_plug *plug;
	const char *value;
	bool pinned; /* split mode: the sidecore on this CPU serves all of it */
	int cpu;
};

#endif
