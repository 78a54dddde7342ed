// SPDX-License-Identifier: BSD-3-Clause
/* L2's MSR accesses that KVM gives to userspace: KVM_CAP_X86_USER_SPACE_MSR, api.rst. */
#include <linux/kvm.h>

#include "nested/nested_internal.h"

#define INSN_LENGTH 2 /* RDMSR and WRMSR: Vol. 2B */

/* KVM's side of the instruction ends here, as done; nothing of it is pending at the next run. */
static void finish(struct sx_l2_vcpu *v)
{
	v->run->msr.error = 0;
	sx_l2_vcpu_flush(v);
}

/* On L2's own vCPU, by the means that no filter holds up. False: it would be a #GP. */
static bool access_msr(struct sx_l2_vcpu *v, bool write)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} list = {
		.head = {.nmsrs = 1},
		.entry = {.index = v->run->msr.index, .data = v->run->msr.data},
	};

	if (sx_ioctl(v->fd, write ? KVM_SET_MSRS : KVM_GET_MSRS, &list) != 1)
		return false;
	if (!write)
		v->run->msr.data = list.entry.data;
	return true;
}

/*
 * RIP is still at the instruction. What L1 lets through comes out because another vCPU's L1 does
 * not, and is done here; or because KVM has no such MSR, or refuses the value: #GP.
 */
enum sx_l2_next sx_l2_exit_msr(struct sx_l1 *l1, struct sx_l2_vcpu *v, struct sx_vmx_exit *exit)
{
	bool write = v->run->exit_reason == KVM_EXIT_X86_WRMSR;

	if (sx_vmx_on_msr(&l1->vmx, v->run->msr.index, write, exit)) {
		exit->insn_length = INSN_LENGTH;
		finish(v);
		return SX_L2_LEAVES;
	}
	if (v->run->msr.reason == KVM_MSR_EXIT_REASON_FILTER && access_msr(v, write)) {
		finish(v);
		sx_l2_vcpu_save(v, &l1->state);
		return SX_L2_AGAIN;
	}
	finish(v);
	return sx_l2_raise(l1, SX_VEC_GP, exit);
}
