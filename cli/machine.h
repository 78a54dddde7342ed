// SPDX-License-Identifier: BSD-3-Clause
/*
 * A machine: one micro-guest's VM and its devices, wired together for either mode.
 *
 * This is the place that knows both guestcore and sidecore. `splitx run`, the benchmarks and the
 * integration tests all run their guests on it.
 */
#ifndef SX_CLI_MACHINE_H
#define SX_CLI_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/machine_nested.h"
#include "cli/machine_run.h"
#include "guestcore/microguest.h"
#include "guestcore/placement.h"
#include "guestcore/vcpu.h"
#include "ipc/byte_queue.h"
#include "sidecore/debug_exit.h"
#include "sidecore/exit_sink.h"
#include "sidecore/sidecore.h"
#include "sidecore/testdev.h"
#include "sidecore/uart16550.h"

/* Where the devices are, above all memory a micro-guest can have. */
#define SX_MACHINE_TESTDEV_GPA 0xd0000000ull
#define SX_MACHINE_TWIN_GPA    0xd0001000ull
#define SX_MACHINE_KICK_GPA    0xd0002000ull

#define SX_MACHINE_MAX_SIDECORES 16

enum sx_mode {
	SX_TRAP,
	SX_SPLIT,
};

struct sx_machine_config {
	const struct sx_kvm *kvm;
	const char *guest; /* path of the program */
	uint64_t memory;   /* bytes */
	unsigned vcpus;
	enum sx_mode mode;
	struct sx_wait_policy wait; /* of the vCPUs' threads in split mode */
	/* The devices' homes in split mode, dealt out round-robin. Not the machine's. */
	struct sx_sidecore *const *sidecores;
	unsigned sidecore_count;
	bool nested;          /* the guest may be a hypervisor; it begins in SX_NESTED_TRAP */
	bool supervisor;      /* the guest runs at CPL 0 (guestcore/microguest.h) */
	bool sidecores_sleep; /* they have an idle time after which they do */
	uint64_t argument;    /* struct sx_boot_info, argument */
	/* Guest memory comes from its guest cores' nodes; NULL: from anywhere. Used by create. */
	const struct sx_placement *place;
};

/* One ring on testdev and what serves it. Each vCPU has two (ipc/wire/boot.h). */
enum sx_machine_ring_kind {
	SX_REQUEST_RING,
	SX_STREAM_RING,
	SX_RING_KINDS,
};

struct sx_machine_ring {
	struct sx_ring_server server;
	struct sx_testdev dev;
	bool told; /* that it was refused has been reported */
};

struct sx_machine {
	struct sx_machine_config config;
	enum sx_mode mode; /* as it runs now */
	struct sx_vm vm;
	struct sx_region ram;
	struct sx_region twin_page;
	struct sx_vcpu *vcpu;
	struct sx_boot_info boot;

	struct sx_bus bus;
	struct sx_trap_sink trap;
	struct sx_split_sink split;
	struct sx_exit_server *server; /* one for each sidecore */

	struct sx_byte_queue console_out, console_in;
	struct sx_uart uart;
	struct sx_debug_exit debug_exit;
	struct sx_irq irq, twin_irq;
	int gsi, twin_gsi;
	struct sx_testdev testdev;
	struct sx_testdev_page twin;
	struct sx_machine_ring *ring; /* ring[SX_RING_KINDS * vcpu + kind] */
	unsigned ring_count;
	struct sx_nested_host nested; /* machine_nested.h */
	struct sx_bus_range testdev_range, twin_range, kick_range;
};

/*
 * Build the machine and load the guest, ready to run in config->mode. On failure nothing is left.
 * Not from an online RCU reader.
 */
int sx_machine_create(struct sx_machine *m, const struct sx_machine_config *config,
		      struct sx_error *err);
/* No vCPU runs. Takes the machine's pollers off their sidecores. */
void sx_machine_destroy(struct sx_machine *m);

/*
 * Change the mode between two runs of the vCPUs: exits, rings and the twin are then served by the
 * vCPUs' threads or by the sidecores. No vCPU may be in sx_vcpu_run().
 */
int sx_machine_set_mode(struct sx_machine *m, enum sx_mode mode, struct sx_error *err);

/* ---- threads for the vCPUs; see machine_run.h ---- */

static inline int sx_machine_start(struct sx_machine_run *run, struct sx_machine *m,
				   const int *cpus, int rt_priority, struct sx_error *err)
{
	return sx_machine_run_start(run, m->vcpu, m->config.vcpus, cpus, rt_priority, err);
}

static inline int sx_machine_join(struct sx_machine_run *run, struct sx_error *err)
{
	return sx_machine_run_join(run, err);
}

/*
 * Sentences about what went wrong without ending the guest (a ring that was refused), each once.
 * Any one thread; @report is called for each.
 */
void sx_machine_incidents(struct sx_machine *m, void (*report)(const char *text));

#endif
