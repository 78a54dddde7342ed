// SPDX-License-Identifier: BSD-3-Clause
/* What of L2's state KVM has in another place or form than a VMCS: before a run, and after it. */
#include <string.h>

#include "nested/nested_internal.h"

/* ---- CR8: SDM 3C 30.1 ---- */

#define VTPR 0x80 /* in the virtual-APIC page: 30.1.1 */

static bool has_tpr_shadow(const struct sx_l1 *l1)
{
	return sx_vmcs12_get(&l1->vmx.v12, SX_VMCS_CPU_CONTROLS) & SX_CPU_TPR_SHADOW;
}

static uint64_t vtpr_at(const struct sx_l1 *l1)
{
	return sx_vmcs12_get(&l1->vmx.v12, SX_VMCS_VIRTUAL_APIC) + VTPR;
}

void sx_l2_load_tpr(struct sx_l1 *l1, struct sx_l2_vcpu *v)
{
	uint8_t vtpr;

	if (has_tpr_shadow(l1) && sx_l1_ops.read(l1, vtpr_at(l1), &vtpr, sizeof(vtpr)) == 0)
		v->tpr = vtpr >> 4;
}

void sx_l2_save_tpr(struct sx_l1 *l1, const struct sx_l2_vcpu *v)
{
	uint32_t vtpr;

	if (!has_tpr_shadow(l1) || sx_l1_ops.read(l1, vtpr_at(l1), &vtpr, sizeof(vtpr)) != 0 ||
	    (vtpr >> 4 & 0xf) == v->tpr)
		return;
	vtpr = (uint32_t)v->tpr << 4;
	/* A page that has gone since is L1's own doing: the write is lost, as on a bus. */
	(void)sx_l1_ops.write(l1, vtpr_at(l1), &vtpr, sizeof(vtpr));
}

/* ---- INT n, INT3, INT1, INTO ---- */

/* Do @bytes begin with the instruction that raises @event? Vol. 2A, INT n/INTO/INT3/INT1. */
static bool raises(const uint8_t *bytes, const struct sx_vmx_event *event)
{
	uint8_t vector = SX_INTR_VECTOR(event->info);

	switch (SX_INTR_TYPE(event->info)) {
	case SX_INTR_SOFTWARE:
		return event->insn_length == 2 && bytes[0] == 0xcd && bytes[1] == vector;
	case SX_INTR_PRIVILEGED:
		return event->insn_length == 1 && bytes[0] == 0xf1 && vector == SX_VEC_DB;
	case SX_INTR_SOFT_EXC:
		return event->insn_length == 1 && ((bytes[0] == 0xcc && vector == SX_VEC_BP) ||
						   (bytes[0] == 0xce && vector == 4));
	default:
		return false;
	}
}

void sx_l2_replay(struct sx_l1 *l1)
{
	uint8_t bytes[2] = {0};

	if (l1->state.event.info & SX_INTR_VALID &&
	    sx_l2_fetch(l1, sx_vmx_linear_rip(&l1->state.cpu), bytes, sizeof(bytes)) > 0 &&
	    raises(bytes, &l1->state.event)) {
		l1->state.event = (struct sx_vmx_event){0};
		l1->state.cpu.activity = SX_ACTIVE;
	}
}
