// SPDX-License-Identifier: BSD-3-Clause
/*
 * A vCPU and its run loop: enter, classify the exit, give it to the sink, enter again.
 */
#ifndef SX_GUESTCORE_VCPU_H
#define SX_GUESTCORE_VCPU_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guestcore/stats.h"
#include "guestcore/vm.h"
#include "ipc/exit.h"

struct kvm_run;

#define SX_VCPU_SIGNAL (SIGRTMIN + 1) /* makes KVM_RUN return; nothing else uses it */

/*
 * Who answers for the MSRs that sx_vm_take_msrs() took from KVM. On the vCPU's thread, as an exit
 * sink: 0, or a negative errno: the guest takes a #GP.
 */
struct sx_msr_sink {
	int (*read)(void *ctx, unsigned vcpu, uint32_t index, uint64_t *value);
	int (*write)(void *ctx, unsigned vcpu, uint32_t index, uint64_t value);
	void *ctx;
};

/*
 * Who executes an instruction that KVM has to emulate and cannot, where KVM gives it to userspace
 * (KVM_EXIT_INTERNAL_ERROR with KVM_INTERNAL_ERROR_EMULATION, api.rst). On the vCPU's thread, with
 * RIP at the instruction: an enum sx_exit_action with all registers set, -ENXIO: it is none of
 * mine, or another negative errno with a sentence.
 */
struct sx_insn_sink {
	int (*execute)(void *ctx, unsigned vcpu, const uint8_t *bytes, size_t len,
		       struct sx_error *err);
	void *ctx;
};

struct sx_vcpu {
	struct sx_vm *vm;
	unsigned index;
	int fd;
	struct kvm_run *run;
	struct sx_stats stats;     /* fd -1 when this KVM offers none */
	struct sx_exit_sink sink;  /* changed only while the vCPU is not in sx_vcpu_run() */
	struct sx_msr_sink msrs;   /* likewise; there if sx_vm_take_msrs() was used */
	struct sx_insn_sink insns; /* likewise; there is none if NULL */
	uint32_t stop;             /* 1: leave the run loop. Set by any thread */
	pid_t thread;              /* that is, or last was, in sx_vcpu_run() */
	pthread_mutex_t lent_lock; /* of `lent` */
	struct kvm_run *lent;      /* of the vCPU that the thread runs in this one's stead */
	/* Written by the vCPU's thread; others may look. */
	uint64_t exits_forwarded; /* given to the sink */
	uint64_t first_exit_ns;   /* CLOCK_MONOTONIC at the first of them: the guest has run */
};

/* Why sx_vcpu_run() came back without an error. */
enum sx_vcpu_end {
	SX_VCPU_STOPPED, /* sx_vcpu_stop() */
	SX_VCPU_SINK,    /* the sink said SX_EXIT_STOP */
};

int sx_vcpu_create(struct sx_vcpu *v, struct sx_vm *vm, unsigned index, struct sx_error *err);
void sx_vcpu_destroy(struct sx_vcpu *v);

/*
 * KVM's part of it, for other kinds of vCPU: number @index of the VM @vm_fd, with its shared page
 * and its counters (@stats->fd -1 when this KVM offers none). Returns the descriptor.
 */
int sx_vcpu_open(const struct sx_kvm *kvm, int vm_fd, unsigned index, struct kvm_run **run,
		 struct sx_stats *stats, struct sx_error *err);
void sx_vcpu_close(const struct sx_kvm *kvm, int fd, struct kvm_run *run, struct sx_stats *stats);

/*
 * Run the guest on the calling thread until it ends or is stopped. The thread is made an RCU
 * reader for the time of the call. Returns an enum sx_vcpu_end, or a negative errno with one
 * sentence about what the guest did: -EFAULT it crashed (triple fault), -ENXIO it touched an
 * address where nothing is, -EIO the host's KVM gave up on it.
 * May be called again after SX_VCPU_SINK: the exit is completed and the guest goes on.
 */
int sx_vcpu_run(struct sx_vcpu *v, struct sx_error *err);

/*
 * Make @v leave sx_vcpu_run(), wherever it is. Any thread. @thread is the one that runs it, and
 * must exist. The request stays until sx_vcpu_run() has seen it.
 */
void sx_vcpu_stop(struct sx_vcpu *v, pthread_t thread);

/* Take back a stop that came too late to be seen. The vCPU is not in sx_vcpu_run(). */
void sx_vcpu_forget_stop(struct sx_vcpu *v);

/*
 * From within its sink: @v's thread runs another vCPU in its stead, whose shared page is @run, or
 * no longer (NULL). sx_vcpu_stop() then makes that one come back from KVM_RUN as well, and
 * sx_vcpu_stopping() says why.
 */
void sx_vcpu_lend(struct sx_vcpu *v, struct kvm_run *run);
bool sx_vcpu_stopping(const struct sx_vcpu *v);

/*
 * Make @thread, which runs the vCPU of @run or is about to, come back from KVM_RUN. The request
 * stays in the page: who runs it takes it back.
 */
void sx_vcpu_interrupt(struct kvm_run *run, pthread_t thread);

/* The guest's TSC frequency in kHz, or 0 when this KVM does not tell. */
uint32_t sx_vcpu_tsc_khz(const struct sx_vcpu *v);

/*
 * Once per process, before the first sx_vcpu_run(): install the handler of the signal by which
 * sx_vcpu_stop() and alarms (alarm.h) interrupt KVM_RUN.
 */
int sx_vcpu_set_up_signal(struct sx_error *err);

#endif
