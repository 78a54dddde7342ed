// SPDX-License-Identifier: BSD-3-Clause
/*
 * Peers that answer, refuse, talk nonsense, die or hang; most are small scripts. And rte_ring
 * itself, where it was built.
 */
#include <errno.h>
#include <sched.h>
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

#include "bench/peer.h"
#include "tests/support/leaks.h"

static char dir[] = "/tmp/test_peer.XXXXXX";

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

/* Start a shell script as the peer "fake". */
static void start_script(struct sx_peer *peer, const char *script)
{
	struct sx_error err = {0};
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/fake", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", script);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0700), 0);
	if (sx_peer_start(peer, path, 0, 1, &err))
		fail_msg("%s", err.text);
}

/* End it, and see that neither a process nor a descriptor is left. */
static void stop(struct sx_peer *peer, unsigned files_before)
{
	char path[64];

	sx_peer_stop(peer);
	sx_peer_stop(peer); /* harmless */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(open_files(), files_before);
	snprintf(path, sizeof(path), "%s/fake", dir);
	unlink(path);
}

static void want_refusal(const char *script, int code, const char *says)
{
	unsigned files = open_files();
	struct sx_error err = {0};
	struct sx_peer peer;
	double ns = 42;

	start_script(&peer, script);
	assert_int_equal(sx_peer_run(&peer, 1, 10, &ns, &err), code);
	if (!strstr(err.text, says))
		fail_msg("'%s' does not say '%s'", err.text, says);
	assert_float_equal(ns, 42, 0);
	stop(&peer, files);
}

static void a_run_gets_its_arguments_and_gives_its_answer(void **state)
{
	unsigned files = open_files();
	struct sx_error err = {0};
	struct sx_peer peer;
	double ns = 0;

	(void)state;
	start_script(&peer, "while read verb burst messages && [ \"$verb\" = run ]; do\n"
			    "echo ok $burst.$messages by hand on $1 and $2; done");
	assert_int_equal(sx_peer_run(&peer, 32, 125, &ns, &err), 0);
	assert_float_equal(ns, 32.125, 1e-9);
	assert_string_equal(peer.how, "by hand on 0 and 1");
	assert_int_equal(sx_peer_run(&peer, 7, 5, &ns, &err), 0);
	assert_float_equal(ns, 7.5, 1e-9);
	stop(&peer, files);
}

static void an_answer_may_come_in_pieces(void **state)
{
	unsigned files = open_files();
	struct sx_error err = {0};
	struct sx_peer peer;
	double ns = 0;

	(void)state;
	start_script(&peer, "read line; printf 'ok '; sleep 0.05; printf '1'; sleep 0.05; echo 2");
	assert_int_equal(sx_peer_run(&peer, 1, 1, &ns, &err), 0);
	assert_float_equal(ns, 12, 1e-9);
	assert_string_equal(peer.how, "");
	stop(&peer, files);
}

static void what_a_peer_refuses_is_told_in_its_words(void **state)
{
	(void)state;
	want_refusal("read line; echo err the moon is full; read line", -EIO,
		     "'fake' says: the moon is full");
}

static void nonsense_is_no_answer(void **state)
{
	(void)state;
	want_refusal("read line; echo hello; read line", -EIO, "'hello'");
	want_refusal("read line; echo ok; read line", -EIO, "'ok'");
	want_refusal("read line; echo ok fine; read line", -EIO, "'ok fine'");
	want_refusal("read line; echo ok nan; read line", -EIO, "nan");
	want_refusal("read line; echo ok inf; read line", -EIO, "inf");
	want_refusal("read line; echo ok -1; read line", -EIO, "-1");
	want_refusal("read line; echo ok 0; read line", -EIO, "ok 0");
	want_refusal("read line; echo; read line", -EIO, "''");
}

static void an_endless_line_does_no_harm(void **state)
{
	(void)state;
	want_refusal("read line; head -c 100000 /dev/zero | tr '\\0' x; echo; read line", -EIO,
		     "xxx");
}

static void a_peer_that_dies_is_told_of_and_stays_dead(void **state)
{
	unsigned files = open_files();
	struct sx_error err = {0}, again = {0};
	struct sx_peer peer;
	double ns;

	(void)state;
	start_script(&peer, "read line; exit 3");
	assert_int_equal(sx_peer_run(&peer, 1, 1, &ns, &err), -EPIPE);
	assert_non_null(strstr(err.text, "exit code 3"));
	assert_int_equal(sx_peer_run(&peer, 1, 1, &ns, &again), -EPIPE);
	assert_non_null(strstr(again.text, "has ended"));
	stop(&peer, files);

	want_refusal("read line; kill -SEGV $$", -EPIPE, "signal 11");
	want_refusal("read line; printf 'ok 1'", -EPIPE, "exit code 0");
}

