// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/pci/msix.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/wire/types.h"

/* The table fills at most a page of the BAR, and the pending bits begin the next. */
#define PBA_OFFSET 4096u
#define BAR_SIZE   8192u

_Static_assert(SX_MSIX_MAX_VECTORS *PCI_MSIX_ENTRY_SIZE <= PBA_OFFSET, "the table fits");

/* ---- raising: any thread ---- */

static void fire(struct sx_msix *m, struct sx_msix_vector *v)
{
	if (sx_irq_raise(&v->irq) < 0)
		__atomic_fetch_add(&m->raise_errors, 1, __ATOMIC_RELAXED); /* a statistic */
}

/* Take the pending bit, if it is set, and fire. */
static void fire_pending(struct sx_msix *m, struct sx_msix_vector *v)
{
	/* Relaxed: only one of two that see it gets it; nothing else is handed over by it. */
	if (sx_load_relaxed(&v->pending) && __atomic_exchange_n(&v->pending, 0, __ATOMIC_RELAXED))
		fire(m, v);
}

bool sx_msix_enabled(const struct sx_msix *m)
{
	return sx_load_relaxed(&m->enabled); /* stands alone: no pair */
}

/*
 * Between raising and unmasking nothing gets lost: we set pending, then look at open; unmasking
 * sets open, then looks at pending. The two fences (here and in open_vector()) are a pair: one of
 * the two sees the other's store.
 */
void sx_msix_raise(struct sx_msix *m, unsigned vector)
{
	struct sx_msix_vector *v;

	if (vector >= m->vectors || !sx_msix_enabled(m))
		return;
	v = &m->vector[vector];
	if (sx_load_relaxed(&v->open)) {
		fire(m, v);
		return;
	}
	sx_store_relaxed(&v->pending, 1u);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (sx_load_relaxed(&v->open))
		fire_pending(m, v);
}

/* ---- masks and routes: control thread ---- */

static void unroute(struct sx_msix *m, struct sx_msix_vector *v)
{
	const struct sx_irq_router *r = &m->function->host->config.router;

	if (v->routed)
		r->unroute(r->ctx, &v->irq);
	v->routed = false;
}

/* Have the vector deliver what its entry says; false if that cannot be. */
static bool route(struct sx_msix *m, struct sx_msix_vector *v)
{
	const struct sx_irq_router *r = &m->function->host->config.router;

	if (v->routed && v->routed_addr == v->addr && v->routed_data == v->data)
		return true;
	v->routed = r->route && r->route(r->ctx, &v->irq, v->addr, v->data) == 0;
	v->routed_addr = v->addr;
	v->routed_data = v->data;
	if (!v->routed)
		m->route_errors++;
	return v->routed;
}

static void open_vector(struct sx_msix *m, struct sx_msix_vector *v)
{
	sx_store_relaxed(&v->open, 1u);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with the one in sx_msix_raise() */
	fire_pending(m, v);
}

static uint16_t message_control(const struct sx_msix *m)
{
	return sx_pci_get16(m->function, m->capability + PCI_MSIX_FLAGS);
}

static void update(struct sx_msix *m, struct sx_msix_vector *v)
{
	uint16_t control = message_control(m);
	bool open = (control & PCI_MSIX_FLAGS_ENABLE) && !(control & PCI_MSIX_FLAGS_MASKALL) &&
		    !(v->control & PCI_MSIX_ENTRY_CTRL_MASKBIT);

	if (open && route(m, v))
		open_vector(m, v);
	else
		sx_store_relaxed(&v->open, 0u);
}

/* Switched off: nothing is pending, and the routes are somebody else's to have. */
static void shut(struct sx_msix *m, struct sx_msix_vector *v)
{
	sx_store_relaxed(&v->open, 0u);
	sx_store_relaxed(&v->pending, 0u);
	unroute(m, v);
}

void sx_msix_control_written(struct sx_msix *m)
{
	bool enabled = message_control(m) & PCI_MSIX_FLAGS_ENABLE;

	sx_store_relaxed(&m->enabled, enabled);
	for (unsigned i = 0; i < m->vectors; i++) {
		if (enabled)
			update(m, &m->vector[i]);
		else
			shut(m, &m->vector[i]);
	}
}

/* ---- the BAR ---- */

static uint32_t table_read(const struct sx_msix_vector *v, unsigned offset)
{
	switch (offset) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		return (uint32_t)v->addr;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		return (uint32_t)(v->addr >> 32);
	case PCI_MSIX_ENTRY_DATA:
		return v->data;
	default:
		return v->control;
	}
}

static void table_write(struct sx_msix_vector *v, unsigned offset, uint32_t value)
{
	switch (offset) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		v->addr = (v->addr & ~0xffffffffull) | (value & ~3u); /* a DWORD's address */
		break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		v->addr = (v->addr & 0xffffffff) | (uint64_t)value << 32;
		break;
	case PCI_MSIX_ENTRY_DATA:
		v->data = value;
		break;
	default:
		v->control = value & PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
}

