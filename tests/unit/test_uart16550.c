// SPDX-License-Identifier: BSD-3-Clause
/*
 * The UART's registers, its FIFOs, its line and its loopback.
 */
#include "ipc/wire/boot.h"
#include "tests/support/uart.h"

/* ---- registers ---- */

static void after_reset_the_registers_are_as_the_data_sheet_says(void **state)
{
	struct world *w = *state;

	assert_int_equal(in(w, IER), 0);
	assert_int_equal(in(w, IIR), 0x01);
	assert_int_equal(in(w, LCR), 0);
	assert_int_equal(in(w, MCR), 0);
	assert_int_equal(in(w, LSR), LSR_IDLE);
	/* A terminal is there, and nothing has changed. */
	assert_int_equal(in(w, MSR), 0xb0);
	assert_int_equal(in(w, DATA), 0);
	assert_int_equal(w->irq.raised, 0);
}

static void it_sits_at_its_eight_ports(void **state)
{
	struct world *w = *state;

	assert_int_equal(w->uart.range.space, SX_BUS_PIO);
	assert_int_equal(w->uart.range.base, SX_PORT_UART);
	assert_int_equal(w->uart.range.size, 8);
}

static void the_scratch_and_line_control_registers_keep_every_value(void **state)
{
	struct world *w = *state;

	for (unsigned v = 0; v < 256; v++) {
		out(w, SCR, v);
		out(w, LCR, v);
		assert_int_equal(in(w, SCR), v);
		assert_int_equal(in(w, LCR), v);
	}
}

static void unused_bits_of_ier_and_mcr_read_zero(void **state)
{
	struct world *w = *state;

	out(w, IER, 0xff);
	out(w, MCR, 0xff);
	assert_int_equal(in(w, IER), 0x0f);
	assert_int_equal(in(w, MCR), 0x1f);
}

static void the_divisor_latch_hides_data_and_interrupt_enable(void **state)
{
	struct world *w = *state;

	out(w, IER, 0x05);
	out(w, LCR, 0x83);
	/* A divisor a guest may divide by is there from the start. */
	assert_int_equal(in(w, DATA) | in(w, IER) << 8, 12);
	out(w, DATA, 0x01);
	out(w, IER, 0x02);
	assert_int_equal(in(w, DATA), 0x01);
	assert_int_equal(in(w, IER), 0x02);
	out(w, LCR, 0x03);
	assert_int_equal(in(w, IER), 0x05);
	want_output(w, "");
	assert_int_equal(w->uart.bytes_out, 0);
}

/* ---- refusals ---- */

static void wider_accesses_are_refused(void **state)
{
	static const unsigned sizes[] = {2, 3, 4, 8};
	struct world *w = *state;

	type(w, "x");
	for (unsigned i = 0; i < 4; i++)
		for (unsigned reg = 0; reg < 8; reg++) {
			assert_int_equal(in_sized(w, reg, sizes[i]), sx_bus_all_ones(sizes[i]));
			w->uart.range.ops->write(&w->uart, reg, sizes[i], 0x4141414141414141);
		}
	assert_int_equal(w->uart.refused, 4 * 8 * 2);
	want_output(w, "");
	assert_int_equal(in(w, SCR), 0);
	assert_int_equal(in(w, LCR), 0);
	assert_int_equal(in(w, DATA), 'x');
}

static void line_and_modem_status_cannot_be_written(void **state)
{
	struct world *w = *state;

	out(w, LSR, 0x1f);
	out(w, MSR, 0xff);
	assert_int_equal(w->uart.refused, 2);
	assert_int_equal(in(w, LSR), LSR_IDLE);
	assert_int_equal(in(w, MSR), 0xb0);
}

static void values_are_cut_to_a_byte(void **state)
{
	struct world *w = *state;

	out(w, SCR, 0xffffffffffffff12);
	out(w, DATA, 0xffffffffffffff00 | 'k');
	assert_int_equal(in(w, SCR), 0x12);
	want_output(w, "k");
}

/* ---- output ---- */

static void bytes_written_come_out_in_order(void **state)
{
	struct world *w = *state;

	for (const char *c = "splitx\n"; *c; c++)
		out(w, DATA, (uint8_t)*c);
	want_output(w, "splitx\n");
	assert_int_equal(w->uart.bytes_out, 7);
	assert_int_equal(w->uart.overruns, 0);
}

