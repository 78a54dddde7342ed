// SPDX-License-Identifier: BSD-3-Clause
/*
 * ELF kernels: by PVH, by Multiboot, and flat ones by Multiboot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>

#include "guestcore/pc_map.h"
#include "tests/support/boot.h"

#define LOAD   0x200000u
#define TEXT   0x1000ul /* offset of the segment in the file, and its size there */
#define MEMORY 0x3000ul /* its size in memory */
#define NOTES  0x200u   /* offset of the notes */
#define ENTRY  (LOAD + 0x10)

#define MB_MAGIC 0x1badb002u

/* An ELF file of either class with one segment and one segment of notes. */
struct image {
	union {
		uint8_t bytes[2 * TEXT];
		Elf64_Ehdr e64;
		Elf32_Ehdr e32;
	};
};

static Elf64_Phdr *phdr(struct image *i, unsigned n)
{
	return (Elf64_Phdr *)(void *)(i->bytes + sizeof(Elf64_Ehdr)) + n;
}

static void make(struct image *i)
{
	memset(i, 0, sizeof(*i));
	memcpy(i->e64.e_ident, ELFMAG, SELFMAG);
	i->e64.e_ident[EI_CLASS] = ELFCLASS64;
	i->e64.e_ident[EI_DATA] = ELFDATA2LSB;
	i->e64.e_type = ET_EXEC;
	i->e64.e_machine = EM_X86_64;
	i->e64.e_entry = ENTRY;
	i->e64.e_phoff = sizeof(Elf64_Ehdr);
	i->e64.e_phentsize = sizeof(Elf64_Phdr);
	i->e64.e_phnum = 2;
	*phdr(i, 0) = (Elf64_Phdr){.p_type = PT_LOAD,
				   .p_offset = TEXT,
				   .p_vaddr = 0xffffffff80000000,
				   .p_paddr = LOAD,
				   .p_filesz = TEXT,
				   .p_memsz = MEMORY};
	*phdr(i, 1) =
		(Elf64_Phdr){.p_type = PT_NOTE, .p_offset = NOTES, .p_filesz = 0x100, .p_align = 4};
	for (unsigned k = 0; k < TEXT; k++)
		i->bytes[TEXT + k] = (uint8_t)(k * 5 + 1);
}

/* The same in the smaller class. */
static void make32(struct image *i)
{
	Elf32_Phdr *p = (Elf32_Phdr *)(void *)(i->bytes + sizeof(Elf32_Ehdr));

	make(i);
	memset(i->bytes, 0, NOTES);
	memcpy(i->e32.e_ident, ELFMAG, SELFMAG);
	i->e32.e_ident[EI_CLASS] = ELFCLASS32;
	i->e32.e_ident[EI_DATA] = ELFDATA2LSB;
	i->e32.e_type = ET_EXEC;
	i->e32.e_machine = EM_386;
	i->e32.e_entry = ENTRY;
	i->e32.e_phoff = sizeof(Elf32_Ehdr);
	i->e32.e_phentsize = sizeof(Elf32_Phdr);
	i->e32.e_phnum = 2;
	p[0] = (Elf32_Phdr){.p_type = PT_LOAD,
			    .p_offset = TEXT,
			    .p_paddr = LOAD,
			    .p_filesz = TEXT,
			    .p_memsz = MEMORY};
	p[1] = (Elf32_Phdr){.p_type = PT_NOTE, .p_offset = NOTES, .p_filesz = 0x100, .p_align = 4};
}

static size_t round_to_4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static size_t add_note(struct image *i, size_t at, const char *name, uint32_t type, uint64_t value,
		       uint32_t size)
{
	Elf64_Nhdr n = {(uint32_t)strlen(name) + 1, size, type};
	size_t desc = at + sizeof(n) + round_to_4(n.n_namesz);

	memcpy(i->bytes + NOTES + at, &n, sizeof(n));
	memcpy(i->bytes + NOTES + at + sizeof(n), name, n.n_namesz);
	memcpy(i->bytes + NOTES + desc, &value, size);
	return desc + round_to_4(size);
}

