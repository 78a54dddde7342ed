// SPDX-License-Identifier: BSD-3-Clause
/*
 * An L1 for tests of the VMX engine: 256 KiB of memory, identity paging, a few MSRs, and VMCS12s
 * that enter. No test code, so that unit tests and fuzz targets share it.
 */
#ifndef SX_TEST_VMX_WORLD_H
#define SX_TEST_VMX_WORLD_H

#include <errno.h>
#include <string.h>

#include "nested/vmx.h"

#define WORLD_SIZE  0x40000
#define AT_VMXON    0x1000
#define AT_VMCS     0x2000
#define AT_SHADOW   0x3000 /* a shadow VMCS */
#define AT_IO_A     0x4000
#define AT_IO_B     0x5000
#define AT_MSRS     0x6000
#define AT_VAPIC    0x7000
#define AT_PML      0x8000
#define AT_ENTRY_L  0x9000 /* VM-entry MSR-load area */
#define AT_EXIT_S   0xa000
#define AT_EXIT_L   0xc000
#define AT_VMREAD   0xe000
#define AT_VMWRITE  0xf000
#define AT_EPTP_L   0x10000
#define AT_EPT      0x11000 /* PML4, PDPT, PD, PT */
#define AT_PDPTES   0x16000
#define AT_OPERANDS 0x18000
#define AT_STACK    0x20000
#define WORLD_EPTP  (AT_EPT | 0x5e) /* write-back, 4 levels, accessed and dirty flags */
#define TEST_MSR    0xc0000102u     /* IA32_KERNEL_GS_BASE: one that the engine does not hold */
#define BAD_MSR     0x12345678u     /* the only one whose RDMSR and WRMSR are #GP */

struct world {
	struct sx_vmx vmx;
	struct sx_vmx_cpu l1;
	struct sx_vmx_guest_state l2;
	uint64_t test_msr;
	uint64_t fault_page; /* linear address of a page that is not present, or SX_VMX_NONE */
	unsigned invepts, invvpids;
	uint64_t inv_type, inv_context, inv_linear;
	int cas_error; /* what the next cas64 returns, once; 0: works */
	uint8_t mem[WORLD_SIZE];
};

static inline uint8_t *world_at(struct world *w, uint64_t gpa, size_t len)
{
	return gpa < WORLD_SIZE && len <= WORLD_SIZE - gpa ? w->mem + gpa : NULL;
}

static inline int world_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	const uint8_t *p = world_at(ctx, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(buf, p, len);
	return 0;
}

static inline int world_write(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	uint8_t *p = world_at(ctx, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(p, buf, len);
	return 0;
}

static inline int world_cas64(void *ctx, uint64_t gpa, uint64_t old, uint64_t value)
{
	struct world *w = ctx;
	uint8_t *p = world_at(w, gpa, sizeof(old));
	int err = w->cas_error;

	w->cas_error = 0;
	if (err)
		return err;
	if (!p)
		return -EFAULT;
	if (memcmp(p, &old, sizeof(old)) != 0)
		return -EAGAIN;
	memcpy(p, &value, sizeof(value));
	return 0;
}

static inline int world_translate(void *ctx, const struct sx_vmx_cpu *cpu, uint64_t linear,
				  enum sx_vmx_access access, uint64_t *gpa, uint32_t *error)
{
	const struct world *w = ctx;

	(void)cpu;
	if ((linear & ~UINT64_C(0xfff)) == w->fault_page) {
		*error = access == SX_ACCESS_WRITE ? 2 : 0;
		return -EFAULT;
	}
	*gpa = linear;
	return 0;
}

static inline int world_msr_load(void *ctx, uint32_t index, uint64_t value)
{
	struct world *w = ctx;

	if (index == BAD_MSR)
		return -EINVAL;
	if (index == TEST_MSR)
		w->test_msr = value;
	return 0;
}

static inline int world_msr_store(void *ctx, uint32_t index, uint64_t *value)
{
	const struct world *w = ctx;

	if (index == BAD_MSR)
		return -EINVAL;
	*value = index == TEST_MSR ? w->test_msr : 0;
	return 0;
}

static inline void world_invept(void *ctx, uint64_t type, uint64_t eptp)
{
	struct world *w = ctx;

	w->invepts++;
	w->inv_type = type;
	w->inv_context = eptp;
}

static inline void world_invvpid(void *ctx, uint64_t type, uint16_t vpid, uint64_t linear)
{
	struct world *w = ctx;

	w->invvpids++;
	w->inv_type = type;
	w->inv_context = vpid;
	w->inv_linear = linear;
}

static const struct sx_vmx_ops world_ops = {
	.read = world_read,
	.write = world_write,
	.cas64 = world_cas64,
	.translate = world_translate,
	.msr_load = world_msr_load,
	.msr_store = world_msr_store,
	.invept = world_invept,
	.invvpid = world_invvpid,
};

static inline void put32(struct world *w, uint64_t gpa, uint32_t value)
{
	memcpy(w->mem + gpa, &value, sizeof(value));
}

static inline void put64(struct world *w, uint64_t gpa, uint64_t value)
{
	memcpy(w->mem + gpa, &value, sizeof(value));
}

static inline uint64_t get64(const struct world *w, uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, w->mem + gpa, sizeof(value));
	return value;
}

