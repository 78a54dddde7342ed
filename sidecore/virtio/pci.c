// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/virtio/pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/wire/types.h"
#include "sidecore/virtio/pci_internal.h"

/* IDs: virtio 1.2, 4.1.2. */
#define VENDOR          0x1af4
#define FIRST_DEVICE    0x1040
#define MODERN_REVISION 1

enum bar {
	BAR_REGISTERS = 0,
	BAR_NOTIFY = 2,
	BAR_MSIX = 4,
};

/* The registers' BAR: a page for each structure. */
#define AT_COMMON      0x0000u
#define AT_ISR         0x1000u
#define AT_DEVICE      0x2000u
#define REGISTERS_SIZE 0x4000u

#define NOTIFY_SIZE       0x1000u
#define NOTIFY_MULTIPLIER 4u

_Static_assert(NOTIFY_SIZE / NOTIFY_MULTIPLIER >= SX_VIRTIO_MAX_QUEUES, "a word for each queue");
_Static_assert(SX_VIRTIO_MAX_QUEUES < SX_MSIX_MAX_VECTORS, "a vector for each queue");

/* ISR status bits (4.1.4.5). */
#define ISR_QUEUE  1u
#define ISR_CONFIG 2u

/* ---- interrupts: any thread ---- */

/* Without MSI-X the driver finds out by the ISR status; there is no line to pull. */
static void interrupt(struct sx_virtio_pci *p, const uint16_t *vector, uint32_t isr)
{
	if (!sx_msix_enabled(&p->msix))
		__atomic_fetch_or(&p->isr, isr, __ATOMIC_RELAXED); /* stands alone: no pair */
	else
		sx_msix_raise(&p->msix, sx_load_relaxed(vector)); /* none is beyond the table */
}

static void queue_interrupt(void *ctx, struct sx_virtqueue *vq)
{
	struct sx_virtio_pci *p = ctx;

	interrupt(p, &p->queue_vector[vq->index], ISR_QUEUE);
}

static void config_interrupt(void *ctx)
{
	struct sx_virtio_pci *p = ctx;

	interrupt(p, &p->config_vector, ISR_CONFIG);
}

static void was_reset(void *ctx)
{
	sx_virtio_common_reset(ctx);
}

/* ---- the registers' BAR ---- */

static uint64_t isr_read(struct sx_virtio_pci *p, uint64_t offset, unsigned size)
{
	if (offset != AT_ISR || size != 1) {
		p->refused++;
		return sx_bus_all_ones(size);
	}
	return __atomic_exchange_n(&p->isr, 0, __ATOMIC_RELAXED); /* stands alone: no pair */
}

static int registers_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	struct sx_virtio_pci *p = dev;

	if (offset >= AT_DEVICE)
		*value = sx_virtio_config_read(p->dev, (uint32_t)offset - AT_DEVICE, size) &
			 sx_bus_all_ones(size);
	else if (offset >= AT_ISR)
		*value = isr_read(p, offset, size);
	else
		*value = sx_virtio_common_read(p, (unsigned)offset, size);
	return SX_EXIT_CONTINUE;
}

static int registers_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct sx_virtio_pci *p = dev;

	if (offset >= AT_DEVICE)
		sx_virtio_config_write(p->dev, (uint32_t)offset - AT_DEVICE, size, value);
	else if (offset >= AT_ISR)
		p->refused++;
	else
		sx_virtio_common_write(p, (unsigned)offset, size, value);
	return SX_EXIT_CONTINUE;
}

static const struct sx_bus_ops registers_ops = {.read = registers_read, .write = registers_write};

/* ---- notifications that exit ---- */

static int notify_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	struct sx_virtio_pci *p = dev;

	(void)offset;
	p->refused++;
	*value = sx_bus_all_ones(size);
	return SX_EXIT_CONTINUE;
}

/* Where it is written says which queue; what is written says the same (4.1.5.2). */
static int notify_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct sx_virtio_pci *p = dev;

	(void)value;
	if (offset % NOTIFY_MULTIPLIER || size > NOTIFY_MULTIPLIER)
		p->refused++;
	else
		sx_virtio_notify(p->dev, (unsigned)(offset / NOTIFY_MULTIPLIER));
	return SX_EXIT_CONTINUE;
}

static const struct sx_bus_ops notify_ops = {.read = notify_read, .write = notify_write};

