// SPDX-License-Identifier: BSD-3-Clause
/*
 * `splitx bench nested` with micro-guests: its guest checks each exit of its L2 itself. Here: what
 * each operation costs in exits, in each place.
 *
 * test-timeout: 1200 (threads that poll each other wait for time slices on a busy machine)
 */
#include "tests/support/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/nested.h"

static const struct sx_report_row *row(const struct sx_report *r, const char *op, const char *mode)
{
	const struct sx_report_row *found = sx_report_find(r, op, mode, 0);

	if (!found)
		fail_msg("there is no row of %s, %s", op, mode);
	return found;
}

/*
 * By the protocol: L1's 10 instructions and L2's exit are 11 trapped; on one core L1's kick and
 * L2's exit; on two cores L2's alone. An interrupt of the host now and then is an exit, too.
 */
static void costs_the_exits_that_it_must(void **state)
{
	static const char *const ops[] = {"l2_pio", "l2_mmio"};
	const struct sx_bench_options opt = {.rounds = 1, .where = "native"};
	struct sx_report *r = calloc(1, sizeof(*r));
	struct sx_error err = {0};
	int rc;

	world_of(state);
	assert_non_null(r);
	sx_report_init(r, "nested", "test");
	rc = sx_nested_run(&opt, r, &err);
	if (rc == -ENOSPC) {
		print_message("# skipped: %s\n", err.text);
		free(r);
		skip();
		return; /* for readers who do not know that skip() does not */
	}
	if (rc < 0)
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < 2; i++) {
		double trap = row(r, ops[i], "trap")->exits_per_op;
		double one = row(r, ops[i], "split-colocated")->exits_per_op;
		double two = row(r, ops[i], "split-parallel")->exits_per_op;

		assert_true(trap >= 11 && trap < 13);
		assert_true(one >= 2 && one < 3);
		assert_true(two >= 1 && two < 2);
	}
	assert_true(row(r, "l2_passthrough", "split-colocated")->exits_per_op < 0.1);
	assert_true(row(r, "l2_blk", "split-colocated")->exits_per_op < 0.5);
	assert_true(row(r, "vmread", "split-parallel")->exits_per_op < 0.1);
	assert_true(row(r, "vmwrite", "split-colocated")->exits_per_op < 0.1);
	assert_int_equal(row(r, "l2_pio", "trap")->time.samples, 1000);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SX_CASE(costs_the_exits_that_it_must, trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
