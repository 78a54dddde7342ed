// SPDX-License-Identifier: BSD-3-Clause
/*
 * A PC whose guest may be a hypervisor, by our VMX engine (nested/nested.h) and not by KVM: the
 * lines that its vCPUs reach the engine by, the register that kicks it, and the MSRs that say what
 * it offers. Addresses are those of guestcore/pc_map.h.
 */
#ifndef SX_CLI_PC_NESTED_H
#define SX_CLI_PC_NESTED_H

#include "cli/nested_host.h"
#include "guestcore/cpuid.h"

struct sx_pc;

/* Is the host's KVM one that leaves VMX to us? A sentence if not. */
int sx_pc_nested_check(const struct sx_cpuid *host, struct sx_error *err);

/* The PC has its memory and vCPUs, and no vCPU has run. */
int sx_pc_nested_create(struct sx_pc *pc, struct sx_error *err);

/* What CPUID says of the lines; none for a guest that does not nest by us. */
struct sx_cpuid_lines sx_pc_nested_lines(const struct sx_pc *pc);

/* The vCPUs have the sinks of their devices: put ours before them, and serve the lines. */
int sx_pc_nested_start(struct sx_pc *pc, struct sx_error *err);

#endif