static void a_guest_that_waits_for_thre_loses_nothing(void **state)
{
	struct world *w = *state;
	unsigned sent = 0;

	out(w, FCR, 0x01);
	while (in(w, LSR) & 0x20)
		for (unsigned i = 0; i < SX_UART_FIFO; i++, sent++)
			out(w, DATA, sent);
	/* All that fits whole FIFOs went out, and the guest was stopped there. */
	assert_int_equal(sent, SX_BYTE_QUEUE_SIZE);
	assert_int_equal(w->uart.overruns, 0);
	for (unsigned i = 0; i < sent; i++) {
		uint8_t byte;

		assert_int_equal(sx_byte_queue_pull(&w->out, &byte, 1), 1);
		assert_int_equal(byte, (uint8_t)i);
		/* THRE comes back with room for a whole FIFO, and not before. */
		assert_int_equal(in(w, LSR), i + 1 < SX_UART_FIFO ? 0 : LSR_IDLE);
	}
}

static void one_that_does_not_wait_loses_bytes_and_they_are_counted(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < SX_BYTE_QUEUE_SIZE + 100; i++)
		out(w, DATA, 'a');
	assert_int_equal(w->uart.bytes_out, SX_BYTE_QUEUE_SIZE);
	assert_int_equal(w->uart.overruns, 100);
	assert_int_equal(sx_byte_queue_waiting(&w->out), SX_BYTE_QUEUE_SIZE);
}

static void clearing_the_transmit_fifo_takes_back_nothing_that_was_sent(void **state)
{
	struct world *w = *state;

	out(w, FCR, 0x01);
	out(w, DATA, 'a');
	out(w, FCR, 0x05);
	out(w, FCR, 0x00);
	want_output(w, "a");
}

/* ---- input ---- */

static void bytes_typed_are_read_in_order(void **state)
{
	struct world *w = *state;

	type(w, "ls\n");
	for (const char *c = "ls\n"; *c; c++) {
		assert_int_equal(in(w, LSR), LSR_IDLE | 0x01);
		assert_int_equal(in(w, DATA), *c);
	}
	assert_int_equal(in(w, LSR), LSR_IDLE);
	assert_int_equal(w->uart.bytes_in, 3);
}

static void reading_without_data_gives_zero_and_counts_nothing(void **state)
{
	struct world *w = *state;

	assert_int_equal(in(w, DATA), 0);
	assert_int_equal(w->uart.bytes_in, 0);
	type(w, "a");
	assert_int_equal(in(w, DATA), 'a');
}

static void clearing_the_receive_fifo_keeps_what_is_still_on_the_wire(void **state)
{
	struct world *w = *state;

	type(w, "boot");
	out(w, FCR, 0x07);
	out(w, FCR, 0x00);
	assert_int_equal(in(w, DATA), 'b');
	assert_int_equal(in(w, DATA), 'o');
}

/* ---- FIFOs ---- */

static void iir_tells_whether_the_fifos_are_on(void **state)
{
	struct world *w = *state;

	out(w, FCR, 0x01);
	assert_int_equal(in(w, IIR), 0xc1);
	/* Without ENABLE the rest is not taken, and the FIFOs go off. */
	out(w, FCR, 0xc6);
	assert_int_equal(in(w, IIR), 0x01);
}

static void the_trigger_level_decides_between_data_and_time_out(void **state)
{
	static const struct {
		uint8_t fcr;
		unsigned level;
	} t[] = {{0x01, 1}, {0x41, 4}, {0x81, 8}, {0xc1, 14}};
	struct world *w = *state;

	out(w, IER, 0x01);
	for (unsigned i = 0; i < 4; i++) {
		out(w, FCR, t[i].fcr);
		for (unsigned n = 1; n <= SX_UART_FIFO; n++) {
			type(w, "x");
			assert_int_equal(in(w, IIR), n < t[i].level ? 0xcc : 0xc4);
		}
		for (unsigned n = 0; n < SX_UART_FIFO; n++)
			in(w, DATA);
		assert_int_equal(in(w, IIR), 0xc1);
	}
	/* Without FIFOs there is no time-out (8.5): a byte is there or is not. */
	out(w, FCR, 0x00);
	type(w, "x");
	assert_int_equal(in(w, IIR), 0x04);
}

/* ---- loopback ---- */

static void loopback_returns_what_is_sent_and_nothing_gets_out(void **state)
{
	struct world *w = *state;

	out(w, FCR, 0x01);
	out(w, MCR, 0x10);
	type(w, "typed");
	assert_int_equal(in(w, LSR), LSR_IDLE);
	for (const char *c = "echo"; *c; c++)
		out(w, DATA, (uint8_t)*c);
	for (const char *c = "echo"; *c; c++)
		assert_int_equal(in(w, DATA), *c);
	assert_int_equal(in(w, LSR), LSR_IDLE);
	want_output(w, "");
	/* The wire is connected again. */
	out(w, MCR, 0x00);
	assert_int_equal(in(w, DATA), 't');
}

