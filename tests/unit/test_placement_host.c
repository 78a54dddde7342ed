// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a plan takes from the host: isolated, offline and allowed CPUs, the warnings that follow,
 * and binding on the machine that runs the test.
 */
#include <cpuid.h>
#include <errno.h>
#include <hwloc.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/placement.h"

#define REQ(...) (&(struct sx_placement_request){__VA_ARGS__})

#define FLAT      "pack:1 numa:1 l3:1 core:8 pu:1"
#define TWO_NODES "pack:1 numa:2 l3:1 core:4 pu:1"

/* --- isolated CPUs ----------------------------------------------------------------------- */

static void want_choice_with_isolated(const char *isolated, const char *topology, unsigned n_guest,
				      unsigned n_side, const char *cpus)
{
	struct fake_sys sys;

	fake_sys_make(&sys, isolated, NULL, "0-7", "0-7");
	want_choice(
		REQ(.n_guest = n_guest, .n_side = n_side, .topology = topology, .sys_cpu = sys.dir),
		cpus);
	fake_sys_remove(&sys);
}

static void isolated_cpus_are_chosen_first(void **state)
{
	(void)state;
	want_choice_with_isolated("5-7", FLAT, 2, 1, "5,6|7");
	want_choice_with_isolated("5", FLAT, 1, 0, "5|");
	want_choice_with_isolated("0,6", FLAT, 1, 1, "6|0");
	/* Enough of them, even if on two nodes; a guest core and its sidecore stay on one. */
	want_choice_with_isolated("2,3,6,7", TWO_NODES, 2, 2, "2,6|3,7");
	want_choice_with_isolated("3,6,7", TWO_NODES, 1, 1, "6|7");
	/* Not enough: one node counts for more. */
	want_choice_with_isolated("3,6", TWO_NODES, 2, 1, "3,1|2");
	want_choice_with_isolated("6,7", "pack:1 numa:1 l3:4 core:2 pu:1", 2, 2, "6,2|7,3");
}

static void near_counts_for_more_than_isolated(void **state)
{
	struct fake_sys sys;

	(void)state;
	fake_sys_make(&sys, "3,6,7", NULL, "0-7", "0-7");
	want_choice(REQ(.guest_cores = "1", .n_side = 2, .topology = TWO_NODES, .sys_cpu = sys.dir),
		    "1|3,2");
	want_choice(REQ(.sidecores = "1", .n_guest = 2, .topology = TWO_NODES, .sys_cpu = sys.dir),
		    "3,2|1");
	fake_sys_remove(&sys);
}

static void nothing_is_isolated_when_the_kernel_says_nothing(void **state)
{
	static const char *const nothing[] = {"", "(null)", " (null)"};

	(void)state;
	want_choice_with_isolated(NULL, FLAT, 2, 1, "1,2|3");
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
		want_choice_with_isolated(nothing[i], FLAT, 2, 1, "1,2|3");
}

static void isolation_that_lacks_is_told(void **state)
{
	struct fake_sys sys;
	struct sx_placement *p;

	(void)state;
	fake_sys_make(&sys, "2-7", "4-7", "0-7", "0-7");
	p = want_plan(
		REQ(.guest_cores = "4,5", .sidecores = "6", .topology = FLAT, .sys_cpu = sys.dir));
	assert_int_equal(sx_placement_warnings(p), 0);
	sx_placement_free(p);

	p = want_plan(
		REQ(.guest_cores = "3,4", .sidecores = "2", .topology = FLAT, .sys_cpu = sys.dir));
	assert_int_equal(sx_placement_warnings(p), 1);
	assert_true(warns(p, "tick still interrupts CPUs 2-3; boot with nohz_full="));
	sx_placement_free(p);

	p = want_plan(
		REQ(.guest_cores = "4", .sidecores = "1", .topology = FLAT, .sys_cpu = sys.dir));
	assert_int_equal(sx_placement_warnings(p), 1);
	assert_true(warns(p, "nothing keeps other work off CPU 1; boot with isolcpus="));
	sx_placement_free(p);
	fake_sys_remove(&sys);

	/* Of another machine without such a directory nobody knows. */
	p = want_plan(REQ(.n_guest = 2, .n_side = 1, .topology = FLAT));
	assert_int_equal(sx_placement_warnings(p), 0);
	sx_placement_free(p);
}

