// SPDX-License-Identifier: GPL-2.0
/* The lines (ipc/wire/vmx_line.h): where they are, which CPU has which, and talking by one. */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/smp.h>

#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>
#include <asm/irq_vectors.h>
#include <asm/processor.h>

#include "kernel/vmx.h"

static DEFINE_PER_CPU(struct vmx_cpu, vmx_cpu);
static void *lines;
static void __iomem *kick_page;
static u64 host_xcr0;

struct vmx_cpu *vmx_this_cpu(void)
{
	return this_cpu_ptr(&vmx_cpu);
}

/* ---- talking ---- */

static void kick(const struct vmx_cpu *c)
{
	writeq(c->line->kick_value, kick_page + offset_in_page(c->line->kick));
}

/* The VMCS12 that is current lies in the kernel's own memory; look where when it has changed. */
static void find_current(struct vmx_cpu *c)
{
	u64 pa = c->line->current_vmcs;

	if (pa == c->current_pa)
		return;
	c->current_pa = pa;
	c->vmcs = pa != ~0ull && pfn_valid(PHYS_PFN(pa)) ? phys_to_virt(pa) : NULL;
}

/*
 * Let interrupts in for the length of one instruction. Was one taken? Then the processor has pushed
 * a frame below the stack pointer, and in it RFLAGS, which is never 0 (SDM Vol. 3A, 6.14.2); NMIs
 * and machine checks have stacks of their own.
 */
static bool interrupt_window(void)
{
	unsigned long at, flags;

	asm volatile("mov %%rsp, %0\n\t"
		     "and $-16, %0\n\t"
		     "movq $0, -24(%0)\n\t"
		     "sti\n\t"
		     "pause\n\t"
		     "cli\n\t"
		     "mov -24(%0), %1"
		     : "=&r"(at), "=r"(flags)
		     :
		     : "memory", "cc");
	return flags != 0;
}

/*
 * L2 runs on another core. An interrupt of ours has to end that, as external-interrupt exiting
 * says; its own handler has run by then, so the exit names a vector that may come for nothing.
 */
static void end_l2(struct vmx_cpu *c)
{
	if (c->line->interrupt)
		return;
	/* Pairs with the acquire where L0 looks at it. */
	sx_store_release(&c->line->interrupt, 1u);
	kick(c);
}

static bool answered(struct vmx_cpu *c)
{
	return c->settled || sx_producer_replied(&c->ring, c->entry) ||
	       sx_producer_state(&c->ring) != SX_RING_OPEN;
}

void vmx_settle(struct vmx_cpu *c)
{
	if (c->settled)
		return;
	end_l2(c);
	while (!answered(c))
		cpu_relax();
	c->reply = *sx_producer_cell(&c->ring, c->entry);
	c->after = c->line->cpu;
	c->settled = true;
}

/* Handlers run with the kernel's XCR0: it may save more state than L2 has enabled. */
static const struct sx_cell *await_exit(struct vmx_cpu *c, u32 n)
{
	/*
	 * L2's. It is asked of the processor: the line's registers are L0's by now, and L2 may have
	 * left already, with an XCR0 there even where this kernel does without XSAVE and XSETBV
	 * raises #UD.
	 */
	u64 xcr0 = host_xcr0 ? xgetbv(XCR_XFEATURE_ENABLED_MASK) : 0;

	if (xcr0 != host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, host_xcr0);
	c->entry = n;
	while (!answered(c)) {
		bool taken;

		c->window = true;
		taken = interrupt_window();
		c->window = false;
		if (taken && !c->settled)
			end_l2(c);
	}
	c->line->interrupt = 0;
	if (xcr0 != host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, xcr0);
	if (!c->settled)
		return sx_producer_cell(&c->ring, n);
	c->settled = false;
	c->line->cpu = c->after;
	return &c->reply;
}

