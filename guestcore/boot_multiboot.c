// SPDX-License-Identifier: BSD-3-Clause
/*
 * Multiboot 1. Source: Multiboot Specification version 0.6.96, sections 3.1 (header), 3.2 (machine
 * state) and 3.3 (boot information), whose layouts follow.
 */
#include "guestcore/boot_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "guestcore/pc_map.h"

#define HEADER_MAGIC 0x1badb002u
#define LOADER_MAGIC 0x2badb002u
#define SEARCH       8192u /* the header lies whole within so many bytes */
#define PAGE_ALIGN   (1u << 0)
#define MEMORY_INFO  (1u << 1)
#define ADDRESSES    (1u << 16)
#define MUST         0xffffu /* flags that a loader must refuse if it does not know them */
#define LOADER       "splitx"
#define LOADER_AT    SX_BOOT_STRINGS
#define MODULE_NAMES (SX_BOOT_STRINGS + 64)
#define NAME_SIZE    128u

struct header {
	uint32_t magic;
	uint32_t flags;
	uint32_t checksum;
	uint32_t header_addr; /* these five with ADDRESSES */
	uint32_t load_addr;
	uint32_t load_end_addr;
	uint32_t bss_end_addr;
	uint32_t entry_addr;
};

enum info_flags {
	INFO_MEMORY = 1u << 0,
	INFO_CMDLINE = 1u << 2,
	INFO_MODULES = 1u << 3,
	INFO_MAP = 1u << 6,
	INFO_LOADER = 1u << 9,
};

struct info {
	uint32_t flags;
	uint32_t mem_lower; /* KiB from 0, and from 1 MiB */
	uint32_t mem_upper;
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count;
	uint32_t mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length;
	uint32_t mmap_addr;
	uint32_t drives_length;
	uint32_t drives_addr;
	uint32_t config_table;
	uint32_t boot_loader_name;
	uint32_t rest[12]; /* APM, VBE, framebuffer */
};

struct module {
	uint32_t start;
	uint32_t end;
	uint32_t string;
	uint32_t reserved;
};

struct map_entry {
	uint32_t size; /* of what follows */
	uint64_t base;
	uint64_t length;
	uint32_t type;
} __attribute__((packed));

_Static_assert(sizeof(struct info) == 116, "as in section 3.3");
_Static_assert(sizeof(struct map_entry) == 24, "as in section 3.3");
_Static_assert(64 + SX_BOOT_MAX_INITRDS * NAME_SIZE <= 4096, "the names fit");

/* 1 and the header's place in the file, or 0. */
static int find_header(const struct sx_boot *b, struct header *h, uint32_t *at)
{
	uint32_t size = b->kernel.size < SEARCH ? (uint32_t)b->kernel.size : SEARCH;
	uint8_t head[SEARCH + sizeof(*h)] = {0};
	uint64_t take = b->kernel.size < sizeof(head) ? b->kernel.size : sizeof(head);
	int rc = sx_boot_file_read(&b->kernel, head, take, 0, b->err);

	if (rc < 0)
		return rc;
	for (*at = 0; *at + 12 <= size; *at += 4) {
		memcpy(h, head + *at, sizeof(*h));
		if (h->magic == HEADER_MAGIC && h->magic + h->flags + h->checksum == 0)
			return 1;
	}
	return 0;
}

static int check_flags(const struct sx_boot *b, const struct header *h)
{
	uint32_t unknown = h->flags & MUST & ~(PAGE_ALIGN | MEMORY_INFO);

	if (unknown)
		return sx_fail(b->err, -ENOEXEC,
			       "kernel '%s' asks by Multiboot for what this machine has not (flags "
			       "0x%" PRIx32 "); build it without a video mode",
			       b->kernel.path, unknown);
	return 0;
}

/* By the addresses in the header, which win over those of an ELF file (3.1.3). */
static int load_flat(const struct sx_boot *b, const struct header *h, uint32_t at, sx_gpa *end)
{
	uint32_t before = h->header_addr - h->load_addr;
	uint64_t offset = (uint64_t)at - before, bytes, memory;
	uint8_t *bss;
	int rc;

	/* Differences that are negative wrap round to more than any size. */
	if (before > at || (h->load_end_addr && h->load_end_addr < h->load_addr))
		goto damaged;
	bytes = h->load_end_addr ? h->load_end_addr - h->load_addr : b->kernel.size - offset;
	memory = bytes;
	if (h->bss_end_addr) {
		if (h->bss_end_addr < h->load_addr + bytes)
			goto damaged;
		memory = h->bss_end_addr - h->load_addr;
	}
	if (h->entry_addr - h->load_addr >= memory)
		goto damaged;
	rc = sx_boot_copy(b, h->load_addr, bytes, offset);
	if (rc < 0)
		return rc;
	*end = h->load_addr + memory;
	if (memory == bytes)
		return 0;
	bss = sx_boot_fits(b, h->load_addr, memory)
		      ? sx_memmap_at(b->memory, h->load_addr, memory, SX_WRITE)
		      : NULL;
	if (!bss)
		return sx_fail(b->err, -EFBIG,
			       "kernel '%s' needs memory up to 0x%" PRIx64
			       ", and the guest's ends at 0x%" PRIx64 "; give more by --memory",
			       b->kernel.path, *end, b->req->low_end);
	memset(bss + bytes, 0, memory - bytes);
	return 0;
damaged:
	return sx_fail(b->err, -ENOEXEC,
		       "the addresses in the Multiboot header of kernel '%s' do not agree; it is "
		       "damaged",
		       b->kernel.path);
}

