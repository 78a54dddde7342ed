// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a fuzz target reads its steps from, and how it says that something is wrong.
 */
#ifndef SX_TESTS_SUPPORT_FUZZ_INPUT_H
#define SX_TESTS_SUPPORT_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct sx_fuzz_input {
	const uint8_t *at;
	size_t left;
};

/* The next @bytes bytes, little endian; zeroes where the input has ended. */
static inline uint64_t sx_fuzz_take(struct sx_fuzz_input *in, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && in->left; i++, in->left--)
		value |= (uint64_t)*in->at++ << 8 * i;
	return value;
}

/* A line of its own for each, so that the stack trace names what did not hold. */
static inline void sx_fuzz_require(bool holds)
{
	if (!holds)
		abort();
}

/* Called by libFuzzer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

#endif
