// SPDX-License-Identifier: BSD-3-Clause
/*
 * An L2 VM under pressure on real KVM: what it is made of, what it refuses, that L2 reaches nothing
 * but what EPT12 maps, and that nothing is left of it.
 */
#include "tests/integration/test_l2_world.h"

#include <stdio.h>

#include "tests/support/leaks.h"

/* Address ranges of the process that map the file of L1's memory, or that nobody may touch. */
static unsigned l2_mappings(void)
{
	return mappings_of("memfd:l1") + mappings_of(" ---p 00000000 00:00 0");
}

/* ---- refusals ---- */

static void refused(struct world *w, struct sx_l1_range range, int rc, const char *why)
{
	struct sx_error err = {0};
	struct sx_l2_vm *vm;

	assert_int_equal(sx_l2_vm_create(&vm, &w->kvm, &range, 1, &err), rc);
	if (!strstr(err.text, why))
		fail_msg("'%s' is not in '%s'", why, err.text);
}

static void l1_memory_that_cannot_be_shared(void **state)
{
	struct world *w = start(state);
	unsigned fds = open_files(), mappings = l2_mappings();
	struct sx_l1_range r = w->range[0];
	int huge = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);

	r.gpa = 0x800;
	refused(w, r, -EINVAL, "whole pages");
	r = w->range[0];
	r.offset = 1;
	refused(w, r, -EINVAL, "whole pages");
	r.offset = 0;
	r.size = 0;
	refused(w, r, -EINVAL, "whole pages");
	r.size = 0x2000;
	r.gpa = UINT64_MAX - 0xfff;
	refused(w, r, -EINVAL, "whole pages");
	r = w->range[0];
	r.fd = -1;
	refused(w, r, -EBADF, "memfd");
	if (huge >= 0) {
		r.fd = huge;
		refused(w, r, -EINVAL, "hugepages");
		close(huge);
	}
	assert_int_equal(open_files(), fds);
	assert_int_equal(l2_mappings(), mappings);
	close_vm(w);
}

static void a_kvm_that_is_none(void **state)
{
	struct world *w = start(state);
	const struct sx_kvm none = {.fd = w->l1.fd};
	struct sx_error err = {0};
	struct sx_l2_vm *vm;

	assert_int_equal(sx_l2_vm_create(&vm, &none, w->range, 1, &err), -ENOTTY);
	assert_non_null(strstr(err.text, "cannot create a VM for L2"));
	sx_l2_vm_destroy(NULL);
	close_vm(w);
}

/* Far above what an ordinary L2 has: each GiB is a slot of its own, and there is an end to them. */
static void addresses_far_above(void **state)
{
	const uint64_t gib = UINT64_C(1) << 30, far = UINT64_C(1) << 36;
	struct sx_ept12_map map = {.gpa = 0x5000, .page = 4096, .rights = 7};
	struct world *w = start(state);
	uint64_t made = 0;

	while (made < 1000 && sx_l2_vm_map(w->vm, far + made * gib, &map) == 0)
		made++;
	assert_int_equal(made, 63);
	assert_int_equal(sx_l2_vm_map(w->vm, far + made * gib, &map), -EFAULT);
	assert_int_equal(sx_l2_vm_pages(w->vm), made);
	assert_int_equal(sx_l2_vm_map(w->vm, far + gib - 4096, &map), 0); /* an old one is there */
	assert_int_equal(sx_l2_vm_map(w->vm, 0, &map), 0);
	assert_true(sx_l2_vm_has(w->vm, far, &map));
	assert_false(sx_l2_vm_has(w->vm, far + made * gib, &map));
	sx_l2_vm_unmap_all(w->vm);
	assert_int_equal(sx_l2_vm_pages(w->vm), 0);
	close_vm(w);
}

/* A large page of EPT12 that is memory of L1 in part only. */
static void large_pages_end_with_l1(void **state)
{
	struct sx_ept12_map map = {.gpa = L1_SIZE - 0x1000, .page = 2 * MIB, .rights = 7};
	struct world *w = start(state);

	close_vm(w);
	w->range[0].gpa = 0x3000; /* L1's memory begins and ends in the middle of 2 MiB */
	w->range[0].size = L1_SIZE - 0x8000;
	open_vm(w);
	map.gpa = 0x3abc;
	assert_int_equal(sx_l2_vm_map(w->vm, 0x3abc, &map), 0);
	assert_int_equal(sx_l2_vm_pages(w->vm), L2_PAGES - 3);
	map.gpa = 0x2fff;
	assert_int_equal(sx_l2_vm_map(w->vm, 0x2fff, &map), -EFAULT);
	map.gpa = L1_SIZE - 0x6000;
	assert_int_equal(sx_l2_vm_map(w->vm, map.gpa, &map), 0);
	assert_int_equal(sx_l2_vm_pages(w->vm), 2 * L2_PAGES - 3 - 5);
	map.gpa = L1_SIZE - 0x5000;
	assert_int_equal(sx_l2_vm_map(w->vm, map.gpa, &map), -EFAULT);
	close_vm(w);
}

