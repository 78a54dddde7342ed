// SPDX-License-Identifier: BSD-3-Clause
/*
 * Percentiles are exact and by nearest rank, nothing is written beyond the room there is, and
 * cycles become nanoseconds.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bench/samples.h"

static struct sx_samples some(size_t capacity)
{
	struct sx_samples s;
	struct sx_error err = {0};

	assert_int_equal(sx_samples_init(&s, capacity, &err), 0);
	return s;
}

static uint64_t percentile(struct sx_samples *s, unsigned permille)
{
	uint64_t cycles = 0;

	assert_int_equal(sx_samples_percentile(s, permille, &cycles), 0);
	return cycles;
}

static void percentiles_of_a_hundred_are_the_samples_of_that_rank(void **state)
{
	struct sx_samples s = some(100);

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		sx_samples_add(&s, (i * 37) % 100 + 1); /* 1 to 100 in no order */
	assert_int_equal(percentile(&s, 500), 50);
	assert_int_equal(percentile(&s, 990), 99);
	assert_int_equal(percentile(&s, 999), 100);
	assert_int_equal(percentile(&s, 0), 1);
	assert_int_equal(percentile(&s, 10), 1);
	assert_int_equal(percentile(&s, 11), 2);
	assert_int_equal(percentile(&s, 1000), 100);
	sx_samples_destroy(&s);
}

/* The smallest sample that at least permille / 1000 of all do not exceed, found by counting. */
static uint64_t by_definition(const struct sx_samples *s, unsigned permille)
{
	uint64_t best = UINT64_MAX;

	for (size_t i = 0; i < s->count; i++) {
		size_t not_above = 0;

		for (size_t k = 0; k < s->count; k++)
			not_above += s->cycles[k] <= s->cycles[i];
		if (not_above * 1000 >= permille * s->count && s->cycles[i] < best)
			best = s->cycles[i];
	}
	return best;
}

static void percentiles_follow_the_definition_for_any_number_of_samples(void **state)
{
	static const unsigned permilles[] = {0, 1, 10, 333, 500, 501, 900, 990, 999, 1000};
	unsigned short seed[3] = {1, 2, 3};

	(void)state;
	for (size_t n = 1; n < 130; n += 1 + n / 16) {
		struct sx_samples s = some(n);

		for (size_t i = 0; i < n; i++)
			sx_samples_add(&s, (uint64_t)nrand48(seed) % 50);
		for (size_t p = 0; p < sizeof(permilles) / sizeof(permilles[0]); p++)
			assert_int_equal(percentile(&s, permilles[p]),
					 by_definition(&s, permilles[p]));
		sx_samples_destroy(&s);
	}
}

static void p999_of_many_is_not_rounded(void **state)
{
	struct sx_samples s = some(123457);

	(void)state;
	for (uint64_t i = s.capacity; i > 0; i--)
		sx_samples_add(&s, i);
	assert_int_equal(percentile(&s, 999), 123334); /* ceil(123457 * 0.999) = ceil(123333.543) */
	assert_int_equal(percentile(&s, 500), 61729);
	sx_samples_destroy(&s);
}

static void a_sample_added_later_counts(void **state)
{
	struct sx_samples s = some(3);

	(void)state;
	sx_samples_add(&s, 10);
	sx_samples_add(&s, 20);
	assert_int_equal(percentile(&s, 1000), 20);
	sx_samples_add(&s, 5);
	assert_int_equal(percentile(&s, 0), 5);
	assert_int_equal(percentile(&s, 500), 10);
	sx_samples_destroy(&s);
}

static void what_finds_no_room_is_counted_and_dropped(void **state)
{
	struct sx_samples s = some(4);

	(void)state;
	for (uint64_t i = 1; i <= 10; i++)
		sx_samples_add(&s, i);
	assert_int_equal(s.count, 4);
	assert_int_equal(s.dropped, 6);
	assert_int_equal(percentile(&s, 1000), 4);

	sx_samples_clear(&s);
	assert_int_equal(s.dropped, 0);
	sx_samples_add(&s, 99);
	assert_int_equal(percentile(&s, 500), 99);
	sx_samples_destroy(&s);
}

