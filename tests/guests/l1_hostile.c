/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * L1s that mean harm. vCPU 0 does what the argument says, `count` of the page times; another vCPU,
 * if there is one, writes over the VMCS12 meanwhile. Whatever comes back has to be an answer that a
 * processor may give; the last thing is always an L2 that works.
 */
#include "tests/guests/l1.h"
#include "tests/guests/l1_hostile.h"
#include "tests/guests/page.h"

static struct l1 l1;
static uint8_t *tables_of_storm;
static struct test_page *page;
static const struct sx_boot_info *boot;
static uint64_t seed;
static volatile uint64_t target, stop; /* of the vCPU that writes over a VMCS12 */

extern void l2_ports(void);
extern void l2_reads(void);

__asm__("l2_ports: outb %al, $0x99\n"
	"   jmp l2_ports\n"
	/* Each page from RSI on, what is there to RBX. */
	"l2_reads: movq (%rsi), %rbx\n"
	"   outb %al, $0x99\n"
	"   jmp l2_reads\n");

static uint64_t draw(void)
{
	return test_random(&seed);
}

/* Any outcome but silence. */
static unsigned try_entry(enum sx_line_op op)
{
	unsigned outcome = guest_vmx_enter(&l1.v, op);

	GUEST_ASSERT(outcome <= SX_LINE_REFUSED);
	return outcome;
}

static void again(void)
{
	guest_vmx_call(&l1.v, SX_LINE_VMXOFF, 0, 0, 0);
	guest_vmx_call(&l1.v, SX_LINE_VMXON, l1.region, 0, 0);
}

static void works(void)
{
	again();
	l1_begin(&l1, l2_ports);
	l1_enter(&l1, SX_VMEXIT_IO);
}

/* ---- VMCS12s ---- */

static void random_vmcs(struct sx_vmcs12 *vmcs)
{
	uint64_t *word = (uint64_t *)(void *)vmcs;

	for (unsigned i = 0; i < 512; i++)
		word[i] = draw();
	vmcs->revision = SX_VMCS12_REVISION;
	vmcs->launched = 0;
}

/* L1's memory, for reading: an L2 that runs wild must not write over L1. */
static uint64_t read_only_tables(void)
{
	uint64_t *t = l1_pages(&l1, GUEST_EPT_PAGES);
	uint64_t eptp = guest_ept_identity(t, boot->memory);

	for (uint64_t at = 0; at < boot->memory; at += 2ull << 20)
		t[1024 + at / (2ull << 20)] &= ~2ull;
	return eptp;
}

/* All of it at random, or a good one with up to four slots that are not. */
static void vmcss(void)
{
	struct sx_vmcs12 *vmcs = l1_pages(&l1, 1);
	uint64_t eptp = read_only_tables();

	for (uint64_t i = 0; i < page->count; i++) {
		memset(vmcs, 0, sizeof(*vmcs));
		guest_vmx_load(&l1.v, vmcs);
		if (i % 2) {
			random_vmcs(vmcs);
		} else {
			guest_vmx_fill(&l1.v, l2_ports, l1.stack_top, eptp);
			for (unsigned k = 0; k < 1 + i / 2 % 4; k++)
				vmcs->slot[draw() % (uint64_t)SX_VMCS12_SLOTS] =
					draw() >> (draw() % 64);
			/* It has to come back by itself, and to stay where it is. */
			sx_vmcs12_set(vmcs, SX_VMCS_EPTP, eptp);
			sx_vmcs12_set(vmcs, SX_VMCS_GUEST_RIP, (uintptr_t)l2_ports);
			sx_vmcs12_set(vmcs, SX_VMCS_GUEST_ACTIVITY, SX_ACTIVE);
		}
		page->vcpu[0].done += try_entry(SX_LINE_VMLAUNCH) == SX_LINE_EXITED;
	}
}

/* While another vCPU writes over it. */
static void rewritten(void)
{
	struct sx_vmcs12 *vmcs = l1_pages(&l1, 1);
	uint64_t eptp = read_only_tables();

	for (uint64_t i = 0; i < page->count; i++) {
		guest_vmx_load(&l1.v, vmcs);
		target = (uintptr_t)vmcs;
		guest_vmx_fill(&l1.v, l2_ports, l1.stack_top, eptp);
		page->vcpu[0].done += try_entry(SX_LINE_VMLAUNCH) == SX_LINE_EXITED;
	}
	stop = 1;
}

static void write_over(void)
{
	seed = page->seed;
	while (!stop) {
		uint64_t slot = draw() % (uint64_t)SX_VMCS12_SLOTS;

		/* Not where L2 begins: one that never comes back is no test. */
		if (target && slot != SX_VMCS_SLOT(SX_VMCS_GUEST_RIP) &&
		    slot != SX_VMCS_SLOT(SX_VMCS_EPTP) &&
		    slot != SX_VMCS_SLOT(SX_VMCS_GUEST_ACTIVITY))
			((struct sx_vmcs12 *)(uintptr_t)target)->slot[slot] = draw();
	}
}

/* ---- pointers ---- */

