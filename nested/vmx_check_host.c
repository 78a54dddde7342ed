// SPDX-License-Identifier: BSD-3-Clause
/* Checks on the host-state area: SDM 3C 27.2.2 to 27.2.4. A failure is VMfailValid(8). */
#include "nested/vmx_internal.h"

bool sx_vmx_pat_ok(uint64_t pat)
{
	for (; pat; pat >>= 8) {
		uint64_t type = pat & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true; /* the bytes left are 0, UC */
}

static bool efer_ok(const struct sx_vmx *vmx, uint64_t efer)
{
	const uint64_t both = SX_X86_EFER_LMA | SX_X86_EFER_LME;

	return !(efer & ~vmx->caps.efer) &&
	       (efer & both) == (exit_controls(vmx) & SX_EXITC_HOST_64 ? both : 0);
}

/* 27.2.2. */
static const char *check_registers(const struct sx_vmx *vmx)
{
	const struct sx_vmx_caps *c = &vmx->caps;
	uint32_t exit = exit_controls(vmx);

	if (!sx_vmx_cr0_ok(F(vmx, HOST_CR0)))
		return "27.2.2: host CR0";
	if (!sx_vmx_cr4_ok(c, F(vmx, HOST_CR4)))
		return "27.2.2: host CR4";
	if (!physical_ok(c, F(vmx, HOST_CR3), 1))
		return "27.2.2: host CR3 beyond the physical-address width";
	if (!canonical(c, F(vmx, HOST_SYSENTER_ESP)) || !canonical(c, F(vmx, HOST_SYSENTER_EIP)))
		return "27.2.2: host SYSENTER address not canonical";
	if ((exit & SX_EXITC_LOAD_PERF) && (F(vmx, HOST_PERF_GLOBAL) & ~c->perf_global))
		return "27.2.2: host IA32_PERF_GLOBAL_CTRL has a reserved bit";
	if ((exit & SX_EXITC_LOAD_PAT) && !sx_vmx_pat_ok(F(vmx, HOST_PAT)))
		return "27.2.2: host IA32_PAT";
	if ((exit & SX_EXITC_LOAD_EFER) && !efer_ok(vmx, F(vmx, HOST_EFER)))
		return "27.2.2: host IA32_EFER";
	return NULL;
}

/* 27.2.3. */
static const char *check_segments(const struct sx_vmx *vmx)
{
	const struct sx_vmx_caps *c = &vmx->caps;
	uint64_t all = F(vmx, HOST_ES_SEL) | F(vmx, HOST_CS_SEL) | F(vmx, HOST_SS_SEL) |
		       F(vmx, HOST_DS_SEL) | F(vmx, HOST_FS_SEL) | F(vmx, HOST_GS_SEL) |
		       F(vmx, HOST_TR_SEL);

	if (all & 7)
		return "27.2.3: host selector with RPL or TI not 0";
	if (F(vmx, HOST_CS_SEL) == 0 || F(vmx, HOST_TR_SEL) == 0)
		return "27.2.3: host CS or TR selector 0000H";
	if (F(vmx, HOST_SS_SEL) == 0 && !(exit_controls(vmx) & SX_EXITC_HOST_64))
		return "27.2.3: host SS selector 0000H for a 32-bit host";
	if (!canonical(c, F(vmx, HOST_FS_BASE)) || !canonical(c, F(vmx, HOST_GS_BASE)) ||
	    !canonical(c, F(vmx, HOST_GDTR_BASE)) || !canonical(c, F(vmx, HOST_IDTR_BASE)) ||
	    !canonical(c, F(vmx, HOST_TR_BASE)))
		return "27.2.3: host base address not canonical";
	return NULL;
}

/* 27.2.4. */
static const char *check_address_space(const struct sx_vmx *vmx, uint64_t l1_efer)
{
	bool host64 = exit_controls(vmx) & SX_EXITC_HOST_64;
	bool guest64 = entry_controls(vmx) & SX_ENTRYC_GUEST_64;
	uint64_t cr4 = F(vmx, HOST_CR4), rip = F(vmx, HOST_RIP);

	if (!!(l1_efer & SX_X86_EFER_LMA) != host64)
		return "27.2.4: host address-space size differs from IA32_EFER.LMA";
	if (!host64 && guest64)
		return "27.2.4: IA-32e mode guest of a 32-bit host";
	if (!host64 && (cr4 & SX_X86_CR4_PCIDE))
		return "27.2.4: CR4.PCIDE of a 32-bit host";
	if (!host64 && rip >> 32)
		return "27.2.4: RIP of a 32-bit host has bits 63:32";
	if (host64 && !(cr4 & SX_X86_CR4_PAE))
		return "27.2.4: 64-bit host without CR4.PAE";
	if (host64 && !canonical(&vmx->caps, rip))
		return "27.2.4: host RIP not canonical";
	return NULL;
}

const char *sx_vmx_check_host(const struct sx_vmx *vmx, uint64_t l1_efer)
{
	const char *why = check_registers(vmx);

	if (!why)
		why = check_segments(vmx);
	if (!why)
		why = check_address_space(vmx, l1_efer);
	return why;
}
