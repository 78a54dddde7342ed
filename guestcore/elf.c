// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SEGMENTS 64

struct loader {
	const char *path;
	int fd;
	uint64_t file_size;
	struct sx_error *err;
};

static int open_file(struct loader *l)
{
	struct stat st;

	l->fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (l->fd < 0)
		return sx_fail(l->err, -errno, "cannot open guest program '%s': %s", l->path,
			       strerror(errno));
	if (fstat(l->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(l->fd);
		return sx_fail(l->err, -ENOEXEC,
			       "guest program '%s' is not a regular file; give an ELF64 program",
			       l->path);
	}
	l->file_size = (uint64_t)st.st_size;
	return 0;
}

static int cut_short(const struct loader *l)
{
	return sx_fail(l->err, -ENOEXEC, "guest program '%s' is cut short; build it again",
		       l->path);
}

static int read_exactly(const struct loader *l, void *to, uint64_t len, uint64_t offset)
{
	uint8_t *p = to;

	if (offset > l->file_size || len > l->file_size - offset)
		return cut_short(l);
	while (len) {
		ssize_t n = pread(l->fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return sx_fail(l->err, -errno, "cannot read guest program '%s': %s",
				       l->path, strerror(errno));
		if (n == 0) /* it has shrunk meanwhile */
			return cut_short(l);
		p += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int read_header(const struct loader *l, Elf64_Ehdr *h)
{
	int rc;

	if (l->file_size < sizeof(*h))
		return sx_fail(l->err, -ENOEXEC,
			       "guest program '%s' is no ELF64 file; build it as a static x86-64 "
			       "program",
			       l->path);
	rc = read_exactly(l, h, sizeof(*h), 0);
	if (rc < 0)
		return rc;
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != EM_X86_64)
		return sx_fail(l->err, -ENOEXEC,
			       "guest program '%s' is no ELF64 file for x86-64; build it as a "
			       "static x86-64 program",
			       l->path);
	if (h->e_type != ET_EXEC)
		return sx_fail(l->err, -ENOEXEC,
			       "guest program '%s' is not linked to fixed addresses; link it with "
			       "-static -no-pie",
			       l->path);
	if (h->e_phentsize != sizeof(Elf64_Phdr) || !h->e_phnum || h->e_phnum > MAX_SEGMENTS)
		return sx_fail(l->err, -ENOEXEC,
			       "guest program '%s' has %u program headers; 1 to %d are loadable",
			       l->path, h->e_phnum, MAX_SEGMENTS);
	return 0;
}

static int load_segment(const struct loader *l, const Elf64_Phdr *p, const struct sx_memmap *memory,
			sx_gpa lowest, sx_gpa limit)
{
	uint8_t *to;

	if (p->p_filesz > p->p_memsz || p->p_offset > l->file_size ||
	    p->p_filesz > l->file_size - p->p_offset)
		return sx_fail(l->err, -ENOEXEC,
			       "guest program '%s' is damaged: a segment reaches past the end of "
			       "the file; build it again",
			       l->path);
	if (p->p_paddr < lowest || p->p_paddr > limit || p->p_memsz > limit - p->p_paddr)
		return sx_fail(l->err, -EFBIG,
			       "guest program '%s' does not fit: it wants 0x%" PRIx64 "+0x%" PRIx64
			       ", and 0x%" PRIx64 " to 0x%" PRIx64
			       " is there; give more by --memory or link it elsewhere",
			       l->path, (uint64_t)p->p_paddr, (uint64_t)p->p_memsz, lowest, limit);
	to = sx_memmap_at(memory, p->p_paddr, p->p_memsz, SX_WRITE);
	if (!to)
		return sx_fail(l->err, -EFBIG,
			       "guest program '%s' wants memory at 0x%" PRIx64
			       " that the guest does not have; give more by --memory",
			       l->path, (uint64_t)p->p_paddr);
	memset(to + p->p_filesz, 0, p->p_memsz - p->p_filesz);
	return read_exactly(l, to, p->p_filesz, p->p_offset);
}

static int load_segments(const struct loader *l, const Elf64_Ehdr *h,
			 const struct sx_memmap *memory, sx_gpa lowest, sx_gpa limit,
			 struct sx_elf_image *image)
{
	int rc;

	for (unsigned i = 0; i < h->e_phnum; i++) {
		Elf64_Phdr p;

		rc = read_exactly(l, &p, sizeof(p), h->e_phoff + i * sizeof(p));
		if (rc < 0)
			return rc;
		if (p.p_type != PT_LOAD || !p.p_memsz)
			continue;
		rc = load_segment(l, &p, memory, lowest, limit);
		if (rc < 0)
			return rc;
		if (p.p_paddr + p.p_memsz > image->end)
			image->end = p.p_paddr + p.p_memsz;
	}
	if (h->e_entry < lowest || h->e_entry >= image->end)
		return sx_fail(l->err, -ENOEXEC,
			       "guest program '%s' starts at 0x%" PRIx64
			       ", outside what it loads; link it with a proper entry point",
			       l->path, (uint64_t)h->e_entry);
	image->entry = h->e_entry;
	return 0;
}

int sx_elf_load(const char *path, const struct sx_memmap *memory, sx_gpa lowest, sx_gpa limit,
		struct sx_elf_image *image, struct sx_error *err)
{
	struct loader l = {.path = path, .err = err};
	Elf64_Ehdr h;
	int rc;

	*image = (struct sx_elf_image){0};
	rc = open_file(&l);
	if (rc < 0)
		return rc;
	rc = read_header(&l, &h);
	if (rc == 0)
		rc = load_segments(&l, &h, memory, lowest, limit, image);
	close(l.fd);
	return rc;
}
