// SPDX-License-Identifier: BSD-3-Clause
/*
 * testdev: its three forms mean the same, and what a guest may not do is undone and counted.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/rcu.h"
#include "sidecore/testdev.h"

#define REG(name) offsetof(struct sx_testdev_regs, name)

#define RING_GPA   0x1000ull
#define RING_ORDER 5

/* One device in each form. */
struct forms {
	struct sx_testdev exits;
	struct sx_testdev_page twin;
	struct sx_testdev ring;
	struct sx_irq irq[3];
	struct sx_memmap map;
	struct sx_ring_server server;
	struct sx_producer producer;
};

static union {
	struct sx_testdev_regs regs;
	uint8_t bytes[SX_TESTDEV_SIZE];
} page __attribute__((aligned(4096)));

static uint8_t ring_memory[0x2000] __attribute__((aligned(4096)));

static int set_up(void **state)
{
	static struct forms f;
	struct sx_ring_handler handler;

	sx_rcu_register();
	for (unsigned i = 0; i < 3; i++)
		if (sx_irq_init(&f.irq[i], NULL))
			return -1;
	sx_testdev_init(&f.exits, &f.irq[0]);
	sx_testdev_page_init(&f.twin, &page.regs, &f.irq[1]);
	sx_testdev_init(&f.ring, &f.irq[2]);
	handler = sx_testdev_ring_handler(&f.ring);
	if (sx_memmap_init(&f.map) ||
	    sx_memmap_add(&f.map, RING_GPA, sizeof(ring_memory), ring_memory, 0, NULL) ||
	    sx_ring_server_init(&f.server, "testdev", &f.map, RING_GPA, RING_ORDER, 0, &handler,
				NULL))
		return -1;
	sx_producer_init(&f.producer, f.server.consumer.ring, RING_ORDER);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct forms *f = *state;

	for (unsigned i = 0; i < 3; i++)
		sx_irq_destroy(&f->irq[i]);
	sx_memmap_destroy(&f->map);
	sx_rcu_unregister();
	return 0;
}

/* ---- by exits ---- */

static uint64_t reg_read(struct forms *f, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	assert_int_equal(sx_testdev_bus_ops.read(&f->exits, offset, size, &value),
			 SX_EXIT_CONTINUE);
	return value;
}

static void reg_write(struct forms *f, uint64_t offset, unsigned size, uint64_t value)
{
	assert_int_equal(sx_testdev_bus_ops.write(&f->exits, offset, size, value),
			 SX_EXIT_CONTINUE);
}

static void registers_start_empty_and_know_their_id(void **state)
{
	struct forms *f = *state;

	assert_int_equal(reg_read(f, REG(id), 8), SX_TESTDEV_ID_VALUE);
	assert_int_equal(reg_read(f, REG(rings), 8), 0);
	assert_int_equal(reg_read(f, REG(raised), 8), 0);
	assert_int_equal(reg_read(f, REG(acked), 8), 0);
	assert_int_equal(reg_read(f, REG(mirror), 8), 0);
	assert_int_equal(f->exits.refused, 0);
}

static void other_sizes_are_refused(void **state)
{
	static const unsigned sizes[] = {1, 2, 3, 4, 5, 7};
	struct forms *f = *state;

	for (unsigned i = 0; i < 6; i++) {
		reg_write(f, REG(scratch), sizes[i], UINT64_MAX);
		reg_write(f, REG(doorbell), sizes[i], 1);
		assert_int_equal(reg_read(f, REG(id), sizes[i]), sx_bus_all_ones(sizes[i]));
	}
	assert_int_equal(f->exits.refused, 3 * 6);
	assert_int_equal(reg_read(f, REG(mirror), 8), 0);
	assert_int_equal(reg_read(f, REG(rings), 8), 0);
}

static void offsets_between_and_behind_registers_are_refused(void **state)
{
	struct forms *f = *state;
	unsigned registers = 0, refused = 0;

	for (uint64_t offset = 0; offset + 8 <= SX_TESTDEV_SIZE; offset++) {
		uint64_t before = f->exits.refused;
		uint64_t value = reg_read(f, offset, 8);

		if (f->exits.refused == before) {
			registers++;
			continue;
		}
		assert_int_equal(value, UINT64_MAX);
		reg_write(f, offset, 8, 0x55);
		refused += 2;
	}
	assert_int_equal(registers, 9);
	assert_int_equal(f->exits.refused, refused);
	assert_int_equal(f->exits.rings, 0);
	assert_int_equal(f->exits.scratch, 0);
}

