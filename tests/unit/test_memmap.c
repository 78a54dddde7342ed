// SPDX-License-Identifier: BSD-3-Clause
/* ipc/memmap.h: what the gate lets through, what it refuses, and that readers are never cut off. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ipc/memmap.h"
#include "ipc/rcu.h"
#include "ipc/wire/types.h"

#define PAGE  4096ull
#define LIMIT (1ull << 52)

/* A map over pages of this test's own memory. */
struct world {
	struct sx_memmap map;
	uint8_t *memory; /* 16 pages; byte i is i % 251 */
};

static void *pages(size_t count)
{
	void *p = aligned_alloc(PAGE, count * PAGE);

	assert_non_null(p);
	return p;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w || sx_memmap_init(&w->map))
		return -1;
	w->memory = pages(16);
	for (unsigned i = 0; i < 16 * PAGE; i++)
		w->memory[i] = (uint8_t)(i % 251);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	sx_memmap_destroy(&w->map);
	free(w->memory);
	free(w);
	return 0;
}

/* Map @count pages from page @from of the test's memory at @gpa; that must work. */
static void map_pages(struct world *w, sx_gpa gpa, unsigned from, unsigned count, unsigned flags)
{
	struct sx_error err = {""};

	assert_int_equal(
		sx_memmap_add(&w->map, gpa, count * PAGE, w->memory + from * PAGE, flags, &err), 0);
	assert_string_equal(err.text, "");
}

static void refused(struct world *w, sx_gpa gpa, uint64_t size, void *hva, int code)
{
	struct sx_error err = {""};
	const struct sx_memmap_table *before = w->map.table;

	assert_int_equal(sx_memmap_add(&w->map, gpa, size, hva, 0, &err), code);
	assert_true(strlen(err.text) > 0);
	assert_int_equal(sx_memmap_add(&w->map, gpa, size, hva, 0, NULL), code);
	assert_ptr_equal(w->map.table, before);
}

static void *at(struct world *w, sx_gpa gpa, uint64_t len)
{
	return sx_memmap_at(&w->map, gpa, len, SX_READ);
}

/* ---- one range ---- */

static void an_empty_map_has_nothing(void **state)
{
	struct world *w = *state;
	uint8_t byte;

	assert_null(at(w, 0, 1));
	assert_null(at(w, UINT64_MAX, 1));
	assert_int_equal(sx_memmap_read(&w->map, 0, &byte, 1), -EFAULT);
	assert_int_equal(sx_memmap_remove(&w->map, 0), -ENOENT);
}

static void a_range_is_found_from_its_first_byte_to_its_last(void **state)
{
	struct world *w = *state;
	const sx_gpa base = 0x10000;

	map_pages(w, base, 0, 4, 0);
	assert_ptr_equal(at(w, base, 1), w->memory);
	assert_ptr_equal(at(w, base, 4 * PAGE), w->memory);
	assert_ptr_equal(at(w, base + 5, 8), w->memory + 5);
	assert_ptr_equal(at(w, base + 4 * PAGE - 1, 1), w->memory + 4 * PAGE - 1);
	assert_ptr_equal(at(w, base + PAGE - 3, 6), w->memory + PAGE - 3);
	assert_ptr_equal(sx_memmap_at(&w->map, base, 8, SX_WRITE), w->memory);
}

static void beyond_a_range_there_is_nothing(void **state)
{
	static const uint64_t long_ones[] = {1ull << 32,          1ull << 52,     1ull << 63,
					     UINT64_MAX - 0xffff, UINT64_MAX - 1, UINT64_MAX};
	struct world *w = *state;
	const sx_gpa base = 0x10000;
	const uint64_t size = 4 * PAGE;

	map_pages(w, base, 0, 4, 0);
	assert_null(at(w, base - 1, 1));
	assert_null(at(w, base - 1, 2));
	assert_null(at(w, base + size, 1));
	assert_null(at(w, base, size + 1));
	assert_null(at(w, base + size - 1, 2));
	assert_null(at(w, base + 1, size));
	for (unsigned i = 0; i < sizeof(long_ones) / sizeof(long_ones[0]); i++) {
		assert_null(at(w, base, long_ones[i]));
		assert_null(at(w, base + 8, long_ones[i]));
		assert_null(at(w, long_ones[i], 8));
		assert_null(at(w, long_ones[i], long_ones[i]));
	}
	/* It ends before it begins. */
	assert_null(at(w, base, -base));
	assert_null(at(w, base, -base + 8));
	assert_null(at(w, base + 8, UINT64_MAX));
}

