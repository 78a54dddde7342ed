// SPDX-License-Identifier: BSD-3-Clause
/* L2's port accesses: SDM 3C 28.2.1, table 28-5. */
#include <linux/kvm.h>
#include <string.h>

#include "nested/nested_internal.h"
#include "nested/paging.h"

/* ---- L2's memory, looked at without setting flags ---- */

static bool l1_address(struct sx_l1 *l1, uint64_t gpa, uint64_t *l1_gpa)
{
	struct sx_ept12_access access = {.gpa = gpa};
	struct sx_vmx_exit exit = {0};
	struct sx_ept12_map map;

	if (sx_l2_vm_find(l1->l2->vm, gpa, SX_ACCESS_READ, l1_gpa))
		return true;
	if (!l1->state.eptp) {
		*l1_gpa = gpa;
		return true;
	}
	if (sx_ept12_translate(&l1->vmx, l1->state.eptp, &access, &map, &exit) != SX_EPT12_MAPPED)
		return false;
	*l1_gpa = map.gpa;
	return true;
}

static int read_l2(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	struct sx_l1 *l1 = ctx;
	uint64_t at;

	if (!l1_address(l1, gpa, &at))
		return -1;
	return sx_l1_ops.read(l1, at, buf, len);
}

size_t sx_l2_fetch(struct sx_l1 *l1, uint64_t linear, void *to, size_t len)
{
	size_t done = 0;

	pthread_mutex_lock(&l1->l2->lock);
	while (done < len) {
		size_t part = 4096 - ((linear + done) & 4095);
		struct sx_paging_result at;

		if (part > len - done)
			part = len - done;
		if (sx_paging_walk(&l1->state.cpu, linear + done, 0, false, read_l2, l1, &at) !=
			    SX_PAGING_OK ||
		    read_l2(l1, at.gpa, (uint8_t *)to + done, part) != 0)
			break;
		done += part;
	}
	pthread_mutex_unlock(&l1->l2->lock);
	return done;
}

/* ---- the instruction ---- */

#define MAX_BACK 4u

struct io_insn {
	unsigned length;
	bool string, rep, immediate;
};

static bool is_prefix(uint8_t byte)
{
	return byte == 0x66 || byte == 0x67 || byte == 0xf2 || byte == 0xf3 || byte == 0x2e ||
	       byte == 0x36 || byte == 0x3e || byte == 0x26 || byte == 0x64 || byte == 0x65;
}

/* IN, OUT, INS, OUTS (Vol. 2A, 2B) for port @io->port in @bytes. */
static bool decode(const struct sx_vmx_io *io, const uint8_t *bytes, size_t len,
		   struct io_insn *insn)
{
	size_t i = 0;
	uint8_t op;

	*insn = (struct io_insn){0};
	for (; i < len && is_prefix(bytes[i]); i++)
		insn->rep |= (bytes[i] & 0xfe) == 0xf2;
	if (i < len && (bytes[i] & 0xf0) == 0x40)
		i++; /* REX */
	if (i >= len)
		return false;
	op = bytes[i++];
	insn->string = (op & 0xfc) == 0x6c;
	insn->immediate = (op & 0xfc) == 0xe4;
	if (!insn->string && !insn->immediate && (op & 0xfc) != 0xec)
		return false;
	if (io->in != !(op & 2) || (io->size == 1) != !(op & 1))
		return false;
	if (insn->immediate && (i >= len || bytes[i++] != io->port))
		return false;
	insn->length = (unsigned)i;
	return true;
}

/* What lies around RIP: an instruction of one prefix, opcode and port may have ended there. */
struct around_rip {
	uint8_t bytes[MAX_BACK + SX_VMX_MAX_INSN];
	size_t begin, end; /* of what could be read */
};

static void look_around(struct sx_l1 *l1, struct around_rip *around)
{
	uint64_t rip = sx_vmx_linear_rip(&l1->state.cpu);

	around->begin = 0;
	around->end = sx_l2_fetch(l1, rip - MAX_BACK, around->bytes, sizeof(around->bytes));
	if (around->end >= MAX_BACK)
		return;
	around->begin = MAX_BACK;
	around->end = MAX_BACK + sx_l2_fetch(l1, rip, around->bytes + MAX_BACK, SX_VMX_MAX_INSN);
}

static bool saw_all(const struct around_rip *around)
{
	return around->begin == 0 && around->end == sizeof(around->bytes);
}

static bool at_rip(const struct around_rip *around, const struct sx_vmx_io *io,
		   struct io_insn *insn)
{
	return decode(io, around->bytes + MAX_BACK, around->end - MAX_BACK, insn);
}

/* The longest that ends just before RIP. */
static bool before_rip(const struct around_rip *around, const struct sx_vmx_io *io,
		       struct io_insn *insn)
{
	for (size_t at = around->begin; at < MAX_BACK; at++)
		if (decode(io, around->bytes + at, MAX_BACK - at, insn) &&
		    insn->length == MAX_BACK - at)
			return true;
	return false;
}

/* IN and OUT are 1 byte long with the port in DX, 2 with it in the instruction; a prefix more
 * where the size is not the usual one. */
static bool is_immediate(const struct sx_vmx_cpu *cpu, unsigned size, uint64_t length)
{
	bool code16 = !(cpu->seg[SX_SEG_CS].ar & (SX_AR_DB | SX_AR_L));
	unsigned usual = code16 ? 2 : 4;
	unsigned prefixes = size != 1 && size != usual;

	return length == 2 + prefixes;
}

