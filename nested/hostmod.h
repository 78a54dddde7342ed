// SPDX-License-Identifier: BSD-3-Clause
/*
 * The host module's exits (ipc/wire/host.h, docs/host-module.md): marks on vCPUs, and what comes
 * out of them, decoded.
 */
#ifndef SX_NESTED_HOSTMOD_H
#define SX_NESTED_HOSTMOD_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"
#include "ipc/wire/host.h"

struct kvm_run;

enum sx_hostmod_access { SX_HOSTMOD_MOV, SX_HOSTMOD_LMSW, SX_HOSTMOD_CLTS };

struct sx_hostmod_exit {
	uint32_t kind;  /* SX_HOST_CPUID, ... says which of the union */
	uint8_t length; /* of the instruction: what to step RIP by */
	union {
		struct {
			uint32_t leaf, subleaf;
		} cpuid;
		struct {
			enum sx_hostmod_access access;
			uint8_t gpr;    /* SX_HOSTMOD_MOV: where the value was, 0 to 15 */
			bool memory;    /* SX_HOSTMOD_LMSW: its operand is in memory */
			uint64_t value; /* MOV: the register's new value; LMSW: its bits 3:0 */
		} cr;
		struct {
			uint32_t index;
			uint64_t value;
		} xcr;
		struct {
			bool vmmcall;                  /* else VMCALL */
			uint64_t number, arguments[4]; /* RAX; RBX, RCX, RDX, RSI */
		} hypercall;
	};
};

/*
 * Mark a vCPU of this or any process: from now on @kinds (SX_HOST_CPUID | ...) come out of it.
 * Returns a descriptor, whose close() ends that; an exit that is on its way may come out still.
 * -ENOENT: the module is not loaded, which is no fault. The others are those of SX_HOST_MARK and
 * of open(), with a sentence.
 */
int sx_hostmod_mark(int vcpu, uint32_t kinds, struct sx_error *err);

/* What came out of KVM_RUN is the module's. */
bool sx_hostmod_is_exit(const struct kvm_run *run);

/*
 * Decode such an exit. -ENODATA: the whole instruction could not be read, or -EILSEQ: it is another
 * by now, as a guest whose other vCPUs write over it can bring about; what to do with that guest is
 * the caller's choice.
 */
int sx_hostmod_decode(const struct kvm_run *run, struct sx_hostmod_exit *out);

/* The same for bytes that may be anything. */
int sx_hostmod_decode_exit(const struct sx_host_exit *in, struct sx_hostmod_exit *out);

#endif
