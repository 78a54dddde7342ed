/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/guests/lib/virtio.h"

#define VENDOR       0x1af4
#define FIRST_DEVICE 0x1040
#define SLOTS        32

/* Configuration space (PCI Local Bus 3.0, 6.1). */
enum {
	PCI_COMMAND = 0x04,
	PCI_BAR_0 = 0x10,
	PCI_CAPABILITIES = 0x34,
};

enum {
	COMMAND_MEMORY = 2,
	COMMAND_MASTER = 4,
	CAPABILITY_VENDOR = 9,
	CAPABILITY_MSIX = 0x11,
};

/* The MSI-X capability and an entry of its table (PCIe 5.0, 7.7.2). */
enum {
	MSIX_CONTROL = 2,
	MSIX_ENABLE = 1 << 15,
	MSIX_TABLE = 4, /* the BAR in the lowest three bits */
	MSIX_BAR = 7,
	ENTRY_SIZE = 16,
	ENTRY_ADDRESS = 0,
	ENTRY_DATA = 8,
	ENTRY_CONTROL = 12, /* bit 0: masked */
};

#define MSI_ADDRESS 0xfee00000u /* of APIC 0 (SDM Vol. 3A, 11.11.1) */

#define BAR_ADDRESS 0xfffffff0u

/* A capability of virtio (4.1.4). */
enum {
	CAP_NEXT = 1,
	CAP_TYPE = 3,
	CAP_BAR = 4,
	CAP_OFFSET = 8,
	CAP_MULTIPLIER = 16,
};

enum {
	TYPE_COMMON = 1,
	TYPE_NOTIFY = 2,
	TYPE_DEVICE = 4,
};

/* The common configuration (4.1.4.3). */
enum {
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c,
	DEVICE_STATUS = 0x14,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY_OFF = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
};

/* Device status (2.1). */
enum {
	ACKNOWLEDGE = 1,
	DRIVER = 2,
	DRIVER_OK = 4,
	FEATURES_OK = 8,
};

/* ---- registers: one access of the register's size, as reg_read() ---- */

static uint32_t read32(uintptr_t at)
{
	uint32_t value;

	__asm__ volatile("movl %1, %0" : "=r"(value) : "m"(*(const uint32_t *)at) : "memory");
	return value;
}

static void write32(uintptr_t at, uint32_t value)
{
	__asm__ volatile("movl %1, %0" : "=m"(*(uint32_t *)at) : "r"(value) : "memory");
}

static uint16_t read16(uintptr_t at)
{
	uint16_t value;

	__asm__ volatile("movw %1, %0" : "=r"(value) : "m"(*(const uint16_t *)at) : "memory");
	return value;
}

static void write16(uintptr_t at, uint16_t value)
{
	__asm__ volatile("movw %1, %0" : "=m"(*(uint16_t *)at) : "r"(value) : "memory");
}

static uint8_t read8(uintptr_t at)
{
	uint8_t value;

	__asm__ volatile("movb %1, %0" : "=q"(value) : "m"(*(const uint8_t *)at) : "memory");
	return value;
}

static void write8(uintptr_t at, uint8_t value)
{
	__asm__ volatile("movb %1, %0" : "=m"(*(uint8_t *)at) : "q"(value) : "memory");
}

/* The common configuration has halves of 32 bits (4.1.3.1). */
static void write64(uintptr_t at, uint64_t value)
{
	write32(at, (uint32_t)value);
	write32(at + 4, (uint32_t)(value >> 32));
}

/* ---- finding it ---- */

/* All BARs are of 32 bits. */
static uintptr_t bar_base(uintptr_t function, unsigned bar)
{
	return read32(function + PCI_BAR_0 + 4ul * bar) & BAR_ADDRESS;
}

/* Where the structure of a capability lies. */
static uintptr_t place(uintptr_t function, unsigned cap)
{
	return bar_base(function, read8(function + cap + CAP_BAR)) +
	       read32(function + cap + CAP_OFFSET);
}

static void note_structure(uintptr_t function, unsigned cap, struct guest_virtio *dev)
{
	switch (read8(function + cap + CAP_TYPE)) {
	case TYPE_COMMON:
		dev->common = place(function, cap);
		break;
	case TYPE_NOTIFY:
		dev->notify = place(function, cap);
		dev->notify_multiplier = read32(function + cap + CAP_MULTIPLIER);
		break;
	case TYPE_DEVICE:
		dev->device = place(function, cap);
		break;
	default:
		break;
	}
}

