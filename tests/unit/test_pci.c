// SPDX-License-Identifier: BSD-3-Clause
/*
 * The PCI root: configuration space and BARs as a guest finds them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>

#include "ipc/rcu.h"
#include "ipc/wire/types.h"
#include "tests/support/virtio_world.h"

#define SLOT(n) SX_PCI_DEVFN(n, 0)

/* A device that remembers the last access. */
struct probe {
	struct sx_pci_function f;
	uint64_t offset, value;
	unsigned size, reads, writes;
};

static int probe_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	struct probe *p = dev;

	p->offset = offset;
	p->size = size;
	p->reads++;
	*value = 0x1122334455667788 & sx_bus_all_ones(size);
	return SX_EXIT_CONTINUE;
}

static int probe_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct probe *p = dev;

	p->offset = offset;
	p->size = size;
	p->value = value;
	p->writes++;
	return SX_EXIT_CONTINUE;
}

static const struct sx_bus_ops probe_ops = {.read = probe_read, .write = probe_write};

static const struct sx_pci_ids ids = {
	.vendor = 0x1234,
	.device = 0x5678,
	.subsystem_vendor = 0x9abc,
	.subsystem = 0xdef0,
	.class_code = 0x010203,
	.revision = 7,
};

static struct vw_world w;

