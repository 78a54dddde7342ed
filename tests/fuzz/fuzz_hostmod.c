// SPDX-License-Identifier: BSD-3-Clause
/* Fuzz: an exit of the host module, whose instruction bytes a guest has in its hand. */
#include <errno.h>
#include <string.h>

#include "nested/hostmod.h"
#include "tests/support/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* Only what its kind can be, and a length that the bytes have. */
static void check(const struct sx_host_exit *in, const struct sx_hostmod_exit *out)
{
	fuzz_require(out->kind == in->kind);
	fuzz_require(out->length >= 2 && out->length <= in->insn_bytes);
	if (out->kind == SX_HOST_CR4)
		fuzz_require(out->cr.access == SX_HOSTMOD_MOV);
	if (out->kind == SX_HOST_CR0 && out->cr.access == SX_HOSTMOD_LMSW)
		fuzz_require(out->cr.value <= 0xf);
	if (out->kind == SX_HOST_CR0 && out->cr.access == SX_HOSTMOD_MOV)
		fuzz_require(out->cr.gpr < 16 && (in->bits == 64 || out->cr.value <= UINT32_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct sx_host_exit in = {0};
	struct sx_hostmod_exit out;
	int rc;

	memcpy(&in, data, length < sizeof(in) ? length : sizeof(in));
	rc = sx_hostmod_decode_exit(&in, &out);
	if (rc == 0)
		check(&in, &out);
	else
		fuzz_require(rc == -EILSEQ || rc == -ENODATA);
	return 0;
}
