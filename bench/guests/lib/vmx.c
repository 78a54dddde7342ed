/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/guests/lib/vmx.h"

#define CR0       0x80050033ull
#define CR4       0x2620ull /* PAE, OSFXSR, OSXMMEXCPT, VMXE */
#define EFER      0xd01ull
#define USUAL_PAT 0x0007040600070406ull
#define EPT_RWX   7ull
#define EPT_LARGE (1ull << 7)
#define EPT_WB    (6ull << 3)
#define EPTP      (6ull | 3ull << 3) /* write-back, four levels: SDM 3C 25.6.11 */
#define LARGE     (2ull << 20)
#define PAGE      4096ull

/* ---- messages ---- */

void guest_vmx_open(struct guest_vmx *v, const struct sx_boot_info *boot, unsigned vcpu)
{
	uint8_t *at = (uint8_t *)(uintptr_t)boot->vmx_lines + (size_t)vcpu * SX_LINE_STRIDE;
	struct sx_line_cpu *cpu;

	GUEST_ASSERT(boot->vmx_lines != 0);
	memset(v, 0, sizeof(*v));
	v->line = (struct sx_vmx_line *)(void *)at;
	GUEST_ASSERT(v->line->version == SX_WIRE_VERSION);
	sx_producer_init(&v->ring, (struct sx_ring *)(void *)(at + SX_LINE_RING),
			 SX_LINE_RING_ORDER);
	cpu = &v->line->cpu;
	cpu->rflags = 2;
	cpu->cr0 = CR0;
	cpu->cr3 = SX_GUEST_TABLES;
	cpu->cr4 = CR4;
	cpu->efer = EFER;
	cpu->pat = USUAL_PAT;
	cpu->dr7 = 0x400;
	cpu->selector[1] = SX_GUEST_CS;
}

static void kick(const struct guest_vmx *v, enum sx_line_op op)
{
	uint32_t flags = v->line->flags;
	int entry = op == SX_LINE_VMLAUNCH || op == SX_LINE_VMRESUME || op == SX_LINE_EXECUTE;

	if (flags & SX_LINE_KICK_EACH || (entry && flags & SX_LINE_KICK_ENTRY))
		reg_write((uint64_t *)(uintptr_t)v->line->kick, v->line->kick_value);
}

struct sx_cell *guest_vmx_call(struct guest_vmx *v, enum sx_line_op op, uint64_t a, uint64_t b,
			       uint64_t c)
{
	struct sx_cell *cell = sx_producer_cell(&v->ring, v->ring.next);
	uint32_t n;

	cell->op = (uint16_t)op;
	cell->w[0] = a;
	cell->w[1] = b;
	cell->w[2] = c;
	n = sx_producer_publish(&v->ring);
	kick(v, op);
	while (!sx_producer_replied(&v->ring, n))
		;
	return sx_producer_cell(&v->ring, n);
}

static void must(const struct sx_cell *reply)
{
	GUEST_ASSERT(reply->arg == SX_LINE_SUCCEED);
}

void guest_vmx_on(struct guest_vmx *v, void *region)
{
	struct sx_vmcs12 *vmcs = region;

	vmcs->revision = SX_VMCS12_REVISION;
	must(guest_vmx_call(v, SX_LINE_WRMSR, SX_MSR_FEATURE_CONTROL,
			    SX_FEATURE_CONTROL_LOCK | SX_FEATURE_CONTROL_VMXON, 0));
	must(guest_vmx_call(v, SX_LINE_VMXON, (uintptr_t)region, 0, 0));
}

void guest_vmx_load(struct guest_vmx *v, struct sx_vmcs12 *vmcs)
{
	vmcs->revision = SX_VMCS12_REVISION;
	must(guest_vmx_call(v, SX_LINE_VMCLEAR, (uintptr_t)vmcs, 0, 0));
	must(guest_vmx_call(v, SX_LINE_VMPTRLD, (uintptr_t)vmcs, 0, 0));
	v->vmcs = vmcs;
}

enum sx_line_outcome guest_vmx_enter(struct guest_vmx *v, enum sx_line_op op)
{
	return (enum sx_line_outcome)guest_vmx_call(v, op, 0, 0, 0)->arg;
}

/* ---- a VMCS ---- */

struct field_value {
	uint32_t field;
	uint64_t value;
};

#define AR_CODE64 0xa0fbu
#define AR_DATA   0xc0f3u
#define AR_TSS    0x8bu
#define AR_NONE   (1u << 16)

