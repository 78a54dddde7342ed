// SPDX-License-Identifier: BSD-3-Clause
/*
 * The difference of two snapshots is what happened between them, also when counters wrap, things
 * come and go, and the guest restarts; and it takes any JSON for a snapshot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/stats_diff.h"
#include "tests/support/json.h"

static void expect(const char *before, const char *after, const char *wanted)
{
	json_t *b = json_quoted(before), *a = json_quoted(after), *w = json_quoted(wanted);
	json_t *d = sx_stats_difference(b, a);

	if (!json_equal(d, w)) {
		char *text = json_dumps(d, JSON_ENCODE_ANY | JSON_COMPACT);

		fail_msg("wanted %s, got %s", wanted, text);
	}
	json_decref(b);
	json_decref(a);
	json_decref(w);
	json_decref(d);
}

static void counters_are_lessened(void **state)
{
	(void)state;
	expect("{'nowhere':3,'guest_ns':1000}", "{'nowhere':10,'guest_ns':3500}",
	       "{'nowhere':7,'guest_ns':2500}");
	expect("{'vcpus':[{'index':0,'kvm':{'exits':5,'mmio_exits':1}}]}",
	       "{'vcpus':[{'index':0,'kvm':{'exits':9,'mmio_exits':1}}]}",
	       "{'vcpus':[{'index':0,'kvm':{'exits':4,'mmio_exits':0}}]}");
}

static void what_is_no_counter_stays(void **state)
{
	static const char *const same =
		"{'version':1,'pid':77,'start':2,'mode':'split','guest':'g',"
		"'virtio':[{'fault':null,'slot':'01.0'}],"
		"'rings':[{'vcpu':3,'refused':true}],"
		"'sidecores':[{'index':1,'cpu':4,'pollers':6}]}";

	(void)state;
	expect(same, same, same);
	expect("{'vcpus':[{'first_exit_ns':5}]}", "{'vcpus':[{'first_exit_ns':7}]}",
	       "{'vcpus':[{'first_exit_ns':7}]}");
}

static void a_counter_may_wrap(void **state)
{
	(void)state;
	/* 2^64 - 5 to 3, and across the sign of JSON's integers. */
	expect("{'n':-5}", "{'n':3}", "{'n':8}");
	expect("{'n':9223372036854775807}", "{'n':-9223372036854775807}", "{'n':2}");
	expect("{'n':0}", "{'n':9223372036854775807}", "{'n':9223372036854775807}");
}

static void what_went_back_did_not_count(void **state)
{
	(void)state;
	expect("{'n':12}", "{'n':10}", "{'n':0}");
	expect("{'n':0}", "{'n':-1}", "{'n':0}");
}

static void a_vcpu_that_vanished_is_left_out(void **state)
{
	(void)state;
	expect("{'vcpus':[{'index':0,'n':1},{'index':1,'n':50}]}", "{'vcpus':[{'index':0,'n':4}]}",
	       "{'vcpus':[{'index':0,'n':3}]}");
	/* The first, and not the other one in its place. */
	expect("{'vcpus':[{'index':0,'n':1},{'index':1,'n':50}]}", "{'vcpus':[{'index':1,'n':52}]}",
	       "{'vcpus':[{'index':1,'n':2}]}");
}

static void what_is_new_counts_from_nothing(void **state)
{
	(void)state;
	expect("{'virtio':[]}", "{'virtio':[{'name':'virtio-rng','slot':'02.0','n':6}]}",
	       "{'virtio':[{'name':'virtio-rng','slot':'02.0','n':6}]}");
	expect("{'kvm':{}}", "{'kvm':{'exits':6}}", "{'kvm':{'exits':6}}");
	expect("{}", "{'nowhere':6}", "{'nowhere':6}");
}

static void things_are_known_by_all_their_names(void **state)
{
	(void)state;
	expect("{'devices':[{'name':'uart','base':'0x3f8','n':1}]}",
	       "{'devices':[{'name':'uart','base':'0x2f8','n':9},"
	       "{'name':'uart','base':'0x3f8','n':3}]}",
	       "{'devices':[{'name':'uart','base':'0x2f8','n':9},"
	       "{'name':'uart','base':'0x3f8','n':2}]}");
}

static void those_of_one_name_keep_their_order(void **state)
{
	(void)state;
	expect("{'polled':[{'name':'a','n':1},{'name':'b','n':10},{'name':'a','n':100}]}",
	       "{'polled':[{'name':'a','n':2},{'name':'a','n':103},{'name':'b','n':15}]}",
	       "{'polled':[{'name':'a','n':1},{'name':'a','n':3},{'name':'b','n':5}]}");
}

static void a_guest_that_was_started_again_counts_from_nothing(void **state)
{
	(void)state;
	expect("{'pid':7,'start':1,'nowhere':90}", "{'pid':7,'start':2,'nowhere':95}",
	       "{'pid':7,'start':2,'nowhere':95}");
	expect("{'pid':7,'start':1,'nowhere':90}", "{'pid':8,'start':1,'nowhere':95}",
	       "{'pid':8,'start':1,'nowhere':95}");
}

static void a_share_is_one_of_the_time_between(void **state)
{
	(void)state;
	expect("{'sidecores':[{'busy_percent':50.0,'busy_tsc':500,'total_tsc':1000}]}",
	       "{'sidecores':[{'busy_percent':37.5,'busy_tsc':750,'total_tsc':2000}]}",
	       "{'sidecores':[{'busy_percent':25.0,'busy_tsc':250,'total_tsc':1000}]}");
	expect("{'busy_percent':50.0,'busy_tsc':500,'total_tsc':1000}",
	       "{'busy_percent':50.0,'busy_tsc':500,'total_tsc':1000}",
	       "{'busy_percent':0.0,'busy_tsc':0,'total_tsc':0}");
}

static void any_json_is_taken(void **state)
{
	(void)state;
	expect("[1,2]", "{'n':3}", "{'n':3}");
	expect("{'n':3}", "[1,2]", "[1,2]");
	expect("{'n':[1]}", "{'n':4}", "{'n':4}");
	expect("{'n':'x'}", "{'n':4}", "{'n':4}");
	expect("{'vcpus':{'index':0}}", "{'vcpus':[null,[],'x',1]}", "{'vcpus':[null,[],'x',1]}");
	expect("null", "null", "null");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_are_lessened),
		cmocka_unit_test(what_is_no_counter_stays),
		cmocka_unit_test(a_counter_may_wrap),
		cmocka_unit_test(what_went_back_did_not_count),
		cmocka_unit_test(a_vcpu_that_vanished_is_left_out),
		cmocka_unit_test(what_is_new_counts_from_nothing),
		cmocka_unit_test(things_are_known_by_all_their_names),
		cmocka_unit_test(those_of_one_name_keep_their_order),
		cmocka_unit_test(a_guest_that_was_started_again_counts_from_nothing),
		cmocka_unit_test(a_share_is_one_of_the_time_between),
		cmocka_unit_test(any_json_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