static void nothing_is_nowhere(void **state)
{
	struct world *w = *state;

	map_pages(w, 0, 0, 1, 0);
	assert_null(at(w, 0, 0));
	assert_null(at(w, PAGE, 0));
	assert_int_equal(sx_memmap_read(&w->map, 0, NULL, 0), 0);
}

static void the_last_page_of_all_can_be_mapped(void **state)
{
	struct world *w = *state;

	map_pages(w, LIMIT - PAGE, 2, 1, 0);
	assert_ptr_equal(at(w, LIMIT - 1, 1), w->memory + 3 * PAGE - 1);
	assert_null(at(w, LIMIT - 1, 2));
	assert_null(at(w, LIMIT, 1));
}

static void what_is_read_only_is_not_written(void **state)
{
	struct world *w = *state;
	uint8_t bytes[8] = {0};

	map_pages(w, 0, 0, 1, SX_MEMMAP_READONLY);
	map_pages(w, PAGE, 1, 1, 0);
	assert_non_null(at(w, 0, PAGE));
	assert_null(sx_memmap_at(&w->map, 0, 1, SX_WRITE));
	assert_null(sx_memmap_at(&w->map, PAGE - 1, 1, SX_WRITE));
	assert_non_null(sx_memmap_at(&w->map, PAGE, 1, SX_WRITE));
	assert_int_equal(sx_memmap_read(&w->map, 0, bytes, 8), 0);
	assert_int_equal(sx_memmap_write(&w->map, 0, bytes, 8), -EFAULT);
	assert_int_equal(sx_memmap_write(&w->map, PAGE - 4, bytes, 8), -EFAULT);
	for (unsigned i = 0; i < PAGE + 8; i++)
		assert_int_equal(w->memory[i], i % 251);
}

/* ---- refusals to add ---- */

static void what_is_not_whole_pages_is_refused(void **state)
{
	struct world *w = *state;

	refused(w, 0, 0, w->memory, -EINVAL);
	refused(w, 1, PAGE, w->memory, -EINVAL);
	refused(w, PAGE - 1, PAGE, w->memory, -EINVAL);
	refused(w, 0, 1, w->memory, -EINVAL);
	refused(w, 0, PAGE + 8, w->memory, -EINVAL);
	refused(w, 0, PAGE, w->memory + 8, -EINVAL);
}

static void what_no_processor_can_address_is_refused(void **state)
{
	struct world *w = *state;

	refused(w, LIMIT, PAGE, w->memory, -EINVAL);
	refused(w, LIMIT - PAGE, 2 * PAGE, w->memory, -EINVAL);
	refused(w, 0, LIMIT + PAGE, w->memory, -EINVAL);
	refused(w, PAGE, LIMIT, w->memory, -EINVAL);
	refused(w, -PAGE, PAGE, w->memory, -EINVAL);
	refused(w, -PAGE, 2 * PAGE, w->memory, -EINVAL);
	refused(w, PAGE, -PAGE, w->memory, -EINVAL);
	refused(w, 2 * PAGE, -PAGE, w->memory, -EINVAL);
}

