// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/boot_fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SCARCE (3ull << 20)

void boot_fuzz_require(bool holds)
{
	if (!holds)
		abort();
}

bool boot_fuzz_is_memory(const struct boot_world *w, uint64_t base, uint64_t size)
{
	return base >= 0x100000 && base <= w->req.low_end && size <= w->req.low_end - base;
}

/* Made once: a world whose kernel's file is written anew for each input. */
static void open_once(struct boot_world *w)
{
	static uint8_t initrd[BOOT_FUZZ_INITRD];

	memset(initrd, 0x5a, sizeof(initrd));
	boot_world_open(w);
	boot_give_kernel(w, initrd, 1);
	for (unsigned i = 0; i < 3; i++)
		boot_give_initrd(w, initrd, sizeof(initrd));
	w->req.cmdline = "console=ttyS0 fuzz";
}

static void forget_what_was_loaded(struct boot_world *w)
{
	boot_fuzz_require(madvise(w->base, BOOT_MEMORY, MADV_DONTNEED) == 0);
}

struct boot_world *boot_fuzz_load(const uint8_t *data, size_t size)
{
	static struct boot_world w;
	int rc;

	if (!w.base)
		open_once(&w);
	if (size < 1)
		return NULL;
	boot_fuzz_require(ftruncate(w.fd[0], 0) == 0);
	boot_fuzz_require(pwrite(w.fd[0], data + 1, size - 1, 0) == (ssize_t)(size - 1));
	w.req.initrds = data[0] & 3;
	w.req.low_end = data[0] & 4 ? SCARCE : BOOT_MEMORY;
	forget_what_was_loaded(&w);
	rc = boot_load(&w);
	if (rc == 0)
		return &w;
	boot_fuzz_require(rc == -ENOEXEC || rc == -EFBIG || rc == -EINVAL);
	boot_fuzz_require(w.err.text[0] != '\0');
	return NULL;
}
