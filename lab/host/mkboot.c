// SPDX-License-Identifier: BSD-3-Clause
/*
 * Makes a disk image that boots an ELF file: the lab's loader, its table, and the file's segments
 * without their long runs of zeroes.
 *
 *   mkboot LOADER KERNEL IMAGE CMDLINE [INITRD]
 *
 * KERNEL is a Linux vmlinux with a PVH entry, or a Multiboot image (32 or 64-bit ELF, entered in
 * 32-bit mode). The image is a whole number of cylinders of 16 heads and 63 sectors.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/boot/table.h"

#define CYLINDER         ((off_t)16 * 63 * SX_BOOT_SECTOR)
#define ZERO_RUN         0x10000        /* shorter runs of zeroes are read from the disk */
#define LOWEST           0x100000       /* the loader itself lives below */
#define INITRD_LOWEST    (128ULL << 20) /* leaves the kernel room to grow behind its end */
#define ADDRESS_LIMIT    (1ULL << 32)
#define MAX_SEGMENTS     16
#define PVH_ENTRY_NOTE   18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define MULTIBOOT_MAGIC  0x1badb002
#define MULTIBOOT_AREA   8192       /* where its header has to lie */
#define MULTIBOOT_KLUDGE (1U << 16) /* load addresses in the header instead of ELF's */

struct blob {
	const uint8_t *data;
	size_t size;
};

struct segment {
	uint64_t address;
	uint64_t file_size;
	uint64_t memory_size;
	const uint8_t *data;
};

struct kernel {
	struct segment segments[MAX_SEGMENTS];
	size_t count;
	uint64_t entry;
	uint32_t protocol;
};

struct image {
	int fd;
	uint32_t sectors;
	struct sx_boot_table table;
};

