/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A micro-guest as L1: VMX instructions over its line (ipc/wire/vmx_line.h).
 *
 * Two ways. The functions here send an instruction's message themselves, as a hypervisor does that
 * knows of the line. After guest_vmx_trap_ud() the instructions themselves may be executed: each
 * raises #UD at CPL3, and the handler sends the message.
 *
 * L1 plays a processor at CPL 0 with CR4.VMXE; the registers that it does not have are those of
 * guest_vmx_open().
 */
#ifndef GUEST_VMX_H
#define GUEST_VMX_H

#include "bench/guests/lib/guest.h"
#include "ipc/wire/vmx_line.h"

struct guest_vmx {
	struct sx_vmx_line *line;
	struct sx_producer ring;
	struct sx_vmcs12 *vmcs; /* the current one; NULL: none */
	int by_message;         /* VMREAD and VMWRITE are sent, not served here: to compare */
};

/* The line of @vcpu. Ends the guest where there is none. */
void guest_vmx_open(struct guest_vmx *v, const struct sx_boot_info *boot, unsigned vcpu);

/* Send one instruction and wait for its reply, which lies in the cell until the next one. */
struct sx_cell *guest_vmx_call(struct guest_vmx *v, enum sx_line_op op, uint64_t a, uint64_t b,
			       uint64_t c);

/* FEATURE_CONTROL, VMXON with @region. */
void guest_vmx_on(struct guest_vmx *v, void *region);
/* VMCLEAR and VMPTRLD of the page @vmcs. */
void guest_vmx_load(struct guest_vmx *v, struct sx_vmcs12 *vmcs);

static inline uint64_t guest_vmread(struct guest_vmx *v, uint32_t field)
{
	if (v->by_message)
		return guest_vmx_call(v, SX_LINE_VMREAD, field, 0, 0)->w[3];
	return sx_vmcs12_get(v->vmcs, field);
}

static inline void guest_vmwrite(struct guest_vmx *v, uint32_t field, uint64_t value)
{
	if (v->by_message)
		guest_vmx_call(v, SX_LINE_VMWRITE, field, value, 0);
	else
		sx_vmcs12_set(v->vmcs, field, value);
}

/*
 * VMLAUNCH or VMRESUME, and L2 until it exits: a call that returns, wherever HOST_RIP points. L2's
 * general registers are line->cpu.gpr, before and after. Returns enum sx_line_outcome.
 */
enum sx_line_outcome guest_vmx_enter(struct guest_vmx *v, enum sx_line_op op);

/*
 * Controls, host state and guest state of a micro-L2: 64-bit at CPL3 in L1's own tables, at @rip
 * with @rsp, its physical memory by @eptp. Ports and HLT exit.
 */
void guest_vmx_fill(struct guest_vmx *v, void (*rip)(void), uint64_t rsp, uint64_t eptp);

/*
 * EPT tables of GUEST_EPT_PAGES at @tables that map [0, @size) to itself with pages of 2 MiB, up to
 * 3 GiB. Returns the EPT pointer.
 */
#define GUEST_EPT_PAGES 7u
uint64_t guest_ept_identity(uint64_t *tables, uint64_t size);
/* And one page of 4 KiB, of the fourth GiB. */
void guest_ept_map_page(uint64_t *tables, uint64_t gpa);

/* ---- by #UD ---- */

/* From now on #UD by a VMX instruction is a message on @v's line. */
void guest_vmx_trap_ud(struct guest_vmx *v);

/* The general registers at an #UD, in the order of their encodings, and the processor's frame. */
struct guest_ud_frame {
	uint64_t gpr[16]; /* gpr[4], RSP, is in the frame below */
	uint64_t rip, cs, rflags, rsp, ss;
};

/* What the handler does; also to be called alone, to be timed. */
void guest_vmx_on_ud(struct guest_ud_frame *f);

#endif
