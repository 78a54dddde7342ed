// SPDX-License-Identifier: BSD-3-Clause
/* The engine's callbacks: L1's memory is the VM's memory map, its paging is walked in software. */
#include <errno.h>

#include "nested/nested_internal.h"
#include "nested/paging.h"

static int read_memory(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	const struct sx_l1 *l1 = ctx;

	return sx_memmap_read(l1->nested->config.memory, gpa, buf, len);
}

static int write_memory(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	const struct sx_l1 *l1 = ctx;

	return sx_memmap_write(l1->nested->config.memory, gpa, buf, len);
}

static int cas64(void *ctx, uint64_t gpa, uint64_t old, uint64_t value)
{
	const struct sx_l1 *l1 = ctx;
	uint64_t *at = sx_memmap_at(l1->nested->config.memory, gpa, sizeof(*at), SX_WRITE);

	if (!at)
		return -EFAULT;
	/* With L1's own locked accesses to its paging structures. */
	return __atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST)
		       ? 0
		       : -EAGAIN;
}

static int read_entry(void *ctx, uint64_t gpa, void *buf, size_t size)
{
	return read_memory(ctx, gpa, buf, size);
}

static int translate(void *ctx, const struct sx_vmx_cpu *cpu, uint64_t linear,
		     enum sx_vmx_access access, uint64_t *gpa, uint32_t *error)
{
	struct sx_paging_result r = {0};

	if (sx_paging_walk(cpu, linear, access, false, read_entry, ctx, &r) != SX_PAGING_OK) {
		*error = r.error;
		return -EFAULT;
	}
	*gpa = r.gpa;
	return 0;
}

/*
 * MSR areas reach only MSRs that the line carries (SX_LIVE_MSRS); L2's vCPU gets them at entry and
 * L1 at the reply.
 */
static uint64_t *line_msr(struct sx_l1 *l1, uint32_t index)
{
	struct sx_line_cpu *cpu = &l1->carried;

	switch (index) {
	case 0xc0000081:
		return &cpu->star;
	case 0xc0000082:
		return &cpu->lstar;
	case 0xc0000083:
		return &cpu->cstar;
	case 0xc0000084:
		return &cpu->fmask;
	case 0xc0000102:
		return &cpu->kernel_gs_base;
	case 0xc0000103:
		return &cpu->tsc_aux;
	case 0xda0:
		return &cpu->xss;
	default:
		return NULL;
	}
}

static int msr_load(void *ctx, uint32_t index, uint64_t value)
{
	uint64_t *msr = line_msr(ctx, index);

	if (!msr)
		return -EINVAL;
	*msr = value;
	return 0;
}

static int msr_store(void *ctx, uint32_t index, uint64_t *value)
{
	const uint64_t *msr = line_msr(ctx, index);

	if (!msr)
		return -EINVAL;
	*value = *msr;
	return 0;
}

/* 29.4.3.1: type 1 is of one EPT pointer, type 2 of all. */
static void invept(void *ctx, uint64_t type, uint64_t eptp)
{
	sx_l2_invalidate(ctx, type == 1 ? sx_ept_root(eptp) : SX_VMX_NONE);
}

/* L2's own translations are cached by KVM, which drops them when registers are loaded anew. */
static void invvpid(void *ctx, uint64_t type, uint16_t vpid, uint64_t linear)
{
	struct sx_l1 *l1 = ctx;

	(void)type;
	(void)vpid;
	(void)linear;
	l1->drop_translations = true;
}

const struct sx_vmx_ops sx_l1_ops = {
	.read = read_memory,
	.write = write_memory,
	.cas64 = cas64,
	.translate = translate,
	.msr_load = msr_load,
	.msr_store = msr_store,
	.invept = invept,
	.invvpid = invvpid,
};
