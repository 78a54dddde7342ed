/* SPDX-License-Identifier: BSD-3-Clause */
/* Uses its console as its argument says: enum test_console, and how many bytes. */
#include "bench/guests/lib/guest.h"
#include "tests/guests/console.h"
#include "tests/guests/page.h"

#define FIFO      16
#define LSR       (SX_PORT_UART + 5)
#define LSR_READY 0x01
#define LSR_THRE  0x20

static uint64_t seed = TEST_CONSOLE_SEED;

static void wait_for(uint8_t bit)
{
	while (!(inb(LSR) & bit))
		;
}

/* An empty transmitter has room for a FIFO's worth. */
static void print(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		if (i % FIFO == 0)
			wait_for(LSR_THRE);
		outb(SX_PORT_UART, (uint8_t)test_random(&seed));
	}
}

static void print_strings(uint64_t count)
{
	uint8_t bytes[FIFO];

	for (uint64_t i = 0; i < count; i += FIFO) {
		const uint8_t *from = bytes;
		uint64_t left = FIFO;

		for (unsigned k = 0; k < FIFO; k++)
			bytes[k] = (uint8_t)test_random(&seed);
		wait_for(LSR_THRE);
		__asm__ volatile("rep outsb"
				 : "+S"(from), "+c"(left)
				 : "d"(SX_PORT_UART)
				 : "memory");
	}
}

static void shout(uint64_t count)
{
	while (count--)
		outb(SX_PORT_UART, (uint8_t)test_random(&seed));
}

static void echo(uint64_t count)
{
	while (count--) {
		uint8_t byte;

		wait_for(LSR_READY);
		byte = inb(SX_PORT_UART);
		wait_for(LSR_THRE);
		outb(SX_PORT_UART, byte);
	}
}

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	uint64_t count = boot->argument >> TEST_CONSOLE_COUNT_SHIFT;

	(void)vcpu;
	switch ((enum test_console)(boot->argument & TEST_CONSOLE_HOW)) {
	case TEST_CONSOLE_PRINT:
		print(count);
		return 0;
	case TEST_CONSOLE_STRINGS:
		print_strings(count);
		return 0;
	case TEST_CONSOLE_SHOUT:
		shout(count);
		return 0;
	case TEST_CONSOLE_ECHO:
		echo(count);
		return 0;
	}
	return 1;
}
