// SPDX-License-Identifier: BSD-3-Clause
/*
 * Property: from a VMCS12 that enters, each corruption of a single field gives exactly the failure
 * that the SDM specifies, by exactly the rule meant, and leaves everything else as it was.
 *
 * A corruption is a row of the tests' tables (or of a sweep over a field's bits or values), applied
 * to one of several valid VMCS12s, the profiles.
 */
#ifndef SX_TEST_VMX_PROPERTY_H
#define SX_TEST_VMX_PROPERTY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_vmx_world.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define V(f)     SX_VMCS_##f
#define BIT(n)   (UINT64_C(1) << (n))

/* Rows of the tables: profile, field, operation, its value, and the rule that must refuse. */
#define C(p, f, op, v, why)                      \
	{                                        \
		p, V(f), op, v, CONTROLS, why, 0 \
	}
#define H(p, f, op, v, why)                  \
	{                                    \
		p, V(f), op, v, HOST, why, 0 \
	}
#define G(p, f, op, v, why)                   \
	{                                     \
		p, V(f), op, v, GUEST, why, 0 \
	}
#define GQ(p, f, op, v, q, why)               \
	{                                     \
		p, V(f), op, v, GUEST, why, q \
	}
#define OK(p, f, op, v)                         \
	{                                       \
		p, V(f), op, v, ENTERS, NULL, 0 \
	}
#define NONCANON UINT64_C(0x0000800000000000)

/* --- profiles: valid VMCS12s ------------------------------------------------------------------ */

enum profile {
	LONG,    /* 64-bit guest with everything in use */
	PAE,     /* 32-bit guest with PAE paging under EPT */
	PAE_MEM, /* the same without EPT: PDPTEs in memory */
	REAL,    /* unrestricted guest in real mode */
	V86,     /* virtual-8086 guest */
	HOST32,  /* 32-bit L1 */
	INJ_EXT, /* injection of an external interrupt */
	INJ_NMI, /* of an NMI */
	INJ_GP,  /* of a #GP with its error code */
	INJ_DB,  /* of a #DB */
	INJ_INT, /* of an INT n */
	HALTED,  /* in HLT, nothing injected */
	HLT_NMI, /* in HLT, an NMI injected */
	STI,     /* blocking by STI */
	MOV_SS,  /* blocking by MOV SS */
	NO_LINK, /* no VMCS shadowing, link pointer to an ordinary VMCS */
	BARE,    /* no optional control at all */
	USER,    /* 64-bit guest at CPL 3 */
	PROFILES,
};

/* Changes to the LONG profile; the list ends with encoding 0xffff. */
#define END               \
	{                 \
		0xffff, 0 \
	}
#define LONG_ENTRY \
	(SX_ENTRYC_DEFAULT1 | SX_ENTRYC_LOAD_PAT | SX_ENTRYC_LOAD_EFER | SX_ENTRYC_LOAD_PERF)
#define LONG_CPU2                                                                          \
	(SX_CPU2_EPT | SX_CPU2_VPID | SX_CPU2_PML | SX_CPU2_VMFUNC | SX_CPU2_VMCS_SHADOW | \
	 SX_CPU2_RDTSCP | SX_CPU2_TSC_SCALING)
#define GUEST32                                                  \
	{V(ENTRY_CONTROLS), LONG_ENTRY}, {V(GUEST_EFER), 0x800}, \
	{                                                        \
		V(GUEST_CS_AR), 0xc09b                           \
	}