static void the_devices_own_registers_cannot_be_written(void **state)
{
	static const uint64_t own[] = {REG(id), REG(rings), REG(raised), REG(acked), REG(mirror)};
	struct forms *f = *state;

	for (unsigned i = 0; i < 5; i++) {
		uint64_t before = reg_read(f, own[i], 8);

		reg_write(f, own[i], 8, ~before);
		assert_int_equal(reg_read(f, own[i], 8), before);
	}
	assert_int_equal(f->exits.refused, 5);
}

/* ---- by a shared page ---- */

static unsigned poll_twin(struct forms *f)
{
	return f->twin.poller.poll(f->twin.poller.ctx);
}

static void an_untouched_page_is_no_work(void **state)
{
	struct forms *f = *state;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(poll_twin(f), 0);
	assert_int_equal(page.regs.id, SX_TESTDEV_ID_VALUE);
	assert_int_equal(f->twin.restored, 0);
	assert_int_equal(f->irq[1].raised, 0);
}

static void each_word_the_guest_writes_is_one_event(void **state)
{
	struct forms *f = *state;

	page.regs.scratch = 11;
	assert_int_equal(poll_twin(f), 1);
	assert_int_equal(page.regs.mirror, 11);
	page.regs.doorbell = 5;
	page.regs.ack = 6;
	assert_int_equal(poll_twin(f), 2);
	assert_int_equal(page.regs.rings, 1);
	assert_int_equal(page.regs.acked, 6);
	page.regs.raise = 77;
	assert_int_equal(poll_twin(f), 1);
	assert_int_equal(page.regs.raised, 77);
	assert_int_equal(f->irq[1].raised, 1);
	/* Nothing new: nothing done. */
	assert_int_equal(poll_twin(f), 0);
	assert_int_equal(f->irq[1].raised, 1);
	assert_int_equal(f->twin.restored, 0);
}

static void an_equal_value_again_is_no_event(void **state)
{
	struct forms *f = *state;

	page.regs.doorbell = 1;
	poll_twin(f);
	page.regs.doorbell = 1;
	assert_int_equal(poll_twin(f), 0);
	page.regs.doorbell = 0;
	assert_int_equal(poll_twin(f), 1);
	assert_int_equal(page.regs.rings, 2);
}

static void what_the_guest_writes_over_the_devices_words_is_put_back(void **state)
{
	uint64_t *own[] = {&page.regs.id, &page.regs.rings, &page.regs.raised, &page.regs.acked,
			   &page.regs.mirror};
	struct forms *f = *state;
	struct sx_testdev_regs good;

	page.regs.scratch = 1;
	page.regs.doorbell = 2;
	page.regs.raise = 3;
	page.regs.ack = 4;
	poll_twin(f);
	good = page.regs;
	for (unsigned i = 0; i < 5; i++) {
		*own[i] ^= 1ull << (i * 11);
		assert_int_equal(poll_twin(f), 0);
		assert_memory_equal(&page.regs, &good, sizeof(good));
		assert_int_equal(f->twin.restored, i + 1);
	}
	/* All of them at once. */
	memset(&page.regs.id, 0xff, 5 * sizeof(uint64_t));
	assert_int_equal(poll_twin(f), 0);
	assert_memory_equal(&page.regs, &good, sizeof(good));
	assert_int_equal(f->twin.restored, 10);
	assert_int_equal(f->irq[1].raised, 1);
}

static void a_forged_answer_does_not_spoil_the_real_one(void **state)
{
	struct forms *f = *state;

	/* In one go, so that the device sees both at once. */
	page.regs.doorbell = 1;
	page.regs.rings = 1000;
	page.regs.scratch = 9;
	page.regs.mirror = 9;
	assert_int_equal(poll_twin(f), 2);
	assert_int_equal(page.regs.rings, 1);
	assert_int_equal(page.regs.mirror, 9);
	assert_int_equal(f->twin.restored, 2);
}

