// SPDX-License-Identifier: BSD-3-Clause
#include "nested/l2_vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guestcore/cpuid.h"
#include "ipc/rcu.h"

/* ---- life ---- */

static int prepare(struct sx_l2_vcpu *v)
{
	struct kvm_mp_state mp = {.mp_state = KVM_MP_STATE_RUNNABLE};
	int rc = sx_ioctl(v->fd, KVM_SET_MP_STATE, &mp);

	/* L1 has the APIC: KVM has none to ask, and takes any state as runnable. */
	if (rc == -EINVAL)
		rc = 0;
	if (rc == 0)
		rc = sx_ioctl(v->fd, KVM_GET_SREGS, &v->run->s.regs.sregs);
	if (rc == 0)
		rc = sx_ioctl(v->fd, KVM_GET_VCPU_EVENTS, &v->run->s.regs.events);
	v->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
	v->fresh = true;
	return rc;
}

int sx_l2_vcpu_create(struct sx_l2_vcpu *v, const struct sx_kvm *kvm, const struct sx_l2_vm *vm,
		      unsigned index, struct sx_error *err)
{
	int rc;

	memset(v, 0, sizeof(*v));
	v->kvm = kvm;
	rc = sx_vcpu_open(kvm, sx_l2_vm_fd(vm), index, &v->run, &v->stats, err);
	v->fd = rc < 0 ? -1 : rc;
	if (rc < 0)
		return rc;
	rc = prepare(v);
	if (rc < 0) {
		sx_fail(err, rc, "KVM does not give L2's first state: %s", strerror(-rc));
		goto fail;
	}
	rc = sx_l2_host_mark(v->fd, &v->mark, err);
	if (rc == 0)
		return 0;

fail:
	sx_vcpu_close(kvm, v->fd, v->run, &v->stats);
	v->fd = -1;
	return rc;
}

void sx_l2_vcpu_destroy(struct sx_l2_vcpu *v)
{
	if (v->fd < 0)
		return;
	free(v->xsave);
	if (v->mark >= 0)
		close(v->mark);
	sx_vcpu_close(v->kvm, v->fd, v->run, &v->stats);
	v->fd = -1;
}

/* ---- CPUID ---- */

#define FEATURES_EDX_APIC (1u << 9)            /* leaf 1 */
#define APIC_BASE         UINT64_C(0xfee00900) /* enabled, of a first processor: 3A 11.4.4 */

/* KVM shows the APIC's bit while the APIC is enabled (KVM_SET_CPUID2, api.rst), whose it may be. */
static void set_apic_base(struct sx_l2_vcpu *v, const struct kvm_cpuid2 *table)
{
	for (uint32_t i = 0; i < table->nent; i++)
		if (table->entries[i].function == 1 && table->entries[i].edx & FEATURES_EDX_APIC)
			v->run->s.regs.sregs.apic_base = APIC_BASE;
}

int sx_l2_vcpu_set_cpuid(struct sx_l2_vcpu *v, const struct sx_kvm *kvm,
			 const struct kvm_cpuid2 *table, struct sx_error *err)
{
	struct sx_cpuid supported;
	int rc;

	if (table && sx_ioctl(v->fd, KVM_SET_CPUID2, (void *)(uintptr_t)table) == 0) {
		set_apic_base(v, table);
		return 0;
	}
	rc = sx_cpuid_get(&supported, kvm, err);
	if (rc < 0)
		return rc;
	rc = sx_ioctl(v->fd, KVM_SET_CPUID2, supported.table);
	if (rc < 0)
		sx_fail(err, rc, "KVM refuses L2's processor: %s", strerror(-rc));
	else
		set_apic_base(v, supported.table);
	sx_cpuid_free(&supported);
	return rc;
}

/* ---- general registers, in KVM's order and in the architecture's ---- */

void sx_cpu_to_regs(const struct sx_vmx_cpu *cpu, struct kvm_regs *r)
{
	*r = (struct kvm_regs){
		.rax = cpu->gpr[SX_RAX],
		.rbx = cpu->gpr[SX_RBX],
		.rcx = cpu->gpr[SX_RCX],
		.rdx = cpu->gpr[SX_RDX],
		.rsi = cpu->gpr[SX_RSI],
		.rdi = cpu->gpr[SX_RDI],
		.rsp = cpu->gpr[SX_RSP],
		.rbp = cpu->gpr[SX_RBP],
		.r8 = cpu->gpr[8],
		.r9 = cpu->gpr[9],
		.r10 = cpu->gpr[10],
		.r11 = cpu->gpr[11],
		.r12 = cpu->gpr[12],
		.r13 = cpu->gpr[13],
		.r14 = cpu->gpr[14],
		.r15 = cpu->gpr[15],
		.rip = cpu->rip,
		.rflags = cpu->rflags,
	};
}

