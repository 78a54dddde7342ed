// SPDX-License-Identifier: BSD-3-Clause
#include "cli/nested_host.h"

#include <errno.h>

#include "ipc/wire/vmx_line.h"

#define PAGE 4096u

/* ---- exits ---- */

static int handle(void *ctx, struct sx_exit *x)
{
	struct sx_nested_host *h = ctx;

	if (x->kind == SX_EXIT_MMIO_WRITE && x->addr - h->config.kick < PAGE)
		return sx_nested_kick(h->engine, x->vcpu, x->value);
	return h->others.handle(h->others.ctx, x);
}

struct sx_exit_sink sx_nested_host_sink(struct sx_nested_host *h, struct sx_exit_sink others)
{
	h->others = others;
	return (struct sx_exit_sink){.handle = handle, .ctx = h};
}

/* L1's VMX instructions, where KVM gives those that it cannot emulate. */
static int execute(void *ctx, unsigned vcpu, const uint8_t *bytes, size_t len, struct sx_error *err)
{
	return sx_nested_execute(ctx, vcpu, bytes, len, err);
}

/* ---- making and unmaking ---- */

static int create_lines(struct sx_nested_host *h, struct sx_error *err)
{
	const struct sx_nested_host_config *c = &h->config;
	size_t size = (size_t)c->vcpus * SX_LINE_STRIDE;
	int rc = sx_region_create(&h->lines, "splitx-vmx", size, 0, err);

	return rc < 0 ? rc : sx_vm_add_memory(c->vm, c->lines, size, h->lines.base, 0, err);
}

int sx_nested_host_create(struct sx_nested_host *h, const struct sx_nested_host_config *config,
			  struct sx_error *err)
{
	struct sx_nested_config engine = {
		.kvm = config->kvm,
		.memory = &config->vm->memory,
		.ranges = h->config.range,
		.range_count = config->ranges,
		.vcpu = config->vcpu,
		.vcpus = config->vcpus,
		.kick = config->kick,
	};
	int rc;

	h->config = *config; /* its ranges are the engine's */
	rc = create_lines(h, err);
	engine.lines = h->lines.base;
	if (rc == 0)
		rc = sx_nested_create(&h->engine, &engine, err);
	for (unsigned i = 0; rc == 0 && i < config->vcpus; i++)
		config->vcpu[i].insns = (struct sx_insn_sink){.execute = execute, .ctx = h->engine};
	return rc;
}

static void leave_sidecores(struct sx_nested_host *h)
{
	for (unsigned i = 0; i < h->config.vcpus; i++)
		sx_sidecore_remove(sx_nested_poller(h->engine, i));
}

void sx_nested_host_destroy(struct sx_nested_host *h)
{
	if (h->engine)
		leave_sidecores(h);
	sx_nested_destroy(h->engine);
	h->engine = NULL;
	sx_region_destroy(&h->lines);
}

int sx_nested_host_place(struct sx_nested_host *h, enum sx_nested_place place, const int *cpus,
			 struct sx_sidecore *const *sidecores, unsigned sidecore_count,
			 struct sx_error *err)
{
	int rc;

	if (place == SX_NESTED_COLOCATED && !sidecore_count)
		return sx_fail(err, -EINVAL,
			       "nested VMX in split mode needs a sidecore; name one by "
			       "--sidecores");
	leave_sidecores(h);
	rc = sx_nested_set_place(h->engine, place, cpus, err);
	if (rc < 0 || place != SX_NESTED_COLOCATED)
		return rc;
	for (unsigned i = 0; rc == 0 && i < h->config.vcpus; i++)
		rc = sx_sidecore_add(sidecores[i % sidecore_count], sx_nested_poller(h->engine, i));
	return rc < 0 ? sx_fail(err, rc, "a sidecore has no room for the VMX lines") : 0;
}

void sx_nested_host_incidents(struct sx_nested_host *h, void (*report)(const char *text))
{
	struct sx_error err;

	while (h->engine && sx_nested_incident(h->engine, &err))
		report(err.text);
}
