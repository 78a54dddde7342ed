// SPDX-License-Identifier: BSD-3-Clause
#include "bench/virtio_stage.h"

#include <errno.h>
#include <string.h>

#include "bench/paths.h"

#define GUEST_MEMORY (32ull << 20)
#define DISK_BLOCKS  4096u /* 16 MiB */

/* Device numbers, in the order in which they are plugged in. */
enum { DISK, NET };

/* ---- whose turn it is ---- */

static void rest(struct sx_virtio_stage *s)
{
	if (s->on == SX_ACTOR_SPLIT && !s->parked) {
		sx_park(&s->rig[SX_ACTOR_SPLIT], &s->parking);
		s->parked = true;
	} else if (s->on == SX_ACTOR_TESTPMD) {
		sx_testpmd_pause(&s->testpmd);
	}
}

static void wake(struct sx_virtio_stage *s, enum sx_actor actor)
{
	if (actor == SX_ACTOR_SPLIT && s->parked) {
		sx_unpark(&s->parking);
		s->parked = false;
	}
	s->on = actor;
}

/* ---- opening ---- */

static int open_rig(struct sx_virtio_stage *s, enum sx_actor actor,
		    const struct sx_bench_options *opt, struct sx_error *err)
{
	const bool devices = actor != SX_ACTOR_TESTPMD;
	struct sx_plugged plugged[] = {
		[DISK] = {.plug = &sx_disk_bench_plug},
		[NET] = {.plug = &sx_net_bench_plug},
	};
	char guest[4096];
	struct sx_rig_config config = {
		.guest = guest,
		.memory = GUEST_MEMORY,
		.guest_cores = opt->guest_cores,
		.sidecores = opt->sidecores,
		.plugged = plugged,
		.plugged_count = devices ? 2 : 0,
		.device_mode = actor == SX_ACTOR_SPLIT ? SX_SPLIT : SX_TRAP,
	};
	int rc = sx_path_guest("virtio", guest, sizeof(guest), err);

	if (rc == 0 && devices) {
		rc = sx_disk_bench_create(&s->disk[actor], DISK_BLOCKS, err);
		plugged[DISK].value = s->disk[actor].path;
	}
	/* The one before has bound us to the guest's CPU; this one is to choose as it did. */
	if (rc == 0 && s->rig[0].page)
		sched_setaffinity(0, sizeof(s->rig[0].affinity), &s->rig[0].affinity);
	if (rc == 0)
		rc = sx_rig_open(&s->rig[actor], &config, err);
	s->on = actor;
	rest(s);
	return rc;
}

static int open_testpmd(struct sx_virtio_stage *s, struct sx_error *err)
{
	struct sx_rig *rig = &s->rig[SX_ACTOR_TESTPMD];
	int rc = sx_machine_set_mode(&rig->machine, SX_TRAP, err);

	if (rc < 0)
		return rc;
	if (sx_testpmd_start(&s->testpmd, rig->guest_cpu, rig->side_cpu, &s->missing) < 0)
		return 0;
	s->have_testpmd = true;
	rc = sx_vhost_user_open(&s->vhost, s->testpmd.socket, &rig->machine.ram, &rig->page->rings,
				err);
	rest(s);
	return rc;
}

int sx_virtio_stage_open(struct sx_virtio_stage *s, const struct sx_bench_options *opt,
			 struct sx_error *err)
{
	int rc = 0;

	memset(s, 0, sizeof(*s));
	s->vhost = (struct sx_vhost_user){.fd = -1, .event = {-1, -1, -1, -1}};
	for (unsigned i = 0; rc == 0 && i < SX_ACTORS; i++)
		rc = open_rig(s, i, opt, err);
	return rc < 0 ? rc : open_testpmd(s, err);
}

void sx_virtio_stage_close(struct sx_virtio_stage *s)
{
	sx_vhost_user_close(&s->vhost);
	sx_testpmd_stop(&s->testpmd);
	wake(s, SX_ACTOR_SPLIT);
	/* The first to open knows what the thread's CPUs were. */
	for (unsigned i = SX_ACTORS; i--;)
		if (s->rig[i].page)
			sx_rig_close(&s->rig[i]);
	for (unsigned i = 0; i < SX_ACTOR_TESTPMD; i++)
		sx_disk_bench_destroy(&s->disk[i]);
}

/* ---- a turn ---- */