static void the_rest_of_the_page_is_the_guests(void **state)
{
	struct forms *f = *state;

	memset(page.bytes + sizeof(struct sx_testdev_regs), 0xaa,
	       SX_TESTDEV_SIZE - sizeof(struct sx_testdev_regs));
	memset(page.regs.pad, 0xaa, sizeof(page.regs.pad));
	assert_int_equal(poll_twin(f), 0);
	assert_int_equal(f->twin.restored, 0);
	assert_int_equal(page.regs.pad[7], 0xaa);
	assert_int_equal(page.bytes[SX_TESTDEV_SIZE - 1], 0xaa);
}

/* The twin of a VM that went to trap mode and comes back. */
static void a_page_resumes_where_the_exits_left_off(void **state)
{
	struct forms *f = *state;
	struct sx_testdev *dev = &f->twin.dev;

	page.regs.scratch = 1;
	page.regs.doorbell = 2;
	page.regs.raise = 3;
	page.regs.ack = 4;
	poll_twin(f);
	sx_testdev_bus_ops.write(dev, REG(scratch), 8, 10);
	sx_testdev_bus_ops.write(dev, REG(doorbell), 8, 11);
	sx_testdev_bus_ops.write(dev, REG(raise), 8, 12);
	sx_testdev_bus_ops.write(dev, REG(ack), 8, 13);
	sx_testdev_page_resume(&f->twin);
	assert_int_equal(poll_twin(f), 0);
	assert_int_equal(f->twin.restored, 0);
	assert_int_equal(page.regs.scratch, 10);
	assert_int_equal(page.regs.mirror, 10);
	assert_int_equal(page.regs.rings, 2);
	assert_int_equal(page.regs.raised, 12);
	assert_int_equal(page.regs.acked, 13);
	assert_int_equal(dev->scratch, 10);
	assert_int_equal(dev->acked, 13);
	assert_int_equal(f->irq[1].raised, 2);
}

/* ---- by a ring ---- */

static struct sx_cell *publish(struct forms *f, uint16_t op, uint64_t w0, uint64_t w1)
{
	struct sx_cell *cell = sx_producer_cell(&f->producer, f->producer.next);

	assert_true(sx_producer_room(&f->producer, 1) > 0);
	cell->op = op;
	cell->arg = 0x5555;
	for (unsigned i = 0; i < SX_CELL_WORDS; i++)
		cell->w[i] = w1;
	cell->w[0] = w0;
	sx_producer_publish(&f->producer);
	return cell;
}

/* Send one message; returns its cell after it was served. */
static struct sx_cell *send(struct forms *f, uint16_t op, uint64_t w0, uint64_t w1)
{
	struct sx_cell *cell = publish(f, op, w0, w1);

	assert_int_equal(sx_ring_server_poll(&f->server), 1);
	return cell;
}

/* The same, for an operation that replies. */
static struct sx_cell *request(struct forms *f, uint16_t op, uint64_t w0)
{
	uint32_t n = f->producer.next;
	struct sx_cell *cell = send(f, op, w0, 0);

	assert_true(sx_producer_replied(&f->producer, n));
	return cell;
}

/* And for one that does not. */
static void post(struct forms *f, uint16_t op, uint64_t w0, uint64_t w1)
{
	uint32_t n = f->producer.next;

	send(f, op, w0, w1);
	assert_false(sx_producer_replied(&f->producer, n));
	/* The cell is as it was published. */
	assert_int_equal(sx_producer_cell(&f->producer, n)->arg, 0x5555);
}

static void an_echo_comes_back_inverted(void **state)
{
	struct sx_cell *cell = request(*state, SX_TESTDEV_ECHO, 0x0123456789abcdef);

	assert_int_equal(cell->arg, SX_TESTDEV_OK);
	assert_int_equal(cell->w[0], ~0x0123456789abcdefull);
	for (unsigned i = 1; i < SX_CELL_WORDS; i++)
		assert_int_equal(cell->w[i], UINT64_MAX);
}