static void an_overlap_of_any_kind_is_refused(void **state)
{
	struct world *w = *state;
	const sx_gpa base = 16 * PAGE;

	map_pages(w, base, 0, 4, 0);
	refused(w, base, 4 * PAGE, w->memory, -EEXIST);            /* the same */
	refused(w, base + PAGE, 2 * PAGE, w->memory, -EEXIST);     /* within */
	refused(w, base - PAGE, 6 * PAGE, w->memory, -EEXIST);     /* around */
	refused(w, base - PAGE, 2 * PAGE, w->memory, -EEXIST);     /* over the beginning */
	refused(w, base + 3 * PAGE, 2 * PAGE, w->memory, -EEXIST); /* over the end */
	refused(w, 0, LIMIT, w->memory, -EEXIST);                  /* everything */
	refused(w, base, PAGE, w->memory, -EEXIST);                /* the first page */
	refused(w, base + 3 * PAGE, PAGE, w->memory, -EEXIST);     /* the last */
}

static void a_range_that_bridges_two_is_refused(void **state)
{
	struct world *w = *state;

	map_pages(w, 0, 0, 1, 0);
	map_pages(w, 4 * PAGE, 4, 1, 0);
	refused(w, PAGE, 4 * PAGE, w->memory, -EEXIST);
	refused(w, 0, 5 * PAGE, w->memory, -EEXIST);
	map_pages(w, PAGE, 1, 3, 0); /* just fits */
}

/* ---- several ranges ---- */

static void neighbours_stay_two_ranges(void **state)
{
	struct world *w = *state;

	/* Next to each other here, far from each other there. */
	map_pages(w, 0, 8, 1, 0);
	map_pages(w, PAGE, 2, 1, 0);
	assert_ptr_equal(at(w, PAGE - 1, 1), w->memory + 9 * PAGE - 1);
	assert_ptr_equal(at(w, PAGE, 1), w->memory + 2 * PAGE);
	assert_null(at(w, PAGE - 1, 2));
	assert_null(at(w, 0, PAGE + 1));
}

static void a_copy_crosses_ranges(void **state)
{
	struct world *w = *state;
	uint8_t bytes[3 * PAGE];

	map_pages(w, 0, 8, 1, 0);
	map_pages(w, PAGE, 2, 1, 0);
	map_pages(w, 2 * PAGE, 5, 1, 0);
	assert_int_equal(sx_memmap_read(&w->map, 0, bytes, sizeof(bytes)), 0);
	assert_memory_equal(bytes, w->memory + 8 * PAGE, PAGE);
	assert_memory_equal(bytes + PAGE, w->memory + 2 * PAGE, PAGE);
	assert_memory_equal(bytes + 2 * PAGE, w->memory + 5 * PAGE, PAGE);

	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(sx_memmap_write(&w->map, PAGE - 2, bytes, PAGE + 4), 0);
	for (unsigned i = 0; i < PAGE; i++)
		assert_int_equal(w->memory[2 * PAGE + i], 0xee);
	assert_int_equal(w->memory[9 * PAGE - 3], (9 * PAGE - 3) % 251);
	assert_int_equal(w->memory[9 * PAGE - 2], 0xee);
	assert_int_equal(w->memory[9 * PAGE - 1], 0xee);
	assert_int_equal(w->memory[5 * PAGE + 1], 0xee);
	assert_int_equal(w->memory[5 * PAGE + 2], (5 * PAGE + 2) % 251);
}

static void a_copy_does_not_cross_a_hole(void **state)
{
	struct world *w = *state;
	uint8_t bytes[3 * PAGE];

	map_pages(w, 0, 0, 1, 0);
	map_pages(w, 2 * PAGE, 2, 1, 0);
	assert_int_equal(sx_memmap_read(&w->map, 0, bytes, PAGE), 0);
	assert_int_equal(sx_memmap_read(&w->map, 0, bytes, PAGE + 1), -EFAULT);
	assert_int_equal(sx_memmap_read(&w->map, PAGE - 1, bytes, PAGE + 2), -EFAULT);
	assert_int_equal(sx_memmap_read(&w->map, PAGE, bytes, 1), -EFAULT);
	assert_int_equal(sx_memmap_read(&w->map, 3 * PAGE - 1, bytes, 2), -EFAULT);
	assert_int_equal(sx_memmap_read(&w->map, UINT64_MAX, bytes, 2), -EFAULT);
	assert_int_equal(sx_memmap_write(&w->map, PAGE, bytes, 1), -EFAULT);
}