static int load_elf(const struct sx_boot *b, sx_gpa *end, uint64_t *entry)
{
	struct sx_boot_elf elf;
	int rc = sx_boot_elf_open(b, &elf);

	if (rc == 0)
		return sx_fail(
			b->err, -ENOEXEC,
			"kernel '%s' has a Multiboot header without addresses, and is no ELF "
			"file for x86; it is damaged",
			b->kernel.path);
	if (rc > 0)
		rc = sx_boot_elf_load(b, &elf, end);
	if (rc < 0)
		return rc;
	if (!sx_boot_elf_holds(b, &elf, elf.entry))
		return sx_fail(b->err, -ENOEXEC,
			       "kernel '%s' starts at 0x%" PRIx64
			       ", outside what it loads; it is damaged",
			       b->kernel.path, elf.entry);
	*entry = elf.entry;
	return 0;
}

/* The modules with their files' names as strings. */
static int store_modules(const struct sx_boot *b, sx_gpa floor)
{
	struct sx_boot_module where[SX_BOOT_MAX_INITRDS];
	int rc = sx_boot_load_modules(b, floor, where);

	for (unsigned i = 0; rc == 0 && i < b->req->initrds; i++) {
		char name[NAME_SIZE] = {0};
		sx_gpa string = MODULE_NAMES + i * NAME_SIZE;
		struct module m = {
			.start = (uint32_t)where[i].base,
			.end = (uint32_t)(where[i].base + where[i].size),
			.string = (uint32_t)string,
		};

		strncpy(name, sx_boot_file_name(&b->initrd[i]), NAME_SIZE - 1);
		rc = sx_boot_store(b, string, name, sizeof(name));
		if (rc == 0)
			rc = sx_boot_store(b, SX_BOOT_MODULES + i * sizeof(m), &m, sizeof(m));
	}
	return rc;
}

static int store_info(const struct sx_boot *b)
{
	struct map_entry map[SX_BOOT_MAX_RANGES];
	struct info info = {
		.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MAP | INFO_LOADER,
		.mem_lower = SX_PC_EBDA >> 10,
		.mem_upper = (uint32_t)((b->req->low_end - SX_PC_EXTENDED) >> 10),
		.cmdline = SX_BOOT_CMDLINE,
		.mods_count = b->req->initrds,
		.mods_addr = SX_BOOT_MODULES,
		.mmap_length = b->ranges * (uint32_t)sizeof(map[0]),
		.mmap_addr = SX_BOOT_MAP,
		.boot_loader_name = LOADER_AT,
	};
	int rc;

	if (info.mods_count)
		info.flags |= INFO_MODULES;
	for (unsigned i = 0; i < b->ranges; i++)
		map[i] = (struct map_entry){
			.size = sizeof(map[0]) - sizeof(map[0].size),
			.base = b->range[i].base,
			.length = b->range[i].size,
			.type = b->range[i].type,
		};
	rc = sx_boot_store(b, SX_BOOT_MAP, map, info.mmap_length);
	if (rc == 0)
		rc = sx_boot_store(b, LOADER_AT, LOADER, sizeof(LOADER));
	return rc < 0 ? rc : sx_boot_store(b, SX_BOOT_INFO, &info, sizeof(info));
}

int sx_boot_multiboot(const struct sx_boot *b, struct sx_boot_entry *entry)
{
	struct header h;
	uint32_t at;
	uint64_t start;
	sx_gpa end;
	int rc = find_header(b, &h, &at);

	if (rc <= 0)
		return rc;
	start = h.entry_addr;
	rc = check_flags(b, &h);
	if (rc == 0)
		rc = h.flags & ADDRESSES ? load_flat(b, &h, at, &end) : load_elf(b, &end, &start);
	if (rc == 0)
		rc = store_modules(b, end);
	if (rc == 0)
		/* The first word is the kernel's name, as GRUB Legacy has it. */
		rc = sx_boot_store_cmdline(b, sx_boot_file_name(&b->kernel), SX_BOOT_CMDLINE_MAX);
	if (rc == 0)
		rc = store_info(b);
	if (rc < 0)
		return rc;
	*entry = (struct sx_boot_entry){
		.protocol = "Multiboot",
		.mode = SX_BOOT_PROTECTED,
		.legacy = true,
		.rip = start,
		.rax = LOADER_MAGIC,
		.rbx = SX_BOOT_INFO,
	};
	return 1;
}
