/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hypervisor: L1 with one micro-L2, by messages on the VMX line and by executing the
 * instructions. What it asserts is what a hypervisor relies on. The argument is how often each
 * thing is done.
 */
#include "bench/guests/lib/vmx.h"

#define HOLE     0xd0005000ull /* EPT12 maps nothing here, L2's own tables do */
#define PORT     0x99u
#define L2_STACK 16384u

static const struct sx_boot_info *boot;
static struct guest_vmx v;
static uint8_t *heap;
static uint64_t eptp, stack_top;

static void *page_from_heap(unsigned pages)
{
	void *page = heap;

	heap += pages * 4096ul;
	GUEST_ASSERT((uintptr_t)heap <= boot->heap_end);
	memset(page, 0, pages * 4096ul);
	return page;
}

/* ---- L2 ---- */

static volatile uint64_t l2_count;

/* A port write for ever, counted. */
extern void l2_ports(void);
/* Reads and writes of a register in the hole, RSI, of what is in RAX. */
extern void l2_registers(void);
/* CPUID leaf 0 to a port; then a HLT, which CPL3 may not execute. */
extern void l2_cpuid(void);
extern const uint8_t l2_out[], l2_read[], l2_write[];

__asm__("l2_ports: movl $0x99, %edx\n"
	"1: incq l2_count(%rip)\n"
	"l2_out: outb %al, %dx\n"
	"   jmp 1b\n"
	"l2_registers:\n"
	"l2_read: movq (%rsi), %rax\n"
	"   incq %rax\n"
	"l2_write: movq %rax, (%rsi)\n"
	"   jmp l2_registers\n"
	"l2_cpuid: xorl %eax, %eax\n"
	"   cpuid\n"
	"   outb %al, $0x98\n"
	"   jmp l2_cpuid\n");

static uint64_t *gpr(unsigned i)
{
	return &v.line->cpu.gpr[i];
}

/* ---- a new L2 at @rip ---- */

static void begin(void (*rip)(void))
{
	guest_vmx_load(&v, page_from_heap(1));
	guest_vmx_fill(&v, rip, stack_top, eptp);
}

static enum sx_line_op next_entry(void)
{
	return v.vmcs->launched ? SX_LINE_VMRESUME : SX_LINE_VMLAUNCH;
}

static void enter(unsigned reason)
{
	enum sx_line_outcome outcome = guest_vmx_enter(&v, next_entry());

	if (outcome != SX_LINE_EXITED || guest_vmread(&v, SX_VMCS_EXIT_REASON) != reason) {
		guest_printf("outcome %u, error %llu, exit %llu (wanted %u) at 0x%llx\n", outcome,
			     (unsigned long long)guest_vmread(&v, SX_VMCS_INSN_ERROR),
			     (unsigned long long)guest_vmread(&v, SX_VMCS_EXIT_REASON), reason,
			     (unsigned long long)guest_vmread(&v, SX_VMCS_GUEST_RIP));
		guest_exit(5);
	}
}

static void skip(void)
{
	guest_vmwrite(&v, SX_VMCS_GUEST_RIP,
		      guest_vmread(&v, SX_VMCS_GUEST_RIP) +
			      guest_vmread(&v, SX_VMCS_EXIT_INSN_LENGTH));
}

/* ---- by messages ---- */

static void ports(uint64_t count)
{
	begin(l2_ports);
	l2_count = 0;
	for (uint64_t i = 1; i <= count; i++) {
		*gpr(0) = i;
		enter(SX_VMEXIT_IO);
		GUEST_ASSERT(l2_count == i);
		GUEST_ASSERT(*gpr(0) == i && *gpr(2) == PORT);
		GUEST_ASSERT(guest_vmread(&v, SX_VMCS_EXIT_QUALIFICATION) == PORT << 16);
		GUEST_ASSERT(guest_vmread(&v, SX_VMCS_GUEST_RIP) == (uintptr_t)l2_out);
		GUEST_ASSERT(guest_vmread(&v, SX_VMCS_EXIT_INSN_LENGTH) == 1);
		skip();
	}
}

/* EPT violations have no instruction length (28.2.5): L1 knows its guest's. */
static void step_over(const uint8_t *insn)
{
	GUEST_ASSERT(guest_vmread(&v, SX_VMCS_GUEST_RIP) == (uintptr_t)insn);
	guest_vmwrite(&v, SX_VMCS_GUEST_RIP, (uintptr_t)insn + 3);
}

static void registers(uint64_t count)
{
	begin(l2_registers);
	*gpr(6) = HOLE;
	for (uint64_t i = 1; i <= count; i++) {
		enter(SX_VMEXIT_EPT_VIOLATION);
		GUEST_ASSERT(guest_vmread(&v, SX_VMCS_GUEST_PHYSICAL) == HOLE);
		GUEST_ASSERT(guest_vmread(&v, SX_VMCS_GUEST_LINEAR) == HOLE);
		GUEST_ASSERT((guest_vmread(&v, SX_VMCS_EXIT_QUALIFICATION) & 0x1bf) == 0x181);
		*gpr(0) = 2 * i;
		step_over(l2_read);
		enter(SX_VMEXIT_EPT_VIOLATION);
		GUEST_ASSERT((guest_vmread(&v, SX_VMCS_EXIT_QUALIFICATION) & 0x1bf) == 0x182);
		GUEST_ASSERT(*gpr(0) == 2 * i + 1);
		step_over(l2_write);
	}
}

