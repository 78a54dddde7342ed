// SPDX-License-Identifier: BSD-3-Clause
/*
 * Machines come and go without a trace. Where the host refuses something, at whichever step, one
 * sentence says so, and nothing is left of the machine.
 *
 * test-timeout: 300 (a busy machine)
 */
#include "tests/support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- a host that refuses: these stand in for the C library's, in this program only ---- */

static struct host {
	bool counting;
	int calls;             /* of those below, while counting */
	int refuse;            /* which of them fails, from 0; -1: none */
	unsigned long refused; /* the request, if that was an ioctl */
	long lacks;            /* 1 + a capability that KVM says it has not; 0: none */
	int api_version;       /* that KVM says it speaks; 0: its own */
	int run_size;          /* of the shared state of a vCPU, as KVM says; 0: its own */
} host;

static long call(long number, long a, long b, long c, long d, long e, long f)
{
	if (host.counting && host.calls++ == host.refuse) {
		host.refused = number == SYS_ioctl ? (unsigned long)b : 0;
		errno = ENOMEM;
		return -1;
	}
	return syscall(number, a, b, c, d, e, f);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	long arg;

	va_start(ap, request);
	arg = va_arg(ap, long);
	va_end(ap);
	if (request == KVM_CHECK_EXTENSION && arg == host.lacks - 1)
		return 0;
	if (request == KVM_GET_API_VERSION && host.api_version)
		return host.api_version;
	if (request == KVM_GET_VCPU_MMAP_SIZE && host.run_size)
		return host.run_size;
	return (int)call(SYS_ioctl, fd, (long)request, arg, 0, 0, 0);
}

int eventfd(unsigned count, int flags)
{
	return (int)call(SYS_eventfd2, count, flags, 0, 0, 0, 0);
}

int memfd_create(const char *name, unsigned flags)
{
	return (int)call(SYS_memfd_create, (long)name, flags, 0, 0, 0, 0);
}

int ftruncate(int fd, off_t length)
{
	return (int)call(SYS_ftruncate, fd, length, 0, 0, 0, 0);
}

ssize_t pread(int fd, void *to, size_t size, off_t offset)
{
	return call(SYS_pread64, fd, (long)to, (long)size, offset, 0, 0);
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	return (void *)call(SYS_mmap, (long)at, (long)size, prot, flags, fd, offset);
}

/* ---- what is left behind ---- */

struct traces {
	unsigned files, mappings;
};

static struct traces traces(void)
{
	return (struct traces){open_files(), file_mappings()};
}

static void want_no_more(struct traces before)
{
	struct traces now = traces();

	assert_int_equal(now.files, before.files);
	assert_int_equal(now.mappings, before.mappings);
}

/* ---- machines that are built ---- */

static void live_once(struct world *w, unsigned i)
{
	struct guest *g = guest_build(w, "first");

	if (i % 5 == 0)
		assert_int_equal(guest_run(g), 0);
	guest_destroy(g);
	w->guests--;
}

static void two_hundred_leave_nothing(void **state)
{
	struct world *w = world_of(state);
	struct traces before;

	live_once(w, 0);
	before = traces();
	for (unsigned i = 0; i < 200; i++)
		live_once(w, i);
	want_no_more(before);
}

static void sixty_four_vcpus(void **state)
{
	struct world *w = world_of(state);
	struct sx_machine_config config = world_config(w, "first");
	struct traces before = traces();
	struct sx_machine m;
	struct sx_error err = {0};

	config.memory = 64ull << 20;
	for (config.vcpus = 1; config.vcpus <= SX_MACHINE_MAX_VCPUS; config.vcpus += 21) {
		if (sx_machine_create(&m, &config, &err) < 0)
			fail_msg("%u vCPUs: %s", config.vcpus, err.text);
		sx_machine_destroy(&m);
	}
	want_no_more(before);
}

/* ---- what the host refuses ---- */

/* Create with call @refuse refused; returns what came of it, and how many calls there were. */
static int create_with(struct world *w, int refuse, int *made, struct sx_error *err)
{
	struct sx_machine_config config = world_config(w, "first");
	struct sx_machine m;
	int rc;

	config.vcpus = 2;
	host = (struct host){.counting = true, .refuse = refuse};
	rc = sx_machine_create(&m, &config, err);
	host.counting = false;
	*made = host.calls;
	if (rc == 0)
		sx_machine_destroy(&m);
	return rc;
}

static void any_call_may_fail(void **state)
{
	struct world *w = world_of(state);
	struct traces before = traces();
	int count, made, refusals = 0;

	assert_int_equal(create_with(w, -1, &count, NULL), 0);
	for (int i = 0; i < count; i++) {
		struct sx_error err = {0};
		int rc = create_with(w, i, &made, &err);

		want_no_more(before);
		if (rc == 0) {
			/* The one thing that a machine can do without. */
			assert_int_equal(host.refused, KVM_GET_TSC_KHZ);
			continue;
		}
		refusals++;
		assert_in_range(rc, -ENOMEM, -ENOMEM);
		want_sentence(&err, "Cannot allocate memory");
	}
	assert_in_range(refusals, count - 1, count);
}

