// SPDX-License-Identifier: BSD-3-Clause
#include "bench/entry_cost.h"

#include <errno.h>

#include "ipc/rcu.h"
#include "ipc/wire/vmx_line.h"

#define PHYSICAL_BITS 46u
#define AR_CODE64     0xa09bu
#define AR_DATA       0xc093u

/* ---- L1's memory; an entry without MSR areas asks for nothing else ---- */

static int read_memory(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	return sx_memmap_read(ctx, gpa, buf, len);
}

static int write_memory(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	return sx_memmap_write(ctx, gpa, buf, len);
}

static const struct sx_vmx_ops ops = {.read = read_memory, .write = write_memory};

/* An engine in the state that L1's is in; only its pointers are not L1's to know. */
static void prepare(const struct sx_rig *rig, struct sx_vmx *vmx, struct sx_vmx_cpu *cpu)
{
	const struct sx_vmx_line *line = rig->machine.nested.lines.base;
	const struct sx_line_cpu *have = &line->cpu;
	struct sx_vmx_caps caps;

	sx_vmx_caps_all(&caps, PHYSICAL_BITS, ~UINT64_C(0));
	sx_vmx_init(vmx, &caps, &ops, (void *)&rig->machine.vm.memory);
	vmx->on = true;
	vmx->current = line->current_vmcs;
	*cpu = (struct sx_vmx_cpu){
		.rflags = SX_X86_RFLAGS_1,
		.cr0 = have->cr0,
		.cr3 = have->cr3,
		.cr4 = have->cr4 | SX_X86_CR4_VMXE,
		.efer = have->efer | SX_X86_EFER_LME | SX_X86_EFER_LMA,
		.seg[SX_SEG_CS] = {.ar = AR_CODE64, .limit = UINT32_MAX},
		.seg[SX_SEG_SS] = {.ar = AR_DATA, .limit = UINT32_MAX},
	};
}

static int measure(struct sx_vmx *vmx, struct sx_vmx_cpu *cpu, uint32_t rounds,
		   struct sx_samples *s)
{
	struct sx_vmx_guest_state l2;

	if (sx_memmap_read(vmx->ctx, vmx->current, &vmx->v12, sizeof(vmx->v12)) < 0)
		return -EFAULT;
	for (uint32_t i = 0; i < rounds; i++) {
		uint64_t t = __builtin_ia32_rdtsc();
		struct sx_vmx_result r = sx_vmx_enter(vmx, cpu, vmx->v12.launched, &l2);

		t = __builtin_ia32_rdtsc() - t;
		if (r.outcome != SX_VMX_ENTERED)
			return -EIO;
		vmx->in_l2 = false;
		vmx->v12.launched = 1;
		sx_samples_add(s, t);
	}
	return 0;
}

int sx_entry_cost(const struct sx_rig *rig, uint32_t rounds, struct sx_samples *s,
		  struct sx_error *err)
{
	struct sx_vmx_cpu cpu;
	struct sx_vmx vmx;
	int rc;

	prepare(rig, &vmx, &cpu);
	sx_rcu_register();
	rc = measure(&vmx, &cpu, rounds, s);
	sx_rcu_unregister();
	if (rc < 0)
		return sx_fail(err, rc, "the benchmark's VMCS12 is refused: %s",
			       vmx.why ? vmx.why : "VMfail");
	return 0;
}
