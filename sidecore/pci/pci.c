// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/pci/pci.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "sidecore/pci/msix.h"
#include "sidecore/pci/pci_bar.h"

#define FUNCTION_SPACE 4096u /* of ECAM for each function */
#define CAPS_START     0x40u /* behind the header */

#define HEADER_MULTI_FUNCTION 0x80 /* PCIe 5.0, 7.5.1.1.9 */

/* The generic PCIe host bridge of Red Hat's ID space; no driver binds to it. */
#define BRIDGE_VENDOR 0x1b36
#define BRIDGE_DEVICE 0x0008

/* ---- words ---- */

uint16_t sx_pci_get16(const struct sx_pci_function *f, unsigned offset)
{
	uint16_t value;

	memcpy(&value, &f->config[offset], sizeof(value));
	return value;
}

uint32_t sx_pci_get32(const struct sx_pci_function *f, unsigned offset)
{
	uint32_t value;

	memcpy(&value, &f->config[offset], sizeof(value));
	return value;
}

void sx_pci_set16(struct sx_pci_function *f, unsigned offset, uint16_t value)
{
	memcpy(&f->config[offset], &value, sizeof(value));
}

void sx_pci_set32(struct sx_pci_function *f, unsigned offset, uint32_t value)
{
	memcpy(&f->config[offset], &value, sizeof(value));
}

static void allow16(struct sx_pci_function *f, unsigned offset, uint16_t bits)
{
	memcpy(&f->writable[offset], &bits, sizeof(bits));
}

/* ---- functions ---- */

void sx_pci_function_init(struct sx_pci_function *f, const char *name, const struct sx_pci_ids *ids)
{
	memset(f, 0, sizeof(*f));
	f->name = name;
	f->caps_end = CAPS_START;
	sx_pci_set16(f, PCI_VENDOR_ID, ids->vendor);
	sx_pci_set16(f, PCI_DEVICE_ID, ids->device);
	sx_pci_set32(f, PCI_REVISION_ID, ids->revision | ids->class_code << 8);
	sx_pci_set16(f, PCI_SUBSYSTEM_VENDOR_ID, ids->subsystem_vendor);
	sx_pci_set16(f, PCI_SUBSYSTEM_ID, ids->subsystem);
	allow16(f, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	f->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	f->writable[PCI_INTERRUPT_LINE] = 0xff;
}

int sx_pci_add_capability(struct sx_pci_function *f, uint8_t id, unsigned len, struct sx_error *err)
{
	unsigned at = f->caps_end;
	unsigned link = f->last_cap ? f->last_cap + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST;

	if (len < PCI_CAP_SIZEOF || len > SX_PCI_CONFIG - at)
		return sx_fail(err, -ENOSPC,
			       "the configuration space of %s has no room for %u bytes", f->name,
			       len);
	f->config[link] = (uint8_t)at;
	f->config[at + PCI_CAP_LIST_ID] = id;
	sx_pci_set16(f, PCI_STATUS, sx_pci_get16(f, PCI_STATUS) | PCI_STATUS_CAP_LIST);
	f->last_cap = at;
	f->caps_end = (at + len + 3) & ~3u;
	return (int)at;
}

static int find_devfn(const struct sx_pci_host *host, const struct sx_pci_function *f, int devfn,
		      struct sx_error *err)
{
	if (devfn == SX_PCI_ANY) {
		for (devfn = 0; devfn < SX_PCI_DEVFNS; devfn += SX_PCI_FUNCTIONS)
			if (!host->function[devfn])
				return devfn;
		return sx_fail(err, -ENOSPC, "there is no free PCI slot for %s; use fewer devices",
			       f->name);
	}
	if (devfn < 0 || devfn >= SX_PCI_DEVFNS)
		return sx_fail(err, -EINVAL, "PCI function %d of %s does not exist", devfn,
			       f->name);
	if (host->function[devfn])
		return sx_fail(err, -EBUSY, "PCI slot %02x.%x of %s is taken by %s; name another",
			       devfn / SX_PCI_FUNCTIONS, devfn % SX_PCI_FUNCTIONS, f->name,
			       host->function[devfn]->name);
	return devfn;
}

/* Function 0 says whether its slot has others. */
static void mark_multi_function(struct sx_pci_host *host, unsigned devfn)
{
	struct sx_pci_function **slot = &host->function[devfn - devfn % SX_PCI_FUNCTIONS];
	bool others = false;

	for (unsigned i = 1; i < SX_PCI_FUNCTIONS; i++)
		others |= slot[i] != NULL;
	if (slot[0])
		slot[0]->config[PCI_HEADER_TYPE] = others ? HEADER_MULTI_FUNCTION : 0;
}

int sx_pci_add(struct sx_pci_host *host, struct sx_pci_function *f, int devfn, struct sx_error *err)
{
	int rc;

	devfn = find_devfn(host, f, devfn, err);
	if (devfn < 0)
		return devfn;
	f->host = host;
	f->devfn = (uint8_t)devfn;
	rc = sx_pci_place_bars(f, err);
	if (rc < 0) {
		f->host = NULL;
		return rc;
	}
	host->function[devfn] = f;
	mark_multi_function(host, f->devfn);
	return 0;
}

void sx_pci_remove(struct sx_pci_function *f)
{
	struct sx_pci_host *host = f->host;

	if (!host)
		return;
	sx_pci_unmap_bars(f);
	host->function[f->devfn] = NULL;
	mark_multi_function(host, f->devfn);
	f->host = NULL;
}

/* ---- configuration space ---- */

static bool overlaps(unsigned offset, unsigned size, unsigned from, unsigned len)
{
	return len && offset < from + len && from < offset + size;
}

static uint64_t config_read(struct sx_pci_function *f, unsigned offset, unsigned size)
{
	const struct sx_pci_watch *w = &f->watch;
	uint64_t value = 0;

	if (w->before_read && overlaps(offset, size, w->offset, w->size))
		w->before_read(w->ctx);
	for (unsigned i = 0; i < size && offset + i < SX_PCI_CONFIG; i++)
		value |= (uint64_t)f->config[offset + i] << 8 * i;
	return value;
}

static void config_write(struct sx_pci_function *f, unsigned offset, unsigned size, uint64_t value)
{
	const struct sx_pci_watch *w = &f->watch;

	for (unsigned i = 0; i < size && offset + i < SX_PCI_CONFIG; i++) {
		uint8_t *byte = &f->config[offset + i];
		uint8_t mask = f->writable[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | ((value >> 8 * i) & mask));
	}
	if (overlaps(offset, size, PCI_COMMAND, 2) ||
	    overlaps(offset, size, PCI_BASE_ADDRESS_0, 4 * SX_PCI_BARS))
		sx_pci_update_bars(f);
	if (f->msix && overlaps(offset, size, f->msix->capability + PCI_MSIX_FLAGS, 2))
		sx_msix_control_written(f->msix);
	if (w->after_write && overlaps(offset, size, w->offset, w->size))
		w->after_write(w->ctx);
}

/* The function whose configuration space holds all of the access, or NULL. */
static struct sx_pci_function *target(struct sx_pci_host *host, uint64_t offset, unsigned size)
{
	if (offset % FUNCTION_SPACE + size > FUNCTION_SPACE)
		return NULL;
	return host->function[offset / FUNCTION_SPACE];
}

static int ecam_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	struct sx_pci_function *f = target(dev, offset, size);

	/* What no function answers reads as all ones (PCIe 5.0, 2.3.2). */
	*value = f ? config_read(f, offset % FUNCTION_SPACE, size) : sx_bus_all_ones(size);
	return SX_EXIT_CONTINUE;
}

