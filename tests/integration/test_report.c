// SPDX-License-Identifier: BSD-3-Clause
/*
 * What comes into a report is checked; what goes out as JSON is complete, or not there at all.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "bench/report.h"

static char dir[] = "/tmp/test_report.XXXXXX";
static struct sx_report report;

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static int new_report(void **state)
{
	(void)state;
	sx_report_init(&report, "exits", "What an exit costs");
	return 0;
}

static const char *file(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static struct sx_report_row a_row(void)
{
	return (struct sx_report_row){
		.op = "doorbell",
		.mode = "trap",
		.time = {.p50_ns = 100,
			 .p99_ns = 200,
			 .p999_ns = 300,
			 .mean_ns = 110,
			 .samples = 9},
		.exits_per_op = 1,
	};
}

static void add_row(const char *op, const char *mode, uint32_t batch, double p50_ns)
{
	struct sx_report_row row = a_row();
	struct sx_error err = {0};

	snprintf(row.op, sizeof(row.op), "%s", op);
	snprintf(row.mode, sizeof(row.mode), "%s", mode);
	row.batch = batch;
	row.time.p50_ns = p50_ns;
	assert_int_equal(sx_report_add_row(&report, &row, &err), 0);
}

/* --- what comes in ------------------------------------------------------------------------------
 */

static void numbers_that_are_none_are_refused(void **state)
{
	const double bad[] = {NAN, INFINITY, -INFINITY, -0.5};
	struct sx_report_row good = a_row();
	double *const fields[] = {&good.time.p50_ns,  &good.time.p99_ns,   &good.time.p999_ns,
				  &good.time.mean_ns, &good.exits_per_op,  &good.per_second,
				  &good.sidecore_ns,  &good.causes.device, &good.causes.interrupt,
				  &good.causes.halt};

	(void)state;
	good.causes.told = true;
	for (size_t b = 0; b < 4; b++) {
		struct sx_report_peer peer = {.name = "p", .op = "o", .p50_ns = bad[b]};
		struct sx_report_target target = {.name = "t", .target = 1, .measured = bad[b]};

		for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
			struct sx_error err = {0};
			double kept = *fields[f];

			*fields[f] = bad[b];
			assert_int_equal(sx_report_add_row(&report, &good, &err), -EINVAL);
			assert_non_null(strstr(err.text, "'doorbell'"));
			*fields[f] = kept;
		}
		assert_int_equal(sx_report_add_floor(&report, "f_ns", bad[b], NULL), -EINVAL);
		assert_int_equal(sx_report_add_cost(&report, "c_ns", bad[b], NULL), -EINVAL);
		assert_int_equal(sx_report_add_peer(&report, &peer, NULL), -EINVAL);
		assert_int_equal(sx_report_add_target(&report, &target, NULL), -EINVAL);
		target.measured = 1;
		target.target = bad[b];
		assert_int_equal(sx_report_add_target(&report, &target, NULL), -EINVAL);
	}
	assert_int_equal(report.row_count + report.floor_count + report.cost_count +
				 report.peer_count + report.target_count,
			 0);
}

static void names_are_needed(void **state)
{
	struct sx_report_row row = a_row();
	struct sx_report_peer peer = {.name = "", .op = "o"};
	struct sx_report_target target = {.target = 1};
	char longest[49];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	row.op[0] = '\0';
	assert_int_equal(sx_report_add_row(&report, &row, NULL), -EINVAL);
	row = a_row();
	row.mode[0] = '\0';
	assert_int_equal(sx_report_add_row(&report, &row, NULL), -EINVAL);
	assert_int_equal(sx_report_add_peer(&report, &peer, NULL), -EINVAL);
	assert_int_equal(sx_report_add_target(&report, &target, NULL), -EINVAL);
	assert_int_equal(sx_report_add_floor(&report, "", 1, NULL), -EINVAL);
	assert_int_equal(sx_report_add_floor(&report, longest, 1, NULL), -EINVAL);
	assert_int_equal(sx_report_add_floor(&report, longest + 1, 1, NULL), 0);
}

static void a_figure_comes_once(void **state)
{
	struct sx_error err = {0};

	(void)state;
	assert_int_equal(sx_report_add_floor(&report, "a_ns", 1, &err), 0);
	assert_int_equal(sx_report_add_cost(&report, "a_ns", 2, &err), 0); /* another kind */
	assert_int_equal(sx_report_add_floor(&report, "a_ns", 3, &err), -EEXIST);
	assert_non_null(strstr(err.text, "'a_ns'"));
	assert_float_equal(report.floor[0].value, 1, 0);
}

