// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: virtio-balloon by all that a guest can do (tests/support/virtio_fuzz.h). Half of memory may
 * be given back. The first byte of the input says in which mode and whether the host's pages are
 * large.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "sidecore/virtio/balloon.h"
#include "tests/support/virtio_fuzz.h"

#define RAM (512u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* The region is made once: what is given back comes back. */
static struct sx_region open_region(struct vw_world *w)
{
	static struct sx_region ram;

	if (!ram.base) {
		fuzz_require(sx_region_create(&ram, "sx-fuzz", RAM, 0, NULL) == 0);
		munmap(ram.base, RAM);
	}
	/* All of memory is the region's; only its first half is called so. */
	ram.base = mmap(w->memory.base, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, ram.fd,
			0);
	fuzz_require(ram.base == w->memory.base);
	fuzz_require(sx_region_discard(&ram, ram.base, RAM) == RAM); /* zeros again */
	return (struct sx_region){ram.base, RAM / 2, ram.page_size, ram.fd};
}

static void check(struct sx_virtio_device *dev)
{
	const struct sx_virtio_balloon *b = (const struct sx_virtio_balloon *)dev;
	uint64_t pages = 0;

	for (size_t i = 0; i < b->ram->size / SX_BALLOON_PAGE / 64; i++)
		pages += (uint64_t)__builtin_popcountll(b->inside[i]);
	fuzz_require(pages == b->counts.pages);
	fuzz_require(!b->counts.kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static struct vw_world w;
	struct fuzz_input in = {data, length};
	struct sx_virtio_balloon balloon;
	unsigned how = (unsigned)fuzz_take(&in, 1);
	struct sx_virtio_pci pci;
	struct sx_virtio_env env;
	struct sx_region ram;
	struct vw_driver d;

	vw_init(&w, RAM);
	ram = open_region(&w);
	if (how & 2)
		ram.page_size = 64ul * SX_BALLOON_PAGE;
	env = vw_env(&w, how & 1);
	env.ram = &ram;
	fuzz_require(sx_virtio_balloon_init(&balloon, 0, &env, NULL) == 0);
	fuzz_require(sx_virtio_pci_init(&pci, &balloon.dev, &w.host, SX_PCI_ANY, NULL) == 0);
	fuzz_require(vw_probe(&d, &w, pci.function.devfn) == 0);
	vf_play(&d, &balloon.dev, &in, 128, check);
	sx_virtio_pci_destroy(&pci);
	sx_virtio_balloon_destroy(&balloon);
	vw_destroy(&w);
	return 0;
}
