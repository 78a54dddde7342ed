// SPDX-License-Identifier: BSD-3-Clause
/*
 * The inside of a plan, for guestcore/placement*.c only.
 */
#ifndef SX_GUESTCORE_PLACEMENT_INTERNAL_H
#define SX_GUESTCORE_PLACEMENT_INTERNAL_H

#include <hwloc.h>
#include <stdint.h>

#include "guestcore/placement.h"

enum sx_place_role {
	SX_ROLE_HOST,
	SX_ROLE_GUEST,
	SX_ROLE_SIDECORE,
};

struct sx_place_cpu {
	unsigned os; /* the kernel's number */
	/* Where it sits. Objects of the plan's topology, so equal pointers mean the same place. */
	hwloc_obj_t core;    /* the PU itself where the topology knows no cores */
	hwloc_obj_t cache;   /* the last cache that several cores share, or NULL */
	hwloc_obj_t node;    /* the nearest memory, or NULL */
	hwloc_obj_t package; /* or NULL */
	bool allowed, isolated, tickless;
	enum sx_place_role role;
	unsigned index; /* of the guest core or sidecore */
};

struct sx_placement {
	hwloc_topology_t topology;
	bool this_machine; /* bindings take effect, and isolation is known */
	bool know_isolation;
	bool know_sizes; /* of caches and memory: not in a synthetic topology */
	hwloc_bitmap_t offline;

	/* In hwloc's logical order: the threads of a core stand together, neighbours are near. */
	struct sx_place_cpu *cpu;
	unsigned n_cpus;

	/* Indices into cpu[]; room for n_cpus each. */
	unsigned *guest, *side;
	unsigned *side_of; /* guest core -> sidecore */
	unsigned n_guest, n_side, vcpus;

	hwloc_nodeset_t memory; /* nodes of the guest cores that this process may allocate from */
	char **warning;
	unsigned n_warnings;
};

/* CPUs in the order the user named them. */
struct sx_place_list {
	unsigned *cpu;
	unsigned n;
};

/* The highest CPU number that is taken for a number at all; far above the kernel's NR_CPUS. */
#define SX_PLACE_MAX_CPU 65535

/* Parse @text given with option @option. The caller frees list->cpu. */
int sx_place_parse(const char *option, const char *text, struct sx_place_list *list,
		   struct sx_error *err);
/* What a user or a file wrote, shortened and in printable ASCII, to be quoted in a sentence. */
struct sx_place_shown {
	char text[128];
};
const char *sx_place_shown(const char *text, struct sx_place_shown *shown);
void sx_place_make_printable(char *text);

/* Write @set as "0,2-5", shortened with "..." to fit; returns @buf. */
const char *sx_place_format(hwloc_const_bitmap_t set, char *buf, size_t size);

/* Load the topology and find the CPUs. What was acquired is freed by sx_placement_free(). */
int sx_place_load(struct sx_placement *p, const struct sx_placement_request *req,
		  struct sx_error *err);

/* Guest cores fall to sidecores in equal shares, in order: the share of guest core @i. */
static inline unsigned sx_place_share(unsigned i, unsigned n_guest, unsigned n_side)
{
	return (unsigned)((((uint64_t)i + 1) * n_side - 1) / n_guest);
}

void sx_place_give(struct sx_placement *p, unsigned cpu_index, enum sx_place_role role);
/* Choose @n_guest guest cores, or fewer when CPUs are short, and @n_side sidecores. */
int sx_place_choose(struct sx_placement *p, unsigned n_guest, unsigned n_side, bool allow_smt,
		    struct sx_error *err);
/* Give each guest core a sidecore. Returns 0 or -ENOMEM. */
int sx_place_pair(struct sx_placement *p);

/* Fill warning[]. Returns 0 or -ENOMEM. */
int sx_place_warn(struct sx_placement *p, unsigned n_listed);

#endif
