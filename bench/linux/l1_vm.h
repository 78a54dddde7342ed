// SPDX-License-Identifier: BSD-3-Clause
/*
 * An ordinary user of KVM, as small as one can be: one VM with one vCPU and no interrupt
 * controller, whose exits it handles. In `splitx bench nested --kernel` it is L1's program, and the
 * VM is L2.
 *
 * Functions that can fail return 0 or -1, with a sentence in vm->why.
 */
#ifndef SX_BENCH_LINUX_L1_VM_H
#define SX_BENCH_LINUX_L1_VM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

enum l1_op { L1_NOTHING, L1_CPUID, L1_PIO, L1_MMIO, L1_PASSTHROUGH, L1_OPS };

struct l1_vm {
	int kvm_fd, vm_fd, vcpu_fd;
	struct kvm_run *run;
	uint8_t *memory;  /* L2_MEMORY bytes of L2 */
	uint32_t tsc_khz; /* of L2 */

	/* What L2 did since l1_vm_begin(). */
	uint32_t port_writes, port_sum, register_reads;
	uint32_t served;      /* by l1_vm_serve(), of the thread that calls it */
	struct kvm_regs regs; /* in the end */

	char why[160];
};

int l1_vm_open(struct l1_vm *vm);

/* Before l1_vm_run(): nothing was done yet. No other thread uses @vm. */
void l1_vm_begin(struct l1_vm *vm);

/*
 * Have L2 do @op @count times, at most L2_MAX_OPS. All that KVM is asked for is asked for by this
 * thread, so that L2 stays on its CPU.
 */
int l1_vm_run(struct l1_vm *vm, enum l1_op op, uint32_t count);

/*
 * Look once for what L2 wrote into the shared page, and reply. One thread calls it again and again
 * while another is in l1_vm_run().
 */
void l1_vm_serve(struct l1_vm *vm);

/* After l1_vm_run(): did L2 do all of it, and was each answer the right one? */
int l1_vm_check(struct l1_vm *vm, enum l1_op op, uint32_t count);

/* The cycles of each operation, of the last run. */
uint32_t *l1_vm_cycles(const struct l1_vm *vm);

#endif
