/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/*
 * The VMCS12: the 4 KiB region in L1's memory that VMPTRLD makes current, and its fields.
 *
 * The layout is a contract between the engine and code inside L1, which may serve VMREAD and
 * VMWRITE from it as plain memory. It is a formula, not a table: a field's encoding (25.11.2,
 * table 25-21) names its slot of 8 bytes,
 *
 *     slot = 31 * (4 * type + width) + index
 *
 * with type, width and index as in the encoding. Fields of one type (controls, exit information,
 * guest state, host state) therefore lie together. A slot holds its field zero-extended; whoever
 * reads a slot truncates it to the field's width, because anyone may have written the memory.
 *
 * Freestanding: a guest kernel module and a micro-guest include this file as it is.
 */
#ifndef SX_WIRE_VMCS12_H
#define SX_WIRE_VMCS12_H

#include "ipc/wire/vmx_defs.h"

#define SX_VMCS12_SIZE         4096
#define SX_VMCS12_REVISION     UINT32_C(0x53580001) /* bits 30:0; raised on any change of layout */
#define SX_VMCS12_SHADOW       SX_VMX_BIT(31)       /* beside the revision: a shadow VMCS */
#define SX_VMCS12_GROUPS       16
#define SX_VMCS12_GROUP_SLOTS  31
#define SX_VMCS12_SLOTS        (SX_VMCS12_GROUPS * SX_VMCS12_GROUP_SLOTS)
#define SX_VMCS12_BITMAP_WORDS ((SX_VMCS12_SLOTS + 63) / 64)

enum sx_vmcs_width {
	SX_WIDTH_16 = 0,
	SX_WIDTH_64 = 1,
	SX_WIDTH_32 = 2,
	SX_WIDTH_NATURAL = 3,
};

enum sx_vmcs_type {
	SX_TYPE_CONTROL = 0,
	SX_TYPE_EXIT_INFO = 1, /* read-only data fields */
	SX_TYPE_GUEST = 2,
	SX_TYPE_HOST = 3,
};

struct sx_vmcs12 {
	uint32_t revision; /* 25.2: bits 30:0 the identifier, bit 31 the shadow-VMCS indicator */
	uint32_t abort;    /* 25.2: VMX-abort indicator */
	uint32_t launched; /* 25.11.3: 0 clear, 1 launched */
	uint32_t reserved;
	uint64_t guest; /* L0's number for who is in it; 0: a page that was zeroed */
	uint32_t reserved2[10];
	uint64_t slot[SX_VMCS12_SLOTS];
	uint8_t tail[64];
};

#define SX_VMCS_WIDTH(enc) (((enc) >> 13) & 3)
#define SX_VMCS_TYPE(enc)  (((enc) >> 10) & 3)
#define SX_VMCS_INDEX(enc) (((enc) >> 1) & 0x1ff)
#define SX_VMCS_HIGH(enc)  ((enc)&1)
#define SX_VMCS_SLOT(enc) \
	(SX_VMCS12_GROUP_SLOTS * (4 * SX_VMCS_TYPE(enc) + SX_VMCS_WIDTH(enc)) + SX_VMCS_INDEX(enc))
#define SX_VMCS_OFFSET(enc) (64 + 8 * SX_VMCS_SLOT(enc))

/* Layout 1. What changes one of these raises SX_VMCS12_REVISION. */
_Static_assert(sizeof(struct sx_vmcs12) == SX_VMCS12_SIZE, "a VMCS12 is one page");
_Static_assert(__builtin_offsetof(struct sx_vmcs12, abort) == 4,
	       "the SDM places the abort indicator");
_Static_assert(__builtin_offsetof(struct sx_vmcs12, launched) == 8, "launch state");
_Static_assert(__builtin_offsetof(struct sx_vmcs12, slot) == SX_VMCS_OFFSET(0),
	       "slot 0 is encoding 0");
