// SPDX-License-Identifier: BSD-3-Clause
/*
 * The boot loader proper: 32-bit, flat, no paging, no interrupts. It reads what the table lists
 * from the first ATA disk by programmed I/O and enters it.
 *
 * Bochs runs "rep insl" from its disk at memory speed, so that an uncompressed kernel is loaded
 * in a second; unpacking a compressed one takes Bochs much longer.
 */
#include <stdint.h>

#include "lab/boot/table.h"

/* ATA: the command block of the primary channel, and READ SECTORS with 28-bit addresses. */
#define ATA_DATA        0x1f0
#define ATA_COUNT       0x1f2
#define ATA_LBA_LOW     0x1f3
#define ATA_LBA_MID     0x1f4
#define ATA_LBA_HIGH    0x1f5
#define ATA_DEVICE      0x1f6
#define ATA_COMMAND     0x1f7
#define ATA_STATUS      0x1f7
#define ATA_DEVICE_LBA  0xe0
#define ATA_READ        0x20
#define ATA_BUSY        0x80
#define ATA_DATA_READY  0x08
#define ATA_MAX_SECTORS 256 /* written as 0 */

/* COM1, a 16550A, and how it is set to 115200 baud, 8 bits, no parity, FIFOs on. */
#define UART_DATA 0x3f8 /* the divisor's low byte while DLAB is set */
#define UART_IER  0x3f9 /* the divisor's high byte while DLAB is set */
#define UART_FCR  0x3fa
#define UART_LCR  0x3fb
#define LCR_8N1   0x03
#define LCR_DLAB  0x80
#define FCR_RESET 0x07

/* One entry of INT 15h, E820h. */
struct e820_entry {
	uint64_t address;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

/* Xen's x86/HVM direct boot ABI, which Linux takes as its PVH entry. */
#define PVH_MAGIC 0x336ec578
struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t module_count;
	uint64_t modules;
	uint64_t cmdline;
	uint64_t rsdp; /* 0: Linux looks for it where the BIOS puts it */
	uint64_t memory_map;
	uint32_t memory_map_count;
	uint32_t reserved;
};

