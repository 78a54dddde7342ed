// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/virtio_world.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/rcu.h"

/* ---- the world ---- */

static void unroute(void *ctx, struct sx_irq *irq)
{
	struct vw_world *w = ctx;

	if (irq->route < 0 || w->route[irq->route].irq != irq)
		abort();
	w->route[irq->route].irq = NULL;
	irq->route = -1;
	w->unrouted++;
}

static int route(void *ctx, struct sx_irq *irq, uint64_t addr, uint32_t data)
{
	struct vw_world *w = ctx;

	if (w->refuse_routes) {
		if (irq->route >= 0)
			unroute(w, irq);
		return -ENOSPC;
	}
	if (irq->route < 0)
		for (irq->route = 0; w->route[irq->route].irq; irq->route++)
			if (irq->route == VW_MAX_ROUTES - 1)
				abort();
	w->route[irq->route] = (struct vw_route){irq, addr, data};
	w->routed++;
	return 0;
}

static bool overlap(const struct vw_page *p, sx_gpa gpa, uint64_t size)
{
	return p->hva && gpa < p->gpa + p->size && p->gpa < gpa + size;
}

static int map(void *ctx, sx_gpa gpa, uint64_t size, void *hva)
{
	struct vw_world *w = ctx;
	struct vw_page *slot = NULL;

	/* What the contract promises to whoever maps. */
	if (rcu_read_ongoing())
		abort();
	for (unsigned i = 0; i < VW_MAX_PAGES; i++) {
		if (overlap(&w->page[i], gpa, size))
			return -EEXIST;
		if (!w->page[i].hva)
			slot = &w->page[i];
	}
	if (!slot)
		return -ENOSPC;
	*slot = (struct vw_page){gpa, size, hva};
	return 0;
}

static void unmap(void *ctx, sx_gpa gpa)
{
	struct vw_world *w = ctx;

	for (unsigned i = 0; i < VW_MAX_PAGES; i++)
		if (w->page[i].hva && w->page[i].gpa == gpa) {
			w->page[i].hva = NULL;
			return;
		}
	abort();
}

void vw_init(struct vw_world *w, size_t ram)
{
	struct sx_pci_host_config config = {
		.bus = &w->bus,
		.ecam = VW_ECAM,
		.low = {VW_LOW, VW_LOW_SIZE},
		.high = {VW_HIGH, VW_HIGH_SIZE},
		.mapper = {map, unmap, w},
		.router = {route, unroute, w},
	};

	memset(w, 0, sizeof(*w));
	sx_rcu_register();
	vd_memory_init(&w->memory, VW_RAM, ram);
	sx_bus_init(&w->bus, false);
	if (sx_pci_host_init(&w->host, &config, NULL) < 0)
		abort();
}

void vw_destroy(struct vw_world *w)
{
	sx_pci_host_destroy(&w->host);
	if (w->bus.table->count || w->routed < w->unrouted)
		abort();
	sx_bus_destroy(&w->bus);
	vd_memory_destroy(&w->memory);
	sx_rcu_unregister();
}

struct sx_virtio_env vw_env(const struct vw_world *w, bool polled)
{
	return (struct sx_virtio_env){.dma = {.memory = &w->memory.map}, .polled = polled};
}

static uint8_t *page_at(struct vw_world *w, uint64_t addr, unsigned size)
{
	for (unsigned i = 0; i < VW_MAX_PAGES; i++) {
		const struct vw_page *p = &w->page[i];

		if (p->hva && addr - p->gpa < p->size && size <= p->size - (addr - p->gpa))
			return (uint8_t *)p->hva + (addr - p->gpa);
	}
	return NULL;
}

uint64_t vw_read(struct vw_world *w, uint64_t addr, unsigned size)
{
	struct sx_exit x = {.kind = SX_EXIT_MMIO_READ, .size = size, .addr = addr};
	const uint8_t *page = page_at(w, addr, size);

	if (page)
		memcpy(&x.value, page, size);
	else if (sx_bus_access(&w->bus, &x) != SX_EXIT_CONTINUE)
		abort();
	return x.value;
}

void vw_write(struct vw_world *w, uint64_t addr, unsigned size, uint64_t value)
{
	struct sx_exit x = {.kind = SX_EXIT_MMIO_WRITE, .size = size, .addr = addr, .value = value};
	uint8_t *page = page_at(w, addr, size);

	if (page)
		memcpy(page, &value, size);
	else if (sx_bus_access(&w->bus, &x) != SX_EXIT_CONTINUE)
		abort();
}