static void nodes_and_caches_apart_are_told(void **state)
{
	struct sx_placement *p;

	(void)state;
	p = want_plan(REQ(.guest_cores = "1,5", .sidecores = "2", .topology = TWO_NODES));
	assert_int_equal(sx_placement_warnings(p), 2);
	assert_true(warns(p, "a sidecore on another NUMA node serves CPU 5,"));
	assert_true(warns(p, "the guest cores are on NUMA nodes 0-1,"));
	sx_placement_free(p);

	p = want_plan(REQ(.guest_cores = "1,5-6", .sidecores = "2",
			  .topology = "pack:1 numa:1 l3:2 core:4 pu:1"));
	assert_int_equal(sx_placement_warnings(p), 1);
	assert_true(warns(p, "a sidecore under another last-level cache serves CPUs 5-6,"));
	sx_placement_free(p);

	/* Caches of one core each tell no CPU from another. */
	p = want_plan(REQ(.guest_cores = "1", .sidecores = "2",
			  .topology = "pack:1 numa:1 l3:8 core:1 pu:1"));
	assert_int_equal(sx_placement_warnings(p), 0);
	sx_placement_free(p);

	/* An L2 cache is the last level where there is no L3 cache. */
	p = want_plan(REQ(.guest_cores = "1", .sidecores = "4",
			  .topology = "pack:1 numa:1 l2:2 core:4 pu:1"));
	assert_true(warns(p, "last-level cache serves CPU 1,"));
	sx_placement_free(p);
}

/* --- offline CPUs ------------------------------------------------------------------------ */

static void offline_cpus_are_refused_and_never_chosen(void **state)
{
	struct fake_sys sys;

	(void)state;
	/* 0-3 are online, 4-7 only present, 8-11 beyond the topology but present. */
	fake_sys_make(&sys, "", "", "0-3", "0-11");
	want_refusal(REQ(.guest_cores = "4", .topology = FLAT, .sys_cpu = sys.dir), -ENODEV,
		     "CPU 4 of --guest-cores is offline; write 1 to "
		     "/sys/devices/system/cpu/cpu4/online, or choose among CPUs 0-3");
	want_refusal(REQ(.sidecores = "11", .topology = FLAT, .sys_cpu = sys.dir), -ENODEV,
		     "CPU 11 of --sidecores is offline");
	want_refusal(REQ(.guest_cores = "12", .topology = FLAT, .sys_cpu = sys.dir), -ENODEV,
		     "CPU 12 of --guest-cores does not exist");
	want_choice(REQ(.n_guest = 8, .n_side = 1, .topology = FLAT, .sys_cpu = sys.dir),
		    "1,2,3|0");
	want_refusal(REQ(.n_side = 4, .topology = FLAT, .sys_cpu = sys.dir), -ENOSPC,
		     "4 free cores");
	fake_sys_remove(&sys);
}

static void garbage_from_the_kernel_is_refused(void **state)
{
	struct fake_sys sys;

	(void)state;
	fake_sys_make(&sys, "", "", "0-7", "7up");
	want_refusal(REQ(.topology = FLAT, .sys_cpu = sys.dir), -EIO, sys.dir);
	fake_sys_remove(&sys);
	fake_sys_make(&sys, "3-1", "", "0-7", "0-7");
	want_refusal(REQ(.topology = FLAT, .sys_cpu = sys.dir), -EIO, "cannot be read");
	fake_sys_remove(&sys);
	want_refusal(REQ(.topology = FLAT, .sys_cpu = "/proc/self/status"), -ENOTDIR,
		     "mount sysfs");
}

/* --- topology files ---------------------------------------------------------------------- */

