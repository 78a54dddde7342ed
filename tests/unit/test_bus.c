// SPDX-License-Identifier: BSD-3-Clause
/*
 * The bus: who answers at an address, and that a range that is gone is used by nobody.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/rcu.h"
#include "ipc/wire/types.h"
#include "sidecore/bus.h"

/* A device that remembers its last access. */
struct probe {
	struct sx_bus_range range;
	uint64_t offset;
	unsigned size;
	uint64_t value;
	int rc; /* what its functions return */
};

static int probe_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	struct probe *p = dev;

	p->offset = offset;
	p->size = size;
	*value = p->value;
	return p->rc;
}

static int probe_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct probe *p = dev;

	p->offset = offset;
	p->size = size;
	p->value = value;
	return p->rc;
}

static const struct sx_bus_ops probe_ops = {.read = probe_read, .write = probe_write};

static void probe_init(struct probe *p, enum sx_bus_space space, uint64_t base, uint64_t size)
{
	*p = (struct probe){
		.range = {.name = "probe",
			  .space = space,
			  .base = base,
			  .size = size,
			  .ops = &probe_ops,
			  .dev = p},
	};
}

static int set_up(void **state)
{
	static struct sx_bus bus;

	sx_rcu_register();
	sx_bus_init(&bus, false);
	*state = &bus;
	return 0;
}

static int tear_down(void **state)
{
	sx_bus_destroy(*state);
	sx_rcu_unregister();
	return 0;
}

static void add(struct sx_bus *bus, struct probe *p, enum sx_bus_space space, uint64_t base,
		uint64_t size)
{
	struct sx_error err = {""};

	probe_init(p, space, base, size);
	assert_int_equal(sx_bus_add(bus, &p->range, &err), 0);
	assert_string_equal(err.text, "");
}

/* Adding such a range is refused with @rc and a sentence that has @word in it. */
static void want_refusal(struct sx_bus *bus, enum sx_bus_space space, uint64_t base, uint64_t size,
			 int rc, const char *word)
{
	unsigned before = bus->table->count;
	struct sx_error err = {""};
	struct probe p;

	probe_init(&p, space, base, size);
	assert_int_equal(sx_bus_add(bus, &p.range, &err), rc);
	assert_non_null(strstr(err.text, word));
	assert_int_equal(bus->table->count, before);
}

static int access_bus(struct sx_bus *bus, enum sx_exit_kind kind, uint64_t addr, unsigned size,
		      uint64_t *value)
{
	struct sx_exit x = {.kind = kind, .size = size, .addr = addr, .value = *value};
	int rc = sx_bus_access(bus, &x);

	*value = x.value;
	return rc;
}

/* ---- lookup ---- */

static void an_empty_bus_has_nobody(void **state)
{
	assert_null(sx_bus_find(*state, SX_BUS_MMIO, 0, 1));
	assert_null(sx_bus_find(*state, SX_BUS_PIO, UINT64_MAX, 8));
}

static void each_byte_belongs_to_its_range(void **state)
{
	struct sx_bus *bus = *state;
	struct probe a, b, c;

	/* Added out of order; b and c touch. */
	add(bus, &b, SX_BUS_MMIO, 0x2000, 0x1000);
	add(bus, &c, SX_BUS_MMIO, 0x3000, 1);
	add(bus, &a, SX_BUS_MMIO, 0x1000, 0x10);
	for (uint64_t addr = 0; addr < 0x4000; addr++) {
		struct sx_bus_range *want = addr >= 0x1000 && addr < 0x1010   ? &a.range
					    : addr >= 0x2000 && addr < 0x3000 ? &b.range
					    : addr == 0x3000                  ? &c.range
									      : NULL;

		assert_ptr_equal(sx_bus_find(bus, SX_BUS_MMIO, addr, 1), want);
	}
}

