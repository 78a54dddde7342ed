// SPDX-License-Identifier: BSD-3-Clause
/*
 * A PC's memory: taken from the host as the user wants it, and put where PCs have it.
 */
#ifndef SX_CLI_PC_MEMORY_H
#define SX_CLI_PC_MEMORY_H

#include "cli/pc.h"

/* Fill pc->ram, and give it to the guest. */
int sx_pc_create_memory(struct sx_pc *pc, struct sx_error *err);

/* Bytes of it from SX_PC_HIGH on. */
uint64_t sx_pc_high_memory(const struct sx_pc *pc);

#endif
