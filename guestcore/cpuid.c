// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/wire/vmx_line.h"

enum leaf {
	LEAF_MAX = 0x0,
	LEAF_FEATURES = 0x1,
	LEAF_CACHES = 0x4,
	LEAF_TOPOLOGY = 0xb,
	LEAF_TOPOLOGY_V2 = 0x1f,
	LEAF_KVM_FEATURES = 0x40000001,
	LEAF_EXT_MAX = 0x80000000,
	LEAF_EXT_FEATURES = 0x80000001,
	LEAF_EXT_SIZES = 0x80000008,
	LEAF_SVM = 0x8000000a,
	LEAF_AMD_CACHES = 0x8000001d,
	LEAF_AMD_TOPOLOGY = 0x8000001e,
	LEAF_INTEL_LAST = LEAF_EXT_SIZES, /* of the extended leaves */
};

#define BIT(N) (1u << (N))

/* Leaf 1. */
#define ECX_VMX          BIT(5)
#define ECX_X2APIC       BIT(21)
#define ECX_TSC_DEADLINE BIT(24)
#define ECX_HYPERVISOR   BIT(31)
#define EDX_HTT          BIT(28)

/* Leaf 0x80000001, ECX. */
#define ECX_CMP_LEGACY BIT(1)
#define ECX_SVM        BIT(2)
#define ECX_TOPOLOGY   BIT(22)

/* What Intel defines of leaf 0x80000001; the rest is AMD's. */
#define INTEL_ECX (BIT(0) | BIT(5) | BIT(8))                        /* LAHF, LZCNT, PREFETCHW */
#define INTEL_EDX (BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29)) /* SYSCALL, NX, pages, ... */

#define GENUINE_EBX 0x756e6547u /* "Genu" */
#define GENUINE_EDX 0x49656e69u /* "ineI" */
#define GENUINE_ECX 0x6c65746eu /* "ntel" */

/* A Skylake of 2015, which kernels know well: family 6, model 5EH, stepping 3. */
#define INTEL_MODEL 0x506e3u

/*
 * KVM's features that are hypercalls: unhalt, IPIs, yield, page ranges. An Intel's kernel makes
 * them by VMCALL, which a KVM on AMD writes over with its own, in text that is read-only.
 */
#define KVM_BY_HYPERCALL  (BIT(7) | BIT(11) | BIT(13) | BIT(16))
#define KVM_HINT_REALTIME BIT(0)

/* Domain types of leaf 0xb, in ECX[15:8]. */
enum domain {
	DOMAIN_THREADS = 1,
	DOMAIN_CORES = 2,
};

#define DEFAULT_PHYSICAL_BITS 36 /* where leaf 0x80000008 is missing */

/* ---- the table ---- */

int sx_cpuid_get(struct sx_cpuid *c, const struct sx_kvm *kvm, struct sx_error *err)
{
	int rc;

	c->table = calloc(1, sizeof(*c->table) + SX_CPUID_MAX * sizeof(c->table->entries[0]));
	if (!c->table)
		return sx_fail(err, -ENOMEM, "no memory for the processor's description");
	c->table->nent = SX_CPUID_MAX;
	rc = sx_ioctl(kvm->fd, KVM_GET_SUPPORTED_CPUID, c->table);
	if (rc < 0) {
		sx_cpuid_free(c);
		return sx_fail(err, rc, "KVM does not tell what processor it supports: %s",
			       strerror(-rc));
	}
	return 0;
}

void sx_cpuid_free(struct sx_cpuid *c)
{
	free(c->table);
	c->table = NULL;
}

struct kvm_cpuid_entry2 *sx_cpuid_find(const struct sx_cpuid *c, uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < c->table->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->table->entries[i];

		if (e->function == leaf &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == subleaf))
			return e;
	}
	return NULL;
}

static void drop(struct sx_cpuid *c, uint32_t leaf)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->table->nent; i++)
		if (c->table->entries[i].function != leaf)
			c->table->entries[kept++] = c->table->entries[i];
	c->table->nent = kept;
}