static void posts_are_counted_and_summed(void **state)
{
	struct forms *f = *state;
	struct sx_cell *cell;

	for (uint64_t i = 0; i < 100; i++)
		post(f, SX_TESTDEV_POST, i, i);
	cell = request(f, SX_TESTDEV_COUNTS, 0);
	assert_int_equal(cell->arg, SX_TESTDEV_OK);
	assert_int_equal(cell->w[0], 100);
	assert_int_equal(cell->w[1], 0);
	assert_int_equal(cell->w[2], 6 * 4950);
	for (unsigned i = 3; i < SX_CELL_WORDS; i++)
		assert_int_equal(cell->w[i], 0);
}

static void posts_out_of_sequence_are_noticed(void **state)
{
	struct forms *f = *state;

	post(f, SX_TESTDEV_POST, 0, 0);
	post(f, SX_TESTDEV_POST, 2, 0); /* 1 was lost */
	post(f, SX_TESTDEV_POST, 2, 0);
	post(f, SX_TESTDEV_POST, 2, 0); /* doubled */
	assert_int_equal(request(f, SX_TESTDEV_COUNTS, 0)->w[1], 2);
}

static void a_sum_wraps_round(void **state)
{
	struct forms *f = *state;

	post(f, SX_TESTDEV_POST, 0, UINT64_MAX);
	assert_int_equal(request(f, SX_TESTDEV_COUNTS, 0)->w[2], (uint64_t)-6);
}

static void raising_by_a_post_raises(void **state)
{
	struct forms *f = *state;

	post(f, SX_TESTDEV_RAISE, 0xc00c1e, 0);
	assert_int_equal(f->irq[2].raised, 1);
	assert_int_equal(request(f, SX_TESTDEV_COUNTS, 0)->w[4], 0xc00c1e);
	assert_int_equal(f->ring.posts, 0);
}

static void a_turn_raises_one_interrupt_however_many_are_asked_for(void **state)
{
	const unsigned cells = 1u << RING_ORDER;
	struct forms *f = *state;

	for (uint64_t cookie = 1; cookie <= cells; cookie++)
		publish(f, SX_TESTDEV_RAISE, cookie, 0);
	assert_int_equal(f->irq[2].raised, 0);
	assert_int_equal(sx_ring_server_poll(&f->server), cells);
	assert_int_equal(f->irq[2].raised, 1);
	assert_int_equal(f->ring.raised, cells);
	assert_int_equal(sx_ring_server_poll(&f->server), 0);
	assert_int_equal(f->irq[2].raised, 1);
	/* It is asked for anew after that, and else it is not raised. */
	post(f, SX_TESTDEV_POST, 0, 0);
	assert_int_equal(f->irq[2].raised, 1);
	post(f, SX_TESTDEV_RAISE, 7, 0);
	assert_int_equal(f->irq[2].raised, 2);
	/* On the page: as many as there were looks at it. */
	for (uint64_t cookie = 1; cookie <= 60; cookie++) {
		page.regs.raise = cookie;
		if (cookie % 20 == 0)
			poll_twin(f);
	}
	assert_int_equal(f->irq[1].raised, 3);
	assert_int_equal(page.regs.raised, 60);
}

static void unknown_operations_are_refused(void **state)
{
	static const uint16_t bad[] = {0, 5, 6, 0x100, 0x8001, 0xffff};
	struct forms *f = *state;

	for (unsigned i = 0; i < 6; i++) {
		struct sx_cell *cell = request(f, bad[i], 0xdead);

		assert_int_equal(cell->arg, SX_TESTDEV_BAD_OP);
		for (unsigned w = 0; w < SX_CELL_WORDS; w++)
			assert_int_equal(cell->w[w], 0);
	}
	assert_int_equal(f->ring.refused, 6);
	assert_false(f->server.refused);
	/* The next honest one is served. */
	assert_int_equal(request(f, SX_TESTDEV_ECHO, 0)->arg, SX_TESTDEV_OK);
}

/* ---- together ---- */

