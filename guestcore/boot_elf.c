// SPDX-License-Identifier: BSD-3-Clause
/*
 * ELF kernels, 32-bit and 64-bit, by physical address (System V ABI, chapters 4 and 5).
 */
#include "guestcore/boot_internal.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "guestcore/pc_map.h"

#define MAX_SEGMENTS 64
#define MAX_NOTES    (64u << 10) /* bytes of one note segment */
#define XEN_NAME     "Xen"

/* A program header of either class. */
struct segment {
	uint32_t type;
	uint64_t offset, paddr, filesz, memsz, align;
};

/* 1: an x86 ELF file, 0: something else. */
static int read_header(const struct sx_boot *b, struct sx_boot_elf *elf)
{
	union {
		Elf64_Ehdr e64;
		Elf32_Ehdr e32;
	} h;
	int rc;

	if (b->kernel.size < sizeof(h))
		return 0;
	rc = sx_boot_file_read(&b->kernel, &h, sizeof(h), 0, b->err);
	if (rc < 0)
		return rc;
	if (memcmp(h.e64.e_ident, ELFMAG, SELFMAG) != 0 || h.e64.e_ident[EI_DATA] != ELFDATA2LSB ||
	    (h.e64.e_machine != EM_X86_64 && h.e64.e_machine != EM_386) ||
	    (h.e64.e_type != ET_EXEC && h.e64.e_type != ET_DYN))
		return 0;
	if (h.e64.e_ident[EI_CLASS] == ELFCLASS64)
		*elf = (struct sx_boot_elf){.is64 = true,
					    .entry = h.e64.e_entry,
					    .phoff = h.e64.e_phoff,
					    .phnum = h.e64.e_phnum,
					    .phentsize = h.e64.e_phentsize};
	else if (h.e64.e_ident[EI_CLASS] == ELFCLASS32)
		*elf = (struct sx_boot_elf){.entry = h.e32.e_entry,
					    .phoff = h.e32.e_phoff,
					    .phnum = h.e32.e_phnum,
					    .phentsize = h.e32.e_phentsize};
	else
		return 0;
	return 1;
}

int sx_boot_elf_open(const struct sx_boot *b, struct sx_boot_elf *elf)
{
	int rc = read_header(b, elf);

	if (rc <= 0)
		return rc;
	if (elf->phentsize != (elf->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) ||
	    !elf->phnum || elf->phnum > MAX_SEGMENTS)
		return sx_fail(b->err, -ENOEXEC,
			       "kernel '%s' has %u program headers of %u bytes; 1 to %d of the "
			       "usual size can be loaded",
			       b->kernel.path, elf->phnum, elf->phentsize, MAX_SEGMENTS);
	return 1;
}

static int read_segment(const struct sx_boot *b, const struct sx_boot_elf *elf, unsigned i,
			struct segment *s)
{
	union {
		Elf64_Phdr p64;
		Elf32_Phdr p32;
	} p;
	int rc = sx_boot_file_read(&b->kernel, &p, elf->phentsize,
				   elf->phoff + (uint64_t)i * elf->phentsize, b->err);

	if (rc < 0)
		return rc;
	if (elf->is64)
		*s = (struct segment){p.p64.p_type,   p.p64.p_offset, p.p64.p_paddr,
				      p.p64.p_filesz, p.p64.p_memsz,  p.p64.p_align};
	else
		*s = (struct segment){p.p32.p_type,   p.p32.p_offset, p.p32.p_paddr,
				      p.p32.p_filesz, p.p32.p_memsz,  p.p32.p_align};
	return 0;
}

static int load_segment(const struct sx_boot *b, const struct segment *s)
{
	uint8_t *to;

	if (s->filesz > s->memsz)
		return sx_fail(b->err, -ENOEXEC,
			       "kernel '%s' is damaged: a segment has more bytes than memory; get "
			       "it again",
			       b->kernel.path);
	to = sx_boot_fits(b, s->paddr, s->memsz)
		     ? sx_memmap_at(b->memory, s->paddr, s->memsz, SX_WRITE)
		     : NULL;
	if (!to)
		return sx_fail(b->err, -EFBIG,
			       "kernel '%s' needs memory at 0x%" PRIx64 "+0x%" PRIx64
			       ", and the guest's for it is 0x%x to 0x%" PRIx64
			       "; give more by --memory",
			       b->kernel.path, s->paddr, s->memsz, SX_PC_EXTENDED, b->req->low_end);
	memset(to + s->filesz, 0, s->memsz - s->filesz);
	return sx_boot_file_read(&b->kernel, to, s->filesz, s->offset, b->err);
}

