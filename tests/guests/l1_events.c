/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hypervisor whose L2 does not exit by itself: interrupts, NMIs and timers get L1 its processor
 * back, at any moment and each one once.
 */
#include "tests/guests/l1.h"
#include "tests/guests/l1_events.h"

#define NAMED_VECTOR 0x31u
#define TIMER_VECTOR 0x41u

#define APIC_TPR       0x80u
#define APIC_LVT_TIMER 0x320u
#define APIC_INITIAL   0x380u
#define APIC_DIVIDE    0x3e0u
#define DIVIDE_BY_1    0xbu

static const struct sx_boot_info *boot;
static struct l1 l1;
static volatile struct l1_page *page;
static volatile uint64_t irqs, timers, nmis, named;

/* ---- L2 ---- */

/* Counts the word at RDI for ever. */
extern void l2_loop(void);
/* Counts it once and halts, then writes a port; at CPL 0. */
extern void l2_hlt(void);
extern const uint8_t l2_after_hlt[];

__asm__("l2_loop: incq (%rdi)\n"
	"   jmp l2_loop\n"
	"l2_hlt: incq (%rdi)\n"
	"   hlt\n"
	"l2_after_hlt: incq (%rdi)\n"
	"   outb %al, $0x97\n"
	"   jmp l2_hlt\n");

static void begin(void (*rip)(void))
{
	l1_begin(&l1, rip);
	*l1_gpr(&l1, 7) = (uintptr_t)&page->count;
}

static uint64_t get(uint32_t field)
{
	return guest_vmread(&l1.v, field);
}

static void put(uint32_t field, uint64_t value)
{
	guest_vmwrite(&l1.v, field, value);
}

/* ---- L1's own interrupts ---- */

static void on_irq(void)
{
	irqs++;
	guest_eoi();
}

static void on_timer(void)
{
	timers++;
	guest_eoi();
}

static void on_nmi(void)
{
	nmis++;
}

static void on_named(void)
{
	named++;
}

static void on_irq_tell(void)
{
	irqs++;
	l1.v.line->interrupt = 1;
	reg_write((uint64_t *)(uintptr_t)l1.v.line->kick, l1.v.line->kick_value);
	guest_eoi();
}

static void apic_write(unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(uintptr_t)(SX_GUEST_XAPIC + offset) = value;
}

static void wish(enum l1_wish what, int l2_runs)
{
	page->l2_runs = (uint64_t)l2_runs;
	__atomic_store_n(&page->wish, what, __ATOMIC_RELEASE); /* pairs with the test's acquire */
}

static void wait_for(volatile uint64_t *count, uint64_t want)
{
	while (*count < want)
		sx_pause();
	GUEST_ASSERT(*count == want);
}

/* ---- they end L2's run ---- */

static void named_vector(uint64_t rounds)
{
	begin(l2_loop);
	l1.v.line->vector = NAMED_VECTOR;
	for (uint64_t i = 1; i <= rounds; i++) {
		wish(L1_WISH_IRQ, 1);
		l1_enter(&l1, SX_VMEXIT_EXT_INTR);
		GUEST_ASSERT(get(SX_VMCS_EXIT_INTR_INFO) ==
			     SX_INTR_INFO(SX_INTR_EXTERNAL, NAMED_VECTOR));
		wait_for(&irqs, i);
	}
	GUEST_ASSERT(named == 0); /* it is L1 that would call it */
}

static void acknowledge(uint64_t rounds)
{
	begin(l2_loop);
	for (uint64_t i = 1; i <= rounds; i++) {
		wish(L1_WISH_IRQ, 1);
		l1_enter(&l1, SX_VMEXIT_EXT_INTR);
		GUEST_ASSERT(get(SX_VMCS_EXIT_INTR_INFO) ==
			     SX_INTR_INFO(SX_INTR_EXTERNAL, boot->vector));
		GUEST_ASSERT(irqs == 0);
		guest_eoi(); /* it is in service: without this the next one would not come */
	}
}

static void without_acknowledge(uint64_t rounds)
{
	begin(l2_loop);
	l1_change(&l1, SX_VMCS_EXIT_CONTROLS, SX_EXITC_ACK_INTR, 0);
	for (uint64_t i = 1; i <= rounds; i++) {
		wish(L1_WISH_IRQ, 1);
		l1_enter(&l1, SX_VMEXIT_EXT_INTR);
		GUEST_ASSERT(get(SX_VMCS_EXIT_INTR_INFO) == 0);
		wait_for(&irqs, i);
	}
}

