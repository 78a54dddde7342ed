// SPDX-License-Identifier: BSD-3-Clause
/*
 * What CPUID tells an L2, asked of its hypervisor leaf by leaf. Which leaf is next depends on the
 * answers (SDM Vol. 2A, CPUID; AMD APM Vol. 3, appendix E), and whatever they are it ends. No
 * threads, no KVM but the form of its table.
 */
#ifndef SX_NESTED_L2_CPUID_H
#define SX_NESTED_L2_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define SX_L2_CPUID_MAX 192 /* entries; questions are few more */

struct sx_l2_cpuid {
	bool done;
	unsigned range;         /* of leaves; 0 up */
	uint32_t leaf, subleaf; /* the question */
	uint32_t last_leaf, last_subleaf;
	uint64_t components; /* of the XSAVE area that have a subleaf */
	struct kvm_cpuid2 table;
	struct kvm_cpuid_entry2 entry[SX_L2_CPUID_MAX]; /* the table's */
};

void sx_l2_cpuid_begin(struct sx_l2_cpuid *c);
/* While !c->done: what CPUID answers to c->leaf and c->subleaf, in EAX, EBX, ECX, EDX. */
void sx_l2_cpuid_answer(struct sx_l2_cpuid *c, const uint32_t regs[4]);
/* What was answered, or NULL. */
const struct kvm_cpuid_entry2 *sx_l2_cpuid_find(const struct sx_l2_cpuid *c, uint32_t leaf,
						uint32_t subleaf);

#endif
