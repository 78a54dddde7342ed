/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hypervisor that tells L0 in advance what CPUID says to its L2 (SX_LIVE_CPUID), and others that
 * take part badly. The argument is how often L2 executes CPUID; it does so at CPL 0, for a software
 * KVM lets CPL 3 ask the processor itself.
 */
#include "tests/guests/l1.h"

#define RAX 0
#define RCX 1
#define RDX 2
#define RBX 3

#define OURS     0x40000001u /* a leaf that L1 makes up */
#define VECTOR   0x51u
#define EVENT    (SX_INTR_VALID | SX_INTR_EXTERNAL << 8 | VECTOR)
#define LONGEST  256u /* more questions than that are too many */
#define STUBBORN 100u /* entries without an answer that L0 must bear */

static struct l1 l1;

extern void l2_ports(void), l2_cpuid(void);
extern const uint8_t l2_out[];

/* Ports without an end; CPUID with what L1 puts into RAX and RCX, and a port. */
__asm__("l2_ports:\n"
	"l2_out: outb %al, $0x97\n"
	"   jmp l2_ports\n"
	"l2_cpuid:\n"
	"   cpuid\n"
	"   outb %al, $0x98\n"
	"   jmp l2_cpuid\n");

static volatile uint64_t l2_interrupts;

static void on_interrupt(void)
{
	l2_interrupts++;
}

struct answer {
	uint32_t eax, ebx, ecx, edx;
};

/* L1's own CPUID, but for the vendor, an APIC ID and a leaf of its own. */
static struct answer answer(uint32_t leaf, uint32_t subleaf)
{
	struct answer a = {leaf, 0, subleaf, 0};

	__asm__ volatile("cpuid" : "+a"(a.eax), "=b"(a.ebx), "+c"(a.ecx), "=d"(a.edx));
	switch (leaf) {
	case 0x0:
		a.ebx = 0x696c7073; /* "splitxsplitx", in the order of a vendor's name */
		a.edx = 0x70737874;
		a.ecx = 0x7874696c;
		break;
	case 0x1:
		a.ebx = (a.ebx & 0xffffff) | 0x2a000000;
		break;
	case 0x40000000:
		a = (struct answer){OURS, 1, 2, 3};
		break;
	case OURS:
		a = (struct answer){11, 22, 33, 44};
		break;
	default:
		break;
	}
	return a;
}

static void give(const struct answer *a)
{
	*l1_gpr(&l1, RAX) = a->eax;
	*l1_gpr(&l1, RBX) = a->ebx;
	*l1_gpr(&l1, RCX) = a->ecx;
	*l1_gpr(&l1, RDX) = a->edx;
	l1_skip(&l1);
}

static void answer_it(void)
{
	struct answer a = answer((uint32_t)*l1_gpr(&l1, RAX), (uint32_t)*l1_gpr(&l1, RCX));

	GUEST_ASSERT(*l1_gpr(&l1, RAX) >> 32 == 0 && *l1_gpr(&l1, RCX) >> 32 == 0);
	give(&a);
}

static void begin(void (*rip)(void))
{
	l1_begin(&l1, rip);
	l1_supervisor(&l1);
	for (unsigned i = 0; i < 16; i++)
		*l1_gpr(&l1, i) = 0x1234000056780000ull + i;
}

/* L2's registers are what they were before L1 was asked. */
static void untouched(void)
{
	for (unsigned i = 0; i < 16; i++)
		GUEST_ASSERT(i == 4 || *l1_gpr(&l1, i) == 0x1234000056780000ull + i);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_RSP) == l1.stack_top);
}

/* Answer until L2 exits by something else, which must be a port; how many there were. */
static unsigned answer_all(void)
{
	unsigned asked = 0;

	for (; l1_enter_any(&l1) == SX_VMEXIT_CPUID; asked++) {
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_INSN_LENGTH) == 2);
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_QUALIFICATION) == 0);
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_IDT_VECTORING_INFO) == 0);
		GUEST_ASSERT(asked < LONGEST);
		answer_it();
	}
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_REASON) == SX_VMEXIT_IO);
	return asked;
}

static void cpuid_is(uint32_t leaf, uint32_t subleaf)
{
	struct answer a = answer(leaf, subleaf);
	uint32_t live = leaf == 1 ? 1u << 27 : 0; /* OSXSAVE is of the moment */

	*l1_gpr(&l1, RAX) = leaf;
	*l1_gpr(&l1, RCX) = subleaf;
	l1_enter(&l1, SX_VMEXIT_IO);
	l1_skip(&l1);
	GUEST_ASSERT(*l1_gpr(&l1, RAX) == a.eax && *l1_gpr(&l1, RBX) == a.ebx);
	GUEST_ASSERT((*l1_gpr(&l1, RCX) & ~live) == (a.ecx & ~live));
	GUEST_ASSERT(*l1_gpr(&l1, RDX) == a.edx);
}