static void only_the_beginning_of_a_range_removes_it(void **state)
{
	struct world *w = *state;

	map_pages(w, 0, 0, 2, 0);
	map_pages(w, 4 * PAGE, 4, 2, 0);
	map_pages(w, 8 * PAGE, 8, 2, 0);
	assert_int_equal(sx_memmap_remove(&w->map, 5 * PAGE), -ENOENT);
	assert_int_equal(sx_memmap_remove(&w->map, 4 * PAGE + 1), -ENOENT);
	assert_int_equal(sx_memmap_remove(&w->map, 3 * PAGE), -ENOENT);
	assert_int_equal(sx_memmap_remove(&w->map, 10 * PAGE), -ENOENT);
	assert_int_equal(sx_memmap_remove(&w->map, 4 * PAGE), 0);
	assert_null(at(w, 4 * PAGE, 1));
	assert_null(at(w, 6 * PAGE - 1, 1));
	assert_ptr_equal(at(w, PAGE, 1), w->memory + PAGE);
	assert_ptr_equal(at(w, 9 * PAGE, 1), w->memory + 9 * PAGE);
	assert_int_equal(sx_memmap_remove(&w->map, 4 * PAGE), -ENOENT);
	map_pages(w, 4 * PAGE, 6, 1, 0);
	assert_ptr_equal(at(w, 4 * PAGE, 1), w->memory + 6 * PAGE);
}

static void a_span_is_the_whole_range_around_an_address(void **state)
{
	struct world *w = *state;
	struct sx_memmap_span span = {.size = 99};

	map_pages(w, 2 * PAGE, 1, 3, SX_MEMMAP_READONLY);
	map_pages(w, 5 * PAGE, 8, 1, 0);
	assert_int_equal(sx_memmap_span(&w->map, 2 * PAGE - 1, &span), -EFAULT);
	assert_int_equal(sx_memmap_span(&w->map, 6 * PAGE, &span), -EFAULT);
	assert_int_equal(sx_memmap_span(&w->map, UINT64_MAX, &span), -EFAULT);
	assert_true(span.size == 99);
	for (sx_gpa gpa = 2 * PAGE; gpa < 5 * PAGE; gpa += PAGE - 1) {
		assert_int_equal(sx_memmap_span(&w->map, gpa, &span), 0);
		assert_true(span.gpa == 2 * PAGE && span.size == 3 * PAGE);
		assert_ptr_equal(span.hva, w->memory + PAGE);
		assert_int_equal(span.flags, SX_MEMMAP_READONLY);
	}
	assert_int_equal(sx_memmap_span(&w->map, 5 * PAGE, &span), 0);
	assert_true(span.gpa == 5 * PAGE && span.size == PAGE && !span.flags);
}

/* ---- against a model: which page belongs to which range ---- */

#define MODEL_PAGES 48

struct model {
	uint8_t owner[MODEL_PAGES]; /* 0: none; else a range's own number */
	uint8_t next;
};

static bool model_free(const struct model *m, unsigned page, unsigned count)
{
	for (unsigned i = page; i < page + count; i++)
		if (m->owner[i])
			return false;
	return true;
}

static bool model_begins(const struct model *m, unsigned page)
{
	return m->owner[page] && (!page || m->owner[page - 1] != m->owner[page]);
}

static void compare(struct world *w, const struct model *m, uint8_t *hva)
{
	for (unsigned page = 0; page < MODEL_PAGES; page++) {
		unsigned run = 0;

		while (page + run < MODEL_PAGES && m->owner[page] &&
		       m->owner[page + run] == m->owner[page])
			run++;
		if (!run) {
			assert_null(at(w, page * PAGE, 1));
			assert_null(at(w, page * PAGE + PAGE - 1, 1));
			continue;
		}
		assert_ptr_equal(at(w, page * PAGE, run * PAGE), hva + page * PAGE);
		assert_null(at(w, page * PAGE, run * PAGE + 1));
	}
}

