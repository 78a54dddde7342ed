// SPDX-License-Identifier: BSD-3-Clause
/* What the files of the VMX engine share among themselves. */
#ifndef SX_NESTED_VMX_INTERNAL_H
#define SX_NESTED_VMX_INTERNAL_H

#include <string.h>

#include "nested/vmx.h"

#define SX_VMX_PAGE_MASK UINT64_C(0xfff)
#define SX_VMX_MSR_LIST  512 /* entries of an MSR area: A.6 bits 27:25 are 0 */

/* Field @name (without prefix) of the snapshot. */
#define F(vmx, name) sx_vmcs12_get(&(vmx)->v12, SX_VMCS_##name)

static inline uint32_t pin_controls(const struct sx_vmx *vmx)
{
	return (uint32_t)F(vmx, PIN_CONTROLS);
}

static inline uint32_t cpu_controls(const struct sx_vmx *vmx)
{
	return (uint32_t)F(vmx, CPU_CONTROLS);
}

/* 25.6.2: the secondary controls count as 0 unless a primary control activates them. */
static inline uint32_t cpu2_controls(const struct sx_vmx *vmx)
{
	return cpu_controls(vmx) & SX_CPU_SECONDARY ? (uint32_t)F(vmx, CPU2_CONTROLS) : 0;
}

static inline uint32_t exit_controls(const struct sx_vmx *vmx)
{
	return (uint32_t)F(vmx, EXIT_CONTROLS);
}

static inline uint32_t entry_controls(const struct sx_vmx *vmx)
{
	return (uint32_t)F(vmx, ENTRY_CONTROLS);
}

/* No bit of @gpa at or above the physical-address width, and aligned to @align (a power of 2). */
static inline bool physical_ok(const struct sx_vmx_caps *caps, uint64_t gpa, uint64_t align)
{
	return !(gpa & (align - 1)) && !(gpa >> caps->maxphyaddr);
}

