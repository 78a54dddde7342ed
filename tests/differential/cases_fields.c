// SPDX-License-Identifier: BSD-3-Clause
/* VMREAD and VMWRITE of every field: SDM 3C 25.11, Appendix B. */
#include "tests/differential/cases.h"

static const uint8_t vmread_rbx[] = {0x0f, 0x78, 0xc3};  /* of the encoding in RAX */
static const uint8_t vmwrite_rbx[] = {0x0f, 0x79, 0xc3}; /* to it */

struct field {
	const char *name;
	uint32_t encoding;
};

#define ROW(name, encoding, word, bits) {#name, encoding},
static const struct field fields[] = {SX_VMCS_FIELDS(ROW)};

static void write_and_read(const char *name, uint32_t encoding, uint64_t value)
{
	struct diff_case write = diff_case("fields/%s-write", name);
	struct diff_case read = diff_case("fields/%s-read", name);
	uint64_t gpr[GPRS] = {[RAX] = encoding, [RBX] = value};

	(void)diff_step(&write, DIFF_LONG, vmwrite_rbx, sizeof(vmwrite_rbx), gpr);
	gpr[RBX] = 0;
	(void)diff_step(&read, DIFF_LONG, vmread_rbx, sizeof(vmread_rbx), gpr);
}

static void each_field(void)
{
	for (unsigned i = 0; i < DIFF_COUNT(fields); i++) {
		struct diff_case high = diff_case("%s-high", fields[i].name);
		struct diff_case whole = diff_case("%s-whole", fields[i].name);
		uint32_t encoding = fields[i].encoding;

		write_and_read(fields[i].name, encoding, UINT64_C(0xfedcba9876543210));
		write_and_read(high.name, encoding | 1, UINT64_C(0xffffffff01234567));
		if (SX_VMCS_WIDTH(encoding) == SX_WIDTH_64)
			write_and_read(whole.name, encoding, UINT64_C(0x0123456789abcdef));
	}
}

/* Bits that no encoding has: table 25-21. */
static void no_encodings(void)
{
	for (unsigned bit = 12; bit < 64; bit++) {
		struct diff_case name = diff_case("bit%u", bit);
		uint64_t gpr[GPRS] = {[RAX] = SX_VMCS_GUEST_CS_SEL ^ UINT64_C(1) << bit};
		struct diff_case c = diff_case("fields/no-%s", name.name);

		if (bit == 13 || bit == 14)
			continue; /* another width */
		(void)diff_step(&c, DIFF_LONG, vmread_rbx, sizeof(vmread_rbx), gpr);
	}
}

/* Which indices exist, by width, type and access; but for fields that only one side offers. */
static void existence(void)
{
	for (uint32_t group = 0; group < 32; group++) {
		uint32_t width = group >> 3, type = group >> 1 & 3, high = group & 1;
		uint64_t bitmap = 0, value;

		for (uint32_t index = 0; index < 64; index++) {
			uint32_t encoding = width << 13 | type << 10 | index << 1 | high;

			if (diff_vmread(encoding, &value))
				bitmap |= UINT64_C(1) << index;
		}
		diff_say("fields/exist-width%u-type%u-%s: %x\n", width, type,
			 high ? "high" : "full", bitmap);
	}
}

void diff_cases_fields(void)
{
	struct diff_vmcs v;

	diff_base(&v);
	diff_load(&v);
	each_field();
	no_encodings();
	existence();
}