static void set_file_limit(rlim_t files)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = files;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void files_may_run_out(void **state)
{
	struct world *w = world_of(state);
	struct traces before = traces();
	struct rlimit limit;
	int built = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (rlim_t files = 0; files <= 60; files++) {
		struct sx_error err = {0};
		int made, rc;

		set_file_limit(files);
		rc = create_with(w, -1, &made, &err);
		set_file_limit(limit.rlim_cur);
		want_no_more(before);
		built += rc == 0;
		if (rc == 0)
			continue;
		assert_int_equal(built, 0);
		assert_int_equal(rc, -EMFILE);
		want_sentence(&err, "Too many open files");
	}
	assert_true(built > 0);
}

/* ---- what the configuration asks too much of ---- */

static void want_refusal(const struct sx_machine_config *config, int code, const char *says)
{
	struct traces before = traces();
	struct sx_error err = {0};
	struct sx_machine m;

	assert_int_equal(sx_machine_create(&m, config, &err), code);
	want_sentence(&err, says);
	want_no_more(before);
}

static void configurations_that_cannot_be(void **state)
{
	struct world *w = world_of(state);
	const struct sx_machine_config good = world_config(w, "first");
	struct sx_machine_config c = good;

	c.vcpus = 0;
	want_refusal(&c, -EINVAL, "--vcpus");
	c.vcpus = SX_MACHINE_MAX_VCPUS + 1;
	want_refusal(&c, -EINVAL, "--vcpus");
	c = good;
	for (c.memory = 0; c.memory <= 1 << 20; c.memory += 65536)
		want_refusal(&c, -EINVAL, "--memory");
	c.memory = good.memory + 1;
	want_refusal(&c, -EINVAL, "--memory");
	c.memory = SX_MICROGUEST_MAX_MEMORY + 4096;
	want_refusal(&c, -EINVAL, "--memory");
	c.memory = UINT64_MAX & ~4095ull;
	want_refusal(&c, -EINVAL, "--memory");
	/* Enough for one vCPU, not for 64. */
	c.memory = 8ull << 20;
	c.vcpus = SX_MACHINE_MAX_VCPUS;
	want_refusal(&c, -EINVAL, "--memory");
	c = good;
	c.mode = SX_SPLIT;
	c.sidecore_count = 0;
	want_refusal(&c, -EINVAL, "--sidecores");
	c.sidecore_count = SX_MACHINE_MAX_SIDECORES + 1;
	want_refusal(&c, -EINVAL, "sidecores");
}

/* ---- what this host's KVM cannot do ---- */

static void want_no_kvm(const struct host *lacking, const char *says)
{
	struct traces before = traces();
	struct sx_error err = {0};
	struct sx_kvm kvm;

	host = *lacking;
	assert_int_equal(sx_kvm_open(&kvm, &err), -ENOTSUP);
	host = (struct host){0};
	want_sentence(&err, says);
	assert_int_equal(kvm.fd, -1);
	want_no_more(before);
}

static void capabilities_may_lack(void **state)
{
	static const struct {
		long cap;
		const char *says;
	} caps[] = {
		{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
		{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
		{KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
		{KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
		{KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
		{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
		{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
		{KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
	};

	world_of(state);
	for (unsigned i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		want_no_kvm(&(struct host){.lacks = caps[i].cap + 1}, caps[i].says);
	want_no_kvm(&(struct host){.api_version = 11}, "API version 11, not 12");
	want_no_kvm(&(struct host){.run_size = 100}, "100 bytes");
}

/* Without exit counters and the TSC's frequency guests run as well. */
static void some_capabilities_may_lack(void **state)
{
	static const long caps[] = {KVM_CAP_BINARY_STATS_FD, KVM_CAP_GET_TSC_KHZ};
	struct world *w = world_of(state);

	for (unsigned i = 0; i < 2; i++) {
		struct sx_error err = {0};

		sx_kvm_close(&w->kvm);
		host = (struct host){.lacks = caps[i] + 1};
		if (sx_kvm_open(&w->kvm, &err) < 0)
			fail_msg("%s", err.text);
		live_once(w, 0);
		host = (struct host){0};
	}
}

#define TRAP_AND_SPLIT(FUNCTION) SX_CASE(FUNCTION, trap), SX_CASE(FUNCTION, split)
#define EVERY_WAY(FUNCTION)      TRAP_AND_SPLIT(FUNCTION), SX_CASE(FUNCTION, sleep2)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY_WAY(two_hundred_leave_nothing),
		TRAP_AND_SPLIT(sixty_four_vcpus),
		EVERY_WAY(any_call_may_fail),
		EVERY_WAY(files_may_run_out),
		SX_CASE(configurations_that_cannot_be, trap),
		SX_CASE(capabilities_may_lack, trap),
		TRAP_AND_SPLIT(some_capabilities_may_lack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
