// SPDX-License-Identifier: BSD-3-Clause
/* ipc/region.h, ipc/irq.h and ipc/error.h: what set-up gives, and what it says when it cannot. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/error.h"
#include "ipc/irq.h"
#include "ipc/region.h"

#define PAGE 4096ul

/* ---- errors ---- */

static void the_first_sentence_wins(void **state)
{
	struct sx_error err = {""};

	(void)state;
	assert_int_equal(sx_fail(&err, -ENOENT, "file '%s' is gone", "a"), -ENOENT);
	assert_int_equal(sx_fail(&err, -EINVAL, "something else"), -EINVAL);
	assert_string_equal(err.text, "file 'a' is gone");
	assert_int_equal(sx_fail(NULL, -EIO, "nobody listens"), -EIO);
}

static void a_long_sentence_is_cut(void **state)
{
	struct sx_error err = {""};
	char word[2 * sizeof(err.text)];

	(void)state;
	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_int_equal(sx_fail(&err, -EINVAL, "%s", word), -EINVAL);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

/* ---- regions ---- */

static bool is_mapped_as(const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		found |= strstr(line, name) != NULL;
	fclose(maps);
	return found;
}

static void a_region_is_zeroed_named_and_writable(void **state)
{
	struct sx_region r;
	struct sx_error err = {""};
	uint8_t *p;

	(void)state;
	assert_int_equal(sx_region_create(&r, "sx-test-ram", 8 * PAGE, 0, &err), 0);
	assert_string_equal(err.text, "");
	assert_int_equal(r.size, 8 * PAGE);
	assert_int_equal((uintptr_t)r.base % PAGE, 0);
	p = r.base;
	for (unsigned i = 0; i < 8 * PAGE; i++)
		assert_int_equal(p[i], 0);
	memset(p, 0x5a, 8 * PAGE);
	assert_true(is_mapped_as("memfd:sx-test-ram"));
	sx_region_destroy(&r);
	assert_false(is_mapped_as("memfd:sx-test-ram"));
}

static void a_region_is_shared_through_its_fd(void **state)
{
	struct sx_region r;
	uint64_t *here, *there;

	(void)state;
	assert_int_equal(sx_region_create(&r, "sx-test", PAGE, 0, NULL), 0);
	assert_int_equal(fcntl(r.fd, F_GETFD), FD_CLOEXEC);
	assert_true(lseek(r.fd, 0, SEEK_END) == (off_t)PAGE);
	there = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	assert_ptr_not_equal(there, MAP_FAILED);
	here = r.base;
	here[3] = 17;
	assert_true(there[3] == 17);
	there[511] = 18;
	assert_true(here[511] == 18);
	munmap(there, PAGE);
	sx_region_destroy(&r);
}

static unsigned resident(const struct sx_region *r)
{
	unsigned char present[64];
	unsigned count = 0;

	assert_true(r->size <= sizeof(present) * PAGE);
	assert_int_equal(mincore(r->base, r->size, present), 0);
	for (unsigned i = 0; i < r->size / PAGE; i++)
		count += present[i] & 1;
	return count;
}

static void pages_are_touched_ahead_when_asked_for(void **state)
{
	struct sx_region lazy, eager;

	(void)state;
	assert_int_equal(sx_region_create(&lazy, "sx-lazy", 64 * PAGE, 0, NULL), 0);
	assert_int_equal(sx_region_create(&eager, "sx-eager", 64 * PAGE, SX_REGION_PREFAULT, NULL),
			 0);
	assert_int_equal(resident(&lazy), 0);
	assert_int_equal(resident(&eager), 64);
	sx_region_destroy(&lazy);
	sx_region_destroy(&eager);
}

static void whole_pages_are_given_back_and_read_as_zeros(void **state)
{
	struct sx_region r;
	uint8_t *p;

	(void)state;
	assert_int_equal(sx_region_create(&r, "sx-test", 16 * PAGE, 0, NULL), 0);
	assert_int_equal(r.page_size, PAGE);
	p = r.base;
	memset(p, 0x5a, r.size);
	assert_int_equal(sx_region_discard(&r, p + 2 * PAGE, 3 * PAGE), 3 * PAGE);
	assert_int_equal(resident(&r), 13);
	assert_int_equal(sx_region_discard(&r, p + 8 * PAGE - 1, 2 * PAGE + 1), 2 * PAGE);
	assert_int_equal(sx_region_discard(&r, p + 12 * PAGE + 1, 2 * PAGE), PAGE);
	assert_int_equal(resident(&r), 10);
	for (unsigned i = 0; i < r.size; i++) {
		unsigned page = (unsigned)(i / PAGE);
		bool gone = (page >= 2 && page < 5) || page == 8 || page == 9 || page == 13;

		assert_int_equal(p[i], gone ? 0 : 0x5a);
	}
	assert_int_equal(sx_region_discard(&r, p, r.size), r.size);
	assert_int_equal(sx_region_discard(&r, p, r.size), r.size); /* nothing is there */
	assert_int_equal(resident(&r), 0);
	sx_region_destroy(&r);
}

static void what_is_no_whole_page_of_it_is_kept(void **state)
{
	struct sx_region r;
	uint8_t *p;

	(void)state;
	assert_int_equal(sx_region_create(&r, "sx-test", 4 * PAGE, SX_REGION_PREFAULT, NULL), 0);
	p = r.base;
	assert_int_equal(sx_region_discard(&r, p + 1, 2 * PAGE - 2), 0);
	assert_int_equal(sx_region_discard(&r, p, PAGE - 1), 0);
	assert_int_equal(sx_region_discard(&r, p, 0), -EFAULT);
	assert_int_equal(sx_region_discard(&r, p - PAGE, 2 * PAGE), -EFAULT);
	assert_int_equal(sx_region_discard(&r, p + 3 * PAGE, 2 * PAGE), -EFAULT);
	assert_int_equal(sx_region_discard(&r, p + 4 * PAGE, PAGE), -EFAULT);
	assert_int_equal(sx_region_discard(&r, p, SIZE_MAX), -EFAULT);
	assert_int_equal(sx_region_discard(&r, p + PAGE, SIZE_MAX), -EFAULT);
	assert_int_equal(sx_region_discard(&r, NULL, PAGE), -EFAULT);
	assert_int_equal(resident(&r), 4);
	assert_true(sx_region_holds(&r, p + 4 * PAGE - 1, 1));
	assert_false(sx_region_holds(&r, p + 4 * PAGE - 1, 2));
	sx_region_destroy(&r);
}

/* What no longer may change its size or content (memfd_create(2), seals) is not given back. */
static void a_host_that_refuses_is_told(void **state)
{
	struct sx_region r = {.size = PAGE, .page_size = PAGE};

	(void)state;
	r.fd = memfd_create("sx-sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(r.fd >= 0);
	assert_int_equal(ftruncate(r.fd, (off_t)PAGE), 0);
	r.base = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, r.fd, 0);
	assert_ptr_not_equal(r.base, MAP_FAILED);
	assert_int_equal(fcntl(r.fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(sx_region_discard(&r, r.base, PAGE), -EPERM);
	sx_region_destroy(&r);
}

static void private_memory_has_no_fd_and_begins_at_a_large_page(void **state)
{
	struct sx_region r;
	uint8_t *p;

	(void)state;
	assert_int_equal(sx_region_create(&r, "sx-own", 600 * PAGE, SX_REGION_PRIVATE, NULL), 0);
	assert_int_equal(r.fd, -1);
	assert_int_equal((uintptr_t)r.base % (2ul << 20), 0);
	p = r.base;
	memset(p, 0x5a, r.size);
	/* The pages just behind and before it are nobody's, or another mapping's: not its. */
	assert_false(sx_region_holds(&r, p + r.size, 1));
	assert_int_equal(sx_region_discard(&r, p + PAGE, 3 * PAGE), 3 * PAGE);
	assert_int_equal(p[PAGE - 1], 0x5a);
	for (unsigned i = PAGE; i < 4 * PAGE; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(p[4 * PAGE], 0x5a);
	assert_int_equal(mlock(p, 8 * PAGE), 0);
	assert_int_equal(sx_region_discard(&r, p, PAGE), PAGE);
	assert_int_equal(p[0], 0);
	sx_region_destroy(&r);
	sx_region_destroy(&r);
	assert_int_equal(madvise(p, PAGE, MADV_NORMAL), -1);
	assert_int_equal(errno, ENOMEM);
}

static void private_memory_beyond_all_addresses_is_refused(void **state)
{
	static const struct sx_region zero;
	struct sx_region r;
	struct sx_error err = {""};

	(void)state;
	assert_int_equal(
		sx_region_create(&r, "sx-own", SIZE_MAX - PAGE + 1, SX_REGION_PRIVATE, &err),
		-ENOMEM);
	assert_non_null(strstr(err.text, "ask for less"));
	assert_memory_equal(&r, &zero, sizeof(r));
	err = (struct sx_error){""};
	assert_int_equal(sx_region_create(&r, "sx-own", 1ul << 60, SX_REGION_PRIVATE, &err),
			 -ENOMEM);
}

static void destroying_is_safe_twice_and_before_creating(void **state)
{
	static const struct sx_region zero;
	struct sx_region r = zero;
	int fd;

	(void)state;
	sx_region_destroy(&r);
	assert_int_equal(sx_region_create(&r, "sx-test", PAGE, 0, NULL), 0);
	fd = r.fd;
	sx_region_destroy(&r);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_memory_equal(&r, &zero, sizeof(r));
	sx_region_destroy(&r);
}

static void region_refused(size_t size, unsigned flags, int code, const char *hint)
{
	static const struct sx_region zero;
	struct sx_region r;
	struct sx_error err = {""};

	memset(&r, 0xff, sizeof(r));
	assert_int_equal(sx_region_create(&r, "sx-refused", size, flags, &err), code);
	assert_non_null(strstr(err.text, hint));
	assert_memory_equal(&r, &zero, sizeof(r));
	assert_false(is_mapped_as("sx-refused"));
}

static void more_than_there_is_gets_refused(void **state)
{
	const int next = dup(0);

	(void)state;
	close(next);
	region_refused(0, 0, -EINVAL, "cannot map");
	region_refused(1ul << 62, 0, -ENOMEM, "--memory");
	region_refused(1ul << 63, 0, -EINVAL, "--memory");
	/* And nothing of it is left open. */
	assert_int_equal(dup(0), next);
	close(next);
}

/* Pages reserved and not in use, of the default size; -1 when the kernel has none at all. */
static long free_hugepages(unsigned long *kib)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	long count = -1;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "HugePages_Free: %ld", &count);
		sscanf(line, "Hugepagesize: %lu", kib);
	}
	fclose(f);
	return count;
}

static void hugepages_are_given_only_if_reserved(void **state)
{
	unsigned long kib = 0;
	long count = free_hugepages(&kib);
	struct sx_region r;

	(void)state;
	if (count < 0 || !kib) {
		print_message("# this kernel has no hugepages\n");
		skip();
		return;
	}
	/* The kernel may be allowed to find some more: not so many. */
	region_refused(((size_t)count + (1ul << 20)) * kib << 10, SX_REGION_HUGE, -ENOMEM,
		       "nr_hugepages");
	if (!count)
		return;
	assert_int_equal(sx_region_create(&r, "sx-huge", kib << 10, SX_REGION_HUGE, NULL), 0);
	*(volatile uint8_t *)r.base = 1;
	assert_int_equal((uintptr_t)r.base % (kib << 10), 0);
	sx_region_destroy(&r);
}

/* ---- interrupts ---- */

static void each_raise_is_counted_on_both_ends(void **state)
{
	struct sx_irq irq;
	uint64_t count;

	(void)state;
	assert_int_equal(sx_irq_init(&irq, NULL), 0);
	assert_true(irq.raised == 0);
	assert_int_equal(irq.route, -1);
	assert_int_equal(fcntl(irq.fd, F_GETFD), FD_CLOEXEC);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sx_irq_raise(&irq), 0);
	assert_true(irq.raised == 3);
	assert_int_equal(read(irq.fd, &count, sizeof(count)), sizeof(count));
	assert_true(count == 3);
	assert_int_equal(read(irq.fd, &count, sizeof(count)), -1); /* it does not block */
	assert_int_equal(errno, EAGAIN);
	sx_irq_destroy(&irq);
}

