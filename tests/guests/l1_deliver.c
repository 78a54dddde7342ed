/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hypervisor that injects events into its L2, whose IDT is its own: each is taken once, with its
 * error code, and returns to where it has to. An IDT that L1 has not given to L2 yet is an EPT
 * violation that says which event was on its way.
 */
#include "tests/guests/l1.h"
#include "tests/guests/l1_events.h"

#define HOLE     0xd0005000ull /* EPT12 maps nothing here at first, L2's own tables do */
#define LARGE    (2ull << 20)
#define EPT_RWX  7ull
#define EPT_WB   (6ull << 3)
#define TRAP3    0xefull /* present, DPL 3, trap gate: SDM Vol. 3A 6.14.1 */
#define TRAP0    0x8full
#define EXTERNAL 0x40u

static struct l1 l1;
static volatile struct l1_page *page;
static uint64_t *tables; /* of EPT */

/* ---- L2 ---- */

static volatile uint64_t l2_taken, l2_vector, l2_error;

extern void l2_main(void), l2_int3(void), l2_cli(void), l2_nmi(void), l2_cr8(void);
extern const uint8_t l2_out[], l2_after_sti[], l2_cli_out[], l2_in_nmi[];
extern const uint8_t l2_took_3[], l2_took_6[], l2_took_13[], l2_took_14[], l2_took_40[],
	l2_took_2[];

__asm__("l2_int3: int3\n"
	"l2_main:\n"
	"l2_out: outb %al, $0x97\n"
	"   jmp l2_main\n"
	"l2_took_3: movq $3, l2_vector(%rip)\n"
	"   jmp took\n"
	"l2_took_6: movq $6, l2_vector(%rip)\n"
	"   jmp took\n"
	"l2_took_40: movq $0x40, l2_vector(%rip)\n"
	"took: incq l2_taken(%rip)\n"
	"   iretq\n"
	"l2_took_13: movq $13, l2_vector(%rip)\n"
	"   jmp took_error\n"
	"l2_took_14: movq $14, l2_vector(%rip)\n"
	"took_error: popq l2_error(%rip)\n"
	"   jmp took\n");

/* The NMI handler exits while it blocks NMIs. */
__asm__("l2_took_2: movq $2, l2_vector(%rip)\n"
	"   incq l2_taken(%rip)\n"
	"l2_in_nmi: outb %al, $0x96\n"
	"   iretq\n"
	"l2_nmi: incq (%rdi)\n"
	"   jmp l2_nmi\n");

/* At CPL 0: interrupts become possible in the middle. */
__asm__("l2_cli: cli\n"
	"   incq (%rdi)\n"
	"   sti\n"
	"   nop\n"
	"l2_after_sti: incq (%rdi)\n"
	"l2_cli_out: outb %al, $0x97\n"
	"   jmp l2_cli\n"
	"l2_cr8: movq %cr8, %rbx\n"
	"   movl $8, %eax\n"
	"   movq %rax, %cr8\n"
	"   movl $2, %eax\n"
	"   movq %rax, %cr8\n"
	"   outb %al, $0x97\n"
	"   jmp l2_cr8\n");

static uint64_t get(uint32_t field)
{
	return guest_vmread(&l1.v, field);
}

static void put(uint32_t field, uint64_t value)
{
	guest_vmwrite(&l1.v, field, value);
}

static void gate(uint64_t *idt, unsigned vector, const void *entry, uint64_t type)
{
	uint64_t at = (uintptr_t)entry;
	uint64_t selector = type == TRAP0 ? SX_GUEST_CS & ~3u : SX_GUEST_CS;

	idt[2ul * vector] = (at & 0xffff) | selector << 16 | type << 40 | (at >> 16 & 0xffff) << 48;
	idt[2ul * vector + 1] = at >> 32;
}

