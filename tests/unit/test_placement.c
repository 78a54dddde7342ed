// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which CPUs a plan takes, on machines of all shapes: described to hwloc, not owned.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/placement.h"

#define REQ(...) (&(struct sx_placement_request){__VA_ARGS__})

/* Eight cores without SMT under one cache. */
#define FLAT "pack:1 numa:1 l3:1 core:8 pu:1"
/* Two packages of 4 SMT cores: CPUs 0-7 and 8-15, siblings 2n and 2n+1. */
#define DUAL "pack:2 numa:1 l3:1 core:4 pu:2"
/* One node, two caches of 4 cores. */
#define TWO_CACHES "pack:1 numa:1 l3:2 core:4 pu:1"
/* Two nodes of 4 cores in one package. */
#define TWO_NODES "pack:1 numa:2 l3:1 core:4 pu:1"
#define TWO_CPUS  "pack:1 numa:1 l3:1 core:2 pu:1"

/* --- lists: what is taken ---------------------------------------------------------------- */

static void lists_and_masks_name_cpus_in_their_order(void **state)
{
	static const struct {
		const char *list, *cpus;
	} ok[] = {
		{"0", "0|"},
		{"1-3", "1,2,3|"},
		{"0,2-5", "0,2,3,4,5|"},
		{"5,3", "5,3|"},
		{"7,0-1", "7,0,1|"},
		{"3-3", "3|"},
		{"00002", "2|"},
		{"0x3c", "2,3,4,5|"},
		{"0x0000003C", "2,3,4,5|"},
		{"0x0,0x81", "0,7|"},
		{"0x00000000000000000000000000000080", "7|"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ok) / sizeof(ok[0]); i++)
		want_choice(REQ(.guest_cores = ok[i].list, .topology = FLAT), ok[i].cpus);
	want_choice(REQ(.guest_cores = "4", .sidecores = "7,2", .topology = FLAT), "4|7,2");
	want_choice(REQ(.guest_cores = "0x10", .sidecores = "0x84", .topology = FLAT), "4|2,7");
}

static void numbers_with_holes_are_the_kernels(void **state)
{
	const char *holes = "pack:1 numa:1 l3:1 core:4 pu:1(indexes=0,2,5,70)";

	(void)state;
	want_choice(REQ(.guest_cores = "5,70", .sidecores = "2", .topology = holes), "5,70|2");
	want_choice(REQ(.n_guest = 3, .n_side = 1, .topology = holes), "2,5,70|0");
	want_refusal(REQ(.guest_cores = "1", .topology = holes), -ENODEV, "CPUs 0,2,5,70");
}

/* --- lists: what is refused -------------------------------------------------------------- */

static void garbage_is_no_list(void **state)
{
	static const char *const bad[] = {
		",",       "1,",   ",1",    "1,,2",     "1-",
		"-1",      "x",    "1x",    " 1",       "1 ",
		"1 2",     "+1",   "1.5",   "1-2-3",    "1--2",
		"1;2",     "\n",   "all",   "0x",       "0xg",
		"0X3",     "0x1,", "0x1,2", "0xf 1",    "0x1ffffffff,0x1",
		"0xf...f", "0x-1", "1,0x2", "\xc2\xb2",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		want_refusal(REQ(.guest_cores = bad[i], .topology = FLAT), -EINVAL,
			     "--guest-cores '");
		want_refusal(REQ(.sidecores = bad[i], .topology = FLAT), -EINVAL,
			     "is no CPU list; write");
	}
}