/* L1's memory that is read-only stays so, whatever EPT12 allows. */
static void memory_that_l1_cannot_write(void **state)
{
	const uint64_t rom = L1_L2 + L2_DATA;
	struct world *w = start(state);

	close_vm(w);
	w->range[1] = (struct sx_l1_range){rom, 4096, w->l1.fd, rom, true};
	w->range[2] =
		(struct sx_l1_range){rom + 4096, L1_SIZE - rom - 4096, w->l1.fd, rom + 4096, false};
	w->range[0].size = rom;
	w->ranges = 3;
	open_vm(w);
	CODE(w, 0xbb, 0, 0, 3, 0, 0x48, 0x8b, 0x03, OUT); /* load from L2_DATA */
	put(w, L1_L2 + L2_DATA, 5);
	assert_true(run(w));
	CODE(w, 0xbb, 0, 0, 3, 0, 0x48, 0x89, 0x1b, OUT); /* store there */
	reset_vcpu(w);
	while (sx_ioctl(w->vcpu, KVM_RUN, NULL) == -EFAULT) {
		take_state(w);
		if (sx_l2_fault(&w->vmx, w->vm, l2_decoder(), &w->state, NULL, &w->exit) !=
		    SX_L2_FAULT_MAPPED)
			break;
	}
	assert_int_equal(w->state.cpu.rip, L2_CODE + 5);
	assert_int_equal(sx_l2_fault(&w->vmx, w->vm, l2_decoder(), &w->state, NULL, &w->exit),
			 SX_L2_FAULT_UNKNOWN);
	assert_int_equal(get(w, L1_L2 + L2_DATA), 5);
	close_vm(w);
}

/* ---- isolation ---- */

/* L2 loads from each page of its 2 MiB; every third is there, and only those give anything. */
static void l2_reaches_nothing_else(void **state)
{
	const struct kvm_regs first = {.rip = L2_CODE, .rsp = L2_STACK, .rflags = 0x3002};
	struct world *w = start(state);
	unsigned there = 0, not_there = 0;

	CODE(w, 0x48, 0x8b, 0x03, OUT); /* mov (%rbx),%rax */
	for (uint64_t gpa = L2_DATA; gpa < 2 * MIB; gpa += 4096) {
		put(w, L1_L2 + gpa, gpa + 1);
		if (gpa / 4096 % 3)
			ept(w, gpa, 0);
	}
	for (uint64_t gpa = L2_DATA; gpa < 2 * MIB; gpa += 4096) {
		struct kvm_regs r = first;

		r.rbx = gpa;
		assert_int_equal(sx_ioctl(w->vcpu, KVM_SET_REGS, &r), 0);
		if (run(w)) {
			take_state(w);
			assert_int_equal(gpa / 4096 % 3, 0);
			assert_int_equal(w->state.cpu.gpr[SX_RAX], gpa + 1);
			there++;
		} else {
			assert_int_not_equal(gpa / 4096 % 3, 0);
			assert_int_equal(w->exit.physical, gpa);
			assert_int_equal(w->state.cpu.gpr[SX_RAX], 0);
			not_there++;
		}
	}
	assert_int_equal(there + not_there, L2_PAGES - L2_DATA / 4096);
	assert_int_equal(there, (L2_PAGES - L2_DATA / 4096 + 2) / 3);
	close_vm(w);
}

/* ---- nothing is left ---- */

