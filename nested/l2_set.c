// SPDX-License-Identifier: BSD-3-Clause
/* The L2 VMs of one L1: one for each EPT12 root, the least recently entered gives way. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nested/nested_internal.h"

static void destroy(struct sx_nested *n, struct sx_l2 *l2)
{
	if (!l2->vm)
		return;
	for (unsigned i = 0; i < sx_l2_vcpus(n); i++) {
		struct sx_l2_vcpu *v = &l2->vcpu[i];

		n->gone_exits += sx_l2_vcpu_exits(v);
		sx_l2_vcpu_destroy(v);
	}
	free(l2->vcpu);
	sx_l2_filter_close(l2);
	sx_l2_vm_destroy(l2->vm);
	pthread_mutex_destroy(&l2->lock);
	memset(l2, 0, sizeof(*l2));
}

void sx_l2_destroy_all(struct sx_nested *n)
{
	for (unsigned i = 0; i < SX_NESTED_MAX_L2; i++)
		destroy(n, &n->l2[i]);
}

static int create(struct sx_nested *n, struct sx_l2 *l2, uint64_t root, struct sx_error *err)
{
	const struct sx_nested_config *c = &n->config;
	int rc;

	l2->vcpu = calloc(sx_l2_vcpus(n), sizeof(*l2->vcpu));
	if (!l2->vcpu)
		return -ENOMEM;
	for (unsigned i = 0; i < sx_l2_vcpus(n); i++)
		l2->vcpu[i].fd = l2->vcpu[i].stats.fd = -1;
	rc = sx_l2_vm_create(&l2->vm, c->kvm, c->ranges, c->range_count, err);
	if (rc < 0)
		goto fail_vcpus;
	rc = sx_l2_filter_open(l2, c->vcpus, err);
	if (rc < 0)
		goto fail_vm;
	pthread_mutex_init(&l2->lock, NULL);
	l2->root = root;
	l2->changes = ++n->clock; /* no other's before it */
	return 0;

fail_vm:
	sx_l2_vm_destroy(l2->vm);
fail_vcpus:
	free(l2->vcpu);
	memset(l2, 0, sizeof(*l2));
	return rc;
}

/* The one for @root, else a free place, else the one that was entered longest ago; NULL: all run.
 */
static struct sx_l2 *choose(struct sx_nested *n, uint64_t root)
{
	struct sx_l2 *best = NULL;

	for (unsigned i = 0; i < SX_NESTED_MAX_L2; i++) {
		struct sx_l2 *l2 = &n->l2[i];

		if (l2->vm && l2->root == root)
			return l2;
		if (l2->users)
			continue;
		if (!best || !l2->vm || (best->vm && l2->entered < best->entered))
			best = l2;
	}
	return best;
}

/*
 * KVM does not let a vCPU that has run have another CPUID, so each that was learned has its own
 * vCPU; before that it is one for each of L1's. NULL: this VM has no more.
 */
static struct sx_l2_vcpu *vcpu_for(struct sx_l1 *l1, struct sx_l2 *l2)
{
	const struct sx_nested *n = l1->nested;

	if (!sx_l2_learned(l1->guest))
		return &l2->vcpu[l1->index];
	for (unsigned i = n->config.vcpus; i < sx_l2_vcpus(n); i++)
		if (l2->vcpu[i].fd < 0 || l2->vcpu[i].guest == l1->guest->id)
			return &l2->vcpu[i];
	return NULL;
}

static int open_vcpu(struct sx_l1 *l1, struct sx_l2 *l2, struct sx_l2_vcpu *v, struct sx_error *err)
{
	const struct sx_kvm *kvm = l1->nested->config.kvm;
	int rc;

	if (v->fd >= 0)
		return 0;
	rc = sx_l2_vcpu_create(v, kvm, l2->vm, (unsigned)(v - l2->vcpu), err);
	if (rc < 0)
		return rc;
	v->guest = l1->guest->id;
	rc = sx_l2_vcpu_set_cpuid(v, kvm, sx_l2_learned(l1->guest), err);
	if (rc < 0)
		sx_l2_vcpu_destroy(v);
	return rc;
}

/* The VM for @root, which has a vCPU left for l1->guest. */
static int get(struct sx_l1 *l1, uint64_t root, struct sx_l2 **found, struct sx_error *err)
{
	struct sx_nested *n = l1->nested;
	struct sx_l2 *l2 = choose(n, root);

	if (!l2)
		return sx_fail(err, -EBUSY, "L1 runs more than %d L2 guests at a time",
			       SX_NESTED_MAX_L2);
	*found = l2;
	if (l2->vm && l2->root == root && vcpu_for(l1, l2))
		return 0;
	if (l2->users)
		return sx_fail(err, -EBUSY, "an L2 VM has had more than %u vCPUs", SX_L2_LEARNED);
	destroy(n, l2);
	return create(n, l2, root, err);
}

struct sx_l2 *sx_l2_get(struct sx_l1 *l1, uint64_t root, struct sx_l2_vcpu **v,
			struct sx_error *err)
{
	struct sx_nested *n = l1->nested;
	struct sx_l2 *l2;
	int rc;

	pthread_mutex_lock(&n->lock);
	rc = get(l1, root, &l2, err);
	if (rc == 0) {
		*v = vcpu_for(l1, l2);
		rc = *v ? open_vcpu(l1, l2, *v, err) : -EBUSY;
	}
	if (rc == 0) {
		l2->entered = ++n->clock;
		l2->users++;
	}
	pthread_mutex_unlock(&n->lock);
	return rc == 0 ? l2 : NULL;
}

void sx_l2_put(struct sx_l1 *l1, struct sx_l2 *l2)
{
	pthread_mutex_lock(&l1->nested->lock);
	l2->users--;
	pthread_mutex_unlock(&l1->nested->lock);
}

void sx_l2_invalidate(struct sx_l1 *l1, uint64_t root)
{
	struct sx_nested *n = l1->nested;

	pthread_mutex_lock(&n->lock);
	for (unsigned i = 0; i < SX_NESTED_MAX_L2; i++) {
		struct sx_l2 *l2 = &n->l2[i];

		if (!l2->vm || l2->root == SX_VMX_NONE)
			continue;
		if (root != SX_VMX_NONE && l2->root != root)
			continue;
		pthread_mutex_lock(&l2->lock);
		sx_l2_vm_revalidate(l2->vm, &l1->vmx, l2->eptp);
		l2->changes++;
		pthread_mutex_unlock(&l2->lock);
	}
	pthread_mutex_unlock(&n->lock);
}
