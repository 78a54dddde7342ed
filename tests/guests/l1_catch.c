/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hypervisor that follows its L2's control registers: each write that it asked to see is an exit
 * to it, before what L2 does next. The argument is how often each thing is done. L2 is at CPL 0.
 */
#include "tests/guests/l1.h"

#define RAX 0
#define RCX 1
#define RDX 2
#define RBX 3

#define CR0_AM  (1ull << 18)
#define CR0_WP  (1ull << 16)
#define CR4_TSD (1ull << 2)
#define CR4_DE  (1ull << 3)
#define CR4_XS  (1ull << 18) /* OSXSAVE */

static struct l1 l1;
static uint64_t cr0, cr4; /* as L2 begins */

extern void l2_write(void), l2_read(void), l2_xsetbv(void), l2_cr3(void);
extern const uint8_t l2_out[];

/* RAX to CR4, RBX to CR0; what they are; RDX:RAX to XCR0; RAX to CR3. A port behind each. */
__asm__("l2_write: movq %rax, %cr4\n"
	"   movq %rbx, %cr0\n"
	"l2_out: outb %al, $0x97\n"
	"   jmp l2_write\n"
	"l2_read: movq %cr4, %rax\n"
	"   movq %cr0, %rbx\n"
	"   outb %al, $0x97\n"
	"l2_xsetbv: xsetbv\n"
	"   outb %al, $0x97\n"
	"   jmp l2_xsetbv\n"
	"l2_cr3: movq %rax, %cr3\n"
	"   outb %al, $0x97\n"
	"   jmp l2_cr3\n");

/* From protected mode without paging to 64-bit mode: 3A 10.8.5. Then a port. */
extern void l2_long(void);
extern const uint8_t l2_long_out[];

__asm__(".code32\n"
	"l2_long: movl %cr4, %eax\n"
	"   orl $0x20, %eax\n"
	"   movl %eax, %cr4\n"
	"   movl %esi, %cr3\n"
	"   movl $0xc0000080, %ecx\n"
	"   rdmsr\n"
	"   orl $0x100, %eax\n"
	"   wrmsr\n"
	"   movl %cr0, %eax\n"
	"   orl $0x80000000, %eax\n"
	"   movl %eax, %cr0\n"
	"   ljmp $8, $1f\n"
	".code64\n"
	"1: movq $0x1122334455667788, %rdi\n"
	"l2_long_out: outb %al, $0x97\n");

static void begin(void (*rip)(void), uint64_t mask0, uint64_t mask4)
{
	l1_begin(&l1, rip);
	l1_supervisor(&l1);
	cr0 = guest_vmread(&l1.v, SX_VMCS_GUEST_CR0);
	cr4 = guest_vmread(&l1.v, SX_VMCS_GUEST_CR4);
	guest_vmwrite(&l1.v, SX_VMCS_CR0_MASK, mask0);
	guest_vmwrite(&l1.v, SX_VMCS_CR4_MASK, mask4);
	guest_vmwrite(&l1.v, SX_VMCS_CR0_SHADOW, cr0);
	guest_vmwrite(&l1.v, SX_VMCS_CR4_SHADOW, cr4);
	for (unsigned i = 0; i < 16; i++)
		*l1_gpr(&l1, i) = 0x1234000056780000ull + i;
}

/* L2 wants @value in @cr; L1 sees there what it gave, @before. */
static void wants(unsigned cr, uint64_t before, uint64_t value)
{
	uint32_t field = cr == 0 ? SX_VMCS_GUEST_CR0 : SX_VMCS_GUEST_CR4;

	l1_enter(&l1, SX_VMEXIT_CR_ACCESS);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_QUALIFICATION) == cr);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_INSN_LENGTH) == 3);
	GUEST_ASSERT(*l1_gpr(&l1, RAX) == value);
	GUEST_ASSERT(guest_vmread(&l1.v, field) == before);
}

