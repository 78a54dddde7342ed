// SPDX-License-Identifier: BSD-3-Clause
/* One instruction of L2. */
#include "nested/vmx_decode.h"
#include "tests/differential/engine/engine.h"

/* VMX instructions in VMX non-root operation: 26.1.2. */
static enum engine_step vmx_instruction(struct engine *e, const uint8_t *bytes,
					struct sx_vmx_exit *exit)
{
	struct sx_vmx_insn insn;

	if (sx_vmx_decode(&e->l2.cpu, bytes, SX_VMX_MAX_INSN, &insn))
		return ENGINE_UNKNOWN;
	sx_vmx_insn_exit(&e->l2.cpu, &insn, exit);
	return ENGINE_EXIT;
}

enum engine_step engine_instruction(struct engine *e, struct sx_vmx_exit *exit)
{
	const uint8_t *bytes = engine_memory(e->l2.cpu.rip, SX_VMX_MAX_INSN);

	return bytes ? vmx_instruction(e, bytes, exit) : ENGINE_UNKNOWN;
}
