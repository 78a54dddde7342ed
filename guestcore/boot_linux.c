// SPDX-License-Identifier: BSD-3-Clause
/*
 * bzImage by the 64-bit boot protocol. Source for each field and limit: Linux,
 * Documentation/arch/x86/boot.rst ("The Real-Mode Kernel Header", "64-bit Boot Protocol") and
 * zero-page.rst.
 */
#include "guestcore/boot_internal.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "guestcore/pc_map.h"

#define SECTOR         512u
#define HEADER         offsetof(struct boot_params, hdr)
#define HEADER_END     0x290u /* nothing of it may reach beyond in struct boot_params */
#define BOOT_FLAG      0xaa55
#define MAGIC          0x53726448u /* "HdrS" */
#define OLDEST         0x020c      /* the first with xloadflags: Linux 3.8 */
#define ENTRY_64       0x200u      /* from where the kernel is loaded */
#define PARAGRAPH      16u
#define UNKNOWN_LOADER 0xff

_Static_assert(offsetof(struct boot_params, e820_table) == 0x2d0, "as in zero-page.rst");
_Static_assert(SX_BOOT_MAX_RANGES <= E820_MAX_ENTRIES_ZEROPAGE, "the memory map fits");

/* 1: a header, 0: the file is something else. */
static int read_header(const struct sx_boot *b, struct setup_header *h)
{
	uint8_t bytes[HEADER_END - HEADER];
	int rc;

	if (b->kernel.size < HEADER_END)
		return 0;
	rc = sx_boot_file_read(&b->kernel, bytes, sizeof(bytes), HEADER, b->err);
	if (rc < 0)
		return rc;
	memcpy(h, bytes, sizeof(*h));
	return h->boot_flag == BOOT_FLAG && h->header == MAGIC;
}

static int check_header(const struct sx_boot *b, const struct setup_header *h)
{
	const char *path = b->kernel.path;

	if (h->version < OLDEST)
		return sx_fail(b->err, -ENOEXEC,
			       "kernel '%s' speaks boot protocol %u.%02u, and 2.12 is the oldest "
			       "that can be started; use Linux 3.8 or newer",
			       path, h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH))
		return sx_fail(b->err, -ENOEXEC,
			       "kernel '%s' is a zImage, which is loaded low; build a bzImage",
			       path);
	if (!(h->xloadflags & XLF_KERNEL_64))
		return sx_fail(b->err, -ENOEXEC,
			       "kernel '%s' has no 64-bit entry; use an x86-64 kernel", path);
	if (!h->init_size)
		return sx_fail(b->err, -ENOEXEC,
			       "kernel '%s' is damaged: it says that it needs no memory; get it "
			       "again",
			       path);
	return 0;
}

/* Load the part behind the setup sectors where the kernel wants it. */
static int load_kernel(const struct sx_boot *b, const struct setup_header *h)
{
	uint64_t setup = ((uint64_t)(h->setup_sects ? h->setup_sects : 4) + 1) * SECTOR;
	uint64_t size = (uint64_t)h->syssize * PARAGRAPH;

	if (size <= ENTRY_64 || size > h->init_size)
		return sx_fail(b->err, -ENOEXEC,
			       "kernel '%s' is damaged: its size and the memory that it needs do "
			       "not agree; get it again",
			       b->kernel.path);
	if (!sx_boot_fits(b, h->pref_address, h->init_size))
		return sx_fail(b->err, -EFBIG,
			       "kernel '%s' needs memory at 0x%" PRIx64 "+0x%" PRIx32
			       ", and the guest's ends at 0x%" PRIx64 "; give more by --memory",
			       b->kernel.path, (uint64_t)h->pref_address, (uint32_t)h->init_size,
			       b->req->low_end);
	return sx_boot_copy(b, h->pref_address, size, setup);
}

static void fill_memory_map(const struct sx_boot *b, struct boot_params *p)
{
	for (unsigned i = 0; i < b->ranges; i++)
		p->e820_table[i] = (struct boot_e820_entry){
			.addr = b->range[i].base,
			.size = b->range[i].size,
			.type = b->range[i].type,
		};
	p->e820_entries = (uint8_t)b->ranges;
}

/*
 * Only the header of the file goes into the zero page, up to the end that the jump at its
 * beginning tells (boot.rst, "64-bit Boot Protocol"); the rest is zero or ours.
 */
static void fill_header(struct boot_params *p, const struct setup_header *h,
			const struct sx_boot_module *initrd)
{
	size_t end = offsetof(struct boot_params, hdr.header) + (h->jump >> 8);
	size_t len = end - HEADER;

	if (len > sizeof(*h))
		len = sizeof(*h);
	memcpy(&p->hdr, h, len);
	p->hdr.type_of_loader = UNKNOWN_LOADER;
	p->hdr.cmd_line_ptr = SX_BOOT_CMDLINE;
	p->hdr.ramdisk_image = (uint32_t)initrd->base;
	p->hdr.ramdisk_size = (uint32_t)initrd->size;
	p->hdr.setup_data = 0;
}

int sx_boot_linux(const struct sx_boot *b, struct sx_boot_entry *entry)
{
	struct boot_params params = {0};
	struct sx_boot_module initrd = {0};
	struct setup_header h;
	int rc = read_header(b, &h);

	if (rc <= 0)
		return rc;
	rc = check_header(b, &h);
	if (rc == 0)
		rc = load_kernel(b, &h);
	if (rc == 0)
		rc = sx_boot_load_initrds(b, h.pref_address + h.init_size,
					  (sx_gpa)h.initrd_addr_max + 1, &initrd);
	if (rc == 0)
		rc = sx_boot_store_cmdline(b, NULL, h.cmdline_size);
	if (rc < 0)
		return rc;
	fill_header(&params, &h, &initrd);
	fill_memory_map(b, &params);
	params.acpi_rsdp_addr = b->req->rsdp;
	rc = sx_boot_store(b, SX_BOOT_INFO, &params, sizeof(params));
	if (rc < 0)
		return rc;
	*entry = (struct sx_boot_entry){
		.protocol = "Linux, 64-bit",
		.mode = SX_BOOT_LONG,
		.rip = h.pref_address + ENTRY_64,
		.rsi = SX_BOOT_INFO,
	};
	return 1;
}
