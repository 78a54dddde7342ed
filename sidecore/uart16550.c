// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sections are those of the PC16550D data sheet (National Semiconductor TL/C/8652, June 1995).
 */
#include "sidecore/uart16550.h"

#include <string.h>

#include "ipc/wire/boot.h"

/* Offsets (8.0, Table II). */
enum reg {
	REG_DATA = 0, /* RBR, THR; DLL when LCR.DLAB */
	REG_IER = 1,  /* DLM when LCR.DLAB */
	REG_IIR = 2,  /* FCR when written */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,
};

enum ier {
	IER_RECEIVED = 0x01,
	IER_THRE = 0x02,
	IER_LINE = 0x04,
	IER_MODEM = 0x08,
	IER_MASK = 0x0f, /* the others always read 0 (8.6) */
};

enum iir {
	IIR_MODEM = 0x00,
	IIR_NONE = 0x01,
	IIR_THRE = 0x02,
	IIR_RECEIVED = 0x04,
	IIR_LINE = 0x06,
	IIR_TIMEOUT = 0x0c,
	IIR_FIFOS = 0xc0, /* read 1 in FIFO mode (8.5) */
};

enum fcr {
	FCR_ENABLE = 0x01,
	FCR_CLEAR_RX = 0x02,
	FCR_TRIGGER_SHIFT = 6,
};

#define LCR_DLAB 0x80

enum mcr {
	MCR_DTR = 0x01,
	MCR_RTS = 0x02,
	MCR_OUT1 = 0x04,
	MCR_OUT2 = 0x08,
	MCR_LOOP = 0x10,
	MCR_MASK = 0x1f, /* the others always read 0 (8.7) */
};

enum lsr {
	LSR_READY = 0x01,
	LSR_OVERRUN = 0x02,
	LSR_THRE = 0x20,
	LSR_TEMT = 0x40,
};

enum msr {
	MSR_CHANGED_RI = 0x04, /* TERI: only the end of a ring counts (8.8) */
	MSR_CHANGED = 0x0f,
	MSR_CTS = 0x10,
	MSR_DSR = 0x20,
	MSR_RI = 0x40,
	MSR_DCD = 0x80,
};

/* The terminal is there, and ready. */
#define MSR_CONNECTED (MSR_CTS | MSR_DSR | MSR_DCD)

/* What firmware leaves: 9600 baud from 1.8432 MHz (8.2). Guests divide by it. */
#define DIVISOR_9600 12

/* ---- transmitter and receiver ---- */

static bool looping(const struct sx_uart *u)
{
	return u->mcr & MCR_LOOP;
}

/* A guest that sees THRE may write a whole FIFO without another look (8.11). */
static bool can_send(const struct sx_uart *u)
{
	return looping(u) || sx_byte_queue_room(u->out) >= SX_UART_FIFO;
}

static unsigned receive_depth(const struct sx_uart *u)
{
	return u->fcr & FCR_ENABLE ? SX_UART_FIFO : 1;
}

/* Bytes in the receive FIFO. In loopback mode the wire is disconnected (8.7). */
static unsigned received(const struct sx_uart *u)
{
	uint32_t n = u->looped_count;

	if (!looping(u))
		n += sx_byte_queue_waiting(u->in);
	return n < receive_depth(u) ? n : receive_depth(u);
}

/* In loopback mode what is sent is received at once (8.7). */
static void loop_back(struct sx_uart *u, uint8_t byte)
{
	if (u->looped_count == receive_depth(u)) {
		/* A full FIFO keeps what it has; without one the last byte wins (8.3, OE). */
		u->lsr_errors |= LSR_OVERRUN;
		if (!(u->fcr & FCR_ENABLE))
			u->looped[u->looped_first] = byte;
		return;
	}
	u->looped[(u->looped_first + u->looped_count) % SX_UART_FIFO] = byte;
	u->looped_count++;
}

static void send(struct sx_uart *u, uint8_t byte)
{
	/* A write to THR takes the interrupt back (8.5). */
	u->thre_interrupt = false;
	u->sent = true;
	if (looping(u))
		loop_back(u, byte);
	else if (sx_byte_queue_push(u->out, &byte, 1))
		u->bytes_out++;
	else
		u->overruns++;
}