static void make_pvh(struct image *i)
{
	make(i);
	add_note(i, add_note(i, 0, "GNU", 3, 0, 8), "Xen", 18, ENTRY + 4, 8);
}

/* @at: offset in the file. */
static void add_multiboot(struct image *i, size_t at, uint32_t flags)
{
	const uint32_t h[] = {MB_MAGIC, flags, -(MB_MAGIC + flags)};

	memcpy(i->bytes + at, h, sizeof(h));
}

static void want(struct boot_world *w, int code, const char *says)
{
	int rc = boot_load(w);

	if (rc != code || !strstr(w->err.text, says))
		fail_msg("%d '%s' instead of %d '...%s...'", rc, w->err.text, code, says);
}

static void refuse(const struct image *i, size_t size, int code, const char *says)
{
	struct boot_world w;

	boot_world_open(&w);
	boot_give_kernel(&w, i->bytes, size);
	want(&w, code, says);
	boot_world_close(&w);
}

static void start(struct boot_world *w, const struct image *i)
{
	boot_world_open(w);
	boot_give_kernel(w, i->bytes, sizeof(*i));
	memset(boot_at(w, LOAD), 0xee, 2 * MEMORY);
	want(w, 0, "");
}

static void want_segment(struct boot_world *w, const struct image *i)
{
	static const uint8_t zero[MEMORY - TEXT];

	assert_memory_equal(boot_at(w, LOAD), i->bytes + TEXT, TEXT);
	assert_memory_equal(boot_at(w, LOAD + TEXT), zero, sizeof(zero));
	assert_int_equal(*(uint8_t *)boot_at(w, LOAD + MEMORY), 0xee);
}

/* ---- PVH ---- */

struct start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, cmdline, rsdp, map;
	uint32_t map_entries, reserved;
};

struct module_entry {
	uint64_t base, size, cmdline, reserved;
};

struct pvh_range {
	uint64_t base, size;
	uint32_t type, reserved;
};

static void pvh_starts_where_its_note_says(void **state)
{
	struct boot_world w;
	struct image i;

	(void)state;
	make_pvh(&i);
	start(&w, &i);
	want_segment(&w, &i);
	assert_int_equal(w.entry.mode, SX_BOOT_PROTECTED);
	assert_int_equal(w.entry.rip, ENTRY + 4);
	assert_false(w.entry.legacy);
	boot_world_close(&w);
}

static void pvh_notes_may_be_of_4_bytes_and_padded_to_8(void **state)
{
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	add_note(&i, 0, "Xen", 18, ENTRY + 8, 4);
	start(&w, &i);
	assert_int_equal(w.entry.rip, ENTRY + 8);
	boot_world_close(&w);
	/* A name of 5 bytes is padded to offset 24, its descriptor of 4 to 32. */
	make(&i);
	phdr(&i, 1)->p_align = 8;
	add_note(&i, add_note(&i, 0, "Name", 18, 1, 4) + 8, "Xen", 18, ENTRY + 12, 8);
	start(&w, &i);
	assert_int_equal(w.entry.rip, ENTRY + 12);
	boot_world_close(&w);
}

static void pvh_is_told_all_it_needs(void **state)
{
	const struct module_entry *module;
	const struct start_info *info;
	const struct pvh_range *map;
	struct boot_world w;
	struct image i;

	(void)state;
	make_pvh(&i);
	boot_world_open(&w);
	w.req.cmdline = "console=ttyS0";
	w.req.high_size = 1 << 20;
	boot_give_initrd(&w, "archive", 7);
	boot_give_kernel(&w, i.bytes, sizeof(i));
	want(&w, 0, "");
	info = boot_at(&w, w.entry.rbx);
	assert_int_equal(info->magic, 0x336ec578);
	assert_int_equal(info->version, 1);
	assert_int_equal(info->rsdp, 0xe0000);
	assert_string_equal(boot_at(&w, info->cmdline), "console=ttyS0");
	assert_int_equal(info->modules, 1);
	module = boot_at(&w, info->module_list);
	assert_int_equal(module->size, 7);
	assert_memory_equal(boot_at(&w, module->base), "archive", 7);
	map = boot_at(&w, info->map);
	assert_int_equal(info->map_entries, 6);
	assert_int_equal(map[0].base, 0);
	assert_int_equal(map[0].type, 1);
	assert_int_equal(map[1].type, 2);
	assert_int_equal(map[3].base, SX_PC_EXTENDED);
	assert_int_equal(map[3].size, BOOT_MEMORY - SX_PC_EXTENDED);
	assert_int_equal(map[5].base, SX_PC_HIGH);
	assert_int_equal(map[5].size, 1 << 20);
	boot_world_close(&w);
}

