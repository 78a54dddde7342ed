// SPDX-License-Identifier: BSD-3-Clause
/*
 * Linux guests, played by shell scripts, that are told to work and say what it took; what KVM
 * counted for one vCPU, as a run tells it; and the row that becomes of both.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/linux_work.h"

#define ANSWER_MS 60000

/* ---- a measurement ---- */

/* Counters that go on by 100, 200, 300, ... at each look; the one at @fails fails. */
struct counter {
	unsigned looks, fails;
};

static int count(void *ctx, struct sx_kvm_counts *counts, struct sx_error *err)
{
	struct counter *c = ctx;

	if (++c->looks == c->fails)
		return sx_fail(err, -ENODATA, "nothing is counted");
	for (unsigned i = 0; i < SX_KVM_COUNTERS; i++)
		counts->value[i] += 100ull * c->looks * (i + 1);
	return 0;
}

static int measure(const char *script, struct counter *c, struct sx_linux_result *result,
		   struct sx_kvm_counts *exits, struct sx_error *err)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	struct sx_vmm vmm;
	int rc = sx_vmm_start(&vmm, "fake", argv, err);

	if (rc == 0)
		rc = sx_linux_measure(&vmm, "work 7\n", count, c, result, exits, err);
	sx_vmm_stop(&vmm);
	return rc;
}

/* It answers only to the right words. */
#define GUEST(RESULT)                                            \
	"say() { echo \"splitx-bench: $*\"; };"                  \
	"read -r a; [ \"$a\" = 'work 7' ] || exit 1; say ready;" \
	"read -r a; [ \"$a\" = go ] || exit 2; say 'done';"      \
	"read -r a; [ \"$a\" = go ] || exit 3; say result " RESULT "; read -r a"

