// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: a guest that programs MSI-X in any order while interrupts are raised, beside a model that
 * says of each raise whether it fires, waits or is dropped.
 *
 * Input: a list of steps, each an enum step and what it wants.
 */
#include <linux/pci_regs.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fuzz_input.h"
#include "tests/support/virtio_world.h"

#define VECTORS   5
#define MAX_STEPS 400
#define BASE      VW_LOW
#define PBA       4096

enum step {
	RAISE,   /* 1 byte: a vector, perhaps none */
	CONTROL, /* 2 bytes: the message control word */
	MASK,    /* 1 byte: a vector and whether it is masked */
	ENTRY,   /* 6 bytes: DWORD and value */
	ACCESS,  /* 1 byte size, 2 bytes where, 8 bytes what: any write into the BAR */
	LOOK,    /* 3 bytes: any read */
	ROUTES,  /* 1 byte: whether there are any to have */
	STEPS,
};

struct vector {
	uint64_t addr;
	uint32_t data;
	bool masked, pending, routed;
	uint64_t routed_addr;
	uint32_t routed_data;
	uint64_t fired;
};

struct bench {
	struct vw_world w;
	struct sx_pci_function f;
	struct sx_msix m;
	struct vector v[VECTORS];
	bool enabled, function_masked;
	unsigned cap;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* ---- the model ---- */

/* May it fire? Being asked is when it is routed. */
static bool is_open(const struct bench *b, const struct vector *v)
{
	return b->enabled && !b->function_masked && !v->masked && v->routed;
}

static void model_settle(struct bench *b, struct vector *v)
{
	if (!b->enabled) {
		v->pending = v->routed = false;
		return;
	}
	if (b->function_masked || v->masked)
		return;
	if (!v->routed || v->routed_addr != v->addr || v->routed_data != v->data) {
		v->routed = !b->w.refuse_routes;
		v->routed_addr = v->addr;
		v->routed_data = v->data;
	}
	if (v->routed && v->pending) {
		v->pending = false;
		v->fired++;
	}
}

static void model_raise(struct bench *b, struct vector *v)
{
	if (is_open(b, v))
		v->fired++;
	else
		v->pending |= b->enabled;
}

static void model_write(struct bench *b, unsigned offset, uint32_t value)
{
	struct vector *v;

	if (offset >= VECTORS * 16)
		return;
	v = &b->v[offset / 16];
	switch (offset % 16) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		v->addr = (v->addr & ~0xffffffffull) | (value & ~3u);
		break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		v->addr = (v->addr & 0xffffffff) | (uint64_t)value << 32;
		break;
	case PCI_MSIX_ENTRY_DATA:
		v->data = value;
		break;
	default:
		v->masked = value & 1;
	}
	if (b->enabled)
		model_settle(b, v);
}

/* ---- both ---- */

static void write_bar(struct bench *b, unsigned offset, unsigned size, uint64_t value)
{
	vw_write(&b->w, BASE + offset, size, value);
	if ((size != 4 && size != 8) || offset % size)
		return;
	model_write(b, offset, (uint32_t)value);
	if (size == 8)
		model_write(b, offset + 4, (uint32_t)(value >> 32));
}

static void write_control(struct bench *b, uint16_t value)
{
	vw_config_write(&b->w, b->f.devfn, b->cap + PCI_MSIX_FLAGS, 2, value);
	b->enabled = value & PCI_MSIX_FLAGS_ENABLE;
	b->function_masked = value & PCI_MSIX_FLAGS_MASKALL;
	for (unsigned i = 0; i < VECTORS; i++)
		model_settle(b, &b->v[i]);
}

static void raise(struct bench *b, unsigned vector)
{
	sx_msix_raise(&b->m, vector);
	if (vector < VECTORS)
		model_raise(b, &b->v[vector]);
}

static void step(struct bench *b, struct fuzz_input *in)
{
	unsigned what, size, where;

	switch (fuzz_take(in, 1) % STEPS) {
	case RAISE:
		what = (unsigned)fuzz_take(in, 1);
		raise(b, what == 0xff ? UINT32_MAX : what % (VECTORS + 1));
		break;
	case CONTROL:
		write_control(b, (uint16_t)fuzz_take(in, 2));
		break;
	case MASK:
		what = (unsigned)fuzz_take(in, 1);
		write_bar(b, what / 2 % VECTORS * 16 + 12, 4, what & 1);
		break;
	case ENTRY:
		where = (unsigned)fuzz_take(in, 2) % (VECTORS * 4);
		write_bar(b, where * 4, 4, fuzz_take(in, 4));
		break;
	case ACCESS:
		size = (unsigned)fuzz_take(in, 1) % 8 + 1;
		where = (unsigned)fuzz_take(in, 2) % (8192 - size + 1);
		write_bar(b, where, size, fuzz_take(in, 8));
		break;
	case LOOK:
		size = (unsigned)fuzz_take(in, 1) % 8 + 1;
		where = (unsigned)fuzz_take(in, 2) % (8192 - size + 1);
		vw_read(&b->w, BASE + where, size);
		break;
	default:
		b->w.refuse_routes = fuzz_take(in, 1) & 1;
	}
}

static void check(struct bench *b)
{
	uint64_t pending = vw_read(&b->w, BASE + PBA, 8), n;

	for (unsigned i = 0; i < VECTORS; i++) {
		const struct vector *v = &b->v[i];
		const struct sx_irq *irq = &b->m.vector[i].irq;

		fuzz_require(irq->raised == v->fired);
		fuzz_require((pending >> i & 1) == v->pending);
		fuzz_require(vw_read(&b->w, BASE + i * 16ul, 8) == v->addr);
		fuzz_require(vw_read(&b->w, BASE + i * 16ul + 8, 4) == v->data);
		fuzz_require(vw_read(&b->w, BASE + i * 16ul + 12, 4) == v->masked);
		fuzz_require(b->m.vector[i].routed == v->routed);
		if (v->routed)
			fuzz_require(b->w.route[irq->route].irq == irq &&
				     b->w.route[irq->route].addr == v->routed_addr &&
				     b->w.route[irq->route].data == v->routed_data);
		while (read(irq->fd, &n, sizeof(n)) > 0)
			;
	}
	fuzz_require(pending >> VECTORS == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static struct bench b;
	const struct sx_pci_ids ids = {.vendor = 1};
	struct fuzz_input in = {data, length};

	memset(&b, 0, sizeof(b));
	vw_init(&b.w, 1 << 16);
	sx_pci_function_init(&b.f, "probe", &ids);
	fuzz_require(sx_msix_init(&b.m, &b.f, 0, VECTORS, NULL) == 0);
	fuzz_require(sx_pci_add(&b.w.host, &b.f, SX_PCI_ANY, NULL) == 0);
	vw_config_write(&b.w, b.f.devfn, PCI_BASE_ADDRESS_0, 4, BASE);
	vw_config_write(&b.w, b.f.devfn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	b.cap = (unsigned)vw_config_read(&b.w, b.f.devfn, PCI_CAPABILITY_LIST, 1);
	for (unsigned i = 0; i < VECTORS; i++)
		b.v[i].masked = true;
	for (unsigned n = 0; n < MAX_STEPS && in.left; n++) {
		step(&b, &in);
		check(&b);
	}
	sx_msix_destroy(&b.m);
	for (unsigned i = 0; i < VW_MAX_ROUTES; i++)
		fuzz_require(!b.w.route[i].irq);
	sx_pci_remove(&b.f);
	vw_destroy(&b.w);
	return 0;
}
