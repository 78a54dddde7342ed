// SPDX-License-Identifier: BSD-3-Clause
/*
 * What CPUID tells a guest: the host's processor as KVM supports it (KVM_GET_SUPPORTED_CPUID), with
 * the guest's own APIC IDs and topology, and without what it must not find. Leaves: SDM Vol. 2A,
 * CPUID; AMD APM Vol. 3, appendix E; KVM's own: Documentation/virt/kvm/x86/cpuid.rst.
 */
#ifndef SX_GUESTCORE_CPUID_H
#define SX_GUESTCORE_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>

#include "guestcore/placement_guest.h"
#include "guestcore/vcpu.h"

/* Where a guest finds VMX that is not KVM's. */
struct sx_cpuid_lines {
	uint64_t gpa;   /* L1-physical address of the first VMX line (ipc/wire/vmx_line.h) */
	uint32_t count; /* 0: there are none */
};

struct sx_cpuid_config {
	struct sx_cpu_shape shape; /* the vCPUs' APIC IDs are 0 and up */
	bool nested;               /* show VMX and SVM where KVM has them */
	bool dedicated;            /* vCPUs have cores for themselves: KVM_HINTS_REALTIME */
	bool tsc_deadline;         /* KVM's local APIC has the mode */
	/* If there are any, an Intel processor with VMX is shown, whatever the host has. */
	struct sx_cpuid_lines lines;
};

#define SX_CPUID_MAX 256 /* entries */

/* A table with room for SX_CPUID_MAX entries. */
struct sx_cpuid {
	struct kvm_cpuid2 *table;
};

/* What the host's KVM supports. Give it back by sx_cpuid_free(). */
int sx_cpuid_get(struct sx_cpuid *c, const struct sx_kvm *kvm, struct sx_error *err);
void sx_cpuid_free(struct sx_cpuid *c);

/* The entry of @leaf and @subleaf (0 for leaves without), or NULL. */
struct kvm_cpuid_entry2 *sx_cpuid_find(const struct sx_cpuid *c, uint32_t leaf, uint32_t subleaf);

/* What a guest that sees all of it can run guests by. */
enum sx_nesting { SX_NESTING_NONE, SX_NESTING_VMX, SX_NESTING_SVM };
enum sx_nesting sx_cpuid_nesting(const struct sx_cpuid *c);

/* Bits of physical addresses. */
unsigned sx_cpuid_physical_bits(const struct sx_cpuid *c);

/* Make it what every vCPU of such a guest has in common. -ENOSPC when the table is full. */
int sx_cpuid_shape(struct sx_cpuid *c, const struct sx_cpuid_config *config);
/* What only the vCPU with @apic_id has. After sx_cpuid_shape(); may be called again. */
void sx_cpuid_number(struct sx_cpuid *c, const struct sx_cpuid_config *config, uint32_t apic_id);

/* Shape @c and give it to all vCPUs. */
int sx_cpuid_set(struct sx_cpuid *c, const struct sx_vcpu *vcpu, unsigned vcpus,
		 const struct sx_cpuid_config *config, struct sx_error *err);

#endif
