/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints lines of 16 bytes, "line      %5u\n" from 0 on, for ever. */
#include "bench/guests/lib/guest.h"

#define LSR      (SX_PORT_UART + 5)
#define LSR_THRE 0x20

static void print_line(unsigned number)
{
	char line[16] = "line            ";
	const char *from = line;
	uint64_t left = sizeof(line);

	line[15] = '\n';
	for (unsigned at = 14; at >= 10; at--, number /= 10)
		line[at] = (char)('0' + number % 10);
	while (!(inb(LSR) & LSR_THRE))
		;
	__asm__ volatile("rep outsb" : "+S"(from), "+c"(left) : "d"(SX_PORT_UART) : "memory");
}

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	(void)boot;
	(void)vcpu;
	for (unsigned i = 0;; i++)
		print_line(i);
}