bool guest_virtio_find(uint64_t ecam, unsigned id, struct guest_virtio *dev)
{
	uintptr_t function = ecam;
	unsigned slot = 0, cap;

	while (read32(function) != (VENDOR | (FIRST_DEVICE + id) << 16)) {
		if (++slot == SLOTS)
			return false;
		function = ecam + ((uintptr_t)slot << 15); /* PCIe 5.0, 7.2.2 */
	}
	*dev = (struct guest_virtio){.function = function};
	for (cap = read8(function + PCI_CAPABILITIES); cap; cap = read8(function + cap + CAP_NEXT))
		if (read8(function + cap) == CAPABILITY_VENDOR)
			note_structure(function, cap, dev);
		else if (read8(function + cap) == CAPABILITY_MSIX)
			dev->msix = function + cap;
	write16(function + PCI_COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
	return dev->common && dev->notify && dev->device;
}

/* ---- setting it up ---- */

static void add_status(const struct guest_virtio *dev, uint8_t bits)
{
	uintptr_t at = dev->common + DEVICE_STATUS;

	write8(at, read8(at) | bits);
}

bool guest_virtio_negotiate(const struct guest_virtio *dev, uint64_t features)
{
	uintptr_t at = dev->common;

	write8(at + DEVICE_STATUS, 0);
	while (read8(at + DEVICE_STATUS))
		;
	add_status(dev, ACKNOWLEDGE);
	add_status(dev, DRIVER);
	for (unsigned word = 0; word < 2; word++) {
		write32(at + DRIVER_FEATURE_SELECT, word);
		write32(at + DRIVER_FEATURE, (uint32_t)(features >> 32 * word));
	}
	add_status(dev, FEATURES_OK);
	return read8(at + DEVICE_STATUS) & FEATURES_OK;
}

bool guest_virtio_route(const struct guest_virtio *dev, uint8_t vector)
{
	uint32_t table;
	uintptr_t entry;

	if (!dev->msix)
		return false;
	table = read32(dev->msix + MSIX_TABLE);
	entry = bar_base(dev->function, table & MSIX_BAR) + (table & ~(uint32_t)MSIX_BAR) +
		(uintptr_t)GUEST_VIRTIO_ENTRY * ENTRY_SIZE;
	write64(entry + ENTRY_ADDRESS, MSI_ADDRESS);
	write32(entry + ENTRY_DATA, vector);
	write32(entry + ENTRY_CONTROL, 0);
	write16(dev->msix + MSIX_CONTROL, MSIX_ENABLE);
	return true;
}

bool guest_virtio_add_queue(const struct guest_virtio *dev, struct guest_vq *vq)
{
	uintptr_t at = dev->common;

	write16(at + QUEUE_SELECT, vq->index);
	if (read16(at + QUEUE_SIZE) < GUEST_VQ_SIZE)
		return false;
	write16(at + QUEUE_SIZE, GUEST_VQ_SIZE);
	if (vq->packed) {
		write64(at + QUEUE_DESC, (uintptr_t)vq->ring->packed);
		write64(at + QUEUE_DRIVER, (uintptr_t)&vq->ring->driver_event);
		write64(at + QUEUE_DEVICE, (uintptr_t)&vq->ring->device_event);
	} else {
		write64(at + QUEUE_DESC, (uintptr_t)vq->ring->desc);
		write64(at + QUEUE_DRIVER, (uintptr_t)&vq->ring->avail);
		write64(at + QUEUE_DEVICE, (uintptr_t)&vq->ring->used);
	}
	write16(at + QUEUE_VECTOR, GUEST_VIRTIO_ENTRY);
	vq->notify = (uint16_t *)(dev->notify + (uintptr_t)dev->notify_multiplier *
							read16(at + QUEUE_NOTIFY_OFF));
	write16(at + QUEUE_ENABLE, 1);
	return true;
}

void guest_virtio_start(const struct guest_virtio *dev)
{
	add_status(dev, DRIVER_OK);
}

uint64_t guest_virtio_config(const struct guest_virtio *dev, unsigned offset)
{
	uint64_t low = read32(dev->device + offset);

	return low | (uint64_t)read32(dev->device + offset + 4) << 32;
}

/* ---- rings ---- */

struct guest_vq guest_vq(struct guest_vring *ring, uint16_t index, bool packed, uint16_t chain)
{
	struct guest_vq vq = {.ring = ring, .index = index, .packed = packed, .chain = chain};

	memset(&ring->avail, 0, sizeof(ring->avail));
	memset(&ring->used, 0, sizeof(ring->used));
	memset(ring->packed, 0, sizeof(ring->packed));
	memset(&ring->device_event, 0, sizeof(ring->device_event));
	guest_vq_listen(&vq, false);
	return vq;
}

void guest_vq_listen(struct guest_vq *vq, bool on)
{
	uint16_t *flags = vq->packed ? &vq->ring->driver_event.flags : &vq->ring->avail.flags;

	/* The device looks at it when it has used something that is not offered yet: no pair. */
	sx_store_relaxed(flags, (uint16_t)(on ? 0 : GUEST_QUIET));
}
