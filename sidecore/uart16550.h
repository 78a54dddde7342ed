// SPDX-License-Identifier: BSD-3-Clause
/*
 * A serial port: the register set of the PC16550D on 8 ports.
 *
 * The line is two byte queues (ipc/byte_queue.h), so the device never waits for a terminal. It
 * has no baud rate; a byte is on its way as soon as it is written. What stands for time is the
 * other end of the queues:
 *  - LSR says THRE and TEMT while a whole transmit FIFO has room in the output queue, so a guest
 *    that waits for them loses no byte. Bytes of one that does not wait are lost when the queue
 *    is full, and counted as overruns.
 *  - The THRE interrupt comes when the other end has taken all that was written: one interrupt
 *    for a FIFO's worth, not one for each byte.
 *  - Bytes in the input queue are on the wire; RBR takes them one by one, and no byte is lost
 *    there.
 */
#ifndef SX_SIDECORE_UART16550_H
#define SX_SIDECORE_UART16550_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/byte_queue.h"
#include "ipc/irq.h"
#include "sidecore/bus.h"
#include "sidecore/poller.h"

#define SX_UART_FIFO 16 /* bytes in each FIFO */

struct sx_uart {
	struct sx_bus_range range;
	/*
	 * Finds out that bytes came in or that the output drained, and interrupts; needed only
	 * with an irq. It runs where the range is served. Whoever pushes input or pulls output
	 * then calls sx_poller_kick() on it, if that sidecore may sleep.
	 */
	struct sx_poller poller;

	struct sx_byte_queue *out;
	struct sx_byte_queue *in;
	struct sx_irq *irq; /* NULL: the guest polls */
	bool intr;          /* level of the INTR pin; the irq is raised on its rising edges */

	/* Registers. */
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t lsr_errors;  /* LSR bits that reading LSR clears */
	uint8_t msr;         /* inputs in the upper half, what changed since last read below */
	bool thre_interrupt; /* pending */
	bool sent;           /* written to THR since the output was last seen drained */

	/* Receive FIFO for what the guest sends itself in loopback mode. */
	uint8_t looped[SX_UART_FIFO];
	unsigned looped_first;
	unsigned looped_count;

	/* Statistics. */
	uint64_t bytes_out;
	uint64_t bytes_in;
	uint64_t overruns;     /* bytes lost because the output queue was full */
	uint64_t refused;      /* accesses wider than a register, writes to LSR and MSR */
	uint64_t irq_failures; /* interrupts that could not be raised */
};

/*
 * A UART after master reset, at SX_PORT_UART; @u->range is for sx_bus_add(). The UART is the
 * producer of @out and the consumer of @in. @irq may be NULL.
 */
void sx_uart_init(struct sx_uart *u, struct sx_byte_queue *out, struct sx_byte_queue *in,
		  struct sx_irq *irq);

#endif