static int set_up(void **state)
{
	(void)state;
	vw_init(&w, 1 << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	vw_destroy(&w);
	return 0;
}

static void probe_init(struct probe *p)
{
	memset(p, 0, sizeof(*p));
	sx_pci_function_init(&p->f, "probe", &ids);
}

static void exit_bar(struct probe *p, unsigned index, uint64_t size, unsigned flags)
{
	assert_int_equal(sx_pci_add_exit_bar(&p->f, index, size, flags, &probe_ops, p, NULL), 0);
}

static void add(struct probe *p, int devfn)
{
	assert_int_equal(sx_pci_add(&w.host, &p->f, devfn, NULL), 0);
}

static uint64_t get(unsigned devfn, unsigned offset, unsigned size)
{
	return vw_config_read(&w, devfn, offset, size);
}

static void set(unsigned devfn, unsigned offset, unsigned size, uint64_t value)
{
	vw_config_write(&w, devfn, offset, size, value);
}

static void decode(unsigned devfn, bool on)
{
	set(devfn, PCI_COMMAND, 2, on ? PCI_COMMAND_MEMORY : 0);
}

#define BAR(n) (PCI_BASE_ADDRESS_0 + 4 * (n))

/* Does the probe answer at @addr? */
static bool answers(struct probe *p, uint64_t addr)
{
	unsigned before = p->reads;

	return vw_read(&w, addr, 4) == 0x55667788 && p->reads == before + 1;
}

/* ---- configuration space ---- */

static void where_no_function_is_all_bits_are_set(void **state)
{
	(void)state;
	for (unsigned devfn = 1; devfn < SX_PCI_DEVFNS; devfn++) {
		assert_int_equal(get(devfn, PCI_VENDOR_ID, 4), 0xffffffff);
		set(devfn, PCI_COMMAND, 2, 0xffff);
		assert_int_equal(get(devfn, PCI_COMMAND, 2), 0xffff);
	}
}

static void the_host_bridge_is_first(void **state)
{
	(void)state;
	assert_int_equal(get(0, PCI_CLASS_REVISION, 4), 0x06000000);
	assert_int_equal(get(0, PCI_HEADER_TYPE, 1), 0);
	assert_int_not_equal(get(0, PCI_VENDOR_ID, 2), 0xffff);
}

static void a_function_says_what_it_is(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	add(&p, SX_PCI_ANY);
	assert_int_equal(p.f.devfn, SLOT(1));
	assert_int_equal(get(SLOT(1), PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(get(SLOT(1), PCI_CLASS_REVISION, 4), 0x01020307);
	assert_int_equal(get(SLOT(1), PCI_SUBSYSTEM_VENDOR_ID, 4), 0xdef09abc);
	assert_int_equal(get(SLOT(1), PCI_STATUS, 2), 0);
	assert_int_equal(get(SLOT(1), PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(get(SLOT(1), PCI_ROM_ADDRESS, 4), 0);
	sx_pci_remove(&p.f);
	assert_int_equal(get(SLOT(1), PCI_VENDOR_ID, 4), 0xffffffff);
}

/* Any size and any offset: each byte keeps what may not be written. */
static void only_what_may_be_written_changes(void **state)
{
	uint8_t model[SX_PCI_CONFIG];
	struct probe p;
	uint32_t seed = 1;
	int cap;

	(void)state;
	probe_init(&p);
	cap = sx_pci_add_capability(&p.f, PCI_CAP_ID_VNDR, 24, NULL);
	assert_true(cap > 0);
	memset(&p.f.writable[cap + 3], 0x5a, 9);
	exit_bar(&p, 0, 4096, 0);
	exit_bar(&p, 2, 65536, SX_PCI_BAR_64);
	add(&p, SX_PCI_ANY);
	memcpy(model, p.f.config, sizeof(model));
	for (unsigned round = 0; round < 20000; round++) {
		uint64_t value = 0;
		unsigned size, offset;

		seed = seed * 1664525 + 1013904223;
		size = 1 + (seed >> 8) % 8;
		offset = (seed >> 12) % (SX_PCI_CONFIG - size);
		value = seed * 0x9e3779b97f4a7c15ull;
		if (offset <= PCI_COMMAND && offset + size > PCI_COMMAND)
			continue; /* BARs stay where they are */
		set(SLOT(1), offset, size, value);
		for (unsigned i = 0; i < size; i++) {
			uint8_t *m = &model[offset + i], mask = p.f.writable[offset + i];

			*m = (uint8_t)((*m & ~mask) | (value >> 8 * i & mask));
		}
		assert_memory_equal(model, p.f.config, sizeof(model));
		value = 0;
		memcpy(&value, &model[offset], size);
		assert_int_equal(get(SLOT(1), offset, size), value);
	}
	sx_pci_remove(&p.f);
}

static void beyond_256_bytes_is_nothing(void **state)
{
	(void)state;
	assert_int_equal(get(0, 0x100, 4), 0);
	assert_int_equal(get(0, 0xffc, 4), 0);
	set(0, 0x100, 4, 0xffffffff);
	set(0, 0xfe, 8, UINT64_MAX);
	assert_int_equal(get(0, 0x100, 4), 0);
	/* Across the end of a function there is nobody. */
	assert_int_equal(get(0, 0xffe, 4), 0xffffffff);
	set(0, 0xffe, 4, 0);
}

static void capabilities_are_a_list(void **state)
{
	struct probe p;
	int a, b;

	(void)state;
	probe_init(&p);
	a = sx_pci_add_capability(&p.f, PCI_CAP_ID_VNDR, 5, NULL);
	b = sx_pci_add_capability(&p.f, PCI_CAP_ID_MSIX, 12, NULL);
	add(&p, SX_PCI_ANY);
	assert_int_equal(get(SLOT(1), PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	assert_int_equal(get(SLOT(1), PCI_CAPABILITY_LIST, 1), a);
	assert_int_equal(get(SLOT(1), (unsigned)a, 2), (unsigned)b << 8 | PCI_CAP_ID_VNDR);
	assert_int_equal(get(SLOT(1), (unsigned)b, 2), PCI_CAP_ID_MSIX);
	assert_true(b >= a + 5 && b % 4 == 0);
	sx_pci_remove(&p.f);
}

static void functions_of_a_slot_are_announced(void **state)
{
	struct probe p[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		probe_init(&p[i]);
	add(&p[0], SX_PCI_DEVFN(5, 0));
	assert_int_equal(get(SLOT(5), PCI_HEADER_TYPE, 1), 0);
	add(&p[1], SX_PCI_DEVFN(5, 7));
	assert_int_equal(get(SLOT(5), PCI_HEADER_TYPE, 1), 0x80);
	add(&p[2], SX_PCI_ANY);
	assert_int_equal(p[2].f.devfn, SLOT(1));
	sx_pci_remove(&p[1].f);
	assert_int_equal(get(SLOT(5), PCI_HEADER_TYPE, 1), 0);
	sx_pci_remove(&p[0].f);
	sx_pci_remove(&p[2].f);
}

/* ---- BARs ---- */

static void the_guest_learns_sizes(void **state)
{
	struct probe p;
	uint64_t was;

	(void)state;
	probe_init(&p);
	exit_bar(&p, 0, 16, 0);
	exit_bar(&p, 1, 4096, SX_PCI_BAR_PREFETCH);
	exit_bar(&p, 2, 1ull << 31, SX_PCI_BAR_64);
	exit_bar(&p, 4, 1ull << 20, SX_PCI_BAR_64 | SX_PCI_BAR_PREFETCH);
	add(&p, SX_PCI_ANY);
	for (unsigned i = 0; i < 6; i++)
		set(SLOT(1), BAR(i), 4, 0xffffffff);
	assert_int_equal(get(SLOT(1), BAR(0), 4), 0xfffffff0);
	assert_int_equal(get(SLOT(1), BAR(1), 4), 0xfffff008);
	assert_int_equal(get(SLOT(1), BAR(2), 8), 0xffffffff80000004);
	assert_int_equal(get(SLOT(1), BAR(4), 8), 0xfffffffffff0000c);
	/* A BAR that is not there has no size. */
	sx_pci_remove(&p.f);
	probe_init(&p);
	exit_bar(&p, 3, 32, 0);
	add(&p, SX_PCI_ANY);
	was = get(SLOT(1), BAR(3), 4);
	set(SLOT(1), BAR(4), 4, 0xffffffff);
	assert_int_equal(get(SLOT(1), BAR(4), 4), 0);
	assert_int_equal(get(SLOT(1), BAR(3), 4), was);
	sx_pci_remove(&p.f);
}

static void bars_begin_in_the_windows_side_by_side(void **state)
{
	struct probe p[3];
	uint64_t low = 0, high = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t at;

		probe_init(&p[i]);
		exit_bar(&p[i], 0, 0x1000u << i, 0);
		exit_bar(&p[i], 2, 0x10000u << i, SX_PCI_BAR_64);
		add(&p[i], SX_PCI_ANY);
		at = get(SLOT(i + 1), BAR(0), 4);
		assert_true(at >= VW_LOW && at >= low && at % (0x1000u << i) == 0);
		low = at + (0x1000u << i);
		assert_true(low <= VW_LOW + VW_LOW_SIZE);
		at = get(SLOT(i + 1), BAR(2), 8) & ~15ull;
		assert_true(at >= VW_HIGH && at >= high && at % (0x10000u << i) == 0);
		high = at + (0x10000u << i);
		assert_false(answers(&p[i], get(SLOT(i + 1), BAR(0), 4)));
	}
	for (unsigned i = 0; i < 3; i++)
		sx_pci_remove(&p[i].f);
}

static void an_exit_bar_answers_where_it_is_put(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	exit_bar(&p, 0, 4096, 0);
	exit_bar(&p, 2, 4096, SX_PCI_BAR_64);
	add(&p, SX_PCI_ANY);
	set(SLOT(1), BAR(0), 4, VW_LOW + 0x5000);
	set(SLOT(1), BAR(2), 4, 0x7000);
	set(SLOT(1), BAR(3), 4, VW_HIGH >> 32);
	assert_false(answers(&p, VW_LOW + 0x5000));
	decode(SLOT(1), true);
	assert_true(answers(&p, VW_LOW + 0x5000));
	assert_true(answers(&p, VW_LOW + 0x5ffc));
	assert_int_equal(p.offset, 0xffc);
	assert_true(answers(&p, VW_HIGH + 0x7010));
	assert_false(answers(&p, VW_LOW + 0x6000));
	vw_write(&w, VW_LOW + 0x5008, 2, 0xabcd);
	assert_int_equal(p.offset, 8);
	assert_int_equal(p.size, 2);
	assert_int_equal(p.value, 0xabcd);
	/* Moved while it decodes. */
	set(SLOT(1), BAR(0), 4, VW_LOW + 0x9000);
	assert_false(answers(&p, VW_LOW + 0x5000));
	assert_true(answers(&p, VW_LOW + 0x9000));
	decode(SLOT(1), false);
	assert_false(answers(&p, VW_LOW + 0x9000));
	assert_false(answers(&p, VW_HIGH + 0x7000));
	assert_int_equal(p.f.refused, 0);
	sx_pci_remove(&p.f);
}

static void a_bar_outside_the_windows_is_nowhere(void **state)
{
	const uint64_t outside[] = {0,       0x1000,     VW_LOW - 0x1000, VW_LOW + VW_LOW_SIZE,
				    VW_ECAM, 0xfee00000, 0xfffff000};
	struct probe p;

	(void)state;
	probe_init(&p);
	exit_bar(&p, 0, 4096, 0);
	exit_bar(&p, 2, 1 << 20, SX_PCI_BAR_64);
	add(&p, SX_PCI_ANY);
	decode(SLOT(1), true);
	for (unsigned i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		set(SLOT(1), BAR(0), 4, outside[i]);
		assert_false(answers(&p, outside[i]));
	}
	set(SLOT(1), BAR(2), 8, VW_HIGH + VW_HIGH_SIZE);
	assert_false(answers(&p, VW_HIGH + VW_HIGH_SIZE));
	set(SLOT(1), BAR(2), 8, 0xfffffffffff00000);
	assert_false(answers(&p, 0xfffffffffff00000));
	/* The last place that is inside. */
	set(SLOT(1), BAR(0), 4, VW_LOW + VW_LOW_SIZE - 0x1000);
	assert_true(answers(&p, VW_LOW + VW_LOW_SIZE - 4));
	sx_pci_remove(&p.f);
}

static void a_bar_upon_another_is_nowhere(void **state)
{
	struct probe a, b;

	(void)state;
	probe_init(&a);
	probe_init(&b);
	exit_bar(&a, 0, 0x2000, 0);
	exit_bar(&b, 0, 0x1000, 0);
	add(&a, SX_PCI_ANY);
	add(&b, SX_PCI_ANY);
	set(SLOT(1), BAR(0), 4, VW_LOW + 0x10000);
	set(SLOT(2), BAR(0), 4, VW_LOW + 0x11000);
	decode(SLOT(1), true);
	decode(SLOT(2), true);
	assert_true(answers(&a, VW_LOW + 0x11000));
	assert_int_equal(b.f.refused, 1);
	set(SLOT(2), BAR(0), 4, VW_LOW + 0x12000);
	assert_true(answers(&b, VW_LOW + 0x12000));
	assert_true(answers(&a, VW_LOW + 0x11000));
	sx_pci_remove(&a.f);
	sx_pci_remove(&b.f);
}

static void a_page_bar_is_memory(void **state)
{
	static uint8_t page[8192] __attribute__((aligned(4096)));
	struct probe p;

	(void)state;
	probe_init(&p);
	assert_int_equal(sx_pci_add_page_bar(&p.f, 1, sizeof(page), 0, page, NULL), 0);
	add(&p, SX_PCI_ANY);
	set(SLOT(1), BAR(1), 4, VW_LOW + 0x4000);
	assert_int_equal(vw_read(&w, VW_LOW + 0x4000, 4), 0xffffffff);
	decode(SLOT(1), true);
	vw_write(&w, VW_LOW + 0x5ffc, 4, 0xcafe1234);
	assert_int_equal(page[8188], 0x34);
	assert_int_equal(vw_read(&w, VW_LOW + 0x5ffc, 4), 0xcafe1234);
	set(SLOT(1), BAR(1), 4, VW_LOW + 0x8000);
	assert_int_equal(vw_read(&w, VW_LOW + 0x9ffc, 4), 0xcafe1234);
	assert_int_equal(vw_read(&w, VW_LOW + 0x5ffc, 4), 0xffffffff);
	/* The same by the other way in. */
	assert_int_equal(sx_pci_bar_read(&p.f, 1, 8188, 4), 0xcafe1234);
	sx_pci_bar_write(&p.f, 1, 8190, 2, 0x5678);
	assert_int_equal(vw_read(&w, VW_LOW + 0x9ffc, 4), 0x56781234);
	decode(SLOT(1), false);
	assert_int_equal(vw_read(&w, VW_LOW + 0x9ffc, 4), 0xffffffff);
	assert_int_equal(p.f.refused, 0);
	sx_pci_remove(&p.f);
}

static void a_page_that_cannot_be_mapped_is_nowhere(void **state)
{
	static uint8_t page[2][4096] __attribute__((aligned(4096)));
	struct probe p[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		probe_init(&p[i]);
		assert_int_equal(sx_pci_add_page_bar(&p[i].f, 0, 4096, 0, page[i], NULL), 0);
		add(&p[i], SX_PCI_ANY);
		set(SLOT(i + 1), BAR(0), 4, VW_LOW);
		decode(SLOT(i + 1), true);
	}
	assert_int_equal(p[1].f.refused, 1);
	decode(SLOT(2), false); /* takes nothing away from the first */
	vw_write(&w, VW_LOW, 1, 0x77);
	assert_int_equal(page[0][0], 0x77);
	decode(SLOT(1), false);
	decode(SLOT(2), true);
	vw_write(&w, VW_LOW, 1, 0x66);
	assert_int_equal(page[1][0], 0x66);
	sx_pci_remove(&p[0].f);
	sx_pci_remove(&p[1].f);
}

static void access_by_index_stays_inside(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	exit_bar(&p, 0, 64, 0);
	add(&p, SX_PCI_ANY);
	assert_int_equal(sx_pci_bar_read(&p.f, 0, 60, 4), 0x55667788);
	sx_pci_bar_write(&p.f, 0, 56, 8, 1);
	assert_int_equal(p.writes, 1);
	assert_int_equal(sx_pci_bar_read(&p.f, 0, 61, 4), UINT64_MAX);
	assert_int_equal(sx_pci_bar_read(&p.f, 0, UINT64_MAX, 4), UINT64_MAX);
	assert_int_equal(sx_pci_bar_read(&p.f, 1, 0, 4), UINT64_MAX);
	assert_int_equal(sx_pci_bar_read(&p.f, 255, 0, 4), UINT64_MAX);
	assert_int_equal(sx_pci_bar_read(&p.f, 0, 0, 0), UINT64_MAX);
	sx_pci_bar_write(&p.f, 0, 64, 1, 1);
	sx_pci_bar_write(&p.f, 6, 0, 1, 1);
	assert_int_equal(p.writes, 1);
	assert_int_equal(p.f.refused, 7);
	sx_pci_remove(&p.f);
}

/* ---- refusals at set-up ---- */

static void want_no_bar(struct probe *p, unsigned index, uint64_t size, unsigned flags, bool page)
{
	struct sx_error err = {""};
	static uint8_t memory[4096];
	int rc = page ? sx_pci_add_page_bar(&p->f, index, size, flags, memory, &err)
		      : sx_pci_add_exit_bar(&p->f, index, size, flags, &probe_ops, p, &err);

	assert_int_equal(rc, -EINVAL);
	assert_non_null(strstr(err.text, "probe"));
}

static void bars_that_cannot_be(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	want_no_bar(&p, 0, 0, 0, false);
	want_no_bar(&p, 0, 8, 0, false);
	want_no_bar(&p, 0, 24, 0, false);
	want_no_bar(&p, 0, 1ull << 32, 0, false);
	want_no_bar(&p, 0, 2048, 0, true);
	want_no_bar(&p, 0, 12288, 0, true);
	want_no_bar(&p, 6, 4096, 0, false);
	want_no_bar(&p, 5, 4096, SX_PCI_BAR_64, false);
	exit_bar(&p, 2, 4096, SX_PCI_BAR_64);
	want_no_bar(&p, 2, 4096, 0, false);
	want_no_bar(&p, 3, 4096, 0, false);
	want_no_bar(&p, 1, 4096, SX_PCI_BAR_64, false);
	add(&p, SX_PCI_ANY);
	want_no_bar(&p, 0, 4096, 0, false);
	sx_pci_remove(&p.f);
}

static void want_no_place(struct probe *p, int devfn, int rc, const char *says)
{
	struct sx_error err = {""};

	assert_int_equal(sx_pci_add(&w.host, &p->f, devfn, &err), rc);
	assert_non_null(strstr(err.text, says));
	assert_null(p->f.host);
	sx_pci_remove(&p->f); /* does nothing */
}

static void functions_that_have_no_place(void **state)
{
	static struct probe p[SX_PCI_SLOTS];
	struct probe late;

	(void)state;
	probe_init(&late);
	want_no_place(&late, 0, -EBUSY, "taken by pci-host-bridge");
	want_no_place(&late, -2, -EINVAL, "does not exist");
	want_no_place(&late, 256, -EINVAL, "does not exist");
	exit_bar(&late, 0, 1ull << 30, 0);
	want_no_place(&late, SX_PCI_ANY, -ENOSPC, "no room for the 0x40000000 bytes of BAR 0");
	probe_init(&late);
	for (unsigned i = 1; i < SX_PCI_SLOTS; i++) {
		probe_init(&p[i]);
		add(&p[i], SX_PCI_ANY);
	}
	want_no_place(&late, SX_PCI_ANY, -ENOSPC, "no free PCI slot for probe");
	sx_pci_remove(&p[9].f);
	add(&late, SX_PCI_ANY);
	assert_int_equal(late.f.devfn, SLOT(9));
	sx_pci_remove(&late.f);
	for (unsigned i = 1; i < SX_PCI_SLOTS; i++)
		sx_pci_remove(&p[i].f);
}

static void a_large_64_bit_bar_falls_back_to_the_low_window(void **state)
{
	struct probe p;

	(void)state;
	w.host.config.high.size = 0;
	probe_init(&p);
	exit_bar(&p, 0, 1 << 20, SX_PCI_BAR_64);
	add(&p, SX_PCI_ANY);
	decode(SLOT(1), true);
	assert_true(answers(&p, get(SLOT(1), BAR(0), 8) & ~15ull));
	assert_true(get(SLOT(1), BAR(0), 8) < VW_LOW + VW_LOW_SIZE);
	sx_pci_remove(&p.f);
}

static void configuration_space_that_is_full(void **state)
{
	struct sx_error err = {""};
	struct probe p;

	(void)state;
	probe_init(&p);
	assert_int_equal(sx_pci_add_capability(&p.f, 9, 1, NULL), -ENOSPC);
	assert_int_equal(sx_pci_add_capability(&p.f, 9, 193, NULL), -ENOSPC);
	assert_int_equal(sx_pci_add_capability(&p.f, 9, 100, NULL), 0x40);
	assert_int_equal(sx_pci_add_capability(&p.f, 9, 92, NULL), 0x40 + 100);
	assert_int_equal(sx_pci_add_capability(&p.f, 9, 2, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "has no room for 2 bytes"));
}

static void a_root_that_cannot_be(void **state)
{
	struct sx_pci_host_config c = w.host.config;
	struct sx_error err = {""};
	struct sx_pci_host host;

	(void)state;
	assert_int_equal(sx_pci_host_init(&host, &c, &err), -EEXIST); /* there is one */
	sx_pci_host_destroy(&host);
	c.ecam += 4096;
	err.text[0] = 0;
	assert_int_equal(sx_pci_host_init(&host, &c, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not aligned to 1 MiB"));
	sx_pci_host_destroy(&host);
	assert_int_equal(get(0, PCI_CLASS_REVISION, 4), 0x06000000);
}

/* ---- BARs move while others look ---- */

static uint32_t stop;

static void *look(void *arg)
{
	uint64_t value;

	sx_rcu_register();
	while (!sx_load_acquire(&stop)) { /* pairs with the release below */
		for (unsigned i = 0; i < 16; i++) {
			struct sx_bus_range *r =
				sx_bus_find(&w.bus, SX_BUS_MMIO, VW_LOW + i * 0x1000ul, 4);

			if (r)
				__atomic_fetch_add((uint64_t *)arg,
						   r->ops->read(r->dev, 0, 4, &value) == 0,
						   __ATOMIC_RELAXED);
		}
		rcu_quiescent_state();
	}
	sx_rcu_unregister();
	return NULL;
}

static int still_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	(void)dev;
	(void)offset;
	*value = size;
	return SX_EXIT_CONTINUE;
}

/* We are online, as a device handler on a sidecore is. */
static void bars_move_while_others_look(void **state)
{
	const struct sx_bus_ops still = {.read = still_read, .write = probe_write};
	pthread_t thread;
	uint64_t found = 0;
	struct probe p;

	(void)state;
	probe_init(&p);
	assert_int_equal(sx_pci_add_exit_bar(&p.f, 0, 4096, 0, &still, &p, NULL), 0);
	add(&p, SX_PCI_ANY);
	decode(SLOT(1), true);
	stop = 0;
	assert_int_equal(pthread_create(&thread, NULL, look, &found), 0);
	for (unsigned i = 0; i < 500; i++) {
		set(SLOT(1), BAR(0), 4, VW_LOW + i % 16 * 0x1000ul);
		assert_true(rcu_read_ongoing());
	}
	while (!__atomic_load_n(&found, __ATOMIC_RELAXED))
		rcu_quiescent_state();
	sx_store_release(&stop, 1u);
	rcu_thread_offline();
	pthread_join(thread, NULL);
	rcu_thread_online();
	sx_pci_remove(&p.f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(where_no_function_is_all_bits_are_set),
		CASE(the_host_bridge_is_first),
		CASE(a_function_says_what_it_is),
		CASE(only_what_may_be_written_changes),
		CASE(beyond_256_bytes_is_nothing),
		CASE(capabilities_are_a_list),
		CASE(functions_of_a_slot_are_announced),
		CASE(the_guest_learns_sizes),
		CASE(bars_begin_in_the_windows_side_by_side),
		CASE(an_exit_bar_answers_where_it_is_put),
		CASE(a_bar_outside_the_windows_is_nowhere),
		CASE(a_bar_upon_another_is_nowhere),
		CASE(a_page_bar_is_memory),
		CASE(a_page_that_cannot_be_mapped_is_nowhere),
		CASE(access_by_index_stays_inside),
		CASE(bars_that_cannot_be),
		CASE(functions_that_have_no_place),
		CASE(a_large_64_bit_bar_falls_back_to_the_low_window),
		CASE(configuration_space_that_is_full),
		CASE(a_root_that_cannot_be),
		CASE(bars_move_while_others_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
