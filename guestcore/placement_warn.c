// SPDX-License-Identifier: BSD-3-Clause
/*
 * What is not ideal about a plan, said in sentences.
 */
#include "guestcore/placement_internal.h"

#include <cpuid.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SET_TEXT 128 /* room for a CPU list in a sentence */

static int warn(struct sx_placement *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int warn(struct sx_placement *p, const char *fmt, ...)
{
	char **grown = realloc(p->warning, (p->n_warnings + 1) * sizeof(*grown));
	va_list ap;
	int len;

	if (!grown)
		return -ENOMEM;
	p->warning = grown;
	va_start(ap, fmt);
	len = vasprintf(&grown[p->n_warnings], fmt, ap);
	va_end(ap);
	if (len < 0)
		return -ENOMEM;
	p->n_warnings++;
	return 0;
}

/* --- which CPUs a sentence is about ------------------------------------------------------ */

typedef bool test_fn(const struct sx_placement *p, const struct sx_place_cpu *cpu);

static const struct sx_place_cpu *sidecore_of(const struct sx_placement *p,
					      const struct sx_place_cpu *cpu)
{
	if (cpu->role != SX_ROLE_GUEST || p->side_of[cpu->index] == SX_NO_SIDECORE)
		return NULL;
	return &p->cpu[p->side[p->side_of[cpu->index]]];
}

static bool shares_its_core(const struct sx_placement *p, const struct sx_place_cpu *cpu)
{
	for (const struct sx_place_cpu *o = p->cpu; o < p->cpu + p->n_cpus; o++) {
		if (o != cpu && o->core == cpu->core && o->role != SX_ROLE_HOST)
			return true;
	}
	return false;
}

static bool serves_from_other_node(const struct sx_placement *p, const struct sx_place_cpu *cpu)
{
	const struct sx_place_cpu *side = sidecore_of(p, cpu);

	return side && side->node != cpu->node;
}

static bool serves_from_other_cache(const struct sx_placement *p, const struct sx_place_cpu *cpu)
{
	const struct sx_place_cpu *side = sidecore_of(p, cpu);

	return side && side->node == cpu->node && side->cache != cpu->cache;
}

static bool not_isolated(const struct sx_placement *p, const struct sx_place_cpu *cpu)
{
	return p->know_isolation && !cpu->isolated;
}

static bool isolated_with_tick(const struct sx_placement *p, const struct sx_place_cpu *cpu)
{
	return p->know_isolation && cpu->isolated && !cpu->tickless;
}

/*
 * Say "@before CPUs 1-3@after" of the guest cores and sidecores that @test holds for, if there are
 * any. @before ends so that it fits one CPU as well as many.
 */
static int warn_of(struct sx_placement *p, test_fn *test, const char *before, const char *after)
{
	hwloc_bitmap_t set = hwloc_bitmap_alloc();
	char text[SET_TEXT];
	int rc = set ? 0 : -ENOMEM;

	for (unsigned i = 0; !rc && i < p->n_cpus; i++) {
		const struct sx_place_cpu *cpu = &p->cpu[i];

		if (cpu->role != SX_ROLE_HOST && test(p, cpu) && hwloc_bitmap_set(set, cpu->os) < 0)
			rc = -ENOMEM;
	}
	if (!rc && !hwloc_bitmap_iszero(set))
		rc = warn(p, "%s CPU%s %s%s", before, hwloc_bitmap_weight(set) > 1 ? "s" : "",
			  sx_place_format(set, text, sizeof(text)), after);
	hwloc_bitmap_free(set);
	return rc;
}

/* --- the sentences ----------------------------------------------------------------------- */

static int warn_counts(struct sx_placement *p, unsigned n_listed)
{
	if (p->vcpus > p->n_guest)
		return warn(p,
			    "%u vCPUs share %u guest core%s and run in turn, so a message may wait "
			    "for a time slice; give more CPUs or fewer vCPUs",
			    p->vcpus, p->n_guest, p->n_guest == 1 ? "" : "s");
	if (n_listed > p->vcpus)
		return warn(p,
			    "%u vCPU%s need only the first %u of the %u guest cores named; the "
			    "others stay with the host",
			    p->vcpus, p->vcpus == 1 ? "" : "s", p->vcpus, n_listed);
	return 0;
}

static int warn_nodes(struct sx_placement *p)
{
	hwloc_bitmap_t nodes = hwloc_bitmap_alloc();
	char text[SET_TEXT];
	int rc = nodes ? 0 : -ENOMEM;

	for (unsigned g = 0; !rc && g < p->n_guest; g++) {
		hwloc_obj_t node = p->cpu[p->guest[g]].node;

		if (node && hwloc_bitmap_set(nodes, node->os_index) < 0)
			rc = -ENOMEM;
	}
	if (!rc && hwloc_bitmap_weight(nodes) > 1)
		rc = warn(p,
			  "the guest cores are on NUMA nodes %s, so much of the guest's memory "
			  "is far from each; choose them from one node",
			  sx_place_format(nodes, text, sizeof(text)));
	if (!rc && hwloc_bitmap_andnot(nodes, nodes, p->memory) < 0)
		rc = -ENOMEM;
	if (!rc && !hwloc_bitmap_iszero(nodes))
		rc = warn(p,
			  "this process may not take memory from NUMA node %s, where guest cores "
			  "are, so guest memory is far away; widen cpuset.mems",
			  sx_place_format(nodes, text, sizeof(text)));
	hwloc_bitmap_free(nodes);
	return rc;
}

/* CPUID leaf 1 ECX bit 31: clear in hardware, set by hypervisors (AMD APM Vol. 3, appendix E). */
static int warn_hypervisor(struct sx_placement *p)
{
	unsigned eax, ebx, ecx, edx;

	if (!p->this_machine || !__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx >> 31))
		return 0;
	return warn(p, "this machine is itself a virtual machine, whose host may take a CPU away "
		       "while a sidecore polls on it; expect uneven times");
}

int sx_place_warn(struct sx_placement *p, unsigned n_listed)
{
	int rc = warn_counts(p, n_listed);

	if (!rc)
		rc = warn_of(p, shares_its_core, "SMT siblings slow one another down on",
			     "; choose one thread of each core");
	if (!rc)
		rc = warn_of(p, serves_from_other_node, "a sidecore on another NUMA node serves",
			     ", so each message crosses the interconnect; choose both from one "
			     "node");
	if (!rc)
		rc = warn_of(p, serves_from_other_cache,
			     "a sidecore under another last-level cache serves",
			     ", so messages take the longer way; choose both under one cache");
	if (!rc)
		rc = warn_nodes(p);
	if (!rc)
		rc = warn_of(p, not_isolated, "nothing keeps other work off",
			     "; boot with isolcpus= and nohz_full= to have guest cores and "
			     "sidecores left alone");
	if (!rc)
		rc = warn_of(p, isolated_with_tick, "the scheduler's tick still interrupts",
			     "; boot with nohz_full= as well as isolcpus=");
	return rc ? rc : warn_hypervisor(p);
}
