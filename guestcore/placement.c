// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/placement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guestcore/placement_internal.h"

#define GUEST_OPTION "--guest-cores"
#define SIDE_OPTION  "--sidecores"

void sx_place_give(struct sx_placement *p, unsigned cpu_index, enum sx_place_role role)
{
	struct sx_place_cpu *cpu = &p->cpu[cpu_index];

	cpu->role = role;
	if (role == SX_ROLE_GUEST) {
		cpu->index = p->n_guest;
		p->guest[p->n_guest++] = cpu_index;
	} else {
		cpu->index = p->n_side;
		p->side[p->n_side++] = cpu_index;
	}
}

/* --- the CPUs the user named ------------------------------------------------------------- */

static struct sx_place_cpu *find_cpu(const struct sx_placement *p, unsigned os)
{
	for (unsigned i = 0; i < p->n_cpus; i++) {
		if (p->cpu[i].os == os)
			return &p->cpu[i];
	}
	return NULL;
}

/* The CPUs a user may choose from, or all there are when @all, as text. */
static const char *choices(const struct sx_placement *p, bool all, char *buf, size_t size)
{
	hwloc_bitmap_t set = hwloc_bitmap_alloc();

	buf[0] = '\0';
	if (!set)
		return buf; /* an error message without its list is still one */
	for (unsigned i = 0; i < p->n_cpus; i++) {
		if (all || p->cpu[i].allowed)
			hwloc_bitmap_set(set, p->cpu[i].os);
	}
	sx_place_format(set, buf, size);
	hwloc_bitmap_free(set);
	return buf;
}

static int check_cpu(const struct sx_placement *p, const char *option, unsigned os,
		     const struct sx_place_cpu *cpu, struct sx_error *err)
{
	char text[128];

	if (hwloc_bitmap_isset(p->offline, os))
		return sx_fail(err, -ENODEV,
			       "CPU %u of %s is offline; write 1 to "
			       "/sys/devices/system/cpu/cpu%u/online, or choose among CPUs %s",
			       os, option, os, choices(p, false, text, sizeof(text)));
	if (!cpu)
		return sx_fail(err, -ENODEV, "CPU %u of %s does not exist; the machine has CPUs %s",
			       os, option, choices(p, true, text, sizeof(text)));
	if (!cpu->allowed)
		return sx_fail(err, -EPERM,
			       "CPU %u of %s is not among CPUs %s, which this process may use; "
			       "choose among these, or widen its cpuset or affinity mask",
			       os, option, choices(p, false, text, sizeof(text)));
	if (cpu->role != SX_ROLE_HOST)
		return sx_fail(err, -EBUSY,
			       "CPU %u is in both " GUEST_OPTION " and " SIDE_OPTION
			       "; a core is either, so take it out of one",
			       os);
	return 0;
}

/* Give @role to the first @limit CPUs of @list; the others are checked all the same. */
static int take_list(struct sx_placement *p, const char *option, const struct sx_place_list *list,
		     enum sx_place_role role, unsigned limit, struct sx_error *err)
{
	for (unsigned i = 0; i < list->n; i++) {
		struct sx_place_cpu *cpu = find_cpu(p, list->cpu[i]);
		int rc = check_cpu(p, option, list->cpu[i], cpu, err);

		if (rc < 0)
			return rc;
		if (i < limit)
			sx_place_give(p, (unsigned)(cpu - p->cpu), role);
	}
	return 0;
}

static int take_guest_list(struct sx_placement *p, const struct sx_placement_request *req,
			   unsigned *n_listed, struct sx_error *err)
{
	struct sx_place_list list;
	int rc = sx_place_parse(GUEST_OPTION, req->guest_cores, &list, err);

	if (rc < 0)
		return rc;
	*n_listed = list.n;
	p->vcpus = req->n_guest ? req->n_guest : list.n;
	rc = take_list(p, GUEST_OPTION, &list, SX_ROLE_GUEST, p->vcpus, err);
	free(list.cpu);
	return rc;
}

static int take_side_list(struct sx_placement *p, const struct sx_placement_request *req,
			  struct sx_error *err)
{
	struct sx_place_list list;
	int rc = sx_place_parse(SIDE_OPTION, req->sidecores, &list, err);

	if (rc < 0)
		return rc;
	if (req->n_side && req->n_side != list.n)
		rc = sx_fail(err, -EINVAL,
			     "%u sidecores were asked for, but " SIDE_OPTION
			     " names %u; leave one of the two out",
			     req->n_side, list.n);
	else
		rc = take_list(p, SIDE_OPTION, &list, SX_ROLE_SIDECORE, list.n, err);
	free(list.cpu);
	return rc;
}

