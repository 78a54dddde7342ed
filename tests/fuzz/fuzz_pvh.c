// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: any bytes as an ELF kernel with a PVH note. The entry and the initrd lie in memory, and the
 * start information leads to the initrd.
 */
#include "tests/support/boot_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_world *w = boot_fuzz_load(data, size);
	const uint64_t *module;
	const uint32_t *info;

	if (!w || w->entry.mode != SX_BOOT_PROTECTED || w->entry.legacy)
		return 0;
	boot_fuzz_require(boot_fuzz_is_memory(w, w->entry.rip, 1));
	info = boot_at(w, w->entry.rbx);
	boot_fuzz_require(info[0] == 0x336ec578 && info[3] == (w->req.initrds ? 1 : 0));
	if (!info[3])
		return 0;
	module = boot_at(w, info[4]);
	boot_fuzz_require(boot_fuzz_is_memory(w, module[0], module[1]));
	boot_fuzz_require(module[1] == (uint64_t)w->req.initrds * BOOT_FUZZ_INITRD);
	boot_fuzz_require(*(uint8_t *)boot_at(w, module[0]) == 0x5a);
	return 0;
}
