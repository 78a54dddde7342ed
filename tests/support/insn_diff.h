// SPDX-License-Identifier: BSD-3-Clause
/*
 * The decoder that code inside L1 uses (ipc/wire/vmx_insn.h) held against the engine's, which is
 * Zydis: for a unit test and for a fuzzer.
 */
#ifndef SX_TESTS_SUPPORT_INSN_DIFF_H
#define SX_TESTS_SUPPORT_INSN_DIFF_H

#include "ipc/wire/vmx_insn.h"
#include "nested/vmx_decode.h"

/* A CPU in 64-bit mode whose general registers, RIP and segment bases all differ, by @salt. */
void insn_diff_cpu(struct sx_vmx_cpu *cpu, uint64_t salt);

/*
 * Decode the @len bytes at @cpu's RIP in both ways. NULL if the same came of it, else in what it
 * differs. @ours says what the first way gave; its op is 0 if that is no instruction of ours.
 */
const char *insn_diff(const struct sx_vmx_cpu *cpu, const uint8_t *bytes, unsigned len,
		      struct sx_insn *ours);

#endif