static void learned(uint64_t count)
{
	begin(l2_ports);
	GUEST_ASSERT(answer_all() > 10);
	untouched();
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_RIP) == (uintptr_t)l2_out);
	guest_vmwrite(&l1.v, SX_VMCS_GUEST_RIP, (uintptr_t)l2_cpuid);
	for (uint64_t i = 0; i < count; i++) {
		cpuid_is(0, 0);
		cpuid_is(1, 0);
		cpuid_is(OURS, 0);
	}
}

/* Once for a VMCS, also when it is cleared and launched again; a zeroed page is a new one. */
static void once(void)
{
	struct sx_vmcs12 *vmcs;

	begin(l2_ports);
	answer_all();
	l1_skip(&l1);
	vmcs = l1.v.vmcs;
	guest_vmx_load(&l1.v, vmcs);
	l1_enter(&l1, SX_VMEXIT_IO);
	memset(vmcs, 0, sizeof(*vmcs));
	guest_vmx_load(&l1.v, vmcs);
	guest_vmx_fill(&l1.v, l2_ports, l1.stack_top, l1.eptp);
	l1_supervisor(&l1);
	GUEST_ASSERT(answer_all() > 10);
}

/* In the middle another guest runs, and L1 injects: L2 takes it at once, the questions go on. */
static void interrupted(void)
{
	struct sx_vmcs12 *first;

	guest_handle(VECTOR, on_interrupt);
	l1_begin(&l1, l2_ports); /* at CPL 3, as the handler is */
	l1_enter(&l1, SX_VMEXIT_CPUID);
	answer_it();
	first = l1.v.vmcs;
	begin(l2_ports);
	GUEST_ASSERT(answer_all() > 10);
	untouched();
	GUEST_ASSERT(guest_vmx_call(&l1.v, SX_LINE_VMPTRLD, (uintptr_t)first, 0, 0)->arg ==
		     SX_LINE_SUCCEED);
	l1.v.vmcs = first;
	l1_enter(&l1, SX_VMEXIT_CPUID);
	answer_it();
	guest_vmwrite(&l1.v, SX_VMCS_ENTRY_INTR_INFO, EVENT);
	l2_interrupts = 0;
	l1_enter(&l1, SX_VMEXIT_IO);
	GUEST_ASSERT(l2_interrupts == 1);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_RIP) == (uintptr_t)l2_out);
	GUEST_ASSERT(answer_all() > 5);
	GUEST_ASSERT(l2_interrupts == 1);
}

/* Whatever L1 answers, it ends, and L2 runs. */
static void nonsense(uint32_t value)
{
	const struct answer a = {value, value, value, value};
	unsigned asked = 0;

	begin(l2_ports);
	while (l1_enter_any(&l1) == SX_VMEXIT_CPUID) {
		GUEST_ASSERT(asked++ < LONGEST);
		give(&a);
	}
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_REASON) == SX_VMEXIT_IO);
	untouched();
}

static void never_answered(void)
{
	unsigned asked = 0;

	begin(l2_ports);
	while (l1_enter_any(&l1) == SX_VMEXIT_CPUID)
		GUEST_ASSERT(asked++ < STUBBORN);
	GUEST_ASSERT(asked > 0);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_RIP) == (uintptr_t)l2_out);
}

/* L1 has its guest do something else: that is what counts. */
static void moved(void)
{
	begin(l2_cpuid);
	l1_enter(&l1, SX_VMEXIT_CPUID);
	guest_vmwrite(&l1.v, SX_VMCS_GUEST_RIP, (uintptr_t)l2_out);
	*l1_gpr(&l1, RAX) = 77;
	answer_all();
	GUEST_ASSERT(*l1_gpr(&l1, RAX) == 77);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_RIP) == (uintptr_t)l2_out);
}

/* An L1 that did not say so is not disturbed. */
static void strict(void)
{
	l1.v.line->live = 0;
	begin(l2_ports);
	l1_enter(&l1, SX_VMEXIT_IO);
	untouched();
}

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	uint64_t count = boot->argument ? boot->argument : 1;

	l1_open(&l1, boot, vcpu);
	strict();
	l1.v.line->live = SX_LIVE_CPUID;
	learned(count);
	once();
	interrupted();
	nonsense(0);
	nonsense(0xffffffff);
	nonsense(0x80);
	never_answered();
	moved();
	l1_close(&l1);
	guest_puts("all well\n");
	return 0;
}
