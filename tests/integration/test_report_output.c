// SPDX-License-Identifier: BSD-3-Clause
/*
 * What people see of a suite: the table, the chart, the progress line, the host's description.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pty.h>
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

#include "bench/hostinfo.h"
#include "bench/plot.h"
#include "bench/progress.h"
#include "bench/report.h"

static char dir[] = "/tmp/test_output.XXXXXX";
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

static void file(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", dir, name);
}

static void add_row(const char *op, const char *mode, double p50_ns, double exits)
{
	struct sx_report_row row = {
		.time = {p50_ns, 2 * p50_ns, 3 * p50_ns, 1.1 * p50_ns, 1000},
		.exits_per_op = exits,
	};

	snprintf(row.op, sizeof(row.op), "%s", op);
	snprintf(row.mode, sizeof(row.mode), "%s", mode);
	assert_int_equal(sx_report_add_row(&report, &row, NULL), 0);
}

static void add_target(const char *name, double target, double measured)
{
	struct sx_report_target t = {.target = target, .measured = measured, .unit = "x"};

	snprintf(t.name, sizeof(t.name), "%s", name);
	assert_int_equal(sx_report_add_target(&report, &t, NULL), 0);
}

static int new_report(void **state)
{
	struct sx_report_peer peer = {.name = "rte_ring", .op = "stream", .burst = 1, .p50_ns = 31};

	(void)state;
	sx_report_init(&report, "exits", "What an exit costs");
	add_row("reg_read", "trap", 66000, 1);
	add_row("reg_read", "split", 66660, 1);
	add_row("doorbell", "trap", 65000, 1);
	add_row("doorbell", "split", 2.5, 0);
	add_row("doorbell", "ioeventfd", 26000, SX_NOT_MEASURED);
	add_row("stream", "split", 20, 0.00002);
	sx_report_add_floor(&report, "pingpong_p50_ns", 243, NULL);
	sx_report_add_cost(&report, "private_kib", 4312, NULL);
	sx_report_add_peer(&report, &peer, NULL);
	add_target("reached", 1.15, 1.07);
	add_target("missed", 1.15, 1.1504);
	add_target("unknown", 1.15, SX_NOT_MEASURED);
	return sx_report_add_note(&report, NULL,
				  "the cores 0 and 1 are not isolated from the scheduler, so p99 "
				  "and p99.9 contain what other programs did in the meantime");
}

/* --- the table ----------------------------------------------------------------------------------
 */

/* To be freed. */
static char *printed(struct sx_term term)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(sx_report_print(&report, f, &term), 0);
	fclose(f);
	return text;
}

/* The line with both words in it, to be freed; the test fails when there is none. */
static char *line_with(const char *text, const char *a, const char *b)
{
	while (*text) {
		size_t length = strcspn(text, "\n");
		char *line = strndup(text, length);

		if (strstr(line, a) && strstr(line, b))
			return line;
		free(line);
		text += length + (text[length] == '\n');
	}
	fail_msg("no line has both '%s' and '%s'", a, b);
	return NULL;
}

static void want_in_line(const char *text, const char *a, const char *b, const char *what)
{
	char *line = line_with(text, a, b);

	if (!strstr(line, what))
		fail_msg("'%s' has no '%s'", line, what);
	free(line);
}

static void the_table_tells_all_of_it(void **state)
{
	char *text = printed((struct sx_term){0});

	(void)state;
	assert_non_null(strstr(text, "What an exit costs"));
	want_in_line(text, "reg_read", "trap", "66.0 us");
	want_in_line(text, "operation", "p99.9", "vs trap");
	want_in_line(text, "split", "66.7 us", "1 : 0.99");
	want_in_line(text, "split", "2.50 ns", "1 : 26000");
	want_in_line(text, "ioeventfd", "26.0 us", " - ");
	want_in_line(text, "stream", "split", "2e-05");
	want_in_line(text, "pingpong p50", "243", "243 ns");
	want_in_line(text, "rte_ring", "burst 1", "31.0 ns");
	want_in_line(text, "private", "MiB", "4.21 MiB");
	want_in_line(text, "reached", "at most 1.15x", "+ reached");
	want_in_line(text, "missed", "at most 1.15x", "1.15x"); /* but marked: */
	want_in_line(text, "missed", "at most 1.15x", "x missed");
	want_in_line(text, "unknown", "at most 1.15x", "not measured");
	free(text);
}

