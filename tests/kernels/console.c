// SPDX-License-Identifier: BSD-3-Clause
/*
 * A Multiboot kernel that drives a virtio console (virtio 1.2, 4.1 and 5.3) on the PC of
 * guestcore/pc_map.h: says "early" on the serial port, then on the console how large that is and
 * "ready"; gives letters back with their case changed, other keys as <number>; says so when the
 * size changes; switches the machine off for a 'q'; and for a '*' it never stops talking.
 */
#include <stdint.h>

#include "guestcore/pc_map.h"

/* The loader enters here in 32-bit protected mode without paging. */
__asm__(".text\n"
	".align 4\n"
	".long 0x1badb002, 0, -0x1badb002\n"
	".globl _start\n"
	"_start: movl $stack_end, %esp\n"
	"	cld\n"
	"	call kernel\n"
	".bss\n"
	".align 16\n"
	".skip 4096\n"
	"stack_end:\n"
	".text\n");

#define CONSOLE_ID 0x10431af4u   /* device and vendor */
#define REGISTERS  SX_PC_PCI_LOW /* where BARs 0, 2 and 4 are put */
#define BAR_STRIDE 0x10000u

enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4, CAPS };

/* Common configuration (4.1.4.3). */
enum {
	DRIVER_FEATURE_SELECT = 8,
	DRIVER_FEATURE = 12,
	STATUS = 20,
	QUEUE_SELECT = 22,
	QUEUE_SIZE = 24,
	QUEUE_ENABLE = 28,
	QUEUE_NOTIFY_OFF = 30,
	QUEUE_DESC = 32,
	QUEUE_DRIVER = 40,
	QUEUE_DEVICE = 48,
};

enum { RECEIVE, TRANSMIT, QUEUES };

#define SIZE 2 /* of a queue, of which one entry is used */
#define ROOM 256

/* Rings are aligned as 2.7 wants. */
static struct queue {
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} desc[SIZE] __attribute__((aligned(16)));
	volatile struct {
		uint16_t flags, idx, ring[SIZE], used_event;
	} avail __attribute__((aligned(16)));
	volatile struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[SIZE];
		uint16_t avail_event;
	} used __attribute__((aligned(16)));
	volatile uint16_t *notify;
	uint16_t index;
	char buffer[ROOM];
} queue[QUEUES];

static uintptr_t structure[CAPS];

/* ---- access ---- */

