// SPDX-License-Identifier: BSD-3-Clause
#include "cli/machine_nested.h"

#include "cli/machine.h"

int sx_machine_nested_create(struct sx_machine *m, struct sx_error *err)
{
	const struct sx_nested_host_config config = {
		.kvm = m->config.kvm,
		.vm = &m->vm,
		.vcpu = m->vcpu,
		.vcpus = m->config.vcpus,
		/* Its memory, and the twin's page, which it may give to L2. */
		.range = {{.gpa = 0, .size = m->ram.size, .fd = m->ram.fd},
			  {.gpa = SX_MACHINE_TWIN_GPA,
			   .size = m->twin_page.size,
			   .fd = m->twin_page.fd}},
		.ranges = 2,
		.lines = SX_MACHINE_VMX_LINES_GPA,
		.kick = SX_MACHINE_VMX_KICK_GPA,
	};

	return sx_nested_host_create(&m->nested, &config, err);
}

int sx_machine_nested_place(struct sx_machine *m, enum sx_nested_place place, const int *cpus,
			    struct sx_error *err)
{
	return sx_nested_host_place(&m->nested, place, cpus, m->config.sidecores,
				    m->config.sidecore_count, err);
}
