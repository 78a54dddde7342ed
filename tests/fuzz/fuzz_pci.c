// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: a guest that reads and writes PCI configuration space and BARs in any size and order.
 *
 * Input: a list of accesses, each a byte that says what kind (and its size), where, and for writes
 * a value. Behind them are a host bridge, a virtio device, and a function with BARs of every kind.
 *
 * Bytes that may not be written must stay as they were; BARs must be mapped where they say, inside
 * the windows, upon nothing else, and only while memory decoding is on.
 */
#include <linux/pci_regs.h>
#include <string.h>

#include "sidecore/virtio/rng.h"
#include "tests/support/fuzz_input.h"
#include "tests/support/virtio_world.h"

#define MAX_STEPS 256
#define FUNCTIONS 3

enum kind {
	CONFIG_READ,
	CONFIG_WRITE,
	BAR_READ, /* where a BAR is now */
	BAR_WRITE,
	PLACE,    /* 1 byte which BAR, 1 byte where in the low window: an honest move */
	COMMAND,  /* 1 byte: an honest write of the command register */
	ANY_READ, /* 4 bytes of address in or around the windows */
	ANY_WRITE,
	KINDS,
};

struct other {
	struct sx_pci_function f;
	uint64_t accesses;
};

struct bench {
	struct vw_world w;
	struct sx_virtio_rng rng;
	struct sx_virtio_pci pci;
	struct other other;
	struct sx_pci_function *function[FUNCTIONS];
	uint8_t fixed[FUNCTIONS][SX_PCI_CONFIG]; /* configuration space at first */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static uint8_t page[8192] __attribute__((aligned(4096)));

static int other_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	struct other *o = dev;

	fuzz_require(size >= 1 && size <= 8 && offset < 1 << 20 && offset + size <= 1 << 20);
	o->accesses++;
	*value = offset;
	return SX_EXIT_CONTINUE;
}

static int other_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	return other_read(dev, offset, size, &value);
}

static const struct sx_bus_ops other_ops = {.read = other_read, .write = other_write};

static void add_other(struct bench *b)
{
	const struct sx_pci_ids ids = {.vendor = 0x1234, .class_code = 0xff0000};
	struct sx_pci_function *f = &b->other.f;

	sx_pci_function_init(f, "other", &ids);
	fuzz_require(sx_pci_add_exit_bar(f, 0, 16, 0, &other_ops, &b->other, NULL) == 0);
	fuzz_require(sx_pci_add_page_bar(f, 1, sizeof(page), SX_PCI_BAR_PREFETCH, page, NULL) == 0);
	fuzz_require(sx_pci_add_exit_bar(f, 2, 1 << 20, SX_PCI_BAR_64, &other_ops, &b->other,
					 NULL) == 0);
	fuzz_require(sx_pci_add_page_bar(f, 4, 4096, SX_PCI_BAR_64, page, NULL) == 0);
	fuzz_require(sx_pci_add(&b->w.host, f, SX_PCI_DEVFN(1, 3), NULL) == 0);
}

static void open_bench(struct bench *b)
{
	struct sx_virtio_env env;

	vw_init(&b->w, 1 << 16);
	env = vw_env(&b->w, true);
	fuzz_require(sx_virtio_rng_init(&b->rng, &env, NULL) == 0);
	fuzz_require(sx_virtio_pci_init(&b->pci, &b->rng.dev, &b->w.host, SX_PCI_ANY, NULL) == 0);
	add_other(b);
	b->function[0] = &b->w.host.bridge;
	b->function[1] = &b->pci.function;
	b->function[2] = &b->other.f;
	for (unsigned i = 0; i < FUNCTIONS; i++)
		memcpy(b->fixed[i], b->function[i]->config, SX_PCI_CONFIG);
}

static void close_bench(struct bench *b)
{
	sx_virtio_pci_destroy(&b->pci);
	sx_virtio_rng_destroy(&b->rng);
	sx_pci_remove(&b->other.f);
	vw_destroy(&b->w);
}

/* ---- what must hold ---- */

static bool is_inside(uint64_t at, uint64_t size)
{
	return (at >= VW_LOW && at + size <= VW_LOW + VW_LOW_SIZE) ||
	       (at >= VW_HIGH && at + size <= VW_HIGH + VW_HIGH_SIZE);
}

static uint64_t bar_address(const struct sx_pci_function *f, unsigned index)
{
	unsigned at = PCI_BASE_ADDRESS_0 + 4 * index;
	uint64_t address = sx_pci_get32(f, at) & 0xfffffff0;

	if (f->bar[index].flags & SX_PCI_BAR_64)
		address |= (uint64_t)sx_pci_get32(f, at + 4) << 32;
	return address;
}

