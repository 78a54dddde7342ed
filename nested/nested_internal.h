// SPDX-License-Identifier: BSD-3-Clause
/* What the files behind nested/nested.h share; nobody else includes it. */
#ifndef SX_NESTED_NESTED_INTERNAL_H
#define SX_NESTED_NESTED_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "guestcore/alarm.h"
#include "guestcore/cpuid.h"
#include "nested/l2_cpuid.h"
#include "nested/l2_vcpu.h"
#include "nested/nested.h"
#include "nested/vmx_decode.h"
#include "nested/vmx_intercept.h"

#define SX_MSR_BITMAP    4096u /* bytes: 25.6.9 */
#define SX_L2_LEARNED    64u   /* vCPUs of an L2 VM beside L1's own number: with learned CPUIDs */
#define SX_ASIDE_GPRS    4
#define SX_NESTED_MAX_L2 16 /* L2 VMs of one L1 at a time; the least recently entered goes */

/* An L2 VM and its vCPUs: L1's vCPU number i runs L2's number i, or one of a learned CPUID. */
struct sx_l2 {
	uint64_t root;        /* the EPT pointer without its flags; all ones: no EPT */
	uint64_t eptp;        /* as at the last entry */
	uint64_t changes;     /* how often pages may have been taken from vm */
	uint64_t entered;     /* value of sx_nested.clock at the last entry */
	unsigned users;       /* L1 vCPUs that run it now */
	pthread_mutex_t lock; /* of vm, against the other L1 vCPUs */
	struct sx_l2_vm *vm;  /* NULL: this place is free */
	struct sx_l2_vcpu *vcpu;
	uint8_t *msr_bitmaps; /* one of each vCPU; writes of its own by its owner, with the lock */
};

/* An exit that no instruction at L2's RIP made: what L1 is shown, and what is so. */
struct sx_l2_aside {
	bool open; /* L1 has not entered L2 again */
	uint32_t reason, length;
	struct sx_l2_regs {
		uint64_t rip, gpr[SX_ASIDE_GPRS];
		uint32_t cs_ar;
	} real, shown;
	uint64_t answer[SX_ASIDE_GPRS]; /* after it: what L1 left */
};

/* What L1 made of it by its next entry. */
enum sx_aside {
	SX_ASIDE_NONE,      /* there was no such exit */
	SX_ASIDE_DONE,      /* it did what the instruction wants, and stepped over it */
	SX_ASIDE_AGAIN,     /* it has not done it */
	SX_ASIDE_ELSEWHERE, /* it has put L2 somewhere else */
};

/* Registers that L2 changes without a word; or bits of them. */
struct sx_l2_crs {
	uint64_t cr0, cr3, cr4, xcr0;
};

/* What is known of the guest of one VMCS12: l2_guest.c. */
struct sx_l2_guest {
	uint64_t id;      /* as the VMCS12 has it; 0: nobody's */
	uint64_t entered; /* value of sx_nested.clock at the last entry */
	bool busy;        /* an L1 vCPU has it, and owns what follows */
	struct sx_l2_aside aside;
	struct sx_l2_cpuid cpuid; /* as far as L1 was asked */
	unsigned unanswered;
	/* l2_catch.c: as L1 gave them; as L2 had them; bits that L1 was not told. */
	struct sx_l2_crs given, real, owed;
	bool owes; /* L2 runs with bits that L1 was not told */
};

enum sx_line_owner {
	SX_LINE_POLLER, /* whoever polls the line: a sidecore, L2's core, or the kicking thread */
	SX_LINE_RUNNER, /* COLOCATED: the L1 vCPU's thread, from a good entry to L2's exit */
};

/* l2_time.c: moments in nanoseconds of sx_now_ns(). */
struct sx_l2_time {
	struct sx_alarm alarm;
	uint64_t alarm_ns;  /* when the alarm goes off, or went */
	uint64_t looked_ns; /* when L1's vCPU was last known to have had its events */
	uint64_t timer_ns;  /* when the VMX-preemption timer is 0 */
};

/* One L1 vCPU. */
struct sx_l1 {
	struct sx_nested *nested;
	unsigned index;
	struct sx_vmx vmx;
	struct sx_vmx_cpu cpu; /* L1's registers */
	struct sx_vmx_line *line;
	struct sx_consumer ring;
	bool refused;      /* L1 broke the ring's protocol; its line is dead */
	uint32_t owner;    /* enum sx_line_owner */
	uint32_t position; /* number of the next message, for the kicking thread */
	struct sx_poller poller;
	uint64_t tsc_offset; /* of L1's TSC from the host's */

	/* What sx_l2_map_tables() was last done for: */
	const struct sx_l2 *tables_of;
	uint64_t tables_cr3, tables_changes;