static void too_much_in_loopback_is_an_overrun(void **state)
{
	struct world *w = *state;

	out(w, MCR, 0x10);
	out(w, FCR, 0x01);
	for (unsigned i = 0; i < SX_UART_FIFO + 1; i++)
		out(w, DATA, i);
	/* OE is told once; the FIFO keeps the older bytes. */
	assert_int_equal(in(w, LSR), LSR_IDLE | 0x03);
	assert_int_equal(in(w, LSR), LSR_IDLE | 0x01);
	for (unsigned i = 0; i < SX_UART_FIFO; i++)
		assert_int_equal(in(w, DATA), i);
	assert_int_equal(in(w, LSR), LSR_IDLE);
	/* Without FIFOs there is one byte, and the last one wins. */
	out(w, FCR, 0x00);
	out(w, DATA, 'a');
	out(w, DATA, 'b');
	assert_int_equal(in(w, LSR), LSR_IDLE | 0x03);
	assert_int_equal(in(w, DATA), 'b');
	assert_int_equal(in(w, LSR), LSR_IDLE);
}

static void changing_or_clearing_the_fifo_drops_looped_bytes(void **state)
{
	static const uint8_t clear[] = {0x03, 0x00, 0x01};
	struct world *w = *state;

	out(w, MCR, 0x10);
	out(w, FCR, 0x01);
	for (unsigned i = 0; i < sizeof(clear); i++) {
		out(w, DATA, 'a');
		assert_int_equal(in(w, LSR) & 0x01, 1);
		out(w, FCR, clear[i]);
		assert_int_equal(in(w, LSR) & 0x01, 0);
	}
	/* The same mode again clears nothing. */
	out(w, DATA, 'a');
	out(w, FCR, 0x01);
	assert_int_equal(in(w, DATA), 'a');
}

static void loopback_connects_modem_outputs_to_inputs(void **state)
{
	static const uint8_t pairs[][2] = {
		{0x01, 0x20}, /* DTR, DSR */
		{0x02, 0x10}, /* RTS, CTS */
		{0x04, 0x40}, /* OUT1, RI */
		{0x08, 0x80}, /* OUT2, DCD */
	};
	struct world *w = *state;

	for (unsigned i = 0; i < 4; i++) {
		out(w, MCR, 0x10 | pairs[i][0]);
		assert_int_equal(in(w, MSR) & 0xf0, pairs[i][1]);
	}
	/* Outside loopback they have no effect here. */
	out(w, MCR, 0x0f);
	assert_int_equal(in(w, MSR) & 0xf0, 0xb0);
}

static void modem_changes_are_told_once(void **state)
{
	struct world *w = *state;

	/* DSR, CTS and DCD go away. */
	out(w, MCR, 0x10);
	assert_int_equal(in(w, MSR), 0x0b);
	assert_int_equal(in(w, MSR), 0x00);
	/* A ring that begins is no change, one that ends is (8.8, TERI). */
	out(w, MCR, 0x14);
	assert_int_equal(in(w, MSR), 0x40);
	out(w, MCR, 0x10);
	assert_int_equal(in(w, MSR), 0x04);
	/* Changes add up until they are read. */
	out(w, MCR, 0x11);
	out(w, MCR, 0x10);
	assert_int_equal(in(w, MSR), 0x02);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(after_reset_the_registers_are_as_the_data_sheet_says),
		CASE(it_sits_at_its_eight_ports),
		CASE(the_scratch_and_line_control_registers_keep_every_value),
		CASE(unused_bits_of_ier_and_mcr_read_zero),
		CASE(the_divisor_latch_hides_data_and_interrupt_enable),
		CASE(wider_accesses_are_refused),
		CASE(line_and_modem_status_cannot_be_written),
		CASE(values_are_cut_to_a_byte),
		CASE(bytes_written_come_out_in_order),
		CASE(a_guest_that_waits_for_thre_loses_nothing),
		CASE(one_that_does_not_wait_loses_bytes_and_they_are_counted),
		CASE(clearing_the_transmit_fifo_takes_back_nothing_that_was_sent),
		CASE(bytes_typed_are_read_in_order),
		CASE(reading_without_data_gives_zero_and_counts_nothing),
		CASE(clearing_the_receive_fifo_keeps_what_is_still_on_the_wire),
		CASE(iir_tells_whether_the_fifos_are_on),
		CASE(the_trigger_level_decides_between_data_and_time_out),
		CASE(loopback_returns_what_is_sent_and_nothing_gets_out),
		CASE(too_much_in_loopback_is_an_overrun),
		CASE(changing_or_clearing_the_fifo_drops_looped_bytes),
		CASE(loopback_connects_modem_outputs_to_inputs),
		CASE(modem_changes_are_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