struct pvh_module {
	uint64_t address;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct pvh_memory {
	uint64_t address;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

/* Multiboot Specification 0.6.96, 3.3: the parts we fill in. */
#define MULTIBOOT_MAGIC      0x2badb002
#define MULTIBOOT_HAS_MEMORY (1U << 0)
#define MULTIBOOT_HAS_ARGS   (1U << 2)
#define MULTIBOOT_HAS_MAP    (1U << 6)
struct multiboot_info {
	uint32_t flags;
	uint32_t memory_low_kib;
	uint32_t memory_high_kib;
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t modules[2];
	uint32_t symbols[4];
	uint32_t map_bytes;
	uint32_t map;
	uint32_t unused[16];
};

struct multiboot_memory {
	uint32_t size; /* of the rest */
	uint64_t address;
	uint64_t length;
	uint32_t type;
} __attribute__((packed));

/* What is handed to the kernel is left here, in memory that the BIOS calls free. */
#define HANDOVER 0x5000

struct pvh_handover {
	struct pvh_start_info info;
	struct pvh_module initrd;
	struct pvh_memory map[SX_BOOT_E820_MAX];
};

struct multiboot_handover {
	struct multiboot_info info;
	struct multiboot_memory map[SX_BOOT_E820_MAX];
};

_Static_assert(sizeof(struct pvh_handover) < 0x1000, "it ends below the BIOS' memory map");
_Static_assert(sizeof(struct multiboot_handover) < 0x1000, "it ends below the BIOS' memory map");

extern const struct sx_boot_table boot_table;

_Noreturn void load(const struct e820_entry *map, uint32_t entries);

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void zero(void *to, uint32_t bytes)
{
	uint32_t words = bytes / 4;

	__asm__ volatile("rep stosl" : "+D"(to), "+c"(words) : "a"(0) : "memory");
}

static void *read_sectors(uint32_t sector, uint32_t count, void *to)
{
	out8(ATA_DEVICE, ATA_DEVICE_LBA | sector >> 24);
	out8(ATA_COUNT, (uint8_t)count);
	out8(ATA_LBA_LOW, (uint8_t)sector);
	out8(ATA_LBA_MID, (uint8_t)(sector >> 8));
	out8(ATA_LBA_HIGH, (uint8_t)(sector >> 16));
	out8(ATA_COMMAND, ATA_READ);
	for (; count > 0; count--) {
		uint32_t words = SX_BOOT_SECTOR / 4;

		while ((in8(ATA_STATUS) & (ATA_BUSY | ATA_DATA_READY)) != ATA_DATA_READY)
			;
		__asm__ volatile("rep insl"
				 : "+D"(to), "+c"(words)
				 : "d"((uint16_t)ATA_DATA)
				 : "memory");
	}
	return to;
}

static void read_chunk(const struct sx_boot_chunk *chunk)
{
	uint32_t left = (chunk->bytes + SX_BOOT_SECTOR - 1) / SX_BOOT_SECTOR;
	uint32_t sector = chunk->sector;
	void *to = (void *)chunk->address;

	while (left > 0) {
		uint32_t count = left < ATA_MAX_SECTORS ? left : ATA_MAX_SECTORS;

		to = read_sectors(sector, count, to);
		sector += count;
		left -= count;
	}
}

static _Noreturn void enter(uint32_t entry, uint32_t magic, const void *info)
{
	__asm__ volatile("jmp *%0" ::"r"(entry), "a"(magic), "b"(info) : "memory");
	__builtin_unreachable();
}

static _Noreturn void enter_pvh(const struct e820_entry *map, uint32_t entries)
{
	struct pvh_handover *to = (void *)HANDOVER;

	zero(to, sizeof(*to));
	for (uint32_t i = 0; i < entries; i++) {
		to->map[i].address = map[i].address;
		to->map[i].size = map[i].size;
		to->map[i].type = map[i].type;
	}
	to->initrd.address = boot_table.initrd;
	to->initrd.size = boot_table.initrd_bytes;
	to->info.magic = PVH_MAGIC;
	to->info.version = 1;
	to->info.module_count = boot_table.initrd_bytes > 0;
	to->info.modules = (uint32_t)&to->initrd;
	to->info.cmdline = (uint32_t)boot_table.cmdline;
	to->info.memory_map = (uint32_t)to->map;
	to->info.memory_map_count = entries;
	enter(boot_table.entry, 0, &to->info);
}

static _Noreturn void enter_multiboot(const struct e820_entry *map, uint32_t entries)
{
	struct multiboot_handover *to = (void *)HANDOVER;

	zero(to, sizeof(*to));
	for (uint32_t i = 0; i < entries; i++) {
		to->map[i].size = sizeof(to->map[i]) - sizeof(to->map[i].size);
		to->map[i].address = map[i].address;
		to->map[i].length = map[i].size;
		to->map[i].type = map[i].type;
		if (map[i].type == 1 && map[i].address == 0)
			to->info.memory_low_kib = (uint32_t)(map[i].size >> 10);
		if (map[i].type == 1 && map[i].address == 0x100000)
			to->info.memory_high_kib = (uint32_t)(map[i].size >> 10);
	}
	to->info.flags = MULTIBOOT_HAS_MEMORY | MULTIBOOT_HAS_ARGS | MULTIBOOT_HAS_MAP;
	to->info.cmdline = (uint32_t)boot_table.cmdline;
	to->info.map = (uint32_t)to->map;
	to->info.map_bytes = entries * sizeof(to->map[0]);
	enter(boot_table.entry, MULTIBOOT_MAGIC, &to->info);
}

/* So that a bare image may just write: after a reset the port would send 5 bits, slowly. */
static void set_up_uart(void)
{
	out8(UART_LCR, LCR_8N1 | LCR_DLAB);
	out8(UART_DATA, 1);
	out8(UART_IER, 0);
	out8(UART_LCR, LCR_8N1);
	out8(UART_FCR, FCR_RESET);
}

_Noreturn void load(const struct e820_entry *map, uint32_t entries)
{
	set_up_uart();
	for (uint32_t i = 0; i < boot_table.chunk_count; i++) {
		const struct sx_boot_chunk *chunk = &boot_table.chunks[i];

		if (chunk->sector != 0)
			read_chunk(chunk);
		else
			zero((void *)chunk->address, chunk->bytes);
	}
	if (boot_table.protocol == SX_BOOT_PVH)
		enter_pvh(map, entries);
	enter_multiboot(map, entries);
}