static void any_sequence_of_adds_and_removes_agrees_with_a_model(void **state)
{
	struct world *w = *state;
	struct model m = {.next = 1};
	uint8_t *hva = pages(MODEL_PAGES);
	uint64_t x = 1;
	unsigned added = 0, removed = 0;

	for (unsigned step = 0; step < 3000; step++) {
		unsigned page, count;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		page = (unsigned)(x >> 33) % MODEL_PAGES;
		count = 1 + (unsigned)(x >> 45) % 5;
		if (x >> 63) {
			bool begins = model_begins(&m, page);
			uint8_t owner = m.owner[page];

			assert_int_equal(sx_memmap_remove(&w->map, page * PAGE),
					 begins ? 0 : -ENOENT);
			removed += begins;
			for (unsigned i = page; begins && i < MODEL_PAGES && m.owner[i] == owner;
			     i++)
				m.owner[i] = 0;
		} else if (page + count <= MODEL_PAGES) {
			bool fits = model_free(&m, page, count);

			assert_int_equal(sx_memmap_add(&w->map, page * PAGE, count * PAGE,
						       hva + page * PAGE, 0, NULL),
					 fits ? 0 : -EEXIST);
			if (fits) {
				added++;
				memset(&m.owner[page], m.next, count);
				m.next = m.next == 255 ? 1 : m.next + 1;
			}
		}
		compare(w, &m, hva);
	}
	assert_true(added > 100 && removed > 100);
	free(hva);
}

/* ---- readers while a writer writes ---- */

#define FIXED_GPA  0
#define MOVING_GPA (64 * PAGE)
#define MAGIC      0x6d616769636d6170ull

struct reader {
	struct world *w;
	const uint32_t *stop;
	uint32_t started;
	uint64_t hits, misses, bad;
};

static void read_once(struct reader *r, uint64_t i)
{
	uint64_t *p = sx_memmap_at(&r->w->map, MOVING_GPA + i % 512 * 8, 8, SX_READ);
	const uint8_t *fixed = sx_memmap_at(&r->w->map, FIXED_GPA + i % PAGE, 1, SX_READ);
	uint64_t word;

	/* The other range comes and goes without this one noticing. */
	if (!fixed || *fixed != i % PAGE % 251)
		r->bad++;
	if (!p) {
		r->misses++;
		return;
	}
	r->hits++;
	r->bad += *p != MAGIC;
	if (sx_memmap_read(&r->w->map, MOVING_GPA + PAGE - 8, &word, 8) == 0)
		r->bad += word != MAGIC;
}

static void *keep_reading(void *arg)
{
	struct reader *r = arg;

	sx_rcu_register();
	for (uint64_t i = 0; !sx_load_relaxed(r->stop); i++) {
		read_once(r, i);
		sx_store_relaxed(&r->started, 1u);
		rcu_quiescent_state();
	}
	sx_rcu_unregister();
	return NULL;
}

static void add_and_remove_once(struct world *w)
{
	uint64_t *page = pages(1);

	for (unsigned i = 0; i < 512; i++)
		page[i] = MAGIC;
	assert_int_equal(sx_memmap_add(&w->map, MOVING_GPA, PAGE, page, 0, NULL), 0);
	assert_int_equal(sx_memmap_remove(&w->map, MOVING_GPA), 0);
	/* Nobody may look any more: this is what ASan watches, and what the readers check. */
	memset(page, 0, PAGE);
	free(page);
}

static void readers_never_see_memory_that_is_gone(void **state)
{
	struct world *w = *state;
	uint32_t stop = 0;
	struct reader r[2] = {{.w = w, .stop = &stop}, {.w = w, .stop = &stop}};
	pthread_t thread[2];

	map_pages(w, FIXED_GPA, 0, 1, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&thread[i], NULL, keep_reading, &r[i]), 0);
		while (!sx_load_relaxed(&r[i].started))
			sx_pause();
	}
	for (unsigned i = 0; i < 1000; i++)
		add_and_remove_once(w);
	sx_store_relaxed(&stop, 1u);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(r[i].bad, 0);
		assert_true(r[i].hits + r[i].misses >= 1000); /* each grace period saw one */
	}
	print_message("# %lu reads of the moving range, %lu in vain\n", r[0].hits + r[1].hits,
		      r[0].misses + r[1].misses);
}

