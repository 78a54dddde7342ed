// SPDX-License-Identifier: BSD-3-Clause
/*
 * The common configuration structure (virtio 1.2, 4.1.4.3).
 */
#include "ipc/wire/types.h"
#include "sidecore/virtio/pci_internal.h"

/* The size of the field that begins at @offset, 0 where none does. */
static unsigned field_size(unsigned offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_STATUS:
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return 1;
	case VIRTIO_PCI_COMMON_MSIX:
	case VIRTIO_PCI_COMMON_NUMQ:
	case VIRTIO_PCI_COMMON_Q_SELECT:
	case VIRTIO_PCI_COMMON_Q_SIZE:
	case VIRTIO_PCI_COMMON_Q_MSIX:
	case VIRTIO_PCI_COMMON_Q_ENABLE:
	case VIRTIO_PCI_COMMON_Q_NOFF:
	case VIRTIO_PCI_COMMON_Q_NDATA:
	case VIRTIO_PCI_COMMON_Q_RESET:
		return 2;
	default:
		return offset % 4 || offset >= VIRTIO_PCI_COMMON_Q_NDATA ? 0 : 4;
	}
}

/* The field that holds half (@high: the upper) of one of the queue's addresses. */
static uint64_t *address_field(struct sx_vq_setup *s, unsigned offset, bool *high)
{
	*high = offset & 4;
	switch (offset & ~4u) {
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return &s->desc;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return &s->driver;
	default:
		return &s->device;
	}
}

/* ---- the selected queue ---- */

static bool has_queue(const struct sx_virtio_pci *p)
{
	return p->queue_select < p->dev->queues;
}

/* Fields of a queue that does not exist read as 0 (4.1.4.3.1). */
static uint64_t queue_read(struct sx_virtio_pci *p, unsigned offset)
{
	struct sx_vq_setup *setup;
	unsigned queue = p->queue_select;
	uint64_t *address;
	bool high;

	if (!has_queue(p))
		return 0;
	setup = &p->dev->control[queue].setup;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return setup->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return sx_load_relaxed(&p->queue_vector[queue]);
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return sx_virtio_queue_enabled(p->dev, queue);
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return queue;
	case VIRTIO_PCI_COMMON_Q_NDATA:
		return 0; /* VIRTIO_F_NOTIF_CONFIG_DATA is not offered */
	case VIRTIO_PCI_COMMON_Q_RESET:
		return sx_virtio_queue_resetting(p->dev, queue);
	default:
		address = address_field(setup, offset, &high);
		return high ? *address >> 32 : (uint32_t)*address;
	}
}

/* A vector that we do not have becomes none (4.1.5.1.2.1). */
static uint16_t valid_vector(const struct sx_virtio_pci *p, uint16_t vector)
{
	return vector < p->msix.vectors ? vector : VIRTIO_MSI_NO_VECTOR;
}

static void set_up_queue(struct sx_virtio_pci *p, unsigned offset, uint32_t value)
{
	struct sx_vq_setup *setup = sx_virtio_queue_setup(p->dev, p->queue_select);
	uint64_t *address;
	bool high;

	if (!setup) {
		p->refused++;
		return;
	}
	if (offset == VIRTIO_PCI_COMMON_Q_SIZE) {
		setup->size = (uint16_t)value;
		return;
	}
	address = address_field(setup, offset, &high);
	if (high)
		*address = (*address & 0xffffffff) | (uint64_t)value << 32;
	else
		*address = (*address & ~0xffffffffull) | value;
}

