// SPDX-License-Identifier: BSD-3-Clause
/*
 * ipc/memmap.h without memory: adding a range says so and changes nothing, removing one always
 * works. The library's malloc() is the one below; where a sanitizer has its own, there is nothing
 * to see.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ipc/memmap.h"

#define PAGE   4096ull
#define RANGES 100u

#ifdef __SANITIZE_ADDRESS__
#define HAVE_MALLOC false
static bool no_memory;
#else
#define HAVE_MALLOC true
static __thread bool no_memory;

void *__libc_malloc(size_t size); /* glibc's own */

void *malloc(size_t size)
{
	return no_memory ? NULL : __libc_malloc(size);
}
#endif

static uint8_t bytes[PAGE] __attribute__((aligned(PAGE)));
static struct sx_memmap map;

static int add(unsigned i)
{
	return sx_memmap_add(&map, i * PAGE, PAGE, bytes, 0, NULL);
}

static int remove_range(unsigned i)
{
	return sx_memmap_remove(&map, i * PAGE);
}

static bool is_there(unsigned i)
{
	return sx_memmap_at(&map, i * PAGE, PAGE, SX_READ) != NULL;
}

static int set_up(void **state)
{
	(void)state;
	no_memory = false;
	return sx_memmap_init(&map);
}

static int tear_down(void **state)
{
	(void)state;
	no_memory = false;
	sx_memmap_destroy(&map);
	return 0;
}

static void all_ranges_are_removed_without_memory(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RANGES; i++)
		assert_int_equal(add(i), 0);
	no_memory = true;
	for (unsigned i = 0; i < RANGES; i++) {
		assert_int_equal(remove_range(i * 37 % RANGES), 0);
		assert_false(is_there(i * 37 % RANGES));
	}
	assert_int_equal(remove_range(0), -ENOENT);
}

static void the_only_range_is_removed_without_memory(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		no_memory = false;
		assert_int_equal(add(7), 0);
		no_memory = true;
		assert_int_equal(remove_range(7), 0);
		assert_false(is_there(7));
	}
}

static void without_memory_nothing_is_added_and_nothing_lost(void **state)
{
	(void)state;
	if (!HAVE_MALLOC) {
		print_message("# the sanitizer's malloc() cannot be made to fail\n");
		skip();
	}
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(add(i), 0);
	no_memory = true;
	assert_int_equal(add(5), -ENOMEM);
	assert_int_equal(add(6), -ENOMEM);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(is_there(i), i < 5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(remove_range(i), 0);
	no_memory = false;
	assert_int_equal(add(5), 0);
	assert_true(is_there(5));
}

/* What was removed has room again, whatever else fails. */
static void one_may_come_where_one_went(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(add(i), 0);
	no_memory = true;
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(remove_range(i % 5), 0);
		assert_int_equal(add(i % 5), 0);
		assert_true(is_there(i % 5));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_ranges_are_removed_without_memory, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_only_range_is_removed_without_memory, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(without_memory_nothing_is_added_and_nothing_lost,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_may_come_where_one_went, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