/* --- the plan ---------------------------------------------------------------------------- */

static unsigned farness(const struct sx_place_cpu *a, const struct sx_place_cpu *b)
{
	return 2 * (a->node != b->node) + (a->cache != b->cache);
}

/* Is sidecore @a better than @b for guest core @g? The nearer, its own share's, the idler. */
static bool is_better(const struct sx_placement *p, unsigned g, unsigned a, unsigned b,
		      const unsigned *load)
{
	const struct sx_place_cpu *guest = &p->cpu[p->guest[g]];
	unsigned far_a = farness(guest, &p->cpu[p->side[a]]);
	unsigned far_b = farness(guest, &p->cpu[p->side[b]]);
	unsigned own = sx_place_share(g, p->n_guest, p->n_side);

	if (far_a != far_b)
		return far_a < far_b;
	if ((a == own) != (b == own))
		return a == own;
	return load[a] < load[b];
}

/* To each guest core the best sidecore that has room; none serves more than one above another. */
int sx_place_pair(struct sx_placement *p)
{
	unsigned share = p->n_side ? p->n_guest / p->n_side : 0;
	unsigned over = p->n_side ? p->n_guest % p->n_side : 0; /* how many may serve one more */
	unsigned *load = calloc(p->n_side + 1, sizeof(*load));

	if (!load)
		return -ENOMEM;
	for (unsigned g = 0; g < p->n_guest; g++) {
		unsigned best = SX_NO_SIDECORE;

		for (unsigned s = 0; s < p->n_side; s++) {
			bool room = load[s] < share + !!over;

			if (room && (best == SX_NO_SIDECORE || is_better(p, g, s, best, load)))
				best = s;
		}
		p->side_of[g] = best;
		if (best != SX_NO_SIDECORE && load[best]++ == share)
			over--;
	}
	free(load);
	return 0;
}

/* Memory of the guest cores' own nodes, as far as our cgroup lets us have it. */
static int find_memory(struct sx_placement *p)
{
	p->memory = hwloc_bitmap_alloc();
	if (!p->memory)
		return -ENOMEM;
	for (unsigned g = 0; g < p->n_guest; g++) {
		hwloc_obj_t node = p->cpu[p->guest[g]].node;

		if (node && hwloc_bitmap_set(p->memory, node->os_index) < 0)
			return -ENOMEM;
	}
	return hwloc_bitmap_and(p->memory, p->memory,
				hwloc_topology_get_allowed_nodeset(p->topology)) < 0
		       ? -ENOMEM
		       : 0;
}

static int make_plan(struct sx_placement *p, const struct sx_placement_request *req,
		     struct sx_error *err)
{
	unsigned n_listed = 0;
	int rc;

	rc = sx_place_load(p, req, err);
	if (rc < 0)
		return rc;
	p->vcpus = req->n_guest ? req->n_guest : 1;
	if (req->guest_cores)
		rc = take_guest_list(p, req, &n_listed, err);
	if (!rc && req->sidecores)
		rc = take_side_list(p, req, err);
	if (!rc)
		rc = sx_place_choose(p, req->guest_cores ? 0 : p->vcpus,
				     req->sidecores ? 0 : req->n_side, req->allow_smt, err);
	if (rc < 0)
		return rc;
	rc = sx_place_pair(p);
	if (!rc)
		rc = find_memory(p);
	if (!rc)
		rc = sx_place_warn(p, n_listed);
	return rc < 0 ? sx_fail(err, rc, "no memory to plan %u CPUs", p->n_cpus) : 0;
}

int sx_placement_plan(const struct sx_placement_request *req, struct sx_placement **out,
		      struct sx_error *err)
{
	struct sx_placement *p = calloc(1, sizeof(*p));
	int rc;

