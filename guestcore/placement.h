// SPDX-License-Identifier: BSD-3-Clause
/*
 * Placement: which CPUs become guest cores and which become sidecores, and binding to them.
 *
 * The user names CPUs, or leaves the choice to the plan: a guest core and its sidecore on one
 * NUMA node and under one last-level cache, whole cores rather than SMT siblings, isolated CPUs
 * first, and CPU 0 left to the host while there is a choice. A "CPU" is what the kernel numbers,
 * and every number here is the kernel's.
 *
 * Plan at start-up, before there are other threads (hwloc reads the environment, and the plan
 * takes the caller's affinity mask for the CPUs the process may use). A finished plan never
 * changes; any thread may read it and bind with it.
 */
#ifndef SX_GUESTCORE_PLACEMENT_H
#define SX_GUESTCORE_PLACEMENT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ipc/error.h"

struct sx_placement;

/* What sx_placement_sidecore_of() answers in trap mode. */
#define SX_NO_SIDECORE UINT_MAX

struct sx_placement_request {
	/*
	 * Lists such as "1-3" or "0,2-5", or masks such as "0x3c"; NULL: choose. The order of a
	 * list counts: the first CPU named is guest core 0. A mask counts upwards.
	 */
	const char *guest_cores, *sidecores;
	unsigned n_guest; /* vCPUs; 0: one for each of guest_cores, or 1 where they are chosen */
	unsigned n_side;  /* 0: those in sidecores, or none (trap mode) where that is NULL */
	bool allow_smt;   /* when whole cores run out, choose SMT siblings too */

	/*
	 * NULL plans for this machine. For another: a synthetic description (hwloc(7),
	 * "pack:2 numa:1 l3:1 core:8 pu:2"), or the name of a file ending in ".xml" that
	 * lstopo(1) exported there. Nothing can be bound with such a plan.
	 */
	const char *topology;
	/* Read isolated, nohz_full, online and present here. NULL: /sys/devices/system/cpu for
	 * this machine, nothing for another. */
	const char *sys_cpu;
	/* CPUs the process may use, as a list or mask. NULL: its affinity mask on this machine,
	 * what the topology allows on another. */
	const char *allowed;
};

/*
 * Make a plan. Errors, each with its sentence in @err: -EINVAL, the request itself is wrong (bad
 * syntax, a CPU named twice, a bad topology); -ENODEV, a CPU does not exist or is offline; -EPERM,
 * a CPU is outside those allowed; -EBUSY, a CPU is in both lists; -ENOSPC, too few CPUs for the
 * sidecores; or what the system reported. The caller frees *out.
 */
int sx_placement_plan(const struct sx_placement_request *req, struct sx_placement **out,
		      struct sx_error *err);
void sx_placement_free(struct sx_placement *p); /* NULL is fine */

unsigned sx_placement_vcpus(const struct sx_placement *p);
unsigned sx_placement_guest_cores(const struct sx_placement *p); /* how many; at least 1 */
unsigned sx_placement_sidecores(const struct sx_placement *p);   /* how many; 0 in trap mode */

/* The kernel's CPU number of guest core @i or sidecore @i; @i must be below the count. */
unsigned sx_placement_guest_core(const struct sx_placement *p, unsigned i);
unsigned sx_placement_sidecore(const struct sx_placement *p, unsigned i);

/* Which guest core runs vCPU @vcpu; several vCPUs share one when there are too few. */
unsigned sx_placement_core_of(const struct sx_placement *p, unsigned vcpu);
/* Which sidecore is nearest to guest core @i and has room for it, or SX_NO_SIDECORE. */
unsigned sx_placement_sidecore_of(const struct sx_placement *p, unsigned i);

/* What the user should know about a plan that works but is not the best: whole sentences. */
unsigned sx_placement_warnings(const struct sx_placement *p);
const char *sx_placement_warning(const struct sx_placement *p, unsigned i);

/* Bind the calling thread to CPU number @cpu, which must be a guest core or a sidecore. */
int sx_placement_bind_thread(const struct sx_placement *p, unsigned cpu, struct sx_error *err);

/*
 * Keep the calling thread, and those it starts afterwards, off the plan's cores: on the other CPUs
 * that the process may use; where there are none, on the guest cores, which block now and then. A
 * sidecore never does, and who shares its CPU waits for whole time slices.
 */
int sx_placement_bind_others(const struct sx_placement *p, struct sx_error *err);

/*
 * Have the kernel take the pages of [addr, addr + len), page-aligned and not touched yet, from
 * the NUMA nodes of the guest cores, and from others only when those are full. Succeeds without
 * doing anything on a machine with one node.
 */
int sx_placement_bind_memory(const struct sx_placement *p, void *addr, size_t len,
			     struct sx_error *err);

struct sx_placement_look {
	bool utf8;        /* box-drawing characters, else ASCII */
	bool colour;      /* ANSI colours */
	unsigned columns; /* the terminal's width */
};

/* Draw the plan, without its warnings. Returns 0 or a negative errno from writing. */
int sx_placement_write_text(const struct sx_placement *p, const struct sx_placement_look *look,
			    FILE *out);
/* The same plan as one self-contained SVG file, with its warnings. */
int sx_placement_write_svg(const struct sx_placement *p, FILE *out);

#endif