/* Field @encoding of the VMCS12 at AT_VMCS, as L1's memory has it. */
static inline uint64_t field(const struct world *w, uint32_t encoding)
{
	return get64(w, AT_VMCS + SX_VMCS_OFFSET(encoding)) & sx_vmcs_width_mask(encoding);
}

static inline void set_field(struct world *w, uint32_t encoding, uint64_t value)
{
	put64(w, AT_VMCS + SX_VMCS_OFFSET(encoding), value);
}

/* A flat 64-bit CPL 0 processor in VMX operation's fixed control registers. */
static inline void world_l1_64(struct sx_vmx_cpu *l1)
{
	*l1 = (struct sx_vmx_cpu){
		.rip = 0x1000,
		.rflags = 2,
		.cr0 = 0x80000033,
		.cr3 = 0x5000,
		.cr4 = SX_X86_CR4_PAE | SX_X86_CR4_VMXE,
		.dr7 = 0x400,
		.efer = SX_X86_EFER_LME | SX_X86_EFER_LMA | SX_X86_EFER_NXE | SX_X86_EFER_SCE,
		.pat = UINT64_C(0x0007040600070406),
	};
	l1->gpr[SX_RSP] = AT_STACK;
	for (unsigned i = 0; i < SX_SEG_COUNT; i++)
		l1->seg[i] = (struct sx_vmx_segment){
			.selector = 0x10, .limit = UINT32_MAX, .ar = 0xc093};
	l1->seg[SX_SEG_CS] =
		(struct sx_vmx_segment){.selector = 8, .limit = UINT32_MAX, .ar = 0xa09b};
}

/* The same as a flat 32-bit protected-mode processor with PAE paging. */
static inline void world_l1_32(struct sx_vmx_cpu *l1)
{
	world_l1_64(l1);
	l1->efer = 0;
	l1->seg[SX_SEG_CS].ar = 0xc09b;
}

struct field_value {
	uint32_t encoding;
	uint64_t value;
};

