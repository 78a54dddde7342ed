// SPDX-License-Identifier: BSD-3-Clause
/*
 * The x86/HVM direct boot ABI, called PVH. Source: Xen, docs/misc/pvh.pandoc and
 * xen/include/public/arch-x86/hvm/start_info.h, whose layouts follow.
 */
#include "guestcore/boot_internal.h"

#include <errno.h>
#include <inttypes.h>

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define START_MAGIC              0x336ec578u
#define START_VERSION            1u

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t modules;
	uint64_t module_list;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memory_map;
	uint32_t memory_map_entries;
	uint32_t reserved;
};

struct module_entry {
	uint64_t base;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct map_entry {
	uint64_t base;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

_Static_assert(sizeof(struct start_info) == 56, "as in start_info.h");
_Static_assert(sizeof(struct map_entry) == 24, "as in start_info.h");

static int store_lists(const struct sx_boot *b, const struct sx_boot_module *initrd)
{
	struct module_entry module = {.base = initrd->base, .size = initrd->size};
	struct map_entry map[SX_BOOT_MAX_RANGES] = {0};
	int rc;

	for (unsigned i = 0; i < b->ranges; i++)
		map[i] = (struct map_entry){
			.base = b->range[i].base,
			.size = b->range[i].size,
			.type = b->range[i].type,
		};
	rc = sx_boot_store(b, SX_BOOT_MAP, map, b->ranges * sizeof(map[0]));
	return rc < 0 ? rc : sx_boot_store(b, SX_BOOT_MODULES, &module, sizeof(module));
}

/* Linux is the kernel that starts so; it takes one module, which it unpacks as initrds. */
static int load(const struct sx_boot *b, const struct sx_boot_elf *elf)
{
	struct start_info info = {
		.magic = START_MAGIC,
		.version = START_VERSION,
		.modules = b->req->initrds ? 1 : 0,
		.module_list = b->req->initrds ? SX_BOOT_MODULES : 0,
		.cmdline = SX_BOOT_CMDLINE,
		.rsdp = b->req->rsdp,
		.memory_map = SX_BOOT_MAP,
		.memory_map_entries = b->ranges,
	};
	struct sx_boot_module initrd;
	sx_gpa end;
	int rc = sx_boot_elf_load(b, elf, &end);

	if (rc == 0)
		rc = sx_boot_load_initrds(b, end, b->req->low_end, &initrd);
	if (rc == 0)
		rc = store_lists(b, &initrd);
	if (rc == 0)
		rc = sx_boot_store_cmdline(b, NULL, SX_BOOT_CMDLINE_MAX);
	return rc < 0 ? rc : sx_boot_store(b, SX_BOOT_INFO, &info, sizeof(info));
}

int sx_boot_pvh(const struct sx_boot *b, struct sx_boot_entry *entry)
{
	struct sx_boot_elf elf;
	uint64_t start;
	int rc = sx_boot_elf_open(b, &elf);

	if (rc > 0)
		rc = sx_boot_elf_xen_note(b, &elf, XEN_ELFNOTE_PHYS32_ENTRY, &start);
	if (rc <= 0)
		return rc;
	rc = load(b, &elf);
	if (rc < 0)
		return rc;
	if (!sx_boot_elf_holds(b, &elf, start))
		return sx_fail(b->err, -ENOEXEC,
			       "kernel '%s' starts at 0x%" PRIx64
			       ", outside what it loads; it is damaged",
			       b->kernel.path, start);
	*entry = (struct sx_boot_entry){
		.protocol = "PVH",
		.mode = SX_BOOT_PROTECTED,
		.rip = start,
		.rbx = SX_BOOT_INFO,
	};
	return 1;
}