static void exits_and_page_agree_on_every_script(void **state)
{
	static const uint64_t guests[] = {REG(scratch), REG(doorbell), REG(raise), REG(ack)};
	static const uint64_t own[] = {REG(id), REG(rings), REG(raised), REG(acked), REG(mirror)};
	struct forms *f = *state;
	uint64_t x = 88172645463325252ull;

	for (unsigned step = 1; step <= 5000; step++) {
		uint64_t offset, value;

		/* A xorshift generator: the same script in every run. */
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		offset = guests[x % 4];
		/* Never the same value twice in a row: the page would not notice. */
		value = x << 16 | step;
		reg_write(f, offset, 8, value);
		memcpy(page.bytes + offset, &value, 8);
		assert_int_equal(poll_twin(f), 1);
		for (unsigned i = 0; i < 5; i++) {
			memcpy(&value, page.bytes + own[i], 8);
			assert_int_equal(reg_read(f, own[i], 8), value);
		}
	}
	assert_int_equal(f->irq[0].raised, f->irq[1].raised);
	assert_true(f->irq[0].raised > 1000);
	assert_int_equal(f->exits.refused, 0);
	assert_int_equal(f->twin.restored, 0);
}

static void all_three_raise_the_same_interrupts(void **state)
{
	struct forms *f = *state;

	for (uint64_t cookie = 1; cookie <= 50; cookie++) {
		reg_write(f, REG(raise), 8, cookie);
		page.regs.raise = cookie;
		poll_twin(f);
		post(f, SX_TESTDEV_RAISE, cookie, 0);
		assert_int_equal(reg_read(f, REG(raised), 8), cookie);
		assert_int_equal(page.regs.raised, cookie);
		assert_int_equal(request(f, SX_TESTDEV_COUNTS, 0)->w[4], cookie);
	}
	for (unsigned i = 0; i < 3; i++) {
		uint64_t pending = 0;

		assert_int_equal(f->irq[i].raised, 50);
		assert_int_equal(read(f->irq[i].fd, &pending, sizeof(pending)), sizeof(pending));
		assert_int_equal(pending, 50);
	}
}

static void interrupts_that_cannot_be_raised_are_counted(void **state)
{
	const uint64_t most = UINT64_MAX - 1;
	struct forms *f = *state;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(write(f->irq[i].fd, &most, sizeof(most)), sizeof(most));
	reg_write(f, REG(raise), 8, 1);
	page.regs.raise = 1;
	poll_twin(f);
	post(f, SX_TESTDEV_RAISE, 1, 0);
	assert_int_equal(f->exits.irq_failures, 1);
	assert_int_equal(f->twin.dev.irq_failures, 1);
	assert_int_equal(f->ring.irq_failures, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(f->irq[i].raised, 0);
}

static void without_an_interrupt_raising_only_leaves_the_cookie(void **state)
{
	struct forms *f = *state;

	f->exits.irq = f->twin.dev.irq = f->ring.irq = NULL;
	reg_write(f, REG(raise), 8, 3);
	page.regs.raise = 3;
	poll_twin(f);
	post(f, SX_TESTDEV_RAISE, 3, 0);
	assert_int_equal(reg_read(f, REG(raised), 8), 3);
	assert_int_equal(page.regs.raised, 3);
	assert_int_equal(f->ring.raised, 3);
	assert_int_equal(f->exits.irq_failures + f->ring.irq_failures, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(registers_start_empty_and_know_their_id),
		CASE(other_sizes_are_refused),
		CASE(offsets_between_and_behind_registers_are_refused),
		CASE(the_devices_own_registers_cannot_be_written),
		CASE(an_untouched_page_is_no_work),
		CASE(each_word_the_guest_writes_is_one_event),
		CASE(an_equal_value_again_is_no_event),
		CASE(what_the_guest_writes_over_the_devices_words_is_put_back),
		CASE(a_forged_answer_does_not_spoil_the_real_one),
		CASE(the_rest_of_the_page_is_the_guests),
		CASE(a_page_resumes_where_the_exits_left_off),
		CASE(an_echo_comes_back_inverted),
		CASE(a_turn_raises_one_interrupt_however_many_are_asked_for),
		CASE(posts_are_counted_and_summed),
		CASE(posts_out_of_sequence_are_noticed),
		CASE(a_sum_wraps_round),
		CASE(raising_by_a_post_raises),
		CASE(unknown_operations_are_refused),
		CASE(exits_and_page_agree_on_every_script),
		CASE(all_three_raise_the_same_interrupts),
		CASE(interrupts_that_cannot_be_raised_are_counted),
		CASE(without_an_interrupt_raising_only_leaves_the_cookie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
