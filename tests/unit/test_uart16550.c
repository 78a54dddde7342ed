// SPDX-License-Identifier: BSD-3-Clause
/*
 * The UART's registers, FIFOs and interrupts, and what Linux's 8250 driver asks of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/wire/boot.h"
#include "sidecore/uart16550.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

#define LSR_IDLE 0x60 /* THRE and TEMT */

struct world {
	struct sx_byte_queue out, in;
	struct sx_irq irq;
	struct sx_uart uart;
};

static int set_up(void **state)
{
	static struct world w;

	if (sx_byte_queue_init(&w.out, NULL) || sx_byte_queue_init(&w.in, NULL) ||
	    sx_irq_init(&w.irq, NULL))
		return -1;
	sx_uart_init(&w.uart, &w.out, &w.in, &w.irq);
	*state = &w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	sx_byte_queue_destroy(&w->out);
	sx_byte_queue_destroy(&w->in);
	sx_irq_destroy(&w->irq);
	return 0;
}

static uint64_t in_sized(struct world *w, unsigned reg, unsigned size)
{
	uint64_t value = 0;

	assert_int_equal(w->uart.range.ops->read(w->uart.range.dev, reg, size, &value),
			 SX_EXIT_CONTINUE);
	return value;
}

static uint8_t in(struct world *w, unsigned reg)
{
	uint64_t value = in_sized(w, reg, 1);

	assert_true(value <= 0xff);
	return (uint8_t)value;
}

static void out(struct world *w, unsigned reg, uint64_t value)
{
	assert_int_equal(w->uart.range.ops->write(w->uart.range.dev, reg, 1, value),
			 SX_EXIT_CONTINUE);
}

static unsigned poll_uart(struct world *w)
{
	return w->uart.poller.poll(w->uart.poller.ctx);
}

static void type(struct world *w, const char *text)
{
	assert_int_equal(sx_byte_queue_push(&w->in, text, (uint32_t)strlen(text)), strlen(text));
}

/* What came out since the last call is @text. */
static void want_output(struct world *w, const char *text)
{
	char got[SX_BYTE_QUEUE_SIZE + 1];
	uint32_t n = sx_byte_queue_pull(&w->out, got, SX_BYTE_QUEUE_SIZE);

	got[n] = '\0';
	assert_string_equal(got, text);
}

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

/* ---- interrupts ---- */

static void nothing_interrupts_unless_enabled(void **state)
{
	struct world *w = *state;

	type(w, "x");
	out(w, DATA, 'x');
	out(w, MCR, 0x10);
	poll_uart(w);
	assert_int_equal(in(w, IIR), 0x01);
	assert_int_equal(w->irq.raised, 0);
	assert_false(w->uart.intr);
}

static void input_interrupts_once_until_it_is_read(void **state)
{
	struct world *w = *state;

	out(w, IER, 0x01);
	assert_int_equal(poll_uart(w), 0);
	type(w, "ab");
	assert_int_equal(poll_uart(w), 1);
	assert_int_equal(poll_uart(w), 0);
	assert_int_equal(in(w, IIR), 0x04);
	in(w, DATA);
	/* Another byte is there: the pin has not fallen. */
	poll_uart(w);
	assert_int_equal(w->irq.raised, 1);
	in(w, DATA);
	assert_int_equal(in(w, IIR), 0x01);
	type(w, "c");
	assert_int_equal(poll_uart(w), 1);
	assert_int_equal(w->irq.raised, 2);
}

static void enabling_thre_on_an_empty_transmitter_interrupts_at_once(void **state)
{
	struct world *w = *state;

	/* Linux's 8250 driver takes the port for a broken one (UART_BUG_TXEN) otherwise. */
	out(w, IER, 0x02);
	assert_int_equal(w->irq.raised, 1);
	assert_int_equal(in(w, IIR), 0x02);
	/* Reading IIR took it back; enabling it again brings it again. */
	assert_int_equal(in(w, IIR), 0x01);
	out(w, IER, 0x02);
	assert_int_equal(in(w, IIR), 0x01);
	out(w, IER, 0x00);
	out(w, IER, 0x02);
	assert_int_equal(in(w, IIR), 0x02);
	assert_int_equal(w->irq.raised, 2);
}

