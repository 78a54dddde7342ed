// SPDX-License-Identifier: BSD-3-Clause
#include "bench/rig.h"

#include <errno.h>
#include <string.h>

#include "guestcore/pc_map.h"

/* ---- the yield port: brings the vCPU back to the benchmark ---- */

static int yield_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	(void)dev;
	(void)offset;
	*value = sx_bus_all_ones(size);
	return SX_EXIT_CONTINUE;
}

static int yield_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	(void)dev;
	(void)offset;
	(void)size;
	(void)value;
	return SX_EXIT_STOP;
}

static const struct sx_bus_ops yield_ops = {.read = yield_read, .write = yield_write};

/* ---- construction ---- */

static int plan(struct sx_rig *rig, const struct sx_rig_config *config, struct sx_error *err)
{
	struct sx_placement_request req = {
		.guest_cores = config->guest_cores,
		.sidecores = config->sidecores,
		.n_guest = 1,
		.n_side = config->sidecores ? 0 : 1,
	};
	int rc = sx_placement_plan(&req, &rig->place, err);

	if (rc < 0)
		return rc;
	rig->guest_cpu = (int)sx_placement_guest_core(rig->place, 0);
	rig->side_cpu = (int)sx_placement_sidecore(rig->place, 0);
	if (rig->guest_cpu == rig->side_cpu)
		return sx_fail(err, -ENOSPC, "the benchmark needs two cores");
	return 0;
}

static int build(struct sx_rig *rig, const struct sx_rig_config *config, struct sx_error *err)
{
	struct sx_machine_config mc = {
		.kvm = &rig->kvm,
		.guest = config->guest,
		.memory = config->memory,
		.vcpus = 1,
		.mode = config->plugged_count ? config->device_mode : SX_SPLIT,
		.wait = SX_WAIT_POLL,
		.sidecores = &rig->sidecore,
		.sidecore_count = 1,
		.nested = config->nested,
		.place = rig->place,
		.argument = config->plugged_count ? SX_PC_ECAM : 0,
	};
	struct sx_sidecore_config sc = SX_SIDECORE_POLL(rig->side_cpu);
	int rc;

	rc = sx_sidecore_start(&rig->sidecore, &sc, err);
	if (rc == 0)
		rc = sx_placement_bind_thread(rig->place, (unsigned)rig->guest_cpu, err);
	if (rc == 0)
		rc = sx_vcpu_set_up_signal(err);
	if (rc == 0)
		rc = sx_machine_create(&rig->machine, &mc, err);
	if (rc < 0)
		return rc;
	rig->yield = (struct sx_bus_range){
		.name = "yield",
		.space = SX_BUS_PIO,
		.base = SX_PORT_YIELD,
		.size = 4,
		.ops = &yield_ops,
	};
	return sx_bus_add(&rig->machine.bus, &rig->yield, err);
}

static int make_devices(struct sx_rig *rig, const struct sx_rig_config *config,
			struct sx_error *err)
{
	struct sx_machine *m = &rig->machine;
	const struct sx_pc_devices_config devices = {
		.vm = &m->vm,
		.bus = &m->bus,
		.trap = &m->trap,
		.plugged = config->plugged,
		.count = config->plugged_count,
		.sidecores = &rig->sidecore,
		.sidecore_count = config->device_mode == SX_SPLIT ? 1 : 0,
	};
	int rc = sx_pc_devices_create(&rig->devices, &devices, err);

	return rc < 0 ? rc : sx_pc_devices_start(&rig->devices, err);
}

/*
 * In trap mode they have a thread that waits for their back ends. It inherits our CPU, and belongs
 * on the other one: on the guest's it would wait for a guest that polls.
 */
static int plug_in(struct sx_rig *rig, const struct sx_rig_config *config, struct sx_error *err)
{
	int rc, back;

	if (!config->plugged_count)
		return 0;
	rc = sx_placement_bind_thread(rig->place, (unsigned)rig->side_cpu, err);
	if (rc < 0)
		return rc;
	rc = make_devices(rig, config, err);
	back = sx_placement_bind_thread(rig->place, (unsigned)rig->guest_cpu, err);
	return rc < 0 ? rc : back;
}

/* Run the guest until it yields. */
static int resume(struct sx_rig *rig, struct sx_error *err)
{
	int rc = sx_vcpu_run(&rig->machine.vcpu[0], err);

	if (rc < 0)
		return rc;
	if (rc != SX_VCPU_SINK || rig->machine.debug_exit.ended)
		return sx_fail(err, -EIO, "the benchmark's guest ended by itself (code %u)",
			       rig->machine.debug_exit.code);
	return 0;
}

