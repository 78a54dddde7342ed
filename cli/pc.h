// SPDX-License-Identifier: BSD-3-Clause
/*
 * A PC: the machine that runs kernels nobody changed. Memory, vCPUs, a serial port, virtio devices
 * on PCI, ACPI's power registers and tables, wired together for either mode; addresses are those of
 * guestcore/pc_map.h.
 */
#ifndef SX_CLI_PC_H
#define SX_CLI_PC_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/machine.h"
#include "cli/pc_devices.h"
#include "cli/pc_nested.h"
#include "guestcore/boot.h"
#include "guestcore/placement.h"
#include "ipc/byte_queue.h"
#include "ipc/region.h"
#include "sidecore/exit_sink.h"
#include "sidecore/power.h"
#include "sidecore/sidecore.h"
#include "sidecore/uart16550.h"
#include "sidecore/virtio/balloon.h"

#define SX_PC_MIN_MEMORY (16ull << 20)

struct sx_pc_config {
	const struct sx_kvm *kvm;
	const struct sx_placement *place; /* of its vCPUs and memory */
	const char *kernel;
	const char *const *initrd;
	unsigned initrds;
	const char *cmdline;
	uint64_t memory; /* bytes */
	bool hugepages;  /* from the host's reserved ones */
	bool memfd;      /* in a memfd, so that other processes can be given it */
	bool prefault;   /* take all memory now */
	bool idle_poll;  /* HLT and PAUSE do not exit; each vCPU has a guest core for itself */
	bool nested;     /* the guest may be a hypervisor itself, by the host's KVM ... */
	bool engine;     /* ... or by our VMX engine; its memory is in a memfd then */
	enum sx_nested_place nested_place; /* where the engine and L2 are */
	const struct sx_plugged *plugged;  /* virtio devices */
	unsigned plugged_count;
	enum sx_mode mode;
	struct sx_wait_policy wait; /* of the vCPUs' threads in split mode */
	/* The devices' homes in split mode, dealt out round-robin. Not the machine's. */
	struct sx_sidecore *const *sidecores;
	unsigned sidecore_count;
	bool sidecores_sleep; /* they have an idle time after which they do */
};

struct sx_pc {
	struct sx_pc_config config;
	unsigned vcpus;
	struct sx_vm vm;
	struct sx_region ram;
	uint64_t low_end; /* memory is [0, low_end), and the rest from SX_PC_HIGH on */
	struct sx_vcpu *vcpu;
	struct sx_boot_entry entry;

	struct sx_bus bus;
	struct sx_trap_sink trap;
	struct sx_split_sink split;
	struct sx_exit_server *server; /* one for each sidecore; the first is the control thread */

	struct sx_byte_queue serial_out, serial_in;
	struct sx_uart uart;
	struct sx_irq uart_irq;
	struct sx_power power;
	struct sx_nested_host nested; /* pc_nested.h */
	struct sx_pc_devices devices;
	struct sx_byte_queue console_out, console_in; /* of the virtio console */
	struct sx_virtio_console *console;            /* one of the devices; NULL: there is none */
};

/*
 * Build the machine and load the kernel, ready to run. On failure nothing is left. Not from an
 * online RCU reader.
 */
int sx_pc_create(struct sx_pc *pc, const struct sx_pc_config *config, struct sx_error *err);
/* No vCPU runs. Takes the machine's pollers off their sidecores. */
void sx_pc_destroy(struct sx_pc *pc);

/* The machine's pollers but the exit servers': stores at most @max, returns how many there are. */
unsigned sx_pc_pollers(const struct sx_pc *pc, const struct sx_poller **poller, unsigned max);

/* The guest's balloon, NULL: it has none; and have it tell its statistics anew. */
struct sx_virtio_balloon *sx_pc_balloon(const struct sx_pc *pc);
void sx_pc_refresh_balloon(struct sx_pc *pc, struct sx_virtio_balloon *balloon);

/* Bytes were taken from or put into queues of the serial port or the console: they are to look. */
void sx_pc_console_moved(struct sx_pc *pc);
/* The terminal has this size now. */
void sx_pc_console_resized(struct sx_pc *pc, uint16_t cols, uint16_t rows);

#endif
