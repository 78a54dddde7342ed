// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/boot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/rcu.h"

static void require(bool holds)
{
	if (!holds)
		abort();
}

void boot_world_open(struct boot_world *w)
{
	memset(w, 0, sizeof(*w));
	sx_rcu_register();
	rcu_thread_offline(); /* changing the map waits for readers */
	w->base =
		mmap(NULL, BOOT_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(w->base != MAP_FAILED);
	require(sx_memmap_init(&w->memory) == 0);
	require(sx_memmap_add(&w->memory, 0, BOOT_MEMORY, w->base, 0, NULL) == 0);
	rcu_thread_online();
	w->req = (struct sx_boot_request){
		.kernel = w->kernel,
		.initrd = w->initrd_path,
		.cmdline = "",
		.low_end = BOOT_MEMORY,
		.rsdp = 0xe0000,
	};
}

void boot_world_close(struct boot_world *w)
{
	sx_rcu_unregister();
	sx_memmap_destroy(&w->memory);
	munmap(w->base, BOOT_MEMORY);
	while (w->fds)
		close(w->fd[--w->fds]);
}

static void make_file(struct boot_world *w, char path[64], const void *bytes, size_t size)
{
	int fd = memfd_create("boot", MFD_CLOEXEC);

	require(fd >= 0);
	require(write(fd, bytes, size) == (ssize_t)size);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	w->fd[w->fds++] = fd;
}

void boot_give_kernel(struct boot_world *w, const void *bytes, size_t size)
{
	make_file(w, w->kernel, bytes, size);
}

void boot_give_initrd(struct boot_world *w, const void *bytes, size_t size)
{
	unsigned i = w->req.initrds++;

	w->initrd_path[i] = w->initrd[i];
	make_file(w, w->initrd[i], bytes, size);
}

int boot_load(struct boot_world *w)
{
	memset(&w->err, 0, sizeof(w->err));
	return sx_boot_load(&w->memory, &w->req, &w->entry, &w->err);
}

void *boot_at(struct boot_world *w, sx_gpa gpa)
{
	require(gpa < BOOT_MEMORY);
	return w->base + gpa;
}
