// SPDX-License-Identifier: BSD-3-Clause
/* splitx run GUEST: a micro-guest. */
#include "cli/run.h"
#include "cli/status.h"

#define USUAL_MEMORY (16ull << 20)

static void incidents(void *ctx, void (*report)(const char *text))
{
	sx_machine_incidents(ctx, report);
}

static void show(struct sx_run *r)
{
	struct sx_machine *m = &r->machine;
	unsigned n = 0;

	r->vcpu = m->vcpu;
	r->vcpus = m->config.vcpus;
	r->console = (struct sx_console_guest){.out = {&m->console_out},
					       .outs = 1,
					       .in = &m->console_in,
					       .incidents = incidents,
					       .ctx = m};
	r->poller[n++] = &m->twin.poller;
	for (unsigned i = 0; i < m->ring_count; i++)
		r->poller[n++] = &m->ring[i].server.poller;
	r->view = (struct sx_stats_view){
		.guest = m->config.guest,
		.mode = m->mode,
		.vcpu = m->vcpu,
		.vcpus = m->config.vcpus,
		.bus = &m->bus,
		.sidecores = m->config.sidecores,
		.sidecore_count = m->config.sidecore_count,
		.server = m->server,
		.poller = r->poller,
		.pollers = m->mode == SX_SPLIT ? n : 0,
		.ring = m->ring,
		.ring_count = m->ring_count,
	};
}

static int create(struct sx_run *r, struct sx_error *err)
{
	struct sx_machine_config c = {
		.kvm = &r->kvm,
		.guest = r->opt.guest,
		.memory = r->opt.memory ? r->opt.memory : USUAL_MEMORY,
		.vcpus = sx_placement_vcpus(r->place),
		.mode = r->opt.mode,
		.wait = r->opt.wait,
		.sidecores = r->sidecore,
		.sidecore_count = r->sidecores,
		.sidecores_sleep = r->opt.wait.idle_ns != 0,
		.place = r->place,
	};
	int rc = sx_machine_create(&r->machine, &c, err);

	if (rc < 0)
		return rc;
	r->created = true;
	show(r);
	return 0;
}

static void destroy(struct sx_run *r)
{
	if (r->created)
		sx_machine_destroy(&r->machine);
	r->created = false;
}

static int status(const struct sx_run *r)
{
	uint32_t code = r->machine.debug_exit.code;

	return code > SX_STATUS_GUEST_MAX ? SX_STATUS_GUEST_MAX : (int)code;
}

const struct sx_run_kind sx_run_micro = {create, destroy, status};
