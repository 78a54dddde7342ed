// SPDX-License-Identifier: BSD-3-Clause
/* Checks on guest segment and descriptor-table registers: SDM 3C 27.3.1.2 and 27.3.1.3. */
#include "nested/vmx_internal.h"

#define AR_RESERVED     UINT32_C(0xfffe0f00) /* bits 31:17 and 11:8 */
#define AR_V8086        UINT32_C(0xf3)
#define TYPE_ACCESSED   1u
#define TYPE_READABLE   2u /* of a code segment */
#define TYPE_CODE       8u
#define TYPE_LDT        2u
#define TYPE_TSS_BUSY16 3u
#define TYPE_TSS_BUSY   11u

struct segments {
	struct sx_vmx_segment seg[SX_SEG_COUNT];
	bool unrestricted, long_mode, real_mode;
};

/* The fields of one segment lie in four arrays, in the order of enum sx_segment. */
void sx_vmx_guest_segments(const struct sx_vmx *vmx, struct sx_vmx_segment seg[SX_SEG_COUNT])
{
	const struct sx_vmcs12 *v = &vmx->v12;

	for (uint32_t i = 0; i < SX_SEG_COUNT; i++) {
		seg[i] = (struct sx_vmx_segment){
			.selector = (uint16_t)sx_vmcs12_get(v, SX_VMCS_GUEST_ES_SEL + 2 * i),
			.base = sx_vmcs12_get(v, SX_VMCS_GUEST_ES_BASE + 2 * i),
			.limit = (uint32_t)sx_vmcs12_get(v, SX_VMCS_GUEST_ES_LIMIT + 2 * i),
			.ar = (uint32_t)sx_vmcs12_get(v, SX_VMCS_GUEST_ES_AR + 2 * i),
		};
	}
}

static bool usable(const struct sx_vmx_segment *seg)
{
	return !(seg->ar & SX_AR_UNUSABLE);
}

/* G must be 0 if a limit bit of 11:0 is 0, and 1 if a limit bit of 31:20 is 1. */
static bool granularity_ok(const struct sx_vmx_segment *seg)
{
	if ((seg->ar & SX_AR_G) && (seg->limit & 0xfff) != 0xfff)
		return false;
	return (seg->ar & SX_AR_G) || !(seg->limit >> 20);
}

static const char *check_v8086(const struct segments *s)
{
	for (unsigned i = SX_SEG_ES; i <= SX_SEG_GS; i++) {
		const struct sx_vmx_segment *seg = &s->seg[i];

		if (seg->base != (uint64_t)seg->selector << 4)
			return "27.3.1.2: base of a virtual-8086 segment";
		if (seg->limit != 0xffff)
			return "27.3.1.2: limit of a virtual-8086 segment";
		if (seg->ar != AR_V8086)
			return "27.3.1.2: access rights of a virtual-8086 segment";
	}
	return NULL;
}

static const char *check_selectors(const struct segments *s, bool v8086)
{
	const struct sx_vmx_segment *seg = s->seg;

	if (seg[SX_SEG_TR].selector & 4)
		return "27.3.1.2: TI of TR";
	if (usable(&seg[SX_SEG_LDTR]) && (seg[SX_SEG_LDTR].selector & 4))
		return "27.3.1.2: TI of LDTR";
	if (!v8086 && !s->unrestricted &&
	    (seg[SX_SEG_SS].selector & 3) != (seg[SX_SEG_CS].selector & 3))
		return "27.3.1.2: RPL of SS differs from RPL of CS";
	return NULL;
}