_Static_assert(SX_VMCS_OFFSET(0x4402) == 1560, "exit reason");
_Static_assert(SX_VMCS_OFFSET(0x681e) == 2912, "guest RIP");
_Static_assert(SX_VMCS_OFFSET(0x6c16) == 3872, "host RIP");

/*
 * When a field exists: always, or where a control's 1-setting is allowed (A.3 to A.5 say which
 * controls; the SDM lets a processor lack the fields of features that it lacks).
 */
enum sx_vmcs_need_word {
	SX_NEED_NOTHING,
	SX_NEED_PIN,
	SX_NEED_CPU,
	SX_NEED_CPU2,
	SX_NEED_EXIT,
	SX_NEED_ENTRY,
};

/* Every field that the engine knows: F(name, encoding, needed word, needed bits). Appendix B. */
#define SX_VMCS_FIELDS(F)                                               \
	F(VPID, 0x0000, CPU2, SX_CPU2_VPID)                             \
	F(GUEST_ES_SEL, 0x0800, NOTHING, 0)                             \
	F(GUEST_CS_SEL, 0x0802, NOTHING, 0)                             \
	F(GUEST_SS_SEL, 0x0804, NOTHING, 0)                             \
	F(GUEST_DS_SEL, 0x0806, NOTHING, 0)                             \
	F(GUEST_FS_SEL, 0x0808, NOTHING, 0)                             \
	F(GUEST_GS_SEL, 0x080a, NOTHING, 0)                             \
	F(GUEST_LDTR_SEL, 0x080c, NOTHING, 0)                           \
	F(GUEST_TR_SEL, 0x080e, NOTHING, 0)                             \
	F(GUEST_PML_INDEX, 0x0812, CPU2, SX_CPU2_PML)                   \
	F(HOST_ES_SEL, 0x0c00, NOTHING, 0)                              \
	F(HOST_CS_SEL, 0x0c02, NOTHING, 0)                              \
	F(HOST_SS_SEL, 0x0c04, NOTHING, 0)                              \
	F(HOST_DS_SEL, 0x0c06, NOTHING, 0)                              \
	F(HOST_FS_SEL, 0x0c08, NOTHING, 0)                              \
	F(HOST_GS_SEL, 0x0c0a, NOTHING, 0)                              \
	F(HOST_TR_SEL, 0x0c0c, NOTHING, 0)                              \
	F(IO_BITMAP_A, 0x2000, CPU, SX_CPU_IO_BITMAPS)                  \
	F(IO_BITMAP_B, 0x2002, CPU, SX_CPU_IO_BITMAPS)                  \
	F(MSR_BITMAP, 0x2004, CPU, SX_CPU_MSR_BITMAPS)                  \
	F(EXIT_MSR_STORE_ADDR, 0x2006, NOTHING, 0)                      \
	F(EXIT_MSR_LOAD_ADDR, 0x2008, NOTHING, 0)                       \
	F(ENTRY_MSR_LOAD_ADDR, 0x200a, NOTHING, 0)                      \
	F(EXECUTIVE_VMCS, 0x200c, NOTHING, 0)                           \
	F(PML_ADDRESS, 0x200e, CPU2, SX_CPU2_PML)                       \
	F(TSC_OFFSET, 0x2010, CPU, SX_CPU_TSC_OFFSET)                   \
	F(VIRTUAL_APIC, 0x2012, CPU, SX_CPU_TPR_SHADOW)                 \
	F(VM_FUNCTION_CONTROLS, 0x2018, CPU2, SX_CPU2_VMFUNC)           \
	F(EPTP, 0x201a, CPU2, SX_CPU2_EPT)                              \
	F(EPTP_LIST, 0x2024, CPU2, SX_CPU2_VMFUNC)                      \
	F(VMREAD_BITMAP, 0x2026, CPU2, SX_CPU2_VMCS_SHADOW)             \
	F(VMWRITE_BITMAP, 0x2028, CPU2, SX_CPU2_VMCS_SHADOW)            \
	F(XSS_EXIT_BITMAP, 0x202c, CPU2, SX_CPU2_XSAVES)                \
	F(TSC_MULTIPLIER, 0x2032, CPU2, SX_CPU2_TSC_SCALING)            \
	F(GUEST_PHYSICAL, 0x2400, CPU2, SX_CPU2_EPT)                    \
	F(LINK_POINTER, 0x2800, NOTHING, 0)                             \
	F(GUEST_DEBUGCTL, 0x2802, NOTHING, 0)                           \
	F(GUEST_PAT, 0x2804, ENTRY, SX_ENTRYC_LOAD_PAT)                 \
	F(GUEST_EFER, 0x2806, ENTRY, SX_ENTRYC_LOAD_EFER)               \
	F(GUEST_PERF_GLOBAL, 0x2808, ENTRY, SX_ENTRYC_LOAD_PERF)        \
	F(GUEST_PDPTE0, 0x280a, CPU2, SX_CPU2_EPT)                      \
	F(GUEST_PDPTE1, 0x280c, CPU2, SX_CPU2_EPT)                      \
	F(GUEST_PDPTE2, 0x280e, CPU2, SX_CPU2_EPT)                      \
	F(GUEST_PDPTE3, 0x2810, CPU2, SX_CPU2_EPT)                      \
	F(HOST_PAT, 0x2c00, EXIT, SX_EXITC_LOAD_PAT)                    \
	F(HOST_EFER, 0x2c02, EXIT, SX_EXITC_LOAD_EFER)                  \
	F(HOST_PERF_GLOBAL, 0x2c04, EXIT, SX_EXITC_LOAD_PERF)           \
	F(PIN_CONTROLS, 0x4000, NOTHING, 0)                             \
	F(CPU_CONTROLS, 0x4002, NOTHING, 0)                             \
	F(EXCEPTION_BITMAP, 0x4004, NOTHING, 0)                         \
	F(PF_ERROR_MASK, 0x4006, NOTHING, 0)                            \
	F(PF_ERROR_MATCH, 0x4008, NOTHING, 0)                           \
	F(CR3_TARGET_COUNT, 0x400a, NOTHING, 0)                         \
	F(EXIT_CONTROLS, 0x400c, NOTHING, 0)                            \
	F(EXIT_MSR_STORE_COUNT, 0x400e, NOTHING, 0)                     \
	F(EXIT_MSR_LOAD_COUNT, 0x4010, NOTHING, 0)                      \
	F(ENTRY_CONTROLS, 0x4012, NOTHING, 0)                           \
	F(ENTRY_MSR_LOAD_COUNT, 0x4014, NOTHING, 0)                     \
	F(ENTRY_INTR_INFO, 0x4016, NOTHING, 0)                          \
	F(ENTRY_ERROR_CODE, 0x4018, NOTHING, 0)                         \
	F(ENTRY_INSN_LENGTH, 0x401a, NOTHING, 0)                        \
	F(TPR_THRESHOLD, 0x401c, CPU, SX_CPU_TPR_SHADOW)                \
	F(CPU2_CONTROLS, 0x401e, CPU, SX_CPU_SECONDARY)                 \
	F(PLE_GAP, 0x4020, CPU2, SX_CPU2_PAUSE_LOOP)                    \
	F(PLE_WINDOW, 0x4022, CPU2, SX_CPU2_PAUSE_LOOP)                 \
	F(INSN_ERROR, 0x4400, NOTHING, 0)                               \
	F(EXIT_REASON, 0x4402, NOTHING, 0)                              \
	F(EXIT_INTR_INFO, 0x4404, NOTHING, 0)                           \
	F(EXIT_ERROR_CODE, 0x4406, NOTHING, 0)                          \
	F(IDT_VECTORING_INFO, 0x4408, NOTHING, 0)                       \
	F(IDT_VECTORING_ERROR, 0x440a, NOTHING, 0)                      \
	F(EXIT_INSN_LENGTH, 0x440c, NOTHING, 0)                         \
	F(EXIT_INSN_INFO, 0x440e, NOTHING, 0)                           \
	F(GUEST_ES_LIMIT, 0x4800, NOTHING, 0)                           \
	F(GUEST_CS_LIMIT, 0x4802, NOTHING, 0)                           \
	F(GUEST_SS_LIMIT, 0x4804, NOTHING, 0)                           \
	F(GUEST_DS_LIMIT, 0x4806, NOTHING, 0)                           \
	F(GUEST_FS_LIMIT, 0x4808, NOTHING, 0)                           \
	F(GUEST_GS_LIMIT, 0x480a, NOTHING, 0)                           \
	F(GUEST_LDTR_LIMIT, 0x480c, NOTHING, 0)                         \
	F(GUEST_TR_LIMIT, 0x480e, NOTHING, 0)                           \
	F(GUEST_GDTR_LIMIT, 0x4810, NOTHING, 0)                         \
	F(GUEST_IDTR_LIMIT, 0x4812, NOTHING, 0)                         \
	F(GUEST_ES_AR, 0x4814, NOTHING, 0)                              \
	F(GUEST_CS_AR, 0x4816, NOTHING, 0)                              \
	F(GUEST_SS_AR, 0x4818, NOTHING, 0)                              \
	F(GUEST_DS_AR, 0x481a, NOTHING, 0)                              \
	F(GUEST_FS_AR, 0x481c, NOTHING, 0)                              \
	F(GUEST_GS_AR, 0x481e, NOTHING, 0)                              \
	F(GUEST_LDTR_AR, 0x4820, NOTHING, 0)                            \
	F(GUEST_TR_AR, 0x4822, NOTHING, 0)                              \
	F(GUEST_INTERRUPTIBILITY, 0x4824, NOTHING, 0)                   \
	F(GUEST_ACTIVITY, 0x4826, NOTHING, 0)                           \
	F(GUEST_SMBASE, 0x4828, NOTHING, 0)                             \
	F(GUEST_SYSENTER_CS, 0x482a, NOTHING, 0)                        \
	F(GUEST_PREEMPTION_TIMER, 0x482e, PIN, SX_PIN_PREEMPTION_TIMER) \
	F(HOST_SYSENTER_CS, 0x4c00, NOTHING, 0)                         \
	F(CR0_MASK, 0x6000, NOTHING, 0)                                 \
	F(CR4_MASK, 0x6002, NOTHING, 0)                                 \
	F(CR0_SHADOW, 0x6004, NOTHING, 0)                               \
	F(CR4_SHADOW, 0x6006, NOTHING, 0)                               \
	F(CR3_TARGET0, 0x6008, NOTHING, 0)                              \
	F(CR3_TARGET1, 0x600a, NOTHING, 0)                              \
	F(CR3_TARGET2, 0x600c, NOTHING, 0)                              \
	F(CR3_TARGET3, 0x600e, NOTHING, 0)                              \
	F(EXIT_QUALIFICATION, 0x6400, NOTHING, 0)                       \
	F(IO_RCX, 0x6402, NOTHING, 0)                                   \
	F(IO_RSI, 0x6404, NOTHING, 0)                                   \
	F(IO_RDI, 0x6406, NOTHING, 0)                                   \
	F(IO_RIP, 0x6408, NOTHING, 0)                                   \
	F(GUEST_LINEAR, 0x640a, NOTHING, 0)                             \
	F(GUEST_CR0, 0x6800, NOTHING, 0)                                \
	F(GUEST_CR3, 0x6802, NOTHING, 0)                                \
	F(GUEST_CR4, 0x6804, NOTHING, 0)                                \
	F(GUEST_ES_BASE, 0x6806, NOTHING, 0)                            \
	F(GUEST_CS_BASE, 0x6808, NOTHING, 0)                            \
	F(GUEST_SS_BASE, 0x680a, NOTHING, 0)                            \
	F(GUEST_DS_BASE, 0x680c, NOTHING, 0)                            \
	F(GUEST_FS_BASE, 0x680e, NOTHING, 0)                            \
	F(GUEST_GS_BASE, 0x6810, NOTHING, 0)                            \
	F(GUEST_LDTR_BASE, 0x6812, NOTHING, 0)                          \
	F(GUEST_TR_BASE, 0x6814, NOTHING, 0)                            \
	F(GUEST_GDTR_BASE, 0x6816, NOTHING, 0)                          \
	F(GUEST_IDTR_BASE, 0x6818, NOTHING, 0)                          \
	F(GUEST_DR7, 0x681a, NOTHING, 0)                                \
	F(GUEST_RSP, 0x681c, NOTHING, 0)                                \
	F(GUEST_RIP, 0x681e, NOTHING, 0)                                \
	F(GUEST_RFLAGS, 0x6820, NOTHING, 0)                             \
	F(GUEST_PENDING_DBG, 0x6822, NOTHING, 0)                        \
	F(GUEST_SYSENTER_ESP, 0x6824, NOTHING, 0)                       \
	F(GUEST_SYSENTER_EIP, 0x6826, NOTHING, 0)                       \
	F(HOST_CR0, 0x6c00, NOTHING, 0)                                 \
	F(HOST_CR3, 0x6c02, NOTHING, 0)                                 \
	F(HOST_CR4, 0x6c04, NOTHING, 0)                                 \
	F(HOST_FS_BASE, 0x6c06, NOTHING, 0)                             \
	F(HOST_GS_BASE, 0x6c08, NOTHING, 0)                             \
	F(HOST_TR_BASE, 0x6c0a, NOTHING, 0)                             \
	F(HOST_GDTR_BASE, 0x6c0c, NOTHING, 0)                           \
	F(HOST_IDTR_BASE, 0x6c0e, NOTHING, 0)                           \
	F(HOST_SYSENTER_ESP, 0x6c10, NOTHING, 0)                        \
	F(HOST_SYSENTER_EIP, 0x6c12, NOTHING, 0)                        \
	F(HOST_RSP, 0x6c14, NOTHING, 0)                                 \
	F(HOST_RIP, 0x6c16, NOTHING, 0)

