// SPDX-License-Identifier: BSD-3-Clause
/*
 * The inside of booting, for guestcore/boot*.c and their tests only.
 */
#ifndef SX_GUESTCORE_BOOT_INTERNAL_H
#define SX_GUESTCORE_BOOT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "guestcore/boot.h"

/* Where things lie in the guest's first 640 KiB until the kernel has taken what it needs. */
enum sx_boot_place {
	SX_BOOT_GDT = 0x1000,
	SX_BOOT_INFO = 0x2000,    /* what the protocol hands over; 4 KiB */
	SX_BOOT_MODULES = 0x3000, /* its list of modules ... */
	SX_BOOT_MAP = 0x4000,     /* ... and of memory ranges */
	SX_BOOT_STRINGS = 0x5000, /* short ones; 4 KiB */
	SX_BOOT_TABLES = 0x10000, /* page tables; 6 pages */
	SX_BOOT_CMDLINE = 0x20000,
};

#define SX_BOOT_CMDLINE_MAX 0x10000 /* with its NUL */

struct sx_boot_file {
	const char *path;
	const char *what; /* "kernel" or "initrd", for sentences */
	int fd;           /* -1: not open */
	uint64_t size;
};

/* As the e820 map of PCs, Multiboot and PVH all number them. */
enum sx_boot_range_type {
	SX_BOOT_RAM = 1,
	SX_BOOT_RESERVED = 2,
};

struct sx_boot_range {
	uint64_t base;
	uint64_t size;
	enum sx_boot_range_type type;
};

#define SX_BOOT_MAX_RANGES 8

struct sx_boot_module {
	sx_gpa base;
	uint64_t size;
};

/* One kernel on its way into memory. */
struct sx_boot {
	const struct sx_memmap *memory;
	const struct sx_boot_request *req;
	struct sx_error *err;
	struct sx_boot_file kernel;
	struct sx_boot_file initrd[SX_BOOT_MAX_INITRDS];
	struct sx_boot_range range[SX_BOOT_MAX_RANGES];
	unsigned ranges;
};

/* ---- boot_file.c ---- */

int sx_boot_file_open(struct sx_boot_file *f, const char *what, const char *path,
		      struct sx_error *err);
void sx_boot_file_close(struct sx_boot_file *f); /* nothing when it is not open */
/* All @len bytes at @offset, or -ENOEXEC: the file is cut short. */
int sx_boot_file_read(const struct sx_boot_file *f, void *to, uint64_t len, uint64_t offset,
		      struct sx_error *err);
/* The name without its directories. */
const char *sx_boot_file_name(const struct sx_boot_file *f);

/* ---- boot.c ---- */

/* Does [base, + size) lie in the memory from 1 MiB to low_end? */
bool sx_boot_fits(const struct sx_boot *b, sx_gpa base, uint64_t size);
/* Copy @len bytes of the kernel file at @offset to @gpa. */
int sx_boot_copy(const struct sx_boot *b, sx_gpa gpa, uint64_t len, uint64_t offset);
/* Store for the kernel; what is stored lies in memory that is there. */
int sx_boot_store(const struct sx_boot *b, sx_gpa gpa, const void *from, size_t len);
/* The command line, at SX_BOOT_CMDLINE, @first and a blank before it unless NULL. */
int sx_boot_store_cmdline(const struct sx_boot *b, const char *first, uint64_t max);
/* All initrds in one piece, as high as possible below @limit and not below @floor. */
int sx_boot_load_initrds(const struct sx_boot *b, sx_gpa floor, sx_gpa limit,
			 struct sx_boot_module *whole);
/* Each by itself on a page boundary, upwards from @floor. @module has room for all. */
int sx_boot_load_modules(const struct sx_boot *b, sx_gpa floor, struct sx_boot_module *module);

/* ---- boot_elf.c ---- */

struct sx_boot_elf {
	bool is64;
	uint64_t entry;
	uint64_t phoff;
	unsigned phnum;
	unsigned phentsize;
};

/* Read the header: 1 it is an x86 ELF file, 0 it is none, or a negative errno. */
int sx_boot_elf_open(const struct sx_boot *b, struct sx_boot_elf *elf);
/* Load its segments by physical address; *end: first address after the highest byte. */
int sx_boot_elf_load(const struct sx_boot *b, const struct sx_boot_elf *elf, sx_gpa *end);
/* Is @gpa inside what it loads? */
bool sx_boot_elf_holds(const struct sx_boot *b, const struct sx_boot_elf *elf, sx_gpa gpa);
/* The value of Xen's note @type: 1 and *value, 0 there is none, or a negative errno. */
int sx_boot_elf_xen_note(const struct sx_boot *b, const struct sx_boot_elf *elf, uint32_t type,
			 uint64_t *value);

/* ---- the protocols: 1 the kernel is loaded, 0 it is of another kind, or a negative errno ---- */

int sx_boot_linux(const struct sx_boot *b, struct sx_boot_entry *entry);
int sx_boot_pvh(const struct sx_boot *b, struct sx_boot_entry *entry);
int sx_boot_multiboot(const struct sx_boot *b, struct sx_boot_entry *entry);

#endif
