// SPDX-License-Identifier: BSD-3-Clause
/*
 * A processor's own paging (SDM Vol. 3A chapter 4), walked by software: 32-bit, PAE, 4-level, or
 * none. For L1's page tables (the engine's `translate` callback) and, through EPT12, for L2's.
 *
 * The address bits of an entry are taken as they are up to bit 51, so whether @gpa is within the
 * processor's address width is the reader's business. There are no protection keys, no shadow
 * stacks and no fifth level.
 */
#ifndef SX_NESTED_PAGING_H
#define SX_NESTED_PAGING_H

#include "nested/vmx.h"

enum sx_paging_outcome {
	SX_PAGING_OK,
	SX_PAGING_FAULT,   /* #PF with @error */
	SX_PAGING_STOPPED, /* read() said so for the entry at @gpa */
};

struct sx_paging_result {
	uint64_t gpa;
	uint64_t page;  /* size of the page that @gpa lies in */
	uint32_t error; /* page-fault error code: SDM Vol. 3A 4.7 */
};

/* Reads an entry of @size (4 or 8) bytes at physical @gpa: 0, or anything else to stop the walk. */
typedef int (*sx_paging_read)(void *ctx, uint64_t gpa, void *buf, size_t size);

/*
 * Translate @linear for @access (SX_ACCESS_*; none: rights are not looked at), by a user if @user.
 * Honours WP, NX, SMEP and SMAP as @cpu's CR0, CR4, EFER and RFLAGS say. Sets no flags. With PAE
 * paging it begins at the PDPTEs that @cpu holds. Each entry is read once.
 */
enum sx_paging_outcome sx_paging_walk(const struct sx_vmx_cpu *cpu, uint64_t linear,
				      unsigned access, bool user, sx_paging_read read, void *ctx,
				      struct sx_paging_result *result);

#endif