static const char *check_bases(const struct sx_vmx *vmx, const struct segments *s, bool v8086)
{
	const struct sx_vmx_segment *seg = s->seg;
	static const uint8_t low[] = {SX_SEG_SS, SX_SEG_DS, SX_SEG_ES};

	if (!canonical(&vmx->caps, seg[SX_SEG_TR].base))
		return "27.3.1.2: TR base not canonical";
	if (usable(&seg[SX_SEG_LDTR]) && !canonical(&vmx->caps, seg[SX_SEG_LDTR].base))
		return "27.3.1.2: LDTR base not canonical";
	if (v8086)
		return NULL;
	if (!canonical(&vmx->caps, seg[SX_SEG_FS].base) ||
	    !canonical(&vmx->caps, seg[SX_SEG_GS].base))
		return "27.3.1.2: FS or GS base not canonical";
	if (seg[SX_SEG_CS].base >> 32)
		return "27.3.1.2: CS base has bits 63:32";
	for (unsigned i = 0; i < sizeof(low); i++)
		if (usable(&seg[low[i]]) && seg[low[i]].base >> 32)
			return "27.3.1.2: SS, DS or ES base has bits 63:32";
	return NULL;
}

static const char *check_cs(const struct segments *s)
{
	const struct sx_vmx_segment *cs = &s->seg[SX_SEG_CS];
	unsigned type = SX_AR_TYPE(cs->ar), dpl = SX_AR_DPL(cs->ar);
	unsigned ss_dpl = SX_AR_DPL(s->seg[SX_SEG_SS].ar);

	if (!((type & (TYPE_CODE | TYPE_ACCESSED)) == (TYPE_CODE | TYPE_ACCESSED)) &&
	    !(type == 3 && s->unrestricted))
		return "27.3.1.2: type of CS";
	if (!(cs->ar & SX_AR_S))
		return "27.3.1.2: S of CS";
	if (type == 3 && dpl != 0)
		return "27.3.1.2: DPL of a data segment in CS";
	if ((type == 9 || type == 11) && dpl != ss_dpl)
		return "27.3.1.2: DPL of non-conforming CS differs from DPL of SS";
	if ((type == 13 || type == 15) && dpl > ss_dpl)
		return "27.3.1.2: DPL of conforming CS above DPL of SS";
	if (!(cs->ar & SX_AR_P))
		return "27.3.1.2: P of CS";
	if (cs->ar & AR_RESERVED)
		return "27.3.1.2: reserved access rights of CS";
	if (s->long_mode && (cs->ar & SX_AR_L) && (cs->ar & SX_AR_DB))
		return "27.3.1.2: D/B of a 64-bit CS";
	if (!granularity_ok(cs))
		return "27.3.1.2: G of CS";
	return NULL;
}

/* The DPL rules of SS hold even where it is unusable. */
static const char *check_ss(const struct segments *s)
{
	const struct sx_vmx_segment *ss = &s->seg[SX_SEG_SS];
	unsigned type = SX_AR_TYPE(ss->ar), dpl = SX_AR_DPL(ss->ar);

	if (usable(ss) && type != 3 && type != 7)
		return "27.3.1.2: type of SS";
	if (!s->unrestricted && dpl != (ss->selector & 3u))
		return "27.3.1.2: DPL of SS differs from its RPL";
	if (dpl != 0 && (SX_AR_TYPE(s->seg[SX_SEG_CS].ar) == 3 || s->real_mode))
		return "27.3.1.2: DPL of SS in real mode or with a data segment in CS";
	return NULL;
}

static const char *check_data(const struct segments *s, unsigned i)
{
	const struct sx_vmx_segment *seg = &s->seg[i];
	unsigned type = SX_AR_TYPE(seg->ar);

	if (!usable(seg))
		return NULL;
	if (!(type & TYPE_ACCESSED))
		return "27.3.1.2: DS, ES, FS or GS not accessed";
	if ((type & TYPE_CODE) && !(type & TYPE_READABLE))
		return "27.3.1.2: DS, ES, FS or GS not readable";
	if (!s->unrestricted && type <= 11 && SX_AR_DPL(seg->ar) < (seg->selector & 3u))
		return "27.3.1.2: DPL of DS, ES, FS or GS below its RPL";
	return NULL;
}

