// SPDX-License-Identifier: BSD-3-Clause
/* Bitmaps: I/O (SDM 3C 25.6.4), MSR (25.6.9), VMCS shadowing (25.6.15); VM functions (26.5.6). */
#include "nested/vmx_intercept.h"
#include "nested/vmx_internal.h"

static bool bit_in_page(const struct sx_vmx *vmx, uint64_t page, uint32_t bit)
{
	uint8_t byte;

	read_l1(vmx, page + bit / 8, &byte, sizeof(byte));
	return byte >> (bit % 8) & 1;
}

static bool port_bit(const struct sx_vmx *vmx, uint32_t port)
{
	return bit_in_page(vmx, port < 0x8000 ? F(vmx, IO_BITMAP_A) : F(vmx, IO_BITMAP_B),
			   port & 0x7fff);
}

/* 26.1.3: an access that wraps round the port space always exits. */
static bool io_exits(const struct sx_vmx *vmx, const struct sx_vmx_io *io)
{
	if (!(cpu_controls(vmx) & SX_CPU_IO_BITMAPS))
		return cpu_controls(vmx) & SX_CPU_UNCOND_IO;
	if ((uint32_t)io->port + io->size > 0x10000)
		return true;
	for (uint32_t i = 0; i < io->size; i++)
		if (port_bit(vmx, io->port + i))
			return true;
	return false;
}

/* Qualification: table 28-5. */
bool sx_vmx_on_io(const struct sx_vmx *vmx, const struct sx_vmx_io *io, struct sx_vmx_exit *exit)
{
	if (!io_exits(vmx, io))
		return false;
	exit->reason = SX_VMEXIT_IO;
	exit->qualification = (uint64_t)(io->size - 1) | (uint64_t)io->in << 3 |
			      (uint64_t)io->string << 4 | (uint64_t)io->rep << 5 |
			      (uint64_t)io->immediate << 6 | (uint64_t)io->port << 16;
	return true;
}

/* Four bitmaps of 1 KiB: read low, read high, write low, write high MSRs. */
static bool msr_exits(const struct sx_vmx *vmx, uint32_t index, bool write)
{
	uint32_t bit = index & 0x1fff;

	if (!(cpu_controls(vmx) & SX_CPU_MSR_BITMAPS))
		return true;
	if (index >> 13 == 0xc0000000u >> 13)
		bit += 8 * 1024;
	else if (index >> 13)
		return true;
	if (write)
		bit += 8 * 2048;
	return bit_in_page(vmx, F(vmx, MSR_BITMAP), bit);
}

bool sx_vmx_on_msr(const struct sx_vmx *vmx, uint32_t index, bool write, struct sx_vmx_exit *exit)
{
	if (!msr_exits(vmx, index, write))
		return false;
	exit->reason = write ? SX_VMEXIT_WRMSR : SX_VMEXIT_RDMSR;
	return true;
}

enum sx_vmx_verdict sx_vmx_on_vmread(const struct sx_vmx *vmx, bool write, uint64_t encoding,
				     struct sx_vmx_exit *exit)
{
	uint64_t bitmap = write ? F(vmx, VMWRITE_BITMAP) : F(vmx, VMREAD_BITMAP);

	if ((cpu2_controls(vmx) & SX_CPU2_VMCS_SHADOW) && !(encoding >> 15) &&
	    !bit_in_page(vmx, bitmap, (uint32_t)encoding))
		return SX_L2_PROCEED;
	exit->reason = write ? SX_VMEXIT_VMWRITE : SX_VMEXIT_VMREAD;
	return SX_L2_EXIT;
}

/* 31.2: in non-root operation VMfail speaks of the VMCS that the link pointer names. */
static bool shadow_field(const struct sx_vmx *vmx, uint64_t encoding, struct sx_vmx_result *result)
{
	uint64_t link = F(vmx, LINK_POINTER);

	*result = result_of(SX_VMX_SUCCEED);
	if (link == SX_VMX_NONE) {
		*result = result_of(SX_VMX_FAIL_INVALID);
		return false;
	}
	if (sx_vmcs_field_exists(&vmx->caps, encoding))
		return true;
	sx_vmcs_store(vmx, link, SX_VMCS_INSN_ERROR, SX_VMERR_NO_FIELD);
	*result = (struct sx_vmx_result){
		.outcome = SX_VMX_FAIL_VALID,
		.error = SX_VMERR_NO_FIELD,
	};
	return false;
}

struct sx_vmx_result sx_vmx_shadow_read(const struct sx_vmx *vmx, uint64_t encoding,
					uint64_t *value)
{
	struct sx_vmx_result result;

	if (shadow_field(vmx, encoding, &result))
		*value = sx_vmcs_load(vmx, F(vmx, LINK_POINTER), (uint32_t)encoding);
	return result;
}

struct sx_vmx_result sx_vmx_shadow_write(const struct sx_vmx *vmx, uint64_t encoding,
					 uint64_t value)
{
	struct sx_vmx_result result;

	if (shadow_field(vmx, encoding, &result))
		sx_vmcs_store(vmx, F(vmx, LINK_POINTER), (uint32_t)encoding, value);
	return result;
}

/* 26.5.6.3: the new EPT pointer comes from a list of 512 and is checked as VM entry would. */
static bool switch_eptp(struct sx_vmx *vmx, uint32_t index, uint64_t *eptp)
{
	uint64_t candidate;

	if (index >= 512)
		return false;
	read_l1(vmx, F(vmx, EPTP_LIST) + 8 * (uint64_t)index, &candidate, sizeof(candidate));
	if (!sx_vmx_eptp_ok(&vmx->caps, candidate))
		return false;
	sx_vmcs12_set(&vmx->v12, SX_VMCS_EPTP, candidate);
	*eptp = candidate;
	return true;
}

enum sx_vmx_verdict sx_vmx_on_vmfunc(struct sx_vmx *vmx, uint32_t function, uint32_t argument,
				     uint64_t *eptp, struct sx_vmx_exit *exit)
{
	if (!(cpu2_controls(vmx) & SX_CPU2_VMFUNC) || function > 63)
		return SX_L2_UD;
	if (function == 0 && (F(vmx, VM_FUNCTION_CONTROLS) & SX_VMFUNC_EPTP_SWITCHING) &&
	    switch_eptp(vmx, argument, eptp))
		return SX_L2_PROCEED;
	exit->reason = SX_VMEXIT_VMFUNC;
	return SX_L2_EXIT;
}