	/* While vmx.in_l2: */
	struct sx_l2_guest *guest; /* also afterwards: who it was */
	struct sx_l2 *l2;
	struct sx_vmx_guest_state state;
	struct sx_l2_decoder *decoder; /* as long as the L1 lives */
	uint32_t live; /* SX_LIVE_... at the entry */
	struct sx_line_cpu
		carried; /* the line's registers, snapshot at the entry; back at the exit */
	struct sx_l2_time time;
	bool at_insn; /* L1's vCPU stands at its VMLAUNCH or VMRESUME, which the engine completes */
	bool drop_translations; /* INVVPID came since the last entry */

	/* PARALLEL: the thread of L2's core. */
	pthread_t core;
	bool has_core;
	uint32_t stop;

	struct sx_error trouble;  /* why L2 could not be run, the first time; of nested->lock */
	bool told;                /* sx_nested_incident() gave it away */
	pthread_mutex_t run_lock; /* of `running` */
	struct kvm_run *running;  /* of the L2 vCPU that a thread is about to run, or runs */
	pthread_t running_on;

	/* Counters: one writer at a time. */
	uint64_t messages, entries, exits, l2_runs, mapped;
};

struct sx_nested {
	struct sx_nested_config config;
	enum sx_nested_place place;
	struct sx_vmx_caps caps;
	uint32_t tsc_khz; /* 0: unknown, then there is no preemption timer */
	struct sx_l1 *l1;
	pthread_mutex_t lock; /* of what follows */
	uint64_t clock;
	uint64_t guest_ids; /* given so far */
	unsigned guests;
	struct sx_l2_guest *guest;
	struct sx_l2 l2[SX_NESTED_MAX_L2];
	uint64_t gone_exits; /* of L2 vCPUs that were destroyed, by KVM's count */
};

/* l1_memory.c: how the engine reaches L1. The context is the struct sx_l1. */
extern const struct sx_vmx_ops sx_l1_ops;

/* l1_line.c. Serve what is on the line; returns how many messages. The owner. */
unsigned sx_l1_poll(struct sx_l1 *l1);
/* Run L2 until it exits to L1, and answer the entry that is pending on the line. The owner. */
void sx_l1_run_l2(struct sx_l1 *l1);

/*
 * Run L2 until it exits to L1, whose host state l1->cpu then is; what the entry came to for L1. A
 * negative errno: it cannot go on. The owner.
 */
int sx_l1_until_exit(struct sx_l1 *l1, struct sx_vmx_result *result, struct sx_error *err);

/* l2_run.c. Run L2 until an exit to L1 is in @exit: 0, or a negative errno: it cannot go on. */
int sx_l2_run(struct sx_l1 *l1, struct sx_vmx_exit *exit, struct sx_error *err);
/* Make it leave KVM_RUN and look at what L1 wants. Any thread. */
void sx_l2_interrupt(struct sx_l1 *l1);

/* l2_before.c. The TPR shadow: from L1's virtual-APIC page to CR8, and back. */
void sx_l2_load_tpr(struct sx_l1 *l1, struct sx_l2_vcpu *v);
void sx_l2_save_tpr(struct sx_l1 *l1, const struct sx_l2_vcpu *v);
/*
 * Of a software interrupt or exception that L1 injects, KVM does not let us say how long the
 * instruction is. Where L2 stands at that instruction it executes it instead, to the same effect.
 */
void sx_l2_replay(struct sx_l1 *l1);

/* l2_time.c. L2 is about to run for the first time since its entry. */
void sx_l2_time_begin(struct sx_l1 *l1);
/* Bring the preemption timer in l1->state up to date. */
void sx_l2_time_update(struct sx_l1 *l1);
/* Does L1's vCPU have to be looked at? Then begins another slice. */
bool sx_l2_slice_ended(const struct sx_l1 *l1);
void sx_l2_slice_begin(struct sx_l1 *l1);
/*
 * See to it that KVM_RUN comes back when it has to; with @after_delivery as soon as the pending
 * event has been delivered. 0 or a negative errno.
 */
int sx_l2_time_arm(struct sx_l1 *l1, bool after_delivery);
/* L2 is in the HLT state: sleep, but not for longer than a slice. */
void sx_l2_halt(const struct sx_l1 *l1);

/*
 * l2_events.c, while no event of L2's own waits for delivery. Does an interrupt or NMI for L1 exit?
 * One that does not and that L2 can take is put into l1->state.event.
 */
bool sx_l2_interrupted(struct sx_l1 *l1, struct sx_vmx_exit *exit);
/*
 * The machine is stopped, and may be started again: L1 then goes on as after an interrupt that was
 * over too soon. False: it would not stand that.
 */
bool sx_l2_stopped(struct sx_l1 *l1, struct sx_vmx_exit *exit);
/* While one does: may L2 have to exit as soon as it is delivered? */
bool sx_l2_exits_after_delivery(const struct sx_l1 *l1);