/* OUTS has advanced its registers: back to before the elements of this run. */
static void undo_string(struct sx_vmx_cpu *cpu, const struct kvm_run *run, bool rep)
{
	uint64_t bytes = (uint64_t)run->io.count * run->io.size;

	cpu->gpr[SX_RSI] += cpu->rflags & SX_X86_RFLAGS_DF ? bytes : -bytes;
	if (rep)
		cpu->gpr[SX_RCX] += run->io.count;
}

/* KVM has left it behind; L1 is shown L2 before it. */
static void step_back(struct sx_vmx_cpu *cpu, const struct kvm_run *run, const struct io_insn *insn)
{
	cpu->rip -= insn->length;
	if (insn->string)
		undo_string(cpu, run, insn->rep);
}

/*
 * KVM stands before the instruction and steps over it when it is finished; where it emulates
 * (string instructions; all of them on some), it has left an OUT behind already. Finishing it tells
 * which, and how long the instruction is.
 */
static bool finish(struct sx_l1 *l1, struct sx_l2_vcpu *v, const struct sx_vmx_io *io,
		   const struct around_rip *around, struct io_insn *insn)
{
	struct sx_vmx_cpu *cpu = &l1->state.cpu;
	uint64_t rdi = cpu->gpr[SX_RDI], length;
	bool moved;

	sx_l2_vcpu_flush(v);
	length = sx_l2_vcpu_rip(v) - cpu->rip;
	moved = v->run->s.regs.regs.rdi != rdi; /* INS */
	if (length && length <= SX_VMX_MAX_INSN && !moved && v->run->io.count == 1) {
		*insn = (struct io_insn){
			.length = (unsigned)length,
			.immediate = is_immediate(cpu, io->size, length),
		};
		return true;
	}
	if (length)
		return at_rip(around, io, insn);
	if (!before_rip(around, io, insn))
		return false;
	step_back(cpu, v->run, insn);
	return true;
}

/*
 * To know an OUT by its bytes spares a KVM_RUN: one lies either at RIP, and KVM stands before it,
 * or before RIP, and nothing is left to be finished. An IN is not taken so: KVM may have to be
 * given the value.
 */
static bool locate(struct sx_l1 *l1, struct sx_l2_vcpu *v, const struct sx_vmx_io *io,
		   struct io_insn *insn)
{
	struct around_rip around;
	struct io_insn behind;
	bool is_behind;

	look_around(l1, &around);
	is_behind = before_rip(&around, io, &behind);
	if (io->in || v->run->io.count != 1 || !saw_all(&around) ||
	    at_rip(&around, io, insn) == is_behind || (is_behind ? behind : *insn).string)
		return finish(l1, v, io, &around, insn);
	if (is_behind) {
		*insn = behind;
		step_back(&l1->state.cpu, v->run, insn);
	} else {
		sx_l2_vcpu_leave(v, &l1->state.cpu);
	}
	return true;
}

/* ---- the exit ---- */

/* An access that L1 lets its guest make is to L1's own port. */
static enum sx_l2_next pass_on(struct sx_l1 *l1, struct kvm_run *run, bool in)
{
	const struct sx_exit_sink *sink = &l1->nested->config.vcpu[l1->index].sink;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		struct sx_exit x = {
			.kind = in ? SX_EXIT_PIO_IN : SX_EXIT_PIO_OUT,
			.size = run->io.size,
			.vcpu = l1->index,
			.addr = run->io.port,
		};

		if (!in)
			memcpy(&x.value, data, run->io.size);
		if (sink->handle(sink->ctx, &x) < 0)
			return SX_L2_BROKEN;
		if (in)
			memcpy(data, &x.value, run->io.size);
	}
	return SX_L2_AGAIN;
}

enum sx_l2_next sx_l2_exit_io(struct sx_l1 *l1, struct sx_l2_vcpu *v, struct sx_vmx_exit *exit)
{
	const struct sx_vmx_cpu *cpu = &l1->state.cpu;
	struct sx_vmx_io io = {
		.port = v->run->io.port,
		.size = v->run->io.size,
		.in = v->run->io.direction == KVM_EXIT_IO_IN,
	};
	struct io_insn insn;

	if (!sx_vmx_on_io(&l1->vmx, &io, exit))
		return pass_on(l1, v->run, io.in);
	if (!locate(l1, v, &io, &insn))
		return SX_L2_BROKEN;
	io.string = insn.string;
	io.rep = insn.rep;
	io.immediate = insn.immediate;
	sx_vmx_on_io(&l1->vmx, &io, exit);
	exit->insn_length = insn.length;
	if (insn.string) { /* 28.2.1: the first element's address, for OUTS in DS as usual */
		exit->io_rcx = cpu->gpr[SX_RCX];
		exit->io_rsi = cpu->gpr[SX_RSI];
		exit->io_rdi = cpu->gpr[SX_RDI];
		exit->io_rip = cpu->rip;
		exit->linear = io.in ? cpu->gpr[SX_RDI] + cpu->seg[SX_SEG_ES].base
				     : cpu->gpr[SX_RSI] + cpu->seg[SX_SEG_DS].base;
	}
	return SX_L2_LEAVES;
}
