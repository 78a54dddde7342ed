// SPDX-License-Identifier: BSD-3-Clause
#include "cli/pc_devices.h"

#include <errno.h>
#include <string.h>

#include "guestcore/pc_map.h"

/* ---- the root ---- */

static int map_page(void *ctx, sx_gpa gpa, uint64_t size, void *hva)
{
	return sx_vm_add_memory(ctx, gpa, size, hva, 0, NULL);
}

/* What was mapped goes away; KVM refuses no slot that it has. */
static void unmap_page(void *ctx, sx_gpa gpa)
{
	sx_vm_remove_memory(ctx, gpa);
}

static int create_root(struct sx_pc_devices *d, struct sx_error *err)
{
	const struct sx_pc_devices_config *c = &d->config;
	struct sx_pci_host_config root = {
		.bus = c->bus,
		.ecam = SX_PC_ECAM,
		.low = {SX_PC_PCI_LOW, SX_PC_PCI_LOW_SIZE},
		.high = c->high,
		.mapper = {.map = map_page, .unmap = unmap_page, .ctx = c->vm},
		.router = sx_vm_router(c->vm),
	};

	return sx_pci_host_init(&d->host, &root, err);
}

/* ---- devices ---- */

/* Where the user wants the device; NULL: anywhere. */
static int find_sidecore(const struct sx_pc_devices_config *c, const struct sx_plugged *what,
			 struct sx_sidecore **sc, struct sx_error *err)
{
	*sc = NULL;
	if (!what->pinned)
		return 0;
	for (unsigned i = 0; i < c->sidecore_count; i++) {
		struct sx_sidecore_stats s;

		sx_sidecore_stats(c->sidecores[i], &s);
		if (s.cpu == what->cpu) {
			*sc = c->sidecores[i];
			return 0;
		}
	}
	return sx_fail(err, -EINVAL,
		       "a device of --%s cannot be on CPU %d, which is no sidecore; name it in "
		       "--sidecores, or another in --device-core",
		       what->plug->option, what->cpu);
}

static int create_device(struct sx_pc_devices *d, const struct sx_plugged *what,
			 struct sx_error *err)
{
	const struct sx_virtio_env env = {
		.dma.memory = &d->config.vm->memory,
		.polled = d->config.sidecore_count != 0,
		.may_sleep = d->config.may_sleep,
		.ram = d->config.ram,
		.console_out = d->config.console_out,
		.console_in = d->config.console_in,
	};
	struct sx_pc_device *p = &d->device[d->count];
	int rc = find_sidecore(&d->config, what, &p->sidecore, err);

	if (rc == 0)
		rc = what->plug->create(&p->dev, what->value, &env, err);
	if (rc < 0)
		return sx_fail(err, rc, "cannot make the device of --%s: %s", what->plug->option,
			       strerror(-rc));
	p->plug = what->plug;
	d->count++;
	return sx_virtio_pci_init(&p->pci, p->dev, &d->host, SX_PCI_ANY, err);
}

int sx_pc_devices_create(struct sx_pc_devices *d, const struct sx_pc_devices_config *config,
			 struct sx_error *err)
{
	int rc;

	memset(d, 0, sizeof(*d));
	d->config = *config;
	if (config->count > SX_PC_MAX_DEVICES)
		return sx_fail(err, -EINVAL, "a guest has at most %d devices; plug in fewer",
			       SX_PC_MAX_DEVICES);
	rc = create_root(d, err);
	for (unsigned i = 0; rc == 0 && i < config->count; i++)
		rc = create_device(d, &config->plugged[i], err);
	return rc;
}

/* Its groups go where it is pinned, or to the sidecores in turn: *next counts those. */
static int add_groups(const struct sx_pc_devices_config *c, const struct sx_pc_device *p,
		      unsigned *next)
{
	int rc = 0;

	for (unsigned g = 0; rc == 0 && g < p->dev->groups; g++) {
		struct sx_sidecore *sc = p->sidecore;

		if (!sc)
			sc = c->sidecores[(*next)++ % c->sidecore_count];
		rc = sx_sidecore_add(sc, &p->dev->group[g].poller);
	}
	return rc;
}

int sx_pc_devices_start(struct sx_pc_devices *d, struct sx_error *err)
{
	const struct sx_pc_devices_config *c = &d->config;
	unsigned next = 0;
	int rc = 0;

	if (!c->sidecore_count)
		return sx_pc_backend_start(&d->backend, c->trap, d->device, d->count, err);
	for (unsigned i = 0; rc == 0 && i < d->count; i++)
		rc = add_groups(c, &d->device[i], &next);
	if (rc < 0)
		return sx_fail(err, rc, "a sidecore has no room for the machine's devices");
	return 0;
}

static void destroy_device(struct sx_pc_device *p)
{
	for (unsigned g = 0; g < p->dev->groups; g++)
		sx_sidecore_remove(&p->dev->group[g].poller);
	sx_virtio_pci_destroy(&p->pci);
	p->plug->destroy(p->dev);
}

void sx_pc_devices_destroy(struct sx_pc_devices *d)
{
	sx_pc_backend_stop(&d->backend);
	while (d->count)
		destroy_device(&d->device[--d->count]);
	sx_pci_host_destroy(&d->host);
	memset(d, 0, sizeof(*d));
}

unsigned sx_pc_devices_pollers(const struct sx_pc_devices *d, const struct sx_poller **poller,
			       unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->count; i++)
		for (unsigned g = 0; g < d->device[i].dev->groups; g++, n++)
			if (n < max)
				poller[n] = &d->device[i].dev->group[g].poller;
	return n;
}