static void pvh_without_an_initrd_has_no_module(void **state)
{
	const struct start_info *info;
	struct boot_world w;
	struct image i;

	(void)state;
	make_pvh(&i);
	start(&w, &i);
	info = boot_at(&w, w.entry.rbx);
	assert_int_equal(info->modules, 0);
	assert_int_equal(info->module_list, 0);
	boot_world_close(&w);
}

static void pvh_entries_outside_the_kernel_are_refused(void **state)
{
	static const uint64_t wrong[] = {0, LOAD - 1, LOAD + MEMORY, UINT64_MAX};
	struct image i;

	(void)state;
	for (unsigned k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
		make(&i);
		add_note(&i, 0, "Xen", 18, wrong[k], 8);
		refuse(&i, sizeof(i), -ENOEXEC, "outside what it loads");
	}
}

static void broken_notes_are_no_notes(void **state)
{
	Elf64_Nhdr huge = {UINT32_MAX, UINT32_MAX, 18};
	struct image i;

	(void)state;
	make(&i);
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
	memcpy(i.bytes + NOTES, &huge, sizeof(huge));
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
	make(&i);
	add_note(&i, 0, "Xem", 18, ENTRY, 8);
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
	make(&i);
	add_note(&i, 0, "Xen", 17, ENTRY, 8);
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
	make(&i);
	add_note(&i, 0, "Xen", 18, ENTRY, 6);
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
	make_pvh(&i);
	phdr(&i, 1)->p_filesz = 24 + 12 + 4 + 7; /* one byte short of the second note's end */
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
	make_pvh(&i);
	phdr(&i, 1)->p_offset = sizeof(i);
	refuse(&i, sizeof(i), -ENOEXEC, "cut short");
	phdr(&i, 1)->p_offset = sizeof(i) + 1;
	phdr(&i, 1)->p_filesz = 4;
	refuse(&i, sizeof(i), -ENOEXEC, "cut short");
	make_pvh(&i);
	phdr(&i, 1)->p_filesz = UINT64_MAX;
	refuse(&i, sizeof(i), -ENOEXEC, "cut short");
}

/* ---- what holds for all ELF files ---- */

static void elf_files_with_bad_headers_are_refused(void **state)
{
	struct image i;

	(void)state;
	make_pvh(&i);
	i.e64.e_phnum = 0;
	refuse(&i, sizeof(i), -ENOEXEC, "program headers");
	make_pvh(&i);
	i.e64.e_phnum = 65;
	refuse(&i, sizeof(i), -ENOEXEC, "program headers");
	make_pvh(&i);
	i.e64.e_phentsize = 55;
	refuse(&i, sizeof(i), -ENOEXEC, "program headers");
	make_pvh(&i);
	i.e64.e_phoff = UINT64_MAX - 10;
	refuse(&i, sizeof(i), -ENOEXEC, "cut short");
	make_pvh(&i);
	i.e64.e_phoff = sizeof(i) - 60;
	refuse(&i, sizeof(i), -ENOEXEC, "cut short");
	make_pvh(&i);
	i.e64.e_machine = EM_AARCH64;
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
	make_pvh(&i);
	i.e64.e_type = ET_REL;
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
	make_pvh(&i);
	i.e64.e_ident[EI_CLASS] = 3;
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
}