static void out(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static volatile uint32_t *reg32(uintptr_t at)
{
	return (volatile uint32_t *)at;
}

static volatile uint16_t *reg16(uintptr_t at)
{
	return (volatile uint16_t *)at;
}

static volatile uint8_t *reg8(uintptr_t at)
{
	return (volatile uint8_t *)at;
}

static _Noreturn void power_off(void)
{
	out(SX_PC_POWER_SLEEP, SX_PC_S5_TYPE << 2 | 1 << 5);
	for (;;)
		__asm__ volatile("hlt");
}

static void say_early(const char *text)
{
	while (*text)
		out(SX_PC_UART, (uint8_t)*text++);
}

static _Noreturn void give_up(const char *why)
{
	say_early(why);
	power_off();
}

/* ---- the device ---- */

static uintptr_t find_console(void)
{
	for (uintptr_t at = SX_PC_ECAM; at < SX_PC_ECAM + SX_PC_ECAM_SIZE; at += 8 << 12)
		if (*reg32(at) == CONSOLE_ID)
			return at;
	give_up("there is no virtio console\n");
}

static void place_bars(uintptr_t function)
{
	for (unsigned i = 0; i < 3; i++) {
		*reg32(function + 0x10 + 8 * i) = REGISTERS + i * BAR_STRIDE;
		*reg32(function + 0x14 + 8 * i) = 0;
	}
	*reg16(function + 4) |= 2 | 4; /* memory, bus master */
}

/* Its structures, and how far apart notifications are. */
static uint32_t find_structures(uintptr_t function)
{
	uint32_t multiplier = 0;

	for (uint8_t at = *reg8(function + 0x34); at; at = *reg8(function + at + 1)) {
		uint8_t type = *reg8(function + at + 3);

		if (*reg8(function + at) != 9 || type >= CAPS)
			continue;
		structure[type] = REGISTERS + *reg8(function + at + 4) / 2 * BAR_STRIDE +
				  *reg32(function + at + 8);
		if (type == CAP_NOTIFY)
			multiplier = *reg32(function + at + 16);
	}
	return multiplier;
}

static void set_address(unsigned reg, const volatile void *at)
{
	*reg32(structure[CAP_COMMON] + reg) = (uint32_t)(uintptr_t)at;
	*reg32(structure[CAP_COMMON] + reg + 4) = 0;
}

static void set_up_queue(unsigned i, uint32_t multiplier)
{
	uintptr_t common = structure[CAP_COMMON];
	struct queue *q = &queue[i];

	*reg16(common + QUEUE_SELECT) = (uint16_t)i;
	*reg16(common + QUEUE_SIZE) = SIZE;
	set_address(QUEUE_DESC, q->desc);
	set_address(QUEUE_DRIVER, &q->avail);
	set_address(QUEUE_DEVICE, &q->used);
	q->notify = reg16(structure[CAP_NOTIFY] + *reg16(common + QUEUE_NOTIFY_OFF) * multiplier);
	q->index = (uint16_t)i;
	*reg16(common + QUEUE_ENABLE) = 1;
}

static void set_up_device(void)
{
	uintptr_t function = find_console();
	uint32_t multiplier;
	uintptr_t common;

	place_bars(function);
	multiplier = find_structures(function);
	common = structure[CAP_COMMON];
	*reg8(common + STATUS) = 0;
	while (*reg8(common + STATUS))
		;
	*reg8(common + STATUS) = 1 | 2; /* ACKNOWLEDGE, DRIVER */
	for (unsigned word = 0; word < 2; word++) {
		*reg32(common + DRIVER_FEATURE_SELECT) = word;
		*reg32(common + DRIVER_FEATURE) = 1; /* F_SIZE; VERSION_1 */
	}
	*reg8(common + STATUS) = 1 | 2 | 8; /* FEATURES_OK */
	if (!(*reg8(common + STATUS) & 8))
		give_up("the console refuses its features\n");
	for (unsigned i = 0; i < QUEUES; i++)
		set_up_queue(i, multiplier);
	*reg8(common + STATUS) = 1 | 2 | 8 | 4; /* DRIVER_OK */
}

/* ---- at work ---- */

static void offer(struct queue *q, uint32_t len, uint16_t flags)
{
	q->desc[0].addr = (uintptr_t)q->buffer;
	q->desc[0].len = len;
	q->desc[0].flags = flags;
	q->avail.ring[q->avail.idx % SIZE] = 0;
	__asm__ volatile("" : : : "memory"); /* x86 keeps stores in order */
	q->avail.idx++;
	__asm__ volatile("lock; addl $0, (%%esp)" : : : "memory");
	*q->notify = q->index;
}

static uint32_t say_char(uint32_t at, char c)
{
	queue[TRANSMIT].buffer[at] = c;
	return at + 1;
}

static uint32_t say_number(uint32_t at, unsigned n)
{
	if (n >= 10)
		at = say_number(at, n / 10);
	return say_char(at, (char)('0' + n % 10));
}

static uint32_t say_text(uint32_t at, const char *text)
{
	while (*text)
		at = say_char(at, *text++);
	return at;
}

/* The first @len bytes of the buffer are to be said; wait until they are. */
static void speak(uint32_t len)
{
	struct queue *q = &queue[TRANSMIT];

	offer(q, len, 0);
	while (q->used.idx != q->avail.idx)
		__asm__ volatile("pause");
}

static uint32_t size_now(void)
{
	return (uint32_t)*reg16(structure[CAP_DEVICE]) << 16 | *reg16(structure[CAP_DEVICE] + 2);
}

static void say_size(uint32_t size)
{
	uint32_t at = say_text(0, "size ");

	at = say_number(at, size >> 16);
	at = say_char(at, 'x');
	at = say_number(at, size & 0xffff);
	speak(say_text(at, "\r\n"));
}

/* Told that the size changed: the first time that is the one that was said already. */
static uint32_t say_new_size(uint32_t before)
{
	uint32_t size = size_now();

	if (size != before)
		say_size(size);
	return size;
}

/* In pieces of many lengths. */
static _Noreturn void talk_for_ever(void)
{
	for (uint32_t n = 0;; n++) {
		uint32_t len = 1 + n * 37 % ROOM;

		for (uint32_t i = 0; i < len; i++)
			queue[TRANSMIT].buffer[i] = i % 40 ? 'x' : '\n';
		speak(len);
	}
}

static void answer(char key)
{
	uint32_t at = 0;

	if (key == 'q')
		power_off();
	if (key == '*')
		talk_for_ever();
	if ((key >= 'A' && key <= 'Z') || (key >= 'a' && key <= 'z')) {
		at = say_char(at, (char)(key ^ 0x20));
	} else {
		at = say_number(say_char(at, '<'), (uint8_t)key);
		at = say_char(at, '>');
	}
	speak(at);
}

static void listen(void)
{
	struct queue *q = &queue[RECEIVE];
	uint32_t len = q->used.ring[(q->used.idx - 1) % SIZE].len;

	for (uint32_t i = 0; i < len; i++)
		answer(q->buffer[i]);
	offer(q, ROOM, 2); /* to be written */
}

void kernel(void);

void kernel(void)
{
	uint32_t size;

	say_early("early\r\n");
	set_up_device();
	offer(&queue[RECEIVE], ROOM, 2);
	size = size_now();
	say_size(size);
	speak(say_text(0, "ready\r\n"));
	for (;;) {
		/* Without MSI-X the ISR status tells of a change; reading clears it (4.1.4.5). */
		if (*reg8(structure[CAP_ISR]) & 2)
			size = say_new_size(size);
		for (unsigned i = 0; i < 100; i++)
			if (queue[RECEIVE].used.idx == queue[RECEIVE].avail.idx)
				listen();
	}
}
