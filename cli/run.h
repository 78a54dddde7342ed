// SPDX-License-Identifier: BSD-3-Clause
/*
 * splitx run, from its arguments to its exit status: what all kinds of guests have in common.
 * For cli/run*.c only.
 */
#ifndef SX_CLI_RUN_H
#define SX_CLI_RUN_H

#include "cli/console.h"
#include "cli/control.h"
#include "cli/machine.h"
#include "cli/pc.h"
#include "cli/stats.h"
#include "guestcore/boot.h"
#include "guestcore/placement.h"

enum sx_stats_form {
	SX_STATS_NONE,
	SX_STATS_TEXT,
	SX_STATS_JSON,
};

struct sx_run_options {
	enum sx_mode mode;
	struct sx_placement_request place;
	uint64_t memory; /* 0: what is usual for the kind of guest */
	uint64_t vcpus;
	uint64_t watchdog_ms;
	struct sx_wait_policy wait;
	bool rt;
	bool verbose;
	enum sx_stats_form stats;
	const char *guest; /* a micro-guest; or */
	struct sx_run_kernel_options {
		const char *path; /* NULL: it is a micro-guest */
		const char *initrd[SX_BOOT_MAX_INITRDS];
		unsigned initrds;
		const char *cmdline;
		bool hugepages;
		bool memfd;
		bool prefault;
		bool idle_poll;
		bool nested;
		bool engine;   /* --nested ... */
		bool parallel; /* ... =parallel */
		enum sx_nested_place nested_place;
		bool virtio_console; /* its console is that, not the serial port */
		bool restart;        /* when the guest resets */
		struct sx_plugged plugged[SX_PC_MAX_DEVICES];
		unsigned plugged_count;
		const char *device_core[SX_PC_MAX_DEVICES]; /* as they were given */
		unsigned device_cores;
		const char *first; /* the first of these options, for a sentence; NULL: none */
	} kernel;
};

/* 0, 1 when help was printed, or a negative errno. */
int sx_run_parse(struct sx_run_options *o, int argc, char **argv, struct sx_error *err);

/* A kind of guest. */
struct sx_run;

struct sx_run_kind {
	/* Build it, ready to run; fill r->vcpu, vcpus, console and view. Unbuilds what it did on
	 * failure. */
	int (*create)(struct sx_run *r, struct sx_error *err);
	/* Nothing when it was not created. */
	void (*destroy)(struct sx_run *r);
	/* The guest ended itself: its exit status, or SX_RUN_AGAIN. */
	int (*status)(const struct sx_run *r);
};

#define SX_RUN_AGAIN (-1)

/* As many as all sidecores together have. */
#define SX_RUN_MAX_POLLERS (SX_MACHINE_MAX_SIDECORES * SX_SIDECORE_MAX_POLLERS)

extern const struct sx_run_kind sx_run_micro, sx_run_kernel;

/* Everything that one run owns, in the order it is made. */
struct sx_run {
	struct sx_run_options opt;
	const struct sx_run_kind *kind;
	struct sx_kvm kvm;
	struct sx_placement *place;
	struct sx_sidecore *sidecore[SX_MACHINE_MAX_SIDECORES];
	unsigned sidecores;

	/* The guest's. */
	union {
		struct sx_machine machine;
		struct sx_pc pc;
	};
	bool created;
	unsigned starts; /* of a kernel */
	struct sx_vcpu *vcpu;
	unsigned vcpus;
	struct sx_console_guest console;
	struct sx_stats_view view;
	const struct sx_poller *poller[SX_RUN_MAX_POLLERS]; /* for view */

	struct sx_control control;
	unsigned executions; /* of one guest, when it restarts */
};

/* run_control.c: let others ask about the guest; it runs as well if they cannot. */
void sx_run_open_control(struct sx_run *r);

/* Tell the user. */
void sx_run_warn(const char *text);

#endif
