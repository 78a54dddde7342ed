// SPDX-License-Identifier: BSD-3-Clause
/*
 * Load an ELF64 program into guest memory.
 */
#ifndef SX_GUESTCORE_ELF_H
#define SX_GUESTCORE_ELF_H

#include "ipc/error.h"
#include "ipc/memmap.h"

struct sx_elf_image {
	sx_gpa entry;
	sx_gpa end; /* first address after the highest loaded byte */
};

/*
 * Load @path (x86-64, statically linked, not position independent) so that every segment lies in
 * [lowest, limit). The file is not trusted. The sentence in @err names what is wrong with it:
 * -ENOEXEC no such program, -EFBIG it does not fit, or what the system said.
 * The calling thread reads @memory outside any other thread's writes.
 */
int sx_elf_load(const char *path, const struct sx_memmap *memory, sx_gpa lowest, sx_gpa limit,
		struct sx_elf_image *image, struct sx_error *err);

#endif
