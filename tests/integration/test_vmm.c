// SPDX-License-Identifier: BSD-3-Clause
/*
 * VMMs, played by shell scripts, whose guests answer, refuse, talk nonsense, die or hang; and what
 * is read about a VMM from outside: its memory and KVM's counters.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/contestant.h"
#include "bench/kvmcount.h"
#include "bench/kvmtrace.h"
#include "bench/link.h"
#include "bench/smaps.h"
#include "bench/vmm.h"

#define SOON_S 60

/* ---- talking ---- */

static void start(struct sx_vmm *vmm, const char *script)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	struct sx_error err = {0};

	if (sx_vmm_start(vmm, "fake", argv, &err) < 0)
		fail_msg("%s", err.text);
}

/* No process is left. */
static void stop(struct sx_vmm *vmm)
{
	sx_vmm_stop(vmm);
	sx_vmm_stop(vmm); /* harmless */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_answers(void **state)
{
	struct sx_error err = {0};
	struct sx_vmm vmm;
	const char *rest;

	(void)state;
	start(&vmm, "printf 'noise\\r\\n[ 1.0] half a line splitx-bench: init 1.25\\r\\n';"
		    "read -r a; echo \"splitx-bench: $a\"; echo splitx-bench: done");
	assert_int_equal(sx_vmm_expect(&vmm, "init", SOON_S, &rest, &err), 0);
	assert_string_equal(rest, "1.25");
	assert_string_equal(vmm.last, "noise");
	assert_int_equal(sx_vmm_say(&vmm, "echo back\n", &err), 0);
	assert_int_equal(sx_vmm_expect(&vmm, "echo", SOON_S, &rest, &err), 0);
	assert_string_equal(rest, "back");
	assert_int_equal(sx_vmm_expect(&vmm, "done", SOON_S, &rest, &err), 0);
	assert_string_equal(rest, "");
	assert_int_equal(sx_vmm_finish(&vmm, SOON_S, &err), 0);
	stop(&vmm);
}

/* @script does not come to "init", and the error says @why. */
static void refused(const char *script, const char *why)
{
	struct sx_error err = {0};
	struct sx_vmm vmm;
	const char *rest;

	start(&vmm, script);
	assert_int_equal(sx_vmm_expect(&vmm, "init", SOON_S, &rest, &err), -EIO);
	if (!strstr(err.text, why))
		fail_msg("'%s' is not in '%s'", why, err.text);
	stop(&vmm);
}

static void test_refusals(void **state)
{
	(void)state;
	refused("echo splitx-bench: failed no disk; read -r a", "says: no disk");
	refused("echo splitx-bench: initial; read -r a", "'initial' where 'init'");
	refused("echo kernel panic; exit 3",
		"too early, with exit status 3; its last words: kernel panic");
	refused("echo one >&2; echo no such kernel >&2; exit 1", "last words: no such kernel");
	refused("kill -9 $$", "signal 9");
	/* One line without an end is read, and not kept. */
	refused("head -c 100000 /dev/zero | tr '\\0' x; exit 2", "exit status 2");
}

static void test_silence(void **state)
{
	struct sx_error err = {0};
	struct sx_vmm vmm;
	const char *rest;

	(void)state;
	start(&vmm, "echo waiting; exec sleep 1000");
	assert_int_equal(sx_vmm_expect(&vmm, "init", 1, &rest, &err), -EIO);
	assert_non_null(strstr(err.text, "does not come to 'init' within 1 s"));
	err = (struct sx_error){0};
	assert_int_equal(sx_vmm_finish(&vmm, 1, &err), -EIO);
	assert_non_null(strstr(err.text, "'its end' within 1 s"));
	stop(&vmm);
}

static void test_bad_ends(void **state)
{
	struct sx_error err = {0};
	struct sx_vmm vmm;

	(void)state;
	start(&vmm, "echo splitx-bench: init; exit 5");
	assert_int_equal(sx_vmm_finish(&vmm, SOON_S, &err), -EIO);
	assert_non_null(strstr(err.text, "exit status 5"));
	stop(&vmm);
	/* The guest is gone before it could be told something: no SIGPIPE. */
	start(&vmm, "exit 0");
	assert_int_equal(waitid(P_PID, (id_t)vmm.pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_int_equal(sx_vmm_say(&vmm, "end\n", &err), -EIO);
	stop(&vmm);
}

static void test_no_program(void **state)
{
	const char *const argv[] = {"no-such-vmm", NULL};
	struct sx_error err = {0};
	struct sx_vmm vmm;

	(void)state;
	assert_int_equal(sx_vmm_start(&vmm, "fake", argv, &err), -ENOENT);
	assert_non_null(strstr(err.text, "cannot start 'no-such-vmm'"));
	stop(&vmm);
}

/* ---- memory ---- */

static struct sx_smaps sum_of(const char *text, uint64_t guest_bytes)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	struct sx_smaps sum;

	assert_non_null(f);
	sx_smaps_sum(f, guest_bytes, &sum);
	fclose(f);
	return sum;
}

static const char smaps[] = "55d0c0000000-55d0c0010000 r-xp 00000000 08:01 5 /usr/bin/vmm\n"
			    "Rss:                  64 kB\n"
			    "Private_Clean:         4 kB\n"
			    "Private_Dirty:         8 kB\n"
			    "7f0000000000-7f0020000000 rw-p 00000000 00:00 0\n"
			    "Rss:              100000 kB\n"
			    "Private_Clean:         0 kB\n"
			    "Private_Dirty:    100000 kB\n"
			    "7f1000000000-7f1000100000 rw-s 00000000 00:01 7 /memfd:splitx-ram\n"
			    "Rss:                 512 kB\n"
			    "Private_Dirty:       512 kB\n"
			    "7f2000000000-7f2000100000 rw-p 00000000 00:00 0 [heap]\n"
			    "Rss:                  16 kB\n"
			    "Private_Dirty:        16 kB\n";

static void test_memory(void **state)
{
	struct sx_smaps sum;

	(void)state;
	sum = sum_of(smaps, 512ull << 20);
	assert_int_equal((int)sum.private_kib, 24);
	assert_int_equal((int)sum.resident_kib, 80);
	/* One page more, and the large mapping is the VMM's own. */
	sum = sum_of(smaps, (512ull << 20) + 4096);
	assert_int_equal((int)sum.private_kib, 100024);
	sum = sum_of(smaps, 0);
	assert_int_equal((int)sum.private_kib, 100024);
	sum = sum_of("no smaps\n", 0);
	assert_int_equal((int)sum.private_kib, 0);
}

static void test_memory_of_process(void **state)
{
	struct sx_error err = {0};
	struct sx_smaps sum;

	(void)state;
	assert_int_equal(sx_smaps_read(getpid(), 0, &sum, &err), 0);
	assert_true(sum.private_kib > 0 && sum.private_kib <= sum.resident_kib);
	assert_int_equal(sx_smaps_read(0x7fffffff, 0, &sum, &err), -ENOENT);
	assert_non_null(strstr(err.text, "cannot read /proc/"));
}

/* ---- KVM's counters ---- */

static const char *const counters[] = {"exits",         "io_exits",  "mmio_exits",
				       "halt_exits",    "irq_exits", "irq_window_exits",
				       "irq_injections"};

static void write_counter(const char *root, const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/%s", root, dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void remove_counters(const char *root, const char *dir)
{
	char path[256];

	for (size_t i = 0; i < SX_KVM_COUNTERS; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", root, dir, counters[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/%s", root, dir);
	rmdir(path);
}

static void test_counters(void **state)
{
	char root[] = "/tmp/test_vmm.XXXXXX";
	struct sx_kvm_counts a, b;
	struct sx_error err = {0};

	(void)state;
	assert_non_null(mkdtemp(root));
	/* Another process's number begins with the same digits. */
	for (size_t i = 0; i < SX_KVM_COUNTERS; i++) {
		char text[8];

		snprintf(text, sizeof(text), "%zu\n", i + 10);
		write_counter(root, "123-4", counters[i], text);
		write_counter(root, "12-4", counters[i], "5\n");
	}
	assert_int_equal(sx_kvm_counts_read(root, 123, &a, &err), 0);
	assert_int_equal(sx_kvm_counts_read(root, 12, &b, &err), 0);
	assert_int_equal(a.value[SX_KVM_EXITS], 10);
	assert_int_equal(a.value[SX_KVM_INJECTED], 16);
	a = sx_kvm_counts_since(&b, &a);
	assert_int_equal(a.value[SX_KVM_HALT], 8);
	assert_int_equal(a.value[SX_KVM_MMIO], 7);

	assert_int_equal(sx_kvm_counts_read(root, 1, &b, &err), -ESRCH);
	assert_non_null(strstr(err.text, "process 1 has no VM"));
	write_counter(root, "12-4", "io_exits", "many\n");
	assert_int_equal(sx_kvm_counts_read(root, 12, &b, NULL), -EIO);
	remove_counters(root, "12-4");
	write_counter(root, "12-4", "exits", "1\n");
	assert_int_equal(sx_kvm_counts_read(root, 12, &b, NULL), -ENOENT);
	remove_counters(root, "12-4");
	remove_counters(root, "123-4");
	assert_int_equal(rmdir(root), 0);
	err = (struct sx_error){0};
	assert_int_equal(sx_kvm_counts_read(root, 12, &b, &err), -ENOENT);
	assert_non_null(strstr(err.text, "mount debugfs"));
}

/* ---- KVM's tracepoint ---- */

/* From the root to the file, which is there only while it has a @text. */
static void set_event_id(const char *root, const char *text)
{
	static const char *const parts[] = {"/events", "/events/kvm", "/events/kvm/kvm_mmio"};
	char path[96];

	for (size_t i = 0; text && i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", root, parts[i]);
		mkdir(path, 0700);
	}
	if (text) {
		write_counter(root, "events/kvm/kvm_mmio", "id", text);
		return;
	}
	snprintf(path, sizeof(path), "%s/events/kvm/kvm_mmio/id", root);
	unlink(path);
	for (size_t i = 3; i--;) {
		snprintf(path, sizeof(path), "%s%s", root, parts[i]);
		rmdir(path);
	}
}

static void test_tracepoint(void **state)
{
	char root[] = "/tmp/test_vmm.XXXXXX";
	struct sx_kvm_trace trace;
	struct sx_error err = {0};
	uint64_t accesses;

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(sx_kvm_trace_open(&trace, root, getpid(), &err), -ENOENT);
	assert_non_null(strstr(err.text, "mount debugfs"));
	set_event_id(root, "none\n");
	err = (struct sx_error){0};
	assert_int_equal(sx_kvm_trace_open(&trace, root, getpid(), &err), -EIO);
	assert_non_null(strstr(err.text, "holds no number"));
	/* No kernel has so many events, and none has such a process. */
	set_event_id(root, "99999999\n");
	assert_true(sx_kvm_trace_open(&trace, root, getpid(), &err) < 0);
	assert_int_equal(trace.count, 0);
	assert_int_equal(sx_kvm_trace_open(&trace, root, 0x7fffffff, &err), -ENOENT);
	set_event_id(root, NULL);
	assert_int_equal(rmdir(root), 0);

	/* Nothing open counts nothing; what is no counter is refused. */
	assert_int_equal(sx_kvm_trace_read(&trace, &accesses, &err), 0);
	assert_int_equal(accesses, 0);
	trace = (struct sx_kvm_trace){.count = 1, .fd = {-1}};
	assert_int_equal(sx_kvm_trace_read(&trace, &accesses, &err), -EIO);
	trace.count = 0;
	sx_kvm_trace_close(&trace);
}

/* ---- command lines ---- */

static bool has_words(const struct sx_command_line *line, const char *a, const char *b)
{
	for (unsigned i = 0; i + 1 < line->count; i++)
		if (strcmp(line->argv[i], a) == 0 && strcmp(line->argv[i + 1], b) == 0)
			return true;
	return false;
}

static bool has_word(const struct sx_command_line *line, const char *word)
{
	for (unsigned i = 0; i < line->count; i++)
		if (strcmp(line->argv[i], word) == 0)
			return true;
	return false;
}

static void test_command_lines(void **state)
{
	static const char *const disk[] = {"--disk", "a.img", NULL};
	const struct sx_bench_options opt = {
		.kernel = "k", .initrd = "i", .sidecores = "3", .wait = "pause"};
	const struct sx_contestant split = {"split", NULL, disk}, trap = {"trap", NULL, NULL},
				   qemu = {"qemu", "microvm", NULL};
	struct sx_command_line line;
	struct sx_error err = {0};

	(void)state;
	assert_int_equal(sx_contestant_command(&split, &opt, "quiet", &line, &err), 0);
	assert_true(has_words(&line, "--mode", "split") && has_words(&line, "--disk", "a.img"));
	assert_true(has_words(&line, "--sidecores", "3") && has_words(&line, "--append", "quiet"));
	assert_true(has_words(&line, "--wait", "pause"));
	assert_true(has_words(&line, "--kernel", "k") && has_words(&line, "--initrd", "i"));
	assert_null(line.argv[line.count]);
	assert_int_equal(sx_contestant_command(&trap, &opt, "quiet", &line, &err), 0);
	assert_true(has_words(&line, "--mode", "trap"));
	assert_false(has_word(&line, "--sidecores"));
	assert_int_equal(sx_contestant_command(&qemu, &opt, "quiet", &line, &err), 0);
	assert_string_equal(line.argv[0], SX_QEMU);
	assert_true(has_words(&line, "-M", "microvm") && has_words(&line, "-append", "quiet"));
}

static void test_long_command_line(void **state)
{
	const char *words[100] = {0};
	const struct sx_bench_options opt = {.kernel = "k", .initrd = "i"};
	const struct sx_contestant c = {"trap", NULL, words};
	struct sx_command_line line;
	struct sx_error err = {0};

	(void)state;
	for (unsigned i = 0; i < 99; i++)
		words[i] = "word";
	assert_int_equal(sx_contestant_command(&c, &opt, "quiet", &line, &err), -E2BIG);
	assert_non_null(strstr(err.text, "room is for 63"));
}

static void test_choosing(void **state)
{
	static struct sx_report report;
	const struct sx_contestant c[] = {
		{"trap", NULL, NULL}, {"split", NULL, NULL}, {"qemu", "microvm", NULL}};
	struct sx_bench_options opt = {.mode = "split"};
	struct sx_error err = {0};
	bool part[3];

	(void)state;
	sx_report_init(&report, "boot", "Boot");
	assert_int_equal(sx_contestants_choose(c, 3, &opt, &report, part, &err), 1);
	assert_true(!part[0] && part[1] && !part[2]);
	assert_int_equal(report.note_count, 0);
	/* No program at all is there. */
	assert_int_equal(setenv("PATH", "/nowhere", 1), 0);
	opt.mode = NULL;
	assert_int_equal(sx_contestants_choose(c, 3, &opt, &report, part, &err), 2);
	assert_true(part[0] && part[1] && !part[2]);
	assert_int_equal(report.note_count, 1);
	opt.mode = "qemu";
	assert_int_equal(sx_contestants_choose(c, 3, &opt, &report, part, &err), -ENOENT);
	assert_non_null(strstr(err.text, "is not in PATH"));
}

static void test_addresses(void **state)
{
	struct sx_error err = {0};

	(void)state;
	assert_int_equal(sx_link_set_address("lo", "127.0.0", 8, &err), -EINVAL);
	assert_int_equal(sx_link_set_address("lo", "127.0.0.1", 33, NULL), -EINVAL);
	assert_int_equal(sx_link_set_address("lo", "127.0.0.1", 0, NULL), -EINVAL);
	assert_int_not_equal(sx_link_set_address("sxnone0", "198.18.0.1", 30, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),           cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_silence),           cmocka_unit_test(test_bad_ends),
		cmocka_unit_test(test_no_program),        cmocka_unit_test(test_memory),
		cmocka_unit_test(test_memory_of_process), cmocka_unit_test(test_counters),
		cmocka_unit_test(test_command_lines),     cmocka_unit_test(test_long_command_line),
		cmocka_unit_test(test_tracepoint),        cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_choosing), /* the last: it spoils PATH */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