static void nmi(uint64_t rounds)
{
	begin(l2_loop);
	for (uint64_t i = 1; i <= rounds; i++) {
		wish(L1_WISH_NMI, 1);
		l1_enter(&l1, SX_VMEXIT_EXCEPTION_NMI);
		GUEST_ASSERT(get(SX_VMCS_EXIT_INTR_INFO) == SX_INTR_INFO(SX_INTR_NMI, 2));
	}
	GUEST_ASSERT(nmis == 0); /* the exit was it */
}

static void apic_timer(uint64_t rounds)
{
	begin(l2_loop);
	l1.v.line->vector = NAMED_VECTOR;
	apic_write(APIC_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	for (uint64_t i = 1; i <= rounds; i++) {
		apic_write(APIC_INITIAL, 20000000); /* KVM's APIC counts nanoseconds */
		l1_enter(&l1, SX_VMEXIT_EXT_INTR);
		wait_for(&timers, i);
	}
}

/* A task priority of L1 that is as high keeps it off; the preemption timer shows how long. */
static void held_off(uint64_t rounds)
{
	begin(l2_loop);
	l1_change(&l1, SX_VMCS_PIN_CONTROLS, 0, SX_PIN_PREEMPTION_TIMER);
	put(SX_VMCS_GUEST_PREEMPTION_TIMER, 3000000);
	l1.v.line->vector = NAMED_VECTOR;
	for (uint64_t i = 1; i <= rounds; i++) {
		apic_write(APIC_TPR, 0xff);
		wish(L1_WISH_IRQ, 1);
		while (__atomic_load_n(&page->wish, __ATOMIC_ACQUIRE))
			l1_enter(&l1, SX_VMEXIT_PREEMPTION_TIMER);
		l1_enter(&l1, SX_VMEXIT_PREEMPTION_TIMER);
		GUEST_ASSERT(irqs == i - 1);
		apic_write(APIC_TPR, 0);
		wait_for(&irqs, i);
	}
}

/* ---- L2 takes them ---- */

static volatile uint64_t l2_irqs;

static void on_l2_irq(void)
{
	l2_irqs++;
	outb(0x97, 0);
}

/* L2 has L1's IDT here, and handlers that run as L2. */
static void to_l2(uint64_t rounds)
{
	guest_handle(boot->vector, on_l2_irq);
	begin(l2_loop);
	l1_change(&l1, SX_VMCS_PIN_CONTROLS, SX_PIN_EXT_INTR, 0);
	l1_change(&l1, SX_VMCS_EXIT_CONTROLS, SX_EXITC_ACK_INTR, 0);
	for (uint64_t i = 1; i <= rounds; i++) {
		wish(L1_WISH_IRQ, 1);
		l1_enter(&l1, SX_VMEXIT_IO);
		GUEST_ASSERT(l2_irqs == i);
		l1_skip(&l1);
		guest_eoi();
	}
}

static void on_l2_nmi(void)
{
	nmis++;
	outb(0x96, 0);
}

static void nmi_to_l2(uint64_t rounds)
{
	guest_handle(2, on_l2_nmi);
	begin(l2_loop);
	l1_change(&l1, SX_VMCS_PIN_CONTROLS, SX_PIN_NMI, 0);
	for (uint64_t i = 1; i <= rounds; i++) {
		wish(L1_WISH_NMI, 1);
		l1_enter(&l1, SX_VMEXIT_IO);
		GUEST_ASSERT(nmis == i);
		GUEST_ASSERT(get(SX_VMCS_GUEST_INTERRUPTIBILITY) & SX_BLOCK_NMI);
		l1_skip(&l1);
	}
}

/* ---- by the line ---- */

/* The test interrupts at any moment: before the entry, around it, while L2 runs or sleeps. */
static void by_line(uint64_t rounds, uint32_t activity)
{
	uint64_t exits = 0;

	guest_handle(boot->vector, on_irq_tell);
	begin(l2_loop);
	if (activity)
		l1_supervisor(&l1);
	l1.v.line->vector = NAMED_VECTOR;
	for (uint64_t i = 1; i <= rounds; i++) {
		wish(L1_WISH_IRQ, 0);
		put(SX_VMCS_GUEST_ACTIVITY, activity);
		l1_enter(&l1, SX_VMEXIT_EXT_INTR);
		GUEST_ASSERT(get(SX_VMCS_EXIT_INTR_INFO) ==
			     SX_INTR_INFO(SX_INTR_EXTERNAL, NAMED_VECTOR));
		GUEST_ASSERT(get(SX_VMCS_GUEST_ACTIVITY) == activity);
		exits++;
		wait_for(&irqs, i);
		l1.v.line->interrupt = 0;
	}
	GUEST_ASSERT(exits == rounds && irqs == rounds);
	GUEST_ASSERT(!activity || page->count == 0);
}

/* ---- the VMX-preemption timer ---- */

extern void l2_port(void);

__asm__("l2_port: incq (%rdi)\n"
	"   outb %al, $0x97\n"
	"   jmp l2_port\n");

/* L2 runs until its time is over. On a busy host that may be before its first instruction. */
static void run_out(void)
{
	uint64_t ran = page->count;

	for (unsigned tries = 0; tries < 100 && page->count == ran; tries++) {
		l1_enter(&l1, SX_VMEXIT_PREEMPTION_TIMER);
		GUEST_ASSERT(get(SX_VMCS_GUEST_PREEMPTION_TIMER) == 3000000);
	}
	GUEST_ASSERT(page->count > ran);
}

static void timer(uint64_t rounds)
{
	uint64_t left;

	begin(l2_loop);
	l1_change(&l1, SX_VMCS_PIN_CONTROLS, 0, SX_PIN_PREEMPTION_TIMER);
	put(SX_VMCS_GUEST_PREEMPTION_TIMER, 0);
	for (uint64_t i = 0; i < rounds; i++) {
		l1_enter(&l1, SX_VMEXIT_PREEMPTION_TIMER);
		GUEST_ASSERT(page->count == 0); /* 0: before the first instruction */
		GUEST_ASSERT(get(SX_VMCS_GUEST_RIP) == (uintptr_t)l2_loop);
	}
	put(SX_VMCS_GUEST_PREEMPTION_TIMER, 3000000); /* some 30 ms */
	for (uint64_t i = 0; i < rounds; i++)
		run_out();
	begin(l2_port);
	l1_change(&l1, SX_VMCS_PIN_CONTROLS, 0, SX_PIN_PREEMPTION_TIMER);
	l1_change(&l1, SX_VMCS_EXIT_CONTROLS, 0, SX_EXITC_SAVE_TIMER);
	put(SX_VMCS_GUEST_PREEMPTION_TIMER, UINT32_MAX);
	for (uint64_t i = 0; i < rounds; i++) {
		left = get(SX_VMCS_GUEST_PREEMPTION_TIMER);
		l1_enter(&l1, SX_VMEXIT_IO);
		GUEST_ASSERT(get(SX_VMCS_GUEST_PREEMPTION_TIMER) < left);
		GUEST_ASSERT(get(SX_VMCS_GUEST_PREEMPTION_TIMER) > 0);
		l1_skip(&l1);
	}
	put(SX_VMCS_GUEST_RIP, (uintptr_t)l2_loop);
	put(SX_VMCS_GUEST_PREEMPTION_TIMER, 100000);
	l1_enter(&l1, SX_VMEXIT_PREEMPTION_TIMER);
	GUEST_ASSERT(get(SX_VMCS_GUEST_PREEMPTION_TIMER) == 0);
}

/* ---- HLT ---- */

static void halted(uint64_t rounds)
{
	begin(l2_loop);
	l1_supervisor(&l1);
	l1.v.line->vector = NAMED_VECTOR;
	for (uint64_t i = 1; i <= rounds; i++) {
		put(SX_VMCS_GUEST_ACTIVITY, SX_ACTIVITY_HLT);
		wish(L1_WISH_IRQ, 0);
		l1_enter(&l1, SX_VMEXIT_EXT_INTR);
		GUEST_ASSERT(get(SX_VMCS_GUEST_ACTIVITY) == SX_ACTIVITY_HLT);
		wait_for(&irqs, i);
		l1_change(&l1, SX_VMCS_PIN_CONTROLS, 0, SX_PIN_PREEMPTION_TIMER);
		put(SX_VMCS_GUEST_PREEMPTION_TIMER, 100000);
		l1_enter(&l1, SX_VMEXIT_PREEMPTION_TIMER);
		GUEST_ASSERT(get(SX_VMCS_GUEST_ACTIVITY) == SX_ACTIVITY_HLT);
		l1_change(&l1, SX_VMCS_PIN_CONTROLS, SX_PIN_PREEMPTION_TIMER, 0);
		l1_change(&l1, SX_VMCS_CPU_CONTROLS, 0,
			  SX_CPU_INTR_WINDOW); /* 27.7.5: open in HLT too */
		l1_enter(&l1, SX_VMEXIT_INTR_WINDOW);
		GUEST_ASSERT(get(SX_VMCS_GUEST_ACTIVITY) == SX_ACTIVITY_HLT);
		l1_change(&l1, SX_VMCS_CPU_CONTROLS, SX_CPU_INTR_WINDOW, 0);
		GUEST_ASSERT(page->count == 0);
	}
}

static void hlt(uint64_t rounds)
{
	begin(l2_hlt);
	l1.v.line->vector = NAMED_VECTOR;
	l1_supervisor(&l1);
	for (uint64_t i = 1; i <= rounds; i++) {
		l1_enter(&l1, SX_VMEXIT_HLT);
		GUEST_ASSERT(get(SX_VMCS_EXIT_INSN_LENGTH) == 1);
		GUEST_ASSERT(get(SX_VMCS_GUEST_RIP) == (uintptr_t)l2_after_hlt - 1);
		GUEST_ASSERT(get(SX_VMCS_GUEST_ACTIVITY) == SX_ACTIVE);
		l1_change(&l1, SX_VMCS_CPU_CONTROLS, SX_CPU_HLT, 0);
		wish(L1_WISH_IRQ, 0);
		l1_enter(&l1, SX_VMEXIT_EXT_INTR);
		wait_for(&irqs, i);
		if (get(SX_VMCS_GUEST_ACTIVITY) == SX_ACTIVITY_HLT)
			GUEST_ASSERT(get(SX_VMCS_GUEST_RIP) == (uintptr_t)l2_after_hlt);
		put(SX_VMCS_GUEST_RIP, (uintptr_t)l2_after_hlt);
		put(SX_VMCS_GUEST_ACTIVITY, SX_ACTIVE);
		l1_enter(&l1, SX_VMEXIT_IO);
		l1_skip(&l1);
		l1_change(&l1, SX_VMCS_CPU_CONTROLS, 0, SX_CPU_HLT);
	}
	GUEST_ASSERT(page->count == 2 * rounds);
}

static void for_ever(uint32_t activity)
{
	begin(l2_loop);
	if (activity)
		l1_supervisor(&l1);
	put(SX_VMCS_GUEST_ACTIVITY, activity);
	l1_enter(&l1, SX_VMEXIT_EXT_INTR);
}

static void when_told(void)
{
	wish(L1_WISH_GO, 0);
	while (__atomic_load_n(&page->wish, __ATOMIC_ACQUIRE)) /* pairs with the test's release */
		sx_pause();
	for_ever(SX_ACTIVE);
}

static void again(void)
{
	begin(l2_loop);
	l1.v.line->vector = NAMED_VECTOR;
	for (;;)
		l1_enter(&l1, SX_VMEXIT_EXT_INTR);
}

static void run(enum l1_case what, uint64_t rounds)
{
	switch (what) {
	case L1_NAMED:
		return named_vector(rounds);
	case L1_ACKNOWLEDGE:
		return acknowledge(rounds);
	case L1_NO_ACK:
		return without_acknowledge(rounds);
	case L1_TO_L2:
		return to_l2(rounds);
	case L1_HELD_OFF:
		return held_off(rounds);
	case L1_NMI_TO_L2:
		return nmi_to_l2(rounds);
	case L1_APIC_TIMER:
		return apic_timer(rounds);
	case L1_NMI:
		return nmi(rounds);
	case L1_LINE:
		return by_line(rounds, SX_ACTIVE);
	case L1_LINE_HALTED:
		return by_line(rounds, SX_ACTIVITY_HLT);
	case L1_TIMER:
		return timer(rounds);
	case L1_HALTED:
		return halted(rounds);
	case L1_HLT:
		return hlt(rounds);
	case L1_FOR_EVER:
		return for_ever(SX_ACTIVE);
	case L1_FOR_EVER_HALTED:
		return for_ever(SX_ACTIVITY_HLT);
	case L1_WHEN_TOLD:
		return when_told();
	case L1_AGAIN:
		return again();
	default:
		guest_exit(6);
	}
}

int guest_main(const struct sx_boot_info *info, unsigned vcpu)
{
	boot = info;
	page = (volatile struct l1_page *)(uintptr_t)boot->heap;
	guest_handle(boot->vector, on_irq);
	guest_handle(TIMER_VECTOR, on_timer);
	guest_handle(NAMED_VECTOR, on_named);
	guest_handle(2, on_nmi);
	guest_enable_apic();
	page->count = 0;
	l1_open(&l1, boot, vcpu);
	run((enum l1_case)(boot->argument & 0xff), boot->argument >> 8);
	l1_close(&l1);
	guest_puts("all well\n");
	return 0;
}
