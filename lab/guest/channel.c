// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdint.h>
#include <sys/io.h>

#include "lab/guest/channel.h"

/* COM2, a 16550A: its registers and the bits we use. */
#define UART         0x2f8
#define UART_DATA    (UART + 0) /* the divisor's low byte while DLAB is set */
#define UART_IER     (UART + 1) /* the divisor's high byte while DLAB is set */
#define UART_FCR     (UART + 2)
#define UART_LCR     (UART + 3)
#define UART_MCR     (UART + 4)
#define UART_LSR     (UART + 5)
#define UART_PORTS   8
#define LCR_8N1      0x03
#define LCR_DLAB     0x80
#define FCR_ENABLE   0x07 /* and empty both FIFOs */
#define MCR_DTR_RTS  0x03
#define LSR_TX_EMPTY 0x20 /* the transmit FIFO is empty */
#define TX_FIFO      16

int sx_channel_open(void)
{
	if (ioperm(UART, UART_PORTS, 1) < 0)
		return -errno;
	outb(0, UART_IER); /* no interrupts */
	outb(LCR_8N1 | LCR_DLAB, UART_LCR);
	outb(1, UART_DATA); /* 115200 baud, the fastest */
	outb(0, UART_IER);
	outb(LCR_8N1, UART_LCR);
	outb(FCR_ENABLE, UART_FCR);
	outb(MCR_DTR_RTS, UART_MCR);
	return 0;
}

/* glibc's outsb() does not tell the compiler that it reads memory. */
static void out_bytes(uint16_t port, const void *data, size_t count)
{
	__asm__ volatile("rep outsb" : "+S"(data), "+c"(count) : "d"(port) : "memory");
}

/* An emulator makes each access dear, so its FIFO is filled with one string instruction. */
static void send(const void *data, size_t size)
{
	const uint8_t *next = data;

	while (size > 0) {
		size_t burst = size < TX_FIFO ? size : TX_FIFO;

		while (!(inb(UART_LSR) & LSR_TX_EMPTY))
			;
		out_bytes(UART_DATA, next, burst);
		next += burst;
		size -= burst;
	}
}

void sx_channel_send(enum sx_lab_kind kind, const void *data, size_t size)
{
	struct sx_lab_frame frame = {
		.magic = SX_LAB_MAGIC,
		.kind = (uint16_t)kind,
		.size = (uint32_t)size,
	};

	send(&frame, sizeof(frame));
	send(data, size);
}