struct holder {
	struct world *w;
	uint32_t holds;   /* it has a pointer */
	uint32_t removed; /* the writer says so */
	bool early;       /* ... while the pointer was held */
};

static void *hold(void *arg)
{
	struct holder *h = arg;
	const struct timespec while_held = {.tv_nsec = 20000000};

	sx_rcu_register();
	h->early = !sx_memmap_at(&h->w->map, MOVING_GPA, 8, SX_READ);
	sx_store_release(&h->holds, 1u);
	nanosleep(&while_held, NULL);
	h->early |= sx_load_acquire(&h->removed) != 0;
	rcu_quiescent_state();
	/* Offline, it holds up nobody; the writer needs no more of its turns. */
	rcu_thread_offline();
	while (!sx_load_acquire(&h->removed))
		sx_pause();
	rcu_thread_online();
	sx_rcu_unregister();
	return NULL;
}

static void removal_waits_for_who_holds_a_pointer_and_for_nobody_offline(void **state)
{
	struct world *w = *state;
	struct holder h = {.w = w};
	pthread_t thread;

	map_pages(w, MOVING_GPA, 0, 1, 0);
	assert_int_equal(pthread_create(&thread, NULL, hold, &h), 0);
	while (!sx_load_acquire(&h.holds))
		sx_pause();
	assert_int_equal(sx_memmap_remove(&w->map, MOVING_GPA), 0);
	sx_store_release(&h.removed, 1u);
	pthread_join(thread, NULL);
	assert_false(h.early);
}

struct writer {
	struct world *w;
	unsigned page;
	unsigned failed;
};

static void *keep_writing(void *arg)
{
	struct writer *me = arg;

	sx_rcu_register();
	for (unsigned i = 0; i < 3000; i++) {
		sx_gpa gpa = (me->page + i % 4) * PAGE;

		/* A reader only while it reads: the other writers wait for it. */
		rcu_thread_offline();
		me->failed += sx_memmap_add(&me->w->map, gpa, PAGE, me->w->memory, 0, NULL) != 0;
		rcu_thread_online();
		me->failed += !at(me->w, gpa, PAGE);
		rcu_thread_offline();
		me->failed += sx_memmap_remove(&me->w->map, gpa) != 0;
		rcu_thread_online();
	}
	sx_rcu_unregister();
	return NULL;
}

static void writers_do_not_undo_each_other(void **state)
{
	struct world *w = *state;
	struct writer me[3] = {{w, 0, 0}, {w, 100, 0}, {w, 200, 0}};
	pthread_t thread[3];

	map_pages(w, 50 * PAGE, 3, 1, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, keep_writing, &me[i]), 0);
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(me[i].failed, 0);
	}
	assert_ptr_equal(at(w, 50 * PAGE, PAGE), w->memory + 3 * PAGE);
}

#define with_world(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_world(an_empty_map_has_nothing),
		with_world(a_range_is_found_from_its_first_byte_to_its_last),
		with_world(beyond_a_range_there_is_nothing),
		with_world(nothing_is_nowhere),
		with_world(the_last_page_of_all_can_be_mapped),
		with_world(what_is_read_only_is_not_written),
		with_world(what_is_not_whole_pages_is_refused),
		with_world(what_no_processor_can_address_is_refused),
		with_world(an_overlap_of_any_kind_is_refused),
		with_world(a_range_that_bridges_two_is_refused),
		with_world(neighbours_stay_two_ranges),
		with_world(a_copy_crosses_ranges),
		with_world(a_copy_does_not_cross_a_hole),
		with_world(only_the_beginning_of_a_range_removes_it),
		with_world(a_span_is_the_whole_range_around_an_address),
		with_world(any_sequence_of_adds_and_removes_agrees_with_a_model),
		with_world(readers_never_see_memory_that_is_gone),
		with_world(removal_waits_for_who_holds_a_pointer_and_for_nobody_offline),
		with_world(writers_do_not_undo_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
