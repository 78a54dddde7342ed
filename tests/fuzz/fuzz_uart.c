// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: a guest that does anything to the UART's ports, while the other ends of its queues come
 * and go.
 *
 * Input: a list of steps, each an enum step and what it wants. No byte may be lost uncounted,
 * doubled or change its place; what LSR promises must hold; INTR must be what IIR would say; and
 * the interrupt must be raised on each of its rising edges.
 */
#include <string.h>

#include "sidecore/uart16550.h"
#include "tests/support/fuzz_input.h"

#define MAX_STEPS 4096

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

enum step {
	WRITE, /* 2 bytes: register, value */
	READ,  /* 1 byte: register */
	WIDE,  /* 10 bytes: register and kind, size, value; an access of another size */
	SEND,  /* 1 byte: that many bytes, written to DATA */
	TYPE,  /* 1 byte: that many bytes come in */
	DRAIN, /* 1 byte: at most that many times 16 bytes are taken out */
	POLL,
	SLEEP,
	STEPS,
};

struct world {
	struct sx_byte_queue out, in;
	struct sx_irq irq;
	struct sx_uart uart;
	/* Streams: byte number n has the value n. */
	uint8_t next_out;  /* written next */
	uint8_t next_in;   /* pushed next */
	uint64_t promised; /* bytes that LSR said could be sent */
	uint64_t edges;
	/* What must have come out: a copy of what was accepted. */
	uint8_t sent[SX_BYTE_QUEUE_SIZE];
	uint64_t sent_count, taken_count;
	uint64_t typed_count;
};

static bool looping(const struct world *w)
{
	return w->uart.mcr & 0x10;
}

static bool data_is_thr(const struct world *w)
{
	return !(w->uart.lcr & 0x80);
}

/* A byte for THR is about to be written. */
static void expect_send(struct world *w, uint8_t byte)
{
	if (!data_is_thr(w) || looping(w))
		return;
	if (!sx_byte_queue_room(&w->out)) {
		/* Lost; but never after LSR has promised room. */
		fuzz_require(!w->promised);
		return;
	}
	w->sent[w->sent_count++ % SX_BYTE_QUEUE_SIZE] = byte;
	if (w->promised)
		w->promised--;
}

static void port_write(struct world *w, unsigned reg, uint8_t value)
{
	uint64_t before = w->uart.overruns, room = sx_byte_queue_room(&w->out);
	bool sends = reg == DATA && data_is_thr(w) && !looping(w);

	if (reg == DATA)
		expect_send(w, value);
	fuzz_require(w->uart.range.ops->write(&w->uart, reg, 1, value) == SX_EXIT_CONTINUE);
	fuzz_require(w->uart.overruns == before + (sends && !room));
}

static void check_data(struct world *w, uint8_t value, uint64_t in_before, unsigned looped_before)
{
	if (!data_is_thr(w)) {
		fuzz_require(value == w->uart.dll);
		return;
	}
	if (looped_before || looping(w)) {
		fuzz_require(w->uart.bytes_in == in_before);
		return;
	}
	/* From the wire, in order, while there is any. */
	fuzz_require(w->uart.bytes_in == in_before + (in_before < w->typed_count));
	fuzz_require(value == (in_before < w->typed_count ? (uint8_t)in_before : 0));
}

static void check_status(struct world *w, uint8_t lsr)
{
	bool room = looping(w) || sx_byte_queue_room(&w->out) >= SX_UART_FIFO;
	bool ready = w->uart.looped_count || (!looping(w) && w->typed_count > w->uart.bytes_in);

	fuzz_require((lsr & 0x60) == (room ? 0x60 : 0));
	fuzz_require((lsr & 0x01) == ready);
	fuzz_require(!(lsr & 0x9c));
	if ((lsr & 0x20) && !looping(w))
		w->promised = SX_UART_FIFO;
}

static void port_read(struct world *w, unsigned reg)
{
	uint64_t value = UINT64_MAX, in_before = w->uart.bytes_in;
	unsigned looped_before = w->uart.looped_count;

	fuzz_require(w->uart.range.ops->read(&w->uart, reg, 1, &value) == SX_EXIT_CONTINUE);
	fuzz_require(value <= 0xff);
	if (reg == DATA)
		check_data(w, (uint8_t)value, in_before, looped_before);
	else if (reg == LSR)
		check_status(w, (uint8_t)value);
	else if (reg == MCR)
		fuzz_require(!(value & 0xe0));
	else if (reg == IER && data_is_thr(w))
		fuzz_require(!(value & 0xf0));
}

