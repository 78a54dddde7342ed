// SPDX-License-Identifier: BSD-3-Clause
#include "nested/l2_cpuid.h"

#include <stddef.h>

enum reg { EAX, EBX, ECX, EDX };

/* The ranges that a processor or a hypervisor fills. */
struct range {
	uint32_t first;
	uint32_t most; /* leaves behind the first */
};

static const struct range ranges[] = {
	{0x0, 0x3f},
	{0x40000000, 0x1f},
	{0x40000100, 0xf}, /* KVM's own, where Hyper-V's come first */
	{0x80000000, 0x3f},
};

#define RANGES    (sizeof(ranges) / sizeof(ranges[0]))
#define PLAUSIBLE 0xffu /* a range's highest leaf is not further than that from its first */

/* Which subleaves a leaf has. */
enum kind {
	MAX_IN_EAX,  /* subleaf 0's EAX is the highest */
	UNTIL_TYPE,  /* until EAX[4:0] is 0 */
	UNTIL_LEVEL, /* until ECX[15:8] is 0 */
	COMPONENTS,  /* 0, 1, and one for each component of the XSAVE area */
	FIXED,
};

struct indexed {
	uint32_t leaf;
	enum kind kind;
	uint32_t most; /* the highest subleaf that is asked for */
};

static const struct indexed indexed[] = {
	{0x4, UNTIL_TYPE, 7},
	{0x7, MAX_IN_EAX, 3},
	{0xb, UNTIL_LEVEL, 7},
	{0xd, COMPONENTS, 62},
	{0xf, FIXED, 1},
	{0x10, FIXED, 3},
	{0x12, FIXED, 3},
	{0x14, MAX_IN_EAX, 3},
	{0x17, MAX_IN_EAX, 3},
	{0x18, MAX_IN_EAX, 7},
	{0x1d, MAX_IN_EAX, 3},
	{0x1e, FIXED, 0},
	{0x1f, UNTIL_LEVEL, 7},
	{0x8000001d, UNTIL_TYPE, 7},
	{0x80000026, UNTIL_LEVEL, 7},
};

static const struct indexed *rule_of(uint32_t leaf)
{
	for (size_t i = 0; i < sizeof(indexed) / sizeof(indexed[0]); i++)
		if (indexed[i].leaf == leaf)
			return &indexed[i];
	return NULL;
}

/* ---- where to go on ---- */

static void next_range(struct sx_l2_cpuid *c)
{
	c->subleaf = 0;
	if (++c->range >= RANGES) {
		c->done = true;
		return;
	}
	c->leaf = c->last_leaf = ranges[c->range].first;
}

static void next_leaf(struct sx_l2_cpuid *c)
{
	c->subleaf = 0;
	if (c->leaf == c->last_leaf)
		next_range(c);
	else
		c->leaf++;
}

/* Subleaf 0 names the components of XCR0, subleaf 1 those of IA32_XSS; each above 1 has its own. */
static bool next_component(struct sx_l2_cpuid *c, const uint32_t regs[4])
{
	if (c->subleaf == 0) {
		c->components = regs[EAX] | (uint64_t)regs[EDX] << 32;
		c->subleaf = 1;
		return true;
	}
	if (c->subleaf == 1)
		c->components |= regs[ECX] | (uint64_t)regs[EDX] << 32;
	for (uint32_t i = c->subleaf + 1; i <= 62; i++)
		if (c->components >> i & 1) {
			c->subleaf = i;
			return true;
		}
	return false;
}

static bool next_subleaf(struct sx_l2_cpuid *c, const uint32_t regs[4])
{
	const struct indexed *rule = rule_of(c->leaf);

	if (!rule)
		return false;
	if (rule->kind == COMPONENTS)
		return next_component(c, regs);
	if (c->subleaf == 0)
		c->last_subleaf =
			rule->kind == MAX_IN_EAX && regs[EAX] < rule->most ? regs[EAX] : rule->most;
	if ((rule->kind == UNTIL_TYPE && !(regs[EAX] & 0x1f)) ||
	    (rule->kind == UNTIL_LEVEL && !(regs[ECX] >> 8 & 0xff)) ||
	    c->subleaf >= c->last_subleaf)
		return false;
	c->subleaf++;
	return true;
}

/* The first leaf of a range says how far it goes. False: there is no such range. */
static bool open_range(struct sx_l2_cpuid *c, uint32_t highest)
{
	const struct range *r = &ranges[c->range];

	if (highest - r->first > PLAUSIBLE)
		return r->first == 0; /* whatever it says, there is leaf 0 */
	c->last_leaf = highest - r->first > r->most ? r->first + r->most : highest;
	return true;
}

/* ---- the table ---- */

void sx_l2_cpuid_begin(struct sx_l2_cpuid *c)
{
	*c = (struct sx_l2_cpuid){.leaf = 0};
}

static void store(struct sx_l2_cpuid *c, const uint32_t regs[4])
{
	c->entry[c->table.nent++] = (struct kvm_cpuid_entry2){
		.function = c->leaf,
		.index = c->subleaf,
		.flags = rule_of(c->leaf) ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
		.eax = regs[EAX],
		.ebx = regs[EBX],
		.ecx = regs[ECX],
		.edx = regs[EDX],
	};
}

void sx_l2_cpuid_answer(struct sx_l2_cpuid *c, const uint32_t regs[4])
{
	if (c->leaf == ranges[c->range].first && !open_range(c, regs[EAX])) {
		next_range(c);
		return;
	}
	store(c, regs);
	if (c->table.nent == SX_L2_CPUID_MAX)
		c->done = true;
	else if (!next_subleaf(c, regs))
		next_leaf(c);
}

const struct kvm_cpuid_entry2 *sx_l2_cpuid_find(const struct sx_l2_cpuid *c, uint32_t leaf,
						uint32_t subleaf)
{
	for (uint32_t i = 0; i < c->table.nent; i++)
		if (c->entry[i].function == leaf && c->entry[i].index == subleaf)
			return &c->entry[i];
	return NULL;
}
