/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hypervisor: L1 with one micro-L2, by messages on the VMX line and by executing the
 * instructions. What it asserts is what a hypervisor relies on. The argument is how often each
 * thing is done.
 */
#include "tests/guests/l1.h"
#include "tests/guests/vmx_insn.h"

#define HOLE 0xd0005000ull /* EPT12 maps nothing here, L2's own tables do */
#define PORT 0x99u

static struct l1 l1;

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

/* ---- by messages ---- */

static void ports(uint64_t count)
{
	l1_begin(&l1, l2_ports);
	l2_count = 0;
	for (uint64_t i = 1; i <= count; i++) {
		*l1_gpr(&l1, 0) = i;
		l1_enter(&l1, SX_VMEXIT_IO);
		GUEST_ASSERT(l2_count == i);
		GUEST_ASSERT(*l1_gpr(&l1, 0) == i && *l1_gpr(&l1, 2) == PORT);
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_QUALIFICATION) == PORT << 16);
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_RIP) == (uintptr_t)l2_out);
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_INSN_LENGTH) == 1);
		l1_skip(&l1);
	}
}

/* EPT violations have no instruction length (28.2.5): L1 knows its guest's. */
static void step_over(const uint8_t *insn)
{
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_RIP) == (uintptr_t)insn);
	guest_vmwrite(&l1.v, SX_VMCS_GUEST_RIP, (uintptr_t)insn + 3);
}

static void registers(uint64_t count)
{
	l1_begin(&l1, l2_registers);
	*l1_gpr(&l1, 6) = HOLE;
	for (uint64_t i = 1; i <= count; i++) {
		l1_enter(&l1, SX_VMEXIT_EPT_VIOLATION);
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_PHYSICAL) == HOLE);
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_GUEST_LINEAR) == HOLE);
		GUEST_ASSERT((guest_vmread(&l1.v, SX_VMCS_EXIT_QUALIFICATION) & 0x1bf) == 0x181);
		*l1_gpr(&l1, 0) = 2 * i;
		step_over(l2_read);
		l1_enter(&l1, SX_VMEXIT_EPT_VIOLATION);
		GUEST_ASSERT((guest_vmread(&l1.v, SX_VMCS_EXIT_QUALIFICATION) & 0x1bf) == 0x182);
		GUEST_ASSERT(*l1_gpr(&l1, 0) == 2 * i + 1);
		step_over(l2_write);
	}
}

static void leaves(uint64_t count)
{
	l1_begin(&l1, l2_cpuid);
	for (uint64_t i = 0; i < count; i++) {
		l1_enter(&l1, SX_VMEXIT_IO);
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_INSN_LENGTH) == 2);
		GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_QUALIFICATION) ==
			     (0x98u << 16 | 1u << 6));
		GUEST_ASSERT(*l1_gpr(&l1, 3) != 0); /* a vendor's name begins there */
		l1_skip(&l1);
	}
}

/* Of two L2s each keeps what it has. */
static void refusals(void)
{
	struct sx_cell *reply;

	l1_begin(&l1, l2_ports);
	GUEST_ASSERT(guest_vmx_enter(&l1.v, SX_LINE_VMRESUME) == SX_LINE_FAIL_VALID);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_INSN_ERROR) == SX_VMERR_VMRESUME_NOT_LAUNCHED);
	guest_vmwrite(&l1.v, SX_VMCS_CPU_CONTROLS, 0);
	GUEST_ASSERT(guest_vmx_enter(&l1.v, SX_LINE_VMLAUNCH) == SX_LINE_FAIL_VALID);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_INSN_ERROR) == SX_VMERR_CONTROLS);
	guest_vmx_fill(&l1.v, l2_ports, l1.stack_top, l1.eptp);
	guest_vmwrite(&l1.v, SX_VMCS_GUEST_RFLAGS, 0);
	GUEST_ASSERT(guest_vmx_enter(&l1.v, SX_LINE_VMLAUNCH) == SX_LINE_EXITED);
	GUEST_ASSERT(guest_vmread(&l1.v, SX_VMCS_EXIT_REASON) ==
		     (SX_VMEXIT_BAD_GUEST_STATE | SX_VMEXIT_ENTRY_FAILURE));
	reply = guest_vmx_call(&l1.v, (enum sx_line_op)99, 0, 0, 0);
	GUEST_ASSERT(reply->arg == SX_LINE_REFUSED);
}

/* ---- by executing the instructions ---- */

static void by_instructions(uint64_t count)
{
	struct sx_vmcs12 *vmcs = l1_pages(&l1, 1);
	uint64_t gpa = (uintptr_t)vmcs;

	guest_vmx_trap_ud(&l1.v);
	GUEST_ASSERT(vmptrld_insn(&gpa)); /* its revision is 0 */
	vmcs->revision = SX_VMCS12_REVISION;
	GUEST_ASSERT(!vmptrld_insn(&gpa));
	l1.v.vmcs = vmcs;
	guest_vmx_fill(&l1.v, l2_ports, l1.stack_top, l1.eptp);
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

	l1_open(&l1, info, vcpu);
	refusals();
	ports(count);
	registers(count);
	leaves(count);
	l1.v.by_message = 1;
	ports(count);
	l1.v.by_message = 0;
	by_instructions(count);
	l1_close(&l1);
	guest_puts("all well\n");
	return 0;
}
