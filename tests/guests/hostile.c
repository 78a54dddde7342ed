/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes garbage wherever it can: every word of its rings and of the shared page, registers and
 * ports at any offset in any size. Its argument is the seed of the garbage. Ends with 0.
 */
#include "bench/guests/lib/guest.h"
#include "tests/guests/page.h"

#define ROUNDS 4

/* In each round. */
#define ACCESSES 30
#define MESSAGES 100

static const struct sx_boot_info *boot;
static uint64_t seed;
static volatile uint64_t interrupts;

static void on_interrupt(void)
{
	interrupts++;
	guest_eoi();
}

/* Often a small number or all ones: what bounds and signs are checked against. */
static uint64_t garbage(void)
{
	uint64_t value = test_random(&seed);

	switch (value >> 61) {
	case 0:
		return value % 16;
	case 1:
		return ~0ull - value % 16;
	case 2:
		return 1ull << value % 64;
	default:
		return value;
	}
}

static uint64_t below(uint64_t limit)
{
	return test_random(&seed) % limit;
}

/* ---- memory that a sidecore polls ---- */

/* Every word once, from a random place on. */
static void scribble(uint64_t base, uint64_t bytes)
{
	volatile uint64_t *word = (volatile uint64_t *)(uintptr_t)base;
	uint64_t count = bytes / sizeof(*word), first = below(count);

	for (uint64_t i = 0; i < count; i++)
		word[(first + i) % count] = garbage();
}

/* Messages that keep to the protocol, with garbage in them. The last reply is never awaited. */
static void send_garbage(struct guest_ring *r)
{
	for (unsigned i = 0; i < MESSAGES; i++) {
		struct sx_cell *cell;

		while (sx_producer_room(&r->p, 1) < 1)
			if (sx_producer_state(&r->p) != SX_RING_OPEN)
				return;
		cell = sx_producer_cell(&r->p, r->p.next);
		cell->op = (uint16_t)garbage();
		cell->arg = (uint16_t)garbage();
		for (unsigned k = 0; k < SX_CELL_WORDS; k++)
			cell->w[k] = garbage();
		sx_producer_publish(&r->p);
		guest_ring_kick(r);
	}
}

static void kick(uint64_t what)
{
	reg_write((uint64_t *)(uintptr_t)boot->ring_kick, what);
}

static void scribble_ring(const struct sx_boot_rings *where, uint64_t what)
{
	scribble(where->base, sx_ring_bytes(where->order));
	/* Trapped, or asleep for all we know: have it looked at. */
	kick(what);
}

/* ---- accesses that exit ---- */

static void touch(uint64_t address, unsigned size, int write)
{
	volatile void *at = (volatile void *)(uintptr_t)address;
	uint64_t value = garbage();

	switch (size) {
	case 1:
		if (write)
			*(volatile uint8_t *)at = (uint8_t)value;
		(void)*(volatile uint8_t *)at;
		break;
	case 2:
		if (write)
			*(volatile uint16_t *)at = (uint16_t)value;
		(void)*(volatile uint16_t *)at;
		break;
	case 4:
		if (write)
			*(volatile uint32_t *)at = (uint32_t)value;
		(void)*(volatile uint32_t *)at;
		break;
	default:
		if (write)
			*(volatile uint64_t *)at = value;
		(void)*(volatile uint64_t *)at;
	}
}

/* Mostly where the registers are; never across the end of the page, behind which nothing is. */
static void touch_page(uint64_t base)
{
	unsigned size = 1u << below(4);
	uint64_t limit = below(4) ? 192 : 4096;

	touch(base + below(limit - size + 1), size, (int)below(2));
}

static void touch_port(void)
{
	uint16_t port = (uint16_t)(SX_PORT_UART + below(8));
	uint64_t value = garbage();

	switch (below(5)) {
	case 0:
		inb(port);
		break;
	case 1:
		outl(SX_PORT_UART + (uint16_t)below(5), (uint32_t)value);
		break;
	case 2:
		inb(SX_PORT_DEBUG_EXIT + (uint16_t)below(4));
		break;
	default:
		outb(port, (uint8_t)value);
	}
}

static void touch_devices(void)
{
	for (unsigned i = 0; i < ACCESSES; i++) {
		switch (below(4)) {
		case 0:
			touch_page(boot->testdev);
			break;
		case 1:
			touch_page(boot->twin);
			break;
		case 2:
			touch_page(boot->ring_kick);
			break;
		case 3:
			touch_port();
		}
	}
}

int guest_main(const struct sx_boot_info *info, unsigned vcpu)
{
	struct guest_ring requests, stream;

	boot = info;
	seed = boot->argument;
	requests = guest_request_ring(boot, vcpu);
	stream = guest_stream_ring(boot, vcpu);
	guest_handle(boot->vector, on_interrupt);
	guest_handle(boot->twin_vector, on_interrupt);
	guest_enable_apic();
	send_garbage(&requests);
	send_garbage(&stream);
	for (unsigned i = 0; i < ROUNDS; i++) {
		touch_devices();
		if (boot->split)
			scribble(boot->twin, SX_TESTDEV_SIZE);
		scribble_ring(&boot->requests, SX_KICK_REQUESTS(vcpu));
		scribble_ring(&boot->streams, SX_KICK_STREAM(vcpu));
	}
	return 0;
}
