/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * L1 at CPL 0, for a KVM that emulates it and gives us the instructions that it cannot: VMX as
 * such, an exit each. Only general registers, for that is what such a KVM emulates.
 */
#include "bench/guests/lib/vmx.h"
#include "tests/guests/vmx_insn.h"

static struct guest_vmx v;
static volatile uint64_t l2_count __attribute__((used));

extern void l2_ports(void);
extern const uint8_t l2_out[];

__asm__("l2_ports: movl $0x99, %edx\n"
	"1: incq l2_count(%rip)\n"
	"l2_out: outb %al, %dx\n"
	"   jmp 1b\n");

static void run(uint64_t count)
{
	for (uint64_t i = 1; i <= count; i++) {
		GUEST_ASSERT(!run_insn(i > 1));
		GUEST_ASSERT(l2_count == i);
		GUEST_ASSERT(vmread_insn(SX_VMCS_EXIT_REASON) == SX_VMEXIT_IO);
		GUEST_ASSERT(vmread_insn(SX_VMCS_GUEST_RIP) == (uintptr_t)l2_out);
		vmwrite_insn(SX_VMCS_GUEST_RIP, (uintptr_t)l2_out + 1);
	}
}

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	uint8_t *heap = (uint8_t *)(uintptr_t)boot->heap + 4096;
	struct sx_vmcs12 *region = (struct sx_vmcs12 *)(void *)heap;
	struct sx_vmcs12 *vmcs = (struct sx_vmcs12 *)(void *)(heap + 4096);
	uint64_t region_gpa = (uintptr_t)region, vmcs_gpa = (uintptr_t)vmcs, eptp;

	guest_vmx_open(&v, boot, vcpu);
	region->revision = vmcs->revision = SX_VMCS12_REVISION;
	guest_vmx_call(&v, SX_LINE_WRMSR, SX_MSR_FEATURE_CONTROL,
		       SX_FEATURE_CONTROL_LOCK | SX_FEATURE_CONTROL_VMXON, 0);
	GUEST_ASSERT(!vmxon_insn(&region_gpa));
	GUEST_ASSERT(vmxon_insn(&region_gpa)); /* in VMX operation already */
	GUEST_ASSERT(!vmclear_insn(&vmcs_gpa));
	GUEST_ASSERT(!vmptrld_insn(&vmcs_gpa));
	eptp = guest_ept_identity((uint64_t *)(void *)(heap + 8192), boot->memory);
	v.vmcs = vmcs;
	guest_vmx_fill(&v, l2_ports, (uintptr_t)heap + 65536, eptp);
	run(boot->argument);
	guest_puts("all well\n");
	return 0;
}
