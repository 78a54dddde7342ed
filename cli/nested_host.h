// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a machine has whose guest may be a hypervisor, by our VMX engine (nested/nested.h): the
 * lines by which its vCPUs reach the engine, and the register that kicks it. The same for
 * micro-guests (machine.c) and for a PC (pc_nested.c), which say where these lie.
 */
#ifndef SX_CLI_NESTED_HOST_H
#define SX_CLI_NESTED_HOST_H

#include "guestcore/vm.h"
#include "ipc/exit.h"
#include "ipc/region.h"
#include "nested/nested.h"
#include "sidecore/sidecore.h"

struct sx_nested_host_config {
	const struct sx_kvm *kvm;
	struct sx_vm *vm;
	struct sx_vcpu *vcpu;
	unsigned vcpus;
	struct sx_l1_range range[2]; /* the guest's memory, as files */
	unsigned ranges;
	uint64_t lines, kick; /* guest-physical: SX_LINE_STRIDE a vCPU; a page */
};

struct sx_nested_host {
	struct sx_nested_host_config config;
	struct sx_region lines;
	struct sx_nested *engine;   /* NULL: this guest does not nest by us */
	struct sx_exit_sink others; /* who takes what is no kick */
};

/* The VM has its memory and vCPUs, and none has run. Undone by _destroy() after a failure too. */
int sx_nested_host_create(struct sx_nested_host *h, const struct sx_nested_host_config *config,
			  struct sx_error *err);
/* Safe on a zeroed struct. No vCPU runs. */
void sx_nested_host_destroy(struct sx_nested_host *h);

/*
 * Who serves the lines from now on (nested/nested.h): in SX_NESTED_COLOCATED the sidecores, by
 * turns; in SX_NESTED_PARALLEL cores of L2, bound to @cpus if that is not NULL. No vCPU runs.
 */
int sx_nested_host_place(struct sx_nested_host *h, enum sx_nested_place place, const int *cpus,
			 struct sx_sidecore *const *sidecores, unsigned sidecore_count,
			 struct sx_error *err);

/*
 * The sink for vCPUs whose exits go to @others: kicks are for the vCPU's own thread, whatever the
 * mode, which may run L2 for L1.
 */
struct sx_exit_sink sx_nested_host_sink(struct sx_nested_host *h, struct sx_exit_sink others);

/* Sentences about what went wrong without ending the guest, each once. Any one thread. */
void sx_nested_host_incidents(struct sx_nested_host *h, void (*report)(const char *text));

#endif