static void a_full_report_says_so(void **state)
{
	struct sx_report_row row = a_row();
	struct sx_error err = {0};
	int ret;

	(void)state;
	for (unsigned i = 0; (ret = sx_report_add_row(&report, &row, &err)) == 0; i++)
		assert_true(i < 10000);
	assert_int_equal(ret, -ENOSPC);
	assert_non_null(strstr(err.text, "128 rows"));
	for (unsigned i = 0; (ret = sx_report_add_note(&report, NULL, "note %u", i)) == 0; i++)
		assert_true(i < 10000);
	assert_int_equal(ret, -ENOSPC);
}

static bool ok(enum sx_bound bound, double target, double measured)
{
	struct sx_report_target t = {.name = "t", .bound = bound, .target = target, .ok = true};

	t.measured = measured;
	assert_int_equal(sx_report_add_target(&report, &t, NULL), 0);
	return report.target[report.target_count - 1].ok;
}

static void a_target_is_reached_or_not(void **state)
{
	(void)state;
	assert_true(ok(SX_AT_MOST, 1.15, 1.1));
	assert_true(ok(SX_AT_MOST, 1.15, 1.15));
	assert_false(ok(SX_AT_MOST, 1.15, 1.1501));
	assert_true(ok(SX_AT_LEAST, 100, 100));
	assert_true(ok(SX_AT_LEAST, 100, 3000));
	assert_false(ok(SX_AT_LEAST, 100, 99.9));
	assert_false(ok(SX_AT_LEAST, 0, SX_NOT_MEASURED));
	assert_false(ok(SX_AT_MOST, 5, SX_NOT_MEASURED));
}

static void rows_are_found_and_compared(void **state)
{
	(void)state;
	assert_null(sx_report_find(&report, "irq", "trap", 0));
	add_row("doorbell", "trap", 0, 100);
	add_row("doorbell", "split", 0, 1);
	add_row("stream", "trap", 32, 50);
	add_row("stream", "split", 32, 2);
	add_row("irq", "split", 0, 2);
	assert_ptr_equal(sx_report_find(&report, "stream", "split", 32), &report.row[3]);
	assert_null(sx_report_find(&report, "stream", "split", 1));
	assert_ptr_equal(sx_report_reference(&report, &report.row[1]), &report.row[0]);
	assert_ptr_equal(sx_report_reference(&report, &report.row[3]), &report.row[2]);
	assert_null(sx_report_reference(&report, &report.row[4]));
}

static void add_row_on(const char *machine, const char *mode)
{
	add_row("blk", mode, 0, 10);
	snprintf(report.row[report.row_count - 1].where, sizeof(report.row[0].where), "%s",
		 machine);
}

static void machines_are_not_compared(void **state)
{
	(void)state;
	add_row_on("native", "trap");
	add_row_on("native", "split");
	add_row_on("lab", "trap");
	add_row_on("lab", "split");
	assert_true(sx_report_same_group(&report, 1, 2));
	assert_ptr_equal(sx_report_reference(&report, &report.row[3]), &report.row[0]);
	report.by_machine = true;
	assert_true(sx_report_same_group(&report, 0, 1));
	assert_false(sx_report_same_group(&report, 1, 2));
	assert_ptr_equal(sx_report_reference(&report, &report.row[1]), &report.row[0]);
	assert_ptr_equal(sx_report_reference(&report, &report.row[3]), &report.row[2]);
}

/* --- numbers for people -------------------------------------------------------------------------
 */

static void want_time(double ns, const char *text)
{
	char got[32];

	sx_format_ns(ns, false, got, sizeof(got));
	assert_string_equal(got, text);
}

static void times_have_three_digits_and_the_unit_that_suits(void **state)
{
	char got[32];

	(void)state;
	want_time(0, "0.00 ns");
	want_time(1.9, "1.90 ns");
	want_time(9.994, "9.99 ns");
	want_time(9.996, "10.0 ns");
	want_time(99.96, "100 ns");
	want_time(235, "235 ns");
	want_time(999.4, "999 ns");
	want_time(999.6, "1.00 us");
	want_time(66123, "66.1 us");
	want_time(999499, "999 us");
	want_time(999501, "1.00 ms");
	want_time(3.2e9, "3.20 s");
	want_time(7.2e12, "7200 s");
	sx_format_ns(66123, true, got, sizeof(got));
	assert_string_equal(got, "66.1 µs");
}

static void want_figure(const char *name, double value, const char *want_name,
			const char *want_value)
{
	struct sx_report_figure figure = {.value = value};
	char n[48], v[32];

	snprintf(figure.name, sizeof(figure.name), "%s", name);
	sx_format_figure(&figure, false, n, sizeof(n), v, sizeof(v));
	assert_string_equal(n, want_name);
	assert_string_equal(v, want_value);
}