static void plain_output_is_plain(void **state)
{
	char *text = printed((struct sx_term){.width = 80});

	(void)state;
	for (const char *c = text; *c; c++) {
		assert_true((unsigned char)*c < 0x80 && *c != '\033');
		assert_false(*c == ' ' && c[1] == '\n');
	}
	free(text);
}

static void colour_and_utf8_come_when_asked_for(void **state)
{
	char *text = printed((struct sx_term){.utf8 = true, .colour = true});

	(void)state;
	assert_non_null(strstr(text, "\033[32m✓"));
	assert_non_null(strstr(text, "\033[31m✗"));
	assert_non_null(strstr(text, "66.0 µs"));
	free(text);
}

static size_t widest_line(const char *text)
{
	size_t widest = 0;

	while (*text) {
		size_t length = strcspn(text, "\n"), columns;
		char *line = strndup(text, length);

		columns = sx_term_columns(line);
		widest = columns > widest ? columns : widest;
		free(line);
		text += length + (text[length] == '\n');
	}
	return widest;
}

/* What is left out are columns, never what the rows are about. */
static void no_line_is_wider_than_the_terminal(void **state)
{
	(void)state;
	for (unsigned width = 60; width <= 160; width += 4) {
		char *text = printed((struct sx_term){.width = width, .utf8 = width % 8 == 0});

		assert_true(widest_line(text) <= width);
		want_in_line(text, "operation", "p50", "vs trap");
		want_in_line(text, "operation", "p50", "exits/op");
		if (width >= 90)
			want_in_line(text, "operation", "p50", "p99");
		free(text);
	}
}

static void an_empty_report_is_a_short_one(void **state)
{
	char *text;

	(void)state;
	sx_report_init(&report, "boot", "Nothing yet");
	text = printed((struct sx_term){0});
	assert_non_null(strstr(text, "Nothing yet"));
	assert_null(strstr(text, "operation"));
	assert_null(strstr(text, "targets"));
	free(text);
}

static void a_reader_that_takes_nothing_is_told_of(void **state)
{
	struct sx_term term = {0};
	FILE *full = fopen("/dev/full", "we");

	(void)state;
	assert_non_null(full);
	assert_int_equal(sx_report_print(&report, full, &term), -EIO);
	fclose(full);
}

/* --- the chart ----------------------------------------------------------------------------------
 */

static bool file_has(const char *path, const char *what)
{
	static char text[1 << 18];
	FILE *f = fopen(path, "re");
	size_t size;

	assert_non_null(f);
	size = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[size] = '\0';
	return strstr(text, what) != NULL;
}