__attribute__((format(printf, 1, 2))) static _Noreturn void fail(const char *fmt, ...)
{
	va_list args;

	fputs("lab: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static struct blob map_file(const char *path)
{
	struct blob blob = {0};
	struct stat status;
	void *data;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		fail("cannot open '%s': %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode) || status.st_size == 0)
		fail("'%s' is empty or no file", path);
	blob.size = (size_t)status.st_size;
	data = mmap(NULL, blob.size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		fail("cannot read '%s': %s", path, strerror(errno));
	blob.data = data;
	close(fd);
	return blob;
}

/* The @size bytes of a file at @offset. */
static const void *at(struct blob blob, uint64_t offset, uint64_t size)
{
	if (offset > blob.size || size > blob.size - offset)
		fail("the kernel's ELF headers point past its end");
	return blob.data + offset;
}

/* A program header of either class. */
static Elf64_Phdr program_header(struct blob file, unsigned int index)
{
	const Elf64_Ehdr *header64 = (const void *)file.data;
	const Elf32_Ehdr *header32 = (const void *)file.data;
	Elf64_Phdr wide = {0};
	Elf32_Phdr narrow;

	if (file.data[EI_CLASS] == ELFCLASS64) {
		memcpy(&wide, at(file, header64->e_phoff + index * sizeof(wide), sizeof(wide)),
		       sizeof(wide));
		return wide;
	}
	memcpy(&narrow, at(file, header32->e_phoff + index * sizeof(narrow), sizeof(narrow)),
	       sizeof(narrow));
	wide.p_type = narrow.p_type;
	wide.p_offset = narrow.p_offset;
	wide.p_paddr = narrow.p_paddr;
	wide.p_filesz = narrow.p_filesz;
	wide.p_memsz = narrow.p_memsz;
	return wide;
}

static void add_segment(struct kernel *kernel, struct blob file, const Elf64_Phdr *header)
{
	struct segment *segment = &kernel->segments[kernel->count];

	if (header->p_memsz == 0)
		return;
	if (kernel->count == MAX_SEGMENTS)
		fail("the kernel has more than %d segments", MAX_SEGMENTS);
	if (header->p_paddr < LOWEST || header->p_filesz > header->p_memsz ||
	    header->p_paddr >= ADDRESS_LIMIT || header->p_memsz > ADDRESS_LIMIT - header->p_paddr)
		fail("a segment of the kernel lies at %#llx; only 1 MiB to 4 GiB can be loaded",
		     (unsigned long long)header->p_paddr);
	segment->address = header->p_paddr;
	segment->file_size = header->p_filesz;
	segment->memory_size = header->p_memsz;
	segment->data = at(file, header->p_offset, header->p_filesz);
	kernel->count++;
}

static int by_address(const void *a, const void *b)
{
	const struct segment *left = a, *right = b;

	return (left->address > right->address) - (left->address < right->address);
}

static uint64_t align4(uint64_t value)
{
	return (value + 3) & ~3ULL;
}

/* Looks for Linux's 32-bit entry in one note segment. */
static bool find_pvh_entry(struct blob file, const Elf64_Phdr *header, uint64_t *entry)
{
	const uint8_t *notes = at(file, header->p_offset, header->p_filesz);
	uint64_t offset = 0;

	while (header->p_filesz - offset >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint64_t name, desc;
		uint32_t value;

		memcpy(&note, notes + offset, sizeof(note));
		name = offset + sizeof(note);
		desc = name + align4(note.n_namesz);
		if (desc > header->p_filesz || align4(note.n_descsz) > header->p_filesz - desc)
			return false;
		if (note.n_type == PVH_ENTRY_NOTE && note.n_descsz >= sizeof(value) &&
		    note.n_namesz == 4 && memcmp(notes + name, "Xen", 4) == 0) {
			memcpy(&value, notes + desc, sizeof(value));
			*entry = value;
			return true;
		}
		offset = desc + align4(note.n_descsz);
	}
	return false;
}

/* Multiboot Specification 0.6.96, 3.1. */
static bool is_multiboot(struct blob file)
{
	for (size_t i = 0; i + 12 <= MULTIBOOT_AREA && i + 12 <= file.size; i += 4) {
		uint32_t header[3];

		memcpy(header, file.data + i, sizeof(header));
		if (header[0] != MULTIBOOT_MAGIC || header[0] + header[1] + header[2] != 0)
			continue;
		if (header[1] & MULTIBOOT_KLUDGE)
			fail("the image's Multiboot header sets bit 16 (load addresses in the "
			     "header); leave the addresses to the ELF headers");
		return true;
	}
	return false;
}

static struct kernel read_kernel(struct blob file)
{
	const Elf64_Ehdr *header64 = (const void *)file.data;
	const Elf32_Ehdr *header32 = (const void *)file.data;
	struct kernel kernel = {0};
	unsigned int count;
	bool wide, pvh = false;

	at(file, 0, sizeof(Elf64_Ehdr));
	if (memcmp(file.data, ELFMAG, SELFMAG) != 0)
		fail("the kernel is no ELF file");
	wide = file.data[EI_CLASS] == ELFCLASS64;
	count = wide ? header64->e_phnum : header32->e_phnum;
	for (unsigned int i = 0; i < count; i++) {
		Elf64_Phdr header = program_header(file, i);

		if (header.p_type == PT_LOAD)
			add_segment(&kernel, file, &header);
		else if (header.p_type == PT_NOTE && !pvh)
			pvh = find_pvh_entry(file, &header, &kernel.entry);
	}
	qsort(kernel.segments, kernel.count, sizeof(kernel.segments[0]), by_address);
	if (is_multiboot(file)) {
		kernel.protocol = SX_BOOT_MULTIBOOT;
		kernel.entry = wide ? header64->e_entry : header32->e_entry;
	} else if (pvh) {
		kernel.protocol = SX_BOOT_PVH;
	} else {
		fail("the kernel has neither a Multiboot header nor a PVH entry");
	}
	if (kernel.count == 0 || kernel.entry >= ADDRESS_LIMIT)
		fail("the kernel has nothing to load, or its entry lies above 4 GiB");
	return kernel;
}

static void write_at(struct image *image, uint32_t sector, const void *data, size_t size)
{
	const uint8_t *next = data;
	off_t offset = (off_t)sector * SX_BOOT_SECTOR;

	while (size > 0) {
		ssize_t written = pwrite(image->fd, next, size, offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			fail("cannot write the image: %s", strerror(errno));
		next += written;
		offset += written;
		size -= (size_t)written;
	}
}

/* @data is NULL for zeroes. The file's own holes pad each chunk to whole sectors. */
static void add_chunk(struct image *image, const void *data, size_t size, uint64_t address)
{
	struct sx_boot_table *table = &image->table;
	struct sx_boot_chunk *chunk = &table->chunks[table->chunk_count];

	if (size == 0)
		return;
	if (table->chunk_count == SX_BOOT_CHUNKS)
		fail("the kernel falls into more than %d pieces", SX_BOOT_CHUNKS);
	table->chunk_count++;
	chunk->address = (uint32_t)address;
	chunk->bytes = (uint32_t)(data ? size : align4(size));
	if (!data)
		return;
	chunk->sector = image->sectors;
	write_at(image, image->sectors, data, size);
	image->sectors += (uint32_t)((size + SX_BOOT_SECTOR - 1) / SX_BOOT_SECTOR);
}

static bool all_zero(const uint8_t *data, size_t size)
{
	return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

/* Splits a segment into pieces of ZERO_RUN bytes and joins neighbours of the same kind. */
static void add_segment_chunks(struct image *image, const struct segment *segment)
{
	size_t start = 0;
	bool was_zero = false;

	for (size_t offset = 0; offset < segment->file_size; offset += ZERO_RUN) {
		size_t left = segment->file_size - offset;
		bool is_zero = left > ZERO_RUN && all_zero(segment->data + offset, ZERO_RUN);

		if (offset > start && is_zero != was_zero) {
			add_chunk(image, was_zero ? NULL : segment->data + start, offset - start,
				  segment->address + start);
			start = offset;
		}
		was_zero = is_zero;
	}
	add_chunk(image, was_zero ? NULL : segment->data + start, segment->file_size - start,
		  segment->address + start);
	add_chunk(image, NULL, segment->memory_size - segment->file_size,
		  segment->address + segment->file_size);
}

static void add_initrd(struct image *image, const struct kernel *kernel, const char *path)
{
	const struct segment *last = &kernel->segments[kernel->count - 1];
	uint64_t address = (last->address + last->memory_size + 0x1fffff) & ~0x1fffffULL;
	struct blob initrd = map_file(path);

	if (address < INITRD_LOWEST)
		address = INITRD_LOWEST;
	if (initrd.size > ADDRESS_LIMIT - address)
		fail("the initramfs does not fit below 4 GiB");
	add_chunk(image, initrd.data, initrd.size, address);
	image->table.initrd = (uint32_t)address;
	image->table.initrd_bytes = (uint32_t)initrd.size;
}

static void add_loader(struct image *image, const char *path)
{
	struct blob loader = map_file(path);

	if (loader.size > SX_BOOT_TABLE)
		fail("the loader '%s' is larger than %d bytes", path, SX_BOOT_TABLE);
	write_at(image, 0, loader.data, loader.size);
	write_at(image, SX_BOOT_TABLE / SX_BOOT_SECTOR, &image->table, sizeof(image->table));
}

int main(int argc, char **argv)
{
	struct image image = {.sectors = SX_BOOT_SECTORS};
	struct kernel kernel;
	off_t size;

	if (argc != 5 && argc != 6)
		fail("usage: mkboot LOADER KERNEL IMAGE CMDLINE [INITRD]");
	if (strlen(argv[4]) >= sizeof(image.table.cmdline))
		fail("the command line is longer than %zu", sizeof(image.table.cmdline) - 1);
	kernel = read_kernel(map_file(argv[2]));
	image.fd = open(argv[3], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (image.fd < 0)
		fail("cannot create '%s': %s", argv[3], strerror(errno));

	for (size_t i = 0; i < kernel.count; i++)
		add_segment_chunks(&image, &kernel.segments[i]);
	if (argc == 6)
		add_initrd(&image, &kernel, argv[5]);
	image.table.protocol = kernel.protocol;
	image.table.entry = (uint32_t)kernel.entry;
	memcpy(image.table.cmdline, argv[4], strlen(argv[4]));
	add_loader(&image, argv[1]);

	size = ((off_t)image.sectors * SX_BOOT_SECTOR + CYLINDER - 1) / CYLINDER * CYLINDER;
	if (ftruncate(image.fd, size) < 0 || close(image.fd) < 0)
		fail("cannot write '%s': %s", argv[3], strerror(errno));
	return 0;
}
