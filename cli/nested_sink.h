// SPDX-License-Identifier: BSD-3-Clause
/*
 * The kick register of the VMX lines (ipc/wire/vmx_line.h) before a vCPU's other exits: whatever
 * the mode, it is for the vCPU's own thread, which may run L2 for L1.
 */
#ifndef SX_CLI_NESTED_SINK_H
#define SX_CLI_NESTED_SINK_H

#include "ipc/exit.h"
#include "nested/nested.h"

struct sx_nested_sink {
	struct sx_nested *engine;
	uint64_t kick;              /* guest-physical address of the register's page */
	struct sx_exit_sink others; /* who takes all other exits */
};

/* @s must outlive its use as a sink. */
struct sx_exit_sink sx_nested_sink(struct sx_nested_sink *s);

/* L1's VMX instructions, where KVM gives those that it cannot emulate. */
struct sx_insn_sink sx_nested_insn_sink(struct sx_nested *engine);

#endif