/* @cpus and @nodes: what a process there may use; NULL for all. */
static void make_xml(char path[32], const char *synthetic, const char *cpus, const char *nodes)
{
	hwloc_bitmap_t cpuset = hwloc_bitmap_alloc(), nodeset = hwloc_bitmap_alloc();
	hwloc_topology_t t;
	int fd;

	strcpy(path, "/tmp/splitx-test-XXXXXX.xml");
	fd = mkstemps(path, 4);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(hwloc_topology_init(&t), 0);
	assert_int_equal(hwloc_topology_set_flags(t, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED), 0);
	assert_int_equal(hwloc_topology_set_synthetic(t, synthetic), 0);
	assert_int_equal(hwloc_topology_load(t), 0);
	assert_int_equal(hwloc_bitmap_list_sscanf(cpuset, cpus ? cpus : "0"), 0);
	assert_int_equal(hwloc_bitmap_list_sscanf(nodeset, nodes ? nodes : "0"), 0);
	if (cpus || nodes)
		assert_int_equal(hwloc_topology_allow(t, cpus ? cpuset : NULL,
						      nodes ? nodeset : NULL,
						      HWLOC_ALLOW_FLAG_CUSTOM),
				 0);
	assert_int_equal(hwloc_topology_export_xml(t, path, 0), 0);
	hwloc_topology_destroy(t);
	hwloc_bitmap_free(nodeset);
	hwloc_bitmap_free(cpuset);
}

static void another_machines_file_can_be_planned_for(void **state)
{
	char path[32];

	(void)state;
	make_xml(path, "pack:2 numa:1 l3:1 core:4 pu:2", NULL, NULL);
	want_choice(REQ(.n_guest = 3, .n_side = 1, .topology = path), "8,10,12|14");
	want_refusal(REQ(.guest_cores = "16", .topology = path), -ENODEV, "CPU 16");
	unlink(path);
}

static void what_another_machine_forbids_is_respected(void **state)
{
	struct sx_placement *p;
	char path[32];

	(void)state;
	make_xml(path, TWO_NODES, "2-5", "0");
	want_refusal(REQ(.guest_cores = "6", .topology = path), -EPERM, "not among CPUs 2-5");
	want_choice(REQ(.n_guest = 8, .n_side = 1, .topology = path), "2,4,5|3");
	p = want_plan(REQ(.guest_cores = "2", .topology = path));
	assert_int_equal(sx_placement_warnings(p), 0);
	sx_placement_free(p);
	p = want_plan(REQ(.guest_cores = "2,4", .topology = path));
	assert_true(warns(p, "may not take memory from NUMA node 1, where guest cores are"));
	sx_placement_free(p);
	unlink(path);
}

static void a_file_that_is_no_topology_is_refused(void **state)
{
	char path[32];
	FILE *f;

	(void)state;
	make_xml(path, FLAT, NULL, NULL);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("<topology><object type=\"Machine\"", f);
	fclose(f);
	want_refusal(REQ(.topology = path), -EINVAL, "cannot be read as hwloc XML");
	unlink(path);
}

/* --- this machine ------------------------------------------------------------------------ */

static unsigned own_cpus(cpu_set_t *set)
{
	assert_int_equal(sched_getaffinity(0, sizeof(*set), set), 0);
	return (unsigned)CPU_COUNT(set);
}

static unsigned last_of(const cpu_set_t *set)
{
	unsigned last = 0;

	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		last = CPU_ISSET(i, set) ? i : last;
	return last;
}

/*
 * Affinity is the thread's, so these run on one of their own, and the main thread's must not
 * change. cmocka's assertions belong to the main thread, so a body counts what went wrong and
 * returns that.
 */
static void want_none_wrong(void *(*body)(void *), void *arg)
{
	cpu_set_t before, after;
	pthread_t thread;
	void *wrong;

	(void)own_cpus(&before);
	assert_int_equal(pthread_create(&thread, NULL, body, arg), 0);
	assert_int_equal(pthread_join(thread, &wrong), 0);
	assert_int_equal((intptr_t)wrong, 0);
	(void)own_cpus(&after);
	assert_true(CPU_EQUAL(&before, &after));
}

#define EXPECT(ok) (wrong += !(ok))

static unsigned first_of(const cpu_set_t *set)
{
	unsigned first = 0;

	while (!CPU_ISSET(first, set))
		first++;
	return first;
}

