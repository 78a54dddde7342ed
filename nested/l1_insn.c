// SPDX-License-Identifier: BSD-3-Clause
/*
 * VMX instructions of an L1 that KVM emulates and cannot: KVM gives their bytes, and L1's registers
 * are where KVM has them.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "nested/nested_internal.h"

static int get_registers(int fd, struct sx_vmx_cpu *cpu)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int rc = sx_ioctl(fd, KVM_GET_REGS, &regs);

	if (rc == 0)
		rc = sx_ioctl(fd, KVM_GET_SREGS, &sregs);
	if (rc < 0)
		return rc;
	sx_cpu_from_regs(&regs, cpu);
	sx_cpu_from_sregs(&sregs, cpu);
	/* L1 cannot set the bit where KVM offers no VMX, and goes on as if it had. */
	cpu->cr4 |= SX_X86_CR4_VMXE;
	return 0;
}

static int set_registers(int fd, const struct sx_vmx_cpu *cpu)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int rc = sx_ioctl(fd, KVM_GET_SREGS, &sregs);

	if (rc < 0)
		return rc;
	sx_cpu_to_regs(cpu, &regs);
	sx_cpu_to_sregs(cpu, &sregs);
	rc = sx_ioctl(fd, KVM_SET_SREGS, &sregs);
	return rc < 0 ? rc : sx_ioctl(fd, KVM_SET_REGS, &regs);
}

static int raise_fault(int fd, const struct sx_vmx_result *result)
{
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	int rc = sx_ioctl(fd, KVM_GET_VCPU_EVENTS, &events);

	if (rc == 0 && result->vector == SX_VEC_PF) {
		rc = sx_ioctl(fd, KVM_GET_SREGS, &sregs);
		sregs.cr2 = result->address;
		if (rc == 0)
			rc = sx_ioctl(fd, KVM_SET_SREGS, &sregs);
	}
	if (rc < 0)
		return rc;
	events.exception.injected = 1;
	events.exception.nr = result->vector;
	events.exception.has_error_code = result->has_error_code;
	events.exception.error_code = result->error_code;
	return sx_ioctl(fd, KVM_SET_VCPU_EVENTS, &events);
}

static int finish(struct sx_l1 *l1, int fd, const struct sx_vmx_result *result,
		  struct sx_error *err)
{
	int rc;

	if (result->outcome == SX_VMX_ABORTED)
		return sx_fail(err, -EFAULT, "vCPU %u of L1 was stopped: VMX abort %u", l1->index,
			       result->error);
	rc = result->outcome == SX_VMX_FAULT ? raise_fault(fd, result)
					     : set_registers(fd, &l1->cpu);
	if (rc < 0)
		return sx_fail(err, rc, "KVM does not take the registers of L1's vCPU %u: %s",
			       l1->index, strerror(-rc));
	return SX_EXIT_CONTINUE;
}

int sx_nested_execute(struct sx_nested *n, unsigned vcpu, const uint8_t *bytes, size_t len,
		      struct sx_error *err)
{
	struct sx_l1 *l1 = &n->l1[vcpu];
	int rc, fd = n->config.vcpu[vcpu].fd;
	struct sx_vmx_result result;
	struct sx_vmx_insn insn;

	if (n->place != SX_NESTED_TRAP)
		return -ENXIO;
	rc = get_registers(fd, &l1->cpu);
	if (rc < 0)
		return sx_fail(err, rc, "KVM does not give the registers of L1's vCPU %u: %s", vcpu,
			       strerror(-rc));
	if (sx_vmx_decode(&l1->cpu, bytes, len, &insn) < 0)
		return -ENXIO;
	l1->live = 0;
	sx_count(&l1->messages, 1);
	result = sx_vmx_execute(&l1->vmx, &l1->cpu, bytes, len, &l1->state);
	if (result.outcome != SX_VMX_ENTERED)
		return finish(l1, fd, &result, err);
	sx_count(&l1->entries, 1);
	l1->at_insn = true;
	rc = sx_l1_until_exit(l1, &result, err);
	l1->at_insn = false;
	if (rc == -ESHUTDOWN)
		return SX_EXIT_CONTINUE; /* the run loop sees why */
	return rc < 0 ? rc : finish(l1, fd, &result, err);
}