/* l2_exit.c. What KVM_RUN, which returned @rc, came back with. */
enum sx_l2_next {
	SX_L2_AGAIN = 0, /* L1 need not know: run on, with l1->state */
	SX_L2_LEAVES,    /* @exit is filled, l1->state is L2 at that point */
	SX_L2_BROKEN,    /* nothing that can be told to L1 */
};
enum sx_l2_next sx_l2_exit(struct sx_l1 *l1, struct sx_l2_vcpu *v, int rc,
			   struct sx_vmx_exit *exit);
/* L2 came to a triple fault, or KVM takes something else for one. */
enum sx_l2_next sx_l2_exit_shutdown(struct sx_l1 *l1, struct sx_vmx_exit *exit);
/* L2 takes exception @vector, or it exits. */
enum sx_l2_next sx_l2_raise(struct sx_l1 *l1, uint8_t vector, struct sx_vmx_exit *exit);

/* l2_io.c, l2_msr.c: exits of one kind. */
enum sx_l2_next sx_l2_exit_io(struct sx_l1 *l1, struct sx_l2_vcpu *v, struct sx_vmx_exit *exit);
/* l2_host.c: an exit of the host's module. */
enum sx_l2_next sx_l2_exit_host(struct sx_l1 *l1, struct sx_l2_vcpu *v, struct sx_vmx_exit *exit);
enum sx_l2_next sx_l2_exit_msr(struct sx_l1 *l1, struct sx_l2_vcpu *v, struct sx_vmx_exit *exit);

/* l2_filter.c. A new L2 VM gives up the MSRs that no bitmap covers; all its vCPUs are @vcpus. */
int sx_l2_filter_open(struct sx_l2 *l2, unsigned vcpus, struct sx_error *err);
void sx_l2_filter_close(struct sx_l2 *l2);
/* Before @l1 runs it: those that L1's bitmap says now, too. */
int sx_l2_filter(struct sx_l1 *l1, struct sx_l2 *l2);

/* Up to @len bytes at L2's linear address @linear, as far as they are mapped; how many. */
size_t sx_l2_fetch(struct sx_l1 *l1, uint64_t linear, void *to, size_t len);

/*
 * l2_set.c: the L2 VM for @root, made if there is none, and its vCPU for l1->guest. @l1 uses them
 * until sx_l2_put().
 */
struct sx_l2 *sx_l2_get(struct sx_l1 *l1, uint64_t root, struct sx_l2_vcpu **v,
			struct sx_error *err);
void sx_l2_put(struct sx_l1 *l1, struct sx_l2 *l2);
/* INVEPT of @root, or of all if it is SX_VMX_NONE. */
void sx_l2_invalidate(struct sx_l1 *l1, uint64_t root);
void sx_l2_destroy_all(struct sx_nested *n);

static inline unsigned sx_l2_vcpus(const struct sx_nested *n)
{
	return n->config.vcpus + SX_L2_LEARNED;
}

/* l2_guest.c. */
int sx_l2_guests_open(struct sx_nested *n);
void sx_l2_guests_close(struct sx_nested *n);
/* The guest that @l1 has entered, until sx_l2_guest_put(). */
struct sx_l2_guest *sx_l2_guest_get(struct sx_l1 *l1);
void sx_l2_guest_put(struct sx_l1 *l1, struct sx_l2_guest *g);
/* @exit shows L1 @shown where L2 is @real. */
void sx_l2_aside_open(struct sx_l2_aside *a, const struct sx_vmx_cpu *real,
		      const struct sx_vmx_cpu *shown, const struct sx_vmx_exit *exit);
/* L1 enters L2 with @cpu: what was shown only is put right, what L1 changed stays. */
enum sx_aside sx_l2_aside_close(struct sx_l2_aside *a, struct sx_vmx_cpu *cpu);

/* l2_catch.c. L2 is about to run, or L1 to be asked; @came_back is what L1 made of the last exit.
 */
void sx_l2_catch_begin(struct sx_l1 *l1, struct sx_l2_guest *g, enum sx_aside came_back);
/* L2 comes out by @exit: that becomes another exit, if there is one to catch up with first. */
void sx_l2_catch_up(struct sx_l1 *l1, struct sx_l2_guest *g, struct sx_vmx_exit *exit);

/* l2_learn.c. True: @exit asks L1 for a leaf, and L2 does not run. */
bool sx_l2_learn(struct sx_l1 *l1, struct sx_l2_guest *g, enum sx_aside came_back,
		 struct sx_vmx_exit *exit);
/* What L1 answered, when that is all; else NULL. */
const struct kvm_cpuid2 *sx_l2_learned(const struct sx_l2_guest *g);

/*
 * l2_caps.c: what this back end can honour with a KVM that supports @host; a preemption timer only
 * where @timer.
 */
void sx_l2_caps(struct sx_vmx_caps *caps, const struct sx_cpuid *host, bool timer);

/* The EPT pointer's address of the top structure: 25.6.11. */
static inline uint64_t sx_ept_root(uint64_t eptp)
{
	return eptp & ~UINT64_C(0xfff);
}

#endif
