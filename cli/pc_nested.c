// SPDX-License-Identifier: BSD-3-Clause
#include "cli/pc_nested.h"

#include <errno.h>
#include <string.h>

#include "cli/pc.h"
#include "cli/pc_memory.h"
#include "guestcore/pc_map.h"
#include "ipc/wire/vmx_line.h"

#define ECX_VMX    (1u << 5) /* CPUID leaf 1 */
#define LINES_SIZE (SX_PC_VMX_KICK - SX_PC_VMX_LINES)

_Static_assert(SX_MACHINE_MAX_VCPUS *SX_LINE_STRIDE <= LINES_SIZE, "each vCPU has a line");

/* IA32_FEATURE_CONTROL; IA32_VMX_BASIC to IA32_VMX_VMFUNC (SDM Vol. 4, table 2-2). */
static const struct sx_msr_range msrs[] = {{0x3a, 1}, {0x480, 0x12}};

int sx_pc_nested_check(const struct sx_cpuid *host, struct sx_error *err)
{
	const struct kvm_cpuid_entry2 *features = sx_cpuid_find(host, 1, 0);

	if (features && (features->ecx & ECX_VMX))
		return sx_fail(err, -ENOTSUP,
			       "this host's KVM would take the guest's VMX instructions itself; "
			       "load kvm_intel with nested=0, or use --cpu host,nested");
	return 0;
}

/* ---- the MSRs ---- */

static int read_msr(void *ctx, unsigned vcpu, uint32_t index, uint64_t *value)
{
	const struct sx_pc_nested *n = ctx;

	return sx_nested_rdmsr(n->engine, vcpu, index, value);
}

static int write_msr(void *ctx, unsigned vcpu, uint32_t index, uint64_t value)
{
	const struct sx_pc_nested *n = ctx;

	return sx_nested_wrmsr(n->engine, vcpu, index, value);
}

/* ---- making and unmaking ---- */

static unsigned describe_memory(struct sx_pc *pc)
{
	struct sx_l1_range *r = pc->nested.range;

	r[0] = (struct sx_l1_range){.gpa = 0, .size = pc->low_end, .fd = pc->ram.fd};
	r[1] = (struct sx_l1_range){.gpa = SX_PC_HIGH,
				    .size = sx_pc_high_memory(pc),
				    .fd = pc->ram.fd,
				    .offset = pc->low_end};
	return r[1].size ? 2 : 1;
}

static int create_lines(struct sx_pc *pc, struct sx_error *err)
{
	struct sx_region *lines = &pc->nested.lines;
	int rc = sx_region_create(lines, "splitx-vmx", (size_t)pc->vcpus * SX_LINE_STRIDE, 0, err);

	return rc < 0 ? rc
		      : sx_vm_add_memory(&pc->vm, SX_PC_VMX_LINES, lines->size, lines->base, 0,
					 err);
}

int sx_pc_nested_create(struct sx_pc *pc, struct sx_error *err)
{
	struct sx_pc_nested *n = &pc->nested;
	struct sx_nested_config config = {
		.kvm = pc->config.kvm,
		.memory = &pc->vm.memory,
		.ranges = n->range,
		.range_count = describe_memory(pc),
		.vcpu = pc->vcpu,
		.vcpus = pc->vcpus,
		.kick = SX_PC_VMX_KICK,
	};
	int rc = create_lines(pc, err);

	if (rc == 0)
		rc = sx_vm_take_msrs(&pc->vm, msrs, sizeof(msrs) / sizeof(msrs[0]), err);
	config.lines = n->lines.base;
	return rc < 0 ? rc : sx_nested_create(&n->engine, &config, err);
}

void sx_pc_nested_destroy(struct sx_pc *pc)
{
	struct sx_pc_nested *n = &pc->nested;

	if (n->engine && pc->config.nested_place == SX_NESTED_COLOCATED)
		for (unsigned i = 0; i < pc->vcpus; i++)
			sx_sidecore_remove(sx_nested_poller(n->engine, i));
	sx_nested_destroy(n->engine);
	n->engine = NULL;
}

struct sx_cpuid_lines sx_pc_nested_lines(const struct sx_pc *pc)
{
	return (struct sx_cpuid_lines){SX_PC_VMX_LINES, pc->nested.engine ? pc->vcpus : 0};
}

/* A sidecore for each vCPU's line, in turn. */
static int join_sidecores(struct sx_pc *pc, struct sx_error *err)
{
	const struct sx_pc_config *c = &pc->config;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < pc->vcpus; i++)
		rc = sx_sidecore_add(c->sidecores[i % c->sidecore_count],
				     sx_nested_poller(pc->nested.engine, i));
	return rc < 0 ? sx_fail(err, rc, "a sidecore has no room for the VMX lines") : 0;
}

int sx_pc_nested_start(struct sx_pc *pc, struct sx_error *err)
{
	struct sx_pc_nested *n = &pc->nested;
	enum sx_nested_place place = pc->config.nested_place;
	int rc = sx_nested_set_place(n->engine, place, NULL, err);

	if (rc == 0 && place == SX_NESTED_COLOCATED)
		rc = join_sidecores(pc, err);
	n->sink = (struct sx_nested_sink){
		.engine = n->engine, .kick = SX_PC_VMX_KICK, .others = pc->vcpu[0].sink};
	for (unsigned i = 0; i < pc->vcpus; i++) {
		pc->vcpu[i].sink = sx_nested_sink(&n->sink);
		pc->vcpu[i].insns = sx_nested_insn_sink(n->engine);
		pc->vcpu[i].msrs = (struct sx_msr_sink){read_msr, write_msr, n};
	}
	return rc;
}
