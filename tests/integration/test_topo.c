// SPDX-License-Identifier: BSD-3-Clause
/*
 * `splitx topo`: what it prints where, and its exit status.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/topo.h"

#define DUAL "pack:2 numa:1 l3:1 core:4 pu:2"

/* What the last run wrote. */
static char out[65536], err[4096];

static void read_back(FILE *f, char *buf, size_t size)
{
	rewind(f);
	buf[fread(buf, 1, size - 1, f)] = '\0';
	fclose(f);
}

/* Make @fd write to @f until swap_back(). */
static int swap(int fd, FILE *f)
{
	int old = dup(fd);

	assert_non_null(f);
	assert_true(old >= 0);
	assert_int_equal(dup2(fileno(f), fd), fd);
	return old;
}

static void swap_back(int fd, int old)
{
	assert_int_equal(dup2(old, fd), fd);
	close(old);
}

/* Run the command with its output into @o. @words end with NULL. */
static int run_into(FILE *o, const char *const *words)
{
	char *argv[32] = {(char *)"topo"}; /* getopt moves the words, but leaves them as they are */
	FILE *e = tmpfile();
	int argc = 1, old_out, old_err, status;

	while (words[argc - 1]) {
		argv[argc] = (char *)words[argc - 1];
		argc++;
	}
	fflush(stdout);
	old_out = swap(STDOUT_FILENO, o);
	old_err = swap(STDERR_FILENO, e);
	status = sx_cmd_topo(argc, argv);
	fflush(stdout);
	clearerr(stdout);
	swap_back(STDERR_FILENO, old_err);
	swap_back(STDOUT_FILENO, old_out);
	read_back(o, out, sizeof(out));
	read_back(e, err, sizeof(err));
	return status;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define RUN(...)   run_into(tmpfile(), WORDS(__VA_ARGS__))

/* One sentence on standard error under the command's name, nothing on standard output. */
static void want_complaint(int status, int want, const char *says)
{
	assert_int_equal(status, want);
	assert_string_equal(out, "");
	assert_memory_equal(err, "splitx topo: ", 13);
	if (!strstr(err, says))
		fail_msg("no '%s' in: %s", says, err);
	assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);
}

static void a_plan_is_printed_with_its_warnings(void **state)
{
	(void)state;
	assert_int_equal(RUN("--topology", DUAL, "--vcpus", "9", "--sidecore-count", "2"), EX_OK);
	assert_string_equal(err, "");
	assert_non_null(strstr(out, "2 packages, 2 NUMA nodes, 8 cores, 16 CPUs\n"));
	assert_non_null(strstr(out, " G5 "));
	assert_non_null(strstr(out, "\nvCPUs 0-8 take turns on guest cores 0-5\n"));
	assert_non_null(strstr(out, "\nwarning: 9 vCPUs share 6 guest cores"));
	assert_null(strchr(out, '\033')); /* no terminal, no colours */
}

static void options_reach_the_plan(void **state)
{
	(void)state;
	assert_int_equal(RUN("-g", "2,4", "-s", "6", "--topology", DUAL), EX_OK);
	assert_non_null(strstr(out, "sidecore 0 (CPU 6) serves guest cores 0-1 (CPUs 2,4)"));
	assert_int_equal(RUN("-c", "12", "-n", "4", "--smt", "--topology", DUAL), EX_OK);
	assert_non_null(strstr(out, "\nvCPUs 0-11 run on guest cores 0-11\n"));
	/* A sidecore by default, none in trap mode. */
	assert_int_equal(RUN("--topology", DUAL), EX_OK);
	assert_non_null(strstr(out, "sidecore 0 (CPU 4) serves guest core 0 (CPU 2)"));
	assert_int_equal(RUN("-n", "0", "--topology", DUAL), EX_OK);
	assert_non_null(strstr(out, "trap mode"));
}

static void this_machine_has_a_plan(void **state)
{
	(void)state;
	assert_int_equal(RUN("-n", "0"), EX_OK);
	assert_non_null(strstr(out, "vCPU 0 runs on guest core 0\n"));
	assert_string_equal(err, "");
}

static void help_is_given(void **state)
{
	(void)state;
	assert_int_equal(RUN("--help"), EX_OK);
	assert_memory_equal(out, "usage: splitx topo", 18);
	assert_string_equal(err, "");
	assert_int_equal(RUN("-h"), EX_OK);
}