static void ports_and_memory_are_two_worlds(void **state)
{
	struct sx_bus *bus = *state;
	struct probe port, mem;

	add(bus, &port, SX_BUS_PIO, 0x3f8, 8);
	add(bus, &mem, SX_BUS_MMIO, 0x3f8, 8);
	assert_ptr_equal(sx_bus_find(bus, SX_BUS_PIO, 0x3f8, 1), &port.range);
	assert_ptr_equal(sx_bus_find(bus, SX_BUS_MMIO, 0x3f8, 1), &mem.range);
	sx_bus_remove(bus, &mem.range);
	assert_null(sx_bus_find(bus, SX_BUS_MMIO, 0x3f8, 1));
	assert_ptr_equal(sx_bus_find(bus, SX_BUS_PIO, 0x3f8, 1), &port.range);
}

static void an_access_reaches_its_device_with_offset_size_and_value(void **state)
{
	struct sx_bus *bus = *state;
	uint64_t value = 0x1122334455667788;
	struct probe p;

	add(bus, &p, SX_BUS_MMIO, 0xfe000000, 0x1000);
	assert_int_equal(access_bus(bus, SX_EXIT_MMIO_WRITE, 0xfe000ff8, 8, &value),
			 SX_EXIT_CONTINUE);
	assert_int_equal(p.offset, 0xff8);
	assert_int_equal(p.size, 8);
	assert_int_equal(p.value, 0x1122334455667788);
	value = 0;
	/* KVM splits an access at the end of a page: a size need not be a power of two. */
	assert_int_equal(access_bus(bus, SX_EXIT_MMIO_READ, 0xfe000001, 3, &value),
			 SX_EXIT_CONTINUE);
	assert_int_equal(p.offset, 1);
	assert_int_equal(p.size, 3);
	assert_int_equal(value, 0x1122334455667788);
	assert_int_equal(p.range.writes, 1);
	assert_int_equal(p.range.reads, 1);
}

static void a_range_may_end_at_the_last_byte_but_one(void **state)
{
	struct sx_bus *bus = *state;
	struct probe p;

	add(bus, &p, SX_BUS_MMIO, UINT64_MAX - 8, 8);
	assert_ptr_equal(sx_bus_find(bus, SX_BUS_MMIO, UINT64_MAX - 8, 8), &p.range);
	assert_null(sx_bus_find(bus, SX_BUS_MMIO, UINT64_MAX - 7, 8));
	assert_null(sx_bus_find(bus, SX_BUS_MMIO, UINT64_MAX, 1));
	assert_null(sx_bus_find(bus, SX_BUS_MMIO, UINT64_MAX, 8));
}

/* ---- refusals ---- */

static void overlaps_are_refused(void **state)
{
	struct sx_bus *bus = *state;
	struct probe p;

	add(bus, &p, SX_BUS_MMIO, 0x1000, 0x1000);
	want_refusal(bus, SX_BUS_MMIO, 0x1000, 0x1000, -EEXIST, "overlaps 'probe'");
	want_refusal(bus, SX_BUS_MMIO, 0x0fff, 2, -EEXIST, "overlaps");
	want_refusal(bus, SX_BUS_MMIO, 0x1fff, 1, -EEXIST, "overlaps");
	want_refusal(bus, SX_BUS_MMIO, 0x1800, 0x10, -EEXIST, "overlaps");
	want_refusal(bus, SX_BUS_MMIO, 0, UINT64_MAX, -EEXIST, "overlaps");
}

static void empty_and_wrapping_ranges_are_refused(void **state)
{
	want_refusal(*state, SX_BUS_MMIO, 0x1000, 0, -EINVAL, "empty");
	want_refusal(*state, SX_BUS_MMIO, UINT64_MAX, 2, -EINVAL, "wraps");
	want_refusal(*state, SX_BUS_MMIO, UINT64_MAX - 7, 8, -EINVAL, "wraps");
	want_refusal(*state, SX_BUS_PIO, 1, UINT64_MAX, -EINVAL, "wraps");
}

