// SPDX-License-Identifier: BSD-3-Clause
/*
 * State that no VMCS holds: whoever runs on the processor has it, so it passes from L1 to L2 at the
 * entry and back at the exit. What did not change is not copied.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "nested/l2_vcpu.h"

/* ---- MSRs ---- */

#define MSRS 11

struct msr_list {
	struct kvm_msrs head;
	struct kvm_msr_entry entry[MSRS];
};

static const uint32_t msr_index[MSRS] = {
	0xc0000102, /* KERNEL_GS_BASE */
	0xc0000081, /* STAR */
	0xc0000082, /* LSTAR */
	0xc0000083, /* CSTAR */
	0xc0000084, /* FMASK */
	0xc0000103, /* TSC_AUX */
	0xda0,      /* IA32_XSS */
	SX_MSR_SYSENTER_CS,
	SX_MSR_SYSENTER_ESP,
	SX_MSR_SYSENTER_EIP,
	SX_MSR_PAT,
};

static uint64_t *msr_slot(struct sx_line_cpu *cpu, unsigned i)
{
	uint64_t *const slot[MSRS] = {
		&cpu->kernel_gs_base, &cpu->star,         &cpu->lstar, &cpu->cstar,
		&cpu->fmask,          &cpu->tsc_aux,      &cpu->xss,   &cpu->sysenter_cs,
		&cpu->sysenter_esp,   &cpu->sysenter_eip, &cpu->pat,
	};

	return slot[i];
}

/* One KVM does not have for this vCPU (TSC_AUX, XSS) can only be 0. */
static int set_msrs(struct sx_l2_vcpu *v, const struct sx_line_cpu *want)
{
	struct sx_line_cpu cpu = *want;
	bool known = v->live_known & SX_LIVE_MSRS;

	for (unsigned i = 0; i < MSRS; i++) {
		struct msr_list list = {.head = {.nmsrs = 1}};
		uint64_t value = *msr_slot(&cpu, i);
		int rc;

		if (known && value == *msr_slot(&v->live, i))
			continue;
		list.entry[0] = (struct kvm_msr_entry){.index = msr_index[i], .data = value};
		rc = sx_ioctl(v->fd, KVM_SET_MSRS, &list);
		if (rc < 0 || (rc != 1 && value))
			return rc < 0 ? rc : -EINVAL;
		*msr_slot(&v->live, i) = value;
	}
	v->live_known |= SX_LIVE_MSRS;
	return 0;
}

static int get_msrs(struct sx_l2_vcpu *v, struct sx_line_cpu *cpu)
{
	struct msr_list list = {0};
	unsigned asked = 0;

	/* KVM stops at the first that it does not have: each place is tried once. */
	while (asked < MSRS) {
		int rc;

		list.head.nmsrs = MSRS - asked;
		for (unsigned i = asked; i < MSRS; i++)
			list.entry[i - asked].index = msr_index[i];
		rc = sx_ioctl(v->fd, KVM_GET_MSRS, &list);
		if (rc < 0)
			return rc;
		for (int i = 0; i < rc; i++)
			*msr_slot(&v->live, asked + (unsigned)i) = list.entry[i].data;
		asked += (unsigned)rc + 1;
	}
	for (unsigned i = 0; i < MSRS; i++)
		*msr_slot(cpu, i) = *msr_slot(&v->live, i);
	return 0;
}

/* ---- XCR0, debug registers, x87 and vectors ---- */

static int set_xcr0(struct sx_l2_vcpu *v, uint64_t xcr0)
{
	struct kvm_xcrs x = {.nr_xcrs = 1, .xcrs[0] = {.xcr = 0, .value = xcr0}};
	int rc;

	if (!xcr0 || (v->live_known & SX_LIVE_MSRS && v->live.xcr0 == xcr0))
		return 0;
	rc = sx_ioctl(v->fd, KVM_SET_XCRS, &x);
	if (rc == 0)
		v->live.xcr0 = xcr0;
	return rc;
}