void sx_cpu_from_regs(const struct kvm_regs *r, struct sx_vmx_cpu *cpu)
{
	const uint64_t gpr[SX_GPR_COUNT] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp,
					    r->rsi, r->rdi, r->r8,  r->r9,  r->r10, r->r11,
					    r->r12, r->r13, r->r14, r->r15};

	memcpy(cpu->gpr, gpr, sizeof(gpr));
	cpu->rip = r->rip;
	cpu->rflags = r->rflags;
}

/* ---- segments and control registers ---- */

static struct kvm_segment to_segment(const struct sx_vmx_segment *s)
{
	return (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.type = s->ar & 0xf,
		.s = s->ar >> 4 & 1,
		.dpl = s->ar >> 5 & 3,
		.present = s->ar >> 7 & 1,
		.avl = s->ar >> 12 & 1,
		.l = s->ar >> 13 & 1,
		.db = s->ar >> 14 & 1,
		.g = s->ar >> 15 & 1,
		.unusable = s->ar >> 16 & 1,
	};
}

/*
 * The accessed bit of what is in a segment register is 1, whatever that of its descriptor is, and
 * VM entry checks it; an emulated SVM leaves CS's as it was in memory.
 */
static struct sx_vmx_segment from_segment(const struct kvm_segment *s)
{
	uint32_t accessed = s->s && !s->unusable;

	return (struct sx_vmx_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.ar = s->type | accessed | (uint32_t)s->s << 4 | (uint32_t)s->dpl << 5 |
		      (uint32_t)s->present << 7 | (uint32_t)s->avl << 12 | (uint32_t)s->l << 13 |
		      (uint32_t)s->db << 14 | (uint32_t)s->g << 15 | (uint32_t)s->unusable << 16,
	};
}

static struct kvm_segment *segment_of(struct kvm_sregs *s, unsigned i)
{
	struct kvm_segment *const order[SX_SEG_COUNT] = {&s->es, &s->cs, &s->ss,  &s->ds,
							 &s->fs, &s->gs, &s->ldt, &s->tr};

	return order[i];
}

void sx_cpu_to_sregs(const struct sx_vmx_cpu *cpu, struct kvm_sregs *s)
{
	for (unsigned i = 0; i < SX_SEG_COUNT; i++)
		*segment_of(s, i) = to_segment(&cpu->seg[i]);
	s->gdt.base = cpu->gdtr.base;
	s->gdt.limit = (uint16_t)cpu->gdtr.limit;
	s->idt.base = cpu->idtr.base;
	s->idt.limit = (uint16_t)cpu->idtr.limit;
	s->cr0 = cpu->cr0;
	s->cr3 = cpu->cr3;
	s->cr4 = cpu->cr4 & ~SX_X86_CR4_VMXE;
	s->efer = cpu->efer;
}

void sx_cpu_from_sregs(struct kvm_sregs *s, struct sx_vmx_cpu *cpu)
{
	for (unsigned i = 0; i < SX_SEG_COUNT; i++)
		cpu->seg[i] = from_segment(segment_of(s, i));
	cpu->gdtr = (struct sx_vmx_table){s->gdt.base, s->gdt.limit};
	cpu->idtr = (struct sx_vmx_table){s->idt.base, s->idt.limit};
	cpu->cr0 = s->cr0;
	cpu->cr3 = s->cr3;
	cpu->cr4 = s->cr4 | (cpu->cr4 & SX_X86_CR4_VMXE);
	cpu->efer = s->efer;
}

static void to_sregs(const struct sx_l2_vcpu *v, const struct sx_vmx_cpu *cpu, struct kvm_sregs *s)
{
	sx_cpu_to_sregs(cpu, s);
	s->cr2 = v->cr2;
	s->cr8 = v->tpr;
	memset(s->interrupt_bitmap, 0, sizeof(s->interrupt_bitmap));
}

/* ---- events: SDM 3C 25.8.3 and 25.9.3, KVM_SET_VCPU_EVENTS ---- */

