// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which sidecore serves which of a PC's devices: they are dealt out, but for those that the user
 * pinned.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "cli/device_core.h"
#include "cli/pc_devices.h"
#include "tests/support/world.h"

#define SIDECORES 2

struct pc {
	struct sx_kvm kvm;
	struct sx_error why;
	struct sx_vm vm;
	struct sx_bus bus;
	struct sx_trap_sink trap;
	struct sx_sidecore *sidecore[SIDECORES];
	int cpu[SIDECORES];
	struct sx_plugged plugged[4];
	unsigned count;
	struct sx_pc_devices devices;
};

/* The first CPUs that this process may use; false: there are too few. */
static bool find_cpus(struct pc *pc)
{
	cpu_set_t set;
	unsigned found = 0;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return false;
	for (int cpu = 0; cpu < CPU_SETSIZE && found < SIDECORES; cpu++)
		if (CPU_ISSET(cpu, &set))
			pc->cpu[found++] = cpu;
	return found == SIDECORES;
}

static int set_up(void **state)
{
	struct pc *pc = calloc(1, sizeof(*pc));

	*state = pc;
	if (!pc)
		return -1;
	pc->kvm.fd = pc->vm.fd = -1;
	if (sx_kvm_open(&pc->kvm, &pc->why) < 0)
		return 0;
	sx_bus_init(&pc->bus, false);
	sx_trap_sink_init(&pc->trap, &pc->bus);
	return sx_vm_create(&pc->vm, &pc->kvm, &pc->why);
}

static int tear_down(void **state)
{
	struct pc *pc = *state;

	if (pc->devices.config.vm)
		sx_pc_devices_destroy(&pc->devices);
	for (unsigned i = 0; i < SIDECORES; i++)
		sx_sidecore_stop(pc->sidecore[i]);
	if (pc->kvm.fd >= 0) {
		sx_trap_sink_destroy(&pc->trap);
		sx_bus_destroy(&pc->bus);
	}
	sx_vm_destroy(&pc->vm);
	sx_kvm_close(&pc->kvm);
	free(pc);
	return 0;
}

static void plug_in(struct pc *pc, const char *option, const char *value)
{
	for (unsigned i = 0; i < sx_plug_count; i++)
		if (strcmp(sx_plugs[i].option, option) == 0)
			pc->plugged[pc->count++] =
				(struct sx_plugged){.plug = &sx_plugs[i], .value = value};
}

/* Two sources of random numbers and a network between them. */
static struct pc *pc_of(void **state)
{
	struct pc *pc = *state;

	if (pc->kvm.fd < 0) {
		print_message("%s\n", pc->why.text);
		skip();
	}
	if (!find_cpus(pc)) {
		print_message("fewer than %d CPUs may be used\n", SIDECORES);
		skip();
	}
	for (unsigned i = 0; i < SIDECORES; i++) {
		struct sx_sidecore_config c = SX_SIDECORE_POLL(pc->cpu[i]);

		assert_int_equal(sx_wait_policy_parse(&c.wait, "pause:50", NULL), 0);
		assert_int_equal(sx_sidecore_start(&pc->sidecore[i], &c, NULL), 0);
	}
	plug_in(pc, "rng", NULL);
	plug_in(pc, "net", "user");
	plug_in(pc, "rng", NULL);
	assert_int_equal(pc->count, 3);
	return pc;
}

static int create(struct pc *pc, unsigned sidecores, struct sx_error *err)
{
	const struct sx_pc_devices_config c = {
		.vm = &pc->vm,
		.bus = &pc->bus,
		.trap = &pc->trap,
		.plugged = pc->plugged,
		.count = pc->count,
		.may_sleep = true,
		.sidecores = pc->sidecore,
		.sidecore_count = sidecores,
	};

	return sx_pc_devices_create(&pc->devices, &c, err);
}

static void pin(struct pc *pc, const char *device, int cpu)
{
	char text[32];

	snprintf(text, sizeof(text), "%s=%d", device, cpu);
	assert_int_equal(sx_device_core_apply(pc->plugged, pc->count, text, NULL), 0);
}

/* Build it, and the three devices are on these sidecores. */
static void expect(struct pc *pc, const unsigned where[3])
{
	const struct sx_poller *poller[4];
	struct sx_sidecore_stats s;
	unsigned on[SIDECORES] = {0};

	assert_int_equal(create(pc, SIDECORES, NULL), 0);
	assert_int_equal(sx_pc_devices_start(&pc->devices, NULL), 0);
	assert_int_equal(sx_pc_devices_pollers(&pc->devices, poller, 4), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_ptr_equal(poller[i]->sidecore, pc->sidecore[where[i]]);
		on[where[i]]++;
	}
	for (unsigned i = 0; i < SIDECORES; i++) {
		sx_sidecore_stats(pc->sidecore[i], &s);
		assert_int_equal(s.pollers, on[i]);
	}
}

static void dealt_out(void **state)
{
	expect(pc_of(state), (unsigned[]){0, 1, 0});
}

static void pinned(void **state)
{
	struct pc *pc = pc_of(state);

	pin(pc, "net0", pc->cpu[0]);
	pin(pc, "rng1", pc->cpu[1]);
	expect(pc, (unsigned[]){0, 0, 1});
}

/* One that is pinned takes no turn from the others. */
static void pinned_first(void **state)
{
	struct pc *pc = pc_of(state);

	pin(pc, "rng0", pc->cpu[0]);
	pin(pc, "rng0", pc->cpu[1]); /* the last word counts */
	expect(pc, (unsigned[]){1, 0, 1});
}

static void no_sidecore(void **state)
{
	struct pc *pc = pc_of(state);
	struct sx_error err = {0};

	pin(pc, "net0", pc->cpu[1]);
	assert_int_equal(create(pc, 1, &err), -EINVAL);
	want_sentence(&err, "which is no sidecore");
}

static void not_meant(void **state)
{
	static const char *const texts[] = {
		"",      "rng",    "rng0",    "=1",     "rng2=1",  "rng=1",        "rng00=1",
		"net0=", "net0=x", "net0=-1", "net1=0", "disk0=1", "net0=1,rng0=1"};
	struct pc *pc = pc_of(state);

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct sx_error err = {0};

		assert_int_equal(sx_device_core_apply(pc->plugged, pc->count, texts[i], &err),
				 -EINVAL);
		want_sentence(&err, "--device-core");
	}
	expect(pc, (unsigned[]){0, 1, 0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(dealt_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pinned, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pinned_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_sidecore, set_up, tear_down),
		cmocka_unit_test_setup_teardown(not_meant, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
