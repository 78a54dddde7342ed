// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: any bytes as a bzImage. What is loaded lies in memory, the initrd does not touch the
 * kernel's memory, and the zero page says so.
 */
#include <asm/bootparam.h>
#include <string.h>

#include "tests/support/boot_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_world *w = boot_fuzz_load(data, size);
	const struct boot_params *p;
	struct setup_header h;
	uint64_t end;

	if (!w || w->entry.mode != SX_BOOT_LONG)
		return 0;
	p = boot_at(w, w->entry.rsi);
	/* As the file has it: the zero page may end before some of it. */
	memcpy(&h, data + 1 + offsetof(struct boot_params, hdr), sizeof(h));
	end = w->entry.rip - 0x200 + h.init_size;
	boot_fuzz_require(boot_fuzz_is_memory(w, w->entry.rip - 0x200, h.init_size));
	boot_fuzz_require(p->hdr.type_of_loader == 0xff && p->hdr.setup_data == 0);
	boot_fuzz_require(p->e820_entries == 5 && p->sentinel == 0);
	boot_fuzz_require(!p->hdr.ramdisk_size == !w->req.initrds);
	if (!p->hdr.ramdisk_size)
		return 0;
	boot_fuzz_require(boot_fuzz_is_memory(w, p->hdr.ramdisk_image, p->hdr.ramdisk_size));
	boot_fuzz_require(p->hdr.ramdisk_image >= end);
	boot_fuzz_require(p->hdr.ramdisk_image + p->hdr.ramdisk_size - 1ull <= h.initrd_addr_max);
	boot_fuzz_require(*(uint8_t *)boot_at(w, p->hdr.ramdisk_image) == 0x5a);
	return 0;
}