static uint64_t *new_idt(uint64_t type)
{
	uint64_t *idt = l1_pages(&l1, 1);

	gate(idt, 2, l2_took_2, type);
	gate(idt, 3, l2_took_3, type);
	gate(idt, 6, l2_took_6, type);
	gate(idt, 13, l2_took_13, type);
	gate(idt, 14, l2_took_14, type);
	gate(idt, EXTERNAL, l2_took_40, type);
	return idt;
}

static void begin(void (*rip)(void))
{
	l1_begin(&l1, rip);
	*l1_gpr(&l1, 7) = (uintptr_t)&page->count;
	put(SX_VMCS_GUEST_IDTR_BASE, (uintptr_t)new_idt(TRAP3));
	l2_taken = 0;
	page->count = 0;
}

/* With a GDT of its own, whose code is of DPL 0. */
static void begin_at_cpl0(void (*rip)(void))
{
	uint64_t *gdt = l1_pages(&l1, 1);

	begin(rip);
	gdt[SX_GUEST_CS >> 3] = 0x00af9b000000ffffull;
	gdt[SX_GUEST_SS >> 3] = 0x00cf93000000ffffull;
	put(SX_VMCS_GUEST_GDTR_BASE, (uintptr_t)gdt);
	put(SX_VMCS_GUEST_GDTR_LIMIT, 4095);
	put(SX_VMCS_GUEST_IDTR_BASE, (uintptr_t)new_idt(TRAP0));
	l1_supervisor(&l1);
}

/* ---- injection: 27.6 ---- */

static void inject(uint32_t info, uint32_t error, uint32_t length)
{
	put(SX_VMCS_ENTRY_INTR_INFO, info);
	put(SX_VMCS_ENTRY_ERROR_CODE, error);
	put(SX_VMCS_ENTRY_INSN_LENGTH, length);
}

/* L2 has taken @vector, once, and is where it was before. */
static void taken(unsigned vector, uint64_t times)
{
	l1_enter(&l1, SX_VMEXIT_IO);
	GUEST_ASSERT(get(SX_VMCS_GUEST_RIP) == (uintptr_t)l2_out);
	GUEST_ASSERT(l2_taken == times);
	GUEST_ASSERT(l2_vector == vector);
	GUEST_ASSERT(!(get(SX_VMCS_ENTRY_INTR_INFO) & SX_INTR_VALID)); /* 28.3.1 */
	GUEST_ASSERT(!(get(SX_VMCS_IDT_VECTORING_INFO) & SX_INTR_VALID));
}

static void injections(uint64_t rounds)
{
	uint64_t n = 0;

	begin(l2_main);
	for (uint64_t i = 0; i < rounds; i++) {
		inject(SX_INTR_INFO(SX_INTR_EXTERNAL, EXTERNAL), 0, 0);
		taken(EXTERNAL, ++n);
		inject(SX_INTR_INFO(SX_INTR_HARDWARE, 6), 0, 0);
		taken(6, ++n);
		inject(SX_INTR_INFO(SX_INTR_HARDWARE, 13) | SX_INTR_ERROR_CODE, 0x1230, 0);
		taken(13, ++n);
		GUEST_ASSERT(l2_error == 0x1230);
		inject(SX_INTR_INFO(SX_INTR_HARDWARE, 14) | SX_INTR_ERROR_CODE, 6, 0);
		taken(14, ++n);
		GUEST_ASSERT(l2_error == 6);
		put(SX_VMCS_GUEST_RIP, (uintptr_t)l2_int3);
		inject(SX_INTR_INFO(SX_INTR_SOFT_EXC, 3), 0, 1);
		taken(3, ++n);
	}
}

/* 27.6.1: what is injected wakes L2 from HLT. */
static void wakes_up(void)
{
	begin_at_cpl0(l2_main);
	put(SX_VMCS_GUEST_ACTIVITY, SX_ACTIVITY_HLT);
	inject(SX_INTR_INFO(SX_INTR_EXTERNAL, EXTERNAL), 0, 0);
	taken(EXTERNAL, 1);
	GUEST_ASSERT(get(SX_VMCS_GUEST_ACTIVITY) == SX_ACTIVE);
}

/* ---- an event on its way: 28.2.4 ---- */

