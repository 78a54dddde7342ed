// SPDX-License-Identifier: BSD-3-Clause
#include "cli/machine_nested.h"

#include <errno.h>

#include "cli/machine.h"
#include "ipc/wire/vmx_line.h"

static int create_lines(struct sx_machine *m, struct sx_error *err)
{
	struct sx_machine_nested *n = &m->nested;
	uint64_t size = (uint64_t)m->config.vcpus * SX_LINE_STRIDE;
	int rc = sx_region_create(&n->lines, "splitx-vmx", size, 0, err);

	if (rc < 0)
		return rc;
	return sx_vm_add_memory(&m->vm, SX_MACHINE_VMX_LINES_GPA, size, n->lines.base, 0, err);
}

int sx_machine_nested_create(struct sx_machine *m, struct sx_error *err)
{
	struct sx_machine_nested *n = &m->nested;
	struct sx_nested_config config = {
		.kvm = m->config.kvm,
		.memory = &m->vm.memory,
		.ranges = n->range,
		.range_count = 2,
		.vcpu = m->vcpu,
		.vcpus = m->config.vcpus,
		.kick = SX_MACHINE_VMX_KICK_GPA,
	};
	int rc = create_lines(m, err);

	if (rc < 0)
		return rc;
	n->range[0] = (struct sx_l1_range){.gpa = 0, .size = m->ram.size, .fd = m->ram.fd};
	n->range[1] = (struct sx_l1_range){
		.gpa = SX_MACHINE_TWIN_GPA, .size = m->twin_page.size, .fd = m->twin_page.fd};
	config.lines = n->lines.base;
	rc = sx_nested_create(&n->engine, &config, err);
	for (unsigned i = 0; rc == 0 && i < m->config.vcpus; i++)
		m->vcpu[i].insns = sx_nested_insn_sink(n->engine);
	return rc;
}

static void leave_sidecores(struct sx_machine *m)
{
	for (unsigned i = 0; i < m->config.vcpus; i++)
		sx_sidecore_remove(sx_nested_poller(m->nested.engine, i));
}

void sx_machine_nested_destroy(struct sx_machine *m)
{
	struct sx_machine_nested *n = &m->nested;

	if (n->engine)
		leave_sidecores(m);
	sx_nested_destroy(n->engine);
	n->engine = NULL;
	sx_region_destroy(&n->lines);
}

int sx_machine_nested_place(struct sx_machine *m, enum sx_nested_place place, const int *cpus,
			    struct sx_error *err)
{
	struct sx_nested *engine = m->nested.engine;
	int rc;

	leave_sidecores(m);
	rc = sx_nested_set_place(engine, place, cpus, err);
	if (rc < 0 || place != SX_NESTED_COLOCATED)
		return rc;
	if (!m->config.sidecore_count)
		return sx_fail(err, -EINVAL, "nested VMX in split mode needs a sidecore");
	for (unsigned i = 0; rc == 0 && i < m->config.vcpus; i++)
		rc = sx_sidecore_add(m->config.sidecores[0], sx_nested_poller(engine, i));
	return rc < 0 ? sx_fail(err, rc, "a sidecore has no room for the VMX lines") : 0;
}