const struct sx_cell *vmx_ask(struct vmx_cpu *c, u16 op, const u64 w[3])
{
	bool entry = op == SX_LINE_VMLAUNCH || op == SX_LINE_VMRESUME;
	u32 kicks = c->line->flags;
	struct sx_cell *request = sx_producer_cell(&c->ring, c->ring.next);
	const struct sx_cell *cell = request;
	u32 n;

	request->op = op;
	request->arg = 0;
	for (int i = 0; i < 3; i++)
		request->w[i] = w[i];
	n = sx_producer_publish(&c->ring);
	if (kicks & SX_LINE_KICK_EACH || (entry && kicks & SX_LINE_KICK_ENTRY))
		kick(c);
	if (entry && !(kicks & (SX_LINE_KICK_EACH | SX_LINE_KICK_ENTRY)))
		cell = await_exit(c, n);
	while (sx_load_acquire(&cell->turn) != sx_turn_reply(n)) { /* with sx_consumer_reply() */
		if (sx_producer_state(&c->ring) != SX_RING_OPEN)
			return NULL;
		cpu_relax();
	}
	find_current(c);
	return cell;
}

/* ---- where they are ---- */

/* Where the lines are, and how many: CPUID. */
static int find_lines(u64 *gpa, u32 *count)
{
	u32 max, ebx, ecx, edx, version;

	cpuid(SX_LINE_CPUID_SIGNATURE, &max, &ebx, &ecx, &edx);
	if (max < SX_LINE_CPUID_PLACE || ebx != SX_LINE_SIGNATURE_EBX ||
	    ecx != SX_LINE_SIGNATURE_ECX || edx != SX_LINE_SIGNATURE_EDX) {
		pr_err("splitx_vmx: this is no guest of splitx run --nested\n");
		return -ENODEV;
	}
	cpuid(SX_LINE_CPUID_PLACE, &version, count, &ecx, &edx);
	if (version != SX_WIRE_VERSION) {
		pr_err("splitx_vmx: splitx speaks version %u, and this module version %u; build "
		       "both from one source\n",
		       version, SX_WIRE_VERSION);
		return -EPROTO;
	}
	*gpa = ecx | (u64)edx << 32;
	return 0;
}

/* The CPU with APIC ID n has line n. Its producer goes on where the one before it ended. */
static int take_lines(u32 count)
{
	unsigned cpu;

	for_each_possible_cpu(cpu)
	{
		struct vmx_cpu *c = per_cpu_ptr(&vmx_cpu, cpu);
		u32 id = cpu_physical_id(cpu);
		struct sx_ring *ring;

		if (id >= count)
			continue; /* a CPU that may never come */
		c->line = lines + (size_t)id * SX_LINE_STRIDE;
		ring = (void *)c->line + SX_LINE_RING;
		sx_producer_init(&c->ring, ring, SX_LINE_RING_ORDER);
		c->ring.next = c->ring.finished = ring->credit;
		c->current_pa = ~0ull;
		c->line->vector = RESCHEDULE_VECTOR;
	}
	if (this_cpu_ptr(&vmx_cpu)->line)
		return 0;
	pr_err("splitx_vmx: this CPU has no line\n");
	return -ENODEV;
}

int vmx_lines_open(u32 *count)
{
	const struct sx_vmx_line *first;
	u64 gpa;
	int rc = find_lines(&gpa, count);

	if (rc < 0)
		return rc;
	host_xcr0 = boot_cpu_has(X86_FEATURE_XSAVE) ? xgetbv(XCR_XFEATURE_ENABLED_MASK) : 0;
	lines = memremap(gpa, (size_t)*count * SX_LINE_STRIDE, MEMREMAP_WB);
	if (!lines)
		return -ENOMEM;
	first = lines;
	kick_page = ioremap(first->kick & PAGE_MASK, PAGE_SIZE);
	if (!kick_page) {
		rc = -ENOMEM;
		goto fail_lines;
	}
	preempt_disable();
	rc = take_lines(*count);
	preempt_enable();
	if (rc < 0)
		goto fail_kick;
	return 0;

fail_kick:
	iounmap(kick_page);
fail_lines:
	memunmap(lines);
	return rc;
}

void vmx_lines_close(void)
{
	iounmap(kick_page);
	memunmap(lines);
}