static void pointers(void)
{
	static const uint64_t bad[] = {
		0,
		0x3000,
		0xd0005000ull,
		0xfee00000ull,
		0xffffffff000ull,
		1ull << 51,
		1ull << 63,
		~0ull,
		0x1001,
		0xd0000000ull,
		~0xfffull,
		0x7fffffffff000ull,
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unsigned a = guest_vmx_call(&l1.v, SX_LINE_VMCLEAR, bad[i], 0, 0)->arg;
		unsigned b = guest_vmx_call(&l1.v, SX_LINE_VMPTRLD, bad[i], 0, 0)->arg;

		GUEST_ASSERT(a <= SX_LINE_FAULT && b <= SX_LINE_FAULT);
		GUEST_ASSERT(b != SX_LINE_SUCCEED); /* nothing there has our revision */
		page->vcpu[0].done++;
	}
	/* VMXON's own region, and EPT tables as a VMCS. */
	GUEST_ASSERT(guest_vmx_call(&l1.v, SX_LINE_VMPTRLD, l1.region, 0, 0)->arg ==
		     SX_LINE_FAIL_INVALID);
	GUEST_ASSERT(guest_vmx_call(&l1.v, SX_LINE_VMPTRLD, l1.eptp & ~0xfffull, 0, 0)->arg !=
		     SX_LINE_SUCCEED);
}

/* ---- EPT12 ---- */

static void random_tables(uint64_t *tables)
{
	for (unsigned i = 0; i < GUEST_EPT_PAGES * 512; i++) {
		uint64_t entry = draw();

		/* Half of them lead to one of the tables, to this one, too: in circles. */
		if (entry & 1)
			entry = ((uintptr_t)tables + draw() % GUEST_EPT_PAGES * 4096) | 7 |
				(draw() & 0xfb8);
		tables[i] = entry;
	}
}

static void tables(void)
{
	uint64_t *t = l1_pages(&l1, GUEST_EPT_PAGES);
	uint64_t eptp = (uintptr_t)t | (l1.eptp & 0xfff);

	for (uint64_t i = 0; i < page->count; i++) {
		random_tables(t);
		again();
		guest_vmx_load(&l1.v, l1.scratch);
		guest_vmx_fill(&l1.v, l2_ports, l1.stack_top, eptp);
		page->vcpu[0].done += try_entry(SX_LINE_VMLAUNCH) == SX_LINE_EXITED;
		guest_vmx_call(&l1.v, SX_LINE_INVEPT, 2, 0, 0);
	}
}

/*
 * L2 reads a page of each 2 MiB of its 4 GiB, of which EPT12 maps L1's memory: every other read is
 * an EPT violation there, and never a value.
 */
static void scan(void)
{
	l1_begin(&l1, l2_reads);
	for (uint64_t at = 0; at < 1ull << 32; at += 2ull << 20) {
		unsigned reason;

		guest_vmwrite(&l1.v, SX_VMCS_GUEST_RIP, (uintptr_t)l2_reads);
		*l1_gpr(&l1, 3) = 0x5ca1ab1e;
		*l1_gpr(&l1, 6) = at | 0x100008;
		reason = l1_enter_any(&l1);
		if (at < boot->memory) {
			GUEST_ASSERT(reason == SX_VMEXIT_IO);
			continue;
		}
		GUEST_ASSERT(reason == SX_VMEXIT_EPT_VIOLATION);
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_PHYSICAL) == (at | 0x100008));
		GUEST_ASSERT(*l1_gpr(&l1, 3) == 0x5ca1ab1e);
		page->vcpu[0].done++;
	}
}

/* VMXON, launch, VMXOFF, over and over, each with tables of its own. */
static void storm(void)
{
	for (uint64_t i = 0; i < page->count; i++) {
		uint64_t *t =
			(uint64_t *)(void *)(tables_of_storm + i % 24 * GUEST_EPT_PAGES * 4096);

		again();
		guest_vmx_load(&l1.v, l1.scratch);
		guest_vmx_fill(&l1.v, l2_ports, l1.stack_top, guest_ept_identity(t, boot->memory));
		l1_enter(&l1, SX_VMEXIT_IO);
		page->vcpu[0].done++;
	}
}

/* L2's page of the twin leads to an address of L1 where nothing is. */
static void nowhere(void)
{
	uint64_t *t = l1_pages(&l1, GUEST_EPT_PAGES);
	uint64_t eptp = guest_ept_identity(t, boot->memory);

	guest_ept_map_page(t, boot->twin);
	t[6ul * 512 + boot->twin / 4096 % 512] += 1ull << 20;
	guest_vmx_load(&l1.v, l1.scratch);
	guest_vmx_fill(&l1.v, l2_reads, l1.stack_top, eptp);
	*l1_gpr(&l1, 6) = boot->twin;
	GUEST_ASSERT(try_entry(SX_LINE_VMLAUNCH) == SX_LINE_REFUSED);
	page->vcpu[0].done++;
}

/* ---- all ---- */

int guest_main(const struct sx_boot_info *info, unsigned vcpu)
{
	static void (*const tests[])(void) = {
		[L1_VMCSS] = vmcss,     [L1_REWRITTEN] = rewritten, [L1_POINTERS] = pointers,
		[L1_TABLES] = tables,   [L1_SCAN] = scan,           [L1_STORM] = storm,
		[L1_NOWHERE] = nowhere,
	};

	boot = info;
	page = (struct test_page *)(uintptr_t)boot->heap;
	if (vcpu) {
		write_over();
		return 0;
	}
	seed = page->seed;
	l1_open(&l1, boot, vcpu);
	tables_of_storm = l1_pages(&l1, 24 * GUEST_EPT_PAGES);
	tests[boot->argument]();
	works();
	guest_puts("all well\n");
	return 0;
}
