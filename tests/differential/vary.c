// SPDX-License-Identifier: BSD-3-Clause
/* Many cases of one field. */
#include "tests/differential/cases.h"

void diff_flip(const char *name, const struct diff_vmcs *base, uint32_t encoding, uint64_t bits)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		struct diff_vmcs v = *base;
		struct diff_case c;

		if (!(bits >> bit & 1))
			continue;
		diff_set(&v, encoding, diff_get(&v, encoding) ^ UINT64_C(1) << bit);
		c = diff_case("%s-bit%u", name, bit);
		diff_enter(&c, &v);
	}
}

void diff_try(const char *name, const struct diff_vmcs *base, uint32_t encoding,
	      const uint64_t *values, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct diff_vmcs v = *base;
		struct diff_case c = diff_case("%s=%x", name, values[i]);

		diff_set(&v, encoding, values[i]);
		diff_enter(&c, &v);
	}
}

void diff_try_canonical(const char *name, const struct diff_vmcs *base, uint32_t encoding)
{
	static const uint64_t values[] = {
		UINT64_C(0x00007fffffffffff), UINT64_C(0x0000800000000000),
		UINT64_C(0x0001000000000000), UINT64_C(0x7fff800000000000),
		UINT64_C(0x8000000000000000), UINT64_C(0xfffeffffffffffff),
		UINT64_C(0xffff7fffffffffff), UINT64_C(0xffff800000000000),
	};

	diff_try(name, base, encoding, values, DIFF_COUNT(values));
}

void diff_try_pat(const char *name, const struct diff_vmcs *base, uint32_t encoding)
{
	static const uint8_t types[] = {1, 2, 3, 5, 8, 0x10, 0x80};

	for (unsigned byte = 0; byte < 8; byte++) {
		for (unsigned i = 0; i < DIFF_COUNT(types); i++) {
			struct diff_vmcs v = *base;
			struct diff_case c = diff_case("%s-byte%u=%u", name, byte, types[i]);
			uint64_t pat = diff_get(&v, encoding);

			pat &= ~(UINT64_C(0xff) << 8 * byte);
			diff_set(&v, encoding, pat | (uint64_t)types[i] << 8 * byte);
			diff_enter(&c, &v);
		}
	}
}
