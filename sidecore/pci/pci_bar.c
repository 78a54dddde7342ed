// SPDX-License-Identifier: BSD-3-Clause
/*
 * Base address registers (PCIe 5.0, 7.5.1.2.1): sizes, places, and what is mapped there.
 */
#include "sidecore/pci/pci_bar.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>

#include "ipc/rcu.h"
#include "ipc/wire/types.h"

#define PAGE          4096ull
#define SMALLEST_EXIT 16ull /* the lowest four bits of a memory BAR say its kind */
#define LARGEST_32    (1ull << 31)

/* ---- building ---- */

static unsigned bar_register(unsigned index)
{
	return PCI_BASE_ADDRESS_0 + 4 * index;
}

/* Is BAR @index one, or the upper half of one? */
static bool is_taken(const struct sx_pci_function *f, unsigned index)
{
	return f->bar[index].size || (index && (f->bar[index - 1].flags & SX_PCI_BAR_64));
}

static int check_bar(const struct sx_pci_function *f, unsigned index, uint64_t size, unsigned flags,
		     uint64_t smallest, struct sx_error *err)
{
	unsigned last = index + (flags & SX_PCI_BAR_64 ? 1 : 0);

	if (f->host || last >= SX_PCI_BARS || is_taken(f, index) || is_taken(f, last))
		return sx_fail(err, -EINVAL, "%s cannot have a BAR %u (any more); choose another",
			       f->name, index);
	if (size < smallest || (size & (size - 1)) ||
	    (!(flags & SX_PCI_BAR_64) && size > LARGEST_32))
		return sx_fail(err, -EINVAL,
			       "BAR %u of %s cannot have 0x%" PRIx64 " bytes; a power of two from "
			       "0x%" PRIx64 " on can be",
			       index, f->name, size, smallest);
	return 0;
}

/* The guest may change the bits above the size (so it learns the size), and no others. */
static void set_bar(struct sx_pci_function *f, unsigned index, uint64_t size, unsigned flags)
{
	uint64_t mask = ~(size - 1);
	unsigned at = bar_register(index);
	uint32_t kind = PCI_BASE_ADDRESS_SPACE_MEMORY;

	if (flags & SX_PCI_BAR_64)
		kind |= PCI_BASE_ADDRESS_MEM_TYPE_64;
	if (flags & SX_PCI_BAR_PREFETCH)
		kind |= PCI_BASE_ADDRESS_MEM_PREFETCH;
	f->bar[index].size = size;
	f->bar[index].flags = flags;
	sx_pci_set32(f, at, kind);
	for (unsigned i = 0; i < (flags & SX_PCI_BAR_64 ? 8 : 4); i++)
		f->writable[at + i] = (uint8_t)(mask >> 8 * i);
}

int sx_pci_add_exit_bar(struct sx_pci_function *f, unsigned index, uint64_t size, unsigned flags,
			const struct sx_bus_ops *ops, void *dev, struct sx_error *err)
{
	int rc = check_bar(f, index, size, flags, SMALLEST_EXIT, err);

	if (rc < 0)
		return rc;
	set_bar(f, index, size, flags);
	f->bar[index].range = (struct sx_bus_range){
		.name = f->name,
		.space = SX_BUS_MMIO,
		.size = size,
		.ops = ops,
		.dev = dev,
	};
	return 0;
}

int sx_pci_add_page_bar(struct sx_pci_function *f, unsigned index, uint64_t size, unsigned flags,
			void *page, struct sx_error *err)
{
	int rc = check_bar(f, index, size, flags, PAGE, err);

	if (rc < 0)
		return rc;
	set_bar(f, index, size, flags);
	f->bar[index].page = page;
	return 0;
}

/* ---- places ---- */

static uint64_t bar_address(const struct sx_pci_function *f, unsigned index)
{
	unsigned at = bar_register(index);
	uint64_t low = sx_pci_get32(f, at) & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;

	if (f->bar[index].flags & SX_PCI_BAR_64)
		return low | (uint64_t)sx_pci_get32(f, at + 4) << 32;
	return low;
}

static void set_bar_address(struct sx_pci_function *f, unsigned index, uint64_t address)
{
	unsigned at = bar_register(index);
	uint32_t kind = sx_pci_get32(f, at) & ~(uint32_t)PCI_BASE_ADDRESS_MEM_MASK;

	sx_pci_set32(f, at, (uint32_t)address | kind);
	if (f->bar[index].flags & SX_PCI_BAR_64)
		sx_pci_set32(f, at + 4, (uint32_t)(address >> 32));
}

static bool inside(const struct sx_pci_window *w, uint64_t address, uint64_t size)
{
	return address >= w->base && size <= w->size && address - w->base <= w->size - size;
}