static void grant(unsigned cr)
{
	uint64_t value = *l1_gpr(&l1, RAX);

	guest_vmwrite(&l1.v, cr == 0 ? SX_VMCS_GUEST_CR0 : SX_VMCS_GUEST_CR4, value);
	guest_vmwrite(&l1.v, cr == 0 ? SX_VMCS_CR0_SHADOW : SX_VMCS_CR4_SHADOW, value);
	l1_skip(&l1);
}

/* The port, with L2's registers as it left them. */
static void port(uint64_t rax, uint64_t rbx)
{
	l1_enter(&l1, SX_VMEXIT_IO);
	GUEST_ASSERT(*l1_gpr(&l1, RAX) == rax && *l1_gpr(&l1, RBX) == rbx);
	for (unsigned i = 5; i < 16; i++)
		GUEST_ASSERT(*l1_gpr(&l1, i) == 0x1234000056780000ull + i);
}

static void followed(uint64_t count)
{
	uint64_t was4, was0;

	begin(l2_write, CR0_AM, CR4_TSD);
	was4 = cr4;
	was0 = cr0;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t to4 = (was4 & ~0x2000ull) ^ CR4_TSD, to0 = was0 ^ CR0_AM;

		*l1_gpr(&l1, RAX) = to4;
		*l1_gpr(&l1, RBX) = to0;
		wants(4, was4, (to4 & ~0x2000ull) | 0x2000);
		grant(4);
		wants(0, was0, to0);
		grant(0);
		port(to4, to0);
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_RIP) == (uintptr_t)l2_out);
		was4 ^= CR4_TSD;
		was0 ^= CR0_AM;
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_CR4) == was4);
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_CR0) == was0);
		guest_vmwrite(&l1.v, SX_VMCS_GUEST_RIP, (uintptr_t)l2_write);
	}
}

/* What L1 did not ask to see is L2's own. */
static void not_followed(void)
{
	begin(l2_write, 0, 0);
	*l1_gpr(&l1, RAX) = (cr4 & ~0x2000ull) | CR4_DE;
	*l1_gpr(&l1, RBX) = cr0 ^ CR0_AM;
	l1_enter(&l1, SX_VMEXIT_IO);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_CR4) == (cr4 | CR4_DE));
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_CR0) == (cr0 ^ CR0_AM));
}

/* L1 steps over the writes and does nothing, or not what L2 wanted: so it is then. */
static void overruled(void)
{
	begin(l2_write, CR0_AM | CR0_WP, CR4_TSD | CR4_DE);
	*l1_gpr(&l1, RAX) = (cr4 & ~0x2000ull) | CR4_TSD;
	*l1_gpr(&l1, RBX) = cr0 ^ CR0_AM;
	wants(4, cr4, cr4 | CR4_TSD);
	guest_vmwrite(&l1.v, SX_VMCS_GUEST_CR4, cr4 | CR4_DE);
	l1_skip(&l1);
	wants(0, cr0, cr0 ^ CR0_AM);
	l1_skip(&l1);
	port((cr4 & ~0x2000ull) | CR4_TSD, cr0 ^ CR0_AM);
	guest_vmwrite(&l1.v, SX_VMCS_GUEST_RIP, (uintptr_t)l2_read);
	l1_enter(&l1, SX_VMEXIT_IO);
	GUEST_ASSERT((*l1_gpr(&l1, RAX) & (CR4_TSD | CR4_DE)) == CR4_DE);
	GUEST_ASSERT(*l1_gpr(&l1, RBX) == cr0);
}

/* L1 does not even step over it; it is not asked for ever. */
static void ignored(void)
{
	begin(l2_write, 0, CR4_TSD);
	*l1_gpr(&l1, RAX) = (cr4 & ~0x2000ull) | CR4_TSD;
	*l1_gpr(&l1, RBX) = cr0;
	wants(4, cr4, cr4 | CR4_TSD);
	port((cr4 & ~0x2000ull) | CR4_TSD, cr0);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_CR4) == cr4);
}

