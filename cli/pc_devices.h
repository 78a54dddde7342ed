// SPDX-License-Identifier: BSD-3-Clause
/*
 * A PC's PCI root and the virtio devices on it: made, given their sidecores or the back-end thread
 * of trap mode, and taken apart again.
 */
#ifndef SX_CLI_PC_DEVICES_H
#define SX_CLI_PC_DEVICES_H

#include <pthread.h>
#include <stdbool.h>

#include "cli/plugs.h"
#include "guestcore/vm.h"
#include "sidecore/exit_sink.h"
#include "sidecore/pci/pci.h"
#include "sidecore/sidecore.h"
#include "sidecore/virtio/pci.h"

#define SX_PC_MAX_DEVICES 31 /* slots of the bus less the host bridge */

struct sx_pc_device {
	const struct sx_plug *plug;
	struct sx_virtio_device *dev;
	struct sx_virtio_pci pci;
	struct sx_sidecore *sidecore; /* where it is pinned; NULL: its groups take turns */
};

/*
 * Trap mode: one thread waits for the devices' back ends, and takes the device lock to serve them
 * (sx_virtio_device_poll()).
 */
struct sx_pc_backend {
	struct sx_trap_sink *trap;
	struct sx_pc_device *device;
	unsigned devices;
	int epoll_fd; /* -1: there is no thread */
	int stop_fd;
	int tick_ms; /* how often devices are asked that cannot wake us; -1: there are none */
	pthread_t thread;
};

struct sx_pc_devices_config {
	struct sx_vm *vm;
	struct sx_bus *bus;
	struct sx_trap_sink *trap;
	const struct sx_region *ram;                    /* what a balloon gives back */
	struct sx_byte_queue *console_out, *console_in; /* of a virtio console; or NULL */
	struct sx_pci_window high;                      /* for BARs above 4 GiB */
	const struct sx_plugged *plugged;
	unsigned count;
	bool may_sleep; /* sidecores sleep when idle */
	/* Split mode; 0: trap mode. */
	struct sx_sidecore *const *sidecores;
	unsigned sidecore_count;
};

struct sx_pc_devices {
	struct sx_pc_devices_config config;
	struct sx_pci_host host;
	struct sx_pc_device device[SX_PC_MAX_DEVICES];
	unsigned count; /* made so far */
	struct sx_pc_backend backend;
};

/* Make the root and all devices. What was made is taken apart by sx_pc_devices_destroy(). */
int sx_pc_devices_create(struct sx_pc_devices *d, const struct sx_pc_devices_config *config,
			 struct sx_error *err);
/* Put the devices' pollers on their sidecores or start the back-end thread. */
int sx_pc_devices_start(struct sx_pc_devices *d, struct sx_error *err);
/* No vCPU runs. Safe on a zeroed struct. */
void sx_pc_devices_destroy(struct sx_pc_devices *d);

/* The devices' pollers: stores at most @max, returns how many there are. */
unsigned sx_pc_devices_pollers(const struct sx_pc_devices *d, const struct sx_poller **poller,
			       unsigned max);

/* ---- pc_backend.c ---- */

/* Start the thread, unless no device has something to wait for. */
int sx_pc_backend_start(struct sx_pc_backend *b, struct sx_trap_sink *trap,
			struct sx_pc_device *device, unsigned devices, struct sx_error *err);
/* Nothing when it was not started. */
void sx_pc_backend_stop(struct sx_pc_backend *b);

#endif