static void an_access_across_the_end_belongs_to_nobody(void **state)
{
	struct sx_bus *bus = *state;
	struct probe a, b;
	uint64_t value = 0;

	add(bus, &a, SX_BUS_MMIO, 0x1000, 0x10);
	add(bus, &b, SX_BUS_MMIO, 0x1010, 0x10);
	assert_ptr_equal(sx_bus_find(bus, SX_BUS_MMIO, 0x100f, 1), &a.range);
	assert_null(sx_bus_find(bus, SX_BUS_MMIO, 0x100f, 2));
	assert_null(sx_bus_find(bus, SX_BUS_MMIO, 0x101d, 4));
	assert_null(sx_bus_find(bus, SX_BUS_MMIO, 0x0fff, 2));
	assert_int_equal(access_bus(bus, SX_EXIT_MMIO_READ, 0x100c, 8, &value), SX_EXIT_CONTINUE);
	assert_int_equal(value, UINT64_MAX);
	assert_int_equal(bus->nowhere, 1);
	assert_int_equal(a.range.reads + b.range.reads, 0);
}

static void reads_from_nowhere_are_all_ones_of_their_size(void **state)
{
	struct sx_bus *bus = *state;

	for (unsigned size = 1; size <= 8; size++) {
		uint64_t value = 0;

		assert_int_equal(access_bus(bus, SX_EXIT_PIO_IN, 0x80, size, &value),
				 SX_EXIT_CONTINUE);
		assert_int_equal(value, size == 8 ? UINT64_MAX : (1ull << (8 * size)) - 1);
	}
	assert_int_equal(bus->nowhere, 8);
}

static void a_strict_bus_stops_the_guest_instead(void **state)
{
	struct sx_bus *bus = *state;
	uint64_t value = 0x55;
	struct probe p;

	sx_bus_destroy(bus);
	sx_bus_init(bus, true);
	add(bus, &p, SX_BUS_PIO, 0xf4, 4);
	assert_int_equal(access_bus(bus, SX_EXIT_PIO_OUT, 0xf8, 1, &value), -ENXIO);
	assert_int_equal(access_bus(bus, SX_EXIT_PIO_IN, 0xf3, 2, &value), -ENXIO);
	assert_int_equal(access_bus(bus, SX_EXIT_MMIO_READ, 0xf4, 4, &value), -ENXIO);
	assert_int_equal(value, 0x55);
	assert_int_equal(access_bus(bus, SX_EXIT_PIO_OUT, 0xf4, 4, &value), SX_EXIT_CONTINUE);
}

static void what_a_device_answers_is_passed_on(void **state)
{
	struct sx_bus *bus = *state;
	uint64_t value = 0;
	struct probe p;

	add(bus, &p, SX_BUS_PIO, 0xf4, 4);
	p.rc = SX_EXIT_STOP;
	assert_int_equal(access_bus(bus, SX_EXIT_PIO_OUT, 0xf4, 4, &value), SX_EXIT_STOP);
	p.rc = -EIO;
	assert_int_equal(access_bus(bus, SX_EXIT_PIO_IN, 0xf4, 4, &value), -EIO);
}

static void a_full_table_refuses_and_a_removal_makes_room(void **state)
{
	static struct probe p[SX_BUS_MAX_RANGES];
	struct sx_bus *bus = *state;
	struct probe late;

	for (unsigned i = 0; i < SX_BUS_MAX_RANGES; i++)
		add(bus, &p[i], SX_BUS_MMIO, i * 0x1000ull, 0x1000);
	want_refusal(bus, SX_BUS_MMIO, SX_BUS_MAX_RANGES * 0x1000ull, 0x1000, -ENOSPC, "at most");
	want_refusal(bus, SX_BUS_PIO, 0, 1, -ENOSPC, "at most");
	for (unsigned i = 0; i < SX_BUS_MAX_RANGES; i++)
		assert_ptr_equal(sx_bus_find(bus, SX_BUS_MMIO, i * 0x1000ull + 0xff8, 8),
				 &p[i].range);
	sx_bus_remove(bus, &p[77].range);
	add(bus, &late, SX_BUS_PIO, 0, 1);
	assert_null(sx_bus_find(bus, SX_BUS_MMIO, 77 * 0x1000ull, 1));
	assert_int_equal(bus->table->count, SX_BUS_MAX_RANGES);
}