static void queue_write(struct sx_virtio_pci *p, unsigned offset, uint32_t value)
{
	unsigned queue = p->queue_select;

	if (!has_queue(p)) {
		p->refused++;
		return;
	}
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_MSIX:
		/* Read by the queue's group when it interrupts; stands alone: no pair. */
		sx_store_relaxed(&p->queue_vector[queue], valid_vector(p, (uint16_t)value));
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		/* Writing anything else is not for drivers (4.1.4.3.2). */
		if (value == 1)
			sx_virtio_queue_enable(p->dev, queue);
		else
			p->refused++;
		break;
	case VIRTIO_PCI_COMMON_Q_RESET:
		if (value == 1)
			sx_virtio_queue_reset(p->dev, queue);
		else
			p->refused++;
		break;
	case VIRTIO_PCI_COMMON_Q_NOFF:
	case VIRTIO_PCI_COMMON_Q_NDATA:
		p->refused++;
		break;
	default:
		set_up_queue(p, offset, value);
	}
}

/* ---- all fields ---- */

static uint64_t field_read(struct sx_virtio_pci *p, unsigned offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return p->feature_select;
	case VIRTIO_PCI_COMMON_DF:
		return sx_virtio_offered(p->dev, p->feature_select);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return p->driver_feature_select;
	case VIRTIO_PCI_COMMON_GF:
		return sx_virtio_acknowledged(p->dev, p->driver_feature_select);
	case VIRTIO_PCI_COMMON_MSIX:
		return sx_load_relaxed(&p->config_vector);
	case VIRTIO_PCI_COMMON_NUMQ:
		return p->dev->queues;
	case VIRTIO_PCI_COMMON_STATUS:
		return sx_virtio_status(p->dev);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return sx_virtio_generation(p->dev);
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return p->queue_select;
	default:
		return queue_read(p, offset);
	}
}

static void field_write(struct sx_virtio_pci *p, unsigned offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		p->feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		p->driver_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		sx_virtio_acknowledge(p->dev, p->driver_feature_select, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		/* Read by whoever changes the configuration; stands alone: no pair. */
		sx_store_relaxed(&p->config_vector, valid_vector(p, (uint16_t)value));
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		sx_virtio_set_status(p->dev, (uint8_t)value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		p->queue_select = (uint16_t)value;
		break;
	case VIRTIO_PCI_COMMON_DF:
	case VIRTIO_PCI_COMMON_NUMQ:
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		p->refused++;
		break;
	default:
		queue_write(p, offset, value);
	}
}

/*
 * Fields are accessed in their own size, the addresses also by 8 bytes: two fields (4.1.3.1).
 */
static unsigned fields_in(unsigned offset, unsigned size)
{
	if (size && field_size(offset) == size)
		return 1;
	if (size == 8 && offset % 8 == 0 && offset >= VIRTIO_PCI_COMMON_Q_DESCLO &&
	    offset <= VIRTIO_PCI_COMMON_Q_USEDLO)
		return 2;
	return 0;
}

uint64_t sx_virtio_common_read(struct sx_virtio_pci *p, unsigned offset, unsigned size)
{
	switch (fields_in(offset, size)) {
	case 1:
		return field_read(p, offset);
	case 2:
		return field_read(p, offset) | field_read(p, offset + 4) << 32;
	default:
		p->refused++;
		return sx_bus_all_ones(size);
	}
}

void sx_virtio_common_write(struct sx_virtio_pci *p, unsigned offset, unsigned size, uint64_t value)
{
	switch (fields_in(offset, size)) {
	case 2:
		field_write(p, offset + 4, (uint32_t)(value >> 32));
		/* fallthrough */
	case 1:
		field_write(p, offset, (uint32_t)value);
		break;
	default:
		p->refused++;
	}
}

void sx_virtio_common_reset(struct sx_virtio_pci *p)
{
	p->feature_select = p->driver_feature_select = 0;
	p->queue_select = 0;
	sx_store_relaxed(&p->config_vector, (uint16_t)VIRTIO_MSI_NO_VECTOR);
	for (unsigned i = 0; i < p->dev->queues; i++)
		sx_store_relaxed(&p->queue_vector[i], (uint16_t)VIRTIO_MSI_NO_VECTOR);
	sx_store_relaxed(&p->isr, 0u);
}
