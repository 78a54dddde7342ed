/* SPDX-License-Identifier: BSD-3-Clause */
/* Says "ready", then each byte it reads, letters in the other case, until 'q'; ends with 7. */
#include "bench/guests/lib/guest.h"

#define LSR       (SX_PORT_UART + 5)
#define LSR_READY 0x01

static uint8_t read_byte(void)
{
	while (!(inb(LSR) & LSR_READY))
		sx_pause();
	return inb(SX_PORT_UART);
}

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	uint8_t byte;

	(void)boot;
	(void)vcpu;
	guest_puts("ready\n");
	while ((byte = read_byte()) != 'q')
		guest_printf("%c", byte ^ 0x20);
	return 7;
}
