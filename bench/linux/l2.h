/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bare L2 of `splitx bench nested --kernel`: 32-bit, flat, without paging, stack and
 * interrupts. l2.S is its code, l1_vm.c gives it memory and answers. Both read this file.
 */
#ifndef SX_BENCH_LINUX_L2_H
#define SX_BENCH_LINUX_L2_H

/* L2's memory, from address 0 on. */
#define L2_CODE    0x1000
#define L2_SHARED  0x2000  /* the page that a thread of L1 polls */
#define L2_CYCLES  0x10000 /* 32 bits for each operation: how long it took, by the TSC */
#define L2_MEMORY  0x100000
#define L2_MAX_OPS ((L2_MEMORY - L2_CYCLES) / 4)

/* In the shared page, on cache lines of their own: what L2 asks, and the reply that repeats it. */
#define L2_REQUEST 0x00
#define L2_REPLY   0x40

#define L2_PORT     0x510
#define L2_REGISTER 0xd0000000 /* no memory is there: L1's program answers */
#define L2_LEAF     0x40000000 /* of CPUID: L1's KVM answers in EBX */
#define L2_ANSWER   0x01234567 /* of both */

#endif