static enum sx_mode mode_of_rig(enum sx_actor actor)
{
	return actor == SX_ACTOR_SPLIT ? SX_SPLIT : SX_TRAP;
}

struct net_mode {
	struct sx_virtio_device *dev;
	enum sx_net_bench_mode mode;
	uint32_t bytes;
};

static void set_net_mode(void *ctx)
{
	const struct net_mode *m = ctx;

	sx_net_bench_set(m->dev, m->mode, m->bytes);
}

static enum sx_net_bench_mode mode_of(enum sx_bench_op op)
{
	if (op == SX_BENCH_NET_RX)
		return SX_NET_SOURCE;
	return op == SX_BENCH_NET_FORWARD ? SX_NET_REFLECTOR : SX_NET_SINK;
}

/* On the thread that owns the device, or under the lock that makes any its owner. */
static void direct_net(struct sx_rig *rig, const struct sx_virtio_command *c,
		       enum sx_net_bench_mode mode)
{
	struct net_mode m = {rig->devices.device[NET].dev, mode, c->bytes};

	if (c->actor == SX_ACTOR_SPLIT) {
		sx_sidecore_call(rig->sidecore, set_net_mode, &m);
		return;
	}
	pthread_mutex_lock(&rig->machine.trap.lock);
	set_net_mode(&m);
	pthread_mutex_unlock(&rig->machine.trap.lock);
}

static int set_peer(struct sx_virtio_stage *s, const struct sx_virtio_command *c,
		    struct sx_error *err)
{
	static const char *const modes[] = {
		[SX_NET_SINK] = "rxonly", [SX_NET_SOURCE] = "txonly", [SX_NET_REFLECTOR] = "io"};

	if (c->actor == SX_ACTOR_TESTPMD)
		return sx_testpmd_forward(&s->testpmd, modes[mode_of(c->op)], c->bytes, err);
	direct_net(&s->rig[c->actor], c, mode_of(c->op));
	return 0;
}

static uint64_t busy(const struct sx_rig *rig)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < rig->devices.count; i++) {
		const struct sx_virtio_device *dev = rig->devices.device[i].dev;

		for (unsigned g = 0; g < dev->groups; g++)
			sum += sx_load_relaxed(&dev->group[g].poller.busy_tsc);
	}
	return sum;
}

/* A command of its own, so that what it costs is not counted. */
static int prepare(struct sx_rig *rig, const struct sx_virtio_command *c, struct sx_error *err)
{
	const struct sx_rig_command command = {
		.mode = mode_of_rig(c->actor),
		.op = SX_BENCH_PREPARE,
		.how = c->how,
	};
	struct sx_rig_outcome ignored = {0};
	struct sx_samples none = {0};

	return sx_rig_run(rig, &command, &none, &ignored, err);
}

int sx_virtio_stage_run(struct sx_virtio_stage *s, const struct sx_virtio_command *c,
			struct sx_virtio_outcome *sum, struct sx_error *err)
{
	struct sx_rig *rig = &s->rig[c->actor];
	const struct sx_rig_command command = {
		.mode = mode_of_rig(c->actor),
		.op = c->op,
		.samples = c->samples,
		.warmup = c->warmup,
		.batch = c->batch,
		.depth = c->depth,
		.bytes = c->bytes,
		.window = c->window,
		.unchecked = c->actor == SX_ACTOR_TESTPMD && c->op == SX_BENCH_NET_RX,
	};
	uint64_t before;
	int rc;

	if (c->actor == SX_ACTOR_TESTPMD && !s->have_testpmd)
		return sx_fail(err, -ENOENT, "there is no testpmd: %s", s->missing.text);
	wake(s, c->actor);
	rc = prepare(rig, c, err);
	if (rc == 0)
		rc = set_peer(s, c, err);
	before = busy(rig);
	if (rc == 0)
		rc = sx_rig_run(rig, &command, &sum->samples, &sum->rig, err);
	if (rc == 0)
		sx_rig_windows(rig, &sum->windows);
	sum->busy += busy(rig) - before;
	if (c->actor != SX_ACTOR_TESTPMD)
		direct_net(rig, c, SX_NET_SINK);
	rest(s);
	return rc;
}

int sx_virtio_stage_check(const struct sx_virtio_stage *s, struct sx_error *err)
{
	for (unsigned i = 0; i < SX_ACTOR_TESTPMD; i++) {
		int rc = sx_disk_bench_check(&s->disk[i], err);

		if (rc < 0)
			return rc;
	}
	return 0;
}