static int add(struct sx_cpuid *c, const struct kvm_cpuid_entry2 *e)
{
	if (c->table->nent >= SX_CPUID_MAX)
		return -ENOSPC;
	c->table->entries[c->table->nent++] = *e;
	return 0;
}

/* The highest leaf of the range that begins with @range. */
static uint32_t highest(const struct sx_cpuid *c, uint32_t range)
{
	const struct kvm_cpuid_entry2 *e = sx_cpuid_find(c, range, 0);

	return e ? e->eax : 0;
}

unsigned sx_cpuid_physical_bits(const struct sx_cpuid *c)
{
	const struct kvm_cpuid_entry2 *e = sx_cpuid_find(c, LEAF_EXT_SIZES, 0);

	return e && (e->eax & 0xff) ? e->eax & 0xff : DEFAULT_PHYSICAL_BITS;
}

enum sx_nesting sx_cpuid_nesting(const struct sx_cpuid *c)
{
	const struct kvm_cpuid_entry2 *e = sx_cpuid_find(c, LEAF_FEATURES, 0);
	const struct kvm_cpuid_entry2 *x = sx_cpuid_find(c, LEAF_EXT_FEATURES, 0);

	if (e && (e->ecx & ECX_VMX))
		return SX_NESTING_VMX;
	return x && (x->ecx & ECX_SVM) ? SX_NESTING_SVM : SX_NESTING_NONE;
}

/* ---- what all vCPUs have in common ---- */