/* ---- the window in configuration space (4.1.4.9) ---- */

static unsigned window_size(const struct sx_virtio_pci *p, uint32_t *offset)
{
	uint32_t size = sx_pci_get32(&p->function, p->window + VIRTIO_PCI_CAP_LENGTH);

	*offset = sx_pci_get32(&p->function, p->window + VIRTIO_PCI_CAP_OFFSET);
	return (size == 1 || size == 2 || size == 4) && *offset % size == 0 ? size : 0;
}

static unsigned window_data(const struct sx_virtio_pci *p)
{
	return p->window + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
}

static void window_read(void *ctx)
{
	struct sx_virtio_pci *p = ctx;
	unsigned bar = p->function.config[p->window + VIRTIO_PCI_CAP_BAR];
	uint32_t offset;
	unsigned size = window_size(p, &offset);

	if (size)
		sx_pci_set32(&p->function, window_data(p),
			     (uint32_t)sx_pci_bar_read(&p->function, bar, offset, size));
	else
		p->refused++;
}

static void window_write(void *ctx)
{
	struct sx_virtio_pci *p = ctx;
	unsigned bar = p->function.config[p->window + VIRTIO_PCI_CAP_BAR];
	uint32_t offset;
	unsigned size = window_size(p, &offset);

	if (size)
		sx_pci_bar_write(&p->function, bar, offset, size,
				 sx_pci_get32(&p->function, window_data(p)) &
					 sx_bus_all_ones(size));
	else
		p->refused++;
}

static int add_window(struct sx_virtio_pci *p, struct sx_error *err)
{
	struct sx_pci_function *f = &p->function;
	int at = sx_pci_add_capability(f, PCI_CAP_ID_VNDR, sizeof(struct virtio_pci_cfg_cap), err);

	if (at < 0)
		return at;
	p->window = (unsigned)at;
	f->config[at + VIRTIO_PCI_CAP_LEN] = sizeof(struct virtio_pci_cfg_cap);
	f->config[at + VIRTIO_PCI_CAP_CFG_TYPE] = VIRTIO_PCI_CAP_PCI_CFG;
	f->writable[at + VIRTIO_PCI_CAP_BAR] = 0xff;
	memset(&f->writable[at + VIRTIO_PCI_CAP_OFFSET], 0xff,
	       sizeof(struct virtio_pci_cfg_cap) - VIRTIO_PCI_CAP_OFFSET);
	f->watch = (struct sx_pci_watch){
		.offset = (uint16_t)window_data(p),
		.size = 4,
		.before_read = window_read,
		.after_write = window_write,
		.ctx = p,
	};
	return 0;
}

/* ---- building ---- */

/* A capability that says where a structure lies (4.1.4). */
static int add_structure(struct sx_virtio_pci *p, uint8_t type, enum bar bar, uint32_t offset,
			 uint32_t length, struct sx_error *err)
{
	struct sx_pci_function *f = &p->function;
	bool notify = type == VIRTIO_PCI_CAP_NOTIFY_CFG;
	unsigned size =
		notify ? sizeof(struct virtio_pci_notify_cap) : sizeof(struct virtio_pci_cap);
	int at = sx_pci_add_capability(f, PCI_CAP_ID_VNDR, size, err);

	if (at < 0)
		return at;
	f->config[at + VIRTIO_PCI_CAP_LEN] = (uint8_t)size;
	f->config[at + VIRTIO_PCI_CAP_CFG_TYPE] = type;
	f->config[at + VIRTIO_PCI_CAP_BAR] = (uint8_t)bar;
	sx_pci_set32(f, (unsigned)at + VIRTIO_PCI_CAP_OFFSET, offset);
	sx_pci_set32(f, (unsigned)at + VIRTIO_PCI_CAP_LENGTH, length);
	if (notify)
		sx_pci_set32(f, (unsigned)at + VIRTIO_PCI_NOTIFY_CAP_MULT, NOTIFY_MULTIPLIER);
	return 0;
}

