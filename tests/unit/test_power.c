// SPDX-License-Identifier: BSD-3-Clause
/*
 * Power and reset registers: what ends a guest, and what does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sidecore/power.h"

#define OFF_TYPE 5
#define OFF      (1u << 5 | OFF_TYPE << 2)
#define RESET    1

static struct sx_power made(void)
{
	struct sx_power p;

	sx_power_init(&p, 0x600, 0x64, OFF_TYPE, RESET);
	return p;
}

static int store(struct sx_power *p, uint64_t offset, unsigned size, uint64_t value)
{
	return p->range.ops->write(p, offset, size, value);
}

static int press(struct sx_power *p, unsigned size, uint64_t value)
{
	return p->keyboard.ops->write(p, 0, size, value);
}

static void sleeping_in_s5_switches_off(void **state)
{
	struct sx_power p = made();

	(void)state;
	assert_int_equal(store(&p, 0, 1, OFF), SX_EXIT_STOP);
	assert_int_equal(p.end, SX_POWER_OFF);
}

static void the_reset_register_resets(void **state)
{
	struct sx_power p = made();

	(void)state;
	assert_int_equal(store(&p, 2, 1, RESET), SX_EXIT_STOP);
	assert_int_equal(p.end, SX_POWER_RESET);
}

static void the_keyboard_controller_resets(void **state)
{
	struct sx_power p = made();

	(void)state;
	assert_int_equal(press(&p, 1, 0xfe), SX_EXIT_STOP);
	assert_int_equal(p.end, SX_POWER_RESET);
}

static void all_else_is_ignored(void **state)
{
	struct sx_power p = made();

	(void)state;
	assert_int_equal(store(&p, 0, 1, OFF_TYPE << 2), SX_EXIT_CONTINUE); /* not enabled */
	assert_int_equal(store(&p, 0, 1, 1u << 5 | 3 << 2), SX_EXIT_CONTINUE);
	assert_int_equal(store(&p, 0, 2, OFF), SX_EXIT_CONTINUE);
	assert_int_equal(store(&p, 2, 1, RESET + 1), SX_EXIT_CONTINUE);
	assert_int_equal(store(&p, 2, 4, RESET), SX_EXIT_CONTINUE);
	assert_int_equal(press(&p, 1, 0xff), SX_EXIT_CONTINUE);
	assert_int_equal(press(&p, 2, 0xfe), SX_EXIT_CONTINUE);
	assert_int_equal(p.refused, 7);
	assert_int_equal(p.end, SX_POWER_ON);
}

static void the_status_may_be_cleared(void **state)
{
	struct sx_power p = made();

	(void)state;
	assert_int_equal(store(&p, 1, 1, 0x80), SX_EXIT_CONTINUE);
	assert_int_equal(p.refused, 0);
	assert_int_equal(p.end, SX_POWER_ON);
}

static void registers_read_as_zero(void **state)
{
	struct sx_power p = made();
	uint64_t value = 99;

	(void)state;
	for (uint64_t offset = 0; offset < p.range.size; offset++) {
		assert_int_equal(p.range.ops->read(&p, offset, 1, &value), SX_EXIT_CONTINUE);
		assert_int_equal(value, 0);
	}
	assert_int_equal(p.keyboard.ops->read(&p, 0, 1, &value), SX_EXIT_CONTINUE);
	assert_int_equal(value, 0);
	assert_int_equal(p.refused, 0);
	assert_int_equal(p.range.ops->read(&p, 0, 2, &value), SX_EXIT_CONTINUE);
	assert_int_equal(value, 0xffff);
	assert_int_equal(p.refused, 1);
}

static void the_first_end_counts(void **state)
{
	struct sx_power p = made();

	(void)state;
	assert_int_equal(store(&p, 2, 1, RESET), SX_EXIT_STOP);
	assert_int_equal(store(&p, 0, 1, OFF), SX_EXIT_STOP);
	assert_int_equal(p.end, SX_POWER_RESET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sleeping_in_s5_switches_off),
		cmocka_unit_test(the_reset_register_resets),
		cmocka_unit_test(the_keyboard_controller_resets),
		cmocka_unit_test(all_else_is_ignored),
		cmocka_unit_test(the_status_may_be_cleared),
		cmocka_unit_test(registers_read_as_zero),
		cmocka_unit_test(the_first_end_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
