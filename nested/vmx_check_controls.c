// SPDX-License-Identifier: BSD-3-Clause
/* Checks on VMX controls: SDM 3C 27.2.1, in its order. A failure is VMfailValid(7). */
#include "nested/vmx_internal.h"

/* The page at field @name: 4 KiB aligned and within the physical-address width. */
#define PAGE_OK(vmx, name) physical_ok(&(vmx)->caps, F(vmx, name), SX_VMCS12_SIZE)

static const char *check_reserved(const struct sx_vmx *vmx)
{
	const struct sx_vmx_caps *c = &vmx->caps;

	if (!sx_vmx_control_ok(pin_controls(vmx), SX_PIN_DEFAULT1, c->pin))
		return "27.2.1.1: pin-based controls have a reserved bit";
	if (!sx_vmx_control_ok(cpu_controls(vmx), SX_CPU_TRUE_DEFAULT1, c->cpu))
		return "27.2.1.1: primary processor-based controls have a reserved bit";
	if (!sx_vmx_control_ok(cpu2_controls(vmx), 0, c->cpu2))
		return "27.2.1.1: secondary processor-based controls have a reserved bit";
	if (F(vmx, CR3_TARGET_COUNT) > 4)
		return "27.2.1.1: CR3-target count above 4";
	return NULL;
}

static const char *check_bitmaps(const struct sx_vmx *vmx)
{
	uint32_t cpu = cpu_controls(vmx);

	if ((cpu & SX_CPU_IO_BITMAPS) && !(PAGE_OK(vmx, IO_BITMAP_A) && PAGE_OK(vmx, IO_BITMAP_B)))
		return "27.2.1.1: I/O-bitmap address";
	if ((cpu & SX_CPU_MSR_BITMAPS) && !PAGE_OK(vmx, MSR_BITMAP))
		return "27.2.1.1: MSR-bitmap address";
	return NULL;
}

/* The threshold may not be above VTPR bits 7:4, which lie in the virtual-APIC page at 80H. */
static const char *check_tpr(const struct sx_vmx *vmx)
{
	uint64_t threshold = F(vmx, TPR_THRESHOLD);
	uint8_t vtpr;

	if (!(cpu_controls(vmx) & SX_CPU_TPR_SHADOW))
		return NULL;
	if (!PAGE_OK(vmx, VIRTUAL_APIC))
		return "27.2.1.1: virtual-APIC address";
	if (threshold >> 4)
		return "27.2.1.1: TPR threshold has bits 31:4";
	read_l1(vmx, F(vmx, VIRTUAL_APIC) + 0x80, &vtpr, sizeof(vtpr));
	if (threshold > vtpr >> 4)
		return "27.2.1.1: TPR threshold above the virtual TPR";
	return NULL;
}

static const char *check_nmi(const struct sx_vmx *vmx)
{
	uint32_t pin = pin_controls(vmx);

	if (!(pin & SX_PIN_NMI) && (pin & SX_PIN_VIRTUAL_NMIS))
		return "27.2.1.1: virtual NMIs without NMI exiting";
	if (!(pin & SX_PIN_VIRTUAL_NMIS) && (cpu_controls(vmx) & SX_CPU_NMI_WINDOW))
		return "27.2.1.1: NMI-window exiting without virtual NMIs";
	return NULL;
}

bool sx_vmx_eptp_ok(const struct sx_vmx_caps *caps, uint64_t eptp)
{
	uint64_t type = eptp & 7, reserved = UINT64_C(0xf80);

	if (!(type == 0 && (caps->ept_vpid & SX_EPTCAP_UC)) &&
	    !(type == 6 && (caps->ept_vpid & SX_EPTCAP_WB)))
		return false;
	if ((eptp >> 3 & 7) != 3) /* a walk of 4 levels */
		return false;
	if (!(caps->ept_vpid & SX_EPTCAP_AD))
		reserved |= 0x40;
	return !(eptp & reserved) && physical_ok(caps, eptp & ~SX_VMX_PAGE_MASK, 1);
}

static const char *check_ept(const struct sx_vmx *vmx)
{
	uint32_t cpu2 = cpu2_controls(vmx);
	bool ept = cpu2 & SX_CPU2_EPT;

	if ((cpu2 & SX_CPU2_VPID) && F(vmx, VPID) == 0)
		return "27.2.1.1: VPID 0000H";
	if (ept && !sx_vmx_eptp_ok(&vmx->caps, F(vmx, EPTP)))
		return "27.2.1.1: EPT pointer";
	if ((cpu2 & SX_CPU2_PML) && !ept)
		return "27.2.1.1: PML without EPT";
	if ((cpu2 & SX_CPU2_PML) && !PAGE_OK(vmx, PML_ADDRESS))
		return "27.2.1.1: PML address";
	if ((cpu2 & SX_CPU2_UNRESTRICTED) && !ept)
		return "27.2.1.1: unrestricted guest without EPT";
	return NULL;
}

static const char *check_functions(const struct sx_vmx *vmx)
{
	uint32_t cpu2 = cpu2_controls(vmx);

	if (cpu2 & SX_CPU2_VMFUNC) {
		uint64_t functions = F(vmx, VM_FUNCTION_CONTROLS);

		if (functions & ~vmx->caps.vmfunc)
			return "27.2.1.1: VM-function controls have a reserved bit";
		if ((functions & SX_VMFUNC_EPTP_SWITCHING) && !(cpu2 & SX_CPU2_EPT))
			return "27.2.1.1: EPTP switching without EPT";
		if ((functions & SX_VMFUNC_EPTP_SWITCHING) && !PAGE_OK(vmx, EPTP_LIST))
			return "27.2.1.1: EPTP-list address";
	}
	if ((cpu2 & SX_CPU2_VMCS_SHADOW) &&
	    !(PAGE_OK(vmx, VMREAD_BITMAP) && PAGE_OK(vmx, VMWRITE_BITMAP)))
		return "27.2.1.1: VMREAD- or VMWRITE-bitmap address";
	return NULL;
}