uint64_t vw_config_read(struct vw_world *w, unsigned devfn, unsigned offset, unsigned size)
{
	return vw_read(w, VW_ECAM + devfn * 4096ull + offset, size);
}

void vw_config_write(struct vw_world *w, unsigned devfn, unsigned offset, unsigned size,
		     uint64_t value)
{
	vw_write(w, VW_ECAM + devfn * 4096ull + offset, size, value);
}

unsigned vw_interrupts(struct vw_world *w, uint64_t addr, uint32_t data)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < VW_MAX_ROUTES; i++) {
		const struct vw_route *r = &w->route[i];
		uint64_t n;

		if (r->irq && r->addr == addr && r->data == data &&
		    read(r->irq->fd, &n, sizeof(n)) == sizeof(n))
			total += n;
	}
	return (unsigned)total;
}

/* ---- finding the device ---- */

static uint64_t bar_address(struct vw_driver *d, unsigned bar)
{
	unsigned at = PCI_BASE_ADDRESS_0 + 4 * bar;
	uint64_t low = vw_config_read(d->w, d->devfn, at, 4);

	if ((low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
		low |= vw_config_read(d->w, d->devfn, at + 4, 4) << 32;
	return low & PCI_BASE_ADDRESS_MEM_MASK;
}

static void note_structure(struct vw_driver *d, unsigned cap)
{
	unsigned bar = (unsigned)vw_config_read(d->w, d->devfn, cap + VIRTIO_PCI_CAP_BAR, 1);
	uint64_t offset = vw_config_read(d->w, d->devfn, cap + VIRTIO_PCI_CAP_OFFSET, 4);
	uint64_t at = bar_address(d, bar < 6 ? bar : 0) + offset;

	switch (vw_config_read(d->w, d->devfn, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1)) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		d->common = at;
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		d->notify = at;
		d->notify_multiplier = (uint32_t)vw_config_read(
			d->w, d->devfn, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		d->isr = at;
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		d->config = at;
		break;
	case VIRTIO_PCI_CAP_PCI_CFG:
		d->window = cap;
		break;
	default:
		break;
	}
}

static void note_msix(struct vw_driver *d, unsigned cap)
{
	uint32_t table = (uint32_t)vw_config_read(d->w, d->devfn, cap + PCI_MSIX_TABLE, 4);

	d->msix_cap = cap;
	d->msix = bar_address(d, table & PCI_MSIX_TABLE_BIR) + (table & PCI_MSIX_TABLE_OFFSET);
}

/* Each vector is sent to VW_MESSAGE with its number. */
static void switch_msix_on(struct vw_driver *d)
{
	unsigned control =
		(unsigned)vw_config_read(d->w, d->devfn, d->msix_cap + PCI_MSIX_FLAGS, 2);
	unsigned vectors = (control & PCI_MSIX_FLAGS_QSIZE) + 1;

	vw_config_write(d->w, d->devfn, d->msix_cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	for (unsigned i = 0; i < vectors; i++) {
		uint64_t entry = d->msix + i * 16ull;

		vw_write(d->w, entry + PCI_MSIX_ENTRY_LOWER_ADDR, 4, VW_MESSAGE);
		vw_write(d->w, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 4, 0);
		vw_write(d->w, entry + PCI_MSIX_ENTRY_DATA, 4, d->devfn << 16 | i);
		vw_write(d->w, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	}
}

int vw_probe(struct vw_driver *d, struct vw_world *w, unsigned devfn)
{
	unsigned cap;

	*d = (struct vw_driver){.w = w, .devfn = devfn};
	if (vw_config_read(w, devfn, PCI_VENDOR_ID, 2) != 0x1af4)
		return -ENODEV;
	vw_config_write(w, devfn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	cap = (unsigned)vw_config_read(w, devfn, PCI_CAPABILITY_LIST, 1);
	for (unsigned n = 0; cap && n < 48; n++) {
		unsigned id = (unsigned)vw_config_read(w, devfn, cap, 1);

		if (id == PCI_CAP_ID_VNDR)
			note_structure(d, cap);
		else if (id == PCI_CAP_ID_MSIX)
			note_msix(d, cap);
		cap = (unsigned)vw_config_read(w, devfn, cap + PCI_CAP_LIST_NEXT, 1);
	}
	if (!d->common || !d->notify || !d->isr || !d->msix || !d->window)
		return -ENODEV;
	switch_msix_on(d);
	return 0;
}

/* ---- bringing it up ---- */

uint64_t vw_get(struct vw_driver *d, unsigned offset, unsigned size)
{
	return vw_read(d->w, d->common + offset, size);
}

void vw_set(struct vw_driver *d, unsigned offset, unsigned size, uint64_t value)
{
	vw_write(d->w, d->common + offset, size, value);
}

uint8_t vw_status(struct vw_driver *d)
{
	return (uint8_t)vw_get(d, VIRTIO_PCI_COMMON_STATUS, 1);
}

static void add_status(struct vw_driver *d, uint8_t bits)
{
	vw_set(d, VIRTIO_PCI_COMMON_STATUS, 1, vw_status(d) | bits);
}

int vw_negotiate(struct vw_driver *d, uint64_t wanted)
{
	uint64_t offered = 0;

	vw_set(d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	if (vw_status(d))
		return -EPROTO;
	add_status(d, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(d, VIRTIO_CONFIG_S_DRIVER);
	for (unsigned word = 0; word < 2; word++) {
		vw_set(d, VIRTIO_PCI_COMMON_DFSELECT, 4, word);
		offered |= vw_get(d, VIRTIO_PCI_COMMON_DF, 4) << 32 * word;
	}
	d->features = offered & (wanted | SX_VIRTIO_BIT(VIRTIO_F_VERSION_1));
	for (unsigned word = 0; word < 2; word++) {
		vw_set(d, VIRTIO_PCI_COMMON_GFSELECT, 4, word);
		vw_set(d, VIRTIO_PCI_COMMON_GF, 4, d->features >> 32 * word);
	}
	add_status(d, VIRTIO_CONFIG_S_FEATURES_OK);
	return vw_status(d) & VIRTIO_CONFIG_S_FEATURES_OK ? 0 : -EPROTO;
}

static void set_address(struct vw_driver *d, unsigned offset, uint64_t value)
{
	vw_set(d, offset, 4, (uint32_t)value);
	vw_set(d, offset + 4, 4, value >> 32);
}

struct vd_queue *vw_add_queue(struct vw_driver *d, uint16_t size)
{
	unsigned index = d->queues;
	struct vd_queue *q = &d->queue[index];
	struct sx_vq_setup s;

	if (index == VW_MAX_QUEUES)
		abort();
	vw_set(d, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	if (!size)
		size = (uint16_t)vw_get(d, VIRTIO_PCI_COMMON_Q_SIZE, 2);
	vd_queue_init(q, &d->w->memory, size, d->features);
	s = vd_queue_setup(q);
	vw_set(d, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	set_address(d, VIRTIO_PCI_COMMON_Q_DESCLO, s.desc);
	set_address(d, VIRTIO_PCI_COMMON_Q_AVAILLO, s.driver);
	set_address(d, VIRTIO_PCI_COMMON_Q_USEDLO, s.device);
	vw_set(d, VIRTIO_PCI_COMMON_Q_MSIX, 2, index);
	d->notify_at[index] =
		d->notify + vw_get(d, VIRTIO_PCI_COMMON_Q_NOFF, 2) * (uint64_t)d->notify_multiplier;
	vw_set(d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	d->queues++;
	return q;
}

void vw_start(struct vw_driver *d)
{
	vw_set(d, VIRTIO_PCI_COMMON_MSIX, 2, vw_get(d, VIRTIO_PCI_COMMON_NUMQ, 2));
	add_status(d, VIRTIO_CONFIG_S_DRIVER_OK);
}

void vw_stop(struct vw_driver *d)
{
	vw_set(d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	while (d->queues)
		vd_queue_destroy(&d->queue[--d->queues]);
}

void vw_bring_up(struct vw_driver *d, struct vw_world *w, unsigned devfn, uint64_t wanted,
		 unsigned queues, uint16_t size)
{
	if (vw_probe(d, w, devfn) < 0 || vw_negotiate(d, wanted) < 0)
		abort();
	while (queues--)
		vw_add_queue(d, size);
	vw_start(d);
}

/* ---- at work ---- */

void vw_notify(struct vw_driver *d, unsigned index)
{
	vw_write(d->w, d->notify_at[index], 2, index);
}

void vw_kick(struct vw_driver *d, unsigned index)
{
	if (vd_publish(&d->queue[index]))
		vw_notify(d, index);
}

unsigned vw_queue_interrupts(struct vw_driver *d, unsigned index)
{
	return vw_interrupts(d->w, VW_MESSAGE, d->devfn << 16 | index);
}

unsigned vw_config_interrupts(struct vw_driver *d)
{
	return vw_interrupts(d->w, VW_MESSAGE,
			     d->devfn << 16 | (unsigned)vw_get(d, VIRTIO_PCI_COMMON_NUMQ, 2));
}
