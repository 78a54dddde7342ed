// SPDX-License-Identifier: BSD-3-Clause
/*
 * The stage of the suite `virtio`: three rigs on the same two cores (bench/rig.h), each with the
 * same micro-guest. One has its devices on the exiting vCPU's thread, one on the sidecore; the
 * third has no devices, and testpmd serves its network rings. One of them is on at a time.
 */
#ifndef SX_BENCH_VIRTIO_STAGE_H
#define SX_BENCH_VIRTIO_STAGE_H

#include "bench/disk_bench.h"
#include "bench/floors.h"
#include "bench/net_bench.h"
#include "bench/rig.h"
#include "bench/suite.h"
#include "bench/testpmd.h"
#include "bench/vhost_user.h"

enum sx_actor {
	SX_ACTOR_TRAP,
	SX_ACTOR_SPLIT,
	SX_ACTOR_TESTPMD,
	SX_ACTORS,
};

struct sx_virtio_stage {
	struct sx_rig rig[SX_ACTORS];
	struct sx_disk_bench disk[SX_ACTOR_TESTPMD];
	struct sx_testpmd testpmd;
	struct sx_vhost_user vhost;
	bool have_testpmd;
	struct sx_error missing; /* why there is no testpmd */
	enum sx_actor on;
	struct sx_parking parking;
	bool parked; /* the split rig's sidecore */
};

/* What the guest is to do, and who serves it. */
struct sx_virtio_command {
	enum sx_actor actor;
	enum sx_bench_op op; /* SX_BENCH_BLK_..., SX_BENCH_NET_...; testpmd has no disk */
	uint32_t samples, warmup;
	uint32_t depth, batch, bytes;
	uint32_t window; /* samples in a window */
	uint32_t how;    /* SX_BENCH_PACKED, SX_BENCH_INTERRUPTS; none with testpmd */
};

int sx_virtio_stage_open(struct sx_virtio_stage *s, const struct sx_bench_options *opt,
			 struct sx_error *err);
/* Also after a failed open. */
void sx_virtio_stage_close(struct sx_virtio_stage *s);

/* What came of a command, or of several. */
struct sx_virtio_outcome {
	struct sx_samples samples, windows; /* cycles; the caller gives them their memory */
	struct sx_rig_outcome rig;
	uint64_t busy; /* TSC cycles of the sidecore, an estimate; only of the split rig */
};

/* Have @c carried out; what comes of it is added to *@sum. */
int sx_virtio_stage_run(struct sx_virtio_stage *s, const struct sx_virtio_command *c,
			struct sx_virtio_outcome *sum, struct sx_error *err);

/* Are all blocks of the disks whole? -EIO. */
int sx_virtio_stage_check(const struct sx_virtio_stage *s, struct sx_error *err);

#endif
