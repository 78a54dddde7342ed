// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: any bytes at which an L1 kernel was told #UD or #GP. The decoder that is inside L1 and the
 * engine's have to agree on what the instruction is, how long, and where its operands are, or both
 * refuse it.
 *
 * Input: 1 byte that the registers are made of, then the bytes.
 */
#include <stdio.h>

#include "tests/support/fuzz_input.h"
#include "tests/support/insn_diff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sx_vmx_cpu cpu;
	struct sx_insn ours;
	const char *differs;

	if (size < 1)
		return 0;
	insn_diff_cpu(&cpu, data[0]);
	/* No copy of the bytes: the sanitizer sees who reads behind them. */
	differs = insn_diff(&cpu, data + 1, (unsigned)(size - 1), &ours);
	if (differs)
		fprintf(stderr, "the decoders differ: %s\n", differs);
	fuzz_require(!differs);
	return 0;
}
