// SPDX-License-Identifier: BSD-3-Clause
/* The decoder of a test's only L2. */
#ifndef SX_TESTS_SUPPORT_L2_DECODER_H
#define SX_TESTS_SUPPORT_L2_DECODER_H

#include <stdlib.h>

#include "nested/l2_insn.h"

static inline struct sx_l2_decoder *l2_decoder(void)
{
	static struct sx_l2_decoder *decoder;

	if (!decoder)
		decoder = sx_l2_decoder_create();
	if (!decoder)
		abort();
	return decoder;
}

#endif