static void removing_what_is_not_there_changes_nothing(void **state)
{
	struct sx_bus *bus = *state;
	struct probe p, other;

	add(bus, &p, SX_BUS_MMIO, 0x1000, 0x1000);
	probe_init(&other, SX_BUS_MMIO, 0x1000, 0x1000);
	sx_bus_remove(bus, &other.range);
	assert_ptr_equal(sx_bus_find(bus, SX_BUS_MMIO, 0x1000, 8), &p.range);
	sx_bus_remove(bus, &p.range);
	sx_bus_remove(bus, &p.range);
	assert_int_equal(bus->table->count, 0);
	/* And its place is free again. */
	assert_int_equal(sx_bus_add(bus, &p.range, NULL), 0);
}

/* ---- removal while readers run ---- */

#define REMOVALS 1000

struct crowd {
	struct sx_bus *bus;
	uint32_t stop;
	uint64_t found; /* by any reader; relaxed, a statistic */
	uint64_t ghosts;
};

/* Looks up and uses what it found for a while; the device of a range that is gone reads as 0. */
static void *look_up_for_ever(void *arg)
{
	struct crowd *c = arg;

	sx_rcu_register();
	/* Pairs with the release in ranges_can_go_while_readers_run(). */
	while (!sx_load_acquire(&c->stop)) {
		struct sx_bus_range *r = sx_bus_find(c->bus, SX_BUS_MMIO, 0x1000, 8);

		for (unsigned i = 0; r && i < 20; i++) {
			uint64_t alive = 0;

			r->ops->read(r->dev, 0, 8, &alive);
			__atomic_fetch_add(alive ? &c->found : &c->ghosts, 1, __ATOMIC_RELAXED);
		}
		rcu_quiescent_state();
	}
	sx_rcu_unregister();
	return NULL;
}

static int life_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	(void)offset;
	(void)size;
	*value = sx_load_relaxed((uint64_t *)dev);
	return SX_EXIT_CONTINUE;
}

static const struct sx_bus_ops life_ops = {.read = life_read, .write = probe_write};

static void ranges_can_go_while_readers_run(void **state)
{
	struct crowd c = {.bus = *state};
	uint64_t alive = 0;
	struct sx_bus_range r = {.name = "mortal",
				 .space = SX_BUS_MMIO,
				 .base = 0x1000,
				 .size = 0x1000,
				 .ops = &life_ops,
				 .dev = &alive};
	pthread_t reader[2];

	rcu_thread_offline();
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&reader[i], NULL, look_up_for_ever, &c), 0);
	for (unsigned i = 0; i < REMOVALS; i++) {
		sx_store_relaxed(&alive, 1);
		assert_int_equal(sx_bus_add(c.bus, &r, NULL), 0);
		/* Some rounds wait until a reader has really been there. */
		for (uint64_t before = sx_load_relaxed(&c.found);
		     i % 100 == 0 && sx_load_relaxed(&c.found) == before;)
			sx_pause();
		sx_bus_remove(c.bus, &r);
		sx_store_relaxed(&alive, 0);
	}
	sx_store_release(&c.stop, 1);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(reader[i], NULL);
	rcu_thread_online();
	assert_int_equal(c.ghosts, 0);
	assert_true(c.found >= REMOVALS / 100);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_empty_bus_has_nobody),
		CASE(each_byte_belongs_to_its_range),
		CASE(ports_and_memory_are_two_worlds),
		CASE(an_access_reaches_its_device_with_offset_size_and_value),
		CASE(a_range_may_end_at_the_last_byte_but_one),
		CASE(overlaps_are_refused),
		CASE(empty_and_wrapping_ranges_are_refused),
		CASE(an_access_across_the_end_belongs_to_nobody),
		CASE(reads_from_nowhere_are_all_ones_of_their_size),
		CASE(a_strict_bus_stops_the_guest_instead),
		CASE(what_a_device_answers_is_passed_on),
		CASE(a_full_table_refuses_and_a_removal_makes_room),
		CASE(removing_what_is_not_there_changes_nothing),
		CASE(ranges_can_go_while_readers_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