static void figures_are_named_and_have_their_unit(void **state)
{
	(void)state;
	want_figure("pingpong_p50_ns", 235, "pingpong p50", "235 ns");
	want_figure("exec_to_guest_ms", 9.7, "exec to guest", "9.70 ms");
	want_figure("private_kib", 512, "private", "512 KiB");
	want_figure("private_kib", 6144, "private", "6.00 MiB");
	want_figure("turns_percent", 12.5, "turns", "12.5 percent");
	want_figure("turns", 12.5, "turns", "12.5");
}

/* --- JSON ---------------------------------------------------------------------------------------
 */

static json_t *written(void)
{
	struct sx_error err = {0};
	json_error_t where;
	json_t *json;

	if (sx_report_write_json(&report, file("r.json"), &err))
		fail_msg("%s", err.text);
	json = json_load_file(file("r.json"), JSON_REJECT_DUPLICATES, &where);
	if (!json)
		fail_msg("line %d: %s", where.line, where.text);
	unlink(file("r.json"));
	return json;
}

static void want_real(const json_t *o, const char *key, double value)
{
	assert_true(json_is_real(json_object_get(o, key)));
	assert_float_equal(json_real_value(json_object_get(o, key)), value, 1e-12);
}

static void want_text(const json_t *o, const char *key, const char *value)
{
	assert_true(json_is_string(json_object_get(o, key)));
	assert_string_equal(json_string_value(json_object_get(o, key)), value);
}

static void a_row_is_written_with_its_keys(void **state)
{
	struct sx_report_row row = a_row();
	json_t *json, *o;

	(void)state;
	row.time.p50_ns = 66123.45678;
	row.time.mean_ns = 0.0004;
	row.time.samples = 5000000000;
	row.exits_per_op = 0.0000021;
	assert_int_equal(sx_report_add_row(&report, &row, NULL), 0);
	row.batch = 32;
	snprintf(row.where, sizeof(row.where), "ring");
	row.exits_per_op = SX_NOT_MEASURED;
	row.per_second = 1234567.5;
	row.sidecore_ns = 76.5;
	row.causes = (struct sx_report_causes){true, 0.25, 0.5, 0};
	assert_int_equal(sx_report_add_row(&report, &row, NULL), 0);

	json = written();
	want_text(json, "suite", "exits");
	assert_int_equal(json_integer_value(json_object_get(json, "version")), 1);
	o = json_array_get(json_object_get(json, "rows"), 0);
	assert_int_equal(json_object_size(o), 8);
	want_text(o, "op", "doorbell");
	want_text(o, "mode", "trap");
	want_real(o, "p50_ns", 66123.457);
	want_real(o, "p99_ns", 200);
	want_real(o, "p999_ns", 300);
	want_real(o, "mean_ns", 0);
	want_real(o, "exits_per_op", 0.000002);
	assert_int_equal(json_integer_value(json_object_get(o, "samples")), 5000000000);

	o = json_array_get(json_object_get(json, "rows"), 1);
	assert_int_equal(json_object_size(o), 15);
	want_real(o, "device_exits_per_op", 0.25);
	want_real(o, "interrupt_exits_per_op", 0.5);
	want_real(o, "halt_exits_per_op", 0);
	want_real(o, "per_second", 1234567.5);
	want_real(o, "sidecore_ns", 76.5);
	assert_int_equal(json_integer_value(json_object_get(o, "batch")), 32);
	want_text(o, "where", "ring");
	assert_true(json_is_null(json_object_get(o, "exits_per_op")));
	json_decref(json);
}

static void what_rows_are_held_against_is_written(void **state)
{
	struct sx_report_peer peer = {.name = "rte_ring", .op = "stream", .burst = 32, .p50_ns = 7};
	json_t *json, *o;

	(void)state;
	sx_report_add_floor(&report, "pingpong_p50_ns", 243.1, NULL);
	sx_report_add_cost(&report, "private_kib", 4312, NULL);
	sx_report_add_peer(&report, &peer, NULL);
	sx_report_add_note(&report, NULL, "%d things were left out", 2);
	ok(SX_AT_LEAST, 1.5, 1.4);
	ok(SX_AT_MOST, 1.5, SX_NOT_MEASURED);

	json = written();
	want_real(json_object_get(json, "floors"), "pingpong_p50_ns", 243.1);
	want_real(json_object_get(json, "costs"), "private_kib", 4312);
	o = json_array_get(json_object_get(json, "peers"), 0);
	want_text(o, "name", "rte_ring");
	want_text(o, "op", "stream");
	want_real(o, "p50_ns", 7);
	assert_int_equal(json_integer_value(json_object_get(o, "burst")), 32);
	o = json_array_get(json_object_get(json, "targets"), 0);
	want_text(o, "bound", "at_least");
	want_real(o, "target", 1.5);
	want_real(o, "measured", 1.4);
	assert_true(json_is_false(json_object_get(o, "ok")));
	o = json_array_get(json_object_get(json, "targets"), 1);
	assert_true(json_is_null(json_object_get(o, "measured")));
	assert_string_equal(json_string_value(json_array_get(json_object_get(json, "notes"), 0)),
			    "2 things were left out");
	json_decref(json);
}