static int ecam_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct sx_pci_function *f = target(dev, offset, size);

	if (f)
		config_write(f, offset % FUNCTION_SPACE, size, value);
	return SX_EXIT_CONTINUE;
}

static const struct sx_bus_ops ecam_ops = {.read = ecam_read, .write = ecam_write};

/* ---- the root ---- */

int sx_pci_host_init(struct sx_pci_host *host, const struct sx_pci_host_config *config,
		     struct sx_error *err)
{
	const struct sx_pci_ids ids = {
		.vendor = BRIDGE_VENDOR,
		.device = BRIDGE_DEVICE,
		.class_code = 0x060000, /* host bridge */
	};
	int rc;

	memset(host, 0, sizeof(*host));
	if (config->ecam % SX_PCI_ECAM_SIZE)
		return sx_fail(err, -EINVAL,
			       "PCI configuration space at 0x%" PRIx64 " is not aligned to 1 MiB",
			       config->ecam);
	host->config = *config;
	host->low_next = config->low.base;
	host->high_next = config->high.base;
	host->ecam = (struct sx_bus_range){
		.name = "pci-config",
		.space = SX_BUS_MMIO,
		.base = config->ecam,
		.size = SX_PCI_ECAM_SIZE,
		.ops = &ecam_ops,
		.dev = host,
	};
	sx_pci_function_init(&host->bridge, "pci-host-bridge", &ids);
	rc = sx_pci_add(host, &host->bridge, 0, err);
	if (rc == 0)
		rc = sx_bus_add(config->bus, &host->ecam, err);
	if (rc < 0)
		host->config.bus = NULL;
	return rc;
}

void sx_pci_host_destroy(struct sx_pci_host *host)
{
	if (host->config.bus)
		sx_bus_remove(host->config.bus, &host->ecam);
	memset(host, 0, sizeof(*host));
}