/* Have EPT12 map the page HOLE to @page; 0: no more. */
static void map_hole(const void *to)
{
	uint64_t *pdpt = (uint64_t *)(uintptr_t)(tables[0] & ~0xfffull);
	uint64_t *pd, *pt;

	if (!(pdpt[HOLE >> 30] & EPT_RWX)) {
		pd = l1_pages(&l1, 1);
		pt = l1_pages(&l1, 1);
		pd[HOLE / LARGE % 512] = (uintptr_t)pt | EPT_RWX;
		pdpt[HOLE >> 30] = (uintptr_t)pd | EPT_RWX;
	}
	pd = (uint64_t *)(uintptr_t)(pdpt[HOLE >> 30] & ~0xfffull);
	pt = (uint64_t *)(uintptr_t)(pd[HOLE / LARGE % 512] & ~0xfffull);
	pt[HOLE / 4096 % 512] = to ? (uintptr_t)to | EPT_RWX | EPT_WB : 0;
	GUEST_ASSERT(guest_vmx_call(&l1.v, SX_LINE_INVEPT, 1, l1.eptp, 0)->arg == SX_LINE_SUCCEED);
}

static void on_its_way(uint32_t info, uint32_t error, unsigned vector, uint64_t times)
{
	const uint64_t *idt = new_idt(TRAP3);

	inject(info, error, 0);
	l1_enter(&l1, SX_VMEXIT_EPT_VIOLATION);
	GUEST_ASSERT(get(SX_VMCS_GUEST_PHYSICAL) == HOLE + 16ull * vector);
	GUEST_ASSERT((get(SX_VMCS_EXIT_QUALIFICATION) & 7) == 1); /* a read */
	GUEST_ASSERT(get(SX_VMCS_IDT_VECTORING_INFO) == info);
	GUEST_ASSERT(!(info & SX_INTR_ERROR_CODE) || get(SX_VMCS_IDT_VECTORING_ERROR) == error);
	GUEST_ASSERT(l2_taken == times - 1);
	map_hole(idt);
	inject((uint32_t)get(SX_VMCS_IDT_VECTORING_INFO),
	       (uint32_t)get(SX_VMCS_IDT_VECTORING_ERROR), 0);
	taken(vector, times);
	map_hole(NULL);
}

static void interrupted_deliveries(uint64_t rounds)
{
	uint64_t n = 0;

	begin(l2_main);
	put(SX_VMCS_GUEST_IDTR_BASE, HOLE);
	for (uint64_t i = 0; i < rounds; i++) {
		on_its_way(SX_INTR_INFO(SX_INTR_EXTERNAL, EXTERNAL), 0, EXTERNAL, ++n);
		on_its_way(SX_INTR_INFO(SX_INTR_HARDWARE, 6), 0, 6, ++n);
		on_its_way(SX_INTR_INFO(SX_INTR_HARDWARE, 13) | SX_INTR_ERROR_CODE, 0x30, 13, ++n);
		GUEST_ASSERT(l2_error == 0x30);
	}
}

/* ---- windows: 26.2 ---- */

static void interrupt_windows(uint64_t rounds)
{
	begin_at_cpl0(l2_cli);
	for (uint64_t i = 1; i <= rounds; i++) {
		put(SX_VMCS_GUEST_RIP, (uintptr_t)l2_cli);
		put(SX_VMCS_GUEST_RFLAGS, 0x3202);
		l1_change(&l1, SX_VMCS_CPU_CONTROLS, 0, SX_CPU_INTR_WINDOW);
		l1_enter(&l1, SX_VMEXIT_INTR_WINDOW); /* open now: not one instruction */
		GUEST_ASSERT(get(SX_VMCS_GUEST_RIP) == (uintptr_t)l2_cli);
		GUEST_ASSERT(page->count == 2 * i - 2);
		put(SX_VMCS_GUEST_RFLAGS, 0x3002);
		l1_enter(&l1, SX_VMEXIT_INTR_WINDOW);
		/* A KVM that emulates CPL 0 stops for it when it stops at all: before the port. */
		GUEST_ASSERT(get(SX_VMCS_GUEST_RIP) >= (uintptr_t)l2_after_sti);
		GUEST_ASSERT(get(SX_VMCS_GUEST_RIP) <= (uintptr_t)l2_cli_out);
		GUEST_ASSERT(get(SX_VMCS_GUEST_RFLAGS) & 0x200);
		l1_change(&l1, SX_VMCS_CPU_CONTROLS, SX_CPU_INTR_WINDOW, 0);
		l1_enter(&l1, SX_VMEXIT_IO);
		GUEST_ASSERT(page->count == 2 * i);
	}
}