/* Bits that must be 1 come with SX_..._DEFAULT1; what else is there is wanted. */
static const struct field_value fixed[] = {
	{SX_VMCS_PIN_CONTROLS, SX_PIN_DEFAULT1 | SX_PIN_EXT_INTR | SX_PIN_NMI},
	{SX_VMCS_CPU_CONTROLS,
	 SX_CPU_TRUE_DEFAULT1 | SX_CPU_HLT | SX_CPU_UNCOND_IO | SX_CPU_SECONDARY},
	{SX_VMCS_CPU2_CONTROLS, SX_CPU2_EPT},
	{SX_VMCS_EXIT_CONTROLS, SX_EXITC_TRUE_DEFAULT1 | SX_EXITC_HOST_64 | SX_EXITC_ACK_INTR |
					SX_EXITC_SAVE_EFER | SX_EXITC_LOAD_EFER},
	{SX_VMCS_ENTRY_CONTROLS,
	 SX_ENTRYC_TRUE_DEFAULT1 | SX_ENTRYC_GUEST_64 | SX_ENTRYC_LOAD_EFER},
	{SX_VMCS_LINK_POINTER, ~0ull},
	{SX_VMCS_HOST_CR0, CR0},
	{SX_VMCS_HOST_CR3, SX_GUEST_TABLES},
	{SX_VMCS_HOST_CR4, CR4},
	{SX_VMCS_HOST_EFER, EFER},
	{SX_VMCS_HOST_CS_SEL, SX_GUEST_CS & ~7u},
	{SX_VMCS_HOST_TR_SEL, SX_GUEST_TSS},
	{SX_VMCS_GUEST_CR0, CR0},
	{SX_VMCS_GUEST_CR3, SX_GUEST_TABLES},
	{SX_VMCS_GUEST_CR4, CR4},
	{SX_VMCS_GUEST_EFER, EFER},
	{SX_VMCS_GUEST_CS_SEL, SX_GUEST_CS},
	{SX_VMCS_GUEST_CS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_CS_AR, AR_CODE64},
	{SX_VMCS_GUEST_SS_SEL, SX_GUEST_SS},
	{SX_VMCS_GUEST_SS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_SS_AR, AR_DATA},
	{SX_VMCS_GUEST_DS_SEL, SX_GUEST_SS},
	{SX_VMCS_GUEST_DS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_DS_AR, AR_DATA},
	{SX_VMCS_GUEST_ES_SEL, SX_GUEST_SS},
	{SX_VMCS_GUEST_ES_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_ES_AR, AR_DATA},
	{SX_VMCS_GUEST_FS_SEL, SX_GUEST_SS},
	{SX_VMCS_GUEST_FS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_FS_AR, AR_DATA},
	{SX_VMCS_GUEST_GS_SEL, SX_GUEST_SS},
	{SX_VMCS_GUEST_GS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_GS_AR, AR_DATA},
	{SX_VMCS_GUEST_LDTR_AR, AR_NONE},
	{SX_VMCS_GUEST_TR_SEL, SX_GUEST_TSS},
	{SX_VMCS_GUEST_TR_BASE, SX_GUEST_TSS_BASE},
	{SX_VMCS_GUEST_TR_LIMIT, SX_GUEST_TSS_LIMIT},
	{SX_VMCS_GUEST_TR_AR, AR_TSS},
	{SX_VMCS_GUEST_GDTR_BASE, SX_GUEST_GDT},
	{SX_VMCS_GUEST_GDTR_LIMIT, SX_GUEST_TSS + 15},
	{SX_VMCS_GUEST_IDTR_BASE, SX_GUEST_IDT},
	{SX_VMCS_GUEST_IDTR_LIMIT, PAGE - 1},
	{SX_VMCS_GUEST_DR7, 0x400},
	{SX_VMCS_GUEST_RFLAGS, 0x3202}, /* IF, and IOPL 3 for ports at CPL3 */
};

void guest_vmx_fill(struct guest_vmx *v, void (*rip)(void), uint64_t rsp, uint64_t eptp)
{
	for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		sx_vmcs12_set(v->vmcs, fixed[i].field, fixed[i].value);
	sx_vmcs12_set(v->vmcs, SX_VMCS_GUEST_RIP, (uintptr_t)rip);
	sx_vmcs12_set(v->vmcs, SX_VMCS_GUEST_RSP, rsp);
	sx_vmcs12_set(v->vmcs, SX_VMCS_EPTP, eptp);
}

uint64_t guest_ept_identity(uint64_t *tables, uint64_t size)
{
	uint64_t *pml4 = tables, *pdpt = tables + 512, *pd = tables + 1024;

	memset(tables, 0, GUEST_EPT_PAGES * PAGE);
	pml4[0] = (uintptr_t)pdpt | EPT_RWX;
	for (uint64_t at = 0; at < size; at += LARGE) {
		pdpt[at >> 30] = ((uintptr_t)pd + (at >> 30) * PAGE) | EPT_RWX;
		pd[at / LARGE] = at | EPT_RWX | EPT_WB | EPT_LARGE;
	}
	return (uintptr_t)pml4 | EPTP;
}