static void leaves(uint64_t count)
{
	begin(l2_cpuid);
	for (uint64_t i = 0; i < count; i++) {
		enter(SX_VMEXIT_IO);
		GUEST_ASSERT(guest_vmread(&v, SX_VMCS_EXIT_INSN_LENGTH) == 2);
		GUEST_ASSERT(guest_vmread(&v, SX_VMCS_EXIT_QUALIFICATION) ==
			     (0x98u << 16 | 1u << 6));
		GUEST_ASSERT(*gpr(3) != 0); /* a vendor's name begins there */
		skip();
	}
}

/* Of two L2s each keeps what it has. */
static void refusals(void)
{
	struct sx_cell *reply;

	begin(l2_ports);
	GUEST_ASSERT(guest_vmx_enter(&v, SX_LINE_VMRESUME) == SX_LINE_FAIL_VALID);
	GUEST_ASSERT(guest_vmread(&v, SX_VMCS_INSN_ERROR) == SX_VMERR_VMRESUME_NOT_LAUNCHED);
	guest_vmwrite(&v, SX_VMCS_CPU_CONTROLS, 0);
	GUEST_ASSERT(guest_vmx_enter(&v, SX_LINE_VMLAUNCH) == SX_LINE_FAIL_VALID);
	GUEST_ASSERT(guest_vmread(&v, SX_VMCS_INSN_ERROR) == SX_VMERR_CONTROLS);
	guest_vmx_fill(&v, l2_ports, stack_top, eptp);
	guest_vmwrite(&v, SX_VMCS_GUEST_RFLAGS, 0);
	GUEST_ASSERT(guest_vmx_enter(&v, SX_LINE_VMLAUNCH) == SX_LINE_EXITED);
	GUEST_ASSERT(guest_vmread(&v, SX_VMCS_EXIT_REASON) ==
		     (SX_VMEXIT_BAD_GUEST_STATE | SX_VMEXIT_ENTRY_FAILURE));
	reply = guest_vmx_call(&v, (enum sx_line_op)99, 0, 0, 0);
	GUEST_ASSERT(reply->arg == SX_LINE_REFUSED);
}

/* ---- by executing the instructions ---- */

static uint64_t vmread_insn(uint64_t field)
{
	uint64_t value;

	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc", "memory");
	return value;
}

static void vmwrite_insn(uint64_t field, uint64_t value)
{
	__asm__ volatile("vmwrite %1, %0" : : "r"(field), "r"(value) : "cc", "memory");
}

static int vmptrld_insn(const uint64_t *gpa)
{
	uint8_t failed;

	__asm__ volatile("vmptrld %1; setna %0" : "=q"(failed) : "m"(*gpa) : "cc", "memory");
	return failed;
}

/*
 * VMLAUNCH or VMRESUME with HOST_RIP and HOST_RSP behind it; 1: it failed. L2 leaves all general
 * registers as it likes.
 */
static int run_insn(int resume)
{
	uint64_t failed;

	__asm__ volatile("pushq %%rbp\n"
			 "leaq 1f(%%rip), %%rax\n"
			 "movl $0x6c16, %%edx\n"
			 "vmwrite %%rax, %%rdx\n"
			 "movl $0x6c14, %%edx\n"
			 "vmwrite %%rsp, %%rdx\n"
			 "movl $0x99, %%edx\n"
			 "testl %%ecx, %%ecx\n"
			 "jnz 2f\n"
			 "vmlaunch\n"
			 "jmp 3f\n"
			 "2: vmresume\n"
			 "3: movl $1, %%eax\n"
			 "jmp 4f\n"
			 "1: xorl %%eax, %%eax\n"
			 "4: popq %%rbp\n"
			 : "=a"(failed), "+c"(resume)
			 :
			 : "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "cc", "memory");
	return (int)failed;
}

static void by_instructions(uint64_t count)
{
	struct sx_vmcs12 *vmcs = page_from_heap(1);
	uint64_t gpa = (uintptr_t)vmcs;

	guest_vmx_trap_ud(&v);
	GUEST_ASSERT(vmptrld_insn(&gpa)); /* its revision is 0 */
	vmcs->revision = SX_VMCS12_REVISION;
	GUEST_ASSERT(!vmptrld_insn(&gpa));
	v.vmcs = vmcs;
	guest_vmx_fill(&v, l2_ports, stack_top, eptp);
	l2_count = 0;
	for (uint64_t i = 1; i <= count; i++) {
		int failed = run_insn(i > 1);

		if (failed)
			guest_printf("error %llu\n",
				     (unsigned long long)vmread_insn(SX_VMCS_INSN_ERROR));
		GUEST_ASSERT(!failed);
		GUEST_ASSERT(l2_count == i);
		GUEST_ASSERT(vmread_insn(SX_VMCS_EXIT_REASON) == SX_VMEXIT_IO);
		vmwrite_insn(SX_VMCS_GUEST_RIP, vmread_insn(SX_VMCS_GUEST_RIP) + 1);
	}
}

int guest_main(const struct sx_boot_info *info, unsigned vcpu)
{
	uint64_t count = info->argument ? info->argument : 1;

	boot = info;
	heap = (uint8_t *)(uintptr_t)boot->heap + 4096; /* behind the test's page */
	guest_vmx_open(&v, boot, vcpu);
	guest_vmx_on(&v, page_from_heap(1));
	eptp = guest_ept_identity(page_from_heap(GUEST_EPT_PAGES), boot->memory);
	stack_top = (uintptr_t)page_from_heap(L2_STACK / 4096) + L2_STACK - 8;
	refusals();
	ports(count);
	registers(count);
	leaves(count);
	v.by_message = 1;
	ports(count);
	v.by_message = 0;
	by_instructions(count);
	GUEST_ASSERT(guest_vmx_call(&v, SX_LINE_VMXOFF, 0, 0, 0)->arg == SX_LINE_SUCCEED);
	guest_puts("all well\n");
	return 0;
}
