// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a plan knows about the machine: hwloc's topology, and which CPUs are online, allowed and
 * isolated.
 *
 * This is on the way from exec to the first guest instruction, so only what a plan needs is
 * discovered. Without the filters and flags below, hwloc binds the thread to each CPU in turn to
 * ask CPUID what sysfs has said already, and its plugins load PCI, XML and GPU libraries.
 */
#include "guestcore/placement_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYS_CPU "/sys/devices/system/cpu"

/* --- the topology ------------------------------------------------------------------------ */

static int keep_only_what_matters(hwloc_topology_t t)
{
	static const struct {
		hwloc_obj_type_t type;
		enum hwloc_type_filter_e filter;
	} keep[] = {
		{HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL},
		{HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL},
		{HWLOC_OBJ_L3CACHE, HWLOC_TYPE_FILTER_KEEP_ALL},
		/* The last level of some small cores. */
		{HWLOC_OBJ_L2CACHE, HWLOC_TYPE_FILTER_KEEP_STRUCTURE},
		/* hwloc hangs a NUMA node that is smaller than its package under a group. */
		{HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE},
	};
	/* CPUs outside our cgroup stay in the picture; nothing may move the calling thread. */
	unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED;

#if HWLOC_API_VERSION >= 0x00020800
	flags |= HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING | HWLOC_TOPOLOGY_FLAG_NO_DISTANCES |
		 HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS | HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS;
#endif
	if (hwloc_topology_set_all_types_filter(t, HWLOC_TYPE_FILTER_KEEP_NONE) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
		if (hwloc_topology_set_type_filter(t, keep[i].type, keep[i].filter) < 0)
			return -errno;
	}
	if (hwloc_topology_set_flags(t, flags) < 0)
		return -errno;
	/* A build of hwloc without this component refuses the name, which is as good. */
	(void)hwloc_topology_set_components(t, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
	return 0;
}

static bool is_xml_name(const char *name)
{
	size_t len = strlen(name);

	return len > 4 && !strcmp(name + len - 4, ".xml");
}

static int bad_description(const char *description, struct sx_error *err)
{
	struct sx_place_shown shown;

	sx_place_shown(description, &shown);
	if (is_xml_name(description))
		return sx_fail(err, -EINVAL,
			       "topology file '%s' cannot be read as hwloc XML; make it with "
			       "'lstopo FILE.xml' on the machine to plan for",
			       shown.text);
	return sx_fail(err, -EINVAL,
		       "topology '%s' is no hwloc synthetic description; write one such as "
		       "'pack:2 numa:1 l3:1 core:8 pu:2', or name an .xml file",
		       shown.text);
}

static int use_description(struct sx_placement *p, const char *description)
{
	return is_xml_name(description) ? hwloc_topology_set_xml(p->topology, description)
					: hwloc_topology_set_synthetic(p->topology, description);
}

/* hwloc can be kept from its plugins by the environment only. An empty path means none. */
static int init_without_plugins(hwloc_topology_t *t)
{
	static const char path[] = "HWLOC_PLUGINS_PATH";
	bool users_own = getenv(path);
	int rc;

	if (!users_own && setenv(path, "", 0) < 0)
		return -errno;
	rc = hwloc_topology_init(t) < 0 ? -errno : 0;
	if (!users_own)
		unsetenv(path);
	return rc;
}

static int load_topology(struct sx_placement *p, const char *description, struct sx_error *err)
{
	int rc = init_without_plugins(&p->topology);

	if (rc < 0) {
		p->topology = NULL;
		return sx_fail(err, rc, "hwloc does not start: %s; reinstall libhwloc",
			       strerror(-rc));
	}
	rc = keep_only_what_matters(p->topology);
	if (rc < 0)
		return sx_fail(err, rc, "hwloc refuses its filters: %s; use hwloc 2.1 or newer",
			       strerror(-rc));
	if (description && use_description(p, description) < 0)
		return bad_description(description, err);
	if (hwloc_topology_load(p->topology) < 0)
		return description ? bad_description(description, err)
				   : sx_fail(err, -EIO,
					     "hwloc cannot read this machine's topology; check "
					     "that /sys and /proc are mounted");
	/* HWLOC_XMLFILE and the like in the environment also make it another machine. */
	p->this_machine = !description && hwloc_topology_is_thissystem(p->topology);
	p->know_sizes = p->this_machine || (description && is_xml_name(description));
	return 0;
}

/* --- where each CPU sits ----------------------------------------------------------------- */

static hwloc_obj_t shared_cache_of(hwloc_obj_t pu, hwloc_obj_t core)
{
	hwloc_obj_t last = NULL;

	for (hwloc_obj_t up = core->parent ? core->parent : pu->parent; up; up = up->parent) {
		if (hwloc_obj_type_is_cache(up->type) &&
		    !hwloc_bitmap_isequal(up->cpuset, core->cpuset))
			last = up;
	}
	return last;
}

static void locate(struct sx_placement *p, struct sx_place_cpu *cpu, hwloc_obj_t pu)
{
	hwloc_topology_t t = p->topology;

	cpu->os = pu->os_index;
	cpu->core = hwloc_get_ancestor_obj_by_type(t, HWLOC_OBJ_CORE, pu);
	if (!cpu->core)
		cpu->core = pu;
	cpu->package = hwloc_get_ancestor_obj_by_type(t, HWLOC_OBJ_PACKAGE, pu);
	/* A cache of one core keeps nobody's messages nearer to anybody. */
	cpu->cache = shared_cache_of(pu, cpu->core);
	for (hwloc_obj_t node = NULL;
	     (node = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_NUMANODE, node));) {
		if (!cpu->node && hwloc_bitmap_isset(node->cpuset, pu->os_index))
			cpu->node = node;
	}
}