static void thre_interrupts_when_the_output_has_drained(void **state)
{
	struct world *w = *state;

	out(w, IER, 0x02);
	in(w, IIR);
	for (unsigned i = 0; i < SX_UART_FIFO; i++)
		out(w, DATA, 'a');
	assert_int_equal(poll_uart(w), 0);
	assert_int_equal(in(w, IIR), 0x01);
	want_output(w, "aaaaaaaaaaaaaaaa");
	/* One for all 16 bytes. */
	assert_int_equal(poll_uart(w), 1);
	assert_int_equal(poll_uart(w), 0);
	assert_int_equal(w->irq.raised, 2);
	assert_int_equal(in(w, IIR), 0x02);
	poll_uart(w);
	assert_int_equal(w->irq.raised, 2);
}

static void writing_data_takes_a_thre_interrupt_back(void **state)
{
	struct world *w = *state;

	out(w, IER, 0x02);
	assert_true(w->uart.intr);
	out(w, DATA, 'a');
	assert_false(w->uart.intr);
	assert_int_equal(in(w, IIR), 0x01);
}

static void a_full_transmitter_does_not_interrupt(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < SX_BYTE_QUEUE_SIZE; i++)
		out(w, DATA, 'a');
	out(w, IER, 0x02);
	poll_uart(w);
	assert_int_equal(in(w, IIR), 0x01);
	assert_int_equal(w->irq.raised, 0);
}

static void interrupts_come_by_priority(void **state)
{
	struct world *w = *state;

	/* All four at once: an overrun in loopback, its data, THRE, modem lines. */
	out(w, FCR, 0x01);
	out(w, MCR, 0x10);
	for (unsigned i = 0; i < SX_UART_FIFO + 1; i++)
		out(w, DATA, 'a');
	out(w, IER, 0x0f);
	assert_int_equal(in(w, IIR), 0xc6);
	in(w, LSR);
	for (unsigned i = 0; i < SX_UART_FIFO; i++) {
		assert_int_equal(in(w, IIR), 0xc4);
		in(w, DATA);
	}
	assert_int_equal(in(w, IIR), 0xc2);
	assert_int_equal(in(w, IIR), 0xc0);
	in(w, MSR);
	assert_int_equal(in(w, IIR), 0xc1);
	/* The pin was high all the time: one interrupt. */
	assert_int_equal(w->irq.raised, 1);
}

static void without_an_irq_iir_still_tells(void **state)
{
	struct world *w = *state;

	sx_uart_init(&w->uart, &w->out, &w->in, NULL);
	out(w, IER, 0x03);
	assert_int_equal(in(w, IIR), 0x02);
	out(w, DATA, 'a');
	assert_int_equal(in(w, IIR), 0x01);
	want_output(w, "a");
	assert_int_equal(in(w, IIR), 0x02);
	type(w, "x");
	assert_int_equal(in(w, IIR), 0x04);
	assert_int_equal(w->uart.irq_failures, 0);
}

static void an_irq_that_cannot_be_raised_is_counted(void **state)
{
	const uint64_t most = UINT64_MAX - 1;
	struct world *w = *state;

	assert_int_equal(write(w->irq.fd, &most, sizeof(most)), sizeof(most));
	out(w, IER, 0x02);
	assert_int_equal(w->uart.irq_failures, 1);
	assert_int_equal(w->irq.raised, 0);
	/* The guest that looks finds it all the same. */
	assert_int_equal(in(w, IIR), 0x02);
}

static void before_it_sleeps_the_poller_looks_once_more(void **state)
{
	struct world *w = *state;

	out(w, IER, 0x01);
	assert_int_equal(w->uart.poller.sleep(w->uart.poller.ctx), 0);
	type(w, "x");
	assert_int_equal(w->uart.poller.sleep(w->uart.poller.ctx), 1);
	assert_int_equal(w->irq.raised, 1);
	w->uart.poller.awake(w->uart.poller.ctx);
}

