// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/boot_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "guestcore/pc_map.h"

#define PAGE 4096ull
#define MIB  20

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* ---- memory ---- */

static void add_range(struct sx_boot *b, uint64_t base, uint64_t end, enum sx_boot_range_type type)
{
	if (base < end)
		b->range[b->ranges++] = (struct sx_boot_range){base, end - base, type};
}

static void describe_memory(struct sx_boot *b)
{
	const struct sx_boot_request *r = b->req;

	add_range(b, 0, SX_PC_EBDA, SX_BOOT_RAM);
	add_range(b, SX_PC_EBDA, SX_PC_ISA_HOLE, SX_BOOT_RESERVED);
	add_range(b, SX_PC_FIRMWARE, SX_PC_EXTENDED, SX_BOOT_RESERVED);
	add_range(b, SX_PC_EXTENDED, r->low_end, SX_BOOT_RAM);
	add_range(b, SX_PC_ECAM, SX_PC_ECAM + SX_PC_ECAM_SIZE, SX_BOOT_RESERVED);
	if (r->vmx_lines)
		add_range(b, SX_PC_VMX_LINES, SX_PC_VMX_END, SX_BOOT_RESERVED);
	add_range(b, SX_PC_HIGH, SX_PC_HIGH + r->high_size, SX_BOOT_RAM);
}

bool sx_boot_fits(const struct sx_boot *b, sx_gpa base, uint64_t size)
{
	return base >= SX_PC_EXTENDED && base <= b->req->low_end && size <= b->req->low_end - base;
}

static int no_room(const struct sx_boot *b, const struct sx_boot_file *f, uint64_t wanted)
{
	return sx_fail(b->err, -EFBIG,
		       "%s '%s' needs %" PRIu64 " MiB of memory, and the guest has %" PRIu64
		       " MiB below 4 GiB; give more by --memory",
		       f->what, f->path, round_up(wanted, 1 << MIB) >> MIB, b->req->low_end >> MIB);
}

static int copy(const struct sx_boot *b, const struct sx_boot_file *f, sx_gpa gpa, uint64_t len,
		uint64_t offset)
{
	void *to;

	if (!len)
		return 0;
	to = sx_boot_fits(b, gpa, len) ? sx_memmap_at(b->memory, gpa, len, SX_WRITE) : NULL;
	if (!to)
		return sx_fail(b->err, -EFBIG,
			       "%s '%s' wants memory at 0x%" PRIx64 "+0x%" PRIx64
			       " that the guest does not have; give more by --memory",
			       f->what, f->path, gpa, len);
	return sx_boot_file_read(f, to, len, offset, b->err);
}

int sx_boot_copy(const struct sx_boot *b, sx_gpa gpa, uint64_t len, uint64_t offset)
{
	return copy(b, &b->kernel, gpa, len, offset);
}

int sx_boot_store(const struct sx_boot *b, sx_gpa gpa, const void *from, size_t len)
{
	if (sx_memmap_write(b->memory, gpa, from, len) < 0)
		return sx_fail(b->err, -EFBIG,
			       "the guest has no memory at 0x%" PRIx64 "; give more by --memory",
			       gpa);
	return 0;
}

/* ---- what the kernel is given ---- */

int sx_boot_store_cmdline(const struct sx_boot *b, const char *first, uint64_t max)
{
	size_t head = first ? strlen(first) : 0;
	size_t len = strlen(b->req->cmdline) + 1;
	int rc = 0;

	if (max > SX_BOOT_CMDLINE_MAX - 1)
		max = SX_BOOT_CMDLINE_MAX - 1;
	if (head + (head != 0) + len - 1 > max)
		return sx_fail(b->err, -EINVAL,
			       "kernel '%s' takes a command line of at most %" PRIu64
			       " characters, and --append gives %zu; shorten it",
			       b->kernel.path, max, head + (head != 0) + len - 1);
	if (head) {
		rc = sx_boot_store(b, SX_BOOT_CMDLINE, first, head);
		if (rc == 0)
			rc = sx_boot_store(b, SX_BOOT_CMDLINE + head, " ", 1);
		head++;
	}
	return rc < 0 ? rc : sx_boot_store(b, SX_BOOT_CMDLINE + head, b->req->cmdline, len);
}