static void a_summary_is_in_nanoseconds(void **state)
{
	struct sx_samples s = some(1000);
	struct sx_summary sum;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++)
		sx_samples_add(&s, i * 25);
	assert_int_equal(sx_samples_summary(&s, 2500000, &sum), 0); /* 2.5 cycles a ns */
	assert_float_equal(sum.p50_ns, 5000, 1e-9);
	assert_float_equal(sum.p99_ns, 9900, 1e-9);
	assert_float_equal(sum.p999_ns, 9990, 1e-9);
	assert_float_equal(sum.mean_ns, 5005, 1e-9);
	assert_int_equal(sum.samples, 1000);
	sx_samples_destroy(&s);
}

static void the_mean_of_huge_samples_does_not_wrap(void **state)
{
	struct sx_samples s = some(4);
	struct sx_summary sum;

	(void)state;
	for (int i = 0; i < 4; i++)
		sx_samples_add(&s, UINT64_MAX / 2);
	assert_int_equal(sx_samples_summary(&s, 1000000, &sum), 0);
	assert_true(sum.mean_ns > 9.2e18 && sum.mean_ns < 9.3e18);
	sx_samples_destroy(&s);
}

static void no_sample_has_no_percentile(void **state)
{
	struct sx_samples s = some(4);
	struct sx_summary sum;
	uint64_t cycles = 7;

	(void)state;
	assert_int_equal(sx_samples_percentile(&s, 500, &cycles), -ENODATA);
	assert_int_equal(cycles, 7);
	assert_int_equal(sx_samples_summary(&s, 1000, &sum), -ENODATA);
	sx_samples_destroy(&s);
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct sx_samples s, none;
	struct sx_error err = {0};
	struct sx_summary sum;
	uint64_t cycles;

	(void)state;
	assert_int_equal(sx_samples_init(&none, 0, &err), -EINVAL);
	assert_string_not_equal(err.text, "");
	sx_samples_destroy(&none);

	s = some(1);
	sx_samples_add(&s, 1);
	assert_int_equal(sx_samples_percentile(&s, 1001, &cycles), -EINVAL);
	assert_int_equal(sx_samples_summary(&s, 0, &sum), -EINVAL);
	sx_samples_destroy(&s);
}

static void a_known_tsc_frequency_is_believed(void **state)
{
	struct sx_error err = {0};
	uint64_t khz = 0;

	(void)state;
	assert_int_equal(sx_tsc_khz(1234567, &khz, &err), 0);
	assert_int_equal(khz, 1234567);
}

static void an_unknown_tsc_frequency_is_found(void **state)
{
	struct sx_error err = {0};
	uint64_t khz = 0;

	(void)state;
	assert_int_equal(sx_tsc_khz(0, &khz, &err), 0);
	assert_in_range(khz, 100000, 20000000); /* any x86-64 processor there is */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_of_a_hundred_are_the_samples_of_that_rank),
		cmocka_unit_test(percentiles_follow_the_definition_for_any_number_of_samples),
		cmocka_unit_test(p999_of_many_is_not_rounded),
		cmocka_unit_test(a_sample_added_later_counts),
		cmocka_unit_test(what_finds_no_room_is_counted_and_dropped),
		cmocka_unit_test(a_summary_is_in_nanoseconds),
		cmocka_unit_test(the_mean_of_huge_samples_does_not_wrap),
		cmocka_unit_test(no_sample_has_no_percentile),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(a_known_tsc_frequency_is_believed),
		cmocka_unit_test(an_unknown_tsc_frequency_is_found),
	};

	return cmocka_run_group_tests_name("samples", tests, NULL, NULL);
}