/* Bits of an APIC ID that number @n things. */
static unsigned bits_for(unsigned n)
{
	unsigned bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

static void shape_features(const struct sx_cpuid *c, const struct sx_cpuid_config *config)
{
	struct kvm_cpuid_entry2 *e = sx_cpuid_find(c, LEAF_FEATURES, 0);
	struct kvm_cpuid_entry2 *x = sx_cpuid_find(c, LEAF_EXT_FEATURES, 0);
	bool many = config->shape.per_package > 1;

	if (e) {
		e->ecx |= ECX_HYPERVISOR | ECX_X2APIC;
		e->ecx &= ~(config->nested ? 0 : ECX_VMX);
		e->ecx &= ~ECX_TSC_DEADLINE;
		e->ecx |= config->tsc_deadline ? ECX_TSC_DEADLINE : 0;
		e->edx = many ? e->edx | EDX_HTT : e->edx & ~EDX_HTT;
		/* EBX[23:16]: APIC IDs of a package. */
		e->ebx = (e->ebx & ~0xff0000u) | 1u << bits_for(config->shape.per_package) << 16;
	}
	if (x)
		x->ecx &= ~(config->nested ? 0 : ECX_SVM);
}

/* How many vCPUs share a cache of @level. */
static unsigned sharers(const struct sx_cpu_shape *s, unsigned level)
{
	return level <= 2 ? s->per_core : s->per_cache;
}

/* Leaf 4, and 0x8000001d which is like it: EAX[7:5] level, [25:14] and [31:26] who shares. */
static void shape_caches(const struct sx_cpuid *c, const struct sx_cpu_shape *s)
{
	for (uint32_t i = 0; i < c->table->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->table->entries[i];
		unsigned cores = 1u << bits_for(s->per_package) >> bits_for(s->per_core);
		unsigned ids = 1u << bits_for(sharers(s, e->eax >> 5 & 7));

		if ((e->function != LEAF_CACHES && e->function != LEAF_AMD_CACHES) ||
		    !(e->eax & 0x1f))
			continue;
		e->eax = (e->eax & 0x3fff) | (ids - 1) << 14;
		if (e->function == LEAF_CACHES)
			e->eax |= (cores - 1 < 63 ? cores - 1 : 63) << 26;
	}
}

static int add_domain(struct sx_cpuid *c, uint32_t leaf, uint32_t index, unsigned shift,
		      unsigned vcpus, enum domain type)
{
	struct kvm_cpuid_entry2 e = {
		.function = leaf,
		.index = index,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = shift,
		.ebx = vcpus,
		.ecx = index | (uint32_t)type << 8,
	};

	return add(c, &e);
}

/* Leaf 0xb or 0x1f: threads of a core, cores of a package; then an empty one. */
static int shape_topology(struct sx_cpuid *c, uint32_t leaf, const struct sx_cpu_shape *s)
{
	const struct kvm_cpuid_entry2 end = {
		.function = leaf, .index = 2, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .ecx = 2};
	int rc;

	drop(c, leaf);
	if (highest(c, LEAF_MAX) < leaf)
		return 0;
	rc = add_domain(c, leaf, 0, bits_for(s->per_core), s->per_core, DOMAIN_THREADS);
	if (rc == 0)
		rc = add_domain(c, leaf, 1, bits_for(s->per_package), s->per_package, DOMAIN_CORES);
	return rc < 0 ? rc : add(c, &end);
}

/* 0x80000008, ECX: CPUs of a package less one, and bits of an APIC ID that number them. */
static void shape_amd(const struct sx_cpuid *c, const struct sx_cpu_shape *s)
{
	struct kvm_cpuid_entry2 *sizes = sx_cpuid_find(c, LEAF_EXT_SIZES, 0);
	struct kvm_cpuid_entry2 *x = sx_cpuid_find(c, LEAF_EXT_FEATURES, 0);

	/* On Intel's the register is reserved, and leaf 0x8000001e does not exist. */
	if (highest(c, LEAF_EXT_MAX) < LEAF_SVM)
		return;
	if (sizes)
		sizes->ecx = (sizes->ecx & ~0xf0ffu) | bits_for(s->per_package) << 12 |
			     (s->per_package - 1);
	if (!x)
		return;
	/* The package's CPUs are counted in leaf 1, EBX. */
	x->ecx &= ~ECX_CMP_LEGACY;
	x->ecx |= s->per_package > 1 ? ECX_CMP_LEGACY : 0;
	if (!sx_cpuid_find(c, LEAF_AMD_TOPOLOGY, 0))
		x->ecx &= ~ECX_TOPOLOGY;
}

static void shape_kvm(const struct sx_cpuid *c, bool dedicated)
{
	struct kvm_cpuid_entry2 *e = sx_cpuid_find(c, LEAF_KVM_FEATURES, 0);

	if (!e)
		return;
	e->edx &= ~KVM_HINT_REALTIME;
	e->edx |= dedicated ? KVM_HINT_REALTIME : 0;
}

/* ---- a processor with VMX that KVM does not have ---- */

/* Leaves and bits that AMD has for itself go; a cache is described alike by both. */
static void drop_amd(struct sx_cpuid *c)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->table->nent; i++) {
		struct kvm_cpuid_entry2 e = c->table->entries[i];

		if (e.function == LEAF_AMD_CACHES)
			e.function = LEAF_CACHES;
		if (e.function > LEAF_INTEL_LAST)
			continue;
		if (e.function == LEAF_EXT_MAX)
			e = (struct kvm_cpuid_entry2){.function = LEAF_EXT_MAX,
						      .eax = LEAF_INTEL_LAST};
		if (e.function == LEAF_EXT_FEATURES) {
			e.ecx &= INTEL_ECX;
			e.edx &= INTEL_EDX;
		}
		if (e.function == LEAF_EXT_SIZES)
			e.ecx = 0;
		if (e.function == LEAF_KVM_FEATURES)
			e.eax &= ~KVM_BY_HYPERCALL;
		c->table->entries[kept++] = e;
	}
	c->table->nent = kept;
}

/*
 * A hypervisor that uses VMX first looks who made the processor. Which one it is says little else
 * to a kernel: features have bits of their own.
 */
