// SPDX-License-Identifier: BSD-3-Clause
/*
 * Hostile kernels: any bytes as a kernel's file, with or without an initrd, loaded whole.
 */
#ifndef SX_TESTS_SUPPORT_BOOT_FUZZ_H
#define SX_TESTS_SUPPORT_BOOT_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "tests/support/boot.h"

#define BOOT_FUZZ_INITRD 5000u /* bytes, each 0x5a */

void boot_fuzz_require(bool holds);

/*
 * Load the file that follows the first byte of the input; that byte's lowest bits say how many
 * initrds there are (0 to 3), and whether memory is scarce. Returns the world if the kernel was
 * loaded, else NULL: then it was refused with one of the documented codes and a sentence.
 */
struct boot_world *boot_fuzz_load(const uint8_t *data, size_t size);

/* Does [base, + size) lie in memory, above the first MiB? */
bool boot_fuzz_is_memory(const struct boot_world *w, uint64_t base, uint64_t size);

#endif