static int add_structures(struct sx_virtio_pci *p, struct sx_error *err)
{
	int rc = add_structure(p, VIRTIO_PCI_CAP_COMMON_CFG, BAR_REGISTERS, AT_COMMON,
			       SX_VIRTIO_COMMON_SIZE, err);

	if (rc == 0)
		rc = add_structure(p, VIRTIO_PCI_CAP_NOTIFY_CFG, BAR_NOTIFY, 0,
				   p->dev->queues * NOTIFY_MULTIPLIER, err);
	if (rc == 0)
		rc = add_structure(p, VIRTIO_PCI_CAP_ISR_CFG, BAR_REGISTERS, AT_ISR, 1, err);
	if (rc == 0 && p->dev->config_size)
		rc = add_structure(p, VIRTIO_PCI_CAP_DEVICE_CFG, BAR_REGISTERS, AT_DEVICE,
				   p->dev->config_size, err);
	if (rc == 0)
		rc = add_window(p, err);
	return rc;
}

/* When pollers that never sleep run the queues, nobody needs to hear of notifications. */
static int add_notify_bar(struct sx_virtio_pci *p, struct sx_error *err)
{
	const struct sx_virtio_env *env = &p->dev->env;
	int rc;

	snprintf(p->notify_name, sizeof(p->notify_name), "%s-notify", p->dev->ops->name);
	if (!env->polled || env->may_sleep) {
		rc = sx_pci_add_exit_bar(&p->function, BAR_NOTIFY, NOTIFY_SIZE, 0, &notify_ops, p,
					 err);
		p->function.bar[BAR_NOTIFY].range.name = p->notify_name;
		return rc;
	}
	rc = sx_region_create(&p->notify_page, p->notify_name, NOTIFY_SIZE, 0, err);
	if (rc == 0)
		rc = sx_pci_add_page_bar(&p->function, BAR_NOTIFY, NOTIFY_SIZE, 0,
					 p->notify_page.base, err);
	return rc;
}

static uint32_t class_of(uint16_t device)
{
	switch (device) {
	case VIRTIO_ID_NET:
		return 0x020000; /* Ethernet controller */
	case VIRTIO_ID_BLOCK:
		return 0x018000; /* mass storage, other */
	case VIRTIO_ID_CONSOLE:
		return 0x078000; /* communication, other */
	default:
		return 0xff0000; /* no class fits */
	}
}

int sx_virtio_pci_init(struct sx_virtio_pci *p, struct sx_virtio_device *dev,
		       struct sx_pci_host *host, int devfn, struct sx_error *err)
{
	const struct sx_pci_ids ids = {
		.vendor = VENDOR,
		.device = (uint16_t)(FIRST_DEVICE + dev->ops->id),
		.subsystem_vendor = VENDOR,
		.subsystem = (uint16_t)(FIRST_DEVICE + dev->ops->id),
		.class_code = class_of(dev->ops->id),
		.revision = MODERN_REVISION,
	};
	const struct sx_virtio_transport transport = {
		.queue_interrupt = queue_interrupt,
		.config_interrupt = config_interrupt,
		.reset = was_reset,
		.ctx = p,
	};
	int rc;

	memset(p, 0, sizeof(*p));
	p->notify_page.fd = -1;
	p->dev = dev;
	p->queue_vector = calloc(dev->queues, sizeof(*p->queue_vector));
	if (!p->queue_vector)
		return sx_fail(err, -ENOMEM, "no memory for %s", dev->ops->name);
	sx_virtio_common_reset(p);
	sx_pci_function_init(&p->function, dev->ops->name, &ids);
	rc = sx_pci_add_exit_bar(&p->function, BAR_REGISTERS, REGISTERS_SIZE, 0, &registers_ops, p,
				 err);
	if (rc == 0)
		rc = add_notify_bar(p, err);
	if (rc == 0)
		rc = sx_msix_init(&p->msix, &p->function, BAR_MSIX, dev->queues + 1u, err);
	if (rc == 0)
		rc = add_structures(p, err);
	if (rc == 0)
		rc = sx_pci_add(host, &p->function, devfn, err);
	if (rc < 0) {
		sx_virtio_pci_destroy(p);
		return rc;
	}
	sx_virtio_attach(dev, &transport);
	return 0;
}

void sx_virtio_pci_destroy(struct sx_virtio_pci *p)
{
	const struct sx_virtio_transport none = {.ctx = NULL};

	if (!p->dev)
		return;
	sx_virtio_attach(p->dev, &none);
	sx_msix_destroy(&p->msix);
	sx_pci_remove(&p->function);
	sx_region_destroy(&p->notify_page);
	free(p->queue_vector);
	memset(p, 0, sizeof(*p));
}