int sx_boot_elf_load(const struct sx_boot *b, const struct sx_boot_elf *elf, sx_gpa *end)
{
	*end = 0;
	for (unsigned i = 0; i < elf->phnum; i++) {
		struct segment s;
		int rc = read_segment(b, elf, i, &s);

		if (rc == 0 && s.type == PT_LOAD && s.memsz) {
			rc = load_segment(b, &s);
			if (rc == 0 && s.paddr + s.memsz > *end)
				*end = s.paddr + s.memsz;
		}
		if (rc < 0)
			return rc;
	}
	if (!*end)
		return sx_fail(b->err, -ENOEXEC,
			       "kernel '%s' has nothing to load; it is no kernel or damaged",
			       b->kernel.path);
	return 0;
}

/* Below the segment the difference wraps round to more than its size. */
bool sx_boot_elf_holds(const struct sx_boot *b, const struct sx_boot_elf *elf, sx_gpa gpa)
{
	for (unsigned i = 0; i < elf->phnum; i++) {
		struct segment s;

		if (read_segment(b, elf, i, &s) < 0)
			return false;
		if (s.type == PT_LOAD && gpa - s.paddr < s.memsz)
			return true;
	}
	return false;
}

/* ---- notes ---- */

static uint64_t padded(uint64_t offset, uint64_t align)
{
	return (offset + align - 1) & ~(align - 1);
}

static bool is_xens(const struct sx_boot *b, const Elf64_Nhdr *n, uint64_t at)
{
	char name[sizeof(XEN_NAME)];

	return n->n_namesz == sizeof(name) &&
	       sx_boot_file_read(&b->kernel, name, sizeof(name), at, b->err) == 0 &&
	       memcmp(name, XEN_NAME, sizeof(name)) == 0;
}

/* Elf32_Nhdr and Elf64_Nhdr are the same. */
static int search_notes(const struct sx_boot *b, const struct segment *s, uint32_t type,
			uint64_t *value)
{
	uint64_t align = s->align == 8 ? 8 : 4;
	uint64_t at = 0, size = s->filesz < MAX_NOTES ? s->filesz : MAX_NOTES;

	if (s->offset > b->kernel.size || s->filesz > b->kernel.size - s->offset)
		return sx_fail(b->err, -ENOEXEC, "kernel '%s' is cut short; get it again",
			       b->kernel.path);
	while (at + sizeof(Elf64_Nhdr) <= size) {
		Elf64_Nhdr n;
		uint64_t name = at + sizeof(n), desc;
		int rc = sx_boot_file_read(&b->kernel, &n, sizeof(n), s->offset + at, b->err);

		if (rc < 0)
			return rc;
		desc = padded(name + n.n_namesz, align);
		at = padded(desc + n.n_descsz, align);
		if (desc + n.n_descsz > size)
			return 0;
		if (n.n_type != type || (n.n_descsz != 4 && n.n_descsz != 8) ||
		    !is_xens(b, &n, s->offset + name))
			continue;
		*value = 0;
		rc = sx_boot_file_read(&b->kernel, value, n.n_descsz, s->offset + desc, b->err);
		return rc < 0 ? rc : 1;
	}
	return 0;
}

int sx_boot_elf_xen_note(const struct sx_boot *b, const struct sx_boot_elf *elf, uint32_t type,
			 uint64_t *value)
{
	for (unsigned i = 0; i < elf->phnum; i++) {
		struct segment s;
		int rc = read_segment(b, elf, i, &s);

		if (rc == 0 && s.type == PT_NOTE)
			rc = search_notes(b, &s, type, value);
		if (rc)
			return rc;
	}
	return 0;
}
