// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the guest prints comes out as it was printed, and what is typed goes in as it was typed,
 * however slow the other side is.
 *
 * test-timeout: 300 (a busy machine)
 */
#include "tests/support/world.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/wire/types.h"
#include "tests/guests/console.h"

#define LONG (SX_BYTE_QUEUE_SIZE + 1904) /* more than the queue holds, in whole FIFOs */

static struct guest *build(struct world *w, enum test_console how, uint64_t count)
{
	struct sx_machine_config config = world_config(w, "tests/console");

	config.argument = how | count << TEST_CONSOLE_COUNT_SHIFT;
	return guest_build_as(w, &config);
}

/* The first @count bytes are those that the guest printed. */
static void check_said(const struct guest *g, size_t count)
{
	uint64_t seed = TEST_CONSOLE_SEED;

	assert_int_equal(g->length, count);
	for (size_t i = 0; i < count; i++)
		if ((uint8_t)g->said[i] != (uint8_t)test_random(&seed))
			fail_msg("byte %zu of %zu is another", i, count);
}

static void print(struct world *w, enum test_console how, uint64_t count)
{
	struct guest *g = build(w, how, count);

	assert_int_equal(guest_run(g), 0);
	check_said(g, count);
	assert_int_equal(g->m.uart.bytes_out, count);
	assert_int_equal(g->m.uart.overruns, 0);
}

static void prints_a_line(void **state)
{
	print(world_of(state), TEST_CONSOLE_PRINT, 80);
}

static void prints_more_than_the_queue_holds(void **state)
{
	print(world_of(state), TEST_CONSOLE_PRINT, LONG);
}

static void prints_by_strings(void **state)
{
	print(world_of(state), TEST_CONSOLE_STRINGS, 2ull * LONG);
}

/* The guest has filled the queue, and has looked for room in vain for some time. */
static void wait_until_stuck(const struct guest *g)
{
	const uint64_t *looks = &g->m.uart.range.reads;
	uint64_t before;

	while (sx_byte_queue_waiting(&g->m.console_out) < SX_BYTE_QUEUE_SIZE - SX_UART_FIFO)
		pause_a_little();
	before = sx_load_relaxed(looks);
	while (sx_load_relaxed(looks) < before + 200)
		pause_a_little();
}

static void waits_for_a_slow_reader(void **state)
{
	struct guest *g = build(world_of(state), TEST_CONSOLE_STRINGS, LONG);
	struct pollfd done = {.events = POLLIN};
	uint64_t seed = 31;
	struct sx_error err = {0};

	guest_start(g);
	done.fd = g->run.done_fd;
	wait_until_stuck(g);
	while (poll(&done, 1, 0) == 0) {
		guest_listen(g, test_random(&seed) % 300 + 1);
		pause_a_little();
	}
	assert_int_equal(guest_wait(g, &err), SX_VCPU_SINK);
	check_said(g, LONG);
	assert_int_equal(g->m.uart.overruns, 0);
}

static void is_stopped_while_nobody_reads(void **state)
{
	struct guest *g = build(world_of(state), TEST_CONSOLE_PRINT, LONG);
	struct sx_error err = {0};

	guest_start(g);
	wait_until_stuck(g);
	assert_int_equal(guest_stop(g, &err), SX_VCPU_STOPPED);
	while (guest_listen(g, SX_BYTE_QUEUE_SIZE))
		;
	check_said(g, g->m.uart.bytes_out);
	assert_int_equal(g->m.uart.overruns, 0);
}

/* Who does not wait for room loses what does not fit, which is counted, and no more than that. */
static void shouts_at_nobody(void **state)
{
	struct guest *g = build(world_of(state), TEST_CONSOLE_SHOUT, LONG);
	struct pollfd done = {.events = POLLIN};
	struct sx_error err = {0};

	guest_start(g);
	done.fd = g->run.done_fd;
	assert_int_equal(poll(&done, 1, -1), 1);
	assert_int_equal(guest_wait(g, &err), SX_VCPU_SINK);
	check_said(g, SX_BYTE_QUEUE_SIZE);
	assert_int_equal(g->m.uart.overruns, LONG - SX_BYTE_QUEUE_SIZE);
}

/* Type as fast as the guest takes it; hear it all back. */
static void echoes(void **state)
{
	const size_t count = SX_BYTE_QUEUE_SIZE + 400;
	struct guest *g = build(world_of(state), TEST_CONSOLE_ECHO, count);
	uint8_t *typed = malloc(count);
	uint64_t seed = TEST_CONSOLE_SEED;
	struct sx_error err = {0};
	size_t sent = 0;

	assert_non_null(typed);
	for (size_t i = 0; i < count; i++)
		typed[i] = (uint8_t)test_random(&seed);
	sent = sx_byte_queue_push(&g->m.console_in, typed, (uint32_t)count);
	assert_int_equal(sent, SX_BYTE_QUEUE_SIZE);
	guest_start(g);
	while (sent < count) {
		sent += sx_byte_queue_push(&g->m.console_in, typed + sent,
					   (uint32_t)(count - sent));
		guest_listen(g, SX_BYTE_QUEUE_SIZE);
		pause_a_little();
	}
	free(typed);
	assert_int_equal(guest_wait(g, &err), SX_VCPU_SINK);
	check_said(g, count);
	assert_int_equal(g->m.uart.bytes_in, count);
}

/*
 * Not with a sidecore that never sleeps: where that shares a core with the vCPU, each of the
 * thousands of exits waits for a time slice. What such a one does is in prints_a_line().
 */
#define TRAP_AND_SLEEP(FUNCTION) SX_CASE(FUNCTION, trap), SX_CASE(FUNCTION, sleep)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SX_CASE(prints_a_line, trap),
		SX_CASE(prints_a_line, split),
		SX_CASE(prints_a_line, split2),
		SX_CASE(prints_a_line, sleep2),
		TRAP_AND_SLEEP(prints_more_than_the_queue_holds),
		TRAP_AND_SLEEP(prints_by_strings),
		TRAP_AND_SLEEP(waits_for_a_slow_reader),
		TRAP_AND_SLEEP(is_stopped_while_nobody_reads),
		TRAP_AND_SLEEP(shouts_at_nobody),
		TRAP_AND_SLEEP(echoes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