static uint64_t random64(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* An entry that often leads somewhere: into the structures, into L1, or beyond it. */
static uint64_t random_entry(uint64_t *seed, bool of_table)
{
	static const uint64_t flags[] = {0, 7, 0x37, 0x35, 0x31, 0x34, 0xb7, 0x337, 0xff, 0x32};
	uint64_t r = random64(seed), e = of_table && r % 4 ? 7 : flags[r % 10];

	if (of_table && r >> 50 & 3)
		return e | (L1_EPT + 0x1000 * (1 + (r >> 40) % 3));
	switch (r >> 32 & 7) {
	case 0:
		return r;
	case 1:
		return e | (r & (64 * MIB - 1) & ~UINT64_C(0xfff));
	case 2:
		return e | (r & (L1_SIZE - 1) & ~UINT64_C(0x1fffff));
	case 3:
	case 4:
		return e | (r & (L1_SIZE - 1) & ~UINT64_C(0xfff));
	default:
		return e | (L1_EPT + 0x1000 * (r >> 40 & 3));
	}
}

static uint64_t random_address(uint64_t *seed)
{
	uint64_t r = random64(seed);

	return r & (UINT64_C(3) << 39 | UINT64_C(3) << 30 | UINT64_C(3) << 21 | 0x7fff);
}

static void random_structures(struct world *w, uint64_t *seed)
{
	for (unsigned table = 0; table < 4; table++)
		for (unsigned i = 0; i < 8; i++)
			put(w, L1_EPT + UINT64_C(0x1000) * table + UINT64_C(8) * i,
			    random_entry(seed, table < 3));
}

static unsigned map_some(struct world *w, uint64_t *seed)
{
	unsigned mapped = 0;

	for (unsigned i = 0; i < 8; i++) {
		struct sx_ept12_access access = {
			.gpa = random_address(seed),
			.access = (unsigned)random64(seed) & 7,
		};
		struct sx_ept12_map map;

		if (sx_ept12_translate(&w->vmx, w->eptp, &access, &map, &w->exit) !=
			    SX_EPT12_MAPPED ||
		    sx_l2_vm_map(w->vm, access.gpa, &map) < 0)
			continue;
		assert_true(sx_l2_vm_has(w->vm, access.gpa, &map));
		assert_true(map.gpa < L1_SIZE);
		mapped++;
	}
	return mapped;
}

static void random_structures_leave_nothing(void **state)
{
	struct world *w = start(state);
	uint64_t seed = 88172645463325252u;
	unsigned fds = open_files(), mappings, mapped = 0;

	close_vm(w);
	mappings = l2_mappings();
	open_vm(w);
	for (unsigned round = 0; round < 10000; round++) {
		if (round % 500 == 0) {
			close_vm(w);
			assert_int_equal(l2_mappings(), mappings);
			open_vm(w);
		}
		w->eptp = round & 1 ? EPTP : EPTP_AD;
		random_structures(w, &seed);
		mapped += map_some(w, &seed);
		if (round % 4 == 0)
			sx_l2_vm_revalidate(w->vm, &w->vmx, w->eptp);
	}
	assert_true(mapped > 1000);
	put(w, L1_EPT, 0);
	put(w, L1_EPT + 8, 0);
	put(w, L1_EPT + 16, 0);
	put(w, L1_EPT + 24, 0);
	sx_l2_vm_revalidate(w->vm, &w->vmx, w->eptp);
	assert_int_equal(sx_l2_vm_pages(w->vm), 0);
	assert_int_equal(open_files(), fds);
	close_vm(w);
	assert_int_equal(l2_mappings(), mappings);
}

/* Neighbours that never merge use up vm.max_map_count; then all of them go, and it goes on. */
static void the_host_has_no_room_for_more(void **state)
{
	struct sx_ept12_map map = {.page = 4096, .rights = 7};
	struct world *w = start(state);
	uint64_t most = 0;

	for (uint64_t i = 0; i < 80000; i++) {
		map.gpa = L1_L2 + (i & 1) * 0x4000;
		assert_int_equal(sx_l2_vm_map(w->vm, i * 4096, &map), 0);
		assert_true(sx_l2_vm_has(w->vm, i * 4096, &map));
		if (sx_l2_vm_pages(w->vm) > most)
			most = sx_l2_vm_pages(w->vm);
	}
	if (most == 80000)
		print_message("this host has room for more mappings than are tried\n");
	else
		assert_true(sx_l2_vm_pages(w->vm) < 80000);
	sx_l2_vm_unmap_all(w->vm);
	assert_int_equal(sx_l2_vm_pages(w->vm), 0);
	CODE(w, 0xb8, 1, 0, 0, 0, OUT);
	assert_true(run(w)); /* L2 still runs */
	close_vm(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(l1_memory_that_cannot_be_shared),
		cmocka_unit_test(a_kvm_that_is_none),
		cmocka_unit_test(addresses_far_above),
		cmocka_unit_test(large_pages_end_with_l1),
		cmocka_unit_test(memory_that_l1_cannot_write),
		cmocka_unit_test(l2_reaches_nothing_else),
		cmocka_unit_test(random_structures_leave_nothing),
		cmocka_unit_test(the_host_has_no_room_for_more),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