static uint32_t pending_read(const struct sx_msix *m, unsigned first)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < 32 && first + i < m->vectors; i++)
		if (sx_load_relaxed(&m->vector[first + i].pending)) /* a look: no pair */
			bits |= 1u << i;
	return bits;
}

/* A DWORD of the BAR. */
static uint32_t dword_read(const struct sx_msix *m, unsigned offset)
{
	if (offset < m->vectors * PCI_MSIX_ENTRY_SIZE)
		return table_read(&m->vector[offset / PCI_MSIX_ENTRY_SIZE],
				  offset % PCI_MSIX_ENTRY_SIZE);
	if (offset >= PBA_OFFSET && offset < BAR_SIZE)
		return pending_read(m, (offset - PBA_OFFSET) * 8);
	return 0;
}

static void dword_write(struct sx_msix *m, unsigned offset, uint32_t value)
{
	struct sx_msix_vector *v;

	if (offset >= m->vectors * PCI_MSIX_ENTRY_SIZE) {
		m->refused++;
		return;
	}
	v = &m->vector[offset / PCI_MSIX_ENTRY_SIZE];
	table_write(v, offset % PCI_MSIX_ENTRY_SIZE, value);
	if (sx_msix_enabled(m))
		update(m, v);
}

/* Software uses DWORD and QWORD accesses, and no others (PCIe 5.0, 6.1.4.2). */
static bool is_allowed(struct sx_msix *m, uint64_t offset, unsigned size)
{
	if ((size == 4 || size == 8) && offset % size == 0)
		return true;
	m->refused++;
	return false;
}

static int bar_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	struct sx_msix *m = dev;

	if (!is_allowed(m, offset, size)) {
		*value = sx_bus_all_ones(size);
		return SX_EXIT_CONTINUE;
	}
	*value = dword_read(m, (unsigned)offset);
	if (size == 8)
		*value |= (uint64_t)dword_read(m, (unsigned)offset + 4) << 32;
	return SX_EXIT_CONTINUE;
}

static int bar_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct sx_msix *m = dev;

	if (!is_allowed(m, offset, size))
		return SX_EXIT_CONTINUE;
	dword_write(m, (unsigned)offset, (uint32_t)value);
	if (size == 8)
		dword_write(m, (unsigned)offset + 4, (uint32_t)(value >> 32));
	return SX_EXIT_CONTINUE;
}

static const struct sx_bus_ops bar_ops = {.read = bar_read, .write = bar_write};

/* ---- life ---- */

static int make_vectors(struct sx_msix *m, unsigned vectors, struct sx_error *err)
{
	m->vector = calloc(vectors, sizeof(*m->vector));
	if (!m->vector)
		return sx_fail(err, -ENOMEM, "no memory for %u interrupts", vectors);
	for (; m->vectors < vectors; m->vectors++) {
		int rc = sx_irq_init(&m->vector[m->vectors].irq, err);

		if (rc < 0)
			return rc;
		m->vector[m->vectors].control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
	return 0;
}

static int describe(struct sx_msix *m, unsigned bar, struct sx_error *err)
{
	struct sx_pci_function *f = m->function;
	int at = sx_pci_add_capability(f, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF, err);
	uint16_t control = PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL;

	if (at < 0)
		return at;
	m->capability = (unsigned)at;
	sx_pci_set16(f, m->capability + PCI_MSIX_FLAGS, (uint16_t)(m->vectors - 1));
	memcpy(&f->writable[m->capability + PCI_MSIX_FLAGS], &control, sizeof(control));
	sx_pci_set32(f, m->capability + PCI_MSIX_TABLE, bar);
	sx_pci_set32(f, m->capability + PCI_MSIX_PBA, PBA_OFFSET | bar);
	f->msix = m;
	return 0;
}

int sx_msix_init(struct sx_msix *m, struct sx_pci_function *f, unsigned bar, unsigned vectors,
		 struct sx_error *err)
{
	int rc;

	memset(m, 0, sizeof(*m));
	if (!vectors || vectors > SX_MSIX_MAX_VECTORS)
		return sx_fail(err, -EINVAL, "%s cannot have %u interrupts; 1 to %d can be",
			       f->name, vectors, SX_MSIX_MAX_VECTORS);
	m->function = f;
	rc = make_vectors(m, vectors, err);
	if (rc == 0)
		rc = sx_pci_add_exit_bar(f, bar, BAR_SIZE, 0, &bar_ops, m, err);
	if (rc == 0)
		rc = describe(m, bar, err);
	if (rc == 0) {
		snprintf(m->name, sizeof(m->name), "%s-msix", f->name);
		f->bar[bar].range.name = m->name;
	}
	if (rc < 0)
		sx_msix_destroy(m);
	return rc;
}

void sx_msix_destroy(struct sx_msix *m)
{
	for (unsigned i = 0; i < m->vectors; i++) {
		if (m->function->host)
			unroute(m, &m->vector[i]);
		sx_irq_destroy(&m->vector[i].irq);
	}
	free(m->vector);
	memset(m, 0, sizeof(*m));
}
