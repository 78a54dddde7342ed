// SPDX-License-Identifier: BSD-3-Clause
/*
 * A UART with both its queues and an interrupt, and a guest's hands on its ports.
 */
#ifndef SX_TESTS_SUPPORT_UART_H
#define SX_TESTS_SUPPORT_UART_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sidecore/uart16550.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

#define LSR_IDLE 0x60 /* THRE and TEMT */

struct world {
	struct sx_byte_queue out, in;
	struct sx_irq irq;
	struct sx_uart uart;
};

static inline int set_up(void **state)
{
	static struct world w;

	if (sx_byte_queue_init(&w.out, NULL) || sx_byte_queue_init(&w.in, NULL) ||
	    sx_irq_init(&w.irq, NULL))
		return -1;
	sx_uart_init(&w.uart, &w.out, &w.in, &w.irq);
	*state = &w;
	return 0;
}

static inline int tear_down(void **state)
{
	struct world *w = *state;

	sx_byte_queue_destroy(&w->out);
	sx_byte_queue_destroy(&w->in);
	sx_irq_destroy(&w->irq);
	return 0;
}

static inline uint64_t in_sized(struct world *w, unsigned reg, unsigned size)
{
	uint64_t value = 0;

	assert_int_equal(w->uart.range.ops->read(w->uart.range.dev, reg, size, &value),
			 SX_EXIT_CONTINUE);
	return value;
}

static inline uint8_t in(struct world *w, unsigned reg)
{
	uint64_t value = in_sized(w, reg, 1);

	assert_true(value <= 0xff);
	return (uint8_t)value;
}

static inline void out(struct world *w, unsigned reg, uint64_t value)
{
	assert_int_equal(w->uart.range.ops->write(w->uart.range.dev, reg, 1, value),
			 SX_EXIT_CONTINUE);
}

static inline unsigned poll_uart(struct world *w)
{
	return w->uart.poller.poll(w->uart.poller.ctx);
}

static inline void type(struct world *w, const char *text)
{
	assert_int_equal(sx_byte_queue_push(&w->in, text, (uint32_t)strlen(text)), strlen(text));
}

/* What came out since the last call is @text. */
static inline void want_output(struct world *w, const char *text)
{
	char got[SX_BYTE_QUEUE_SIZE + 1];
	uint32_t n = sx_byte_queue_pull(&w->out, got, SX_BYTE_QUEUE_SIZE);

	got[n] = '\0';
	assert_string_equal(got, text);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