#define SX_VMCS_ENUMERATOR(name, encoding, word, bits) SX_VMCS_##name = (encoding),
enum sx_vmcs_encoding { SX_VMCS_FIELDS(SX_VMCS_ENUMERATOR) };

/* What is left of a slot's 8 bytes once truncated to the width of field @encoding. */
static inline uint64_t sx_vmcs_width_mask(uint32_t encoding)
{
	uint32_t width = SX_VMCS_WIDTH(encoding);

	if (width == SX_WIDTH_16)
		return UINT64_C(0xffff);
	return width == SX_WIDTH_32 ? UINT64_C(0xffffffff) : ~UINT64_C(0);
}

/* A field whose encoding is known to be good (full access): constant-folds to one load or store. */
static inline uint64_t sx_vmcs12_get(const struct sx_vmcs12 *v, uint32_t encoding)
{
	return v->slot[SX_VMCS_SLOT(encoding)] & sx_vmcs_width_mask(encoding);
}

static inline void sx_vmcs12_set(struct sx_vmcs12 *v, uint32_t encoding, uint64_t value)
{
	v->slot[SX_VMCS_SLOT(encoding)] = value & sx_vmcs_width_mask(encoding);
}

/*
 * Slot of field @encoding, or -1: reserved bits set, high access to a field not of 64 bits, or an
 * index past the layout. Says nothing about whether the field exists: see sx_vmcs12_bitmap().
 */
static inline int sx_vmcs12_slot(uint64_t encoding)
{
	uint32_t enc = (uint32_t)encoding;

	if (encoding & ~UINT64_C(0x6fff))
		return -1;
	if (SX_VMCS_HIGH(enc) && SX_VMCS_WIDTH(enc) != SX_WIDTH_64)
		return -1;
	if (SX_VMCS_INDEX(enc) >= SX_VMCS12_GROUP_SLOTS)
		return -1;
	return (int)SX_VMCS_SLOT(enc);
}

#endif