static void check_bar(struct bench *b, const struct sx_pci_function *f, unsigned index)
{
	const struct sx_pci_bar *bar = &f->bar[index];
	uint64_t at = bar_address(f, index);

	fuzz_require(at % bar->size == 0);
	if (!bar->mapped)
		return;
	fuzz_require(sx_pci_get16(f, PCI_COMMAND) & PCI_COMMAND_MEMORY);
	fuzz_require(bar->at == at && is_inside(at, bar->size));
	if (!bar->page)
		fuzz_require(sx_bus_find(&b->w.bus, SX_BUS_MMIO, at, 1) == &bar->range &&
			     sx_bus_find(&b->w.bus, SX_BUS_MMIO, at + bar->size - 1, 1) ==
				     &bar->range);
}

static void check(struct bench *b)
{
	unsigned pages = 0, mapped = 0, ranges = 1; /* configuration space itself */

	for (unsigned i = 0; i < FUNCTIONS; i++) {
		const struct sx_pci_function *f = b->function[i];

		for (unsigned k = 0; k < SX_PCI_CONFIG; k++)
			fuzz_require(!((f->config[k] ^ b->fixed[i][k]) & ~f->writable[k]) ||
				     f->watch.offset / 4 == k / 4);
		for (unsigned k = 0; k < SX_PCI_BARS; k++) {
			if (!f->bar[k].size)
				continue;
			check_bar(b, f, k);
			mapped += f->bar[k].mapped && f->bar[k].page;
			ranges += f->bar[k].mapped && !f->bar[k].page;
		}
	}
	for (unsigned i = 0; i < VW_MAX_PAGES; i++)
		pages += b->w.page[i].hva != NULL;
	fuzz_require(pages == mapped && b->w.bus.table->count == ranges);
}

/* ---- steps ---- */

static void access_at(struct bench *b, struct fuzz_input *in, uint64_t addr, unsigned size,
		      bool write)
{
	if (write)
		vw_write(&b->w, addr, size, fuzz_take(in, size));
	else
		vw_read(&b->w, addr, size);
}

/* One in three accesses goes to each of the functions, some to others or across their ends. */
static uint64_t config_address(const struct bench *b, struct fuzz_input *in)
{
	unsigned where = (unsigned)fuzz_take(in, 1);
	unsigned offset = (unsigned)fuzz_take(in, 1);

	if (where & 0x80)
		return VW_ECAM + (where & 0x7f) * 4096ull * 2 + offset * 16ul;
	return VW_ECAM + b->function[where % FUNCTIONS]->devfn * 4096ull + offset;
}

static uint64_t bar_place(const struct bench *b, struct fuzz_input *in)
{
	unsigned which = (unsigned)fuzz_take(in, 1);
	uint64_t offset = fuzz_take(in, 2);

	return bar_address(b->function[1 + which % 2], which / 2 % 6) + offset;
}

static void place(struct bench *b, struct fuzz_input *in)
{
	unsigned which = (unsigned)fuzz_take(in, 1);
	uint64_t to = VW_LOW + fuzz_take(in, 1) * 4096;

	vw_config_write(&b->w, b->function[1 + which % 2]->devfn,
			PCI_BASE_ADDRESS_0 + 4 * (which / 2 % 6), 4, to);
}

static void step(struct bench *b, struct fuzz_input *in)
{
	unsigned what = (unsigned)fuzz_take(in, 1);
	unsigned size = what / KINDS % 8 + 1;

	switch (what % KINDS) {
	case CONFIG_READ:
	case CONFIG_WRITE:
		access_at(b, in, config_address(b, in), size, what % KINDS == CONFIG_WRITE);
		break;
	case BAR_READ:
	case BAR_WRITE:
		access_at(b, in, bar_place(b, in), size, what % KINDS == BAR_WRITE);
		break;
	case PLACE:
		place(b, in);
		break;
	case COMMAND:
		vw_config_write(&b->w, b->function[size % FUNCTIONS]->devfn, PCI_COMMAND, 2,
				fuzz_take(in, 1));
		break;
	default:
		access_at(b, in, VW_LOW - 0x1000 + fuzz_take(in, 4) % (VW_LOW_SIZE * 4), size,
			  what % KINDS == ANY_WRITE);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static struct bench b;
	struct fuzz_input in = {data, length};

	memset(&b, 0, sizeof(b));
	open_bench(&b);
	for (unsigned n = 0; n < MAX_STEPS && in.left; n++) {
		step(&b, &in);
		check(&b);
	}
	close_bench(&b);
	return 0;
}