static void to_events(const struct sx_vmx_guest_state *state, struct kvm_vcpu_events *e)
{
	const struct sx_vmx_event *event = &state->event;
	uint32_t blocking = state->cpu.interruptibility;
	uint8_t vector = event->info & 0xff;

	*e = (struct kvm_vcpu_events){
		.flags = KVM_VCPUEVENT_VALID_SHADOW | (e->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT),
	};
	if (blocking & SX_BLOCK_STI)
		e->interrupt.shadow |= KVM_X86_SHADOW_INT_STI;
	if (blocking & SX_BLOCK_MOV_SS)
		e->interrupt.shadow |= KVM_X86_SHADOW_INT_MOV_SS;
	e->nmi.masked = !!(blocking & SX_BLOCK_NMI);
	if (!(event->info & SX_INTR_VALID))
		return;
	switch (SX_INTR_TYPE(event->info)) {
	case SX_INTR_EXTERNAL:
		e->interrupt.injected = 1;
		e->interrupt.nr = vector;
		break;
	case SX_INTR_SOFTWARE:
		e->interrupt.injected = 1;
		e->interrupt.soft = 1;
		e->interrupt.nr = vector;
		break;
	case SX_INTR_NMI:
		e->nmi.injected = 1;
		break;
	case SX_INTR_HARDWARE:
	case SX_INTR_SOFT_EXC:
	case SX_INTR_PRIVILEGED:
		e->exception.injected = 1;
		e->exception.nr = vector;
		e->exception.has_error_code = !!(event->info & SX_INTR_ERROR_CODE);
		e->exception.error_code = event->error_code;
		break;
	default:
		break; /* a pending monitor trap: nothing is delivered */
	}
}

static bool same_exception(const struct kvm_vcpu_events *a, const struct kvm_vcpu_events *b)
{
	if (a->exception.injected != b->exception.injected ||
	    a->exception.pending != b->exception.pending)
		return false;
	if (!a->exception.injected && !a->exception.pending)
		return true;
	return a->exception.nr == b->exception.nr &&
	       a->exception.has_error_code == b->exception.has_error_code &&
	       a->exception.error_code == b->exception.error_code;
}

static bool same_interrupt(const struct kvm_vcpu_events *a, const struct kvm_vcpu_events *b)
{
	if (a->interrupt.injected != b->interrupt.injected ||
	    a->interrupt.shadow != b->interrupt.shadow)
		return false;
	return !a->interrupt.injected ||
	       (a->interrupt.nr == b->interrupt.nr && a->interrupt.soft == b->interrupt.soft);
}

/*
 * Would KVM, which has @have, do anything else if it were given @want? If not it is left alone: it
 * does not tell of a software exception that it is about to deliver (KVM_GET_VCPU_EVENTS leaves
 * #BP and #OF out), and forgets that when it is given events.
 */
static bool same_events(const struct kvm_vcpu_events *want, const struct kvm_vcpu_events *have)
{
	return same_exception(want, have) && same_interrupt(want, have) &&
	       memcmp(&want->nmi, &have->nmi, sizeof(want->nmi)) == 0 &&
	       want->triple_fault.pending == have->triple_fault.pending;
}

static uint32_t soft_or_hard(uint8_t vector)
{
	return vector == SX_VEC_BP || vector == 4 ? SX_INTR_SOFT_EXC : SX_INTR_HARDWARE;
}

static struct sx_vmx_event from_events(const struct kvm_vcpu_events *e, uint32_t length)
{
	struct sx_vmx_event event = {0};

	if (e->exception.injected) {
		event.info = SX_INTR_VALID | e->exception.nr | soft_or_hard(e->exception.nr) << 8 |
			     (e->exception.has_error_code ? SX_INTR_ERROR_CODE : 0);
		event.error_code = e->exception.error_code;
	} else if (e->nmi.injected) {
		event.info = SX_INTR_VALID | SX_VEC_NMI | SX_INTR_NMI << 8;
	} else if (e->interrupt.injected) {
		event.info = SX_INTR_VALID | e->interrupt.nr |
			     (e->interrupt.soft ? SX_INTR_SOFTWARE : SX_INTR_EXTERNAL) << 8;
	}
	if (event.info)
		event.insn_length = length;
	return event;
}

/* ---- entry and exit ---- */

void sx_l2_vcpu_load(struct sx_l2_vcpu *v, const struct sx_vmx_guest_state *state)
{
	struct kvm_sync_regs *have = &v->run->s.regs;
	struct kvm_sync_regs want;
	uint64_t dirty = 0;

	if (v->unfinished && v->unfinished_at == sx_vmx_linear_rip(&state->cpu))
		sx_l2_vcpu_flush(v);
	v->unfinished = false;
	want = *have;
	sx_cpu_to_regs(&state->cpu, &want.regs);
	to_sregs(v, &state->cpu, &want.sregs);
	to_events(state, &want.events);
	if (v->fresh || memcmp(&want.regs, &have->regs, sizeof(want.regs)) != 0)
		dirty |= KVM_SYNC_X86_REGS;
	if (v->fresh || memcmp(&want.sregs, &have->sregs, sizeof(want.sregs)) != 0)
		dirty |= KVM_SYNC_X86_SREGS;
	if (v->fresh || !same_events(&want.events, &have->events))
		dirty |= KVM_SYNC_X86_EVENTS;
	v->fresh = v->lost = false;
	v->loaded = state->cpu;
	*have = want;
	v->run->kvm_dirty_regs = dirty;
	v->run->cr8 = v->tpr;
}

