// SPDX-License-Identifier: BSD-3-Clause
/* Events that VM entry injects: SDM 3C 25.8.3, 27.2.1.3, 27.6. */
#include "tests/differential/cases.h"

static void inject(const struct diff_case *c, uint32_t info, uint32_t error, uint32_t length)
{
	struct diff_vmcs v;

	diff_base(&v);
	diff_or(&v, SX_VMCS_GUEST_RFLAGS, SX_X86_RFLAGS_IF);
	diff_set(&v, SX_VMCS_ENTRY_INTR_INFO, info);
	diff_set(&v, SX_VMCS_ENTRY_ERROR_CODE, error);
	diff_set(&v, SX_VMCS_ENTRY_INSN_LENGTH, length);
	diff_enter(c, &v);
}

static void types_and_vectors(void)
{
	static const uint8_t vectors[] = {0,  1,  2,  3,  4,  6,  7,  8,  9,  10, 11, 12,
					  13, 14, 16, 17, 18, 20, 21, 30, 31, 32, 255};

	for (unsigned type = 0; type < 8; type++) {
		for (unsigned i = 0; i < 2 * DIFF_COUNT(vectors); i++) {
			uint32_t vector = vectors[i / 2], with_error = i & 1;
			struct diff_case c = diff_case("inject/type%u-vector%u%s", type, vector,
						       with_error ? "-error" : "");

			if (type == SX_INTR_OTHER && !with_error)
				continue; /* Bochs stops there, and has no monitor trap flag */
			inject(&c, SX_INTR_INFO(type, vector) | with_error << 11, 0, 3);
		}
	}
}

static void reserved_bits(void)
{
	for (unsigned bit = 12; bit < 31; bit++) {
		struct diff_case c = diff_case("inject/reserved-bit%u", bit);

		inject(&c, SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_UD) | SX_VMX_BIT(bit), 0, 0);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		struct diff_case c = diff_case("inject/error-bit%u", bit);

		inject(&c, SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_GP) | SX_INTR_ERROR_CODE,
		       SX_VMX_BIT(bit), 0);
	}
}

static void lengths(void)
{
	for (unsigned type = 0; type < 7; type++) {
		for (unsigned length = 0; length < 18; length++) {
			struct diff_case c = diff_case("inject/type%u-length%u", type, length);
			uint32_t vector = type == SX_INTR_NMI ? SX_VEC_NMI : SX_VEC_BP;

			if (type != 1)
				inject(&c, SX_INTR_INFO(type, vector), 0, length);
		}
	}
}

/* 27.2.1.3: without the valid bit none of it matters. */
static void not_valid(void)
{
	struct diff_case c = diff_case("inject/not-valid");

	inject(&c, 0x7fffffff, 0xffffffff, 0xffffffff);
}

void diff_cases_injection(void)
{
	types_and_vectors();
	reserved_bits();
	lengths();
	not_valid();
}