static int find_cpus(struct sx_placement *p, struct sx_error *err)
{
	int n = hwloc_get_nbobjs_by_type(p->topology, HWLOC_OBJ_PU);

	if (n <= 0)
		return sx_fail(err, -ENODEV,
			       "the topology has no CPUs; check that /sys is mounted");
	p->n_cpus = (unsigned)n;
	p->cpu = calloc(p->n_cpus, sizeof(*p->cpu));
	p->guest = calloc(p->n_cpus, sizeof(*p->guest));
	p->side = calloc(p->n_cpus, sizeof(*p->side));
	p->side_of = calloc(p->n_cpus, sizeof(*p->side_of));
	if (!p->cpu || !p->guest || !p->side || !p->side_of)
		return sx_fail(err, -ENOMEM, "no memory for a table of %u CPUs", p->n_cpus);
	for (unsigned i = 0; i < p->n_cpus; i++)
		locate(p, &p->cpu[i], hwloc_get_obj_by_type(p->topology, HWLOC_OBJ_PU, i));
	return 0;
}

/* --- what the kernel says of them -------------------------------------------------------- */

static int parse_set(const char *what, const char *text, hwloc_bitmap_t set, struct sx_error *err)
{
	struct sx_place_list list;
	int rc = sx_place_parse(what, text, &list, err);

	hwloc_bitmap_zero(set);
	for (unsigned i = 0; i < list.n && !rc; i++)
		rc = hwloc_bitmap_set(set, list.cpu[i]) < 0 ? -ENOMEM : 0;
	free(list.cpu);
	return rc;
}

/*
 * Read a CPU list of the kernel (Documentation/admin-guide/cputopology.rst). A kernel without the
 * feature has no such file, and one with the feature unused writes an empty line or "(null)":
 * all of these are an empty set.
 */