static void *plan_on_one_cpu(void *arg)
{
	struct sx_placement *p;
	struct sx_error err = {0};
	cpu_set_t all, one;
	char first[16];
	intptr_t wrong = 0;

	(void)arg;
	(void)own_cpus(&all);
	snprintf(first, sizeof(first), "%u", first_of(&all));
	CPU_ZERO(&one);
	CPU_SET(last_of(&all), &one);
	EXPECT(sched_setaffinity(0, sizeof(one), &one) == 0);
	EXPECT(sx_placement_plan(REQ(.guest_cores = first), &p, &err) == -EPERM);
	EXPECT(strstr(err.text, "which this process may use") != NULL);
	EXPECT(sx_placement_plan(REQ(.n_guest = 1, .n_side = 1), &p, NULL) == -ENOSPC);
	EXPECT(sx_placement_plan(REQ(.n_guest = 1), &p, NULL) == 0);
	EXPECT(p && sx_placement_guest_core(p, 0) == last_of(&all));
	sx_placement_free(p);
	return (void *)wrong;
}

static void the_affinity_mask_is_the_limit(void **state)
{
	cpu_set_t all;

	(void)state;
	if (own_cpus(&all) < 2) {
		print_message("one CPU only, so no mask can leave one out\n");
		skip();
	}
	want_none_wrong(plan_on_one_cpu, NULL);
}

struct beside {
	const char *sys_cpu;
	unsigned isolated;
};

/* With isolcpus= a process starts with a mask of the other CPUs. */
static void *plan_beside_isolated(void *arg)
{
	const struct beside *b = arg;
	struct sx_placement *p;
	struct sx_error err = {0};
	cpu_set_t rest;
	intptr_t wrong = 0;

	(void)own_cpus(&rest);
	CPU_CLR(b->isolated, &rest);
	EXPECT(sched_setaffinity(0, sizeof(rest), &rest) == 0);
	EXPECT(sx_placement_plan(REQ(.n_guest = 1, .sys_cpu = b->sys_cpu), &p, &err) == 0);
	if (!p)
		return (void *)1;
	EXPECT(sx_placement_guest_core(p, 0) == b->isolated);
	EXPECT(sx_placement_bind_thread(p, b->isolated, &err) == 0);
	EXPECT(sched_getcpu() == (int)b->isolated);
	sx_placement_free(p);
	return (void *)wrong;
}

static void isolated_cpus_are_allowed_beside_the_usual_mask(void **state)
{
	struct fake_sys sys;
	struct beside b = {.sys_cpu = sys.dir};
	cpu_set_t all;
	char isolated[16];

	(void)state;
	if (own_cpus(&all) < 2 || (int)own_cpus(&all) != sysconf(_SC_NPROCESSORS_ONLN)) {
		print_message("not all CPUs of a machine with two or more may be used\n");
		skip();
	}
	b.isolated = last_of(&all);
	snprintf(isolated, sizeof(isolated), "%u", b.isolated);
	fake_sys_make(&sys, isolated, isolated, NULL, NULL);
	want_none_wrong(plan_beside_isolated, &b);
	fake_sys_remove(&sys);
}

static void *bind_to_own_core(void *arg)
{
	struct sx_placement *p = arg;
	unsigned cpu = sx_placement_guest_core(p, 0);
	struct sx_error err = {0};
	cpu_set_t now;
	intptr_t wrong = 0;

	EXPECT(sx_placement_bind_thread(p, cpu, &err) == 0);
	EXPECT(own_cpus(&now) == 1 && CPU_ISSET(cpu, &now));
	EXPECT(sched_getcpu() == (int)cpu);
	for (unsigned i = 0; i < CPU_SETSIZE; i++) { /* those that exist, and others */
		if (i != cpu)
			EXPECT(sx_placement_bind_thread(p, i, &err) == -EINVAL);
	}
	EXPECT(sx_placement_bind_thread(p, UINT_MAX, NULL) == -EINVAL);
	EXPECT(strstr(err.text, "no guest core or sidecore") != NULL);
	EXPECT(own_cpus(&now) == 1 && CPU_ISSET(cpu, &now));
	return (void *)wrong;
}

