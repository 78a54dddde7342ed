// SPDX-License-Identifier: BSD-3-Clause
/* The table of VMCS fields: which exist, by capability. The fields themselves: vmx_vmcs12.h. */
#include <stddef.h>

#include "nested/vmx_caps.h"

struct field {
	const char *name; /* NULL: no such field */
	uint16_t encoding;
	uint8_t need;
	uint32_t bits;
};

#define ROW(field_name, enc, word, need_bits) \
	[SX_VMCS_SLOT(enc)] = {               \
		.name = #field_name,          \
		.encoding = (enc),            \
		.need = SX_NEED_##word,       \
		.bits = (need_bits),          \
	},

static const struct field fields[SX_VMCS12_SLOTS] = {SX_VMCS_FIELDS(ROW)};

#define CHECK_INDEX(name, enc, word, bits) \
	_Static_assert(SX_VMCS_INDEX(enc) < SX_VMCS12_GROUP_SLOTS, "field " #name " has a slot");
SX_VMCS_FIELDS(CHECK_INDEX)

static uint32_t offered(const struct sx_vmx_caps *caps, unsigned need)
{
	switch (need) {
	case SX_NEED_PIN:
		return caps->pin;
	case SX_NEED_CPU:
		return caps->cpu;
	case SX_NEED_CPU2:
		return caps->cpu2;
	case SX_NEED_EXIT:
		return caps->exit;
	case SX_NEED_ENTRY:
		return caps->entry;
	default:
		return 0;
	}
}

static bool exists(const struct sx_vmx_caps *caps, const struct field *f)
{
	return f->name && (f->need == SX_NEED_NOTHING || (offered(caps, f->need) & f->bits));
}

bool sx_vmcs_field_exists(const struct sx_vmx_caps *caps, uint64_t encoding)
{
	int slot = sx_vmcs12_slot(encoding);

	return slot >= 0 && exists(caps, &fields[slot]);
}

const char *sx_vmcs_field_name(uint64_t encoding)
{
	int slot = sx_vmcs12_slot(encoding);

	return slot < 0 ? NULL : fields[slot].name;
}

int sx_vmcs_field_nth(unsigned n)
{
	for (unsigned slot = 0; slot < SX_VMCS12_SLOTS; slot++)
		if (fields[slot].name && n-- == 0)
			return fields[slot].encoding;
	return -1;
}

unsigned sx_vmcs_highest_index(const struct sx_vmx_caps *caps)
{
	unsigned highest = 0;

	for (unsigned slot = 0; slot < SX_VMCS12_SLOTS; slot++)
		if (exists(caps, &fields[slot]) && SX_VMCS_INDEX(fields[slot].encoding) > highest)
			highest = SX_VMCS_INDEX(fields[slot].encoding);
	return highest;
}

void sx_vmcs12_bitmap(const struct sx_vmx_caps *caps, uint64_t bitmap[SX_VMCS12_BITMAP_WORDS])
{
	for (unsigned w = 0; w < SX_VMCS12_BITMAP_WORDS; w++)
		bitmap[w] = 0;
	for (unsigned slot = 0; slot < SX_VMCS12_SLOTS; slot++)
		if (exists(caps, &fields[slot]))
			bitmap[slot / 64] |= UINT64_C(1) << (slot % 64);
}