static void endless_lists_are_refused(void **state)
{
	char text[10000];

	(void)state;
	memset(text, '1', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	want_refusal(REQ(.guest_cores = text, .topology = FLAT), -EINVAL, "is no CPU list");
	memcpy(text, "0x", 2);
	want_refusal(REQ(.guest_cores = text, .topology = FLAT), -EINVAL, "is no CPU list");
}

static void empty_lists_are_refused(void **state)
{
	(void)state;
	want_refusal(REQ(.guest_cores = "", .topology = FLAT), -EINVAL, "--guest-cores is empty");
	want_refusal(REQ(.sidecores = "", .topology = FLAT), -EINVAL, "--sidecores is empty");
	want_refusal(REQ(.guest_cores = "0x0", .topology = FLAT), -EINVAL, "no bit set");
	want_refusal(REQ(.sidecores = "0x0,0x0", .topology = FLAT), -EINVAL, "no bit set");
}

static void backward_ranges_are_refused(void **state)
{
	(void)state;
	want_refusal(REQ(.guest_cores = "5-2", .topology = FLAT), -EINVAL, "write 2-5");
	want_refusal(REQ(.guest_cores = "0,7-6", .topology = FLAT), -EINVAL, "backwards");
}

static void cpus_named_twice_are_refused(void **state)
{
	(void)state;
	want_refusal(REQ(.guest_cores = "1,1", .topology = FLAT), -EINVAL, "names CPU 1 twice");
	want_refusal(REQ(.guest_cores = "0-3,2", .topology = FLAT), -EINVAL, "names CPU 2 twice");
	want_refusal(REQ(.sidecores = "2-4,3-5", .topology = FLAT), -EINVAL, "names CPU 3 twice");
}

static void cpus_that_do_not_exist_are_refused(void **state)
{
	static const char *const none[] = {"65536", "4294967296", "4294967297", "0-99999999999",
					   "18446744073709551617"};

	(void)state;
	want_refusal(REQ(.guest_cores = "8", .topology = FLAT), -ENODEV,
		     "CPU 8 of --guest-cores does not exist; the machine has CPUs 0-7");
	want_refusal(REQ(.sidecores = "6-9", .topology = FLAT), -ENODEV,
		     "CPU 8 of --sidecores does not exist");
	want_refusal(REQ(.guest_cores = "0x100", .topology = FLAT), -ENODEV, "CPU 8");
	want_refusal(REQ(.guest_cores = "65535", .topology = FLAT), -ENODEV, "CPU 65535");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		want_refusal(REQ(.guest_cores = none[i], .topology = FLAT), -ENODEV, "above 65535");
}

static void cpus_outside_those_allowed_are_refused(void **state)
{
	(void)state;
	want_refusal(REQ(.guest_cores = "4", .allowed = "0-3", .topology = FLAT), -EPERM,
		     "CPU 4 of --guest-cores is not among CPUs 0-3");
	want_refusal(
		REQ(.guest_cores = "1", .sidecores = "6", .allowed = "0-3,5", .topology = FLAT),
		-EPERM, "CPU 6 of --sidecores is not among CPUs 0-3,5");
	want_refusal(REQ(.allowed = "", .topology = FLAT), -EINVAL, "allowed CPUs is empty");
	want_refusal(REQ(.allowed = "0-", .topology = FLAT), -EINVAL, "is no CPU list");
}

static void cpus_in_both_lists_are_refused(void **state)
{
	(void)state;
	want_refusal(REQ(.guest_cores = "1-3", .sidecores = "3", .topology = FLAT), -EBUSY,
		     "CPU 3 is in both --guest-cores and --sidecores");
	want_refusal(REQ(.guest_cores = "0x2", .sidecores = "0,1", .topology = FLAT), -EBUSY,
		     "CPU 1 is in both");
}

static void descriptions_that_are_none_are_refused(void **state)
{
	(void)state;
	want_refusal(REQ(.topology = ""), -EINVAL, "is no hwloc synthetic description");
	want_refusal(REQ(.topology = "core"), -EINVAL, "is no hwloc synthetic description");
	want_refusal(REQ(.topology = "pack:0 pu:0"), -EINVAL, "is no hwloc synthetic description");
	want_refusal(REQ(.topology = "cheese:2 pu:2"), -EINVAL, "'pack:2 numa:1 l3:1 core:8 pu:2'");
	want_refusal(REQ(.topology = "/nonexistent/machine.xml"), -EINVAL, "lstopo FILE.xml");
}

/* --- too few ----------------------------------------------------------------------------- */

static void sidecores_that_cannot_be_had_are_refused(void **state)
{
	(void)state;
	want_refusal(REQ(.n_guest = 1, .n_side = 2, .topology = TWO_CPUS), -ENOSPC,
		     "2 sidecores are asked for, but this process has 2 free cores, of which the "
		     "guest needs one");
	want_refusal(REQ(.n_side = 1, .topology = "pack:1 core:1 pu:1"), -ENOSPC, "trap mode");
	want_refusal(REQ(.guest_cores = "0,1", .n_side = 1, .topology = TWO_CPUS), -ENOSPC,
		     "1 sidecore is asked for, but this process has 0 free cores left");
	want_refusal(REQ(.n_side = 4, .allowed = "4-7", .topology = FLAT), -ENOSPC, "4 free cores");
	want_refusal(REQ(.n_side = UINT_MAX, .topology = FLAT), -ENOSPC, "trap mode");
}

static void smt_is_offered_only_where_it_helps(void **state)
{
	struct sx_placement_request req = {.n_side = 1, .topology = "pack:1 core:1 pu:2"};
	struct sx_placement *p;
	struct sx_error err = {0};

	(void)state;
	want_refusal(&req, -ENOSPC, "--smt");
	req.n_side = 2;
	assert_int_equal(sx_placement_plan(&req, &p, &err), -ENOSPC);
	assert_null(strstr(err.text, "--smt"));
	req.allow_smt = true;
	want_refusal(&req, -ENOSPC, "2 free cores");
}

static void a_guest_needs_a_core(void **state)
{
	(void)state;
	want_refusal(REQ(.sidecores = "0,1", .topology = TWO_CPUS), -ENOSPC,
		     "no CPU is left for a guest core");
	want_refusal(REQ(.sidecores = "0", .topology = "pack:1 core:1 pu:2"), -ENOSPC, "--smt");
	want_refusal(REQ(.allowed = "8", .topology = FLAT), -ENOSPC, "no CPU is left");
}

static void two_counts_of_sidecores_must_agree(void **state)
{
	(void)state;
	want_refusal(REQ(.sidecores = "1,2", .n_side = 3, .topology = FLAT), -EINVAL,
		     "3 sidecores were asked for, but --sidecores names 2");
	want_choice(REQ(.sidecores = "1,2", .n_side = 2, .topology = FLAT), "3|1,2");
}

static void vcpus_share_when_cores_run_out(void **state)
{
	struct sx_placement *p = want_plan(REQ(.n_guest = 5, .n_side = 1, .topology = TWO_CPUS));

	(void)state;
	want_cpus(p, "1|0");
	assert_int_equal(sx_placement_vcpus(p), 5);
	for (unsigned v = 0; v < 5; v++)
		assert_int_equal(sx_placement_core_of(p, v), 0);
	assert_true(warns(p, "5 vCPUs share 1 guest core and"));
	sx_placement_free(p);

	p = want_plan(REQ(.guest_cores = "6,2", .n_guest = 3, .topology = FLAT));
	want_cpus(p, "6,2|");
	assert_int_equal(sx_placement_core_of(p, 0), 0);
	assert_int_equal(sx_placement_core_of(p, 1), 1);
	assert_int_equal(sx_placement_core_of(p, 2), 0);
	assert_true(warns(p, "3 vCPUs share 2 guest cores and"));
	sx_placement_free(p);
}

static void cores_without_a_vcpu_stay_with_the_host(void **state)
{
	struct sx_placement *p =
		want_plan(REQ(.guest_cores = "2-5", .n_guest = 2, .n_side = 1, .topology = FLAT));

	(void)state;
	want_cpus(p, "2,3|1");
	assert_true(warns(p, "2 vCPUs need only the first 2 of the 4 guest cores named"));
	sx_placement_free(p);
	/* They are checked all the same. */
	want_refusal(REQ(.guest_cores = "2-8", .n_guest = 2, .topology = FLAT), -ENODEV, "CPU 8");
}

/* --- choosing ---------------------------------------------------------------------------- */

static void cpu_0_is_left_to_the_host_or_the_sidecore(void **state)
{
	(void)state;
	want_choice(REQ(.topology = FLAT), "1|");
	want_choice(REQ(.n_guest = 1, .n_side = 1, .topology = FLAT), "1|2");
	want_choice(REQ(.n_guest = 1, .n_side = 1, .topology = TWO_CPUS), "1|0");
	want_choice(REQ(.n_guest = 7, .n_side = 1, .topology = FLAT), "1,2,3,4,5,6,7|0");
	want_choice(REQ(.n_guest = 5, .n_side = 2, .topology = FLAT), "1,2,4,5,6|3,7");
	/* Another package has no CPU 0 at all. */
	want_choice(REQ(.n_guest = 3, .n_side = 1, .topology = DUAL), "8,10,12|14");
	/* Without choice. */
	want_choice(REQ(.n_guest = 8, .topology = FLAT), "1,2,3,4,5,6,7,0|");
	want_choice(REQ(.topology = "pack:1 core:1 pu:1"), "0|");
}

static void one_cache_is_better_than_two(void **state)
{
	(void)state;
	want_choice(REQ(.n_guest = 3, .n_side = 1, .topology = TWO_CACHES), "4,5,6|7");
	want_choice(REQ(.n_guest = 2, .n_side = 1, .topology = TWO_CACHES), "1,2|3");
	want_choice(REQ(.n_guest = 2, .n_side = 1, .allowed = "2-6", .topology = TWO_CACHES),
		    "4,5|6");
	/* CPU 0 in the same cache as the sidecore, or a core in the other. */
	want_choice(REQ(.n_guest = 2, .n_side = 1, .allowed = "0-2,4", .topology = TWO_CACHES),
		    "1,2|0");
}

static void one_node_is_better_than_two(void **state)
{
	(void)state;
	want_choice(REQ(.n_guest = 3, .n_side = 1, .topology = TWO_NODES), "4,5,6|7");
	want_choice(REQ(.n_guest = 2, .n_side = 1, .allowed = "2,4-6", .topology = TWO_NODES),
		    "4,5|6");
	/* Too many for one node: the sidecore is where most of its guests are. */
	want_choice(REQ(.n_guest = 4, .n_side = 1, .allowed = "1-6", .topology = TWO_NODES),
		    "1,3,4,5|2");
	want_choice(REQ(.n_guest = 5, .n_side = 1, .allowed = "2-7", .topology = TWO_NODES),
		    "4,6,7,2,3|5");
	want_choice(REQ(.n_guest = 2, .n_side = 1, .topology = "pack:2 numa:1 core:2 pu:2"),
		    "4,2|6");
}

static void each_sidecore_is_near_its_own_guests(void **state)
{
	struct sx_placement *p = want_plan(REQ(.n_guest = 6, .n_side = 2, .topology = TWO_NODES));

	(void)state;
	/* A node each; CPU 0 is used because everything is. */
	want_cpus(p, "4,5,6,1,2,3|7,0");
	for (unsigned g = 0; g < 6; g++)
		assert_int_equal(sx_placement_sidecore_of(p, g), g / 3);
	assert_false(warns(p, "another NUMA node serves"));
	sx_placement_free(p);
}

static void groups_stay_together(void **state)
{
	/* Two caches of one node rather than of two nodes. */
	(void)state;
	want_choice(REQ(.n_guest = 2, .n_side = 2, .topology = "pack:1 numa:2 l3:2 core:2 pu:1"),
		    "4,6|5,7");
}

static void named_guests_draw_the_sidecores(void **state)
{
	(void)state;
	want_choice(REQ(.guest_cores = "6", .n_side = 1, .topology = TWO_NODES), "6|4");
	want_choice(REQ(.guest_cores = "1", .n_side = 1, .topology = TWO_NODES), "1|2");
	want_choice(REQ(.guest_cores = "1,2,6", .n_side = 1, .topology = TWO_NODES), "1,2,6|3");
	want_choice(REQ(.guest_cores = "1,6", .n_side = 2, .topology = TWO_NODES), "1,6|2,4");
	want_choice(REQ(.guest_cores = "6,1", .n_side = 2, .topology = TWO_CACHES), "6,1|4,2");
	/* The near ones are taken, so the next best. */
	want_choice(REQ(.guest_cores = "4-7", .n_side = 1, .topology = TWO_NODES), "4,5,6,7|1");
}

static void named_sidecores_draw_the_guests(void **state)
{
	(void)state;
	want_choice(REQ(.sidecores = "6", .n_guest = 2, .topology = TWO_NODES), "4,5|6");
	want_choice(REQ(.sidecores = "1,6", .n_guest = 4, .topology = TWO_NODES), "2,3,4,5|1,6");
	/* In the same node another cache is better than CPU 0, another node is not. */
	want_choice(REQ(.sidecores = "1", .allowed = "0,1,5", .topology = TWO_CACHES), "5|1");
	want_choice(REQ(.sidecores = "1", .allowed = "0,1,5", .topology = TWO_NODES), "0|1");
	/* More sidecores than guests. */
	want_choice(REQ(.sidecores = "5-7", .n_guest = 1, .topology = TWO_NODES), "4|5,6,7");
}

static void smt_siblings_are_taken_only_when_asked_for(void **state)
{
	const char *core = "pack:1 numa:1 l3:1 core:2 pu:2";
	struct sx_placement *p;

	(void)state;
	want_choice(REQ(.n_guest = 3, .n_side = 1, .topology = core), "2|0");
	want_choice(REQ(.n_guest = 3, .n_side = 1, .allow_smt = true, .topology = core), "1,2,3|0");
	/* Whole cores as long as there are any. */
	want_choice(REQ(.n_guest = 3, .n_side = 1, .allow_smt = true,
			.topology = "pack:1 numa:1 l3:1 core:3 pu:2"),
		    "1,2,4|3");
	want_choice(REQ(.n_guest = 1, .n_side = 1, .allow_smt = true, .topology = core), "2|0");
	want_choice(REQ(.guest_cores = "3", .n_side = 1, .topology = core), "3|0");
	/* Named siblings are the user's wish. */
	p = want_plan(REQ(.guest_cores = "2", .sidecores = "3", .topology = core));
	want_cpus(p, "2|3");
	assert_true(warns(p, "SMT siblings slow one another down on CPUs 2-3;"));
	sx_placement_free(p);
	/* One thread of a core may be forbidden. */
	want_choice(REQ(.n_guest = 1, .n_side = 1, .allowed = "1,3", .topology = core), "1|3");
}

static void more_sidecores_than_guests_are_allowed(void **state)
{
	struct sx_placement *p = want_plan(REQ(.n_guest = 2, .n_side = 4, .topology = FLAT));

	(void)state;
	assert_int_equal(sx_placement_guest_cores(p), 2);
	assert_int_equal(sx_placement_sidecores(p), 4);
	assert_int_not_equal(sx_placement_sidecore_of(p, 0), sx_placement_sidecore_of(p, 1));
	sx_placement_free(p);
}

static void trap_mode_has_no_sidecores(void **state)
{
	struct sx_placement *p = want_plan(REQ(.n_guest = 3, .topology = FLAT));

	(void)state;
	want_cpus(p, "1,2,3|");
	assert_int_equal(sx_placement_sidecores(p), 0);
	for (unsigned g = 0; g < 3; g++)
		assert_int_equal(sx_placement_sidecore_of(p, g), SX_NO_SIDECORE);
	sx_placement_free(p);
}

static void named_pairs_are_matched_by_nearness_and_share(void **state)
{
	static const unsigned want[] = {0, 1, 0, 1};
	struct sx_placement *p =
		want_plan(REQ(.guest_cores = "1,5,2,6", .sidecores = "3,7", .topology = TWO_NODES));

	(void)state;
	for (unsigned g = 0; g < 4; g++)
		assert_int_equal(sx_placement_sidecore_of(p, g), want[g]);
	assert_int_equal(sx_placement_warnings(p), 1);
	assert_true(warns(p, "the guest cores are on NUMA nodes 0-1"));
	sx_placement_free(p);

	/* All guests are near sidecore 0, but it takes its share only. */
	p = want_plan(REQ(.guest_cores = "0-2", .sidecores = "3,7", .topology = TWO_NODES));
	assert_int_equal(sx_placement_sidecore_of(p, 0), 0);
	assert_int_equal(sx_placement_sidecore_of(p, 1), 0);
	assert_int_equal(sx_placement_sidecore_of(p, 2), 1);
	assert_true(warns(p, "another NUMA node serves CPU 2,"));
	sx_placement_free(p);
}

/* --- what holds of every plan ------------------------------------------------------------ */

static unsigned core_of(const char *topology, unsigned cpu)
{
	return strstr(topology, "pu:2") ? cpu / 2 : cpu;
}

static void check_plan(const struct sx_placement *p, const struct sx_placement_request *req)
{
	unsigned guests = sx_placement_guest_cores(p), sides = sx_placement_sidecores(p);
	unsigned cpu_used[64] = {0}, core_used[64] = {0}, load[64] = {0};

	assert_int_equal(sides, req->n_side);
	assert_in_range(guests, 1, req->n_guest);
	for (unsigned i = 0; i < guests + sides; i++) {
		unsigned cpu = i < guests ? sx_placement_guest_core(p, i)
					  : sx_placement_sidecore(p, i - guests);

		assert_in_range(cpu, 2, 61);
		assert_int_equal(cpu_used[cpu]++, 0);
		if (!req->allow_smt)
			assert_int_equal(core_used[core_of(req->topology, cpu)]++, 0);
	}
	for (unsigned g = 0; g < guests && sides; g++) {
		assert_true(sx_placement_sidecore_of(p, g) < sides);
		load[sx_placement_sidecore_of(p, g)]++;
	}
	for (unsigned s = 0; s < sides; s++)
		assert_in_range(load[s], guests / sides, (guests + sides - 1) / sides);
}

static void every_plan_keeps_the_rules(void **state)
{
	static const char *const shapes[] = {
		"pack:2 numa:1 l3:1 core:16 pu:2",
		"pack:2 numa:4 l3:2 core:4 pu:1",
		"pack:1 numa:1 l3:8 core:4 pu:2",
		"core:64 pu:1",
		"pu:64",
		"numa:2 pack:2 l3:1 core:16 pu:1",
	};
	unsigned plans = 0;

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(shapes) / sizeof(shapes[0]); i++) {
		for (unsigned n = 0; n < 17 * 9; n++) {
			struct sx_placement_request req = {
				.n_guest = 1 + 4 * (n % 17),
				.n_side = n / 17,
				.allow_smt = i & 1,
				.topology = shapes[i / 2],
				.allowed = "2-61",
			};
			struct sx_placement *p = want_plan(&req);

			check_plan(p, &req);
			sx_placement_free(p);
			plans++;
		}
	}
	assert_int_equal(plans, 2 * 6 * 17 * 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_and_masks_name_cpus_in_their_order),
		cmocka_unit_test(numbers_with_holes_are_the_kernels),
		cmocka_unit_test(garbage_is_no_list),
		cmocka_unit_test(endless_lists_are_refused),
		cmocka_unit_test(empty_lists_are_refused),
		cmocka_unit_test(backward_ranges_are_refused),
		cmocka_unit_test(cpus_named_twice_are_refused),
		cmocka_unit_test(cpus_that_do_not_exist_are_refused),
		cmocka_unit_test(cpus_outside_those_allowed_are_refused),
		cmocka_unit_test(cpus_in_both_lists_are_refused),
		cmocka_unit_test(descriptions_that_are_none_are_refused),
		cmocka_unit_test(sidecores_that_cannot_be_had_are_refused),
		cmocka_unit_test(smt_is_offered_only_where_it_helps),
		cmocka_unit_test(a_guest_needs_a_core),
		cmocka_unit_test(two_counts_of_sidecores_must_agree),
		cmocka_unit_test(vcpus_share_when_cores_run_out),
		cmocka_unit_test(cores_without_a_vcpu_stay_with_the_host),
		cmocka_unit_test(cpu_0_is_left_to_the_host_or_the_sidecore),
		cmocka_unit_test(one_cache_is_better_than_two),
		cmocka_unit_test(one_node_is_better_than_two),
		cmocka_unit_test(each_sidecore_is_near_its_own_guests),
		cmocka_unit_test(groups_stay_together),
		cmocka_unit_test(named_guests_draw_the_sidecores),
		cmocka_unit_test(named_sidecores_draw_the_guests),
		cmocka_unit_test(smt_siblings_are_taken_only_when_asked_for),
		cmocka_unit_test(more_sidecores_than_guests_are_allowed),
		cmocka_unit_test(trap_mode_has_no_sidecores),
		cmocka_unit_test(named_pairs_are_matched_by_nearness_and_share),
		cmocka_unit_test(every_plan_keeps_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
