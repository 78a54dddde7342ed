// SPDX-License-Identifier: BSD-3-Clause
/*
 * A fuzzer's input, taken piece by piece; and what it says when something does not hold.
 */
#ifndef SX_TESTS_SUPPORT_FUZZ_INPUT_H
#define SX_TESTS_SUPPORT_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

/* The next @bytes bytes as a little-endian number; zeroes where the input has ended. */
static inline uint64_t fuzz_take(struct fuzz_input *in, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && in->left; i++, in->left--)
		value |= (uint64_t)*in->at++ << 8 * i;
	return value;
}

static inline void fuzz_require(bool holds)
{
	if (!holds)
		abort();
}

#endif