	*out = NULL;
	if (!p)
		return sx_fail(err, -ENOMEM, "no memory for a plan of guest cores and sidecores");
	rc = make_plan(p, req, err);
	if (rc < 0) {
		sx_placement_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void sx_placement_free(struct sx_placement *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->n_warnings; i++)
		free(p->warning[i]);
	free(p->warning);
	hwloc_bitmap_free(p->memory);
	hwloc_bitmap_free(p->offline);
	free(p->side_of);
	free(p->side);
	free(p->guest);
	free(p->cpu);
	if (p->topology)
		hwloc_topology_destroy(p->topology);
	free(p);
}

/* --- reading a plan ---------------------------------------------------------------------- */

unsigned sx_placement_vcpus(const struct sx_placement *p)
{
	return p->vcpus;
}

unsigned sx_placement_guest_cores(const struct sx_placement *p)
{
	return p->n_guest;
}

unsigned sx_placement_sidecores(const struct sx_placement *p)
{
	return p->n_side;
}

unsigned sx_placement_guest_core(const struct sx_placement *p, unsigned i)
{
	return p->cpu[p->guest[i]].os;
}

unsigned sx_placement_sidecore(const struct sx_placement *p, unsigned i)
{
	return p->cpu[p->side[i]].os;
}

unsigned sx_placement_core_of(const struct sx_placement *p, unsigned vcpu)
{
	return vcpu % p->n_guest;
}

unsigned sx_placement_sidecore_of(const struct sx_placement *p, unsigned i)
{
	return p->side_of[i];
}

unsigned sx_placement_warnings(const struct sx_placement *p)
{
	return p->n_warnings;
}

const char *sx_placement_warning(const struct sx_placement *p, unsigned i)
{
	return p->warning[i];
}

/* --- binding ----------------------------------------------------------------------------- */

static int check_this_machine(const struct sx_placement *p, struct sx_error *err)
{
	return p->this_machine ? 0
			       : sx_fail(err, -ENOTSUP,
					 "the plan is for another machine's topology, so nothing "
					 "can be bound with it; plan without a topology");
}

static int bind_to(const struct sx_placement *p, hwloc_const_bitmap_t set)
{
	int flags = HWLOC_CPUBIND_THREAD | HWLOC_CPUBIND_STRICT;

	return hwloc_set_cpubind(p->topology, set, flags) < 0 ? -errno : 0;
}

int sx_placement_bind_thread(const struct sx_placement *p, unsigned cpu, struct sx_error *err)
{
	const struct sx_place_cpu *planned = find_cpu(p, cpu);
	hwloc_bitmap_t set;
	int rc = check_this_machine(p, err);

	if (rc < 0)
		return rc;
	if (!planned || planned->role == SX_ROLE_HOST)
		return sx_fail(err, -EINVAL,
			       "CPU %u is no guest core or sidecore of the plan, so no thread is "
			       "bound to it",
			       cpu);
	set = hwloc_bitmap_alloc();
	if (!set || hwloc_bitmap_only(set, cpu) < 0)
		rc = -ENOMEM;
	else
		rc = bind_to(p, set);
	hwloc_bitmap_free(set);
	return rc < 0 ? sx_fail(err, rc,
				"a thread cannot be bound to CPU %u: %s; check that the CPU is "
				"online and in this process's cpuset",
				cpu, strerror(-rc))
		      : 0;
}

/* The allowed CPUs that have @role. */
static int collect(const struct sx_placement *p, enum sx_place_role role, hwloc_bitmap_t set)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < p->n_cpus; i++)
		if (p->cpu[i].allowed && p->cpu[i].role == role)
			rc = hwloc_bitmap_set(set, p->cpu[i].os);
	return rc < 0 ? -ENOMEM : 0;
}

int sx_placement_bind_others(const struct sx_placement *p, struct sx_error *err)
{
	hwloc_bitmap_t set;
	int rc = check_this_machine(p, err);

	if (rc < 0)
		return rc;
	set = hwloc_bitmap_alloc();
	rc = set ? collect(p, SX_ROLE_HOST, set) : -ENOMEM;
	if (rc == 0 && hwloc_bitmap_iszero(set))
		rc = collect(p, SX_ROLE_GUEST, set);
	if (rc == 0)
		rc = bind_to(p, set);
	hwloc_bitmap_free(set);
	return rc < 0 ? sx_fail(err, rc, "the main thread cannot be kept off the sidecores: %s",
				strerror(-rc))
		      : 0;
}

int sx_placement_bind_memory(const struct sx_placement *p, void *addr, size_t len,
			     struct sx_error *err)
{
	char text[128];
	int rc = check_this_machine(p, err);

	if (rc < 0)
		return rc;
	/* One node has all the memory; and no allowed node is near when the set is empty, of
	 * which the plan warns. */
	if (hwloc_get_nbobjs_by_type(p->topology, HWLOC_OBJ_NUMANODE) < 2 ||
	    hwloc_bitmap_iszero(p->memory))
		return 0;
	if (hwloc_set_area_membind(p->topology, addr, len, p->memory, HWLOC_MEMBIND_BIND,
				   HWLOC_MEMBIND_BYNODESET) == 0)
		return 0;
	rc = -errno;
	if (rc == -ENOSYS) /* a kernel without CONFIG_NUMA */
		return 0;
	return sx_fail(err, rc,
		       "guest memory cannot be bound to NUMA node %s: %s; in a container, mbind() "
		       "may need CAP_SYS_NICE",
		       sx_place_format(p->memory, text, sizeof(text)), strerror(-rc));
}