static void test_measures(void **state)
{
	struct sx_linux_result result = {0};
	struct sx_kvm_counts exits = {0};
	struct sx_error err = {0};
	struct counter c = {0};

	(void)state;
	if (measure(GUEST("4 2.5 1 2 3 1.5"), &c, &result, &exits, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(c.looks, 2);
	assert_int_equal(exits.value[SX_KVM_EXITS], 100);
	assert_int_equal(exits.value[SX_KVM_INTERRUPT], 100 * (SX_KVM_INTERRUPT + 1));
	assert_int_equal(result.count, 4);
	assert_true(result.ns == 2.5e6);
	assert_true(result.time.p50_ns == 1e3 && result.time.p99_ns == 2e3 &&
		    result.time.p999_ns == 3e3 && result.time.mean_ns == 1.5e3);
	/* Without percentiles all of them are the mean. */
	assert_int_equal(measure(GUEST("4 2"), &c, &result, &exits, &err), 0);
	assert_true(result.time.p50_ns == 5e5 && result.time.p999_ns == 5e5);
}

static void refused(const char *script, unsigned fails, int rc, const char *why)
{
	struct counter c = {.fails = fails};
	struct sx_linux_result result = {0};
	struct sx_kvm_counts exits = {0};
	struct sx_error err = {0};

	assert_int_equal(measure(script, &c, &result, &exits, &err), rc);
	if (!strstr(err.text, why))
		fail_msg("'%s' is not in '%s'", why, err.text);
}

static void test_refuses(void **state)
{
	(void)state;
	refused(GUEST("1 1"), 1, -ENODATA, "nothing is counted");
	refused(GUEST("1 1"), 2, -ENODATA, "nothing is counted");
	refused(GUEST(""), 0, -EIO, "makes no sense");
	refused(GUEST("0 1"), 0, -EIO, "makes no sense");
	refused(GUEST("1"), 0, -EIO, "makes no sense");
	refused(GUEST("1 -1"), 0, -EIO, "makes no sense");
	refused(GUEST("1 nan"), 0, -EIO, "makes no sense");
	refused(GUEST("99999999999 1"), 0, -EIO, "makes no sense");
	refused(GUEST("1 1 1 1 1"), 0, -EIO, "makes no sense");
	refused(GUEST("1 1 1 1 1 inf"), 0, -EIO, "makes no sense");
	refused("echo splitx-bench: failed no KVM; read -r a; read -r a", 0, -EIO, "says: no KVM");
	refused("echo splitx-bench: done; read -r a; read -r a", 0, -EIO, "'done' where 'ready'");
	refused("read -r a; exit 4", 0, -EIO, "exit status 4");
}

/* ---- what becomes of it ---- */

static void add(struct sx_linux_work *w, double ns, uint64_t exits, uint64_t idle)
{
	const struct sx_linux_result result = {
		.count = 10, .ns = 10 * ns, .time = {ns, 2 * ns, 3 * ns, 4 * ns, 10}};
	const struct sx_kvm_counts all = {.value = {[SX_KVM_EXITS] = exits, [SX_KVM_IO] = 3}};
	const struct sx_kvm_counts nothing = {.value = {[SX_KVM_EXITS] = idle, [SX_KVM_IO] = 5}};

	sx_linux_work_add(w, &result, &all, &nothing);
}

static void test_row(void **state)
{
	struct sx_report_row row = {.op = "work"};
	struct sx_error err = {0};
	struct sx_linux_work w = {0};

	(void)state;
	assert_int_equal(sx_linux_work_init(&w, 3, &err), 0);
	assert_int_equal(sx_linux_work_row(&w, &row, &err), -ENODATA);
	assert_non_null(strstr(err.text, "no samples of work"));
	add(&w, 100, 90, 30);
	add(&w, 300, 60, 30);
	add(&w, 200, 30, 30);
	assert_int_equal(sx_linux_work_row(&w, &row, &err), 0);
	assert_true(row.exits_per_op == 3);
	/* Where nothing cost more than the work, there is nothing left, and not less. */
	assert_true(row.causes.told && row.causes.device == 0);
	assert_true(row.time.p50_ns == 200 && row.time.p99_ns == 400 && row.time.mean_ns == 800);
	assert_int_equal(row.time.samples, 30);
	assert_true(row.per_second > 4.99e6 && row.per_second < 5.01e6);
	sx_linux_work_destroy(&w);
}

/* ---- the counters of one vCPU ---- */

static int counts_of(unsigned vcpu, const char *answer, struct sx_kvm_counts *counts,
		     struct sx_error *err)
{
	int fd[2], rc;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(send(fd[1], answer, strlen(answer), MSG_NOSIGNAL), strlen(answer));
	shutdown(fd[1], SHUT_WR);
	rc = sx_kvm_counts_of_vcpu(fd[0], vcpu, ANSWER_MS, counts, err);
	close(fd[0]);
	close(fd[1]);
	return rc;
}

#define KVM(EXITS)                                                                        \
	"{\"kvm\":{\"exits\":" EXITS ",\"io_exits\":1,\"mmio_exits\":2,\"halt_exits\":3," \
	"\"irq_exits\":4,\"irq_window_exits\":5,\"irq_injections\":6,\"others\":7}}"

static void test_counts_of_vcpu(void **state)
{
	static const char answer[] = "{\"reply\":{\"vcpus\":[" KVM("10") "," KVM("20") "]}}\n";
	struct sx_kvm_counts counts = {0};
	struct sx_error err = {0};

	(void)state;
	if (counts_of(1, answer, &counts, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(counts.value[SX_KVM_EXITS], 20);
	assert_int_equal(counts.value[SX_KVM_INJECTED], 6);
	assert_int_equal(counts_of(0, answer, &counts, &err), 0);
	assert_int_equal(counts.value[SX_KVM_EXITS], 10);
}

static void test_counts_refused(void **state)
{
	static const struct {
		const char *answer;
		int rc;
		const char *why;
	} bad[] = {
		{"{\"reply\":{\"vcpus\":[" KVM("10") "]}}\n", -ENODATA, "vCPU 1"},
		{"{\"reply\":{\"vcpus\":[{\"kvm\":{}},{\"kvm\":{}}]}}\n", -ENODATA, "exits"},
		{"{\"reply\":{\"vcpus\":[0," KVM("\"10\"") "]}}\n", -ENODATA, "exits"},
		{"{\"reply\":{\"vcpus\":7}}\n", -ENODATA, "not told"},
		{"{\"reply\":[]}\n", -ENODATA, "not told"},
		{"{\"error\":\"no\"}\n", -ENOTSUP, "no"},
		{"", -ECONNRESET, "ended before"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sx_kvm_counts counts = {0};
		struct sx_error err = {0};
		int rc = counts_of(1, bad[i].answer, &counts, &err);

		if (rc != bad[i].rc || !strstr(err.text, bad[i].why))
			fail_msg("%s gave %d, '%s'", bad[i].answer, rc, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_measures),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_row),
		cmocka_unit_test(test_counts_of_vcpu),
		cmocka_unit_test(test_counts_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