static void segments_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		uint64_t paddr, memsz;
	} wrong[] = {{0, MEMORY},
		     {SX_PC_EXTENDED - 1, MEMORY},
		     {BOOT_MEMORY - MEMORY + 1, MEMORY},
		     {BOOT_MEMORY, MEMORY},
		     {UINT64_MAX - 0xfff, MEMORY},
		     {LOAD, UINT64_MAX - LOAD + 1},
		     {LOAD, BOOT_MEMORY}};
	struct image i;

	(void)state;
	for (unsigned k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
		make_pvh(&i);
		phdr(&i, 0)->p_paddr = wrong[k].paddr;
		phdr(&i, 0)->p_memsz = wrong[k].memsz;
		refuse(&i, sizeof(i), -EFBIG, "give more by --memory");
	}
}

static void damaged_segments_are_refused(void **state)
{
	struct image i;

	(void)state;
	make_pvh(&i);
	refuse(&i, sizeof(i) - 1, -ENOEXEC, "cut short");
	phdr(&i, 0)->p_filesz = MEMORY + 1;
	refuse(&i, sizeof(i), -ENOEXEC, "damaged");
	make_pvh(&i);
	phdr(&i, 0)->p_offset = UINT64_MAX - 5;
	refuse(&i, sizeof(i), -ENOEXEC, "cut short");
	make_pvh(&i);
	phdr(&i, 0)->p_type = PT_NULL;
	refuse(&i, sizeof(i), -ENOEXEC, "nothing to load");
}

/* ---- Multiboot ---- */

struct info {
	uint32_t flags, lower, upper, device, cmdline, modules, module_list, syms[4], map_length,
		map, drives[2], config, loader;
};

struct module {
	uint32_t start, end, string, reserved;
};