/* Everything that has an address or a sub-structure is in use: a corruption of it must show. */
static const struct field_value world_fields[] = {
	{SX_VMCS_PIN_CONTROLS, SX_PIN_DEFAULT1 | SX_PIN_EXT_INTR | SX_PIN_NMI |
				       SX_PIN_VIRTUAL_NMIS | SX_PIN_PREEMPTION_TIMER},
	{SX_VMCS_CPU_CONTROLS, SX_CPU_DEFAULT1 | SX_CPU_TPR_SHADOW | SX_CPU_IO_BITMAPS |
				       SX_CPU_MSR_BITMAPS | SX_CPU_HLT | SX_CPU_TSC_OFFSET |
				       SX_CPU_SECONDARY},
	{SX_VMCS_CPU2_CONTROLS, SX_CPU2_EPT | SX_CPU2_VPID | SX_CPU2_PML | SX_CPU2_VMFUNC |
					SX_CPU2_VMCS_SHADOW | SX_CPU2_RDTSCP | SX_CPU2_TSC_SCALING},
	{SX_VMCS_EXIT_CONTROLS, SX_EXITC_DEFAULT1 | SX_EXITC_HOST_64 | SX_EXITC_ACK_INTR |
					SX_EXITC_SAVE_PAT | SX_EXITC_LOAD_PAT | SX_EXITC_SAVE_EFER |
					SX_EXITC_LOAD_EFER | SX_EXITC_SAVE_TIMER |
					SX_EXITC_LOAD_PERF},
	{SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_DEFAULT1 | SX_ENTRYC_GUEST_64 | SX_ENTRYC_LOAD_PAT |
					 SX_ENTRYC_LOAD_EFER | SX_ENTRYC_LOAD_PERF},
	{SX_VMCS_CR3_TARGET_COUNT, 4},
	{SX_VMCS_IO_BITMAP_A, AT_IO_A},
	{SX_VMCS_IO_BITMAP_B, AT_IO_B},
	{SX_VMCS_MSR_BITMAP, AT_MSRS},
	{SX_VMCS_VIRTUAL_APIC, AT_VAPIC},
	{SX_VMCS_PML_ADDRESS, AT_PML},
	{SX_VMCS_GUEST_PML_INDEX, 511},
	{SX_VMCS_EPTP, WORLD_EPTP},
	{SX_VMCS_VPID, 7},
	{SX_VMCS_VM_FUNCTION_CONTROLS, SX_VMFUNC_EPTP_SWITCHING},
	{SX_VMCS_EPTP_LIST, AT_EPTP_L},
	{SX_VMCS_VMREAD_BITMAP, AT_VMREAD},
	{SX_VMCS_VMWRITE_BITMAP, AT_VMWRITE},
	{SX_VMCS_TSC_OFFSET, 1000},
	{SX_VMCS_TSC_MULTIPLIER, UINT64_C(1) << 47},
	{SX_VMCS_GUEST_PREEMPTION_TIMER, 12345},
	{SX_VMCS_LINK_POINTER, AT_SHADOW},
	{SX_VMCS_ENTRY_MSR_LOAD_ADDR, AT_ENTRY_L},
	{SX_VMCS_ENTRY_MSR_LOAD_COUNT, 1},
	{SX_VMCS_EXIT_MSR_STORE_ADDR, AT_EXIT_S},
	{SX_VMCS_EXIT_MSR_STORE_COUNT, 1},
	{SX_VMCS_EXIT_MSR_LOAD_ADDR, AT_EXIT_L},
	{SX_VMCS_EXIT_MSR_LOAD_COUNT, 1},
	{SX_VMCS_HOST_CR0, 0x80000033},
	{SX_VMCS_HOST_CR3, 0x5000},
	{SX_VMCS_HOST_CR4, SX_X86_CR4_PAE | SX_X86_CR4_VMXE},
	{SX_VMCS_HOST_CS_SEL, 0x08},
	{SX_VMCS_HOST_SS_SEL, 0x10},
	{SX_VMCS_HOST_DS_SEL, 0x10},
	{SX_VMCS_HOST_ES_SEL, 0x10},
	{SX_VMCS_HOST_FS_SEL, 0x18},
	{SX_VMCS_HOST_GS_SEL, 0},
	{SX_VMCS_HOST_TR_SEL, 0x40},
	{SX_VMCS_HOST_FS_BASE, 0x111000},
	{SX_VMCS_HOST_GS_BASE, UINT64_C(0xffff888000000000)},
	{SX_VMCS_HOST_TR_BASE, 0x222000},
	{SX_VMCS_HOST_GDTR_BASE, 0x333000},
	{SX_VMCS_HOST_IDTR_BASE, 0x444000},
	{SX_VMCS_HOST_SYSENTER_CS, 0x55},
	{SX_VMCS_HOST_SYSENTER_ESP, 0x555000},
	{SX_VMCS_HOST_SYSENTER_EIP, 0x556000},
	{SX_VMCS_HOST_RSP, 0x1ff8},
	{SX_VMCS_HOST_RIP, 0x7777},
	{SX_VMCS_HOST_PAT, 0x0606060606060606},
	{SX_VMCS_HOST_EFER, 0xd01},
	{SX_VMCS_HOST_PERF_GLOBAL, 1},
	{SX_VMCS_GUEST_CR0, 0x80000031},
	{SX_VMCS_GUEST_CR3, 0x9000},
	{SX_VMCS_GUEST_CR4, SX_X86_CR4_PAE | SX_X86_CR4_VMXE},
	{SX_VMCS_GUEST_DR7, 0x400},
	{SX_VMCS_GUEST_EFER, 0xd01},
	{SX_VMCS_GUEST_PAT, UINT64_C(0x0007040600070406)},
	{SX_VMCS_GUEST_PERF_GLOBAL, 3},
	{SX_VMCS_GUEST_RSP, 0x8000},
	{SX_VMCS_GUEST_RIP, 0x4000},
	{SX_VMCS_GUEST_RFLAGS, 0x202},
	{SX_VMCS_GUEST_ES_SEL, 0x10},
	{SX_VMCS_GUEST_CS_SEL, 0x08},
	{SX_VMCS_GUEST_SS_SEL, 0x10},
	{SX_VMCS_GUEST_DS_SEL, 0x10},
	{SX_VMCS_GUEST_FS_SEL, 0x10},
	{SX_VMCS_GUEST_GS_SEL, 0x10},
	{SX_VMCS_GUEST_LDTR_SEL, 0x20},
	{SX_VMCS_GUEST_TR_SEL, 0x18},
	{SX_VMCS_GUEST_ES_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_CS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_SS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_DS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_FS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_GS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_LDTR_LIMIT, 0xff},
	{SX_VMCS_GUEST_TR_LIMIT, 0x67},
	{SX_VMCS_GUEST_GDTR_LIMIT, 0xff},
	{SX_VMCS_GUEST_IDTR_LIMIT, 0xfff},
	{SX_VMCS_GUEST_ES_AR, 0xc093},
	{SX_VMCS_GUEST_CS_AR, 0xa09b},
	{SX_VMCS_GUEST_SS_AR, 0xc093},
	{SX_VMCS_GUEST_DS_AR, 0xc093},
	{SX_VMCS_GUEST_FS_AR, 0xc093},
	{SX_VMCS_GUEST_GS_AR, 0xc093},
	{SX_VMCS_GUEST_LDTR_AR, 0x82},
	{SX_VMCS_GUEST_TR_AR, 0x8b},
};