/* A bit becomes what L1 pretends that it is: no exit, and L1's value stays. */
static void as_pretended(void)
{
	begin(l2_write, 0, CR4_TSD);
	guest_vmwrite(&l1.v, SX_VMCS_CR4_SHADOW, cr4 | CR4_TSD);
	*l1_gpr(&l1, RAX) = (cr4 & ~0x2000ull) | CR4_TSD;
	*l1_gpr(&l1, RBX) = cr0;
	port((cr4 & ~0x2000ull) | CR4_TSD, cr0);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_CR4) == cr4);
}

static void page_tables(void)
{
	uint64_t controls,
		to = SX_GUEST_TABLES | 0x18; /* write-through, no cache: the same tables */

	begin(l2_cr3, 0, 0);
	controls = guest_vmread(&l1.v, SX_VMCS_CPU_CONTROLS);
	guest_vmwrite(&l1.v, SX_VMCS_CPU_CONTROLS, controls | SX_CPU_CR3_LOAD);
	*l1_gpr(&l1, RAX) = to;
	l1_enter(&l1, SX_VMEXIT_CR_ACCESS);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_QUALIFICATION) == 3);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_CR3) == SX_GUEST_TABLES);
	GUEST_ASSERT(*l1_gpr(&l1, RAX) == to);
	guest_vmwrite(&l1.v, SX_VMCS_GUEST_CR3, to);
	l1_skip(&l1);
	l1_enter(&l1, SX_VMEXIT_IO);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_CR3) == to);
}

static void extended_state(void)
{
	uint64_t offered = guest_vmx_call(&l1.v, SX_LINE_RDMSR, SX_MSR_VMX_CR4_FIXED1, 0, 0)->w[3];

	begin(l2_xsetbv, 0, 0);
	guest_vmwrite(&l1.v, SX_VMCS_GUEST_CR4, cr4 | CR4_XS);
	if (!(offered & CR4_XS)) { /* a KVM without XSAVE */
		l1_enter(&l1, SX_VMEXIT_BAD_GUEST_STATE | SX_VMEXIT_ENTRY_FAILURE);
		return;
	}
	l1.v.line->live = SX_LIVE_MSRS;
	l1.v.line->cpu.xcr0 = 1;
	*l1_gpr(&l1, RAX) = 3;
	*l1_gpr(&l1, RCX) = 0;
	*l1_gpr(&l1, RDX) = 0;
	l1_enter(&l1, SX_VMEXIT_XSETBV);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_INSN_LENGTH) == 3);
	GUEST_ASSERT(*l1_gpr(&l1, RAX) == 3 && *l1_gpr(&l1, RDX) == 0 && *l1_gpr(&l1, RCX) == 0);
	GUEST_ASSERT(l1.v.line->cpu.xcr0 == 1);
	l1.v.line->cpu.xcr0 = 3;
	l1_skip(&l1);
	l1_enter(&l1, SX_VMEXIT_IO);
	GUEST_ASSERT(l1.v.line->cpu.xcr0 == 3);
}

#define CR0_PG  (1ull << 31)
#define CR4_PAE (1ull << 5)
#define LME_LMA 0x500ull
#define CODE32  0xc09bu
#define LONG    (1u << 13) /* of a code segment's rights */

/* As kvm_intel sees it: no IA-32e mode before CR0.PG. */
static void not_long_yet(void)
{
	GUEST_ASSERT(!(guest_vmread(&l1.v, SX_VMCS_GUEST_CR0) & CR0_PG));
	GUEST_ASSERT((guest_vmread(&l1.v, SX_VMCS_GUEST_EFER) & LME_LMA) == 0x100);
	GUEST_ASSERT(!(guest_vmread(&l1.v, SX_VMCS_GUEST_CS_AR) & LONG));
	GUEST_ASSERT(!(guest_vmread(&l1.v, SX_VMCS_ENTRY_CONTROLS) & SX_ENTRYC_GUEST_64));
}

static void add_bits(uint32_t field, uint64_t bits)
{
	guest_vmwrite(&l1.v, field, guest_vmread(&l1.v, field) | bits);
}