struct map_entry {
	uint32_t size;
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

static void multiboot_starts_at_the_elf_entry(void **state)
{
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	add_multiboot(&i, 0x400, 3);
	start(&w, &i);
	want_segment(&w, &i);
	assert_int_equal(w.entry.mode, SX_BOOT_PROTECTED);
	assert_int_equal(w.entry.rip, ENTRY);
	assert_int_equal(w.entry.rax, 0x2badb002);
	assert_true(w.entry.legacy);
	boot_world_close(&w);
	make32(&i);
	add_multiboot(&i, 0x400, 0);
	start(&w, &i);
	want_segment(&w, &i);
	assert_int_equal(w.entry.rip, ENTRY);
	boot_world_close(&w);
}

static void pvh_is_preferred_to_multiboot(void **state)
{
	struct boot_world w;
	struct image i;

	(void)state;
	make_pvh(&i);
	add_multiboot(&i, 0x400, 3);
	start(&w, &i);
	assert_int_equal(w.entry.rip, ENTRY + 4);
	boot_world_close(&w);
}

static void multiboot_is_told_what_it_may_want(void **state)
{
	const struct map_entry *map;
	const struct info *info;
	struct boot_world w;
	struct image i;
	char name[64];

	(void)state;
	make(&i);
	add_multiboot(&i, 0x400, 3);
	boot_world_open(&w);
	w.req.cmdline = "a=b c";
	boot_give_kernel(&w, i.bytes, sizeof(i));
	want(&w, 0, "");
	info = boot_at(&w, w.entry.rbx);
	assert_int_equal(info->flags, 1 | 1 << 2 | 1 << 6 | 1 << 9);
	assert_int_equal(info->lower, 639);
	assert_int_equal(info->upper, (BOOT_MEMORY >> 10) - 1024);
	snprintf(name, sizeof(name), "%s a=b c", strrchr(w.kernel, '/') + 1);
	assert_string_equal(boot_at(&w, info->cmdline), name);
	assert_string_equal(boot_at(&w, info->loader), "splitx");
	assert_int_equal(info->modules, 0);
	assert_int_equal(info->map_length, 5 * sizeof(*map));
	map = boot_at(&w, info->map);
	assert_int_equal(map[3].size, 20);
	assert_int_equal(map[3].base, SX_PC_EXTENDED);
	assert_int_equal(map[3].length, BOOT_MEMORY - SX_PC_EXTENDED);
	assert_int_equal(map[3].type, 1);
	boot_world_close(&w);
}

static void multiboot_modules_follow_the_kernel_on_pages(void **state)
{
	const struct module *m;
	const struct info *info;
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	phdr(&i, 0)->p_memsz = MEMORY - 1;
	add_multiboot(&i, 0x400, 3);
	boot_world_open(&w);
	boot_give_initrd(&w, "one", 3);
	boot_give_initrd(&w, "second", 6);
	boot_give_kernel(&w, i.bytes, sizeof(i));
	want(&w, 0, "");
	info = boot_at(&w, w.entry.rbx);
	assert_true(info->flags & 1 << 3);
	assert_int_equal(info->modules, 2);
	m = boot_at(&w, info->module_list);
	assert_int_equal(m[0].start, LOAD + MEMORY);
	assert_int_equal(m[0].end, LOAD + MEMORY + 3);
	assert_int_equal(m[1].start, LOAD + MEMORY + 0x1000);
	assert_memory_equal(boot_at(&w, m[0].start), "one", 3);
	assert_memory_equal(boot_at(&w, m[1].start), "second", 6);
	assert_string_equal(boot_at(&w, m[1].string), strrchr(w.initrd[1], '/') + 1);
	boot_world_close(&w);
}

static void multiboot_modules_that_do_not_fit_are_refused(void **state)
{
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	add_multiboot(&i, 0x400, 3);
	phdr(&i, 0)->p_memsz = BOOT_MEMORY - LOAD;
	boot_world_open(&w);
	boot_give_kernel(&w, i.bytes, sizeof(i));
	want(&w, 0, "");
	boot_give_initrd(&w, "x", 1);
	want(&w, -EFBIG, "initrd");
	boot_world_close(&w);
}

static void multiboot_headers_count_only_where_they_may_be(void **state)
{
	struct image i;

	(void)state;
	make(&i);
	add_multiboot(&i, 0x402, 3);
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
	make(&i);
	add_multiboot(&i, 0x400, 3);
	i.bytes[0x408]++; /* the checksum */
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
	/* It would be the last 12 bytes that are looked at, and lacks one of them. */
	make(&i);
	add_multiboot(&i, 2 * TEXT - 12, 3);
	refuse(&i, sizeof(i) - 1, -ENOEXEC, "of no kind");
	refuse(&i, sizeof(i) - 12, -ENOEXEC, "of no kind");
}

static void multiboot_wishes_that_cannot_be_met_are_refused(void **state)
{
	struct image i;

	(void)state;
	make(&i);
	add_multiboot(&i, 0x400, 4);
	refuse(&i, sizeof(i), -ENOEXEC, "flags 0x4");
	add_multiboot(&i, 0x400, 0x8000);
	refuse(&i, sizeof(i), -ENOEXEC, "flags 0x8000");
	make(&i);
	i.e64.e_ident[0] = 0;
	add_multiboot(&i, 0x400, 3);
	refuse(&i, sizeof(i), -ENOEXEC, "no ELF file");
	make(&i);
	i.e64.e_entry = LOAD + MEMORY;
	add_multiboot(&i, 0x400, 3);
	refuse(&i, sizeof(i), -ENOEXEC, "outside what it loads");
}

/* A flat file: header at 0x20, loaded from 0x10 on. */
struct flat {
	uint32_t header, load, load_end, bss_end, entry;
};

static const struct flat good = {
	LOAD + 0x10, LOAD, LOAD + 0x800, LOAD + 0x2000, LOAD + 0x40,
};

static void make_flat(struct image *i, const struct flat *f)
{
	for (unsigned k = 0; k < sizeof(i->bytes); k++)
		i->bytes[k] = (uint8_t)(k * 3 + 1);
	add_multiboot(i, 0x20, 1 << 16);
	memcpy(i->bytes + 0x20 + 12, f, sizeof(*f));
}

static void flat_kernels_are_loaded_by_their_addresses(void **state)
{
	static const uint8_t zero[0x1800];
	struct flat f = good;
	struct boot_world w;
	struct image i;

	(void)state;
	make_flat(&i, &f);
	start(&w, &i);
	assert_memory_equal(boot_at(&w, LOAD), i.bytes + 0x10, 0x800);
	assert_memory_equal(boot_at(&w, LOAD + 0x800), zero, sizeof(zero));
	assert_int_equal(*(uint8_t *)boot_at(&w, LOAD + 0x2000), 0xee);
	assert_int_equal(w.entry.rip, LOAD + 0x40);
	boot_world_close(&w);
	/* Without ends: the rest of the file, and no more memory. */
	f.load_end = f.bss_end = 0;
	make_flat(&i, &f);
	start(&w, &i);
	assert_memory_equal(boot_at(&w, LOAD), i.bytes + 0x10, sizeof(i.bytes) - 0x10);
	assert_int_equal(*(uint8_t *)boot_at(&w, LOAD + sizeof(i.bytes) - 0x10), 0xee);
	boot_world_close(&w);
}

static void modules_follow_a_flat_kernels_memory(void **state)
{
	const struct info *info;
	struct boot_world w;
	struct image i;

	(void)state;
	make_flat(&i, &good);
	boot_world_open(&w);
	boot_give_initrd(&w, "one", 3);
	boot_give_kernel(&w, i.bytes, sizeof(i));
	want(&w, 0, "");
	info = boot_at(&w, w.entry.rbx);
	assert_int_equal(*(uint32_t *)boot_at(&w, info->module_list), good.bss_end);
	boot_world_close(&w);
}

static void flat_addresses_that_do_not_agree_are_refused(void **state)
{
	static const struct {
		struct flat f;
		int code;
		const char *says;
	} wrong[] = {
		{{LOAD - 1, LOAD, 0, 0, LOAD}, -ENOEXEC, "do not agree"},
		{{LOAD + 0x21, LOAD, 0, 0, LOAD}, -ENOEXEC, "do not agree"},
		{{LOAD + 0x10, LOAD, LOAD - 1, 0, LOAD}, -ENOEXEC, "do not agree"},
		{{LOAD + 0x10, LOAD, LOAD + 0x800, LOAD + 0x7ff, LOAD}, -ENOEXEC, "do not agree"},
		{{LOAD + 0x10, LOAD, LOAD + 0x800, 0, LOAD + 0x800}, -ENOEXEC, "do not agree"},
		{{LOAD + 0x10, LOAD, LOAD + 0x800, 0, LOAD - 1}, -ENOEXEC, "do not agree"},
		{{LOAD + 0x10, LOAD, LOAD + 0x4000, 0, LOAD}, -ENOEXEC, "cut short"},
		{{0x10, 0, 0x800, 0, 0}, -EFBIG, "give more"},
		{{0xfffffff0, 0xfffffff0, 0, 0, 0xfffffff0}, -EFBIG, "give more"},
		{{LOAD + 0x10, LOAD, LOAD + 0x800, BOOT_MEMORY + 1, LOAD}, -EFBIG, "give more"},
	};
	struct image i;

	(void)state;
	for (unsigned k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
		make_flat(&i, &wrong[k].f);
		refuse(&i, sizeof(i), wrong[k].code, wrong[k].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pvh_starts_where_its_note_says),
		cmocka_unit_test(pvh_notes_may_be_of_4_bytes_and_padded_to_8),
		cmocka_unit_test(pvh_is_told_all_it_needs),
		cmocka_unit_test(pvh_without_an_initrd_has_no_module),
		cmocka_unit_test(pvh_entries_outside_the_kernel_are_refused),
		cmocka_unit_test(broken_notes_are_no_notes),
		cmocka_unit_test(elf_files_with_bad_headers_are_refused),
		cmocka_unit_test(segments_that_do_not_fit_are_refused),
		cmocka_unit_test(damaged_segments_are_refused),
		cmocka_unit_test(multiboot_starts_at_the_elf_entry),
		cmocka_unit_test(pvh_is_preferred_to_multiboot),
		cmocka_unit_test(multiboot_is_told_what_it_may_want),
		cmocka_unit_test(multiboot_modules_follow_the_kernel_on_pages),
		cmocka_unit_test(multiboot_modules_that_do_not_fit_are_refused),
		cmocka_unit_test(multiboot_headers_count_only_where_they_may_be),
		cmocka_unit_test(multiboot_wishes_that_cannot_be_met_are_refused),
		cmocka_unit_test(flat_kernels_are_loaded_by_their_addresses),
		cmocka_unit_test(modules_follow_a_flat_kernels_memory),
		cmocka_unit_test(flat_addresses_that_do_not_agree_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
