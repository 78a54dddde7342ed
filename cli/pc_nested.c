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
	return sx_nested_rdmsr(ctx, vcpu, index, value);
}

static int write_msr(void *ctx, unsigned vcpu, uint32_t index, uint64_t value)
{
	return sx_nested_wrmsr(ctx, vcpu, index, value);
}

/* ---- making and unmaking ---- */

int sx_pc_nested_create(struct sx_pc *pc, struct sx_error *err)
{
	struct sx_nested_host_config config = {
		.kvm = pc->config.kvm,
		.vm = &pc->vm,
		.vcpu = pc->vcpu,
		.vcpus = pc->vcpus,
		.range = {{.gpa = 0, .size = pc->low_end, .fd = pc->ram.fd},
			  {.gpa = SX_PC_HIGH,
			   .size = sx_pc_high_memory(pc),
			   .fd = pc->ram.fd,
			   .offset = pc->low_end}},
		.ranges = sx_pc_high_memory(pc) ? 2 : 1,
		.lines = SX_PC_VMX_LINES,
		.kick = SX_PC_VMX_KICK,
	};
	int rc = sx_vm_take_msrs(&pc->vm, msrs, sizeof(msrs) / sizeof(msrs[0]), err);

	return rc < 0 ? rc : sx_nested_host_create(&pc->nested, &config, err);
}

struct sx_cpuid_lines sx_pc_nested_lines(const struct sx_pc *pc)
{
	return (struct sx_cpuid_lines){SX_PC_VMX_LINES, pc->nested.engine ? pc->vcpus : 0};
}

int sx_pc_nested_start(struct sx_pc *pc, struct sx_error *err)
{
	const struct sx_pc_config *c = &pc->config;
	struct sx_exit_sink sink = sx_nested_host_sink(&pc->nested, pc->vcpu[0].sink);

	for (unsigned i = 0; i < pc->vcpus; i++) {
		pc->vcpu[i].sink = sink;
		pc->vcpu[i].msrs = (struct sx_msr_sink){read_msr, write_msr, pc->nested.engine};
	}
	return sx_nested_host_place(&pc->nested, c->nested_place, NULL, c->sidecores,
				    c->sidecore_count, err);
}