static void clear_bits(uint32_t field, uint64_t bits)
{
	guest_vmwrite(&l1.v, field, guest_vmread(&l1.v, field) & ~bits);
}

static void begin_unpaged(void)
{
	uint64_t *gdt = l1_pages(&l1, 1);
	const uint8_t *nothing_exits = l1_pages(&l1, 1);

	begin(l2_long, CR0_PG, CR4_PAE);
	gdt[1] = 0x00af9b000000ffffull; /* 64-bit code, DPL 0 */
	guest_vmwrite(&l1.v, SX_VMCS_GUEST_GDTR_BASE, (uintptr_t)gdt);
	guest_vmwrite(&l1.v, SX_VMCS_GUEST_CS_AR, CODE32);
	clear_bits(SX_VMCS_GUEST_CR0, CR0_PG);
	clear_bits(SX_VMCS_CR0_SHADOW, CR0_PG);
	clear_bits(SX_VMCS_GUEST_CR4, CR4_PAE);
	clear_bits(SX_VMCS_CR4_SHADOW, CR4_PAE);
	clear_bits(SX_VMCS_GUEST_EFER, LME_LMA);
	clear_bits(SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_GUEST_64);
	add_bits(SX_VMCS_CPU2_CONTROLS, SX_CPU2_UNRESTRICTED);
	add_bits(SX_VMCS_CPU_CONTROLS, SX_CPU_MSR_BITMAPS | SX_CPU_CR3_LOAD);
	guest_vmwrite(&l1.v, SX_VMCS_MSR_BITMAP, (uintptr_t)nothing_exits);
	guest_vmwrite(&l1.v, SX_VMCS_GUEST_CR3, 0);
	for (unsigned i = 0; i < 16; i++)
		*l1_gpr(&l1, i) = i;
	*l1_gpr(&l1, 6) = SX_GUEST_TABLES;
}

/* CR4.PAE, CR3, CR0.PG, in that order, with nothing shown of what comes after each. */
static void paging_begins(void)
{
	begin_unpaged();
	l1_enter(&l1, SX_VMEXIT_CR_ACCESS);
	not_long_yet();
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_QUALIFICATION) == 4);
	GUEST_ASSERT(*l1_gpr(&l1, RAX) & CR4_PAE);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_CR3) == 0);
	add_bits(SX_VMCS_GUEST_CR4, CR4_PAE);
	add_bits(SX_VMCS_CR4_SHADOW, CR4_PAE);
	l1_skip(&l1);
	l1_enter(&l1, SX_VMEXIT_CR_ACCESS);
	not_long_yet();
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_QUALIFICATION) == 3);
	GUEST_ASSERT(*l1_gpr(&l1, RAX) == SX_GUEST_TABLES);
	guest_vmwrite(&l1.v, SX_VMCS_GUEST_CR3, SX_GUEST_TABLES);
	l1_skip(&l1);
	l1_enter(&l1, SX_VMEXIT_CR_ACCESS);
	not_long_yet();
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_QUALIFICATION) == 0);
	GUEST_ASSERT(*l1_gpr(&l1, RAX) & CR0_PG);
	add_bits(SX_VMCS_GUEST_CR0, CR0_PG);
	add_bits(SX_VMCS_CR0_SHADOW, CR0_PG);
	add_bits(SX_VMCS_GUEST_EFER, LME_LMA);
	add_bits(SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_GUEST_64);
	l1_skip(&l1);
	l1_enter(&l1, SX_VMEXIT_IO);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_RIP) == (uintptr_t)l2_long_out);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_CS_AR) & LONG);
	GUEST_ASSERT(*l1_gpr(&l1, 7) == 0x1122334455667788);
}

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	uint64_t count = boot->argument ? boot->argument : 1;

	l1_open(&l1, boot, vcpu);
	followed(count);
	not_followed();
	overruled();
	ignored();
	as_pretended();
	page_tables();
	paging_begins();
	extended_state();
	l1_close(&l1);
	guest_puts("all well\n");
	return 0;
}