static void make_intel(struct sx_cpuid *c)
{
	struct kvm_cpuid_entry2 *vendor = sx_cpuid_find(c, LEAF_MAX, 0);
	struct kvm_cpuid_entry2 *features = sx_cpuid_find(c, LEAF_FEATURES, 0);

	if (!vendor || vendor->ebx == GENUINE_EBX)
		return;
	drop_amd(c);
	vendor->ebx = GENUINE_EBX;
	vendor->edx = GENUINE_EDX;
	vendor->ecx = GENUINE_ECX;
	if (features)
		features->eax = INTEL_MODEL;
}

static int shape_vmx(struct sx_cpuid *c, const struct sx_cpuid_lines *lines)
{
	const struct kvm_cpuid_entry2 signature = {
		.function = SX_LINE_CPUID_SIGNATURE,
		.eax = SX_LINE_CPUID_PLACE,
		.ebx = SX_LINE_SIGNATURE_EBX,
		.ecx = SX_LINE_SIGNATURE_ECX,
		.edx = SX_LINE_SIGNATURE_EDX,
	};
	const struct kvm_cpuid_entry2 place = {
		.function = SX_LINE_CPUID_PLACE,
		.eax = SX_WIRE_VERSION,
		.ebx = lines->count,
		.ecx = (uint32_t)lines->gpa,
		.edx = (uint32_t)(lines->gpa >> 32),
	};
	struct kvm_cpuid_entry2 *features;
	int rc;

	make_intel(c);
	features = sx_cpuid_find(c, LEAF_FEATURES, 0);
	if (features)
		features->ecx |= ECX_VMX;
	rc = add(c, &signature);
	return rc < 0 ? rc : add(c, &place);
}

int sx_cpuid_shape(struct sx_cpuid *c, const struct sx_cpuid_config *config)
{
	int rc = 0;

	if (!config->nested)
		drop(c, LEAF_SVM);
	shape_features(c, config);
	if (config->lines.count)
		rc = shape_vmx(c, &config->lines);
	if (rc < 0)
		return rc;
	shape_caches(c, &config->shape);
	shape_amd(c, &config->shape);
	shape_kvm(c, config->dedicated);
	rc = shape_topology(c, LEAF_TOPOLOGY, &config->shape);
	return rc < 0 ? rc : shape_topology(c, LEAF_TOPOLOGY_V2, &config->shape);
}

/* ---- what each has for itself ---- */

void sx_cpuid_number(struct sx_cpuid *c, const struct sx_cpuid_config *config, uint32_t apic_id)
{
	unsigned thread_bits = bits_for(config->shape.per_core);

	for (uint32_t i = 0; i < c->table->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->table->entries[i];

		switch (e->function) {
		case LEAF_FEATURES:
			e->ebx = (e->ebx & 0xffffff) | apic_id << 24;
			break;
		case LEAF_TOPOLOGY:
		case LEAF_TOPOLOGY_V2:
			e->edx = apic_id;
			break;
		case LEAF_AMD_TOPOLOGY:
			/* EBX: core and threads of it less one; ECX: one node. */
			e->eax = apic_id;
			e->ebx = (apic_id >> thread_bits & 0xff) | (config->shape.per_core - 1)
									   << 8;
			e->ecx = 0;
			break;
		}
	}
}

int sx_cpuid_set(struct sx_cpuid *c, const struct sx_vcpu *vcpu, unsigned vcpus,
		 const struct sx_cpuid_config *config, struct sx_error *err)
{
	int rc = sx_cpuid_shape(c, config);

	if (rc < 0)
		return sx_fail(err, rc, "the processor's description has too many leaves");
	for (unsigned i = 0; rc == 0 && i < vcpus; i++) {
		sx_cpuid_number(c, config, vcpu[i].index);
		rc = sx_ioctl(vcpu[i].fd, KVM_SET_CPUID2, c->table);
		if (rc < 0)
			return sx_fail(err, rc, "KVM refuses the processor of vCPU %u: %s", i,
				       strerror(-rc));
	}
	return rc;
}