static void wide(struct world *w, struct fuzz_input *in)
{
	unsigned reg = (unsigned)fuzz_take(in, 1);
	unsigned size = 2 + (unsigned)fuzz_take(in, 1) % 7;
	uint64_t value = fuzz_take(in, 8), before = w->uart.refused;

	if (reg & 0x80) {
		w->uart.range.ops->write(&w->uart, reg % 8, size, value);
	} else {
		w->uart.range.ops->read(&w->uart, reg % 8, size, &value);
		fuzz_require(value == sx_bus_all_ones(size));
	}
	fuzz_require(w->uart.refused == before + 1);
}

static void type(struct world *w, unsigned count)
{
	for (; count; count--) {
		if (!sx_byte_queue_push(&w->in, &w->next_in, 1))
			return;
		w->next_in++;
		w->typed_count++;
	}
}

static void drain(struct world *w, unsigned most)
{
	uint8_t got[SX_UART_FIFO];
	uint32_t n;

	for (; most && (n = sx_byte_queue_pull(&w->out, got, sizeof(got))) != 0; most--)
		for (uint32_t i = 0; i < n; i++)
			fuzz_require(got[i] == w->sent[w->taken_count++ % SX_BYTE_QUEUE_SIZE]);
	fuzz_require(w->taken_count <= w->sent_count);
}

static void step(struct world *w, struct fuzz_input *in)
{
	unsigned reg, count;

	switch (fuzz_take(in, 1) % STEPS) {
	case WRITE:
		reg = (unsigned)fuzz_take(in, 1) % 8;
		port_write(w, reg, (uint8_t)fuzz_take(in, 1));
		break;
	case READ:
		port_read(w, (unsigned)fuzz_take(in, 1) % 8);
		break;
	case WIDE:
		wide(w, in);
		break;
	case SEND:
		for (count = (unsigned)fuzz_take(in, 1); count; count--)
			port_write(w, DATA, w->next_out++);
		break;
	case TYPE:
		type(w, (unsigned)fuzz_take(in, 1));
		break;
	case DRAIN:
		drain(w, (unsigned)fuzz_take(in, 1));
		break;
	case POLL:
		w->uart.poller.poll(w->uart.poller.ctx);
		break;
	case SLEEP:
		w->uart.poller.sleep(w->uart.poller.ctx);
		w->uart.poller.awake(w->uart.poller.ctx);
		/* Nothing was left that another look would find. */
		fuzz_require(w->uart.poller.poll(w->uart.poller.ctx) == 0);
	}
}

/* INTR is what IIR would say, by the data sheet's own table; reading it would change it. */
static void check_intr(struct world *w, bool before)
{
	const struct sx_uart *u = &w->uart;
	bool received = u->looped_count || (!looping(w) && w->typed_count > u->bytes_in);
	bool pending = ((u->ier & 0x01) && received) || ((u->ier & 0x02) && u->thre_interrupt) ||
		       ((u->ier & 0x04) && u->lsr_errors) || ((u->ier & 0x08) && (u->msr & 0x0f));

	/* Input that has just come in waits for the next poll. */
	if (u->intr != pending) {
		fuzz_require(!u->intr && (u->ier & 0x01) && received);
		return;
	}
	w->edges += pending && !before;
}

static void close_world(struct world *w)
{
	sx_byte_queue_destroy(&w->out);
	sx_byte_queue_destroy(&w->in);
	sx_irq_destroy(&w->irq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct fuzz_input in = {data, length};
	static struct world w;

	memset(&w, 0, sizeof(w));
	if (sx_byte_queue_init(&w.out, NULL) || sx_byte_queue_init(&w.in, NULL) ||
	    sx_irq_init(&w.irq, NULL))
		abort();
	sx_uart_init(&w.uart, &w.out, &w.in, &w.irq);
	for (unsigned i = 0; i < MAX_STEPS && in.left; i++) {
		bool before = w.uart.intr;

		step(&w, &in);
		check_intr(&w, before);
	}
	drain(&w, UINT32_MAX);
	fuzz_require(w.taken_count == w.sent_count);
	fuzz_require(w.uart.bytes_out == w.sent_count);
	fuzz_require(w.irq.raised >= w.edges && w.uart.irq_failures == 0);
	close_world(&w);
	return 0;
}
