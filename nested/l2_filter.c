// SPDX-License-Identifier: BSD-3-Clause
/*
 * What KVM is told to give up of L2. Which MSR accesses come out: L1's MSR bitmap (SDM 3C 25.6.9)
 * as KVM's MSR filter (KVM_X86_SET_MSR_FILTER, api.rst). What neither covers always exits for L1,
 * and comes out.
 *
 * The filter is the VM's, the bitmap a vCPU's: KVM gives up what any of them wants, and l2_msr.c
 * does what this one's L1 lets through.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "nested/nested_internal.h"

#define MSRS  0x2000u    /* that one part of the bitmap covers */
#define PART  (MSRS / 8) /* its bytes */
#define PARTS (SX_MSR_BITMAP / PART)

static int enable(int vm_fd, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap c = {.cap = cap, .args = {arg}};

	return sx_ioctl(vm_fd, KVM_ENABLE_CAP, &c);
}

/*
 * What KVM cannot emulate comes out at any CPL, and is not a #UD that L1 never sees. Before Linux
 * 5.15 there is no such thing, and only what fails at CPL 0 comes out.
 */
static int give_up_emulation(int vm_fd)
{
	int rc = enable(vm_fd, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1);

	return rc == -EINVAL ? 0 : rc;
}

/* 1 in @exits: the access exits. 1 in KVM's bitmaps: it does not. */
static int set_filter(int vm_fd, const uint8_t *exits)
{
	/* In the order of L1's bitmap: reads of low and high MSRs, then writes. */
	struct kvm_msr_filter filter = {.flags = KVM_MSR_FILTER_DEFAULT_DENY};
	uint8_t allowed[SX_MSR_BITMAP];

	for (unsigned i = 0; i < sizeof(allowed); i++)
		allowed[i] = (uint8_t)~exits[i];
	for (unsigned i = 0; i < PARTS; i++)
		filter.ranges[i] = (struct kvm_msr_filter_range){
			.flags = i < PARTS / 2 ? KVM_MSR_FILTER_READ : KVM_MSR_FILTER_WRITE,
			.nmsrs = MSRS,
			.base = i % 2 ? 0xc0000000 : 0,
			.bitmap = allowed + (size_t)i * PART,
		};
	return sx_ioctl(vm_fd, KVM_X86_SET_MSR_FILTER, &filter);
}

int sx_l2_filter_open(struct sx_l2 *l2, unsigned vcpus, struct sx_error *err)
{
	int fd = sx_l2_vm_fd(l2->vm), rc;

	/* Zeroed: none has asked for anything yet. */
	l2->msr_bitmaps = calloc(vcpus, SX_MSR_BITMAP);
	if (!l2->msr_bitmaps)
		return sx_fail(err, -ENOMEM, "there is no memory for L2's MSR bitmaps");
	rc = enable(fd, KVM_CAP_X86_USER_SPACE_MSR,
		    KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN |
			    KVM_MSR_EXIT_REASON_FILTER);
	if (rc == 0)
		rc = set_filter(fd, l2->msr_bitmaps);
	if (rc == 0)
		rc = give_up_emulation(fd);
	if (rc == 0)
		return 0;
	sx_l2_filter_close(l2);
	return sx_fail(err, rc, "KVM does not filter L2's MSRs (Linux 5.10 does): %s",
		       strerror(-rc));
}

void sx_l2_filter_close(struct sx_l2 *l2)
{
	free(l2->msr_bitmaps);
	l2->msr_bitmaps = NULL;
}

/* Where there is no bitmap every access exits: 26.1.3. */
static void read_bitmap(struct sx_l1 *l1, uint8_t *exits)
{
	const struct sx_vmcs12 *v12 = &l1->vmx.v12;

	if (!(sx_vmcs12_get(v12, SX_VMCS_CPU_CONTROLS) & SX_CPU_MSR_BITMAPS) ||
	    sx_l1_ops.read(l1, sx_vmcs12_get(v12, SX_VMCS_MSR_BITMAP), exits, SX_MSR_BITMAP) != 0)
		memset(exits, 0xff, SX_MSR_BITMAP);
}

int sx_l2_filter(struct sx_l1 *l1, struct sx_l2 *l2)
{
	uint8_t *mine = l2->msr_bitmaps + (size_t)l1->index * SX_MSR_BITMAP;
	uint8_t now[SX_MSR_BITMAP], all[SX_MSR_BITMAP];
	int rc;

	read_bitmap(l1, now);
	if (memcmp(mine, now, sizeof(now)) == 0)
		return 0;
	memcpy(all, now, sizeof(all));
	pthread_mutex_lock(&l2->lock);
	for (unsigned k = 0; k < l1->nested->config.vcpus; k++) {
		const uint8_t *other = l2->msr_bitmaps + (size_t)k * SX_MSR_BITMAP;

		for (unsigned i = 0; k != l1->index && i < sizeof(all); i++)
			all[i] |= other[i];
	}
	rc = set_filter(sx_l2_vm_fd(l2->vm), all);
	if (rc == 0)
		memcpy(mine, now, sizeof(now));
	pthread_mutex_unlock(&l2->lock);
	return rc;
}
