// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: any answers to the questions for L2's CPUID. Input: 16 bytes for each question, zeros
 * behind its end.
 *
 * Whatever they are, the questions end, and no leaf and subleaf is in the table twice.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "nested/l2_cpuid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sx_l2_cpuid c;
	unsigned questions = 0;

	sx_l2_cpuid_begin(&c);
	for (; !c.done; questions++) {
		uint32_t regs[4] = {0};
		size_t part = size < sizeof(regs) ? size : sizeof(regs);

		require(questions < 2 * SX_L2_CPUID_MAX);
		require(!sx_l2_cpuid_find(&c, c.leaf, c.subleaf));
		memcpy(regs, data, part);
		data += part;
		size -= part;
		sx_l2_cpuid_answer(&c, regs);
	}
	require(c.table.nent > 0 && c.table.nent <= SX_L2_CPUID_MAX);
	return 0;
}
