// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: any bytes as a Multiboot kernel, ELF or flat. The entry and every module lie in memory, and
 * each module is whole.
 */
#include "tests/support/boot_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_world *w = boot_fuzz_load(data, size);
	const uint32_t *info, *module;

	if (!w || !w->entry.legacy)
		return 0;
	boot_fuzz_require(boot_fuzz_is_memory(w, w->entry.rip, 1));
	boot_fuzz_require(w->entry.rax == 0x2badb002);
	info = boot_at(w, w->entry.rbx);
	boot_fuzz_require(info[5] == w->req.initrds);
	module = boot_at(w, info[6]);
	for (unsigned i = 0; i < info[5]; i++, module += 4) {
		uint32_t bytes = module[1] - module[0];

		boot_fuzz_require(boot_fuzz_is_memory(w, module[0], bytes));
		boot_fuzz_require(bytes == BOOT_FUZZ_INITRD && module[0] % 4096 == 0);
		boot_fuzz_require(*(uint8_t *)boot_at(w, module[0]) == 0x5a);
		boot_fuzz_require(*(uint8_t *)boot_at(w, module[1] - 1) == 0x5a);
	}
	return 0;
}