/* ---- Linux ---- */

/* The steps by which the 8250 driver finds out what is there (autoconfig()). */
static void linux_takes_it_for_a_16550a(void **state)
{
	struct world *w = *state;

	/* Is there a port at all? Only the lower half of IER keeps a value. */
	out(w, IER, 0x00);
	assert_int_equal(in(w, IER) & 0x0f, 0x00);
	out(w, IER, 0x0f);
	assert_int_equal(in(w, IER) & 0x0f, 0x0f);
	out(w, IER, 0x00);
	/* Loopback of OUT2 and RTS. */
	out(w, MCR, 0x1a);
	assert_int_equal(in(w, MSR) & 0xf0, 0x90);
	out(w, MCR, 0x00);
	/* FIFOs that work, and no enhanced registers of later chips behind the divisor latch. */
	out(w, LCR, 0xbf);
	out(w, IIR, 0x00);
	out(w, LCR, 0x00);
	out(w, FCR, 0x01);
	assert_int_equal(in(w, IIR) >> 6, 3);
	out(w, LCR, 0x80);
	assert_int_not_equal(in(w, IIR), 0);
	out(w, LCR, 0xbf);
	assert_int_not_equal(in(w, IIR), 0);
	/* No FIFO of 64 bytes (TI16750), no UART unit enable (XScale). */
	out(w, LCR, 0x00);
	out(w, FCR, 0x21);
	assert_int_equal(in(w, IIR) & 0x20, 0);
	out(w, IER, 0x40);
	assert_int_equal(in(w, IER), 0x00);
}

/* serial8250_do_startup() and one buffer sent by interrupts. */
static void linux_sends_by_interrupts(void **state)
{
	static const char text[] =
		"a line that is longer than one transmit FIFO of sixteen bytes\n";
	struct world *w = *state;
	char fifo[SX_UART_FIFO + 1] = "";
	const char *next = text;
	unsigned irqs = 0;

	out(w, FCR, 0x01);
	out(w, FCR, 0x07);
	out(w, FCR, 0x00);
	in(w, LSR);
	in(w, DATA);
	in(w, IIR);
	in(w, MSR);
	out(w, LCR, 0x03);
	out(w, FCR, 0x01);
	out(w, MCR, 0x0b);
	out(w, IER, 0x05);
	assert_int_equal(w->irq.raised, 0);
	out(w, IER, 0x07);
	while (w->irq.raised > irqs) {
		irqs++;
		/* The interrupt handler, until nothing is pending. */
		while (!(in(w, IIR) & 0x01)) {
			assert_int_equal(in(w, LSR), LSR_IDLE);
			for (unsigned i = 0; i < SX_UART_FIFO && *next; i++)
				out(w, DATA, (uint8_t)*next++);
			if (!*next)
				out(w, IER, 0x05);
		}
		if (!*next)
			break;
		/* The terminal takes it; the UART notices. */
		memcpy(fifo, next - SX_UART_FIFO, SX_UART_FIFO);
		want_output(w, fifo);
		poll_uart(w);
	}
	assert_string_equal(next, "");
	want_output(w, text + (sizeof(text) - 1) / 16 * 16);
	assert_int_equal(irqs, (sizeof(text) - 1 + 15) / 16);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
		CASE(nothing_interrupts_unless_enabled),
		CASE(input_interrupts_once_until_it_is_read),
		CASE(enabling_thre_on_an_empty_transmitter_interrupts_at_once),
		CASE(thre_interrupts_when_the_output_has_drained),
		CASE(writing_data_takes_a_thre_interrupt_back),
		CASE(a_full_transmitter_does_not_interrupt),
		CASE(interrupts_come_by_priority),
		CASE(without_an_irq_iir_still_tells),
		CASE(an_irq_that_cannot_be_raised_is_counted),
		CASE(before_it_sleeps_the_poller_looks_once_more),
		CASE(linux_takes_it_for_a_16550a),
		CASE(linux_sends_by_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
