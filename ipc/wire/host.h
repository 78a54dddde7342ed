/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/*
 * The host module, kernel/splitx_host.ko, and whoever uses it: docs/host-module.md.
 *
 * A file of SX_HOST_DEVICE marks one vCPU from its SX_HOST_MARK on until it is closed. What the
 * mark names then comes out of that vCPU's KVM_RUN: kvm_run.exit_reason is SX_HOST_EXIT, and
 * struct sx_host_exit lies where kvm_run has its union. The instruction has done nothing, and RIP
 * is at it; who wants the guest to go on does its work, sets the registers and steps RIP.
 */
#ifndef SX_WIRE_HOST_H
#define SX_WIRE_HOST_H

#include "ipc/wire/types.h"

#define SX_HOST_DEVICE "/dev/splitx-host"

/* What can come out: bits of a mark, of which an exit has one. */
#define SX_HOST_CPUID  0x01u
#define SX_HOST_CR0    0x02u /* writes: MOV, LMSW, CLTS */
#define SX_HOST_CR4    0x04u
#define SX_HOST_XSETBV 0x08u /* at CPL 0; elsewhere it raises #GP, as ever */
#define SX_HOST_HYPERCALL                                                      \
	0x10u /* VMCALL and VMMCALL, whichever the processor knows, at any CPL \
	       */
#define SX_HOST_ALL 0x1fu

/* kvm_run.exit_reason. Far from the numbers that KVM counts up, and "SxH" as it lies in memory. */
#define SX_HOST_EXIT 0x00487853u

/* Where struct sx_host_exit lies in struct kvm_run, and the room that it has there. */
#define SX_HOST_EXIT_AT   32
#define SX_HOST_EXIT_ROOM 256

#define SX_HOST_MAX_INSN 15

struct sx_host_exit {
	uint32_t kind;                  /* SX_HOST_CPUID, ... */
	uint8_t bits;                   /* of the code segment: 16, 32 or 64 */
	uint8_t insn_bytes;             /* of `insn` that could be read */
	uint8_t insn[SX_HOST_MAX_INSN]; /* at RIP, as they were after the exit */
	uint8_t zero[3];
	uint64_t rip;
	uint64_t value; /* SX_HOST_CR0, SX_HOST_CR4: what was to be written; of LMSW the low 4 bits
			 */
	uint64_t rax, rbx, rcx, rdx, rsi;
};

_Static_assert(sizeof(struct sx_host_exit) == 80, "the exit is wire format");
_Static_assert(__builtin_offsetof(struct sx_host_exit, rip) == 24, "the exit is wire format");
_Static_assert(sizeof(struct sx_host_exit) <= SX_HOST_EXIT_ROOM, "the exit fits into kvm_run");

/*
 * ioctl of SX_HOST_DEVICE. Once per file. Errors: EPROTO another version, EINVAL no kind or one
 * that is not known, EBADF no open descriptor, ENOTTY it is no vCPU, EBUSY the file has a vCPU or
 * the vCPU a mark, or something else has its hands on KVM's functions, EOPNOTSUPP the vCPU's
 * registers are encrypted.
 */
struct sx_host_mark {
	uint32_t version; /* SX_WIRE_VERSION */
	int32_t vcpu;     /* file descriptor */
	uint32_t kinds;
	uint32_t zero;
};

_Static_assert(sizeof(struct sx_host_mark) == 16, "the mark is wire format");

/* _IOW(0xb7, 1, struct sx_host_mark), without the headers that know _IOW. */
#define SX_HOST_MARK 0x4010b701u

#endif