static void nmi_windows(uint64_t rounds)
{
	begin(l2_nmi);
	l1_change(&l1, SX_VMCS_PIN_CONTROLS, 0, SX_PIN_VIRTUAL_NMIS);
	for (uint64_t i = 1; i <= rounds; i++) {
		inject(SX_INTR_INFO(SX_INTR_NMI, 2), 0, 0);
		l1_enter(&l1, SX_VMEXIT_IO);
		GUEST_ASSERT(get(SX_VMCS_GUEST_RIP) == (uintptr_t)l2_in_nmi);
		GUEST_ASSERT(l2_taken == i && l2_vector == 2);
		GUEST_ASSERT(get(SX_VMCS_GUEST_INTERRUPTIBILITY) & SX_BLOCK_NMI);
		l1_skip(&l1);
		l1_change(&l1, SX_VMCS_CPU_CONTROLS, 0, SX_CPU_NMI_WINDOW);
		l1_enter(&l1, SX_VMEXIT_NMI_WINDOW); /* after its IRET */
		GUEST_ASSERT(!(get(SX_VMCS_GUEST_INTERRUPTIBILITY) & SX_BLOCK_NMI));
		l1_change(&l1, SX_VMCS_CPU_CONTROLS, SX_CPU_NMI_WINDOW, 0);
	}
}

/* ---- TPR shadow: 30.1 ---- */

static void tpr_shadow(uint64_t rounds)
{
	uint8_t *apic = l1_pages(&l1, 1);
	volatile uint8_t *vtpr = apic + 0x80;

	begin_at_cpl0(l2_cr8);
	l1_change(&l1, SX_VMCS_CPU_CONTROLS, 0, SX_CPU_TPR_SHADOW);
	put(SX_VMCS_VIRTUAL_APIC, (uintptr_t)apic);
	for (uint64_t i = 1; i <= rounds; i++) {
		put(SX_VMCS_GUEST_RIP, (uintptr_t)l2_cr8);
		*vtpr = 0x50;
		put(SX_VMCS_TPR_THRESHOLD, 4);
		l1_enter(&l1, SX_VMEXIT_TPR_THRESHOLD); /* CR8 becomes 8, and then 2 */
		GUEST_ASSERT(*l1_gpr(&l1, 3) == 5);
		GUEST_ASSERT(*vtpr == 0x20);
		put(SX_VMCS_TPR_THRESHOLD, 0);
		l1_enter(&l1, SX_VMEXIT_IO);
		GUEST_ASSERT(*vtpr == 0x20);
	}
}

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	uint64_t rounds = boot->argument >> 8;

	page = (volatile struct l1_page *)(uintptr_t)boot->heap;
	l1_open(&l1, boot, vcpu);
	tables = (uint64_t *)(uintptr_t)(l1.eptp & ~0xfffull);
	switch ((enum l1_case)(boot->argument & 0xff)) {
	case L1_DELIVER:
		injections(rounds);
		wakes_up();
		break;
	case L1_ON_ITS_WAY:
		interrupted_deliveries(rounds);
		break;
	case L1_WINDOWS:
		interrupt_windows(rounds);
		break;
	case L1_NMI_WINDOWS:
		nmi_windows(rounds);
		break;
	default:
		tpr_shadow(rounds);
	}
	l1_close(&l1);
	guest_puts("all well\n");
	return 0;
}