static void wrong_usage_is_64(void **state)
{
	(void)state;
	want_complaint(RUN("--bogus"), EX_USAGE, "'--bogus' is no option");
	want_complaint(RUN("-x"), EX_USAGE, "'-x' is no option");
	want_complaint(RUN("--smt=1"), EX_USAGE, "takes no value");
	want_complaint(RUN("--vcpus"), EX_USAGE, "--vcpus needs a value");
	want_complaint(RUN("--svg"), EX_USAGE, "--svg needs a value");
	want_complaint(RUN("3"), EX_USAGE, "'3' is no option");
	want_complaint(RUN("--vcpus", "0"), EX_USAGE, "from 1 to 4096");
	want_complaint(RUN("--vcpus", "4097"), EX_USAGE, "from 1 to 4096");
	want_complaint(RUN("--vcpus", "1x"), EX_USAGE, "'1x' is no number");
	want_complaint(RUN("--vcpus", "-1"), EX_USAGE, "'-1' is no number");
	want_complaint(RUN("--vcpus", ""), EX_USAGE, "'' is no number");
	want_complaint(RUN("-n", "99999999999999999999"), EX_USAGE, "from 0 to 4096");
	want_complaint(RUN("-n", "1", "-s", "1"), EX_USAGE, "exclude each other");
	want_complaint(RUN("-g", "1,"), EX_USAGE, "is no CPU list");
	want_complaint(RUN("-s", ""), EX_USAGE, "--sidecores is empty");
	want_complaint(RUN("--topology", "cheese"), EX_USAGE, "is no hwloc synthetic description");
}

static void impossible_plans_are_69(void **state)
{
	(void)state;
	want_complaint(RUN("--topology", DUAL, "-g", "16"), EX_UNAVAILABLE, "does not exist");
	want_complaint(RUN("--topology", DUAL, "-g", "1", "-s", "1"), EX_UNAVAILABLE, "in both");
	want_complaint(RUN("--topology", DUAL, "-n", "8"), EX_UNAVAILABLE, "--smt");
	want_complaint(RUN("-n", "4096"), EX_UNAVAILABLE, "4096 sidecores are asked for");
}

static void an_svg_file_is_written(void **state)
{
	char path[] = "/tmp/splitx-test-XXXXXX", line[64];
	FILE *f;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(RUN("--topology", DUAL, "--svg", path), EX_OK);
	assert_non_null(strstr(out, "vCPU 0 runs on")); /* the text, too */
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_memory_equal(line, "<svg ", 5);
	fclose(f);
	unlink(path);

	assert_int_equal(RUN("--topology", DUAL, "--svg", "-"), EX_OK);
	assert_memory_equal(out, "<svg ", 5);
	assert_string_equal(out + strlen(out) - 7, "</svg>\n");
}

static void an_svg_file_that_cannot_be_written_is_73(void **state)
{
	(void)state;
	assert_int_equal(RUN("--topology", DUAL, "--svg", "/nonexistent/plan.svg"), EX_CANTCREAT);
	assert_non_null(strstr(err, "'/nonexistent/plan.svg' cannot be written: No such file"));
	assert_int_equal(RUN("--topology", DUAL, "--svg", "/dev/full"), EX_CANTCREAT);
	assert_non_null(strstr(err, "No space left"));
}

static void a_full_standard_output_is_74(void **state)
{
	(void)state;
	assert_int_equal(run_into(fopen("/dev/full", "r+"), WORDS("--smt")), EX_IOERR);
	assert_non_null(strstr(err, "cannot be written to standard output: No space left"));
	assert_int_equal(run_into(fopen("/dev/full", "r+"), WORDS("--help")), EX_IOERR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_is_printed_with_its_warnings),
		cmocka_unit_test(options_reach_the_plan),
		cmocka_unit_test(this_machine_has_a_plan),
		cmocka_unit_test(help_is_given),
		cmocka_unit_test(wrong_usage_is_64),
		cmocka_unit_test(impossible_plans_are_69),
		cmocka_unit_test(an_svg_file_is_written),
		cmocka_unit_test(an_svg_file_that_cannot_be_written_is_73),
		cmocka_unit_test(a_full_standard_output_is_74),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