static void an_interrupt_that_cannot_be_taken_is_not_counted(void **state)
{
	struct sx_irq irq;
	uint64_t count = UINT64_MAX - 1; /* the most an eventfd holds, eventfd(2) */

	(void)state;
	assert_int_equal(sx_irq_init(&irq, NULL), 0);
	assert_int_equal(write(irq.fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(sx_irq_raise(&irq), -EAGAIN);
	assert_true(irq.raised == 0);
	assert_int_equal(read(irq.fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(sx_irq_raise(&irq), 0);
	assert_true(irq.raised == 1);
	sx_irq_destroy(&irq);
}

static void a_destroyed_interrupt_is_closed(void **state)
{
	struct sx_irq irq;
	int fd;

	(void)state;
	assert_int_equal(sx_irq_init(&irq, NULL), 0);
	fd = irq.fd;
	sx_irq_destroy(&irq);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(irq.fd, -1);
	sx_irq_destroy(&irq);
	assert_int_equal(sx_irq_raise(&irq), -EBADF);
	assert_true(irq.raised == 0);
}

static void without_a_free_fd_set_up_says_so(void **state)
{
	struct rlimit before, none;
	struct sx_error irq_err = {""}, region_err = {""};
	struct sx_region region;
	struct sx_irq irq;
	int irq_rc, region_rc;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	irq_rc = sx_irq_init(&irq, &irq_err);
	region_rc = sx_region_create(&region, "sx-test", PAGE, 0, &region_err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(irq_rc, -EMFILE);
	assert_non_null(strstr(irq_err.text, "eventfd"));
	assert_int_equal(region_rc, -EMFILE);
	assert_non_null(strstr(region_err.text, "'sx-test'"));
	sx_irq_destroy(&irq);
	sx_region_destroy(&region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_sentence_wins),
		cmocka_unit_test(a_long_sentence_is_cut),
		cmocka_unit_test(a_region_is_zeroed_named_and_writable),
		cmocka_unit_test(a_region_is_shared_through_its_fd),
		cmocka_unit_test(pages_are_touched_ahead_when_asked_for),
		cmocka_unit_test(whole_pages_are_given_back_and_read_as_zeros),
		cmocka_unit_test(what_is_no_whole_page_of_it_is_kept),
		cmocka_unit_test(a_host_that_refuses_is_told),
		cmocka_unit_test(destroying_is_safe_twice_and_before_creating),
		cmocka_unit_test(more_than_there_is_gets_refused),
		cmocka_unit_test(private_memory_has_no_fd_and_begins_at_a_large_page),
		cmocka_unit_test(private_memory_beyond_all_addresses_is_refused),
		cmocka_unit_test(hugepages_are_given_only_if_reserved),
		cmocka_unit_test(each_raise_is_counted_on_both_ends),
		cmocka_unit_test(an_interrupt_that_cannot_be_taken_is_not_counted),
		cmocka_unit_test(a_destroyed_interrupt_is_closed),
		cmocka_unit_test(without_a_free_fd_set_up_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