/* The next place for @size bytes in a window, of which *next is the first free address. */
static bool place(const struct sx_pci_window *w, uint64_t *next, uint64_t size, uint64_t *at)
{
	uint64_t align = size > PAGE ? size : PAGE;

	*at = (*next + align - 1) & ~(align - 1);
	if (*at < *next || !inside(w, *at, size))
		return false;
	*next = *at + align;
	return true;
}

int sx_pci_place_bars(struct sx_pci_function *f, struct sx_error *err)
{
	struct sx_pci_host *h = f->host;

	for (unsigned i = 0; i < SX_PCI_BARS; i++) {
		const struct sx_pci_bar *b = &f->bar[i];
		uint64_t at;

		if (!b->size)
			continue;
		if (!((b->flags & SX_PCI_BAR_64) &&
		      place(&h->config.high, &h->high_next, b->size, &at)) &&
		    !place(&h->config.low, &h->low_next, b->size, &at))
			return sx_fail(err, -ENOSPC,
				       "there is no room for the 0x%" PRIx64 " bytes of BAR %u of "
				       "%s; use fewer devices",
				       b->size, i, f->name);
		set_bar_address(f, i, at);
	}
	return 0;
}

/* ---- mapping ---- */

static int map(struct sx_pci_function *f, struct sx_pci_bar *b, uint64_t at)
{
	const struct sx_page_mapper *m = &f->host->config.mapper;

	if (b->page)
		return m->map ? m->map(m->ctx, at, b->size, b->page) : -ENOTSUP;
	b->range.base = at;
	return sx_bus_add(f->host->config.bus, &b->range, NULL);
}

static void unmap(struct sx_pci_function *f, struct sx_pci_bar *b)
{
	const struct sx_page_mapper *m = &f->host->config.mapper;

	if (!b->mapped)
		return;
	if (b->page)
		m->unmap(m->ctx, b->at);
	else
		sx_bus_remove(f->host->config.bus, &b->range);
	b->mapped = false;
}

static void update(struct sx_pci_function *f, unsigned index)
{
	const struct sx_pci_host_config *c = &f->host->config;
	struct sx_pci_bar *b = &f->bar[index];
	uint64_t at = bar_address(f, index);
	bool decode = sx_pci_get16(f, PCI_COMMAND) & PCI_COMMAND_MEMORY;
	bool wanted = decode && (inside(&c->low, at, b->size) || inside(&c->high, at, b->size));

	if (b->mapped == wanted && (!wanted || b->at == at))
		return;
	unmap(f, b);
	if (!wanted)
		return;
	if (map(f, b, at) < 0) {
		f->refused++; /* something else is there: the BAR is nowhere */
		return;
	}
	b->mapped = true;
	b->at = at;
}

/*
 * The bus and the guest-memory map wait for a grace period under a lock. A thread that waits for
 * such a lock must not hold the grace period up, so we are offline meanwhile; we hold no reference.
 */
void sx_pci_update_bars(struct sx_pci_function *f)
{
	bool online = rcu_read_ongoing();

	if (!f->host)
		return;
	if (online)
		rcu_thread_offline();
	for (unsigned i = 0; i < SX_PCI_BARS; i++)
		if (f->bar[i].size)
			update(f, i);
	if (online)
		rcu_thread_online();
}

void sx_pci_unmap_bars(struct sx_pci_function *f)
{
	bool online = rcu_read_ongoing();

	if (online)
		rcu_thread_offline();
	for (unsigned i = 0; i < SX_PCI_BARS; i++)
		unmap(f, &f->bar[i]);
	if (online)
		rcu_thread_online();
}

/* ---- access without the bus ---- */

/* The BAR that has all of the access, or NULL. */
static struct sx_pci_bar *find(struct sx_pci_function *f, unsigned index, uint64_t offset,
			       unsigned size)
{
	if (index < SX_PCI_BARS) {
		struct sx_pci_bar *b = &f->bar[index];

		if (size && size <= 8 && offset < b->size && size <= b->size - offset)
			return b;
	}
	f->refused++;
	return NULL;
}

uint64_t sx_pci_bar_read(struct sx_pci_function *f, unsigned index, uint64_t offset, unsigned size)
{
	struct sx_pci_bar *b = find(f, index, offset, size);
	uint64_t value = 0;

	if (!b)
		return UINT64_MAX;
	if (!b->page) {
		b->range.ops->read(b->range.dev, offset, size, &value);
		return value;
	}
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)sx_load_relaxed((uint8_t *)b->page + offset + i) << 8 * i;
	return value;
}

void sx_pci_bar_write(struct sx_pci_function *f, unsigned index, uint64_t offset, unsigned size,
		      uint64_t value)
{
	struct sx_pci_bar *b = find(f, index, offset, size);

	if (!b)
		return;
	if (!b->page) {
		b->range.ops->write(b->range.dev, offset, size, value);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		sx_store_relaxed((uint8_t *)b->page + offset + i, (uint8_t)(value >> 8 * i));
}
