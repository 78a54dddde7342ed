/* SPDX-License-Identifier: BSD-3-Clause */
/* VM entries of cases: a VMCS that enters, changes to it, and all that can be read afterwards. */
#ifndef DIFF_ENTRY_H
#define DIFF_ENTRY_H

#include "tests/differential/report.h"

struct diff_change {
	uint32_t encoding;
	uint64_t value;
};

/* Values of all fields, by slot; those of exit information are not used. */
struct diff_vmcs {
	uint64_t slot[SX_VMCS12_SLOTS];
};

/* A VMCS whose guest is in 64-bit mode at CPL 0 with nothing intercepted that need not be. */
void diff_base(struct diff_vmcs *v);

static inline void diff_set(struct diff_vmcs *v, uint32_t encoding, uint64_t value)
{
	v->slot[SX_VMCS_SLOT(encoding)] = value;
}

static inline uint64_t diff_get(const struct diff_vmcs *v, uint32_t encoding)
{
	return v->slot[SX_VMCS_SLOT(encoding)];
}

/* Memory that guests use: code that exits, page tables, descriptor tables. Once, before any. */
void diff_make_guest(void);

/* Make a VMCS current, cleared, with the fields @v. */
void diff_load(const struct diff_vmcs *v);

/*
 * VMLAUNCH on @v as the case @c, with general registers @gpr or zeroes where NULL; L2's code is
 * the @length bytes @code and VMCALLs behind it. Says how it ended, and after an exit its
 * information, guest state that changed, registers that changed, and host state that is not the
 * usual one.
 */
void diff_launch(const struct diff_case *c, const struct diff_vmcs *v, const uint8_t *code,
		 unsigned length, uint64_t gpr[GPRS]);
/* The same with code that is one VMCALL. */
void diff_enter(const struct diff_case *c, const struct diff_vmcs *v);

#endif