static int map_page(struct sx_rig *rig, struct sx_error *err)
{
	const struct sx_boot_info *boot = &rig->machine.boot;
	uint64_t size = boot->heap_end - boot->heap;

	rig->page = sx_memmap_at(&rig->machine.vm.memory, boot->heap, size, SX_WRITE);
	if (!rig->page)
		return sx_fail(err, -ENOMEM, "the benchmark's guest has no room for samples");
	rig->page_samples = (uint32_t)((size - sizeof(*rig->page)) / sizeof(uint64_t));
	return 0;
}

int sx_rig_open(struct sx_rig *rig, const struct sx_rig_config *config, struct sx_error *err)
{
	int rc;

	memset(rig, 0, sizeof(*rig));
	rig->kvm.fd = -1;
	if (sched_getaffinity(0, sizeof(rig->affinity), &rig->affinity) < 0)
		return sx_fail(err, -errno, "cannot tell this thread's CPUs: %s", strerror(errno));
	rc = sx_kvm_open(&rig->kvm, err);
	if (rc == 0)
		rc = plan(rig, config, err);
	if (rc == 0)
		rc = build(rig, config, err);
	if (rc == 0)
		rc = plug_in(rig, config, err);
	if (rc == 0)
		rc = map_page(rig, err);
	if (rc == 0)
		rc = sx_tsc_khz(rig->machine.boot.tsc_khz, &rig->tsc_khz, err);
	if (rc == 0)
		rc = resume(rig, err);
	if (rc < 0)
		sx_rig_close(rig);
	return rc;
}

void sx_rig_close(struct sx_rig *rig)
{
	sx_pc_devices_destroy(&rig->devices);
	if (rig->machine.vm.kvm)
		sx_machine_destroy(&rig->machine);
	sx_sidecore_stop(rig->sidecore);
	sx_placement_free(rig->place);
	sx_kvm_close(&rig->kvm);
	/* It was allowed before; if it no longer is, the thread stays where it is. */
	sched_setaffinity(0, sizeof(rig->affinity), &rig->affinity);
	memset(rig, 0, sizeof(*rig));
	rig->kvm.fd = -1;
}

/* ---- commands ---- */

struct exits {
	uint64_t all, device;
};

static int count_exits(struct sx_rig *rig, struct exits *exits, struct sx_error *err)
{
	struct sx_stats *s = &rig->machine.vcpu[0].stats;
	int rc = s->fd < 0 ? -ENOTSUP : sx_stats_read(s);

	if (rc < 0)
		return sx_fail(err, rc,
			       "this host's KVM counts no exits (binary statistics); use a kernel "
			       "from 5.14 on");
	exits->all = sx_stats_get(s, "exits");
	exits->device = sx_stats_get(s, "mmio_exits");
	return 0;
}

static uint32_t windows_of(uint32_t samples, uint32_t window)
{
	return window ? samples / window : 0;
}

void sx_rig_windows(const struct sx_rig *rig, struct sx_samples *s)
{
	const struct sx_bench_page *page = rig->page;

	for (uint32_t i = 0; i < windows_of(page->samples, page->window); i++)
		sx_samples_add(s, page->sample[page->samples + i]);
}

int sx_rig_run(struct sx_rig *rig, const struct sx_rig_command *c, struct sx_samples *s,
	       struct sx_rig_outcome *sum, struct sx_error *err)
{
	struct sx_bench_page *page = rig->page;
	struct exits before = {0}, after = {0};
	int rc;

	if (c->samples + windows_of(c->samples, c->window) > rig->page_samples)
		return sx_fail(err, -EINVAL, "the benchmark's guest has room for %u samples only",
			       rig->page_samples);
	page->op = c->op;
	page->samples = c->samples;
	page->warmup = c->warmup;
	page->batch = c->batch;
	page->messages = c->messages;
	page->doorbell = c->doorbell;
	page->depth = c->depth;
	page->bytes = c->bytes;
	page->unchecked = c->unchecked;
	page->window = c->window;
	page->how = c->how;
	page->done = 0;
	rc = sx_machine_set_mode(&rig->machine, c->mode, err);
	if (rc == 0)
		rc = count_exits(rig, &before, err);
	if (rc == 0)
		rc = resume(rig, err);
	if (rc == 0)
		rc = count_exits(rig, &after, err);
	if (rc < 0)
		return rc;
	if (page->done != (uint64_t)c->samples + c->warmup || page->failures)
		return sx_fail(err, -EIO,
			       "the benchmark's guest did %llu operations, %llu of them wrong",
			       (unsigned long long)page->done, (unsigned long long)page->failures);
	for (uint32_t i = 0; i < c->samples; i++)
		sx_samples_add(s, page->sample[i]);
	/* The yield itself is one. */
	if (after.all == before.all)
		return sx_fail(err, -ENOTSUP, "this host's KVM does not count exits");
	sum->exits += after.all - before.all - 1;
	sum->device_exits += after.device - before.device;
	sum->ops += page->done;
	return 0;
}
