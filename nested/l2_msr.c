// SPDX-License-Identifier: BSD-3-Clause
/* L2's MSR accesses that KVM gives to userspace: KVM_CAP_X86_USER_SPACE_MSR, api.rst. */
#include <linux/kvm.h>

#include "nested/nested_internal.h"

#define INSN_LENGTH 2 /* RDMSR and WRMSR: Vol. 2B */

/*
 * RIP is still at the instruction; KVM finishes it when it runs on, unless RIP has been moved. An
 * MSR that L1 lets through and KVM does not know is no MSR: #GP.
 */
enum sx_l2_next sx_l2_exit_msr(struct sx_l1 *l1, struct sx_l2_vcpu *v, struct sx_vmx_exit *exit)
{
	bool write = v->run->exit_reason == KVM_EXIT_X86_WRMSR;

	if (sx_vmx_on_msr(&l1->vmx, v->run->msr.index, write, exit)) {
		exit->insn_length = INSN_LENGTH;
		v->run->msr.error = 0;
		sx_l2_vcpu_flush(v);
		return SX_L2_LEAVES;
	}
	v->run->msr.error = 1;
	return SX_L2_AGAIN;
}