/* It is gone before it is written to: no SIGPIPE may end this test. */
static void a_peer_that_died_earlier_is_no_signal(void **state)
{
	unsigned files = open_files();
	struct sx_error err = {0};
	siginfo_t info;
	struct sx_peer peer;
	double ns;

	(void)state;
	start_script(&peer, "exit 9");
	assert_int_equal(waitid(P_PID, (id_t)peer.pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(sx_peer_run(&peer, 1, 1, &ns, &err), -EPIPE);
	assert_non_null(strstr(err.text, "exit code 9"));
	stop(&peer, files);
}

static void a_peer_that_will_not_end_is_killed(void **state)
{
	unsigned files = open_files();
	struct sx_peer peer;

	(void)state;
	start_script(&peer, "trap '' TERM INT HUP; exec sleep 600");
	stop(&peer, files);
}

static void want_no_start(const char *prog, int a, int b, int code, const char *says)
{
	unsigned files = open_files();
	struct sx_error err = {0};
	struct sx_peer peer;

	assert_int_equal(sx_peer_start(&peer, prog, a, b, &err), code);
	if (!strstr(err.text, says))
		fail_msg("'%s' does not say '%s'", err.text, says);
	sx_peer_stop(&peer); /* harmless */
	assert_int_equal(open_files(), files);
}

static void a_start_that_cannot_work_is_refused(void **state)
{
	(void)state;
	want_no_start("no_such_peer", 0, 1, -ENOENT, "built without DPDK; install libdpdk-dev");
	want_no_start("/nowhere/peer", 0, 1, -ENOENT, "'/nowhere/peer'");
	want_no_start("/etc", 0, 1, -EACCES, "cannot start");
	want_no_start("rte_ring", 1, 1, -EINVAL, "two different CPUs");
	want_no_start("rte_ring", 0, -1, -EINVAL, "two different CPUs");
}

/* The first two CPUs that this test may use. */
static int find_cpus(int cpu[2])
{
	cpu_set_t set;
	int count = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int i = 0; i < CPU_SETSIZE && count < 2; i++)
		if (CPU_ISSET(i, &set))
			cpu[count++] = i;
	return count;
}

static void start_rte_ring(struct sx_peer *peer)
{
	struct sx_error err = {0};
	int cpu[2], ret;

	if (find_cpus(cpu) < 2) {
		print_message("# two CPUs are needed\n");
		skip();
	}
	ret = sx_peer_start(peer, "rte_ring", cpu[0], cpu[1], &err);
	if (ret == -ENOENT) {
		print_message("# %s\n", err.text);
		skip();
	}
	assert_int_equal(ret, 0);
}

static void rte_ring_passes_every_message(void **state)
{
	static const uint32_t bursts[] = {1, 3, 32, 64};
	unsigned files = open_files();
	struct sx_peer peer;

	(void)state;
	start_rte_ring(&peer);
	for (size_t i = 0; i < sizeof(bursts) / sizeof(bursts[0]); i++) {
		struct sx_error err = {0};
		double ns = 0;

		/* Not a multiple of any burst: the last one is short. The peer checks the sum. */
		if (sx_peer_run(&peer, bursts[i], 20011, &ns, &err))
			fail_msg("burst %u: %s", bursts[i], err.text);
		assert_true(ns > 0);
		assert_non_null(strstr(peer.how, "slots"));
	}
	stop(&peer, files);
}

static void rte_ring_refuses_what_it_cannot_do(void **state)
{
	static const struct {
		uint32_t burst;
		uint64_t messages;
	} bad[] = {{0, 100}, {65, 100}, {1, 0}, {1, 1000000001}, {UINT32_MAX, UINT64_MAX}};
	unsigned files = open_files();
	struct sx_peer peer;

	(void)state;
	start_rte_ring(&peer);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sx_error err = {0};
		double ns;

		assert_int_equal(sx_peer_run(&peer, bad[i].burst, bad[i].messages, &ns, &err),
				 -EIO);
		assert_non_null(strstr(err.text, "run BURST MESSAGES"));
	}
	stop(&peer, files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_gets_its_arguments_and_gives_its_answer),
		cmocka_unit_test(an_answer_may_come_in_pieces),
		cmocka_unit_test(what_a_peer_refuses_is_told_in_its_words),
		cmocka_unit_test(nonsense_is_no_answer),
		cmocka_unit_test(an_endless_line_does_no_harm),
		cmocka_unit_test(a_peer_that_dies_is_told_of_and_stays_dead),
		cmocka_unit_test(a_peer_that_died_earlier_is_no_signal),
		cmocka_unit_test(a_peer_that_will_not_end_is_killed),
		cmocka_unit_test(a_start_that_cannot_work_is_refused),
		cmocka_unit_test(rte_ring_passes_every_message),
		cmocka_unit_test(rte_ring_refuses_what_it_cannot_do),
	};

	return cmocka_run_group_tests_name("peer", tests, make_dir, remove_dir);
}