static uint8_t receive(struct sx_uart *u)
{
	uint8_t byte = 0;

	if (u->looped_count) {
		byte = u->looped[u->looped_first];
		u->looped_first = (u->looped_first + 1) % SX_UART_FIFO;
		u->looped_count--;
	} else if (!looping(u)) {
		u->bytes_in += sx_byte_queue_pull(u->in, &byte, 1);
	}
	return byte;
}

static uint8_t line_status(struct sx_uart *u)
{
	uint8_t lsr = u->lsr_errors;

	/* Reading LSR clears its errors (8.3). */
	u->lsr_errors = 0;
	if (received(u))
		lsr |= LSR_READY;
	if (can_send(u))
		lsr |= LSR_THRE | LSR_TEMT;
	return lsr;
}

static void control_fifos(struct sx_uart *u, uint8_t value)
{
	bool toggled = (value ^ u->fcr) & FCR_ENABLE;

	/*
	 * Changing the mode clears the FIFOs (8.4). What is in the queues stays: output has left
	 * already, input has not come yet. The trigger level is only taken together with ENABLE.
	 */
	if (toggled || ((value & FCR_ENABLE) && (value & FCR_CLEAR_RX)))
		u->looped_count = 0;
	u->fcr = value & FCR_ENABLE ? value : 0;
}

/* ---- modem lines ---- */

/* Loopback connects the modem outputs to its inputs (8.7). */
static uint8_t modem_inputs(const struct sx_uart *u)
{
	uint8_t lines = 0;

	if (!looping(u))
		return MSR_CONNECTED;
	if (u->mcr & MCR_RTS)
		lines |= MSR_CTS;
	if (u->mcr & MCR_DTR)
		lines |= MSR_DSR;
	if (u->mcr & MCR_OUT1)
		lines |= MSR_RI;
	if (u->mcr & MCR_OUT2)
		lines |= MSR_DCD;
	return lines;
}

static void control_modem(struct sx_uart *u, uint8_t value)
{
	uint8_t before = u->msr, lines, changed;

	u->mcr = value & MCR_MASK;
	lines = modem_inputs(u);
	changed = (uint8_t)((before ^ lines) >> 4);
	/* Of RI only its going away is a change (8.8). */
	if (lines & MSR_RI)
		changed &= (uint8_t)~MSR_CHANGED_RI;
	u->msr = (uint8_t)(lines | (before & MSR_CHANGED) | changed);
}

static uint8_t modem_status(struct sx_uart *u)
{
	uint8_t msr = u->msr;

	/* Reading MSR clears the changes (8.8). */
	u->msr &= (uint8_t)~MSR_CHANGED;
	return msr;
}

/* ---- interrupts ---- */

static enum iir receive_interrupt(const struct sx_uart *u)
{
	static const uint8_t trigger[] = {1, 4, 8, 14}; /* 8.4 */
	unsigned n = received(u);

	if (!n)
		return IIR_NONE;
	/*
	 * Below the trigger level the time-out tells of the rest after four characters' time
	 * (8.10); here nothing more is on the wire, so that time is over at once.
	 */
	if ((u->fcr & FCR_ENABLE) && n < trigger[u->fcr >> FCR_TRIGGER_SHIFT])
		return IIR_TIMEOUT;
	return IIR_RECEIVED;
}

/* The pending interrupt of the highest priority (8.5). */
static enum iir source(const struct sx_uart *u)
{
	enum iir rx = u->ier & IER_RECEIVED ? receive_interrupt(u) : IIR_NONE;

	if ((u->ier & IER_LINE) && u->lsr_errors)
		return IIR_LINE;
	if (rx != IIR_NONE)
		return rx;
	if ((u->ier & IER_THRE) && u->thre_interrupt)
		return IIR_THRE;
	if ((u->ier & IER_MODEM) && (u->msr & MSR_CHANGED))
		return IIR_MODEM;
	return IIR_NONE;
}

