// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest's memory without a guest, and kernels made of parts, for tests of booting.
 */
#ifndef SX_TESTS_SUPPORT_BOOT_H
#define SX_TESTS_SUPPORT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guestcore/boot.h"
#include "ipc/memmap.h"

#define BOOT_MEMORY (32ull << 20)

/* The caller is an RCU reader from boot_world_open() to boot_world_close(). */
struct boot_world {
	struct sx_memmap memory;
	uint8_t *base; /* of BOOT_MEMORY bytes, all zero at first */
	struct sx_boot_request req;
	struct sx_boot_entry entry;
	struct sx_error err;
	char kernel[64]; /* paths of files that need no name on a disk */
	char initrd[SX_BOOT_MAX_INITRDS][64];
	const char *initrd_path[SX_BOOT_MAX_INITRDS];
	int fd[1 + SX_BOOT_MAX_INITRDS];
	unsigned fds;
};

void boot_world_open(struct boot_world *w);
void boot_world_close(struct boot_world *w);

/* The kernel's file, and one initrd more, with these bytes. */
void boot_give_kernel(struct boot_world *w, const void *bytes, size_t size);
void boot_give_initrd(struct boot_world *w, const void *bytes, size_t size);

/* Load; what sx_boot_load() says. */
int boot_load(struct boot_world *w);

/* Guest memory at @gpa, which is there. */
void *boot_at(struct boot_world *w, sx_gpa gpa);

#endif