/* Table 5 is the page directory of the fourth GiB, table 6 the page table in it. */
void guest_ept_map_page(uint64_t *tables, uint64_t gpa)
{
	uint64_t *pdpt = tables + 512, *pd = tables + 5 * 512ul, *pt = tables + 6 * 512ul;

	GUEST_ASSERT(gpa >> 30 == 3);
	pdpt[3] = (uintptr_t)pd | EPT_RWX;
	pd[gpa / LARGE % 512] = (uintptr_t)pt | EPT_RWX;
	pt[gpa / PAGE % 512] = gpa | EPT_RWX | EPT_WB;
}

/* ---- by #UD ---- */

static struct guest_vmx *trapping;

extern const uint8_t guest_ud_stub[];

void guest_vmx_trap_ud(struct guest_vmx *v)
{
	trapping = v;
	guest_set_gate(6, guest_ud_stub);
}

/* VMREAD and VMWRITE between registers: 0F 78 /r, 0F 79 /r (SDM 3C 31.3); 0 if it is neither. */
static unsigned register_form(const uint8_t *code, unsigned *op, unsigned *reg, unsigned *rm)
{
	unsigned rex = 0, n = 0;

	if ((code[0] & 0xf0) == 0x40)
		rex = code[n++];
	if (code[n] != 0x0f || (code[n + 1] & 0xfe) != 0x78 || (code[n + 2] & 0xc0) != 0xc0)
		return 0;
	*op = code[n + 1];
	*reg = (code[n + 2] >> 3 & 7) | (rex & 4 ? 8 : 0);
	*rm = (code[n + 2] & 7) | (rex & 1 ? 8 : 0);
	return n + 3;
}

static uint64_t *gpr(struct guest_ud_frame *f, unsigned i)
{
	return i == 4 ? &f->rsp : &f->gpr[i];
}

/* From the current VMCS12, without a message; 0: not one of those, or no such field. */
static int serve_here(struct guest_vmx *v, struct guest_ud_frame *f)
{
	unsigned op, reg, rm, length;
	uint64_t encoding;
	int slot;

	length = register_form((const uint8_t *)(uintptr_t)f->rip, &op, &reg, &rm);
	if (!length || v->line->current_vmcs == ~0ull)
		return 0;
	encoding = *gpr(f, reg);
	slot = sx_vmcs12_slot(encoding);
	if (slot < 0 || SX_VMCS_HIGH((uint32_t)encoding) ||
	    !(v->line->slots[slot / 64] >> (slot % 64) & 1))
		return 0;
	v->vmcs = (struct sx_vmcs12 *)(uintptr_t)v->line->current_vmcs;
	if (op == 0x78)
		*gpr(f, rm) = sx_vmcs12_get(v->vmcs, (uint32_t)encoding);
	else
		sx_vmcs12_set(v->vmcs, (uint32_t)encoding, *gpr(f, rm));
	f->rflags &= ~0x8d5ull; /* VMsucceed: 31.2 */
	f->rip += length;
	return 1;
}

void guest_vmx_on_ud(struct guest_ud_frame *f)
{
	struct guest_vmx *v = trapping;
	struct sx_line_cpu *cpu = &v->line->cpu;
	uint64_t bytes[2];
	struct sx_cell *reply;

	if (serve_here(v, f))
		return;
	memcpy(bytes, (const void *)(uintptr_t)f->rip, sizeof(bytes));
	memcpy(cpu->gpr, f->gpr, sizeof(cpu->gpr));
	cpu->gpr[4] = f->rsp;
	cpu->rip = f->rip;
	cpu->rflags = f->rflags;
	reply = guest_vmx_call(v, SX_LINE_EXECUTE, bytes[0], bytes[1], 0);
	if (reply->arg == SX_LINE_FAULT || reply->arg >= SX_LINE_ABORTED) {
		guest_printf("VMX instruction at 0x%llx: outcome %u, 0x%llx\n",
			     (unsigned long long)f->rip, (unsigned)reply->arg,
			     (unsigned long long)reply->w[0]);
		guest_exit(4);
	}
	memcpy(f->gpr, cpu->gpr, sizeof(f->gpr));
	f->rsp = cpu->gpr[4];
	f->rip = cpu->rip;
	/* What L1 believes is CPL 0 without IOPL 3, we have to keep. */
	f->rflags = (cpu->rflags & 0x8d5) | (f->rflags & ~0x8d5ull);
}