int sx_boot_load_initrds(const struct sx_boot *b, sx_gpa floor, sx_gpa limit,
			 struct sx_boot_module *whole)
{
	uint64_t total = 0;
	sx_gpa at;

	*whole = (struct sx_boot_module){0};
	if (limit > b->req->low_end)
		limit = b->req->low_end;
	/* The kernel looks for the next archive at a multiple of 4. */
	for (unsigned i = 0; i < b->req->initrds; i++) {
		if (b->initrd[i].size > limit)
			return no_room(b, &b->initrd[i], floor + b->initrd[i].size);
		total = round_up(total, 4) + b->initrd[i].size;
	}
	if (!total)
		return 0;
	if (floor > limit || total > limit - floor || (limit - total) / PAGE * PAGE < floor)
		return no_room(b, &b->initrd[0], floor + total + PAGE);
	at = (limit - total) / PAGE * PAGE;
	*whole = (struct sx_boot_module){at, total};
	for (unsigned i = 0; i < b->req->initrds; i++) {
		int rc = copy(b, &b->initrd[i], at, b->initrd[i].size, 0);

		if (rc < 0)
			return rc;
		at = round_up(at + b->initrd[i].size, 4);
	}
	return 0;
}

int sx_boot_load_modules(const struct sx_boot *b, sx_gpa floor, struct sx_boot_module *module)
{
	for (unsigned i = 0; i < b->req->initrds; i++) {
		const struct sx_boot_file *f = &b->initrd[i];
		int rc;

		floor = round_up(floor, PAGE);
		if (!sx_boot_fits(b, floor, f->size))
			return no_room(b, f, floor + f->size);
		rc = copy(b, f, floor, f->size, 0);
		if (rc < 0)
			return rc;
		module[i] = (struct sx_boot_module){floor, f->size};
		floor += f->size;
	}
	return 0;
}

/* ---- which protocol ---- */

static int open_files(struct sx_boot *b)
{
	const struct sx_boot_request *r = b->req;
	int rc = sx_boot_file_open(&b->kernel, "kernel", r->kernel, b->err);

	for (unsigned i = 0; rc == 0 && i < r->initrds; i++)
		rc = sx_boot_file_open(&b->initrd[i], "initrd", r->initrd[i], b->err);
	return rc;
}

static void close_files(struct sx_boot *b)
{
	sx_boot_file_close(&b->kernel);
	for (unsigned i = 0; i < SX_BOOT_MAX_INITRDS; i++)
		sx_boot_file_close(&b->initrd[i]);
}

static int load(struct sx_boot *b, struct sx_boot_entry *entry)
{
	static int (*const protocol[])(const struct sx_boot *, struct sx_boot_entry *) = {
		sx_boot_linux,
		sx_boot_pvh,
		sx_boot_multiboot,
	};

	for (unsigned i = 0; i < sizeof(protocol) / sizeof(protocol[0]); i++) {
		int rc = protocol[i](b, entry);

		if (rc)
			return rc < 0 ? rc : 0;
	}
	return sx_fail(b->err, -ENOEXEC,
		       "kernel '%s' is of no kind that can be started; give a Linux bzImage, or an "
		       "x86 ELF kernel with a PVH note or a Multiboot header",
		       b->kernel.path);
}

int sx_boot_load(const struct sx_memmap *memory, const struct sx_boot_request *req,
		 struct sx_boot_entry *entry, struct sx_error *err)
{
	struct sx_boot b = {.memory = memory, .req = req, .err = err, .kernel.fd = -1};
	int rc;

	*entry = (struct sx_boot_entry){0};
	for (unsigned i = 0; i < SX_BOOT_MAX_INITRDS; i++)
		b.initrd[i].fd = -1;
	if (req->initrds > SX_BOOT_MAX_INITRDS)
		return sx_fail(err, -EINVAL, "a kernel is given at most %d initrds; name fewer",
			       SX_BOOT_MAX_INITRDS);
	if (req->low_end < SX_PC_EXTENDED || req->low_end > SX_PC_LOW_END)
		return sx_fail(err, -EINVAL,
			       "a kernel needs more than 1 MiB of memory; give more by --memory");
	describe_memory(&b);
	rc = open_files(&b);
	if (rc == 0)
		rc = load(&b, entry);
	close_files(&b);
	return rc;
}