#define V86_SEG(s)                                                 \
	{V(GUEST_##s##_AR), 0xf3}, {V(GUEST_##s##_LIMIT), 0xffff}, \
	{                                                          \
		V(GUEST_##s##_BASE), 0x100                         \
	}
#define REAL_SEG(s)                          \
	{V(GUEST_##s##_AR), 0x93},           \
	{                                    \
		V(GUEST_##s##_LIMIT), 0xffff \
	}

static const struct field_value changes[PROFILES][40] = {
	[LONG] = {END},
	[PAE] = {GUEST32, {V(GUEST_PDPTE0), 0x1001}, END},
	[PAE_MEM] = {GUEST32,
		     {V(CPU2_CONTROLS), SX_CPU2_VPID},
		     {V(LINK_POINTER), SX_VMX_NONE},
		     {V(GUEST_CR3), AT_PDPTES},
		     END},
	[REAL] = {GUEST32,
		  {V(CPU2_CONTROLS), LONG_CPU2 | SX_CPU2_UNRESTRICTED},
		  {V(GUEST_CR0), 0x30},
		  {V(GUEST_CR4), SX_X86_CR4_VMXE},
		  {V(GUEST_RFLAGS), 2},
		  {V(GUEST_CS_SEL), 0xf000},
		  {V(GUEST_CS_BASE), 0xffff0000},
		  REAL_SEG(CS),
		  REAL_SEG(SS),
		  REAL_SEG(DS),
		  REAL_SEG(ES),
		  REAL_SEG(FS),
		  REAL_SEG(GS),
		  END},
	[V86] = {GUEST32,
		 {V(GUEST_RFLAGS), 0x20002},
		 V86_SEG(CS),
		 V86_SEG(SS),
		 V86_SEG(DS),
		 V86_SEG(ES),
		 V86_SEG(FS),
		 V86_SEG(GS),
		 {V(GUEST_CS_SEL), 0x10},
		 END},
	[HOST32] = {GUEST32,
		    {V(EXIT_CONTROLS), SX_EXITC_DEFAULT1 | SX_EXITC_LOAD_EFER},
		    {V(HOST_EFER), 0},
		    END},
	[INJ_EXT] = {{V(ENTRY_INTR_INFO), SX_INTR_INFO(SX_INTR_EXTERNAL, 0x20)}, END},
	[INJ_NMI] = {{V(ENTRY_INTR_INFO), SX_INTR_INFO(SX_INTR_NMI, 2)}, END},
	[INJ_GP] = {{V(ENTRY_INTR_INFO),
		     SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_GP) | SX_INTR_ERROR_CODE},
		    {V(ENTRY_ERROR_CODE), 0x18},
		    END},
	[INJ_DB] = {{V(ENTRY_INTR_INFO), SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_DB)}, END},
	[INJ_INT] = {{V(ENTRY_INTR_INFO), SX_INTR_INFO(SX_INTR_SOFTWARE, 0x80)},
		     {V(ENTRY_INSN_LENGTH), 2},
		     END},
	[HALTED] = {{V(GUEST_ACTIVITY), SX_ACTIVITY_HLT}, END},
	[HLT_NMI] = {{V(GUEST_ACTIVITY), SX_ACTIVITY_HLT},
		     {V(ENTRY_INTR_INFO), SX_INTR_INFO(SX_INTR_NMI, 2)},
		     END},
	[STI] = {{V(GUEST_INTERRUPTIBILITY), SX_BLOCK_STI}, END},
	[MOV_SS] = {{V(GUEST_INTERRUPTIBILITY), SX_BLOCK_MOV_SS}, END},
	[NO_LINK] = {{V(CPU2_CONTROLS), LONG_CPU2 & ~SX_CPU2_VMCS_SHADOW},
		     {V(LINK_POINTER), AT_VMXON},
		     END},
	[USER] = {{V(GUEST_CS_SEL), 0x0b},
		  {V(GUEST_CS_AR), 0xa0fb},
		  {V(GUEST_SS_SEL), 0x13},
		  {V(GUEST_SS_AR), 0xc0f3},
		  END},
	[BARE] = {{V(PIN_CONTROLS), SX_PIN_DEFAULT1},
		  {V(CPU_CONTROLS), SX_CPU_TRUE_DEFAULT1},
		  {V(EXIT_CONTROLS), SX_EXITC_TRUE_DEFAULT1 | SX_EXITC_HOST_64},
		  {V(ENTRY_CONTROLS), SX_ENTRYC_TRUE_DEFAULT1 | SX_ENTRYC_GUEST_64},
		  {V(LINK_POINTER), SX_VMX_NONE},
		  END},
};

static inline void make(struct world *w, enum profile profile)
{
	world_init_current(w);
	for (const struct field_value *c = changes[profile]; c->encoding != 0xffff; c++)
		set_field(w, c->encoding, c->value);
	if (profile == HOST32)
		world_l1_32(&w->l1);
	put64(w, AT_PDPTES, 0x1001);
}

/* --- the property ----------------------------------------------------------------------------- */

enum expect { ENTERS, CONTROLS, HOST, GUEST };

struct row {
	enum profile profile;
	uint32_t field;
	char op; /* '=' set, '|' set bits, '&' keep bits, '^' flip bits */
	uint64_t value;
	enum expect expect;
	const char *why; /* the rule, as the engine words it */
	unsigned qualification;
};

static inline uint64_t apply(const struct row *r, uint64_t old)
{
	switch (r->op) {
	case '|':
		return old | r->value;
	case '&':
		return old & r->value;
	case '^':
		return old ^ r->value;
	default:
		return r->value;
	}
}

static inline void put_back(struct world *w, struct world *before, uint32_t encoding)
{
	set_field(w, encoding, field(before, encoding));
}

static inline void expect_fail_valid(struct world *w, const struct world *before,
				     const struct sx_vmx_result *result, uint64_t error)
{
	assert_int_equal(result->outcome, SX_VMX_FAIL_VALID);
	assert_int_equal(result->error, error);
	assert_int_equal(field(w, V(INSN_ERROR)), error);
	assert_memory_equal(&w->l1, &before->l1, sizeof(w->l1));
}

static inline void expect_entry_failure(struct world *w, const struct sx_vmx_result *result,
					unsigned qualification)
{
	assert_int_equal(result->outcome, SX_VMX_ENTRY_FAILED);
	assert_int_equal(field(w, V(EXIT_REASON)), 0x80000000u | SX_VMEXIT_BAD_GUEST_STATE);
	assert_int_equal(field(w, V(EXIT_QUALIFICATION)), qualification);
	assert_int_equal(w->l1.rip, field(w, V(HOST_RIP)));
	assert_int_equal(w->l1.gpr[SX_RSP], field(w, V(HOST_RSP)));
	assert_int_equal(w->l1.rflags, 2);
	assert_int_equal(w->test_msr, 0x2222); /* VM-exit MSR-load area: 27.8 */
}

static inline void check_row(const struct row *r)
{
	static struct world w, before;
	struct sx_vmx_result result;
	uint64_t old;

	make(&w, r->profile);
	old = field(&w, r->field);
	set_field(&w, r->field, apply(r, old));
	before = w;
	result = sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2);
	if (r->expect == ENTERS ? result.outcome != SX_VMX_ENTERED
				: !w.vmx.why || strcmp(w.vmx.why, r->why) != 0)
		fail_msg("profile %d, %s %c %#llx: wanted \"%s\", got outcome %d, \"%s\"",
			 r->profile, sx_vmcs_field_name(r->field), r->op,
			 (unsigned long long)r->value, r->expect == ENTERS ? "entry" : r->why,
			 result.outcome, w.vmx.why ? w.vmx.why : "nothing");
	if (r->expect == ENTERS)
		return;
	assert_false(w.vmx.in_l2);
	if (r->expect == GUEST) {
		expect_entry_failure(&w, &result, r->qualification);
		put_back(&w, &before, V(EXIT_REASON));
		put_back(&w, &before, V(EXIT_QUALIFICATION));
	} else {
		expect_fail_valid(&w, &before, &result, r->expect == CONTROLS ? 7 : 8);
		put_back(&w, &before, V(INSN_ERROR));
	}
	assert_memory_equal(w.mem, before.mem, sizeof(w.mem)); /* not launched, nothing else */
}

static inline void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_row(&rows[i]);
}

#endif
