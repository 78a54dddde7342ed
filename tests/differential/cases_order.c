// SPDX-License-Identifier: BSD-3-Clause
/* Two things are wrong: which one is said tells the order of the checks, SDM 3C 27.1 to 27.4. */
#include "tests/differential/cases.h"

static const struct {
	const char *name;
	uint32_t encoding;
	uint64_t value;
} wrong[] = {
	{"pin", SX_VMCS_PIN_CONTROLS, 0},
	{"exit", SX_VMCS_EXIT_CONTROLS, SX_EXITC_HOST_64},
	{"targets", SX_VMCS_CR3_TARGET_COUNT, 5},
	{"inject", SX_VMCS_ENTRY_INTR_INFO, SX_INTR_INFO(1, 0)},
	{"host-cr0", SX_VMCS_HOST_CR0, 0},
	{"host-tr", SX_VMCS_HOST_TR_SEL, 0},
	{"host-space", SX_VMCS_HOST_RIP, UINT64_C(1) << 63},
	{"cr0", SX_VMCS_GUEST_CR0, 0},
	{"cr4", SX_VMCS_GUEST_CR4, 0},
	{"cs", SX_VMCS_GUEST_CS_AR, 0},
	{"tr", SX_VMCS_GUEST_TR_AR, 0},
	{"idtr", SX_VMCS_GUEST_IDTR_LIMIT, 0x10000},
	{"rflags", SX_VMCS_GUEST_RFLAGS, 0},
	{"activity", SX_VMCS_GUEST_ACTIVITY, 9},
	{"blocking", SX_VMCS_GUEST_INTERRUPTIBILITY, SX_BLOCK_SMI},
	{"pending", SX_VMCS_GUEST_PENDING_DBG, 0x10},
	{"link", SX_VMCS_LINK_POINTER, 1},
	{"pdpte", SX_VMCS_GUEST_CR3, AT_DATA}, /* of the 32-bit guest only */
	{"msr", SX_VMCS_ENTRY_MSR_LOAD_COUNT, 1},
};

/* A good entry but for its MSR-load area, which counts as empty, and for AT_DATA as PDPTEs. */
static void order_base(struct diff_vmcs *v, bool pae)
{
	diff_base(v);
	*(uint64_t *)diff_at(AT_ENTRY_LOAD) = 0xc0000100;
	*(uint64_t *)diff_at(AT_DATA) = 3;
	if (!pae)
		return;
	diff_set(v, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_DEFAULT1);
	diff_set(v, SX_VMCS_GUEST_CR3, AT_PDPTES);
	diff_set(v, SX_VMCS_GUEST_CS_AR, 0xc09b);
}

void diff_cases_order(void)
{
	for (unsigned pae = 0; pae < 2; pae++) {
		for (unsigned i = 0; i < DIFF_COUNT(wrong); i++) {
			for (unsigned n = i + 1; n < DIFF_COUNT(wrong); n++) {
				struct diff_case c = diff_case("order%s/%s-%s", pae ? "32" : "64",
							       wrong[i].name, wrong[n].name);
				struct diff_vmcs v;

				if (!pae && (wrong[i].encoding == SX_VMCS_GUEST_CR3 ||
					     wrong[n].encoding == SX_VMCS_GUEST_CR3))
					continue;
				order_base(&v, pae);
				diff_set(&v, wrong[i].encoding, wrong[i].value);
				diff_set(&v, wrong[n].encoding, wrong[n].value);
				diff_enter(&c, &v);
			}
		}
	}
}