static void the_host_is_described_but_not_named(void **state)
{
	char name[256] = "";
	json_t *json = written(), *host = json_object_get(json, "host"), *value;
	const char *key;

	(void)state;
	gethostname(name, sizeof(name) - 1);
	assert_true(json_is_string(json_object_get(host, "kernel")));
	assert_true(json_integer_value(json_object_get(host, "cpus")) > 0);
	assert_int_equal(strlen(json_string_value(json_object_get(host, "date"))), 20);
	want_text(host, "splitx", SX_VERSION);
	json_object_foreach(host, key, value) if (name[0] && json_is_string(value))
		assert_string_not_equal(json_string_value(value), name);
	json_decref(json);
}

/* --- files --------------------------------------------------------------------------------------
 */

static unsigned files_in_dir(void)
{
	DIR *d = opendir(dir);
	unsigned count = 0;

	assert_non_null(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count - 2; /* . and .. */
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(file(name), "we");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void a_file_is_replaced_as_a_whole(void **state)
{
	json_error_t where;
	struct stat st;
	json_t *json;
	char link[64];

	(void)state;
	write_file("old.json", "something longer that was there before and is no JSON at all, of "
			       "which nothing may be left once the report is there");
	snprintf(link, sizeof(link), "%s", file("link.json"));
	assert_int_equal(symlink("old.json", link), 0);
	assert_int_equal(sx_report_write_json(&report, link, NULL), 0);

	json = json_load_file(file("old.json"), 0, &where);
	assert_non_null(json);
	json_decref(json);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(files_in_dir(), 2);
	unlink(link);
	unlink(file("old.json"));
}

static void want_no_json(const char *path, int code, const char *says)
{
	struct sx_error err = {0};

	assert_int_equal(sx_report_write_json(&report, path, &err), code);
	if (!strstr(err.text, says))
		fail_msg("'%s' does not say '%s'", err.text, says);
}

static void a_place_that_cannot_be_written_is_named(void **state)
{
	(void)state;
	want_no_json("/nowhere/r.json", -ENOENT, "'/nowhere/r.json'");
	want_no_json(dir, -EISDIR, "directory");
	assert_int_equal(files_in_dir(), 0);
}

/* A device is written to, never replaced by a file. */
static void a_full_device_is_told_of_and_stays_a_device(void **state)
{
	struct stat st;

	(void)state;
	want_no_json("/dev/full", -ENOSPC, "'/dev/full'");
	assert_int_equal(stat("/dev/full", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

static void a_report_that_cannot_become_json_leaves_the_old_file(void **state)
{
	char text[16] = "";
	FILE *f;

	(void)state;
	write_file("r.json", "precious");
	assert_int_equal(sx_report_add_note(&report, NULL, "\xff\xfe"), 0);
	want_no_json(file("r.json"), -EINVAL, "UTF-8");
	f = fopen(file("r.json"), "re");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_string_equal(text, "precious");
	assert_int_equal(files_in_dir(), 1);
	unlink(file("r.json"));
}

#define CASE(name) cmocka_unit_test_setup(name, new_report)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(numbers_that_are_none_are_refused),
		CASE(names_are_needed),
		CASE(a_figure_comes_once),
		CASE(a_full_report_says_so),
		CASE(a_target_is_reached_or_not),
		CASE(rows_are_found_and_compared),
		CASE(machines_are_not_compared),
		CASE(times_have_three_digits_and_the_unit_that_suits),
		CASE(figures_are_named_and_have_their_unit),
		CASE(a_row_is_written_with_its_keys),
		CASE(what_rows_are_held_against_is_written),
		CASE(the_host_is_described_but_not_named),
		CASE(a_file_is_replaced_as_a_whole),
		CASE(a_place_that_cannot_be_written_is_named),
		CASE(a_full_device_is_told_of_and_stays_a_device),
		CASE(a_report_that_cannot_become_json_leaves_the_old_file),
	};

	return cmocka_run_group_tests_name("report", tests, make_dir, remove_dir);
}
