// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the boot loader finds in its own image: which sectors of the disk belong where in memory,
 * and how what they hold is entered. mkboot writes it, the loader reads it.
 */
#ifndef SX_LAB_BOOT_TABLE_H
#define SX_LAB_BOOT_TABLE_H

#define SX_BOOT_SECTOR    512
#define SX_BOOT_SECTORS   32     /* that the loader and this table take on the disk */
#define SX_BOOT_TABLE     0x1000 /* where the table lies in these sectors */
#define SX_BOOT_CHUNKS    96
#define SX_BOOT_CMDLINE   2048
#define SX_BOOT_PVH       1
#define SX_BOOT_MULTIBOOT 2
#define SX_BOOT_E820_MAX  32 /* entries of the BIOS' memory map that are passed on */

#ifndef __ASSEMBLER__
#include <stdint.h>

struct sx_boot_chunk {
	uint32_t sector; /* 0: @bytes of zeroes */
	uint32_t bytes;  /* a multiple of 4 where they are zeroes */
	uint32_t address;
};

struct sx_boot_table {
	uint32_t protocol; /* SX_BOOT_PVH or SX_BOOT_MULTIBOOT */
	uint32_t entry;
	uint32_t initrd; /* where it is in memory, and its length; 0 for none */
	uint32_t initrd_bytes;
	uint32_t chunk_count;
	struct sx_boot_chunk chunks[SX_BOOT_CHUNKS];
	char cmdline[SX_BOOT_CMDLINE];
};

_Static_assert(SX_BOOT_TABLE + sizeof(struct sx_boot_table) <= SX_BOOT_SECTORS * SX_BOOT_SECTOR,
	       "the table fits into the sectors that the boot sector reads");
#endif

#endif