/*
 * SVM has one shadow for both, and KVM says both; VM entry takes one of them, and that by STI only
 * with RFLAGS.IF (SDM 3C 27.3.1.5).
 */
static uint32_t blocking_of(uint8_t shadow, uint64_t rflags)
{
	const uint8_t both = KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS;

	if ((shadow & both) == both)
		return rflags & SX_X86_RFLAGS_IF ? SX_BLOCK_STI : SX_BLOCK_MOV_SS;
	if (shadow & KVM_X86_SHADOW_INT_STI)
		return SX_BLOCK_STI;
	return shadow & KVM_X86_SHADOW_INT_MOV_SS ? SX_BLOCK_MOV_SS : 0;
}

void sx_l2_vcpu_save(struct sx_l2_vcpu *v, struct sx_vmx_guest_state *state)
{
	struct kvm_sync_regs *r = &v->run->s.regs;
	uint32_t length = state->event.insn_length;

	v->cr2 = r->sregs.cr2;
	state->cpu = v->loaded;
	sx_cpu_from_regs(&r->regs, &state->cpu);
	sx_cpu_from_sregs(&r->sregs, &state->cpu);
	state->cpu.activity = SX_ACTIVE;
	state->cpu.interruptibility = blocking_of(r->events.interrupt.shadow, state->cpu.rflags);
	if (r->events.nmi.masked)
		state->cpu.interruptibility |= SX_BLOCK_NMI;
	state->event = from_events(&r->events, length);
	v->tpr = (uint8_t)v->run->cr8;
}

bool sx_l2_vcpu_shuts_down(const struct sx_l2_vcpu *v)
{
	const struct kvm_vcpu_events *e = &v->run->s.regs.events;

	return (e->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) && e->triple_fault.pending;
}

void sx_l2_vcpu_forget(struct sx_l2_vcpu *v)
{
	v->lost = true;
	v->fresh = true;
	v->live_known = 0;
	free(v->xsave);
	v->xsave = NULL;
}

int sx_l2_vcpu_run(struct sx_l2_vcpu *v)
{
	int rc;

	rcu_thread_offline();
	rc = ioctl(v->fd, KVM_RUN, 0) < 0 ? -errno : 0;
	rcu_thread_online();
	return rc;
}

void sx_l2_vcpu_flush(struct sx_l2_vcpu *v)
{
	/* Once for each page that the access has yet to touch; 8 bytes touch two at most. */
	sx_store_relaxed(&v->run->immediate_exit, (uint8_t)1);
	for (unsigned i = 0; i < 8 && ioctl(v->fd, KVM_RUN, 0) == 0; i++)
		;
	sx_store_relaxed(&v->run->immediate_exit, (uint8_t)0);
}

uint64_t sx_l2_vcpu_rip(const struct sx_l2_vcpu *v)
{
	return v->run->s.regs.regs.rip;
}

uint64_t sx_l2_vcpu_exits(struct sx_l2_vcpu *v)
{
	if (v->fd < 0 || v->stats.fd < 0 || sx_stats_read(&v->stats) < 0)
		return 0;
	return sx_stats_get(&v->stats, "exits");
}

void sx_l2_vcpu_leave(struct sx_l2_vcpu *v, const struct sx_vmx_cpu *cpu)
{
	v->unfinished = true;
	v->unfinished_at = sx_vmx_linear_rip(cpu);
}

/* ---- time: KVM_VCPU_TSC_CTRL ---- */

static int tsc_attr(int fd, unsigned long request, uint64_t *offset)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)offset};

	return sx_ioctl(fd, request, &attr);
}

int sx_tsc_offset(int fd, uint64_t *offset)
{
	return tsc_attr(fd, KVM_GET_DEVICE_ATTR, offset);
}

int sx_l2_vcpu_set_tsc(struct sx_l2_vcpu *v, uint64_t offset)
{
	int rc;

	if (v->tsc_known && v->tsc_offset == offset)
		return 0;
	rc = tsc_attr(v->fd, KVM_SET_DEVICE_ATTR, &offset);
	if (rc == 0) {
		v->tsc_offset = offset;
		v->tsc_known = true;
	}
	return rc;
}