static void a_chart_shows_each_operation_and_mode(void **state)
{
	static const char *const shown[] = {"<svg",         "</svg>",  "reg_read",  "doorbell",
					    "stream",       "split",   "ioeventfd", "rte_ring",
					    "pingpong p50", "66.0 µs", "2.50 ns"};
	struct sx_error err = {0};
	char path[64];

	(void)state;
	if (sx_plot_available(&err)) {
		print_message("# %s\n", err.text);
		skip();
	}
	snprintf(report.title, sizeof(report.title), "It's `false` {/Bold 1} a_b @c \"d\"\n");
	file(path, sizeof(path), "chart.svg");
	if (sx_plot_svg(&report, path, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (!file_has(path, shown[i]))
			fail_msg("no '%s' in the chart", shown[i]);
	/* As it is: not run, not read as mark-up. */
	assert_true(file_has(path, "`false` {/Bold 1} a_b @c"));
	unlink(path);
}

static void nothing_has_no_chart(void **state)
{
	struct sx_error err = {0};
	char path[64];

	(void)state;
	sx_report_init(&report, "boot", "Nothing yet");
	file(path, sizeof(path), "chart.svg");
	assert_int_equal(sx_plot_svg(&report, path, &err), -ENODATA);
	assert_non_null(strstr(err.text, "no row"));
	assert_int_equal(access(path, F_OK), -1);
}

/* Draw with only @path to find programs in; see that it fails and leaves nothing. */
static void want_no_chart(const char *path, int code, const char *says)
{
	char *kept = strdup(getenv("PATH")), svg[64];
	struct sx_error err = {0};
	int ret;

	file(svg, sizeof(svg), "chart.svg");
	setenv("PATH", path, 1);
	ret = sx_plot_svg(&report, svg, &err);
	setenv("PATH", kept, 1);
	free(kept);
	assert_int_equal(ret, code);
	if (!strstr(err.text, says))
		fail_msg("'%s' does not say '%s'", err.text, says);
	assert_int_equal(access(svg, F_OK), -1);
}

static void no_gnuplot_is_no_chart_and_a_sentence(void **state)
{
	char *kept = strdup(getenv("PATH"));
	struct sx_error err = {0};

	(void)state;
	want_no_chart("/nowhere", -ENOENT, "install gnuplot-nox");
	setenv("PATH", "/nowhere", 1);
	assert_int_equal(sx_plot_available(&err), -ENOENT);
	setenv("PATH", kept, 1);
	free(kept);
	assert_non_null(strstr(err.text, "install gnuplot-nox"));
}

static void what_gnuplot_complains_of_is_told(void **state)
{
	char path[64];
	FILE *f;

	(void)state;
	file(path, sizeof(path), "gnuplot");
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("#!/bin/sh\necho '<svg half a picture'\necho 'line 1:' >&2\n"
	      "echo '  the ink is dry' >&2\nexit 1\n",
	      f);
	fclose(f);
	chmod(path, 0700);
	want_no_chart(dir, -EIO, "(the ink is dry)");
	unlink(path);
}

/* --- the progress line --------------------------------------------------------------------------
 */

static void a_pipe_sees_no_progress(void **state)
{
	struct sx_progress p;
	int fd[2];
	FILE *f;
	char c;

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	f = fdopen(fd[1], "w");
	sx_progress_begin(&p, f, 2);
	sx_progress_step(&p, "one");
	sx_progress_step(&p, "two");
	sx_progress_end(&p);
	fclose(f);
	assert_int_equal(read(fd[0], &c, 1), 0);
	close(fd[0]);
}

static void a_terminal_sees_progress_and_then_nothing(void **state)
{
	struct winsize size = {.ws_row = 24, .ws_col = 60};
	char text[4096] = "", *last;
	struct sx_progress p;
	int master, slave;
	size_t used = 0;
	ssize_t n;
	FILE *f;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
	setenv("TERM", "xterm", 1);
	f = fdopen(slave, "w");
	sx_progress_begin(&p, f, 4);
	assert_true(p.term.live);
	sx_progress_step(&p, "doorbell, split");
	sx_progress_step(&p, "a step whose name is far too long for a line of sixty columns");
	sx_progress_end(&p);

	/* A terminal may hand it over in pieces; with its other end closed, until there is no more.
	 */
	fclose(f);
	while ((n = read(master, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	assert_true(used > 0);
	assert_non_null(strstr(text, "  0%  doorbell, split"));
	assert_non_null(strstr(text, " 25%  a step whose name"));
	assert_null(strstr(text, "sixty columns"));
	assert_null(strchr(text, '\n'));
	last = strrchr(text, '\r');
	assert_string_equal(last, "\r\033[K"); /* erased */
	close(master);
}

/* --- the host -----------------------------------------------------------------------------------
 */

/* A file below @root, with the folders on the way to it. */
static void make_file(const char *root, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, name);
	for (char *c = path + strlen(root) + 1; (c = strchr(c, '/')); c++) {
		*c = '\0';
		mkdir(path, 0700);
		*c = '/';
	}
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void remove_tree(const char *root)
{
	assert_int_equal(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

#define CPU "/sys/devices/system/cpu/"

static void a_host_is_read_from_proc_and_sys(void **state)
{
	struct sx_host host;
	char root[64], text[256];

	(void)state;
	file(root, sizeof(root), "root");
	mkdir(root, 0700);
	make_file(root, "/proc/cpuinfo",
		  "processor\t: 0\nmodel\t\t: 143\n"
		  "model name\t: Intel(R) Xeon(TM) Gold (fast)\nmicrocode\t: 0x2b\n"
		  "\nprocessor\t: 1\nmodel name\t: Another\n");
	make_file(root, "/proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n");
	make_file(root, CPU "isolated", "2-3\n");
	make_file(root, CPU "online", "0-3,8\n");
	make_file(root, CPU "smt/active", "1\n");
	make_file(root, CPU "cpu0/cpufreq/scaling_governor", "performance\n");
	make_file(root, "/sys/module/kvm_amd/version", "");
	sx_host_read(&host, root);
	remove_tree(root);

	assert_string_equal(host.cpu, "Intel(R) Xeon(TM) Gold (fast)");
	assert_string_equal(host.microcode, "0x2b");
	assert_int_equal(host.memory_mib, 16384);
	assert_string_equal(host.isolated, "2-3");
	assert_int_equal(host.cpus, 5);
	assert_int_equal(host.smt, 1);
	assert_string_equal(host.governor, "performance");
	assert_string_equal(host.kvm, "kvm_amd");
	sx_host_text(&host, text, sizeof(text));
	assert_ptr_equal(strstr(text, "Intel Xeon Gold (fast), 5 CPUs (isolated: 2-3), 16.0 GiB"),
			 text);
	assert_non_null(strstr(text, "kvm_amd"));
}

static void a_host_that_tells_nothing_is_unknown(void **state)
{
	struct sx_host host;
	char root[64], text[40];

	(void)state;
	file(root, sizeof(root), "root");
	mkdir(root, 0700);
	make_file(root, "/proc/cpuinfo", "");
	make_file(root, CPU "isolated", " (null)\n");
	make_file(root, CPU "online", "3-1,x\n");
	sx_host_read(&host, root);
	remove_tree(root);

	assert_string_equal(host.cpu, "");
	assert_string_equal(host.isolated, "");
	assert_string_equal(host.kvm, "");
	assert_int_equal(host.cpus, 0);
	assert_int_equal(host.smt, -1);
	assert_int_equal(host.memory_mib, 0);
	sx_host_text(&host, text, sizeof(text)); /* cut, but whole in its memory */
	assert_int_equal(strlen(text), sizeof(text) - 1);
}

#define CASE(name) cmocka_unit_test_setup(name, new_report)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_table_tells_all_of_it),
		CASE(plain_output_is_plain),
		CASE(colour_and_utf8_come_when_asked_for),
		CASE(no_line_is_wider_than_the_terminal),
		CASE(an_empty_report_is_a_short_one),
		CASE(a_reader_that_takes_nothing_is_told_of),
		CASE(a_chart_shows_each_operation_and_mode),
		CASE(nothing_has_no_chart),
		CASE(no_gnuplot_is_no_chart_and_a_sentence),
		CASE(what_gnuplot_complains_of_is_told),
		CASE(a_pipe_sees_no_progress),
		CASE(a_terminal_sees_progress_and_then_nothing),
		CASE(a_host_is_read_from_proc_and_sys),
		CASE(a_host_that_tells_nothing_is_unknown),
	};

	return cmocka_run_group_tests_name("report output", tests, make_dir, remove_dir);
}