/* What SS, DS, ES, FS and GS have in common. */
static const char *check_common(const struct sx_vmx_segment *seg)
{
	if (!usable(seg))
		return NULL;
	if (!(seg->ar & SX_AR_S))
		return "27.3.1.2: S of a data segment register";
	if (!(seg->ar & SX_AR_P))
		return "27.3.1.2: P of a data segment register";
	if (seg->ar & AR_RESERVED)
		return "27.3.1.2: reserved access rights of a data segment register";
	if (!granularity_ok(seg))
		return "27.3.1.2: G of a data segment register";
	return NULL;
}

static const char *check_data_registers(const struct segments *s)
{
	for (unsigned i = SX_SEG_ES; i <= SX_SEG_GS; i++) {
		const char *why;

		if (i == SX_SEG_CS)
			continue;
		why = i == SX_SEG_SS ? check_ss(s) : check_data(s, i);
		if (!why)
			why = check_common(&s->seg[i]);
		if (why)
			return why;
	}
	return NULL;
}

static const char *check_tr(const struct segments *s)
{
	const struct sx_vmx_segment *tr = &s->seg[SX_SEG_TR];
	unsigned type = SX_AR_TYPE(tr->ar);

	if (type != TYPE_TSS_BUSY && !(type == TYPE_TSS_BUSY16 && !s->long_mode))
		return "27.3.1.2: type of TR";
	if ((tr->ar & SX_AR_S) || !(tr->ar & SX_AR_P))
		return "27.3.1.2: S or P of TR";
	if ((tr->ar & AR_RESERVED) || !usable(tr))
		return "27.3.1.2: reserved access rights of TR, or TR unusable";
	if (!granularity_ok(tr))
		return "27.3.1.2: G of TR";
	return NULL;
}

static const char *check_ldtr(const struct segments *s)
{
	const struct sx_vmx_segment *ldtr = &s->seg[SX_SEG_LDTR];

	if (!usable(ldtr))
		return NULL;
	if (SX_AR_TYPE(ldtr->ar) != TYPE_LDT)
		return "27.3.1.2: type of LDTR";
	if ((ldtr->ar & SX_AR_S) || !(ldtr->ar & SX_AR_P))
		return "27.3.1.2: S or P of LDTR";
	if (ldtr->ar & AR_RESERVED)
		return "27.3.1.2: reserved access rights of LDTR";
	if (!granularity_ok(ldtr))
		return "27.3.1.2: G of LDTR";
	return NULL;
}

/* 27.3.1.3. */
static const char *check_tables(const struct sx_vmx *vmx)
{
	if (!canonical(&vmx->caps, F(vmx, GUEST_GDTR_BASE)) ||
	    !canonical(&vmx->caps, F(vmx, GUEST_IDTR_BASE)))
		return "27.3.1.3: GDTR or IDTR base not canonical";
	if (F(vmx, GUEST_GDTR_LIMIT) >> 16 || F(vmx, GUEST_IDTR_LIMIT) >> 16)
		return "27.3.1.3: GDTR or IDTR limit has bits 31:16";
	return NULL;
}

const char *sx_vmx_check_segments(const struct sx_vmx *vmx)
{
	bool v8086 = F(vmx, GUEST_RFLAGS) & SX_X86_RFLAGS_VM;
	struct segments s;
	const char *why;

	sx_vmx_guest_segments(vmx, s.seg);
	s.unrestricted = cpu2_controls(vmx) & SX_CPU2_UNRESTRICTED;
	s.long_mode = entry_controls(vmx) & SX_ENTRYC_GUEST_64;
	s.real_mode = !(F(vmx, GUEST_CR0) & SX_X86_CR0_PE);
	why = check_selectors(&s, v8086);
	if (!why)
		why = check_bases(vmx, &s, v8086);
	if (!why && v8086)
		why = check_v8086(&s);
	if (!why && !v8086)
		why = check_cs(&s);
	if (!why && !v8086)
		why = check_data_registers(&s);
	if (!why)
		why = check_tr(&s);
	if (!why)
		why = check_ldtr(&s);
	if (!why)
		why = check_tables(vmx);
	return why;
}
