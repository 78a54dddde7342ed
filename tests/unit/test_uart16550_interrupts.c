// SPDX-License-Identifier: BSD-3-Clause
/*
 * The UART's interrupts, and what Linux's 8250 driver asks of it.
 */
#include <unistd.h>

#include "tests/support/uart.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
