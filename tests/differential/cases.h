/* SPDX-License-Identifier: BSD-3-Clause */
/* The cases, a function for each kind, in the order in which they run. */
#ifndef DIFF_CASES_H
#define DIFF_CASES_H

#include "tests/differential/entry.h"

#define DIFF_COUNT(list) (sizeof(list) / sizeof((list)[0]))

void diff_cases_capabilities(void);
void diff_cases_before_vmxon(void); /* leaves in VMX operation */
void diff_cases_instructions(void);
void diff_cases_fields(void);
void diff_cases_controls(void);
void diff_cases_injection(void);
void diff_cases_host(void);
void diff_cases_guest(void);
void diff_cases_segments(void);
void diff_cases_exits(void);
void diff_cases_ept(void);
void diff_cases_shadowing(void);
void diff_cases_nonreg(void);
void diff_cases_order(void);
void diff_cases_after(void); /* leaves VMX operation */

/* A case for each bit of @bits: an entry on @base with that bit of the field inverted. */
void diff_flip(const char *name, const struct diff_vmcs *base, uint32_t encoding, uint64_t bits);
/* A case for each of @count values of the field. */
void diff_try(const char *name, const struct diff_vmcs *base, uint32_t encoding,
	      const uint64_t *values, unsigned count);
/* Addresses on both sides of what is canonical. */
void diff_try_canonical(const char *name, const struct diff_vmcs *base, uint32_t encoding);
/* Every byte of a PAT with each value that is, or nearly is, a memory type. */
void diff_try_pat(const char *name, const struct diff_vmcs *base, uint32_t encoding);

/* Everything of each segment register, in a guest that is otherwise @base, under the name @mode. */
void diff_each_segment(const char *mode, const struct diff_vmcs *base);

static inline void diff_or(struct diff_vmcs *v, uint32_t encoding, uint64_t bits)
{
	diff_set(v, encoding, diff_get(v, encoding) | bits);
}

/* Secondary controls, activated. */
static inline void diff_or_cpu2(struct diff_vmcs *v, uint64_t bits)
{
	diff_or(v, SX_VMCS_CPU_CONTROLS, SX_CPU_SECONDARY);
	diff_or(v, SX_VMCS_CPU2_CONTROLS, bits);
}

#endif