/* The transmit FIFO has run empty when the other end has taken all; that interrupts (8.10). */
static void look_at_output(struct sx_uart *u)
{
	if (!u->sent || !(looping(u) || sx_byte_queue_drained(u->out)))
		return;
	u->sent = false;
	u->thre_interrupt = true;
}

/* Set INTR by what is pending now; returns 1 when it rose. After whatever may change it. */
static unsigned drive_intr(struct sx_uart *u)
{
	bool before = u->intr;

	u->intr = source(u) != IIR_NONE;
	if (before || !u->intr)
		return 0;
	if (u->irq && sx_irq_raise(u->irq) < 0)
		u->irq_failures++;
	return 1;
}

static uint8_t identify(struct sx_uart *u)
{
	enum iir id;

	look_at_output(u);
	id = source(u);
	/* Reading IIR takes a THRE interrupt back, if that is what it said (8.5). */
	if (id == IIR_THRE)
		u->thre_interrupt = false;
	return (uint8_t)(id | (u->fcr & FCR_ENABLE ? IIR_FIFOS : 0));
}

static void enable_interrupts(struct sx_uart *u, uint8_t value)
{
	/*
	 * An empty transmitter interrupts as soon as it may. Linux's 8250 driver takes a port that
	 * does not for a broken one.
	 */
	if ((value & ~u->ier & IER_THRE) && can_send(u))
		u->thre_interrupt = true;
	u->ier = value & IER_MASK;
}

/* ---- the bus ---- */

static uint8_t read_register(struct sx_uart *u, enum reg reg)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? u->dll : receive(u);
	case REG_IER:
		return dlab ? u->dlm : u->ier;
	case REG_IIR:
		return identify(u);
	case REG_LCR:
		return u->lcr;
	case REG_MCR:
		return u->mcr;
	case REG_LSR:
		return line_status(u);
	case REG_MSR:
		return modem_status(u);
	case REG_SCR:
		return u->scr;
	}
	return 0xff;
}

static void write_register(struct sx_uart *u, enum reg reg, uint8_t value)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			u->dll = value;
		else
			send(u, value);
		break;
	case REG_IER:
		if (dlab)
			u->dlm = value;
		else
			enable_interrupts(u, value);
		break;
	case REG_IIR:
		control_fifos(u, value);
		break;
	case REG_LCR:
		u->lcr = value;
		break;
	case REG_MCR:
		control_modem(u, value);
		break;
	case REG_SCR:
		u->scr = value;
		break;
	case REG_LSR: /* for the factory only (8.3) */
	case REG_MSR:
		u->refused++;
	}
}

static int port_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	struct sx_uart *u = dev;

	if (size != 1) {
		u->refused++;
		*value = sx_bus_all_ones(size);
		return SX_EXIT_CONTINUE;
	}
	*value = read_register(u, (enum reg)offset);
	drive_intr(u);
	return SX_EXIT_CONTINUE;
}

static int port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct sx_uart *u = dev;

	if (size != 1) {
		u->refused++;
		return SX_EXIT_CONTINUE;
	}
	write_register(u, (enum reg)offset, (uint8_t)value);
	drive_intr(u);
	return SX_EXIT_CONTINUE;
}

static const struct sx_bus_ops ops = {.read = port_read, .write = port_write};

/* ---- the poller ---- */

static unsigned poll_line(void *ctx)
{
	struct sx_uart *u = ctx;

	look_at_output(u);
	return drive_intr(u);
}

/* Nobody has to be told: who changes the queues kicks in any case. */
static void awake(void *ctx)
{
	(void)ctx;
}

void sx_uart_init(struct sx_uart *u, struct sx_byte_queue *out, struct sx_byte_queue *in,
		  struct sx_irq *irq)
{
	*u = (struct sx_uart){
		.range = {.name = "uart",
			  .space = SX_BUS_PIO,
			  .base = SX_PORT_UART,
			  .size = 8,
			  .ops = &ops,
			  .dev = u},
		.poller = {.name = "uart",
			   .poll = poll_line,
			   .sleep = poll_line,
			   .awake = awake,
			   .ctx = u},
		.out = out,
		.in = in,
		.irq = irq,
		.dll = DIVISOR_9600,
		.msr = MSR_CONNECTED,
	};
}