static inline bool canonical(const struct sx_vmx_caps *caps, uint64_t linear)
{
	unsigned unused = 64 - caps->linear_bits;

	return (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
}

/* L1's physical memory; where there is none, reads give ones and writes vanish, as on a bus. */
static inline void read_l1(const struct sx_vmx *vmx, uint64_t gpa, void *buf, size_t len)
{
	if (vmx->ops->read(vmx->ctx, gpa, buf, len))
		memset(buf, 0xff, len);
}

static inline void write_l1(const struct sx_vmx *vmx, uint64_t gpa, const void *buf, size_t len)
{
	(void)vmx->ops->write(vmx->ctx, gpa, buf, len);
}

static inline struct sx_vmx_result result_of(enum sx_vmx_outcome outcome)
{
	return (struct sx_vmx_result){.outcome = outcome};
}

static inline struct sx_vmx_result fault_of(uint8_t vector)
{
	return (struct sx_vmx_result){
		.outcome = SX_VMX_FAULT,
		.vector = vector,
		.has_error_code = vector != SX_VEC_UD,
	};
}

/* VMfail(error) of 31.2: VMfailValid where a VMCS is current, else VMfailInvalid. */
struct sx_vmx_result sx_vmx_fail(struct sx_vmx *vmx, enum sx_vmx_error error);

/*
 * #UD outside VMX operation or in a mode without VMX instructions, #GP(0) above CPL 0: true, with
 * the fault in @result. VMXON has rules of its own.
 */
bool sx_vmx_refused(const struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu,
		    struct sx_vmx_result *result);
bool sx_vmx_vmxon_refused(const struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu,
			  struct sx_vmx_result *result);

/* A field of the VMCS at @base, full or high access; @encoding exists. */
uint64_t sx_vmcs_load(const struct sx_vmx *vmx, uint64_t base, uint32_t encoding);
void sx_vmcs_store(const struct sx_vmx *vmx, uint64_t base, uint32_t encoding, uint64_t value);

/*
 * L1's memory by linear address, all or nothing. True, or false with the #PF in @result. The range
 * lies within canonical addresses.
 */
bool sx_vmx_read_linear(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t linear,
			void *buf, size_t len, struct sx_vmx_result *result);
bool sx_vmx_write_linear(struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t linear,
			 const void *buf, size_t len, struct sx_vmx_result *result);

/* RIP as a linear address, and how many bytes CS's limit lets be fetched there: 0 is a #GP. */
size_t sx_vmx_fetch_window(const struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu,
			   uint64_t *linear);

/*
 * The checks of VM entry on the snapshot, in the order of the SDM. NULL: all hold. Else the rule
 * that does not, in words.
 */
const char *sx_vmx_check_controls(const struct sx_vmx *vmx);               /* 27.2.1 */
const char *sx_vmx_check_host(const struct sx_vmx *vmx, uint64_t l1_efer); /* 27.2.2 to 27.2.4 */
const char *sx_vmx_check_guest(const struct sx_vmx *vmx,                   /* 27.3.1 */
			       enum sx_vmx_bad_state *qualification);
const char *sx_vmx_check_segments(const struct sx_vmx *vmx); /* 27.3.1.2, 27.3.1.3 */
const char *sx_vmx_check_nonreg(const struct sx_vmx *vmx,    /* 27.3.1.5 */
				enum sx_vmx_bad_state *qualification);

/* The segment registers of the guest-state area. */
void sx_vmx_guest_segments(const struct sx_vmx *vmx, struct sx_vmx_segment seg[SX_SEG_COUNT]);

/* 27.3.1.1, 26.3: may L2's CR0 be this? Unrestricted guest frees PE and PG, but PG needs PE. */
bool sx_vmx_guest_cr0_ok(const struct sx_vmx *vmx, uint64_t cr0);

/* Is every byte of IA32_PAT a memory type (27.2.2, 27.3.1.1)? */
bool sx_vmx_pat_ok(uint64_t pat);

/* 27.2.1.1 on an EPT pointer; also asked by INVEPT and by EPTP switching. */
bool sx_vmx_eptp_ok(const struct sx_vmx_caps *caps, uint64_t eptp);

/* The PDPTE rules of 4.4.1 for four entries: present ones have no reserved bit. */
bool sx_vmx_pdptes_ok(const struct sx_vmx_caps *caps, const uint64_t pdpte[4]);

/* The PDPTEs that @cr3 names, read from L1's memory: 4.4.1. */
void sx_vmx_read_pdptes(const struct sx_vmx *vmx, uint64_t cr3, uint64_t pdpte[4]);

/*
 * 27.4, 28.6: load the area, into @cpu for MSRs that it holds, else by the callback. 0, or the
 * number from 1 of the entry that may not be loaded.
 */
unsigned sx_vmx_load_msrs(const struct sx_vmx *vmx, struct sx_vmx_cpu *cpu, uint64_t gpa,
			  uint32_t count);
/* 28.4: false where an MSR cannot be stored. */
bool sx_vmx_store_msrs(const struct sx_vmx *vmx, const struct sx_vmx_cpu *cpu, uint64_t gpa,
		       uint32_t count);

/* Write the exit information and guest state of the snapshot back to the VMCS12. */
void sx_vmx_write_back(const struct sx_vmx *vmx);

/* CR0 bits that no VM entry and no VM exit changes: 27.3.2.1, 28.5.1. */
#define SX_VMX_CR0_KEPT \
	(SX_X86_CR0_ET | SX_X86_CR0_NW | SX_X86_CR0_CD | UINT64_C(0xffffffff1ffaffc0))

/* 28.5: @l1 becomes the host state of the snapshot; an abort indicator. */
enum sx_vmx_abort sx_vmx_load_host(const struct sx_vmx *vmx, struct sx_vmx_cpu *l1);

/* 28.7: L1's processor stops; the indicator is stored in the VMCS region. */
struct sx_vmx_result sx_vmx_abort(struct sx_vmx *vmx, struct sx_vmx_cpu *l1,
				  enum sx_vmx_abort indicator);

#endif