static int read_set(const char *dir, const char *name, hwloc_bitmap_t set)
{
	char path[4096], text[8192];
	ssize_t len;
	int fd;

	hwloc_bitmap_zero(set);
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	len = read(fd, text, sizeof(text) - 1);
	if (len < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	close(fd);
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (text[0] < '0' || text[0] > '9')
		return 0;
	return parse_set(path, text, set, NULL) < 0 ? -EIO : 0;
}

/*
 * The CPUs this process may use: its affinity mask. isolcpus= takes the isolated CPUs out of the
 * mask that every process inherits, and asking for them by affinity is how they are meant to be
 * used (Documentation/admin-guide/kernel-parameters.txt, isolcpus). So a mask that lacks exactly
 * these is nobody's wish, and they are added back; any other mask is taken as it is.
 */
static int own_mask(struct sx_placement *p, hwloc_const_bitmap_t isolated, hwloc_bitmap_t mask)
{
	hwloc_const_bitmap_t cgroup = hwloc_topology_get_allowed_cpuset(p->topology);
	hwloc_bitmap_t usual = hwloc_bitmap_alloc();
	int rc = 0;

	if (!usual || hwloc_bitmap_andnot(usual, cgroup, isolated) < 0)
		rc = -ENOMEM;
	else if (hwloc_get_cpubind(p->topology, mask, HWLOC_CPUBIND_THREAD) < 0)
		rc = -errno;
	else if (hwloc_bitmap_isequal(mask, usual))
		rc = hwloc_bitmap_or(mask, usual, isolated) < 0 ? -ENOMEM : 0;
	if (!rc && hwloc_bitmap_and(mask, mask, cgroup) < 0)
		rc = -ENOMEM;
	hwloc_bitmap_free(usual);
	return rc;
}

struct kernel_sets {
	hwloc_bitmap_t isolated, tickless, online, allowed;
};

static int read_kernel_sets(struct sx_placement *p, const struct sx_placement_request *req,
			    struct kernel_sets *k, struct sx_error *err)
{
	const char *dir = req->sys_cpu ? req->sys_cpu : p->this_machine ? SYS_CPU : NULL;
	int rc = 0;

	p->know_isolation = dir;
	if (dir) {
		rc = read_set(dir, "isolated", k->isolated);
		rc = rc < 0 ? rc : read_set(dir, "nohz_full", k->tickless);
		rc = rc < 0 ? rc : read_set(dir, "online", k->online);
		rc = rc < 0 ? rc : read_set(dir, "present", p->offline);
	}
	if (rc < 0)
		return sx_fail(err, rc, "the CPU lists in %s cannot be read: %s; mount sysfs there",
			       dir, strerror(-rc));
	if (hwloc_bitmap_andnot(p->offline, p->offline, k->online) < 0)
		return -ENOMEM;
	if (req->allowed)
		return parse_set("the list of allowed CPUs", req->allowed, k->allowed, err);
	if (p->this_machine)
		return own_mask(p, k->isolated, k->allowed);
	return hwloc_bitmap_copy(k->allowed, hwloc_topology_get_allowed_cpuset(p->topology)) < 0
		       ? -ENOMEM
		       : 0;
}

static int ask_kernel(struct sx_placement *p, const struct sx_placement_request *req,
		      struct sx_error *err)
{
	struct kernel_sets k = {hwloc_bitmap_alloc(), hwloc_bitmap_alloc(), hwloc_bitmap_alloc(),
				hwloc_bitmap_alloc()};
	int rc = -ENOMEM;

	p->offline = hwloc_bitmap_alloc();
	if (k.isolated && k.tickless && k.online && k.allowed && p->offline)
		rc = read_kernel_sets(p, req, &k, err);
	for (unsigned i = 0; !rc && i < p->n_cpus; i++) {
		struct sx_place_cpu *cpu = &p->cpu[i];

		cpu->isolated = hwloc_bitmap_isset(k.isolated, cpu->os);
		cpu->tickless = hwloc_bitmap_isset(k.tickless, cpu->os);
		cpu->allowed = hwloc_bitmap_isset(k.allowed, cpu->os) &&
			       !hwloc_bitmap_isset(p->offline, cpu->os);
	}
	hwloc_bitmap_free(k.allowed);
	hwloc_bitmap_free(k.online);
	hwloc_bitmap_free(k.tickless);
	hwloc_bitmap_free(k.isolated);
	return rc < 0 ? sx_fail(err, rc,
				"the CPUs of this process cannot be found: %s; "
				"check /sys and the affinity mask",
				strerror(-rc))
		      : 0;
}

int sx_place_load(struct sx_placement *p, const struct sx_placement_request *req,
		  struct sx_error *err)
{
	int rc = load_topology(p, req->topology, err);

	if (rc < 0)
		return rc;
	rc = find_cpus(p, err);
	return rc < 0 ? rc : ask_kernel(p, req, err);
}