static void threads_are_bound_to_planned_cpus_only(void **state)
{
	struct sx_placement *p = want_plan(REQ(.n_guest = 1));

	(void)state;
	want_none_wrong(bind_to_own_core, p);
	sx_placement_free(p);
}

static void planning_moves_nobody_and_leaves_the_environment(void **state)
{
	cpu_set_t before, after;

	(void)state;
	unsetenv("HWLOC_PLUGINS_PATH");
	(void)own_cpus(&before);
	sx_placement_free(want_plan(REQ(.n_guest = 1)));
	(void)own_cpus(&after);
	assert_true(CPU_EQUAL(&before, &after));
	assert_null(getenv("HWLOC_PLUGINS_PATH"));

	assert_int_equal(setenv("HWLOC_PLUGINS_PATH", "/nonexistent", 1), 0);
	sx_placement_free(want_plan(REQ(.n_guest = 1)));
	assert_string_equal(getenv("HWLOC_PLUGINS_PATH"), "/nonexistent");
	unsetenv("HWLOC_PLUGINS_PATH");
}

static void memory_is_bound_where_there_is_a_choice(void **state)
{
	struct sx_placement *p = want_plan(REQ(.n_guest = 1));
	size_t len = 1 << 20;
	char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sx_error err = {0};
	int rc;

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	rc = sx_placement_bind_memory(p, memory, len, &err);
	if (rc == -EPERM) { /* a sandbox without mbind(); the sentence has to say so */
		assert_non_null(strstr(err.text, "CAP_SYS_NICE"));
	} else {
		assert_int_equal(rc, 0);
		assert_string_equal(err.text, "");
	}
	memset(memory, 1, len);
	assert_int_equal(munmap(memory, len), 0);
	sx_placement_free(p);
}

static void another_machines_plan_binds_nothing(void **state)
{
	struct sx_placement *p = want_plan(REQ(.guest_cores = "0", .topology = FLAT));
	struct sx_error err = {0};
	cpu_set_t before, after;
	char page;

	(void)state;
	(void)own_cpus(&before);
	assert_int_equal(sx_placement_bind_thread(p, 0, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "another machine"));
	assert_int_equal(sx_placement_bind_memory(p, &page, 1, NULL), -ENOTSUP);
	(void)own_cpus(&after);
	assert_true(CPU_EQUAL(&before, &after));
	sx_placement_free(p);
}

static void a_virtual_host_is_told(void **state)
{
	struct sx_placement *p = want_plan(REQ(.n_guest = 1));
	unsigned eax, ebx, ecx, edx;

	(void)state;
	__cpuid(1, eax, ebx, ecx, edx);
	assert_int_equal(warns(p, "is itself a virtual machine"), ecx >> 31);
	sx_placement_free(p);
}

static void freeing_nothing_is_fine(void **state)
{
	(void)state;
	sx_placement_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(isolated_cpus_are_chosen_first),
		cmocka_unit_test(near_counts_for_more_than_isolated),
		cmocka_unit_test(nothing_is_isolated_when_the_kernel_says_nothing),
		cmocka_unit_test(isolation_that_lacks_is_told),
		cmocka_unit_test(nodes_and_caches_apart_are_told),
		cmocka_unit_test(offline_cpus_are_refused_and_never_chosen),
		cmocka_unit_test(garbage_from_the_kernel_is_refused),
		cmocka_unit_test(another_machines_file_can_be_planned_for),
		cmocka_unit_test(what_another_machine_forbids_is_respected),
		cmocka_unit_test(a_file_that_is_no_topology_is_refused),
		cmocka_unit_test(the_affinity_mask_is_the_limit),
		cmocka_unit_test(isolated_cpus_are_allowed_beside_the_usual_mask),
		cmocka_unit_test(threads_are_bound_to_planned_cpus_only),
		cmocka_unit_test(planning_moves_nobody_and_leaves_the_environment),
		cmocka_unit_test(memory_is_bound_where_there_is_a_choice),
		cmocka_unit_test(another_machines_plan_binds_nothing),
		cmocka_unit_test(a_virtual_host_is_told),
		cmocka_unit_test(freeing_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