/* 27.2.1.2, 27.2.1.3: 16-byte aligned; neither it nor the last byte beyond the address width. */
static bool msr_area_ok(const struct sx_vmx *vmx, uint64_t gpa, uint64_t count)
{
	return count == 0 || (physical_ok(&vmx->caps, gpa, 16) &&
			      physical_ok(&vmx->caps, gpa + count * 16 - 1, 1));
}

/* 27.2.1.2. */
static const char *check_exit(const struct sx_vmx *vmx)
{
	uint32_t exit = exit_controls(vmx);

	if (!sx_vmx_control_ok(exit, SX_EXITC_TRUE_DEFAULT1, vmx->caps.exit))
		return "27.2.1.2: VM-exit controls have a reserved bit";
	if (!(pin_controls(vmx) & SX_PIN_PREEMPTION_TIMER) && (exit & SX_EXITC_SAVE_TIMER))
		return "27.2.1.2: saving a VMX-preemption timer that is not active";
	if (!msr_area_ok(vmx, F(vmx, EXIT_MSR_STORE_ADDR), F(vmx, EXIT_MSR_STORE_COUNT)))
		return "27.2.1.2: VM-exit MSR-store address";
	if (!msr_area_ok(vmx, F(vmx, EXIT_MSR_LOAD_ADDR), F(vmx, EXIT_MSR_LOAD_COUNT)))
		return "27.2.1.2: VM-exit MSR-load address";
	return NULL;
}

/* Exceptions that push an error code: 6.15. */
static bool delivers_error_code(unsigned vector)
{
	return vector == SX_VEC_DF || (vector >= SX_VEC_TS && vector <= SX_VEC_PF) ||
	       vector == SX_VEC_AC;
}

static bool vector_fits_type(uint32_t info, bool mtf_offered)
{
	unsigned vector = SX_INTR_VECTOR(info);

	switch (SX_INTR_TYPE(info)) {
	case 1: /* reserved */
		return false;
	case SX_INTR_NMI:
		return vector == SX_VEC_NMI;
	case SX_INTR_HARDWARE:
		return vector <= 31;
	case SX_INTR_OTHER: /* reserved where the monitor trap flag is not offered */
		return vector == 0 && mtf_offered;
	default:
		return true;
	}
}

static bool should_deliver_error(const struct sx_vmx *vmx, uint32_t info)
{
	bool real_mode =
		(cpu2_controls(vmx) & SX_CPU2_UNRESTRICTED) && !(F(vmx, GUEST_CR0) & SX_X86_CR0_PE);

	return SX_INTR_TYPE(info) == SX_INTR_HARDWARE &&
	       delivers_error_code(SX_INTR_VECTOR(info)) && !real_mode;
}

static bool is_software(uint32_t info)
{
	return SX_INTR_TYPE(info) >= SX_INTR_SOFTWARE && SX_INTR_TYPE(info) <= SX_INTR_SOFT_EXC;
}

static const char *check_injection(const struct sx_vmx *vmx)
{
	uint32_t info = (uint32_t)F(vmx, ENTRY_INTR_INFO);
	uint64_t length = F(vmx, ENTRY_INSN_LENGTH);
	bool error_code = info & SX_INTR_ERROR_CODE;

	if (!(info & SX_INTR_VALID))
		return NULL;
	if (!vector_fits_type(info, vmx->caps.cpu & SX_CPU_MONITOR_TRAP))
		return "27.2.1.3: type or vector of the event to inject";
	if (error_code != should_deliver_error(vmx, info))
		return "27.2.1.3: deliver-error-code bit of the event to inject";
	if (info & UINT32_C(0x7ffff000))
		return "27.2.1.3: reserved bits of the event to inject";
	if (error_code && F(vmx, ENTRY_ERROR_CODE) >> 16)
		return "27.2.1.3: error code to inject has bits 31:16";
	if (is_software(info) && (length > 15 || (length == 0 && !vmx->caps.zero_length_inject)))
		return "27.2.1.3: VM-entry instruction length";
	return NULL;
}

/* 27.2.1.3. Entry to SMM and dual-monitor treatment are reserved bits here. */
static const char *check_entry(const struct sx_vmx *vmx)
{
	const char *why;

	if (!sx_vmx_control_ok(entry_controls(vmx), SX_ENTRYC_TRUE_DEFAULT1, vmx->caps.entry))
		return "27.2.1.3: VM-entry controls have a reserved bit";
	why = check_injection(vmx);
	if (why)
		return why;
	if (!msr_area_ok(vmx, F(vmx, ENTRY_MSR_LOAD_ADDR), F(vmx, ENTRY_MSR_LOAD_COUNT)))
		return "27.2.1.3: VM-entry MSR-load address";
	return NULL;
}

const char *sx_vmx_check_controls(const struct sx_vmx *vmx)
{
	static const char *(*const checks[])(const struct sx_vmx *) = {
		check_reserved, check_bitmaps,   check_tpr,  check_nmi,
		check_ept,      check_functions, check_exit, check_entry,
	};
	const char *why = NULL;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && !why; i++)
		why = checks[i](vmx);
	return why;
}