static inline void world_set_all(struct world *w, const struct field_value *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		set_field(w, list[i].encoding, list[i].value);
}

static inline void put_msr(struct world *w, uint64_t gpa, uint32_t index, uint64_t value)
{
	put32(w, gpa, index);
	put32(w, gpa + 4, 0);
	put64(w, gpa + 8, value);
}

/* Memory around the VMCS12: revisions and MSR areas. */
static inline void world_fill(struct world *w)
{
	put32(w, AT_VMXON, SX_VMCS12_REVISION);
	put32(w, AT_VMCS, SX_VMCS12_REVISION);
	put32(w, AT_SHADOW, SX_VMCS12_REVISION | SX_VMCS12_SHADOW);
	put_msr(w, AT_ENTRY_L, TEST_MSR, 0x1111);
	put_msr(w, AT_EXIT_S, TEST_MSR, 0);
	put_msr(w, AT_EXIT_L, TEST_MSR, 0x2222);
	world_set_all(w, world_fields, sizeof(world_fields) / sizeof(world_fields[0]));
}

/* An L1 that offers all there is; not in VMX operation yet. */
static inline void world_init(struct world *w)
{
	struct sx_vmx_caps caps;

	memset(w, 0, sizeof(*w));
	sx_vmx_caps_all(&caps, 40, UINT64_C(0x3727ff));
	sx_vmx_init(&w->vmx, &caps, &world_ops, w);
	w->fault_page = SX_VMX_NONE;
	w->vmx.feature_control = SX_FEATURE_CONTROL_LOCK | SX_FEATURE_CONTROL_VMXON;
	world_l1_64(&w->l1);
	world_fill(w);
}

/* The same, in VMX operation with the valid VMCS12 current. */
static inline void world_init_current(struct world *w)
{
	world_init(w);
	w->vmx.on = true;
	w->vmx.vmxon_pointer = AT_VMXON;
	w->vmx.current = AT_VMCS;
}

#endif