static int get_xcr0(const struct sx_l2_vcpu *v, uint64_t *xcr0)
{
	struct kvm_xcrs x = {0};
	int rc = sx_ioctl(v->fd, KVM_GET_XCRS, &x);

	if (rc == 0 && x.nr_xcrs)
		*xcr0 = x.xcrs[0].value;
	return rc;
}

static int set_debug(struct sx_l2_vcpu *v, const struct sx_line_cpu *want)
{
	struct kvm_debugregs d = {.dr6 = want->dr6, .dr7 = want->dr7};

	if (v->live_known & SX_LIVE_DEBUG && v->live.dr6 == want->dr6 && v->live.dr7 == want->dr7 &&
	    memcmp(v->live.dr, want->dr, sizeof(want->dr)) == 0)
		return 0;
	memcpy(d.db, want->dr, sizeof(d.db));
	v->live.dr6 = want->dr6;
	v->live.dr7 = want->dr7;
	memcpy(v->live.dr, want->dr, sizeof(want->dr));
	v->live_known |= SX_LIVE_DEBUG;
	return sx_ioctl(v->fd, KVM_SET_DEBUGREGS, &d);
}

static int get_debug(struct sx_l2_vcpu *v, struct sx_line_cpu *cpu)
{
	struct kvm_debugregs d;
	int rc = sx_ioctl(v->fd, KVM_GET_DEBUGREGS, &d);

	if (rc < 0)
		return rc;
	memcpy(cpu->dr, d.db, sizeof(cpu->dr));
	cpu->dr6 = v->live.dr6 = d.dr6;
	cpu->dr7 = v->live.dr7 = d.dr7;
	memcpy(v->live.dr, d.db, sizeof(v->live.dr));
	return 0;
}

/*
 * KVM copies struct kvm_xsave, or more where KVM_CAP_XSAVE2 says so; of ours a page is passed. L1's
 * image is its own to spoil: KVM refuses one that is not valid.
 */
static int set_xsave(struct sx_l2_vcpu *v, const void *image)
{
	if (!v->xsave) {
		v->xsave = calloc(1, SX_LINE_XSAVE_SIZE);
		if (!v->xsave)
			return -ENOMEM;
	} else if (memcmp(v->xsave, image, SX_LINE_XSAVE_SIZE) == 0) {
		return 0;
	}
	memcpy(v->xsave, image, SX_LINE_XSAVE_SIZE);
	return sx_ioctl(v->fd, KVM_SET_XSAVE, v->xsave);
}

static int get_xsave(struct sx_l2_vcpu *v, void *image)
{
	int rc = sx_ioctl(v->fd, KVM_GET_XSAVE, v->xsave);

	if (rc == 0)
		memcpy(image, v->xsave, SX_LINE_XSAVE_SIZE);
	return rc;
}

/* ---- all of it ---- */

int sx_l2_vcpu_load_live(struct sx_l2_vcpu *v, uint32_t live, const struct sx_line_cpu *cpu,
			 const void *xsave)
{
	int rc = 0;

	if (live & SX_LIVE_CR2)
		v->cr2 = cpu->cr2;
	if (live & SX_LIVE_MSRS)
		rc = set_xcr0(v, cpu->xcr0);
	if (rc == 0 && live & SX_LIVE_MSRS)
		rc = set_msrs(v, cpu);
	if (rc == 0 && live & SX_LIVE_DEBUG)
		rc = set_debug(v, cpu);
	if (rc == 0 && live & SX_LIVE_FPU)
		rc = set_xsave(v, xsave);
	return rc;
}

int sx_l2_vcpu_save_live(struct sx_l2_vcpu *v, uint32_t live, struct sx_line_cpu *cpu, void *xsave)
{
	int rc = 0;

	if (live & SX_LIVE_CR2)
		cpu->cr2 = v->cr2;
	if (live & SX_LIVE_MSRS)
		rc = get_xcr0(v, &cpu->xcr0);
	if (rc == 0 && live & SX_LIVE_MSRS)
		rc = get_msrs(v, cpu);
	if (rc == 0 && live & SX_LIVE_DEBUG)
		rc = get_debug(v, cpu);
	if (rc == 0 && live & SX_LIVE_FPU)
		rc = get_xsave(v, xsave);
	return rc;
}
