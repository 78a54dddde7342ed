// SPDX-License-Identifier: BSD-3-Clause
/* What the delivery of an interrupt or exception touches. Sections are those of SDM Vol. 3A. */
#include "nested/l2_touch.h"
#include "nested/vmx_internal.h"

#define GATE_TASK        5u
#define DESC_DPL(d)      ((unsigned)((d) >> 45 & 3))
#define DESC_CONFORMING  (UINT64_C(1) << 42)
#define TSS_IS_32BIT(ar) ((ar)&8)

struct gate {
	uint16_t selector;
	unsigned type; /* bit 3: 32-bit, or 64-bit in IA-32e mode */
	unsigned ist;
};

static bool has_long_mode(const struct sx_l2_touch *touch)
{
	return touch->state->cpu.efer & SX_X86_EFER_LMA;
}

/* What the limit of the IDT excludes becomes another vector: 6.10. */
static bool within_idt(const struct sx_l2_touch *touch, unsigned vector, unsigned size)
{
	return vector * size + size - 1 <= touch->state->cpu.idtr.limit;
}

static unsigned gate_size(const struct sx_l2_touch *touch)
{
	if (!(touch->state->cpu.cr0 & SX_X86_CR0_PE))
		return 4;
	return has_long_mode(touch) ? 16 : 8;
}

/* 6.11, 6.14.1. */
static bool read_gate(struct sx_l2_touch *touch, unsigned vector, struct gate *gate)
{
	unsigned size = gate_size(touch);
	uint64_t e[2] = {0};

	if (!sx_l2_touch_linear(touch, touch->state->cpu.idtr.base + (uint64_t)vector * size, size,
				SX_ACCESS_READ, false, e))
		return false;
	*gate = (struct gate){
		.selector = (uint16_t)(e[0] >> 16),
		.type = e[0] >> 40 & 0xf,
		.ist = has_long_mode(touch) ? e[0] >> 32 & 7 : 0,
	};
	return true;
}

/* Read @size bytes of the TSS; @value is zero-extended. */
static bool read_tss(struct sx_l2_touch *touch, unsigned offset, size_t size, uint64_t *value)
{
	*value = 0;
	return sx_l2_touch_linear(touch, touch->state->cpu.seg[SX_SEG_TR].base + offset, size,
				  SX_ACCESS_READ, false, value);
}

/* Push @size bytes below @top at @cpl. */
static bool push(struct sx_l2_touch *touch, uint64_t top, size_t size, unsigned cpl)
{
	return sx_l2_touch_linear(touch, top - size, size, SX_ACCESS_WRITE, cpl == 3, NULL);
}

/* 6.14.2, 6.14.4, 6.14.5, 7.7: RSP from the TSS on a change of privilege, or the gate's IST. */
static bool deliver_long(struct sx_l2_touch *touch, const struct gate *gate, unsigned cpl,
			 bool error_code)
{
	uint64_t rsp = touch->state->cpu.gpr[SX_RSP];

	if (gate->ist) {
		if (!read_tss(touch, 28 + 8 * gate->ist, 8, &rsp))
			return false;
	} else if (cpl != sx_vmx_cpl(&touch->state->cpu)) {
		if (!read_tss(touch, 4 + 8 * cpl, 8, &rsp))
			return false;
	}
	return push(touch, rsp & ~UINT64_C(15), error_code ? 48 : 40, cpl);
}

/* SS and ESP of @cpl from the TSS: 7.2.1, 7.6. The descriptor of SS gives the stack's base. */
static bool switch_stack(struct sx_l2_touch *touch, unsigned cpl, uint64_t *top)
{
	bool is_32bit = TSS_IS_32BIT(touch->state->cpu.seg[SX_SEG_TR].ar);
	unsigned word = is_32bit ? 4 : 2, at = word * (1 + 2 * cpl);
	uint64_t sp, ss, descriptor;

	if (!read_tss(touch, at, word, &sp) || !read_tss(touch, at + word, 2, &ss) ||
	    !sx_l2_touch_descriptor(touch, (uint16_t)ss, true, &descriptor))
		return false;
	*top = (descriptor >> 16 & 0xffffff) + (descriptor >> 32 & 0xff000000) + sp;
	return true;
}

/* 6.12.1, 20.3 (virtual-8086 mode: the data segments are pushed too). */
static bool deliver_protected(struct sx_l2_touch *touch, const struct gate *gate, unsigned cpl,
			      bool error_code)
{
	const struct sx_vmx_cpu *cpu = &touch->state->cpu;
	const struct sx_vmx_segment *ss = &cpu->seg[SX_SEG_SS];
	unsigned word = gate->type & 8 ? 4 : 2, words = error_code ? 4 : 3;
	uint64_t sp = cpu->gpr[SX_RSP] & (ss->ar & SX_AR_DB ? UINT32_MAX : 0xffff);
	uint64_t top = ss->base + sp;

	if (cpl != sx_vmx_cpl(cpu)) {
		if (!switch_stack(touch, cpl, &top))
			return false;
		words += cpu->rflags & SX_X86_RFLAGS_VM ? 6 : 2;
	}
	return push(touch, top, (size_t)word * words, cpl);
}

/* 20.1.4: the table of far pointers, and FLAGS, CS and IP on the stack. */
static bool deliver_real(struct sx_l2_touch *touch, unsigned vector)
{
	const struct sx_vmx_cpu *cpu = &touch->state->cpu;
	uint64_t top = cpu->seg[SX_SEG_SS].base + (cpu->gpr[SX_RSP] & 0xffff);

	return sx_l2_touch_linear(touch, cpu->idtr.base + (uint64_t)vector * 4, 4, SX_ACCESS_READ,
				  false, NULL) &&
	       push(touch, top, 6, 0);
}

bool sx_l2_touch_event(struct sx_l2_touch *touch, unsigned vector, bool error_code)
{
	unsigned cpl = sx_vmx_cpl(&touch->state->cpu);
	struct gate gate;
	uint64_t code;

	if (!within_idt(touch, vector, gate_size(touch)))
		return true;
	if (!(touch->state->cpu.cr0 & SX_X86_CR0_PE))
		return deliver_real(touch, vector);
	if (!read_gate(touch, vector, &gate) ||
	    !sx_l2_touch_descriptor(touch, gate.selector, gate.type != GATE_TASK, &code))
		return false;
	if (gate.type == GATE_TASK)
		return true;
	if (!(code & DESC_CONFORMING) && DESC_DPL(code) < cpl)
		cpl = DESC_DPL(code);
	return has_long_mode(touch) ? deliver_long(touch, &gate, cpl, error_code)
				    : deliver_protected(touch, &gate, cpl, error_code);
}
